//! Calls over HTTP on the local socket: one route a call, replies as JSON lines.
//!
//! A call that was accepted runs to its end in a task of its own, whether or not its client still
//! listens: a client's death changes nothing.

use crate::access::{Acting, Caller};
use crate::limits::{MAX_REQUEST_BYTES, PROGRESS_QUEUE};
use axum::Extension;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::post;
use std::convert::Infallible;
use std::future::Future;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use ui_types::{ApiError, Call, ErrorCode, Line, PROTOCOL_VERSION, Progress};

/// Takes the progress of a call; lines for which a slow client has no room are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Progressing(mpsc::Sender<Bytes>);

impl Progressing {
    /// Says how far the call is.
    pub(crate) fn say(&self, what: &str, done: u64, total: u64) {
        self.tell(what, done, total, None);
    }

    /// Says how far the call is, and what was found just now.
    pub(crate) fn found<T: serde::Serialize>(&self, what: &str, done: u64, total: u64, found: &T) {
        self.tell(what, done, total, serde_json::to_value(found).ok());
    }

    fn tell(&self, what: &str, done: u64, total: u64, detail: Option<serde_json::Value>) {
        let line = Line::<()>::Progress(Progress {
            what: what.to_owned(),
            done,
            total,
            detail,
        });
        let _ = self.0.try_send(encode(&line));
    }
}

/// Routes of calls that share the state `S`.
#[derive(Debug)]
pub(crate) struct Calls<S> {
    router: Router<S>,
    names: Vec<&'static str>,
}

impl<S: Acting + Clone + Send + Sync + 'static> Calls<S> {
    /// No routes yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new().layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)),
            names: Vec::new(),
        }
    }

    /// Serves the call `C` with `handler`.
    #[must_use]
    pub(crate) fn serve<C, F, R>(mut self, handler: F) -> Self
    where
        C: Call,
        F: Fn(S, C, Progressing) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<C::Reply, ApiError>> + Send + 'static,
    {
        self.names.push(C::NAME);
        let route =
            move |State(state): State<S>, Extension(caller): Extension<Caller>, body: Bytes| {
                let handler = handler.clone();
                let state = state.acting(caller);
                async move { reply::<C, _, _, _>(state, &body, handler) }
            };
        self.router = self.router.route(&path(C::NAME), post(route));
        self
    }

    /// Names of the calls served.
    #[cfg(test)]
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.names.clone()
    }

    /// The routes as a router, to which others may be added.
    pub(crate) fn into_router(self) -> Router<S> {
        self.router.layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
    }
}

impl<S: Acting + Clone + Send + Sync + 'static> Default for Calls<S> {
    fn default() -> Self {
        Self::new()
    }
}

/// Path of the call `name`.
#[must_use]
pub(crate) fn path(name: &str) -> String {
    format!("/v{PROTOCOL_VERSION}/{name}")
}

/// A reply of one error line.
#[must_use]
pub(crate) fn error_response(error: &ApiError) -> Response {
    let status = axum::http::StatusCode::BAD_REQUEST;
    let mut response = Response::new(Body::from(encode(&Line::<()>::Error(error.clone()))));
    *response.status_mut() = status;
    response
}

fn reply<C, S, F, R>(state: S, body: &[u8], handler: F) -> Response
where
    C: Call,
    S: Send + 'static,
    F: Fn(S, C, Progressing) -> R + Send + 'static,
    R: Future<Output = Result<C::Reply, ApiError>> + Send + 'static,
{
    let call = match serde_json::from_slice::<C>(body) {
        Ok(call) => call,
        Err(error) => {
            return error_response(&ApiError::new(
                ErrorCode::Invalid,
                format!("'{}' cannot be read: {error}", C::NAME),
                "",
            ));
        }
    };
    let (lines, receiver) = mpsc::channel::<Bytes>(PROGRESS_QUEUE);
    tokio::spawn(async move {
        let call = handler(state, call, Progressing(lines.clone()));
        // A panic in a handler must reach the client as an error, not as a broken connection.
        let line = match tokio::spawn(call).await {
            Ok(Ok(result)) => Line::Result(result),
            Ok(Err(error)) => Line::Error(error),
            Err(join) => {
                tracing::error!(call = C::NAME, error = %join, "call failed inside the engine");
                Line::Error(ApiError::new(
                    ErrorCode::Internal,
                    format!("'{}' failed inside the engine", C::NAME),
                    "See logs/engine.log in the data folder.",
                ))
            }
        };
        let _ = lines.send(encode(&line)).await;
    });
    let body = Body::from_stream(ReceiverStream::new(receiver).map(Ok::<_, Infallible>));
    let mut response = Response::new(body);
    response.headers_mut().insert(
        CONTENT_TYPE,
        axum::http::HeaderValue::from_static("application/x-ndjson"),
    );
    response
}

fn encode<R: serde::Serialize>(line: &Line<R>) -> Bytes {
    let mut bytes = serde_json::to_vec(line).unwrap_or_else(|error| {
        tracing::error!(%error, "a reply could not be written as JSON");
        br#"{"error":{"code":"internal","message":"a reply could not be written"}}"#.to_vec()
    });
    bytes.push(b'\n');
    Bytes::from(bytes)
}
