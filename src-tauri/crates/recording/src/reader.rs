//! Reads a recording, also while it is written.

use crate::error::Result;
use crate::event::{Mark, RecordedAnnotation};
use crate::header::{ClockAnchor, RecordingHeader};
use crate::keys::Unlock;
use crate::storage::Storage;
use signal::{
    DeviceNanos, Gap, HostNanos, Impedance, Samples, StreamDescription, StreamIndex, UtcNanos,
};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Samples that follow each other without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First index.
    pub first_index: u64,
    /// Index past the last.
    pub end_index: u64,
    /// UTC of the first sample.
    pub start: UtcNanos,
}

/// A gap, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownGap {
    /// The gap.
    pub gap: Gap,
    /// Whether it was recorded; `false` when only the jump of the index shows it (a crash).
    pub recorded: bool,
}

/// One device block's share of a piece, as it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockPart {
    /// Index of its first sample.
    pub first_index: u64,
    /// Samples.
    pub len: u32,
    /// Raw counter of the device.
    pub counter: Option<u64>,
    /// Host clock at arrival.
    pub arrival: HostNanos,
    /// Device clock at the first sample.
    pub device_time: Option<DeviceNanos>,
    /// Fitted host clock at the first sample.
    pub fitted: Option<HostNanos>,
}

/// Contiguous samples of a stream: channels × samples, row-major, bit for bit as delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Index of the first sample.
    pub first_index: u64,
    /// Channels (rows).
    pub channels: usize,
    /// Samples per channel (columns).
    pub len: usize,
    /// UTC of the first sample.
    pub start: UtcNanos,
    /// Stamps of an irregular stream, one a sample; else empty.
    pub stamps: Vec<i64>,
    /// The values; row `c` is channel `c` of those asked for.
    pub samples: Samples,
}

/// Min/max of unscaled values in equal columns of an index range: channels × columns, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelopes {
    /// First index of the range.
    pub first_index: u64,
    /// Index past the range.
    pub end_index: u64,
    /// Channels (rows).
    pub channels: usize,
    /// Columns.
    pub columns: usize,
    /// Least value; NaN where the column has no sample.
    pub min: Vec<f64>,
    /// Greatest value; NaN where the column has no sample.
    pub max: Vec<f64>,
    /// Samples a bin of the level used; 1 when computed from the samples themselves.
    pub bin: u64,
}

/// State of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentState {
    /// Closed by its writer.
    Closed,
    /// Not closed: being written, or left by a crash; every byte belongs to a whole frame.
    Open,
    /// Not closed, and bytes after its last whole frame belong to none.
    Torn,
}

/// A segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Stream; `None` for the event stream.
    pub stream: Option<StreamIndex>,
    /// Number within the stream.
    pub number: u64,
    /// File name.
    pub file: String,
    /// Length, bytes.
    pub bytes: u64,
    /// First index.
    pub first_index: u64,
    /// Index past the last sample.
    pub end_index: u64,
    /// State.
    pub state: SegmentState,
    /// SHA-256 as noted at closing; `None` for segments that are not closed.
    pub sha256: Option<[u8; 32]>,
}

/// A recording opened for reading. Shared freely between threads.
#[derive(Debug)]
pub struct Recording {}

impl Recording {
    pub fn open(folder: &Path, unlock: &Unlock, storage: Arc<dyn Storage>) -> Result<Self> {
        todo!()
    }
    pub fn refresh(&mut self) -> Result<()> {
        todo!()
    }
    pub fn header(&self) -> &RecordingHeader {
        todo!()
    }
    pub fn streams(&self) -> &[StreamDescription] {
        todo!()
    }
    pub fn finished(&self) -> Option<UtcNanos> {
        todo!()
    }
    pub fn segments(&self) -> Vec<SegmentInfo> {
        todo!()
    }
    pub fn runs(&self, stream: StreamIndex) -> Result<Vec<Run>> {
        todo!()
    }
    pub fn gaps(&self) -> Vec<KnownGap> {
        todo!()
    }
    pub fn annotations(&self) -> Vec<RecordedAnnotation> {
        todo!()
    }
    pub fn impedances(&self) -> &[Impedance] {
        todo!()
    }
    pub fn marks(&self) -> &[Mark] {
        todo!()
    }
    pub fn anchors(&self) -> &[ClockAnchor] {
        todo!()
    }
    pub fn read(&self, stream: StreamIndex, range: Range<u64>) -> Result<Vec<Piece>> {
        todo!()
    }
    pub fn read_channel(
        &self,
        stream: StreamIndex,
        channel: usize,
        range: Range<u64>,
    ) -> Result<Vec<Piece>> {
        todo!()
    }
    pub fn pieces(&self, stream: StreamIndex, range: Range<u64>) -> Result<Pieces<'_>> {
        todo!()
    }
    pub fn parts(&self, stream: StreamIndex, range: Range<u64>) -> Result<Vec<BlockPart>> {
        todo!()
    }
    pub fn time_of(&self, stream: StreamIndex, index: u64) -> Result<Option<UtcNanos>> {
        todo!()
    }
    pub fn index_at(&self, stream: StreamIndex, at: UtcNanos) -> Result<Option<u64>> {
        todo!()
    }
    pub fn overview(
        &self,
        stream: StreamIndex,
        channels: Range<usize>,
        range: Range<u64>,
        columns: usize,
    ) -> Result<Envelopes> {
        todo!()
    }
}

/// Pieces frame by frame, in bounded memory.
#[derive(Debug)]
pub struct Pieces<'a> {
    recording: &'a Recording,
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
