//! Zero-phase filtering: forward, then backward. Not causal, so never live; label it 'zero-phase'.

use crate::{DspError, Sos};

/// `samples` filtered forward and backward, with odd extension at both ends, as SciPy's
/// `sosfiltfilt`. The gain is applied twice: −6 dB at the corners.
///
/// # Errors
/// [`DspError::TooShort`] unless there are more samples than the extension has (three times the
/// filter's length).
pub fn zero_phase(sos: &Sos, samples: &[f64]) -> Result<Vec<f64>, DspError> {
    let edge = extension(sos);
    if samples.len() <= edge {
        return Err(DspError::TooShort {
            found: samples.len(),
            needed: edge + 1,
        });
    }
    let (first, last) = (samples[0], samples[samples.len() - 1]);
    let mut extended = Vec::with_capacity(samples.len() + 2 * edge);
    extended.extend(samples[1..=edge].iter().rev().map(|x| 2.0 * first - x));
    extended.extend_from_slice(samples);
    let tail = &samples[samples.len() - 1 - edge..samples.len() - 1];
    extended.extend(tail.iter().rev().map(|x| 2.0 * last - x));
    for _ in 0..2 {
        settled(sos, &mut extended);
        extended.reverse();
    }
    extended.truncate(edge + samples.len());
    Ok(extended.split_off(edge))
}

fn extension(sos: &Sos) -> usize {
    let count = |zero: fn(&crate::Section) -> bool| sos.sections.iter().filter(|s| zero(s)).count();
    let first_order = count(|s| s.b[2] == 0.0).min(count(|s| s.a[1] == 0.0));
    3 * (2 * sos.sections.len() + 1 - first_order)
}

/// One channel in place, from the state that its first sample would have settled to.
fn settled(sos: &Sos, samples: &mut [f64]) {
    let start = samples.first().copied().unwrap_or(0.0);
    for (section, steady) in sos.sections.iter().zip(sos.steady_state()) {
        let [b0, b1, b2] = section.b;
        let [a1, a2] = section.a;
        let [mut first, mut second] = steady.map(|unit| unit * start);
        for value in samples.iter_mut() {
            let output = b0 * *value + first;
            first = b1 * *value - a1 * output + second;
            second = b2 * *value - a2 * output;
            *value = output;
        }
    }
}
