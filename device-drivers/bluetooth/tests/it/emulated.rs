//! Each driver against its emulated device.

use crate::bus::{address, on_a_bus};
use contract::conformance::{Expectations, check};
use contract::{Collected, Device, Driver, ErrorKind, Read, Settings};
use driver_tests::{Numbering, clock};
use emulators::bluez::{BluetoothConfig, Model};
use emulators::{DeliveryLog, Running, Script};
use signal::{Impedance, Samples, StreamIndex};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

const ADDRESS: &str = "00:55:DA:B0:00:01";

macro_rules! on_a_bus {
    ($(fn $name:ident() => $inner:ident;)*) => {$(
        #[test]
        fn $name() {
            on_a_bus(concat!("emulated::", stringify!($inner)));
        }
    )*};
}

on_a_bus! {
    fn a_muse_conforms() => muse_conforms;
    fn an_athena_conforms() => athena_conforms;
    fn a_ganglion_conforms() => ganglion_conforms;
    fn an_old_ganglion_conforms() => old_ganglion_conforms;
    fn a_strap_conforms() => strap_conforms;
    fn a_polar_strap_conforms() => polar_conforms;
    fn nothing_delivered_by_a_muse_is_lost() => muse_on_a_bad_line;
    fn nothing_delivered_by_an_athena_is_lost() => athena_on_a_bad_line;
    fn nothing_delivered_by_a_ganglion_is_lost() => ganglion_on_a_bad_line;
    fn nothing_delivered_by_an_old_ganglion_is_lost() => old_ganglion_on_a_bad_line;
    fn nothing_delivered_by_a_polar_strap_is_lost() => polar_on_a_bad_line;
    fn a_polar_strap_comes_back() => polar_comes_back;
    fn a_muse_comes_back() => muse_comes_back;
    fn an_athena_comes_back() => athena_comes_back;
    fn a_ganglion_comes_back() => ganglion_comes_back;
    fn a_strap_comes_back() => strap_comes_back;
    fn a_muse_is_told_that_someone_listens() => muse_is_kept_alive;
    fn a_ganglion_measures_impedances() => ganglion_measures;
    fn a_board_that_greets_wrongly_is_read_all_the_same() => ganglion_greets_wrongly;
    fn what_is_missing_is_said() => says_what_is_missing;
}

/// A device, its driver, and how its last channel numbers samples.
#[derive(Clone, Copy)]
struct Kind {
    model: Model,
    driver: &'static dyn Driver,
    settings: &'static [(&'static str, &'static str)],
    numbering: Numbering,
}

const MUSE: Kind = Kind {
    model: Model::Muse2016,
    driver: &bluetooth::MuseDriver,
    settings: &[("preset", "p21"), ("numbered", "on")],
    numbering: Numbering {
        step: 1,
        modulus: 1 << 12,
        lost: Some(-1),
    },
};
const ATHENA: Kind = Kind {
    model: Model::Athena,
    driver: &bluetooth::MuseDriver,
    settings: &[("preset", "p1041"), ("numbered", "on")],
    numbering: Numbering {
        step: 1,
        modulus: 1 << 14,
        lost: None,
    },
};
const GANGLION: Kind = Kind {
    model: Model::Ganglion3,
    driver: &bluetooth::GanglionDriver,
    settings: &[("numbered", "on")],
    numbering: Numbering {
        step: 128,
        modulus: 1 << 16,
        lost: None,
    },
};
const OLD_GANGLION: Kind = Kind {
    model: Model::Ganglion2,
    numbering: Numbering {
        step: 1,
        modulus: 1 << 23,
        lost: None,
    },
    ..GANGLION
};
const STRAP: Kind = Kind {
    model: Model::HeartRate,
    driver: &bluetooth::HeartRateDriver,
    settings: &[],
    numbering: Numbering {
        step: 1,
        modulus: 0,
        lost: None,
    },
};
const POLAR: Kind = Kind {
    model: Model::Polar,
    ..STRAP
};

