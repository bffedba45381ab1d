//! Ledger, events and workflow histories.

use crate::call::call;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Lists ledger entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerShow {
    /// First sequence.
    pub from: u64,
    /// At most this many.
    pub limit: u32,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only entries that belong to this session.
    #[serde(default)]
    pub session: Option<String>,
    /// The newest first, backwards: `from` is then the greatest sequence wanted, and 0 the end.
    #[serde(default)]
    pub newest_first: bool,
}
call!(LedgerShow, "ledger.show", LedgerShowReply);

/// Ledger entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerShowReply {
    /// In order.
    pub entries: Vec<LedgerEntryView>,
    /// Entries in all.
    pub size: u64,
}

/// A ledger entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerEntryView {
    /// Sequence from 0.
    pub sequence: u64,
    /// Kind.
    pub kind: String,
    /// RFC 3339, UTC.
    pub time: String,
    /// Who.
    pub actor: String,
    /// Canonical payload.
    pub payload: Value,
    /// SHA-256, hexadecimal.
    pub hash: String,
}

/// Checks the whole ledger: chain, tree, signatures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct LedgerVerify {}
call!(LedgerVerify, "ledger.verify", LedgerVerifyReply);

/// What the check found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerVerifyReply {
    /// Whether everything holds.
    pub sound: bool,
    /// Entries checked.
    pub entries: u64,
    /// Checkpoints checked.
    pub checkpoints: u64,
    /// Root hash, hexadecimal.
    pub root: String,
    /// First bad entry and why.
    pub first_bad: Option<String>,
    /// The latest checkpoint, as a signed note.
    pub checkpoint: String,
    /// The key that signs them, as a C2SP verifier key.
    pub verifier_key: String,
}

/// Proves that an entry is in the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerProof {
    /// Sequence of the entry.
    pub sequence: u64,
}
call!(LedgerProof, "ledger.proof", LedgerProofReply);

/// A proof that can be checked offline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerProofReply {
    /// Entry, inclusion proof and checkpoint.
    pub bundle: Value,
}

/// Reads events again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EventsReplay {
    /// From this position.
    pub from: u64,
    /// Only this type.
    pub event_type: Option<String>,
    /// Only this correlation.
    pub correlation: Option<String>,
    /// At most this many.
    pub limit: u32,
}
call!(EventsReplay, "events.replay", EventsReplayReply);

/// Events read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventsReplayReply {
    /// In order.
    pub events: Vec<EventView>,
}

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventView {
    /// Position in the log.
    pub position: u64,
    /// Type.
    pub event_type: String,
    /// Who published it.
    pub source_service: String,
    /// UUIDv7.
    pub event_id: String,
    /// RFC 3339, UTC.
    pub timestamp: String,
    /// Payload; no identifiers of patients.
    pub data: Value,
    /// What it belongs to.
    pub correlation_id: Option<String>,
    /// The event that caused it.
    pub causation_id: Option<String>,
}

/// Shows a workflow's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkflowShow {
    /// Workflow's id, or its session's.
    pub id: String,
}
call!(WorkflowShow, "workflow.show", WorkflowShowReply);

/// A workflow's history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkflowShowReply {
    /// Workflow's id.
    pub id: String,
    /// Type.
    pub workflow_type: String,
    /// Status.
    pub status: String,
    /// Events in order.
    pub events: Vec<WorkflowEventView>,
}

/// One event of a history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkflowEventView {
    /// Number from 1.
    pub number: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// Kind.
    pub kind: String,
    /// The event.
    pub detail: Value,
}

/// Runs a workflow's code against its history again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkflowReplay {
    /// Workflow's id, or its session's.
    pub id: String,
}
call!(WorkflowReplay, "workflow.replay", WorkflowReplayReply);

/// What the replay found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkflowReplayReply {
    /// Whether code and history agree.
    pub agrees: bool,
    /// Events replayed.
    pub events: u64,
    /// Where they part, when they do.
    pub difference: Option<String>,
}
