//! A negative spike under Fp1 is negative in Fp1-F7, and so drawn upward, through every scale.

use crate::support::{block, channels};
use dsp::{DerivationMatrix, DisplayFilter, FilterSettings};
use signal::{Channel, Montage, Scale, Unit};

/// Fp1-F7 of the double banana over one block, µV.
fn fp1_f7(channels: &[Channel], rows: &[Vec<i32>]) -> Vec<f64> {
    let montage = Montage::by_name("longitudinal-bipolar-10-20").unwrap();
    let resolved = montage.resolve(channels, &[]);
    assert_eq!(resolved[0].label, "Fp1-F7");
    let mut matrix = DerivationMatrix::new(&resolved, channels);
    let found = matrix.apply_array(&block(rows, 0)).unwrap();
    found.row(0).to_vec()
}

/// −100 µV under Fp1 from sample 20 to 25, as counts of `gain_uv`.
fn spike(gain_uv: f64) -> Vec<i32> {
    let at = |n: usize| {
        if (20..25).contains(&n) {
            (-100.0 / gain_uv) as i32
        } else {
            0
        }
    };
    (0..60).map(at).collect()
}

#[test]
fn negative_is_negative_whatever_the_amplifier_does() {
    for gain in [0.5, -0.5] {
        let channels = channels(&["Fp1", "F7"], gain);
        let found = fp1_f7(&channels, &[spike(gain), vec![0; 60]]);
        assert_eq!(found[22], -100.0, "gain {gain}");
        assert_eq!(found[0], 0.0);
        let kinds = [signal::ChannelKind::Eeg];
        let mut filtered = found.clone();
        let mut filter = DisplayFilter::new(250.0, &kinds, FilterSettings::default_for).unwrap();
        filter.process(&mut filtered, 60).unwrap();
        assert!(filtered[22] < -50.0, "gain {gain}: {}", filtered[22]);
    }
}

#[test]
fn a_spike_under_input_2_points_the_other_way() {
    let found = fp1_f7(&channels(&["F7", "Fp1"], 0.5), &[spike(0.5), vec![0; 60]]);
    assert_eq!(found[22], 100.0);
}

#[test]
fn channels_of_other_units_and_offsets_come_to_microvolts() {
    let mut channels = channels(&["Fp1", "F7"], 0.5);
    channels[0].unit = Unit::Millivolt;
    channels[0].scale = Scale {
        gain: -0.0005,
        offset: 0.25,
    };
    channels[1].scale.offset = 250.0;
    let found = fp1_f7(&channels, &[spike(-0.5), vec![0; 60]]);
    assert!((found[22] + 100.0).abs() < 1e-9, "{}", found[22]);
    assert!(found[0].abs() < 1e-9);
}

#[test]
fn a_blank_derivation_is_no_number() {
    let channels = channels(&["Fp1"], 0.5);
    let found = fp1_f7(&channels, &[spike(0.5)]);
    assert!(found.iter().all(|value| value.is_nan()));
}
