//! Feeds on their way from the engine to the page: read, kept in a bounded queue, sent as raw bytes
//! over a Tauri channel no faster than the page takes them, and asked for anew when the engine was
//! restarted.

use crate::limits::{
    FEED_ASK_EVERY, FEED_IN_PIECES, FEED_PIECE, FEED_RETRY, FEED_WINDOW, MAX_FEEDS,
};
use crate::link::{Link, lock};
use crate::queue::Queue;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use engine_client::ClientError;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tauri::WebviewWindow;
use tauri::ipc::{Channel, InvokeResponseBody};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use ui_types::feed::Message;
use ui_types::{ApiError, ErrorCode, FeedRequest};

/// The page's open feeds.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    next: AtomicU32,
    open: Mutex<HashMap<u32, JoinHandle<()>>>,
}

impl Feeds {
    /// Opens a feed into `channel`. The first answer of the engine decides whether it is open.
    pub(crate) async fn open(
        &self,
        link: Arc<Link>,
        request: FeedRequest,
        channel: Channel<InvokeResponseBody>,
        window: WebviewWindow,
    ) -> Result<u32, ApiError> {
        self.forget_ended();
        if lock(&self.open).len() >= MAX_FEEDS {
            return Err(ApiError::new(
                ErrorCode::Conflict,
                "too many feeds are open in this window",
                "Close what is not looked at.",
            ));
        }
        let first = link.feed(&request).await?;
        let shared = Arc::new(Shared::default());
        let reader = Reader {
            link,
            request,
            shared: Arc::clone(&shared),
        };
        let task = tokio::spawn(async move {
            tokio::join!(reader.run(first), send(&shared, &channel, &window));
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).insert(id, task);
        Ok(id)
    }

    /// Closes a feed; one that has ended by itself is none to complain about.
    pub(crate) fn close(&self, id: u32) {
        if let Some(task) = lock(&self.open).remove(&id) {
            task.abort();
        }
    }

    /// Closes every feed: the page that asked for them is gone.
    pub(crate) fn close_all(&self) {
        for (_, task) in lock(&self.open).drain() {
            task.abort();
        }
    }

    fn forget_ended(&self) {
        lock(&self.open).retain(|_, task| !task.is_finished());
    }
}

/// What reader and sender of one feed share.
#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something was queued, or taken by the page, or it is over.
    changed: Notify,
    over: std::sync::atomic::AtomicBool,
    taken: AtomicU64,
}

struct Reader {
    link: Arc<Link>,
    request: FeedRequest,
    shared: Arc<Shared>,
}

impl Reader {
    async fn run(self, mut feed: engine_client::Feed) {
        loop {
            match self.pass_on(&mut feed).await {
                Ok(()) => break,
                Err(error) => tracing::info!(%error, "the feed broke; it is asked for again"),
            }
            // It begins again with its description and history: the page has the columns' numbers
            // and draws what it has twice at the same place.
            feed = loop {
                tokio::time::sleep(FEED_RETRY).await;
                match self.link.feed(&self.request).await {
                    Ok(feed) => break feed,
                    Err(ClientError::Api(error)) if error.code != ErrorCode::Unavailable => {
                        tracing::info!(code = ?error.code, "the feed is not to be had any more");
                        self.end();
                        return;
                    }
                    Err(_) => {}
                }
            };
        }
        self.shared.over.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }

    /// Queues messages until the engine closes the feed.
    async fn pass_on(&self, feed: &mut engine_client::Feed) -> Result<(), ClientError> {
        while let Some(message) = feed.next_bytes().await? {
            let overfull = lock(&self.shared.queue).push(message).is_err();
            if overfull {
                tracing::error!("the page takes nothing and the feed's queue is full: closed");
                self.end();
                return Ok(());
            }
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Tells the page that the feed is over, in place of whatever waits.
    fn end(&self) {
        let mut bytes = Vec::new();
        Message::End.encode(&mut bytes);
        let mut queue = lock(&self.shared.queue);
        if queue.push(bytes).is_err() {
            queue.clear();
        }
        drop(queue);
        self.shared.over.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }
}

/// Gives a message to the page; one that is short as text in pieces, which the page reads and joins again.
fn hand_over(channel: &Channel<InvokeResponseBody>, message: Vec<u8>) -> tauri::Result<()> {
    if message.len() > FEED_IN_PIECES {
        return channel.send(InvokeResponseBody::Raw(message));
    }
    for piece in message.chunks(FEED_PIECE) {
        // Base64 needs no escaping in JSON.
        let text = format!("\"{}\"", BASE64_STANDARD.encode(piece));
        channel.send(InvokeResponseBody::Json(text))?;
    }
    Ok(())
}

/// Sends what is queued, at most [`FEED_WINDOW`] messages ahead of what the page has taken. What it
/// has taken is known from an empty script behind every few, answered when the page came to it.
async fn send(shared: &Arc<Shared>, channel: &Channel<InvokeResponseBody>, window: &WebviewWindow) {
    let mut sent = 0;
    loop {
        let over = shared.over.load(Ordering::Acquire);
        while sent - shared.taken.load(Ordering::Acquire) < FEED_WINDOW {
            let Some(message) = lock(&shared.queue).pop() else {
                break;
            };
            if hand_over(channel, message).is_err() {
                return;
            }
            sent += 1;
            if sent % FEED_ASK_EVERY != 0 {
                continue;
            }
            let number = sent;
            let behind = Arc::clone(shared);
            let asked = window.eval_with_callback("1", move |answer| {
                // A page that is gone answers nothing.
                if answer == "1" {
                    behind.taken.fetch_max(number, Ordering::AcqRel);
                    behind.changed.notify_one();
                }
            });
            if asked.is_err() {
                return;
            }
        }
        if over && lock(&shared.queue).is_empty() {
            return;
        }
        shared.changed.notified().await;
    }
}
