//! Limits of the client, with their units.

use std::time::Duration;

/// How long a started engine may take until it answers. Opening an encrypted store with a key
/// derived from a passphrase takes about a second; ten leave room for a slow disk.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a started engine is tried.
pub const START_POLL: Duration = Duration::from_millis(20);

/// How long connecting to the socket may take; it is local.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Greatest line of a reply, bytes. A list of 100,000 ledger entries fits.
pub const MAX_LINE_BYTES: usize = 256 << 20;

/// An engine started on demand leaves after this long with nothing to do.
pub const IDLE_EXIT: Duration = Duration::from_secs(15 * 60);
