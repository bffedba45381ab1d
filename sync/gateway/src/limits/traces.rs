//! Limits of traces; where nothing else is said, the defaults of OpenTelemetry's batch processor.

use std::time::Duration;

/// Spans that wait for being sent: what comes on top is dropped and counted, so that a receiver that is away
/// costs memory and no request. Some 600 bytes each.
pub const QUEUE: usize = 2_048;

/// Spans in one request to the receiver.
pub const BATCH: usize = 512;

/// How long a span waits for company; shorter than the 5 s of others, since people look while they try something.
pub const LINGER: Duration = Duration::from_secs(1);

/// The receiver answers within this (`OTEL_EXPORTER_OTLP_TIMEOUT`).
pub const EXPORT_WITHIN: Duration = Duration::from_secs(10);

/// Attempts at one batch before it is dropped.
pub const ATTEMPTS: u32 = 4;

/// Wait before the second attempt; it doubles.
pub const RETRY: Duration = Duration::from_millis(500);

/// What is left when the gateway ends has so long to be sent.
pub const FLUSH_WITHIN: Duration = Duration::from_secs(2);
