//! What a display is told, and the queue to it, which drops the oldest columns when it is not read.

use crate::limits::{OUTBOX_BYTES, OUTBOX_COLUMNS};
use crate::view::plan::{FiltersByKind, RowPlan};
use recording::Provenance;
use signal::{Annotation, AnnotationId, Gap, StreamIndex, UtcNanos, ZoneOffset};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Rows of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamRows {
    /// Stream.
    pub stream: StreamIndex,
    /// Its name.
    pub name: String,
    /// Nominal rate, Hz; 0 when irregular.
    pub rate_hz: f64,
    /// Rows from top to bottom.
    pub rows: Vec<RowPlan>,
}

/// What a feed or page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewDescription {
    /// Montage's name.
    pub montage: String,
    /// Its title.
    pub title: String,
    /// What the EEG was recorded against.
    pub reference: String,
    /// Filters in force, by kind of channel.
    pub filters: FiltersByKind,
    /// What of them must be highlighted.
    pub notes: Vec<String>,
    /// Drawn from the overview: channels as recorded, unfiltered.
    pub overview: bool,
    /// Where the samples come from.
    pub provenance: Provenance,
    /// First sample of the recording.
    pub begin: UtcNanos,
    /// End of what is known of it.
    pub end: UtcNanos,
    /// Its zone.
    pub zone: ZoneOffset,
    /// Rows.
    pub streams: Vec<StreamRows>,
}

/// Columns of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Envelope {
    /// Stream.
    pub stream: StreamIndex,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Number of the first column: in a feed from the stream's sample 0, in a page from its begin.
    pub first_column: u64,
    /// When the first column begins.
    pub time: UtcNanos,
    /// Length of a column, ns.
    pub column_ns: f64,
    /// Messages of columns dropped before this one.
    pub dropped: u32,
    /// Recorded before the feed was opened.
    pub history: bool,
    /// Least and greatest value in the row's unit, rows × columns × 2.
    pub values: Vec<f32>,
}

/// A gap, and whether it lasts still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenGap {
    /// The gap; while it lasts, its end is not known.
    pub gap: Gap,
    /// Nothing has come behind it yet.
    pub open: bool,
}

/// An annotation, and what took its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkView {
    /// The annotation.
    pub annotation: Annotation,
    /// The one that supersedes it.
    pub superseded_by: Option<AnnotationId>,
}

/// What a feed or page carries.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewMessage {
    /// What the rows are; first.
    Description(Box<ViewDescription>),
    /// Columns.
    Columns(Envelope),
    /// Samples are missing.
    Gap(OpenGap),
    /// Something was marked, or a mark superseded.
    Mark(Box<MarkView>),
    /// The session ended, or the page is complete.
    End,
}

impl ViewMessage {
    /// Bytes of live columns; history is bounded where it is made.
    fn bytes(&self) -> usize {
        match self {
            Self::Columns(envelope) if self.may_go() => envelope.values.len() * size_of::<f32>(),
            _ => 0,
        }
    }

    /// Live columns may be dropped; history is what the client waits for.
    fn may_go(&self) -> bool {
        matches!(self, Self::Columns(envelope) if !envelope.history)
    }
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<ViewMessage>,
    bytes: usize,
    droppable: usize,
    dropped: u32,
    /// The feed's thread puts nothing in any more.
    ended: bool,
    /// The client is gone.
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed thread's end: never waits.
#[derive(Debug)]
pub(crate) struct Outbox(Arc<Shared>);

/// The client's end.
#[derive(Debug)]
pub struct ViewMessages(Arc<Shared>);

pub(crate) fn outbox() -> (Outbox, ViewMessages) {
    let shared = Arc::new(Shared::default());
    (Outbox(shared.clone()), ViewMessages(shared))
}

impl Outbox {
    /// Puts a message in; the oldest live columns go when there are too many. `false` when the
    /// client is gone, or has let so much pile up that it reads no more.
    pub(crate) fn put(&self, message: ViewMessage) -> bool {
        let mut state = self.0.state();
        if state.closed {
            return false;
        }
        state.bytes += message.bytes();
        state.droppable += usize::from(message.may_go());
        state.queue.push_back(message);
        while state.droppable > OUTBOX_COLUMNS
            || (state.bytes > OUTBOX_BYTES && state.droppable > 1)
        {
            let oldest = state.queue.iter().position(ViewMessage::may_go);
            let Some(gone) = oldest.and_then(|at| state.queue.remove(at)) else {
                break;
            };
            state.bytes -= gone.bytes();
            state.droppable -= 1;
            state.dropped = state.dropped.saturating_add(1);
        }
        // Gaps and marks are few; a client that leaves thousands unread is not there.
        let reads = state.queue.len() <= OUTBOX_COLUMNS * 64;
        drop(state);
        self.0.news.notify_one();
        reads
    }

    /// Blocks that were dropped before they became columns count as messages dropped.
    pub(crate) fn count_dropped(&self, messages: u64) {
        let mut state = self.0.state();
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        state.dropped = state.dropped.saturating_add(messages);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.state().closed
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.news.notify_one();
    }
}

impl ViewMessages {
    /// The next message; `None` when nothing follows.
    pub async fn next(&mut self) -> Option<ViewMessage> {
        loop {
            {
                let mut state = self.0.state();
                if let Some(mut message) = state.queue.pop_front() {
                    state.bytes -= message.bytes();
                    if message.may_go() {
                        state.droppable -= 1;
                    }
                    if let ViewMessage::Columns(envelope) = &mut message {
                        envelope.dropped = std::mem::take(&mut state.dropped);
                    }
                    return Some(message);
                }
                if state.ended {
                    return None;
                }
            }
            // A permit of a message put in meanwhile is kept: nothing is missed.
            self.0.news.notified().await;
        }
    }
}

impl Drop for ViewMessages {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(first_column: u64, history: bool) -> ViewMessage {
        ViewMessage::Columns(Envelope {
            first_column,
            history,
            values: vec![0.0; 2],
            ..Envelope::default()
        })
    }

    #[tokio::test]
    async fn a_slow_client_loses_the_oldest_columns_and_is_told() {
        let (send, mut receive) = outbox();
        assert!(send.put(columns(7, true)));
        assert!(send.put(ViewMessage::End));
        for number in 0..OUTBOX_COLUMNS as u64 + 3 {
            assert!(send.put(columns(number, false)));
        }
        // History and what is no column stay, however late they are read.
        let first = receive.next().await;
        let Some(ViewMessage::Columns(first)) = first else {
            panic!("{first:?}");
        };
        assert_eq!((first.first_column, first.dropped), (7, 3));
        assert_eq!(receive.next().await, Some(ViewMessage::End));
        let mut expected = 3;
        drop(send);
        while let Some(ViewMessage::Columns(next)) = receive.next().await {
            assert_eq!((next.first_column, next.dropped), (expected, 0));
            expected += 1;
        }
        assert_eq!(expected, OUTBOX_COLUMNS as u64 + 3);
    }

    #[test]
    fn a_client_that_is_gone_ends_its_feed() {
        let (send, receive) = outbox();
        drop(receive);
        assert!(!send.put(ViewMessage::End));
    }
}
