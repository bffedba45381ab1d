//! Annotations: what a person or the device marked in a recording.

use crate::UtcNanos;
use serde::{Deserialize, Serialize};

/// Identifies an annotation within its recording; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnnotationId(pub u64);

/// Who or what made an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnnotationOrigin {
    /// A person at the keyboard.
    Person,
    /// The protocol's own steps (hyperventilation begins, impedance check).
    Protocol,
    /// The device: trigger input, marker stream, patient's button.
    Device,
    /// The file that is played back.
    Source,
    /// The program: gaps, emergency stop, quality findings.
    Program,
}

/// Onset, duration, description: EDF+'s annotation, with a code where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Identity within the recording.
    pub id: AnnotationId,
    /// When it begins.
    pub onset: UtcNanos,
    /// How long it lasts, ns; `None` when it is a point or its end is not known yet.
    pub duration_ns: Option<i64>,
    /// What it says. Free text can identify a person; exports drop it unless coded or reviewed.
    pub text: String,
    /// Code from the protocol ('eyes_open'); coded annotations survive de-identification.
    pub code: Option<String>,
    /// Who made it.
    pub origin: AnnotationOrigin,
    /// Labels of the channels it is about; empty when it is about all.
    pub channels: Vec<String>,
    /// The annotation this one replaces; the old one stays in the record.
    pub supersedes: Option<AnnotationId>,
}
