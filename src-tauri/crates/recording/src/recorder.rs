//! Writes a recording.

use crate::error::Result;
use crate::event::Mark;
use crate::header::{ClockAnchor, RecordingHeader, RecordingId};
use crate::keys::{Entropy, KeyRing, Unlock};
use crate::storage::Storage;
use signal::{Annotation, Gap, HostNanos, Impedance, SampleBlock, StreamIndex, UtcNanos};
use std::path::Path;
use std::sync::Arc;

/// A segment that will never change again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedSegment {
    /// Stream; `None` for the event stream.
    pub stream: Option<StreamIndex>,
    /// Number within the stream.
    pub number: u64,
    /// File name within the recording's folder.
    pub file: String,
    /// First sample index (event streams: 0).
    pub first_index: u64,
    /// Index past the last sample (event streams: number of events).
    pub end_index: u64,
    /// SHA-256 of the file's bytes.
    pub sha256: [u8; 32],
    /// Length of the file.
    pub bytes: u64,
    /// Whether the segment was closed by its writer; `false` when found after a crash.
    pub complete: bool,
}

/// What became of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Taken; it will be written at the next tick.
    Taken,
    /// The disk has not taken data for too long: the block is lost and will be declared a gap.
    Lost,
}

/// Where a stream stands when a recording is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// Stream.
    pub stream: StreamIndex,
    /// Least index that may come next.
    pub next_index: u64,
    /// UTC of the sample that would have come next; `None` when none was recorded.
    pub due: Option<UtcNanos>,
}

/// How a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSummary {
    /// Identity.
    pub id: RecordingId,
    /// Samples per stream recorded by this recorder (not counting gaps).
    pub samples: Vec<u64>,
    /// Blocks lost because the disk did not take them.
    pub lost_blocks: u64,
    /// Bytes of segments written by this recorder.
    pub bytes: u64,
    /// Segments closed and not drained yet.
    pub closed: Vec<ClosedSegment>,
}

/// Writes one recording; lives on the thread named `recorder`.
#[derive(Debug)]
pub struct Recorder {}

impl Recorder {
    /// Begins a recording in `folder`.
    ///
    /// # Errors
    /// [`crate::RecordingError::Exists`], a header that does not survive JSON, storage errors.
    pub fn create(
        folder: &Path,
        header: RecordingHeader,
        ring: &KeyRing,
        storage: Arc<dyn Storage>,
        entropy: Box<dyn Entropy>,
        anchor: ClockAnchor,
    ) -> Result<Self> {
        todo!()
    }
    /// Goes on with the recording in `folder` after a crash, a restart or its end.
    pub fn resume(
        folder: &Path,
        unlock: &Unlock,
        storage: Arc<dyn Storage>,
        entropy: Box<dyn Entropy>,
        anchor: ClockAnchor,
    ) -> Result<Self> {
        todo!()
    }
    pub fn header(&self) -> &RecordingHeader {
        todo!()
    }
    pub fn resume_points(&self) -> Vec<ResumePoint> {
        todo!()
    }
    pub fn append(&mut self, block: &SampleBlock) -> Result<Appended> {
        todo!()
    }
    pub fn gap(&mut self, gap: &Gap) -> Result<()> {
        todo!()
    }
    pub fn annotate(&mut self, annotation: &Annotation) -> Result<()> {
        todo!()
    }
    pub fn anchor(&mut self, anchor: ClockAnchor) -> Result<()> {
        todo!()
    }
    pub fn impedances(&mut self, values: &[Impedance]) -> Result<()> {
        todo!()
    }
    pub fn mark(&mut self, mark: &Mark) -> Result<()> {
        todo!()
    }
    pub fn tick(&mut self, now: HostNanos) -> Result<()> {
        todo!()
    }
    pub fn stored_until(&self) -> Option<HostNanos> {
        todo!()
    }
    pub fn unsynced_bytes(&self) -> usize {
        todo!()
    }
    pub fn lost_blocks(&self) -> u64 {
        todo!()
    }
    pub fn drain_closed(&mut self) -> Vec<ClosedSegment> {
        todo!()
    }
    pub fn finish(&mut self, now: HostNanos) -> Result<RecordingSummary> {
        todo!()
    }
}
