//! The engine's log: one file, capped, with one predecessor.

use crate::limits::MAX_LOG_BYTES;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
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

/// The last `bytes` of the log in `folder`, from the begin of a line on; the predecessor's where the
/// log is shorter. What cannot be read is left out.
pub(crate) fn tail(folder: &Path, bytes: u64) -> String {
    let mut left = bytes;
    let mut parts = Vec::new();
    for name in ["engine.log", "engine.log.1"] {
        let part = end_of(&folder.join(name), left).unwrap_or_default();
        left = left.saturating_sub(part.len() as u64);
        parts.push(part);
    }
    parts.reverse();
    parts.concat()
}

fn end_of(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(bytes);
    file.seek(io::SeekFrom::Start(from))?;
    let mut found = Vec::new();
    file.take(bytes).read_to_end(&mut found)?;
    let text = String::from_utf8_lossy(&found);
    let whole = match text.find('\n') {
        Some(end) if from > 0 => &text[end + 1..],
        _ => &text,
    };
    Ok(whole.to_owned())
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

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn a_tail_begins_with_a_line_and_goes_back_into_the_predecessor() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        assert_eq!(tail(folder.path(), 100), "");
        write("engine.log.1", "one\ntwo\nthree\n").unwrap();
        write("engine.log", "four\nfive\n").unwrap();
        assert_eq!(tail(folder.path(), 100), "one\ntwo\nthree\nfour\nfive\n");
        assert_eq!(tail(folder.path(), 17), "three\nfour\nfive\n");
        assert_eq!(tail(folder.path(), 7), "five\n");
    }
}
