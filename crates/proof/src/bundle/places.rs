//! Where a log and some of its heads stand in the public head log: what shows from a bundle alone that others were shown
//! the same log, and when witnesses saw it.
//!
//! ```text
//! per place: u32 length, a C2SP tlog-proof file (crate::offline) whose extra data is one of
//!   enrolment\n                                       the first place: the enrolment of the log
//!   head <version> <size> <root> <previous>\n         the others, versions rising; hashes in base64
//! ```
//! Whoever reads them needs the enrolment receipt, which the tenant gives him, and a policy of his own.
//! INVARIANT: a place says nothing until [`Places::open`] has computed its leaf from the receipt.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::PLACES_BYTES_MAX;
use crate::hash::{Hash, leaf_hash};
use crate::head::{Head, HeadLine, Receipt, enrol_commit, enrol_entry, head_entry};
use crate::offline::{OfflineError, OfflineProof};
use crate::policy::{Evaluation, Policy};
use crate::witness::canonical;

/// Heads whose places one bundle names, at most.
const HEADS_MAX: usize = 128;

/// The place of one entry in the head log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The head that stands there; none for the enrolment.
    pub head: Option<PlacedHead>,
    /// The proof, with the head log's checkpoint.
    pub proof: OfflineProof,
}

/// A head as a place tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlacedHead {
    /// The head.
    pub line: HeadLine,
    /// The commitment of the head before it; for the first, that of the enrolment.
    pub previous: Hash,
}

/// The places of one log: its enrolment, then heads with rising versions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Places(Vec<Place>);

/// A head whose place holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// The head.
    pub line: HeadLine,
    /// Its index in the head log.
    pub index: u64,
    /// The head log's checkpoint over it, as the reader's policy sees it.
    pub seen: Evaluation,
}

/// Why places were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Lengths that do not fit.
    #[error("place {0} is cut")]
    Cut(usize),
    /// Too many.
    #[error("there are more than 129 places")]
    Many,
    /// A place of another form.
    #[error("place {at}: {why}")]
    Proof {
        /// Counted from 0; 0 is the enrolment.
        at: usize,
        /// Why.
        why: OfflineError,
    },
    /// Extra data of another form, or not in order.
    #[error("place {at} must be {wanted}")]
    Form {
        /// Counted from 0.
        at: usize,
        /// What it must be.
        wanted: &'static str,
    },
    /// The receipt is of another log.
    #[error("the enrolment receipt is of the log `{0}`")]
    OtherLog(String),
}

impl Places {
    /// Places in their order.
    ///
    /// # Errors
    /// When the first is not the enrolment, or versions do not rise.
    pub fn new(places: Vec<Place>) -> Result<Self, PlaceError> {
        if places.len() > HEADS_MAX + 1 {
            return Err(PlaceError::Many);
        }
        let mut last = None;
        for (at, place) in places.iter().enumerate() {
            let version = place.head.map(|h| h.line.version);
            match (at, version) {
                (0, None) => {}
                (0, Some(_)) => return Err(PlaceError::Form { at, wanted: "the enrolment" }),
                (_, Some(version)) if last.is_none_or(|l| version > l) => last = Some(version),
                _ => return Err(PlaceError::Form { at, wanted: "a head with a larger version" }),
            }
        }
        Ok(Self(places))
    }

