//! Publishing: an event is durable and entered in the ledger in one transaction.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{KEPT_EVENT_PAUSE, KEPT_EVENT_TRIES, KEPT_EVENTS, POSTED_EVENTS};
use events::{BusError, EventContext, Payload, Publisher, SystemEvent};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use uuid::Uuid;

/// Publishes what happens. Events of one session share its id as their correlation.
#[derive(Debug, Clone)]
pub(crate) struct Notary {
    sender: Sender,
    post: mpsc::Sender<Posted>,
}

/// Sends events, and keeps what the store does not take.
#[derive(Debug, Clone)]
struct Sender {
    publisher: Publisher,
    /// Room for events that the store did not take.
    kept: Arc<Semaphore>,
}

/// What waits to be sent by the task that does nothing else.
#[derive(Debug)]
enum Posted {
    Event(Box<SystemEvent>),
    /// Answered when everything posted before it was sent or kept.
    Flush(oneshot::Sender<()>),
}

impl Notary {
    /// Needs a tokio runtime: what is posted is sent by a task of its own.
    pub(crate) fn new(publisher: Publisher) -> Self {
        let sender = Sender {
            publisher,
            kept: Arc::new(Semaphore::new(KEPT_EVENTS)),
        };
        let (post, mut posted) = mpsc::channel(POSTED_EVENTS);
        let postman = sender.clone();
        tokio::spawn(async move {
            while let Some(next) = posted.recv().await {
                match next {
                    Posted::Event(event) => {
                        if let Err(error) = postman.send_or_keep(*event).await {
                            tracing::error!(%error, "an event is not stored");
                        }
                    }
                    Posted::Flush(done) => {
                        let _ = done.send(());
                    }
                }
            }
        });
        Self { sender, post }
    }

    /// Hands over a fact to be published in order and returns at once, for those who may not wait
    /// for a store that does not answer.
    pub(crate) fn post<P: Payload>(
        &self,
        correlation: Uuid,
        key: Option<&str>,
        payload: &P,
    ) -> Result<()> {
        let event = self.sender.event(correlation, key, payload)?;
        self.post
            .try_send(Posted::Event(Box::new(event)))
            .map_err(|_| {
                let message = "more events wait for the store than can be kept";
                Error::new(ErrorKind::Store, message, "")
            })
    }

    /// Waits until everything posted so far was sent or kept, at most for `longest`.
    pub(crate) async fn flush(&self, longest: Duration) {
        let (done, answered) = oneshot::channel();
        let asked = self.post.try_send(Posted::Flush(done)).is_ok();
        if asked && tokio::time::timeout(longest, answered).await.is_err() {
            tracing::warn!("events still wait for the store");
        }
    }

    /// An event for a unit of work that stores more with it.
    pub(crate) fn event_in<P: Payload>(
        &self,
        context: EventContext,
        payload: &P,
    ) -> Result<SystemEvent> {
        self.sender
            .publisher
            .event_in(context, payload)
            .map_err(|error| Error::internal("make an event", &error))
    }

    /// Publishes a fact that nobody can be told has failed: when the store does not take it (it is
    /// locked, or the disk full), it is kept in memory and sent again until the store does.
    pub(crate) async fn say_or_keep<P: Payload>(
        &self,
        correlation: Uuid,
        key: Option<&str>,
        payload: &P,
    ) -> Result<()> {
        let event = self.sender.event(correlation, key, payload)?;
        self.sender.send_or_keep(event).await
    }

    /// Publishes a fact of the undertaking `correlation`.
    pub(crate) async fn say_of<P: Payload>(&self, correlation: Uuid, payload: &P) -> Result<()> {
        let context = EventContext::root(correlation);
        let published = self.sender.publisher.publish_in(context, payload).await;
        published.map(drop).map_err(|error| bus_error(&error))
    }

    /// Publishes an event that was made before there was a store to take it; once, by its id.
    pub(crate) async fn send(&self, event: SystemEvent) -> Result<()> {
        let sent = self.sender.publisher.send(event).await;
        sent.map(drop).map_err(|error| bus_error(&error))
    }

