//! Counters that anyone may read while acquisition runs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How good a stream's time is, found by the clock fit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ClockQuality {
    /// Rate found, samples a host second; 0 until known.
    pub rate_hz: f64,
    /// Deviation of the rate from nominal, parts per million.
    pub drift_ppm: f64,
    /// Median lateness of arrivals against the fitted clock, ms.
    pub jitter_p50_ms: f64,
    /// 95th percentile of lateness, ms.
    pub jitter_p95_ms: f64,
    /// Standard error of the fitted time now, ms, beyond the constant latency that arrival stamps
    /// cannot show.
    pub residual_ms: f64,
}

/// One stream's account so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StreamStats {
    /// Samples per channel delivered.
    pub samples: u64,
    /// Blocks delivered.
    pub blocks: u64,
    /// Gaps of every cause, recorder overflow included.
    pub gaps: u64,
    /// Samples per channel known to be missing (gaps of exact length).
    pub missing: u64,
    /// Gaps whose length is ambiguous or known by time only.
    pub uncertain_gaps: u64,
    /// Packets that came twice; recorded once.
    pub duplicates: u64,
    /// Packets that came out of order and were put back in order.
    pub reordered: u64,
    /// Packets that came after their gap had been declared; not recorded.
    pub late: u64,
    /// Blocks that were not well formed.
    pub malformed: u64,
    /// Samples whose channel was stale.
    pub stale: u64,
    /// Samples per channel that the recorder had no room for.
    pub unrecorded: u64,
    /// Time's quality.
    pub clock: ClockQuality,
}

/// The account of an acquisition so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AcquisitionStats {
    /// In the device's order.
    pub streams: Vec<StreamStats>,
    /// Bytes that made no packet.
    pub garbage_bytes: u64,
    /// Times the connection was lost.
    pub disconnects: u64,
    /// Most messages that ever waited for the recorder.
    pub recorder_queue_peak: usize,
    /// Messages other than blocks that the recorder's backlog had no room for.
    pub recorder_backlog_lost: u64,
    /// Items that feeds dropped because nobody took them, all feeds together.
    pub feed_dropped: u64,
    /// Events dropped because nobody took them.
    pub events_dropped: u64,
    /// Times the analysis panicked.
    pub analysis_restarts: u64,
    /// Blocks made by the pools since the start; constant in steady state.
    pub blocks_made: u64,
}

/// What the threads write and [`AcquisitionStats`] is read from.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Copied in by the device thread after each read, never per sample.
    streams: Mutex<Vec<StreamStats>>,
    pub(crate) garbage_bytes: AtomicU64,
    pub(crate) disconnects: AtomicU64,
    pub(crate) recorder_queue_peak: AtomicUsize,
    pub(crate) recorder_backlog_lost: AtomicU64,
    pub(crate) feed_dropped: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
    pub(crate) analysis_restarts: AtomicU64,
    pub(crate) blocks_made: AtomicU64,
}

impl Shared {
    pub(crate) fn new(streams: usize) -> Self {
        Self {
            streams: Mutex::new(vec![StreamStats::default(); streams]),
            ..Self::default()
        }
    }

    /// Publishes every stream's account. While someone reads, this is a no-op: the next read of
    /// the device tries again, so that its thread never waits.
    pub(crate) fn publish(&self, stats: impl Iterator<Item = StreamStats>) {
        if let Ok(mut streams) = self.streams.try_lock() {
            fill(&mut streams, stats);
        }
    }

    /// Publishes the last word, waiting for readers.
    pub(crate) fn publish_final(&self, stats: impl Iterator<Item = StreamStats>) {
        let mut streams = match self.streams.lock() {
            Ok(streams) => streams,
            Err(poisoned) => poisoned.into_inner(),
        };
        fill(&mut streams, stats);
    }

    pub(crate) fn snapshot(&self) -> AcquisitionStats {
        let streams = match self.streams.lock() {
            Ok(streams) => streams.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        AcquisitionStats {
            streams,
            garbage_bytes: count(&self.garbage_bytes),
            disconnects: count(&self.disconnects),
            recorder_queue_peak: self.recorder_queue_peak.load(Ordering::Relaxed),
            recorder_backlog_lost: count(&self.recorder_backlog_lost),
            feed_dropped: count(&self.feed_dropped),
            events_dropped: count(&self.events_dropped),
            analysis_restarts: count(&self.analysis_restarts),
            blocks_made: count(&self.blocks_made),
        }
    }
}

fn fill(streams: &mut [StreamStats], stats: impl Iterator<Item = StreamStats>) {
    for (slot, stats) in streams.iter_mut().zip(stats) {
        *slot = stats;
    }
}
