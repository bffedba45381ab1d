//! The ledger on SQL: entries, checkpoints, proofs, verification. Entries are appended through
//! [`crate::UnitOfWork`].

use std::{collections::HashMap, ops::Range};

use ledger::{
    CanonicalJson, Checkpoint, ConsistencyProof, Digest, Entry, InclusionProof, NodeId, NoteSigner,
    ProofBundle, ProofPlan, Report, SignedCheckpoint, Tree, Verifier, VerifierKey,
};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    LogStore, LogStoreError, OutboxItem, Statement, UnitOfWork,
    batch::int,
    limits::{NODE_LEVEL, VERIFY_PAGE},
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

    /// Entries in the ledger.
    pub async fn ledger_size(&self) -> Result<u64, LogStoreError> {
        Ok(self.ledger_tree().await?.size())
    }

    /// The Merkle tree's state over all entries.
    pub async fn ledger_tree(&self) -> Result<Tree, LogStoreError> {
        let failed = |error| LogStoreError::database(READ, error);
        let row = sqlx::query("SELECT tree FROM ledger_state WHERE id = 1")
            .fetch_optional(self.readers())
            .await
            .map_err(failed)?;
        let Some(row) = row else {
            return Ok(Tree::new());
        };
        let bytes: Vec<u8> = row.try_get(0).map_err(failed)?;
        Tree::from_bytes(&bytes).map_err(|error| LogStoreError::corrupt(READ, error))
    }

    /// Entries of these sequences, in order, as they are stored: unverified.
    pub async fn ledger_entries(&self, range: Range<u64>) -> Result<Vec<Entry>, LogStoreError> {
        let failed = |error| LogStoreError::database(READ, error);
        let sql = "SELECT sequence, kind, time_ns, actor, payload, previous, hash \
                   FROM ledger_entries WHERE sequence >= ? AND sequence < ? ORDER BY sequence";
        let rows = sqlx::query(sql)
            .bind(int(range.start))
            .bind(int(range.end))
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.iter().map(entry_of).collect()
    }

    /// One entry, if there is one of that sequence.
    pub async fn ledger_entry(&self, sequence: u64) -> Result<Option<Entry>, LogStoreError> {
        Ok(self.ledger_entries(sequence..sequence + 1).await?.pop())
    }

    /// Signs a checkpoint over all entries with the log's key and keeps it. If nothing was entered
    /// since the last one, that one is returned.
    pub async fn ledger_checkpoint(
        &self,
        signer: &NoteSigner,
    ) -> Result<SignedCheckpoint, LogStoreError> {
        const OPERATION: &str = "signing a checkpoint";
        let tree = self.ledger_tree().await?;
        if let Some(last) = self.last_checkpoint().await?
            && last.checkpoint().size == tree.size()
            && last.verify(signer.verifier()).is_ok()
        {
            return Ok(last);
        }
        let checkpoint = Checkpoint {
            origin: signer.verifier().name().to_owned(),
            size: tree.size(),
            root: tree.root(),
            extensions: Vec::new(),
        };
        let signed = checkpoint
            .sign(signer)
            .map_err(|error| LogStoreError::Refused {
                operation: OPERATION,
                reason: error.to_string(),
            })?;
        self.save_checkpoint(&signed).await?;
        Ok(signed)
    }

    /// Keeps a checkpoint, with the signatures that witnesses have added to it.
    pub async fn save_checkpoint(&self, signed: &SignedCheckpoint) -> Result<(), LogStoreError> {
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

    /// The checkpoint of the largest size.
    pub async fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, LogStoreError> {
        let sql = "SELECT note FROM ledger_checkpoints ORDER BY size DESC LIMIT 1";
        Ok(self.read_checkpoints(sql).await?.pop())
    }

    /// All checkpoints, by size.
    pub async fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
        self.read_checkpoints("SELECT note FROM ledger_checkpoints ORDER BY size")
            .await
    }

    async fn read_checkpoints(
        &self,
        sql: &'static str,
    ) -> Result<Vec<SignedCheckpoint>, LogStoreError> {
        let failed = |error| LogStoreError::database(READ, error);
        let rows = sqlx::query(sql)
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.iter()
            .map(|row| {
                let note: &str = row.try_get(0).map_err(failed)?;
                note.parse()
                    .map_err(|error| LogStoreError::corrupt(READ, error))
            })
            .collect()
    }

    /// That entry `index` is in the tree of the first `size` entries.
    pub async fn inclusion_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<InclusionProof, LogStoreError> {
        let plan = ProofPlan::inclusion(index, size).map_err(proof_refused)?;
        let path = self.assemble(&plan).await?;
        Ok(InclusionProof { index, size, path })
    }

    /// That the first `old_size` entries are the beginning of the first `new_size`.
    pub async fn consistency_proof(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, LogStoreError> {
        let plan = ProofPlan::consistency(old_size, new_size).map_err(proof_refused)?;
        let path = self.assemble(&plan).await?;
        Ok(ConsistencyProof {
            old_size,
            new_size,
            path,
        })
    }

    /// The offline proof of one entry under a checkpoint that covers it, signed now if need be.
    pub async fn prove(
        &self,
        sequence: u64,
        signer: &NoteSigner,
    ) -> Result<ProofBundle, LogStoreError> {
        let entry = self
            .ledger_entry(sequence)
            .await?
            .ok_or_else(|| LogStoreError::Refused {
                operation: "proving an entry",
                reason: format!("the ledger has no entry {sequence}"),
            })?;
        let checkpoint = match self.last_checkpoint().await? {
            Some(last)
                if last.checkpoint().size > sequence && last.verify(signer.verifier()).is_ok() =>
            {
                last
            }
            _ => self.ledger_checkpoint(signer).await?,
        };
        let inclusion = self
            .inclusion_proof(sequence, checkpoint.checkpoint().size)
            .await?;
        Ok(ProofBundle::new(entry, inclusion, checkpoint))
    }

    /// Verifies every entry and every checkpoint; `progress` is told how many entries are done.
    pub async fn verify_ledger(
        &self,
        log: &VerifierKey,
        mut progress: impl FnMut(u64),
    ) -> Result<Report, LogStoreError> {
        let mut verifier = Verifier::new(&self.checkpoints().await?, log);
        let mut next = 0;
        // What is entered meanwhile is verified the next time.
        let last = self.last_sequence().await?;
        while last.is_some_and(|last| next <= last) {
            let end = last.map_or(next, |last| (last + 1).min(next + VERIFY_PAGE));
            match self.ledger_entries(next..end).await {
                Ok(page) if page.len() as u64 == end - next => {
                    page.iter().for_each(|entry| verifier.push(entry));
                }
                Ok(_) | Err(LogStoreError::Corrupt { .. }) => {
                    self.push_singly(&mut verifier, next..end).await?;
                }
                Err(error) => return Err(error),
            }
            next = end;
            progress(next);
        }
        Ok(verifier.finish())
    }

    async fn last_sequence(&self) -> Result<Option<u64>, LogStoreError> {
        let last: Option<i64> = sqlx::query("SELECT max(sequence) FROM ledger_entries")
            .fetch_one(self.readers())
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| LogStoreError::database(READ, error))?;
        Ok(last.map(i64::unsigned_abs))
    }

    /// A page with a missing or unreadable entry: which one is it?
    async fn push_singly(
        &self,
        verifier: &mut Verifier,
        range: Range<u64>,
    ) -> Result<(), LogStoreError> {
        for sequence in range {
            match self.ledger_entry(sequence).await {
                Ok(Some(entry)) => verifier.push(&entry),
                Ok(None) => verifier.push_unreadable("the entry is missing"),
                Err(LogStoreError::Corrupt { reason, .. }) => verifier.push_unreadable(reason),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn assemble(&self, plan: &ProofPlan) -> Result<Vec<Digest>, LogStoreError> {
        let mut hashes = HashMap::new();
        for node in plan.nodes() {
            hashes.insert(node, self.node(node).await?);
        }
        plan.assemble(|node| hashes.get(&node).copied())
            .map_err(proof_refused)
    }

    async fn node(&self, node: NodeId) -> Result<Digest, LogStoreError> {
        let failed = |error| LogStoreError::database(READ, error);
        if node.level < NODE_LEVEL {
            let mut tree = Tree::new();
            let entries = self.ledger_entries(node.leaves()).await?;
            entries
                .iter()
                .for_each(|entry| tree.push(entry.leaf_hash()));
            let leaves = node.leaves();
            if tree.size() != leaves.end - leaves.start {
                return Err(LogStoreError::corrupt(
                    READ,
                    format!("entries of {node:?} are missing"),
                ));
            }
            return Ok(tree.root());
        }
        let hash: Option<Vec<u8>> =
            sqlx::query("SELECT hash FROM ledger_nodes WHERE level = ? AND idx = ?")
                .bind(i64::from(node.level))
                .bind(int(node.index))
                .fetch_optional(self.readers())
                .await
                .and_then(|row| row.map(|row| row.try_get(0)).transpose())
                .map_err(failed)?;
        let hash =
            hash.ok_or_else(|| LogStoreError::corrupt(READ, format!("{node:?} is missing")))?;
        Digest::try_from(&hash[..]).map_err(|error| LogStoreError::corrupt(READ, error))
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

fn proof_refused(error: ledger::ProofError) -> LogStoreError {
    LogStoreError::Refused {
        operation: "making a proof",
        reason: error.to_string(),
    }
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
