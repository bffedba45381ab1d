//! The event envelope.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{Timestamp, limits::MAX_DATA_BYTES};

/// Name of a kind of event, `area.what_happened`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EventType(Cow<'static, str>);

impl EventType {
    /// A type known at compile time.
    pub const fn new(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for EventType {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that happened. Its data holds opaque ids and figures, never a patient identifier.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SystemEvent {
    /// What happened.
    pub event_type: EventType,
    /// Which part of the program says so.
    pub source_service: String,
    /// UUIDv7; an event is in the log at most once.
    pub event_id: Uuid,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Version of the schema of `data`.
    pub schema_version: u32,
    /// The payload, see [`Payload`].
    pub data: Value,
    /// What it belongs to: the same for all that follows from one cause, e.g. one session.
    pub correlation_id: Uuid,
    /// The event whose handling led to this one.
    pub causation_id: Option<Uuid>,
    /// The tenant that it belongs to, where a log serves several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The trace that it was published in (W3C Trace Context, `traceparent`): whoever handles it can go on with
    /// that trace. It says nothing about what happened, and is no part of the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The data of one type of event.
pub trait Payload: Serialize + DeserializeOwned + JsonSchema {
    /// The type it belongs to.
    const EVENT_TYPE: EventType;
    /// Version of this shape. Fields are only added, as optional ones, within a version.
    const SCHEMA_VERSION: u32 = 1;
}

/// Why a payload cannot be put into an event or taken from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// The value cannot be JSON.
    #[error("writing the data of {event_type}")]
    Write {
        /// Type of the event.
        event_type: EventType,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// The data is not of the expected shape.
    #[error("reading the data of {event_type}")]
    Read {
        /// Type of the event.
        event_type: EventType,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// The event is of another type.
    #[error("reading the data of {expected}: the event is a {found}")]
    OtherType {
        /// Type asked for.
        expected: EventType,
        /// Type of the event.
        found: EventType,
    },
    /// Written by a newer program.
    #[error("reading the data of {event_type}: version {found} is newer than {known}")]
    NewerVersion {
        /// Type of the event.
        event_type: EventType,
        /// Version of the event.
        found: u32,
        /// Version that this program knows.
        known: u32,
    },
    /// Too large for the log.
    #[error("writing the data of {event_type}: {bytes} bytes, of at most {MAX_DATA_BYTES}")]
    TooLarge {
        /// Type of the event.
        event_type: EventType,
        /// Its size.
        bytes: usize,
    },
}

impl SystemEvent {
    /// The data as its type.
    pub fn payload<P: Payload>(&self) -> Result<P, PayloadError> {
        let event_type = P::EVENT_TYPE;
        if self.event_type != event_type {
            let found = self.event_type.clone();
            return Err(PayloadError::OtherType {
                expected: event_type,
                found,
            });
        }
        if self.schema_version > P::SCHEMA_VERSION {
            let (found, known) = (self.schema_version, P::SCHEMA_VERSION);
            return Err(PayloadError::NewerVersion {
                event_type,
                found,
                known,
            });
        }
        P::deserialize(&self.data).map_err(|source| PayloadError::Read { event_type, source })
    }
}

/// Place of an event in its log, from 1; 0 is before the first.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event with its place in the log.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RecordedEvent {
    /// Its place.
    pub position: Position,
    /// The event.
    pub event: SystemEvent,
}
