//! Announcing what was committed, here and by other replicas, in order and without a hole.

use std::sync::{Arc, Mutex, PoisonError};

use events::{Committed, Filter, Position};
use sqlx::postgres::PgListener;
use tokio::sync::{Notify, broadcast};

use super::log::Reader;
use crate::limits::{POSTGRES_POLL, POSTGRES_RECONNECT};

/// The channel that `append_events` notifies.
const CHANNEL: &str = "neurascale_events";

#[derive(Debug)]
pub(super) struct Announcer {
    /// Position of the last announced event.
    announced: Mutex<u64>,
    live: broadcast::Sender<Committed>,
    /// The log holds events that were not announced.
    behind: Notify,
}

impl Announcer {
    pub(super) fn new(end: u64) -> Self {
        Self {
            announced: Mutex::new(end),
            live: broadcast::Sender::new(events::limits::LIVE_BATCHES),
            behind: Notify::new(),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.live.subscribe()
    }

    fn announced(&self) -> u64 {
        *self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Announces events that directly follow `before`, or leaves them to the follower if others, of
    /// another replica, have their turn first.
    pub(super) fn offer(&self, before: u64, batch: Committed) {
        let Some(last) = batch.last().map(|last| last.position.0) else {
            return;
        };
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if before == *announced {
            *announced = last;
            // Under the lock, so that batches leave in order. Nobody listening is no failure.
            let _ = self.live.send(batch);
        } else if last > *announced {
            self.behind.notify_one();
        }
    }

    async fn catch_up(&self, reader: &Reader) -> Result<(), events::LogError> {
        loop {
            let from = self.announced();
            let page = reader
                .read(Position(from), events::limits::READ_BATCH, &Filter::all())
                .await?;
            if page.is_empty() {
                return Ok(());
            }
            // The writer may have announced the same meanwhile: then the next page begins behind it.
            self.offer(from, page.into());
        }
    }
}

/// Announces what other replicas append, until it is aborted.
pub(super) async fn follow(announcer: Arc<Announcer>, reader: Reader) {
    loop {
        let listening = async {
            let mut listener = PgListener::connect_with(reader.pool()).await?;
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        match listening.await {
            Ok(mut listener) => {
                if let Err(error) = listen(&announcer, &reader, &mut listener).await {
                    tracing::warn!(%error, "following the event log failed; trying again");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot listen for events of other replicas; trying again");
            }
        }
        tokio::time::sleep(POSTGRES_RECONNECT).await;
    }
}

async fn listen(
    announcer: &Announcer,
    reader: &Reader,
    listener: &mut PgListener,
) -> Result<(), events::LogError> {
    loop {
        announcer.catch_up(reader).await?;
        loop {
            tokio::select! {
                told = listener.try_recv() => match told {
                    Ok(Some(told)) => {
                        let end = told.payload().parse::<u64>().unwrap_or(u64::MAX);
                        if end > announcer.announced() {
                            break;
                        }
                    }
                    // The connection was lost and something may have been missed.
                    Ok(None) => break,
                    Err(error) => {
                        let failed = super::failure("listening for events", error);
                        return Err(failed.into_log("listening for events"));
                    }
                },
                () = announcer.behind.notified() => break,
                () = tokio::time::sleep(POSTGRES_POLL) => break,
            }
        }
    }
}
