//! A log's tree out of its rows: subtrees that became complete, tiles, proofs. The same for a tenant's log and for the
//! head log; [`Rows`] says where each keeps them.

use bailee_proof::hash::Hash;
use bailee_proof::tile::{TILE_WIDTH, Tile, TileKind, bundle_bytes, hashes_at, parent, subtrees, tile_bytes};
use bailee_proof::tree::{ProofError, consistency_proof, inclusion_proof};
use bailee_store::StoreError;

use crate::Failure;

/// Entries, leaf hashes and derived nodes of one log.
pub(super) trait Rows {
    /// Up to `count` entries from `first`, with their leaf hashes.
    fn leaves(&mut self, first: u64, count: u64) -> Result<Vec<(Vec<u8>, Hash)>, StoreError>;
    /// Up to `count` roots of complete subtrees of 256^`level` leaves, `level` above 0.
    fn nodes(&mut self, level: u8, first: u64, count: u64) -> Result<Vec<Hash>, StoreError>;
    /// Nodes at a level; written in order, without gaps.
    fn node_count(&mut self, level: u8) -> Result<u64, StoreError>;
    /// Writes the next node.
    fn insert_node(&mut self, level: u8, index: u64, hash: &Hash) -> Result<(), StoreError>;
}

/// Writes the roots of subtrees that became complete since the last head.
pub(super) fn derive_nodes(rows: &mut impl Rows, size: u64) -> Result<(), Failure> {
    let width = u64::from(TILE_WIDTH);
    for level in 1..8u8 {
        let complete = hashes_at(level, size);
        if complete == 0 {
            return Ok(());
        }
        for next in rows.node_count(level)?..complete {
            let below = hashes(rows, level - 1, next * width, width)?;
            let root =
                parent(&below).ok_or_else(|| Failure::Damaged("a complete subtree has gaps".into()))?;
            rows.insert_node(level, next, &root)?;
        }
    }
    Ok(())
}

/// The bytes of a tile or entry bundle that exists in the signed tree.
pub(super) fn part(rows: &mut impl Rows, tile: &Tile) -> Result<Vec<u8>, Failure> {
    let (first, count) = (tile.index * u64::from(TILE_WIDTH), u64::from(tile.width));
    match tile.kind {
        TileKind::Entries => {
            let entries = rows.leaves(first, count)?;
            if entries.len() as u64 != count {
                return Err(Failure::Damaged("a log has fewer records than its head says".into()));
            }
            bundle_bytes(entries.iter().map(|(e, _)| e.as_slice())).map_err(|e| Failure::Bug(e.to_string()))
        }
        TileKind::Hashes(level) => Ok(tile_bytes(&hashes(rows, level, first, count)?)),
    }
}

/// That the tree of `new` leaves begins with the tree of `old` leaves.
pub(super) fn consistency(rows: &mut impl Rows, old: u64, new: u64) -> Result<Vec<Hash>, Failure> {
    consistency_proof(old, new, subtrees(new, |tile| of_tile(rows, &tile))).map_err(Failure::from)
}

/// That leaf `index` is in the tree of `size` leaves.
pub(super) fn inclusion(rows: &mut impl Rows, index: u64, size: u64) -> Result<Vec<Hash>, Failure> {
    inclusion_proof(index, size, subtrees(size, |tile| of_tile(rows, &tile))).map_err(Failure::from)
}

fn of_tile(rows: &mut impl Rows, tile: &Tile) -> Result<Vec<Hash>, NoProof> {
    let TileKind::Hashes(level) = tile.kind else { return Ok(Vec::new()) };
    let found = hashes(rows, level, tile.index * u64::from(TILE_WIDTH), u64::from(tile.width));
    found.map_err(NoProof)
}

fn hashes(rows: &mut impl Rows, level: u8, first: u64, count: u64) -> Result<Vec<Hash>, Failure> {
    let found: Vec<Hash> = match level {
        0 => rows.leaves(first, count)?.into_iter().map(|(_, leaf)| leaf).collect(),
        _ => rows.nodes(level, first, count)?,
    };
    if found.len() as u64 == count {
        return Ok(found);
    }
    Err(Failure::Damaged("a log has fewer records than its head says".into()))
}

/// Why a proof could not be made.
struct NoProof(Failure);

impl From<ProofError> for NoProof {
    fn from(e: ProofError) -> Self {
        Self(Failure::Bug(e.to_string()))
    }
}

impl From<NoProof> for Failure {
    fn from(e: NoProof) -> Self {
        e.0
    }
}
