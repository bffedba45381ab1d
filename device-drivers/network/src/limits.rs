//! Limits and defaults of the network drivers. Each has its unit and its source.

use std::time::Duration;

/// Longest wait for a connection. Within the 5 s in which a device is to be connected, with what follows.
pub(crate) const CONNECT: Duration = Duration::from_secs(2);

/// Longest wait for a connection while looking around: discovery returns within 2 s.
pub(crate) const LOOK: Duration = Duration::from_millis(800);

/// Most configured hosts that are asked at once.
pub(crate) const MOST_HOSTS: usize = 32;

/// Longest wait for the first message of a server that has accepted a connection.
pub(crate) const FIRST_MESSAGE: Duration = Duration::from_millis(2_500);

/// Longest message taken, bytes: 4,096 channels of a second at 1 kHz as floats.
pub(crate) const MESSAGE_BYTES: usize = 16 << 20;

/// Most channels that a server may announce: what a stream may have.
pub(crate) const MOST_CHANNELS: usize = signal::MAX_CHANNELS;

/// Most samples a second that are believed.
pub(crate) const MOST_HZ: f64 = 1_000_000.0;

/// Bytes taken from the system at once.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// Samples asked of a FieldTrip buffer at once.
pub(crate) const FIELDTRIP_SAMPLES: u64 = 1_024;

/// Events asked of a FieldTrip buffer at once.
pub(crate) const FIELDTRIP_EVENTS: u32 = 256;

/// Longest text of a marker, characters.
pub(crate) const MARKER_CHARS: usize = 200;
