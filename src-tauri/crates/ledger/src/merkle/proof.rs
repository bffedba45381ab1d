//! Inclusion and consistency proofs: RFC 6962 sections 2.1.1 and 2.1.2 to make them,
//! RFC 9162 sections 2.1.3.2 and 2.1.4.2 to check them.

use serde::{Deserialize, Serialize};

use super::{NodeId, node_hash, tree::fold_right};
use crate::Digest;

/// That leaf `index` is in the tree of `size` leaves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// Index of the leaf, from 0.
    pub index: u64,
    /// Leaves in the tree.
    pub size: u64,
    /// Sibling hashes from the leaf up.
    pub path: Vec<Digest>,
}

/// That the tree of `old_size` leaves is a beginning of the tree of `new_size` leaves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// Leaves in the older tree.
    pub old_size: u64,
    /// Leaves in the newer tree.
    pub new_size: u64,
    /// The hashes of RFC 6962 section 2.1.2.
    pub path: Vec<Digest>,
}

/// Why a proof cannot be made or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no such leaf or older tree.
    #[error("proof: {wanted} is not within a tree of {size} leaves")]
    OutOfRange {
        /// Leaf index or older size asked for.
        wanted: u64,
        /// Size of the tree.
        size: u64,
    },
    /// A subtree that the proof needs is not stored.
    #[error("proof: the hash of subtree {0:?} is missing")]
    MissingNode(NodeId),
    /// Too few or too many hashes.
    #[error("proof: {0} hashes do not fit the sizes it states")]
    Length(usize),
    /// The hashes lead to another root.
    #[error("proof: leads to root {computed}, not {expected}")]
    Root {
        /// What the proof leads to.
        computed: Digest,
        /// The root it was held against.
        expected: Digest,
    },
}

/// Which subtrees a proof is made of, so that a store can fetch just those.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProofPlan {
    /// Each hash of the proof as the perfect subtrees it joins, largest first.
    hashes: Vec<Vec<NodeId>>,
}

impl ProofPlan {
    /// The plan of PATH(`index`, D[`size`]).
    pub fn inclusion(index: u64, size: u64) -> Result<Self, ProofError> {
        if index >= size {
            return Err(ProofError::OutOfRange {
                wanted: index,
                size,
            });
        }
        let (mut start, mut end) = (0, size);
        let mut hashes = Vec::new();
        while end - start > 1 {
            let split = start + largest_power_below(end - start);
            if index < split {
                hashes.push(perfect_subtrees(split, end));
                end = split;
            } else {
                hashes.push(perfect_subtrees(start, split));
                start = split;
            }
        }
        hashes.reverse();
        Ok(Self { hashes })
    }

    /// The plan of PROOF(`old_size`, D[`new_size`]).
    pub fn consistency(old_size: u64, new_size: u64) -> Result<Self, ProofError> {
        if old_size == 0 || old_size > new_size {
            return Err(ProofError::OutOfRange {
                wanted: old_size,
                size: new_size,
            });
        }
        let (mut start, mut end) = (0, new_size);
        // SUBPROOF's flag b: whether the subtree under view is the whole older tree.
        let mut whole = true;
        let mut hashes = Vec::new();
        while end != old_size {
            let split = start + largest_power_below(end - start);
            if old_size <= split {
                hashes.push(perfect_subtrees(split, end));
                end = split;
            } else {
                hashes.push(perfect_subtrees(start, split));
                start = split;
                whole = false;
            }
        }
        if !whole {
            hashes.push(perfect_subtrees(start, end));
        }
        hashes.reverse();
        Ok(Self { hashes })
    }

    /// Every subtree whose hash is needed.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.hashes.iter().flatten().copied()
    }

    /// The proof's hashes, from the hashes of its subtrees.
    pub fn assemble(
        &self,
        node: impl Fn(NodeId) -> Option<Digest>,
    ) -> Result<Vec<Digest>, ProofError> {
        let fetch = |id: &NodeId| node(*id).ok_or(ProofError::MissingNode(*id));
        self.hashes
            .iter()
            .map(|ids| {
                let subtrees = ids.iter().map(fetch).collect::<Result<Vec<_>, _>>()?;
                fold_right(&subtrees).ok_or(ProofError::Length(0))
            })
            .collect()
    }
}

