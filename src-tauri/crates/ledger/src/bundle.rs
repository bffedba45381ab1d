//! The offline proof of a single entry: all that another party needs beside the log's public key.

use serde::{Deserialize, Serialize};

use crate::{
    CheckpointError, Entry, EntryFault, InclusionProof, ProofError, SignedCheckpoint, VerifierKey,
};

/// Name and version of the format, the value of `format`.
pub const PROOF_FORMAT: &str = "neurascale-ledger-proof/v1";

/// An entry, its place in the Merkle tree, and the signed checkpoint of that tree, as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofBundle {
    /// [`PROOF_FORMAT`].
    pub format: String,
    /// The entry proven.
    pub entry: Entry,
    /// Its path to the root.
    pub inclusion: InclusionProof,
    /// The signed root, with any witnesses' signatures.
    pub checkpoint: SignedCheckpoint,
}

/// Why a bundle proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not of a format that this program knows.
    #[error("proof bundle: format {0:?} is unknown; {PROOF_FORMAT} is due")]
    Format(String),
    /// Not JSON of this shape.
    #[error("proof bundle: it does not parse")]
    Parse(#[source] serde_json::Error),
    /// The parts are of different trees or entries.
    #[error("proof bundle: entry, proof and checkpoint do not belong together")]
    Mismatch,
    /// The entry is not sound by itself.
    #[error("proof bundle: the entry is bad")]
    Entry(#[source] EntryFault),
    /// The checkpoint is not to be trusted.
    #[error("proof bundle: the checkpoint is bad")]
    Checkpoint(#[source] CheckpointError),
    /// The path does not lead to the signed root.
    #[error("proof bundle: the inclusion proof is bad")]
    Inclusion(#[source] ProofError),
}

impl ProofBundle {
    /// Puts a bundle together.
    pub fn new(entry: Entry, inclusion: InclusionProof, checkpoint: SignedCheckpoint) -> Self {
        Self {
            format: PROOF_FORMAT.to_owned(),
            entry,
            inclusion,
            checkpoint,
        }
    }

    /// Reads the JSON form.
    pub fn from_json(text: &str) -> Result<Self, BundleError> {
        let bundle: Self = serde_json::from_str(text).map_err(BundleError::Parse)?;
        if bundle.format == PROOF_FORMAT {
            Ok(bundle)
        } else {
            Err(BundleError::Format(bundle.format))
        }
    }

    /// Verifies everything that the bundle says, against the log's key.
    pub fn verify(&self, log: &VerifierKey) -> Result<(), BundleError> {
        if self.format != PROOF_FORMAT {
            return Err(BundleError::Format(self.format.clone()));
        }
        let checkpoint = self
            .checkpoint
            .verify(log)
            .map_err(BundleError::Checkpoint)?;
        if self.inclusion.index != self.entry.sequence || self.inclusion.size != checkpoint.size {
            return Err(BundleError::Mismatch);
        }
        self.entry.check_alone().map_err(BundleError::Entry)?;
        self.inclusion
            .verify(&self.entry.leaf_hash(), &checkpoint.root)
            .map_err(BundleError::Inclusion)
    }
}
