//! One stream's place in the record: indices, gaps and times.

use crate::clock_fit::ClockFit;
use crate::config::StreamResume;
use crate::counter::{CounterTracker, Verdict};
use crate::limits::{COUNTER_RESET, RESUME_AGREEMENT, STAMPED_GAP, UNCOUNTED_GAP};
use crate::message::ClockAnchor;
use crate::stats::StreamStats;
use signal::{
    ClockSource, DeviceNanos, Gap, GapCause, HostNanos, Missing, NANOS_PER_S, SampleBlock,
    SamplingRate, StreamDescription, StreamIndex, UtcNanos,
};

/// How many recent gaps are remembered to tell late packets from repeated ones.
const RECENT_GAPS: usize = 16;

/// What time tells about missing samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeBase {
    /// Arrival at the host.
    Arrival,
    /// The device's own stamps; arrivals tell their quality when `live`.
    Device { epoch: UtcNanos, live: bool },
    /// Neither: an unpaced source without stamps.
    Virtual,
}

/// What to do with a block.
#[derive(Debug, PartialEq)]
pub(crate) enum Placed {
    /// It is the next one, after `gap` where samples are missing. Its first `trim` samples are
    /// repeated and must go.
    Next { gap: Option<Gap>, trim: usize },
    /// Everything in it was there before, or belongs into a declared gap.
    Dropped,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    cause: GapCause,
    /// What the device knows; `None` leaves it to the counter.
    missing: Option<Missing>,
}

/// State of one stream.
#[derive(Debug)]
pub(crate) struct StreamState {
    index: StreamIndex,
    rate: SamplingRate,
    rate_hz: Option<f64>,
    counter: Option<CounterTracker>,
    pub(crate) base: TimeBase,
    fit: ClockFit,
    /// Index due next.
    pub(crate) next_index: u64,
    started: bool,
    pending: Option<Pending>,
    resume: Option<StreamResume>,
    last_arrival: Option<HostNanos>,
    /// Device time at which the next sample is due.
    device_due: Option<DeviceNanos>,
    last_fitted: Option<(HostNanos, u64)>,
    recent: [(u64, u64); RECENT_GAPS],
    recent_at: usize,
    pub(crate) silent: bool,
    /// When silence is counted from.
    pub(crate) heard: HostNanos,
    pub(crate) stats: StreamStats,
}

impl StreamState {
    pub(crate) fn new(
        index: StreamIndex,
        description: &StreamDescription,
        base: TimeBase,
        resume: Option<StreamResume>,
    ) -> Self {
        let rate_hz = description.rate.as_hz();
        Self {
            index,
            rate: description.rate,
            rate_hz,
            counter: description.counter.and_then(CounterTracker::new),
            base,
            fit: ClockFit::new(rate_hz.unwrap_or(1.0)),
            next_index: resume.map_or(0, |resume| resume.next_index),
            started: false,
            pending: None,
            resume,
            last_arrival: None,
            device_due: None,
            last_fitted: None,
            recent: [(0, 0); RECENT_GAPS],
            recent_at: 0,
            silent: false,
            heard: HostNanos(0),
            stats: StreamStats::default(),
        }
    }

    /// Whether samples are due by the clock, so that their absence can be noticed.
    pub(crate) const fn is_regular(&self) -> bool {
        self.rate_hz.is_some()
    }

    /// Whether the device counts its packets.
    pub(crate) const fn is_counted(&self) -> bool {
        self.counter.is_some()
    }

    /// Length of the last block, ns.
    pub(crate) fn block_ns(&self) -> i64 {
        let (_, len) = self.last_fitted.unwrap_or_default();
        self.rate.nanos_of(len)
    }

    /// The next block does not continue the last one. What the device says outranks what we guess.
    pub(crate) fn interrupt(&mut self, cause: GapCause, missing: Option<Missing>) {
        if !self.started || (missing.is_none() && self.pending.is_some()) {
            return;
        }
        self.pending = Some(Pending { cause, missing });
    }

