//! Who can open a recording: the recording key, and its copies wrapped for those who hold a key.

use crate::document;
use crate::error::{RecordingError, Result};
use crate::header::RecordingId;
use crate::seal::Cipher;
use crate::storage::Storage;
use hpke::{Deserializable as _, Kem as _, OpModeR, OpModeS, Serializable as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::Path;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

type Kem = hpke::kem::X25519HkdfSha256;
type Kdf = hpke::kdf::HkdfSha256;
type HpkeAead = hpke::aead::AesGcm256;

/// Name of the keys file.
pub(crate) const KEYS: &str = "keys";
const INFO: &[u8] = b"neurascale recording key v1";

/// Random bytes, passed in so that a test can repeat its files byte for byte.
pub trait Entropy: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`RecordingError::Entropy`] when the source fails.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|_| RecordingError::Entropy)
    }
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// A fresh one.
            ///
            /// # Errors
            /// [`RecordingError::Entropy`].
            pub fn generate(entropy: &mut dyn Entropy) -> Result<Self> {
                let mut bytes = [0; 32];
                entropy.fill(&mut bytes)?;
                Ok(Self(bytes))
            }

            /// Its 32 bytes. Keep them out of logs.
            #[must_use]
            pub const fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    };
}

secret!(
    /// Wraps the segment keys of one recording.
    RecordingKey
);
secret!(
    /// The machine's wrapping key.
    StationKey
);
secret!(
    /// X25519 private key of a recovery or site holder.
    PrivateKey
);

impl PrivateKey {
    /// The public half.
    ///
    /// # Errors
    /// [`RecordingError::Document`] when the bytes are no X25519 key.
    pub fn public(&self) -> Result<PublicKey> {
        let private = <Kem as hpke::Kem>::PrivateKey::from_bytes(&self.0).map_err(bad_key)?;
        Ok(PublicKey(Kem::sk_to_pk(&private).to_bytes().into()))
    }
}

/// X25519 public key of a recovery or site holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(pub [u8; 32]);

/// Those for whom the recording key is wrapped.
#[derive(Debug, Clone)]
pub struct KeyRing {
    /// The machine.
    pub station: StationKey,
    /// The hospital's recovery key.
    pub recovery: Option<PublicKey>,
    /// The site, once enrolled.
    pub site: Option<PublicKey>,
}

/// What opens a recording.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// The machine's key.
    Station(StationKey),
    /// The recovery's or site's private key.
    Private(PrivateKey),
    /// The recording key itself.
    Recording(RecordingKey),
}

/// For whom a copy of the key is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// The machine.
    Station,
    /// The recovery key.
    Recovery,
    /// The site.
    Site,
}

/// One wrapped copy, as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedCopy {
    /// For whom.
    pub holder: Holder,
    /// First eight bytes of the SHA-256 that names the holder's key, hexadecimal.
    pub key_id: String,
    /// Station: the AEAD nonce. Others: the encapsulated key. Hexadecimal.
    pub encapsulated: String,
    /// The recording key under AES-256-GCM, with its tag. Hexadecimal.
    pub sealed: String,
}

/// The `keys` file: readable without any key, rewritable without touching a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysFile {
    /// Format version it was written as.
    pub format: u16,
    /// Least reader version.
    pub min_reader: u16,
    /// The recording.
    pub recording: RecordingId,
    /// The copies.
    pub copies: Vec<WrappedCopy>,
}

/// Gives fixed bytes to HPKE, whose interface wants an infallible generator.
struct Drawn(Zeroizing<[u8; 64]>, usize);

