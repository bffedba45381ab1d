//! The display feed as a body of binary messages.

use crate::api::{id, wire};
use crate::rpc::error_response;
use crate::serve::Shared;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use std::convert::Infallible;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use ui_types::feed::{Envelope, Message};
use ui_types::{ApiError, ErrorCode};
use workstation::DisplayItem;

/// What a feed is asked for.
#[derive(Debug, Deserialize)]
struct FeedRequest {
    id: String,
    columns_per_s: u32,
}

pub(crate) async fn feed(State(shared): State<Shared>, body: Bytes) -> Response {
    match open(&shared, &body) {
        Ok(body) => Response::new(body),
        Err(error) => error_response(&error),
    }
}

fn open(shared: &Shared, body: &[u8]) -> Result<Body, ApiError> {
    let request: FeedRequest = serde_json::from_slice(body)
        .map_err(|error| ApiError::new(ErrorCode::Invalid, error.to_string(), ""))?;
    let session = id("session", &request.id)?;
    let items = shared
        .workstation
        .display(session, request.columns_per_s)
        .map_err(wire)?;
    let bytes = ReceiverStream::new(items).map(|item| {
        let mut bytes = Vec::new();
        message(item).encode(&mut bytes);
        Ok::<_, Infallible>(Bytes::from(bytes))
    });
    Ok(Body::from_stream(bytes))
}

fn message(item: DisplayItem) -> Message {
    match item {
        DisplayItem::Ended => Message::End,
        DisplayItem::Columns(columns) => Message::Envelope(Envelope {
            stream: columns.stream.0,
            channels: u32::try_from(columns.channels).unwrap_or(u32::MAX),
            columns: u32::try_from(columns.columns).unwrap_or(u32::MAX),
            first_index: columns.first_index,
            samples_per_column: columns.samples_per_column,
            dropped: columns.dropped,
            time_utc_ns: columns.time.0,
            values: columns.values,
        }),
    }
}
