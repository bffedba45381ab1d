//! Small JSON documents replaced at once: written beside, synced, renamed.

use crate::error::{Fault, RecordingError, Result};
use crate::limits::MAX_DOCUMENT;
use crate::storage::{Storage, read_full, write_full};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    (bytes.iter())
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    (text.as_bytes().chunks_exact(2))
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// The whole of a small file; `NotARecording` when it is not there.
pub(crate) fn read_bytes(storage: &dyn Storage, folder: &Path, name: &str) -> Result<Vec<u8>> {
    let wrap = |error| RecordingError::storage("reading", name, error);
    let file = match storage.open(&folder.join(name), false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RecordingError::NotARecording);
        }
        Err(error) => return Err(wrap(error)),
    };
    let len = file.len().map_err(wrap)?;
    if len > MAX_DOCUMENT as u64 {
        return Err(RecordingError::damaged(name, 0, Fault::TooLarge));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let got = read_full(&*file, 0, &mut bytes).map_err(wrap)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Replaces a file at once. A crash leaves the old or the new one.
pub(crate) fn write_bytes(
    storage: &dyn Storage,
    folder: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<()> {
    let wrap = |error| RecordingError::storage("writing", name, error);
    let beside = folder.join(format!("{name}.new"));
    match storage.remove(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(wrap(error)),
    }
    let file = storage.create(&beside).map_err(wrap)?;
    write_full(&*file, 0, bytes).map_err(wrap)?;
    file.sync().map_err(wrap)?;
    drop(file);
    storage.rename(&beside, &folder.join(name)).map_err(wrap)?;
    storage.sync_dir(folder).map_err(wrap)
}

pub(crate) fn invalid(document: &'static str, reason: impl ToString) -> RecordingError {
    RecordingError::Document {
        document,
        reason: reason.to_string(),
    }
}

pub(crate) fn read<T: DeserializeOwned>(
    storage: &dyn Storage,
    folder: &Path,
    name: &'static str,
) -> Result<T> {
    let bytes = read_bytes(storage, folder, name)?;
    // serde_json's message cites the text around the fault, which here is hexadecimal only.
    serde_json::from_slice(&bytes).map_err(|error| invalid(name, error))
}

pub(crate) fn write<T: Serialize>(
    storage: &dyn Storage,
    folder: &Path,
    name: &'static str,
    value: &T,
) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| invalid(name, error))?;
    write_bytes(storage, folder, name, &bytes)
}
