//! A log and its files, made in memory; a test then changes what it serves.

use std::collections::HashMap;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, leaf_hash};
use bailee_proof::note::{Signer, cosign};
use bailee_proof::tile::{TILE_WIDTH, bundle_bytes, parent, tile_bytes};
use bailee_proof::tree::{ProofError, consistency_proof, from_leaves, root_of};
use bailee_proof::witness::AddCheckpoint;
use bailee_witness::watch::{Source, SourceError};

pub(crate) const NOW: u64 = 1_700_000_000;

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) origin: String,
    pub(crate) seed: u8,
    pub(crate) entries: Vec<Vec<u8>>,
    pub(crate) files: HashMap<String, Vec<u8>>,
    /// Answer as an unreachable server.
    pub(crate) down: bool,
}

impl Site {
    pub(crate) fn new(origin: &str, seed: u8) -> Self {
        Self { origin: origin.into(), seed, entries: Vec::new(), files: HashMap::new(), down: false }
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::from_seed(&self.origin, &[self.seed; 32]).unwrap()
    }

    pub(crate) fn leaves(&self) -> Vec<Hash> {
        self.entries.iter().map(|e| leaf_hash(e)).collect()
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            origin: self.origin.clone(),
            size: self.entries.len() as u64,
            root: root_of(&self.leaves()),
        }
    }

    pub(crate) fn note(&self) -> String {
        self.checkpoint().sign(&self.signer()).unwrap()
    }

    /// The body with which this log asks for a cosignature after `old` entries.
    pub(crate) fn request(&self, old: u64) -> Vec<u8> {
        let leaves = self.leaves();
        let size = leaves.len() as u64;
        let leaf = |i: u64| Ok::<_, ProofError>(leaves[i as usize]);
        let proof = consistency_proof(old, size, from_leaves(leaf)).unwrap_or_default();
        AddCheckpoint { old, proof, note: self.note().as_bytes() }.body()
    }

    /// Writes checkpoint, tiles and bundles as they are now.
    pub(crate) fn publish(&mut self, cosigners: &[(&Signer, u64)]) {
        let mut note = self.note();
        for (signer, time) in cosigners {
            note.push_str(&cosign(&self.checkpoint().to_string(), signer, *time).unwrap());
        }
        self.files.insert("checkpoint".into(), note.into_bytes());
        self.files.retain(|path, _| !path.starts_with("tile/"));
        for (n, chunk) in self.entries.chunks(usize::from(TILE_WIDTH)).enumerate() {
            let bytes = bundle_bytes(chunk.iter().map(Vec::as_slice)).unwrap();
            self.files.insert(path("entries", n, chunk.len()), bytes);
        }
        let mut level = self.leaves();
        for name in ["0", "1", "2"] {
            for (n, chunk) in level.chunks(usize::from(TILE_WIDTH)).enumerate() {
                self.files.insert(path(name, n, chunk.len()), tile_bytes(chunk));
            }
            level = level.chunks(usize::from(TILE_WIDTH)).filter_map(parent).collect();
        }
    }
}

fn path(level: &str, n: usize, width: usize) -> String {
    let partial = if width < 256 { format!(".p/{width}") } else { String::new() };
    format!("tile/{level}/{n:03}{partial}")
}

impl Source for Site {
    fn fetch(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        if self.down {
            return Err(SourceError::Failed("connection refused".into()));
        }
        self.files.get(path).cloned().ok_or(SourceError::NotThere)
    }
}
