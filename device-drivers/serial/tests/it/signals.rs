//! Values, polarity, impedances, test signal, auxiliary inputs.

use crate::Board;
use contract::{Collected, Device};
use emulators::{Script, Source, SourceSpec};
use signal::{SampleBlock, Samples};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

fn read(device: &mut dyn Device, samples: usize) -> Collected {
    let mut sink = Collected::new(&device.description().streams);
    device.start().expect("started");
    let began = Instant::now();
    let of = |sink: &Collected| {
        let eeg = sink.blocks.iter().filter(|block| block.stream.0 == 0);
        eeg.map(|block| block.len).sum::<usize>()
    };
    while of(&sink) < samples && began.elapsed() < Duration::from_secs(20) {
        device
            .read(&mut sink, Duration::from_millis(50))
            .expect("read");
    }
    device.stop().expect("stopped");
    sink
}

/// Row `channel` over all blocks of `stream`.
fn row(sink: &Collected, stream: u16, channel: usize) -> Vec<i32> {
    let of = |block: &SampleBlock| match &block.samples {
        Samples::I24(values) | Samples::I32(values) => {
            values[channel * block.len..(channel + 1) * block.len].to_vec()
        }
        Samples::I16(values) => (values[channel * block.len..(channel + 1) * block.len].iter())
            .map(|value| i32::from(*value))
            .collect(),
        other => panic!("{other:?}"),
    };
    let blocks = sink.blocks.iter().filter(|block| block.stream.0 == stream);
    blocks.flat_map(of).collect()
}

#[test]
fn scaled_values_are_the_electrodes_potentials_sign_included() {
    for (gain, inverting) in [("24", true), ("6", true)] {
        let board = Board::new(|_| {});
        let mut device = board.open(&[("gain", gain)]).expect("opened");
        let sink = read(device.as_mut(), 300);
        let mut played = Source::new(SourceSpec {
            file: None,
            seed: 1,
            channels: 8,
            rate_hz: 250,
        })
        .expect("the simulator");
        let channels = &device.description().streams[0].channels;
        assert_eq!(channels[0].scale.gain < 0.0, inverting);
        let rows: Vec<Vec<i32>> = (0..8).map(|channel| row(&sink, 0, channel)).collect();
        let mut loudest = 0.0_f64;
        for n in 0..300_usize {
            let mut uv = [0.0; 8];
            played.next_uv(&mut uv).expect("a sample");
            for (channel, (uv, row)) in uv.iter().zip(&rows).enumerate() {
                let scale = channels[channel].scale;
                let found = scale.apply(f64::from(row[n]));
                let error = (found - uv).abs();
                assert!(
                    error <= scale.gain.abs() * 0.51,
                    "{n}/{channel}: {found} for {uv}"
                );
                loudest = loudest.max(uv.abs());
            }
        }
        assert!(loudest > 5.0, "{loudest} µV");
    }
}

#[test]
fn impedances_are_those_of_the_electrodes_one_after_the_other() {
    let set = [0.5, 2.0, 5.0, 8.0, 12.0, 30.0, 60.0, 5.0];
    let board = Board::new(|config| config.impedances_kohm = set.to_vec());
    let mut device = board
        .open(&[
            ("electrodes", "Fp1,Fp2,C3,C4,P7,P8,O1,O2"),
            ("reference", "Cz"),
        ])
        .expect("opened");
    let mut told = Vec::new();
    let measured = device
        .measure_impedances(&mut |impedance| {
            told.push(impedance.electrode.clone());
            ControlFlow::Continue(())
        })
        .expect("measured");
    assert_eq!(
        told,
        [
            "Fp1", "Fp2", "C3", "C4", "P7", "P8", "O1", "O2", "Cz", "BIAS"
        ]
    );
    for (one, set) in measured.iter().zip(set) {
        let found = one.impedance_kohm.expect("a value");
        // The EEG goes on beneath: its share at 31 Hz is a few tenths of a microvolt.
        let tolerance = 0.05 * set + 0.5;
        assert!(
            (found - set).abs() < tolerance,
            "{}: {found} kΩ for {set}",
            one.electrode
        );
    }
    assert_eq!(
        measured[8].impedance_kohm, None,
        "no current flows through the reference"
    );
    // The current is off again: the same signal comes as before.
    let sink = read(device.as_mut(), 10);
    assert!(!sink.blocks.is_empty());
}

/// 100 kΩ make 600 µV of the test current, far above the rest of the signal.
fn assert_no_current(device: &mut dyn Device, when: &str) {
    let sink = read(device, 250);
    for channel in 0..8 {
        let scale = device.description().streams[0].channels[channel].scale;
        let uv = row(&sink, 0, channel)
            .into_iter()
            .map(|count| scale.apply(f64::from(count)));
        let (least, most) = uv.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        assert!(
            most - least < 900.0,
            "{when}: {} µV at {channel}",
            most - least
        );
    }
}

