//! The station key: the machine's one secret, and what is derived from it.
//!
//! It belongs to the machine, not to a user, and is there before anyone signs in. Sources, in
//! order:
//!
//! 1. **systemd credential** `neurascale-station-key` in `$CREDENTIALS_DIRECTORY`, which systemd
//!    decrypts for the engine's unit alone. Made once with `systemd-creds encrypt`, bound to the
//!    machine's TPM 2.0 with `--with-key=tpm2` or `--with-key=host+tpm2`: this is how a TPM is used.
//! 2. **key file** `station.key`, mode 0600 and owned by the engine's user (both checked).
//! 3. **passphrase**: `station.key.wrapped` holds the key under Argon2id and ChaCha20-Poly1305. The
//!    caller passes the passphrase, or the file that `NEURASCALE_PASSPHRASE_FILE` names holds it.
//!
//! On a first start without any of them a key is made: under the passphrase if there is one, and
//! otherwise as a key file, with a warning, because whoever copies the disk then has the key.
//!
//! Not there yet: DPAPI with machine scope on Windows (there, the passphrase serves; a key file is
//! refused on systems without Unix permissions), and a TPM without systemd.
//!
//! # Formats
//!
//! - Key file and credential: 32 bytes, or 64 hexadecimal digits and an optional newline.
//! - `station.key.wrapped`: JSON, `format` = `neurascale-wrapped-key/v1`, Argon2id costs, salt,
//!   nonce and sealed key in hexadecimal; the format line is associated data.
//! - `station.key.recovery`: JSON, `format` = `neurascale-sealed-key/v1`, RFC 9180 base mode with
//!   DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305; `info` is the format line.
//! - Recovery code: key and first four bytes of SHA-256("neurascale-recovery/v1" ‖ key) in
//!   Crockford's base 32, in groups of four.

mod file;
mod recovery;
mod sealed;
mod source;
mod station;
mod wrapped;

pub use recovery::RecoveryCode;
pub use sealed::{RecoveryPublicKey, open_sealed};
pub use source::{KeyConfig, KeySource, Passphrase, RecoveryCopy, Unlocked, install, unlock};
pub use station::{KeyId, StationKey};

use std::{io, path::PathBuf};

/// Why the station key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Others could read the key.
    #[error("{} is open to others (mode {mode:03o}); set it to 600, and renew the key if in doubt", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key belongs to another user.
    #[error("{} belongs to user {found}, and the engine runs as {expected}", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// Who we are.
        expected: u32,
    },
    /// Not what a key, wrapping, sealing or code looks like.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// Which of them.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The key lies under a passphrase, and none was given.
    #[error(
        "the station key needs its passphrase; pass it, or name its file in NEURASCALE_PASSPHRASE_FILE"
    )]
    PassphraseNeeded,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the station key")]
    WrongPassphrase,
    /// The sealed copy does not open with this private key.
    #[error("the private key does not open the sealed station key")]
    NotSealedToThis,
    /// There is a database but no key to it: making a new one would not open it.
    #[error("the station key is missing, but {} exists; recover the key first", path.display())]
    Lost {
        /// The database.
        path: PathBuf,
    },
    /// The system has no way to keep a key file from others.
    #[error("a key file cannot be protected on this system; use a passphrase")]
    Unprotectable,
}

pub(crate) fn malformed(what: &'static str, reason: impl ToString) -> KeyError {
    KeyError::Malformed {
        what,
        reason: reason.to_string(),
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from hexadecimal digits of either case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let whole = digits.len().is_multiple_of(2);
    whole.then(|| {
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}
