//! The last seconds of a running session in memory, and the queues of its feeds.
//!
//! A feed that joins gets what is held and, from that very moment on, what comes: nothing is missed
//! at the seam and nothing comes twice. The thread `hub` copies blocks out of acquisition's queue,
//! which drops the oldest when it is not read; so no feed can hold up a device or the recorder.

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{
    FEED_ITEMS, HUB_BEAT, MAX_FEEDS, NO_DATA, RING_BYTES, RING_LEAST_NS, RING_MARKS, RING_NS,
};
use crate::view::messages::{MarkView, OpenGap};
use acquisition::{BlockFeed, FeedItem};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use recording::ClockAnchor;
use signal::{
    ClockSource, Gap, GapCause, Missing, SampleBlock, SamplingRate, StreamDescription, UtcNanos,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// What passes through a hub.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// Samples, with the time of the first.
    Block(Arc<SampleBlock>, UtcNanos),
    /// Samples are missing.
    Gap(OpenGap),
    /// Something was marked, or a mark superseded.
    Mark(Arc<MarkView>),
    /// Nothing follows.
    Ended,
}

/// What a hub needs to know of its session.
#[derive(Debug)]
pub(crate) struct HubStart {
    pub(crate) streams: Vec<StreamDescription>,
    pub(crate) anchor: ClockAnchor,
    /// By stream: samples before this index are in the record already and are played again.
    pub(crate) skip: Vec<u64>,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Item>,
    bytes: usize,
    marks: VecDeque<Arc<MarkView>>,
    feeds: Vec<Weak<Waiting>>,
    begin: Option<UtcNanos>,
    /// By stream: index and time past the last sample.
    ends: Vec<Option<(u64, UtcNanos)>>,
    ended: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Hub {
    streams: Vec<StreamDescription>,
    anchor: ClockAnchor,
    skip: Vec<u64>,
    left: AtomicBool,
    state: Mutex<State>,
    news: (Sender<MarkView>, Receiver<MarkView>),
}

/// One feed's queue.
#[derive(Debug, Default)]
struct Waiting {
    queue: Mutex<(VecDeque<Item>, u64)>,
    news: Condvar,
}

/// One feed's end of its queue; dropping it lets the queue go.
#[derive(Debug)]
pub(crate) struct Joined {
    waiting: Arc<Waiting>,
    /// What the hub held, oldest first.
    pub(crate) held: Vec<Item>,
    pub(crate) marks: Vec<Arc<MarkView>>,
    pub(crate) begin: Option<UtcNanos>,
    /// By stream: index and time past the last sample.
    pub(crate) ends: Vec<Option<(u64, UtcNanos)>>,
}

impl Waiting {
    fn put(&self, item: Item) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.0.len() >= FEED_ITEMS {
            queue.0.pop_front();
            queue.1 += 1;
        }
        queue.0.push_back(item);
        drop(queue);
        self.news.notify_one();
    }
}

impl Joined {
    /// The next item, if one comes within `patience`; and how many were dropped before it.
    pub(crate) fn next(&self, patience: Duration) -> (Option<Item>, u64) {
        let queue = (self.waiting.queue.lock()).unwrap_or_else(PoisonError::into_inner);
        let empty = |queue: &mut (VecDeque<Item>, u64)| queue.0.is_empty();
        let waited = self.waiting.news.wait_timeout_while(queue, patience, empty);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let dropped = std::mem::take(&mut queue.1);
        (queue.0.pop_front(), dropped)
    }
}

impl Hub {
    pub(crate) fn new(start: HubStart) -> Self {
        Self {
            state: Mutex::new(State {
                ends: vec![None; start.streams.len()],
                ..State::default()
            }),
            streams: start.streams,
            anchor: start.anchor,
            skip: start.skip,
            left: AtomicBool::new(false),
            news: crossbeam_channel::bounded(RING_MARKS),
        }
    }

