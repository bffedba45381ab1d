//! What is read from a spectrum: power of the bands, and the peak of the alpha rhythm.

use crate::Spectrum;
use crate::limits::{ALPHA_PROMINENCE, BANDS, EYES_CLOSED_CODE, EYES_OPEN_CODE};
use signal::{Annotation, UtcNanos};

/// A frequency band, from `low_hz` up to `high_hz`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Name ('alpha').
    pub name: &'static str,
    /// Lower end, Hz.
    pub low_hz: f64,
    /// Upper end, Hz.
    pub high_hz: f64,
}

/// Power in each of [`BANDS`], in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct BandPowers {
    /// Power, µV².
    pub absolute_uv2: [f64; 5],
    /// Share of the power of all bands, 0 … 1; zeros when there is none.
    pub relative: [f64; 5],
    /// Where the spectrum ends, Hz: bands above it are empty, the one that holds it is cut.
    pub ends_at_hz: f64,
}

/// Power of a density spectrum between two frequencies, µV²: the trapezoid rule over its values,
/// with the ends of the band interpolated, so that neighbouring bands add up exactly.
#[must_use]
pub fn band_power(density: &Spectrum, low_hz: f64, high_hz: f64) -> f64 {
    let mut power = 0.0;
    for (bin, pair) in density.values.windows(2).enumerate() {
        let (left, right) = (density.frequency_hz(bin), density.frequency_hz(bin + 1));
        let (from, to) = (low_hz.max(left), high_hz.min(right));
        if from >= to {
            continue;
        }
        let at = |hz: f64| pair[0] + (pair[1] - pair[0]) * (hz - left) / (right - left);
        power += 0.5 * (at(from) + at(to)) * (to - from);
    }
    power
}

/// Power of a density spectrum in each of [`BANDS`].
#[must_use]
pub fn band_powers(density: &Spectrum) -> BandPowers {
    let absolute_uv2 = BANDS.map(|band| band_power(density, band.low_hz, band.high_hz));
    let total: f64 = absolute_uv2.iter().sum();
    let relative = absolute_uv2.map(|power| if total > 0.0 { power / total } else { 0.0 });
    let ends_at_hz = density.frequency_hz(density.values.len().saturating_sub(1));
    BandPowers {
        absolute_uv2,
        relative,
        ends_at_hz,
    }
}

/// The alpha rhythm's frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeakAlpha {
    /// Frequency of the highest peak within 8–13 Hz, refined by a parabola through the logarithms
    /// of its three values; `None` when nothing stands out of the slope.
    pub peak_hz: Option<f64>,
    /// Centre of gravity over 8–13 Hz (Klimesch 1999, Brain Res Rev 29:169).
    pub centre_of_gravity_hz: f64,
}

/// The alpha frequency in a spectrum of eyes-closed epochs; other epochs have no place in it, for
/// alpha blocks when the eyes open ([`eyes_closed`] finds them). `None` without any power there.
#[must_use]
pub fn peak_alpha(eyes_closed: &Spectrum) -> Option<PeakAlpha> {
    let band = BANDS.iter().find(|band| band.name == "alpha")?;
    let inside: Vec<usize> = (0..eyes_closed.values.len())
        .filter(|bin| {
            let hz = eyes_closed.frequency_hz(*bin);
            hz >= band.low_hz && hz <= band.high_hz
        })
        .collect();
    let power = |bin: usize| eyes_closed.values[bin];
    let total: f64 = inside.iter().map(|bin| power(*bin)).sum();
    if !(total > 0.0 && total.is_finite()) {
        return None;
    }
    let weighted = inside
        .iter()
        .map(|bin| power(*bin) * eyes_closed.frequency_hz(*bin));
    let centre_of_gravity_hz = weighted.sum::<f64>() / total;
    Some(PeakAlpha {
        peak_hz: peak(eyes_closed, &inside),
        centre_of_gravity_hz,
    })
}

fn peak(spectrum: &Spectrum, inside: &[usize]) -> Option<f64> {
    let (first, last) = (*inside.first()?, *inside.last()?);
    let power = |bin: usize| spectrum.values[bin];
    let best = inside
        .iter()
        .copied()
        .max_by(|a, b| power(*a).total_cmp(&power(*b)))?;
    let rises = best > 0
        && best + 1 < spectrum.values.len()
        && power(best) > power(best - 1)
        && power(best) >= power(best + 1);
    #[allow(clippy::cast_precision_loss)] // bins are few
    let along = (best - first) as f64 / (last - first).max(1) as f64;
    let slope = power(first) + (power(last) - power(first)) * along;
    if !rises || power(best) < ALPHA_PROMINENCE * slope {
        return None;
    }
    let [left, centre, right] = [best - 1, best, best + 1].map(|bin| power(bin).ln());
    let curve = left - 2.0 * centre + right;
    let shift = if curve < 0.0 && curve.is_finite() {
        0.5 * (left - right) / curve
    } else {
        0.0
    };
    Some(spectrum.frequency_hz(best) + shift * spectrum.resolution_hz)
}

/// Spans in which the eyes were closed, by the protocol's annotations coded 'eyes_closed': each
/// lasts for its duration, or until the next 'eyes_open' or 'eyes_closed', or until `end`.
#[must_use]
pub fn eyes_closed(annotations: &[Annotation], end: UtcNanos) -> Vec<(UtcNanos, UtcNanos)> {
    let coded = |annotation: &&Annotation| {
        matches!(
            annotation.code.as_deref(),
            Some(EYES_CLOSED_CODE | EYES_OPEN_CODE)
        ) && !annotations
            .iter()
            .any(|other| other.supersedes == Some(annotation.id))
    };
    let mut marks: Vec<&Annotation> = annotations.iter().filter(coded).collect();
    marks.sort_by_key(|annotation| annotation.onset);
    let spans = marks.iter().enumerate().filter_map(|(at, mark)| {
        if mark.code.as_deref() != Some(EYES_CLOSED_CODE) {
            return None;
        }
        let next = marks.get(at + 1).map_or(end, |next| next.onset).min(end);
        let own = mark
            .duration_ns
            .map_or(next, |duration| mark.onset.plus_nanos(duration));
        Some((mark.onset, own.min(next))).filter(|(from, until)| from < until)
    });
    spans.collect()
}
