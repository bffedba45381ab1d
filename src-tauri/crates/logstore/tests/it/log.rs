//! Contracts of the event log and the histories; units of work.

use std::sync::Arc;

use events::{EventLog, Filter, Payload, Position, payloads::LedgerEventRecorded};
use logstore::{LedgerStore as _, LogStoreError, Statement, UnitOfWork};
use sqlx::Row;

use crate::support::{event, open, try_open};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_an_event_log() {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStoreWithoutLedger::open(folder.path()).await;
    events::conformance::event_log(Arc::new(store)).await;
}

/// The suite counts positions from 1 without others' events between: no entries, no announcements.
struct LogStoreWithoutLedger;

impl LogStoreWithoutLedger {
    async fn open(folder: &std::path::Path) -> logstore::LogStore {
        let mut options = crate::support::options();
        options.policy = |_| false;
        logstore::LogStore::open(crate::support::base(&folder.join("log.sqlite")), options)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_history_store() {
    let folder = tempfile::tempdir().unwrap();
    workflow::conformance::history_store(Arc::new(open(folder.path()).await)).await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for number in 0..10 {
        store
            .append(vec![event("session.step", number)])
            .await
            .unwrap();
    }
    store.save_offset("consumer", Position(3)).await.unwrap();
    let before = store
        .read(Position::START, 100, &Filter::all())
        .await
        .unwrap();
    assert_eq!(before.len(), 20, "each event and its announcement");
    store.close().await;
    let closed = store
        .append(vec![event("session.step", 11)])
        .await
        .unwrap_err();
    assert!(
        matches!(closed, events::LogError::Closed { .. }),
        "{closed}"
    );

    let store = open(folder.path()).await;
    assert_eq!(
        store
            .read(Position::START, 100, &Filter::all())
            .await
            .unwrap(),
        before
    );
    assert_eq!(store.offset("consumer").await.unwrap(), Some(Position(3)));
    let next = store.append(vec![event("session.step", 12)]).await.unwrap();
    assert_eq!(next, [Position(21)]);
    assert_eq!(store.ledger_size().await.unwrap(), 11);
}

#[tokio::test]
async fn a_unit_is_committed_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let offset = |sql, expect| Statement::new(sql, []).expecting(expect);
    let good = "INSERT INTO consumer_offsets (consumer, position) VALUES ('by hand', 1)";
    let unit = |number: u64| {
        UnitOfWork::new()
            .event(event("session.step", number))
            .outbox("segment", format!("{number}"))
    };
    store
        .commit(unit(1).statement(offset(good, 1)))
        .await
        .unwrap();
    // The same row again: this unit fails, the one beside it in the group does not.
    let (bad, fine) = tokio::join!(
        store.commit(unit(2).statement(offset(good, 1))),
        store.commit(unit(3).statement(offset("DELETE FROM consumer_offsets", 1))),
    );
    assert!(
        matches!(bad, Err(LogStoreError::Conflict { .. })),
        "{bad:?}"
    );
    fine.unwrap();
    let missing = store
        .commit(unit(4).statement(offset("DELETE FROM consumer_offsets", 1)))
        .await;
    assert!(
        matches!(missing, Err(LogStoreError::Conflict { .. })),
        "{missing:?}"
    );

    let numbers: Vec<_> = store
        .read(Position::START, 100, &Filter::all())
        .await
        .unwrap()
        .iter()
        .filter_map(|recorded| recorded.event.data["number"].as_u64())
        .collect();
    assert_eq!(numbers, [1, 3]);
    let outbox = store.outbox(0, 10).await.unwrap();
    let references: Vec<_> = outbox
        .iter()
        .map(|(_, item)| item.reference.as_str())
        .collect();
    assert_eq!(references, ["1", "3"]);
    assert!(store.outbox_done(outbox[0].0).await.unwrap());
    assert!(!store.outbox_done(outbox[0].0).await.unwrap());
    assert_eq!(store.outbox(0, 10).await.unwrap(), outbox[1..]);
}

#[tokio::test]
async fn data_that_the_ledger_cannot_say_exactly_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut bad = event("session.step", 1);
    bad.data = serde_json::json!({ "too_large": u64::MAX });
    let refused = store
        .append(vec![event("session.step", 2), bad])
        .await
        .unwrap_err();
    assert!(
        matches!(refused, events::LogError::Refused { .. }),
        "{refused}"
    );
    let mut bad = event("session.step", 1);
    bad.event_type = "Not A Kind".to_owned().into();
    store.append(vec![bad]).await.unwrap_err();
    assert_eq!(
        store.end().await.unwrap(),
        Position::START,
        "nothing of the batch was written"
    );
}

#[tokio::test]
async fn entries_are_announced_once_a_transaction_and_never_entered() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let receipt = store
        .commit(UnitOfWork::new().events((0..5).map(|number| event("session.step", number))))
        .await
        .unwrap();
    assert_eq!(receipt.sequences, [0, 1, 2, 3, 4]);
    let filter = Filter::of_types([LedgerEventRecorded::EVENT_TYPE]);
    let announced = store.read(Position::START, 10, &filter).await.unwrap();
    assert_eq!(announced.len(), 1);
    let data: LedgerEventRecorded = announced[0].event.payload().unwrap();
    assert_eq!(
        (data.first_sequence, data.entries, data.tree_size),
        (0, 5, 5)
    );
    assert_eq!(
        data.root_hash,
        store.ledger_tree().await.unwrap().root().to_string()
    );
    // Even under a policy that wants it.
    let mut options = crate::support::options();
    options.policy = |_| true;
    store.close().await;
    let base = crate::support::base(&folder.path().join("log.sqlite"));
    let store = logstore::LogStore::open(base, options).await.unwrap();
    let mut again = announced[0].event.clone();
    again.event_id = uuid::Uuid::from_u128(1);
    store.append(vec![again]).await.unwrap();
    assert_eq!(store.ledger_size().await.unwrap(), 5);
}

#[tokio::test]
async fn there_is_one_sqlite_and_it_is_sqlcipher() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let row = sqlx::query("PRAGMA cipher_version")
        .fetch_one(store.readers())
        .await
        .unwrap();
    let version: String = row.get(0);
    assert!(version.starts_with("4."), "{version}");
    for (pragma, due) in [("PRAGMA synchronous", 2), ("PRAGMA temp_store", 2)] {
        let row = sqlx::query(pragma)
            .fetch_one(store.readers())
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), due, "{pragma}");
    }
    store.close().await;
    let bytes = std::fs::read(folder.path().join("log.sqlite")).unwrap();
    assert!(
        !bytes.starts_with(b"SQLite format 3"),
        "the file is encrypted"
    );
}

#[tokio::test]
async fn a_damaged_file_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.append(vec![event("session.step", 1)]).await.unwrap();
    store.close().await;
    let path = folder.path().join("log.sqlite");
    let whole = std::fs::read(&path).unwrap();
    for offset in [0, 20, 100, 4096, whole.len() / 2] {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        match try_open(folder.path()).await {
            Ok(store) => store.close().await, // a page that opening does not read
            Err(error) => assert!(
                matches!(
                    error,
                    LogStoreError::NotADatabase { .. } | LogStoreError::Corrupt { .. }
                ),
                "{offset}: {error:?}"
            ),
        }
    }
}
