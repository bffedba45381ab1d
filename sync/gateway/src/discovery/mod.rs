//! Discovery and configuration: the part of Consul's HTTP API that existing clients use.
//!
//! Services, checks, keys and sessions are items of the gateway's state, whose one index is
//! `X-Consul-Index`. Everything belongs to the site of who asks: two sites do not see each other's
//! services and keys. A token comes as Consul's clients bring it, in `X-Consul-Token`, or as a bearer.

mod agent;
mod blocking;
mod catalog;
mod checks;
mod describe;
mod durations;
mod filter;
mod health;
mod instances;
mod kv;
mod model;
mod probes;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use events::{Clock, Ids};
use tokio::sync::watch;

use crate::{
    Failure,
    access::Route,
    state::{State, StateError},
};

pub(crate) use describe::describe;

pub use checks::Checks;
pub use instances::{Instance, Instances};
pub use model::Status;

/// The node that services register on which an agent would otherwise run beside.
pub(crate) const NODE: &str = "gateway";

/// The name of the one data centre that there is.
pub(crate) const DATACENTER: &str = "dc1";

/// Everything that is looked up and configured.
#[derive(Clone, Debug)]
pub struct Discovery {
    pub(crate) state: State,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    /// The site of who brings none.
    pub(crate) site: Arc<str>,
    closing: watch::Sender<bool>,
}

/// Routes and their actions.
pub const ROUTES: &[Route] = &[
    ("GET", "/v1/kv/", "kv.read"),
    ("DELETE", "/v1/kv/", "kv.write"),
    ("GET", "/v1/kv/{*key}", "kv.read"),
    ("PUT", "/v1/kv/{*key}", "kv.write"),
    ("DELETE", "/v1/kv/{*key}", "kv.write"),
    ("PUT", "/v1/session/create", "lock.use"),
    ("PUT", "/v1/session/destroy/{id}", "lock.use"),
    ("GET", "/v1/session/info/{id}", "kv.read"),
    ("GET", "/v1/session/node/{node}", "kv.read"),
    ("GET", "/v1/session/list", "kv.read"),
    ("PUT", "/v1/session/renew/{id}", "lock.use"),
    ("GET", "/v1/agent/self", "catalog.read"),
    ("GET", "/v1/agent/services", "catalog.read"),
    ("GET", "/v1/agent/service/{id}", "catalog.read"),
    ("GET", "/v1/agent/checks", "catalog.read"),
    ("PUT", "/v1/agent/service/register", "catalog.write"),
    ("PUT", "/v1/agent/service/deregister/{id}", "catalog.write"),
    ("PUT", "/v1/agent/service/maintenance/{id}", "catalog.write"),
    ("PUT", "/v1/agent/check/register", "catalog.write"),
    ("PUT", "/v1/agent/check/deregister/{id}", "catalog.write"),
    ("PUT", "/v1/agent/check/pass/{id}", "catalog.write"),
    ("PUT", "/v1/agent/check/warn/{id}", "catalog.write"),
    ("PUT", "/v1/agent/check/fail/{id}", "catalog.write"),
    ("PUT", "/v1/agent/check/update/{id}", "catalog.write"),
    ("GET", "/v1/catalog/datacenters", "catalog.read"),
    ("GET", "/v1/catalog/services", "catalog.read"),
    ("GET", "/v1/catalog/service/{name}", "catalog.read"),
    ("GET", "/v1/catalog/nodes", "catalog.read"),
    ("GET", "/v1/catalog/node/{node}", "catalog.read"),
    ("PUT", "/v1/catalog/register", "catalog.write"),
    ("PUT", "/v1/catalog/deregister", "catalog.write"),
    ("GET", "/v1/health/service/{name}", "catalog.read"),
    ("GET", "/v1/health/checks/{name}", "catalog.read"),
    ("GET", "/v1/health/node/{node}", "catalog.read"),
    ("GET", "/v1/health/state/{state}", "catalog.read"),
    ("GET", "/v1/status/leader", "catalog.read"),
    ("GET", "/v1/status/peers", "catalog.read"),
];

impl Discovery {
    /// Over the gateway's state.
    pub fn new(state: State, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, site: &str) -> Self {
        Self {
            state,
            clock,
            ids,
            site: site.into(),
            closing: watch::Sender::new(false),
        }
    }

    /// Answers every query that waits, with what there is: an orderly end of the gateway would wait for them.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Consul's API.
    pub fn router(self) -> Router {
        Router::new()
            .merge(kv::router())
            .merge(sessions::router())
            .merge(agent::router())
            .merge(catalog::router())
            .merge(health::router())
            .with_state(self)
    }
}

/// An error with Consul's status and words, as a problem: its clients go by the status and show the text.
#[derive(Debug)]
pub(crate) struct Fault(StatusCode, String);

impl Fault {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self(status, text.into())
    }

    pub(crate) fn request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let code = match self.0 {
            StatusCode::NOT_FOUND => "discovery.unknown",
            StatusCode::CONFLICT => "discovery.conflict",
            StatusCode::PAYLOAD_TOO_LARGE => "discovery.too_large",
            status if status.is_client_error() => "discovery.refused",
            _ => "discovery.unavailable",
        };
        Failure::new(self.0, code, self.1).into_response()
    }
}

impl From<StateError> for Fault {
    fn from(error: StateError) -> Self {
        let status = match &error {
            StateError::Refused(_) => StatusCode::PAYLOAD_TOO_LARGE,
            StateError::Conflict { .. } => StatusCode::CONFLICT,
            _ => {
                tracing::error!(%error, "the state cannot be changed");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self(status, error.to_string())
    }
}
