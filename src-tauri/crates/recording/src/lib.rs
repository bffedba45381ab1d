//! Crash-safe encrypted journal, its reader, and the overview pyramid.
//!
//! A [`Recorder`] takes blocks as the device delivered them and writes self-contained frames into
//! append-only segments; kill it or cut the power and at most the last second is gone. A
//! [`Recording`] reads them back bit for bit, also while they are written. [`verify()`] names the
//! first bad byte, [`repair()`] moves torn tails aside and rebuilds the caches.
//!
//! Time and randomness are passed in ([`Entropy`], [`ClockAnchor`], `now`), the disk is a trait
//! ([`Storage`]); the feature `faults` has a simulated one that fails by seed.
#![doc = include_str!("../FORMAT.md")]

mod annotate;
mod bits;
mod catalog;
mod check;
mod codec;
mod container;
mod document;
mod error;
mod event;
#[cfg(feature = "faults")]
mod faults;
mod files;
mod frame;
#[cfg(test)]
mod future;
mod header;
mod keys;
pub mod limits;
mod overview;
mod pyramid;
mod quality;
mod read;
mod reader;
mod recorder;
mod repair;
mod rice;
mod seal;
mod storage;
mod stream_writer;
mod timeline;
mod view;

pub use annotate::annotate;
pub use check::{Problem, VerifyReport, decode_frame_bytes, verify};
pub use container::{FORMAT, MIN_READER};
pub use error::{Fault, RecordingError, Result};
pub use event::{Mark, RecordedAnnotation};
#[cfg(feature = "faults")]
pub use faults::{FaultPlan, FaultyStorage};
pub use header::{ClockAnchor, DeviceNote, Provenance, RecordingHeader, RecordingId};
pub use keys::{
    Entropy, Holder, KeyRing, KeysFile, OsEntropy, PrivateKey, PublicKey, RecordingKey, StationKey,
    Unlock, WrappedCopy, rewrap,
};
pub use quality::{Loss, StreamQuality, stream_quality};
pub use read::Pieces;
pub use reader::{
    BlockPart, Envelopes, KnownGap, Piece, Recording, Run, SegmentInfo, SegmentState,
};
pub use recorder::{Appended, ClosedSegment, Recorder, RecordingSummary, ResumePoint};
pub use repair::{RepairReport, repair};
pub use storage::{FileEntry, OsStorage, Storage, StorageFile};
