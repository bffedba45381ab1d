//! Bytes to views: a feed of live columns, switched from generation to generation without a flash, and
//! pages of a recording.

use std::collections::BTreeMap;

use ui_types::feed::{MAX_MESSAGE_BYTES, Message};

use crate::limits::{BREATH_S, CAUGHT_UP_NS, SWITCH_AFTER_S};
use crate::view::View;

/// The feed that is shown, and the one that is to take its place.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    shown: Option<View>,
    pending: Option<View>,
    /// Begin of a message whose rest has not come yet: of the shown feed and of the pending one.
    rest: Vec<u8>,
    pending_rest: Vec<u8>,
    /// When the pending feed last said something, s of the canvas's clock.
    pending_heard_s: f64,
    /// When the shown feed last said something.
    pub(crate) heard_s: Option<f64>,
    /// Messages that could not be read or made no sense.
    pub(crate) malformed: u64,
}

impl Feeds {
    /// From now on messages of `generation` build up a view that takes the place of the one shown.
    pub(crate) fn begin(&mut self, generation: u32, now_s: f64) {
        if self
            .shown
            .as_ref()
            .is_some_and(|view| view.generation == generation)
        {
            return;
        }
        self.pending = Some(View::new(generation));
        self.pending_rest.clear();
        self.pending_heard_s = now_s;
    }

    /// Takes bytes of a feed in. True when what is shown changed.
    pub(crate) fn push(&mut self, generation: u32, bytes: &[u8], keep_ns: f64, now_s: f64) -> bool {
        if let Some(view) = self
            .pending
            .as_mut()
            .filter(|view| view.generation == generation)
        {
            self.pending_heard_s = now_s;
            self.malformed += take(view, &mut self.pending_rest, bytes, keep_ns);
            return self.switch(now_s);
        }
        if let Some(view) = self
            .shown
            .as_mut()
            .filter(|view| view.generation == generation)
        {
            self.heard_s = Some(now_s);
            self.malformed += take(view, &mut self.rest, bytes, keep_ns);
            return true;
        }
        false // of a feed that was let go
    }

    /// Shows the pending view when it is whole: it has come to the present, or caught up with the one
    /// shown, or ended, or has nothing more to say.
    pub(crate) fn switch(&mut self, now_s: f64) -> bool {
        let Some(pending) = &self.pending else {
            return false;
        };
        if pending.description.is_none() {
            return false;
        }
        let silence_s = now_s - self.pending_heard_s;
        let whole = match &self.shown {
            None => true, // nothing to keep
            // Gaps and marks come behind the last column of the history, in the same breath.
            Some(old) => silence_s > BREATH_S && has_caught_up(pending, old),
        };
        let silent = silence_s > SWITCH_AFTER_S;
        if !(pending.live || pending.ended || whole || silent) {
            return false;
        }
        self.shown = self.pending.take();
        self.rest = std::mem::take(&mut self.pending_rest);
        self.heard_s = Some(self.pending_heard_s);
        true
    }

    pub(crate) fn waiting(&self) -> bool {
        self.pending.is_some()
    }

    pub(crate) fn shown(&self) -> Option<&View> {
        self.shown.as_ref()
    }

    pub(crate) fn shown_mut(&mut self) -> Option<&mut View> {
        self.shown.as_mut()
    }
}

/// Whether every stream of the new view that the old one has too has come as far.
fn has_caught_up(new: &View, old: &View) -> bool {
    new.streams.iter().all(|stream| {
        let before = old.streams.iter().find(|old| old.index == stream.index);
        let Some(end) = before.and_then(|old| old.buffer.newest_ns()) else {
            return true;
        };
        let newest = stream.buffer.newest_ns();
        newest.is_some_and(|newest| newest >= end.saturating_sub(CAUGHT_UP_NS))
    })
}

/// Adds the whole messages in `rest` and `bytes` to the view; returns how many were of no use. Bytes that
/// can be no message are dropped: what follows has lost its beginning.
fn take(view: &mut View, rest: &mut Vec<u8>, bytes: &[u8], keep_ns: f64) -> u64 {
    let mut bad = 0;
    let joined;
    let mut left = if rest.is_empty() {
        bytes
    } else {
        rest.extend_from_slice(bytes);
        joined = std::mem::take(rest);
        &joined
    };
    loop {
        match Message::decode(left) {
            Ok(Some((message, used))) => {
                bad += u64::from(!view.accept(message, keep_ns));
                left = &left[used..];
            }
            Ok(None) => break,
            Err(_) => {
                bad += 1;
                left = &[];
                break;
            }
        }
    }
    if left.len() <= MAX_MESSAGE_BYTES {
        rest.extend_from_slice(left);
    }
    bad
}

/// A page of a recording: whole or not at all.
pub(crate) fn page(generation: u32, bytes: &[u8]) -> Option<View> {
    let mut messages = Vec::new();
    let mut left = bytes;
    while !left.is_empty() {
        let (message, used) = Message::decode(left).ok().flatten()?;
        messages.push(message);
        left = &left[used..];
    }
    // A page keeps all that came with it, within the limits of a buffer.
    let keep_ns = reach_ns(&messages);
    let mut view = View::new(generation);
    let whole = messages
        .into_iter()
        .all(|message| view.accept(message, keep_ns));
    (whole && view.ended && view.description.is_some()).then_some(view)
}

/// Length of the ring that holds every column of a page, those that are missing between them included.
fn reach_ns(messages: &[Message]) -> f64 {
    // First column, end and count, by stream.
    let mut streams: BTreeMap<u16, (u64, u64, u64)> = BTreeMap::new();
    let mut longest_column_ns: f64 = 0.0;
    for message in messages {
        if let Message::Envelope(envelope) = message {
            let columns = u64::from(envelope.columns);
            let end = envelope.first_column.saturating_add(columns);
            let stream = streams.entry(envelope.stream).or_insert((u64::MAX, 0, 0));
            stream.0 = stream.0.min(envelope.first_column);
            stream.1 = stream.1.max(end);
            stream.2 += columns;
            longest_column_ns = longest_column_ns.max(envelope.column_ns);
        }
    }
    let columns = streams
        .values()
        .map(|(first, end, count)| end.saturating_sub(*first).max(*count))
        .max();
    (columns.unwrap_or_default() as f64 + 1.0) * longest_column_ns
}
