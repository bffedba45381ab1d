//! Limits of the event API.

use std::time::Duration;

/// Events in one append: a workstation that catches up sends thousands, in several requests.
pub const MAX_BATCH_EVENTS: usize = 500;

/// Bytes of one append's body.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of any other request's body: schemas are the largest.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

/// Longest name of an event type, bytes.
pub const MAX_TYPE_BYTES: usize = 100;

/// Longest name of a source service, bytes.
pub const MAX_SOURCE_BYTES: usize = 100;

/// Types that one filter may name.
pub const MAX_FILTER_TYPES: usize = 64;

/// Bytes of a registered schema.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// Schemas that may be registered: each is compiled and held in memory.
pub const MAX_SCHEMAS: usize = 1_000;

/// Compiled size of one pattern in a registered schema, bytes.
pub const MAX_PATTERN_BYTES: usize = 256 * 1024;

/// Events of one page that was asked for without a number.
pub const PAGE_EVENTS: usize = 100;

/// Most events of one page.
pub const MAX_PAGE_EVENTS: usize = 500;

/// Bytes of event data after which a page ends, its last event included.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Events read from the log at a time while a page fills: with the largest of events, 8 MiB.
pub const READ_EVENTS: usize = 64;

/// Streams (server-sent events and WebSocket) that one replica serves at once.
pub const MAX_STREAMS: usize = 4_096;

/// Silence after which a stream sends a sign of life; proxies commonly close after 60 s (nginx'
/// `proxy_read_timeout`).
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Age at which a stream ends, so that who resumes it proves anew that they may: the life of a token.
pub const STREAM_AGE: Duration = Duration::from_secs(15 * 60);

/// Longest time in which a WebSocket's peer takes one event.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest WebSocket message from a peer, who has nothing to say, bytes.
pub const MAX_PEER_MESSAGE_BYTES: usize = 4_096;

/// What a client that lost an event stream waits before it resumes.
pub const STREAM_RETRY: Duration = Duration::from_millis(500);

/// Consumers of one site.
pub const MAX_CONSUMERS: usize = 1_000;

/// Longest name of a consumer, bytes.
pub const MAX_CONSUMER_BYTES: usize = 64;

/// Time for acknowledging, unless the consumer says otherwise; NATS JetStream's default `AckWait`.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// Shortest and longest time for acknowledging.
pub const ACK_WAIT_RANGE: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(3_600));

/// Deliveries of one event before it becomes a dead letter, unless the consumer says otherwise.
pub const MAX_ATTEMPTS: u32 = 6;

/// Most deliveries that a consumer may ask for.
pub const MOST_ATTEMPTS: u32 = 1_000;

/// Events delivered and not acknowledged, unless the consumer says otherwise, and at most; JetStream's
/// default `MaxAckPending` is 1,000. About 100 bytes each, in one value of the state.
pub const MAX_IN_FLIGHT: usize = 1_000;

/// Dead letters of one consumer; with so many it gets nothing more until a person has looked at them.
pub const MAX_DEAD: usize = 1_000;

/// Longest text about why an event could not be handled, bytes.
pub const MAX_ERROR_BYTES: usize = 500;

/// Longest wait of a fetch.
pub const MAX_FETCH_WAIT: Duration = Duration::from_secs(60);

/// Longest delay that a consumer may ask for when it gives an event back.
pub const MAX_NACK_DELAY: Duration = Duration::from_secs(3_600);

/// Events that a consumer does not want, passed over since its place was last saved, after which it is
/// saved for their sake alone.
pub const SKIPPED_BEFORE_SAVING: u64 = 1_000;

/// Attempts at a change of a consumer that others change at the same time.
pub const CHANGE_ATTEMPTS: usize = 64;

const _: () = {
    use crate::limits::state::MAX_VALUE_BYTES;
    // What is in flight, with what is retried from among the dead letters, fits a value.
    assert!((MAX_IN_FLIGHT + MAX_PAGE_EVENTS) * 160 < MAX_VALUE_BYTES);
    assert!(MAX_SCHEMA_BYTES < MAX_VALUE_BYTES);
};
