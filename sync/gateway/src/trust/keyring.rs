//! The keys that the gateway signs tokens with: shared by all replicas, sealed, replaced in time.
//!
//! A new key is published before it signs and stays published after its last signature, so that nobody who
//! caches the key set meets a token whose key they do not know.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use events::{Clock, Timestamp};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

use super::{
    PublicKey,
    jws::{Jwk, sign},
};
use crate::{
    limits::trust as limits,
    random::Random,
    sealing::{SealError, Sealer},
    state::{Expect, Op, Space, State, StateError},
};

/// Keys, by id.
const KEYS: Space = "token_keys";
/// Which key was made last: what keeps two replicas from making two at once.
const NEWEST: &str = "newest";

/// Why the keyring failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A sealed key does not open.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What the state holds is not a key.
    #[error("the state holds what is no signing key ({0})")]
    Damaged(String),
    /// There is no key yet, or the claims are no JSON.
    #[error("nothing can be signed")]
    Sign,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    created_at: Timestamp,
    /// Signs from here on.
    signs_from: Timestamp,
    /// The sealed seed, base64.
    seed: String,
    /// The public point, base64url: what is published.
    x: String,
}

struct Held {
    kid: String,
    kept: Kept,
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// The gateway's signing keys.
pub struct Keyring {
    state: State,
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    random: Random,
    held: RwLock<(u64, Arc<Vec<Held>>)>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

fn after(time: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    Timestamp(time.0.saturating_add(by))
}

fn purpose(kid: &str) -> String {
    format!("token key {kid}")
}

impl Keyring {
    /// Over the state; makes the first key where there is none.
    pub async fn open(
        state: State,
        sealer: Sealer,
        clock: Arc<dyn Clock>,
        random: Random,
    ) -> Result<Self, KeyringError> {
        let keyring = Self {
            state,
            sealer,
            clock,
            random,
            held: RwLock::default(),
        };
        keyring.rotate().await?;
        Ok(keyring)
    }

    /// Makes the next key when it is due, and removes what nobody needs any more. To be called now and then
    /// by every replica; one of them does it.
    pub async fn rotate(&self) -> Result<(), KeyringError> {
        let now = self.clock.now();
        let held = self.held()?;
        let newest = held.iter().max_by_key(|held| held.kept.signs_from);
        match newest {
            None => self.make(now).await?,
            Some(newest) => {
                let next = after(newest.kept.signs_from, limits::SIGNING_KEY_FOR);
                if after(now, limits::KEY_PUBLISHED_BEFORE) >= next {
                    self.make(next.max(after(now, limits::KEY_PUBLISHED_BEFORE)))
                        .await?;
                }
            }
        }
        let mut by_start: Vec<_> = held.iter().collect();
        by_start.sort_by_key(|held| held.kept.signs_from);
        for (key, successor) in by_start.iter().zip(by_start.iter().skip(1)) {
            if after(successor.kept.signs_from, limits::KEY_PUBLISHED_AFTER) < now {
                self.state
                    .commit(vec![Op::delete(KEYS, format!("key/{}", key.kid))])
                    .await?;
            }
        }
        Ok(())
    }

    /// Makes a key that signs at once and forgets every other: after one was stolen. Every token that was
    /// signed before is refused from then on.
    pub async fn replace_all(&self) -> Result<(), KeyringError> {
        let now = self.clock.now();
        let (kid, kept) = self.new_key(now)?;
        self.state
            .commit(vec![
                Op::delete_tree(KEYS, "key/"),
                Op::put(KEYS, format!("key/{kid}"), write(&kept)?),
                Op::put(KEYS, NEWEST, kid),
            ])
            .await?;
        Ok(())
    }

