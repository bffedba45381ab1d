//! Notes of the gateway's to itself, sealed, that somebody is given to bring back once and soon.
//!
//! Nothing is kept of those that never come back; that one was used is kept until it would have expired.

use std::{sync::Arc, time::Duration};

use events::{Clock, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    random::Random,
    sealing::Sealer,
    state::{Expect, Op, Space, State, StateError},
    trust::hex,
};

/// A note could not be made: which nothing that comes from outside can bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a note of the gateway's to itself cannot be written")]
pub struct TicketError;

/// A note that came back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ticket<T> {
    id: String,
    expires_at: Timestamp,
    /// What it says.
    pub(crate) what: T,
}

/// Gives notes out and takes them back. Clones share what was used.
#[derive(Clone, Debug)]
pub(crate) struct Tickets {
    state: State,
    sealer: Sealer,
    clock: Arc<dyn Clock>,
    random: Random,
    used: Space,
}

impl Tickets {
    /// `used` is where those that came back are kept.
    pub(crate) fn new(
        state: State,
        sealer: Sealer,
        clock: Arc<dyn Clock>,
        random: Random,
        used: Space,
    ) -> Self {
        Self {
            state,
            sealer,
            clock,
            random,
            used,
        }
    }

    /// A note for `purpose`, good for `lifetime`.
    pub(crate) fn issue<T: Serialize>(
        &self,
        purpose: &str,
        what: T,
        lifetime: Duration,
    ) -> Result<Vec<u8>, TicketError> {
        let lifetime = i64::try_from(lifetime.as_nanos()).unwrap_or(i64::MAX);
        let ticket = Ticket {
            id: hex(&self.random.bytes::<16>()),
            expires_at: Timestamp(self.clock.now().0.saturating_add(lifetime)),
            what,
        };
        let plain = Zeroizing::new(serde_json::to_vec(&ticket).map_err(|_| TicketError)?);
        self.random
            .with(|rng| self.sealer.seal(purpose, &plain, rng))
            .map_err(|_| TicketError)
    }

    /// The note, if it is one for `purpose`.
    pub(crate) fn open<T: DeserializeOwned>(
        &self,
        purpose: &str,
        sealed: &[u8],
    ) -> Option<Ticket<T>> {
        let plain = self.sealer.open(purpose, sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// Whether it came back too late.
    pub(crate) fn is_late<T>(&self, ticket: &Ticket<T>) -> bool {
        ticket.expires_at <= self.clock.now()
    }

    /// Uses a note up; false where it was used before, on whichever replica.
    pub(crate) async fn use_up<T>(&self, ticket: &Ticket<T>) -> Result<bool, StateError> {
        let ops = vec![
            Op::require(self.used, &ticket.id, Expect::Absent),
            Op::put(self.used, &ticket.id, ticket.expires_at.0.to_string()),
        ];
        match self.state.commit(ops).await {
            Ok(_) => Ok(true),
            Err(StateError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets which were used, of those that would have expired anyway.
    pub(crate) async fn sweep(&self) -> Result<usize, StateError> {
        let now = self.clock.now().0;
        let mut swept = 0;
        for item in self.state.list(self.used, "") {
            let at = std::str::from_utf8(&item.value)
                .ok()
                .and_then(|text| text.parse::<i64>().ok());
            if at.is_none_or(|at| at <= now) {
                let ops = vec![Op::delete(self.used, item.key.clone())];
                self.state.commit(ops).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}
