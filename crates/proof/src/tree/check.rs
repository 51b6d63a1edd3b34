//! Checking proofs (RFC 9162 §2.1.3.2 and §2.1.4.2), without the tree.

use super::ProofError;
use crate::hash::{Hash, node_hash};

/// Checks that `leaf` (a leaf hash) is at `index` in the tree of `size` leaves with this root.
///
/// # Errors
/// When the index is not in the tree, hashes are missing or left over, or they lead to another root.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::IndexBeyondSize { index, size });
    }
    let wanted = inclusion_length(index, size);
    if proof.len() != wanted {
        return Err(ProofError::Length { got: proof.len(), wanted });
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        // A node that is the last of its level and a left child has no sibling: it moves up unchanged.
        while at == last && at & 1 == 0 && at != 0 {
            (at, last) = (at >> 1, last >> 1);
        }
        hash = if at & 1 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
        (at, last) = (at >> 1, last >> 1);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`.
///
/// # Errors
/// When `old` exceeds `new`, hashes are missing or left over, or they lead to other roots. With `old` 0 the old root
/// must be that of the empty tree; with `old` equal to `new` the roots must be equal.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OldBeyondNew { old, new });
    }
    let wanted = consistency_length(old, new);
    if proof.len() != wanted {
        return Err(ProofError::Length { got: proof.len(), wanted });
    }
    if old == new {
        return if old_root == new_root { Ok(()) } else { Err(ProofError::Root) };
    }
    if old == 0 {
        return if *old_root == crate::hash::empty_root() { Ok(()) } else { Err(ProofError::OldRoot) };
    }
    // Where the old tree is one complete subtree of the new one its root is not part of the proof.
    let (first, rest) = match proof.split_first() {
        Some((first, rest)) if !old.is_power_of_two() => (*first, rest),
        _ => (*old_root, proof),
    };
    let shift = (old - 1).trailing_ones();
    let (mut at, mut last) = ((old - 1) >> shift, (new - 1) >> shift);
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        while at & 1 == 0 && at == last && at != 0 {
            (at, last) = (at >> 1, last >> 1);
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    if old_hash != *old_root {
        Err(ProofError::OldRoot)
    } else if new_hash != *new_root {
        Err(ProofError::Root)
    } else {
        Ok(())
    }
}

/// Number of siblings on the way from leaf `index` to the root of a tree of `size` leaves.
fn inclusion_length(index: u64, size: u64) -> usize {
    // Below the level where the paths of this leaf and of the last leaf part, each level has a sibling; above it,
    // only where the node is a right child.
    let last = size - 1;
    let inner = 64 - (index ^ last).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + border) as usize
}

/// Number of hashes of a consistency proof.
fn consistency_length(old: u64, new: u64) -> usize {
    if old == 0 || old == new {
        return 0;
    }
    let shift = (old - 1).trailing_ones();
    let (at, last) = ((old - 1) >> shift, (new - 1) >> shift);
    let inner = 64 - (at ^ last).leading_zeros();
    let border = at.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + border) as usize + usize::from(!old.is_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use crate::tree::{consistency_proof, from_leaves, inclusion_proof, root_of};
    use proptest::prelude::*;

    const SIZE_MAX: u64 = 80;

    fn leaves() -> Vec<Hash> {
        (0..SIZE_MAX).map(|i| leaf_hash(format!("leaf {i}").as_bytes())).collect()
    }

    fn flipped(proof: &[Hash]) -> impl Iterator<Item = Vec<Hash>> {
        (0..proof.len() * 256).map(|bit| {
            let mut changed = proof.to_vec();
            changed[bit / 256].0[bit % 256 / 8] ^= 1 << (bit % 8);
            changed
        })
    }

    fn other_lengths(proof: &[Hash]) -> Vec<Vec<Hash>> {
        let mut longer = proof.to_vec();
        longer.push(leaf_hash(b"left over"));
        let mut all = vec![longer];
        if let Some((_, rest)) = proof.split_last() {
            all.push(rest.to_vec());
        }
        if let Some((_, rest)) = proof.split_first() {
            all.push(rest.to_vec());
        }
        all
    }

    #[test]
    fn each_inclusion_proof_up_to_80_leaves_holds_and_no_other_length_does() {
        let all = leaves();
        let node = |i: u64| Ok::<_, ProofError>(all[i as usize]);
        for size in 1..=SIZE_MAX {
            let root = root_of(&all[..size as usize]);
            for index in 0..size {
                let leaf = &all[index as usize];
                let proof = inclusion_proof(index, size, from_leaves(node)).unwrap();
                assert_eq!(verify_inclusion(index, size, leaf, &proof, &root), Ok(()), "{index} in {size}");
                for wrong in other_lengths(&proof) {
                    let verdict = verify_inclusion(index, size, leaf, &wrong, &root);
                    assert!(matches!(verdict, Err(ProofError::Length { .. })), "{index} in {size}");
                }
                let neighbour = (index + 1) % size;
                if neighbour != index {
                    assert!(
                        verify_inclusion(neighbour, size, leaf, &proof, &root).is_err(),
                        "{index} in {size}"
                    );
                }
            }
            assert!(verify_inclusion(size, size, &all[0], &[], &root).is_err());
        }
    }

    #[test]
    fn each_consistency_proof_up_to_80_leaves_holds_and_no_other_length_does() {
        let all = leaves();
        let node = |i: u64| Ok::<_, ProofError>(all[i as usize]);
        for new in 0..=SIZE_MAX {
            let new_root = root_of(&all[..new as usize]);
            for old in 0..=new {
                let old_root = root_of(&all[..old as usize]);
                let proof = consistency_proof(old, new, from_leaves(node)).unwrap();
                assert_eq!(
                    verify_consistency(old, new, &proof, &old_root, &new_root),
                    Ok(()),
                    "{old} to {new}"
                );
                for wrong in other_lengths(&proof) {
                    assert!(
                        verify_consistency(old, new, &wrong, &old_root, &new_root).is_err(),
                        "{old} to {new}"
                    );
                }
                let other = leaf_hash(b"another root");
                assert!(verify_consistency(old, new, &proof, &other, &new_root).is_err(), "{old} to {new}");
                if old != 0 {
                    assert!(
                        verify_consistency(old, new, &proof, &old_root, &other).is_err(),
                        "{old} to {new}"
                    );
                }
            }
            assert!(verify_consistency(new + 1, new, &[], &new_root, &new_root).is_err());
        }
    }

    #[test]
    fn one_flipped_bit_in_any_hash_of_a_proof_is_refused() {
        let all = leaves();
        let node = |i: u64| Ok::<_, ProofError>(all[i as usize]);
        for size in [2, 3, 7, 8, 21, 64, 80] {
            let root = root_of(&all[..size as usize]);
            for index in [0, size / 2, size - 1] {
                let proof = inclusion_proof(index, size, from_leaves(node)).unwrap();
                for wrong in flipped(&proof) {
                    let verdict = verify_inclusion(index, size, &all[index as usize], &wrong, &root);
                    assert_eq!(verdict, Err(ProofError::Root), "{index} in {size}");
                }
            }
            for old in [1, size / 2, size - 1] {
                let old_root = root_of(&all[..old as usize]);
                let proof = consistency_proof(old, size, from_leaves(node)).unwrap();
                for wrong in flipped(&proof) {
                    assert!(
                        verify_consistency(old, size, &wrong, &old_root, &root).is_err(),
                        "{old} to {size}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_sizes_and_hashes_are_judged_without_a_panic(
            a in prop_oneof![0..200u64, any::<u64>(), Just(u64::MAX), Just(1 << 63)],
            b in prop_oneof![0..200u64, any::<u64>(), Just(u64::MAX), Just(1 << 63)],
            hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let proof: Vec<Hash> = hashes.into_iter().map(Hash).collect();
            let hash = leaf_hash(b"x");
            let _ = verify_inclusion(a, b, &hash, &proof, &hash);
            prop_assert!(a == b || verify_consistency(a, b, &proof, &hash, &hash).is_err());
        }
    }
}
