//! The script: scenes and faults by time, as TOML.
//!
//! Times are seconds of device time from the device's first start. An example:
//!
//! ```toml
//! [[eyes]]
//! at_s = 10.0
//! state = "closed"
//!
//! [[dropout]]
//! at_s = 12.5
//! samples = 40
//! ```

use crate::limits::{MAX_SCRIPT_BYTES, MAX_SCRIPT_ENTRIES, MAX_SCRIPT_TIME_S};
use serde::Deserialize;
use std::path::Path;

/// Whether the eyes are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EyeState {
    Open,
    Closed,
}

/// Which side of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Left,
    Right,
    #[default]
    Both,
}

macro_rules! entries {
    ($($(#[$doc:meta])* $name:ident { $($field:ident : $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name {
                pub(crate) at_s: f64,
                $(pub(crate) $field: $kind,)*
            }

            impl Timed for $name {
                fn at_s(&self) -> f64 {
                    self.at_s
                }
            }
        )*
    };
}

/// What has a time.
trait Timed {
    fn at_s(&self) -> f64;
}

entries! {
    /// The eyes open or close: posterior alpha blocks or returns.
    Eyes { state: EyeState }
    /// An eye blink; amplitude at Fp1 and Fp2, positive there.
    Blink { amplitude_uv: Option<f64> }
    /// A burst of muscle activity.
    Muscle { duration_s: f64, amplitude_uv: Option<f64>, side: Option<Side> }
    /// An electrode pop: a step that decays.
    Pop { electrode: String, amplitude_uv: Option<f64> }
    /// A sharp transient followed by a slow wave; a negative amplitude is surface-negative.
    Spike { electrode: String, amplitude_uv: f64, duration_s: Option<f64> }
    /// An evolving rhythmic discharge.
    Seizure { duration_s: f64, focus: Option<String>, amplitude_uv: Option<f64> }
    /// From now on the electrode has this impedance; without a value it is open. 'all' is all.
    ImpedanceChange { electrode: String, impedance_kohm: Option<f64> }
    /// A code on the trigger inputs.
    Trigger { code: i32, duration_s: Option<f64> }
    /// A text on the marker stream.
    Mark { text: String }
    /// Samples lost on the way; the counter jumps.
    Dropout { samples: Option<u64>, duration_s: Option<f64>, stream: Option<String> }
    /// The device sends nothing for a while and goes on by itself.
    Silence { duration_s: f64, stream: Option<String> }
    /// The device is gone for a while and must be started again.
    Disconnect { duration_s: f64 }
    /// From now on the device's clock is fast by so many ppm, reached within the ramp.
    DriftChange { drift_ppm: f64, ramp_s: Option<f64> }
    /// Packets arrive late by up to this much for a while.
    Jitter { duration_s: f64, jitter_ms: f64 }
    /// A channel of the potentials repeats its last value for a while.
    Stale { duration_s: f64, channel: String }
    /// The device tells its battery level.
    Battery { percent: u8 }
}

/// Everything that is scripted, each kind by time.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Script {
    pub(crate) eyes: Vec<Eyes>,
    pub(crate) blink: Vec<Blink>,
    pub(crate) muscle: Vec<Muscle>,
    pub(crate) pop: Vec<Pop>,
    pub(crate) spike: Vec<Spike>,
    pub(crate) seizure: Vec<Seizure>,
    pub(crate) impedance: Vec<ImpedanceChange>,
    pub(crate) trigger: Vec<Trigger>,
    pub(crate) mark: Vec<Mark>,
    pub(crate) dropout: Vec<Dropout>,
    pub(crate) silence: Vec<Silence>,
    pub(crate) disconnect: Vec<Disconnect>,
    pub(crate) drift: Vec<DriftChange>,
    pub(crate) jitter: Vec<Jitter>,
    pub(crate) stale: Vec<Stale>,
    pub(crate) battery: Vec<Battery>,
}