    /// Feeds the hub from `feed`, by a thread of its own, until the feed ends or [`Self::leave`].
    ///
    /// # Errors
    /// The system gives no thread.
    pub(crate) fn run(self: &Arc<Self>, feed: BlockFeed) -> Result<()> {
        let run = self.clone();
        std::thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || run.serve(&feed))
            .map(drop)
            .map_err(|error| Error::internal("start the display's hub", &error))
    }

    fn serve(&self, feed: &BlockFeed) {
        let mut silence = Silence::new(self.streams.len());
        loop {
            let item = feed.next(HUB_BEAT);
            while let Ok(mark) = self.news.1.try_recv() {
                self.mark(mark);
            }
            match item {
                Some(FeedItem::Block(block)) => {
                    let stream = usize::from(block.stream.0);
                    if self.streams.get(stream).is_some_and(|s| is_regular(s.rate)) {
                        silence.heard(stream);
                    }
                    self.block(&block);
                }
                Some(FeedItem::Gap(gap)) => self.gap(&gap),
                Some(FeedItem::Ended(_)) => return self.end(),
                None if self.left.load(Ordering::Relaxed) => return self.end(),
                None => {
                    for stream in silence.fallen() {
                        self.open_gap(stream);
                    }
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a mark, from any thread; never waits. One that finds no room is in the record all
    /// the same.
    pub(crate) fn tell(&self, mark: MarkView) {
        if let Err(TrySendError::Full(_)) = self.news.0.try_send(mark) {
            tracing::warn!("a mark could not be told to the displays");
        }
    }

    pub(crate) fn mark(&self, mark: MarkView) {
        let mark = Arc::new(mark);
        let mut state = self.state();
        if state.marks.len() >= RING_MARKS {
            state.marks.pop_front();
        }
        state.marks.push_back(mark.clone());
        state.tell(&Item::Mark(mark));
    }

    /// Takes a block in; what a replayed file delivers a second time is left out.
    pub(crate) fn block(&self, block: &SampleBlock) {
        let stream = usize::from(block.stream.0);
        let Some(description) = self.streams.get(stream) else {
            return;
        };
        let known = self.skip.get(stream).copied().unwrap_or(0);
        if block.end_index() <= known || block.len == 0 {
            return;
        }
        let skip = usize::try_from(known.saturating_sub(block.first_index)).unwrap_or(0);
        let block = Arc::new(match skip {
            0 => block.clone(),
            skip => block.without_first(skip, description.rate),
        });
        let time = block_time(description, self.anchor, &block);
        let end = time.plus_nanos(description.rate.nanos_of(block.len as u64));
        let mut state = self.state();
        state.begin = Some(state.begin.map_or(time, |begin| begin.min(time)));
        state.ends[stream] = Some((block.end_index(), end));
        state.bytes += bytes_of(&block);
        let item = Item::Block(block, time);
        state.tell(&item);
        state.ring.push_back(item);
        state.trim(end);
    }

    /// Takes a gap in.
    pub(crate) fn gap(&self, gap: &Gap) {
        let stream = usize::from(gap.stream.0);
        if (self.skip.get(stream)).is_some_and(|known| gap.resumes_at <= *known) {
            return;
        }
        let item = Item::Gap(OpenGap {
            gap: *gap,
            open: false,
        });
        let mut state = self.state();
        state.tell(&item);
        state.ring.push_back(item);
    }

    /// Nothing has come for a while: the displays are told, and the record is not touched.
    fn open_gap(&self, stream: usize) {
        let mut state = self.state();
        let Some((index, due)) = state.ends.get(stream).copied().flatten() else {
            return;
        };
        let gap = Gap {
            stream: signal::StreamIndex(u16::try_from(stream).unwrap_or(u16::MAX)),
            first_missing: index,
            resumes_at: index,
            missing: Missing::Unknown,
            from: due,
            until: due,
            cause: GapCause::Silence,
        };
        state.tell(&Item::Gap(OpenGap { gap, open: true }));
    }

    /// The session is over: what still waits is told, and then the end, should the device's thread
    /// not have said it.
    pub(crate) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Nothing follows.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.ended, true) {
            state.tell(&Item::Ended);
        }
    }

    /// A new feed's queue, and what is held.
    ///
    /// # Errors
    /// The session has ended, or too many feeds show it.
    pub(crate) fn join(&self) -> Result<Joined> {
        let conflict = |message: &str| Error::new(ErrorKind::Conflict, message, "");
        let mut state = self.state();
        if state.ended {
            return Err(conflict("the recording has ended"));
        }
        state.feeds.retain(|feed| feed.strong_count() > 0);
        if state.feeds.len() >= MAX_FEEDS {
            return Err(conflict("too many displays show this session already"));
        }
        let waiting = Arc::new(Waiting::default());
        state.feeds.push(Arc::downgrade(&waiting));
        Ok(Joined {
            waiting,
            held: state.ring.iter().cloned().collect(),
            marks: state.marks.iter().cloned().collect(),
            begin: state.begin,
            ends: state.ends.clone(),
        })
    }

    /// The session's streams.
    #[cfg(test)]
    pub(crate) fn streams(&self) -> &[StreamDescription] {
        &self.streams
    }

    /// A mark by its number, if it was made since the hub began and is held still.
    pub(crate) fn find_mark(&self, id: signal::AnnotationId) -> Option<MarkView> {
        let state = self.state();
        let found = state.marks.iter().rev().find(|m| m.annotation.id == id);
        found.map(|mark| (**mark).clone())
    }
}

impl State {
    fn tell(&mut self, item: &Item) {
        self.feeds.retain(|feed| match feed.upgrade() {
            Some(feed) => {
                feed.put(item.clone());
                true
            }
            None => false,
        });
    }

    /// Lets the oldest go: what is older than the ring, and what is too much for it.
    fn trim(&mut self, now: UtcNanos) {
        while let Some(oldest) = self.ring.front() {
            let age = match oldest {
                Item::Block(_, time) => now.nanos_since(*time),
                Item::Gap(open) => now.nanos_since(open.gap.until),
                Item::Mark(_) | Item::Ended => i64::MAX,
            };
            let too_much = self.bytes > RING_BYTES && age > RING_LEAST_NS;
            if age <= RING_NS && !too_much {
                return;
            }
            if let Some(Item::Block(block, _)) = self.ring.pop_front() {
                self.bytes -= bytes_of(&block);
            }
        }
    }
}

fn bytes_of(block: &SampleBlock) -> usize {
    let each = block
        .samples
        .sample_type()
        .bits()
        .map_or(32, |bits| bits.div_ceil(16) * 2);
    block.samples.len() * each as usize + size_of::<SampleBlock>()
}

/// UTC of a block's first sample, as the journal has it.
pub(crate) fn block_time(
    stream: &StreamDescription,
    anchor: ClockAnchor,
    block: &SampleBlock,
) -> UtcNanos {
    let host = |at: i64| UtcNanos(at).plus_nanos(anchor.offset_ns());
    match (block.stamps.first(), stream.clock, block.device_time) {
        (Some(stamp), ClockSource::Device { epoch }, _) => epoch.plus_nanos(*stamp),
        (Some(stamp), ClockSource::HostArrival, _) => host(*stamp),
        (None, ClockSource::Device { epoch }, Some(time)) => epoch.plus_nanos(time.0),
        _ => match block.fitted {
            Some(fitted) => host(fitted.0),
            None => host(block.arrival.0).plus_nanos(-stream.rate.nanos_of(block.len as u64)),
        },
    }
}

/// When each stream was last heard.
#[derive(Debug)]
struct Silence {
    heard: Vec<Option<Instant>>,
}

impl Silence {
    fn new(streams: usize) -> Self {
        Self {
            heard: vec![None; streams],
        }
    }

    fn heard(&mut self, stream: usize) {
        if let Some(heard) = self.heard.get_mut(stream) {
            *heard = Some(Instant::now());
        }
    }

    /// Streams that have fallen silent since the last look.
    fn fallen(&mut self) -> Vec<usize> {
        let silent = |heard: &Option<Instant>| heard.is_some_and(|at| at.elapsed() >= NO_DATA);
        let fallen: Vec<usize> = (0..self.heard.len())
            .filter(|stream| silent(&self.heard[*stream]))
            .collect();
        for stream in &fallen {
            self.heard[*stream] = None;
        }
        fallen
    }
}

/// Whether a stream's samples follow each other at a rate.
pub(crate) const fn is_regular(rate: SamplingRate) -> bool {
    !matches!(rate, SamplingRate::Irregular)
}
