//! Limits and defaults of discovery and configuration. What Consul documents is named as its source.

use std::time::Duration;

/// A blocking query waits for so long unless it says otherwise, and at most (Consul, "Blocking Queries").
pub const WAIT: Duration = Duration::from_secs(5 * 60);
/// See [`WAIT`].
pub const WAIT_AT_MOST: Duration = Duration::from_secs(10 * 60);
/// A blocking query waits up to this part longer, so that many do not end at once (the same: wait/16).
pub const WAIT_JITTER_PART: u32 = 16;

/// How often a check runs that does not say so.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// No check runs more often (Consul's minimum).
pub const CHECK_INTERVAL_AT_LEAST: Duration = Duration::from_secs(1);
/// A check that does not answer has failed after so long (Consul's default).
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Checks that run at a time.
pub const CHECKS_AT_A_TIME: usize = 64;
/// How often it is looked which checks are due.
pub const CHECK_LOOK: Duration = Duration::from_millis(500);
/// Bytes of a check's answer that are kept (Consul's default is 4 KB).
pub const CHECK_OUTPUT_BYTES: usize = 4 * 1024;

/// Who runs the checks holds a lease of this length …
pub const LEASE: Duration = Duration::from_secs(15);
/// … and renews it when so much is left.
pub const LEASE_RENEW: Duration = Duration::from_secs(10);

/// Range of a session's time to live (Consul: 10 s to a day); it ends at twice that at the latest.
pub const SESSION_TTL: (Duration, Duration) =
    (Duration::from_secs(10), Duration::from_secs(86_400));
/// A key whose holder was invalidated cannot be locked for so long (Consul's default).
pub const LOCK_DELAY: Duration = Duration::from_secs(15);
/// Longest such delay (Consul's maximum).
pub const LOCK_DELAY_AT_MOST: Duration = Duration::from_secs(60);

/// Longest filter expression, bytes, and how deep it may nest.
pub const FILTER_BYTES: usize = 4 * 1024;
/// See [`FILTER_BYTES`].
pub const FILTER_DEPTH: usize = 32;

/// Services whose healthy instances are remembered at a time.
pub const REMEMBERED_SERVICES: usize = 10_000;
