//! A wall clock that is set, forward and back, while the real engine records: the record's time does
//! not bend, the step is told of, and everything else goes on.

use end_to_end::Station;
use serde_json::Value;
use signal::{GapCause, Missing, StreamIndex};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a sample's time may differ from an even course: the jitter that the clock fit leaves, and the
/// simulated crystal over a few seconds.
const MAY_DIFFER_NS: i64 = 10_000_000;
/// From the annotation's call to its instant: a local call.
const A_CALL_NS: i64 = 20_000_000;
const HOUR_MS: i64 = 3_600_000;

/// The library that gives a program another wall clock; `None`, said loudly, where it is not.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: a stepped clock needs libfaketime (Debian: faketime)");
    }
    found
}

/// An engine whose wall clock follows `clock`; its monotonic clock is the machine's.
fn engine(station: &Station, library: &Path, clock: &Path) -> Child {
    station.engine_with(&[
        ("LD_PRELOAD", library.as_os_str()),
        ("FAKETIME_TIMESTAMP_FILE", clock.as_os_str()),
        ("FAKETIME_NO_CACHE", OsStr::new("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", OsStr::new("1")),
        ("NO_FAKE_STAT", OsStr::new("1")),
    ])
}

/// Replaces the file at once: the engine never reads half of it.
fn set(clock: &Path, offset: &str) {
    let new = clock.with_extension("new");
    fs::write(&new, offset).unwrap();
    fs::rename(&new, clock).unwrap();
}

#[allow(
    clippy::disallowed_methods,
    reason = "compared with a real engine's times"
)]
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_nanos()).unwrap()
}

fn entries(station: &Station, kind: &str) -> Vec<Value> {
    let shown = station.ok(&["ledger", "show", "--limit", "10000", "--kind", kind]);
    shown["entries"].as_array().unwrap().clone()
}

#[test]
fn a_stepped_clock_bends_no_time_and_stops_nothing() {
    let Some(library) = library() else { return };
    let station = Station::new();
    let clock = station.path().join("clock");
    set(&clock, "+0");
    let mut engine = engine(&station, &library, &clock);
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        "numbered=true",
    ]);
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap_or(0.0);
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > 1.0),
        "{}",
        station.log()
    );

    let mut marked = Vec::new();
    // Forward by an hour, back to where it was, and on to an hour before the session began.
    let steps = [("+1h", HOUR_MS), ("+0", -HOUR_MS), ("-1h", -HOUR_MS)];
    for (number, (offset, _)) in steps.iter().enumerate() {
        set(&clock, offset);
        let told = || entries(&station, "clock.stepped").len() > number;
        assert!(
            station.wait_for(Duration::from_secs(20), told),
            "{}",
            station.log()
        );
        let text = format!("after step {number}");
        let before = now_ns();
        station.ok(&["session", "annotate", id, &text]);
        marked.push((text, before, now_ns()));
        let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
        assert_eq!(stopped["devices"], 1, "{stopped:#}");
        assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
        let until = recorded() + 1.0;
        assert!(
            station.wait_for(Duration::from_secs(20), || recorded() > until),
            "{}",
            station.log()
        );
    }
    let by: Vec<i64> = entries(&station, "clock.stepped")
        .iter()
        .map(|entry| entry["payload"]["data"]["step_ms"].as_i64().unwrap())
        .collect();
    assert_eq!(by.len(), steps.len(), "{by:?}");
    for (by, (_, expected)) in by.iter().zip(steps) {
        assert!(
            (by - expected).abs() < 1_000,
            "{by} ms, stepped by {expected} ms"
        );
    }
    assert_eq!(
        entries(&station, "safety.emergency_stop").len(),
        steps.len()
    );
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );

    let recording = station.recording(&session);
    assert!(recording.gaps().is_empty(), "{:?}", recording.gaps());
    let runs = recording.runs(StreamIndex(0)).unwrap();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let rate = recording.streams()[0].rate;
    let time_of = |index| recording.time_of(StreamIndex(0), index).unwrap().unwrap().0;
    let begin = time_of(0);
    for index in (0..runs[0].end_index).step_by(16) {
        let bent = time_of(index) - begin - rate.nanos_of(index);
        assert!(
            bent.abs() < MAY_DIFFER_NS,
            "sample {index} lies {bent} ns beside its place"
        );
    }
    let annotations = recording.annotations();
    for (text, before, after) in marked {
        let found = annotations.iter().find(|a| a.annotation.text == text);
        let onset = found.expect("the annotation stands").annotation.onset.0;
        let right = before - A_CALL_NS..=after + A_CALL_NS;
        assert!(
            right.contains(&onset),
            "{text}: {onset} is not within {right:?}"
        );
    }
    assert_eq!(station.ok(&["recording", "verify", id])["sound"], true);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    assert_eq!(station.ok(&["workflow", "replay", id])["agrees"], true);
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}

/// After a restart only the wall clock tells how long the engine was away; when it went back, the
/// record cannot say so, and says that.
#[test]
fn an_engine_that_comes_back_under_an_earlier_clock_goes_on() {
    let Some(library) = library() else { return };
    let station = Station::new();
    let clock = station.path().join("clock");
    set(&clock, "+0");
    let mut first = engine(&station, &library, &clock);
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        "numbered=true",
    ]);
    let id = started["id"].as_str().unwrap();
    let recorded = || station.session(id)["recorded_s"].as_f64().unwrap_or(0.0);
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > 2.0),
        "{}",
        station.log()
    );
    first.kill().unwrap();
    first.wait().unwrap();
    set(&clock, "-1h");
    let mut second = engine(&station, &library, &clock);
    let until = recorded() + 2.0;
    assert!(
        station.wait_for(Duration::from_secs(30), || recorded() > until),
        "{}",
        station.log()
    );
    station.ok(&["session", "stop", id]);
    let session = station.finished(id, Duration::from_secs(60));
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let recording = station.recording(&session);
    let gaps: Vec<_> = recording.gaps().iter().map(|known| known.gap).collect();
    assert!(!gaps.is_empty());
    for gap in &gaps {
        assert_eq!(
            (gap.cause, gap.missing),
            (GapCause::Restarted, Missing::Unknown),
            "{gap:?}"
        );
    }
    let runs = recording.runs(StreamIndex(0)).unwrap();
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!(
        runs[0].end_index, runs[1].first_index,
        "no sample is made up or left out"
    );
    let back_ns = runs[0].start.0 - runs[1].start.0;
    assert!(
        (back_ns - HOUR_MS * 1_000_000).abs() < 60_000_000_000,
        "back by {back_ns} ns"
    );
    let exported = station.ok(&["export", id]);
    let files = exported["files"].as_array().unwrap().iter();
    let names: Vec<_> = files.map(|file| file["path"].as_str().unwrap()).collect();
    // A run that no record's length divides has a second file with its tail.
    let whole = |name: &&&str| name.contains("_eeg_run-") && !name.contains("_tail");
    let runs = names.iter().filter(whole).count();
    assert_eq!(runs, 2, "each unbroken run is a file: {names:?}");
    assert_eq!(station.ok(&["recording", "verify", id])["sound"], true);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    station.ok(&["engine", "stop"]);
    assert!(second.wait().unwrap().success());
}
