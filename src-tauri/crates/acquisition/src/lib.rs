//! Device threads: sample counting, gaps, clock fit, fan-out of blocks.
mod config;
pub mod limits;
mod message;
mod pool;
mod queue;
mod stats;
mod suspend;

pub use config::{AcquisitionConfig, StreamResume};
pub use message::{
    AcquisitionEvent, Analyser, AnalyserFactory, BlockRecorder, ClockAnchor, EndReason, FeedItem,
    Mark, Record, RecorderFailure, RecorderFailureKind,
};
pub use pool::PooledBlock;
pub use queue::BlockFeed;
pub use stats::{AcquisitionStats, ClockQuality, StreamStats};
pub use suspend::{SuspendWatch, SystemSuspend};