/// Largest power of two below n, for n > 1.
fn largest_power_below(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// Cuts the leaves [start, end) into perfect subtrees, largest first. `start` is a multiple of a
/// power of two that is at least `end − start`'s largest, as in every split of RFC 6962.
fn perfect_subtrees(mut start: u64, end: u64) -> Vec<NodeId> {
    let mut ids = Vec::new();
    while start < end {
        let level = (end - start).ilog2();
        ids.push(NodeId {
            level: level as u8,
            index: start >> level,
        });
        start += 1 << level;
    }
    ids
}

impl InclusionProof {
    /// Makes the proof from the hashes of subtrees.
    pub fn build(
        index: u64,
        size: u64,
        node: impl Fn(NodeId) -> Option<Digest>,
    ) -> Result<Self, ProofError> {
        let path = ProofPlan::inclusion(index, size)?.assemble(node)?;
        Ok(Self { index, size, path })
    }

    /// Holds the proof against a leaf hash and a root (RFC 9162 section 2.1.3.2).
    pub fn verify(&self, leaf: &Digest, root: &Digest) -> Result<(), ProofError> {
        if self.index >= self.size {
            return Err(ProofError::OutOfRange {
                wanted: self.index,
                size: self.size,
            });
        }
        let (mut first, mut last) = (self.index, self.size - 1);
        let mut computed = *leaf;
        for sibling in &self.path {
            if last == 0 {
                return Err(ProofError::Length(self.path.len()));
            }
            if first & 1 == 1 || first == last {
                computed = node_hash(sibling, &computed);
                while first & 1 == 0 && first != 0 {
                    first >>= 1;
                    last >>= 1;
                }
            } else {
                computed = node_hash(&computed, sibling);
            }
            first >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(ProofError::Length(self.path.len()));
        }
        same_root(computed, root)
    }
}

impl ConsistencyProof {
    /// Makes the proof from the hashes of subtrees.
    pub fn build(
        old_size: u64,
        new_size: u64,
        node: impl Fn(NodeId) -> Option<Digest>,
    ) -> Result<Self, ProofError> {
        let path = ProofPlan::consistency(old_size, new_size)?.assemble(node)?;
        Ok(Self {
            old_size,
            new_size,
            path,
        })
    }

    /// Holds the proof against both roots (RFC 9162 section 2.1.4.2).
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), ProofError> {
        let Self {
            old_size,
            new_size,
            ref path,
        } = *self;
        let wrong_length = || ProofError::Length(path.len());
        if old_size == 0 || old_size > new_size {
            return Err(ProofError::OutOfRange {
                wanted: old_size,
                size: new_size,
            });
        }
        if old_size == new_size {
            if !path.is_empty() {
                return Err(wrong_length());
            }
            return same_root(*old_root, new_root);
        }
        let mut hashes = path.iter();
        let (mut first, mut last) = (old_size - 1, new_size - 1);
        while first & 1 == 1 {
            first >>= 1;
            last >>= 1;
        }
        // A power of two: the older root is itself the first hash.
        let start = if old_size.is_power_of_two() {
            *old_root
        } else {
            *hashes.next().ok_or_else(wrong_length)?
        };
        let (mut old, mut new) = (start, start);
        for hash in hashes {
            if last == 0 {
                return Err(wrong_length());
            }
            if first & 1 == 1 || first == last {
                old = node_hash(hash, &old);
                new = node_hash(hash, &new);
                while first & 1 == 0 && first != 0 {
                    first >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, hash);
            }
            first >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(wrong_length());
        }
        same_root(old, old_root)?;
        same_root(new, new_root)
    }
}

fn same_root(computed: Digest, expected: &Digest) -> Result<(), ProofError> {
    if computed == *expected {
        Ok(())
    } else {
        Err(ProofError::Root {
            computed,
            expected: *expected,
        })
    }
}
