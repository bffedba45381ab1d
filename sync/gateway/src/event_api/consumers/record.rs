//! What is kept of a consumer: what it wants, and what it has got.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use events::{Filter, Position, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Failure,
    event_api::{
        fault::{bad_request, conflict, not_found, of_state, unavailable},
        query,
    },
    limits::events as limits,
    state::{Expect, Item, Op, Space, State, StateError},
};

/// `<site>/<name>/progress` holds a [`Record`], `<site>/<name>/dead/<position>` a [`DeadLetter`].
pub(super) const SPACE: Space = "event_consumers";

/// What a consumer is to be like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    /// Of these types only, unless empty.
    pub(super) types: Vec<String>,
    /// Of this correlation only.
    pub(super) correlation: Option<Uuid>,
    /// How long an event may be worked on before it is delivered again.
    pub(super) ack_wait_ms: u64,
    /// Deliveries of one event before it becomes a dead letter.
    pub(super) max_attempts: u32,
    /// Events delivered and not acknowledged.
    pub(super) max_in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            types: Vec::new(),
            correlation: None,
            ack_wait_ms: limits::ACK_WAIT.as_secs() * 1_000,
            max_attempts: limits::MAX_ATTEMPTS,
            max_in_flight: limits::MAX_IN_FLIGHT,
        }
    }
}

impl Settings {
    pub(super) fn filter(&self, site: &str) -> Result<Filter, Failure> {
        query::filter(site, self.types.iter().cloned(), self.correlation)
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        let (shortest, longest) = limits::ACK_WAIT_RANGE;
        let wait = Duration::from_millis(self.ack_wait_ms);
        let malformed = |detail: String| Err(bad_request("consumer.malformed", detail));
        if wait < shortest || wait > longest {
            return malformed(format!(
                "ack_wait_ms lies between {shortest:?} and {longest:?}"
            ));
        }
        if !(1..=limits::MOST_ATTEMPTS).contains(&self.max_attempts) {
            return malformed(format!(
                "max_attempts lies between 1 and {}",
                limits::MOST_ATTEMPTS
            ));
        }
        if !(1..=limits::MAX_IN_FLIGHT).contains(&self.max_in_flight) {
            return malformed(format!(
                "max_in_flight lies between 1 and {}",
                limits::MAX_IN_FLIGHT
            ));
        }
        self.filter("").map(drop)
    }
}

/// An event that was delivered and is not acknowledged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub(super) position: Position,
    /// Deliveries so far.
    pub(super) attempts: u32,
    /// The delivery that holds it; 0 if none does.
    pub(super) lease: u64,
    /// When it is delivered again, nanoseconds since 1970.
    pub(super) due_ns: i64,
}

/// A consumer's settings and progress: one value, so that one commit changes all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) settings: Settings,
    /// Everything up to here was delivered or is not wanted.
    pub(super) cursor: Position,
    /// Of what was delivered, what is not acknowledged, by position.
    pub(super) in_flight: Vec<InFlight>,
    /// Deliveries so far: each is a lease.
    pub(super) deliveries: u64,
}

/// An event that was delivered as often as its consumer allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct DeadLetter {
    pub(super) position: Position,
    pub(super) attempts: u32,
    /// What the consumer gave as the reason, or that it never answered.
    pub(super) error: String,
    pub(super) parked_at: Timestamp,
}

/// A consumer of a site.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// Begins the keys of everything that is kept of it.
    prefix: String,
    /// Whose it is, and whose events it gets.
    pub(super) site: String,
}

/// Everything that is kept for a site begins so.
pub(super) fn site_prefix(site: &str) -> String {
    // A site's name holds no delimiter of ours, whatever it holds.
    format!("{}/", site.replace('%', "%25").replace('/', "%2F"))
}

impl Key {
    pub(super) fn new(site: &str, name: &str) -> Result<Self, Failure> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || name.len() > limits::MAX_CONSUMER_BYTES || !name.bytes().all(allowed)
        {
            return Err(bad_request(
                "consumer.malformed",
                format!(
                    "a consumer's name is of letters, digits, '_', '-' and '.', at most {}",
                    limits::MAX_CONSUMER_BYTES
                ),
            ));
        }
        let prefix = format!("{}{name}/", site_prefix(site));
        let site = site.to_owned();
        Ok(Self { prefix, site })
    }

    pub(super) fn all(&self) -> &str {
        &self.prefix
    }

    pub(super) fn progress(&self) -> String {
        format!("{}progress", self.prefix)
    }

    pub(super) fn dead_prefix(&self) -> String {
        format!("{}dead/", self.prefix)
    }

    /// Sorted as numbers are.
    pub(super) fn dead(&self, position: Position) -> String {
        format!("{}dead/{:020}", self.prefix, position.0)
    }
}

