//! The station key under a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit,
    aead::{Aead, Payload},
};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{KeyError, Passphrase, StationKey, from_hex, malformed, to_hex};
use crate::limits::{KEY_ARGON2, MAX_ARGON2};

const FORMAT: &str = "neurascale-wrapped-key/v1";
const WHAT: &str = "the wrapped station key";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    format: String,
    argon2id_memory_kib: u32,
    argon2id_passes: u32,
    argon2id_lanes: u32,
    salt: String,
    nonce: String,
    sealed: String,
}

pub(crate) fn wrap(
    key: &StationKey,
    passphrase: &Passphrase,
    rng: &mut impl CryptoRng,
) -> Result<String, KeyError> {
    let (mut salt, mut nonce) = ([0; 16], [0; 12]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    let cipher = cipher(passphrase, &salt, KEY_ARGON2)?;
    let payload = Payload {
        msg: key.bytes(),
        aad: FORMAT.as_bytes(),
    };
    let sealed = cipher
        .encrypt(&nonce.into(), payload)
        .map_err(|_| malformed(WHAT, "it could not be sealed"))?;
    let (argon2id_memory_kib, argon2id_passes, argon2id_lanes) = KEY_ARGON2;
    let wrapped = Wrapped {
        format: FORMAT.into(),
        argon2id_memory_kib,
        argon2id_passes,
        argon2id_lanes,
        salt: to_hex(&salt),
        nonce: to_hex(&nonce),
        sealed: to_hex(&sealed),
    };
    serde_json::to_string_pretty(&wrapped).map_err(|error| malformed(WHAT, error))
}

pub(crate) fn unwrap(content: &str, passphrase: &Passphrase) -> Result<StationKey, KeyError> {
    let file: Wrapped = serde_json::from_str(content).map_err(|error| malformed(WHAT, error))?;
    if file.format != FORMAT {
        return Err(malformed(
            WHAT,
            format!("format {:?} is unknown", file.format),
        ));
    }
    let cost = (
        file.argon2id_memory_kib,
        file.argon2id_passes,
        file.argon2id_lanes,
    );
    if cost.0 > MAX_ARGON2.0 || cost.1 > MAX_ARGON2.1 || cost.2 > MAX_ARGON2.2 {
        return Err(malformed(WHAT, "its Argon2id costs are beyond all bounds"));
    }
    let bytes = |text: &str| from_hex(text).ok_or_else(|| malformed(WHAT, "no hexadecimal"));
    let nonce: [u8; 12] = bytes(&file.nonce)?
        .try_into()
        .map_err(|_| malformed(WHAT, "a nonce has 12 bytes"))?;
    let cipher = cipher(passphrase, &bytes(&file.salt)?, cost)?;
    let sealed = bytes(&file.sealed)?;
    let payload = Payload {
        msg: &sealed,
        aad: FORMAT.as_bytes(),
    };
    let key = cipher
        .decrypt(&nonce.into(), payload)
        .map_err(|_| KeyError::WrongPassphrase)?;
    let key = Zeroizing::new(key);
    let key: [u8; 32] = key
        .as_slice()
        .try_into()
        .map_err(|_| malformed(WHAT, "a key has 32 bytes"))?;
    Ok(StationKey::from_bytes(key))
}

fn cipher(
    passphrase: &Passphrase,
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Result<ChaCha20Poly1305, KeyError> {
    let params =
        Params::new(memory, passes, lanes, Some(32)).map_err(|error| malformed(WHAT, error))?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|error| malformed(WHAT, error))?;
    Ok(ChaCha20Poly1305::new((&*key).into()))
}
