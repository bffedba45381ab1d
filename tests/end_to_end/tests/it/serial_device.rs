//! A whole session on a device that exists as bytes on a serial line, with faults: what the emulator says it
//! delivered is in the record once, in order, with its number, and the rest is in gaps.
#![cfg(unix)]

use end_to_end::{Station, bin_dir};
use serde_json::Value;
use signal::{Samples, StreamIndex};
use std::io::BufRead as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running neurascale-emulator; ends when its input does.
pub(crate) struct Emulator(Child);

impl Emulator {
    /// Starts `device` with these arguments, and gives the address that it tells.
    pub(crate) fn start(device: &str, log: &Path, arguments: &[&str]) -> (Self, String) {
        let mut child = Command::new(bin_dir().join("neurascale-emulator"))
            .arg(device)
            .args(["--numbered", "--log"])
            .arg(log)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run neurascale-emulator");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        std::io::BufReader::new(out)
            .read_line(&mut line)
            .expect("its address");
        assert!(line.starts_with(&format!("{device}:")), "{line}");
        (Self(child), line.trim().to_owned())
    }

    pub(crate) fn end(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("ended").success());
    }
}

/// Numbers of the samples that went out whole.
pub(crate) fn delivered(log: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(log).expect("the log");
    let mut numbers: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of the log"))
        .filter(|line| line["fate"] == "delivered" || line["fate"] == "repeated")
        .flat_map(|line| {
            let first = line["first_sample"].as_u64().expect("a number");
            first..first + line["samples"].as_u64().expect("a number")
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[test]
fn a_cyton_on_a_bad_line_is_recorded_whole() {
    let station = Station::new();
    let file = |name: &str| station.path().join(name);
    let (port, log, script) = (
        file("cyton-port"),
        file("delivered.jsonl"),
        file("faults.toml"),
    );
    let faults = r#"
        seed = 5
        jitter_ms = 10
        chance = [
            { kind = "lost", chance = 0.005 },
            { kind = "garbage", chance = 0.01 },
            { kind = "truncated", chance = 0.005 },
        ]
        fault = [{ at = 1000, kind = "disconnect", duration_ms = 400 }]
    "#;
    std::fs::write(&script, faults).expect("written");
    let (port, script) = (
        port.to_str().expect("a text"),
        script.to_str().expect("a text"),
    );
    let (emulator, device) = Emulator::start("cyton", &log, &[port, "--script", script]);
    let electrodes = "electrodes=Fp1,Fp2,C3,C4,P7,P8,O1,O2";
    let more = [
        "--set",
        "numbered=on",
        "--set",
        electrodes,
        "--export",
        "edf",
    ];
    let session = station.records(&device, &more);
    emulator.end();

    let recording = station.recording(&session);
    let eeg = &recording.streams()[0];
    assert_eq!(eeg.channels.len(), 8);
    assert_eq!(eeg.channels[0].electrode.as_deref(), Some("Fp1"));
    assert!(
        eeg.channels[0].scale.gain < 0.0,
        "the wiring inverts, and the scale says so"
    );
    let runs = recording.runs(StreamIndex(0)).expect("runs");
    let (first, end) = (runs[0].first_index, runs[runs.len() - 1].end_index);
    let mut numbers = Vec::new();
    for piece in recording
        .pieces(StreamIndex(0), first..end)
        .expect("pieces")
    {
        let piece = piece.expect("a piece");
        let Samples::I24(values) = &piece.samples else {
            panic!("{:?}", piece.samples)
        };
        let last = &values[7 * piece.len..];
        numbers.extend(
            last.iter()
                .map(|number| u64::try_from(*number).expect("a number")),
        );
    }
    assert!(numbers.len() > 1_500, "{} samples of 8 s", numbers.len());
    assert!(
        numbers.windows(2).all(|two| two[0] < two[1]),
        "once and in order"
    );
    let range = numbers[0]..=numbers[numbers.len() - 1];
    let sent: Vec<u64> = (delivered(&log).into_iter())
        .filter(|number| range.contains(number))
        .collect();
    assert_eq!(numbers, sent, "what was delivered is what is recorded");
    let holes = numbers.windows(2).filter(|two| two[1] > two[0] + 1).count();
    assert_eq!(
        runs.len(),
        holes + 1,
        "every hole is a gap, and nothing else is: {:?}",
        recording.gaps()
    );

    // The quality record tells the losses by cause, in the export as well.
    let exports = session["exports"].as_array().expect("exports");
    let manifest = (exports.iter().filter_map(Value::as_str))
        .find(|path| path.ends_with(".json"))
        .expect("the manifest");
    let text = std::fs::read_to_string(manifest).expect("the manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let quality = &manifest["stream_quality"][0];
    assert_eq!(quality["name"], "eeg", "{manifest:#}");
    assert_eq!(quality["samples"], numbers.len(), "{quality:#}");
    let losses = quality["losses"].as_array().expect("losses");
    let of = |cause: &str| losses.iter().find(|loss| loss["cause"] == cause);
    assert!(
        of("transport").is_some_and(|loss| loss["gaps"].as_u64() > Some(2)),
        "{quality:#}"
    );
    assert!(
        of("disconnected").is_some_and(|loss| loss["gaps"] == 1),
        "{quality:#}"
    );
    assert!(
        quality["jitter_ms_rms"]
            .as_f64()
            .is_some_and(|ms| (0.5..20.0).contains(&ms)),
        "{quality:#}"
    );
}
