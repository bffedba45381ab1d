//! Whole sessions on servers that exist as bytes: what they say they gave out is in the record once, in order, with
//! its number.

use crate::serial_device::{Emulator, delivered};
use end_to_end::Station;
use signal::{Samples, StreamIndex};

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
        let session = station.ok(&[
            "session",
            "run",
            "--training",
            "--now",
            "--device",
            &address,
            "--protocol",
            "free-recording",
            "--duration",
            "8",
            "--export",
            "edf",
        ]);
        assert_eq!(
            session["state"],
            "completed",
            "{session:#}\n{}",
            station.log()
        );
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
