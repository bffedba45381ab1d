//! The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1 is the same tree with SHA-256):
//! leaves are hashed behind 0x00, inner nodes behind 0x01, and a tree of n > 1 leaves splits after
//! the largest power of two below n.

mod proof;
mod tree;

pub use proof::{ConsistencyProof, InclusionProof, ProofError, ProofPlan};
pub use tree::{NodeId, Tree, TreeError};

use crate::Digest;

/// SHA-256(0x00 ‖ data).
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest::of(&[&[0x00], data])
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[0x01], &left.0, &right.0])
}

/// Root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}
