//! Reading a log from any point onwards, and then live.

use std::{ops::Deref, sync::Arc};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    EventLog, Filter, LogError, Position, RecordedEvent, Timestamp, limits::READ_BATCH,
    log::Committed,
};

/// Where to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    /// With the first event ever.
    Start,
    /// With the next event.
    End,
    /// With the first event behind this position.
    After(Position),
    /// With the first event that happened at this time or later.
    Time(Timestamp),
}

impl From {
    pub(crate) async fn resolve(self, log: &dyn EventLog) -> Result<Position, LogError> {
        match self {
            Self::Start => Ok(Position::START),
            Self::End => log.end().await,
            Self::After(position) => Ok(position),
            Self::Time(time) => log.position_before(time).await,
        }
    }
}

/// An event as delivered: it shares the batch it was committed in, and reads as a
/// [`RecordedEvent`].
#[derive(Clone, Debug)]
pub struct Delivered {
    pub(crate) batch: Committed,
    pub(crate) index: usize,
}

impl Deref for Delivered {
    type Target = RecordedEvent;
    fn deref(&self) -> &RecordedEvent {
        &self.batch[self.index]
    }
}

/// Wanted events in order, without a hole or a repetition: from the live announcements while it
/// keeps up, from the log otherwise.
#[derive(Debug)]
pub(crate) struct Feed {
    log: Arc<dyn EventLog>,
    live: Receiver<Committed>,
    filter: Filter,
    /// Everything up to here was delivered or is not wanted.
    position: Position,
    batch: Committed,
    next_in_batch: usize,
    /// What the batch covers: beyond its last event there is nothing wanted up to here.
    covered: Position,
    /// The log may hold events behind `position` that were not announced to `live`.
    behind: bool,
}

impl Feed {
    pub(crate) async fn open(
        log: Arc<dyn EventLog>,
        filter: Filter,
        start: From,
    ) -> Result<Self, LogError> {
        // Listening first: nothing that is committed from now on can be missed.
        let live = log.committed();
        let position = start.resolve(log.as_ref()).await?;
        Ok(Self {
            log,
            live,
            filter,
            position,
            batch: Arc::from(Vec::new()),
            next_in_batch: 0,
            covered: position,
            behind: true,
        })
    }

    /// Everything up to here was delivered or is not wanted.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// The next wanted event; waits for it.
    pub(crate) async fn next(&mut self) -> Result<Delivered, LogError> {
        loop {
            if let Some(delivered) = self.take_from_batch() {
                return Ok(delivered);
            }
            if self.behind {
                self.read_log().await?;
            } else {
                self.receive().await?;
            }
        }
    }

    /// The next wanted event up to `end`, or none.
    pub(crate) async fn next_until(
        &mut self,
        end: Position,
    ) -> Result<Option<Delivered>, LogError> {
        loop {
            if let Some(delivered) = self.take_from_batch() {
                return Ok((delivered.position <= end).then_some(delivered));
            }
            if self.position >= end {
                return Ok(None);
            }
            self.read_log().await?;
        }
    }

    fn take_from_batch(&mut self) -> Option<Delivered> {
        while let Some(recorded) = self.batch.get(self.next_in_batch) {
            let index = self.next_in_batch;
            self.next_in_batch += 1;
            if recorded.position <= self.position {
                continue;
            }
            self.position = recorded.position;
            if self.filter.wants(&recorded.event) {
                return Some(Delivered {
                    batch: Arc::clone(&self.batch),
                    index,
                });
            }
        }
        self.position = self.position.max(self.covered);
        None
    }

    async fn read_log(&mut self) -> Result<(), LogError> {
        // The end is asked for first: what is not among the events read up to it is not wanted.
        let end = self.log.end().await?;
        let events = self
            .log
            .read(self.position, READ_BATCH, &self.filter)
            .await?;
        if events.len() < READ_BATCH {
            self.behind = false;
            self.covered = end;
        }
        self.batch = events.into();
        self.next_in_batch = 0;
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), LogError> {
        match self.live.recv().await {
            Ok(batch) => {
                let continues = |first: &RecordedEvent| first.position.0 <= self.position.0 + 1;
                if batch.first().is_some_and(continues) {
                    self.batch = batch;
                    self.next_in_batch = 0;
                } else if batch
                    .last()
                    .is_some_and(|last| last.position > self.position)
                {
                    self.behind = true;
                }
                Ok(())
            }
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "a subscriber lags and reads from the log");
                self.behind = true;
                Ok(())
            }
            Err(RecvError::Closed) => Err(LogError::Closed {
                operation: "waiting for events",
            }),
        }
    }
}

/// Events as they come, or as they were.
#[derive(Debug)]
pub struct Subscription {
    feed: Feed,
    end: Option<Position>,
}

impl Subscription {
    pub(crate) fn new(feed: Feed) -> Self {
        Self { feed, end: None }
    }

    pub(crate) fn until(feed: Feed, end: Position) -> Self {
        Self {
            feed,
            end: Some(end),
        }
    }

    /// The next event. A live subscription waits for it; a replay returns `None` at its end.
    pub async fn next(&mut self) -> Result<Option<Delivered>, LogError> {
        match self.end {
            Some(end) => self.feed.next_until(end).await,
            None => self.feed.next().await.map(Some),
        }
    }

    /// Everything up to here was delivered or is not wanted.
    pub fn position(&self) -> Position {
        self.feed.position()
    }
}
