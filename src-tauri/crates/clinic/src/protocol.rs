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

/// Something to be stated with an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What ('effort').
    pub name: String,
    /// Title for people.
    pub title: String,
    /// Answers; free text when there are none.
    #[serde(default)]
    pub answers: Vec<String>,
}

/// Something done with the patient. The order in the protocol is the usual one; nobody is held to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// Id ('hyperventilation').
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Code of the annotation that begins it.
    pub begin_code: String,
    /// Code of the annotation that ends it.
    pub end_code: String,
    /// How long, s; absent when it ends only by being ended.
    pub duration_s: Option<f64>,
    /// Recording goes on for at least so long afterwards, s.
    pub after_s: f64,
    /// To be gone through before.
    #[serde(default)]
    pub check_list: Vec<String>,
    /// To be stated with it.
    #[serde(default)]
    pub questions: Vec<Question>,
}

impl Activation {
    fn makes_sense(&self) -> bool {
        let seconds = |s: f64| s.is_finite() && (0.0..=86_400.0).contains(&s);
        let named = [&self.id, &self.title, &self.begin_code, &self.end_code];
        named.iter().all(|text| !text.is_empty())
            && self.begin_code != self.end_code
            && seconds(self.after_s)
            && self.duration_s.is_none_or(|s| seconds(s) && s > 0.0)
    }
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
    /// What is done with the patient.
    #[serde(default)]
    pub activations: Vec<Activation>,
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
        if !protocol.activations.iter().all(Activation::makes_sense) {
            return Err(ProtocolError::Value("activations"));
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

    /// ACNS guideline 1: three minutes, and one more afterwards, with the effort stated.
    #[test]
    fn routine_eeg_activates_as_the_guideline_says() {
        let protocol = Protocol::find("routine-eeg").unwrap();
        let of = |id: &str| protocol.activations.iter().find(|a| a.id == id).unwrap();
        let hyperventilation = of("hyperventilation");
        assert_eq!(hyperventilation.duration_s, Some(180.0));
        assert!(hyperventilation.after_s >= 60.0);
        assert!(hyperventilation.check_list.len() >= 4);
        assert_eq!(hyperventilation.questions[0].name, "effort");
        let photic = of("photic_stimulation");
        let names: Vec<_> = photic.questions.iter().map(|q| q.name.as_str()).collect();
        assert_eq!(names, ["frequency_hz", "eyes", "trigger_channel"]);
        for id in ["eyes_open", "eyes_closed"] {
            let codes: Vec<_> = protocol.annotations.iter().map(|a| &a.code).collect();
            assert!(codes.contains(&&of(id).begin_code) && codes.contains(&&of(id).end_code));
        }
        let mut keys: Vec<_> = protocol.annotations.iter().map(|a| &a.key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), protocol.annotations.len(), "hot keys repeat");
    }

    #[test]
    fn nonsense_is_named() {
        let text = SHIPPED[0].replace("planned_duration_s = 1200", "planned_duration_s = -1");
        assert!(matches!(
            Protocol::parse(&text),
            Err(ProtocolError::Value("planned_duration_s"))
        ));
        let text = SHIPPED[0].replace("after_s = 60", "after_s = -60");
        assert!(matches!(
            Protocol::parse(&text),
            Err(ProtocolError::Value("activations"))
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
