//! Limits of the gateway's state.

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
