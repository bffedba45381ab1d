//! What the device thread does with each block and event.

use crate::config::AcquisitionConfig;
use crate::limits::{
    ANCHOR_CHECK, ANCHOR_EVERY, POOL_BLOCK_SAMPLES, POOL_START, QUALITY_EVERY, REORDER_PACKETS,
    REORDER_WAIT, SUSPEND_MIN,
};
use crate::message::{AcquisitionEvent, ClockAnchor, EndReason, FeedItem, Mark, Record};
use crate::pool::{BlockPool, Lent};
use crate::port::{EventPort, RecorderPort, fan_out};
use crate::queue::FeedSender;
use crate::stats::Shared;
use crate::stream::{Placed, StreamState, TimeBase, time_base, trim_front};
use contract::{Clock, DeviceDescription, DeviceEvent, Pacing, Sink};
use signal::{
    CounterSpec, DeviceNanos, Gap, GapCause, HostNanos, SampleBlock, StreamIndex, UtcNanos,
};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One stream: its state, its blocks, and those held back for an earlier one.
struct Lane {
    state: StreamState,
    pool: BlockPool,
    held: Vec<Lent>,
    /// Distances ahead, in packets, at which a block waits for those before it.
    reorder: Range<u64>,
    channels: usize,
    sample_type: signal::SampleType,
}

/// Takes what the device delivers, finds gaps and times, and fans out.
pub(crate) struct Reader {
    lanes: Vec<Lane>,
    pub(crate) recorder: RecorderPort,
    pub(crate) feeds: Vec<FeedSender>,
    events: EventPort,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    config: AcquisitionConfig,
    pacing: Pacing,
    /// Fixes the UTC of all samples; later anchors are evidence only.
    base: ClockAnchor,
    latest: ClockAnchor,
    checked: HostNanos,
    anchored: HostNanos,
    quality_at: HostNanos,
    slept_ns: i64,
    seen: HostNanos,
}

impl Reader {
    pub(crate) fn new(
        description: &DeviceDescription,
        config: AcquisitionConfig,
        clock: Arc<dyn Clock>,
        recorder: RecorderPort,
        (events, shared): (EventPort, Arc<Shared>),
    ) -> Self {
        let anchor = read_anchor(clock.as_ref());
        let lanes = description
            .streams
            .iter()
            .enumerate()
            .map(|(position, stream)| lane(description, position, stream, &config, anchor.host))
            .collect();
        let slept_ns = config.suspend.slept_ns();
        Self {
            lanes,
            recorder,
            feeds: Vec::new(),
            events,
            shared,
            clock,
            config,
            pacing: description.pacing,
            base: anchor,
            latest: anchor,
            checked: anchor.host,
            anchored: anchor.host,
            quality_at: anchor.host,
            slept_ns,
            seen: anchor.host,
        }
    }

    /// The first message of all.
    pub(crate) fn open(&mut self) {
        self.recorder.message(Record::Anchor(self.base));
    }

    /// Announces an event, and puts it into the record when it belongs there.
    pub(crate) fn announce(&mut self, event: AcquisitionEvent, in_record: bool) {
        if in_record {
            self.recorder.message(Record::Event(event.clone()));
        }
        self.events.put(event);
    }

