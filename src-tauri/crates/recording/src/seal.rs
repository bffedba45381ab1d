//! AES-256-GCM as the format uses it: detached, in place.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use std::fmt;

/// Bytes of an authentication tag.
pub(crate) const TAG: usize = 16;

/// A key ready for use.
pub(crate) struct Cipher(Aes256Gcm);

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(redacted)")
    }
}

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(&(*key).into()))
    }

    /// Encrypts `bytes` in place; `None` above AES-GCM's 64 GiB only.
    pub(crate) fn seal(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        bytes: &mut [u8],
    ) -> Option<[u8; TAG]> {
        let buffer = InOutBuf::from(bytes);
        let tag = (self.0)
            .encrypt_inout_detached(&Nonce::from(nonce), associated, buffer)
            .ok()?;
        Some(tag.into())
    }

    /// Decrypts in place a ciphertext followed by its tag and returns the plaintext's part of it.
    pub(crate) fn open<'a>(
        &self,
        nonce: [u8; 12],
        associated: &[u8],
        bytes: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let split = bytes.len().checked_sub(TAG)?;
        let (body, tag) = bytes.split_at_mut(split);
        let tag: [u8; TAG] = (&*tag).try_into().ok()?;
        (self.0)
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                associated,
                InOutBuf::from(&mut *body),
                &Tag::from(tag),
            )
            .ok()?;
        Some(body)
    }
}

/// Nonce of frame `sequence`. Unique because each file has a key of its own.
pub(crate) fn frame_nonce(sequence: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&sequence.to_be_bytes());
    nonce
}
