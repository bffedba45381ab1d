//! Hash chain, Merkle tree, signed checkpoints, proofs and their verification.