    /// Packets by which the block lies ahead of what is due, when that is by its counter alone and
    /// nothing else interrupts the stream.
    pub(crate) fn packets_ahead(&self, block: &SampleBlock) -> Option<u64> {
        if !self.started || self.pending.is_some() {
            return None;
        }
        self.counter.as_ref()?.ahead(block.counter?)
    }

    /// Finds index, gap and time of `block`, which must be well formed.
    pub(crate) fn place(&mut self, block: &mut SampleBlock, anchor: &ClockAnchor) -> Placed {
        let mut trim = 0;
        let lost = if !self.started {
            self.begin(block, anchor)
        } else if let Some(pending) = self.pending.take() {
            Some(self.after_interruption(block, pending))
        } else {
            match self.by_counter(block) {
                Some(Verdict::Continues) => None,
                Some(Verdict::Lost(packets)) => Some(self.lost(block, packets)),
                Some(Verdict::Ambiguous { least, likeliest }) => {
                    Some(self.ambiguous(least, likeliest))
                }
                Some(Verdict::Behind(packets)) if self.began_anew(packets) => Some((
                    Missing::Unknown,
                    self.missed_by_time(block),
                    self.loss_cause(),
                )),
                Some(Verdict::Behind(packets)) => {
                    let old = packets.saturating_mul(self.packet_samples());
                    self.count_repeated(old, packets);
                    if old >= block.len as u64 {
                        return Placed::Dropped;
                    }
                    trim = old as usize;
                    None
                }
                None if self.counter.is_some() && block.counter.is_some() => {
                    // Not a value that this counter can have: only time can tell.
                    Some((
                        Missing::Unknown,
                        self.missed_by_time(block),
                        self.loss_cause(),
                    ))
                }
                None => self.by_time(block),
            }
        };
        let gap = lost
            .map(|(missing, samples, cause)| self.open_gap(block, missing, samples, cause, anchor));
        self.resume = None;
        self.take_in(block, trim);
        Placed::Next { gap, trim }
    }

    fn packet_samples(&self) -> u64 {
        self.counter.as_ref().map_or(1, CounterTracker::samples)
    }

    const fn loss_cause(&self) -> GapCause {
        if self.silent {
            GapCause::Silence
        } else {
            GapCause::Transport
        }
    }

    fn begin(
        &mut self,
        block: &SampleBlock,
        anchor: &ClockAnchor,
    ) -> Option<(Missing, u64, GapCause)> {
        self.started = true;
        let resume = self.resume?;
        let first = self.utc_of(block, anchor);
        let missed = self.samples_in(first.nanos_since(resume.due));
        Some((Missing::Unknown, missed, GapCause::Restarted))
    }

    fn lost(&self, block: &SampleBlock, packets: u64) -> (Missing, u64, GapCause) {
        let samples = packets.saturating_mul(self.packet_samples());
        let late = self.lateness_s(block, samples);
        if late.is_some_and(|late| late < -COUNTER_RESET.as_secs_f64()) {
            let samples = self.missed_by_time(block);
            return (Missing::Unknown, samples, self.loss_cause());
        }
        (Missing::Exact(samples), samples, self.loss_cause())
    }

    /// Whether a counter lies so far back that it is no repetition but a new beginning.
    fn began_anew(&self, packets: u64) -> bool {
        let samples = packets.saturating_mul(self.packet_samples());
        let rate = self.rate_hz.unwrap_or(1.0);
        samples as f64 > COUNTER_RESET.as_secs_f64() * rate
    }

    fn ambiguous(&self, least: u64, likeliest: u64) -> (Missing, u64, GapCause) {
        let samples = self.packet_samples();
        let period = self.counter.as_ref().and_then(CounterTracker::period);
        let missing = Missing::Ambiguous {
            least: least.saturating_mul(samples),
            modulus: period.unwrap_or(0).saturating_mul(samples),
        };
        (
            missing,
            likeliest.saturating_mul(samples),
            self.loss_cause(),
        )
    }

