//! What can go wrong with an emulated device.

use thiserror::Error;

/// Why an emulator cannot begin or go on.
#[derive(Debug, Error)]
pub enum Error {
    /// The fault script is not what it should be.
    #[error("fault script: {0}")]
    Script(String),
    /// What is played cannot be played.
    #[error("source: {0}")]
    Source(String),
    /// The operating system refused something.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// A failed call of the system.
    pub fn io(what: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }
}
