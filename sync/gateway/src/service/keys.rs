//! The gateway's own key: what its database and the secrets in its state are sealed with.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{random::Random, trust::hex};

/// Name of the key file in the data folder, and of the systemd credential that goes before it.
pub const KEY_NAME: &str = "gateway.key";

/// Why the key was not read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The file is no key.
    #[error("{0} holds no key: 64 hexadecimal digits are due")]
    Malformed(PathBuf),
    /// Others may read it.
    #[error("{0} can be read by others than its owner; put it right with `chmod 600`")]
    Open(PathBuf),
    /// A database is there and its key is not.
    #[error(
        "the key {0} is missing, and the data that it opens are there: bring it back, or restore a backup with its key"
    )]
    Lost(PathBuf),
}

/// The gateway's key.
#[derive(Clone)]
pub struct MainKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for MainKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MainKey")
    }
}

impl MainKey {
    /// A key for one purpose (RFC 5869).
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are one block of SHA-256, far below the 255 that could fail.
        let _ =
            Hkdf::<Sha256>::new(None, self.0.as_slice()).expand(purpose.as_bytes(), key.as_mut());
        key
    }

    /// Reads the key: from systemd's credentials where there is one, else from the data folder, where it is
    /// made unless `data_there` (a database without its key is not to be given a new one).
    pub fn load(folder: &Path, data_there: bool, random: &Random) -> Result<Self, KeyError> {
        if let Some(credentials) = std::env::var_os("CREDENTIALS_DIRECTORY") {
            let path = Path::new(&credentials).join(KEY_NAME);
            if let Some(key) = read(&path)? {
                return Ok(key);
            }
        }
        let path = folder.join(KEY_NAME);
        match read(&path)? {
            Some(key) => {
                check_mode(&path)?;
                Ok(key)
            }
            None if data_there => Err(KeyError::Lost(path)),
            None => make(&path, random),
        }
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io {
        operation,
        path,
        source,
    }
}

fn read(path: &Path) -> Result<Option<MainKey>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("reading", path)(error)),
    };
    let mut text = Zeroizing::new(String::new());
    file.take(256)
        .read_to_string(&mut text)
        .map_err(failed("reading", path))?;
    let malformed = || KeyError::Malformed(path.to_owned());
    let digits = text.trim_end();
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(malformed());
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| malformed())?;
    }
    Ok(Some(MainKey(key)))
}

fn make(path: &Path, random: &Random) -> Result<MainKey, KeyError> {
    let key = Zeroizing::new(random.bytes::<32>());
    let text = Zeroizing::new(format!("{}\n", hex(key.as_slice())));
    let next = path.with_extension("key.next");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    // Whole or not at all, and on the disk before anything is sealed with it.
    let written = (|| {
        let mut file = options.open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    })();
    written.map_err(failed("writing", path))?;
    Ok(MainKey(key))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)
        .map_err(failed("reading", path))?
        .permissions()
        .mode();
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeyError::Open(path.to_owned()))
    }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_never_in_place_of_a_lost_one() {
        let folder = tempfile::tempdir().unwrap();
        let random = Random::from_seed(1);
        let made = MainKey::load(folder.path(), false, &random).unwrap();
        let again = MainKey::load(folder.path(), true, &random).unwrap();
        assert_eq!(made.derive("a"), again.derive("a"));
        assert_ne!(made.derive("a"), made.derive("b"));
        let path = folder.path().join(KEY_NAME);
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(
            MainKey::load(folder.path(), true, &random),
            Err(KeyError::Malformed(_))
        ));
        fs::write(&path, "ä".repeat(32)).unwrap();
        assert!(matches!(
            MainKey::load(folder.path(), true, &random),
            Err(KeyError::Malformed(_))
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            MainKey::load(folder.path(), true, &random),
            Err(KeyError::Lost(_))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let random = Random::from_seed(1);
        MainKey::load(folder.path(), false, &random).unwrap();
        let path = folder.path().join(KEY_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            MainKey::load(folder.path(), false, &random),
            Err(KeyError::Open(_))
        ));
    }
}