    /// After a lost connection, a sleep or a pause, or where the device announced it.
    fn after_interruption(
        &mut self,
        block: &SampleBlock,
        pending: Pending,
    ) -> (Missing, u64, GapCause) {
        let by_time = self.missed_by_time(block);
        let (missing, samples) = match pending.missing {
            Some(Missing::Exact(samples)) => (Missing::Exact(samples), samples),
            Some(Missing::Ambiguous { least, modulus }) => {
                let periods = by_time.saturating_sub(least).checked_div(modulus);
                let likeliest = least + periods.unwrap_or(0) * modulus;
                (Missing::Ambiguous { least, modulus }, likeliest)
            }
            Some(Missing::Unknown) => (Missing::Unknown, by_time),
            None => match self.kept_counting(block, by_time) {
                Some(samples) => (Missing::Exact(samples), samples),
                None => (Missing::Unknown, by_time),
            },
        };
        if let Some(counter) = &mut self.counter {
            counter.forget();
        }
        (missing, samples, pending.cause)
    }

    /// The loss by the counter, if the device kept counting all the while: then it agrees with
    /// the time that has passed. A counter that began anew would agree by rare chance only, and a
    /// counter that may have wrapped says nothing.
    fn kept_counting(&self, block: &SampleBlock, by_time: u64) -> Option<u64> {
        let counter = self.counter.as_ref()?;
        let ahead = counter.ahead(block.counter?)?;
        let samples = ahead.checked_mul(counter.samples())?;
        let rate = self.rate_hz?;
        let tolerance = RESUME_AGREEMENT.as_secs_f64() * rate;
        if let Some(period) = counter.period() {
            let wrap = period.saturating_mul(counter.samples());
            if wrap as f64 <= by_time as f64 + 4.0 * tolerance {
                return None;
            }
        }
        let unclear = self.base == TimeBase::Virtual;
        (unclear || (samples as f64 - by_time as f64).abs() <= tolerance).then_some(samples)
    }

    fn by_counter(&self, block: &SampleBlock) -> Option<Verdict> {
        let counter = self.counter.as_ref()?;
        let ahead = counter.ahead(block.counter?)?;
        let packet_s = self
            .rate_hz
            .map_or(0.0, |rate| counter.samples() as f64 / rate);
        let lateness = self.rate_hz.and_then(|_| self.lateness_s(block, 0));
        let shift = if counter.period().is_some() {
            ahead as f64 * packet_s
        } else {
            0.0
        };
        Some(counter.judge(ahead, lateness.map(|late| late - shift), packet_s))
    }

    /// How late the block is if `lost` samples are missing before it, s.
    fn lateness_s(&self, block: &SampleBlock, lost: u64) -> Option<f64> {
        match self.base {
            TimeBase::Virtual => None,
            TimeBase::Device { .. } => {
                let (due, time) = (self.device_due?, block.device_time?);
                Some(time.seconds_since(due) - lost as f64 / self.rate_hz?)
            }
            TimeBase::Arrival => {
                let last = self.next_index + lost + (block.len as u64).saturating_sub(1);
                self.fit.lateness_s(last, block.arrival)
            }
        }
    }

    fn by_time(&mut self, block: &SampleBlock) -> Option<(Missing, u64, GapCause)> {
        let rate = self.rate_hz?;
        let late = self.lateness_s(block, 0)?;
        let threshold = match self.base {
            TimeBase::Device { .. } => STAMPED_GAP.as_secs_f64().max(1.5 / rate),
            _ => UNCOUNTED_GAP
                .as_secs_f64()
                .max(4.0 * block.len as f64 / rate),
        };
        (late > threshold).then(|| {
            let samples = (late * rate).round() as u64;
            (Missing::Unknown, samples, self.loss_cause())
        })
    }

