//! Limits and defaults of the gateway as a whole.

/// Port of the gateway's TLS listener; no service is registered under it (IANA, 2026-11).
pub const DEFAULT_PORT: u16 = 8702;

/// Requests that a consumer may make a minute and an hour, unless configured otherwise.
pub const REQUESTS_A_MINUTE: u32 = 1_000;
/// See [`REQUESTS_A_MINUTE`].
pub const REQUESTS_AN_HOUR: u32 = 10_000;

/// Longest name of a site, bytes.
pub const MAX_SITE_BYTES: usize = 63;
