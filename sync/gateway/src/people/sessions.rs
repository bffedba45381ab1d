//! Being signed in: a session lives in the state, and ends everywhere at once.
//!
//! An access token names its session and holds for minutes; it is good for as long as the session is there,
//! which every replica looks up in memory. A refresh token is used once and replaced. One that comes a
//! second time was copied: the session ends (RFC 9700, section 4.14.2).

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use events::{Clock, Ids, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::PeopleError;
use crate::{
    limits::people as limits,
    random::Random,
    state::{Expect, Op, Space, State, StateError},
};

/// Sessions of people, by person and session.
const SESSIONS: Space = "people_sessions";

/// Somebody's being signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its id: what access tokens name.
    pub id: Uuid,
    /// Whose it is.
    pub person: Uuid,
    /// Until when it can be refreshed.
    pub expires_at: Timestamp,
    /// When it ends however often it is refreshed, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Hash of the refresh token that is due, base64.
    refresh: String,
}

/// What a refresh token opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The session goes on, under a new refresh token.
    On(Session, Zeroizing<String>),
    /// Not a token that is due. If the session was there, it has ended.
    Refused,
}

/// Those who are signed in.
#[derive(Debug)]
pub struct Sessions {
    state: State,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    random: Random,
}

fn key(person: Uuid, session: Uuid) -> String {
    format!("{person}/{session}")
}

fn hash(secret: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

impl Sessions {
    /// Over the gateway's state.
    pub fn new(state: State, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, random: Random) -> Self {
        Self {
            state,
            clock,
            ids,
            random,
        }
    }

    /// Begins a session; with it comes its first refresh token.
    pub async fn begin(&self, person: Uuid) -> Result<(Session, Zeroizing<String>), PeopleError> {
        self.begin_until(person, None).await
    }

    /// Begins a session that ends at `until` however often it is refreshed.
    pub async fn begin_until(
        &self,
        person: Uuid,
        until: Option<Timestamp>,
    ) -> Result<(Session, Zeroizing<String>), PeopleError> {
        let id = self.ids.next(self.clock.now());
        let (session, token) = self.renewed(person, id, until);
        let ops = vec![Op::put(SESSIONS, key(person, id), write(&session)?)];
        self.state.commit(ops).await?;
        Ok((session, token))
    }

    fn renewed(
        &self,
        person: Uuid,
        id: Uuid,
        until: Option<Timestamp>,
    ) -> (Session, Zeroizing<String>) {
        let secret = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.random.bytes::<32>()));
        let longest = i64::try_from(limits::REFRESH_FOR.as_nanos()).unwrap_or(i64::MAX);
        let expires_at = Timestamp(self.clock.now().0.saturating_add(longest));
        let session = Session {
            id,
            person,
            expires_at: until.map_or(expires_at, |until| until.min(expires_at)),
            until,
            refresh: hash(&secret),
        };
        let token = Zeroizing::new(format!("{person}.{id}.{}", secret.as_str()));
        (session, token)
    }

    /// Whether this session is there: asked for every request that a person makes.
    pub fn is_on(&self, person: Uuid, session: Uuid) -> bool {
        self.state.get(SESSIONS, &key(person, session)).is_some()
    }

    /// Uses a refresh token up.
    pub async fn refresh(&self, token: &str) -> Result<Refreshed, PeopleError> {
        let mut parts = token.split('.');
        let parsed = (|| {
            let person = Uuid::parse_str(parts.next()?).ok()?;
            let id = Uuid::parse_str(parts.next()?).ok()?;
            let secret = parts.next()?;
            parts.next().is_none().then_some((person, id, secret))
        })();
        let Some((person, id, secret)) = parsed else {
            return Ok(Refreshed::Refused);
        };
        let key = key(person, id);
        let Some(item) = self.state.get(SESSIONS, &key) else {
            return Ok(Refreshed::Refused);
        };
        let session: Session = serde_json::from_slice(&item.value)
            .map_err(|error| PeopleError::Damaged(error.to_string()))?;
        // Both are hashes of what only one side knows: comparing them tells nothing about either.
        if session.refresh != hash(secret) || session.expires_at <= self.clock.now() {
            self.end(person, id).await?;
            return Ok(Refreshed::Refused);
        }
        let (session, token) = self.renewed(person, id, session.until);
        let ops = vec![
            Op::require(SESSIONS, &key, Expect::Modified(item.modified)),
            Op::put(SESSIONS, &key, write(&session)?),
        ];
        match self.state.commit(ops).await {
            Ok(_) => Ok(Refreshed::On(session, token)),
            // The same token twice at the same time: one of the two was copied.
            Err(StateError::Conflict { .. }) => {
                self.end(person, id).await?;
                Ok(Refreshed::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a session.
    pub async fn end(&self, person: Uuid, session: Uuid) -> Result<(), PeopleError> {
        let ops = vec![Op::delete(SESSIONS, key(person, session))];
        self.state.commit(ops).await?;
        Ok(())
    }

    /// Ends every session of somebody.
    pub async fn end_all(&self, person: Uuid) -> Result<(), PeopleError> {
        let ops = vec![Op::delete_tree(SESSIONS, format!("{person}/"))];
        self.state.commit(ops).await?;
        Ok(())
    }

    /// Removes what has expired: what the state would else keep for ever.
    pub async fn sweep(&self) -> Result<usize, PeopleError> {
        let now = self.clock.now();
        let mut swept = 0;
        for item in self.state.list(SESSIONS, "") {
            let expired = serde_json::from_slice::<Session>(&item.value)
                .map_or(true, |session| session.expires_at <= now);
            if expired {
                self.state
                    .commit(vec![Op::delete(SESSIONS, item.key.clone())])
                    .await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

fn write(session: &Session) -> Result<Vec<u8>, PeopleError> {
    serde_json::to_vec(session).map_err(|error| PeopleError::Damaged(error.to_string()))
}
