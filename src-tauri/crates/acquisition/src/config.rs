//! Settings of one acquisition, with the defaults of [`crate::limits`].

use crate::limits;
use crate::suspend::{SuspendWatch, SystemSuspend};
use signal::{StreamIndex, UtcNanos};
use std::sync::Arc;
use std::time::Duration;

/// Where a stream of a resumed recording goes on (after a crash of the engine).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamResume {
    /// Which stream.
    pub stream: StreamIndex,
    /// Index one past the last sample in the record.
    pub next_index: u64,
    /// When that sample was due.
    pub due: UtcNanos,
}

/// Settings of one acquisition.
#[derive(Debug, Clone)]
pub struct AcquisitionConfig {
    /// Messages in the recorder's queue.
    pub recorder_queue: usize,
    /// Longest wait in one read.
    pub read_timeout: Duration,
    /// A stream without data for this long is announced.
    pub silence: Duration,
    /// First pause before a lost device is tried again; doubles.
    pub retry_first: Duration,
    /// Longest such pause.
    pub retry_longest: Duration,
    /// Give up a lost device after this long; `None` never does.
    pub retry_for: Option<Duration>,
    /// A wall clock further than this from the last anchor has been stepped.
    pub clock_step: Duration,
    /// How long a stop waits for the recorder.
    pub drain_timeout: Duration,
    /// How often a failed recorder is offered its message again.
    pub recorder_retry: Duration,
    /// Where each stream goes on, when an interrupted recording is resumed; empty otherwise.
    pub resume: Vec<StreamResume>,
    /// Tells how long the computer has slept.
    pub suspend: Arc<dyn SuspendWatch>,
}

impl Default for AcquisitionConfig {
    fn default() -> Self {
        Self {
            recorder_queue: limits::RECORDER_QUEUE,
            read_timeout: limits::READ_TIMEOUT,
            silence: limits::SILENCE,
            retry_first: limits::RETRY_FIRST,
            retry_longest: limits::RETRY_LONGEST,
            retry_for: None,
            clock_step: limits::CLOCK_STEP,
            drain_timeout: limits::DRAIN_TIMEOUT,
            recorder_retry: limits::RECORDER_RETRY,
            resume: Vec::new(),
            suspend: Arc::new(SystemSuspend),
        }
    }
}
