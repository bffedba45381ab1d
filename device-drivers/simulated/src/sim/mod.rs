//! The simulator: devices that compute their signals.

mod build;
mod config;
mod cost;
mod device;
mod drift;
mod impedance;
mod model;
mod noise;
mod overlay;
mod potentials;
mod scalp;
mod scene;
mod script;
mod slow;
mod stream;

pub use cost::{GeneratorCost, generator_cost};

use config::Config;
use contract::{Clock, Device, DeviceClass, DeviceError, DeviceSummary, Driver, Settings};
use std::sync::Arc;

/// The driver `simulated`: computed signals at the addresses `headset`, `amplifier` and `psg`.
///
/// Settings, all optional: `seed` (whole number), `script` (TOML, inline or a path), `speed` (a
/// number or `max`), `duration_s`, `epoch_ns` (UTC of device time zero where speed is not 1),
/// `polarity` (`normal`, `inverting`), `pattern` (`eeg`, `quiet`, `cheap`), `numbered` (`true` adds
/// a channel with each sample's number), `mains_hz` (`50`, `60`, `off`), `drift_ppm`, `jitter_ms`,
/// `packet` (samples), `counter_bits`, `eyes` (`auto`, `open`, `closed`), `artifacts` (`on`,
/// `off`); the amplifier also `channels` and `rate` (Hz).
///
/// A script is a list of TOML tables, times in seconds of device time:
///
/// | table | fields beside `at_s` |
/// | --- | --- |
/// | `[[eyes]]` | `state` (`open`, `closed`) |
/// | `[[blink]]` | `amplitude_uv` |
/// | `[[muscle]]` | `duration_s`, `amplitude_uv`, `side` (`left`, `right`, `both`) |
/// | `[[pop]]` | `electrode`, `amplitude_uv` |
/// | `[[spike]]` | `electrode`, `amplitude_uv` (negative is surface-negative), `duration_s` |
/// | `[[seizure]]` | `duration_s`, `focus` (an electrode), `amplitude_uv` |
/// | `[[impedance]]` | `electrode` or `all`, `impedance_kohm` (none: open) |
/// | `[[trigger]]` | `code`, `duration_s` |
/// | `[[mark]]` | `text` (psg alone has a marker stream) |
/// | `[[dropout]]` | `samples` or `duration_s`, `stream` |
/// | `[[silence]]` | `duration_s`, `stream` |
/// | `[[disconnect]]` | `duration_s` |
/// | `[[drift]]` | `drift_ppm`, `ramp_s` |
/// | `[[jitter]]` | `duration_s`, `jitter_ms` |
/// | `[[stale]]` | `duration_s`, `channel` (of the potentials) |
/// | `[[battery]]` | `percent` |
///
/// While it is stopped a paced device runs on, as real ones do: what is not read is lost and the
/// counter says how much. Arrival is the time at which the packet came in, however late it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Simulator;

impl Driver for Simulator {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn discover(&self) -> Result<Vec<DeviceSummary>, DeviceError> {
        let summary = |address: &str, name: &str| DeviceSummary {
            id: format!("simulated:{address}"),
            name: name.into(),
            class: DeviceClass::Simulated,
            transport: "simulated".into(),
            note: String::new(),
        };
        Ok(vec![
            summary("headset", "Simulated headset, 21 electrodes"),
            summary("amplifier", "Simulated amplifier, 1 to 4096 channels"),
            summary("psg", "Simulated polysomnograph"),
        ])
    }

    fn open(
        &self,
        address: &str,
        settings: &Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Box<dyn Device>, DeviceError> {
        let config = Config::new(address, settings, clock.as_ref())?;
        Ok(Box::new(build::device(address, &config, clock)?))
    }
}

/// Seconds as nanoseconds, to the nearest; saturating.
#[allow(clippy::cast_possible_truncation)]
pub(crate) fn nanos(seconds: f64) -> i64 {
    (seconds * 1e9).round() as i64
}

/// Nanoseconds as seconds.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
