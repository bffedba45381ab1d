//! The state in a PostgreSQL database that several replicas share.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use logstore::{LogStoreError, postgres as database};
use sqlx::{
    PgConnection, PgPool, Row,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow},
};
use tokio::{
    sync::{Mutex, Notify},
    task::JoinHandle,
};
use uuid::Uuid;

use super::{Backend, Change, Decide, StateError, Writes};
use crate::limits::state as limits;

static MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("gateway_migrations"),
    ..sqlx::migrate!("migrations/postgres")
};

/// Held by whoever writes, to the end of the transaction: a fixed number of our own.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock(7021530002)";
const CHANNEL: &str = "neurascale_state";
const READ: &str = "reading the state";
const WRITE: &str = "writing the state";

/// Keeps the state in PostgreSQL, beside event log and ledger. A lock orders the writers of all replicas.
///
/// A transaction whose commit was under way when the connection broke is looked up on a new one. Only if
/// that fails as well may a commit that is answered with an error have been written; it then becomes
/// visible like one of another replica.
#[derive(Debug)]
pub struct PostgresBackend {
    options: PgConnectOptions,
    readers: PgPool,
    /// Kept between writes; emptied by a failure.
    writer: Mutex<Option<PgConnection>>,
    name: Uuid,
    written: AtomicU64,
    elsewhere: Arc<Notify>,
    listener: JoinHandle<()>,
}

impl Drop for PostgresBackend {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl PostgresBackend {
    /// Opens the database and brings its tables, those of the ledger included, to their newest version.
    /// `name` tells this replica's transactions from others': a new random one for every start. Needs a
    /// tokio runtime.
    pub async fn open(base: &PgConnectOptions, name: Uuid) -> Result<Self, LogStoreError> {
        let options = database::with_settings(base);
        let failed = |error| database::failure("opening the state", error);
        // Without our time limits: a migration takes as long as it takes.
        let mut connection = database::connect(base).await.map_err(failed)?;
        database::migrate(&mut connection).await?;
        database::run_migrations(&MIGRATIONS, &mut connection).await?;
        drop(connection);
        let readers = PgPoolOptions::new()
            .max_connections(limits::POSTGRES_READERS)
            .acquire_timeout(limits::POSTGRES_TIMEOUT)
            .connect_lazy_with(options.clone());
        let elsewhere = Arc::new(Notify::new());
        let listener = tokio::spawn(listen(readers.clone(), Arc::clone(&elsewhere), name));
        Ok(Self {
            options,
            readers,
            writer: Mutex::new(None),
            name,
            written: AtomicU64::new(0),
            elsewhere,
            listener,
        })
    }

    /// A connection with the lock, and what was written behind `index`. On an error nothing has begun.
    async fn begin(
        &self,
        kept: Option<PgConnection>,
        index: u64,
    ) -> Result<(PgConnection, Vec<Change>), sqlx::Error> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => database::connect(&self.options).await?,
        };
        sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
        let changes = changes_behind(&mut connection, index).await?;
        Ok((connection, changes))
    }

    /// Writes and commits.
    async fn finish(
        &self,
        connection: &mut PgConnection,
        writes: Writes,
        token: &[u8],
    ) -> Result<(), Unwritten> {
        if let Some(last) = writes.changes.last().map(|change| change.index) {
            put(connection, writes.changes)
                .await
                .map_err(Unwritten::database)?;
            sqlx::query(
                "WITH forgotten AS (DELETE FROM state_commits WHERE last < $1 - $3), \
                 noted AS (INSERT INTO state_commits (last, writer) VALUES ($1, $2)) \
                 SELECT pg_notify('neurascale_state', $4)",
            )
            .bind(last.cast_signed())
            .bind(token)
            .bind(limits::REMEMBERED_COMMITS.cast_signed())
            .bind(self.name.to_string())
            .execute(&mut *connection)
            .await
            .map_err(Unwritten::database)?;
        }
        if !writes.entries.is_empty() {
            database::enter(connection, writes.entries)
                .await
                .map_err(|error| Unwritten::Surely(StateError::storage(WRITE, error)))?;
        }
        let committed = sqlx::raw_sql("COMMIT").execute(connection).await;
        committed
            .map(drop)
            .map_err(|error| Unwritten::Perhaps(StateError::storage(WRITE, error)))
    }

    /// Whether the transaction of that token was committed.
    async fn was_committed(&self, last: u64, token: &[u8]) -> Result<bool, sqlx::Error> {
        let mut connection = database::connect(&self.options).await?;
        // The lock is free once the server knows that the broken connection is gone.
        sqlx::raw_sql(BEGIN).execute(&mut connection).await?;
        let row = sqlx::query("SELECT 1 FROM state_commits WHERE last = $1 AND writer = $2")
            .bind(last.cast_signed())
            .bind(token)
            .fetch_optional(&mut connection)
            .await?;
        Ok(row.is_some())
    }
}

