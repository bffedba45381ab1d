//! The display feed as a body of binary messages.

use crate::api::{id, wire};
use crate::rpc::error_response;
use crate::serve::Shared;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use std::convert::Infallible;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use ui_types::feed::{Envelope, Message};
use ui_types::{ApiError, ErrorCode, FeedRequest};
use workstation::DisplayItem;

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
        .display(session, request.columns_per_s as u32)
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
            rows: u32::try_from(columns.channels).unwrap_or(u32::MAX),
            columns: u32::try_from(columns.columns).unwrap_or(u32::MAX),
            first_column: columns.first_index / u64::from(columns.samples_per_column.max(1)),
            time_utc_ns: columns.time.0,
            column_ns: 0.0,
            dropped: columns.dropped,
            history: false,
            values: columns.values,
        }),
    }
}
