//! Reading settings: every name and value is known, or refused with what would be.

use crate::limits::{MAX_SPEED, MIN_SPEED};
use contract::{DeviceError, ErrorKind, Pacing, Settings};
use std::str::FromStr;

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

/// Takes settings by name and remembers which names exist.
pub(crate) struct Reader<'a> {
    operation: &'a str,
    settings: &'a Settings,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(operation: &'a str, settings: &'a Settings) -> Self {
        Self {
            operation,
            settings,
            known: Vec::new(),
        }
    }

    pub(crate) fn refuse(&self, message: impl Into<String>) -> DeviceError {
        DeviceError::new(ErrorKind::Settings, self.operation, message)
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.known.push(name);
        self.settings.get(name).map(String::as_str)
    }

    /// The value of `name`, which must satisfy `valid`; `expects` says what that is.
    pub(crate) fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        expects: &str,
        valid: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, DeviceError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.trim().parse::<T>() {
            Ok(value) if valid(&value) => Ok(Some(value)),
            _ => Err(self.refuse(format!("setting {name} must be {expects}"))),
        }
    }

    /// One of the words given with their meanings.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, DeviceError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.trim()) {
            return Ok(Some(*value));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.refuse(format!(
            "setting {name} must be one of: {}",
            known.join(", ")
        )))
    }

    pub(crate) fn speed(&mut self) -> Result<Speed, DeviceError> {
        if self
            .settings
            .get("speed")
            .is_some_and(|text| text.trim() == "max")
        {
            self.known.push("speed");
            return Ok(Speed::Max);
        }
        let expects = format!("'max' or a number from {MIN_SPEED} to {MAX_SPEED}");
        let times = self.parsed("speed", &expects, |times: &f64| {
            (MIN_SPEED..=MAX_SPEED).contains(times)
        })?;
        Ok(Speed::Times(times.unwrap_or(1.0)))
    }

    /// Refuses names that were never asked for.
    pub(crate) fn finish(self) -> Result<(), DeviceError> {
        match self
            .settings
            .keys()
            .find(|name| !self.known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(self.refuse(format!(
                "there is no setting '{name}' here; known are: {}",
                self.known.join(", ")
            ))),
        }
    }
}
