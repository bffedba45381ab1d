//! What can go wrong in the store.

use std::{io, path::PathBuf};

use logstore::LogStoreError;

use crate::keys::KeyId;

/// Why the store failed. Every message says what to do where anything can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another engine owns the data folder.
    #[error("{} is in use by another engine{}; stop that one, or use it", path.display(), owner.map_or(String::new(), |pid| format!(" (process {pid})")))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The owner's process id, as it wrote it.
        owner: Option<u32>,
    },
    /// The database belongs to another station key.
    #[error("{} was written under station key {expected}, and this is {found}; recover that key", path.display())]
    WrongKey {
        /// The database.
        path: PathBuf,
        /// The key it was written under; unknown if its note is lost.
        expected: String,
        /// The key that was tried.
        found: KeyId,
    },
    /// The file is damaged.
    #[error("{} is damaged ({reason}); restore it from a backup", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was noticed.
        reason: String,
    },
    /// No room left.
    #[error("{operation}: the disk is full; free some space and try again")]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// Cause.
        #[source]
        source: LogStoreError,
    },
    /// Written by a newer program.
    #[error("{} has schema version {found}, and this program knows {known}; update the program", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Version of the file.
        found: i64,
        /// Newest version that the program knows.
        known: i64,
    },
    /// The program was built without encryption.
    #[error("opening the store: this build's SQLite has no SQLCipher; nothing was written")]
    Unencrypted,
    /// There is already something where something is to be written.
    #[error("{operation}: {} exists already", path.display())]
    Exists {
        /// What was tried.
        operation: &'static str,
        /// What is there.
        path: PathBuf,
    },
    /// A file or folder cannot be read or written.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A row does not hold what the program wrote.
    #[error("{operation}: {reason}")]
    Row {
        /// What was tried.
        operation: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A password that is not accepted.
    #[error("the password is not accepted: {0}")]
    Password(String),
    /// A condition does not hold, or anything else that the log store says.
    #[error("{operation}")]
    Log {
        /// What was tried.
        operation: &'static str,
        /// Cause.
        #[source]
        source: LogStoreError,
    },
}

impl StoreError {
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            operation,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn log(operation: &'static str, source: LogStoreError) -> Self {
        match source {
            LogStoreError::DiskFull { .. } => Self::DiskFull { operation, source },
            source => Self::Log { operation, source },
        }
    }

    pub(crate) fn database(operation: &'static str, error: sqlx::Error) -> Self {
        Self::log(operation, LogStoreError::database(operation, error))
    }

    /// Sorts an error of opening, where the file itself is in question.
    pub(crate) fn opening(path: &std::path::Path, source: LogStoreError) -> Self {
        let path = path.to_owned();
        match source {
            LogStoreError::Newer { found, known } => Self::Newer { path, found, known },
            LogStoreError::Corrupt { reason, .. } => Self::Corrupt { path, reason },
            LogStoreError::NotADatabase { .. } => Self::Corrupt {
                path,
                reason: "it does not decrypt to a database".into(),
            },
            LogStoreError::Locked { .. } => Self::Locked { path, owner: None },
            other => Self::log("opening the store", other),
        }
    }
}
