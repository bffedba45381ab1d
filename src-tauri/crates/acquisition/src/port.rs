//! The device thread's way out: recorder queue, feeds, events.

use crate::limits::{FULL_AGAIN, RECORDER_BACKLOG, WAIT_SLICE};
use crate::message::{AcquisitionEvent, EndReason, FeedItem, Record};
use crate::pool::PooledBlock;
use crate::queue::{FeedSender, Latest};
use crate::stats::Shared;
use contract::Pacing;
use crossbeam_channel::{SendTimeoutError, Sender, TrySendError};
use signal::{Gap, GapCause, HostNanos, Missing, StreamIndex, UtcNanos};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where events go; any thread may put some in.
#[derive(Debug, Clone)]
pub(crate) struct EventPort {
    queue: Arc<Latest<AcquisitionEvent>>,
    shared: Arc<Shared>,
}

impl EventPort {
    pub(crate) fn new(queue: Arc<Latest<AcquisitionEvent>>, shared: Arc<Shared>) -> Self {
        Self { queue, shared }
    }

    pub(crate) fn put(&self, event: AcquisitionEvent) {
        let dropped = self.queue.put(event);
        if dropped > 0 {
            self.shared
                .events_dropped
                .fetch_add(dropped, Ordering::Relaxed);
        }
    }
}

/// Samples of one stream that the recorder had no room for.
#[derive(Debug, Clone, Copy)]
struct Overflow {
    first: u64,
    from: UtcNanos,
    /// Gaps of the source within it whose length is not certain.
    uncertain: Option<Missing>,
    dropped: u64,
    announced: HostNanos,
}

/// The recorder's queue, seen from the device thread.
#[derive(Debug)]
pub(crate) struct RecorderPort {
    send: Option<Sender<Record>>,
    pacing: Pacing,
    /// Messages other than blocks that wait for room; blocks wait for none.
    backlog: VecDeque<Record>,
    overflow: Vec<Option<Overflow>>,
    stop: Arc<AtomicBool>,
    events: EventPort,
    shared: Arc<Shared>,
}

