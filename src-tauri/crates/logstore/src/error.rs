//! What can go wrong in the log store.

use std::sync::Arc;

use events::LogError;

/// Why the log store failed. Clones share the cause: one failed transaction answers many callers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogStoreError {
    /// The store was closed, or its writer has ended.
    #[error("{operation}: the store is closed")]
    Closed {
        /// What was tried.
        operation: &'static str,
    },
    /// A condition of the unit of work does not hold; nothing of it was written.
    #[error("{operation}: conflict ({reason})")]
    Conflict {
        /// What was tried.
        operation: &'static str,
        /// Which condition.
        reason: String,
    },
    /// A workflow history is not as long as the unit expects; nothing of the unit was written.
    #[error("appending to a history: it has {actual} events, not {expected}")]
    HistoryConflict {
        /// Length that was expected.
        expected: u64,
        /// Length found.
        actual: u64,
    },
    /// The unit breaks a rule of a format; nothing was written.
    #[error("{operation}: refused ({reason})")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// Which rule.
        reason: String,
    },
    /// No room left on the disk; nothing was written.
    #[error("{operation}: the disk is full; free some space and it goes on by itself")]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// Another connection holds the database.
    #[error("{operation}: the database is locked by another program")]
    Locked {
        /// What was tried.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The file cannot be read as a database: damaged, or encrypted with another key.
    #[error("{operation}: the file is no readable database (damaged, or another key)")]
    NotADatabase {
        /// What was tried.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The content contradicts itself.
    #[error("{operation}: the database is damaged ({reason}); restore it from a backup")]
    Corrupt {
        /// What was tried.
        operation: &'static str,
        /// What contradicts.
        reason: String,
    },
    /// Written by a newer program.
    #[error("the database has schema version {found}, and this program knows {known}; update it")]
    Newer {
        /// Version of the file.
        found: i64,
        /// Newest version that the program knows.
        known: i64,
    },
    /// Anything else that the database reports.
    #[error("{operation}: the database failed")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// Cause.
        #[source]
        source: Arc<sqlx::Error>,
    },
}

/// SQLite's primary result codes (sqlite.org/rescode.html).
const BUSY: i64 = 5;
const LOCKED: i64 = 6;
const CORRUPT: i64 = 11;
const FULL: i64 = 13;
const NOTADB: i64 = 26;
const IOERR: i64 = 10;
/// SQLITE_IOERR_WRITE and SQLITE_IOERR_FSYNC: how some file systems report that they are full.
const IOERR_WRITE: i64 = 778;

/// The extended result code of an error of SQLite.
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.code()?.parse().ok()
}

impl LogStoreError {
    /// Sorts an error of the database into what a caller can act on.
    pub fn database(operation: &'static str, error: sqlx::Error) -> Self {
        let code = sqlite_code(&error);
        let source = Arc::new(error);
        match (code, code.map(|code| code & 0xff)) {
            (_, Some(FULL)) | (Some(IOERR_WRITE), _) => Self::DiskFull { operation, source },
            (_, Some(BUSY | LOCKED)) => Self::Locked { operation, source },
            (_, Some(NOTADB)) => Self::NotADatabase { operation, source },
            (_, Some(CORRUPT)) => Self::Corrupt {
                operation,
                reason: source.to_string(),
            },
            (_, Some(IOERR) | None) | (_, Some(_)) => match source.as_ref() {
                sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed { operation },
                _ => Self::Database { operation, source },
            },
        }
    }

    pub(crate) fn corrupt(operation: &'static str, reason: impl ToString) -> Self {
        Self::Corrupt {
            operation,
            reason: reason.to_string(),
        }
    }

    /// The event log's form of it.
    pub(crate) fn into_log(self, operation: &'static str) -> LogError {
        match self {
            Self::Closed { .. } => LogError::Closed { operation },
            Self::Refused { reason, .. } => LogError::Refused { operation, reason },
            other => LogError::Storage {
                operation,
                source: Arc::new(other),
            },
        }
    }
}
