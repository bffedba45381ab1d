//! Limits of the gateway's state.

use std::time::Duration;

/// Longest key, bytes. Consul refuses longer ones as well (its KV store's limit is 512).
pub const MAX_KEY_BYTES: usize = 512;

/// Largest value, bytes; Consul's default for its KV store.
pub const MAX_VALUE_BYTES: usize = 512 * 1024;

/// Most operations in one commit; Consul allows 64 in a transaction, and one commit here also carries what a
/// service registers at once.
pub const MAX_OPERATIONS: usize = 256;

/// Commits that wait for the writer before callers wait in turn.
pub const COMMIT_QUEUE: usize = 1_024;

/// Commits that share one transaction.
pub const COMMITS_A_TRANSACTION: usize = 128;

/// Deleted keys whose index is remembered, so that who waits for a prefix wakes at a deletion under it; older
/// ones are remembered a space at a time, which wakes more waiters than need be and never fewer.
pub const REMEMBERED_DELETIONS: usize = 10_000;

/// PostgreSQL: connections that read, the listener's included.
pub const POSTGRES_READERS: u32 = 3;

/// PostgreSQL: longest time for connecting, for the lock and for a transaction, each. Longer than a
/// replica that was cut off can hold the lock (`logstore::limits::POSTGRES_IDLE_IN_TRANSACTION`).
pub const POSTGRES_TIMEOUT: Duration = Duration::from_secs(15);

/// PostgreSQL: how often a replica looks for what others wrote although it was told of nothing.
pub const POSTGRES_POLL: Duration = Duration::from_secs(1);

/// PostgreSQL: wait before a lost connection for listening is opened again.
pub const POSTGRES_RECONNECT: Duration = Duration::from_millis(500);

/// PostgreSQL: indexes behind the newest whose writers are remembered; a replica asks after a lost
/// connection, while its peers hardly commit more than a few transactions of
/// [`COMMITS_A_TRANSACTION`] indexes.
pub const REMEMBERED_COMMITS: u64 = 100_000;
