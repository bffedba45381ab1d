//! What can go wrong, by operation.

use signal::{BlockError, StreamIndex};
use std::io;
use thiserror::Error;

/// Why bytes of a journal file cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// The file ends inside its head or a frame.
    #[error("ends too early")]
    Truncated,
    /// Bytes where a head or frame should begin are something else.
    #[error("does not begin a frame")]
    Magic,
    /// Head checksum differs.
    #[error("head checksum differs")]
    HeadChecksum,
    /// Payload checksum differs.
    #[error("payload checksum differs")]
    PayloadChecksum,
    /// The AEAD tag does not verify: bytes were altered, or belong elsewhere.
    #[error("authentication fails")]
    Authentication,
    /// Sequence numbers do not count up from zero.
    #[error("is out of sequence")]
    Sequence,
    /// The file belongs to another recording, stream or number than its name says.
    #[error("belongs elsewhere")]
    Identity,
    /// Decrypted content does not decode.
    #[error("content does not decode")]
    Content,
    /// A stated size is larger than the format allows.
    #[error("states a size above its limit")]
    TooLarge,
    /// The file's hash differs from the one noted when it was closed.
    #[error("hash differs from the one noted at closing")]
    Hash,
    /// The file is noted in the catalog but not there.
    #[error("is missing")]
    Missing,
    /// The file needs a newer reader.
    #[error("needs a newer reader")]
    Version,
}

/// Errors of this room.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// No space is left (ENOSPC, quota). What was not written is kept for a while; retry.
    #[error("{operation} {file}: the disk is full")]
    DiskFull {
        /// What was done.
        operation: &'static str,
        /// File name within the recording.
        file: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Any other failure of the file layer.
    #[error("{operation} {file} failed")]
    Storage {
        /// What was done.
        operation: &'static str,
        /// File name within the recording.
        file: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The folder holds no recording (or its creation never finished).
    #[error("the folder holds no recording")]
    NotARecording,
    /// The folder holds a recording already.
    #[error("the folder holds a recording already")]
    Exists,
    /// None of the wrapped keys opens with the key given.
    #[error("the key given does not open this recording")]
    WrongKey,
    /// The file asks for a newer program.
    #[error("{file} has format version {version}; it needs a reader of version {needed}")]
    NewerFormat {
        /// File name.
        file: String,
        /// Version it was written as.
        version: u16,
        /// Least version that can read it.
        needed: u16,
    },
    /// Bytes of a file are damaged.
    #[error("{file} at byte {offset} {fault}")]
    Damaged {
        /// File name.
        file: String,
        /// Where.
        offset: u64,
        /// How.
        fault: Fault,
    },
    /// A document (header, keys) cannot be written or read.
    #[error("{document} is not valid: {reason}")]
    Document {
        /// Which.
        document: &'static str,
        /// Why, in words.
        reason: String,
    },
    /// A stream that the recording does not have.
    #[error("the recording has no stream {}", .0.0)]
    UnknownStream(StreamIndex),
    /// A channel that the stream does not have.
    #[error("stream {} has no channel {channel}", .stream.0)]
    UnknownChannel {
        /// Stream.
        stream: StreamIndex,
        /// Channel asked for.
        channel: usize,
    },
    /// A block that is not well formed.
    #[error("the block is not well formed")]
    Block(#[from] BlockError),
    /// A block whose sample type or channel count is not its stream's.
    #[error("a block for stream {} does not match the stream's description", .0.0)]
    Mismatch(StreamIndex),
    /// A block that begins before the samples already recorded end.
    #[error("a block for stream {} begins at {first_index}, before {expected}", .stream.0)]
    OutOfOrder {
        /// Stream.
        stream: StreamIndex,
        /// The block's first index.
        first_index: u64,
        /// First index that may come.
        expected: u64,
    },
    /// More was asked for than one answer may hold.
    #[error("{what} asked for is above the limit of {limit}")]
    TooMuch {
        /// What.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The operation does not apply to text streams.
    #[error("stream {} holds text", .0.0)]
    IsText(StreamIndex),
    /// No random bytes could be had.
    #[error("no random bytes from the system")]
    Entropy,
    /// The recorder was finished already.
    #[error("the recording is finished")]
    Finished,
}

/// This room's result.
pub type Result<T> = std::result::Result<T, RecordingError>;

impl RecordingError {
    /// Wraps a storage error; a full disk or quota becomes [`Self::DiskFull`].
    pub(crate) fn storage(operation: &'static str, file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ) {
            Self::DiskFull {
                operation,
                file,
                source,
            }
        } else {
            Self::Storage {
                operation,
                file,
                source,
            }
        }
    }

    pub(crate) fn damaged(file: &str, offset: u64, fault: Fault) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            offset,
            fault,
        }
    }
}
