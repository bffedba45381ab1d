//! A store in a folder of its own.

use std::{path::Path, sync::Arc};

use events::{Clock, EventType, RandomIds, SystemClock, SystemEvent};
use logstore::{LogStore, LogStoreError, LogStoreOptions};
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use uuid::Uuid;

pub(crate) fn base(path: &Path) -> SqliteConnectOptions {
    // Encrypted, as the engine's store is: figures without it would flatter.
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .pragma("key", format!("\"x'{}'\"", "5a".repeat(32)))
}

pub(crate) fn options() -> LogStoreOptions {
    LogStoreOptions::new(Arc::new(SystemClock), Arc::new(RandomIds::default()))
}

pub(crate) async fn try_open(folder: &Path) -> Result<LogStore, LogStoreError> {
    LogStore::open(base(&folder.join("log.sqlite")), options()).await
}

pub(crate) async fn open(folder: &Path) -> LogStore {
    try_open(folder).await.unwrap()
}

pub(crate) fn event(kind: &'static str, number: u64) -> SystemEvent {
    let timestamp = SystemClock.now();
    let event_id = events::Ids::next(&RandomIds::default(), timestamp);
    SystemEvent {
        event_type: EventType::new(kind),
        source_service: "test".into(),
        event_id,
        timestamp,
        schema_version: 1,
        data: json!({ "number": number, "session_id": Uuid::from_u128(7), "state": "started" }),
        correlation_id: Uuid::from_u128(7),
        causation_id: None,
        site: None,
        traceparent: None,
    }
}
