//! The right edge of a growing tree.

use super::ProofError;
use crate::hash::{Hash, empty_root, node_hash};

/// The roots of the complete subtrees that a tree of some size falls into, largest first (a "compact range").
/// Enough to append leaves and compute the root, at most 64 hashes.
///
/// ```
/// use bailee_proof::{hash::leaf_hash, tree::{Frontier, root_of}};
/// let leaves = [leaf_hash(b"leaf 0"), leaf_hash(b"leaf 1"), leaf_hash(b"leaf 2")];
/// let mut frontier = Frontier::new();
/// for leaf in leaves {
///     frontier.append(leaf)?;
/// }
/// let restored = Frontier::restore(frontier.size(), frontier.hashes().to_vec())?;
/// assert_eq!(restored.root(), root_of(&leaves));
/// # Ok::<(), bailee_proof::tree::ProofError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    pub const fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// A stored frontier: the number of leaves, and one hash for each bit set in it, largest subtree first.
    ///
    /// # Errors
    /// When the number of hashes does not fit the size. A wrong hash is not noticed here: compare the root.
    pub fn restore(size: u64, hashes: Vec<Hash>) -> Result<Self, ProofError> {
        let wanted = size.count_ones() as usize;
        if hashes.len() != wanted {
            return Err(ProofError::Frontier { size, got: hashes.len(), wanted });
        }
        Ok(Self { size, hashes })
    }

    /// A stored frontier from the bytes of [`Frontier::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are not whole hashes or their number does not fit the size.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, ProofError> {
        let (whole, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            let wanted = size.count_ones() as usize;
            return Err(ProofError::Frontier { size, got: whole.len().saturating_add(1), wanted });
        }
        Self::restore(size, whole.iter().map(|h| Hash(*h)).collect())
    }

    /// The hashes one after the other, 32 bytes each; the size is kept beside them by the caller.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|h| h.0).collect()
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// One hash for each bit set in the size, largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds one leaf hash on the right; amortised two node hashes, at most 63.
    ///
    /// # Errors
    /// When the tree holds 2^64 - 1 leaves.
    pub fn append(&mut self, leaf: Hash) -> Result<(), ProofError> {
        let size = self.size.checked_add(1).ok_or(ProofError::Full)?;
        let mut hash = leaf;
        // Each trailing one bit of the old size is a complete subtree that now gets its right sibling.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size = size;
        Ok(())
    }

    /// The root (RFC 6962 MTH) of the leaves so far.
    pub fn root(&self) -> Hash {
        let mut right_to_left = self.hashes.iter().rev();
        match right_to_left.next() {
            None => empty_root(),
            Some(last) => right_to_left.fold(*last, |root, left| node_hash(left, &root)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;
    use crate::tree::root_of;

    #[test]
    fn a_frontier_has_the_root_of_its_leaves_and_survives_storage() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        for i in 0..300u64 {
            assert_eq!(frontier.root(), root_of(&leaves), "size {i}");
            let stored = Frontier::from_bytes(frontier.size(), &frontier.to_bytes());
            assert_eq!(stored.as_ref(), Ok(&frontier));
            let leaf = leaf_hash(format!("leaf {i}").as_bytes());
            frontier.append(leaf).unwrap();
            leaves.push(leaf);
        }
    }

    #[test]
    fn a_frontier_that_does_not_fit_its_size_is_refused() {
        let hash = leaf_hash(b"x");
        assert_eq!(
            Frontier::restore(7, vec![hash; 2]).unwrap_err().to_string(),
            "a frontier of 7 leaves has 3 hashes, 2 were given"
        );
        assert!(Frontier::from_bytes(1, &[0; 33]).is_err());
        assert!(Frontier::from_bytes(0, &[]).is_ok());
        let mut full = Frontier::restore(u64::MAX, vec![hash; 64]).unwrap();
        assert_eq!(full.append(hash), Err(ProofError::Full));
    }
}
