//! A database of every released version, kept: it opens, and nothing in it is lost.
//!
//! Written once, with `WRITE_GOLDEN=1`, when a version is new, and never changed.

use std::{fs, path::PathBuf};

use store::{Store, UnitOfWork, write};

use crate::{
    rows::patient,
    support::{key, open, options, step},
};

fn path(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/store.v{version}.sqlite"))
}

async fn write_version_1() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let publisher = store.bus().publisher("golden");
    for number in 0..5 {
        publisher.publish(&step(number)).await.unwrap();
    }
    let unit = UnitOfWork::new().outbox("segment", "one");
    store
        .commit(unit.statement(write::insert_patient(&patient(1, true))))
        .await
        .unwrap();
    store.backup(&path(1), None).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_store_of_version_1_is_migrated() {
    if std::env::var_os("WRITE_GOLDEN").is_some() && !path(1).exists() {
        write_version_1().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    fs::copy(path(1), options.database()).unwrap();
    let store = Store::open(options, &key()).await.unwrap();
    store.check_integrity().await.unwrap();
    assert_eq!(store.patients().await.unwrap(), [patient(1, true)]);
    assert_eq!(store.log().end_position().0, 10);
    assert_eq!(store.log().outbox(0, 10).await.unwrap().len(), 1);
    let report = store.verify_ledger(|_| ()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.entries, report.checkpoints_held), (5, 1));
    // It is writable, and goes on where it ended.
    let next = store
        .bus()
        .publisher("golden")
        .publish(&step(5))
        .await
        .unwrap();
    assert_eq!(next.position.0, 11);
    store.close().await;
}
