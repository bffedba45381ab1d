//! Limits and defaults of the journal. Each has its unit and its source.

/// Time that one frame of samples may cover, ns: 250 ms (the house's rule for the journal).
pub const FRAME_NS: i64 = 250_000_000;

/// Longest time between two fsyncs while data waits, ns. The promise is 500 ms; the rest is slack
/// for the caller's tick.
pub const SYNC_NS: i64 = 450_000_000;

/// Time that one segment may cover, ns: 60 s, so that an upload never waits longer for its bytes.
pub const SEGMENT_NS: i64 = 60_000_000_000;

/// Bytes after which a segment is closed early, so that wide and fast streams upload in pieces.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Values (channels × samples) in one frame: 4,096 channels at 4 kHz for 250 ms. Bounds what a
/// hostile frame can make a reader allocate (32 MiB of f64).
pub const MAX_FRAME_VALUES: usize = 4 << 20;

/// Bytes of text in one frame.
pub const MAX_FRAME_TEXT: usize = 16 << 20;

/// Payload bytes of one frame: incompressible f64 at [`MAX_FRAME_VALUES`], and room for its blocks.
pub const MAX_PAYLOAD: usize = 48 << 20;

/// Bytes encoded but not yet safe on disk, over all streams, before blocks are refused and counted
/// as a gap: over a minute of 64 channels × 1 kHz, four seconds of 4,096 × 2 kHz.
pub const MAX_UNSYNCED_BYTES: usize = 128 << 20;

/// Samples in a bin of the overview's first level. Sixteen keeps the overview near a tenth of the
/// record, and no page decodes more than 16 samples or 8 bins a column.
pub const OVERVIEW_BASE: u64 = 16;

/// Each level's bins are this many of the level below.
pub const OVERVIEW_FACTOR: u64 = 8;

/// Levels of the overview: 16 × 8⁶ samples a bin is over two hours at 500 Hz.
pub const OVERVIEW_LEVELS: usize = 7;

/// Values in one overview block, from which its bins are counted (32 to 256 of them).
pub const OVERVIEW_BLOCK_VALUES: usize = 16_384;

/// Columns one overview request may ask for: an 8K screen twice over.
pub const MAX_COLUMNS: usize = 16_384;

/// Values one read may return at once, so that a slip of the index cannot fill the memory.
pub const MAX_READ_VALUES: u64 = 512 << 20;

/// Bytes of one header, key or catalog document.
pub const MAX_DOCUMENT: usize = 32 << 20;

/// Bytes of an annotation's text: with all else around it, far below a document.
pub const MAX_ANNOTATION_TEXT: usize = MAX_DOCUMENT / 8;

/// Files kept open by a reader.
pub const OPEN_FILES: usize = 24;

/// zstd level for text and floats: the fastest that still finds repeats.
pub const ZSTD_LEVEL: i32 = 1;

const _: () = assert!(signal::MAX_CHANNELS <= MAX_FRAME_VALUES);
const _: () = assert!(
    FRAME_NS + SYNC_NS < 1_000_000_000,
    "at most the last second may be lost"
);
const _: () = assert!(MAX_FRAME_VALUES * 8 < MAX_PAYLOAD);
const _: () = assert!(MAX_FRAME_TEXT < MAX_PAYLOAD);
