//! Limits and defaults of the export. Each has its unit and its source.

/// Characters a label may have (EDF header, 16 bytes).
pub const LABEL_CHARS: usize = 16;

/// Characters a physical or digital limit, a unit or a duration may have (EDF header, 8 bytes).
pub const NUMBER_CHARS: usize = 8;

/// Characters the patient and the recording identification may have, and a transducer or prefilter
/// text (EDF header, 80 bytes).
pub const TEXT_CHARS: usize = 80;

/// Signals in one file, annotation signal included (the header's count has 4 digits).
pub const MAX_SIGNALS: usize = 9_999;

/// Bytes a data record should not exceed (EDF specification, 1992).
pub const RECOMMENDED_RECORD_BYTES: u64 = 61_440;

/// Bytes a data record must not exceed: EDFlib, and so pyedflib and EDFbrowser, refuse more.
pub const MAX_RECORD_BYTES: u64 = 10 * 1024 * 1024;

/// Record duration aimed at, µs: one second, which every reader handles well.
pub const RECORD_TARGET_US: u64 = 1_000_000;

/// Shortest record chosen to make a run end with a whole record, µs; below it the time-keeping
/// annotations would outweigh the samples, and a tail file is written instead.
pub const RECORD_MIN_US: u64 = 100_000;

/// Longest record chosen where a shorter one exists, µs.
pub const RECORD_MAX_US: u64 = 10_000_000;

/// Length aimed at for a tail whose duration does not fit eight characters, µs: at 8 s the rounding
/// is below 0.07 ppm, far below what any device's clock keeps.
pub const TAIL_TARGET_US: u64 = 8_000_000;

/// Record durations tried before one is accepted that leaves a tail; bounds the search at very high
/// rates.
pub const MAX_DURATION_CANDIDATES: u64 = 200_000;

/// Bytes of text one annotation carries into the file; the sidecar keeps the rest. Every data record
/// reserves room for the longest annotation, so this bounds the file's growth.
pub const ANNOTATION_TEXT_BYTES: usize = 512;

/// Least bytes of the annotation signal in a record: one time-keeping annotation and one short text.
pub const ANNOTATION_MIN_BYTES: usize = 64;

/// Relative error of a channel's gain, from physical limits in eight characters, above which the
/// result carries a warning.
pub const GAIN_ERROR_WARNING: f64 = 1e-5;

/// The same, above which the channel's stream is left out: the file would be misread.
pub const GAIN_ERROR_LIMIT: f64 = 1e-2;

/// Bytes gathered before they are written: large enough for a disk, small enough for the cache.
pub const WRITE_CHUNK_BYTES: usize = 1 << 20;

/// Age in years above which de-identified data state only the group (HIPAA Safe Harbor,
/// 45 CFR 164.514(b)(2)(i)(C)).
pub const AGE_GROUPED_ABOVE: u32 = 89;

/// Characters an export's base name may have; leaves room for suffixes on every file system.
pub const BASE_NAME_CHARS: usize = 120;

/// Bytes of one write above which a file's hash is computed on a thread of its own.
pub const HASH_THREAD_BYTES: usize = 1 << 18;

/// Chunks of [`WRITE_CHUNK_BYTES`] that may wait to be hashed.
pub const HASH_QUEUE_CHUNKS: usize = 4;

/// Threads that read and encode an export, at most: a recording beside it keeps its share of a
/// larger machine.
pub const THREADS: usize = 4;
