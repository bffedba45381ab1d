//! The record of what was done: hash-chained entries, an RFC 6962 Merkle tree over them, signed
//! checkpoints, proofs, and the verification of all of it. Pure: no I/O, clock or randomness.
//!
//! # Format
//!
//! **Entry, version 1.** `hash` = SHA-256 of [`Entry::encode`], whose layout stands there: a domain
//! line, big-endian numbers, and length-prefixed UTF-8 texts, so that no two entries share an
//! encoding. `previous` is the hash of the entry before ([`Digest::ZERO`] for sequence 0). The
//! payload is canonical JSON ([`CanonicalJson`], RFC 8785). A ledger in a file is one JSON entry a
//! line.
//!
//! **Tree.** Leaf `i` is SHA-256(0x00 ‖ encoding of entry `i`), inner nodes SHA-256(0x01 ‖ left ‖
//! right): RFC 6962 section 2.1.
//!
//! **Checkpoint.** A signed note (C2SP tlog-checkpoint on signed-note): origin, size in decimal,
//! base64 root, an empty line, then `— origin base64(key id ‖ Ed25519 signature)`. Witnesses add
//! lines of cosignature/v1 (C2SP tlog-cosignature). Tools that read these formats verify ours.
//!
//! **Proof bundle.** JSON of [`ProofBundle`]: entry, inclusion proof, checkpoint; format name
//! [`PROOF_FORMAT`].
//!
//! A changed format gets a new version in the domain line or format name; the old one stays
//! readable. `tests/it/golden` keeps one file of each version.

mod bundle;
mod canonical;
mod checkpoint;
mod digest;
mod entry;
pub mod limits;
pub mod merkle;
mod note;
mod verify;

pub use bundle::{BundleError, PROOF_FORMAT, ProofBundle};
pub use canonical::{CanonicalError, CanonicalJson};
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use digest::{Digest, DigestError};
pub use entry::{Draft, Entry, EntryFault};
pub use merkle::{
    ConsistencyProof, InclusionProof, NodeId, ProofError, ProofPlan, Tree, TreeError,
};
pub use note::{KeyKind, NoteError, NoteSignature, NoteSigner, SignedNote, VerifierKey};
pub use verify::{BadEntry, Report, ReportSummary, Verifier, verify};
