//! Errors as clients see them: a code to act on, a sentence to read, and what to do.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Codes on which a client acts differently; the CLI's exit codes are made from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request makes no sense as given.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// It conflicts with what is going on (a session already runs on the device).
    Conflict,
    /// A rule of the house forbids it (simulated data on a real patient).
    Refused,
    /// The device is missing, busy, not permitted, or failed.
    Device,
    /// The store cannot be opened: locked, wrong key, corrupt.
    Store,
    /// Nobody is signed in, or not with the right to do this.
    NotAllowed,
    /// No space left.
    DiskFull,
    /// Evidence does not hold: a ledger entry, a segment, a checksum.
    Integrity,
    /// The engine cannot be reached or is shutting down.
    Unavailable,
    /// A fault of the program.
    Internal,
}

impl ErrorCode {
    /// Exit code of the command line for this error. Documented in the README; 0 is success, 1 is
    /// kept for usage of the shell itself, 2 for wrong arguments.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Refused => 5,
            Self::Device => 6,
            Self::Store => 7,
            Self::DiskFull => 8,
            Self::Integrity => 9,
            Self::Unavailable => 10,
            Self::Internal => 11,
            Self::NotAllowed => 13,
        }
    }
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct ApiError {
    /// What a client may act on.
    pub code: ErrorCode,
    /// What happened, in a sentence without patient identifiers.
    pub message: String,
    /// What the person can do; may be empty.
    #[serde(default)]
    pub remedy: String,
}

impl ApiError {
    /// An error with its remedy.
    pub fn new(code: ErrorCode, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}
