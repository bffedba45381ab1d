//! What an event belongs to and follows from, carried from a handler to what it publishes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use uuid::Uuid;

use crate::{RecordedEvent, SystemEvent, Timestamp, ids};

/// Correlation and causation for the events of one activity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventContext {
    /// What the events belong to.
    pub correlation_id: Uuid,
    /// The event they follow from.
    pub causation_id: Option<Uuid>,
}

impl EventContext {
    /// A new line of events, e.g. one session.
    pub fn root(correlation_id: Uuid) -> Self {
        Self {
            correlation_id,
            causation_id: None,
        }
    }

    /// What follows from `event`.
    pub fn caused_by(event: &SystemEvent) -> Self {
        Self {
            correlation_id: event.correlation_id,
            causation_id: Some(event.event_id),
        }
    }

    /// The context of the running task, where one is set: inside a handler, or in
    /// [`EventContext::scope`]. A task spawned from there starts without one; hand it over.
    pub fn current() -> Option<Self> {
        SCOPE.try_with(|scope| scope.context).ok()
    }

    /// Runs `future` so that what it publishes carries this context.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        SCOPE
            .scope(
                Scope {
                    context: self,
                    handling: None,
                },
                future,
            )
            .await
    }
}

tokio::task_local! {
    static SCOPE: Scope;
}

#[derive(Clone)]
struct Scope {
    context: EventContext,
    handling: Option<Arc<Handling>>,
}

/// The delivery that a handler works on: from it the ids of what it publishes are derived.
struct Handling {
    consumer: Arc<str>,
    cause: Uuid,
    at: Timestamp,
    published: AtomicU64,
}

/// Runs a handler's future for one delivery.
pub(crate) async fn handling<F: Future>(
    consumer: &Arc<str>,
    recorded: &RecordedEvent,
    future: F,
) -> F::Output {
    let event = &recorded.event;
    let handling = Handling {
        consumer: Arc::clone(consumer),
        cause: event.event_id,
        at: event.timestamp,
        published: AtomicU64::new(0),
    };
    let scope = Scope {
        context: EventContext::caused_by(event),
        handling: Some(Arc::new(handling)),
    };
    SCOPE.scope(scope, future).await
}

/// The id that the next event of a handler must have, if a handler is running.
pub(crate) fn derived_id() -> Option<Uuid> {
    SCOPE
        .try_with(|scope| {
            let handling = scope.handling.as_ref()?;
            let ordinal = handling.published.fetch_add(1, Ordering::Relaxed);
            Some(ids::derived(
                handling.cause,
                handling.at,
                &handling.consumer,
                ordinal,
            ))
        })
        .ok()
        .flatten()
}
