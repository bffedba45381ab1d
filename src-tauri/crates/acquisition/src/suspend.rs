//! How long the computer has slept.

use std::fmt::Debug;

/// Tells the total time asleep. Only its growth is used.
pub trait SuspendWatch: Send + Sync + Debug {
    /// Nanoseconds asleep since the computer was started.
    fn slept_ns(&self) -> i64;
}

/// The system's own account: on Linux `CLOCK_BOOTTIME` goes on during sleep and `CLOCK_MONOTONIC`
/// does not, so their difference is the time asleep. Elsewhere it is not known and stays 0; a
/// wake-up then shows as a silence.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemSuspend;

impl SuspendWatch for SystemSuspend {
    #[cfg(target_os = "linux")]
    fn slept_ns(&self) -> i64 {
        use rustix::time::{ClockId, clock_gettime};
        let nanos = |id| {
            let now = clock_gettime(id);
            now.tv_sec * signal::NANOS_PER_S + now.tv_nsec
        };
        // Monotonic first: a delay between the two reads can only add, and stays far below the
        // least sleep that is reported.
        let monotonic = nanos(ClockId::Monotonic);
        nanos(ClockId::Boottime) - monotonic
    }

    #[cfg(not(target_os = "linux"))]
    fn slept_ns(&self) -> i64 {
        0
    }
}
