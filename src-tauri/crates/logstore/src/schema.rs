//! The schema and its versions.

use std::{borrow::Cow, pin::Pin};

use sqlx::{
    ConnectOptions, SqliteConnection,
    migrate::{MigrateError, Migrator},
    sqlite::SqliteConnectOptions,
};

use crate::LogStoreError;

/// Kept apart from the migrations of other rooms in the same database.
static MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("log_migrations"),
    ..sqlx::migrate!("migrations/sqlite")
};

pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), LogStoreError> {
    run_migrations(&MIGRATIONS, connection).await
}

/// Brings a database to the newest version of `migrations`; for rooms that keep their own tables
/// in the same database.
pub async fn run_migrations(
    migrations: &Migrator,
    connection: &mut SqliteConnection,
) -> Result<(), LogStoreError> {
    const OPERATION: &str = "migrating the database";
    let known = migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    // Not `run`: its future is Send for no lifetime that the compiler can name. The lock file fixes
    // the version of sqlx; a change of this method would show when compiling.
    migrations
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::VersionMissing(found) if found > known => {
                LogStoreError::Newer { found, known }
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                LogStoreError::database(OPERATION, error)
            }
            other => LogStoreError::corrupt(OPERATION, other),
        })
}

/// Opens one connection. Boxed where its lifetime has a name: otherwise the compiler cannot see
/// that a future which holds it is Send.
pub fn connect(
    options: &SqliteConnectOptions,
) -> Pin<Box<dyn Future<Output = Result<SqliteConnection, sqlx::Error>> + Send + '_>> {
    Box::pin(options.connect())
}
