//! Our emulated wireless devices read by BrainFlow's drivers, through its own Bluetooth client: bytes that only our
//! own drivers understood would prove nothing.
#![cfg(target_os = "linux")]

use contract::SystemClock;
use driver_tests::Bus;
use emulators::bluez::{BluetoothConfig, Model};
use emulators::{DeliveryLog, Source, SourceSpec};
use serde_json::Value;
use std::process::Command;
use std::sync::Arc;

/// A device, BrainFlow's name of it, and how near its values come to what is played.
struct Case {
    model: Model,
    board: &'static str,
    /// Channels and rate of what is played.
    channels: usize,
    rate_hz: u32,
    /// Least and greatest value that the converter gives, µV.
    range_uv: (f64, f64),
    tolerance_uv: f64,
}

const MUSE: Case = Case {
    model: Model::Muse2016,
    board: "MUSE_2016_BOARD",
    channels: 5,
    rate_hz: 256,
    range_uv: (-1_000.0, 2_047.0 * 2_000.0 / 4_096.0),
    tolerance_uv: 0.51 * 2_000.0 / 4_096.0,
};

const CASES: [Case; 4] = [
    MUSE,
    Case {
        model: Model::Muse2,
        board: "MUSE_2_BOARD",
        ..MUSE
    },
    Case {
        model: Model::Athena,
        board: "MUSE_S_ATHENA_BOARD",
        channels: 8,
        rate_hz: 256,
        range_uv: (-8_192.0 * 1_450.0 / 16_383.0, 8_191.0 * 1_450.0 / 16_383.0),
        tolerance_uv: 0.51 * 1_450.0 / 16_383.0,
    },
    // Firmware 3 sends the highest 19 bits, the last of which is the sign: 64 counts of the converter are one.
    Case {
        model: Model::Ganglion3,
        board: "GANGLION_NATIVE_BOARD",
        channels: 4,
        rate_hz: 200,
        range_uv: (-15_686.0, 15_686.0),
        tolerance_uv: 64.0 * 1.2e6 / (8_388_607.0 * 1.5 * 51.0),
    },
];

#[test]
fn brainflow_reads_the_emulated_wireless_devices() {
    let Some(python) = crate::python("Bluetooth devices in BrainFlow") else {
        return;
    };
    for case in CASES {
        let Some(bus) = Bus::start() else { return };
        let config = BluetoothConfig::new(case.model, bus.address().to_owned());
        let address = config.address.clone();
        let emulator = config
            .start(DeliveryLog::default(), Arc::new(SystemClock))
            .unwrap();
        let ran = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/bluetooth.py"))
            .args([case.board, &address, "3"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
            .output()
            .unwrap();
        emulator.finish().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let why = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {said}{why}", case.board);
        let read: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let rows: Vec<Vec<f64>> = (read["microvolts"].as_array().unwrap().iter().take(4))
            .map(|row| {
                let row = row.as_array().unwrap();
                row.iter().map(|value| value.as_f64().unwrap()).collect()
            })
            .collect();
        assert!(
            rows[0].len() > 400,
            "{}: {} samples in 3 s",
            case.board,
            rows[0].len()
        );
        held_against_what_is_played(&case, &rows);
    }
}

/// Every sample that was read is what is played, in order and without a hole, from some sample on.
fn held_against_what_is_played(case: &Case, rows: &[Vec<f64>]) {
    let mut source = Source::new(SourceSpec {
        file: None,
        seed: 1,
        channels: case.channels,
        rate_hz: case.rate_hz,
    })
    .unwrap();
    let (least, greatest) = case.range_uv;
    let mut played: Vec<Vec<f64>> = Vec::new();
    let count = rows[0].len();
    for _ in 0..count + 2_000 {
        let mut uv = vec![0.0; case.channels];
        source.next_uv(&mut uv).unwrap();
        played.push(uv.iter().map(|uv| uv.clamp(least, greatest)).collect());
    }
    let error = |at: usize, from: usize| -> f64 {
        let errors = (rows.iter().enumerate())
            .map(|(row, values)| (values[at] - played[from + at][row]).abs());
        errors.fold(0.0, f64::max)
    };
    let from = (0..2_000).find(|from| (0..20).all(|at| error(at, *from) <= case.tolerance_uv));
    let from = from.unwrap_or_else(|| {
        let first: Vec<f64> = rows.iter().map(|row| row[0]).collect();
        panic!("{}: what was read was never played: {first:?}", case.board)
    });
    for at in 0..count {
        let error = error(at, from);
        assert!(
            error <= case.tolerance_uv,
            "{}: sample {at} is {error} µV off",
            case.board
        );
    }
}
