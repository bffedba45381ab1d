//! What can be wrong with a file.

use thiserror::Error;

/// Why a file, or a part of it, cannot be read. Messages name places, never contents: a shifted
/// header could put a patient's name anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EdfError {
    /// Shorter than its header says the header is.
    #[error("the header needs {needed} bytes and the file has {found}")]
    HeaderTooShort {
        /// Bytes of the header.
        needed: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Neither EDF's nor BDF's first eight bytes.
    #[error(
        "byte 0, version: neither '0' (EDF) nor 255 'BIOSEMI' (BDF): this is no EDF or BDF file"
    )]
    Version,
    /// A field cannot be read.
    #[error("byte {offset}, {field}: {why}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// Its first byte in the file.
        offset: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A signal's field cannot be read.
    #[error("byte {offset}, {field} of signal {signal} ('{label}'): {why}")]
    Signal {
        /// The field's name.
        field: &'static str,
        /// Number of the signal, from 1.
        signal: usize,
        /// Its label.
        label: String,
        /// The field's first byte in the file.
        offset: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Annotations only.
    #[error("the file holds no signal, only annotations")]
    NoSignal,
    /// A header, and not one whole record after it.
    #[error(
        "the file holds no data record: one needs {needed} bytes, and {found} follow the header"
    )]
    NoRecord {
        /// Bytes of a record.
        needed: u64,
        /// Bytes after the header.
        found: u64,
    },
    /// A record, or their number, is beyond what is read.
    #[error("{what} is {found}, and at most {limit} is read")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How much.
        found: u64,
        /// Most that is read.
        limit: u64,
    },
    /// Annotations cannot be read.
    #[error("byte {offset} of the annotations: {why}")]
    Annotations {
        /// Offset within the bytes given.
        offset: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// A record's time cannot be read.
    #[error("data record {record}: {why}")]
    Record {
        /// Number of the record, from 1.
        record: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The system failed to read.
    #[error("reading failed ({0:?})")]
    Io(std::io::ErrorKind),
}

impl From<std::io::Error> for EdfError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.kind())
    }
}
