//! The state in the gateway's SQLite database, beside its event log and ledger.

use std::borrow::Cow;

use async_trait::async_trait;
use logstore::{LogStore, LogStoreError, SqlValue, Statement, UnitOfWork, run_migrations};
use sqlx::{Row, SqliteConnection, migrate::Migrator};

use super::{Backend, Change, Decide, StateError};

static MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("gateway_migrations"),
    ..sqlx::migrate!("migrations/sqlite")
};

/// Keeps the state in a [`LogStore`]'s database; a transaction takes ledger entries along. One process
/// owns the file, so nobody else ever writes.
#[derive(Debug)]
pub struct SqliteBackend {
    log: LogStore,
}

impl SqliteBackend {
    /// Over a log store whose database [`SqliteBackend::migrate`] was run on.
    pub fn new(log: LogStore) -> Self {
        Self { log }
    }

    /// Brings the state's tables to their newest version.
    pub async fn migrate(connection: &mut SqliteConnection) -> Result<(), LogStoreError> {
        run_migrations(&MIGRATIONS, connection).await
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn changes(&self, index: u64) -> Result<Vec<Change>, StateError> {
        let failed = |error| StateError::storage("reading the state", error);
        let rows = sqlx::query(
            "SELECT space, key, value, created, modified FROM state WHERE modified > ? ORDER BY modified",
        )
        .bind(index.cast_signed())
        .fetch_all(self.log.readers())
        .await
        .map_err(failed)?;
        rows.into_iter()
            .map(|row| {
                let value: Option<Vec<u8>> = row.try_get(2)?;
                Ok(Change {
                    space: row.try_get(0)?,
                    key: row.try_get(1)?,
                    value: value.map(Into::into),
                    created: row.try_get::<i64, _>(3)?.cast_unsigned(),
                    index: row.try_get::<i64, _>(4)?.cast_unsigned(),
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(failed)
    }

    async fn write(&self, _index: u64, decide: Decide<'_>) -> Result<(), StateError> {
        let writes = decide(Vec::new());
        if writes.changes.is_empty() && writes.entries.is_empty() {
            return Ok(());
        }
        let mut unit = UnitOfWork::new();
        for change in writes.changes {
            unit = unit.statement(Statement::new(
                "INSERT INTO state (space, key, value, created, modified) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, \
                 created = excluded.created, modified = excluded.modified",
                [
                    SqlValue::from(change.space),
                    change.key.into(),
                    change.value.map(|value| value.to_vec()).into(),
                    change.created.cast_signed().into(),
                    change.index.cast_signed().into(),
                ],
            ));
        }
        for entry in writes.entries {
            unit = unit.entry(entry);
        }
        self.log
            .commit(unit)
            .await
            .map(drop)
            .map_err(|error| StateError::storage("writing the state", error))
    }
}
