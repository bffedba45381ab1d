//! What can go wrong between a client and its engine.

use std::path::PathBuf;
use thiserror::Error;
use ui_types::{ApiError, ErrorCode};

/// A failed call.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The engine answered that it could not.
    #[error("{0}")]
    Api(ApiError),
    /// No engine runs for this data folder.
    #[error("no engine runs for {}", .0.display())]
    NotRunning(PathBuf),
    /// The engine was started and did not answer in time.
    #[error("the engine was started and did not answer: {0}")]
    DidNotStart(String),
    /// The engine's program could not be started.
    #[error("start {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke in the middle of a call.
    #[error("the connection to the engine broke: {0}")]
    Broken(String),
    /// The engine answered something that is not the protocol.
    #[error("the engine's answer is not understood: {0}")]
    Protocol(String),
    /// Local sockets are not built for this system.
    #[error("local sockets are not available on this system")]
    Unsupported,
}

impl ClientError {
    /// The same as an [`ApiError`], so that callers show every failure alike.
    #[must_use]
    pub fn into_api(self) -> ApiError {
        let (code, remedy) = match &self {
            Self::Api(error) => return error.clone(),
            Self::NotRunning(_) => (
                ErrorCode::Unavailable,
                "Start it with 'neurascale engine start'.",
            ),
            Self::DidNotStart(_) | Self::Spawn { .. } => (
                ErrorCode::Unavailable,
                "See logs/engine.log in the data folder, and run 'neurascale doctor'.",
            ),
            Self::Broken(_) => (
                ErrorCode::Unavailable,
                "A running session goes on; ask again, or see logs/engine.log in the data folder.",
            ),
            Self::Protocol(_) => (
                ErrorCode::Internal,
                "Client and engine may be of different versions.",
            ),
            Self::Unsupported => (ErrorCode::Unavailable, ""),
        };
        let message = match std::error::Error::source(&self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        };
        ApiError::new(code, message, remedy)
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> Self {
        error.into_api()
    }
}
