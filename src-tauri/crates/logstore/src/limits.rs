//! Limits and defaults of the log store.

use std::time::Duration;

/// Units of work that may wait for the writer; beyond, callers wait to enqueue.
pub const WRITER_QUEUE: usize = 4_096;

/// Units of work in one transaction: at about 10 µs each, a full group stays within the 10 ms that
/// an acknowledgement may take.
pub const GROUP_UNITS: usize = 512;

/// Times the writer lets woken publishers run before it collects the next group. Without it, the
/// first of many publishers would get a transaction, and an fsync, of its own.
pub const GROUP_YIELDS: usize = 2;

/// Rows of one INSERT. SQLite takes 32,766 parameters a statement; ten columns of 64 rows are far
/// below, and longer statements gain nothing measurable.
pub const INSERT_ROWS: usize = 64;

/// Read connections: engine requests, consumers that catch up, and a replay at the same time.
pub const READERS: u32 = 4;

/// Events of the largest group that is written as one script. Each size has a text, and prepared
/// statements of some tens of kilobytes, of its own; all of them together stay below 4 MiB.
pub const SCRIPT_EVENTS: usize = 64;

/// Prepared statements kept by a connection.
pub const STATEMENT_CACHE: usize = 256;

/// How long a connection waits for another one's lock. The writer is alone, so only a recovery
/// after a crash or a backup in progress makes anyone wait.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the writer waits for readers when it copies the write-ahead log: publishers wait with
/// it, so it tries again later instead.
pub const WRITER_BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// Page cache of the writer, KiB: the right edges of all indexes with room to spare.
pub const WRITER_CACHE_KIB: u32 = 16 * 1024;

/// Bytes of the write-ahead log (estimated from rows written) after which its pages are copied to
/// the database in the background …
pub const WAL_BACKGROUND_BYTES: u64 = 8 * 1024 * 1024;

/// … and after which the writer itself waits until it is copied, so that the file stays bounded.
pub const WAL_FORCED_BYTES: u64 = 128 * 1024 * 1024;

/// Lowest level of Merkle subtrees that are stored: a proof hashes at most a few times 2^8 entries
/// anew, and the table stays below a hundredth of the entries.
pub const NODE_LEVEL: u8 = 8;

/// Entries read at a time while the ledger is verified.
pub const VERIFY_PAGE: u64 = 4_096;

/// A checkpoint is due after this many new entries.
pub const CHECKPOINT_ENTRIES: u64 = 1_024;

/// PostgreSQL: connections that read (requests, consumers that catch up, the listener).
pub const POSTGRES_READERS: u32 = 8;

/// PostgreSQL: bytes of event data after which a group takes no further append; a statement's size, and
/// the memory it costs here and there, stay bounded.
pub const POSTGRES_GROUP_BYTES: usize = 4 * 1024 * 1024;

/// PostgreSQL: longest time for one statement, waiting for a lock included.
pub const POSTGRES_STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);

/// PostgreSQL: a transaction that does nothing for so long is ended by the server, which frees the locks
/// of a replica that was cut off: until then its peers cannot write.
pub const POSTGRES_IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// PostgreSQL: how often a replica looks for events of others although it was told of none.
pub const POSTGRES_POLL: Duration = Duration::from_secs(1);

/// PostgreSQL: wait before a lost connection for listening is opened again.
pub const POSTGRES_RECONNECT: Duration = Duration::from_millis(500);