    /// Publishes a fact that must be told once however often its activity runs: `key` names it,
    /// and the log leaves out an event whose id it has already.
    pub(crate) async fn say_once<P: Payload>(
        &self,
        correlation: Uuid,
        key: &str,
        payload: &P,
    ) -> Result<()> {
        let context = EventContext::root(correlation);
        let mut event = self
            .sender
            .publisher
            .event_in(context, payload)
            .map_err(|error| Error::internal("make an event", &error))?;
        event.event_id = id_of(correlation, key);
        self.sender
            .publisher
            .send(event)
            .await
            .map(drop)
            .map_err(|error| bus_error(&error))
    }

    /// An event of the undertaking `correlation`, to be committed with something else.
    pub(crate) fn event<P: Payload>(&self, correlation: Uuid, payload: &P) -> Result<SystemEvent> {
        self.sender.event(correlation, None, payload)
    }
}

impl Sender {
    fn event<P: Payload>(
        &self,
        correlation: Uuid,
        key: Option<&str>,
        payload: &P,
    ) -> Result<SystemEvent> {
        let mut event = self
            .publisher
            .event_in(EventContext::root(correlation), payload)
            .map_err(|error| Error::internal("make an event", &error))?;
        if let Some(key) = key {
            event.event_id = id_of(correlation, key);
        }
        Ok(event)
    }

    async fn send_or_keep(&self, event: SystemEvent) -> Result<()> {
        let Err(error) = self.publisher.send(event.clone()).await else {
            return Ok(());
        };
        let Ok(room) = self.kept.clone().try_acquire_owned() else {
            return Err(bus_error(&error));
        };
        let kind = event.event_type.to_string();
        tracing::warn!(kind, error = %crate::error::chain(&error), "an event waits for the store");
        let publisher = self.publisher.clone();
        tokio::spawn(async move {
            let _room = room;
            for _ in 0..KEPT_EVENT_TRIES {
                tokio::time::sleep(KEPT_EVENT_PAUSE).await;
                if publisher.send(event.clone()).await.is_ok() {
                    tracing::info!(kind, "a kept event is stored");
                    return;
                }
            }
            tracing::error!(kind, "a kept event is given up");
        });
        Ok(())
    }
}

/// A UUIDv7 that follows from `key`: the session's own time, and 74 bits of a hash.
pub(crate) fn id_of(correlation: Uuid, key: &str) -> Uuid {
    let hash = Sha256::digest([correlation.as_bytes().as_slice(), key.as_bytes()].concat());
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    let millis = correlation.get_timestamp().map_or(0, |time| {
        let (seconds, nanos) = time.to_unix();
        seconds * 1_000 + u64::from(nanos) / 1_000_000
    });
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn bus_error(error: &BusError) -> Error {
    Error::new(
        ErrorKind::Store,
        format!(
            "the event could not be stored: {}",
            crate::error::chain(error)
        ),
        "Recording goes on. 'neurascale doctor' says what is wrong with the store.",
    )
}

/// A device's id as events, logs and ledger may hold it: the path of a file can name a person, so
/// that only its hash is told.
pub(crate) fn public_device_id(id: &str) -> String {
    match id.split_once(':') {
        Some(("playback", path)) => {
            let hash = Sha256::digest(path.as_bytes());
            let hex: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
            format!("playback:{hex}")
        }
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_keys() {
        let session = Uuid::now_v7();
        assert_eq!(id_of(session, "a"), id_of(session, "a"));
        assert_ne!(id_of(session, "a"), id_of(session, "b"));
        assert_eq!(id_of(session, "a").get_version_num(), 7);
    }

    #[test]
    fn paths_are_not_told() {
        assert!(!public_device_id("playback:/x/Doe_Jane.edf").contains("Doe"));
        assert_eq!(public_device_id("simulated:headset"), "simulated:headset");
    }
}
