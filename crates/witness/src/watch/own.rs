//! The own log: its heads open, and what it serves fits them.

use std::collections::HashMap;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::Hash;
use bailee_proof::head::{HeadLine, heads_path};
use bailee_proof::rotation::{KeyChain, Rotation};
use bailee_proof::tile::{Tile, read_tile, subtrees};
use bailee_proof::tree::{ProofError, consistency_proof, verify_consistency};

use super::memory::OwnKept;
use super::{AlarmKind, Own, OwnRound, Round, Source, SourceError, source};

/// Changes of key that a log may have had.
const KEYS_MAX: u32 = 1000;

/// Opens new heads and compares them with the log; answers what is to be remembered.
pub(super) fn check(own: &Own, mut kept: OwnKept, new: &[(Hash, u64)], round: &mut Round) -> OwnKept {
    kept.found(new);
    if !kept.enrolled {
        round.alarm(AlarmKind::Enrolment, "the own log is not enrolled in the head log".to_owned());
    }
    let opened = open_heads(own, &mut kept, round);
    if let Some(checkpoint) = checkpoint(own, round) {
        let mut tiles = Tiles { source: &*own.source, size: checkpoint.size, cache: HashMap::new() };
        for head in &opened {
            fits(head, &checkpoint, &mut tiles, round);
        }
        let before = kept.root.map(|root| HeadLine { version: 0, size: kept.size, root });
        let last = kept.chain.last();
        let others = [before, last.filter(|_| opened.is_empty())];
        let holds = others.iter().flatten().all(|head| fits(head, &checkpoint, &mut tiles, round));
        if holds {
            (kept.size, kept.root) = (checkpoint.size, Some(checkpoint.root));
        }
    }
    round.own = Some(OwnRound {
        origin: kept.chain.origin().to_owned(),
        heads: kept.chain.next_version(),
        head_size: kept.chain.last().map_or(0, |l| l.size),
        size: kept.size,
    });
    kept
}

/// Heads that the head log committed to are fetched from the own log and opened, in order.
fn open_heads(own: &Own, kept: &mut OwnKept, round: &mut Round) -> Vec<HeadLine> {
    let mut opened = Vec::new();
    let mut file: Option<(String, Vec<HeadLine>)> = None;
    while let Some(commit) = kept.waiting.first().copied() {
        let version = kept.chain.next_version();
        let path = heads_path(version);
        if file.as_ref().is_none_or(|(at, _)| *at != path) {
            match own.source.fetch(&path) {
                Ok(bytes) => match std::str::from_utf8(&bytes).map(HeadLine::parse_all) {
                    Ok(Ok(lines)) => file = Some((path, lines)),
                    _ => {
                        round.alarm(
                            AlarmKind::OwnHead,
                            format!("`{path}` of the own log is not lines of heads"),
                        );
                        break;
                    }
                },
                Err(e) => {
                    round.missing(&format!("`{path}` of the own log"), &e);
                    break;
                }
            }
        }
        let line = file.as_ref().and_then(|(_, lines)| lines.iter().find(|l| l.version == version));
        let Some(line) = line.copied() else {
            let why = format!("head {version} of the own log is in the head log and is not told");
            round.alarm(AlarmKind::Withheld, why);
            break;
        };
        if let Err(e) = kept.chain.accept(line, &commit) {
            // What does not open stays in front: each round says so again.
            round.alarm(AlarmKind::OwnHead, format!("the own log's {e}"));
            break;
        }
        kept.waiting.remove(0);
        opened.push(line);
    }
    opened
}

/// The checkpoint that the own log serves, under the key that the receipt and the changes since give it.
fn checkpoint(own: &Own, round: &mut Round) -> Option<Checkpoint> {
    let note = match own.source.fetch("checkpoint") {
        Ok(note) => note,
        Err(e) => {
            round.missing("the own log's checkpoint", &e);
            return None;
        }
    };
    let mut keys = KeyChain::new(own.receipt.log.clone());
    for n in 1..=KEYS_MAX {
        let change = match own.source.fetch(&format!("keys/{n}")) {
            Ok(change) => change,
            Err(SourceError::NotThere) => break,
            Err(e) => {
                round.missing(&format!("`keys/{n}` of the own log"), &e);
                return None;
            }
        };
        if let Err(e) = Rotation::open(&change).and_then(|change| keys.rotate(change)) {
            round.alarm(AlarmKind::Signature, format!("`keys/{n}` of the own log: {e}"));
            return None;
        }
    }
    match keys.open(&note) {
        Ok(checkpoint) => Some(checkpoint),
        Err(e) => {
            round.alarm(AlarmKind::Signature, format!("the own log's checkpoint: {e}"));
            None
        }
    }
}

/// Whether the tree that is served begins with that head's.
fn fits(head: &HeadLine, served: &Checkpoint, tiles: &mut Tiles<'_>, round: &mut Round) -> bool {
    if head.size > served.size {
        let why = format!(
            "the own log serves {} records, the head log covers {}: an old state, or records were removed",
            served.size, head.size
        );
        round.alarm(AlarmKind::OwnHead, why);
        return false;
    }
    let proof = consistency_proof(head.size, served.size, subtrees(served.size, |tile| tiles.get(tile)));
    let verdict = match proof {
        Ok(proof) => verify_consistency(head.size, served.size, &proof, &head.root, &served.root)
            .map_err(|e| e.to_string()),
        Err(TileTrouble::Source(tile, e)) => {
            round.missing(&format!("`{tile}` of the own log"), &e);
            return false;
        }
        Err(TileTrouble::Other(why)) => Err(why),
    };
    if let Err(why) = verdict {
        let why = format!(
            "the {} records that the own log serves do not begin with the {} that were committed to: {why}",
            served.size, head.size
        );
        round.alarm(AlarmKind::OwnHead, why);
        return false;
    }
    true
}

/// Tiles of the own log, each fetched once a round.
struct Tiles<'a> {
    source: &'a dyn Source,
    size: u64,
    cache: HashMap<Tile, Vec<Hash>>,
}

enum TileTrouble {
    Source(Tile, SourceError),
    Other(String),
}

impl From<ProofError> for TileTrouble {
    fn from(e: ProofError) -> Self {
        Self::Other(e.to_string())
    }
}

impl Tiles<'_> {
    fn get(&mut self, tile: Tile) -> Result<Vec<Hash>, TileTrouble> {
        if let Some(hashes) = self.cache.get(&tile) {
            return Ok(hashes.clone());
        }
        if !tile.exists(self.size) {
            return Err(TileTrouble::Other(format!("a tree of {} has no `{tile}`", self.size)));
        }
        let (bytes, width) = source::tile(self.source, tile).map_err(|e| TileTrouble::Source(tile, e))?;
        let mut hashes =
            read_tile(&bytes, width).map_err(|e| TileTrouble::Other(format!("`{tile}`: {e}")))?;
        hashes.truncate(usize::from(tile.width));
        self.cache.insert(tile, hashes.clone());
        Ok(hashes)
    }
}
