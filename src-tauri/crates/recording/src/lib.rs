//! Crash-safe encrypted journal, its reader, and the overview pyramid.

mod check;
mod container;
mod document;
mod error;
mod event;
mod header;
mod keys;
mod limits;
mod reader;
mod recorder;
mod seal;
mod storage;

pub use check::{Problem, RepairReport, VerifyReport, repair, verify};
pub use container::{FORMAT, MIN_READER};
pub use error::{Fault, RecordingError, Result};
pub use event::{Mark, RecordedAnnotation};
pub use header::{ClockAnchor, DeviceNote, Provenance, RecordingHeader, RecordingId};
pub use keys::{
    Entropy, Holder, KeyRing, KeysFile, OsEntropy, PrivateKey, PublicKey, RecordingKey, StationKey,
    Unlock, WrappedCopy, rewrap,
};
pub use reader::{
    BlockPart, Envelopes, KnownGap, Piece, Pieces, Recording, Run, SegmentInfo, SegmentState,
};
pub use recorder::{Appended, ClosedSegment, Recorder, RecordingSummary, ResumePoint};
pub use storage::{FileEntry, OsStorage, Storage, StorageFile};
