//! Where the station key comes from.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::{
    KeyError, RecoveryCode, RecoveryPublicKey, StationKey, file, malformed, sealed, to_hex, wrapped,
};
use crate::limits::{
    CREDENTIAL_NAME, CREDENTIALS_VARIABLE, DATABASE_FILE, KEY_FILE, PASSPHRASE_VARIABLE,
    SEALED_KEY_FILE, WRAPPED_KEY_FILE,
};

/// A passphrase; wiped when dropped, shown never.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// A passphrase as it was typed.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Where to look for the key.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// The data folder: key files lie beside the database.
    pub folder: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, set by systemd for its service.
    pub credentials: Option<PathBuf>,
    /// A passphrase that the caller has, e.g. from a prompt.
    pub passphrase: Option<Passphrase>,
    /// A file that holds the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// The hospital's public key, to which a new key's recovery copy is sealed.
    pub recovery_key: Option<RecoveryPublicKey>,
}

impl KeyConfig {
    /// Looks in `folder` only.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            credentials: None,
            passphrase: None,
            passphrase_file: None,
            recovery_key: None,
        }
    }

    /// Looks in `folder` and where the environment says; `variable` reads it.
    pub fn from_environment(
        folder: impl Into<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        Self {
            credentials: variable(CREDENTIALS_VARIABLE).map(PathBuf::from),
            passphrase_file: variable(PASSPHRASE_VARIABLE).map(PathBuf::from),
            ..Self::new(folder)
        }
    }

    fn passphrase(&self) -> Result<Option<Passphrase>, KeyError> {
        if self.passphrase.is_some() {
            return Ok(self.passphrase.clone());
        }
        let Some(path) = &self.passphrase_file else {
            return Ok(None);
        };
        let text = file::read_text(path)?
            .ok_or_else(|| malformed("the passphrase", "its file does not exist"))?;
        // Editors end a file with a newline; it is no part of a passphrase.
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(malformed("the passphrase", "its file is empty"));
        }
        Ok(Some(Passphrase::new(text.to_owned())))
    }
}

/// Where a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// systemd handed it over.
    SystemdCredential,
    /// The key file.
    KeyFile,
    /// It was under the passphrase.
    Passphrase,
}

/// The recovery copy of a new key.
#[derive(Debug, Clone, PartialEq)]
pub enum RecoveryCopy {
    /// Sealed to the hospital's public key, in this file, to be kept elsewhere as well.
    Sealed(PathBuf),
    /// To be printed and locked away now; it is not shown again.
    Code(RecoveryCode),
}

/// A key that is there.
#[derive(Debug, Clone)]
pub struct Unlocked {
    /// The key.
    pub key: StationKey,
    /// Where it came from.
    pub source: KeySource,
    /// The recovery copy, when the key is new.
    pub recovery: Option<RecoveryCopy>,
    /// What a person should know about how the key is kept.
    pub warning: Option<&'static str>,
}

const KEY_FILE_WARNING: &str = "the station key lies in a plain file: whoever copies the disk has \
     it. Keep it as a systemd credential, or use a passphrase";

/// Finds the station key, or makes one on a first start.
pub fn unlock(config: &KeyConfig, rng: &mut impl CryptoRng) -> Result<Unlocked, KeyError> {
    if let Some(folder) = &config.credentials
        && let Some(bytes) = file::read(&folder.join(CREDENTIAL_NAME))?
    {
        return Ok(found(
            file::parse_key(&bytes)?,
            KeySource::SystemdCredential,
        ));
    }
    let key_file = config.folder.join(KEY_FILE);
    if let Some(bytes) = file::read(&key_file)? {
        file::check_protection(&key_file)?;
        return Ok(found(file::parse_key(&bytes)?, KeySource::KeyFile));
    }
    let passphrase = config.passphrase()?;
    if let Some(content) = file::read_text(&config.folder.join(WRAPPED_KEY_FILE))? {
        let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
        return Ok(found(
            wrapped::unwrap(&content, &passphrase)?,
            KeySource::Passphrase,
        ));
    }
    let database = config.folder.join(DATABASE_FILE);
    if database.exists() {
        return Err(KeyError::Lost { path: database });
    }
    create(config, passphrase, rng)
}

fn found(key: StationKey, source: KeySource) -> Unlocked {
    let warning = (source == KeySource::KeyFile).then_some(KEY_FILE_WARNING);
    Unlocked {
        key,
        source,
        recovery: None,
        warning,
    }
}

fn create(
    config: &KeyConfig,
    passphrase: Option<Passphrase>,
    rng: &mut impl CryptoRng,
) -> Result<Unlocked, KeyError> {
    let key = StationKey::random(rng);
    // The recovery copy first: a key without one must never have been used.
    let recovery = match &config.recovery_key {
        Some(public) => {
            let path = config.folder.join(SEALED_KEY_FILE);
            // Left over from a start that was cut off before the key itself was written.
            let _ = std::fs::remove_file(&path);
            file::write_new(&path, sealed::seal(&key, public, rng)?.as_bytes())?;
            RecoveryCopy::Sealed(path)
        }
        None => RecoveryCopy::Code(RecoveryCode::of(&key)),
    };
    let source = install(&config.folder, &key, passphrase.as_ref(), rng)?;
    Ok(Unlocked {
        recovery: Some(recovery),
        ..found(key, source)
    })
}

/// Puts a key into the data folder, under the passphrase if there is one: for a new key, and for
/// one that was recovered. Replaces nothing.
pub fn install(
    folder: &Path,
    key: &StationKey,
    passphrase: Option<&Passphrase>,
    rng: &mut impl CryptoRng,
) -> Result<KeySource, KeyError> {
    if let Some(passphrase) = passphrase {
        let content = wrapped::wrap(key, passphrase, rng)?;
        file::write_new(&folder.join(WRAPPED_KEY_FILE), content.as_bytes())?;
        return Ok(KeySource::Passphrase);
    }
    if cfg!(not(unix)) {
        return Err(KeyError::Unprotectable);
    }
    let content = Zeroizing::new(to_hex(key.bytes()) + "\n");
    file::write_new(&folder.join(KEY_FILE), content.as_bytes())?;
    Ok(KeySource::KeyFile)
}
