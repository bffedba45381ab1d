//! The event log and the ledger on PostgreSQL, for several replicas of the gateway on one database.
//!
//! [`PostgresLog`] is an [`events::EventLog`]. Appends that wait for its writer share one call of a
//! function in the database, which is one round trip and one transaction under a lock that orders the
//! writers of all replicas: positions have no gap and become visible in order. Other replicas learn of
//! new events by NOTIFY and, should that be lost, by looking. [`enter`] adds to the ledger within a
//! caller's transaction.

mod announce;
mod ledger_entries;
mod log;
mod writer;

use std::{borrow::Cow, pin::Pin, sync::Arc};

use sqlx::{
    ConnectOptions, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};

pub use ledger_entries::{enter, entries};
pub use log::PostgresLog;

use crate::LogStoreError;

static MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("log_migrations"),
    ..sqlx::migrate!("migrations/postgres")
};

/// SQLSTATE of a full disk (PostgreSQL's manual, appendix A: class 53).
const DISK_FULL: &str = "53100";

/// Sorts an error of PostgreSQL into what a caller can act on.
pub fn failure(operation: &'static str, error: sqlx::Error) -> LogStoreError {
    let full = error
        .as_database_error()
        .and_then(|error| error.code())
        .is_some_and(|code| code == DISK_FULL);
    let source = Arc::new(error);
    match source.as_ref() {
        _ if full => LogStoreError::DiskFull { operation, source },
        sqlx::Error::PoolClosed => LogStoreError::Closed { operation },
        _ => LogStoreError::Database { operation, source },
    }
}

/// What every connection is set to, whatever the server's own defaults are: an acknowledged commit is on
/// the disk, a statement under a lock sees what was committed before the lock was given, and a peer that
/// is cut off in the middle of a transaction gives its locks back.
pub fn with_settings(base: &PgConnectOptions) -> PgConnectOptions {
    let milliseconds = |time: std::time::Duration| time.as_millis().to_string();
    base.clone()
        .options([
            ("synchronous_commit", "on".to_owned()),
            ("default_transaction_isolation", "read committed".to_owned()),
            (
                "idle_in_transaction_session_timeout",
                milliseconds(crate::limits::POSTGRES_IDLE_IN_TRANSACTION),
            ),
            (
                "statement_timeout",
                milliseconds(crate::limits::POSTGRES_STATEMENT_TIMEOUT),
            ),
        ])
        .disable_statement_logging()
}

/// Opens one connection. Boxed where its lifetime has a name, so that what awaits it is Send.
pub fn connect(
    options: &PgConnectOptions,
) -> Pin<Box<dyn Future<Output = Result<PgConnection, sqlx::Error>> + Send + '_>> {
    Box::pin(options.connect())
}

/// Brings a database to the newest version of `migrations`; replicas that start together wait for one
/// another.
pub fn run_migrations<'a>(
    migrations: &'a Migrator,
    connection: &'a mut PgConnection,
) -> Pin<Box<dyn Future<Output = Result<(), LogStoreError>> + Send + 'a>> {
    const OPERATION: &str = "migrating the database";
    Box::pin(async move {
        let known = migrations.iter().map(|migration| migration.version).max();
        let known = known.unwrap_or(0);
        migrations
            .run_direct(None, connection, false)
            .await
            .map_err(|error| match error {
                MigrateError::VersionMissing(found) if found > known => {
                    LogStoreError::Newer { found, known }
                }
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                    failure(OPERATION, error)
                }
                other => LogStoreError::corrupt(OPERATION, other),
            })
    })
}

/// Brings the tables of event log and ledger to their newest version.
pub async fn migrate(connection: &mut PgConnection) -> Result<(), LogStoreError> {
    run_migrations(&MIGRATIONS, connection).await
}
