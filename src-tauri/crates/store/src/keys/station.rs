//! The key and its derivations.

use std::fmt;

use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// Labels of the derivations: HKDF-SHA256 (RFC 5869) without salt, the label as info. A label
/// names one use for ever; a new use gets a new label.
const DATABASE: &[u8] = b"neurascale/v1/database";
const RECORDINGS: &[u8] = b"neurascale/v1/recording-wrapping";
const LEDGER: &[u8] = b"neurascale/v1/ledger-signing";
const DOCUMENTS: &[u8] = b"neurascale/v1/documents";
const ID: &[u8] = b"neurascale/v1/key-id";

/// The machine's secret: 32 random bytes, wiped when dropped.
#[derive(Clone)]
pub struct StationKey(Zeroizing<[u8; 32]>);

/// Tells keys apart without revealing them; also part of the ledger's origin.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for StationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StationKey").field(&self.id()).finish()
    }
}

impl PartialEq for StationKey {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl StationKey {
    /// A new key.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// A key from its bytes.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        key
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The database's raw key.
    pub fn database_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(DATABASE)
    }

    /// The key that recording keys are wrapped with.
    pub fn recording_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(RECORDINGS)
    }

    /// The key for reports and other documents at rest.
    pub fn document_key(&self) -> Zeroizing<[u8; 32]> {
        self.derive(DOCUMENTS)
    }

    /// The Ed25519 seed of the ledger's signatures.
    pub fn ledger_seed(&self) -> Zeroizing<[u8; 32]> {
        self.derive(LEDGER)
    }

    /// Its fingerprint.
    pub fn id(&self) -> KeyId {
        self.derive(ID)
            .first_chunk()
            .copied()
            .map_or(KeyId([0; 8]), KeyId)
    }

    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut output = Zeroizing::new([0; 32]);
        // 32 bytes are one block of SHA-256, far below HKDF's limit of 255.
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand(label, &mut *output)
            .expect("one block is within HKDF's limit");
        output
    }
}
