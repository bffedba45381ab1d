//! Locked, wrong key, damaged, newer, full: each a clear error, none a panic.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use events::EventLog;
use logstore::LedgerStore as _;
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
use store::{Store, StoreError, UnitOfWork, keys::StationKey, write};

use crate::{
    rows::patient,
    support::{key, message, open, options, other_key, step, try_open},
};

/// Far beyond any start of a child.
const UNMOUNT_WITHIN: Duration = Duration::from_secs(10);

fn raw(folder: &std::path::Path, key: &StationKey) -> SqliteConnectOptions {
    let hex: String = key
        .database_key()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    SqliteConnectOptions::new()
        .filename(folder.join("store.sqlite"))
        .pragma("key", format!("\"x'{hex}'\""))
}

#[tokio::test]
async fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let error = try_open(folder.path()).await.unwrap_err();
    let StoreError::Locked { owner, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*owner, Some(std::process::id()));
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    store.close().await;
    open(folder.path()).await.close().await;
}

#[tokio::test]
async fn another_key_is_refused_with_or_without_its_note() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.close().await;
    let error = Store::open(options(folder.path()), &other_key())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error:?}");
    assert!(
        error.to_string().contains(&key().id().to_string()),
        "{error}"
    );
    fs::remove_file(folder.path().join("store.key-id")).unwrap();
    let error = Store::open(options(folder.path()), &other_key())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::WrongKey { .. }), "{error:?}");
    // The right key still opens, and notes itself again.
    open(folder.path()).await.close().await;
    assert!(folder.path().join("store.key-id").exists());
}

#[tokio::test]
async fn damage_anywhere_is_an_error_that_says_to_restore() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let unit = (0..200).fold(UnitOfWork::new(), |unit, number| {
        unit.event(store.bus().publisher("test").event(&step(number)).unwrap())
    });
    store.commit(unit).await.unwrap();
    store.close().await;
    let path = folder.path().join("store.sqlite");
    let whole = fs::read(&path).unwrap();
    let (mut at_open, mut at_check) = (0, 0);
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096 + (page * 37) % 4096] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let error = match try_open(folder.path()).await {
            Err(error) => {
                at_open += 1;
                error
            }
            Ok(store) => {
                let error = store.check_integrity().await.unwrap_err();
                store.log().close().await;
                drop(store);
                at_check += 1;
                error
            }
        };
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "page {page}: {error:?}"
        );
        assert!(
            error.to_string().contains("restore it from a backup"),
            "{error}"
        );
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(folder.path().join(format!("store.sqlite{suffix}")));
        }
    }
    assert!(
        at_open > 0 && at_check > 0,
        "{at_open} at opening, {at_check} when checked"
    );
    for length in [0, 1, 100, 4096, whole.len() / 2] {
        fs::write(&path, &whole[..length]).unwrap();
        match try_open(folder.path()).await {
            Ok(store) => store.close().await, // an empty file is a new database
            Err(error) => {
                assert!(length > 0);
                assert!(
                    matches!(error, StoreError::Corrupt { .. }),
                    "{length}: {error:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_newer_programs_file_is_left_alone() {
    for table in ["store_migrations", "log_migrations"] {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).await.close().await;
        let mut connection = raw(folder.path(), &key()).connect().await.unwrap();
        let sql = format!(
            "INSERT INTO {table} SELECT 9999, description, installed_on, success, checksum, \
             execution_time FROM {table} LIMIT 1"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        drop(connection);
        let error = try_open(folder.path()).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Newer { found: 9999, .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("update the program"), "{error}");
    }
}

/// A patient's name is nowhere in the folder's bytes, nor in any event or entry.
#[tokio::test]
async fn names_are_found_nowhere_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut row = patient(1, true);
    row.family_name = "Canary-4711-Name".into();
    row.hospital_number = Some("Canary-4711-Number".into());
    store
        .commit(UnitOfWork::new().statement(write::insert_patient(&row)))
        .await
        .unwrap();
    store
        .backup(&folder.path().join("copy"), None)
        .await
        .unwrap();
    store.log().flush().await.unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(11).any(|window| window == b"Canary-4711");
        assert!(!found, "{}", path.display());
    }
    store.close().await;
}

#[tokio::test]
async fn a_full_disk_is_said_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("SKIPPED: a full disk needs a tmpfs, which root alone can mount");
        return;
    }
    let result = tokio::spawn(fill_up(folder.path().to_owned())).await;
    let began = Instant::now();
    let unmounted = || Command::new("umount").arg(folder.path()).status();
    // A child that another test is starting holds every open file between its fork and its exec.
    while !unmounted().is_ok_and(|status| status.success()) {
        assert!(began.elapsed() < UNMOUNT_WITHIN, "it stays busy");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    result.unwrap();
}

async fn fill_up(folder: std::path::PathBuf) {
    let store = open(&folder).await;
    let publisher = store.bus().publisher("test");
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![0; 512 * 1024]).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        match store
            .commit(UnitOfWork::new().event(publisher.event(&step(acknowledged)).unwrap()))
            .await
        {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "the disk never fills");
    };
    assert!(
        matches!(error, StoreError::DiskFull { .. }),
        "{}",
        message(&error)
    );
    assert!(
        message(&error).contains("free some space"),
        "{}",
        message(&error)
    );
    let size = store.log().ledger_size().await.unwrap();
    assert_eq!(
        size,
        u64::from(acknowledged),
        "all that was acknowledged, nothing else"
    );
    assert!(
        store.log().end().await.unwrap().0 >= size,
        "reading goes on"
    );

    // With room again it goes on by itself.
    fs::remove_file(&ballast).unwrap();
    store
        .commit(UnitOfWork::new().event(publisher.event(&step(0)).unwrap()))
        .await
        .unwrap();
    let report = store.verify_ledger(|_| ()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.entries, size + 1);
    store.close().await;
}
