//! Loss made visible.

use crate::{StreamIndex, UtcNanos};
use serde::{Deserialize, Serialize};

/// How many samples are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Exactly this many samples per channel.
    Exact(u64),
    /// `least + k × modulus` samples for some k ≥ 0: the device's counter wrapped too soon to tell
    /// and arrival times do not decide it.
    Ambiguous {
        /// Fewest samples that fit.
        least: u64,
        /// Distance between the possibilities, samples.
        modulus: u64,
    },
    /// The stream has no counter: only the time is known.
    Unknown,
}

/// Why samples are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The device's counter jumped: packets were lost on the way.
    Transport,
    /// The device was unplugged, or its connection broke.
    Disconnected,
    /// The device stopped sending and came back by itself.
    Silence,
    /// The recorder could not keep up.
    RecorderFull,
    /// The computer slept.
    Suspended,
    /// The engine was not running (crash, power loss) and resumed the recording.
    Restarted,
    /// The source is discontinuous itself (EDF+D).
    Source,
    /// Recording was paused by a person ('disconnected for CT').
    Paused,
}

/// A run of samples that were never recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gap {
    /// Which stream.
    pub stream: StreamIndex,
    /// Index of the first missing sample.
    pub first_missing: u64,
    /// Index of the first sample after the gap.
    pub resumes_at: u64,
    /// What is known of the number missing. For [`Missing::Exact`] it is
    /// `resumes_at − first_missing`; otherwise the index is the likeliest by time.
    pub missing: Missing,
    /// When the first missing sample was due.
    pub from: UtcNanos,
    /// When the first sample after the gap was taken.
    pub until: UtcNanos,
    /// Why.
    pub cause: GapCause,
}
