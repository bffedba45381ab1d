//! What travels on the queues, and the traits of who takes it.

use crate::{ClockQuality, PooledBlock};
use contract::ErrorKind;
use signal::{AnnotationOrigin, Gap, HostNanos, SampleBlock, StreamIndex, UtcNanos};
use std::fmt::Debug;
use thiserror::Error;

/// The host clock and UTC, read at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockAnchor {
    /// Host clock.
    pub host: HostNanos,
    /// UTC.
    pub utc: UtcNanos,
}

impl ClockAnchor {
    /// UTC at `host` by this anchor; smooth whatever the wall clock has done since.
    #[must_use]
    pub const fn utc_at(&self, host: HostNanos) -> UtcNanos {
        self.utc.plus_nanos(host.nanos_since(self.host))
    }
}

/// A mark for the record; the recorder gives it its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When it begins.
    pub onset: UtcNanos,
    /// How long it lasts, ns.
    pub duration_ns: Option<i64>,
    /// What it says.
    pub text: String,
    /// Code from the protocol, where it has one.
    pub code: Option<String>,
    /// Who made it.
    pub origin: AnnotationOrigin,
    /// Labels of the channels it is about; empty when about all.
    pub channels: Vec<String>,
}

/// Why acquisition ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// [`crate::AcquisitionHandle::stop`].
    Stopped,
    /// The source has no more (a file's end).
    SourceEnded,
    /// The device failed in a way that trying again does not mend.
    DeviceFailed {
        /// On what a caller may act.
        kind: ErrorKind,
        /// What happened and what to do.
        message: String,
    },
    /// The driver panicked; what came before is in the record.
    DriverPanicked,
}

/// Everything the recorder is given, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Record {
    /// Samples as the device delivered them, with index and fitted time.
    Block(PooledBlock),
    /// Samples that will never come. Sent before the block that follows the gap.
    Gap(Gap),
    /// A mark of the device, the source, a person or the protocol.
    Annotation(Mark),
    /// Host clock and UTC side by side: first of all messages, then once a minute and at every step.
    Anchor(ClockAnchor),
    /// How good a stream's time is: once a minute and at the end.
    Quality {
        /// Which stream.
        stream: StreamIndex,
        /// Rate found, drift, jitter.
        quality: ClockQuality,
    },
    /// Something that belongs beside the samples (lost connection, stepped clock).
    Event(AcquisitionEvent),
    /// Nothing follows.
    End(EndReason),
}

/// What happened, for those who watch. Holds no text that could identify a person.
#[derive(Debug, Clone, PartialEq)]
pub enum AcquisitionEvent {
    /// The device streams for the first time.
    Connected,
    /// The connection is lost.
    Disconnected {
        /// What the driver says.
        message: String,
    },
    /// Trying to reach it.
    Retrying {
        /// Attempt, from 1.
        attempt: u32,
    },
    /// It streams again.
    Resumed {
        /// Attempts it took.
        attempts: u32,
    },
    /// Recording is paused by a person.
    Paused,
    /// And goes on.
    Unpaused,
    /// A stream has sent nothing for the configured time.
    NoData {
        /// Which stream.
        stream: StreamIndex,
    },
    /// It sends again.
    DataBack {
        /// Which stream.
        stream: StreamIndex,
    },
    /// Samples are missing.
    Gap(Gap),
    /// A channel no longer delivers new values.
    Stale {
        /// Which stream.
        stream: StreamIndex,
        /// Which channel.
        channel: u16,
    },
    /// Battery level, per cent.
    Battery(u8),
    /// Bytes that made no packet were skipped.
    Garbage {
        /// How many.
        bytes: u64,
    },
    /// The driver delivered a block that is not well formed; its samples are in a gap.
    Malformed {
        /// Which stream.
        stream: StreamIndex,
        /// What is wrong with it.
        message: String,
    },
    /// Something a person should read, from the driver.
    Warning(String),
    /// The recorder's queue was full: samples are lost to the record.
    RecorderFull {
        /// Which stream.
        stream: StreamIndex,
        /// Samples per channel not recorded so far in this run.
        dropped: u64,
    },
    /// The recorder could not write; it is tried again until it can.
    RecorderFailed {
        /// On what a caller may act.
        kind: RecorderFailureKind,
        /// What happened and what to do.
        message: String,
    },
    /// The recorder writes again.
    RecorderRecovered,
    /// The wall clock was stepped. Sample times go on smoothly.
    ClockStepped {
        /// By how much; positive when it was put forward.
        by_ns: i64,
    },
    /// The computer slept.
    Suspended {
        /// For how long.
        for_ns: i64,
    },
    /// The analysis panicked and was started anew; the record is untouched.
    AnalysisRestarted {
        /// How often so far.
        count: u64,
    },
    /// Acquisition has ended.
    Ended(EndReason),
}

/// Kinds of recorder failure on which a caller acts differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecorderFailureKind {
    /// No space left; offered again.
    DiskFull,
    /// The disk failed; offered again.
    Io,
    /// This message can never be written; it is skipped, and what it held becomes a gap.
    Rejected,
    /// The recorder panicked on this message; treated as rejected.
    Panicked,
}

/// A recorder that could not take a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("record: {message}")]
pub struct RecorderFailure {
    /// On what the recorder loop acts.
    pub kind: RecorderFailureKind,
    /// What happened and what to do.
    pub message: String,
}

/// Takes the record. Runs on the thread named `recorder`.
pub trait BlockRecorder: Send {
    /// Takes one message.
    ///
    /// # Errors
    /// An error means that nothing of `record` was kept: it is offered again, unless it was
    /// [`RecorderFailureKind::Rejected`].
    fn record(&mut self, record: &Record) -> Result<(), RecorderFailure>;

    /// Called at least every [`crate::limits::RECORDER_TICK`], for flushing by time.
    ///
    /// # Errors
    /// Reported; the next tick tries again.
    fn tick(&mut self, now: HostNanos) -> Result<(), RecorderFailure>;

    /// Gaps since the last call for samples that it had taken and could not keep. They are in the record
    /// already; here they are only told of.
    fn lost(&mut self) -> Vec<Gap> {
        Vec::new()
    }
}

/// Watches the blocks on the thread named `signal`. May panic: it is dropped and made anew.
pub trait Analyser: Send {
    /// A block, as recorded.
    fn block(&mut self, block: &SampleBlock);

    /// Samples are missing before the next block of that stream. A slow analyser may miss this
    /// message as it misses blocks: a jump of `first_index` is the authority.
    fn gap(&mut self, _gap: &Gap) {}

    /// Called at least every [`crate::limits::ANALYSIS_TICK`].
    fn tick(&mut self, _now: HostNanos) {}
}

/// Makes an analyser, at the start and after each panic.
pub type AnalyserFactory = Box<dyn FnMut() -> Box<dyn Analyser> + Send>;

/// What a display or analysis queue carries.
#[derive(Debug, Clone)]
pub enum FeedItem {
    /// A block, as recorded.
    Block(PooledBlock),
    /// Samples are missing before the next block of that stream.
    Gap(Gap),
    /// Nothing follows.
    Ended(EndReason),
}