    fn missed_by_time(&self, block: &SampleBlock) -> u64 {
        let late = self.lateness_s(block, 0).unwrap_or(0.0);
        self.samples_in((late * NANOS_PER_S as f64) as i64)
    }

    fn samples_in(&self, nanos: i64) -> u64 {
        self.rate.index_at(nanos)
    }

    fn count_repeated(&mut self, old: u64, packets: u64) {
        let from = self.next_index.saturating_sub(old);
        let declared = self
            .recent
            .iter()
            .any(|(first, end)| from >= *first && from < *end);
        if declared {
            self.stats.late += packets.min(1);
        } else {
            self.stats.duplicates += packets.min(1);
        }
    }

    fn open_gap(
        &mut self,
        block: &SampleBlock,
        missing: Missing,
        samples: u64,
        cause: GapCause,
        anchor: &ClockAnchor,
    ) -> Gap {
        let first_missing = self.next_index;
        let resumes_at = first_missing.saturating_add(samples);
        let from = self
            .due_utc(anchor)
            .unwrap_or_else(|| self.utc_of(block, anchor));
        self.next_index = resumes_at;
        let exact = matches!(missing, Missing::Exact(_));
        if exact {
            self.stats.missing += samples;
        } else {
            self.stats.uncertain_gaps += 1;
        }
        if !exact || !matches!(cause, GapCause::Transport | GapCause::Silence) {
            // The latency of a new connection is another, and a guessed index has no line.
            self.fit.restart();
        }
        let until = match self.base {
            TimeBase::Arrival if self.fit.is_started() => {
                self.fit.time_of(resumes_at).map(|host| anchor.utc_at(host))
            }
            _ => None,
        };
        self.recent[self.recent_at] = (first_missing, resumes_at);
        self.recent_at = (self.recent_at + 1) % RECENT_GAPS;
        Gap {
            stream: self.index,
            first_missing,
            resumes_at,
            missing,
            from,
            until: until
                .unwrap_or_else(|| self.utc_of(block, anchor))
                .max(from),
            cause,
        }
    }

    /// When the sample due next was or is due.
    fn due_utc(&self, anchor: &ClockAnchor) -> Option<UtcNanos> {
        match self.base {
            TimeBase::Device { epoch, .. } => Some(epoch.plus_nanos(self.device_due?.0)),
            _ if self.rate_hz.is_none() => Some(anchor.utc_at(self.last_arrival?)),
            _ => {
                if let Some(resume) = self.resume {
                    return Some(resume.due);
                }
                let (fitted, len) = self.last_fitted?;
                Some(anchor.utc_at(fitted.plus_nanos(self.rate.nanos_of(len))))
            }
        }
    }

    /// When the sample `offset` samples after the first one of the last block was taken; `None` before the
    /// first block.
    pub(crate) fn time_of_offset(&self, offset: i64, anchor: &ClockAnchor) -> Option<UtcNanos> {
        let (fitted, len) = self.last_fitted?;
        let first = match (self.base, self.device_due) {
            (TimeBase::Device { epoch, .. }, Some(due)) => {
                epoch.plus_nanos(due.0 - self.rate.nanos_of(len))
            }
            _ => anchor.utc_at(fitted),
        };
        let apart = self.rate.nanos_of(offset.unsigned_abs());
        Some(first.plus_nanos(if offset < 0 { -apart } else { apart }))
    }

    /// How long `samples` samples last, ns.
    pub(crate) fn nanos_of(&self, samples: u64) -> i64 {
        self.rate.nanos_of(samples)
    }

    /// When the block's first sample was taken, from the block alone.
    pub(crate) fn utc_of(&self, block: &SampleBlock, anchor: &ClockAnchor) -> UtcNanos {
        if let (TimeBase::Device { epoch, .. }, Some(time)) = (self.base, block.device_time) {
            return epoch.plus_nanos(time.0);
        }
        let first = block.fitted.unwrap_or_else(|| self.first_by_arrival(block));
        anchor.utc_at(first)
    }

