//! Impedance from the voltage that the lead-off current makes at an electrode.

use crate::limits::{LEAD_OFF_A, LEAD_OFF_HZ, MOST_KOHM, SERIES_OHM};
use std::f64::consts::TAU;

/// Steps in which the current's frequency is looked for, Hz: a tenth of the window's resolution.
const STEP_HZ: f64 = 0.1;

/// Impedance in kΩ from one channel's samples in µV, with the test current flowing, at `rate_hz`; `None`
/// when it lies beyond what 6 nA can tell.
///
/// The amplitude is that of a sine between 30.9 and 31.8 Hz under a Hann window, so that neither the
/// electrode's offset nor mains counts. As in the maker's program, the current is taken for a sine of 6 nA and
/// the series resistor of 2.2 kΩ is subtracted.
pub(crate) fn impedance_kohm(samples_uv: &[f64], rate_hz: f64) -> Option<f64> {
    let (mut most_uv, mut hz) = (0.0_f64, LEAD_OFF_HZ.0);
    while hz <= LEAD_OFF_HZ.1 {
        most_uv = most_uv.max(amplitude(samples_uv, hz / rate_hz));
        hz += STEP_HZ;
    }
    let ohm = most_uv * 1e-6 / LEAD_OFF_A - SERIES_OHM;
    let kohm = (ohm / 1e3).max(0.0);
    (kohm.is_finite() && kohm <= MOST_KOHM && samples_uv.len() > 1).then_some(kohm)
}

/// Amplitude of the sine at `frequency` (cycles a sample), Hann-windowed, mean removed.
#[allow(clippy::cast_precision_loss)]
fn amplitude(samples: &[f64], frequency: f64) -> f64 {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, value) in samples.iter().enumerate() {
        let at = n as f64;
        let window = 0.5 - 0.5 * (TAU * (at + 0.5) / count).cos();
        let (sin, cos) = (TAU * frequency * at).sin_cos();
        re += (value - mean) * window * cos;
        im += (value - mean) * window * sin;
        weight += window;
    }
    2.0 * re.hypot(im) / weight
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kohm: f64, hz: f64, more: impl Fn(f64) -> f64) -> Option<f64> {
        let amplitude_uv = (kohm * 1e3 + SERIES_OHM) * LEAD_OFF_A * 1e6;
        let samples: Vec<f64> = (0..250)
            .map(|n| f64::from(n) / 250.0)
            .map(|t| amplitude_uv * (TAU * hz * t + 0.7).sin() + more(t))
            .collect();
        impedance_kohm(&samples, 250.0)
    }

    #[test]
    fn the_series_resistor_is_subtracted_and_neither_offset_nor_mains_counts() {
        let quiet = |_: f64| 0.0;
        for (kohm, hz) in [(5.0, 31.2), (5.0, 31.5), (0.2, 31.25), (200.0, 31.2)] {
            let found = measured(kohm, hz, quiet).expect("measured");
            assert!(
                (found - kohm).abs() < 0.02 * kohm + 0.05,
                "{kohm} kΩ: {found}"
            );
        }
        let noisy = |t: f64| 20_000.0 + 100.0 * (TAU * 50.0 * t).sin();
        let found = measured(5.0, 31.2, noisy).expect("measured");
        assert!((found - 5.0).abs() < 0.5, "{found}");
    }

    #[test]
    fn an_open_input_has_no_impedance_that_could_be_stated() {
        assert_eq!(measured(20_000.0, 31.2, |_| 0.0), None);
        assert_eq!(impedance_kohm(&[], 250.0), None);
    }
}
