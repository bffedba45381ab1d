//! What is recorded beside the samples: annotations, gaps, anchors, impedances, marks.

use crate::header::ClockAnchor;
use serde::{Deserialize, Serialize};
use signal::{Annotation, AnnotationId, Gap, Impedance, UtcNanos};

/// A typed remark of the program in the record ('emergency_stop', 'calibration_begin').
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: UtcNanos,
    /// Machine-readable kind.
    pub kind: String,
    /// Text without identifiers of a person.
    pub text: String,
}

/// An annotation as the record holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAnnotation {
    /// The annotation.
    pub annotation: Annotation,
    /// The later annotation that replaces it; `None` when it is current.
    pub superseded_by: Option<AnnotationId>,
}

/// One entry of the event stream. Readers skip kinds they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A recorder began to write (created or resumed the recording).
    Session {
        /// Counts from 0.
        number: u32,
        /// Fixes the UTC of what this session records.
        anchor: ClockAnchor,
    },
    Annotation {
        annotation: Annotation,
    },
    Gap {
        gap: Gap,
    },
    Anchor {
        anchor: ClockAnchor,
    },
    Impedances {
        values: Vec<Impedance>,
    },
    Mark {
        mark: Mark,
    },
    /// The recording was ended on purpose.
    Finished {
        /// UTC of the end.
        at: UtcNanos,
    },
}

/// An event as it is written: members by name, also where something in the same build makes serde_json keep
/// the order in which they were declared.
pub(crate) fn to_value(event: &Event) -> serde_json::Result<serde_json::Value> {
    let mut value = serde_json::to_value(event)?;
    value.sort_all_objects();
    Ok(value)
}

/// Entries of one event payload.
pub(crate) fn values(payload: &[u8]) -> Option<Vec<serde_json::Value>> {
    serde_json::from_slice(payload).ok()
}
