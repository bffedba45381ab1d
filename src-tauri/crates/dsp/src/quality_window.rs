//! The measures of one channel over one second.

use crate::limits::{MAINS_HALF_WIDTH_HZ, QualityLimits, STEP_S};
use crate::welch::{Scaling, Welch};
use crate::{QualityFlags, QualityMeasures, Spectrum, band_power};
use signal::{Channel, ChannelKind};

/// Buffers and plan, reused from channel to channel.
#[derive(Debug)]
pub(crate) struct Analyser {
    window: usize,
    rate_hz: f64,
    mains_hz: f64,
    limits: QualityLimits,
    plan: Option<Welch>,
    values: Vec<f64>,
    steps: Vec<f64>,
}

impl Analyser {
    pub(crate) fn new(window: usize, rate_hz: f64, mains_hz: f64, limits: QualityLimits) -> Self {
        // Too few samples for a spectrum leave those measures out.
        let plan = Welch::new(rate_hz, window, 0, Scaling::Density).ok();
        Self {
            window,
            rate_hz,
            mains_hz,
            limits,
            plan,
            values: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Measures and judges one channel's `counts` of one second.
    #[allow(clippy::cast_precision_loss)] // a second's samples
    pub(crate) fn judge(
        &mut self,
        channel: &Channel,
        counts: &[f64],
    ) -> (QualityFlags, QualityMeasures) {
        let missing = self.window.saturating_sub(counts.len());
        let mut measures = QualityMeasures {
            railed_share: self.railed_share(channel, counts),
            missing_share: missing as f64 / self.window as f64,
            ..QualityMeasures::default()
        };
        if let Some(microvolts) = channel
            .unit
            .microvolts()
            .filter(|_| channel.kind.is_potential())
        {
            let scale = channel.scale;
            self.values.clear();
            self.values.extend(
                counts
                    .iter()
                    .map(|c| (c * scale.gain + scale.offset) * microvolts),
            );
            self.measure(&mut measures);
        }
        (self.flags(channel.kind, &measures), measures)
    }

    #[allow(clippy::cast_precision_loss)] // a second's samples; converters of at most 32 bits
    fn railed_share(&self, channel: &Channel, counts: &[f64]) -> f64 {
        let Some(range) = channel.digital_range.filter(|range| range.max > range.min) else {
            return 0.0;
        };
        if counts.is_empty() || !channel.kind.is_potential() {
            return 0.0;
        }
        let (least, greatest) = (range.min as f64, range.max as f64);
        let margin = (greatest - least) * self.limits.rail_margin;
        let railed = counts
            .iter()
            .filter(|c| **c <= least + margin || **c >= greatest - margin);
        railed.count() as f64 / counts.len() as f64
    }

    fn measure(&mut self, measures: &mut QualityMeasures) {
        let extremes = self
            .values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, g), v| {
                (l.min(*v), g.max(*v))
            });
        if extremes.0 > extremes.1 {
            return;
        }
        measures.peak_to_peak_uv = Some(extremes.1 - extremes.0);
        self.find_steps();
        measures.step_uv = self.steps.iter().copied().reduce(f64::max);
        let whole = self.values.len() == self.window;
        let Some(plan) = self.plan.as_ref().filter(|_| whole) else {
            return;
        };
        detrend(&mut self.values);
        let Ok(spectrum) = plan.channel(&self.values) else {
            return;
        };
        let rms = |low: f64, high: f64| band_power(&spectrum, low, high).sqrt();
        let (low, high) = (
            self.mains_hz - MAINS_HALF_WIDTH_HZ,
            self.mains_hz + MAINS_HALF_WIDTH_HZ,
        );
        let nyquist = self.rate_hz / 2.0;
        measures.signal_uv = (nyquist > 2.0).then(|| rms(1.0, 45.0));
        measures.mains_uv = (nyquist > high).then(|| rms(low, high));
        measures.muscle_uv = (nyquist > 40.0).then(|| muscle(&spectrum, low, high));
    }

    /// Steps over 10 ms at every sample.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are checked
    fn find_steps(&mut self) {
        let span = ((self.rate_hz * STEP_S).round() as usize).max(1);
        self.steps.clear();
        let later = self.values.iter().skip(span);
        self.steps.extend(
            self.values
                .iter()
                .zip(later)
                .map(|(from, to)| (to - from).abs()),
        );
    }

    fn flags(&mut self, kind: ChannelKind, measures: &QualityMeasures) -> QualityFlags {
        let limits = self.limits;
        let brain = matches!(kind, ChannelKind::Eeg | ChannelKind::Eog);
        let above = |value: Option<f64>, limit: f64| value.is_some_and(|value| value > limit);
        let whole = measures.missing_share == 0.0;
        let railed = measures.railed_share >= limits.railed_share;
        let hum = match (measures.mains_uv, measures.signal_uv) {
            (Some(mains), Some(signal)) => {
                mains > limits.mains_floor_uv
                    && mains * mains > limits.mains_ratio * signal * signal
            }
            _ => false,
        };
        let muscle_uv = limits
            .muscle_uv
            .max(limits.muscle_hum_share * measures.mains_uv.unwrap_or(0.0));
        // The median is looked up only where it decides.
        let pop = above(measures.step_uv, limits.pop_uv)
            && above(measures.step_uv, limits.pop_factor * self.median_step());
        QualityFlags {
            // A railed channel is flat too, but the rail is what must be said.
            flat: whole
                && !railed
                && measures
                    .peak_to_peak_uv
                    .is_some_and(|v| v <= limits.flat_uv),
            railed,
            mains: hum,
            // A step is broadband: where there is one, it and not muscle fills 30–100 Hz.
            muscle: brain && !pop && above(measures.muscle_uv, muscle_uv),
            electrode_pop: brain && !railed && pop,
            excessive: brain && above(measures.peak_to_peak_uv, limits.excessive_uv),
            gap: measures.missing_share > 0.0,
        }
    }

    fn median_step(&mut self) -> f64 {
        let middle = self.steps.len() / 2;
        if self.steps.is_empty() {
            return 0.0;
        }
        *self.steps.select_nth_unstable_by(middle, f64::total_cmp).1
    }
}

/// 30–100 Hz without the mains, µV RMS.
fn muscle(spectrum: &Spectrum, mains_low: f64, mains_high: f64) -> f64 {
    let all = band_power(spectrum, 30.0, 100.0);
    let mains = band_power(spectrum, mains_low.max(30.0), mains_high.min(100.0));
    (all - mains).max(0.0).sqrt()
}

/// Takes the straight line of least squares out of `values`, in place: a drifting electrode would
/// otherwise count as signal.
#[allow(clippy::cast_precision_loss)] // a second's samples
fn detrend(values: &mut [f64]) {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let sums = values
        .iter()
        .enumerate()
        .fold((0.0, 0.0), |(xy, xx), (at, value)| {
            let x = at as f64 - middle;
            (xy + x * (value - mean), xx + x * x)
        });
    let slope = if sums.1 > 0.0 { sums.0 / sums.1 } else { 0.0 };
    for (at, value) in values.iter_mut().enumerate() {
        *value -= mean + slope * (at as f64 - middle);
    }
}