#[test]
fn a_test_current_that_was_ended_stays_off() {
    for after_ms in [0, 1, 5, 400, 900] {
        let board = Board::new(|config| config.impedances_kohm = vec![100.0; 8]);
        let mut device = board.open(&[]).expect("opened");
        let safety = device.safety();
        let ender = std::thread::Builder::new()
            .name("ender".into())
            .spawn(move || {
                std::thread::sleep(Duration::from_millis(after_ms));
                safety.end_all()
            });
        let measured = device.measure_impedances(&mut |_| ControlFlow::Continue(()));
        ender
            .expect("a thread")
            .join()
            .expect("no panic")
            .expect("ended");
        assert!(measured.is_err(), "ended after {after_ms} ms");
        assert_no_current(device.as_mut(), &format!("ended after {after_ms} ms"));
    }
}

/// A board that switches the current on and answers that it did not, and one that does not confirm its end.
#[test]
fn a_measurement_that_fails_leaves_no_current_behind() {
    for command in ["z101Z", "z100Z"] {
        failed_measurement(command);
    }
}

fn failed_measurement(command: &str) {
    let script = format!("[answers]\ninstead = {{ {command} = \"Failure: too few chars\" }}");
    let board = Board::new(|config| {
        config.impedances_kohm = vec![100.0; 8];
        config.script = Script::parse(&script).expect("a script");
    });
    let mut device = board.open(&[]).expect("opened");
    let measured = device.measure_impedances(&mut |_| ControlFlow::Continue(()));
    assert!(measured.is_err(), "the answer was a failure");
    assert_no_current(
        device.as_mut(),
        &format!("after a failed answer to {command}"),
    );
}

#[test]
fn the_test_signal_is_the_one_that_is_declared() {
    let board = Board::new(|_| {});
    let mut device = board.open(&[]).expect("opened");
    let signal = device
        .description()
        .capabilities
        .calibration
        .expect("a test signal");
    device.calibration(true).expect("on");
    let sink = read(device.as_mut(), 600);
    let scale = device.description().streams[0].channels[3].scale;
    let values: Vec<f64> = (row(&sink, 0, 3).into_iter())
        .map(|count| scale.apply(f64::from(count)))
        .collect();
    let (least, most) = values
        .iter()
        .fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    assert!(
        (most - least - signal.amplitude_uv).abs() < 1.0,
        "{least} to {most} µV"
    );
    let falls: Vec<usize> = (1..values.len())
        .filter(|n| values[n - 1] > 0.0 && values[*n] < 0.0)
        .collect();
    let period = (falls[1] - falls[0]) as f64 / 250.0;
    assert!((period - signal.period_s).abs() < 0.01, "{period} s");
    device.calibration(false).expect("off");
    let sink = read(device.as_mut(), 100);
    let quiet = row(&sink, 0, 3)
        .into_iter()
        .map(|count| scale.apply(f64::from(count)).abs());
    assert!(quiet.fold(0.0, f64::max) < 1_000.0);
}

#[test]
fn digital_inputs_stay_with_their_sample() {
    let board = Board::new(|_| {});
    let mut device = board
        .open(&[("aux", "digital"), ("timestamps", "off")])
        .expect("opened");
    let sink = read(device.as_mut(), 300);
    let (mut eeg, mut aux) = (Vec::new(), Vec::new());
    for block in &sink.blocks {
        let counter = block.counter.expect("a counter");
        let at = (block.arrival, counter, block.len);
        if block.stream.0 == 0 {
            eeg.push(at);
        } else {
            aux.push(at);
        }
    }
    assert_eq!(eeg, aux, "both streams are cut alike");
    // The board's pins show the upper bits of its counter.
    for block in sink.blocks.iter().filter(|block| block.stream.0 == 1) {
        let Samples::I32(values) = &block.samples else {
            panic!("{:?}", block.samples)
        };
        let first = block.counter.expect("a counter");
        for n in 0..block.len {
            let counter = (first + n as u64) % 256;
            let pins: Vec<i32> = (0..3).map(|row| values[row * block.len + n]).collect();
            let expected = [counter >> 7, counter >> 6 & 1, counter >> 5 & 1];
            assert_eq!(pins, expected.map(|bit| i32::try_from(bit).expect("a bit")));
        }
    }
}

#[test]
fn accelerations_come_when_there_are_new_ones_and_time_stamps_when_asked_for() {
    let board = Board::new(|_| {});
    let mut device = board.open(&[]).expect("opened");
    let sink = read(device.as_mut(), 500);
    let z = row(&sink, 1, 2);
    assert!((45..=55).contains(&z.len()), "{} in two seconds", z.len());
    let scale = device.description().streams[1].channels[2].scale;
    assert!(
        z.iter()
            .all(|count| (scale.apply(f64::from(*count)) - 1.0).abs() < 1e-9)
    );
    drop(device);

    let mut device = board.open(&[("timestamps", "on")]).expect("opened");
    let sink = read(device.as_mut(), 100);
    let ms = row(&sink, 1, 0);
    assert!(
        ms.windows(2)
            .all(|two| (3..=5).contains(&(two[1] - two[0]))),
        "{ms:?}"
    );
}
