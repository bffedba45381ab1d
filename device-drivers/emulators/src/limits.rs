//! Limits and defaults of the emulators. Each has its unit and its source.

use std::time::Duration;

/// Longest pause or absence that a script may ask for: a mistyped number must not hang a test.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Most bytes of garbage at once, and most packets in one fault. Chosen: far more than a driver has to
/// bear, small beside memory.
pub(crate) const MOST_BYTES: usize = 1 << 20;

/// Largest drift of a clock that a script may ask for, ppm: 1 %, above the worst RC oscillator.
pub(crate) const MOST_DRIFT_PPM: f64 = 10_000.0;

/// Deliveries kept in memory: ten hours of 250 packets a second. Older ones are in the file only.
pub(crate) const LOG_ENTRIES: usize = 9_000_000;

/// What one read of the source may wait; it computes and never waits for anything.
pub(crate) const SOURCE_READ: Duration = Duration::from_millis(20);

/// How long a write waits for a reader that is behind. A serial line's buffer holds 4 KiB, a third of a
/// second; a reader that stays behind longer has lost what came.
#[cfg(unix)]
pub(crate) const WRITE_PATIENCE: Duration = Duration::from_secs(2);

/// How long a server's write waits for a client that takes nothing.
pub(crate) const SEND: Duration = Duration::from_secs(2);
