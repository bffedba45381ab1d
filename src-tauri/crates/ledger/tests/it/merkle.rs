//! The tree and its proofs against RFC 6962, published vectors, and a naive tree.

use std::collections::HashMap;

use ledger::{ConsistencyProof, Digest, InclusionProof, NodeId, ProofError, Tree, merkle};
use proptest::prelude::*;

/// The leaves and roots of the Certificate Transparency reference tests
/// (google/certificate-transparency, merkletree test vectors), also in transparency-dev/merkle.
const LEAVES: [&[u8]; 8] = [
    &[],
    &[0x00],
    &[0x10],
    &[0x20, 0x21],
    &[0x30, 0x31],
    &[0x40, 0x41, 0x42, 0x43],
    &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
    &[
        0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e,
        0x6f,
    ],
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(text: &str) -> Digest {
    text.parse().unwrap()
}

/// MTH of RFC 6962 section 2.1, as it is written there.
fn naive_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => merkle::empty_root(),
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            merkle::node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of section 2.1.1.
fn naive_path(index: usize, leaves: &[Digest]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = if index < left.len() {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - left.len(), right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// SUBPROOF of section 2.1.2.
fn naive_consistency(old: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if whole {
            Vec::new()
        } else {
            vec![naive_root(leaves)]
        };
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = if old <= left.len() {
        (naive_consistency(old, left, whole), naive_root(right))
    } else {
        (
            naive_consistency(old - left.len(), right, false),
            naive_root(left),
        )
    };
    path.push(sibling);
    path
}

fn grown(leaves: &[Digest]) -> (Tree, HashMap<NodeId, Digest>) {
    let (mut tree, mut nodes) = (Tree::new(), HashMap::new());
    for leaf in leaves {
        tree.push_with(*leaf, |id, hash| assert!(nodes.insert(id, hash).is_none()));
    }
    (tree, nodes)
}

fn leaves(count: usize) -> Vec<Digest> {
    (0..count)
        .map(|i| merkle::leaf_hash(&i.to_be_bytes()))
        .collect()
}

#[test]
fn roots_are_those_of_the_reference() {
    let hashes: Vec<_> = LEAVES.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
    for (size, root) in ROOTS.iter().enumerate() {
        let (tree, _) = grown(&hashes[..size]);
        assert_eq!(tree.root(), hex(root), "size {size}");
    }
}

#[test]
fn proofs_are_those_of_the_reference() {
    let hashes: Vec<_> = LEAVES.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
    let (_, nodes) = grown(&hashes);
    let node = |id| nodes.get(&id).copied();
    let proof = InclusionProof::build(5, 8, node).unwrap();
    let expected = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(proof.path, expected.map(hex));
    let proof = ConsistencyProof::build(6, 8, node).unwrap();
    let expected = [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ];
    assert_eq!(proof.path, expected.map(hex));
}

#[test]
fn every_proof_up_to_70_leaves_is_the_naive_one_and_holds() {
    let all = leaves(70);
    for size in 1..=all.len() {
        let (tree, nodes) = grown(&all[..size]);
        let node = |id| nodes.get(&id).copied();
        let root = tree.root();
        assert_eq!(root, naive_root(&all[..size]));
        for index in 0..size {
            let proof = InclusionProof::build(index as u64, size as u64, node).unwrap();
            assert_eq!(proof.path, naive_path(index, &all[..size]));
            proof.verify(&all[index], &root).unwrap();
            proof.verify(&all[(index + 1) % 70], &root).unwrap_err();
        }
        for old in 1..=size {
            let proof = ConsistencyProof::build(old as u64, size as u64, node).unwrap();
            assert_eq!(proof.path, naive_consistency(old, &all[..size], true));
            let old_root = naive_root(&all[..old]);
            proof.verify(&old_root, &root).unwrap();
            if old < size {
                proof.verify(&root, &root).unwrap_err();
                proof.verify(&old_root, &old_root).unwrap_err();
            }
        }
    }
}

#[test]
fn proofs_out_of_range_or_without_their_nodes_are_refused() {
    let none = |_| None;
    for (index, size) in [(0, 0), (3, 3), (u64::MAX, 3)] {
        let error = InclusionProof::build(index, size, none).unwrap_err();
        assert!(matches!(error, ProofError::OutOfRange { .. }), "{error}");
    }
    for (old, new) in [(0, 3), (4, 3)] {
        let error = ConsistencyProof::build(old, new, none).unwrap_err();
        assert!(matches!(error, ProofError::OutOfRange { .. }), "{error}");
    }
    let error = InclusionProof::build(0, 3, none).unwrap_err();
    assert!(matches!(error, ProofError::MissingNode(_)), "{error}");
    let huge = InclusionProof {
        index: u64::MAX - 1,
        size: u64::MAX,
        path: Vec::new(),
    };
    assert!(huge.verify(&Digest::ZERO, &Digest::ZERO).is_err());
}

proptest! {
    #[test]
    fn a_tree_that_is_stored_and_read_between_grows_the_same(count in 0_usize..600, cut in 0_usize..600) {
        let all = leaves(count);
        let (first, rest) = all.split_at(cut.min(count));
        let (tree, _) = grown(first);
        let mut tree = Tree::from_bytes(&tree.to_bytes()).unwrap();
        rest.iter().for_each(|leaf| tree.push(*leaf));
        prop_assert_eq!(tree.root(), naive_root(&all));
        prop_assert_eq!(tree.size(), count as u64);
    }

    #[test]
    fn a_changed_proof_does_not_hold(
        count in 2_usize..300, index in any::<prop::sample::Index>(), bit in 0_usize..256, at in any::<prop::sample::Index>()
    ) {
        let all = leaves(count);
        let (tree, nodes) = grown(&all);
        let node = |id| nodes.get(&id).copied();
        let leaf = index.index(count);
        let proof = InclusionProof::build(leaf as u64, count as u64, node).unwrap();
        let mut changed = proof.clone();
        let place = at.index(changed.path.len());
        changed.path[place].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(changed.verify(&all[leaf], &tree.root()).is_err());
        let mut longer = proof.clone();
        longer.path.push(Digest::ZERO);
        prop_assert!(longer.verify(&all[leaf], &tree.root()).is_err());
        let mut shorter = proof;
        shorter.path.pop();
        prop_assert!(shorter.verify(&all[leaf], &tree.root()).is_err());
    }

    #[test]
    fn a_tree_state_of_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Tree::from_bytes(&bytes);
    }
}
