//! Where the gateway keeps everything: one SQLite file of its own, or a PostgreSQL database that replicas
//! share.
//!
//! What each may lose: nothing that was acknowledged. A commit is on the disk of the database when it
//! returns (`synchronous = FULL`, `synchronous_commit = on`). A replica that is cut off from PostgreSQL
//! answers reads from memory, as of then, and refuses writes; a server that fails over to a standby keeps
//! the promise only if it replicates synchronously, which is its administrator's to set.

use std::{path::Path, str::FromStr as _, sync::Arc};

use events::{EventLog, Position};
use ledger::Draft;
use logstore::{
    LedgerStore, LogStore, LogStoreError, LogStoreOptions, UnitOfWork, postgres::PostgresLog,
};
use sqlx::{postgres::PgConnectOptions, sqlite::SqliteConnectOptions};

use super::MainKey;
use crate::{
    state::{Backend, PostgresBackend, SqliteBackend},
    trust::hex,
};

/// How the gateway's own database is opened.
pub(crate) fn sqlite_options(database: &Path, key: &MainKey) -> SqliteConnectOptions {
    // SQLCipher takes a raw key of 32 bytes in this form and derives nothing from it.
    let pragma = format!("\"x'{}'\"", hex(key.derive("database").as_slice()));
    SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(true)
        .pragma("key", pragma)
}

/// Event log and ledger, wherever they are kept.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    Sqlite(LogStore),
    Postgres(PostgresLog),
}

impl Storage {
    /// Opens what `storage` names: `sqlite`, in `database` under the gateway's key, or an address.
    pub(crate) async fn open(
        storage: &str,
        database: &Path,
        key: &MainKey,
        options: LogStoreOptions,
    ) -> Result<(Self, Arc<dyn Backend>), LogStoreError> {
        if storage == "sqlite" {
            let base = sqlite_options(database, key);
            let mut connection = logstore::connect(&base)
                .await
                .map_err(|error| LogStoreError::database("opening the database", error))?;
            SqliteBackend::migrate(&mut connection).await?;
            drop(connection);
            let log = LogStore::open(base, options).await?;
            let backend = Arc::new(SqliteBackend::new(log.clone()));
            return Ok((Self::Sqlite(log), backend));
        }
        let base = PgConnectOptions::from_str(storage).map_err(|error| {
            logstore::postgres::failure("reading the address of the database", error)
        })?;
        let name = options.ids.next(options.clock.now());
        let backend = Arc::new(PostgresBackend::open(&base, name).await?);
        let log = PostgresLog::open(&base, options).await?;
        Ok((Self::Postgres(log), backend))
    }

    pub(crate) fn event_log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Sqlite(log) => Arc::new(log.clone()),
            Self::Postgres(log) => Arc::new(log.clone()),
        }
    }

    /// Enters into the ledger; durable when this returns. Without entries it shows that the database answers.
    pub(crate) async fn enter(&self, entries: Vec<Draft>) -> Result<(), LogStoreError> {
        const OPERATION: &str = "entering into the ledger";
        match self {
            Self::Sqlite(log) => {
                let unit = entries
                    .into_iter()
                    .fold(UnitOfWork::new(), UnitOfWork::entry);
                log.commit(unit).await.map(drop)
            }
            Self::Postgres(log) if entries.is_empty() => sqlx::query("SELECT 1")
                .execute(log.pool())
                .await
                .map(drop)
                .map_err(|error| logstore::postgres::failure(OPERATION, error)),
            Self::Postgres(log) => log.enter(entries).await.map_err(|error| match error {
                events::LogError::Closed { operation } => LogStoreError::Closed { operation },
                other => LogStoreError::Refused {
                    operation: OPERATION,
                    reason: other.to_string(),
                },
            }),
        }
    }

    /// The ledger, to be read, signed and proven.
    pub(crate) fn ledger(&self) -> &dyn LedgerStore {
        match self {
            Self::Sqlite(log) => log,
            Self::Postgres(log) => log,
        }
    }

    /// Position of the last event, as far as it is known here.
    pub(crate) async fn end_position(&self) -> Position {
        match self {
            Self::Sqlite(log) => log.end_position(),
            Self::Postgres(log) => log.end().await.unwrap_or_default(),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(log) => log.close().await,
            Self::Postgres(log) => log.close().await,
        }
    }
}
