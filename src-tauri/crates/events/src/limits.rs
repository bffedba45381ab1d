//! Limits and defaults of the event bus.

use std::time::Duration;

/// Largest event data, bytes of JSON. Events carry ids and figures; documents and samples have
/// their own stores.
pub const MAX_DATA_BYTES: usize = 128 * 1024;

/// Committed batches that a live subscriber may lag behind before it reads from the log instead.
pub const LIVE_BATCHES: usize = 1_024;

/// Events read from the log at a time.
pub const READ_BATCH: usize = 512;

/// Attempts at one event by one handler, the first included, before it is parked.
pub const HANDLER_ATTEMPTS: u32 = 6;

/// Wait before a handler's second attempt; it doubles with each further one, so that a parked event
/// has been tried for about three seconds: long enough for a busy disk, short enough not to hold up
/// the events behind it.
pub const HANDLER_FIRST_RETRY: Duration = Duration::from_millis(100);

/// Longest wait between two attempts.
pub const HANDLER_MAX_RETRY: Duration = Duration::from_secs(5);

/// A consumer's offset is saved when this many events were handled since it was saved last …
pub const OFFSET_EVERY_EVENTS: u64 = 256;

/// … or when this time has passed: what a crash makes handlers see again.
pub const OFFSET_EVERY: Duration = Duration::from_millis(200);

/// Wait before a consumer whose log cannot be read tries again.
pub const LOG_RETRY: Duration = Duration::from_millis(500);
