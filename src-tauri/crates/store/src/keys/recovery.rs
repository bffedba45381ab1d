//! The recovery code: the station key on paper.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyError, StationKey, malformed};

/// Crockford's base 32: without I, L, O and U, which are misread or misheard.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CHECK_BYTES: usize = 4;
/// 36 bytes are 288 bits, at five a character.
const CHARACTERS: usize = 58;

/// A station key as text to print, in groups of four characters. Displayed in full: whoever shows
/// it decides to. Its `Debug` form shows nothing.
#[derive(Clone, PartialEq)]
pub struct RecoveryCode(StationKey);

impl RecoveryCode {
    /// The code of a key.
    pub fn of(key: &StationKey) -> Self {
        Self(key.clone())
    }

    /// The key.
    pub fn into_key(self) -> StationKey {
        self.0
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

fn check_of(key: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = Sha256::new()
        .chain_update(b"neurascale-recovery/v1")
        .chain_update(key)
        .finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

impl fmt::Display for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Zeroizing::new([0; 32 + CHECK_BYTES]);
        bytes[..32].copy_from_slice(self.0.bytes());
        bytes[32..].copy_from_slice(&check_of(self.0.bytes()));
        for index in 0..CHARACTERS {
            if index > 0 && index % 4 == 0 {
                f.write_str("-")?;
            }
            let value = (0..5).fold(0, |value, bit| {
                value << 1 | bit_at(&*bytes, index * 5 + bit)
            });
            write!(f, "{}", char::from(ALPHABET[usize::from(value)]))?;
        }
        Ok(())
    }
}

fn bit_at(bytes: &[u8], index: usize) -> u8 {
    bytes
        .get(index / 8)
        .map_or(0, |byte| byte >> (7 - index % 8) & 1)
}

impl FromStr for RecoveryCode {
    type Err = KeyError;

    /// Case, spaces and hyphens do not matter; O reads as 0, I and L as 1.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = |reason: &str| malformed("the recovery code", reason);
        let mut bytes = Zeroizing::new([0_u8; 37]);
        let mut count = 0;
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let c = match c.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let value = ALPHABET
                .iter()
                .position(|known| char::from(*known) == c)
                .ok_or_else(|| wrong("a character does not belong to it"))?;
            if count == CHARACTERS {
                return Err(wrong("it is too long"));
            }
            for bit in 0..5 {
                let at = count * 5 + bit;
                bytes[at / 8] |= ((value >> (4 - bit) & 1) as u8) << (7 - at % 8);
            }
            count += 1;
        }
        if count != CHARACTERS {
            return Err(wrong("it is too short"));
        }
        let (key, check) = bytes.split_at(32);
        // The last two bits of 58 characters are padding.
        if check[..CHECK_BYTES] != check_of(key) || check[CHECK_BYTES] != 0 {
            return Err(wrong("its check does not fit; compare it with the print"));
        }
        let key: [u8; 32] = key.try_into().map_err(|_| wrong("it is too short"))?;
        Ok(Self(StationKey::from_bytes(key)))
    }
}