impl RecorderPort {
    pub(crate) fn new(
        send: Option<Sender<Record>>,
        (pacing, streams): (Pacing, usize),
        stop: Arc<AtomicBool>,
        events: EventPort,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            send,
            pacing,
            backlog: VecDeque::with_capacity(RECORDER_BACKLOG),
            overflow: vec![None; streams],
            stop,
            events,
            shared,
        }
    }

    /// Sends a message that is no block, or keeps it until there is room.
    pub(crate) fn message(&mut self, record: Record) {
        if self.send.is_none() {
            return;
        }
        self.flush();
        if self.backlog.is_empty()
            && let Err(back) = self.offer(record)
        {
            self.keep(back);
        }
    }

    /// A gap of the source. Within an overflow it becomes part of it.
    pub(crate) fn gap(&mut self, gap: &Gap) {
        if let Some(Some(overflow)) = self.overflow.get_mut(usize::from(gap.stream.0)) {
            overflow.uncertain = worse(overflow.uncertain, gap.missing);
            return;
        }
        self.message(Record::Gap(*gap));
    }

    /// Sends a block, or notes it as not recorded; `taken` is when its first sample was taken.
    /// Returns the gap to announce when an overflow ends, and whether the block was sent.
    pub(crate) fn block(
        &mut self,
        block: &PooledBlock,
        taken: UtcNanos,
        now: HostNanos,
    ) -> (Option<Gap>, bool) {
        if self.send.is_none() {
            return (None, true);
        }
        let stream = usize::from(block.stream.0);
        let closed = match self.overflow.get(stream).copied().flatten() {
            Some(overflow) => {
                let gap = close(block.stream, &overflow, block.first_index, taken);
                self.flush();
                if !self.backlog.is_empty() || self.offer(Record::Gap(gap)).is_err() {
                    self.overflowed(block, taken, now);
                    return (None, false);
                }
                self.overflow[stream] = None;
                Some(gap)
            }
            None => None,
        };
        self.flush();
        if !self.backlog.is_empty() || self.offer(Record::Block(block.clone())).is_err() {
            self.overflowed(block, taken, now);
            return (closed, false);
        }
        (closed, true)
    }

    fn overflowed(&mut self, block: &PooledBlock, taken: UtcNanos, now: HostNanos) {
        let Some(slot) = self.overflow.get_mut(usize::from(block.stream.0)) else {
            return;
        };
        let fresh = slot.is_none();
        let overflow = slot.get_or_insert(Overflow {
            first: block.first_index,
            from: taken,
            uncertain: None,
            dropped: 0,
            announced: now,
        });
        overflow.dropped += block.len as u64;
        let again = now.nanos_since(overflow.announced) >= FULL_AGAIN.as_nanos() as i64;
        if fresh || again {
            overflow.announced = now;
            let (stream, dropped) = (block.stream, overflow.dropped);
            tracing::error!(
                stream = stream.0,
                dropped,
                "recorder queue full: samples lost"
            );
            self.events
                .put(AcquisitionEvent::RecorderFull { stream, dropped });
        }
    }

    /// Sends what waits, as far as there is room.
    pub(crate) fn flush(&mut self) {
        while let Some(record) = self.backlog.pop_front() {
            if let Err(back) = self.offer(record) {
                self.backlog.push_front(back);
                return;
            }
        }
    }

    fn keep(&mut self, record: Record) {
        if self.backlog.len() < RECORDER_BACKLOG {
            self.backlog.push_back(record);
        } else {
            self.shared
                .recorder_backlog_lost
                .fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Puts one message in. An unpaced source waits for room; a stop ends the wait.
    #[allow(clippy::result_large_err)] // The error is the message itself, moved back.
    fn offer(&self, record: Record) -> Result<(), Record> {
        let Some(send) = &self.send else {
            return Ok(());
        };
        let mut record = record;
        loop {
            let result = match self.pacing {
                Pacing::RealTime => send.try_send(record).map_err(|error| match error {
                    TrySendError::Full(back) | TrySendError::Disconnected(back) => (back, false),
                }),
                Pacing::AsFastAsPossible => {
                    send.send_timeout(record, WAIT_SLICE)
                        .map_err(|error| match error {
                            SendTimeoutError::Timeout(back) => (back, true),
                            SendTimeoutError::Disconnected(back) => (back, false),
                        })
                }
            };
            match result {
                Ok(()) => {
                    self.shared
                        .recorder_queue_peak
                        .fetch_max(send.len(), Ordering::Relaxed);
                    return Ok(());
                }
                Err((back, true)) if !self.stop.load(Ordering::Relaxed) => record = back,
                Err((back, _)) => return Err(back),
            }
        }
    }

    /// Says the last word: closes overflows at `ends` (index and time at which each stream's next
    /// sample would follow) and sends the end, waiting up to `patience` for room. `false` when the
    /// recorder took none of it.
    pub(crate) fn finish(
        &mut self,
        ends: &[(u64, UtcNanos)],
        reason: EndReason,
        patience: Duration,
    ) -> bool {
        let Some(send) = self.send.take() else {
            return true;
        };
        for (position, (overflow, (index, at))) in self.overflow.iter().zip(ends).enumerate() {
            if let Some(overflow) = overflow {
                let stream = StreamIndex(u16::try_from(position).unwrap_or(u16::MAX));
                self.backlog
                    .push_back(Record::Gap(close(stream, overflow, *index, *at)));
            }
        }
        self.backlog.push_back(Record::End(reason));
        // A queue that is stuck gets the whole patience once, not once a message.
        let mut patience = patience;
        for record in self.backlog.drain(..) {
            if send.send_timeout(record, patience).is_err() {
                self.shared
                    .recorder_backlog_lost
                    .fetch_add(1, Ordering::Relaxed);
                patience = Duration::ZERO;
            }
        }
        !patience.is_zero()
    }
}

fn close(stream: StreamIndex, overflow: &Overflow, resumes_at: u64, until: UtcNanos) -> Gap {
    Gap {
        stream,
        first_missing: overflow.first,
        resumes_at,
        missing: overflow
            .uncertain
            .unwrap_or(Missing::Exact(resumes_at.saturating_sub(overflow.first))),
        from: overflow.from,
        until: until.max(overflow.from),
        cause: GapCause::RecorderFull,
    }
}

/// What is known of a loss that contains another: an ambiguous part leaves the whole known by time
/// only, as its fewest samples no longer count from the whole's beginning.
const fn worse(known: Option<Missing>, other: Missing) -> Option<Missing> {
    match other {
        Missing::Exact(_) => known,
        Missing::Ambiguous { .. } | Missing::Unknown => Some(Missing::Unknown),
    }
}

/// Gives `item` to every feed, and forgets feeds whose reader is gone.
pub(crate) fn fan_out(feeds: &mut Vec<FeedSender>, item: &FeedItem, shared: &Shared) {
    feeds.retain(|feed| feed.put(item.clone(), shared));
}
