//! Why an export failed.

use std::io;
use thiserror::Error;

/// What a [`crate::Source`] reports when it cannot be read.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// Why nothing was exported. Whatever had been written is gone again.
#[derive(Debug, Error)]
pub enum ExportError {
    /// An option cannot be used.
    #[error("export option {option}: {reason}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No stream of the recording can be written in this format.
    #[error("export: no stream can be written: {reasons}")]
    Nothing {
        /// Each stream with its reason.
        reasons: String,
    },
    /// A file of that name exists, and overwriting was not asked for.
    #[error("export: {name} exists already; choose another name or ask to overwrite")]
    Exists {
        /// File name.
        name: String,
    },
    /// The disk is full.
    #[error(
        "export: disk full while writing {name}; {needed_bytes} bytes are needed in all. Nothing was left behind"
    )]
    DiskFull {
        /// File name.
        name: String,
        /// Bytes the whole export takes.
        needed_bytes: u64,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file operation failed.
    #[error("export: {operation} {name}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// File name.
        name: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The recording could not be read.
    #[error("export: {operation}")]
    Source {
        /// What was tried.
        operation: &'static str,
        /// The reader's error.
        #[source]
        source: SourceError,
    },
    /// A sample does not fit the file's sample type although the stream's description says so.
    #[error(
        "export: sample {value} of channel {channel} needs more than {bits} bits, against the stream's description"
    )]
    Range {
        /// Position of the channel within its stream.
        channel: usize,
        /// The sample.
        value: i64,
        /// Bits of the file's samples.
        bits: u32,
    },
    /// The caller stopped it.
    #[error("export: cancelled; nothing was left behind")]
    Cancelled,
}
