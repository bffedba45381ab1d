//! What the reader hands out.

use signal::{DeviceNanos, Gap, HostNanos, Samples, StreamIndex, UtcNanos};

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
