//! The clocks that are passed in to everything that decides something by time.
#![allow(clippy::disallowed_methods)] // The one place where the drivers' time comes from.

use signal::{HostNanos, UtcNanos};
use std::fmt::Debug;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Host time and UTC, real or simulated.
pub trait Clock: Send + Sync + Debug {
    /// Monotonic host clock; goes on while the computer sleeps where the system offers that.
    fn host(&self) -> HostNanos;

    /// UTC as the system believes it; may be stepped.
    fn utc(&self) -> UtcNanos;

    /// Waits until the host clock has advanced by `duration`.
    fn sleep(&self, duration: Duration);
}

/// The computer's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    fn host(&self) -> HostNanos {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        HostNanos(now.tv_sec * signal::NANOS_PER_S + now.tv_nsec)
    }

    /// Elsewhere: time since the program's first call. On Windows and macOS `Instant` also counts
    /// (or pauses during) sleep as the system defines it.
    #[cfg(not(target_os = "linux"))]
    fn host(&self) -> HostNanos {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed().as_nanos();
        HostNanos(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }

    fn utc(&self) -> UtcNanos {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
        };
        UtcNanos(nanos)
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
