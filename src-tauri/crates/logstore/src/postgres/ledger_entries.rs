//! The ledger on PostgreSQL.

use std::ops::Range;

use async_trait::async_trait;
use ledger::{CanonicalJson, Digest, Draft, Entry, NodeId, SignedCheckpoint, Tree};
use sqlx::{PgConnection, PgExecutor, Row};

use super::{PostgresLog, failure};
use crate::{LedgerStore, LogStoreError, batch::int, limits::NODE_LEVEL};

const ENTER: &str = "entering into the ledger";
const READ: &str = "reading the ledger";

/// Sealed entries that are not yet written, and the ledger's end behind them.
#[derive(Debug)]
pub(super) struct Sealed {
    entries: Vec<Entry>,
    nodes: Vec<(NodeId, Digest)>,
    pub(super) tree: Tree,
    last_hash: Digest,
}

impl Sealed {
    pub(super) fn first_sequence(&self) -> u64 {
        self.tree.size() - self.count()
    }

    pub(super) fn count(&self) -> u64 {
        self.entries.len() as u64
    }
}

/// Enters drafts within the caller's transaction, which holds the ledger's end until it is over. The
/// number of entries thereafter.
///
/// What is entered so is not announced by a `ledger.event_recorded`: that would take the event log's lock
/// as well.
pub async fn enter(
    connection: &mut PgConnection,
    drafts: Vec<Draft>,
) -> Result<u64, LogStoreError> {
    let sealed = seal(connection, drafts).await?;
    write(connection, &sealed).await?;
    Ok(sealed.tree.size())
}

/// Locks the ledger's end and seals drafts behind it.
pub(super) async fn seal(
    connection: &mut PgConnection,
    drafts: Vec<Draft>,
) -> Result<Sealed, LogStoreError> {
    let failed = |error| failure(ENTER, error);
    let row = sqlx::query("SELECT tree, last_hash FROM ledger_state WHERE id = 1 FOR UPDATE")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let tree: Vec<u8> = row.try_get(0).map_err(failed)?;
    let tree = tree_of(&tree, ENTER)?;
    let mut sealed = Sealed {
        entries: Vec::with_capacity(drafts.len()),
        nodes: Vec::new(),
        tree,
        last_hash: digest(row.try_get(1).map_err(failed)?)?,
    };
    for draft in drafts {
        let sequence = sealed.tree.size();
        let (entry, leaf) =
            Entry::seal_with_leaf(draft, sequence, sealed.last_hash).map_err(|error| {
                LogStoreError::Refused {
                    operation: ENTER,
                    reason: error.to_string(),
                }
            })?;
        sealed.last_hash = entry.hash;
        sealed.tree.push_with(leaf, |node, hash| {
            if node.level >= NODE_LEVEL {
                sealed.nodes.push((node, hash));
            }
        });
        sealed.entries.push(entry);
    }
    Ok(sealed)
}

/// Writes what was sealed, in one statement.
pub(super) async fn write(
    connection: &mut PgConnection,
    sealed: &Sealed,
) -> Result<(), LogStoreError> {
    let (entries, nodes) = (&sealed.entries, &sealed.nodes);
    sqlx::query(
        "WITH entered AS (INSERT INTO ledger_entries \
             (sequence, kind, time_ns, actor, payload, previous, hash) \
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], \
             $5::text[], $6::bytea[], $7::bytea[])), \
         noded AS (INSERT INTO ledger_nodes (level, idx, hash) \
             SELECT * FROM unnest($8::bigint[], $9::bigint[], $10::bytea[])) \
         UPDATE ledger_state SET tree = $11, last_hash = $12 WHERE id = 1",
    )
    .bind(column(entries, |entry| int(entry.sequence)))
    .bind(column(entries, |entry| entry.kind.as_str()))
    .bind(column(entries, |entry| entry.time_ns))
    .bind(column(entries, |entry| entry.actor.as_str()))
    .bind(column(entries, |entry| entry.payload.as_str()))
    .bind(column(entries, |entry| &entry.previous.as_bytes()[..]))
    .bind(column(entries, |entry| &entry.hash.as_bytes()[..]))
    .bind(column(nodes, |(node, _)| i64::from(node.level)))
    .bind(column(nodes, |(node, _)| int(node.index)))
    .bind(column(nodes, |(_, hash)| &hash.as_bytes()[..]))
    .bind(sealed.tree.to_bytes())
    .bind(&sealed.last_hash.as_bytes()[..])
    .execute(connection)
    .await
    .map(drop)
    .map_err(|error| failure(ENTER, error))
}

