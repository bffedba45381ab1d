//! What can go wrong with a device, and what a person can do about it.

use thiserror::Error;

/// Kinds on which a caller acts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No such device or file.
    NotFound,
    /// Someone else has it open.
    Busy,
    /// The user or service may not open it.
    Permission,
    /// An unknown or impossible setting.
    Settings,
    /// It was there and is gone; trying again may bring it back.
    Disconnected,
    /// It answers something that is not its protocol, or a file is malformed.
    Protocol,
    /// It cannot do that.
    Unsupported,
    /// The operating system failed a read or write.
    Io,
}

/// A failed operation on a device.
#[derive(Debug, Error)]
#[error("{operation}: {message}")]
pub struct DeviceError {
    /// What a caller may act on.
    pub kind: ErrorKind,
    /// What was tried ('open simulated:headset').
    pub operation: String,
    /// What happened and what to do.
    pub message: String,
    /// The cause below, where there is one.
    #[source]
    pub source: Option<std::io::Error>,
}

impl DeviceError {
    /// An error without a cause below it.
    pub fn new(kind: ErrorKind, operation: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            operation: operation.into(),
            message: message.into(),
            source: None,
        }
    }

    /// Adds the system's own error.
    #[must_use]
    pub fn with_source(mut self, source: std::io::Error) -> Self {
        self.source = Some(source);
        self
    }
}
