//! Opening, checkpoints, closing.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use events::{Bus, Clock, EventLog, Ids, Payload, payloads::LedgerEventRecorded};
use ledger::{KeyKind, NoteSigner, ProofBundle, Report, SignedCheckpoint, VerifierKey};
use logstore::{
    LedgerStore as _, LogStore, LogStoreOptions, Receipt, UnitOfWork, connect, run_migrations,
};
use sqlx::{
    ConnectOptions, Row, SqliteConnection, migrate::Migrator, sqlite::SqliteConnectOptions,
};
use tokio::{sync::Mutex, task::JoinHandle};
use zeroize::Zeroizing;

use crate::{
    StoreError,
    files::sync_folder_of,
    keys::{KeyId, StationKey, to_hex},
    limits::{DATABASE_FILE, KEY_ID_FILE},
    lock::FolderLock,
};

static MIGRATIONS: Migrator = Migrator {
    table_name: Cow::Borrowed("store_migrations"),
    ..sqlx::migrate!()
};

/// What the store is given by its owner.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data folder; it exists.
    pub folder: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Ids for events.
    pub ids: Arc<dyn Ids>,
}

impl StoreOptions {
    /// The database within the data folder.
    pub fn database(&self) -> PathBuf {
        self.folder.join(DATABASE_FILE)
    }
}

/// The engine's one encrypted database: patients, sessions, users, settings and documents, with
/// the event log, workflow histories and ledger of [`LogStore`]. Whoever has it open owns the data
/// folder. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: StoreOptions,
    log: LogStore,
    signer: Arc<NoteSigner>,
    pub(crate) key: StationKey,
    checkpointer: Mutex<Option<JoinHandle<()>>>,
    lock: Mutex<Option<FolderLock>>,
}

/// Connection options with the raw key: no passphrase stretching, so opening is quick.
pub(crate) fn connection(database: &Path, key: &StationKey) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(database)
        .create_if_missing(false)
        .pragma("key", key_pragma(key).to_string())
        // SQLCipher would write to standard error what our own errors say.
        .pragma("cipher_log_level", "NONE")
        .disable_statement_logging()
}

/// SQLCipher's raw key syntax.
pub(crate) fn key_pragma(key: &StationKey) -> Zeroizing<String> {
    let hex = Zeroizing::new(to_hex(&*key.database_key()));
    Zeroizing::new(format!("\"x'{}'\"", hex.as_str()))
}

/// The ledger's signing key; its name, the log's origin, tells stations apart.
pub(crate) fn signer(key: &StationKey) -> Result<NoteSigner, StoreError> {
    let origin = ledger_origin(key.id());
    NoteSigner::from_seed(&origin, KeyKind::Ed25519, &key.ledger_seed()).map_err(|error| {
        StoreError::Row {
            operation: "deriving the ledger's key",
            reason: error.to_string(),
        }
    })
}

/// Origin of the ledger of the station with this key.
pub fn ledger_origin(key: KeyId) -> String {
    format!("neurascale.station/{key}/ledger")
}

