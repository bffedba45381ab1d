//! Publishing, and the way to consumers, subscriptions and replays.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

use crate::{
    Clock, Consumer, ConsumerOptions, EventContext, EventLog, Filter, From, Handler, Ids, LogError,
    ParkedEvent, Payload, PayloadError, Position, Subscription, SystemEvent,
    consumer::{self, ConsumerError},
    context,
    feed::Feed,
    limits::MAX_DATA_BYTES,
};

/// Why publishing, subscribing or replaying failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The payload does not make an event.
    #[error("publishing an event")]
    Payload(#[from] PayloadError),
    /// The log did not take or give events.
    #[error("the event bus")]
    Log(#[from] LogError),
    /// A consumer of that name runs already, or does not run.
    #[error("consumer {name:?} {problem}")]
    Consumer {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// The handler failed on a parked event once more.
    #[error("handling a parked event again")]
    Handler(#[source] ConsumerError),
}

/// The event bus over one log. Clones are the same bus.
#[derive(Clone, Debug)]
pub struct Bus {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    handlers: Mutex<HashMap<String, HandlerRef>>,
}

#[derive(Clone)]
struct HandlerRef(Arc<dyn Handler>);

impl std::fmt::Debug for HandlerRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handler")
    }
}

impl Inner {
    pub(crate) fn forget(&self, consumer: &str) {
        self.handlers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(consumer);
    }
}

/// What [`Publisher::publish`] has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Published {
    /// The event's id.
    pub event_id: Uuid,
    /// Its place in the log.
    pub position: Position,
}

impl Bus {
    /// A bus over `log`.
    pub fn new(log: Arc<dyn EventLog>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self {
            inner: Arc::new(Inner {
                log,
                clock,
                ids,
                handlers: Mutex::default(),
            }),
        }
    }

    /// The log under it.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.inner.log
    }

    /// Publishes in the name of `source_service`.
    pub fn publisher(&self, source_service: &str) -> Publisher {
        Publisher {
            bus: self.clone(),
            source_service: source_service.into(),
        }
    }

    /// Starts a durable consumer: `handler` gets every wanted event at least once, in order, from
    /// where the consumer of that name left off (from `start`, the first time). Needs a tokio
    /// runtime.
    pub async fn consume(
        &self,
        name: &str,
        filter: Filter,
        start: From,
        options: ConsumerOptions,
        handler: Arc<dyn Handler>,
    ) -> Result<Consumer, BusError> {
        {
            let mut handlers = self
                .inner
                .handlers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if handlers.contains_key(name) {
                let problem = "runs already";
                return Err(BusError::Consumer {
                    name: name.to_owned(),
                    problem,
                });
            }
            handlers.insert(name.to_owned(), HandlerRef(Arc::clone(&handler)));
        }
        let started = consumer::start(
            Arc::clone(&self.inner),
            name,
            filter,
            start,
            options,
            handler,
        )
        .await;
        if started.is_err() {
            self.inner.forget(name);
        }
        Ok(started?)
    }

    /// A live subscription: every wanted event from `start` on, without an offset of its own.
    pub async fn subscribe(&self, filter: Filter, start: From) -> Result<Subscription, BusError> {
        Ok(Subscription::new(
            Feed::open(Arc::clone(&self.inner.log), filter, start).await?,
        ))
    }

    /// Every wanted event from `start` up to the end of the log as it is now.
    pub async fn replay(&self, filter: Filter, start: From) -> Result<Subscription, BusError> {
        let end = self.inner.log.end().await?;
        let feed = Feed::open(Arc::clone(&self.inner.log), filter, start).await?;
        Ok(Subscription::until(feed, end))
    }

    /// Events that handlers could not take.
    pub async fn parked(&self, consumer: Option<&str>) -> Result<Vec<ParkedEvent>, BusError> {
        Ok(self.inner.log.parked(consumer).await?)
    }

    /// Gives a parked event to its consumer's handler once more, and un-parks it on success.
    pub async fn retry_parked(&self, consumer: &str, position: Position) -> Result<(), BusError> {
        let handler = {
            let handlers = self
                .inner
                .handlers
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            handlers.get(consumer).cloned()
        };
        let wrong = |problem| BusError::Consumer {
            name: consumer.to_owned(),
            problem,
        };
        let handler = handler.ok_or_else(|| wrong("does not run"))?.0;
        let log = &self.inner.log;
        if !log
            .parked(Some(consumer))
            .await?
            .iter()
            .any(|parked| parked.position == position)
        {
            return Err(wrong("has no such parked event"));
        }
        let before = Position(position.0.saturating_sub(1));
        let found = log.read(before, 1, &Filter::all()).await?;
        let event = found
            .into_iter()
            .find(|event| event.position == position)
            .ok_or_else(|| wrong("has parked an event that is not in the log"))?;
        let batch = Arc::from(vec![event]);
        consumer::attempt(&handler, &consumer.into(), batch, 0)
            .await
            .map_err(BusError::Handler)?;
        log.unpark(consumer, position).await?;
        Ok(())
    }
}