    fn first_by_arrival(&self, block: &SampleBlock) -> HostNanos {
        let span = self.rate.nanos_of((block.len as u64).saturating_sub(1));
        block.arrival.plus_nanos(-span)
    }

    /// Gives the block its index and time, and notes where the next one is due.
    fn take_in(&mut self, block: &mut SampleBlock, trim: usize) {
        let len = (block.len - trim) as u64;
        let packet = self.packet_samples();
        if let (Some(counter), Some(raw)) = (&mut self.counter, block.counter) {
            if trim > 0 {
                block.counter = counter.expected();
            }
            counter.accept(raw, (block.len as u64).next_multiple_of(packet));
        }
        block.first_index = self.next_index;
        self.next_index += len;
        let skipped = self.rate.nanos_of(trim as u64);
        if let Some(time) = &mut block.device_time {
            *time = time.plus_nanos(skipped);
            self.device_due = Some(time.plus_nanos(self.rate.nanos_of(len)));
        }
        self.last_arrival = Some(block.arrival);
        self.heard = block.arrival;
        block.fitted = self.fit_in(block, len);
        if let Some(fitted) = block.fitted {
            self.last_fitted = Some((fitted, len));
        }
        self.stats.samples += len;
        self.stats.blocks += 1;
        self.stats.clock = self.fit.quality();
    }

    fn fit_in(&mut self, block: &SampleBlock, len: u64) -> Option<HostNanos> {
        if self.rate_hz.is_none() {
            return Some(block.arrival);
        }
        // The fit of a device clock lives in that clock's own samples: its gaps are no gaps there.
        let first = match (self.base, block.device_time) {
            (TimeBase::Device { live: false, .. }, _) => return None,
            (TimeBase::Device { .. }, Some(time)) => self.rate.index_at(time.0),
            _ => block.first_index,
        };
        if self.base != TimeBase::Virtual || !self.fit.is_started() {
            self.fit.add(first + len.saturating_sub(1), block.arrival);
        }
        let fitted = self.fit.time_of(first)?;
        // A new estimate never moves time back: at least half of what the last block took.
        let least = self
            .last_fitted
            .map(|(last, len)| last.plus_nanos((self.rate.nanos_of(len) / 2).max(1)));
        Some(least.map_or(fitted, |least| fitted.max(least)))
    }
}

/// Drops the first `count` samples of every channel, in place.
pub(crate) fn trim_front(block: &mut SampleBlock, count: usize) {
    fn rows<T>(values: &mut Vec<T>, len: usize, count: usize) {
        let mut position = 0;
        values.retain(|_| {
            let keep = position % len >= count;
            position += 1;
            keep
        });
    }
    if count == 0 || count > block.len {
        return;
    }
    let len = block.len;
    match &mut block.samples {
        signal::Samples::I16(values) => rows(values, len, count),
        signal::Samples::I24(values) | signal::Samples::I32(values) => rows(values, len, count),
        signal::Samples::F32(values) => rows(values, len, count),
        signal::Samples::F64(values) => rows(values, len, count),
        signal::Samples::Text(values) => rows(values, len, count),
    }
    if !block.stamps.is_empty() {
        block.stamps.drain(..count);
    }
    block.len -= count;
}

/// The time base of a stream.
pub(crate) const fn time_base(
    description: &StreamDescription,
    pacing: contract::Pacing,
    class: contract::DeviceClass,
) -> TimeBase {
    let paced = matches!(pacing, contract::Pacing::RealTime);
    match description.clock {
        ClockSource::Device { epoch } => TimeBase::Device {
            epoch,
            // A file or a simulation played at another speed has no rate to be found.
            live: paced && class.is_live(),
        },
        ClockSource::HostArrival if paced => TimeBase::Arrival,
        ClockSource::HostArrival => TimeBase::Virtual,
    }
}
