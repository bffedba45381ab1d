//! Backup and restore of a gateway that keeps its data in SQLite. One on PostgreSQL is backed up with
//! PostgreSQL's own tools, together with its key file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use logstore::{LogStoreError, connect};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::{
    MainKey, OpenError,
    open::{DATABASE, failed, take_lock},
    storage::sqlite_options,
};
use crate::random::Random;

/// Why there is no copy, or the copy was not put in place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Folder, lock or key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something is in the way.
    #[error("{0} is there already; choose another name")]
    Exists(PathBuf),
    /// There is no database in the folder.
    #[error("there is no gateway's database in {0}")]
    Nothing(PathBuf),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] LogStoreError),
    /// The copy is not sound, or is of another gateway, whose key it needs.
    #[error("{path} is not sound ({reason}); it was left alone")]
    Unsound {
        /// The copy.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
}

fn key(folder: &Path) -> Result<MainKey, BackupError> {
    // Only to be read: without its key there is nothing to copy.
    let random = Random::from_system().map_err(|error| OpenError::Io {
        operation: "asking the system for randomness",
        path: folder.to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    MainKey::load(folder, true, &random).map_err(|error| OpenError::from(error).into())
}

async fn open(database: &Path, key: &MainKey) -> Result<SqliteConnection, BackupError> {
    let options = sqlite_options(database, key).create_if_missing(false);
    connect(&options)
        .await
        .map_err(|error| LogStoreError::database("opening the database", error).into())
}

/// Writes a copy of the gateway's database to `target`: one moment's, encrypted under the gateway's key,
/// whole or not at all. The gateway may run meanwhile. The key is not in it: keep it apart from the copy.
pub async fn backup(folder: &Path, target: &Path) -> Result<(), BackupError> {
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let database = folder.join(DATABASE);
    if !database.exists() {
        return Err(BackupError::Nothing(folder.to_owned()));
    }
    let key = key(folder)?;
    let part = target.with_added_extension("part");
    // Left over from a backup that was cut off.
    let _ = fs::remove_file(&part);
    let written = async {
        let mut source = open(&database, &key).await?;
        sqlx::query("VACUUM INTO ?")
            .bind(part.to_string_lossy().into_owned())
            .execute(&mut source)
            .await
            .map_err(|error| LogStoreError::database("copying the database", error))?;
        check(&part, &part, &key).await
    };
    if let Err(error) = written.await {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    publish(&part, target)
        .map_err(failed("writing", target))
        .map_err(Into::into)
}

/// Puts a copy in the place of the gateway's database. No gateway may run on the folder, and its key must be
/// the one that the copy was made under. What was there is kept beside it and returned.
pub async fn restore(folder: &Path, copy: &Path) -> Result<Option<PathBuf>, BackupError> {
    let _lock = take_lock(folder)?;
    let key = key(folder)?;
    let database = folder.join(DATABASE);
    let part = database.with_added_extension("part");
    let _ = fs::remove_file(&part);
    fs::copy(copy, &part).map_err(failed("copying", copy))?;
    if let Err(error) = check(&part, copy, &key).await {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    let kept = set_aside(&database).map_err(failed("setting aside", &database))?;
    publish(&part, &database).map_err(failed("writing", &database))?;
    Ok(kept)
}

/// Whether a copy opens under the key and is sound; `shown` is what a message calls it.
async fn check(copy: &Path, shown: &Path, key: &MainKey) -> Result<(), BackupError> {
    let unsound = |reason: String| BackupError::Unsound {
        path: shown.to_owned(),
        reason,
    };
    let mut connection = open(copy, key)
        .await
        .map_err(|error| unsound(error.to_string()))?;
    // The first reports pages whose authentication fails, the second what contradicts itself.
    for (sql, sound) in [
        ("PRAGMA cipher_integrity_check", None),
        ("PRAGMA integrity_check", Some("ok")),
    ] {
        let rows = sqlx::query(sql)
            .fetch_all(&mut connection)
            .await
            .map_err(|error| unsound(error.to_string()))?;
        let found = rows
            .iter()
            .filter_map(|row| row.try_get::<String, _>(0).ok());
        if let Some(fault) = found.into_iter().find(|text| Some(text.as_str()) != sound) {
            return Err(unsound(fault));
        }
    }
    let tables = "SELECT count(*) FROM sqlite_master WHERE name IN ('state', 'ledger_entries')";
    let row = sqlx::query(tables).fetch_one(&mut connection).await;
    let tables = row.and_then(|row| row.try_get::<i64, _>(0));
    if tables.map_err(|error| unsound(error.to_string()))? != 2 {
        return Err(unsound("it is not a gateway's database".to_owned()));
    }
    connection
        .close()
        .await
        .map_err(|error| unsound(error.to_string()))
}

fn publish(part: &Path, target: &Path) -> io::Result<()> {
    File::open(part)?.sync_all()?;
    fs::rename(part, target)?;
    let folder = target
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Renames the database to a name that is free; its write-ahead log, which may hold the last commits, goes
/// with it.
fn set_aside(database: &Path) -> io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let name = |number: u32| database.with_added_extension(format!("replaced-{number}"));
    let free = (1..).map(name).find(|path| !path.exists());
    let Some(kept) = free else { return Ok(None) };
    for suffix in ["-wal", "-shm", ""] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        if beside(database).exists() {
            fs::rename(beside(database), beside(&kept))?;
        }
    }
    Ok(Some(kept))
}
