//! The worklist: who is to be recorded today, and where every session stands.

use crate::call::call;
use crate::{Nothing, PatientView};
use serde::{Deserialize, Serialize};

/// Reads the worklist of a day.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Worklist {
    /// YYYY-MM-DD in the station's zone; today when absent.
    pub date: Option<String>,
    /// Part of a name or number; empty shows all of the day, otherwise every patient that matches,
    /// whatever the day.
    #[serde(default)]
    pub search: String,
}
call!(Worklist, "worklist", WorklistReply);

/// The worklist.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorklistReply {
    /// The day shown, YYYY-MM-DD.
    pub date: String,
    /// Running and interrupted first, then planned, to sign, and done.
    pub rows: Vec<WorklistRow>,
}

/// Where an item of the worklist stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorklistState {
    /// Records or is being reported.
    Running,
    /// Was interrupted; can be resumed.
    Interrupted,
    /// Ordered, not begun.
    Planned,
    /// Recorded and reported, not signed.
    ToSign,
    /// Signed.
    Signed,
    /// Could not be done.
    Failed,
    /// A patient found by a search, with nothing on this day.
    None,
}

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorklistRow {
    /// Whom for.
    pub patient: PatientView,
    /// Where it stands.
    pub state: WorklistState,
    /// Protocol's id.
    pub protocol: String,
    /// Protocol's title.
    pub protocol_title: String,
    /// Begin, or when it is planned for; RFC 3339 with the zone's offset. Empty for `none`.
    pub time: String,
    /// Opaque id of the session, once it has begun.
    pub session: Option<String>,
    /// Opaque id of the order, while it is planned.
    pub order: Option<String>,
    /// Note of the order.
    pub note: String,
    /// Recorded so far, s.
    pub recorded_s: f64,
}

/// Orders a session for a patient.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderAdd {
    /// Patient's opaque id.
    pub patient: String,
    /// Protocol's id.
    pub protocol: String,
    /// When, RFC 3339.
    pub time: String,
    /// Note; encrypted in the store with the patient.
    pub note: String,
}
call!(OrderAdd, "order.add", OrderAddReply);

/// The order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderAddReply {
    /// Opaque id.
    pub id: String,
}

/// Takes an order back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OrderCancel {
    /// Opaque id.
    pub id: String,
}
call!(OrderCancel, "order.cancel", Nothing);
