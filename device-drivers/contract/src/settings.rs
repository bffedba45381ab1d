//! Reading settings: every name and value is known, or refused with what would be.

use crate::{DeviceError, ErrorKind, Settings};
use std::str::FromStr;

/// Takes settings by name and remembers which names exist.
#[derive(Debug)]
pub struct SettingsReader<'a> {
    operation: &'a str,
    settings: &'a Settings,
    known: Vec<&'static str>,
}

impl<'a> SettingsReader<'a> {
    /// A reader whose errors name `operation`.
    #[must_use]
    pub const fn new(operation: &'a str, settings: &'a Settings) -> Self {
        Self {
            operation,
            settings,
            known: Vec::new(),
        }
    }

    /// An error of kind [`ErrorKind::Settings`].
    pub fn refuse(&self, message: impl Into<String>) -> DeviceError {
        DeviceError::new(ErrorKind::Settings, self.operation, message)
    }

    /// The value of `name` as it stands.
    pub fn text(&mut self, name: &'static str) -> Option<&'a str> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.settings.get(name).map(String::as_str)
    }

    /// The value of `name`, which must satisfy `valid`; `expects` says what that is.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when it does not.
    pub fn parsed<T: FromStr>(
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
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when it is none of them.
    pub fn word<T: Copy>(
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

    /// Refuses names that were never asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`], with the names that exist.
    pub fn finish(self) -> Result<(), DeviceError> {
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
