//! Sessions: starting, watching, marking, stopping, correcting.

use crate::call::call;
use crate::{GapView, Nothing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whom a session is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatientChoice {
    /// A registered patient.
    Id(String),
    /// The standing training patient, made when first asked for.
    Training,
    /// A temporary identity, corrected later by `session reassign`.
    Temporary,
}

/// Starts a session and returns as soon as its workflow is durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStart {
    /// Whom for.
    pub patient: PatientChoice,
    /// `driver:address`.
    pub device: String,
    /// Driver's settings by name.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Protocol's id ('routine-eeg').
    pub protocol: String,
    /// Planned length of the collection, s; the protocol's plan when absent.
    pub duration_s: Option<f64>,
    /// Record until it is stopped, whatever the protocol plans.
    #[serde(default)]
    pub unlimited: bool,
    /// Record at once: impedance check and calibration are left for later and noted.
    #[serde(default)]
    pub start_now: bool,
    /// Export when the report is done.
    #[serde(default)]
    pub export: Option<crate::ExportFormat>,
}
call!(SessionStart, "session.start", SessionStartReply);

/// The new session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStartReply {
    /// Opaque id.
    pub id: String,
}

/// Ends the collection; analysis and report follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStop {
    /// Opaque id.
    pub id: String,
}
call!(SessionStop, "session.stop", Nothing);

/// Goes on with a session that was interrupted and could not go on by itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionResume {
    /// Opaque id.
    pub id: String,
}
call!(SessionResume, "session.resume", Nothing);

/// Gives a session to another patient; the record is not touched.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionReassign {
    /// Opaque id.
    pub id: String,
    /// The right patient.
    pub patient: String,
    /// Why.
    pub reason: String,
}
call!(SessionReassign, "session.reassign", Nothing);

/// Marks something in a running session, stamped when the engine receives it unless `onset_utc_ns`
/// says when the key went down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionAnnotate {
    /// Opaque id.
    pub id: String,
    /// Description.
    pub text: String,
    /// Code from the protocol.
    pub code: Option<String>,
    /// Nanoseconds since 1970, UTC.
    pub onset_utc_ns: Option<i64>,
}
call!(SessionAnnotate, "session.annotate", SessionAnnotateReply);

/// The new annotation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionAnnotateReply {
    /// Number within the recording.
    pub annotation: u64,
}

/// Ends what acts on the patient, in every running session or in one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EmergencyStop {
    /// One session; `None` means all.
    pub id: Option<String>,
}
call!(EmergencyStop, "session.emergency_stop", EmergencyStopReply);

/// What the emergency stop reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EmergencyStopReply {
    /// Devices told.
    pub devices: u32,
    /// Devices that could not be told: pull their plug.
    pub failed: Vec<String>,
    /// How long it took until the last device was told, ms.
    pub took_ms: f64,
}

/// Lists sessions, newest first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionList {}
call!(SessionList, "session.list", SessionListReply);

/// Sessions found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionListReply {
    /// Newest first.
    pub sessions: Vec<SessionView>,
}

/// Shows one session, live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionShow {
    /// Opaque id.
    pub id: String,
}
call!(SessionShow, "session.show", SessionView);

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Under way.
    Running,
    /// The engine stopped in the middle, or the device is gone; `session resume` goes on.
    Interrupted,
    /// Recording and report are done.
    Completed,
    /// It could not be done; the steps say why. What was recorded stays.
    Failed,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Left out, and noted.
    Skipped,
    /// Failed.
    Failed,
}

/// One step of the workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// 'validate', 'prepare', 'collect', 'analyse', 'report', 'export'.
    pub name: String,
    /// Where it stands.
    pub state: StepState,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// How one stream is coming along.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamProgress {
    /// Name.
    pub name: String,
    /// Samples per channel so far.
    pub samples: u64,
    /// Rate found by the fitted clock, Hz.
    pub rate_hz: Option<f64>,
    /// Drift of the device's clock, parts per million.
    pub drift_ppm: Option<f64>,
    /// Gaps so far.
    pub gaps: u64,
}

/// A session as shown to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionView {
    /// Opaque id.
    pub id: String,
    /// Patient's opaque id.
    pub patient: String,
    /// State.
    pub state: SessionState,
    /// Protocol's id.
    pub protocol: String,
    /// Device's id.
    pub device: String,
    /// 'live', 'simulated' or 'playback'.
    pub provenance: String,
    /// Start, RFC 3339 with the zone's offset.
    pub started: String,
    /// Planned length, s.
    pub duration_s: Option<f64>,
    /// Recorded so far, s.
    pub recorded_s: f64,
    /// Steps in order.
    pub steps: Vec<StepView>,
    /// Streams of the recording.
    pub streams: Vec<StreamProgress>,
    /// Gaps of the recording, newest last, at most the last 100.
    pub gaps: Vec<GapView>,
    /// Opaque id of the recording.
    pub recording: Option<String>,
    /// Folder of the recording.
    pub recording_path: Option<String>,
    /// Opaque id of the report.
    pub report: Option<String>,
    /// Sealed report's file.
    pub report_path: Option<String>,
    /// Exported files.
    pub exports: Vec<String>,
    /// Hours the disk lasts at the present rate.
    pub disk_hours_left: Option<f64>,
    /// Up to when everything is safe on the disk, RFC 3339, while it records.
    #[serde(default)]
    pub stored_until: Option<String>,
}
