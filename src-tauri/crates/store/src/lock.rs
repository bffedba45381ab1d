//! One owner of a data folder at a time.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use crate::{StoreError, limits::LOCK_FILE};

/// Holds the data folder; the operating system lets go of it when the process ends, however it
/// ends. The file stays, and with it the id of whoever held it last.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(LOCK_FILE);
        let failed = |source| StoreError::io("locking", &path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The owner's id is a courtesy; the refusal stands without it.
                let _ = file.take(32).read_to_string(&mut text);
                return Err(StoreError::Locked {
                    path,
                    owner: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // A full disk must not keep the engine from its data: the id is a courtesy.
        let noted = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = noted {
            tracing::warn!(%error, "the lock file does not name this process");
        }
        Ok(Self { _file: file })
    }
}
