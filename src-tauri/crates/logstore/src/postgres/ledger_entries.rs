//! Appending to the ledger.

use std::ops::Range;

use ledger::{CanonicalJson, Digest, Draft, Entry, Tree};
use sqlx::{PgConnection, PgExecutor, Row};

use super::failure;
use crate::{LogStoreError, batch::int, limits::NODE_LEVEL};

const ENTER: &str = "entering into the ledger";
const READ: &str = "reading the ledger";

/// Enters drafts within the caller's transaction, which holds the ledger's end until it is over. The
/// number of entries thereafter.
pub async fn enter(
    connection: &mut PgConnection,
    drafts: Vec<Draft>,
) -> Result<u64, LogStoreError> {
    let failed = |error| failure(ENTER, error);
    let corrupt = |reason: String| LogStoreError::corrupt(ENTER, reason);
    sqlx::query(
        "INSERT INTO ledger_state (id, tree, last_hash) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(Tree::new().to_bytes())
    .bind(Digest::ZERO.as_bytes().to_vec())
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    let row = sqlx::query("SELECT tree, last_hash FROM ledger_state WHERE id = 1 FOR UPDATE")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let tree: Vec<u8> = row.try_get(0).map_err(failed)?;
    let mut tree = Tree::from_bytes(&tree).map_err(|error| corrupt(error.to_string()))?;
    let mut previous = digest(row.try_get(1).map_err(failed)?)?;
    let mut nodes = Vec::new();
    let mut entries = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let (entry, leaf) =
            Entry::seal_with_leaf(draft, tree.size(), previous).map_err(|error| {
                LogStoreError::Refused {
                    operation: ENTER,
                    reason: error.to_string(),
                }
            })?;
        previous = entry.hash;
        tree.push_with(leaf, |node, hash| {
            if node.level >= NODE_LEVEL {
                nodes.push((node, hash));
            }
        });
        entries.push(entry);
    }
    sqlx::query(
        "INSERT INTO ledger_entries (sequence, kind, time_ns, actor, payload, previous, hash) \
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], \
         $6::bytea[], $7::bytea[])",
    )
    .bind(column(&entries, |entry| int(entry.sequence)))
    .bind(column(&entries, |entry| entry.kind.clone()))
    .bind(column(&entries, |entry| entry.time_ns))
    .bind(column(&entries, |entry| entry.actor.clone()))
    .bind(column(&entries, |entry| entry.payload.as_str().to_owned()))
    .bind(column(&entries, |entry| entry.previous.as_bytes().to_vec()))
    .bind(column(&entries, |entry| entry.hash.as_bytes().to_vec()))
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if !nodes.is_empty() {
        sqlx::query(
            "INSERT INTO ledger_nodes (level, idx, hash) \
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])",
        )
        .bind(column(&nodes, |(node, _)| i64::from(node.level)))
        .bind(column(&nodes, |(node, _)| int(node.index)))
        .bind(column(&nodes, |(_, hash)| hash.as_bytes().to_vec()))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    sqlx::query("UPDATE ledger_state SET tree = $1, last_hash = $2 WHERE id = 1")
        .bind(tree.to_bytes())
        .bind(previous.as_bytes().to_vec())
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    Ok(tree.size())
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

fn column<T, V>(rows: &[T], value: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

fn digest(bytes: Vec<u8>) -> Result<Digest, LogStoreError> {
    <[u8; 32]>::try_from(bytes)
        .map(Digest)
        .map_err(|bytes| LogStoreError::corrupt(READ, format!("a hash of {} bytes", bytes.len())))
}
