//! What an export reads from: a recording, seen as runs of unbroken samples.

use crate::SourceError;
use recording::StreamQuality;
use signal::{Annotation, Gap, Samples, StreamDescription, StreamIndex, UtcNanos, ZoneOffset};

/// Where samples came from. Anything but a device is marked in every file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// A device on a person.
    Device,
    /// The simulator.
    Simulated,
    /// A file played back; its header texts count as identifying.
    Playback,
}

impl Provenance {
    /// The mark in headers; `None` for a device.
    #[must_use]
    pub const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Device => None,
            Self::Simulated => Some("SIMULATED"),
            Self::Playback => Some("PLAYBACK"),
        }
    }
}

/// What is constant about a recording.
#[derive(Debug, Clone)]
pub struct SourceInfo {
    /// Opaque identity; written into identified exports only.
    pub recording_id: String,
    /// Where the samples came from.
    pub provenance: Provenance,
    /// Make and model of the device, without serial number.
    pub device_model: String,
    /// Offset of local time from UTC; EDF headers hold the patient's local time.
    pub zone: ZoneOffset,
    /// Streams in the order of [`StreamIndex`].
    pub streams: Vec<StreamDescription>,
}

/// Samples of one stream without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Index of the first sample, lost ones counted.
    pub first_index: u64,
    /// Samples per channel.
    pub len: u64,
    /// When the first sample was taken, by the fitted clock.
    pub start: UtcNanos,
    /// When the sample after the last would have been taken, by the fitted clock; `None` takes the
    /// nominal rate.
    pub end: Option<UtcNanos>,
}

/// A recording to export. Several threads read it at once.
pub trait Source: Sync {
    /// What is constant about it.
    fn info(&self) -> &SourceInfo;

    /// Unbroken runs of `stream`, in order of time, none empty.
    ///
    /// # Errors
    /// Whatever keeps the recording from being read.
    fn runs(&self, stream: StreamIndex) -> Result<Vec<Run>, SourceError>;

    /// All gaps, of all streams.
    ///
    /// # Errors
    /// Whatever keeps the recording from being read.
    fn gaps(&self) -> Result<Vec<Gap>, SourceError>;

    /// How honest the time of `stream` is and what it lost; `None` where the source cannot say.
    ///
    /// # Errors
    /// Whatever keeps the recording from being read.
    fn quality(&self, _stream: StreamIndex) -> Result<Option<StreamQuality>, SourceError> {
        Ok(None)
    }

    /// All annotations, replaced ones included.
    ///
    /// # Errors
    /// Whatever keeps the recording from being read.
    fn annotations(&self) -> Result<Vec<Annotation>, SourceError>;

    /// Reads `len` samples per channel from `first_index`, all within one run, into `out` as
    /// channels × `len`, row-major, replacing what it held.
    ///
    /// # Errors
    /// Whatever keeps the samples from being read; never fewer samples than asked for.
    fn read(
        &self,
        stream: StreamIndex,
        first_index: u64,
        len: usize,
        out: &mut Samples,
    ) -> Result<(), SourceError>;
}
