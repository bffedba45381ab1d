//! Recordings, exports and reports.

use crate::call::call;
use serde::{Deserialize, Serialize};

/// Shows a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingShow {
    /// Opaque id of the recording, or of its session.
    pub id: String,
}
call!(RecordingShow, "recording.show", RecordingShowReply);

/// A recording as shown to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingShowReply {
    /// Opaque id.
    pub id: String,
    /// Folder.
    pub path: String,
    /// 'live', 'simulated' or 'playback'.
    pub provenance: String,
    /// RFC 3339 with the zone's offset.
    pub started: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Streams.
    pub streams: Vec<RecordingStreamView>,
    /// Gaps of all streams in order of time.
    pub gaps: Vec<GapView>,
    /// Annotations in order of time; those superseded are left out.
    pub annotations: Vec<AnnotationView>,
}

/// A recorded stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingStreamView {
    /// Name.
    pub name: String,
    /// Channels' labels.
    pub channels: Vec<String>,
    /// Nominal rate, Hz.
    pub rate_hz: Option<f64>,
    /// 'i16', 'i24', …
    pub sample_type: String,
    /// Samples per channel.
    pub samples: u64,
    /// Closed segments.
    pub segments: u64,
}

/// A gap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapView {
    /// Stream's name.
    pub stream: String,
    /// When the first missing sample was due, RFC 3339.
    pub from: String,
    /// How long, s.
    pub duration_s: f64,
    /// What is known of the number missing.
    pub missing: String,
    /// Why.
    pub cause: String,
}

/// An annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnnotationView {
    /// Number within the recording.
    pub id: u64,
    /// When, RFC 3339.
    pub onset: String,
    /// How long, s.
    pub duration_s: Option<f64>,
    /// Description.
    pub text: String,
    /// Code.
    pub code: Option<String>,
    /// Who made it.
    pub origin: String,
    /// When, ns since 1970 UTC.
    #[serde(default)]
    pub onset_utc_ns: i64,
}

/// Checks every byte of a recording, and its segments against the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingVerify {
    /// Opaque id of the recording, or of its session.
    pub id: String,
}
call!(RecordingVerify, "recording.verify", RecordingVerifyReply);

/// What the check found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingVerifyReply {
    /// Opaque id.
    pub id: String,
    /// Whether everything holds.
    pub sound: bool,
    /// Segments checked.
    pub segments: u64,
    /// Frames checked.
    pub frames: u64,
    /// Segments whose hash stands in the ledger.
    pub in_ledger: u64,
    /// What does not hold, first the earliest.
    pub problems: Vec<String>,
}

/// Makes a damaged recording usable: sets torn tails aside and rebuilds the overview.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingRepair {
    /// Opaque id of the recording, or of its session.
    pub id: String,
}
call!(RecordingRepair, "recording.repair", RecordingRepairReply);

/// What was repaired.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordingRepairReply {
    /// One sentence each; empty when nothing needed it.
    pub done: Vec<String>,
}

/// Formats of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// EDF+C, one file per unbroken run (BDF+ where 16 bits cannot hold the values).
    Edf,
    /// One discontinuous EDF+D file; common readers take it for continuous.
    EdfDiscontinuous,
}

/// Exports a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportCreate {
    /// Opaque id of the recording, or of its session.
    pub id: String,
    /// Format.
    pub format: ExportFormat,
    /// Folder to write to; the engine's exports folder when absent.
    pub folder: Option<String>,
    /// With the patient's identity. De-identified otherwise.
    #[serde(default)]
    pub identified: bool,
    /// Subject code of a de-identified export; made from the recording's id when absent.
    pub subject: Option<String>,
    /// Keep free-text annotations, which someone has read for identifiers.
    #[serde(default)]
    pub annotations_reviewed: bool,
}
call!(ExportCreate, "export.create", ExportCreateReply);

/// One exported file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportFile {
    /// Path.
    pub path: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub bytes: u64,
}

/// What was exported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportCreateReply {
    /// Folder.
    pub folder: String,
    /// Files.
    pub files: Vec<ExportFile>,
    /// What a person should know (rounding, annotations left out, gaps).
    pub warnings: Vec<String>,
}

/// Makes a session's report anew, or writes the sealed one out as a document that a person asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportCreate {
    /// Opaque id of the session.
    pub id: String,
    /// Write the PDF here; `None` leaves it sealed.
    pub pdf: Option<String>,
    /// Write the HTML here; `None` leaves it sealed.
    pub html: Option<String>,
}
call!(ReportCreate, "report.create", ReportCreateReply);

/// The report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportCreateReply {
    /// Opaque id.
    pub id: String,
    /// The sealed file.
    pub path: String,
    /// SHA-256 of the PDF, hexadecimal; stands in the ledger.
    pub sha256: String,
    /// Documents written out.
    pub written: Vec<String>,
}

/// Reads a session's report as it stands, with what a clinician wrote and signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportShow {
    /// Opaque id of the session.
    pub id: String,
}
call!(ReportShow, "report.show", ReportView);

/// A report as shown to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportView {
    /// Opaque id of the session.
    pub session: String,
    /// Opaque id of the report; `None` before it is made.
    pub report: Option<String>,
    /// SHA-256 of its PDF, hexadecimal.
    pub sha256: String,
    /// SHA-256 over the recording's segment hashes, hexadecimal.
    pub recording_sha256: String,
    /// The report as a page, without scripts and remote content.
    pub html: String,
    /// The clinician's impression.
    pub impression: String,
    /// The clinician's conclusion.
    pub conclusion: String,
    /// Signatures, oldest first: the report's, then one for each addendum.
    pub signatures: Vec<SignatureView>,
    /// Addenda, oldest first.
    pub addenda: Vec<String>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureView {
    /// Who.
    pub name: String,
    /// When, RFC 3339 with the zone's offset.
    pub at: String,
    /// What it means ('I have read this recording and wrote this report').
    pub meaning: String,
    /// What was signed: SHA-256 of the PDF, hexadecimal.
    pub report_sha256: String,
    /// And of the recording.
    pub recording_sha256: String,
    /// Sequence of the ledger entry that holds it.
    pub ledger_sequence: Option<u64>,
}

/// Keeps what a clinician writes; refused once the report is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportDraft {
    /// Opaque id of the session.
    pub id: String,
    /// Impression.
    pub impression: String,
    /// Conclusion.
    pub conclusion: String,
}
call!(ReportDraft, "report.draft", crate::Nothing);

/// Signs the report as it stands: makes it anew with what was written, and binds the signature to its
/// hash and the recording's. The password is asked for again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportSign {
    /// Opaque id of the session.
    pub id: String,
    /// Password of the person who is signed in.
    pub password: crate::Password,
    /// What the signature means.
    pub meaning: String,
}
call!(ReportSign, "report.sign", ReportView);

/// Adds to a signed report, signed as well; the report itself never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportAmend {
    /// Opaque id of the session.
    pub id: String,
    /// What is added.
    pub text: String,
    /// Password of the person who is signed in.
    pub password: crate::Password,
}
call!(ReportAmend, "report.amend", ReportView);