/// A consumer as it is, and the commit that made it so.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) record: Record,
    pub(super) modified: u64,
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(item: &Arc<Item>) -> Result<T, Failure> {
    serde_json::from_slice(&item.value).map_err(|error| {
        tracing::error!(%error, "what is kept of a consumer cannot be read");
        unavailable(
            "consumer.unreadable",
            "what is kept of the consumer cannot be read",
        )
    })
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes, Failure> {
    let text = serde_json::to_vec(value);
    text.map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "what is kept of a consumer cannot be written");
        unavailable(
            "consumer.unreadable",
            "what is kept of the consumer cannot be written",
        )
    })
}

pub(super) fn missing() -> Failure {
    not_found("consumer.not_found", "there is no such consumer")
}

fn load(state: &State, key: &Key) -> Result<Option<Seen>, Failure> {
    let Some(item) = state.get(SPACE, &key.progress()) else {
        return Ok(None);
    };
    Ok(Some(Seen {
        record: decode(&item)?,
        modified: item.modified,
    }))
}

/// A consumer, though it was made at another replica a moment ago.
pub(super) async fn find(state: &State, key: &Key) -> Result<Seen, Failure> {
    if let Some(seen) = load(state, key)? {
        return Ok(seen);
    }
    refresh(state, key).await?;
    load(state, key)?.ok_or_else(missing)
}

/// Reads what other replicas have written up to now, as every commit does.
pub(super) async fn refresh(state: &State, key: &Key) -> Result<(), Failure> {
    let nothing = vec![Op::require(SPACE, key.progress(), Expect::Present)];
    match state.commit(nothing).await {
        Ok(_) => Ok(()),
        Err(StateError::Conflict { .. }) => Err(missing()),
        Err(error) => Err(of_state(&error)),
    }
}

/// Steps of a commit beside the record's own.
pub(super) type More = Vec<Op>;

/// Commits a changed record unless it was changed meanwhile: then `false`.
pub(super) async fn save(
    state: &State,
    key: &Key,
    seen: &Seen,
    record: &Record,
    more: More,
) -> Result<bool, Failure> {
    let progress = key.progress();
    let mut ops = vec![
        Op::require(SPACE, progress.clone(), Expect::Modified(seen.modified)),
        Op::put(SPACE, progress, encode(record)?),
    ];
    ops.extend(more);
    match state.commit(ops).await {
        Ok(_) => Ok(true),
        Err(StateError::Conflict { .. }) => Ok(false),
        Err(error) => Err(of_state(&error)),
    }
}

/// Changes a consumer: `change` is asked again whenever somebody else was faster, and may ask for more
/// steps in the same commit.
pub(super) async fn change<T>(
    state: &State,
    key: &Key,
    mut change: impl FnMut(&mut Record) -> Result<(T, More), Failure>,
) -> Result<T, Failure> {
    for _ in 0..limits::CHANGE_ATTEMPTS {
        let seen = find(state, key).await?;
        let mut record = seen.record.clone();
        let (answer, more) = change(&mut record)?;
        // Committed even if nothing changes: another replica may know what this one does not yet, such as
        // the lease that is answered for.
        if save(state, key, &seen, &record, more).await? {
            return Ok(answer);
        }
    }
    Err(conflict(
        "consumer.busy",
        "too many change this consumer at once; try again",
    ))
}

impl Record {
    /// Takes an event out of what is in flight and makes it a dead letter.
    pub(super) fn bury(
        key: &Key,
        dead: &InFlight,
        error: &str,
        now: Timestamp,
    ) -> Result<Op, Failure> {
        let letter = DeadLetter {
            position: dead.position,
            attempts: dead.attempts,
            error: error.to_owned(),
            parked_at: now,
        };
        Ok(Op::put(SPACE, key.dead(dead.position), encode(&letter)?))
    }
}
