//! Limits of the client and the defaults of its policy.

use std::time::Duration;

/// Attempts at one request, the first included.
pub(crate) const ATTEMPTS: u32 = 4;
/// All attempts of one request and the waiting between them.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// One attempt, so that a target that hangs leaves time for another.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(3);
/// The longest wait before the first retry; it doubles with every further one.
pub(crate) const BACKOFF: Duration = Duration::from_millis(100);
/// Where doubling ends.
pub(crate) const BACKOFF_MOST: Duration = Duration::from_secs(2);
/// Failures in a row after which a target is left alone.
pub(crate) const FAILURES: u32 = 5;
/// How long a target is left alone before one request may try it.
pub(crate) const OPEN: Duration = Duration::from_secs(10);
/// Largest answer, in bytes.
pub(crate) const ANSWER: usize = 8 << 20;
/// Retries that may be saved up, shared by all requests of a client.
pub(crate) const BUDGET: u32 = 10;
/// Requests that earn one retry: under a lasting failure a fifth is added to the load.
pub(crate) const REQUESTS_A_RETRY: u32 = 5;
/// Targets whose breakers are kept; the one used longest ago goes first.
pub(crate) const TARGETS: usize = 256;
/// How long before its end a service token is fetched anew.
pub(crate) const TOKEN_EARLY: Duration = Duration::from_secs(20);
/// The longest a token is kept, in seconds, whatever its issuer says.
pub(crate) const TOKEN_MOST: u64 = 3_600;
