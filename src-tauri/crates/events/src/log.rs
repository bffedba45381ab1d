//! What the bus asks of the place where events are kept.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{EventType, Position, RecordedEvent, SystemEvent, Timestamp};

/// Which events are wanted; an empty filter wants all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of these types only, unless empty.
    pub event_types: BTreeSet<EventType>,
    /// Of this correlation only.
    pub correlation_id: Option<Uuid>,
    /// Of this site only; events of none are then not wanted either.
    pub site: Option<String>,
}

impl Filter {
    /// All events.
    pub fn all() -> Self {
        Self::default()
    }

    /// Events of these types.
    pub fn of_types(types: impl IntoIterator<Item = EventType>) -> Self {
        Self {
            event_types: types.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same, but of one correlation.
    #[must_use]
    pub fn correlated(mut self, correlation_id: Uuid) -> Self {
        self.correlation_id = Some(correlation_id);
        self
    }

    /// The same, but of one site.
    #[must_use]
    pub fn at_site(mut self, site: impl Into<String>) -> Self {
        self.site = Some(site.into());
        self
    }

    /// Whether `event` is wanted.
    pub fn wants(&self, event: &SystemEvent) -> bool {
        (self.event_types.is_empty() || self.event_types.contains(&event.event_type))
            && self
                .correlation_id
                .is_none_or(|id| id == event.correlation_id)
            && (self.site.is_none() || self.site == event.site)
    }
}

/// An event that a handler could not take, put where a person can see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParkedEvent {
    /// The consumer that failed.
    pub consumer: String,
    /// The event's place in the log.
    pub position: Position,
    /// The event's id.
    pub event_id: Uuid,
    /// Attempts made.
    pub attempts: u32,
    /// What the last attempt failed with.
    pub error: String,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// Why the log failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The log is closed, or its writer has ended.
    #[error("{operation}: the event log is closed")]
    Closed {
        /// What was tried.
        operation: &'static str,
    },
    /// The event does not fit the log.
    #[error("{operation}: the event is refused ({reason})")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// Why.
        reason: String,
    },
    /// The storage under it failed.
    #[error("{operation}: the event log's storage failed")]
    Storage {
        /// What was tried.
        operation: &'static str,
        /// The storage's own error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

/// Committed events in log order, as they are announced to live readers.
pub type Committed = Arc<[RecordedEvent]>;

/// An append-only, durable log of events. `conformance` holds what every implementation must do.
#[async_trait]
pub trait EventLog: Send + Sync + std::fmt::Debug {
    /// Appends events, all or none; they are durable when this returns. An event whose id is
    /// in the log already is left out, and its position is the earlier one.
    async fn append(&self, events: Vec<SystemEvent>) -> Result<Vec<Position>, LogError>;

    /// Up to `limit` wanted events behind `after`, in order.
    async fn read(
        &self,
        after: Position,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<RecordedEvent>, LogError>;

    /// Position to read behind so as to see everything that happened at `time` or later: the one
    /// before the first event with such a timestamp, or the end.
    async fn position_before(&self, time: Timestamp) -> Result<Position, LogError>;

    /// Position of the last event.
    async fn end(&self) -> Result<Position, LogError>;

    /// Announces every batch after it is committed, in order and without a hole, whoever committed
    /// it. A receiver that lags reads the log.
    fn committed(&self) -> broadcast::Receiver<Committed>;

    /// Position behind which `consumer` goes on; `None` if it has never saved one.
    async fn offset(&self, consumer: &str) -> Result<Option<Position>, LogError>;

    /// Saves where `consumer` goes on.
    async fn save_offset(&self, consumer: &str, position: Position) -> Result<(), LogError>;

    /// Parks an event; parking the same one again replaces the earlier note.
    async fn park(&self, parked: ParkedEvent) -> Result<(), LogError>;

    /// Parked events, of one consumer or all, by consumer and position.
    async fn parked(&self, consumer: Option<&str>) -> Result<Vec<ParkedEvent>, LogError>;

    /// Removes a parked event once it is dealt with; whether there was one.
    async fn unpark(&self, consumer: &str, position: Position) -> Result<bool, LogError>;
}
