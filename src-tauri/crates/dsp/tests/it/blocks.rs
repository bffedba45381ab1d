//! How samples are cut into blocks changes nothing, bit for bit.

use crate::support::{channels, eeg, noise};
use dsp::{
    DerivationMatrix, DisplayFilter, EnvelopeColumns, EnvelopeState, FilterNote, FilterSettings,
    Response, Scaling, SosFilter, Welch, WelchState, butterworth,
};
use proptest::prelude::*;
use signal::{ChannelKind, HardwareFilter, Montage, SampleBlock, SampleType, Samples, StreamIndex};

/// Row-major channels × count, cut at the given sizes, `each` called with every part and its start.
fn in_parts(
    data: &[f64],
    count: usize,
    sizes: &[usize],
    mut each: impl FnMut(Vec<f64>, usize, usize),
) {
    let mut at = 0;
    for size in sizes.iter().copied().cycle() {
        let until = (at + size).min(count);
        let part = data
            .chunks_exact(count)
            .flat_map(|row| row[at..until].to_vec());
        each(part.collect(), until - at, at);
        at = until;
        if at == count {
            return;
        }
    }
}

/// Parts as [`in_parts`] gives them, put together to channels × count again.
fn together(parts: &[(Vec<f64>, usize)], channels: usize) -> Vec<f64> {
    let row = |channel: usize| {
        let part = move |(part, len): &(Vec<f64>, usize)| {
            part[channel * len..(channel + 1) * len].to_vec()
        };
        parts.iter().flat_map(part)
    };
    (0..channels).flat_map(row).collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn filters(seed: u32, channels in 1_usize..19, sizes in prop::collection::vec(1_usize..200, 1..6)) {
        let count = 700;
        let mut whole = eeg(seed, channels * count, 250.0);
        let sos = butterworth(4, Response::BandPass(1.0, 40.0), 250.0).unwrap();
        let mut filter = SosFilter::new(sos.clone(), channels);
        let mut parts = Vec::new();
        in_parts(&whole, count, &sizes, |mut part, len, _| {
            filter.process(&mut part, len).unwrap();
            parts.push((part, len));
        });
        let lone = (0..channels).flat_map(|channel| {
            let mut row = whole[channel * count..(channel + 1) * count].to_vec();
            SosFilter::new(sos.clone(), 1).process(&mut row, count).unwrap();
            row
        });
        let lone: Vec<f64> = lone.collect();
        SosFilter::new(sos, channels).process(&mut whole, count).unwrap();
        prop_assert_eq!(bits(&together(&parts, channels)), bits(&whole));
        // Nor does it matter which channels run beside a channel.
        prop_assert_eq!(bits(&lone), bits(&whole));
    }

    #[test]
    fn spectra(seed: u32, channels in 1_usize..5, sizes in prop::collection::vec(1_usize..300, 1..5)) {
        let count = 1300;
        let data = eeg(seed, channels * count, 250.0);
        let plan = Welch::new(250.0, 256, 128, Scaling::Density).unwrap();
        let mut whole = WelchState::new(plan.clone(), channels);
        whole.push(&data, count).unwrap();
        let mut cut = WelchState::new(plan.clone(), channels);
        in_parts(&data, count, &sizes, |part, len, _| cut.push(&part, len).unwrap());
        prop_assert_eq!(whole.spectra(), cut.spectra());
        // The state and the whole run agree up to rounding.
        for (one, other) in cut.spectra().iter().zip(plan.block(&data, count).unwrap()) {
            prop_assert_eq!(one.segments, other.segments);
            let top = other.values.iter().copied().fold(0.0, f64::max);
            for (a, b) in one.values.iter().zip(&other.values) {
                prop_assert!((a - b).abs() <= 1e-12 * top);
            }
        }
    }

    #[test]
    fn envelopes(
        seed: u32,
        columns in 1_u32..50,
        spare in 0_u32..100,
        sizes in prop::collection::vec(1_usize..90, 1..5),
    ) {
        let (channels, count) = (3, 500);
        let data = noise(seed, channels * count);
        let samples = columns + spare;
        let mut state = EnvelopeState::new(channels, columns, samples).unwrap();
        let mut found: Vec<(u64, f32, f32)> = Vec::new();
        let mut collect = |out: &EnvelopeColumns| {
            for column in 0..out.columns {
                let at = column * channels * 2;
                found.push((out.first_column + column as u64, out.values[at], out.values[at + 1]));
            }
        };
        let mut out = EnvelopeColumns::default();
        in_parts(&data, count, &sizes, |part, len, at| {
            assert_eq!(state.push(&part, len, at as u64, &mut out).unwrap(), None);
            collect(&out);
        });
        collect(&state.flush().unwrap());
        let mut expected: Vec<(u64, f32, f32)> = Vec::new();
        for (index, value) in data[..count].iter().enumerate() {
            let column = index as u64 * u64::from(columns) / u64::from(samples);
            let value = *value as f32;
            match expected.last_mut() {
                Some(last) if last.0 == column => *last = (column, last.1.min(value), last.2.max(value)),
                _ => expected.push((column, value, value)),
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn derivations(seed: u32, sizes in prop::collection::vec(1_usize..90, 1..5)) {
        let names = ["Fp1", "F7", "T3", "P7", "O1", "F3", "C3", "P3", "Fz", "Cz", "Pz"];
        let channels = channels(&names, 0.022);
        let count = 200;
        let raw: Vec<f64> = noise(seed, names.len() * count).iter().map(|x| (x * 8e6).round()).collect();
        let montage = Montage::by_name("longitudinal-bipolar-10-20").unwrap();
        let mut matrix = DerivationMatrix::new(&montage.resolve(&channels, &[]), &channels);
        let make = |values: &[f64], len: usize| {
            let mut block = SampleBlock::with_capacity(StreamIndex(0), SampleType::I32, names.len(), len);
            block.len = len;
            block.samples = Samples::I32(values.iter().map(|x| *x as i32).collect());
            block
        };
        let (mut whole, mut out) = (Vec::new(), Vec::new());
        matrix.apply(&make(&raw, count), &mut whole).unwrap();
        let mut parts = Vec::new();
        in_parts(&raw, count, &sizes, |part, len, _| {
            matrix.apply(&make(&part, len), &mut out).unwrap();
            parts.push((out.clone(), len));
        });
        let rows = matrix.len();
        prop_assert_eq!(bits(&together(&parts, rows)), bits(&whole));
    }
}

#[test]
fn after_a_gap_an_envelope_goes_on_at_its_own_columns() {
    let mut state = EnvelopeState::new(1, 1, 10).unwrap();
    let mut out = EnvelopeColumns::default();
    assert_eq!(state.push(&[1.0; 15], 15, 0, &mut out).unwrap(), None);
    assert_eq!((out.first_column, out.columns), (0, 1));
    let before = state.push(&[2.0; 10], 10, 100, &mut out).unwrap().unwrap();
    assert_eq!(
        (before.first_column, before.values.as_slice()),
        (1, &[1.0, 1.0][..])
    );
    assert_eq!(out.columns, 0);
    assert_eq!(state.flush().unwrap().first_column, 10);
}

#[test]
fn switching_filters_leaves_no_jump() {
    let (rate, count) = (250.0, 250 * 40);
    let data = eeg(3, count, rate);
    let settings = FilterSettings {
        lff_hz: Some(1.0),
        ..FilterSettings::default_for(ChannelKind::Eeg)
    };
    let make = || DisplayFilter::new(rate, &[ChannelKind::Eeg], |_| settings).unwrap();
    let mut always = data.clone();
    make().process(&mut always, count).unwrap();
    let mut switched = make();
    let history = (switched.warm_up_s() * rate).ceil() as usize;
    let (before, after) = data.split_at(count - 500);
    switched
        .warm_up(&before[before.len() - history..], history)
        .unwrap();
    let mut after = after.to_vec();
    switched.process(&mut after, 500).unwrap();
    for (found, expected) in after.iter().zip(&always[count - 500..]) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn an_offset_makes_no_transient_at_start_or_after_a_gap() {
    let mut filter =
        DisplayFilter::new(250.0, &[ChannelKind::Eeg], FilterSettings::default_for).unwrap();
    for offset in [100_000.0, -50_000.0] {
        let mut block = vec![offset; 500];
        filter.process(&mut block, 500).unwrap();
        assert!(
            block.iter().all(|value| value.abs() < 1e-3),
            "{:?}",
            &block[..3]
        );
        filter.gap();
    }
}

#[test]
fn corners_are_3_db_down_at_their_labels() {
    let half = 0.5_f64.sqrt();
    for rate in [200.0, 256.0, 1000.0] {
        for hz in dsp::LFF_HZ {
            let settings = FilterSettings {
                lff_hz: Some(hz),
                ..FilterSettings::OFF
            };
            let sos = settings.design(rate).unwrap();
            assert!((sos.gain_at(hz, rate) - half).abs() < 1e-9, "LFF {hz}");
            // One pole: 6 dB an octave.
            let octave = sos.gain_at(hz / 4.0, rate) / sos.gain_at(hz / 8.0, rate);
            assert!((octave - 2.0).abs() < 0.1, "LFF {hz} {octave}");
        }
        for hz in dsp::HFF_HZ.into_iter().filter(|hz| *hz < rate / 2.0) {
            let settings = FilterSettings {
                hff_hz: Some(hz),
                ..FilterSettings::OFF
            };
            let gain = settings.design(rate).unwrap().gain_at(hz, rate);
            assert!((gain - half).abs() < 1e-9, "HFF {hz} at {rate}: {gain}");
        }
        for hz in dsp::NOTCH_HZ {
            let settings = FilterSettings {
                notch_hz: Some(hz),
                ..FilterSettings::OFF
            };
            assert!(settings.design(rate).unwrap().gain_at(hz, rate) < 1e-6);
        }
    }
    let one = FilterSettings {
        lff_hz: Some(1.0),
        ..FilterSettings::OFF
    };
    assert!((one.time_constant_s().unwrap() - 0.159).abs() < 0.001);
}

#[test]
fn what_is_not_the_default_is_said() {
    let kind = ChannelKind::Eeg;
    let default = FilterSettings::default_for(kind);
    let free = HardwareFilter::default();
    assert_eq!(default.notes(kind, &free, 256.0), []);
    let chosen = FilterSettings {
        hff_hz: Some(15.0),
        notch_hz: Some(50.0),
        ..default
    };
    let expected = [
        FilterNote::Hff {
            chosen_hz: Some(15.0),
            default_hz: Some(70.0),
        },
        FilterNote::Notch(50.0),
    ];
    assert_eq!(chosen.notes(kind, &free, 256.0), expected);
    let narrow = HardwareFilter {
        high_pass_hz: Some(1.6),
        low_pass_hz: Some(35.0),
        ..free
    };
    let expected = [
        FilterNote::HardwareHighPass(1.6),
        FilterNote::HardwareLowPass(35.0),
    ];
    assert_eq!(default.notes(kind, &narrow, 256.0), expected);
    assert_eq!(
        default.notes(kind, &HardwareFilter::default(), 100.0),
        [FilterNote::AboveNyquist(50.0)]
    );
}

#[test]
fn a_bad_sample_is_left_behind() {
    let sos = butterworth(2, Response::HighPass(1.0), 250.0).unwrap();
    let mut filter = SosFilter::new(sos, 2);
    let mut block = vec![1.0; 2 * 200];
    block[50] = f64::NAN;
    filter.process(&mut block, 200).unwrap();
    assert!(block[50..64].iter().all(|value| value.is_nan()));
    assert!(block[64..].iter().all(|value| value.is_finite()));
    // Zeros for ever end in zero, not in denormal numbers.
    let mut filter = SosFilter::new(filter.sos().clone(), 1);
    let mut zeros = vec![0.0; 250 * 600];
    zeros[0] = 1.0;
    let len = zeros.len();
    filter.process(&mut zeros, len).unwrap();
    assert!(zeros.iter().all(|value| *value == 0.0 || value.is_normal()));
    assert_eq!(zeros.last(), Some(&0.0));
}
