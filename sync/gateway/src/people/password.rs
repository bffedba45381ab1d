//! Hashing of passwords.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::limits::people as limits;

/// Why a password is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too short or too long.
    #[error(
        "a password has {} to {} characters",
        limits::MIN_PASSWORD_CHARS,
        limits::MAX_PASSWORD_CHARS
    )]
    Length,
    /// Hashing failed.
    #[error("hashing a password failed ({0})")]
    Hash(String),
}

/// Hashes and checks passwords, a few at a time, off the threads that answer requests. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// Of a password that nobody has: checked where a login is unknown, so that it takes as long.
    nobodys: Arc<str>,
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let (memory, passes, lanes) = limits::ARGON2;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8], salt: [u8; 16]) -> Result<String, PasswordError> {
    argon2()?
        .hash_password_with_salt(password, &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| PasswordError::Hash(error.to_string()))
}

impl Passwords {
    /// Takes two random values: a password that nobody will guess, and its salt.
    pub fn new(nobodys: [u8; 16], salt: [u8; 16]) -> Result<Self, PasswordError> {
        Ok(Self {
            turns: Arc::new(Semaphore::new(limits::HASHES_AT_A_TIME)),
            nobodys: hash(&nobodys, salt)?.into(),
        })
    }

    /// The hash of a new password, in the PHC format.
    pub async fn hash(
        &self,
        password: Zeroizing<String>,
        salt: [u8; 16],
    ) -> Result<String, PasswordError> {
        let length = password.chars().count();
        if !(limits::MIN_PASSWORD_CHARS..=limits::MAX_PASSWORD_CHARS).contains(&length) {
            return Err(PasswordError::Length);
        }
        self.work(move || hash(password.as_bytes(), salt)).await
    }

    /// Whether it is the password of `kept`; without a hash it takes as long, and is not.
    pub async fn matches(
        &self,
        password: Zeroizing<String>,
        kept: Option<String>,
    ) -> Result<bool, PasswordError> {
        if password.chars().count() > limits::MAX_PASSWORD_CHARS {
            return Ok(false);
        }
        let known = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.nobodys.to_string());
        self.work(move || {
            let kept =
                PasswordHash::new(&kept).map_err(|error| PasswordError::Hash(error.to_string()))?;
            let right = argon2()?
                .verify_password(password.as_bytes(), &kept)
                .is_ok();
            Ok(known && right)
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let failed = |reason: &str| PasswordError::Hash(reason.to_owned());
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| failed("the gateway is closing"))?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        })
        .await
        .map_err(|_| failed("the task ended"))?
    }
}
