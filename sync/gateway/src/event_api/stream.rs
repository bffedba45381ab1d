//! Following the log: server-sent events and WebSocket.
//!
//! A stream holds its place in the log, a receiver of live batches that all streams share, and at most
//! one page of the log while it catches up: who reads slowly falls behind and costs no more.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::rejection::WebSocketUpgradeRejection,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
    },
    http::HeaderMap,
    response::{IntoResponse, Response, Sse, sse},
};
use events::{Delivered, Filter, From, Subscription};
use futures_util::{Stream, stream};
use protocol::Principal;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout},
};

use super::{
    EventApi,
    fault::{bad_request, unavailable},
    query::{Wanted, after},
};
use crate::{Failure, limits::events as limits};

/// An open stream, and its right to be one.
pub(super) struct Open {
    events: Subscription,
    until: Instant,
    closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    async fn new(
        api: &EventApi,
        site: &str,
        wanted: &Wanted,
        resumed: Option<From>,
    ) -> Result<Self, Failure> {
        if wanted.limit.is_some() {
            return Err(bad_request("query.malformed", "a stream has no limit"));
        }
        let start = resumed.or(wanted.start()?);
        Self::over(api, wanted.filter(site)?, start).await
    }

    /// Begins with the next event unless it is said where.
    pub(super) async fn over(
        api: &EventApi,
        filter: Filter,
        start: Option<From>,
    ) -> Result<Self, Failure> {
        let permit = Arc::clone(&api.streams).try_acquire_owned();
        let permit = permit.map_err(|_| {
            unavailable(
                "events.too_many_streams",
                "too many streams are open; try again later",
            )
        })?;
        let events = api.bus.subscribe(filter, start.unwrap_or(From::End)).await;
        let events = events.map_err(|error| {
            tracing::error!(%error, "an event stream could not be opened");
            unavailable(
                "events.storage",
                "the event log's storage failed; try again",
            )
        })?;
        Ok(Self {
            events,
            until: Instant::now() + limits::STREAM_AGE,
            closing: api.closing.subscribe(),
            _permit: permit,
        })
    }

    /// The next event; none when the stream has reached its age, the gateway closes or the log fails.
    pub(super) async fn next(&mut self) -> Option<Delivered> {
        tokio::select! {
            delivered = self.events.next() => match delivered {
                Ok(delivered) => delivered,
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends");
                    None
                }
            },
            _ = self.closing.wait_for(|closing| *closing) => None,
            () = tokio::time::sleep_until(self.until) => None,
        }
    }
}

fn text_of(delivered: &Delivered) -> Option<String> {
    // What came from JSON can be JSON again.
    serde_json::to_string(&**delivered).ok()
}

pub(super) async fn server_sent(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, Failure> {
    let resumed = match headers.get("last-event-id") {
        None => None,
        Some(id) => {
            let position = id.to_str().ok().and_then(|id| id.parse().ok());
            let position = position.ok_or_else(|| {
                bad_request(
                    "query.malformed",
                    "Last-Event-ID is the position of an event",
                )
            })?;
            Some(after(position)?)
        }
    };
    let open = Open::new(&api, &principal.site, &wanted, resumed).await?;
    let begin = sse::Event::default().retry(limits::STREAM_RETRY);
    let events = stream::unfold((open, Some(begin)), |(mut open, begin)| async move {
        if let Some(begin) = begin {
            return Some((Ok(begin), (open, None)));
        }
        let delivered = open.next().await?;
        let event = sse::Event::default()
            .id(delivered.position.to_string())
            .data(text_of(&delivered)?);
        Some((Ok(event), (open, None)))
    });
    let keep_alive = sse::KeepAlive::new().interval(limits::KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive))
}

pub(super) async fn web_socket(
    State(api): State<EventApi>,
    Extension(principal): Extension<Principal>,
    wanted: Wanted,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    // Not 405 or 426: HTTP/2 has neither this method for it nor the header that goes with an upgrade.
    let upgrade = upgrade.map_err(|_| {
        let detail = "an upgrade to WebSocket over HTTP/1.1 is due";
        bad_request("events.upgrade", detail)
    })?;
    let open = Open::new(&api, &principal.site, &wanted, None).await?;
    Ok(upgrade
        .max_message_size(limits::MAX_PEER_MESSAGE_BYTES)
        .max_frame_size(limits::MAX_PEER_MESSAGE_BYTES)
        .on_upgrade(|socket| serve(socket, open))
        .into_response())
}

async fn serve(mut socket: WebSocket, mut open: Open) {
    loop {
        let message = tokio::select! {
            delivered = open.next() => match delivered.as_ref().and_then(text_of) {
                Some(text) => Message::text(text),
                None => {
                    let close = CloseFrame {
                        code: close_code::AWAY,
                        reason: Utf8Bytes::from_static("resume behind the last position"),
                    };
                    let _ = send(&mut socket, Message::Close(Some(close))).await;
                    return;
                }
            },
            heard = socket.recv() => match heard {
                // Pings are answered by the socket itself.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Text(_) | Message::Binary(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            () = tokio::time::sleep(limits::KEEP_ALIVE) => Message::Ping(Default::default()),
        };
        if !send(&mut socket, message).await {
            return;
        }
    }
}

/// Whether the peer took it in time.
async fn send(socket: &mut WebSocket, message: Message) -> bool {
    const LONGEST: Duration = limits::SEND_TIMEOUT;
    matches!(timeout(LONGEST, socket.send(message)).await, Ok(Ok(())))
}
