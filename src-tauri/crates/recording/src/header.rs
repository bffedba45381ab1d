//! What is constant about a recording.

use serde::{Deserialize, Serialize};
use signal::{HostNanos, SampleType, StreamDescription, UtcNanos, ZoneOffset};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

/// Opaque identity of a recording; also the name of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordingId(pub Uuid);

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the samples come from. Anything but [`Self::Live`] is marked wherever it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// A device on a person.
    Live,
    /// The simulator.
    Simulated,
    /// A file played back.
    Playback,
}

/// The device as it described itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceNote {
    /// Identity the driver gives it.
    pub id: String,
    /// Maker and model.
    pub model: String,
    /// Serial number; empty when unknown.
    pub serial: String,
    /// Firmware version; empty when unknown.
    pub firmware: String,
    /// Regulatory class in words ('medical device class IIa', 'research only').
    pub class: String,
}

/// What is constant about a recording; stored encrypted, written once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingHeader {
    /// Identity.
    pub id: RecordingId,
    /// When it was created.
    pub created: UtcNanos,
    /// The zone's offset from UTC then, seconds.
    pub zone: ZoneOffset,
    /// Streams; a block's stream index is a position in this list.
    pub streams: Vec<StreamDescription>,
    /// Where the samples come from.
    pub provenance: Provenance,
    /// The device.
    #[serde(default)]
    pub device: DeviceNote,
    /// Further notes by name (protocol, cap, task). No identifiers of a person.
    #[serde(default)]
    pub notes: BTreeMap<String, String>,
}

/// One reading of both clocks at the same instant.
///
/// A recorder's first anchor fixes the UTC of all its samples; later ones are evidence of how the
/// wall clock ran and never bend the record's own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// The host's monotonic clock.
    pub host: HostNanos,
    /// UTC at that instant.
    pub utc: UtcNanos,
}

impl ClockAnchor {
    /// Nanoseconds to add to the host clock to get UTC.
    #[must_use]
    pub const fn offset_ns(&self) -> i64 {
        self.utc.0.saturating_sub(self.host.0)
    }
}

/// Whether streams of this type have an overview.
pub(crate) const fn has_overview(sample_type: SampleType) -> bool {
    !matches!(sample_type, SampleType::Text)
}