    /// Counts a lost connection.
    pub(crate) fn lost(&self) {
        self.shared.disconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// Every stream is interrupted: the next block of each decides what is missing.
    pub(crate) fn interrupt_all(&mut self, cause: GapCause) {
        self.release_all();
        for lane in &mut self.lanes {
            lane.state.interrupt(cause, None);
        }
    }

    /// Silence is counted from now: after a pause or while the connection is known to be lost.
    pub(crate) fn hear_all(&mut self) {
        let now = self.clock.host();
        for lane in &mut self.lanes {
            lane.state.heard = now;
        }
    }

    /// What must happen whether or not data come. Called after each read.
    pub(crate) fn tick(&mut self, expecting: bool) {
        let now = self.clock.host();
        self.check_sleep();
        self.release_old(now);
        self.recorder.flush();
        self.check_wall_clock(now);
        if expecting {
            self.check_silence(now);
        }
        if now.nanos_since(self.quality_at) >= nanos(QUALITY_EVERY) {
            self.quality_at = now;
            self.record_quality();
        }
        self.shared
            .publish(self.lanes.iter().map(|lane| lane.state.stats));
        let made = self.lanes.iter().map(|lane| lane.pool.made()).sum();
        self.shared.blocks_made.store(made, Ordering::Relaxed);
    }

    /// Ends everything: what is held back, open overflows, the record, the feeds.
    pub(crate) fn finish(&mut self, reason: &EndReason) -> bool {
        self.release_all();
        self.record_quality();
        self.shared
            .publish_final(self.lanes.iter().map(|lane| lane.state.stats));
        let at = self.base.utc_at(self.clock.host());
        let ends: Vec<(u64, UtcNanos)> = self
            .lanes
            .iter()
            .map(|lane| (lane.state.next_index, at))
            .collect();
        let patience = self.config.drain_timeout;
        let taken = self.recorder.finish(&ends, reason.clone(), patience);
        fan_out(
            &mut self.feeds,
            &FeedItem::Ended(reason.clone()),
            &self.shared,
        );
        taken
    }

    fn record_quality(&mut self) {
        for (position, lane) in self.lanes.iter().enumerate() {
            let quality = lane.state.stats.clock;
            if quality.rate_hz > 0.0 {
                let stream = stream_index(position);
                self.recorder.message(Record::Quality { stream, quality });
            }
        }
    }

    fn check_sleep(&mut self) {
        let slept = self.config.suspend.slept_ns();
        let for_ns = slept.saturating_sub(self.slept_ns);
        self.slept_ns = slept;
        if for_ns >= nanos(SUSPEND_MIN) {
            self.interrupt_all(GapCause::Suspended);
            self.hear_all();
            self.announce(AcquisitionEvent::Suspended { for_ns }, true);
            self.anchor_anew();
        }
    }

    fn anchor_anew(&mut self) {
        self.latest = read_anchor(self.clock.as_ref());
        self.anchored = self.latest.host;
        self.recorder.message(Record::Anchor(self.latest));
    }

    fn check_wall_clock(&mut self, now: HostNanos) {
        if now.nanos_since(self.checked) < nanos(ANCHOR_CHECK) {
            return;
        }
        self.checked = now;
        let anchor = read_anchor(self.clock.as_ref());
        let by_ns = anchor.utc.nanos_since(self.latest.utc_at(anchor.host));
        if by_ns.saturating_abs() > nanos(self.config.clock_step) {
            self.announce(AcquisitionEvent::ClockStepped { by_ns }, true);
            self.anchor_anew();
        } else if now.nanos_since(self.anchored) >= nanos(ANCHOR_EVERY) {
            self.anchor_anew();
        }
    }

    fn check_silence(&mut self, now: HostNanos) {
        if self.pacing == Pacing::AsFastAsPossible {
            return;
        }
        for position in 0..self.lanes.len() {
            let state = &mut self.lanes[position].state;
            let patience = nanos(self.config.silence).max(3 * state.block_ns());
            let quiet = now.nanos_since(state.heard) >= patience;
            if quiet && state.is_regular() && !state.silent {
                state.silent = true;
                let stream = stream_index(position);
                self.announce(AcquisitionEvent::NoData { stream }, true);
            }
        }
    }

    /// Takes one filled block: holds it back, or delivers it and what waited for it.
    fn take(&mut self, position: usize, lent: Lent) {
        let lane = &mut self.lanes[position];
        let ahead = lane.state.packets_ahead(lent.peek());
        if ahead.is_some_and(|ahead| lane.reorder.contains(&ahead)) {
            lane.held.push(lent);
            let state = &lane.state;
            lane.held
                .sort_unstable_by_key(|held| state.packets_ahead(held.peek()));
            if lane.held.len() == REORDER_PACKETS {
                self.release_first(position);
            }
            return;
        }
        // What is neither next nor surely a repetition may lie beyond what waits: that goes first.
        let repeated = ahead.is_some_and(|ahead| ahead > u64::MAX / 2);
        if ahead != Some(0) && !repeated {
            self.release(position);
        }
        let waited = !self.lanes[position].held.is_empty();
        self.deliver(position, lent);
        if waited && ahead == Some(0) {
            self.lanes[position].state.stats.reordered += 1;
            self.release_due(position);
        }
    }

    /// Delivers what is held back and due.
    fn release_due(&mut self, position: usize) {
        loop {
            let lane = &mut self.lanes[position];
            let Some(first) = lane.held.first() else {
                return;
            };
            match lane.state.packets_ahead(first.peek()) {
                Some(ahead) if lane.reorder.contains(&ahead) => return,
                _ => {}
            }
            let lent = lane.held.remove(0);
            self.deliver(position, lent);
        }
    }

    /// Gives up what is missing before the first block held back.
    fn release_first(&mut self, position: usize) {
        let held = &mut self.lanes[position].held;
        if !held.is_empty() {
            let lent = held.remove(0);
            self.deliver(position, lent);
            self.release_due(position);
        }
    }

    /// Delivers all that is held back: what did not come in time is lost.
    fn release(&mut self, position: usize) {
        while !self.lanes[position].held.is_empty() {
            self.release_first(position);
        }
    }

    fn release_all(&mut self) {
        for position in 0..self.lanes.len() {
            self.release(position);
        }
    }

    fn release_old(&mut self, now: HostNanos) {
        let old = |held: &Lent| now.nanos_since(held.peek().arrival) >= nanos(REORDER_WAIT);
        for position in 0..self.lanes.len() {
            while self.lanes[position].held.iter().any(old) {
                self.release_first(position);
            }
        }
    }

    fn deliver(&mut self, position: usize, mut lent: Lent) {
        let lane = &mut self.lanes[position];
        let stream = stream_index(position);
        let (gap, trim) = match lane.state.place(lent.block(), &self.base) {
            Placed::Next { gap, trim } => (gap, trim),
            Placed::Dropped => {
                lane.pool.give_back(lent);
                return;
            }
        };
        trim_front(lent.block(), trim);
        let back = std::mem::take(&mut lane.state.silent);
        let block = lane.pool.share(lent);
        let taken = lane.state.utc_of(&block, &self.base);
        if back {
            self.announce(AcquisitionEvent::DataBack { stream }, true);
        }
        if let Some(gap) = gap {
            self.recorder.gap(&gap);
            self.tell_gap(position, gap);
        }
        let (closed, sent) = self.recorder.block(&block, taken, block.arrival);
        if let Some(gap) = closed {
            // The feeds had these samples: the gap is the record's alone.
            self.lanes[position].state.stats.gaps += 1;
            self.announce(AcquisitionEvent::Gap(gap), false);
        }
        let stats = &mut self.lanes[position].state.stats;
        if !sent {
            stats.unrecorded += block.len as u64;
        }
        fan_out(&mut self.feeds, &FeedItem::Block(block), &self.shared);
    }

    fn tell_gap(&mut self, position: usize, gap: Gap) {
        self.lanes[position].state.stats.gaps += 1;
        self.events.put(AcquisitionEvent::Gap(gap));
        fan_out(&mut self.feeds, &FeedItem::Gap(gap), &self.shared);
    }

    fn malformed(&mut self, position: usize, lent: Lent, message: String) {
        let lane = &mut self.lanes[position];
        lane.state.stats.malformed += 1;
        // A counter shows the loss by itself at the next block; without one, it must be said.
        if !lane.state.is_counted() {
            lane.state
                .interrupt(GapCause::Transport, Some(signal::Missing::Unknown));
        }
        lane.pool.give_back(lent);
        let stream = stream_index(position);
        self.announce(AcquisitionEvent::Malformed { stream, message }, true);
    }

    fn mark(
        &mut self,
        onset: DeviceNanos,
        duration_ns: Option<i64>,
        text: String,
        origin: signal::AnnotationOrigin,
    ) {
        let epoch = self.lanes.iter().find_map(|lane| match lane.state.base {
            TimeBase::Device { epoch, .. } => Some(epoch),
            _ => None,
        });
        // Without a device clock there is nothing that the onset could count from.
        let onset = match epoch {
            Some(epoch) => epoch.plus_nanos(onset.0),
            None => self.base.utc_at(self.clock.host()),
        };
        self.enter_mark(onset, duration_ns, text, origin);
    }

    fn enter_mark(
        &mut self,
        onset: signal::UtcNanos,
        duration_ns: Option<i64>,
        text: String,
        origin: signal::AnnotationOrigin,
    ) {
        self.recorder.message(Record::Annotation(Mark {
            onset,
            duration_ns,
            text,
            code: None,
            origin,
            channels: Vec::new(),
        }));
    }
}

impl Sink for Reader {
    fn block(&mut self, stream: StreamIndex, fill: &mut dyn FnMut(&mut SampleBlock)) {
        let position = usize::from(stream.0);
        let Some(lane) = self.lanes.get_mut(position) else {
            return;
        };
        let mut lent = lane.pool.take();
        fill(lent.block());
        let block = lent.block();
        if block.len == 0 {
            lane.pool.give_back(lent);
            return;
        }
        if block.arrival == HostNanos(0) {
            block.arrival = self.clock.host();
        }
        let arrival = block.arrival;
        if block.channels != lane.channels || block.samples.sample_type() != lane.sample_type {
            let message = "shape or sample type differ from the description".to_owned();
            return self.malformed(position, lent, message);
        }
        if let Err(error) = block.check() {
            return self.malformed(position, lent, error.to_string());
        }
        // The first block after a wake-up comes before the next tick.
        if arrival.nanos_since(self.seen) >= nanos(SUSPEND_MIN) {
            self.check_sleep();
        }
        self.seen = arrival;
        self.release_old(arrival);
        self.take(position, lent);
    }

