//! Files appear whole or not at all: they are written into a hidden folder beside their place,
//! synced, and renamed when all are there.

use crate::ExportError;
use crate::digest::Hasher;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The hidden folder and what it will become.
#[derive(Debug)]
pub(crate) struct Stage {
    folder: TempDir,
    destination: PathBuf,
    names: Vec<String>,
    needed_bytes: u64,
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct Staged {
    file: File,
    name: String,
    hash: Hasher,
    bytes: u64,
    needed_bytes: u64,
}

fn failed(
    operation: &'static str,
    name: &str,
    needed_bytes: u64,
    source: io::Error,
) -> ExportError {
    let name = name.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ExportError::DiskFull {
            name,
            needed_bytes,
            source,
        },
        _ => ExportError::Io {
            operation,
            name,
            source,
        },
    }
}

impl Stage {
    /// Begins an export of `needed_bytes` into `destination`, which is made where it is missing.
    pub(crate) fn new(destination: &Path, needed_bytes: u64) -> Result<Self, ExportError> {
        let io = |operation, source| failed(operation, "destination folder", needed_bytes, source);
        fs::create_dir_all(destination).map_err(|source| io("create", source))?;
        let folder = tempfile::Builder::new()
            .prefix(".export-")
            .tempdir_in(destination)
            .map_err(|source| io("create a folder in the", source))?;
        Ok(Self {
            folder,
            destination: destination.to_owned(),
            names: Vec::new(),
            needed_bytes,
        })
    }

    /// Where `name` will lie.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.destination.join(name)
    }

    /// Opens a file for writing.
    pub(crate) fn create(&mut self, name: &str) -> Result<Staged, ExportError> {
        let file = File::create_new(self.folder.path().join(name))
            .map_err(|source| failed("create", name, self.needed_bytes, source))?;
        self.names.push(name.to_owned());
        Ok(Staged {
            file,
            name: name.to_owned(),
            hash: Hasher::new(),
            bytes: 0,
            needed_bytes: self.needed_bytes,
        })
    }

    /// Moves all files to their places. When one cannot be moved, those before it are taken back,
    /// unless they replaced another.
    pub(crate) fn commit(self, overwrite: bool) -> Result<(), ExportError> {
        let mut placed: Vec<PathBuf> = Vec::new();
        for name in &self.names {
            let from = self.folder.path().join(name);
            let to = self.destination.join(name);
            let moved = if overwrite {
                fs::rename(&from, &to)
            } else {
                rename_new(&from, &to)
            };
            if let Err(source) = moved {
                if !overwrite {
                    for path in placed {
                        let _ = fs::remove_file(path);
                    }
                }
                return Err(match source.kind() {
                    io::ErrorKind::AlreadyExists => ExportError::Exists { name: name.clone() },
                    _ => failed("move into place", name, self.needed_bytes, source),
                });
            }
            placed.push(to);
        }
        sync_folder(&self.destination)
            .map_err(|source| failed("sync", "destination folder", self.needed_bytes, source))
    }
}

/// Renames without replacing: a hard link fails where the name is taken, and so leaves no moment in
/// which two exports could take the same name. File systems without links are asked first.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if to.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows opens no folders and needs no such sync.
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

impl Staged {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.file
            .write_all(bytes)
            .map_err(|source| failed("write", &self.name, self.needed_bytes, source))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Syncs the file; its bytes and their SHA-256.
    pub(crate) fn finish(self) -> Result<(u64, String), ExportError> {
        self.file
            .sync_all()
            .map_err(|source| failed("sync", &self.name, self.needed_bytes, source))?;
        let hex = self.hash.finish().ok_or_else(|| ExportError::Io {
            operation: "hash",
            name: self.name.clone(),
            source: io::Error::other("the hashing thread failed"),
        })?;
        Ok((self.bytes, hex))
    }
}
