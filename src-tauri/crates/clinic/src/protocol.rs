//! Session protocols: what is planned, which marks there are, what is checked first.

use crate::limits::MAX_PROTOCOL_BYTES;
use serde::{Deserialize, Serialize};
use signal::ImpedanceLimits;
use std::time::Duration;
use thiserror::Error;

const FORMAT: u32 = 1;
const SHIPPED: [&str; 2] = [
    include_str!("../../../../assets/protocols/routine-eeg.toml"),
    include_str!("../../../../assets/protocols/free-recording.toml"),
];

/// A coded annotation and its hot key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationKey {
    /// Code; survives de-identification.
    pub code: String,
    /// Text for people.
    pub text: String,
    /// Hot key.
    pub key: String,
}

/// A session protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Version of the file format.
    pub format: u32,
    /// Id ('routine-eeg').
    pub id: String,
    /// Title for people.
    pub title: String,
    /// BIDS task name.
    pub task_name: String,
    /// Planned length, s; absent when it ends only by being stopped.
    pub planned_duration_s: Option<f64>,
    /// Measure impedances before recording.
    pub impedance_at_start: bool,
    /// Measure them again after recording.
    pub impedance_at_end: bool,
    /// Run the device's calibration before recording.
    pub calibration: bool,
    /// Good at or below, kΩ.
    pub impedance_good_kohm: f64,
    /// Acceptable at or below, kΩ.
    pub impedance_acceptable_kohm: f64,
    /// Coded annotations.
    #[serde(default)]
    pub annotations: Vec<AnnotationKey>,
}

/// Why a protocol cannot be used.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// Not there.
    #[error("there is no protocol '{0}'; there are: {1}")]
    Unknown(String, String),
    /// Too large to be one.
    #[error("a protocol file may have at most {MAX_PROTOCOL_BYTES} bytes")]
    TooLarge,
    /// Not readable.
    #[error("the protocol cannot be read")]
    Syntax(#[source] toml::de::Error),
    /// Made for a later program.
    #[error("the protocol has format {0}, this program reads format {FORMAT}")]
    Format(u32),
    /// A value makes no sense.
    #[error("the protocol's '{0}' makes no sense")]
    Value(&'static str),
}

impl Protocol {
    /// Reads a protocol file.
    ///
    /// # Errors
    /// Too large, wrong syntax or format, impossible values.
    pub fn parse(text: &str) -> Result<Self, ProtocolError> {
        if text.len() > MAX_PROTOCOL_BYTES {
            return Err(ProtocolError::TooLarge);
        }
        let protocol: Self = toml::from_str(text).map_err(ProtocolError::Syntax)?;
        if protocol.format != FORMAT {
            return Err(ProtocolError::Format(protocol.format));
        }
        let duration_fits = |s: f64| s.is_finite() && s > 0.0 && s <= 365.0 * 86_400.0;
        if !protocol.planned_duration_s.is_none_or(duration_fits) {
            return Err(ProtocolError::Value("planned_duration_s"));
        }
        let (good, acceptable) = (
            protocol.impedance_good_kohm,
            protocol.impedance_acceptable_kohm,
        );
        if !(good > 0.0 && acceptable >= good && acceptable.is_finite()) {
            return Err(ProtocolError::Value("impedance_acceptable_kohm"));
        }
        Ok(protocol)
    }

    /// The protocols that ship with the program.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        SHIPPED
            .iter()
            .filter_map(|text| Self::parse(text).ok())
            .collect()
    }

    /// The shipped protocol called `id`.
    ///
    /// # Errors
    /// [`ProtocolError::Unknown`], which names those there are.
    pub fn find(id: &str) -> Result<Self, ProtocolError> {
        let all = Self::shipped();
        let names = all
            .iter()
            .map(|p| p.id.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        all.into_iter()
            .find(|protocol| protocol.id == id)
            .ok_or_else(|| ProtocolError::Unknown(id.to_owned(), names))
    }

    /// Planned length.
    #[must_use]
    pub fn planned_duration(&self) -> Option<Duration> {
        self.planned_duration_s.map(Duration::from_secs_f64)
    }

    /// Impedance limits, with the default bridge limit.
    #[must_use]
    pub fn impedance_limits(&self) -> ImpedanceLimits {
        ImpedanceLimits {
            good_kohm: self.impedance_good_kohm,
            acceptable_kohm: self.impedance_acceptable_kohm,
            ..ImpedanceLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_protocol_reads() {
        let ids: Vec<_> = Protocol::shipped().into_iter().map(|p| p.id).collect();
        assert_eq!(ids, ["routine-eeg", "free-recording"]);
        for protocol in Protocol::shipped() {
            let mut codes: Vec<_> = protocol.annotations.iter().map(|a| &a.code).collect();
            codes.sort();
            codes.dedup();
            assert_eq!(
                codes.len(),
                protocol.annotations.len(),
                "{}: codes repeat",
                protocol.id
            );
        }
    }

    #[test]
    fn nonsense_is_named() {
        let text = SHIPPED[0].replace("planned_duration_s = 1200", "planned_duration_s = -1");
        assert!(matches!(
            Protocol::parse(&text),
            Err(ProtocolError::Value("planned_duration_s"))
        ));
        let text = SHIPPED[0].replace("format = 1", "format = 2");
        assert!(matches!(
            Protocol::parse(&text),
            Err(ProtocolError::Format(2))
        ));
        assert!(matches!(
            Protocol::find("none"),
            Err(ProtocolError::Unknown(..))
        ));
    }
}
