//! Our emulated Cyton read by BrainFlow's driver: bytes that only our own driver understood would prove nothing.
#![cfg(unix)]

use contract::SystemClock;
use emulators::cyton::CytonConfig;
use emulators::{DeliveryLog, Source, SourceSpec};
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;

/// Microvolts a count as BrainFlow takes it: 4.5 V / 24 / (2²³ − 1), without a sign for the wiring.
const BRAINFLOW_UV: f64 = 4.5e6 / 24.0 / 8_388_607.0;

#[test]
fn brainflow_reads_the_emulated_cyton() {
    let Some(python) = crate::python("a Cyton in BrainFlow") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("port");
    let mut config = CytonConfig::new(port.clone());
    config.numbered = true;
    let emulator = config
        .start(DeliveryLog::default(), Arc::new(SystemClock))
        .unwrap();
    let ran = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/cyton.py"))
        .arg(&port)
        .arg("3")
        .output()
        .unwrap();
    let log = emulator.finish().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let read: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let row = |channel: usize| -> Vec<f64> {
        let row = read["microvolts"][channel].as_array().unwrap();
        row.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let numbers: Vec<u64> = (row(7).iter())
        .map(|uv| (uv / BRAINFLOW_UV).round() as u64)
        .collect();
    assert!(numbers.len() > 500, "{} samples in 3 s", numbers.len());
    let delivered = log.delivered_samples();
    let first = delivered
        .iter()
        .position(|number| *number == numbers[0])
        .unwrap();
    assert_eq!(
        numbers,
        delivered[first..first + numbers.len()],
        "each once and in order"
    );

    // What is played, as the board's wiring delivers it: electrodes at the negative inputs.
    let spec = SourceSpec {
        file: None,
        seed: 1,
        channels: 8,
        rate_hz: 250,
    };
    let mut played = Source::new(spec).unwrap();
    let rows: Vec<Vec<f64>> = (0..7).map(row).collect();
    let mut uv = [0.0; 8];
    for number in 0..=numbers[numbers.len() - 1] {
        played.next_uv(&mut uv).unwrap();
        let Some(at) = number.checked_sub(numbers[0]) else {
            continue;
        };
        for (channel, row) in rows.iter().enumerate() {
            let error = (row[at as usize] + uv[channel]).abs();
            assert!(
                error <= BRAINFLOW_UV * 0.51,
                "sample {number}, channel {channel}"
            );
        }
    }
}