/// Entries of these sequences, in order, as they are stored: unverified.
pub async fn entries(
    executor: impl PgExecutor<'_>,
    range: Range<u64>,
) -> Result<Vec<Entry>, LogStoreError> {
    let failed = |error| failure(READ, error);
    let rows = sqlx::query(
        "SELECT sequence, kind, time_ns, actor, payload, previous, hash FROM ledger_entries \
         WHERE sequence >= $1 AND sequence < $2 ORDER BY sequence",
    )
    .bind(int(range.start))
    .bind(int(range.end))
    .fetch_all(executor)
    .await
    .map_err(failed)?;
    rows.iter()
        .map(|row| {
            let payload: &str = row.try_get(4).map_err(failed)?;
            Ok(Entry {
                sequence: row.try_get::<i64, _>(0).map_err(failed)?.unsigned_abs(),
                kind: row.try_get(1).map_err(failed)?,
                time_ns: row.try_get(2).map_err(failed)?,
                actor: row.try_get(3).map_err(failed)?,
                payload: CanonicalJson::parse(payload)
                    .map_err(|error| LogStoreError::corrupt(READ, error))?,
                previous: digest(row.try_get(5).map_err(failed)?)?,
                hash: digest(row.try_get(6).map_err(failed)?)?,
            })
        })
        .collect()
}

#[async_trait]
impl LedgerStore for PostgresLog {
    async fn ledger_tree(&self) -> Result<Tree, LogStoreError> {
        let tree: Vec<u8> = sqlx::query("SELECT tree FROM ledger_state WHERE id = 1")
            .fetch_one(self.pool())
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| failure(READ, error))?;
        tree_of(&tree, READ)
    }

    async fn ledger_entries(&self, range: Range<u64>) -> Result<Vec<Entry>, LogStoreError> {
        entries(self.pool(), range).await
    }

    async fn last_sequence(&self) -> Result<Option<u64>, LogStoreError> {
        let last: Option<i64> = sqlx::query("SELECT max(sequence) FROM ledger_entries")
            .fetch_one(self.pool())
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| failure(READ, error))?;
        Ok(last.map(i64::unsigned_abs))
    }

    async fn ledger_node(&self, node: NodeId) -> Result<Option<Digest>, LogStoreError> {
        let hash: Option<Vec<u8>> =
            sqlx::query("SELECT hash FROM ledger_nodes WHERE level = $1 AND idx = $2")
                .bind(i64::from(node.level))
                .bind(int(node.index))
                .fetch_optional(self.pool())
                .await
                .and_then(|row| row.map(|row| row.try_get(0)).transpose())
                .map_err(|error| failure(READ, error))?;
        hash.map(digest).transpose()
    }

    async fn save_checkpoint(&self, signed: &SignedCheckpoint) -> Result<(), LogStoreError> {
        sqlx::query(
            "INSERT INTO ledger_checkpoints (size, note) VALUES ($1, $2) \
             ON CONFLICT (size) DO UPDATE SET note = excluded.note",
        )
        .bind(int(signed.checkpoint().size))
        .bind(signed.to_string())
        .execute(self.pool())
        .await
        .map(drop)
        .map_err(|error| failure("signing a checkpoint", error))
    }

    async fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, LogStoreError> {
        let sql = "SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1";
        Ok(read_checkpoints(self, sql).await?.pop())
    }

    async fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
        read_checkpoints(self, "SELECT note FROM ledger_checkpoints ORDER BY size").await
    }
}

async fn read_checkpoints(
    log: &PostgresLog,
    sql: &'static str,
) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
    let rows = sqlx::query(sql)
        .fetch_all(log.pool())
        .await
        .map_err(|error| failure(READ, error))?;
    rows.iter()
        .map(|row| {
            let note: &str = row.try_get(0).map_err(|error| failure(READ, error))?;
            note.parse()
                .map_err(|error| LogStoreError::corrupt(READ, error))
        })
        .collect()
}

fn tree_of(bytes: &[u8], operation: &'static str) -> Result<Tree, LogStoreError> {
    match bytes {
        // As the migration leaves it.
        [] => Ok(Tree::new()),
        bytes => Tree::from_bytes(bytes).map_err(|error| LogStoreError::corrupt(operation, error)),
    }
}

fn column<'a, T, V>(rows: &'a [T], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

fn digest(bytes: Vec<u8>) -> Result<Digest, LogStoreError> {
    <[u8; 32]>::try_from(bytes)
        .map(Digest)
        .map_err(|bytes| LogStoreError::corrupt(READ, format!("a hash of {} bytes", bytes.len())))
}
