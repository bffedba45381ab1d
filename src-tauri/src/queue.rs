//! What waits for a page that is slow: bounded, the oldest envelope dropped first, every drop
//! counted in the next envelope that the page gets.

use crate::limits::{FEED_QUEUE_BYTES, FEED_QUEUE_MESSAGES};
use std::collections::VecDeque;
use ui_types::feed;

/// Messages of one feed on their way to the page.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u32,
}

/// There is no room, and nothing left that may be dropped: the page has to ask for the feed anew.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overfull;

impl Queue {
    /// Takes a message, dropping the oldest envelopes when there is no room. Descriptions, gaps and
    /// marks are never dropped: what follows would be misread without them.
    pub(crate) fn push(&mut self, message: Vec<u8>) -> Result<(), Overfull> {
        self.bytes += message.len();
        self.messages.push_back(message);
        while self.messages.len() > FEED_QUEUE_MESSAGES || self.bytes > FEED_QUEUE_BYTES {
            let oldest = self.messages.iter().position(|m| feed::is_envelope(m));
            let Some(gone) = oldest.and_then(|at| self.messages.remove(at)) else {
                return Err(Overfull);
            };
            self.bytes -= gone.len();
            let lost = feed::dropped_of(&gone).saturating_add(1);
            self.dropped = self.dropped.saturating_add(lost);
        }
        Ok(())
    }

    /// The oldest message; an envelope carries the count of those dropped before it.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        let mut message = self.messages.pop_front()?;
        self.bytes -= message.len();
        if self.dropped > 0 && feed::add_dropped(&mut message, self.dropped) {
            self.dropped = 0;
        }
        Some(message)
    }

    /// Nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Lets go of all that waits.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ui_types::ViewDescription;
    use ui_types::feed::{Envelope, Message};

    fn bytes(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    }

    fn envelope(first_column: u64) -> Vec<u8> {
        bytes(&Message::Envelope(Envelope {
            rows: 1,
            columns: 1,
            first_column,
            values: vec![0.0, 1.0],
            ..Envelope::default()
        }))
    }

    #[test]
    fn a_page_that_takes_nothing_loses_the_oldest_and_learns_how_many() {
        let mut queue = Queue::default();
        queue
            .push(bytes(&Message::Description(ViewDescription::default())))
            .unwrap();
        let total = 3 * FEED_QUEUE_MESSAGES as u64;
        for column in 0..total {
            queue.push(envelope(column)).unwrap();
        }
        assert!(!feed::is_envelope(&queue.pop().unwrap()), "description");
        let mut kept = 0;
        let mut dropped = 0;
        let mut last = None;
        while let Some(message) = queue.pop() {
            let Message::Envelope(envelope) = Message::decode(&message).unwrap().unwrap().0 else {
                panic!("an envelope");
            };
            assert!(last < Some(envelope.first_column), "order");
            last = Some(envelope.first_column);
            kept += 1;
            dropped += u64::from(envelope.dropped);
        }
        assert_eq!(last, Some(total - 1), "the newest is kept");
        assert_eq!(kept, FEED_QUEUE_MESSAGES as u64 - 1);
        assert_eq!(kept + dropped, total);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn a_flood_of_what_may_not_be_dropped_ends_the_feed() {
        let mut queue = Queue::default();
        for _ in 0..FEED_QUEUE_MESSAGES {
            queue.push(bytes(&Message::End)).unwrap();
        }
        assert_eq!(queue.push(bytes(&Message::End)), Err(Overfull));
    }
}
