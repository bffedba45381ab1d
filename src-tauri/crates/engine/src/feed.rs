//! Feeds and pages as bodies of binary messages.

use crate::api::{id, view, wire};
use crate::rpc::error_response;
use crate::serve::Shared;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use ui_types::{ApiError, ErrorCode, FeedRequest, PageRequest};
use workstation::ViewMessages;

pub(crate) async fn feed(State(shared): State<Shared>, body: Bytes) -> Response {
    match open(&shared, &body) {
        Ok(messages) => Response::new(stream(messages)),
        Err(error) => error_response(&error),
    }
}

fn open(shared: &Shared, body: &[u8]) -> Result<ViewMessages, ApiError> {
    let request: FeedRequest = read("feed", body)?;
    let session = id("session", &request.id)?;
    let wanted = workstation::FeedRequest {
        spec: view::spec(request.spec),
        columns_per_s: request.columns_per_s,
        history_s: request.history_s,
    };
    shared.workstation.feed(session, &wanted).map_err(wire)
}

/// The messages as they come; the client's going away ends the feed.
fn stream(messages: ViewMessages) -> Body {
    Body::from_stream(futures_util::stream::unfold(
        messages,
        |mut messages| async move {
            let message = messages.next().await?;
            let mut bytes = Vec::new();
            view::message(message).encode(&mut bytes);
            Some((Ok::<_, Infallible>(Bytes::from(bytes)), messages))
        },
    ))
}

pub(crate) async fn page(State(shared): State<Shared>, body: Bytes) -> Response {
    match turn(&shared, &body).await {
        Ok(bytes) => Response::new(Body::from(bytes)),
        Err(error) => error_response(&error),
    }
}

async fn turn(shared: &Shared, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let request: PageRequest = read("page", body)?;
    let wanted = workstation::PageRequest {
        spec: view::spec(request.spec),
        from: request
            .from_utc_ns
            .map(workstation::rooms::signal::UtcNanos),
        duration_s: request.duration_s,
        columns: request.columns,
    };
    let messages = shared.workstation.page(&request.id, wanted).await;
    let mut bytes = Vec::new();
    for message in messages.map_err(wire)? {
        view::message(message).encode(&mut bytes);
    }
    Ok(bytes)
}

fn read<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::new(
            ErrorCode::Invalid,
            format!("'{what}' cannot be read: {error}"),
            "",
        )
    })
}
