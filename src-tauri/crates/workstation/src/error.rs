//! Errors of the façade: a kind to act on, a sentence, and what to do.

use contract::{DeviceError, ErrorKind as DeviceKind};
use recording::RecordingError;
use std::error::Error as StdError;
use thiserror::Error;

/// Kinds on which a caller acts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request makes no sense as given.
    Invalid,
    /// What it names does not exist.
    NotFound,
    /// It conflicts with what is going on.
    Conflict,
    /// A rule of the house forbids it.
    Refused,
    /// The device failed.
    Device,
    /// The store cannot be opened or used.
    Store,
    /// Nobody is signed in, or not with the right to do this.
    NotAllowed,
    /// No space left.
    DiskFull,
    /// Evidence does not hold.
    Integrity,
    /// A fault of the program or the machine.
    Internal,
}

/// A failed operation of the workstation. Holds no patient's data.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    remedy: String,
}

/// The façade's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with what to do about it.
    pub fn new(kind: ErrorKind, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// Kind.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do; may be empty.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no {what} {id}"), "")
    }

    pub(crate) fn internal(operation: &str, error: &(dyn StdError + 'static)) -> Self {
        Self::new(
            ErrorKind::Internal,
            format!("{operation}: {}", chain(error)),
            "",
        )
    }
}

/// An error and its causes in one sentence.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        let kind = match error.kind {
            DeviceKind::NotFound => ErrorKind::NotFound,
            DeviceKind::Busy => ErrorKind::Conflict,
            DeviceKind::Settings => ErrorKind::Invalid,
            _ => ErrorKind::Device,
        };
        let remedy = match error.kind {
            DeviceKind::NotFound => "'neurascale device list' shows what is there.",
            DeviceKind::Permission => "'neurascale doctor' says which permission is missing.",
            DeviceKind::Disconnected => "Check cable, power and distance, then try again.",
            _ => "",
        };
        Self::new(kind, chain(&error), remedy)
    }
}

const FREE_SPACE: &str = "Free space on the disk of the data folder; what was recorded is safe.";

impl From<RecordingError> for Error {
    fn from(error: RecordingError) -> Self {
        let (kind, remedy) = match &error {
            RecordingError::DiskFull { .. } => (ErrorKind::DiskFull, FREE_SPACE),
            RecordingError::WrongKey => (
                ErrorKind::Store,
                "The recording belongs to another station; open it there, or with its recovery key.",
            ),
            RecordingError::Damaged { .. } => (
                ErrorKind::Integrity,
                "'neurascale recording verify' lists all damage, 'recording repair' sets it aside.",
            ),
            RecordingError::NotARecording => (ErrorKind::NotFound, ""),
            RecordingError::NewerFormat { .. } => {
                (ErrorKind::Invalid, "Update this program to read it.")
            }
            RecordingError::TooMuch { .. } => (ErrorKind::Invalid, ""),
            _ => (ErrorKind::Internal, ""),
        };
        Self::new(kind, chain(&error), remedy)
    }
}

impl Error {
    /// A failed file operation.
    pub(crate) fn file(operation: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let (kind, remedy) = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                (ErrorKind::DiskFull, FREE_SPACE)
            }
            std::io::ErrorKind::NotFound => (ErrorKind::NotFound, ""),
            std::io::ErrorKind::PermissionDenied => (
                ErrorKind::Refused,
                "The engine's user must be allowed to use that place.",
            ),
            _ => (ErrorKind::Internal, ""),
        };
        Self::new(
            kind,
            format!("{operation} {}: {error}", path.display()),
            remedy,
        )
    }
}
