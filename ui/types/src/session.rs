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
    /// The order that this session carries out.
    #[serde(default)]
    pub order: Option<String>,
}
call!(SessionStart, "session.start", SessionStartReply);

/// The new session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStartReply {
    /// Opaque id.
    pub id: String,
    /// What a person must be told at once: that it is recorded without the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
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
    /// 'validate', 'prepare', 'collect', 'conclude' (impedances at the end), 'analyse', 'report',
    /// 'export'.
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
    /// Quality of each channel over the last second judged, while it records.
    #[serde(default)]
    pub quality: Vec<ChannelQuality>,
    /// Newest impedance of each electrode; reference and ground included.
    #[serde(default)]
    pub impedances: Vec<crate::ImpedanceView>,
    /// Alerts, newest first, at most the last 100. They are no alarms in the sense of IEC 60601-1-8.
    #[serde(default)]
    pub alerts: Vec<AlertView>,
    /// Why alerts are muted and the patient is off the device ('ct'); `None` when they are not.
    #[serde(default)]
    pub paused: Option<String>,
    /// What the calibration found; empty before it was done.
    #[serde(default)]
    pub calibration: String,
    /// Whether the report is signed.
    #[serde(default)]
    pub signed: bool,
}

/// Quality of one channel over one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelQuality {
    /// Stream's index.
    pub stream: u16,
    /// Channel's label.
    pub label: String,
    /// 'good', 'poor' (still the patient's signal), 'unusable', 'stale' (nothing arrives).
    pub grade: String,
    /// What was found: 'flat', 'railed', 'mains', 'muscle', 'electrode_pop', 'excessive', 'gap'.
    pub findings: Vec<String>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertView {
    /// RFC 3339.
    pub at: String,
    /// Channel's label; `None` when it concerns the whole session.
    pub channel: Option<String>,
    /// 'flat', 'railed', 'no_data', 'disk_low', …
    pub issue: String,
    /// 'info', 'warning' or 'critical'.
    pub severity: String,
    /// What happened and what to do.
    pub text: String,
    /// Whether it still holds.
    pub active: bool,
}

/// Measures the impedances of a running session: after a repair, or at any time. The interval is
/// annotated and not analysed. Progress carries each electrode as it is measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionImpedance {
    /// Opaque id.
    pub id: String,
}
call!(SessionImpedance, "session.impedance", SessionImpedanceReply);

/// Impedances measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionImpedanceReply {
    /// Every electrode, reference and ground included.
    pub impedances: Vec<crate::ImpedanceView>,
}

/// The patient is taken off the device, or is back; alerts are muted meanwhile, and the same
/// recording goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionPause {
    /// Opaque id.
    pub id: String,
    /// Why ('ct'); `None` when the patient is back.
    pub reason: Option<String>,
}
call!(SessionPause, "session.pause", Nothing);

/// An electrode turned out to sit elsewhere: its channel has another name from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRelabel {
    /// Opaque id.
    pub id: String,
    /// Label as it was.
    pub from: String,
    /// Label from now on.
    pub to: String,
}
call!(SessionRelabel, "session.relabel", Nothing);

/// Lists session protocols.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ProtocolList {}
call!(ProtocolList, "protocol.list", ProtocolListReply);

/// Session protocols.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProtocolListReply {
    /// The first is the default.
    pub protocols: Vec<ProtocolView>,
}

/// A session protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProtocolView {
    /// Id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Planned length, s.
    pub planned_duration_s: Option<f64>,
    /// Whether impedances are measured first.
    pub impedance_at_start: bool,
    /// Whether the device is calibrated first.
    pub calibration: bool,
    /// Good at or below, kΩ.
    pub impedance_good_kohm: f64,
    /// Acceptable at or below, kΩ.
    pub impedance_acceptable_kohm: f64,
    /// Coded annotations with their hot keys.
    pub annotations: Vec<AnnotationKeyView>,
    /// What is done with the patient, in order (eyes open, hyperventilation, …).
    pub activations: Vec<ActivationView>,
}

/// A coded annotation and its hot key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationKeyView {
    /// Code.
    pub code: String,
    /// Text for people.
    pub text: String,
    /// Hot key ('F5').
    pub key: String,
}

/// Something done with the patient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActivationView {
    /// Id ('hyperventilation').
    pub id: String,
    /// Title.
    pub title: String,
    /// Code of the annotation that begins it.
    pub begin_code: String,
    /// Code of the annotation that ends it.
    pub end_code: String,
    /// How long, s; `None` when it ends only by being ended.
    pub duration_s: Option<f64>,
    /// Recording goes on for at least so long afterwards, s.
    pub after_s: f64,
    /// To be gone through before: contraindications.
    pub check_list: Vec<String>,
    /// To be stated with it ('effort: good, fair, poor').
    pub questions: Vec<QuestionView>,
}

/// Something to be stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionView {
    /// What ('effort').
    pub name: String,
    /// Title.
    pub title: String,
    /// Answers; free text when there are none.
    pub answers: Vec<String>,
}