impl Store {
    /// Opens the store of a data folder, and creates it where there is none.
    ///
    /// It takes the folder's lock, refuses another station key, a damaged file and one of a newer
    /// program, and brings an older one up to date. Needs a tokio runtime.
    pub async fn open(options: StoreOptions, key: &StationKey) -> Result<Self, StoreError> {
        let lock = FolderLock::take(&options.folder)?;
        let database = options.database();
        let noted = check_key_id(&options.folder, &database, key)?;
        let base = connection(&database, key).create_if_missing(true);
        prepare(base.clone(), database.clone())
            .await
            .map_err(|error| match error {
                // Without its note a file under another key looks like a damaged one.
                StoreError::Corrupt { path, .. } if !noted && database_is_filled(&path) => {
                    let expected = "which is not noted (or the file is damaged)".to_owned();
                    StoreError::WrongKey {
                        path,
                        expected,
                        found: key.id(),
                    }
                }
                other => other,
            })?;
        let log_options =
            LogStoreOptions::new(Arc::clone(&options.clock), Arc::clone(&options.ids));
        let log = LogStore::open(base, log_options)
            .await
            .map_err(|error| StoreError::opening(&database, error))?;
        note_key_id(&options.folder, key)?;
        let signer = Arc::new(signer(key)?);
        let checkpointer = tokio::spawn(sign_when_due(log.clone(), Arc::clone(&signer)));
        let inner = Inner {
            options,
            log,
            signer,
            key: key.clone(),
            checkpointer: Mutex::new(Some(checkpointer)),
            lock: Mutex::new(Some(lock)),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Event log, workflow histories and ledger.
    pub fn log(&self) -> &LogStore {
        &self.inner.log
    }

    /// An event bus over this store.
    pub fn bus(&self) -> Bus {
        let options = &self.inner.options;
        Bus::new(
            Arc::new(self.inner.log.clone()),
            Arc::clone(&options.clock),
            Arc::clone(&options.ids),
        )
    }

    /// Commits a unit of work.
    pub async fn commit(&self, unit: UnitOfWork) -> Result<Receipt, StoreError> {
        let committed = self.inner.log.commit(unit).await;
        committed.map_err(|error| StoreError::log("committing to the store", error))
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        &self.inner.options.folder
    }

    /// Public key of the ledger's signatures, for whoever verifies them elsewhere.
    pub fn ledger_key(&self) -> &VerifierKey {
        self.inner.signer.verifier()
    }

    /// Signs a checkpoint over the whole ledger; the last one, if nothing was entered since.
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, StoreError> {
        let signed = self.inner.log.ledger_checkpoint(&self.inner.signer).await;
        signed.map_err(|error| StoreError::log("signing a checkpoint", error))
    }

    /// The offline proof of a ledger entry.
    pub async fn prove(&self, sequence: u64) -> Result<ProofBundle, StoreError> {
        let proof = self.inner.log.prove(sequence, &self.inner.signer).await;
        proof.map_err(|error| StoreError::log("proving a ledger entry", error))
    }

    /// Verifies the whole ledger; `progress` is told how many entries are done.
    pub async fn verify_ledger(
        &self,
        mut progress: impl FnMut(u64) + Send,
    ) -> Result<Report, StoreError> {
        let report = self
            .inner
            .log
            .verify_ledger(self.ledger_key(), &mut progress)
            .await;
        report.map_err(|error| StoreError::log("verifying the ledger", error))
    }

    /// Reads and authenticates every page, and checks every table and index. Minutes on a large
    /// store; opening checks only what it reads.
    pub async fn check_integrity(&self) -> Result<(), StoreError> {
        let database = self.inner.options.database();
        self.inner
            .log
            .flush()
            .await
            .map_err(|error| StoreError::log("checking the store", error))?;
        check_integrity(&connection(&database, &self.inner.key), &database).await
    }

    /// Commits what waits, signs a last checkpoint, closes every connection and lets go of the
    /// data folder. What is tried later fails as closed.
    pub async fn close(&self) {
        if let Some(task) = self.inner.checkpointer.lock().await.take() {
            task.abort();
            let _ = task.await;
        }
        if let Err(error) = self.checkpoint().await {
            tracing::warn!(error = %error, "no checkpoint could be signed while closing");
        }
        self.inner.log.close().await;
        self.inner.lock.lock().await.take();
    }
}

/// Refuses another key before the database is touched; whether the key was noted.
fn check_key_id(folder: &Path, database: &Path, key: &StationKey) -> Result<bool, StoreError> {
    let path = folder.join(KEY_ID_FILE);
    match fs::read_to_string(&path) {
        Ok(expected) if database.exists() && expected.trim() != key.id().to_string() => {
            let (path, expected) = (database.to_owned(), expected.trim().to_owned());
            Err(StoreError::WrongKey {
                path,
                expected,
                found: key.id(),
            })
        }
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io("reading", path, error)),
    }
}

fn database_is_filled(database: &Path) -> bool {
    fs::metadata(database).is_ok_and(|metadata| metadata.len() > 0)
}

fn note_key_id(folder: &Path, key: &StationKey) -> Result<(), StoreError> {
    let path = folder.join(KEY_ID_FILE);
    let id = format!("{}\n", key.id());
    if fs::read_to_string(&path).is_ok_and(|found| found == id) {
        return Ok(());
    }
    fs::write(&path, id)
        .and_then(|()| sync_folder_of(&path))
        .map_err(|error| StoreError::io("writing", path, error))
}

/// Creates or migrates the store's own tables. The first read of the file happens here: a key that
/// does not decrypt it, or a damaged first page, shows now.
///
/// Owned arguments and a box: the compiler cannot see otherwise that sqlx's future is Send.
fn prepare(
    base: SqliteConnectOptions,
    database: PathBuf,
) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> {
    Box::pin(async move {
        let mut connection = connect(&base)
            .await
            .map_err(|error| opening(&database, error))?;
        let result = prepare_on(&mut connection, &database).await;
        // Closed before the log store opens its own; a second failure would only hide the first.
        let _ = sqlx::Connection::close(connection).await;
        result
    })
}

fn opening(database: &Path, error: sqlx::Error) -> StoreError {
    StoreError::opening(
        database,
        logstore::LogStoreError::database("opening the store", error),
    )
}

async fn prepare_on(connection: &mut SqliteConnection, database: &Path) -> Result<(), StoreError> {
    let cipher = sqlx::query("PRAGMA cipher_version")
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| opening(database, error))?;
    if cipher.is_none() {
        return Err(StoreError::Unencrypted);
    }
    sqlx::query("SELECT count(*) FROM sqlite_master")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| opening(database, error))?;
    run_migrations(&MIGRATIONS, connection)
        .await
        .map_err(|error| StoreError::opening(database, error))
}

