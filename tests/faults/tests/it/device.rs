//! Devices that fall silent, lose packets, or are unplugged: the record shows it, and goes on.

use end_to_end::Station;
use serde_json::Value;
use signal::{Gap, GapCause, Missing, StreamIndex};
use std::time::Duration;

/// Runs a session on a headset that does what `script` says; its gaps in the EEG, and the session.
fn run(station: &Station, script: &str, seconds: &str) -> (Vec<Gap>, Value) {
    let set = format!("script={script}");
    let session = station.ok(&[
        "session",
        "run",
        "--training",
        "--now",
        "--set",
        "numbered=true",
        "--set",
        &set,
        "--duration",
        seconds,
    ]);
    assert_eq!(
        session["state"],
        "completed",
        "{session:#}\n{}",
        station.log()
    );
    let recording = station.recording(&session);
    let of_eeg = |gap: &Gap| gap.stream == StreamIndex(0);
    let gaps = recording
        .gaps()
        .iter()
        .map(|known| known.gap)
        .filter(of_eeg)
        .collect();
    let id = session["id"].as_str().unwrap();
    let verified = station.ok(&["recording", "verify", id]);
    assert_eq!(verified["sound"], true, "{verified:#}");
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    (gaps, session)
}

fn seconds(gap: &Gap) -> f64 {
    (gap.until.0 - gap.from.0) as f64 / 1e9
}

fn entries(station: &Station, kind: &str) -> Vec<Value> {
    let shown = station.ok(&["ledger", "show", "--limit", "10000", "--kind", kind]);
    shown["entries"].as_array().unwrap().clone()
}

#[test]
fn a_device_that_is_unplugged_comes_back_with_a_gap() {
    let station = Station::new();
    let script = "[[disconnect]]\nat_s = 1.5\nduration_s = 2.0\n";
    let (gaps, session) = run(&station, script, "7");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].cause, GapCause::Disconnected, "{gaps:?}");
    // It is tried again every two seconds at the latest.
    assert!(
        (1.9..=5.0).contains(&seconds(&gaps[0])),
        "{} s",
        seconds(&gaps[0])
    );
    assert!(
        session["recorded_s"].as_f64().unwrap() >= 6.9,
        "{session:#}"
    );
    assert_eq!(entries(&station, "device.disconnected").len(), 1);
    assert!(
        entries(&station, "device.connected").len() >= 2,
        "there at first, and back again"
    );
    assert!(!entries(&station, "device.retrying").is_empty());
    assert!(!entries(&station, "recorder.gap").is_empty());
    let shown = station.ok(&["recording", "show", session["id"].as_str().unwrap()]);
    let marked = shown["annotations"].as_array().unwrap().iter();
    assert!(
        marked
            .into_iter()
            .any(|mark| mark["code"] == "device_disconnected"),
        "{shown:#}"
    );
}

#[test]
fn a_device_that_falls_silent_is_told_of_and_goes_on() {
    let station = Station::new();
    let (gaps, _) = run(&station, "[[silence]]\nat_s = 1.5\nduration_s = 3.0\n", "7");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(
        (2.8..=3.3).contains(&seconds(&gaps[0])),
        "{} s",
        seconds(&gaps[0])
    );
    let alerts = entries(&station, "signal.quality_alert");
    let states: Vec<bool> = alerts
        .iter()
        .map(|entry| entry["payload"]["data"]["active"].as_bool().unwrap())
        .collect();
    assert!(
        states.contains(&true) && states.contains(&false),
        "{alerts:#?}"
    );
}

#[test]
fn packets_lost_on_the_way_are_counted_to_the_sample() {
    let station = Station::new();
    let script = "[[dropout]]\nat_s = 1.0\nsamples = 40\n[[dropout]]\nat_s = 2.0\nsamples = 7\n";
    let (gaps, _) = run(&station, script, "4");
    let lost: Vec<Missing> = gaps.iter().map(|gap| gap.missing).collect();
    assert_eq!(lost, [Missing::Exact(40), Missing::Exact(7)], "{gaps:?}");
    assert!(
        gaps.iter().all(|gap| gap.cause == GapCause::Transport),
        "{gaps:?}"
    );
}

#[test]
fn the_emergency_stop_works_while_the_device_is_away() {
    let station = Station::new();
    let mut engine = station.engine();
    let started = station.ok(&[
        "session",
        "start",
        "--training",
        "--now",
        "--duration",
        "unlimited",
        "--set",
        "script=[[disconnect]]\nat_s = 1.0\nduration_s = 5.0\n",
    ]);
    let id = started["id"].as_str().unwrap();
    let away = || !entries(&station, "device.disconnected").is_empty();
    assert!(
        station.wait_for(Duration::from_secs(30), away),
        "{}",
        station.log()
    );
    let stopped = station.ok(&["--no-start", "session", "emergency-stop"]);
    assert_eq!(stopped["devices"], 1, "{stopped:#}");
    assert!(stopped["took_ms"].as_f64().unwrap() < 100.0, "{stopped:#}");
    let back = || entries(&station, "device.connected").len() >= 2;
    assert!(!back(), "it is still away");
    assert!(
        station.wait_for(Duration::from_secs(30), back),
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
    let shown = station.ok(&["recording", "show", id]);
    let mut marks = shown["annotations"].as_array().unwrap().iter();
    assert!(
        marks.any(|mark| mark["code"] == "emergency_stop"),
        "{shown:#}"
    );
    assert_eq!(entries(&station, "safety.emergency_stop").len(), 1);
    assert_eq!(station.ok(&["ledger", "verify"])["sound"], true);
    station.ok(&["engine", "stop"]);
    assert!(engine.wait().unwrap().success());
}
