//! Limits and defaults of the gateway as a whole.

/// Port of the gateway's TLS listener; no service is registered under it (IANA, 2026-11).
pub const DEFAULT_PORT: u16 = 8702;

/// Requests that a consumer may make a minute and an hour, unless configured otherwise.
pub const REQUESTS_A_MINUTE: u32 = 1_000;
/// See [`REQUESTS_A_MINUTE`].
pub const REQUESTS_AN_HOUR: u32 = 10_000;

/// Longest name of a site, bytes.
pub const MAX_SITE_BYTES: usize = 63;

/// Requests that wait for the audit's writer before they wait in turn.
pub const AUDIT_QUEUE: usize = 4_096;

/// Requests in one hashed batch at most: what is kept in memory while the disk is full.
pub const AUDIT_BATCH: usize = 16_384;

/// How often a batch is hashed into the ledger.
pub const AUDIT_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// How often the ledger's state is signed while it grows: what is cut off behind the last signature goes
/// unnoticed.
pub const CHECKPOINT_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Of a request that nobody read, so many bytes are taken before it is answered, if they come within this time: a
/// refused batch of events, not an upload.
pub const REST_BYTES: usize = 256 * 1024;
/// See [`REST_BYTES`].
pub const REST_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Largest body of a request to the gateway's own routes, bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Connections at a time; each costs some tens of KB.
pub const MAX_CONNECTIONS: usize = 10_000;

/// A handshake takes at most so long.
pub const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

/// A request's head arrives within so long (slow-loris).
pub const HEADER_READ: std::time::Duration = std::time::Duration::from_secs(10);

/// Requests that are under way when the gateway is told to stop have so long to end.
pub const GRACE: std::time::Duration = std::time::Duration::from_secs(20);

/// Longest request id that is taken over from a client, bytes.
pub const MAX_REQUEST_ID_BYTES: usize = 64;

/// Upper bounds of the latency histogram, s: from a lookup in memory to a request that nearly timed out.
pub const LATENCY_BUCKETS_S: [f64; 12] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// A gateway that takes longer to write than this is not ready.
pub const READY_WITHIN: std::time::Duration = std::time::Duration::from_secs(2);

/// Ledger entries in one answer at most.
pub const AUDIT_PAGE: u32 = 1_000;

/// Wait before connections are accepted again after that failed.
pub const ACCEPT_RETRY: std::time::Duration = std::time::Duration::from_millis(100);

/// Largest head of a request, bytes; a token and a few cookies take a quarter.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Streams of one HTTP/2 connection at a time.
pub const MAX_STREAMS: u32 = 256;

/// Streams that a client may have reset before the gateway has looked at them: more end the connection
/// (CVE-2023-44487).
pub const MAX_RESETS: usize = 32;

/// An HTTP/2 connection that is silent is asked so often whether it is still there.
pub const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(60);

/// How long a browser may remember what it was told of an origin; none remembers it for longer than two hours.
pub const CORS_FOR: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// Pairs of caller and service that the map counts apart.
pub const MAP_PAIRS: usize = 2_000;
