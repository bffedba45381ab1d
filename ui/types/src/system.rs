//! The engine itself: status, health, backup.

use crate::call::call;
use serde::{Deserialize, Serialize};

/// A reply that says only that it is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// Asks the engine how it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EngineStatus {}
call!(EngineStatus, "engine.status", EngineStatusReply);

/// How the engine is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EngineStatusReply {
    /// Version of the program.
    pub version: String,
    /// Version of the protocol.
    pub protocol: u32,
    /// Process id.
    pub pid: u32,
    /// Folder of its data.
    pub data_dir: String,
    /// Whether the store is open; when not, `problem` says why.
    pub store_open: bool,
    /// What is wrong and what to do; empty when nothing is.
    pub problem: String,
    /// Sessions that are running.
    pub running_sessions: Vec<String>,
    /// Seconds since it started.
    pub uptime_s: f64,
    /// Resident memory, bytes; 0 where the system does not say.
    pub resident_bytes: u64,
}

/// Asks for the recovery code of a station key that was made at this start. It is given once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RecoveryCode {}
call!(RecoveryCode, "key.recovery_code", RecoveryCodeReply);

/// The recovery code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecoveryCodeReply {
    /// Groups of letters and digits; `None` when it was given already or the key is older.
    pub code: Option<String>,
}

/// Stops the engine cleanly. Refused while a session runs unless `force` is set; a running session
/// is then interrupted whole and goes on at the next start.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EngineStop {
    /// Stop even though a session runs.
    pub force: bool,
}
call!(EngineStop, "engine.stop", Nothing);

/// Looks for what would get in the way of a session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Doctor {}
call!(Doctor, "doctor", DoctorReply);

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Works, with a risk.
    Warning,
    /// Recording or evidence is at risk.
    Problem,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// 'disk', 'keys', 'ports', 'clock', 'sleep', 'permissions', …
    pub check: String,
    /// How bad.
    pub level: FindingLevel,
    /// What was found.
    pub found: String,
    /// What to do; empty when nothing.
    pub remedy: String,
}

/// Everything looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DoctorReply {
    /// Findings.
    pub findings: Vec<Finding>,
}

/// Gathers what those need to know who are asked for help: versions, findings, policies in force and
/// the end of the engine's log. Holds no identifiers, no names of people and no folder names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SupportBundle {}
call!(SupportBundle, "support.bundle", SupportBundleReply);

/// What was gathered, to be read by a person before it is sent anywhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SupportBundleReply {
    /// When, RFC 3339.
    pub made: String,
    /// Version of the program.
    pub version: String,
    /// Version of the protocol.
    pub protocol: u32,
    /// Operating system and processor.
    pub system: String,
    /// Whether the store is open.
    pub store_open: bool,
    /// Sessions that are running.
    pub running_sessions: u32,
    /// Seconds since the engine started.
    pub uptime_s: f64,
    /// Resident memory, bytes; 0 where the system does not say.
    pub resident_bytes: u64,
    /// What the doctor found.
    pub findings: Vec<Finding>,
    /// Policies in force; empty while the store is closed.
    pub policies: Vec<PolicyInForce>,
    /// The log's last lines, oldest first.
    pub log: Vec<String>,
}

/// A policy, without who set it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// Name.
    pub name: String,
    /// Value.
    pub value: serde_json::Value,
    /// 'default', 'administrator' or 'site'.
    pub source: String,
}

/// Writes a backup of the store while the engine runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupCreate {
    /// File to write; must not exist.
    pub path: String,
}
call!(BackupCreate, "backup.create", BackupCreateReply);

/// The backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BackupCreateReply {
    /// File.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}
