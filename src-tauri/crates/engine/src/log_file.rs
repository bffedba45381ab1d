//! The engine's log: one file, capped, with one predecessor.

use crate::limits::MAX_LOG_BYTES;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing_subscriber::fmt::MakeWriter;

/// A log file that turns itself over. A log that cannot be written is dropped: logging must never
/// stop the engine.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl LogFile {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("engine.log");
        let file = append(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            inner: Arc::new(Mutex::new(Inner { path, file, bytes })),
        })
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// Writes one line.
#[derive(Debug)]
pub(crate) struct Line<'a>(MutexGuard<'a, Inner>);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let inner = &mut *self.0;
        if inner.bytes > MAX_LOG_BYTES {
            std::fs::rename(&inner.path, inner.path.with_extension("log.1"))?;
            inner.file = append(&inner.path)?;
            inner.bytes = 0;
        }
        let written = inner.file.write(bytes)?;
        inner.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.file.flush()
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
