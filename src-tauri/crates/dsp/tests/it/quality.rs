//! A pulled electrode is flagged within five seconds, and good channels are left alone.

use crate::support::{block, channels, noise};
use dsp::{QualityFlags, QualityLimits, QualityMonitor, QualityVerdict};
use signal::{Channel, ChannelKind, DigitalRange};
use std::f64::consts::TAU;

const RATE: usize = 250;
const GAIN: f64 = 0.02;

/// 1/f-like background with alpha: some 30 µV RMS.
fn background(seed: u32, seconds: usize) -> Vec<f64> {
    let mut slow = 0.0;
    let noise = noise(seed, seconds * RATE);
    let wave = |n: usize| 20.0 * (TAU * 10.0 * n as f64 / RATE as f64).sin();
    let each = noise.iter().enumerate().map(|(n, x)| {
        slow = 0.97 * slow + 4.0 * x;
        slow + wave(n)
    });
    each.collect()
}

fn seconds(n: usize) -> f64 {
    n as f64 / RATE as f64
}

fn judge_from(channel: Channel, values: &[f64], first_index: u64) -> Vec<QualityVerdict> {
    let mut monitor =
        QualityMonitor::new(&[channel], RATE as f64, 50.0, QualityLimits::default()).unwrap();
    let mut verdicts = Vec::new();
    let mut at = first_index;
    for part in values.chunks(13) {
        let counts = part
            .iter()
            .map(|uv| ((uv / GAIN) as i32).clamp(-8_388_608, 8_388_607));
        monitor
            .push(&block(&[counts.collect()], at), &mut verdicts)
            .unwrap();
        at += part.len() as u64;
    }
    monitor.finish(&mut verdicts);
    verdicts
}

fn channel(kind: ChannelKind) -> Channel {
    let mut channel = channels(&["C3"], GAIN).remove(0);
    channel.kind = kind;
    channel.digital_range = Some(DigitalRange {
        min: -8_388_608,
        max: 8_388_607,
    });
    channel
}

fn judge(values: &[f64]) -> Vec<QualityVerdict> {
    judge_from(channel(ChannelKind::Eeg), values, 0)
}

#[test]
fn a_good_channel_is_clean() {
    let verdicts = judge(&background(1, 30));
    assert_eq!(verdicts.len(), 30);
    for verdict in verdicts {
        assert!(verdict.flags.is_clean(), "{verdict:?}");
        assert_eq!(verdict.first_index % RATE as u64, 0);
    }
}

/// What follows when the electrode is pulled at second 10, by kind of amplifier.
fn pulled(after: impl Fn(usize) -> f64) -> Vec<QualityVerdict> {
    let mut values = background(2, 20);
    let start = 10 * RATE + 77;
    values
        .iter_mut()
        .enumerate()
        .skip(start)
        .for_each(|(n, value)| *value = after(n));
    judge(&values)
}

#[test]
fn a_pulled_electrode_is_flagged_within_five_seconds() {
    let hum = |n: usize| 300.0 * (TAU * 50.0 * seconds(n)).sin();
    let cases: [(&str, Vec<QualityVerdict>); 4] = [
        ("shorted", pulled(|_| 12.0)),
        ("railed", pulled(|_| 1e9)),
        ("hum", pulled(hum)),
        (
            "drift and hum",
            pulled(|n| hum(n) + 4_000.0 * seconds(n - 10 * RATE)),
        ),
    ];
    for (what, verdicts) in cases {
        assert!(verdicts[..10].iter().all(|v| v.flags.is_clean()), "{what}");
        let limit = verdicts.iter().position(|v| !v.flags.is_clean()).unwrap();
        assert!(limit < 15, "{what}: second {limit}");
        assert!(
            verdicts[limit + 1..19].iter().all(|v| !v.flags.is_clean()),
            "{what}"
        );
    }
}

#[test]
fn each_fault_gets_its_own_name() {
    let base = background(3, 5);
    let with = |add: &dyn Fn(usize) -> f64| -> QualityFlags {
        let values: Vec<f64> = base.iter().enumerate().map(|(n, v)| v + add(n)).collect();
        judge(&values)[2].flags
    };
    let none = QualityFlags::default();
    let hum = with(&|n| 120.0 * (TAU * 50.0 * seconds(n)).sin());
    assert_eq!(
        hum,
        QualityFlags {
            mains: true,
            ..none
        }
    );
    let burst = noise(8, base.len());
    let muscle = with(&|n| 60.0 * burst[n]);
    assert_eq!(
        muscle,
        QualityFlags {
            muscle: true,
            ..none
        }
    );
    let pop = with(&|n| {
        let since = seconds(n) - 2.3;
        if since < 0.0 {
            0.0
        } else {
            400.0 * (-since / 0.2).exp()
        }
    });
    assert_eq!(
        pop,
        QualityFlags {
            electrode_pop: true,
            ..none
        }
    );
    let wild = with(&|n| 3_000.0 * (TAU * 0.5 * seconds(n)).sin());
    assert_eq!(
        wild,
        QualityFlags {
            excessive: true,
            ..none
        }
    );
    let railed = with(&|n| if n % 5 == 0 { 1e9 } else { 0.0 });
    assert!(railed.railed && !railed.flat);
}

#[test]
fn blinks_spikes_and_heart_beats_are_no_pops() {
    let base = background(4, 5);
    let bump = |n: usize, centre: f64, width: f64| (-((seconds(n) - centre) / width).powi(2)).exp();
    let with = |kind: ChannelKind, add: &dyn Fn(usize) -> f64| {
        let values: Vec<f64> = base.iter().enumerate().map(|(n, v)| v + add(n)).collect();
        judge_from(channel(kind), &values, 0)[2].flags
    };
    let blink = with(ChannelKind::Eeg, &|n| 250.0 * bump(n, 2.5, 0.1));
    let spike = with(ChannelKind::Eeg, &|n| -150.0 * bump(n, 2.5, 0.02));
    let beat = with(ChannelKind::Ecg, &|n| 1_200.0 * bump(n, 2.5, 0.01));
    for flags in [blink, spike, beat] {
        assert!(flags.is_clean(), "{flags:?}");
    }
}

#[test]
fn a_gap_is_said_in_the_seconds_it_touches() {
    let mut monitor = QualityMonitor::new(
        &[channel(ChannelKind::Eeg)],
        RATE as f64,
        50.0,
        QualityLimits::default(),
    )
    .unwrap();
    let mut verdicts = Vec::new();
    let counts: Vec<i32> = background(5, 4)
        .iter()
        .map(|uv| (uv / GAIN) as i32)
        .collect();
    monitor
        .push(&block(&[counts[..600].to_vec()], 0), &mut verdicts)
        .unwrap();
    // An hour is missing.
    monitor
        .push(
            &block(&[counts[600..].to_vec()], 3600 * 250 + 600),
            &mut verdicts,
        )
        .unwrap();
    monitor.finish(&mut verdicts);
    let seen: Vec<(u64, bool)> = verdicts
        .iter()
        .map(|v| (v.first_index / 250, v.flags.gap))
        .collect();
    assert_eq!(
        seen,
        [
            (0, false),
            (1, false),
            (2, true),
            (3602, true),
            (3603, false)
        ]
    );
    assert_eq!(verdicts[2].measures.missing_share, 0.6);
}
