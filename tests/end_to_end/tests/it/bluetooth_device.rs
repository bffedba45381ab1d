//! Whole sessions on wireless devices that exist as bytes behind BlueZ's interface: what they say they delivered is
//! in the record once, in order, with its number.
#![cfg(target_os = "linux")]

use crate::serial_device::{Emulator, delivered};
use driver_tests::Bus;
use end_to_end::Station;
use serde_json::Value;
use signal::{Samples, StreamIndex};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

/// A station whose engine finds Bluetooth on `bus`.
fn station(bus: &Bus) -> (Station, Child) {
    let station = Station::new();
    let engine = station.engine_with(&[("DBUS_SYSTEM_BUS_ADDRESS", OsStr::new(bus.address()))]);
    (station, engine)
}

#[test]
fn wireless_headbands_and_boards_are_recorded_whole() {
    // Device, how it is emulated, settings, counts of a number, numbers until they begin anew, samples of 8 s.
    type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], i32, u64, usize);
    let cases: [Case<'_>; 3] = [
        (
            "muse",
            &["--model", "2"],
            &["--export=edf", "--set=preset=p51", "--set=numbered=on"],
            1,
            1 << 12,
            1_400,
        ),
        (
            "muse",
            &["--model", "athena"],
            &["--export=edf", "--set=preset=p1041"],
            1,
            1 << 14,
            1_400,
        ),
        (
            "ganglion",
            &["--firmware", "3"],
            &["--export=edf", "--set=numbered=on"],
            128,
            1 << 16,
            1_100,
        ),
    ];
    for (device, how, settings, step, modulus, least) in cases {
        let Some(bus) = Bus::start() else { return };
        let (station, mut engine) = station(&bus);
        let (log, script) = (
            station.path().join("delivered.jsonl"),
            station.path().join("faults.toml"),
        );
        // Two to four seconds of notifications, and then a connection that breaks.
        let faults =
            "jitter_ms = 5\nfault = [{ at = 250, kind = \"disconnect\", duration_ms = 300 }]\n";
        std::fs::write(&script, faults).unwrap();
        let mut more = vec!["--bus", bus.address(), "--script", script.to_str().unwrap()];
        more.extend(how);
        let (emulator, address) = Emulator::start(device, &log, &more);
        let listed = station.ok(&["device", "list"]);
        assert!(listed.to_string().contains(&address), "{listed:#}");
        let session = station.records(&address, settings);
        emulator.end();

        let recording = station.recording(&session);
        let channels = recording.streams()[0].channels.len();
        let runs = recording.runs(StreamIndex(0)).unwrap();
        assert!(
            runs.len() >= 2,
            "{device} {how:?}: the broken connection is a gap"
        );
        let (first, end) = (runs[0].first_index, runs[runs.len() - 1].end_index);
        let mut numbers: Vec<u64> = Vec::new();
        for piece in recording.pieces(StreamIndex(0), first..end).unwrap() {
            let piece = piece.unwrap();
            for n in 0..piece.len {
                let at = (channels - 1) * piece.len + n;
                let count = match &piece.samples {
                    Samples::I16(values) => i32::from(values[at]),
                    Samples::I24(values) => values[at],
                    other => panic!("{other:?}"),
                };
                assert!(count >= 0 && count % step == 0, "{device} {how:?}: {count}");
                numbers.push(u64::try_from(count / step).unwrap());
            }
        }
        assert!(numbers.len() > least, "{device} {how:?}: {}", numbers.len());
        // Numbers begin anew after `modulus`; how often they had before is not in the record.
        for at in 1..numbers.len() {
            while numbers[at] < numbers[at - 1] {
                numbers[at] += modulus;
            }
        }
        let sent = delivered(&log);
        let equal = (0..8).any(|turns| {
            let shifted: Vec<u64> = numbers.iter().map(|n| n + turns * modulus).collect();
            let range = shifted[0]..=shifted[shifted.len() - 1];
            let within = sent.iter().copied().filter(|n| range.contains(n));
            within.eq(shifted.iter().copied())
        });
        assert!(
            equal,
            "{device} {how:?}: what was delivered is what is recorded"
        );
        drop(station);
        engine.wait().unwrap();
    }
}

#[test]
fn a_strap_alone_makes_a_session_and_the_doctor_finds_the_radio() {
    let Some(bus) = Bus::start() else { return };
    let (station, mut engine) = station(&bus);
    let found = |station: &Station| {
        let findings = station.cli(&["doctor"]).json();
        let all = findings["findings"].as_array().expect("findings").clone();
        (all.into_iter())
            .find(|finding| finding["check"] == "bluetooth")
            .expect("a finding about Bluetooth")
    };
    let without = found(&station);
    assert!(
        without["found"].as_str().unwrap().contains("does not run"),
        "{without}"
    );
    // Whoever watches is told when it is switched on, and when it is switched off.
    let mut watching = station
        .command("neurascale")
        .args(["--json", "device", "list", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut told = |event: &str| {
        let told = events.find(|line| {
            let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
            let device = line["device"]["id"].as_str().unwrap_or_default();
            line["event"] == event && device.starts_with("heart-rate:")
        });
        assert!(told.is_some(), "the list ended");
    };
    let log = station.path().join("delivered.jsonl");
    let (emulator, address) = Emulator::start("heart-rate", &log, &["--bus", bus.address()]);
    told("came");
    let with = found(&station);
    assert!(
        with["found"].as_str().unwrap().contains("switched on"),
        "{with}"
    );
    let session = station.records(&address, &[]);
    emulator.end();
    told("gone");
    watching.kill().unwrap();
    watching.wait().unwrap();
    // What EDF+ cannot hold is refused with the reason.
    let folder = station.path().join("export");
    let id = session["id"].as_str().unwrap();
    let refused = station.cli(&["export", id, "--to", folder.to_str().unwrap()]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("irregular"), "{refused:?}");
    let step = |name: &str| {
        let steps = session["steps"].as_array().unwrap();
        let found = steps.iter().find(|step| step["name"] == name);
        found.unwrap_or_else(|| panic!("{steps:?}")).clone()
    };
    assert_eq!(step("report")["state"], "done", "{session:#}");
    let recording = station.recording(&session);
    let runs = recording.runs(StreamIndex(1)).unwrap();
    let (first, end) = (runs[0].first_index, runs[runs.len() - 1].end_index);
    let mut beats = Vec::new();
    for piece in recording.pieces(StreamIndex(1), first..end).unwrap() {
        let piece = piece.unwrap();
        let Samples::I32(values) = &piece.samples else {
            panic!("{:?}", piece.samples)
        };
        beats.extend(values.iter().map(|n| u64::try_from(*n).unwrap() - 1));
    }
    assert!(beats.len() >= 8, "{beats:?}");
    let range = beats[0]..=beats[beats.len() - 1];
    let sent: Vec<u64> = (delivered(&log).into_iter())
        .filter(|beat| range.contains(beat))
        .collect();
    assert_eq!(beats, sent);
    drop(station);
    engine.wait().unwrap();
}
