//! From a device to the record: one thread reads, counts, finds gaps, fits the clock and forks.
//!
//! [`Acquisition::start`] runs three kinds of named threads. `device-<id>` is the only one that
//! touches the device: it reads blocks into a pool, unwraps the device's counter, declares loss as
//! a [`signal::Gap`], fits sample times to arrivals, and hands every block to the recorder's queue
//! and to the feeds. `recorder` gives the messages to a [`BlockRecorder`] and keeps trying when it
//! cannot write. `signal` runs an [`Analyser`] that may panic.
//!
//! What must hold:
//! - Samples are never inserted, repeated or repaired. What did not come is in a gap.
//! - A paced source is never blocked: a full recorder queue becomes a gap, a full feed loses its
//!   oldest. A source without pace waits for the recorder instead, and loses nothing.
//! - In steady state nothing is allocated for a block, and no lock is waited for.
//!
//! Packets out of order are put back in order if the missing one comes within
//! [`limits::REORDER_WAIT`] and [`limits::REORDER_PACKETS`]; later it is counted as late and stays in
//! its gap, because the record is only appended to. A repeated packet is recorded once.
//!
//! A sleep of the computer is found by [`SuspendWatch`]: `CLOCK_BOOTTIME` against
//! `CLOCK_MONOTONIC`. A step of the wall clock is found by comparing both clocks every second; the
//! first [`ClockAnchor`] fixes the UTC of all samples, so their times stay smooth.

mod analysis;
mod check;
pub mod clock_fit;
mod config;
mod counter;
mod device_loop;
mod handle;
pub mod limits;
mod message;
mod pool;
mod port;
mod queue;
mod reader;
mod recorder_loop;
mod stats;
mod stream;
mod suspend;

pub use check::{
    CalibrationLimits, CalibrationReport, CalibrationVerdict, Cancel, ChannelCalibration,
    CheckOutcome, CheckProgress, GradedImpedance, ImpedanceReport, RunningCheck, check_impedances,
    run_calibration, spawn_calibration, spawn_impedance_check,
};
pub use config::{AcquisitionConfig, StreamResume};
pub use handle::{
    Acquisition, AcquisitionError, AcquisitionHandle, Consumers, ImpedancesUnderWay, Summary,
};
pub use message::{
    AcquisitionEvent, Analyser, AnalyserFactory, BlockRecorder, ClockAnchor, EndReason, FeedItem,
    Mark, Record, RecorderFailure, RecorderFailureKind,
};
pub use pool::PooledBlock;
pub use queue::BlockFeed;
pub use stats::{AcquisitionStats, ClockQuality, StreamStats};
pub use suspend::{SuspendWatch, SystemSuspend};
