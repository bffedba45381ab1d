//! Limits, names and defaults of the store.

/// The database within the data folder.
pub const DATABASE_FILE: &str = "store.sqlite";

/// The lock that the owner of the data folder holds; it names the owner's process.
pub const LOCK_FILE: &str = "store.lock";

/// Which station key opens the database: a fingerprint, so that a wrong key and a damaged file can
/// be told apart.
pub const KEY_ID_FILE: &str = "store.key-id";

/// The station key, where nothing better holds it.
pub const KEY_FILE: &str = "station.key";

/// The station key under a passphrase.
pub const WRAPPED_KEY_FILE: &str = "station.key.wrapped";

/// The recovery copy that is sealed to the hospital's public key.
pub const SEALED_KEY_FILE: &str = "station.key.recovery";

/// Name of the credential, and the variable with the folder of credentials (systemd.exec(5)).
pub const CREDENTIAL_NAME: &str = "neurascale-station-key";
/// See [`CREDENTIAL_NAME`].
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// The variable with the path of a file that holds the passphrase, for services and CI.
pub const PASSPHRASE_VARIABLE: &str = "NEURASCALE_PASSPHRASE_FILE";

/// Argon2id for the passphrase that opens the station key, once a start: RFC 9106 section 4's
/// second recommendation, 64 MiB and three passes (memory in KiB, passes, lanes).
pub const KEY_ARGON2: (u32, u32, u32) = (64 * 1024, 3, 4);

/// Argon2id for users' passwords: OWASP's Password Storage Cheat Sheet, 19 MiB and two passes.
pub const PASSWORD_ARGON2: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Bounds on what a stored wrapping may ask of Argon2id, so that a forged file cannot stop a start
/// (memory in KiB, passes, lanes).
pub const MAX_ARGON2: (u32, u32, u32) = (1024 * 1024, 16, 16);

/// Largest key, credential or passphrase file that is read, bytes.
pub const MAX_KEY_FILE_BYTES: u64 = 64 * 1024;

/// Shortest password of a user, characters (NIST SP 800-63B-4 section 3.1.1.2, with a second
/// factor: the machine itself).
pub const MIN_PASSWORD_CHARS: usize = 8;

/// Longest password of a user, characters: room for any passphrase, and a bound on hashing.
pub const MAX_PASSWORD_CHARS: usize = 256;
