//! Why the engine could not start or restore.

use std::path::PathBuf;
use thiserror::Error;
use ui_types::ErrorCode;

/// A failure of the process itself.
#[derive(Debug, Error)]
pub enum Failure {
    /// Another engine owns the data folder.
    #[error("another engine{} runs on {}", owner(.pid), data_dir.display())]
    AlreadyRunning {
        /// Its data folder.
        data_dir: PathBuf,
        /// Its process id, where it is known.
        pid: Option<u32>,
    },
    /// A file or folder cannot be used.
    #[error("{operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The workstation refused.
    #[error(transparent)]
    Workstation(#[from] workstation::Error),
}

fn owner(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl Failure {
    /// Exit code, as the command line's.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::AlreadyRunning { .. } => ErrorCode::Conflict.exit_code(),
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                ErrorCode::DiskFull.exit_code()
            }
            Self::File { .. } => ErrorCode::Unavailable.exit_code(),
            Self::Workstation(error) => crate::api::code(error.kind()).exit_code(),
        }
    }

    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }
}
