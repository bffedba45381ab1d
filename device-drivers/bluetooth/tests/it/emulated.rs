//! Each driver against its emulated device.

use crate::bus::{address, on_a_bus};
use contract::conformance::{Expectations, check};
use contract::{
    Clock, Collected, Device, DeviceEvent, Driver, ErrorKind, Read, Settings, SystemClock,
};
use emulators::bluez::{BluetoothConfig, BluetoothEmulator, Model};
use emulators::{DeliveryLog, Script};
use signal::{Samples, StreamIndex};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ADDRESS: &str = "00:55:DA:B0:00:01";

macro_rules! on_a_bus {
    ($($name:ident => $inner:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            on_a_bus(concat!("emulated::", stringify!($inner)));
        }
    )*};
}

on_a_bus! {
    a_muse_conforms => muse_conforms,
    a_ganglion_conforms => ganglion_conforms,
    an_old_ganglion_conforms => old_ganglion_conforms,
    a_strap_conforms => strap_conforms,
    nothing_delivered_by_a_muse_is_lost => muse_on_a_bad_line,
    nothing_delivered_by_a_ganglion_is_lost => ganglion_on_a_bad_line,
    a_muse_comes_back => muse_comes_back,
    what_is_missing_is_said => says_what_is_missing,
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

fn emulate(
    model: Model,
    script: &str,
    change: impl FnOnce(&mut BluetoothConfig),
) -> BluetoothEmulator {
    let mut config = BluetoothConfig::new(model, address());
    config.numbered = true;
    config.script = Script::parse(script).expect("a script");
    change(&mut config);
    BluetoothEmulator::start(config, DeliveryLog::default(), clock()).expect("a device")
}

fn conforms(model: Model, driver: &dyn Driver, settings: &[(&str, &str)]) {
    let _emulator = emulate(model, "", |_| {});
    let mut expected = Expectations::new(ADDRESS);
    for (name, value) in settings {
        expected = expected.with(name, value);
    }
    expected.stream_for = Duration::from_millis(1_500);
    let findings = check(driver, &expected, clock());
    assert!(findings.is_empty(), "{findings:#?}");
}

#[test]
#[ignore = "run on a bus of its own"]
fn muse_conforms() {
    conforms(Model::Muse2, &bluetooth::MuseDriver, &[("preset", "p50")]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_conforms() {
    conforms(
        Model::Ganglion3,
        &bluetooth::GanglionDriver,
        &[("accelerometer", "on")],
    );
}

#[test]
#[ignore = "run on a bus of its own"]
fn old_ganglion_conforms() {
    conforms(Model::Ganglion2, &bluetooth::GanglionDriver, &[]);
}

#[test]
#[ignore = "run on a bus of its own"]
fn strap_conforms() {
    conforms(Model::HeartRate, &bluetooth::HeartRateDriver, &[]);
}

fn open(driver: &dyn Driver, settings: &[(&str, &str)]) -> Box<dyn Device> {
    let settings: Settings = (settings.iter())
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    driver.open(ADDRESS, &settings, clock()).expect("a device")
}

/// Reads for `length`; reconnects when the device is gone. How often it had to, and what came.
fn read(device: &mut dyn Device, length: Duration) -> (usize, Collected) {
    let mut sink = Collected::new(&device.description().streams);
    let (began, mut reconnects) = (Instant::now(), 0);
    while began.elapsed() < length {
        match device.read(&mut sink, Duration::from_millis(50)) {
            Ok(read) => assert_ne!(read, Read::Ended),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
                while let Err(error) = device.start() {
                    assert_eq!(error.kind, ErrorKind::Disconnected, "{error}");
                    assert!(began.elapsed() < length * 2, "{error}");
                    std::thread::sleep(Duration::from_millis(50));
                }
                reconnects += 1;
            }
        }
    }
    (reconnects, sink)
}

/// Counts of the last channel of the potentials, without those declared lost, in order of their counters' arrival.
fn numbers(sink: &Collected) -> Vec<i32> {
    let stale = |event: &DeviceEvent, counter, channel| {
        matches!(event, DeviceEvent::Stale { stream: StreamIndex(0), channel: c, counter: n }
            if *n == counter && usize::from(*c) == channel)
    };
    (sink.blocks.iter())
        .filter(|block| block.stream == StreamIndex(0))
        .filter(|block| {
            let last = block.channels - 1;
            !(sink.events.iter()).any(|(_, event)| stale(event, block.counter, last))
        })
        .flat_map(|block| {
            let from = (block.channels - 1) * block.len;
            (from..from + block.len).map(|at| match &block.samples {
                Samples::I16(values) => i32::from(values[at]),
                Samples::I24(values) => values[at],
                other => panic!("{other:?}"),
            })
        })
        .collect()
}

/// Every sample that the log calls delivered came, with its own number, and no other did.
fn assert_whole(numbers: &[i32], log: &DeliveryLog, step: i32) {
    let mut came: Vec<u64> = (numbers.iter())
        .map(|number| {
            assert_eq!(number % step, 0, "no number of the channel's");
            u64::try_from(number / step).expect("a number")
        })
        .collect();
    came.sort_unstable();
    came.dedup();
    assert!(came.len() > 200, "{}", came.len());
    let (first, last) = (came[0], came[came.len() - 1]);
    std::thread::sleep(Duration::from_millis(300));
    let delivered: Vec<u64> = (log.delivered_samples().into_iter())
        .filter(|number| (first..=last).contains(number))
        .collect();
    assert!(delivered.len() > 200);
    assert_eq!(came, delivered);
}

const BAD_LINE: &str = r#"
    seed = 5
    jitter_ms = 3
    chance = [
        { kind = "lost", chance = 0.02 },
        { kind = "repeated", chance = 0.02 },
        { kind = "truncated", chance = 0.01 },
        { kind = "garbage", chance = 0.01, bytes = 9 },
    ]
"#;

#[test]
#[ignore = "run on a bus of its own"]
fn muse_on_a_bad_line() {
    let emulator = emulate(Model::Muse2016, BAD_LINE, |_| {});
    let mut device = open(
        &bluetooth::MuseDriver,
        &[("preset", "p21"), ("numbered", "on")],
    );
    device.start().expect("it starts");
    let (_, sink) = read(device.as_mut(), Duration::from_secs(10));
    let numbers = numbers(&sink);
    let mut ordered = numbers.clone();
    ordered.dedup();
    assert_eq!(ordered.len(), numbers.len(), "once");
    assert_whole(&numbers, emulator.log(), 1);
    assert!((sink.events.iter()).any(|(_, event)| matches!(event, DeviceEvent::Garbage { .. })));
}

#[test]
#[ignore = "run on a bus of its own"]
fn ganglion_on_a_bad_line() {
    let emulator = emulate(Model::Ganglion3, BAD_LINE, |_| {});
    let mut device = open(&bluetooth::GanglionDriver, &[("numbered", "on")]);
    device.start().expect("it starts");
    let (_, sink) = read(device.as_mut(), Duration::from_secs(8));
    assert_whole(&numbers(&sink), emulator.log(), 128);
}

#[test]
#[ignore = "run on a bus of its own"]
fn muse_comes_back() {
    let soak = std::env::var_os("NEURASCALE_SOAK").is_some();
    let wanted = if soak { 200 } else { 20 };
    // Some 120 notifications a second: a break each half second or so.
    let script = "[[fault]]\nat = 60\nkind = \"disconnect\"\nduration_ms = 50\nevery = 60\n";
    let emulator = emulate(Model::Muse2016, script, |_| {});
    let mut device = open(
        &bluetooth::MuseDriver,
        &[("preset", "p21"), ("numbered", "on")],
    );
    device.start().expect("it starts");
    let mut reconnects = 0;
    let began = Instant::now();
    while reconnects < wanted {
        let (more, sink) = read(device.as_mut(), Duration::from_secs(2));
        reconnects += more;
        let numbers = numbers(&sink);
        assert!(!numbers.is_empty(), "nothing after {reconnects} reconnects");
        let delivered = emulator.log().delivered_samples();
        for number in numbers {
            let number = u64::try_from(number).expect("a number");
            let known = delivered.iter().any(|n| n % 4_096 == number);
            assert!(known, "{number} was never delivered");
        }
        assert!(
            began.elapsed() < Duration::from_secs(5 * wanted as u64),
            "{reconnects}"
        );
    }
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
