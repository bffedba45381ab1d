//! Documents at rest: sealed under a key that only this station (or its recovery copy) derives.
//!
//! A sealed document is `NSDOC\x01\0\0`, a nonce of 12 random bytes, and AES-256-GCM ciphertext
//! with its tag. The associated data are those eight bytes and the document's id, so that one
//! document cannot be passed off as another.

use crate::error::{Error, ErrorKind, Result};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use recording::Entropy;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"NSDOC\x01\0\0";
const NONCE_BYTES: usize = 12;

fn associated(id: Uuid) -> Vec<u8> {
    [MAGIC.as_slice(), id.as_bytes().as_slice()].concat()
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&(*key).into())
}

/// Seals `document` as `id`.
pub(crate) fn seal(
    key: &[u8; 32],
    id: Uuid,
    document: &[u8],
    entropy: &mut dyn Entropy,
) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce)?;
    let payload = Payload {
        msg: document,
        aad: &associated(id),
    };
    let sealed = cipher(key)
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| Error::new(ErrorKind::Internal, "a document could not be sealed", ""))?;
    Ok([MAGIC.as_slice(), &nonce, &sealed].concat())
}

/// Opens a sealed document.
pub(crate) fn open(key: &[u8; 32], id: Uuid, sealed: &[u8]) -> Result<Vec<u8>> {
    let damaged = || {
        Error::new(
            ErrorKind::Integrity,
            "the sealed document is damaged or belongs elsewhere",
            "'neurascale report' makes the report anew from the recording.",
        )
    };
    let rest = sealed.strip_prefix(&MAGIC).ok_or_else(damaged)?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or_else(damaged)?;
    let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| damaged())?;
    let payload = Payload {
        msg: ciphertext,
        aad: &associated(id),
    };
    cipher(key)
        .decrypt(&Nonce::from(nonce), payload)
        .map_err(|_| damaged())
}

/// Writes a file that is there whole or not at all, readable by its owner only.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let fresh = folder.join(format!(".{name}.new"));
    let written = (|| {
        std::fs::create_dir_all(folder)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        Error::file("write", path, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, target: &mut [u8]) -> recording::Result<()> {
            target.fill(self.0);
            self.0 += 1;
            Ok(())
        }
    }

    #[test]
    fn documents_come_back_and_only_as_themselves() {
        let (key, id) = ([7; 32], Uuid::from_u128(1));
        let sealed = seal(&key, id, b"report", &mut Counting(0)).unwrap();
        assert_eq!(open(&key, id, &sealed).unwrap(), b"report");
        assert!(open(&key, Uuid::from_u128(2), &sealed).is_err());
        assert!(open(&[8; 32], id, &sealed).is_err());
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(open(&key, id, &damaged).is_err(), "byte {at}");
        }
        assert!(open(&key, id, &sealed[..10]).is_err());
    }
}
