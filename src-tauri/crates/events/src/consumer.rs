//! Durable consumers: a handler gets every event at least once, in order, across restarts.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    Filter, From, LogError, ParkedEvent, Position, RecordedEvent,
    bus::Inner,
    context,
    feed::{Delivered, Feed},
    limits,
    log::Committed,
};

/// What a handler fails with.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// Takes events. The same event can come again after a crash: what a handler publishes then gets
/// the same event id and is kept once; other effects must be repeatable by `event_id`.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Takes one event.
    async fn handle(&self, event: &RecordedEvent) -> Result<(), HandlerError>;
}

/// How a consumer treats failures; the defaults stand in [`crate::limits`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConsumerOptions {
    /// Attempts at one event, the first included, before it is parked.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles with each further one.
    pub first_retry: Duration,
    /// Longest wait between two attempts.
    pub max_retry: Duration,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            attempts: limits::HANDLER_ATTEMPTS,
            first_retry: limits::HANDLER_FIRST_RETRY,
            max_retry: limits::HANDLER_MAX_RETRY,
        }
    }
}

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumerError {
    /// The handler said so.
    #[error("the handler failed")]
    Failed(#[source] HandlerError),
    /// The handler panicked.
    #[error("the handler panicked")]
    Panicked,
}

/// A running consumer. Dropped, it goes on; [`Consumer::stop`] ends it.
#[derive(Debug)]
pub struct Consumer {
    name: Arc<str>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends it between two events and saves its offset.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // The task catches its handler's panics; a cancelled one has ended as well.
        let _ = self.task.await;
    }
}

pub(crate) async fn start(
    bus: Arc<Inner>,
    name: &str,
    filter: Filter,
    start: From,
    options: ConsumerOptions,
    handler: Arc<dyn Handler>,
) -> Result<Consumer, LogError> {
    let saved = bus.log.offset(name).await?;
    let start = saved.map_or(start, From::After);
    let feed = Feed::open(Arc::clone(&bus.log), filter, start).await?;
    if saved.is_none() {
        // Otherwise a first start from the end would begin at another end after a restart.
        bus.log.save_offset(name, feed.position()).await?;
    }
    let (stop, stopped) = watch::channel(false);
    let name: Arc<str> = name.into();
    let run = Run {
        saved: feed.position(),
        handled: feed.position(),
        since_saved: 0,
        bus,
        name: Arc::clone(&name),
        feed,
        options,
        handler,
        stopped,
    };
    Ok(Consumer {
        name,
        stop,
        task: tokio::spawn(run.run()),
    })
}

struct Run {
    bus: Arc<Inner>,
    name: Arc<str>,
    feed: Feed,
    options: ConsumerOptions,
    handler: Arc<dyn Handler>,
    stopped: watch::Receiver<bool>,
    /// Offset in the log.
    saved: Position,
    /// Everything up to here is dealt with.
    handled: Position,
    since_saved: u64,
}

impl Run {
    async fn run(mut self) {
        let mut save_at = None;
        loop {
            match self.next(save_at).await {
                Next::Event(delivered) => {
                    if !self.deal_with(&delivered).await {
                        break; // stopped while waiting to retry: the event stays due
                    }
                    self.handled = delivered.position;
                    self.since_saved += 1;
                    save_at.get_or_insert_with(|| Instant::now() + limits::OFFSET_EVERY);
                    if self.since_saved >= limits::OFFSET_EVERY_EVENTS {
                        self.save().await;
                        save_at = None;
                    }
                }
                Next::SaveDue => {
                    self.handled = self.handled.max(self.feed.position());
                    self.save().await;
                    save_at = None;
                }
                Next::Failed(LogError::Closed { .. }) | Next::Stopped => break,
                Next::Failed(error) => {
                    tracing::warn!(
                        consumer = &*self.name,
                        error = chain(&error),
                        "reading events failed; retrying"
                    );
                    self.wait(limits::LOG_RETRY).await;
                }
            }
        }
        self.save().await;
        self.bus.forget(&self.name);
    }

    async fn next(&mut self, save_at: Option<Instant>) -> Next {
        if *self.stopped.borrow() {
            return Next::Stopped;
        }
        // A feed that is dropped while it waits loses nothing: it keeps its position.
        let far = Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => Next::Stopped,
            next = timeout_at(save_at.unwrap_or(far), self.feed.next()) => match next {
                Ok(Ok(delivered)) => Next::Event(delivered),
                Ok(Err(error)) => Next::Failed(error),
                Err(_) => Next::SaveDue,
            },
        }
    }

    /// Tries until the event is handled or parked; false when stopped in between.
    async fn deal_with(&mut self, delivered: &Delivered) -> bool {
        let mut wait = self.options.first_retry;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let batch = Arc::clone(&delivered.batch);
            let Err(error) = attempt(&self.handler, &self.name, batch, delivered.index).await
            else {
                return true;
            };
            if attempts >= self.options.attempts {
                return self.park(delivered, attempts, &error).await;
            }
            tracing::debug!(
                consumer = &*self.name,
                position = delivered.position.0,
                attempts,
                "a handler failed; it is tried again"
            );
            if !self.wait(wait).await {
                return false;
            }
            wait = (wait * 2).min(self.options.max_retry);
        }
    }

    /// Parks the event; as long as that fails, it stays due, because parking is what shows it.
    async fn park(&mut self, delivered: &Delivered, attempts: u32, error: &ConsumerError) -> bool {
        let event = &delivered.event;
        tracing::error!(
            consumer = &*self.name,
            position = delivered.position.0,
            event_type = %event.event_type,
            attempts,
            "a handler keeps failing; the event is parked"
        );
        let parked = ParkedEvent {
            consumer: self.name.to_string(),
            position: delivered.position,
            event_id: event.event_id,
            attempts,
            error: chain(error),
            parked_at: self.bus.clock.now(),
        };
        while let Err(error) = self.bus.log.park(parked.clone()).await {
            tracing::error!(
                consumer = &*self.name,
                error = chain(&error),
                "parking an event failed; retrying"
            );
            if !self.wait(limits::LOG_RETRY).await {
                return false;
            }
        }
        true
    }

    async fn save(&mut self) {
        self.since_saved = 0;
        if self.handled <= self.saved {
            return;
        }
        match self.bus.log.save_offset(&self.name, self.handled).await {
            Ok(()) => self.saved = self.handled,
            Err(error) => {
                // Harmless: after a crash some events are handled again.
                tracing::warn!(
                    consumer = &*self.name,
                    error = chain(&error),
                    "saving an offset failed"
                );
            }
        }
    }

    /// Sleeps; false when stopped meanwhile.
    async fn wait(&mut self, duration: Duration) -> bool {
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => false,
            () = sleep(duration) => true,
        }
    }
}

enum Next {
    Event(Delivered),
    SaveDue,
    Failed(LogError),
    Stopped,
}

/// One attempt, in a task of its own so that a panic ends only the attempt.
pub(crate) async fn attempt(
    handler: &Arc<dyn Handler>,
    consumer: &Arc<str>,
    batch: Committed,
    index: usize,
) -> Result<(), ConsumerError> {
    let (handler, consumer) = (Arc::clone(handler), Arc::clone(consumer));
    let task = tokio::spawn(async move {
        let event = &batch[index];
        context::handling(&consumer, event, handler.handle(event)).await
    });
    match task.await {
        Ok(result) => result.map_err(ConsumerError::Failed),
        Err(_) => Err(ConsumerError::Panicked),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
