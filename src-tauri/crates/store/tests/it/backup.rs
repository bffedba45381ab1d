//! Backup and restore.

use std::fs;

use events::{EventLog, Filter, Position};
use logstore::LedgerStore as _;
use store::{Store, StoreError, UnitOfWork, write};

use crate::{
    rows::patient,
    support::{key, open, options, other_key, step},
};

async fn filled(folder: &std::path::Path) -> Store {
    let store = open(folder).await;
    let publisher = store.bus().publisher("test");
    for number in 0..20 {
        publisher.publish(&step(number)).await.unwrap();
    }
    store
        .commit(UnitOfWork::new().statement(write::insert_patient(&patient(1, true))))
        .await
        .unwrap();
    store
}

#[tokio::test]
async fn a_backup_restores_everything_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let events = store
        .log()
        .read(Position::START, 1_000, &Filter::all())
        .await
        .unwrap();
    let target = folder.path().join("backup.sqlite");
    store.backup(&target, None).await.unwrap();
    let again = store.backup(&target, None).await.unwrap_err();
    assert!(matches!(again, StoreError::Exists { .. }), "{again}");
    let running = Store::restore(&options(folder.path()), &target, &key(), &key()).await;
    assert!(
        matches!(running, Err(StoreError::Locked { .. })),
        "never under a running engine"
    );
    // What comes after the backup is not in it.
    store
        .bus()
        .publisher("test")
        .publish(&step(99))
        .await
        .unwrap();
    store.close().await;

    let kept = Store::restore(&options(folder.path()), &target, &key(), &key())
        .await
        .unwrap();
    assert!(
        kept.is_some_and(|path| path.exists()),
        "what was there is kept"
    );
    let store = open(folder.path()).await;
    assert_eq!(
        store
            .log()
            .read(Position::START, 1_000, &Filter::all())
            .await
            .unwrap(),
        events
    );
    assert_eq!(store.patients().await.unwrap(), [patient(1, true)]);
    let report = store.verify_ledger(|_| ()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.entries, report.checkpoints_held), (20, 1));
    store.close().await;
}

#[tokio::test]
async fn a_backup_under_another_key_moves_to_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("backup.sqlite");
    let store = filled(folder.path()).await;
    store.backup(&target, Some(&other_key())).await.unwrap();
    store.close().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let options = options(elsewhere.path());
    let wrong = Store::restore(&options, &target, &key(), &key())
        .await
        .unwrap_err();
    assert!(matches!(wrong, StoreError::Corrupt { .. }), "{wrong:?}");
    assert!(wrong.to_string().contains("backup.sqlite"), "{wrong}");
    assert!(!options.database().exists(), "nothing half restored");
    let kept = Store::restore(&options, &target, &other_key(), &key())
        .await
        .unwrap();
    assert_eq!(kept, None);
    let store = Store::open(options, &key()).await.unwrap();
    assert_eq!(store.patients().await.unwrap().len(), 1);
    assert_eq!(store.log().ledger_size().await.unwrap(), 20);
    store.close().await;
}

#[tokio::test]
async fn a_damaged_backup_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("backup.sqlite");
    let store = filled(folder.path()).await;
    store.backup(&target, None).await.unwrap();
    store.close().await;
    let mut bytes = fs::read(&target).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&target, bytes).unwrap();
    let error = Store::restore(&options(folder.path()), &target, &key(), &key())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    let store = open(folder.path()).await;
    assert_eq!(store.log().ledger_size().await.unwrap(), 20);
    store.close().await;
}

#[tokio::test]
async fn a_checkpoint_is_signed_by_itself_once_enough_was_entered() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let publisher = store.bus().publisher("test");
    let due = logstore::limits::CHECKPOINT_ENTRIES;
    let unit = (0..due).fold(UnitOfWork::new(), |unit, number| {
        unit.event(publisher.event(&step(number as u32)).unwrap())
    });
    store.commit(unit).await.unwrap();
    let patience = std::time::Duration::from_secs(10);
    let signed = tokio::time::timeout(patience, async {
        loop {
            if let Some(signed) = store.log().last_checkpoint().await.unwrap() {
                break signed;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(signed.verify(store.ledger_key()).unwrap().size, due);
    let bundle = store.prove(7).await.unwrap();
    bundle.verify(store.ledger_key()).unwrap();
    store.close().await;
}
