//! Key sets of other issuers: read from a file or fetched, and kept up to date.
//!
//! An issuer publishes a new key before it signs with it; looking every few minutes is enough for those that
//! keep to that. A token whose key is not known makes the set be looked at again at once, though not more often
//! than every few seconds, whoever brings however many of them.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{PublicKey, jws::Jwk};
use crate::limits::trust as limits;

/// Where a key set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// An address.
    Url(String),
    /// The set itself.
    Given(Value),
}

/// Why a key set was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// The file cannot be read.
    #[error("cannot read the key set {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be fetched.
    #[error("cannot fetch a key set")]
    Fetch(#[from] reqwest::Error),
    /// It is none, or holds no key that can be used.
    #[error("there is no key set with usable keys ({0})")]
    Malformed(String),
}

/// Keys with the ids that they have.
type Keys = Vec<(Option<String>, PublicKey)>;

/// The keys of one issuer. Clones share them.
#[derive(Debug, Clone)]
pub struct KeySet {
    source: KeySource,
    keys: Arc<RwLock<Keys>>,
    unknown: Arc<Notify>,
}

impl KeySet {
    /// Not read yet.
    pub fn new(source: KeySource) -> Self {
        let set = Self {
            keys: Arc::default(),
            unknown: Arc::default(),
            source,
        };
        if let KeySource::Given(value) = &set.source {
            set.take(keys_of(value));
        }
        set
    }

    /// The key of an id. A token without one is taken only where there is one key to choose from.
    pub(crate) fn find(&self, kid: Option<&str>) -> Option<PublicKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let found = match kid {
            Some(_) => keys
                .iter()
                .find(|(id, _)| id.as_deref() == kid)
                .map(|(_, key)| key.clone()),
            None => match &keys[..] {
                [(_, only)] => Some(only.clone()),
                _ => None,
            },
        };
        if found.is_none() {
            self.unknown.notify_one();
        }
        found
    }

    fn take(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Reads the set. What was known stays known where it cannot be read.
    pub async fn refresh(&self, client: &reqwest::Client) -> Result<(), KeySetError> {
        let text = match &self.source {
            KeySource::Given(_) => return Ok(()),
            KeySource::File(path) => {
                tokio::fs::read(path)
                    .await
                    .map_err(|source| KeySetError::File {
                        path: path.clone(),
                        source,
                    })?
            }
            KeySource::Url(url) => fetch(client, url).await?,
        };
        let value: Value = serde_json::from_slice(&text)
            .map_err(|error| KeySetError::Malformed(error.to_string()))?;
        let keys = keys_of(&value);
        if keys.is_empty() {
            return Err(KeySetError::Malformed(
                "none of its keys is of a kind that is taken".into(),
            ));
        }
        self.take(keys);
        Ok(())
    }

    /// Keeps the set up to date, for ever.
    pub async fn keep(self, client: reqwest::Client) {
        loop {
            if let Err(error) = self.refresh(&client).await {
                tracing::warn!(%error, "an issuer's keys are as they were");
            }
            sleep(limits::KEY_SET_AT_MOST_EVERY).await;
            let _ = timeout(limits::KEY_SET_EVERY, self.unknown.notified()).await;
        }
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<Vec<u8>, KeySetError> {
    let request = client.get(url).timeout(limits::KEY_SET_TIMEOUT);
    let mut answer = request.send().await?.error_for_status()?;
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        text.extend_from_slice(&chunk);
        if text.len() > limits::KEY_SET_BYTES {
            return Err(KeySetError::Malformed("it is too large".to_owned()));
        }
    }
    Ok(text)
}

/// Keys that can be used; those of other kinds are left out.
fn keys_of(value: &Value) -> Keys {
    let keys = value["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .take(limits::KEYS_IN_A_SET);
    keys.filter_map(|key| {
        let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
        Some((jwk.kid.clone(), PublicKey::from_jwk(&jwk)?))
    })
    .collect()
}
