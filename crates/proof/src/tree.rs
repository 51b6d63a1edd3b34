//! The Merkle tree: growing it, and proving and checking what it holds (RFC 6962 §2.1, RFC 9162 §2.1.3 and §2.1.4).
//!
//! A proof is accepted only when each of its hashes is used and none is missing; an index at or beyond the size
//! and an old tree larger than the new one are refused.
//! INVARIANT: a tree splits at the largest power of two strictly below its size; a lone right node moves up
//! unchanged, nothing is padded or doubled.
//! INVARIANT: proofs and roots are built out of *complete* subtrees only, so they can be read from tiles and rows
//! that never change.

mod build;
mod check;
mod frontier;

pub use build::{consistency_proof, from_leaves, inclusion_proof, root_at, root_of};
pub use check::{verify_consistency, verify_inclusion};
pub use frontier::Frontier;

/// Why a proof was refused, or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not in the tree.
    #[error("index {index} is not in a tree of {size} leaves")]
    IndexBeyondSize {
        /// The index asked for.
        index: u64,
        /// Number of leaves of the tree.
        size: u64,
    },
    /// The older tree is the larger one.
    #[error("the older tree has {old} leaves, more than the {new} of the newer one")]
    OldBeyondNew {
        /// Leaves of the older tree.
        old: u64,
        /// Leaves of the newer tree.
        new: u64,
    },
    /// Too few or too many hashes.
    #[error("the proof has {got} hashes, {wanted} are needed")]
    Length {
        /// Hashes given.
        got: usize,
        /// Hashes that a proof for these sizes has.
        wanted: usize,
    },
    /// The hashes lead elsewhere than to the older root.
    #[error("the proof leads to another root than that of the older tree")]
    OldRoot,
    /// The hashes lead elsewhere than to the root.
    #[error("the proof leads to another root")]
    Root,
    /// A frontier has the wrong number of hashes for its size.
    #[error("a frontier of {size} leaves has {wanted} hashes, {got} were given")]
    Frontier {
        /// Number of leaves.
        size: u64,
        /// Hashes given.
        got: usize,
        /// One for each bit that is set in the size.
        wanted: usize,
    },
    /// The tree holds as many leaves as can be counted.
    #[error("the tree is full")]
    Full,
}

/// The largest power of two strictly below `n`, which must be at least 2.
fn split(n: u64) -> u64 {
    1 << (63 - n.saturating_sub(1).max(1).leading_zeros())
}
