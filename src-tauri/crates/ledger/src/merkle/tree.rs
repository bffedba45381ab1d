//! The growing tree: only the roots of its perfect subtrees are kept.

use super::{empty_root, node_hash};
use crate::Digest;

/// A perfect subtree: the leaves `index << level` up to (not including) `(index + 1) << level`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId {
    /// 0 for a leaf.
    pub level: u8,
    /// Position within the level.
    pub index: u64,
}

impl NodeId {
    /// The leaves it spans.
    pub fn leaves(self) -> std::ops::Range<u64> {
        self.index << self.level..(self.index + 1) << self.level
    }
}

/// A tree to which leaves are appended: O(log n) hashes in memory, at most log n hashed an append.
///
/// Its whole state is [`Tree::to_bytes`]; the roots of completed subtrees are handed out as they
/// arise, for a store that will answer proofs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    size: u64,
    /// Roots of the perfect subtrees, largest first: one for every 1 bit of `size`.
    peaks: Vec<Digest>,
}

/// A stored tree state that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("reading the tree state: {0} bytes do not fit the size they state")]
pub struct TreeError(usize);

impl Tree {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Digest) {
        self.push_with(leaf, |_, _| {});
    }

    /// Appends a leaf by its hash; `completed` is told every perfect subtree that it completes, the
    /// leaf itself first.
    pub fn push_with(&mut self, leaf: Digest, mut completed: impl FnMut(NodeId, Digest)) {
        let mut hash = leaf;
        let mut id = NodeId {
            level: 0,
            index: self.size,
        };
        completed(id, hash);
        // Each trailing 1 bit of the size is a peak of the same height to the left.
        while id.index & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(&left, &hash);
            id = NodeId {
                level: id.level + 1,
                index: id.index >> 1,
            };
            completed(id, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Root hash over all leaves (MTH of RFC 6962).
    pub fn root(&self) -> Digest {
        fold_right(&self.peaks).unwrap_or_else(empty_root)
    }

    /// The state: u64 size, big endian, then the peaks, largest first, 32 bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        self.peaks
            .iter()
            .for_each(|peak| bytes.extend_from_slice(&peak.0));
        bytes
    }

    /// Reads what [`Tree::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TreeError> {
        let wrong = || TreeError(bytes.len());
        let (size, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, remainder) = rest.as_chunks::<32>();
        if peaks.len() != size.count_ones() as usize || !remainder.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            size,
            peaks: peaks.iter().copied().map(Digest).collect(),
        })
    }
}

/// Joins neighbouring perfect subtrees, largest first, into one hash.
pub(super) fn fold_right(subtrees: &[Digest]) -> Option<Digest> {
    let (last, rest) = subtrees.split_last()?;
    Some(
        rest.iter()
            .rev()
            .fold(*last, |right, left| node_hash(left, &right)),
    )
}
