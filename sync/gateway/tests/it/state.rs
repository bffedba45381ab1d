//! Backends of the state.

use std::{path::Path, sync::Arc};

use events::{RandomIds, SystemClock};
use gateway::state::{Backend, MemoryBackend, SqliteBackend, conformance};
use logstore::{LogStore, LogStoreOptions};
use sqlx::sqlite::SqliteConnectOptions;

async fn sqlite(file: &Path) -> (LogStore, Arc<dyn Backend>) {
    let base = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true);
    let mut connection = logstore::connect(&base).await.expect("a connection");
    SqliteBackend::migrate(&mut connection)
        .await
        .expect("the tables");
    let options = LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()));
    let log = LogStore::open(base, options).await.expect("a log store");
    (log.clone(), Arc::new(SqliteBackend::new(log)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_memory_conforms() {
    let backend = Arc::new(MemoryBackend::default());
    let again = backend.clone();
    conformance::check(backend, async || again as Arc<dyn Backend>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_sqlite_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("gateway.sqlite");
    let (log, backend) = sqlite(&file).await;
    conformance::check(backend, async || {
        log.close().await;
        sqlite(&file).await.1
    })
    .await;
}
