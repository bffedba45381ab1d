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
/// Services that are looked up at a time; each is a question that waits at the gateway.
pub(crate) const SERVICES: usize = 256;
/// How long a question waits for a change at the gateway: the link's death is noticed that late at most.
pub(crate) const WAIT: Duration = Duration::from_secs(30);
/// Beyond that: the gateway spreads the ends of questions over a sixteenth, and the answer travels.
pub(crate) const WAIT_MARGIN: Duration = Duration::from_secs(10);
/// A service that nobody has looked up for so long is no longer kept fresh.
pub(crate) const IDLE: Duration = Duration::from_secs(600);
/// Wait before a question that failed is asked again; it doubles …
pub(crate) const AGAIN: Duration = Duration::from_millis(200);
/// … to this, short enough for a gateway that was restarted to be found again in seconds.
pub(crate) const AGAIN_MOST: Duration = Duration::from_secs(5);
/// Reports of a service in one life of its check: two may be lost.
pub(crate) const REPORTS_A_TTL: u32 = 3;
/// Longest `tracestate` that is carried on (W3C Trace Context, 3.3.1.5, asks for at least 512 characters).
pub(crate) const TRACESTATE: usize = 512;
/// Least time between two questions of one watch, whatever happens at the gateway.
pub(crate) const BETWEEN: Duration = Duration::from_millis(10);
/// How often it is looked whether the certificate is due: a machine may have slept, or its clock was set.
pub(crate) const RENEWAL_LOOK: Duration = Duration::from_secs(5);
/// Least time between two certificates, for machines whose clock is ahead.
pub(crate) const RENEWAL_LEAST: Duration = Duration::from_secs(60);
