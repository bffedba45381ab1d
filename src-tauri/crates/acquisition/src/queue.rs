//! Bounded queues that never block the device thread.

use crate::message::FeedItem;
use crate::stats::Shared;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// A queue that drops its oldest item when full, and counts.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    send: Sender<T>,
    /// To take the oldest out; the consumer's own receiver is a clone of it.
    receive: Receiver<T>,
}

impl<T> Latest<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let (send, receive) = bounded(capacity.max(1));
        Self { send, receive }
    }

    pub(crate) fn receiver(&self) -> Receiver<T> {
        self.receive.clone()
    }

    /// Puts `item` in; returns how many older ones had to go.
    pub(crate) fn put(&self, item: T) -> u64 {
        let mut item = item;
        let mut dropped = 0;
        // Only this thread puts items in, so a second try finds room; more producers (events) may
        // race for it a few times.
        loop {
            match self.send.try_send(item) {
                Ok(()) => return dropped,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => {
                    item = back;
                    if self.receive.try_recv().is_ok() {
                        dropped += 1;
                    }
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.send.len()
    }
}

#[derive(Debug, Default)]
struct FeedState {
    closed: AtomicBool,
    dropped: AtomicU64,
    peak: AtomicUsize,
}

/// The device thread's end of a display or analysis queue.
#[derive(Debug)]
pub(crate) struct FeedSender {
    queue: Latest<FeedItem>,
    state: Arc<FeedState>,
}

/// A display or analysis queue: takes what comes, loses the oldest when it is not read.
#[derive(Debug)]
pub struct BlockFeed {
    receive: Receiver<FeedItem>,
    state: Arc<FeedState>,
}

pub(crate) fn feed(capacity: usize) -> (FeedSender, BlockFeed) {
    let queue = Latest::new(capacity);
    let state = Arc::new(FeedState::default());
    let receive = queue.receiver();
    (
        FeedSender {
            queue,
            state: Arc::clone(&state),
        },
        BlockFeed { receive, state },
    )
}

impl FeedSender {
    /// Puts `item` in; `false` when the reader is gone.
    pub(crate) fn put(&self, item: FeedItem, shared: &Shared) -> bool {
        if self.state.closed.load(Ordering::Relaxed) {
            return false;
        }
        let dropped = self.queue.put(item);
        if dropped > 0 {
            self.state.dropped.fetch_add(dropped, Ordering::Relaxed);
            shared.feed_dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        self.state
            .peak
            .fetch_max(self.queue.len(), Ordering::Relaxed);
        true
    }
}

impl BlockFeed {
    /// The next item; `None` when none came within `timeout`.
    #[must_use]
    pub fn next(&self, timeout: Duration) -> Option<FeedItem> {
        self.receive.recv_timeout(timeout).ok()
    }

    /// The next item if one is waiting.
    #[must_use]
    pub fn try_next(&self) -> Option<FeedItem> {
        self.receive.try_recv().ok()
    }

    /// Items dropped because they were not taken in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.state.dropped.load(Ordering::Relaxed)
    }

    /// Most items that ever waited.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.state.peak.load(Ordering::Relaxed)
    }
}

impl Drop for BlockFeed {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::EndReason;

    #[test]
    fn a_full_feed_loses_its_oldest_and_says_so() {
        let shared = Shared::new(0);
        let (send, receive) = feed(2);
        for _ in 0..5 {
            assert!(send.put(FeedItem::Ended(EndReason::Stopped), &shared));
        }
        assert_eq!(receive.dropped(), 3);
        assert_eq!(receive.peak(), 2);
        assert!(receive.try_next().is_some());
        drop(receive);
        assert!(!send.put(FeedItem::Ended(EndReason::Stopped), &shared));
    }
}
