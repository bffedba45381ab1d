//! Key files: read with their protection checked, written durably.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use zeroize::Zeroizing;

use super::{KeyError, StationKey, from_hex, malformed};
use crate::limits::MAX_KEY_FILE_BYTES;

/// Reads a small file, if it exists.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let failed = |source| KeyError::Io {
        operation: "reading",
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_KEY_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(Some(bytes))
}

/// Reads a text file, if it exists.
pub(crate) fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, KeyError> {
    read(path)?
        .map(|bytes| {
            let text = std::str::from_utf8(&bytes).map_err(|e| malformed("a key file", e))?;
            Ok(Zeroizing::new(text.to_owned()))
        })
        .transpose()
}

/// A key as a file or credential holds it.
pub(crate) fn parse_key(bytes: &[u8]) -> Result<StationKey, KeyError> {
    let wrong = || {
        malformed(
            "the station key",
            "32 bytes or 64 hexadecimal digits are due",
        )
    };
    if let Ok(key) = bytes.try_into() {
        return Ok(StationKey::from_bytes(key));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let key = Zeroizing::new(from_hex(text.trim_end()).ok_or_else(wrong)?);
    Ok(StationKey::from_bytes(
        key.as_slice().try_into().map_err(|_| wrong())?,
    ))
}

/// Checks that nobody but the engine's user (and root) can read the file.
#[cfg(unix)]
pub(crate) fn check_protection(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).map_err(|source| KeyError::Io {
        operation: "examining",
        path: path.to_owned(),
        source,
    })?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    let (found, expected) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if found != expected {
        return Err(KeyError::Owner {
            path: path.to_owned(),
            found,
            expected,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn check_protection(_: &Path) -> Result<(), KeyError> {
    Err(KeyError::Unprotectable)
}

/// Writes a new file for the engine's user alone. It appears complete or not at all, is on the disk
/// when this returns, and replaces nothing.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let failed = |source| KeyError::Io {
        operation: "writing",
        path: path.to_owned(),
        source,
    };
    let part = path.with_added_extension("part");
    // Left over from a start that was cut off: it was never used.
    let _ = fs::remove_file(&part);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part).map_err(failed)?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    drop(file);
    // A link, unlike a renaming, fails where the name is taken.
    fs::hard_link(&part, path).map_err(failed)?;
    fs::remove_file(&part).map_err(failed)?;
    crate::files::sync_folder_of(path).map_err(failed)
}
