//! Impedance from the voltage that a known test current leaves on an electrode.

use crate::error::{DspError, check_rate};
use std::f64::consts::TAU;

/// Amplitude (half the peak to peak) of the sine at `frequency_hz` in `samples`, in their unit.
///
/// Goertzel's algorithm (1958, Am Math Mon 65:34) with a Hann window over the samples less their
/// mean, so that neither mains nor an electrode's offset leaks in. Exact when the samples hold a
/// whole number of periods; give at least four periods.
///
/// # Errors
/// [`DspError`] for a frequency not between 0 and half the rate, or fewer than four periods.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
pub fn amplitude_at(samples: &[f64], frequency_hz: f64, rate_hz: f64) -> Result<f64, DspError> {
    check_rate(rate_hz)?;
    if !(frequency_hz > 0.0 && frequency_hz < rate_hz / 2.0) {
        return Err(DspError::Frequency {
            frequency_hz,
            rate_hz,
        });
    }
    let needed = (4.0 * rate_hz / frequency_hz).ceil() as usize;
    if samples.len() < needed {
        return Err(DspError::TooShort {
            found: samples.len(),
            needed,
        });
    }
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let turn = TAU * frequency_hz / rate_hz;
    let factor = 2.0 * turn.cos();
    let (mut before, mut last, mut weight) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * n as f64 / count).cos();
        weight += window;
        (before, last) = (last, (sample - mean) * window + factor * last - before);
    }
    let power = last * last + before * before - factor * last * before;
    Ok(2.0 * power.max(0.0).sqrt() / weight)
}

/// Impedance of an electrode, kΩ, from the amplitude of the test signal, µV, and of the test
/// current, nA (µV/nA is kΩ), less what stands in series in the amplifier, kΩ. `None` when the
/// current is not positive or the amplitude is no number.
///
/// Cyton: lead-off current 6 nA at 31.25 Hz through 2.2 kΩ (ADS1299 data sheet, LOFF register;
/// OpenBCI's Cyton schematic).
#[must_use]
pub fn impedance_kohm(amplitude_uv: f64, current_na: f64, series_kohm: f64) -> Option<f64> {
    (current_na > 0.0 && amplitude_uv.is_finite())
        .then(|| (amplitude_uv / current_na - series_kohm).max(0.0))
}
