//! Limits and defaults of people and their signing in.

use std::time::Duration;

/// Shortest password, characters; NIST SP 800-63B section 3.1.1.2 asks for 15 where it is the only factor,
/// and at least 8 otherwise. Between the two, since a second factor can be asked for.
pub const MIN_PASSWORD_CHARS: usize = 12;

/// Longest password, characters: longer ones would only make the hashing of a forged request long.
pub const MAX_PASSWORD_CHARS: usize = 256;

/// Argon2id: memory in KiB, passes, lanes. OWASP's Password Storage Cheat Sheet (2025), first choice.
pub const ARGON2: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Passwords that are hashed at a time; each takes [`ARGON2`]'s memory and some 20 ms of a core.
pub const HASHES_AT_A_TIME: usize = 2;

/// Wait after the first wrong secret; it doubles with each further one …
pub const FIRST_WAIT: Duration = Duration::from_millis(250);

/// … up to this. Nobody is locked out: that would let anybody lock out anybody.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Wrong secrets of a login are forgotten after so long without another.
pub const FORGET_FAILURES: Duration = Duration::from_secs(15 * 60);

/// Logins whose wrong secrets are remembered; beyond that the oldest are forgotten.
pub const REMEMBERED_LOGINS: usize = 10_000;

/// How long somebody stays signed in without being active.
pub const REFRESH_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// How long an access token holds.
pub const ACCESS_FOR: Duration = Duration::from_secs(10 * 60);

/// Length of a step of time-based one-time passwords, and how many steps to either side are accepted
/// (RFC 6238, sections 4.1 and 5.2).
pub const TOTP_STEP_S: u64 = 30;
/// See [`TOTP_STEP_S`].
pub const TOTP_SKEW_STEPS: u8 = 1;

/// Longest login, characters.
pub const MAX_LOGIN_CHARS: usize = 64;
