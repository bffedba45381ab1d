//! Bytes to views: a feed of live columns, switched from generation to generation without a flash, and
//! pages of a recording.

use ui_types::feed::{MAX_MESSAGE_BYTES, Message};

use crate::limits::{CAUGHT_UP_NS, SWITCH_AFTER_S};
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
        let caught_up = match self.shown.as_ref().and_then(View::newest_ns) {
            None => true, // nothing to keep
            Some(old) => pending
                .newest_ns()
                .is_some_and(|new| new >= old.saturating_sub(CAUGHT_UP_NS)),
        };
        let silent = now_s - self.pending_heard_s > SWITCH_AFTER_S;
        if !(pending.live || pending.ended || caught_up || silent) {
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
    let keep_ns = messages.iter().filter_map(length_ns).sum();
    let mut view = View::new(generation);
    let whole = messages
        .into_iter()
        .all(|message| view.accept(message, keep_ns));
    (whole && view.ended && view.description.is_some()).then_some(view)
}

fn length_ns(message: &Message) -> Option<f64> {
    match message {
        Message::Envelope(envelope) => Some(f64::from(envelope.columns) * envelope.column_ns),
        _ => None,
    }
}
