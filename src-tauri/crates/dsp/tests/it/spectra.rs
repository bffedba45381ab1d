//! Band powers, peak alpha and impedance on signals whose answer is known.

use crate::support::noise;
use dsp::{
    Scaling, Welch, amplitude_at, band_power, band_powers, eyes_closed, impedance_kohm, peak_alpha,
};
use signal::{Annotation, AnnotationId, AnnotationOrigin, UtcNanos};
use std::f64::consts::TAU;

const RATE: f64 = 256.0;

fn sine(hz: f64, amplitude: f64, count: usize) -> Vec<f64> {
    (0..count)
        .map(|n| amplitude * (TAU * hz * n as f64 / RATE).sin())
        .collect()
}

fn density(samples: &[f64]) -> dsp::Spectrum {
    Welch::new(RATE, 512, 256, Scaling::Density)
        .unwrap()
        .channel(samples)
        .unwrap()
}

#[test]
fn a_sines_power_lies_in_its_band() {
    for (band, hz) in [2.0, 6.0, 10.5, 20.0, 50.0].into_iter().enumerate() {
        let powers = band_powers(&density(&sine(hz, 20.0, 5120)));
        assert!(
            (powers.absolute_uv2[band] - 200.0).abs() < 2.0,
            "{hz}: {powers:?}"
        );
        assert!(powers.relative[band] > 0.99);
        assert!((powers.relative.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}

#[test]
fn neighbouring_bands_add_up() {
    let spectrum = density(&noise(4, 4000));
    let whole = band_power(&spectrum, 0.7, 69.3);
    let parts = band_power(&spectrum, 0.7, 8.1) + band_power(&spectrum, 8.1, 69.3);
    assert!((whole - parts).abs() < 1e-12 * whole);
}

#[test]
fn silence_has_no_shares_and_no_alpha() {
    let spectrum = density(&[5.0; 1024]);
    assert!(
        band_powers(&spectrum)
            .relative
            .iter()
            .all(|share| share.is_finite())
    );
    let flat = peak_alpha(&spectrum);
    assert!(flat.is_none_or(|alpha| alpha.peak_hz.is_none()));
}

#[test]
fn alpha_is_found_between_the_bins() {
    for hz in [8.6, 9.7, 10.0, 10.25, 11.9] {
        let mut samples = sine(hz, 30.0, 30 * 256);
        samples
            .iter_mut()
            .zip(noise(9, 30 * 256))
            .for_each(|(x, n)| *x += 20.0 * n);
        let alpha = peak_alpha(&density(&samples)).unwrap();
        assert!(
            (alpha.peak_hz.unwrap() - hz).abs() < 0.05,
            "{hz}: {alpha:?}"
        );
        assert!(
            (alpha.centre_of_gravity_hz - hz).abs() < 0.4,
            "{hz}: {alpha:?}"
        );
    }
    let noise_only = peak_alpha(&density(&noise(9, 60 * 256))).unwrap();
    assert_eq!(noise_only.peak_hz, None);
}

#[test]
fn eyes_are_closed_between_their_marks() {
    let mark = |id: u64, onset: i64, code: &str, supersedes: Option<u64>| Annotation {
        id: AnnotationId(id),
        onset: UtcNanos(onset),
        duration_ns: None,
        text: String::new(),
        code: Some(code.to_owned()),
        origin: AnnotationOrigin::Protocol,
        channels: Vec::new(),
        supersedes: supersedes.map(AnnotationId),
    };
    let mut marks = vec![
        mark(1, 10, "eyes_closed", None),
        mark(2, 15, "eyes_open", None),
        mark(3, 20, "eyes_open", Some(2)),
        mark(4, 30, "hyperventilation", None),
        mark(5, 40, "eyes_closed", None),
    ];
    let span = |from, until| (UtcNanos(from), UtcNanos(until));
    assert_eq!(
        eyes_closed(&marks, UtcNanos(60)),
        [span(10, 20), span(40, 60)]
    );
    marks[4].duration_ns = Some(5);
    assert_eq!(
        eyes_closed(&marks, UtcNanos(60)),
        [span(10, 20), span(40, 45)]
    );
}

#[test]
fn impedance_from_a_test_current() {
    // 6 nA through 10 kΩ behind 2.2 kΩ leaves 73.2 µV, under hum and an offset.
    let count = 256 * 2;
    let mut samples = sine(32.0, 6.0 * 12.2, count);
    let hum = sine(50.0, 40.0, count);
    samples
        .iter_mut()
        .zip(hum)
        .for_each(|(x, h)| *x += h + 20_000.0);
    let amplitude = amplitude_at(&samples, 32.0, RATE).unwrap();
    let found = impedance_kohm(amplitude, 6.0, 2.2).unwrap();
    assert!((found - 10.0).abs() < 0.01, "{found}");
    assert_eq!(impedance_kohm(10.0, 0.0, 0.0), None);
    assert!(amplitude_at(&samples[..20], 32.0, RATE).is_err());
}
