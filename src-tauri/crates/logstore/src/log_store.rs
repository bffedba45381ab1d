//! Opening, committing, closing.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use events::{Clock, Committed, Ids, Position};
use ledger::{Digest, Tree};
use sqlx::{
    ConnectOptions, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, broadcast, mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    LedgerPolicy, LogStoreError, Receipt, UnitOfWork, ledger_all, limits, schema,
    writer::{Ends, Request, Wal, Writer},
};

/// What a log store is given by its owner.
#[derive(Clone)]
pub struct LogStoreOptions {
    /// The clock of `ledger.event_recorded` and of outbox rows.
    pub clock: Arc<dyn Clock>,
    /// Ids for `ledger.event_recorded`.
    pub ids: Arc<dyn Ids>,
    /// `source_service` of `ledger.event_recorded`.
    pub source_service: Arc<str>,
    /// Which events become ledger entries.
    pub policy: LedgerPolicy,
}

impl LogStoreOptions {
    /// With the default policy.
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self {
            clock,
            ids,
            source_service: "ledger".into(),
            policy: ledger_all,
        }
    }
}

impl fmt::Debug for LogStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clock,
            ids,
            source_service,
            policy: _,
        } = self;
        f.debug_struct("LogStoreOptions")
            .field("clock", clock)
            .field("ids", ids)
            .field("source_service", source_service)
            .finish_non_exhaustive()
    }
}

/// Event log, workflow histories and ledger in one SQLite database. Clones share it.
#[derive(Clone)]
pub struct LogStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) options: LogStoreOptions,
    pub(crate) readers: SqlitePool,
    pub(crate) live: broadcast::Sender<Committed>,
    end_position: Arc<AtomicU64>,
    /// Emptied by closing, which lets the writer end.
    sender: RwLock<Option<mpsc::Sender<Request>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore")
            .field("end", &self.end_position())
            .finish_non_exhaustive()
    }
}

