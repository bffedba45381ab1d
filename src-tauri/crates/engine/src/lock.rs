//! The data folder's lock: one engine a folder.

use crate::Failure;
use crate::limits::{DRAIN, LOCK_POLL};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Held for the engine's life; the system releases it whatever way the process ends.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    /// As [`Self::take`], waiting for an engine that is just leaving.
    pub(crate) async fn take_patiently(data_dir: &Path) -> Result<Self, Failure> {
        let mut waited = Duration::ZERO;
        loop {
            match Self::take(data_dir) {
                Err(Failure::AlreadyRunning { .. }) if waited < DRAIN => {
                    tokio::time::sleep(LOCK_POLL).await;
                    waited += LOCK_POLL;
                }
                taken => return taken,
            }
        }
    }

    /// Makes the folder, readable by its owner only, and takes its lock.
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Failure> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(data_dir)
            .map_err(Failure::file("make the data folder", data_dir))?;
        let path = data_dir.join("engine.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Failure::file("open the lock", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                return Err(Failure::AlreadyRunning {
                    data_dir: data_dir.to_owned(),
                    pid,
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Failure::File {
                    operation: "lock",
                    path,
                    source,
                });
            }
        }
        // The process id is for people; a full disk must not keep the engine from starting.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(%error, "write the process id into the lock");
        }
        Ok(Self { _file: file })
    }
}
