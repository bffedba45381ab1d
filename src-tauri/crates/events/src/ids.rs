//! Event ids: UUIDs of version 7 (RFC 9562 section 5.7), so that they sort by time.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use uuid::{Builder, ContextV7, Timestamp as UuidTime, Uuid};

use crate::Timestamp;

/// Where ids come from.
pub trait Ids: Send + Sync + fmt::Debug {
    /// A new id for something that happens `now`.
    fn next(&self, now: Timestamp) -> Uuid;
}

/// Random ids that also sort within one millisecond.
#[derive(Debug, Default)]
pub struct RandomIds {
    context: Mutex<ContextV7>,
}

impl Ids for RandomIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let nanos = now.0.max(0).unsigned_abs();
        // A poisoned context is still a sound counter.
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        Uuid::new_v7(UuidTime::from_unix(&*context, seconds, fraction as u32))
    }
}

/// The same ids in every run with the same seed.
#[derive(Debug)]
pub struct SeededIds {
    state: Mutex<(u64, u64)>,
}

impl SeededIds {
    /// Ids that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            state: Mutex::new((seed, 0)),
        }
    }
}

impl Ids for SeededIds {
    fn next(&self, now: Timestamp) -> Uuid {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        hashed(
            now,
            &[b"seeded", &state.0.to_be_bytes(), &state.1.to_be_bytes()],
        )
    }
}

/// The id of the `ordinal`-th event that `consumer` publishes while it handles `cause`: the same
/// again when the handler runs again, so that the log keeps only one.
pub(crate) fn derived(cause: Uuid, at: Timestamp, consumer: &str, ordinal: u64) -> Uuid {
    hashed(
        at,
        &[
            b"derived",
            cause.as_bytes(),
            &ordinal.to_be_bytes(),
            consumer.as_bytes(),
        ],
    )
}

fn hashed(time: Timestamp, parts: &[&[u8]]) -> Uuid {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    let mut random = [0; 10];
    random.copy_from_slice(&hasher.finalize()[..10]);
    Builder::from_unix_timestamp_millis(time.unix_millis(), &random).into_uuid()
}
