//! What the body does: eyes, blinks, muscles, heart and seizures as functions of time.
//!
//! Every function depends on the seed, the script and the time alone, so that any sample can be
//! computed without those before it.

use super::noise::hash_unit;
use super::script::{EyeState, Eyes, Side};
use std::f64::consts::{PI, TAU};

/// Seconds in which alpha blocks after the eyes open, or returns.
const ALPHA_CHANGE_S: f64 = 0.5;

/// Part of the alpha that stays with open eyes.
const ALPHA_OPEN: f64 = 0.12;

/// Seconds with open eyes and then closed ones, when nothing else is said.
const AUTO_EYES_S: f64 = 20.0;

/// One automatic blink in this time, s: 15 a minute, a resting adult's rate.
const BLINK_SLOT_S: f64 = 4.0;

/// Length of a blink's deflection, s.
pub(crate) const BLINK_S: f64 = 0.35;

/// One automatic chance of a muscle burst in this time, s.
const MUSCLE_SLOT_S: f64 = 10.0;

/// The eyes over time.
#[derive(Debug, Clone)]
pub(crate) struct EyeTimeline {
    initial: Option<EyeState>,
    changes: Vec<(f64, EyeState)>,
}

impl EyeTimeline {
    pub(crate) fn new(initial: Option<EyeState>, script: &[Eyes]) -> Self {
        Self {
            // A scripted session begins with open eyes and changes only as scripted.
            initial: initial.or((!script.is_empty()).then_some(EyeState::Open)),
            changes: script.iter().map(|e| (e.at_s, e.state)).collect(),
        }
    }

    /// The last change at or before `t` with the state after it, and the state before it.
    fn around(&self, t: f64) -> (f64, EyeState, EyeState) {
        let Some(initial) = self.initial else {
            let half = (t / AUTO_EYES_S).floor();
            let closed = half.rem_euclid(2.0) >= 1.0;
            let (now, before) = if closed {
                (EyeState::Closed, EyeState::Open)
            } else {
                (EyeState::Open, EyeState::Closed)
            };
            return (half * AUTO_EYES_S, now, before);
        };
        let after = self.changes.partition_point(|(at, _)| *at <= t);
        let state = |n: usize| n.checked_sub(1).map_or(initial, |i| self.changes[i].1);
        let since = after
            .checked_sub(1)
            .map_or(f64::NEG_INFINITY, |i| self.changes[i].0);
        (since, state(after), state(after.saturating_sub(1)))
    }

    pub(crate) fn open(&self, t: f64) -> bool {
        self.around(t).1 == EyeState::Open
    }

    /// Strength of the alpha rhythm, 1 with closed eyes.
    pub(crate) fn alpha(&self, t: f64) -> f64 {
        let strength = |state| match state {
            EyeState::Open => ALPHA_OPEN,
            EyeState::Closed => 1.0,
        };
        let (since, now, before) = self.around(t);
        let x = ((t - since) / ALPHA_CHANGE_S).clamp(0.0, 1.0);
        let smooth = x * x * (3.0 - 2.0 * x);
        strength(before) + (strength(now) - strength(before)) * smooth
    }
}

/// A blink's deflection `t` seconds after it begins, 1 at its peak: faster up than down.
///
/// The cornea is positive against the retina; as the lid closes the eyeball turns up (Bell's
/// phenomenon), so that Fp1 and Fp2 become positive (Matsuo et al. 1975).
pub(crate) fn blink(t: f64) -> f64 {
    if !(0.0..BLINK_S).contains(&t) {
        return 0.0;
    }
    (PI * (t / BLINK_S).powf(0.7)).sin().powi(2)
}

/// Automatic blinks while the eyes are open, µV at Fp1 and Fp2.
pub(crate) fn automatic_blinks(seed: u64, eyes: &EyeTimeline, t: f64) -> f64 {
    let slot = (t / BLINK_SLOT_S).floor();
    let key = slot_key(slot);
    let at = slot * BLINK_SLOT_S + 0.3 + 3.2 * hash_unit(seed, 0xB1, key);
    if t < at || t >= at + BLINK_S || !eyes.open(at) {
        return 0.0;
    }
    (80.0 + 70.0 * hash_unit(seed, 0xB2, key)) * blink(t - at)
}

/// Strength of automatic muscle bursts on the left and the right, µV.
pub(crate) fn automatic_muscle(seed: u64, t: f64) -> (f64, f64) {
    let slot = (t / MUSCLE_SLOT_S).floor();
    let key = slot_key(slot);
    if hash_unit(seed, 0xE0, key) > 0.3 {
        return (0.0, 0.0);
    }
    let duration = 0.5 + 1.5 * hash_unit(seed, 0xE1, key);
    let at = slot * MUSCLE_SLOT_S + 7.0 * hash_unit(seed, 0xE2, key);
    let strength = (12.0 + 18.0 * hash_unit(seed, 0xE3, key)) * burst(t - at, duration);
    let side = match hash_unit(seed, 0xE4, key) {
        u if u < 0.3 => Side::Left,
        u if u < 0.6 => Side::Right,
        _ => Side::Both,
    };
    sides(side, strength)
}

