//! The ledger on SQLite. Entries are appended through [`crate::UnitOfWork`].

use std::ops::Range;

use async_trait::async_trait;
use ledger::{CanonicalJson, Digest, Entry, NodeId, SignedCheckpoint, Tree};
use sqlx::{
    ConnectOptions as _, Row, SqlitePool,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow},
};
use uuid::Uuid;

use crate::{
    LedgerStore, LogStore, LogStoreError, OutboxItem, Statement, UnitOfWork, batch::int, limits,
};

const READ: &str = "reading the ledger";

/// Which entries are wanted. Without a filter: all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EntryQuery<'a> {
    /// Only this kind.
    pub kind: Option<&'a str>,
    /// Only what belongs to this.
    pub correlation: Option<Uuid>,
    /// Not before this sequence; with `newest_first` not after it, and none means the end.
    pub from: Option<u64>,
    /// From the end backwards.
    pub newest_first: bool,
    /// At most this many.
    pub limit: u32,
}

/// The same query in both directions, each through its index.
macro_rules! entries_where {
    ($condition:literal) => {
        [
            concat!(
                "SELECT sequence, kind, time_ns, actor, payload, previous, hash FROM ledger_entries \
                 WHERE sequence >= ?3 ",
                $condition,
                " ORDER BY sequence LIMIT ?4"
            ),
            concat!(
                "SELECT sequence, kind, time_ns, actor, payload, previous, hash FROM ledger_entries \
                 WHERE sequence <= ?3 ",
                $condition,
                " ORDER BY sequence DESC LIMIT ?4"
            ),
        ]
    };
}

impl LogStore {
    /// Entries as asked for, unverified. Reads only what it returns, whatever the ledger's size;
    /// with both filters it reads what belongs to the correlation.
    pub async fn find_entries(&self, query: &EntryQuery<'_>) -> Result<Vec<Entry>, LogStoreError> {
        // A plus keeps an index from being used for that term: few entries share a correlation.
        let sql = match (query.kind, query.correlation) {
            (None, None) => entries_where!(""),
            (Some(_), None) => entries_where!("AND kind = ?1"),
            (None, Some(_)) => {
                entries_where!("AND json_extract(payload, '$.correlation_id') = ?2")
            }
            (Some(_), Some(_)) => {
                entries_where!("AND +kind = ?1 AND json_extract(payload, '$.correlation_id') = ?2")
            }
        };
        let sql = sql[usize::from(query.newest_first)];
        let from = match (query.from, query.newest_first) {
            (Some(from), _) => int(from),
            (None, false) => 0,
            (None, true) => i64::MAX,
        };
        let rows = sqlx::query(sql)
            .bind(query.kind)
            .bind(query.correlation.map(|id| id.to_string()))
            .bind(from)
            .bind(query.limit)
            .fetch_all(self.readers())
            .await
            .map_err(|error| LogStoreError::database(READ, error))?;
        rows.iter().map(entry_of).collect()
    }

