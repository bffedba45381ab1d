//! Limits and defaults of trust: certificates, tokens, enrolment.

use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Largest token that is looked at, bytes: beyond that a header would not fit either.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far clocks may be apart when a token's times are compared; RFC 7519, section 4.1.4, speaks of a few
/// minutes at most.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(30);

/// How long a service's token holds.
pub const SERVICE_TOKEN_FOR: Duration = Duration::from_secs(5 * 60);

/// A signing key signs for so long, until the next one does.
pub const SIGNING_KEY_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A new signing key is published for so long before it signs: longer than anybody caches a key set.
pub const KEY_PUBLISHED_BEFORE: Duration = Duration::from_secs(24 * 60 * 60);

/// A signing key stays published for so long after its last signature: longer than any token holds.
pub const KEY_PUBLISHED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the root of the gateway's authority holds.
pub const ROOT_FOR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How long an issuing certificate holds; a new one issues from half of that on.
pub const ISSUING_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long the gateway's own certificate holds.
pub const SERVER_CERTIFICATE_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long the certificate of a device or service holds.
pub const CLIENT_CERTIFICATE_FOR: Duration = DAY;

/// Certificates begin so long before they are issued, for clocks that are behind.
pub const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// How long an enrolment code can be used, unless asked for otherwise, and at most.
pub const ENROLMENT_CODE_FOR: Duration = DAY;
/// See [`ENROLMENT_CODE_FOR`].
pub const ENROLMENT_CODE_AT_MOST: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Random bits of an enrolment code: ten letters of five bits at a thousand guesses a minute last some
/// two thousand years.
pub const ENROLMENT_CODE_LETTERS: usize = 12;

/// Largest certificate signing request, bytes.
pub const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// The gateway looks this often whether a key or certificate of its own is due for the next.
pub const ROTATION_LOOK: Duration = HOUR;

/// How often another issuer's key set is looked at …
pub const KEY_SET_EVERY: Duration = Duration::from_secs(5 * 60);
/// … at most, whatever tokens come …
pub const KEY_SET_AT_MOST_EVERY: Duration = Duration::from_secs(5);
/// … and how long its answer may take.
pub const KEY_SET_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest key set, bytes, and most keys of it that are kept.
pub const KEY_SET_BYTES: usize = 256 * 1024;
/// See [`KEY_SET_BYTES`].
pub const KEYS_IN_A_SET: usize = 100;