/// Publishes events in the name of one service.
#[derive(Clone, Debug)]
pub struct Publisher {
    bus: Bus,
    source_service: Arc<str>,
}

impl Publisher {
    /// Makes the event without publishing it, for a unit of work that stores more with it.
    ///
    /// Correlation and causation are those of the running handler or [`EventContext::scope`];
    /// outside of both the event starts a correlation of its own.
    pub fn event<P: Payload>(&self, payload: &P) -> Result<SystemEvent, PayloadError> {
        self.build(payload, EventContext::current(), context::derived_id())
    }

    /// Makes the event in a given context.
    pub fn event_in<P: Payload>(
        &self,
        context: EventContext,
        payload: &P,
    ) -> Result<SystemEvent, PayloadError> {
        self.build(payload, Some(context), context::derived_id())
    }

    fn build<P: Payload>(
        &self,
        payload: &P,
        context: Option<EventContext>,
        id: Option<Uuid>,
    ) -> Result<SystemEvent, PayloadError> {
        let event_type = P::EVENT_TYPE;
        let data = serde_json::to_value(payload).map_err(|source| PayloadError::Write {
            event_type: event_type.clone(),
            source,
        })?;
        let inner = &self.bus.inner;
        let timestamp = inner.clock.now();
        let event_id = id.unwrap_or_else(|| inner.ids.next(timestamp));
        Ok(SystemEvent {
            event_type,
            source_service: self.source_service.to_string(),
            event_id,
            timestamp,
            schema_version: P::SCHEMA_VERSION,
            data,
            correlation_id: context.map_or(event_id, |context| context.correlation_id),
            causation_id: context.and_then(|context| context.causation_id),
            site: None,
            traceparent: None,
        })
    }

    /// Publishes an event; it is durable when this returns.
    pub async fn publish<P: Payload>(&self, payload: &P) -> Result<Published, BusError> {
        self.send(self.event(payload)?).await
    }

    /// Publishes an event in a given context.
    pub async fn publish_in<P: Payload>(
        &self,
        context: EventContext,
        payload: &P,
    ) -> Result<Published, BusError> {
        self.send(self.event_in(context, payload)?).await
    }

    /// Publishes an event that is complete already.
    pub async fn send(&self, event: SystemEvent) -> Result<Published, BusError> {
        check_size(&event)?;
        let event_id = event.event_id;
        let positions = self.bus.inner.log.append(vec![event]).await?;
        let position = positions.first().copied().unwrap_or_default();
        Ok(Published { event_id, position })
    }
}

fn check_size(event: &SystemEvent) -> Result<(), PayloadError> {
    // Counting does not build the text.
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, &event.data).map_err(|source| PayloadError::Write {
        event_type: event.event_type.clone(),
        source,
    })?;
    if counter.0 > MAX_DATA_BYTES {
        let event_type = event.event_type.clone();
        return Err(PayloadError::TooLarge {
            event_type,
            bytes: counter.0,
        });
    }
    Ok(())
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
