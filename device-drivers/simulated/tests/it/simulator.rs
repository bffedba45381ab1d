//! What the simulator computes: the same always, and with the right signs.

use crate::support::{blocks, channel, open, read_all, settings};
use contract::{Collected, Driver, ErrorKind, SystemClock};
use signal::{SampleType, StreamDescription};
use simulated::{Simulator, generator_cost};
use std::sync::Arc;

fn run(address: &str, pairs: &[(&str, &str)]) -> (Vec<StreamDescription>, Collected) {
    let mut all = vec![("speed", "max"), ("epoch_ns", "0")];
    all.extend_from_slice(pairs);
    let mut device = open(&Simulator, address, &all);
    let streams = device.description().streams.clone();
    (streams, read_all(device.as_mut()).0)
}

/// Physical values of the channel with this label, µV.
fn microvolts(streams: &[StreamDescription], sink: &Collected, label: &str) -> Vec<f64> {
    let (index, found) = (streams[0].channels.iter().enumerate())
        .find(|(_, channel)| channel.label == label)
        .unwrap();
    channel(sink, 0, index)
        .into_iter()
        .map(|count| found.scale.apply(f64::from(count)))
        .collect()
}

fn rms(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// Amplitude at one frequency, by correlation with its wave.
fn amplitude_at(values: &[f64], hz: f64, rate: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (i, value) in values.iter().enumerate() {
        let phase = std::f64::consts::TAU * hz * i as f64 / rate;
        re += value * phase.cos();
        im += value * phase.sin();
    }
    2.0 * (re * re + im * im).sqrt() / values.len() as f64
}

/// Power from 8 to 12 Hz in steps that a second can tell apart.
fn alpha_power(values: &[f64]) -> f64 {
    values
        .chunks_exact(256)
        .map(|second| {
            (8..=12)
                .map(|hz| amplitude_at(second, f64::from(hz), 256.0).powi(2))
                .sum::<f64>()
        })
        .sum::<f64>()
        / (values.len() / 256) as f64
}

const SCENE: &str = "
[[eyes]]
at_s = 6.0
state = 'closed'
[[seizure]]
at_s = 12.0
duration_s = 6.0
focus = 'T3'
[[pop]]
at_s = 3.0
electrode = 'O1'
[[muscle]]
at_s = 4.0
duration_s = 1.0
[[impedance]]
at_s = 2.0
electrode = 'P7'
impedance_kohm = 60.0
[[stale]]
at_s = 8.0
duration_s = 1.0
channel = 'Cz'
";

#[test]
fn the_same_seed_gives_the_same_samples_however_they_are_read() {
    let base = [
        ("script", SCENE),
        ("duration_s", "20"),
        ("seed", "7"),
        ("numbered", "true"),
    ];
    let with = |pairs: &[(&'static str, &'static str)]| {
        let mut all = base.to_vec();
        all.extend_from_slice(pairs);
        run("headset", &all)
    };
    let (streams, reference) = with(&[]);
    for pairs in [
        &[("packet", "1")][..],
        &[("packet", "333")],
        &[("speed", "1000")],
    ] {
        let (_, other) = with(pairs);
        for index in 0..streams[0].channels.len() {
            assert!(
                channel(&reference, 0, index) == channel(&other, 0, index),
                "{pairs:?} {index}"
            );
        }
    }
    let (_, other) = run("headset", &[("duration_s", "20"), ("seed", "8")]);
    assert!(channel(&reference, 0, 0) != channel(&other, 0, 0));
}

#[test]
fn a_negative_spike_is_negative_under_both_polarities() {
    let script =
        "[[spike]]\nat_s = 1.0\nelectrode = 'Fp1'\namplitude_uv = -100.0\nduration_s = 0.125\n";
    let mut counts = Vec::new();
    for polarity in ["normal", "inverting"] {
        let (streams, sink) = run(
            "headset",
            &[
                ("pattern", "quiet"),
                ("duration_s", "2"),
                ("polarity", polarity),
                ("script", script),
            ],
        );
        let fp1 = microvolts(&streams, &sink, "Fp1");
        let f7 = microvolts(&streams, &sink, "F7");
        let peak = (1.0625 * 256.0) as usize;
        let derivation = fp1[peak] - f7[peak];
        assert!(
            (-100.1..-90.0).contains(&derivation),
            "{polarity}: {derivation}"
        );
        counts.push(channel(&sink, 0, 0)[peak]);
    }
    assert!(
        counts[0] < 0 && counts[1] > 0,
        "the inverting device has the other counts: {counts:?}"
    );
}

#[test]
fn blinks_are_positive_in_front_and_fade_to_the_back() {
    let script = "[[blink]]\nat_s = 1.0\n";
    let (streams, sink) = run(
        "headset",
        &[
            ("pattern", "quiet"),
            ("duration_s", "2"),
            ("script", script),
        ],
    );
    let peak = |label: &str| {
        microvolts(&streams, &sink, label)
            .into_iter()
            .fold(0.0, f64::max)
    };
    assert!(peak("Fp1") > 100.0 && peak("Fp2") > 100.0);
    assert!(peak("F3") < 0.7 * peak("Fp1") && peak("O1") < 0.01 * peak("Fp1"));
}

#[test]
fn alpha_is_posterior_and_blocks_when_the_eyes_open() {
    let (streams, sink) = run("headset", &[("duration_s", "40"), ("mains_hz", "off")]);
    let power = |label: &str, from: usize, until: usize| {
        alpha_power(&microvolts(&streams, &sink, label)[from * 256..until * 256])
    };
    let (open, closed) = (power("O1", 2, 19), power("O1", 22, 39));
    assert!(closed > 4.0 * open, "closed {closed}, open {open}");
    assert!(closed > 4.0 * power("Fp1", 22, 39));
    let size = rms(&microvolts(&streams, &sink, "C3"));
    assert!((3.0..40.0).contains(&size), "{size} microvolts");
}

#[test]
fn a_bad_electrode_hums() {
    let script = "[[impedance]]\nat_s = 0.0\nelectrode = 'F3'\nimpedance_kohm = 80.0\n";
    let (streams, sink) = run(
        "headset",
        &[("duration_s", "10"), ("script", script), ("mains_hz", "60")],
    );
    let hum = |label: &str| amplitude_at(&microvolts(&streams, &sink, label), 60.0, 256.0);
    assert!(
        hum("F3") > 20.0 && hum("F4") < 4.0,
        "{} {}",
        hum("F3"),
        hum("F4")
    );
}

#[test]
fn a_seizure_rises_at_its_focus() {
    let (streams, sink) = run("headset", &[("duration_s", "20"), ("script", SCENE)]);
    let at =
        |label: &str, from: usize| rms(&microvolts(&streams, &sink, label)[from * 256..][..512]);
    assert!(at("T7", 16) > 3.0 * at("T7", 9));
    assert!(at("T7", 16) > 1.3 * at("T8", 16));
}

#[test]
fn the_calibration_wave_is_the_declared_one() {
    let mut device = open(
        &Simulator,
        "headset",
        &[("speed", "max"), ("duration_s", "4")],
    );
    let declared = device.description().capabilities.calibration.unwrap();
    device.calibration(true).unwrap();
    let streams = device.description().streams.clone();
    let (sink, _) = read_all(device.as_mut());
    let values = microvolts(&streams, &sink, "Cz");
    let half = declared.period_s / 2.0 * 256.0;
    for (i, value) in values.iter().enumerate() {
        let high = ((i as f64 / half) as usize).is_multiple_of(2);
        let expected = if high { 0.5 } else { -0.5 } * declared.amplitude_uv;
        assert!((value - expected).abs() < 0.02, "{i}: {value}");
    }
}

#[test]
fn triggers_are_codes_and_every_sample_type_is_there() {
    let script = "[[trigger]]\nat_s = 1.0\ncode = 42\nduration_s = 0.5\n";
    let (streams, sink) = run("headset", &[("duration_s", "2"), ("script", script)]);
    assert_eq!(streams[2].channels[0].scale, signal::Scale::UNITY);
    let codes = channel(&sink, 2, 0);
    assert_eq!(codes.len(), 512);
    for (i, code) in codes.into_iter().enumerate() {
        assert_eq!(code, if (256..384).contains(&i) { 42 } else { 0 }, "{i}");
    }
    let script = "[[mark]]\nat_s = 1.5\ntext = 'lights off'\n";
    let (streams, sink) = run("psg", &[("duration_s", "30"), ("script", script)]);
    let types: Vec<SampleType> = streams.iter().map(|stream| stream.sample_type).collect();
    use SampleType::*;
    assert_eq!(types, [I24, I16, F32, F64, Text]);
    let marks: Vec<_> = blocks(&sink, 4).collect();
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].stamps, [1_500_000_000]);
    assert_eq!(
        marks[0].samples,
        signal::Samples::Text(vec!["lights off".into()])
    );
    assert_eq!(blocks(&sink, 3).map(|block| block.len).sum::<usize>(), 3);
}

