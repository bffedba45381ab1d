//! Limits and defaults of the edge.

use std::time::Duration;

/// Failures in a row that open a breaker: few enough that a dead instance costs little, more than one bad
/// answer (Hystrix and Polly begin with the same number).
pub const BREAKER_FAILURES: u32 = 5;
/// An open breaker lets probes through after so long.
pub const BREAKER_RECOVERY: Duration = Duration::from_secs(60);
/// Window of the error rate; resilience4j's time-based window is of the same kind.
pub const BREAKER_WINDOW: Duration = Duration::from_secs(10);
/// Calls in the window below which a rate says nothing.
pub const BREAKER_MIN_CALLS: u32 = 20;
/// Failed calls, percent of the window's, that open a breaker (resilience4j's default).
pub const BREAKER_FAILURE_PERCENT: u32 = 50;
/// A call whose answer does not begin within this has failed.
pub const BREAKER_SLOW: Duration = Duration::from_secs(10);
/// Calls that a half-open breaker lets through; all of them must succeed for it to close.
pub const BREAKER_PROBES: u32 = 3;

/// Server errors or failed connections in a row that eject an instance (Envoy: `consecutive_5xx`).
pub const EJECT_FAILURES: u32 = 5;
/// First ejection; the n-th is n times as long … (Envoy: `base_ejection_time`)
pub const EJECT_FOR: Duration = Duration::from_secs(30);
/// … up to this (Envoy: `max_ejection_time`).
pub const EJECT_AT_MOST: Duration = Duration::from_secs(300);
/// Share of a service's instances that may be ejected at a time, percent.
pub const EJECT_PERCENT: usize = 50;

/// Retries, percent of the requests of the last ten seconds …
pub const RETRY_PERCENT: u32 = 20;
/// … and this many a second besides, so that rare requests are retried too (Finagle's `RetryBudget`
/// has the same two defaults).
pub const RETRY_A_SECOND: u32 = 10;
/// Attempts at one request, the first included.
pub const ATTEMPTS: usize = 3;
/// Largest body that is kept for another attempt, bytes.
pub const REPLAY_BYTES: u64 = 64 * 1024;

/// A connection to an instance is made within so long; a retry is due well before clients give up.
pub const CONNECT: Duration = Duration::from_secs(3);
/// An answer begins within so long after the request's last byte (nginx: `proxy_read_timeout`, 60 s).
pub const RESPONSE_HEAD: Duration = Duration::from_secs(60);
/// A client that has begun a body sends its next bytes within so long, or is answered 408.
pub const REQUEST_IDLE: Duration = Duration::from_secs(30);
/// An answer's body may pause so long (Envoy's default stream idle timeout).
pub const RESPONSE_IDLE: Duration = Duration::from_secs(300);
/// An upgraded connection may be silent so long; a WebSocket's pings are far more frequent.
pub const TUNNEL_IDLE: Duration = Duration::from_secs(300);
/// Upgraded connections at a time.
pub const MAX_TUNNELS: usize = 4_096;
/// Bytes that one direction of an upgraded connection holds.
pub const TUNNEL_BYTES: usize = 16 * 1024;

/// Largest body that is passed on, bytes.
pub const MAX_BODY_BYTES: u64 = 1024 * 1024 * 1024;
/// Largest head of an instance's answer, bytes.
pub const MAX_HEAD_BYTES: u32 = 64 * 1024;

/// Idle connections to one instance that are kept, and for how long.
pub const IDLE_CONNECTIONS: usize = 64;
/// See [`IDLE_CONNECTIONS`]; below the 60 s and more that common servers keep theirs.
pub const IDLE_FOR: Duration = Duration::from_secs(30);

/// Services whose instances' standing is remembered.
pub const REMEMBERED_SERVICES: usize = 10_000;
/// Routes that are counted apart; the rest are counted together.
pub const COUNTED_ROUTES: usize = 1_000;
/// How often a request may have passed this gateway or its replicas before it is taken for a loop.
pub const MAX_PASSAGES: usize = 3;

/// Consumers whose requests are remembered, and as many peers that nobody knows; some 500 bytes each.
pub const REMEMBERED_CONSUMERS: usize = 20_000;
/// Entries that are looked at for one to be forgotten.
pub const EVICTION_SAMPLE: usize = 16;

/// A browser may remember the answer to a preflight for so long, s (Chromium's maximum).
pub const PREFLIGHT_FOR_S: u64 = 7_200;
