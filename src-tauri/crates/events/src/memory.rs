//! A log in memory: for tests, and for a program that is asked to keep nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    Committed, EventLog, Filter, LogError, ParkedEvent, Position, RecordedEvent, SystemEvent,
    Timestamp, limits::LIVE_BATCHES,
};

/// An [`EventLog`] that ends with the process.
#[derive(Debug)]
pub struct MemoryLog {
    state: Mutex<State>,
    live: broadcast::Sender<Committed>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<RecordedEvent>,
    by_id: HashMap<Uuid, Position>,
    offsets: HashMap<String, Position>,
    parked: BTreeMap<(String, Position), ParkedEvent>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            live: broadcast::Sender::new(LIVE_BATCHES),
        }
    }
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single insertion: a panic elsewhere leaves no half-made state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, events: Vec<SystemEvent>) -> Result<Vec<Position>, LogError> {
        let mut state = self.state();
        let mut positions = Vec::with_capacity(events.len());
        let mut fresh = Vec::new();
        for event in events {
            let next = Position(state.events.len() as u64 + 1);
            let known = *state.by_id.entry(event.event_id).or_insert(next);
            positions.push(known);
            if known == next {
                let recorded = RecordedEvent {
                    position: next,
                    event,
                };
                state.events.push(recorded.clone());
                fresh.push(recorded);
            }
        }
        if !fresh.is_empty() {
            // Nobody listening is no failure. Sent under the lock, so that the order holds.
            let _ = self.live.send(fresh.into());
        }
        Ok(positions)
    }

    async fn read(
        &self,
        after: Position,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let state = self.state();
        let from = usize::try_from(after.0)
            .unwrap_or(usize::MAX)
            .min(state.events.len());
        let wanted = state.events[from..]
            .iter()
            .filter(|recorded| filter.wants(&recorded.event));
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn position_before(&self, time: Timestamp) -> Result<Position, LogError> {
        let state = self.state();
        let found = state
            .events
            .iter()
            .position(|recorded| recorded.event.timestamp >= time);
        Ok(Position(found.unwrap_or(state.events.len()) as u64))
    }

    async fn end(&self) -> Result<Position, LogError> {
        Ok(Position(self.state().events.len() as u64))
    }

    fn committed(&self) -> broadcast::Receiver<Committed> {
        self.live.subscribe()
    }

    async fn offset(&self, consumer: &str) -> Result<Option<Position>, LogError> {
        Ok(self.state().offsets.get(consumer).copied())
    }

    async fn save_offset(&self, consumer: &str, position: Position) -> Result<(), LogError> {
        self.state().offsets.insert(consumer.to_owned(), position);
        Ok(())
    }

    async fn park(&self, parked: ParkedEvent) -> Result<(), LogError> {
        let key = (parked.consumer.clone(), parked.position);
        self.state().parked.insert(key, parked);
        Ok(())
    }

    async fn parked(&self, consumer: Option<&str>) -> Result<Vec<ParkedEvent>, LogError> {
        let state = self.state();
        let wanted = |parked: &&ParkedEvent| consumer.is_none_or(|name| name == parked.consumer);
        Ok(state.parked.values().filter(wanted).cloned().collect())
    }

    async fn unpark(&self, consumer: &str, position: Position) -> Result<bool, LogError> {
        Ok(self
            .state()
            .parked
            .remove(&(consumer.to_owned(), position))
            .is_some())
    }
}
