//! The streams beside the potentials: triggers, motion, breathing, vital signs.

use super::model::Source;
use super::noise::hash_unit;
use super::scene;
use super::script::Trigger;
use signal::{Samples, SamplingRate};
use std::f64::consts::TAU;

/// How long a code without a duration stands on the inputs, s.
const TRIGGER_S: f64 = 0.1;

/// Breaths a second.
const BREATH_HZ: f64 = 0.25;

/// Codes on the trigger inputs by sample.
#[derive(Debug, Clone, Default)]
pub(crate) struct Triggers(Vec<(u64, u64, i32)>);

impl Triggers {
    pub(crate) fn new(script: &[Trigger], rate: SamplingRate) -> Self {
        let index = |s: f64| rate.index_at(super::nanos(s));
        let codes = script.iter().map(|e| {
            let until = e.at_s + e.duration_s.unwrap_or(TRIGGER_S);
            (index(e.at_s), index(until).max(index(e.at_s) + 1), e.code)
        });
        Self(codes.collect())
    }

    fn fill(&self, first: u64, len: usize, out: &mut Vec<i32>) {
        out.resize(len, 0);
        let end = first + len as u64;
        for (from, until, code) in &self.0 {
            if *from < end && first < *until {
                let start = from.saturating_sub(first) as usize;
                let stop = ((*until).min(end) - first) as usize;
                out[start..stop].fill(*code);
            }
        }
    }
}

/// Channels × `len` samples of a slow stream from number `first` on, row-major.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(crate) fn fill(
    source: Source,
    triggers: &Triggers,
    seed: u64,
    rate: SamplingRate,
    (first, len, channels): (u64, usize, usize),
    samples: &mut Samples,
) {
    let hz = rate.as_hz().unwrap_or(1.0);
    let places = (0..channels).flat_map(|c| (0..len as u64).map(move |i| (c, first + i)));
    let value = |(channel, sample): (usize, u64)| {
        let noise = hash_unit(seed, 0x510 + channel as u64, sample) - 0.5;
        value(source, channel, sample as f64 / hz, noise)
    };
    match samples {
        Samples::I32(out) => triggers.fill(first, len, out),
        Samples::I16(out) => out.extend(places.map(|at| value(at) as i16)),
        Samples::F32(out) => out.extend(places.map(|at| value(at) as f32)),
        Samples::F64(out) => out.extend(places.map(value)),
        Samples::I24(_) | Samples::Text(_) => {}
    }
}

fn value(source: Source, channel: usize, t: f64, noise: f64) -> f64 {
    let breath = (TAU * BREATH_HZ * t).sin();
    match (source, channel) {
        // g: lying on the back, the chest moves a little.
        (Source::Accelerometer, 0) => 0.02 * breath + 0.004 * noise,
        (Source::Accelerometer, 1) => -0.05 + 0.004 * noise,
        (Source::Accelerometer, _) => 0.998 + 0.01 * breath + 0.004 * noise,
        // Counts: flow leads effort by a quarter of a breath.
        (Source::Respiration, 0) => 6_000.0 * (TAU * BREATH_HZ * t).cos() + 200.0 * noise,
        (Source::Respiration, _) => 8_000.0 * breath + 200.0 * noise,
        (Source::Vital, 0) => (97.0 + 2.0 * noise).round(),
        (Source::Vital, _) => scene::pulse(t).round(),
        _ => 33.2 + 0.1 * noise,
    }
}