/// Why a transaction has no good end.
enum Unwritten {
    Surely(StateError),
    /// Its commit was not answered.
    Perhaps(StateError),
}

impl Unwritten {
    fn database(error: sqlx::Error) -> Self {
        Self::Surely(StateError::storage(WRITE, error))
    }
}

async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(limits::POSTGRES_TIMEOUT, work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

async fn changes_behind<'a>(
    executor: impl sqlx::PgExecutor<'a>,
    index: u64,
) -> Result<Vec<Change>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT space, key, value, created, modified FROM state WHERE modified > $1 ORDER BY modified",
    )
    .bind(index.cast_signed())
    .fetch_all(executor)
    .await?;
    rows.iter().map(change).collect()
}

fn change(row: &PgRow) -> Result<Change, sqlx::Error> {
    let key = String::from_utf8(row.try_get(1)?);
    let value: Option<Vec<u8>> = row.try_get(2)?;
    Ok(Change {
        space: row.try_get(0)?,
        key: key.map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        value: value.map(Into::into),
        created: row.try_get::<i64, _>(3)?.cast_unsigned(),
        index: row.try_get::<i64, _>(4)?.cast_unsigned(),
    })
}

async fn put(connection: &mut PgConnection, changes: Vec<Change>) -> Result<(), sqlx::Error> {
    let mut newest = std::collections::BTreeMap::new();
    for change in changes {
        // One statement changes a row once: of each key the last change counts.
        newest.insert((change.space.clone(), change.key.clone()), change);
    }
    let (mut spaces, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (mut created, mut modified) = (Vec::new(), Vec::new());
    for change in newest.into_values() {
        spaces.push(change.space);
        keys.push(change.key.into_bytes());
        values.push(change.value.map(|value| value.to_vec()));
        created.push(change.created.cast_signed());
        modified.push(change.index.cast_signed());
    }
    sqlx::query(
        "INSERT INTO state (space, key, value, created, modified) \
         SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bigint[]) \
         ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, \
         created = excluded.created, modified = excluded.modified",
    )
    .bind(spaces)
    .bind(keys)
    .bind(values)
    .bind(created)
    .bind(modified)
    .execute(connection)
    .await
    .map(drop)
}

/// Tells of what other replicas write, until it is aborted.
async fn listen(readers: PgPool, elsewhere: Arc<Notify>, name: Uuid) {
    let own = name.to_string();
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(&readers).await?;
            listener.listen(CHANNEL).await?;
            // What was written before there was anybody to listen.
            elsewhere.notify_one();
            loop {
                match listener.try_recv().await? {
                    Some(told) if told.payload() == own => {}
                    // None: the connection was lost, and with it perhaps a notice.
                    Some(_) | None => elsewhere.notify_one(),
                }
            }
        };
        let ended: Result<(), sqlx::Error> = listening.await;
        if let Err(error) = ended {
            tracing::warn!(%error, "cannot listen for what other replicas write; trying again");
        }
        tokio::time::sleep(limits::POSTGRES_RECONNECT).await;
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    async fn changes(&self, index: u64) -> Result<Vec<Change>, StateError> {
        within(changes_behind(&self.readers, index))
            .await
            .map_err(|error| StateError::storage(READ, error))
    }

    async fn write(&self, index: u64, decide: Decide<'_>) -> Result<(), StateError> {
        let mut writer = self.writer.lock().await;
        let failed = |error| StateError::storage(WRITE, error);
        let begun = match writer.take() {
            // A kept connection may have been lost meanwhile; a new one that fails is a failure.
            Some(kept) => match within(self.begin(Some(kept), index)).await {
                Ok(begun) => Ok(begun),
                Err(_) => within(self.begin(None, index)).await,
            },
            None => within(self.begin(None, index)).await,
        };
        let (mut connection, foreign) = begun.map_err(failed)?;
        let writes = decide(foreign);
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let token = [&self.name.as_bytes()[..], &number.to_be_bytes()].concat();
        let last = writes.changes.last().map(|change| change.index);
        let finish = self.finish(&mut connection, writes, &token);
        let error = match tokio::time::timeout(limits::POSTGRES_TIMEOUT, finish).await {
            Ok(Ok(())) => {
                *writer = Some(connection);
                return Ok(());
            }
            // Dropping the connection rolls back.
            Ok(Err(Unwritten::Surely(error))) => return Err(error),
            Ok(Err(Unwritten::Perhaps(error))) => error,
            Err(_) => failed(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        drop(connection);
        let Some(last) = last else {
            return Err(error);
        };
        match within(self.was_committed(last, &token)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(error),
            Err(lookup) => {
                tracing::error!(%error, %lookup, "a commit's outcome is not known");
                Err(error)
            }
        }
    }

    async fn changed_elsewhere(&self) {
        tokio::select! {
            () = self.elsewhere.notified() => {}
            () = tokio::time::sleep(limits::POSTGRES_POLL) => {}
        }
    }
}