impl rand_core::TryRng for Drawn {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, target: &mut [u8]) -> std::result::Result<(), Self::Error> {
        // X25519 draws 32 bytes for its ephemeral key. Repeating drawn bytes beyond 64 would be a
        // weak key, so that a change of HPKE's needs must fail the build of a test, not pass here.
        assert!(
            self.1 + target.len() <= self.0.len(),
            "HPKE draws at most 64 bytes"
        );
        target.copy_from_slice(&self.0[self.1..self.1 + target.len()]);
        self.1 += target.len();
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Drawn {}

fn bad_key(_: hpke::HpkeError) -> RecordingError {
    RecordingError::Document {
        document: "key",
        reason: "not an X25519 key".to_owned(),
    }
}

fn key_id(bytes: &[u8]) -> String {
    let mut digest = Sha256::new();
    digest.update(b"neurascale key id v1");
    digest.update(bytes);
    document::hex(&digest.finalize()[..8])
}

fn associated(recording: RecordingId, holder: Holder) -> Vec<u8> {
    let mut data = recording.0.as_bytes().to_vec();
    data.push(match holder {
        Holder::Station => 1,
        Holder::Recovery => 2,
        Holder::Site => 3,
    });
    data
}

fn wrap_station(
    recording: RecordingId,
    key: &RecordingKey,
    station: &StationKey,
    entropy: &mut dyn Entropy,
) -> Result<WrappedCopy> {
    let mut nonce = [0; 12];
    entropy.fill(&mut nonce)?;
    let mut sealed = Zeroizing::new(key.expose().to_vec());
    let tag = Cipher::new(station.expose())
        .seal(nonce, &associated(recording, Holder::Station), &mut sealed)
        .ok_or(RecordingError::WrongKey)?;
    sealed.extend_from_slice(&tag);
    Ok(WrappedCopy {
        holder: Holder::Station,
        key_id: key_id(station.expose()),
        encapsulated: document::hex(&nonce),
        sealed: document::hex(&sealed),
    })
}

fn wrap_public(
    recording: RecordingId,
    key: &RecordingKey,
    holder: Holder,
    public: &PublicKey,
    entropy: &mut dyn Entropy,
) -> Result<WrappedCopy> {
    let mut drawn = Drawn(Zeroizing::new([0; 64]), 0);
    entropy.fill(drawn.0.as_mut_slice())?;
    let target = <Kem as hpke::Kem>::PublicKey::from_bytes(&public.0).map_err(bad_key)?;
    let (encapsulated, mut context) = hpke::setup_sender_with_rng::<HpkeAead, Kdf, Kem>(
        &OpModeS::Base,
        &target,
        INFO,
        &mut drawn,
    )
    .map_err(bad_key)?;
    let mut sealed = *key.expose();
    let tag = context
        .seal_inout_detached(sealed.as_mut_slice().into(), &associated(recording, holder))
        .map_err(bad_key)?;
    let mut bytes = sealed.to_vec();
    bytes.extend_from_slice(&tag.to_bytes());
    Ok(WrappedCopy {
        holder,
        key_id: key_id(&public.0),
        encapsulated: document::hex(&encapsulated.to_bytes()),
        sealed: document::hex(&bytes),
    })
}

fn open_station(file: &KeysFile, copy: &WrappedCopy, station: &StationKey) -> Option<RecordingKey> {
    let nonce: [u8; 12] = document::unhex(&copy.encapsulated)?.try_into().ok()?;
    let mut sealed = Zeroizing::new(document::unhex(&copy.sealed)?);
    let plain = Cipher::new(station.expose()).open(
        nonce,
        &associated(file.recording, copy.holder),
        &mut sealed,
    )?;
    Some(RecordingKey((&*plain).try_into().ok()?))
}

fn open_private(file: &KeysFile, copy: &WrappedCopy, private: &PrivateKey) -> Option<RecordingKey> {
    let private = <Kem as hpke::Kem>::PrivateKey::from_bytes(private.expose()).ok()?;
    let encapsulated =
        <Kem as hpke::Kem>::EncappedKey::from_bytes(&document::unhex(&copy.encapsulated)?).ok()?;
    let sealed = document::unhex(&copy.sealed)?;
    let (body, tag) = sealed.split_at_checked(32)?;
    let mut key: [u8; 32] = body.try_into().ok()?;
    let tag = hpke::aead::AeadTag::<HpkeAead>::from_bytes(tag).ok()?;
    hpke::setup_receiver::<HpkeAead, Kdf, Kem>(&OpModeR::Base, &private, &encapsulated, INFO)
        .ok()?
        .open_inout_detached(
            key.as_mut_slice().into(),
            &associated(file.recording, copy.holder),
            &tag,
        )
        .ok()?;
    Some(RecordingKey(key))
}

impl KeysFile {
    /// Wraps `key` for everyone on the ring.
    pub(crate) fn wrap(
        recording: RecordingId,
        key: &RecordingKey,
        ring: &KeyRing,
        entropy: &mut dyn Entropy,
    ) -> Result<Self> {
        let mut copies = vec![wrap_station(recording, key, &ring.station, entropy)?];
        for (holder, public) in [(Holder::Recovery, ring.recovery), (Holder::Site, ring.site)] {
            if let Some(public) = public {
                copies.push(wrap_public(recording, key, holder, &public, entropy)?);
            }
        }
        Ok(Self {
            format: crate::container::FORMAT,
            min_reader: crate::container::MIN_READER,
            recording,
            copies,
        })
    }

    /// Reads the keys file of `folder`; needs no key.
    ///
    /// # Errors
    /// [`RecordingError::NotARecording`] when there is none; newer or damaged files.
    pub fn read(folder: &Path, storage: &dyn Storage) -> Result<Self> {
        let file: Self = document::read(storage, folder, KEYS)?;
        if file.min_reader > crate::container::FORMAT {
            return Err(RecordingError::NewerFormat {
                file: KEYS.to_owned(),
                version: file.format,
                needed: file.min_reader,
            });
        }
        Ok(file)
    }

    pub(crate) fn write(&self, folder: &Path, storage: &dyn Storage) -> Result<()> {
        document::write(storage, folder, KEYS, self)
    }

    /// The recording key.
    ///
    /// # Errors
    /// [`RecordingError::WrongKey`] when no copy opens.
    pub fn unlock(&self, unlock: &Unlock) -> Result<RecordingKey> {
        let found = match unlock {
            Unlock::Recording(key) => Some(key.clone()),
            Unlock::Station(station) => (self.copies.iter())
                .filter(|copy| copy.holder == Holder::Station)
                .find_map(|copy| open_station(self, copy, station)),
            Unlock::Private(private) => (self.copies.iter())
                .filter(|copy| copy.holder != Holder::Station)
                .find_map(|copy| open_private(self, copy, private)),
        };
        found.ok_or(RecordingError::WrongKey)
    }
}

/// Wraps the recording key anew (station replaced, recovery or site added) and replaces the keys
/// file at once; no segment is touched. Holders that are not on `ring` lose their copy.
///
/// # Errors
/// [`RecordingError::WrongKey`], storage errors; the old file stays valid when it fails.
pub fn rewrap(
    folder: &Path,
    unlock: &Unlock,
    ring: &KeyRing,
    storage: &dyn Storage,
    entropy: &mut dyn Entropy,
) -> Result<()> {
    let old = KeysFile::read(folder, storage)?;
    let key = old.unlock(unlock)?;
    KeysFile::wrap(old.recording, &key, ring, entropy)?.write(folder, storage)
}