/// A burst's envelope `t` seconds after it begins.
pub(crate) fn burst(t: f64, duration: f64) -> f64 {
    if !(0.0..duration).contains(&t) {
        return 0.0;
    }
    let edge = (0.1_f64).min(duration / 2.0);
    (t / edge).min((duration - t) / edge).min(1.0)
}

pub(crate) const fn sides(side: Side, strength: f64) -> (f64, f64) {
    match side {
        Side::Left => (strength, 0.0),
        Side::Right => (0.0, strength),
        Side::Both => (strength, strength),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Slots are small and positive.
const fn slot_key(slot: f64) -> u64 {
    slot as u64
}

/// The heart: 66 beats a minute with respiratory sinus arrhythmia, PQRST as a sum of Gaussians
/// after McSharry et al. ('A dynamical model for generating synthetic electrocardiogram signals',
/// IEEE Transactions on Biomedical Engineering 50, 2003). 1 is the R wave's height.
pub(crate) fn heart(t: f64) -> f64 {
    const RATE_HZ: f64 = 1.1;
    const BREATH_HZ: f64 = 0.25;
    // (height, centre after the R wave in s, width in s) of P, Q, R, S, T.
    const WAVES: [(f64, f64, f64); 5] = [
        (0.14, -0.17, 0.025),
        (-0.12, -0.032, 0.009),
        (1.0, 0.0, 0.011),
        (-0.22, 0.034, 0.010),
        (0.30, 0.26, 0.050),
    ];
    let phase = RATE_HZ * t + 0.03 * RATE_HZ / (TAU * BREATH_HZ) * (TAU * BREATH_HZ * t).sin();
    // The R wave stands at 0.4 of each cycle, so that P and T never cross its ends.
    let after_r = (phase - phase.floor() - 0.4) / RATE_HZ;
    WAVES
        .iter()
        .map(|(height, centre, width)| {
            let x = (after_r - centre) / width;
            if x.abs() > 6.0 {
                0.0
            } else {
                height * (-0.5 * x * x).exp()
            }
        })
        .sum()
}

/// Pulse rate, beats a minute.
pub(crate) fn pulse(t: f64) -> f64 {
    66.0 * (1.0 + 0.03 * (TAU * 0.25 * t).cos())
}

/// An evolving discharge `t` seconds into a seizure of `duration` seconds: its frequency falls
/// from 7 to 2.5 Hz while its amplitude grows, and it ends abruptly. Sharp and surface-negative.
/// Gives the wave for the focus and the one for the regions that it spreads to.
pub(crate) fn seizure(t: f64, duration: f64) -> (f64, f64) {
    if !(0.0..duration).contains(&t) {
        return (0.0, 0.0);
    }
    let x = t / duration;
    let (from_hz, to_hz) = (7.0, 2.5);
    let cycles = from_hz * t + (to_hz - from_hz) * t * x / 2.0;
    let phase = TAU * cycles;
    let wave = -(phase.sin() + 0.5 * (2.0 * phase).sin() + 0.25 * (3.0 * phase).sin()) / 1.4;
    let growth = 0.15 + 0.85 * x.min(0.8) / 0.8;
    let spread = ((x - 0.3) / 0.4).clamp(0.0, 1.0);
    (wave * growth, wave * growth * spread)
}

/// A sharp transient of `duration` seconds, peak 1, and a slow wave of 0.4 after it.
pub(crate) fn spike(t: f64, duration: f64) -> f64 {
    if (0.0..duration).contains(&t) {
        return 1.0 - (2.0 * t / duration - 1.0).abs();
    }
    let slow = 4.0 * duration;
    if (duration..duration + slow).contains(&t) {
        return 0.4 * (PI * (t - duration) / slow).sin();
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_blocks_when_the_eyes_open() {
        let script = [
            Eyes {
                at_s: 10.0,
                state: EyeState::Closed,
            },
            Eyes {
                at_s: 20.0,
                state: EyeState::Open,
            },
        ];
        let eyes = EyeTimeline::new(None, &script);
        assert!(eyes.alpha(5.0) < 0.2);
        assert!(eyes.alpha(15.0) > 0.99);
        assert!((eyes.alpha(10.25) - 0.56).abs() < 0.01);
        assert!(eyes.alpha(25.0) < 0.2);
        assert!(eyes.open(25.0) && !eyes.open(15.0));
    }

    #[test]
    fn the_heart_beats_as_often_as_its_pulse_says() {
        let rate = 1000;
        let beats = (1..60 * rate)
            .map(|n| [n - 1, n, n + 1].map(|i| heart(f64::from(i) / f64::from(rate))))
            .filter(|[before, at, after]| *at > 0.9 && at >= before && at > after)
            .count();
        assert!((65..=67).contains(&beats), "{beats}");
    }

    #[test]
    fn a_spike_peaks_in_its_middle() {
        assert!((spike(0.035, 0.07) - 1.0).abs() < 1e-9);
        assert_eq!(spike(-0.001, 0.07), 0.0);
        assert_eq!(spike(0.5, 0.07), 0.0);
    }
}
