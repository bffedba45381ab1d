//! Whole sessions on servers that exist as bytes: what they say they gave out is in the record once, in order, with
//! its number.

use crate::serial_device::{Emulator, delivered};
use end_to_end::Station;
use lsl::{ChannelFormat, ExPushable as _, StreamInfo, StreamOutlet};
use signal::{Samples, StreamIndex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[test]
fn rda_and_fieldtrip_servers_are_recorded_whole() {
    for device in ["rda", "fieldtrip"] {
        let station = Station::new();
        let log = station.path().join("delivered.jsonl");
        let script = station.path().join("faults.toml");
        // Forty blocks or answers, and then a connection that breaks.
        let faults =
            "jitter_ms = 10\nfault = [{ at = 300, kind = \"disconnect\", duration_ms = 300 }]\n";
        std::fs::write(&script, faults).unwrap();
        let script = script.to_str().unwrap().to_owned();
        let more = ["--script", &script, "--marker-every", "500"];
        let (emulator, address) = Emulator::start(device, &log, &more);
        let session = station.records(&address, &["--export", "edf"]);
        emulator.end();

        let recording = station.recording(&session);
        let eeg = &recording.streams()[0];
        assert_eq!(eeg.channels.len(), 32, "{device}");
        assert_eq!(
            eeg.channels[0].electrode.as_deref(),
            Some("Fp1"),
            "{device}"
        );
        let runs = recording.runs(StreamIndex(0)).unwrap();
        let (first, end) = (runs[0].first_index, runs[runs.len() - 1].end_index);
        let mut numbers = Vec::new();
        for piece in recording.pieces(StreamIndex(0), first..end).unwrap() {
            let piece = piece.unwrap();
            let Samples::F32(values) = &piece.samples else {
                panic!("{:?}", piece.samples)
            };
            numbers.extend(values[31 * piece.len..].iter().map(|number| *number as u64));
        }
        assert!(
            numbers.len() > 3_000,
            "{device}: {} samples of 8 s",
            numbers.len()
        );
        let range = numbers[0]..=numbers[numbers.len() - 1];
        let sent: Vec<u64> = (delivered(&log).into_iter())
            .filter(|n| range.contains(n))
            .collect();
        assert_eq!(
            numbers, sent,
            "{device}: what was delivered is what is recorded"
        );
        assert!(runs.len() >= 2, "{device}: the broken connection is a gap");
        let marks = recording.standing_annotations();
        let stimuli = marks
            .iter()
            .filter(|mark| mark.text.starts_with("Stimulus"))
            .count();
        assert!(stimuli >= 5, "{device}: {marks:?}");
    }
}

/// A program that sends a numbered stream of floats and a marker at every 250th sample.
fn send(id: &str, stop: &AtomicBool) {
    let info = |name: &str, kind, channels, hz, format, id: &str| {
        StreamInfo::new(name, kind, channels, hz, format, id).unwrap()
    };
    let signal = info("played", "EEG", 8, 250.0, ChannelFormat::Float32, id);
    let marks = format!("{id}-marks");
    let marker = info("marks", "Markers", 1, 0.0, ChannelFormat::String, &marks);
    let signal = StreamOutlet::new(&signal, 0, 60).unwrap();
    let marker = StreamOutlet::new(&marker, 0, 60).unwrap();
    let began = lsl::local_clock();
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        let due = began + f64::from(number) / 250.0;
        let wait = due - lsl::local_clock();
        if wait > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(wait));
        }
        let mut sample = vec![0.25_f32; 8];
        sample[7] = number as f32;
        signal.push_sample_ex(&sample, due, true).unwrap();
        if number.is_multiple_of(250) {
            let text = vec![format!("at {number}")];
            marker.push_sample_ex(&text, due, true).unwrap();
        }
        number += 1;
    }
}

#[test]
fn a_stream_of_the_lab_streaming_layer_is_recorded_whole() {
    let station = Station::new();
    let id = format!("neurascale-test-{}", std::process::id());
    let stop = Arc::new(AtomicBool::new(false));
    let (sending, stopping) = (id.clone(), Arc::clone(&stop));
    let sender = std::thread::Builder::new()
        .name("sender".into())
        .spawn(move || send(&sending, &stopping))
        .unwrap();
    let device = format!("lsl:{id}");
    let markers = format!("markers={id}-marks");
    let listed = || {
        station
            .ok(&["device", "list"])
            .to_string()
            .contains(&device)
    };
    assert!(station.wait_for(Duration::from_secs(10), listed));
    let session = station.records(&device, &["--set", &markers, "--export", "edf"]);
    stop.store(true, Ordering::Relaxed);
    sender.join().unwrap();

    let recording = station.recording(&session);
    let runs = recording.runs(StreamIndex(0)).unwrap();
    assert_eq!(runs.len(), 1, "nothing was lost: {:?}", recording.gaps());
    let mut numbers = Vec::new();
    for piece in recording
        .pieces(StreamIndex(0), runs[0].first_index..runs[0].end_index)
        .unwrap()
    {
        let piece = piece.unwrap();
        let Samples::F32(values) = &piece.samples else {
            panic!("{:?}", piece.samples)
        };
        assert!(values[..piece.len].iter().all(|value| *value == 0.25));
        numbers.extend(values[7 * piece.len..].iter().map(|number| *number as u64));
    }
    assert!(numbers.len() > 1_000, "{} samples of 8 s", numbers.len());
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
    // Each marker stands within half a sample of the one that it was sent with.
    let marks = recording.standing_annotations();
    let marks: Vec<_> = (marks.iter().filter(|mark| mark.text.starts_with("at "))).collect();
    assert!(marks.len() >= 6, "{marks:?}");
    for mark in marks {
        let number: u64 = mark.text["at ".len()..].parse().unwrap();
        let Some(since) = number.checked_sub(numbers[0]) else {
            continue; // sent before the first sample that was recorded
        };
        let index = runs[0].first_index + since;
        let sample = recording.time_of(StreamIndex(0), index).unwrap().unwrap();
        let apart = mark.onset.nanos_since(sample).unsigned_abs();
        assert!(apart < 4_100_000, "{mark:?} is {apart} ns from its sample");
    }
    let times = recording.runs(StreamIndex(1)).unwrap();
    assert!(!times.is_empty(), "the markers' own times are kept");
}
