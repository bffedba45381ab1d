//! The recovery copy that only the hospital's private key opens.

use std::{fmt, str::FromStr};

use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::X25519HkdfSha256, single_shot_open, single_shot_seal_with_rng,
};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyError, StationKey, from_hex, malformed, to_hex};

const FORMAT: &str = "neurascale-sealed-key/v1";
const WHAT: &str = "the sealed station key";

/// The hospital's X25519 public key, 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecoveryPublicKey(pub [u8; 32]);

impl fmt::Debug for RecoveryPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl FromStr for RecoveryPublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        from_hex(text.trim())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| malformed("the recovery public key", "64 hexadecimal digits are due"))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    format: String,
    /// Which station key lies inside.
    key_id: String,
    encapsulated: String,
    sealed: String,
}

/// Seals the key; the result is the content of the recovery file.
pub(crate) fn seal(
    key: &StationKey,
    to: &RecoveryPublicKey,
    rng: &mut impl CryptoRng,
) -> Result<String, KeyError> {
    let public = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(&to.0)
        .map_err(|error| malformed("the recovery public key", error))?;
    let key_id = key.id().to_string();
    let (encapsulated, sealed) =
        single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &public,
            FORMAT.as_bytes(),
            key.bytes(),
            key_id.as_bytes(),
            rng,
        )
        .map_err(|error| malformed("the recovery public key", error))?;
    let sealed = Sealed {
        format: FORMAT.into(),
        key_id,
        encapsulated: to_hex(&encapsulated.to_bytes()),
        sealed: to_hex(&sealed),
    };
    serde_json::to_string_pretty(&sealed).map_err(|error| malformed(WHAT, error))
}

/// Opens a recovery file with the hospital's X25519 private key.
pub fn open_sealed(content: &str, private: &[u8; 32]) -> Result<StationKey, KeyError> {
    let file: Sealed = serde_json::from_str(content).map_err(|error| malformed(WHAT, error))?;
    if file.format != FORMAT {
        return Err(malformed(
            WHAT,
            format!("format {:?} is unknown", file.format),
        ));
    }
    let bytes = |text: &str| from_hex(text).ok_or_else(|| malformed(WHAT, "no hexadecimal"));
    let private = <X25519HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(private)
        .map_err(|_| KeyError::NotSealedToThis)?;
    let encapsulated =
        <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(&bytes(&file.encapsulated)?)
            .map_err(|error| malformed(WHAT, error))?;
    let key = single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        FORMAT.as_bytes(),
        &bytes(&file.sealed)?,
        file.key_id.as_bytes(),
    )
    .map_err(|_| KeyError::NotSealedToThis)?;
    let key = Zeroizing::new(key);
    let key: [u8; 32] = key
        .as_slice()
        .try_into()
        .map_err(|_| malformed(WHAT, "a key has 32 bytes"))?;
    Ok(StationKey::from_bytes(key))
}
