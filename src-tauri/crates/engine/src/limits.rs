//! Limits of the engine process, with their units.

use std::time::Duration;

/// Greatest request, bytes. The largest call is an annotation's text or a list of settings.
pub const MAX_REQUEST_BYTES: usize = 1 << 20;

/// Progress lines that wait for a slow client; further ones are dropped, the result never is.
pub const PROGRESS_QUEUE: usize = 16;

/// Connections served at once; a further one waits until another ends.
pub const MAX_CONNECTIONS: usize = 256;

/// How long a connection may take to its first whole request: local clients take milliseconds, and
/// when all connections are taken, an emergency stop waits for this long at most.
pub const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// How long requests under way may take to end when the engine stops.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Longest socket path, bytes: `sun_path` holds 108 on Linux and 104 on macOS, the final zero
/// included.
pub const MAX_SOCKET_PATH_BYTES: usize = 100;

/// Greatest size of the log file, bytes, before it is turned over; one old file is kept.
pub const MAX_LOG_BYTES: u64 = 10 << 20;

/// How often a lock that an engine is just releasing is tried.
pub const LOCK_POLL: Duration = Duration::from_millis(50);

/// Bytes of the log's end that a support bundle holds: some ten thousand lines, small enough to be
/// sent by mail.
pub const BUNDLE_LOG_BYTES: u64 = 1 << 20;
