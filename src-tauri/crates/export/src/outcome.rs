//! What an export tells of itself.

use serde::Serialize;
use signal::{AnnotationId, StreamIndex, UtcNanos};
use std::path::PathBuf;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FileKind {
    /// Continuous EDF+, 16 bits.
    #[serde(rename = "EDF+C")]
    EdfC,
    /// Discontinuous EDF+, 16 bits.
    #[serde(rename = "EDF+D")]
    EdfD,
    /// Continuous BDF+, 24 bits.
    #[serde(rename = "BDF+C")]
    BdfC,
    /// Discontinuous BDF+, 24 bits.
    #[serde(rename = "BDF+D")]
    BdfD,
    /// The exact scales, gaps and choices, as JSON.
    #[serde(rename = "manifest")]
    Manifest,
    /// Gaps, as TSV.
    #[serde(rename = "gaps")]
    Gaps,
    /// Annotations in full, as TSV.
    #[serde(rename = "annotations")]
    Annotations,
    /// Files with their shifted dates, as BIDS writes them.
    #[serde(rename = "scans")]
    Scans,
}

impl FileKind {
    pub(crate) const fn new(bdf: bool, discontinuous: bool) -> Self {
        match (bdf, discontinuous) {
            (false, false) => Self::EdfC,
            (false, true) => Self::EdfD,
            (true, false) => Self::BdfC,
            (true, true) => Self::BdfD,
        }
    }

    /// Whether it holds samples.
    #[must_use]
    pub const fn is_signal(self) -> bool {
        matches!(self, Self::EdfC | Self::EdfD | Self::BdfC | Self::BdfD)
    }

    pub(crate) const fn is_bdf(self) -> bool {
        matches!(self, Self::BdfC | Self::BdfD)
    }

    /// The header's reserved field.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::EdfC => "EDF+C",
            Self::EdfD => "EDF+D",
            Self::BdfC => "BDF+C",
            Self::BdfD => "BDF+D",
            Self::Manifest | Self::Gaps | Self::Annotations | Self::Scans => "",
        }
    }
}

/// How one signal's values are scaled, and what the format's eight characters cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignalScale {
    /// Label in the file.
    pub label: String,
    /// Stream within the recording.
    pub stream: StreamIndex,
    /// Channel within the stream.
    pub channel: usize,
    /// Unit in the file.
    pub unit: String,
    /// Exact units a count: `value = count × gain + offset`.
    pub gain: f64,
    /// Exact units at count zero.
    pub offset: f64,
    /// Digital limits in the header.
    pub digital: [i32; 2],
    /// Physical limits in the header, as written; first above second inverts.
    pub physical: [String; 2],
    /// Largest difference, in the unit, between the exact value and the one a reader computes from
    /// the header, over every value the file's sample type can hold.
    pub rounding_bound: f64,
    /// For floats only: largest difference, in the unit, between a sample and what is written.
    /// Zero for integers, whose digital values are identical.
    pub quantisation_bound: f64,
}

/// One file written.
#[derive(Debug, Clone)]
pub struct ExportedFile {
    /// What it is.
    pub kind: FileKind,
    /// Where it lies.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// For a file with samples: what it holds.
    pub signals: Option<SignalFile>,
}

/// What a file with samples holds.
#[derive(Debug, Clone)]
pub struct SignalFile {
    /// Streams, in the order of the signals.
    pub streams: Vec<StreamIndex>,
    /// For each stream, its unbroken stretches as first sample index and samples per channel: one
    /// in a continuous file.
    pub ranges: Vec<Vec<(u64, u64)>>,
    /// When its first sample was taken. Never written into de-identified files.
    pub start: UtcNanos,
    /// Data records.
    pub records: u64,
    /// Record duration as written, s.
    pub record_duration: String,
    /// Relative error of the sampling rate that a reader computes, because the duration of a tail
    /// had to be rounded; zero where it is exact.
    pub rate_error: f64,
    /// Scales, in the order of the signals.
    pub scales: Vec<SignalScale>,
}

/// A stream that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Omitted {
    /// Which.
    pub stream: StreamIndex,
    /// Why.
    pub reason: String,
}

/// What was written, what was not, and what a reader must know.
#[derive(Debug, Clone)]
pub struct Export {
    /// Files, those with samples first.
    pub files: Vec<ExportedFile>,
    /// Samples written, over all channels.
    pub samples: u64,
    /// Annotations left out because they are free text nobody has reviewed.
    pub dropped_annotations: Vec<AnnotationId>,
    /// Streams left out.
    pub omitted: Vec<Omitted>,
    /// What a reader must know.
    pub warnings: Vec<String>,
    /// Whether the files name the patient: the caller enters that in the ledger.
    pub identified: bool,
}

impl Export {
    /// Files with samples.
    pub fn signal_files(&self) -> impl Iterator<Item = &ExportedFile> {
        self.files.iter().filter(|file| file.kind.is_signal())
    }
}
