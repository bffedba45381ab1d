//! The log of a session without store: lines of JSON, each on the disk before the next is written.
//!
//! The first line holds the session, sealed under the session's key, because a device's address can
//! name a person. The others are events, which never do, and the end.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_UNSTORED_LOG_BYTES;
use crate::records::SessionRecord;
use crate::seal;
use events::SystemEvent;
use recording::{Entropy, OsEntropy, StationKey};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Version of the format; a newer one is left alone.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first.
    Session { format: u32, sealed: String },
    /// What happened.
    Event(Box<SystemEvent>),
    /// The recording has ended; it is not to go on.
    Ended {},
}

/// What a log holds.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) record: SessionRecord,
    pub(crate) events: Vec<SystemEvent>,
    pub(crate) ended: bool,
}

/// An open log.
#[derive(Debug)]
pub(crate) struct SessionLog {
    path: PathBuf,
    file: File,
}

/// The log's file, and that of the session's own key where it has one.
pub(crate) fn paths(folder: &Path, session: Uuid) -> (PathBuf, PathBuf) {
    let name = |extension: &str| folder.join(format!("{session}.{extension}"));
    (name("log"), name("key"))
}

impl SessionLog {
    /// Begins the log of `record`.
    pub(crate) fn create(folder: &Path, record: &SessionRecord, key: &StationKey) -> Result<Self> {
        let (path, _) = paths(folder, record.id.0);
        let json = serde_json::to_vec(record)
            .map_err(|error| Error::internal("keep the session", &error))?;
        let sealed = seal::seal(key.expose(), record.id.0, &json, &mut OsEntropy)?;
        let file = private(&path)?;
        let mut log = Self { path, file };
        log.write(&Line::Session {
            format: FORMAT,
            sealed: crate::documents::hex(&sealed),
        })?;
        sync_folder(folder)?;
        Ok(log)
    }

    /// Goes on with a log that is there.
    pub(crate) fn reopen(folder: &Path, session: Uuid) -> Result<Self> {
        let (path, _) = paths(folder, session);
        let mut options = OpenOptions::new();
        let file = options
            .append(true)
            .open(&path)
            .map_err(|error| Error::file("open the log", &path, &error))?;
        let mut log = Self { path, file };
        // A crash may have left half a line: what follows must not be taken for its rest.
        log.put(b"\n")?;
        Ok(log)
    }

    /// Adds an event.
    pub(crate) fn event(&mut self, event: SystemEvent) -> Result<()> {
        self.write(&Line::Event(Box::new(event)))
    }

    /// Notes that the recording has ended.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.write(&Line::Ended {})
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let mut text =
            serde_json::to_vec(line).map_err(|error| Error::internal("write the log", &error))?;
        text.push(b'\n');
        self.put(&text)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        written.map_err(|error| Error::file("write the log", &self.path, &error))
    }
}

/// Reads the log of `session`. A last line that a crash cut short is left out.
pub(crate) fn read(folder: &Path, session: Uuid, key: &StationKey) -> Result<Logged> {
    let (path, _) = paths(folder, session);
    let damaged = |what: &str| {
        Error::new(
            ErrorKind::Integrity,
            format!("the log {} {what}", path.display()),
            "Its recording is whole; keep both and ask for help.",
        )
    };
    let mut text = String::new();
    let file = File::open(&path).map_err(|error| Error::file("read the log", &path, &error))?;
    let read = file.take(MAX_UNSTORED_LOG_BYTES).read_to_string(&mut text);
    read.map_err(|error| Error::file("read the log", &path, &error))?;
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let first = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok());
    let Some(Line::Session { format, sealed }) = first else {
        return Err(damaged("has no beginning"));
    };
    if format > FORMAT {
        return Err(damaged("was written by a newer program"));
    }
    let sealed = unhex(&sealed).ok_or_else(|| damaged("is damaged"))?;
    let json = seal::open(key.expose(), session, &sealed)
        .map_err(|_| damaged("belongs to another key, or is damaged"))?;
    let record = serde_json::from_slice(&json).map_err(|_| damaged("is damaged"))?;
    let mut logged = Logged {
        record,
        events: Vec::new(),
        ended: false,
    };
    for line in lines {
        match serde_json::from_str(line) {
            Ok(Line::Event(event)) => logged.events.push(*event),
            Ok(Line::Ended {}) => logged.ended = true,
            Ok(Line::Session { .. }) => return Err(damaged("begins twice")),
            Err(_) => tracing::warn!(%session, "a line of the log is not whole"),
        }
    }
    Ok(logged)
}

/// Makes the session's own key and puts it beside the log.
pub(crate) fn make_key(folder: &Path, session: Uuid) -> Result<StationKey> {
    let (_, path) = paths(folder, session);
    let key = StationKey::generate(&mut OsEntropy)?;
    let mut file = private(&path)?;
    let text = crate::documents::hex(key.expose());
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|error| Error::file("keep the key", &path, &error))?;
    sync_folder(folder)?;
    Ok(key)
}

/// The session's own key; `None` when it has none.
pub(crate) fn own_key(folder: &Path, session: Uuid) -> Result<Option<StationKey>> {
    let (_, path) = paths(folder, session);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read the key", &path, &error)),
    };
    let bytes = unhex(text.trim()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(StationKey::from_bytes).map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::Integrity,
            format!("the key {} is damaged", path.display()),
            "",
        )
    })
}

/// Removes log and key of a session that was taken in. The key is overwritten first; a disk that
/// writes elsewhere (flash, copy on write) may keep its old block, which opens nothing any more
/// than a copy of the recording's keys file from before.
pub(crate) fn remove(folder: &Path, session: Uuid) -> Result<()> {
    let (log, key) = paths(folder, session);
    if let Ok(mut file) = OpenOptions::new().write(true).open(&key) {
        let mut noise = [0; 64];
        OsEntropy.fill(&mut noise)?;
        let written = file.write_all(&noise).and_then(|()| file.sync_all());
        written.map_err(|error| Error::file("overwrite the key", &key, &error))?;
    }
    // The key goes first: a log without it is read with the station key.
    for path in [key, log] {
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("remove", &path, &error)),
        }
    }
    sync_folder(folder)
}

/// Sessions that have a log here.
pub(crate) fn sessions(folder: &Path) -> Vec<Uuid> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .filter_map(|path| Uuid::parse_str(path.file_stem()?.to_str()?).ok())
        .collect();
    found.sort_unstable();
    found
}

/// A new file that nobody else may read.
fn private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map_err(|error| Error::file("make the file", path, &error))
}

fn sync_folder(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::file("sync the folder", folder, &error))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let pairs = bytes.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
