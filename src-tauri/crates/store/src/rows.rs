//! What the store keeps, as plain rows. Ids are opaque; what names a person appears in no `Debug`.

use std::fmt;

use events::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// An order.
    OrderId,
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
        /// What was added to a signed report.
        Addendum = "addendum",
        /// The timing certificate of this machine.
        Certificate = "certificate",
    }

    /// Where an order stands.
    OrderState {
        /// To be carried out.
        Open = "open",
        /// A session carries it out.
        Begun = "begun",
        /// Taken back.
        Cancelled = "cancelled",
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
#[derive(Clone, PartialEq, Debug)]
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
    /// What its owner planned, as JSON.
    pub plan: Option<Value>,
    /// How long it recorded, gaps included, s; `None` while it has not ended.
    pub recorded_s: Option<f64>,
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

/// An export, a report, or another document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentRow {
    /// Id.
    pub id: DocumentId,
    /// Which.
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

/// A session that was ordered. Its note may name the patient.
#[derive(Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// Id.
    pub id: OrderId,
    /// Whom for.
    pub patient_id: PatientId,
    /// Name of the protocol.
    pub protocol: String,
    /// When it is planned for.
    pub planned_at: Timestamp,
    /// The zone's offset then, seconds east of UTC.
    pub zone_s: i32,
    /// Note.
    pub note: String,
    /// Where it stands.
    pub state: OrderState,
    /// The session that carries it out.
    pub session_id: Option<SessionId>,
    /// Who ordered it.
    pub by_user_id: Option<UserId>,
    /// When entered.
    pub created_at: Timestamp,
}

impl fmt::Debug for OrderRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderRow")
            .field("id", &self.id)
            .field("patient_id", &self.patient_id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What a clinician wrote and has not signed.
#[derive(Clone, PartialEq, Eq)]
pub struct DraftRow {
    /// Session it belongs to.
    pub session_id: SessionId,
    /// Impression.
    pub impression: String,
    /// Conclusion.
    pub conclusion: String,
    /// Who wrote it.
    pub by_user_id: Option<UserId>,
    /// When.
    pub updated_at: Timestamp,
}

impl fmt::Debug for DraftRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DraftRow")
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

/// A signature under a report or an addendum.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureRow {
    /// Session whose report it is.
    pub session_id: SessionId,
    /// 0 signs the report, each further one an addendum.
    pub number: u32,
    /// What was signed.
    pub document_id: DocumentId,
    /// Text of the addendum; `None` for the report.
    pub addendum: Option<String>,
    /// Who.
    pub by_user_id: UserId,
    /// The name shown then.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// When.
    pub at: Timestamp,
    /// The zone's offset then, seconds east of UTC.
    pub zone_s: i32,
    /// SHA-256 of the document, hexadecimal.
    pub document_sha256: String,
    /// SHA-256 over the recording's segment hashes, hexadecimal.
    pub recording_sha256: String,
    /// The event that tells of it.
    pub event_id: Uuid,
}

impl fmt::Debug for SignatureRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureRow")
            .field("session_id", &self.session_id)
            .field("number", &self.number)
            .field("by_user_id", &self.by_user_id)
            .finish_non_exhaustive()
    }
}

/// Somebody who came in by break-glass.
#[derive(Clone, PartialEq, Eq)]
pub struct BreakGlassRow {
    /// Id; stands for the person wherever a user's id would.
    pub id: UserId,
    /// Who.
    pub name: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// When it ended by itself.
    pub expires_at: Timestamp,
}

impl fmt::Debug for BreakGlassRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakGlassRow")
            .field("id", &self.id)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}
