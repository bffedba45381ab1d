//! The ledger as a database keeps it: what each database says in its own words, and above it checkpoints, proofs
//! and verification, which are the same for all.

use std::{collections::HashMap, ops::Range};

use async_trait::async_trait;
use ledger::{
    Checkpoint, ConsistencyProof, Digest, Entry, InclusionProof, NodeId, NoteSigner, ProofBundle,
    ProofPlan, Report, SignedCheckpoint, Tree, Verifier, VerifierKey,
};

use crate::{
    LogStoreError,
    limits::{NODE_LEVEL, VERIFY_PAGE},
};

const READ: &str = "reading the ledger";

/// A ledger in a database. Entries are appended through the log that it belongs to.
#[async_trait]
pub trait LedgerStore: Send + Sync {
    /// The Merkle tree's state over all entries.
    async fn ledger_tree(&self) -> Result<Tree, LogStoreError>;

    /// Entries of these sequences, in order, as they are stored: unverified.
    async fn ledger_entries(&self, range: Range<u64>) -> Result<Vec<Entry>, LogStoreError>;

    /// Sequence of the last entry, whatever the tree says.
    async fn last_sequence(&self) -> Result<Option<u64>, LogStoreError>;

    /// The root of a perfect subtree, which is kept from level 8 up.
    async fn ledger_node(&self, node: NodeId) -> Result<Option<Digest>, LogStoreError>;

    /// Keeps a checkpoint, with the signatures that witnesses have added to it.
    async fn save_checkpoint(&self, signed: &SignedCheckpoint) -> Result<(), LogStoreError>;

    /// The checkpoint of the largest size.
    async fn last_checkpoint(&self) -> Result<Option<SignedCheckpoint>, LogStoreError>;

    /// All checkpoints, by size.
    async fn checkpoints(&self) -> Result<Vec<SignedCheckpoint>, LogStoreError>;

    /// Entries in the ledger.
    async fn ledger_size(&self) -> Result<u64, LogStoreError> {
        Ok(self.ledger_tree().await?.size())
    }

    /// One entry, if there is one of that sequence.
    async fn ledger_entry(&self, sequence: u64) -> Result<Option<Entry>, LogStoreError> {
        Ok(self.ledger_entries(sequence..sequence + 1).await?.pop())
    }

    /// Signs a checkpoint over all entries with the log's key and keeps it. If nothing was entered
    /// since the last one, that one is returned.
    async fn ledger_checkpoint(
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

    /// That entry `index` is in the tree of the first `size` entries.
    async fn inclusion_proof(
        &self,
        index: u64,
        size: u64,
    ) -> Result<InclusionProof, LogStoreError> {
        let plan = ProofPlan::inclusion(index, size).map_err(proof_refused)?;
        let path = assemble(self, &plan).await?;
        Ok(InclusionProof { index, size, path })
    }

    /// That the first `old_size` entries are the beginning of the first `new_size`.
    async fn consistency_proof(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, LogStoreError> {
        let plan = ProofPlan::consistency(old_size, new_size).map_err(proof_refused)?;
        let path = assemble(self, &plan).await?;
        Ok(ConsistencyProof {
            old_size,
            new_size,
            path,
        })
    }

    /// The offline proof of one entry under a checkpoint that covers it, signed now if need be.
    async fn prove(
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
    async fn verify_ledger(
        &self,
        log: &VerifierKey,
        progress: &mut (dyn FnMut(u64) + Send),
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
                    push_singly(self, &mut verifier, next..end).await?;
                }
                Err(error) => return Err(error),
            }
            next = end;
            progress(next);
        }
        Ok(verifier.finish())
    }
}

/// A page with a missing or unreadable entry: which one is it?
async fn push_singly<S: LedgerStore + ?Sized>(
    store: &S,
    verifier: &mut Verifier,
    range: Range<u64>,
) -> Result<(), LogStoreError> {
    for sequence in range {
        match store.ledger_entry(sequence).await {
            Ok(Some(entry)) => verifier.push(&entry),
            Ok(None) => verifier.push_unreadable("the entry is missing"),
            Err(LogStoreError::Corrupt { reason, .. }) => verifier.push_unreadable(reason),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn assemble<S: LedgerStore + ?Sized>(
    store: &S,
    plan: &ProofPlan,
) -> Result<Vec<Digest>, LogStoreError> {
    let mut hashes = HashMap::new();
    for node in plan.nodes() {
        hashes.insert(node, hash_of(store, node).await?);
    }
    plan.assemble(|node| hashes.get(&node).copied())
        .map_err(proof_refused)
}

async fn hash_of<S: LedgerStore + ?Sized>(
    store: &S,
    node: NodeId,
) -> Result<Digest, LogStoreError> {
    if node.level >= NODE_LEVEL {
        let kept = store.ledger_node(node).await?;
        return kept.ok_or_else(|| LogStoreError::corrupt(READ, format!("{node:?} is missing")));
    }
    let mut tree = Tree::new();
    let leaves = node.leaves();
    let entries = store.ledger_entries(leaves.clone()).await?;
    entries
        .iter()
        .for_each(|entry| tree.push(entry.leaf_hash()));
    if tree.size() != leaves.end - leaves.start {
        return Err(LogStoreError::corrupt(
            READ,
            format!("entries of {node:?} are missing"),
        ));
    }
    Ok(tree.root())
}

fn proof_refused(error: ledger::ProofError) -> LogStoreError {
    LogStoreError::Refused {
        operation: "making a proof",
        reason: error.to_string(),
    }
}