#[test]
fn impedances_follow_the_script() {
    let mut device = open(
        &Simulator,
        "headset",
        &[("speed", "max"), ("duration_s", "5"), ("script", SCENE)],
    );
    let value = |device: &mut dyn contract::Device, name: &str| {
        let measured = device.measure_impedances(&mut |_| std::ops::ControlFlow::Continue(()));
        measured
            .unwrap()
            .into_iter()
            .find(|i| i.electrode == name)
            .unwrap()
            .impedance_kohm
    };
    assert!(value(device.as_mut(), "P7").unwrap() < 5.0);
    assert!(value(device.as_mut(), "AFz").is_some() && value(device.as_mut(), "FCz").is_some());
    read_all(device.as_mut());
    device.stop().unwrap();
    assert_eq!(value(device.as_mut(), "P7"), Some(60.0));
}

#[test]
fn unknown_electrodes_streams_and_values_are_refused() {
    for (name, value, reason) in [
        (
            "script",
            "[[pop]]\nat_s = 1.0\nelectrode = 'X9'",
            "no electrode 'X9'",
        ),
        (
            "script",
            "[[dropout]]\nat_s = 1.0\nsamples = 1\nstream = 'x'",
            "no stream 'x'",
        ),
        ("script", "[[mark]]\nat_s = 1.0\ntext = 'x'", "only psg"),
        ("script", "/no/such/file.toml", "script file"),
        ("speed", "fast", "setting speed must be"),
        ("polarity", "sideways", "must be one of: normal, inverting"),
        ("channels", "8", "no setting 'channels'"),
    ] {
        let opened = Simulator.open(
            "headset",
            &settings(&[(name, value)]),
            Arc::new(SystemClock),
        );
        let error = opened.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Settings, "{error}");
        assert!(error.message.contains(reason), "{error}");
    }
    let huge = settings(&[("channels", "4096"), ("packet", "65536")]);
    let error = Simulator
        .open("amplifier", &huge, Arc::new(SystemClock))
        .unwrap_err();
    assert!(
        error.message.contains("a packet may hold at most"),
        "{error}"
    );
}

#[test]
fn generating_costs_little() {
    let cost = |pairs: &[(&str, &str)]| {
        generator_cost("amplifier", &settings(pairs), 2.0, Arc::new(SystemClock)).unwrap()
    };
    let eeg = cost(&[("channels", "64"), ("rate", "1000")]);
    let wide = cost(&[("channels", "4096"), ("rate", "2000")]);
    let cheap = cost(&[("channels", "4096"), ("rate", "2000"), ("pattern", "cheap")]);
    for (what, cost) in [
        ("64 channels at 1 kHz", eeg),
        ("4096 at 2 kHz", wide),
        ("the same, cheap", cheap),
    ] {
        let (ns, share) = (cost.ns_per_value(), cost.core_share() * 100.0);
        eprintln!("{what}: {ns:.2} ns a value, {share:.3} % of a core");
    }
    assert_eq!(eeg.values, 2_000 * 65);
    assert_eq!(cheap.values, 4_000 * 4_097);
    // Far above what is measured, so that a loaded machine passes and a mistake of kind does not.
    assert!(eeg.core_share() < 0.2 && cheap.core_share() < 1.0);
}
