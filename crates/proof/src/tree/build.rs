//! Making roots and proofs out of complete subtrees.

use super::{ProofError, split};
use crate::hash::{Hash, empty_root, node_hash};

/// The root of a slice of leaf hashes.
pub fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            // The split of a slice fits into usize, and lies inside the slice.
            let k = usize::try_from(split(many.len() as u64)).unwrap_or(1);
            let (left, right) = many.split_at(k.min(many.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// Turns an accessor of leaf hashes into one of complete subtrees, for the functions of this module.
///
/// `leaf(i)` is the leaf hash at index i. Each subtree costs its number of leaves: for large trees give an accessor
/// that reads tiles instead.
pub fn from_leaves<E>(
    mut leaf: impl FnMut(u64) -> Result<Hash, E>,
) -> impl FnMut(u32, u64) -> Result<Hash, E> {
    move |level, index| {
        let first = index << level;
        let mut stack: Vec<(u32, Hash)> = Vec::new();
        for i in 0..1u64 << level {
            let mut node = (0, leaf(first + i)?);
            while let Some((_, left)) = stack.pop_if(|(height, _)| *height == node.0) {
                node = (node.0 + 1, node_hash(&left, &node.1));
            }
            stack.push(node);
        }
        Ok(stack.pop().map_or_else(empty_root, |(_, root)| root))
    }
}

/// The root of the first `size` leaves.
///
/// `node(level, index)` gives the root of the complete subtree over the leaves from `index << level` up to but not
/// including `(index + 1) << level`.
///
/// # Errors
/// What the accessor returns.
pub fn root_at<E>(size: u64, mut node: impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, &mut node) }
}

/// The proof that leaf `index` is in the tree of `size` leaves: siblings from the leaf upwards.
///
/// `node` as for [`root_at`].
///
/// # Errors
/// [`ProofError::IndexBeyondSize`], or what the accessor returns.
pub fn inclusion_proof<E: From<ProofError>>(
    index: u64,
    size: u64,
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        return Err(ProofError::IndexBeyondSize { index, size }.into());
    }
    let (mut low, mut high) = (0, size);
    let mut siblings = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            siblings.push((middle, high));
            high = middle;
        } else {
            siblings.push((low, middle));
            low = middle;
        }
    }
    siblings.into_iter().rev().map(|(low, high)| range_root(low, high, &mut node)).collect()
}

/// The proof that the tree of `new` leaves begins with the tree of `old` leaves.
///
/// Empty when `old` is 0 or equals `new`. `node` as for [`root_at`].
///
/// # Errors
/// [`ProofError::OldBeyondNew`], or what the accessor returns.
pub fn consistency_proof<E: From<ProofError>>(
    old: u64,
    new: u64,
    mut node: impl FnMut(u32, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old > new {
        return Err(ProofError::OldBeyondNew { old, new }.into());
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut ranges = Vec::new();
    // Down to the subtree that the old tree ends with (RFC 6962 §2.1.2, SUBPROOF).
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            ranges.push((middle, high));
            high = middle;
        } else {
            ranges.push((low, middle));
            low = middle;
        }
    }
    // The old tree as a whole is known to the verifier, a part of it is not.
    if low != 0 {
        ranges.push((low, high));
    }
    ranges.into_iter().rev().map(|(low, high)| range_root(low, high, &mut node)).collect()
}

/// The root over the leaves `low..high`, where `low` is aligned for the tree that begins there.
fn range_root<E>(low: u64, high: u64, node: &mut impl FnMut(u32, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let width = high - low;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        return node(level, low >> level);
    }
    let middle = low + split(width);
    let left = range_root(low, middle, node)?;
    let right = range_root(middle, high, node)?;
    Ok(node_hash(&left, &right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use base64::Engine;

    fn leaves(n: u64) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(format!("leaf {i}").as_bytes())).collect()
    }

    fn node(leaves: &[Hash]) -> impl FnMut(u32, u64) -> Result<Hash, ProofError> {
        from_leaves(move |i| {
            let size = leaves.len() as u64;
            leaves.get(i as usize).copied().ok_or(ProofError::IndexBeyondSize { index: i, size })
        })
    }

    fn text(proof: &[Hash]) -> Vec<String> {
        proof.iter().map(|h| base64::engine::general_purpose::STANDARD.encode(h.0)).collect()
    }

    #[test]
    fn the_roots_are_the_known_ones() {
        let known = [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "1bb97dcc21635d47e2663efdfd0a174686d98dd701352dd2cd06e8b43fd3d305"),
            (2, "fc5f6b88ff8554f75bb2f9e6f39c31b1936d44b69276edf7b1205a955b9761e3"),
            (3, "d4f92c8fbb89720eb3b55677c7d7efaddfeb10d11a1a84a0ba8f1a23337faa95"),
            (7, "5a61fc2b54f9cfa71774f2432143dd40c6cb2b11947faf65a7d3da5cb65199c8"),
            (256, "cf5effdb11d0927a2edf53b0e73c7837f659414e00537da5d90eb5c4c49ff274"),
            (257, "855b936aa00cb98b5114484249ad39d78a6be93623e26c01e8e487dc02184a5a"),
        ];
        for (n, root) in known {
            let leaves = leaves(n);
            assert_eq!(root_of(&leaves).to_string(), root, "size {n}");
            assert_eq!(root_at(n, node(&leaves)).map(|r| r.to_string()), Ok(root.to_owned()), "size {n}");
        }
    }

    #[test]
    fn the_proofs_are_the_known_ones() {
        let (seven, many) = (leaves(7), leaves(257));
        assert_eq!(
            text(&inclusion_proof(3, 7, node(&seven)).unwrap()),
            [
                "qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=",
                "/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=",
                "AVcbVXvHBnJlDUZ8e62DN+CafzVKcgUfI7Q6eCwPSOY="
            ]
        );
        assert_eq!(
            text(&inclusion_proof(256, 257, node(&many)).unwrap()),
            ["z17/2xHQknou31Ow5zx4N/ZZQU4AU32l2Q61xMSf8nQ="]
        );
        assert_eq!(
            text(&consistency_proof(3, 7, node(&seven)).unwrap()),
            [
                "qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=",
                "WL0UluFoSqySAcLmh+565PUclqiw2B7zWDYouT0800U=",
                "/F9riP+FVPdbsvnm85wxsZNtRLaSdu33sSBalVuXYeM=",
                "AVcbVXvHBnJlDUZ8e62DN+CafzVKcgUfI7Q6eCwPSOY="
            ]
        );
        assert_eq!(
            text(&consistency_proof(4, 7, node(&seven)).unwrap()),
            ["AVcbVXvHBnJlDUZ8e62DN+CafzVKcgUfI7Q6eCwPSOY="]
        );
        assert_eq!(
            text(&consistency_proof(256, 257, node(&many)).unwrap()),
            ["lVXli2LZ+J1czWRiKj189v2hRXNHNjyaTObWIuUek9k="]
        );
    }

    #[test]
    fn a_proof_outside_the_tree_is_refused() {
        let leaves = leaves(3);
        assert_eq!(
            inclusion_proof(3, 3, node(&leaves)).unwrap_err().to_string(),
            "index 3 is not in a tree of 3 leaves"
        );
        assert_eq!(
            consistency_proof(4, 3, node(&leaves)).unwrap_err().to_string(),
            "the older tree has 4 leaves, more than the 3 of the newer one"
        );
    }
}
