//! Limits and defaults of passkeys.

use std::time::Duration;

/// How long a ceremony may take: the recommended default of Web Authentication Level 3, section 15.1.
pub const CEREMONY_FOR: Duration = Duration::from_secs(5 * 60);

/// Most passkeys that a person has: a few devices, and those to be removed.
pub const A_PERSON: usize = 20;

/// Longest name of a passkey, characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Longest credential id, bytes (Web Authentication Level 3, section 4, "credential ID").
pub const MAX_ID_BYTES: usize = 1023;

/// Largest part of a ceremony's answer, bytes: authenticator data with a key has some 300, attestations that
/// nobody asked for a few thousand.
pub const MAX_PART_BYTES: usize = 16 * 1024;
