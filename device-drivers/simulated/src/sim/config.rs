//! The simulator's settings.

use super::model::Model;
use super::script::{EyeState, Script};
use crate::limits::{MAX_CHANNELS_SIMULATED, MAX_RATE_HZ, MAX_SCRIPT_TIME_S};
use crate::settings::{Speed, SpeedSetting as _};
use contract::{Clock, DeviceError, ErrorKind, Settings, SettingsReader};
use signal::UtcNanos;

/// What the signal channels carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// The physiological simulation.
    Eeg,
    /// Nothing but what is scripted.
    Quiet,
    /// A table copied round: costs next to nothing, for load tests.
    Cheap,
}

/// Everything that is set when a simulated device is opened.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) model: Model,
    pub(crate) seed: u64,
    pub(crate) speed: Speed,
    pub(crate) script: Script,
    /// Device time after which the source ends, s.
    pub(crate) duration_s: Option<f64>,
    /// UTC of device time zero, where the device stamps its blocks.
    pub(crate) epoch: UtcNanos,
    pub(crate) inverting: bool,
    pub(crate) pattern: Pattern,
    /// Whether a last channel carries the sample's number.
    pub(crate) numbered: bool,
    pub(crate) mains_hz: Option<f64>,
    pub(crate) drift_ppm: f64,
    pub(crate) jitter_ms: f64,
    /// Samples a packet; `None` chooses by rate and speed.
    pub(crate) packet: Option<u32>,
    /// Bits of the signal stream's counter; `None` never wraps.
    pub(crate) counter_bits: Option<u32>,
    /// Initial state of the eyes; `None` opens and closes them every 20 s.
    pub(crate) eyes: Option<EyeState>,
    /// Whether blinks, muscle bursts and the like come by themselves.
    pub(crate) artifacts: bool,
}

impl Config {
    pub(crate) fn new(
        address: &str,
        settings: &Settings,
        clock: &dyn Clock,
    ) -> Result<Self, DeviceError> {
        let operation = format!("open simulated:{address}");
        let mut reader = SettingsReader::new(&operation, settings);
        let model = match address {
            "headset" => Model::Headset,
            "psg" => Model::Psg,
            "amplifier" => amplifier(&mut reader)?,
            _ => {
                return Err(DeviceError::new(
                    ErrorKind::NotFound,
                    operation,
                    "there is no such simulated device; known are: headset, amplifier, psg",
                ));
            }
        };
        let config = Self::common(model, &mut reader, clock)?;
        if config.model != Model::Psg && !config.script.mark.is_empty() {
            return Err(reader.refuse("script: mark: only psg has a marker stream"));
        }
        reader.finish()?;
        Ok(config)
    }

    fn common(
        model: Model,
        reader: &mut SettingsReader<'_>,
        clock: &dyn Clock,
    ) -> Result<Self, DeviceError> {
        let script = match reader.text("script") {
            None => Script::default(),
            Some(text) => Script::load(text).map_err(|message| reader.refuse(message))?,
        };
        let flag = [("true", true), ("false", false)];
        Ok(Self {
            model,
            seed: reader
                .parsed("seed", "a whole number", |_| true)?
                .unwrap_or(1),
            speed: reader.speed()?,
            script,
            duration_s: reader.parsed("duration_s", "seconds above zero", |s: &f64| {
                *s > 0.0 && *s <= MAX_SCRIPT_TIME_S
            })?,
            epoch: (reader.parsed("epoch_ns", "nanoseconds since 1970, UTC", |_| true)?)
                .map_or_else(|| clock.utc(), UtcNanos),
            inverting: (reader.word("polarity", &[("normal", false), ("inverting", true)])?)
                .unwrap_or(false),
            pattern: (reader.word(
                "pattern",
                &[
                    ("eeg", Pattern::Eeg),
                    ("quiet", Pattern::Quiet),
                    ("cheap", Pattern::Cheap),
                ],
            )?)
            .unwrap_or(Pattern::Eeg),
            numbered: reader.word("numbered", &flag)?.unwrap_or(false),
            mains_hz: (reader.word(
                "mains_hz",
                &[("50", Some(50.0)), ("60", Some(60.0)), ("off", None)],
            )?)
            .unwrap_or(Some(50.0)),
            drift_ppm: (reader.parsed("drift_ppm", "a number within 10000", |ppm: &f64| {
                ppm.abs() <= 10_000.0
            })?)
            .unwrap_or(0.0),
            jitter_ms: (reader.parsed("jitter_ms", "a number from 0 to 10000", |ms: &f64| {
                (0.0..=10_000.0).contains(ms)
            })?)
            .unwrap_or(0.0),
            packet: reader.parsed("packet", "samples from 1 to 65536", |n: &u32| {
                (1..=65_536).contains(n)
            })?,
            counter_bits: reader.parsed("counter_bits", "bits from 8 to 63", |bits: &u32| {
                (8..=63).contains(bits)
            })?,
            eyes: (reader.word(
                "eyes",
                &[
                    ("auto", None),
                    ("open", Some(EyeState::Open)),
                    ("closed", Some(EyeState::Closed)),
                ],
            )?)
            .flatten(),
            artifacts: (reader.word("artifacts", &[("on", true), ("off", false)])?).unwrap_or(true),
        })
    }
}

fn amplifier(reader: &mut SettingsReader<'_>) -> Result<Model, DeviceError> {
    let expects = format!("a number from 1 to {MAX_CHANNELS_SIMULATED}");
    let channels = reader.parsed("channels", &expects, |n: &usize| {
        (1..=MAX_CHANNELS_SIMULATED).contains(n)
    })?;
    let expects = format!("whole hertz from 1 to {MAX_RATE_HZ}");
    let rate_hz = reader.parsed("rate", &expects, |hz: &u32| (1..=MAX_RATE_HZ).contains(hz))?;
    Ok(Model::Amplifier {
        channels: channels.unwrap_or(64),
        rate_hz: rate_hz.unwrap_or(1_000),
    })
}
