//! Backup and restore: a whole, consistent, encrypted copy.

use std::{
    fs,
    path::{Path, PathBuf},
};

use logstore::connect;
use sqlx::{AssertSqlSafe, Connection};

use crate::{
    Store, StoreError, StoreOptions,
    files::{sync_file, sync_folder_of},
    keys::StationKey,
    limits::KEY_ID_FILE,
    lock::FolderLock,
    store::{check_integrity, connection, key_pragma},
};

impl Store {
    /// Writes a copy of the whole store, with a fresh ledger checkpoint in it, to `target`, which
    /// must not exist. It is encrypted with `key`, or with the station key, and appears complete
    /// or not at all. Recording goes on meanwhile. The station key itself is not in it.
    pub async fn backup(&self, target: &Path, key: Option<&StationKey>) -> Result<(), StoreError> {
        const OPERATION: &str = "backing up";
        if target.exists() {
            return Err(StoreError::Exists {
                operation: OPERATION,
                path: target.to_owned(),
            });
        }
        self.checkpoint().await?;
        let part = target.with_added_extension("part");
        // Left over from a backup that was cut off.
        let _ = fs::remove_file(&part);
        let written = self
            .write_backup(&part, key.unwrap_or(&self.inner.key))
            .await;
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        written?;
        publish(&part, target).map_err(|error| StoreError::io(OPERATION, target, error))
    }

    async fn write_backup(&self, part: &Path, key: &StationKey) -> Result<(), StoreError> {
        const OPERATION: &str = "backing up";
        let failed = |error| StoreError::database(OPERATION, error);
        let own = &self.inner.key;
        let database = self.inner.options.database();
        let mut source = connect(&connection(&database, own)).await.map_err(failed)?;
        // VACUUM INTO copies one snapshot, under the same key.
        sqlx::query("VACUUM INTO ?")
            .bind(part.to_string_lossy().into_owned())
            .execute(&mut source)
            .await
            .map_err(failed)?;
        source.close().await.map_err(failed)?;
        if key != own {
            rekey(part, own, key).await?;
        }
        check_integrity(&connection(part, key), part).await
    }

    /// Puts a backup in the place of a data folder's store; the station key is `key`, the backup's
    /// `backup_key` (the same, unless it was given another). What was there is kept beside it and
    /// returned. The store must not be open.
    pub async fn restore(
        options: &StoreOptions,
        backup: &Path,
        backup_key: &StationKey,
        key: &StationKey,
    ) -> Result<Option<PathBuf>, StoreError> {
        const OPERATION: &str = "restoring";
        let _lock = FolderLock::take(&options.folder)?;
        let database = options.database();
        let part = database.with_added_extension("part");
        let failed = |path: &Path, error| StoreError::io(OPERATION, path, error);
        let _ = fs::remove_file(&part);
        fs::copy(backup, &part).map_err(|error| failed(backup, error))?;
        let checked = async {
            check_integrity(&connection(&part, backup_key), &part).await?;
            if key != backup_key {
                rekey(&part, backup_key, key).await?;
            }
            Ok(())
        };
        if let Err(error) = checked.await {
            let _ = fs::remove_file(&part);
            return Err(match error {
                // The message shall name the backup, not our copy of it.
                StoreError::Corrupt { reason, .. } => StoreError::Corrupt {
                    path: backup.to_owned(),
                    reason,
                },
                other => other,
            });
        }
        let kept = set_aside(&database).map_err(|error| failed(&database, error))?;
        let _ = fs::remove_file(options.folder.join(KEY_ID_FILE));
        publish(&part, &database).map_err(|error| failed(&database, error))?;
        Ok(kept)
    }
}

async fn rekey(path: &Path, from: &StationKey, to: &StationKey) -> Result<(), StoreError> {
    let failed = |error| StoreError::database("changing the key of a copy", error);
    let mut copy = connect(&connection(path, from)).await.map_err(failed)?;
    // A PRAGMA takes no parameters; the text is hexadecimal digits of our own making.
    let sql = format!("PRAGMA rekey = {}", key_pragma(to).as_str());
    sqlx::query(AssertSqlSafe(sql))
        .execute(&mut copy)
        .await
        .map_err(failed)?;
    copy.close().await.map_err(failed)
}

fn publish(part: &Path, target: &Path) -> std::io::Result<()> {
    sync_file(part)?;
    fs::rename(part, target)?;
    sync_folder_of(target)
}

/// Renames the database and its write-ahead log, if there are any, to names that are free.
fn set_aside(database: &Path) -> std::io::Result<Option<PathBuf>> {
    if !database.exists() {
        return Ok(None);
    }
    let free = (1..)
        .map(|number: u32| database.with_added_extension(format!("replaced-{number}")))
        .find(|path| !path.exists());
    let Some(kept) = free else { return Ok(None) };
    for suffix in ["-wal", "-shm"] {
        let beside = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        // A log of its own must go with its database: it may hold the last commits.
        if beside(database).exists() {
            fs::rename(beside(database), beside(&kept))?;
        }
    }
    fs::rename(database, &kept)?;
    sync_folder_of(database)?;
    Ok(Some(kept))
}
