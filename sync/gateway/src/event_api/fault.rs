//! What goes wrong, as answers.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::StatusCode,
    response::IntoResponse,
};
use events::LogError;
use serde::de::DeserializeOwned;

use crate::{Failure, state::StateError};

pub(super) fn bad_request(code: &str, detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, code, detail)
}

pub(super) fn unprocessable(code: &str, detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
}

pub(super) fn conflict(code: &str, detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::CONFLICT, code, detail)
}

pub(super) fn not_found(code: &str, detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, code, detail)
}

pub(super) fn unavailable(code: &str, detail: impl Into<String>) -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
}

/// A failure of the log, which says itself in the program's own log.
pub(super) fn of_log(error: &LogError) -> Failure {
    match error {
        LogError::Refused { reason, .. } => unprocessable("event.refused", reason.clone()),
        LogError::Closed { .. } => unavailable("events.closed", "the gateway is closing"),
        other => {
            tracing::error!(error = %other, cause = ?std::error::Error::source(other), "the event log failed");
            unavailable(
                "events.storage",
                "the event log's storage failed; try again",
            )
        }
    }
}

/// A failure of the state.
pub(super) fn of_state(error: &StateError) -> Failure {
    match error {
        StateError::Refused(reason) => bad_request("state.refused", reason.clone()),
        StateError::Conflict { .. } => conflict(
            "state.conflict",
            "somebody else has changed it meanwhile; look again",
        ),
        StateError::Closed => unavailable("state.closed", "the gateway is closing"),
        other => {
            tracing::error!(error = %other, cause = ?std::error::Error::source(other), "the state failed");
            unavailable("state.storage", "the gateway's storage failed; try again")
        }
    }
}

/// A body of JSON; what it is not is answered as a problem.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        // The error says line and column, and names no value but a field's or a variant's.
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            let what = match error.classify() {
                serde_json::error::Category::Data => "is not what is due here",
                _ => "is no JSON",
            };
            bad_request("body.malformed", format!("the body {what} ({place})"))
        })
    }
}

fn unread(rejection: BytesRejection) -> Failure {
    let status = rejection.into_response().status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Failure::new(status, "body.too_large", "the body is too large");
    }
    Failure::new(status, "body.unreadable", "the body could not be read")
}

/// An answer of JSON, or a failure.
pub(super) type Answer<T> = Result<Json<T>, Failure>;