fn emulate(model: Model, script: &str, change: impl FnOnce(&mut BluetoothConfig)) -> Running {
    let mut config = BluetoothConfig::new(model, address());
    config.numbered = true;
    config.script = Script::parse(script).expect("a script");
    change(&mut config);
    config
        .start(DeliveryLog::default(), clock())
        .expect("a device")
}

impl Kind {
    fn open(self) -> Box<dyn Device> {
        let settings: Settings = (self.settings.iter())
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        (self.driver.open(ADDRESS, &settings, clock())).expect("a device")
    }
}

fn conforms(kind: Kind, settings: &[(&str, &str)]) {
    let _emulator = emulate(kind.model, "", |config| config.numbered = false);
    let mut expected = Expectations::new(ADDRESS);
    for (name, value) in settings {
        expected = expected.with(name, value);
    }
    expected.stream_for = Duration::from_millis(1_500);
    let findings = check(kind.driver, &expected, clock());
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
#[ignore = "run on a bus of its own"]
fn muse_conforms() {
    let muse2 = Kind {
        model: Model::Muse2,
        ..MUSE
    };
    conforms(muse2, &[("preset", "p50")]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn athena_conforms() {
    conforms(ATHENA, &[("preset", "p1041")]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_conforms() {
    conforms(GANGLION, &[("accelerometer", "on")]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn old_ganglion_conforms() {
    conforms(OLD_GANGLION, &[]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn strap_conforms() {
    conforms(STRAP, &[]);
}

const BAD_LINE: &str = r#"
    seed = 5
    jitter_ms = 8
    drift_ppm = 120
    chance = [
        { kind = "lost", chance = 0.02 },
        { kind = "repeated", chance = 0.02 },
        { kind = "reordered", chance = 0.01 },
        { kind = "truncated", chance = 0.01 },
        { kind = "garbage", chance = 0.02, bytes = 9 },
    ]
    fault = [{ at = 400, kind = "pause", duration_ms = 300 }]
"#;

fn bad_line(kind: Kind, script: &str) {
    let emulator = emulate(kind.model, script, |_| {});
    let seconds = if driver_tests::soak() { 900 } else { 12 };
    let (kept, summary) = driver_tests::record(
        kind.open(),
        kind.numbering,
        Duration::from_secs(seconds),
        |_| false,
    );
    assert!(kept.samples.len() > 1_200, "{}", kept.samples.len());
    kept.assert_nothing_lost(emulator.log());
    assert!(summary.stats.garbage_bytes > 50, "{:?}", summary.stats);
    assert!(
        kept.gaps.len() + kept.stale.len() > 5,
        "{:?}",
        summary.stats
    );
    if kind.numbering.lost.is_some() {
        // One channel of a sample was lost: flagged, with the others kept.
        assert!(summary.stats.streams[0].stale > 0, "{:?}", summary.stats);
        assert!(kept.stale.len() > 5, "{}", kept.stale.len());
    }
}

#[test]
#[ignore = "run on a bus of its own"]
fn muse_on_a_bad_line() {
    bad_line(MUSE, BAD_LINE);
}

#[test]
#[ignore = "run on a bus of its own"]
fn athena_on_a_bad_line() {
    bad_line(ATHENA, BAD_LINE);
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_on_a_bad_line() {
    bad_line(GANGLION, BAD_LINE);
}

#[test]
#[ignore = "run on a bus of its own"]
fn old_ganglion_on_a_bad_line() {
    // A lost packet of this firmware takes with it what follows until the next whole sample, which the device
    // calls delivered: only what comes whole can be asked of it here.
    let script = BAD_LINE
        .lines()
        .filter(|line| {
            !["lost", "truncated", "reordered"]
                .iter()
                .any(|kind| line.contains(kind))
        })
        .collect::<Vec<_>>()
        .join("\n");
    let emulator = emulate(OLD_GANGLION.model, &script, |_| {});
    let (kept, summary) = driver_tests::record(
        OLD_GANGLION.open(),
        OLD_GANGLION.numbering,
        Duration::from_secs(12),
        |_| false,
    );
    assert!(kept.samples.len() > 1_200, "{}", kept.samples.len());
    kept.assert_nothing_lost(emulator.log());
    assert!(summary.stats.streams[0].duplicates + summary.stats.garbage_bytes > 20);
}

#[test]
#[ignore = "run on a bus of its own"]
fn polar_conforms() {
    conforms(POLAR, &[]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn polar_on_a_bad_line() {
    bad_line(
        POLAR,
        &BAD_LINE
            .replace("0.02", "0.06")
            .replace("at = 400", "at = 60"),
    );
}

#[test]
#[ignore = "run on a bus of its own"]
fn polar_comes_back() {
    comes_back(POLAR, 8);
}

fn comes_back(kind: Kind, packets: u64) {
    let wanted = driver_tests::reconnects();
    let script = format!(
        "[[fault]]\nat = {packets}\nkind = \"disconnect\"\nduration_ms = 100\nevery = {packets}\n"
    );
    let emulator = emulate(kind.model, &script, |_| {});
    let (kept, _) = driver_tests::record(
        kind.open(),
        kind.numbering,
        Duration::from_secs(6 * wanted as u64),
        |kept| kept.broken() >= wanted,
    );
    assert!(kept.broken() >= wanted, "{} reconnects", kept.broken());
    kept.assert_nothing_lost(emulator.log());
}

#[test]
#[ignore = "run on a bus of its own"]
fn muse_comes_back() {
    // Some 120 notifications a second.
    comes_back(MUSE, 60);
}

#[test]
#[ignore = "run on a bus of its own"]
fn athena_comes_back() {
    comes_back(ATHENA, 40);
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_comes_back() {
    comes_back(GANGLION, 60);
}

#[test]
#[ignore = "run on a bus of its own"]
fn strap_comes_back() {
    let wanted = driver_tests::reconnects();
    let script = "[[fault]]\nat = 2\nkind = \"disconnect\"\nduration_ms = 50\nevery = 2\n";
    let emulator = emulate(STRAP.model, script, |_| {});
    let mut device = STRAP.open();
    device.start().expect("it starts");
    let mut sink = Collected::new(&device.description().streams);
    let (began, mut reconnects) = (Instant::now(), 0);
    while reconnects < wanted {
        assert!(
            began.elapsed() < Duration::from_secs(6 * wanted as u64),
            "{reconnects}"
        );
        match device.read(&mut sink, Duration::from_millis(50)) {
            Ok(read) => assert_ne!(read, Read::Ended),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
                while let Err(error) = device.start() {
                    assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
                    std::thread::sleep(Duration::from_millis(20));
                }
                reconnects += 1;
            }
        }
    }
    // The strap counts its beats in their intervals, from 1 on.
    let mut beats = Vec::new();
    for block in sink.blocks.iter().filter(|b| b.stream == StreamIndex(1)) {
        let Samples::I32(values) = &block.samples else {
            panic!("{:?}", block.samples)
        };
        beats.extend(
            values
                .iter()
                .map(|beat| u64::try_from(*beat).expect("a beat") - 1),
        );
    }
    let (first, last) = (beats[0], beats[beats.len() - 1]);
    let delivered: Vec<u64> = (emulator.log().delivered_samples().into_iter())
        .filter(|beat| (first..=last).contains(beat))
        .collect();
    assert_eq!(beats, delivered);
}

#[test]
#[ignore = "run on a bus of its own"]
fn muse_is_kept_alive() {
    // It hangs up after 12 s without a command; the driver sends one every 10 s.
    let emulator = emulate(MUSE.model, "", |config| {
        config.patience = Some(Duration::from_secs(12));
    });
    let length = Duration::from_secs(26);
    let (kept, _) = driver_tests::record(MUSE.open(), MUSE.numbering, length, |_| false);
    assert_eq!(kept.gaps, []);
    assert!(kept.samples.len() > 256 * 24, "{}", kept.samples.len());
    kept.assert_nothing_lost(emulator.log());
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_measures() {
    let _emulator = emulate(GANGLION.model, "", |_| {});
    let mut device = GANGLION.open();
    let mut told = Vec::new();
    let measured = device
        .measure_impedances(&mut |impedance: &Impedance| {
            told.push(impedance.clone());
            ControlFlow::Continue(())
        })
        .expect("measured");
    assert_eq!(measured, told);
    let found: Vec<(&str, Option<f64>)> = (measured.iter())
        .map(|impedance| (impedance.electrode.as_str(), impedance.impedance_kohm))
        .collect();
    let expected = [
        ("E1", Some(1.0)),
        ("E2", Some(2.0)),
        ("E3", Some(3.0)),
        ("E4", Some(4.0)),
        ("REF", Some(5.0)),
        ("D_G", None),
    ];
    assert_eq!(found, expected);
    // It streams afterwards, and what the test sent is no part of it.
    let mut sink = Collected::new(&device.description().streams);
    device.start().expect("started");
    let began = Instant::now();
    while sink.blocks.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(2));
        device
            .read(&mut sink, Duration::from_millis(50))
            .expect("read");
    }
    device.stop().expect("stopped");
    // A person may break it off.
    let broken_off = device
        .measure_impedances(&mut |_| ControlFlow::Break(()))
        .expect("broken off");
    assert_eq!(broken_off.len(), 1);
    // An emergency stop while it measures: the current ends, and none begins again.
    let safety = device.safety();
    let mut ended = None;
    let outcome = device.measure_impedances(&mut |_| {
        ended.get_or_insert_with(|| {
            let safety = std::sync::Arc::clone(&safety);
            let stop = move || {
                let began = Instant::now();
                (safety.end_all(), began.elapsed())
            };
            let thread = std::thread::Builder::new().name("stop".into());
            thread.spawn(stop).expect("a thread")
        });
        ControlFlow::Continue(())
    });
    let (told, took) = ended.expect("it began").join().expect("no panic");
    let error = outcome.expect_err("it was ended");
    assert!(error.message.contains("were ended"), "{error}");
    told.expect("ended");
    assert!(took < Duration::from_millis(100), "{took:?}");
    let again = device.measure_impedances(&mut |_| ControlFlow::Continue(()));
    assert!(again.is_err(), "test currents stay off");
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_greets_wrongly() {
    let script = "[answers]\ninstead = { \"v\" = \"hello, I am a kettle\" }\ndelay_ms = 300\n";
    let emulator = emulate(GANGLION.model, script, |_| {});
    let device = GANGLION.open();
    let said = device.description().firmware.clone();
    let length = Duration::from_secs(3);
    let (kept, _) = driver_tests::record(device, GANGLION.numbering, length, |_| false);
    assert!(kept.samples.len() > 400, "{said:?}: {}", kept.samples.len());
    kept.assert_nothing_lost(emulator.log());
}

#[test]
#[ignore = "run on a bus of its own"]
fn says_what_is_missing() {
    let error = bluetooth::usable().expect_err("no BlueZ");
    assert!(error.message.contains("does not run"), "{error}");
    let without = emulate(Model::Muse2016, "", |config| config.adapter = false);
    let error = bluetooth::usable().expect_err("no adapter");
    assert!(error.message.contains("no Bluetooth adapter"), "{error}");
    drop(without);
    let off = emulate(Model::Muse2016, "", |config| config.powered = false);
    let error = bluetooth::usable().expect_err("switched off");
    assert!(error.message.contains("switched off"), "{error}");
    drop(off);
    let deaf = emulate(Model::Muse2016, "[answers]\nnever = true\n", |_| {});
    let began = Instant::now();
    let opened = bluetooth::MuseDriver.open(ADDRESS, &Settings::new(), clock());
    assert!(opened.is_err() && began.elapsed() < Duration::from_secs(6));
    drop(deaf);
}