impl Script {
    /// Reads a script given inline (it has a line break, '=' or '[') or as the path of a file.
    pub(crate) fn load(text_or_path: &str) -> Result<Self, String> {
        if text_or_path.contains(['\n', '=', '[']) {
            return Self::parse(text_or_path);
        }
        let path = Path::new(text_or_path);
        let size = std::fs::metadata(path).map_err(|error| format!("script file: {error}"))?;
        if size.len() > MAX_SCRIPT_BYTES as u64 {
            return Err(format!(
                "script file is larger than {MAX_SCRIPT_BYTES} bytes"
            ));
        }
        let text =
            std::fs::read_to_string(path).map_err(|error| format!("script file: {error}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_SCRIPT_BYTES {
            return Err(format!("script is larger than {MAX_SCRIPT_BYTES} bytes"));
        }
        let mut script: Self =
            toml::from_str(text).map_err(|error| format!("script: {}", error.message()))?;
        script.check()?;
        Ok(script)
    }

    fn check(&mut self) -> Result<(), String> {
        in_order("eyes", &mut self.eyes)?;
        in_order("blink", &mut self.blink)?;
        in_order("muscle", &mut self.muscle)?;
        in_order("pop", &mut self.pop)?;
        in_order("spike", &mut self.spike)?;
        in_order("seizure", &mut self.seizure)?;
        in_order("impedance", &mut self.impedance)?;
        in_order("trigger", &mut self.trigger)?;
        in_order("mark", &mut self.mark)?;
        in_order("dropout", &mut self.dropout)?;
        in_order("silence", &mut self.silence)?;
        in_order("disconnect", &mut self.disconnect)?;
        in_order("drift", &mut self.drift)?;
        in_order("jitter", &mut self.jitter)?;
        in_order("stale", &mut self.stale)?;
        in_order("battery", &mut self.battery)?;
        self.check_values()
    }

    fn check_values(&self) -> Result<(), String> {
        let durations = (self.muscle.iter().map(|e| ("muscle", e.duration_s)))
            .chain(self.seizure.iter().map(|e| ("seizure", e.duration_s)))
            .chain(self.silence.iter().map(|e| ("silence", e.duration_s)))
            .chain(self.disconnect.iter().map(|e| ("disconnect", e.duration_s)))
            .chain(self.jitter.iter().map(|e| ("jitter", e.duration_s)))
            .chain(self.stale.iter().map(|e| ("stale", e.duration_s)))
            .chain(optional("spike", self.spike.iter().map(|e| e.duration_s)))
            .chain(optional(
                "trigger",
                self.trigger.iter().map(|e| e.duration_s),
            ))
            .chain(optional(
                "dropout",
                self.dropout.iter().map(|e| e.duration_s),
            ));
        for (kind, duration) in durations {
            if !(duration > 0.0 && duration <= MAX_SCRIPT_TIME_S) {
                return Err(format!("script: {kind}: duration_s must be above zero"));
            }
        }
        if (self.dropout.iter()).any(|e| e.samples.is_some() == e.duration_s.is_some()) {
            return Err("script: dropout: give either samples or duration_s".into());
        }
        if (self.drift.iter())
            .any(|e| !within(e.drift_ppm, 10_000.0) || !e.ramp_s.is_none_or(|ramp| ramp >= 0.0))
        {
            return Err(
                "script: drift: drift_ppm must lie within 10000 and ramp_s above zero".into(),
            );
        }
        if (self.jitter.iter()).any(|e| !(0.0..=10_000.0).contains(&e.jitter_ms)) {
            return Err("script: jitter: jitter_ms must be from 0 to 10000".into());
        }
        if (self.impedance.iter()).any(|e| {
            !e.impedance_kohm
                .is_none_or(|kohm| (0.0..=100_000.0).contains(&kohm))
        }) {
            return Err("script: impedance: impedance_kohm must be from 0 to 100000".into());
        }
        let amplitudes = (self.blink.iter().filter_map(|e| e.amplitude_uv))
            .chain(self.muscle.iter().filter_map(|e| e.amplitude_uv))
            .chain(self.pop.iter().filter_map(|e| e.amplitude_uv))
            .chain(self.spike.iter().map(|e| e.amplitude_uv))
            .chain(self.seizure.iter().filter_map(|e| e.amplitude_uv));
        for amplitude in amplitudes {
            if !within(amplitude, 100_000.0) {
                return Err("script: amplitude_uv must lie within 100000".into());
            }
        }
        if self.battery.iter().any(|e| e.percent > 100) {
            return Err("script: battery: percent must be at most 100".into());
        }
        let ends = |e: &Disconnect| e.at_s + e.duration_s;
        if (self.disconnect.windows(2)).any(|pair| pair[1].at_s < ends(&pair[0])) {
            return Err("script: disconnect: the next begins before the last has ended".into());
        }
        Ok(())
    }
}

/// Whether a number lies within `limit` of zero; what is no number does not.
fn within(number: f64, limit: f64) -> bool {
    (-limit..=limit).contains(&number)
}

fn optional(
    kind: &'static str,
    values: impl Iterator<Item = Option<f64>>,
) -> impl Iterator<Item = (&'static str, f64)> {
    values.flatten().map(move |value| (kind, value))
}

fn in_order<T: Timed>(kind: &str, entries: &mut [T]) -> Result<(), String> {
    if entries.len() > MAX_SCRIPT_ENTRIES {
        return Err(format!("script: more than {MAX_SCRIPT_ENTRIES} of {kind}"));
    }
    if entries
        .iter()
        .any(|e| !(0.0..=MAX_SCRIPT_TIME_S).contains(&e.at_s()))
    {
        return Err(format!("script: {kind}: at_s must be zero or more seconds"));
    }
    entries.sort_by(|a, b| a.at_s().total_cmp(&b.at_s()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_put_in_order() {
        let script = Script::load("[[blink]]\nat_s = 3.0\n[[blink]]\nat_s = 1.0\n").unwrap();
        let times: Vec<f64> = script.blink.iter().map(|e| e.at_s).collect();
        assert_eq!(times, [1.0, 3.0]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[[blnk]]\nat_s = 1.0", "blnk"),
            ("[[blink]]\nat_s = 1.0\nsize = 3", "size"),
            ("[[blink]]\nat_s = -1.0", "blink: at_s"),
            ("[[dropout]]\nat_s = 1.0", "either samples or duration_s"),
            (
                "[[silence]]\nat_s = 1.0\nduration_s = 0.0",
                "silence: duration_s",
            ),
            ("[[drift]]\nat_s = 1.0\ndrift_ppm = nan", "drift_ppm"),
            (
                "[[disconnect]]\nat_s = 1.0\nduration_s = 5.0\n[[disconnect]]\nat_s = 2.0\nduration_s = 1.0",
                "before the last has ended",
            ),
        ] {
            let error = Script::load(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
