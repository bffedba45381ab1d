//! The gateway's own ledger as evidence: states of it signed with a key of its own, and proofs.

use std::sync::Arc;

use ledger::{
    ConsistencyProof, KeyKind, NoteError, NoteSigner, ProofBundle, SignedCheckpoint, VerifierKey,
};
use logstore::LogStoreError;

use super::{MainKey, storage::Storage};
use crate::{limits::service as limits, trust::hex};

/// Signs and proves. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    log: Storage,
    signer: Arc<NoteSigner>,
}

/// The key that a gateway signs states of its ledger with. Replicas share it, as they share the ledger.
pub(super) fn signer(key: &MainKey) -> Result<NoteSigner, NoteError> {
    let name = key.derive("name of the ledger");
    let origin = format!("neurascale-gateway/{}", hex(&name[..8]));
    NoteSigner::from_seed(&origin, KeyKind::Ed25519, &key.derive("ledger"))
}

impl Ledger {
    pub(crate) fn new(log: Storage, key: &MainKey) -> Result<Self, NoteError> {
        let signer = Arc::new(signer(key)?);
        Ok(Self { log, signer })
    }

    /// What signatures are checked with.
    pub(crate) fn key(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// Signs the ledger's state; the last signature, where nothing was entered since.
    pub(crate) async fn checkpoint(&self) -> Result<SignedCheckpoint, LogStoreError> {
        self.log.ledger().ledger_checkpoint(&self.signer).await
    }

    pub(crate) async fn prove(&self, sequence: u64) -> Result<Option<ProofBundle>, LogStoreError> {
        let ledger = self.log.ledger();
        if sequence >= ledger.ledger_size().await? {
            return Ok(None);
        }
        ledger.prove(sequence, &self.signer).await.map(Some)
    }

    /// That what there was at `old` entries is the beginning of what there is at `new`; `None` where the ledger
    /// is not that long.
    pub(crate) async fn consistency(
        &self,
        old: u64,
        new: u64,
    ) -> Result<Option<ConsistencyProof>, LogStoreError> {
        let ledger = self.log.ledger();
        // Of nothing everything is the beginning: there is no proof of that (RFC 6962, 2.1.2).
        if old == 0 || old > new || new > ledger.ledger_size().await? {
            return Ok(None);
        }
        ledger.consistency_proof(old, new).await.map(Some)
    }

    /// Signs once a while, for as long as it is let.
    pub(crate) async fn sign_on(self) {
        let mut tick = tokio::time::interval(limits::CHECKPOINT_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.checkpoint().await {
                tracing::warn!(%error, "the ledger's state was not signed");
            }
        }
    }
}