    fn event(&mut self, event: DeviceEvent) {
        match event {
            DeviceEvent::Annotation {
                onset,
                duration_ns,
                text,
                origin,
            } => self.mark(onset, duration_ns, text, origin),
            DeviceEvent::MarkAt {
                stream,
                offset,
                samples,
                text,
                origin,
            } => {
                let state = (self.lanes.get(usize::from(stream.0))).map(|lane| &lane.state);
                let onset = state.and_then(|state| state.time_of_offset(offset, &self.base));
                let onset = onset.unwrap_or_else(|| self.base.utc_at(self.clock.host()));
                let length = |samples| state.map(|state| state.nanos_of(samples));
                let duration_ns = samples.and_then(length);
                self.enter_mark(onset, duration_ns, text, origin);
            }
            DeviceEvent::Discontinuity {
                stream,
                cause,
                missing,
            } => {
                let position = usize::from(stream.0);
                if position < self.lanes.len() {
                    self.release(position);
                    self.lanes[position].state.interrupt(cause, Some(missing));
                }
            }
            DeviceEvent::Stale {
                stream, channel, ..
            } => {
                if let Some(lane) = self.lanes.get_mut(usize::from(stream.0)) {
                    lane.state.stats.stale += 1;
                }
                self.announce(AcquisitionEvent::Stale { stream, channel }, true);
            }
            DeviceEvent::Battery(level) => {
                self.announce(AcquisitionEvent::Battery(level), false);
            }
            DeviceEvent::Garbage { bytes } => {
                self.shared
                    .garbage_bytes
                    .fetch_add(bytes, Ordering::Relaxed);
                self.announce(AcquisitionEvent::Garbage { bytes }, false);
            }
            DeviceEvent::Warning(text) => {
                self.announce(AcquisitionEvent::Warning(text), true);
            }
        }
    }
}

fn lane(
    description: &DeviceDescription,
    position: usize,
    stream: &signal::StreamDescription,
    config: &AcquisitionConfig,
    now: HostNanos,
) -> Lane {
    let index = stream_index(position);
    let base = time_base(stream, description.pacing, description.class);
    let resume = config.resume.iter().find(|resume| resume.stream == index);
    let mut state = StreamState::new(index, stream, base, resume.copied());
    state.heard = now;
    let bound = config.recorder_queue + 2 * crate::limits::FEED_QUEUE;
    let channels = stream.channels.len();
    Lane {
        pool: BlockPool::new(
            index,
            stream.sample_type,
            channels,
            POOL_BLOCK_SAMPLES,
            (POOL_START, bound),
        ),
        held: Vec::with_capacity(REORDER_PACKETS),
        reorder: reorder_range(description.pacing, stream.counter),
        channels,
        sample_type: stream.sample_type,
        state,
    }
}

/// A packet beyond half of the counter's period may as well be a repeated one, and a source that
/// waits for its reader does not reorder.
fn reorder_range(pacing: Pacing, counter: Option<CounterSpec>) -> Range<u64> {
    match counter {
        Some(counter) if pacing == Pacing::RealTime => match counter.modulus {
            0 => 1..u64::MAX / 2,
            modulus => 1..modulus.checked_div(counter.step).unwrap_or(0) / 2,
        },
        _ => 0..0,
    }
}

fn stream_index(position: usize) -> StreamIndex {
    StreamIndex(u16::try_from(position).unwrap_or(u16::MAX))
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Reads both clocks at the same instant: between two readings of the host clock, tried again when
/// the scheduler came in between.
fn read_anchor(clock: &dyn Clock) -> ClockAnchor {
    /// Readings further apart than this were interrupted, ns.
    const APART: i64 = 100_000;
    let mut best = (
        i64::MAX,
        ClockAnchor {
            host: HostNanos(0),
            utc: UtcNanos(0),
        },
    );
    for _ in 0..3 {
        let before = clock.host();
        let utc = clock.utc();
        let apart = clock.host().nanos_since(before);
        if apart < best.0 {
            let host = before.plus_nanos(apart / 2);
            best = (apart, ClockAnchor { host, utc });
        }
        if apart <= APART {
            break;
        }
    }
    best.1
}
