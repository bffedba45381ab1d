//! The setting that this room's drivers share: how fast a source goes.

use crate::limits::{MAX_SPEED, MIN_SPEED};
use contract::{DeviceError, Pacing, SettingsReader};

/// How fast a source goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times real time.
    Times(f64),
    /// As fast as its reader takes it.
    Max,
}

impl Speed {
    pub(crate) const fn pacing(self) -> Pacing {
        match self {
            Self::Times(_) => Pacing::RealTime,
            Self::Max => Pacing::AsFastAsPossible,
        }
    }

    /// Whether host time and signal time pass alike.
    pub(crate) fn is_real_time(self) -> bool {
        matches!(self, Self::Times(times) if (times - 1.0).abs() < f64::EPSILON)
    }
}

/// A reader of this room's settings.
pub(crate) trait SpeedSetting {
    /// The setting `speed`: a number, or `max`.
    fn speed(&mut self) -> Result<Speed, DeviceError>;
}

impl SpeedSetting for SettingsReader<'_> {
    fn speed(&mut self) -> Result<Speed, DeviceError> {
        if self.text("speed").is_some_and(|text| text.trim() == "max") {
            return Ok(Speed::Max);
        }
        let expects = format!("'max' or a number from {MIN_SPEED} to {MAX_SPEED}");
        let times = self.parsed("speed", &expects, |times: &f64| {
            (MIN_SPEED..=MAX_SPEED).contains(times)
        })?;
        Ok(Speed::Times(times.unwrap_or(1.0)))
    }
}