    /// Reads them.
    ///
    /// # Errors
    /// When one has another form.
    pub fn parse(bytes: &[u8]) -> Result<Self, PlaceError> {
        let (mut rest, mut places) = (bytes, Vec::new());
        while !rest.is_empty() {
            let at = places.len();
            if at > HEADS_MAX {
                return Err(PlaceError::Many);
            }
            let (file, after) = rest
                .split_first_chunk::<4>()
                .and_then(|(length, after)| {
                    after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
                })
                .ok_or(PlaceError::Cut(at))?;
            let mut proof = OfflineProof::parse(file).map_err(|why| PlaceError::Proof { at, why })?;
            let wrong =
                PlaceError::Form { at, wanted: "`enrolment`, or `head` with version, size and two hashes" };
            let extra = proof.extra.take().ok_or(wrong.clone())?;
            let head = read_extra(&extra).ok_or(wrong)?;
            places.push(Place { head, proof });
            rest = after;
        }
        Self::new(places)
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for place in &self.0 {
            let proof = OfflineProof { extra: Some(extra(place.head.as_ref())), ..place.proof.clone() };
            let file = proof.to_string();
            // What was parsed or built is far below 4 GiB; the limit of a bundle is checked when it is written.
            bytes.extend_from_slice(&u32::try_from(file.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(file.as_bytes());
        }
        bytes
    }

    /// Whether they fit into a bundle.
    pub fn fits(&self) -> bool {
        self.encode().len() <= PLACES_BYTES_MAX
    }

    /// How many, with the enrolment.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places as they were told.
    pub fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }

    /// Opens all places with the tenant's receipt: the leaves are computed, the proofs lead to checkpoints that the head
    /// log of `policy` signed. Whether the quorum is met is told by each [`Evaluation`]. `now` is POSIX seconds.
    ///
    /// # Errors
    /// The first place that does not hold.
    pub fn open(&self, receipt: &Receipt, policy: &Policy, now: u64) -> Result<Vec<Placed>, PlaceError> {
        let origin = receipt.log.name();
        let first_key = receipt.log.ed25519().ok_or_else(|| PlaceError::OtherLog(origin.to_owned()))?;
        let enrolment = enrol_commit(&receipt.watch, first_key);
        let mut placed = Vec::new();
        for (at, place) in self.0.iter().enumerate() {
            let entry = match &place.head {
                None => enrol_entry(origin, &receipt.watch, first_key),
                Some(PlacedHead { line, previous }) => {
                    if line.version == 0 && *previous != enrolment {
                        return Err(PlaceError::Form {
                            at,
                            wanted: "the first head after the receipt's enrolment",
                        });
                    }
                    let HeadLine { version, size, root } = *line;
                    head_entry(&receipt.watch, &Head { origin, version, size, root, previous: *previous })
                }
            };
            let seen = place
                .proof
                .holds(&leaf_hash(&entry), policy, now)
                .map_err(|why| PlaceError::Proof { at, why })?;
            if let Some(head) = &place.head {
                placed.push(Placed { line: head.line, index: place.proof.index, seen });
            }
        }
        Ok(placed)
    }
}

fn extra(head: Option<&PlacedHead>) -> Vec<u8> {
    match head {
        None => b"enrolment\n".to_vec(),
        Some(PlacedHead { line, previous }) => {
            format!("head {} {}\n", line.to_string().trim_end(), STANDARD.encode(previous.0)).into_bytes()
        }
    }
}

/// `None`: another form. `Some(None)`: the enrolment.
fn read_extra(bytes: &[u8]) -> Option<Option<PlacedHead>> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    if line == "enrolment" {
        return Some(None);
    }
    let hash = |text: &str| Hash::from_slice(&STANDARD.decode(text).ok()?);
    let mut parts = line.strip_prefix("head ")?.split(' ');
    let (version, size) = (canonical(parts.next()?)?, canonical(parts.next()?)?);
    let (root, previous) = (hash(parts.next()?)?, hash(parts.next()?)?);
    if parts.next().is_some() {
        return None;
    }
    Some(Some(PlacedHead { line: HeadLine { version, size, root }, previous }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use crate::head::{HeadChain, WatchKey};
    use crate::note::Signer;
    use crate::tree::Frontier;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000;

    fn heads() -> Signer {
        Signer::from_seed("example.com/heads", &[3; 32]).unwrap()
    }

    fn receipt() -> Receipt {
        let log = Signer::from_seed("example.com/trail/1", &[4; 32]).unwrap().verifier().clone();
        Receipt { log, watch: WatchKey::new([5; 32]) }
    }

    fn policy() -> Policy {
        Policy::parse(format!("log {}\nquorum none\n", heads().verifier()).as_bytes()).unwrap()
    }

    /// A head log of an enrolment and one head.
    fn places() -> Places {
        let receipt = receipt();
        let mut chain = receipt.chain().unwrap();
        let previous = *chain.previous();
        let enrol = enrol_entry(receipt.log.name(), &receipt.watch, receipt.log.ed25519().unwrap());
        let head = chain.extend(7, leaf_hash(b"root")).unwrap();
        let leaves = [leaf_hash(&enrol), leaf_hash(&head)];
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.append(*leaf).unwrap());
        let note = Checkpoint { origin: "example.com/heads".into(), size: 2, root: frontier.root() };
        let checkpoint = note.sign(&heads()).unwrap();
        let proof = |index: u64, sibling| OfflineProof {
            extra: None,
            index,
            siblings: vec![sibling],
            checkpoint: checkpoint.clone(),
        };
        let line = chain.last().unwrap();
        Places::new(vec![
            Place { head: None, proof: proof(0, leaves[1]) },
            Place { head: Some(PlacedHead { line, previous }), proof: proof(1, leaves[0]) },
        ])
        .unwrap()
    }

    #[test]
    fn places_read_back_and_open_with_the_receipt_only() {
        let places = places();
        assert_eq!(Places::parse(&places.encode()), Ok(places.clone()));
        let placed = places.open(&receipt(), &policy(), NOW).unwrap();
        assert_eq!((placed.len(), placed[0].line.size, placed[0].index, placed[0].seen.met), (1, 7, 1, true));
        assert_eq!(Places::parse(b""), Ok(Places::default()));

        let mut other = receipt();
        other.watch = WatchKey::new([6; 32]);
        assert!(places.open(&other, &policy(), NOW).is_err(), "another watch key");
        let mut other = receipt();
        other.log = Signer::from_seed("example.com/trail/1", &[9; 32]).unwrap().verifier().clone();
        assert!(places.open(&other, &policy(), NOW).is_err(), "another first key");
        let stranger = Signer::from_seed("example.com/heads", &[8; 32]).unwrap();
        let stranger =
            Policy::parse(format!("log {}\nquorum none\n", stranger.verifier()).as_bytes()).unwrap();
        assert!(places.open(&receipt(), &stranger, NOW).is_err(), "another head log");
        // The server's chain and the places agree on what a first head follows.
        let receipt = receipt();
        let chain = HeadChain::new(receipt.log.name(), receipt.watch.clone(), receipt.log.ed25519().unwrap());
        assert_eq!(places.0[1].head.unwrap().previous, *chain.previous());
    }

    #[test]
    fn each_changed_byte_is_refused() {
        let bytes = places().encode();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            let held = Places::parse(&bad).is_ok_and(|p| p.open(&receipt(), &policy(), NOW).is_ok());
            assert!(!held, "byte {at}");
            assert!(Places::parse(&bytes[..at]).map_or(true, |p| p.len() < 2), "cut at {at}");
        }
    }

    #[test]
    fn another_order_is_refused() {
        let [enrolment, head] = <[Place; 2]>::try_from(places().0).unwrap();
        let new = |places: &[&Place]| Places::new(places.iter().map(|p| (*p).clone()).collect());
        assert_eq!(new(&[&head]), Err(PlaceError::Form { at: 0, wanted: "the enrolment" }));
        let again = PlaceError::Form { at: 2, wanted: "a head with a larger version" };
        assert_eq!(new(&[&enrolment, &head, &head]), Err(again.clone()));
        assert_eq!(new(&[&enrolment, &head, &enrolment]), Err(again));
        assert!(new(&vec![&enrolment; 130]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(places) = Places::parse(&bytes) {
                prop_assert_eq!(places.encode(), bytes);
            }
        }
    }
}