    /// Items of the outbox behind `after`, in order, with their ids.
    pub async fn outbox(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, OutboxItem)>, LogStoreError> {
        let failed = |error| LogStoreError::database("reading the outbox", error);
        let sql = "SELECT id, kind, reference FROM outbox WHERE id > ? ORDER BY id LIMIT ?";
        let rows = sqlx::query(sql)
            .bind(after)
            .bind(limit)
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let kind = row.try_get(1).map_err(failed)?;
                let reference = row.try_get(2).map_err(failed)?;
                Ok((
                    row.try_get(0).map_err(failed)?,
                    OutboxItem { kind, reference },
                ))
            })
            .collect()
    }

    /// Removes an item that has arrived; whether there was one.
    pub async fn outbox_done(&self, id: i64) -> Result<bool, LogStoreError> {
        let statement = Statement::new("DELETE FROM outbox WHERE id = ?", [id.into()]);
        match self
            .commit(UnitOfWork::new().statement(statement.expecting(1)))
            .await
        {
            Ok(_) => Ok(true),
            Err(LogStoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl LedgerStore for LogStore {
    async fn ledger_tree(&self) -> Result<Tree, LogStoreError> {
        tree(self.readers()).await
    }

    async fn ledger_entries(&self, range: Range<u64>) -> Result<Vec<Entry>, LogStoreError> {
        entries(self.readers(), range).await
    }

    async fn last_sequence(&self) -> Result<Option<u64>, LogStoreError> {
        last_sequence(self.readers()).await
    }

    async fn ledger_node(&self, node: NodeId) -> Result<Option<Digest>, LogStoreError> {
        kept_node(self.readers(), node).await
    }

    async fn save_checkpoint(&self, signed: &SignedCheckpoint) -> Result<(), LogStoreError> {
        let statement = Statement::new(
            "INSERT INTO ledger_checkpoints (size, note, created_ns) VALUES (?, ?, ?) \
             ON CONFLICT (size) DO UPDATE SET note = excluded.note",
            [
                int(signed.checkpoint().size).into(),
                signed.to_string().into(),
                self.clock().now().as_nanos().into(),
            ],
        );
        self.commit(UnitOfWork::new().statement(statement))
            .await
            .map(drop)
    }

    async fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, LogStoreError> {
        Ok(notes(self.readers(), LAST_CHECKPOINT).await?.pop())
    }

    async fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
        notes(self.readers(), CHECKPOINTS).await
    }
}

/// The ledger of a database that somebody else may be writing to. Nothing is changed through it: not even a
/// checkpoint can be kept.
#[derive(Debug)]
pub struct LedgerReader(SqlitePool);

impl LedgerReader {
    /// Opens the database that `base` names, which must be there.
    pub async fn open(base: SqliteConnectOptions) -> Result<Self, LogStoreError> {
        let reading = base
            .create_if_missing(false)
            .busy_timeout(limits::BUSY_TIMEOUT)
            .disable_statement_logging()
            .pragma("query_only", "1");
        SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(reading)
            .await
            .map(Self)
            .map_err(|error| LogStoreError::database("opening the ledger", error))
    }
}

#[async_trait]
impl LedgerStore for LedgerReader {
    async fn ledger_tree(&self) -> Result<Tree, LogStoreError> {
        tree(&self.0).await
    }

    async fn ledger_entries(&self, range: Range<u64>) -> Result<Vec<Entry>, LogStoreError> {
        entries(&self.0, range).await
    }

    async fn last_sequence(&self) -> Result<Option<u64>, LogStoreError> {
        last_sequence(&self.0).await
    }

    async fn ledger_node(&self, node: NodeId) -> Result<Option<Digest>, LogStoreError> {
        kept_node(&self.0, node).await
    }

    async fn save_checkpoint(&self, _: &SignedCheckpoint) -> Result<(), LogStoreError> {
        Err(LogStoreError::Refused {
            operation: "keeping a checkpoint",
            reason: "the ledger is only read here".to_owned(),
        })
    }

    async fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, LogStoreError> {
        Ok(notes(&self.0, LAST_CHECKPOINT).await?.pop())
    }

    async fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
        notes(&self.0, CHECKPOINTS).await
    }
}

const LAST_CHECKPOINT: &str = "SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1";
const CHECKPOINTS: &str = "SELECT note FROM ledger_checkpoints ORDER BY size";

async fn tree(readers: &SqlitePool) -> Result<Tree, LogStoreError> {
    let failed = |error| LogStoreError::database(READ, error);
    let row = sqlx::query("SELECT tree FROM ledger_state WHERE id = 1")
        .fetch_optional(readers)
        .await
        .map_err(failed)?;
    let Some(row) = row else {
        return Ok(Tree::new());
    };
    let bytes: Vec<u8> = row.try_get(0).map_err(failed)?;
    Tree::from_bytes(&bytes).map_err(|error| LogStoreError::corrupt(READ, error))
}

async fn entries(readers: &SqlitePool, range: Range<u64>) -> Result<Vec<Entry>, LogStoreError> {
    let sql = "SELECT sequence, kind, time_ns, actor, payload, previous, hash \
               FROM ledger_entries WHERE sequence >= ? AND sequence < ? ORDER BY sequence";
    let rows = sqlx::query(sql)
        .bind(int(range.start))
        .bind(int(range.end))
        .fetch_all(readers)
        .await
        .map_err(|error| LogStoreError::database(READ, error))?;
    rows.iter().map(entry_of).collect()
}

async fn last_sequence(readers: &SqlitePool) -> Result<Option<u64>, LogStoreError> {
    let last: Option<i64> = sqlx::query("SELECT max(sequence) FROM ledger_entries")
        .fetch_one(readers)
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| LogStoreError::database(READ, error))?;
    Ok(last.map(i64::unsigned_abs))
}

async fn kept_node(readers: &SqlitePool, node: NodeId) -> Result<Option<Digest>, LogStoreError> {
    let hash: Option<Vec<u8>> =
        sqlx::query("SELECT hash FROM ledger_nodes WHERE level = ? AND idx = ?")
            .bind(i64::from(node.level))
            .bind(int(node.index))
            .fetch_optional(readers)
            .await
            .and_then(|row| row.map(|row| row.try_get(0)).transpose())
            .map_err(|error| LogStoreError::database(READ, error))?;
    hash.map(|hash| {
        Digest::try_from(&hash[..]).map_err(|error| LogStoreError::corrupt(READ, error))
    })
    .transpose()
}

async fn notes(
    readers: &SqlitePool,
    sql: &'static str,
) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
    let failed = |error| LogStoreError::database(READ, error);
    let rows = sqlx::query(sql).fetch_all(readers).await.map_err(failed)?;
    rows.iter()
        .map(|row| {
            let note: &str = row.try_get(0).map_err(failed)?;
            note.parse()
                .map_err(|error| LogStoreError::corrupt(READ, error))
        })
        .collect()
}

fn entry_of(row: &SqliteRow) -> Result<Entry, LogStoreError> {
    let unreadable = |error: sqlx::Error| LogStoreError::corrupt(READ, error);
    let digest = |column| {
        let bytes: Vec<u8> = row.try_get(column).map_err(unreadable)?;
        Digest::try_from(&bytes[..]).map_err(|error| LogStoreError::corrupt(READ, error))
    };
    Ok(Entry {
        sequence: row.try_get::<i64, _>(0).map_err(unreadable)?.unsigned_abs(),
        kind: row.try_get(1).map_err(unreadable)?,
        time_ns: row.try_get(2).map_err(unreadable)?,
        actor: row.try_get(3).map_err(unreadable)?,
        payload: CanonicalJson::unchecked(row.try_get::<String, _>(4).map_err(unreadable)?),
        previous: digest(5)?,
        hash: digest(6)?,
    })
}
