//! Scripted waves on top of the simulation, each with its own field over the channels.

use super::noise::Table;
use super::scalp::{self, field, place};
use super::scene::{self, BLINK_S};
use super::script::{Script, Side};
use signal::{Channel, ChannelKind};

/// Decay of an electrode pop, s, and how long it is computed.
const POP_DECAY_S: f64 = 0.3;
const POP_S: f64 = 3.0;

#[derive(Debug, Clone, Copy)]
enum Wave {
    Blink,
    Pop,
    Spike { duration_s: f64 },
    Focus { duration_s: f64 },
    Spread { duration_s: f64 },
    Muscle { duration_s: f64 },
}

/// One scripted wave.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    at_s: f64,
    until_s: f64,
    wave: Wave,
    /// Microvolts at each channel.
    pub(crate) weights: Vec<f32>,
}

impl Overlay {
    pub(crate) fn overlaps(&self, from_s: f64, until_s: f64) -> bool {
        self.at_s < until_s && from_s <= self.until_s
    }

    /// Whether the wave is muscle noise under an envelope.
    fn is_noise(&self) -> bool {
        matches!(self.wave, Wave::Muscle { .. })
    }

    fn value(&self, t: f64) -> f64 {
        let since = t - self.at_s;
        match self.wave {
            Wave::Blink => scene::blink(since),
            Wave::Pop if (0.0..POP_S).contains(&since) => (-since / POP_DECAY_S).exp(),
            Wave::Pop => 0.0,
            Wave::Spike { duration_s } => scene::spike(since, duration_s),
            Wave::Focus { duration_s } => scene::seizure(since, duration_s).0,
            Wave::Spread { duration_s } => scene::seizure(since, duration_s).1,
            Wave::Muscle { duration_s } => scene::burst(since, duration_s),
        }
    }

    /// The wave from sample `first` on, into `target`.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(crate) fn fill(&self, target: &mut [f32], first: u64, hz: f64, muscle: &Table) {
        if self.is_noise() {
            target.fill(0.0);
            muscle.add_to(target, first, 1.0);
        } else {
            target.fill(1.0);
        }
        for (i, sample) in target.iter_mut().enumerate() {
            *sample *= self.value((first + i as u64) as f64 / hz) as f32;
        }
    }
}

/// The script's waves for these channels; fails with the name of an electrode not there.
pub(crate) fn overlays(script: &Script, channels: &[Channel]) -> Result<Vec<Overlay>, String> {
    let mut overlays = Vec::new();
    for e in &script.blink {
        let amplitude = e.amplitude_uv.unwrap_or(120.0);
        overlays.push(overlay(
            e.at_s,
            BLINK_S,
            Wave::Blink,
            blink_field(channels),
            amplitude,
        ));
    }
    for e in &script.muscle {
        let weights = muscle_field(channels, e.side.unwrap_or_default());
        let wave = Wave::Muscle {
            duration_s: e.duration_s,
        };
        let amplitude = e.amplitude_uv.unwrap_or(30.0);
        overlays.push(overlay(e.at_s, e.duration_s, wave, weights, amplitude));
    }
    for e in &script.pop {
        let weights = field_at(channels, "pop", &e.electrode, 0.0)?;
        let amplitude = e.amplitude_uv.unwrap_or(150.0);
        overlays.push(overlay(e.at_s, POP_S, Wave::Pop, weights, amplitude));
    }
    for e in &script.spike {
        let duration_s = e.duration_s.unwrap_or(0.07);
        let weights = field_at(channels, "spike", &e.electrode, 0.2)?;
        let wave = Wave::Spike { duration_s };
        overlays.push(overlay(
            e.at_s,
            5.0 * duration_s,
            wave,
            weights,
            e.amplitude_uv,
        ));
    }
    for e in &script.seizure {
        let focus = e.focus.as_deref().unwrap_or("T7");
        let (duration_s, amplitude) = (e.duration_s, e.amplitude_uv.unwrap_or(150.0));
        let near = field_at(channels, "seizure", focus, 0.35)?;
        overlays.push(overlay(
            e.at_s,
            duration_s,
            Wave::Focus { duration_s },
            near,
            amplitude,
        ));
        let far = field_at(channels, "seizure", focus, 1.0)?;
        let wave = Wave::Spread { duration_s };
        overlays.push(overlay(e.at_s, duration_s, wave, far, 0.5 * amplitude));
    }
    Ok(overlays)
}

#[allow(clippy::cast_possible_truncation)]
fn overlay(at_s: f64, length_s: f64, wave: Wave, mut weights: Vec<f32>, scale: f64) -> Overlay {
    for weight in &mut weights {
        *weight *= scale as f32;
    }
    Overlay {
        at_s,
        until_s: at_s + length_s,
        wave,
        weights,
    }
}

/// A field around an electrode over the EEG channels; at width 0 on that electrode alone.
fn field_at(
    channels: &[Channel],
    kind: &str,
    electrode: &str,
    width: f32,
) -> Result<Vec<f32>, String> {
    let name = scalp::modern_name(electrode);
    if !(channels.iter()).any(|channel| channel.electrode.as_deref() == Some(name)) {
        return Err(format!("script: {kind}: no electrode '{name}' here"));
    }
    let weight = |channel: &Channel| match channel.electrode.as_deref() {
        Some(own) if own == name => 1.0,
        Some(own) if width > 0.0 && channel.kind == ChannelKind::Eeg => {
            field(place(name), place(own), width)
        }
        _ => 0.0,
    };
    Ok(channels.iter().map(weight).collect())
}

/// Blinks: largest at Fp1 and Fp2, positive, falling off to the back; E1 and E2 see them too.
pub(crate) fn blink_field(channels: &[Channel]) -> Vec<f32> {
    let (left, right) = (place("Fp1"), place("Fp2"));
    let weight = |channel: &Channel| match (channel.kind, channel.electrode.as_deref()) {
        (ChannelKind::Eeg, Some(own)) => {
            field(left, place(own), 0.35).max(field(right, place(own), 0.35))
        }
        // Left lies below its eye and right above it, as the AASM places them.
        (ChannelKind::Eog, Some("E1")) => -0.6,
        (ChannelKind::Eog, _) => 0.8,
        _ => 0.0,
    };
    channels.iter().map(weight).collect()
}

/// Muscle: temporal and frontal, on one side or both; the chin's own input sees both.
pub(crate) fn muscle_field(channels: &[Channel], side: Side) -> Vec<f32> {
    let (left, right) = scene::sides(side, 1.0);
    #[allow(clippy::cast_possible_truncation)]
    let (left, right) = (left as f32, right as f32);
    let weight = |channel: &Channel| match (channel.kind, channel.electrode.as_deref()) {
        (ChannelKind::Eeg, Some(own)) => {
            let at = place(own);
            let near = |temporal, frontal: &str| {
                field(place(temporal), at, 0.25) + 0.5 * field(place(frontal), at, 0.3)
            };
            left * near("T7", "F7") + right * near("T8", "F8")
        }
        (ChannelKind::Emg, _) => left.max(right),
        _ => 0.0,
    };
    channels.iter().map(weight).collect()
}
