//! Policies in force, and the timing certificate of this machine.

use crate::Nothing;
use crate::call::call;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Lists the policies in force and where each comes from.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PolicyList {}
call!(PolicyList, "policy.list", PolicyListReply);

/// Policies.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyListReply {
    /// In the order of the page.
    pub policies: Vec<PolicyView>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyView {
    /// Name ('lock_after_s').
    pub name: String,
    /// What it decides, for people.
    pub description: String,
    /// Value in force.
    pub value: Value,
    /// Unit; empty when it has none.
    pub unit: String,
    /// 'default', 'administrator' or 'site'.
    pub source: String,
    /// Who set it and when; empty for a default.
    pub set_by: String,
    /// Whether an administrator may change it here.
    pub changeable: bool,
}

/// Sets a policy, or with no value puts its default back. For administrators.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicySet {
    /// Name.
    pub name: String,
    /// New value.
    pub value: Option<Value>,
}
call!(PolicySet, "policy.set", Nothing);

/// Measures this machine's latency, jitter and loss on the simulator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TimingCertify {
    /// How long to measure, s.
    pub duration_s: f64,
    /// Where to write the certificate, a PDF; the exports folder when absent.
    pub path: Option<String>,
}
call!(TimingCertify, "timing.certify", TimingCertifyReply);

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimingCertifyReply {
    /// Channels measured with.
    pub channels: u32,
    /// Rate, Hz.
    pub rate_hz: f64,
    /// Measured for, s.
    pub duration_s: f64,
    /// From the end of a block at the device to the display feed, ms: median.
    pub latency_p50_ms: f64,
    /// 99th percentile.
    pub latency_p99_ms: f64,
    /// Greatest.
    pub latency_max_ms: f64,
    /// Standard deviation of the interval between blocks, ms.
    pub jitter_ms: f64,
    /// Samples due.
    pub samples_due: u64,
    /// Samples lost.
    pub samples_lost: u64,
    /// Error of the fitted clock, µs, 99th percentile.
    pub clock_error_p99_us: f64,
    /// The certificate.
    pub path: String,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
}