    async fn make(&self, signs_from: Timestamp) -> Result<(), KeyringError> {
        let (kid, kept) = self.new_key(signs_from)?;
        let newest = self.state.get(KEYS, NEWEST);
        let expect = newest.map_or(Expect::Absent, |item| Expect::Modified(item.modified));
        let made = self
            .state
            .commit(vec![
                Op::require(KEYS, NEWEST, expect),
                Op::put(KEYS, format!("key/{kid}"), write(&kept)?),
                Op::put(KEYS, NEWEST, kid),
            ])
            .await;
        match made {
            // Another replica made one at the same time: its key serves as well.
            Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn new_key(&self, signs_from: Timestamp) -> Result<(String, Kept), KeyringError> {
        let seed: [u8; 32] = self.random.bytes();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|error| KeyringError::Damaged(error.to_string()))?;
        let kid = BASE64_URL_SAFE_NO_PAD.encode(self.random.bytes::<12>());
        let sealed = self
            .random
            .with(|rng| self.sealer.seal(&purpose(&kid), &seed, rng))?;
        let kept = Kept {
            created_at: self.clock.now(),
            signs_from,
            seed: BASE64_STANDARD.encode(sealed),
            x: BASE64_URL_SAFE_NO_PAD.encode(pair.public_key()),
        };
        Ok((kid, kept))
    }

    /// The keys, opened again only after one was made or removed.
    fn held(&self) -> Result<Arc<Vec<Held>>, KeyringError> {
        let index = self.state.index(KEYS, "");
        {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            if held.0 == index && index > 0 {
                return Ok(Arc::clone(&held.1));
            }
        }
        let mut keys = Vec::new();
        for item in self.state.list(KEYS, "key/") {
            let damaged = |reason: String| KeyringError::Damaged(reason);
            let kept: Kept =
                serde_json::from_slice(&item.value).map_err(|e| damaged(e.to_string()))?;
            let kid = item.key.trim_start_matches("key/").to_owned();
            let sealed = BASE64_STANDARD
                .decode(&kept.seed)
                .map_err(|e| damaged(e.to_string()))?;
            let seed = self.sealer.open(&purpose(&kid), &sealed)?;
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
                .map_err(|error| damaged(error.to_string()))?;
            let public = PublicKey::ed25519(pair.public_key().as_ref())
                .ok_or_else(|| damaged("a point of another size".to_owned()))?;
            keys.push(Held {
                kid,
                kept,
                pair,
                public,
            });
        }
        let keys = Arc::new(keys);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = (index, Arc::clone(&keys));
        Ok(keys)
    }

    /// Signs claims with the key whose turn it is.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Result<String, KeyringError> {
        let now = self.clock.now();
        let held = self.held()?;
        let key = held
            .iter()
            .filter(|held| held.kept.signs_from <= now)
            .max_by_key(|held| held.kept.signs_from)
            .ok_or(KeyringError::Sign)?;
        sign(&key.pair, &key.kid, claims).ok_or(KeyringError::Sign)
    }

    /// The key of an id.
    pub(crate) fn find(&self, kid: &str) -> Result<Option<PublicKey>, KeyringError> {
        let held = self.held()?;
        Ok(held
            .iter()
            .find(|held| held.kid == kid)
            .map(|held| held.public.clone()))
    }

    /// What is published at `/.well-known/jwks.json` (RFC 7517, section 5).
    pub fn published(&self) -> Result<serde_json::Value, KeyringError> {
        let keys: Vec<_> = self
            .held()?
            .iter()
            .map(|held| Jwk {
                kty: "OKP".to_owned(),
                kid: Some(held.kid.clone()),
                alg: Some("EdDSA".to_owned()),
                use_: Some("sig".to_owned()),
                crv: Some("Ed25519".to_owned()),
                x: Some(held.kept.x.clone()),
                ..Jwk::default()
            })
            .collect();
        Ok(serde_json::json!({ "keys": keys }))
    }
}

fn write(kept: &Kept) -> Result<Vec<u8>, KeyringError> {
    serde_json::to_vec(kept).map_err(|error| KeyringError::Damaged(error.to_string()))
}
