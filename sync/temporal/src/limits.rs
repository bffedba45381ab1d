//! Defaults of the Temporal adapter, with unit and source.

use std::time::Duration;

/// Stands for "no limit" where a cluster insists on one: an activity that is kept alive by its
/// heartbeat alone. Ten years, well below the server's largest duration.
pub(crate) const NO_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Heartbeats are passed on at most this often. A cluster tells an activity of its cancellation in
/// answer to a heartbeat, so this is also how late a stop may come. The SDK's own defaults are 30 s
/// without and 60 s with a heartbeat timeout.
pub(crate) const HEARTBEAT_THROTTLE: Duration = Duration::from_millis(500);

/// How long a stopping worker waits for its activities.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);
