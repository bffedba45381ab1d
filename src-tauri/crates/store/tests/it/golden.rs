//! A database of every released version, kept: it opens, and nothing in it is lost.
//!
//! Written once, with `WRITE_GOLDEN=1`, when a version is new, and never changed.

use std::{fs, path::PathBuf};

use store::{Store, UnitOfWork, rows::DocumentKind, write};

use crate::{
    rows::{patient, session},
    support::{key, open, options, step},
};

/// Version of the present schema.
const NEWEST: u32 = 2;

fn path(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/store.v{version}.sqlite"))
}

/// The oldest file was written like this, by the program of then; so is each new version's.
async fn write_newest() {
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
    store.backup(&path(NEWEST), None).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_store_of_version_1_is_migrated() {
    opens_whole(1).await;
}

#[tokio::test]
async fn a_store_of_version_2_opens() {
    if std::env::var_os("WRITE_GOLDEN").is_some() && !path(NEWEST).exists() {
        write_newest().await;
    }
    opens_whole(2).await;
}

async fn opens_whole(version: u32) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    fs::copy(path(version), options.database()).unwrap();
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

/// Plan, checks and length of a session were settings in version 1.
#[tokio::test]
async fn sessions_of_version_1_keep_their_plan_checks_and_length() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let kept = path(1).with_file_name("store.v1-sessions.sqlite");
    fs::copy(kept, options.database()).unwrap();
    let store = Store::open(options, &key()).await.unwrap();
    store.check_integrity().await.unwrap();
    let expected = session(
        0x0198_0000_0000_7000_8000_0000_0000_00ab,
        patient(1, true).id,
    );
    let id = expected.id;
    let found = store.session(id).await.unwrap().unwrap();
    let plan = serde_json::json!({ "zone": 3600 });
    let expected = store::rows::SessionRow {
        plan: Some(plan),
        recorded_s: Some(61.5),
        ..expected
    };
    assert_eq!(found, expected);
    let checks = store.session_checks(id).await.unwrap();
    assert_eq!(checks, Some(serde_json::json!({ "impedances": [] })));
    for name in ["plan", "checks", "recorded_s"] {
        let name = format!("session.{id}.{name}");
        assert_eq!(store.setting(&name).await.unwrap(), None, "{name}");
    }
    let other = store.setting("clinic.training_patient").await.unwrap();
    assert_eq!(other, Some("x".into()));
    let documents = store.documents(Some(id)).await.unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].kind, DocumentKind::Report);
    assert!(store.verify_ledger(|_| ()).await.unwrap().is_sound());
    store.close().await;
}
