//! Patients and their consent.

use crate::Nothing;
use crate::call::call;
use serde::{Deserialize, Serialize};

/// Sex as EDF+ and the report write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// F.
    Female,
    /// M.
    Male,
    /// X: unknown or not stated.
    Unknown,
}

/// State of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentState {
    /// Nobody has asked yet.
    Missing,
    /// Given.
    Granted,
    /// Refused.
    Refused,
    /// Given once and taken back.
    Withdrawn,
}

/// Registers a patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientRegister {
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// YYYY-MM-DD; empty when unknown.
    pub birth_date: String,
    /// Sex.
    pub sex: Sex,
    /// The hospital's number for the patient; empty when there is none yet.
    pub hospital_number: String,
    /// Whether this is a training patient, to whom simulated data may attach.
    pub training: bool,
}
call!(PatientRegister, "patient.register", PatientRegisterReply);

/// Identity of the new patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientRegisterReply {
    /// Opaque id.
    pub id: String,
}

/// Lists patients whose name or number contains `search`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PatientList {
    /// Part of a name or number; empty lists all.
    pub search: String,
}
call!(PatientList, "patient.list", PatientListReply);

/// Patients found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientListReply {
    /// In order of family name.
    pub patients: Vec<PatientView>,
}

/// Shows one patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientShow {
    /// Opaque id.
    pub id: String,
}
call!(PatientShow, "patient.show", PatientView);

/// A patient as shown to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientView {
    /// Opaque id.
    pub id: String,
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// YYYY-MM-DD or empty.
    pub birth_date: String,
    /// Sex.
    pub sex: Sex,
    /// The hospital's number.
    pub hospital_number: String,
    /// Training patient.
    pub training: bool,
    /// Temporary identity of a session that was started at once, to be reassigned.
    pub temporary: bool,
    /// Consent to recording.
    pub consent: ConsentState,
    /// When the consent was noted, RFC 3339; `None` when it is missing.
    #[serde(default)]
    pub consent_at: Option<String>,
}

/// Corrects a patient's identity. Whether it is a training patient never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientEdit {
    /// Opaque id.
    pub id: String,
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// YYYY-MM-DD; empty when unknown.
    pub birth_date: String,
    /// Sex.
    pub sex: Sex,
    /// The hospital's number; empty when there is none yet.
    pub hospital_number: String,
}
call!(PatientEdit, "patient.edit", PatientView);

/// Notes a patient's consent to recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatientConsent {
    /// Opaque id.
    pub id: String,
    /// The new state.
    pub state: ConsentState,
}
call!(PatientConsent, "patient.consent", Nothing);