pub(crate) async fn check_integrity(
    base: &SqliteConnectOptions,
    database: &Path,
) -> Result<(), StoreError> {
    const OPERATION: &str = "checking the store";
    let failed = |error| {
        StoreError::opening(
            database,
            logstore::LogStoreError::database(OPERATION, error),
        )
    };
    let mut connection = connect(base).await.map_err(failed)?;
    // The first reports pages whose authentication fails, the second what contradicts itself.
    for (sql, sound) in [
        ("PRAGMA cipher_integrity_check", None),
        ("PRAGMA integrity_check", Some("ok")),
    ] {
        let rows = sqlx::query(sql)
            .fetch_all(&mut connection)
            .await
            .map_err(failed)?;
        for row in rows {
            let finding: String = row.try_get(0).map_err(failed)?;
            if sound != Some(finding.as_str()) {
                return Err(StoreError::Corrupt {
                    path: database.to_owned(),
                    reason: finding,
                });
            }
        }
    }
    Ok(())
}

/// Signs a checkpoint whenever enough entries have come since the last.
async fn sign_when_due(log: LogStore, signer: Arc<NoteSigner>) {
    use logstore::limits::CHECKPOINT_ENTRIES;
    use tokio::sync::broadcast::error::RecvError;
    let mut live = log.committed();
    let mut signed = match log.last_checkpoint().await {
        Ok(last) => last.map_or(0, |last| last.checkpoint().size),
        Err(_) => 0,
    };
    loop {
        let size = match live.recv().await {
            Ok(batch) => batch
                .iter()
                .rev()
                .find(|recorded| recorded.event.event_type == LedgerEventRecorded::EVENT_TYPE)
                .and_then(|recorded| recorded.event.payload::<LedgerEventRecorded>().ok())
                .map_or(0, |recorded| recorded.tree_size),
            Err(RecvError::Lagged(_)) => log.ledger_size().await.unwrap_or(0),
            Err(RecvError::Closed) => return,
        };
        if size < signed + CHECKPOINT_ENTRIES {
            continue;
        }
        match log.ledger_checkpoint(&signer).await {
            Ok(checkpoint) => signed = checkpoint.checkpoint().size,
            Err(error) => tracing::warn!(error = %error, "a checkpoint could not be signed"),
        }
    }
}

/// Every future of the store may be spawned: asserted when this is compiled.
#[cfg(test)]
mod tests {
    use super::*;

    fn sendable(_: impl Future + Send) {}

    #[allow(dead_code, reason = "compiling it is the test")]
    fn all_futures_are_send(
        store: &'static Store,
        options: &StoreOptions,
        key: &'static StationKey,
    ) {
        sendable(Store::open(options.clone(), key));
        sendable(store.commit(UnitOfWork::new()));
        sendable(store.checkpoint());
        sendable(store.prove(0));
        sendable(store.verify_ledger(|_| ()));
        sendable(store.check_integrity());
        sendable(store.close());
        sendable(store.sign_in("", ""));
        sendable(store.patients());
        sendable(store.setting(""));
        sendable(store.backup(Path::new(""), None));
        sendable(store.log().ledger_size());
        sendable(store.log().inclusion_proof(0, 1));
        sendable(store.log().outbox(0, 1));
        sendable(store.log().outbox_done(0));
        sendable(store.log().flush());
    }
}
