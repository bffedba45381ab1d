//! What the store keeps, as plain rows. Ids are opaque; what names a person appears in no `Debug`.

use std::fmt;

use events::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )* };
}

ids! {
    /// A patient.
    PatientId,
    /// A consent.
    ConsentId,
    /// A session.
    SessionId,
    /// A recording.
    RecordingId,
    /// An export or report.
    DocumentId,
    /// A user of the program.
    UserId,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$word_doc])* $word,)* }

        impl $name {
            /// As stored.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }

            /// From what is stored.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$word),)* _ => None }
            }
        }
    )* };
}

words! {
    /// Sex as EDF+ and the report write it.
    Sex {
        /// F.
        Female = "female",
        /// M.
        Male = "male",
        /// X.
        Unknown = "unknown",
    }

    /// Consent to recording.
    ConsentState {
        /// Nobody has asked.
        Missing = "missing",
        /// Given.
        Granted = "granted",
        /// Refused.
        Refused = "refused",
        /// Taken back.
        Withdrawn = "withdrawn",
    }

    /// What a person may do.
    Role {
        /// Records, reads, signs.
        Clinician = "clinician",
        /// Records and marks.
        Technician = "technician",
        /// Finds and exports de-identified recordings.
        Researcher = "researcher",
        /// Manages users and policies.
        Administrator = "administrator",
    }

    /// What a document is.
    DocumentKind {
        /// A recording in another program's format.
        Export = "export",
        /// A clinical report.
        Report = "report",
    }
}

/// A patient.
#[derive(Clone, PartialEq, Eq)]
pub struct PatientRow {
    /// Id.
    pub id: PatientId,
    /// Family name.
    pub family_name: String,
    /// Given name.
    pub given_name: String,
    /// Date of birth, YYYY-MM-DD.
    pub birth_date: Option<String>,
    /// Sex.
    pub sex: Sex,
    /// The hospital's number; no two patients share one.
    pub hospital_number: Option<String>,
    /// A training patient.
    pub training: bool,
    /// Identity to be corrected later.
    pub temporary: bool,
    /// When entered.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

impl fmt::Debug for PatientRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PatientRow")
            .field("id", &self.id)
            .field("training", &self.training)
            .field("temporary", &self.temporary)
            .finish_non_exhaustive()
    }
}

/// A patient's word on being recorded; the latest counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConsentRow {
    /// Id.
    pub id: ConsentId,
    /// Whose.
    pub patient_id: PatientId,
    /// What.
    pub state: ConsentState,
    /// Who noted it.
    pub by_user_id: Option<UserId>,
    /// When.
    pub at: Timestamp,
}

/// A session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionRow {
    /// Id.
    pub id: SessionId,
    /// Whose, as of now.
    pub patient_id: PatientId,
    /// Name of the protocol.
    pub protocol: String,
    /// Where it stands (a word of the clinic room).
    pub state: String,
    /// Its recording.
    pub recording_id: Option<RecordingId>,
    /// Its device.
    pub device_id: Option<String>,
    /// Simulated or played-back data.
    pub training: bool,
    /// Begun by 'start now'.
    pub start_now: bool,
    /// Who began it.
    pub by_user_id: Option<UserId>,
    /// Begin.
    pub started_at: Timestamp,
    /// End.
    pub ended_at: Option<Timestamp>,
}

/// That a session was given to another patient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReassignmentRow {
    /// Which session.
    pub session_id: SessionId,
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub from_patient_id: PatientId,
    /// To whom.
    pub to_patient_id: PatientId,
    /// A code that says why.
    pub reason_code: String,
    /// Who decided.
    pub by_user_id: Option<UserId>,
}

/// A recording folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingRow {
    /// Id.
    pub id: RecordingId,
    /// Its session.
    pub session_id: Option<SessionId>,
    /// Folder, relative to the data folder.
    pub folder: String,
    /// Where its wrapped key lies.
    pub wrapped_key: String,
    /// Begin.
    pub started_at: Timestamp,
    /// End.
    pub ended_at: Option<Timestamp>,
}

/// An export or a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentRow {
    /// Id.
    pub id: DocumentId,
    /// Which of the two.
    pub kind: DocumentKind,
    /// Session it belongs to.
    pub session_id: Option<SessionId>,
    /// Recording it was made from.
    pub recording_id: Option<RecordingId>,
    /// File format.
    pub format: String,
    /// It names the patient.
    pub identified: bool,
    /// Where it lies.
    pub path: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// Who asked for it.
    pub by_user_id: Option<UserId>,
    /// When made.
    pub created_at: Timestamp,
}

/// A user of the program. The password's hash stays in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Id.
    pub id: UserId,
    /// Name to sign in with.
    pub login: String,
    /// Name to show.
    pub display_name: String,
    /// What the user may do.
    pub role: Role,
    /// May not sign in.
    pub disabled: bool,
    /// When entered.
    pub created_at: Timestamp,
}

impl fmt::Debug for UserRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRow")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}
