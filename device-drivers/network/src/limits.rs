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

/// How long LSL streams are looked for: liblsl asks again every half second, and discovery returns within 2 s.
pub(crate) const LSL_LOOK_S: f64 = 1.2;

/// How long a stream that is opened may take to be found, by its source id and then by its name, s.
pub(crate) const LSL_RESOLVE_S: f64 = 1.0;

/// How long its description and its data may take, s.
pub(crate) const LSL_OPEN_S: f64 = 2.0;

/// How long the first estimate of the time correction may take, s; liblsl says that 2 to 5 s are reasonable
/// between machines, and estimates on in the background.
pub(crate) const LSL_CORRECTION_S: f64 = 0.5;

/// Seconds that an inlet keeps when it is not read: liblsl's own advice for recorders.
pub(crate) const LSL_BUFFER_S: i32 = 360;

/// Longest wait in one pull, s: bounds how late a stop is noticed.
pub(crate) const LSL_PULL_S: f64 = 0.02;

/// Most samples of a chunk.
pub(crate) const LSL_CHUNK: usize = 512;

/// Chunks between the inlet's thread and the reader's: more than ten seconds at fifty a second.
pub(crate) const LSL_QUEUE: usize = 512;
