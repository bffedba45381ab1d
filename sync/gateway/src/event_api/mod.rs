//! Events over HTTP: append, read, follow, and durable consumers.
//!
//! | request | does |
//! | --- | --- |
//! | `POST /v1/events` | appends `{"events": […]}`, all or none, each once for ever; `{"positions": […]}` |
//! | `GET /v1/events` | a page: `after` or `time`, `type`, `correlation`, `limit` |
//! | `GET /v1/events/stream` | the same as server-sent events, and on; `Last-Event-ID` resumes |
//! | `GET /v1/events/ws` | the same over WebSocket |
//! | `neurascale.events.v1.Events/Subscribe` | the same over gRPC |
//! | `GET`, `PUT /v1/schemas…` | schemas of events that are not this program's own |
//! | `…/v1/consumers…` | durable consumers: fetch under a lease, ack, nack, dead letters |
//!
//! Everything here works over any [`events::EventLog`] and on any number of replicas: what a consumer
//! has got is one value of the [`State`], changed only by who has seen its last change.

mod consumers;
mod describe;
mod fault;
mod grpc;
mod page;
mod publish;
mod query;
mod schemas;
mod stream;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post, put},
};
use events::{Bus, Clock, EventLog};
use tokio::sync::{Semaphore, watch};

use crate::{limits::events as limits, state::State};
pub(crate) use describe::describe;
use schemas::Schemas;

/// What each route needs: method, path, action. The policy layer enforces it.
pub const ROUTES: &[(&str, &str, &str)] = &[
    ("POST", "/v1/events", "events.append"),
    ("GET", "/v1/events", "events.read"),
    ("GET", "/v1/events/stream", "events.read"),
    ("GET", "/v1/events/ws", "events.read"),
    (
        "POST",
        "/neurascale.events.v1.Events/Subscribe",
        "events.read",
    ),
    ("GET", "/v1/schemas", "schema.read"),
    ("GET", "/v1/schemas/{type}/{version}", "schema.read"),
    ("PUT", "/v1/schemas/{type}/{version}", "schema.write"),
    ("GET", "/v1/consumers", "consumer.use"),
    ("GET", "/v1/consumers/{name}", "consumer.use"),
    ("PUT", "/v1/consumers/{name}", "consumer.use"),
    ("DELETE", "/v1/consumers/{name}", "consumer.write"),
    ("POST", "/v1/consumers/{name}/fetch", "consumer.use"),
    ("POST", "/v1/consumers/{name}/ack", "consumer.use"),
    ("POST", "/v1/consumers/{name}/nack", "consumer.use"),
    ("GET", "/v1/consumers/{name}/dead", "consumer.use"),
    (
        "POST",
        "/v1/consumers/{name}/dead/{position}/retry",
        "consumer.write",
    ),
    (
        "DELETE",
        "/v1/consumers/{name}/dead/{position}",
        "consumer.write",
    ),
];

/// What the event API works on. Clones share it.
#[derive(Clone, Debug)]
pub struct EventApi {
    bus: Bus,
    state: State,
    clock: Arc<dyn Clock>,
    schemas: Arc<Schemas>,
    streams: Arc<Semaphore>,
    closing: watch::Sender<bool>,
}

impl EventApi {
    /// Over a bus and the state that keeps schemas and consumers.
    pub fn new(bus: Bus, state: State, clock: Arc<dyn Clock>) -> Self {
        let schemas = Arc::new(Schemas::new(state.clone()));
        Self {
            bus,
            state,
            clock,
            schemas,
            streams: Arc::new(Semaphore::new(limits::MAX_STREAMS)),
            closing: watch::Sender::new(false),
        }
    }

    /// Ends every stream and every waiting fetch, which an orderly end of the gateway would wait for;
    /// their clients resume at another replica. New ones are turned away.
    pub fn close(&self) {
        self.streams.close();
        self.closing.send_replace(true);
    }

    fn log(&self) -> &Arc<dyn EventLog> {
        self.bus.log()
    }
}

/// The routes. Who asks is an [`axum::Extension`] of [`protocol::Principal`], put there by a layer
/// around them.
pub fn router(api: EventApi) -> Router {
    let append = post(publish::append).layer(DefaultBodyLimit::max(limits::MAX_BATCH_BYTES));
    Router::new()
        .route("/v1/events/stream", get(stream::server_sent))
        .route("/v1/events/ws", get(stream::web_socket))
        .route("/neurascale.events.v1.Events/Subscribe", post(grpc::serve))
        .route("/v1/schemas", get(schemas::list))
        .route("/v1/schemas/{type}/{version}", get(schemas::get))
        .route("/v1/schemas/{type}/{version}", put(schemas::put))
        .route("/v1/consumers", get(consumers::list))
        .route(
            "/v1/consumers/{name}",
            get(consumers::get)
                .put(consumers::put)
                .delete(consumers::delete),
        )
        .route("/v1/consumers/{name}/fetch", post(consumers::fetch))
        .route("/v1/consumers/{name}/ack", post(consumers::ack))
        .route("/v1/consumers/{name}/nack", post(consumers::nack))
        .route("/v1/consumers/{name}/dead", get(consumers::dead))
        .route(
            "/v1/consumers/{name}/dead/{position}",
            delete(consumers::discard),
        )
        .route(
            "/v1/consumers/{name}/dead/{position}/retry",
            post(consumers::retry),
        )
        .layer(DefaultBodyLimit::max(limits::MAX_BODY_BYTES))
        .route("/v1/events", append.get(page::read))
        .with_state(api)
}