/// Settings that every connection shares; `base` brings the file and, encrypted, its key.
fn common(base: SqliteConnectOptions) -> SqliteConnectOptions {
    base.journal_mode(SqliteJournalMode::Wal)
        // FULL: a commit is on the disk when it returns, not merely consistent after a power cut.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(limits::BUSY_TIMEOUT)
        .statement_cache_capacity(limits::STATEMENT_CACHE)
        // Temporary tables and sort runs stay out of the (unencrypted) temporary folder.
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

impl LogStore {
    /// Opens the database that `base` names, brings its schema up to date, and starts the writer.
    /// Needs a tokio runtime. The caller makes sure that nobody else writes to the file.
    pub async fn open(
        base: SqliteConnectOptions,
        options: LogStoreOptions,
    ) -> Result<Self, LogStoreError> {
        const OPERATION: &str = "opening the log store";
        let failed = |error| LogStoreError::database(OPERATION, error);
        let common = common(base);
        let writing = common
            .clone()
            .busy_timeout(limits::WRITER_BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", "0")
            .pragma("cache_size", format!("-{}", limits::WRITER_CACHE_KIB));
        let mut connection = schema::connect(&writing).await.map_err(failed)?;
        schema::migrate(&mut connection).await?;
        let ends = read_ends(&mut connection).await?;
        let reading = common
            .clone()
            .create_if_missing(false)
            .pragma("query_only", "1");
        let readers = SqlitePoolOptions::new()
            .max_connections(limits::READERS)
            .connect_with(reading)
            .await
            .map_err(failed)?;

        let (sender, requests) = mpsc::channel(limits::WRITER_QUEUE);
        let live = broadcast::Sender::new(events::limits::LIVE_BATCHES);
        let end_position = Arc::new(AtomicU64::new(ends.position));
        let wal = Arc::new(Wal::default());
        let background = common.create_if_missing(false);
        let background = schema::connect(&background).await.map_err(failed)?;
        let copier = tokio::spawn(copy_in_background(background, Arc::clone(&wal)));
        let writer = Writer {
            connection,
            requests,
            live: live.clone(),
            clock: Arc::clone(&options.clock),
            ids: Arc::clone(&options.ids),
            source_service: Arc::clone(&options.source_service),
            ends,
            end_position: Arc::clone(&end_position),
            wal,
        };
        let writer = tokio::spawn(async move {
            writer.run().await;
            copier.abort();
            let _ = copier.await;
        });
        let inner = Inner {
            options,
            readers,
            live,
            end_position,
            sender: RwLock::new(Some(sender)),
            tasks: Mutex::new(vec![writer]),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Commits a unit of work; everything in it is durable when this returns.
    pub async fn commit(&self, unit: UnitOfWork) -> Result<Receipt, LogStoreError> {
        let unit = Box::new(unit.prepare(self.inner.options.policy)?);
        self.ask("committing a unit of work", |answer| Request::Commit {
            unit,
            answer,
        })
        .await
    }

    /// Copies the write-ahead log into the database file.
    pub async fn flush(&self) -> Result<(), LogStoreError> {
        self.ask("copying the write-ahead log", |answer| {
            Request::Checkpoint { answer }
        })
        .await
    }

    async fn ask<T>(
        &self,
        operation: &'static str,
        request: impl FnOnce(oneshot::Sender<Result<T, LogStoreError>>) -> Request,
    ) -> Result<T, LogStoreError> {
        let closed = || LogStoreError::Closed { operation };
        let (answer, answered) = oneshot::channel();
        let sender = self
            .inner
            .sender
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(closed)?;
        sender.send(request(answer)).await.map_err(|_| closed())?;
        drop(sender);
        answered.await.map_err(|_| closed())?
    }

    /// Connections for reading, also for the tables of other rooms in the same database.
    pub fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    /// Position of the last committed event.
    pub fn end_position(&self) -> Position {
        Position(self.inner.end_position.load(Ordering::Acquire))
    }

    /// The clock that the store was given.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.options.clock
    }

    /// Ends the writer after what waits already, copies the write-ahead log and closes every
    /// connection. What is tried later fails as closed.
    pub async fn close(&self) {
        self.inner
            .sender
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.inner.readers.close().await;
        for task in self.inner.tasks.lock().await.drain(..) {
            // The task does not panic; were it cancelled, there is nothing left to wait for.
            let _ = task.await;
        }
    }
}

/// Where log and ledger ended when the file was last written, with a cheap check that they agree.
async fn read_ends(connection: &mut SqliteConnection) -> Result<Ends, LogStoreError> {
    const OPERATION: &str = "reading the ends of log and ledger";
    let failed = |error| LogStoreError::database(OPERATION, error);
    let corrupt = |reason: &str| LogStoreError::corrupt(OPERATION, reason);
    let position: i64 = sqlx::query("SELECT coalesce(max(position), 0) FROM events")
        .fetch_one(&mut *connection)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(failed)?;
    let state = sqlx::query("SELECT tree, last_hash FROM ledger_state WHERE id = 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    let (tree, last_hash) = match state {
        None => (Tree::new(), Digest::ZERO),
        Some(row) => {
            let tree: Vec<u8> = row.try_get(0).map_err(failed)?;
            let hash: Vec<u8> = row.try_get(1).map_err(failed)?;
            let tree = Tree::from_bytes(&tree).map_err(|e| corrupt(&e.to_string()))?;
            let hash = Digest::try_from(&hash[..]).map_err(|e| corrupt(&e.to_string()))?;
            (tree, hash)
        }
    };
    let last =
        sqlx::query("SELECT sequence, hash FROM ledger_entries ORDER BY sequence DESC LIMIT 1")
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
    let (size, hash) = match last {
        None => (0, Digest::ZERO),
        Some(row) => {
            let sequence: i64 = row.try_get(0).map_err(failed)?;
            let hash: Vec<u8> = row.try_get(1).map_err(failed)?;
            let hash = Digest::try_from(&hash[..]).map_err(|e| corrupt(&e.to_string()))?;
            (sequence.unsigned_abs() + 1, hash)
        }
    };
    if size != tree.size() || hash != last_hash {
        return Err(corrupt(
            "the ledger's entries do not end where its state says",
        ));
    }
    Ok(Ends {
        position: position.unsigned_abs(),
        tree,
        last_hash,
    })
}

/// Copies the write-ahead log into the database while the writer goes on (a PASSIVE checkpoint
/// blocks nobody).
async fn copy_in_background(mut connection: SqliteConnection, wal: Arc<Wal>) {
    const PAGE_BYTES: u64 = 4096;
    loop {
        wal.due.notified().await;
        wal.fresh.store(0, Ordering::Relaxed);
        let done = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
            .fetch_one(&mut connection)
            .await;
        match done.and_then(|row| Ok((row.try_get::<i64, _>(1)?, row.try_get::<i64, _>(2)?))) {
            // All copied: the next transaction begins the log anew.
            Ok((pages, copied)) if pages == copied => wal.size.store(0, Ordering::Relaxed),
            Ok((pages, _)) => {
                let bytes = pages.max(0).unsigned_abs() * PAGE_BYTES;
                wal.size.store(bytes, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, "copying the write-ahead log failed"),
        }
    }
}
