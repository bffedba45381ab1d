//! Streams: channels that share a rate, a counter and a clock.

use crate::{Channel, SamplingRate, UtcNanos};
use serde::{Deserialize, Serialize};

/// Position of a stream within its device or recording.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StreamIndex(pub u16);

/// How a stream's samples are stored, bit for bit as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleType {
    /// 16-bit signed integer (EDF).
    I16,
    /// 24-bit signed integer, held in 32 bits (BDF, most EEG amplifiers).
    I24,
    /// 32-bit signed integer.
    I32,
    /// 32-bit IEEE 754; bit patterns are kept, NaN payloads included.
    F32,
    /// 64-bit IEEE 754; bit patterns are kept, NaN payloads included.
    F64,
    /// UTF-8 text, one string a sample and channel.
    Text,
}

impl SampleType {
    /// Bits a sample occupies at the source; `None` for text.
    #[must_use]
    pub const fn bits(self) -> Option<u32> {
        match self {
            Self::I16 => Some(16),
            Self::I24 => Some(24),
            Self::I32 | Self::F32 => Some(32),
            Self::F64 => Some(64),
            Self::Text => None,
        }
    }
}

/// The device's own sample or packet counter, from which loss is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CounterSpec {
    /// The counter runs from 0 to `modulus − 1`; 0 means it never wraps (64 bits).
    pub modulus: u64,
    /// How far the counter advances for each packet.
    pub step: u64,
    /// Samples (per channel) that one packet carries.
    pub samples_per_packet: u32,
}

impl CounterSpec {
    /// A 64-bit counter of samples: what files and simulators have.
    pub const SAMPLE: Self = Self {
        modulus: 0,
        step: 1,
        samples_per_packet: 1,
    };
}

/// Whose clock says when a sample was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockSource {
    /// The device has no clock of its own: sample times are fitted from arrivals at the host.
    HostArrival,
    /// The device stamps its blocks; stamps count nanoseconds from `epoch`. Playback of a file has
    /// the file's own time, whatever the speed it is played at.
    Device {
        /// UTC of the device clock's zero.
        epoch: UtcNanos,
    },
}

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamRole {
    /// Samples of the patient's signals.
    Signal,
    /// Trigger inputs and markers.
    Marker,
    /// Battery, temperature, lead-off status and the like.
    Auxiliary,
}

/// Everything that is constant about a stream while it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamDescription {
    /// Short name, unique within the device ('eeg', 'accelerometer').
    pub name: String,
    /// What it is for.
    pub role: StreamRole,
    /// Storage type of every channel.
    pub sample_type: SampleType,
    /// Nominal rate.
    pub rate: SamplingRate,
    /// The device's counter; `None` when the device has none and loss can only be seen in time.
    pub counter: Option<CounterSpec>,
    /// Whose clock stamps the samples.
    pub clock: ClockSource,
    /// Channels in the order of the blocks' rows.
    pub channels: Vec<Channel>,
}
