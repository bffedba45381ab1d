//! Secrets at rest: whatever the state keeps that would open something is sealed under the gateway's key.

use std::fmt;

use chacha20poly1305::{
    ChaCha20Poly1305, Key, Nonce,
    aead::{Aead, KeyInit, Payload},
};
use rand::CryptoRng;
use zeroize::Zeroizing;

/// Length of the nonce, bytes (RFC 8439, section 2.8).
const NONCE: usize = 12;

/// What was sealed is not what stands there, or was sealed for something else or under another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sealed value cannot be opened: it was changed, or the gateway has another key than it was sealed with"
)]
pub struct SealError;

/// Seals and opens under one key. Clones share it.
#[derive(Clone)]
pub struct Sealer {
    key: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// Under this key.
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key }
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new(&Key::from(*self.key))
    }

    /// A nonce and the sealed bytes. `purpose` says what it is and whose; opening asks for the same.
    /// A random nonce of 96 bits is safe for some 2^32 values under one key (NIST SP 800-38D, 8.3).
    pub fn seal(
        &self,
        purpose: &str,
        secret: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let payload = Payload {
            msg: secret,
            aad: purpose.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| SealError)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// The secret.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(SealError)?;
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        self.cipher()
            .decrypt(&Nonce::from(*nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SealError)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn a_secret_opens_for_its_purpose_only() {
        let sealer = Sealer::new(Zeroizing::new([7; 32]));
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let sealed = sealer.seal("totp of p1", b"secret", &mut rng).unwrap();
        assert_eq!(&sealer.open("totp of p1", &sealed).unwrap()[..], b"secret");
        assert_eq!(sealer.open("totp of p2", &sealed), Err(SealError));
        let other = Sealer::new(Zeroizing::new([8; 32]));
        assert_eq!(other.open("totp of p1", &sealed), Err(SealError));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open("totp of p1", &changed), Err(SealError));
        }
        assert_eq!(sealer.open("totp of p1", &sealed[..5]), Err(SealError));
        let again = sealer.seal("totp of p1", b"secret", &mut rng).unwrap();
        assert_ne!(again, sealed);
    }
}
