//! The catalog: one entry per closed segment, so that opening need not look into each. It is a
//! cache: what it says is checked against the files' lengths, and missing entries are read anew.

use crate::container::{FileKind, Identity, NO_STREAM};
use crate::document::{hex, unhex};
use crate::header::RecordingId;
use crate::reader::Run;
use crate::recorder::ClosedSegment;
use serde::{Deserialize, Serialize};
use signal::{StreamIndex, UtcNanos};

/// One segment as the catalog notes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// `None` for the event stream.
    #[serde(default)]
    pub(crate) stream: Option<u16>,
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    /// Hexadecimal.
    pub(crate) sha256: String,
    /// Whether its writer closed it.
    pub(crate) complete: bool,
    /// First index, end, UTC of the first sample.
    #[serde(default)]
    pub(crate) runs: Vec<(u64, u64, i64)>,
    /// Events, for segments of the event stream.
    #[serde(default)]
    pub(crate) events: Vec<serde_json::Value>,
}

impl Entry {
    pub(crate) fn hash(&self) -> Option<[u8; 32]> {
        unhex(&self.sha256)?.try_into().ok()
    }

    pub(crate) fn identity(&self, recording: RecordingId) -> Identity {
        Identity {
            kind: if self.stream.is_some() {
                FileKind::Samples
            } else {
                FileKind::Events
            },
            stream: self.stream.unwrap_or(NO_STREAM),
            recording,
            number: self.number,
        }
    }

    pub(crate) fn new(
        segment: &ClosedSegment,
        runs: &[Run],
        events: Vec<serde_json::Value>,
    ) -> Self {
        Self {
            stream: segment.stream.map(|s| s.0),
            number: segment.number,
            bytes: segment.bytes,
            sha256: hex(&segment.sha256),
            complete: segment.complete,
            runs: (runs.iter())
                .map(|r| (r.first_index, r.end_index, r.start.0))
                .collect(),
            events,
        }
    }

    pub(crate) fn runs(&self) -> Vec<Run> {
        (self.runs.iter())
            .map(|(first_index, end_index, start)| Run {
                first_index: *first_index,
                end_index: *end_index,
                start: UtcNanos(*start),
            })
            .collect()
    }

    pub(crate) fn closed(&self, recording: RecordingId) -> Option<ClosedSegment> {
        Some(ClosedSegment {
            stream: self.stream.map(StreamIndex),
            number: self.number,
            file: self.identity(recording).file_name(),
            first_index: self.runs.first().map_or(0, |r| r.0),
            end_index: self.runs.last().map_or(self.events.len() as u64, |r| r.1),
            sha256: self.hash()?,
            bytes: self.bytes,
            complete: self.complete,
        })
    }
}
