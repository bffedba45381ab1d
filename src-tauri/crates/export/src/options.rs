//! What the caller may choose.

use crate::ExportError;
use crate::limits::{AGE_GROUPED_ABOVE, BASE_NAME_CHARS};
use std::fmt;

/// Sample width of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// EDF+ where 16 bits hold the values, BDF+ otherwise.
    #[default]
    Auto,
    /// BDF+ throughout; 16-bit values are widened unchanged.
    Bdf,
}

/// What becomes of gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Continuity {
    /// One continuous file for each unbroken run, and a table of the gaps.
    #[default]
    FilePerRun,
    /// One discontinuous file (EDF+D, BDF+D); common readers take it for continuous.
    Discontinuous,
}

/// Sex as EDF+ writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sex {
    /// `F`.
    Female,
    /// `M`.
    Male,
    /// `X`: not known or not stated.
    #[default]
    Unknown,
}

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CalendarDate {
    /// Year, four digits.
    pub year: i32,
    /// Month, 1–12.
    pub month: u8,
    /// Day, 1–31.
    pub day: u8,
}

impl fmt::Debug for CalendarDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CalendarDate(redacted)")
    }
}

/// Who the recording is of, for an identified export. Empty texts are written as `X`.
#[derive(Clone, Default)]
pub struct Identity {
    /// The hospital's code of the patient.
    pub patient_code: String,
    /// Sex.
    pub sex: Sex,
    /// Date of birth.
    pub birthdate: Option<CalendarDate>,
    /// Name, as the hospital writes it.
    pub name: String,
    /// The hospital's code of the investigation.
    pub administration_code: String,
    /// Who recorded.
    pub technician: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(redacted)")
    }
}

/// How a recording is stripped of its patient.
#[derive(Debug, Clone)]
pub struct Deidentification {
    /// Code of the subject in the study.
    pub subject_code: String,
    /// Days taken from every date in the sidecars; the caller chooses one number per subject.
    pub date_shift_days: u32,
    /// Age at the recording, years; above 89 only the group is written.
    pub age_years: Option<u32>,
    /// Whether a person has read the free-text annotations and found no one named in them.
    pub annotations_reviewed: bool,
}

impl Deidentification {
    /// The age as it may be written: a number, or '90+'.
    #[must_use]
    pub fn age_text(&self) -> Option<String> {
        self.age_years.map(|age| {
            if age > AGE_GROUPED_ABOVE {
                format!("{}+", AGE_GROUPED_ABOVE + 1)
            } else {
                age.to_string()
            }
        })
    }
}

/// Whether the files name the patient.
#[derive(Debug, Clone)]
pub enum Privacy {
    /// They do not. What every export should be unless a person asks otherwise.
    Deidentified(Deidentification),
    /// They do. The caller records in the ledger that they do.
    Identified(Identity),
}

/// Everything an export needs to be told.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Start of every file name: letters, digits, `-` and `_`; never a patient's name or number.
    pub base_name: String,
    /// Whether the files name the patient.
    pub privacy: Privacy,
    /// Sample width.
    pub format: Format,
    /// What becomes of gaps.
    pub continuity: Continuity,
    /// Whether files of the same name may be replaced.
    pub overwrite: bool,
    /// Program and version, for the sidecar ('NeuraScale Workstation 0.1.0').
    pub software: String,
}

impl ExportOptions {
    /// The defaults, de-identified under `subject_code`.
    #[must_use]
    pub fn deidentified(base_name: &str, subject_code: &str, date_shift_days: u32) -> Self {
        Self {
            base_name: base_name.to_owned(),
            privacy: Privacy::Deidentified(Deidentification {
                subject_code: subject_code.to_owned(),
                date_shift_days,
                age_years: None,
                annotations_reviewed: false,
            }),
            format: Format::Auto,
            continuity: Continuity::FilePerRun,
            overwrite: false,
            software: concat!("NeuraScale Workstation ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The defaults, naming the patient.
    #[must_use]
    pub fn identified(base_name: &str, identity: Identity) -> Self {
        Self {
            privacy: Privacy::Identified(identity),
            ..Self::deidentified(base_name, "X", 0)
        }
    }

    pub(crate) fn deidentification(&self) -> Option<&Deidentification> {
        match &self.privacy {
            Privacy::Deidentified(how) => Some(how),
            Privacy::Identified(_) => None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ExportError> {
        let name = &self.base_name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > BASE_NAME_CHARS || !name.chars().all(plain) {
            return Err(ExportError::Option {
                option: "base_name",
                reason: format!("must be 1 to {BASE_NAME_CHARS} letters, digits, '-' or '_'"),
            });
        }
        if let Privacy::Deidentified(how) = &self.privacy
            && how.subject_code.trim().is_empty()
        {
            return Err(ExportError::Option {
                option: "subject_code",
                reason: "must not be empty in a de-identified export".to_owned(),
            });
        }
        Ok(())
    }
}

/// How far an export has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Samples written, over all channels.
    pub samples: u64,
    /// Samples in all.
    pub total: u64,
}
