//! Checks a bundle offline: no network, no database, memory for a few batches of records and 8 bytes for each event id.
//!
//! What holds, what is in doubt and what was not shown is said promise by promise in [`Report`]; the first thing that does
//! not hold ends the check with a [`Problem`] that names promise, record and reason. `docs/trail-security.md` has the
//! argument.
//! INVARIANT: nothing of an event is believed before its commitment opened; nothing of a bundle before the end was
//! reached and the root is the one that was signed.
//! INVARIANT: a promise "holds" only by what the reader brought himself (keys, receipt, policy, kept heads) or computed.

mod approval;
mod audit;
mod claim;
mod consent;
mod destruction;
mod glass;
mod gone;
mod judge;
mod order;
mod places;
mod report;

use std::io::Read;

use bailee_proof::bundle::{BundleError, Manifest, Reader};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::event::EventView;
use bailee_proof::head::Receipt;
use bailee_proof::note::VerifierKey;
use bailee_proof::policy::Policy;
use bailee_proof::record::Entry;

pub use audit::{Audit, Block, Document, Exception, Outcome, Procedure, audit};
pub use claim::{Judged, Seen, claim};
pub use destruction::{Destroyed, destruction};
pub use places::Watched;
pub use report::{Counts, Passkey, Promise, Report, Verdict};

use order::{Known, Order};

/// What the checker knows from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The log's key; without it (or the receipt), the bundle's own word is taken and the report says so.
    pub key: Option<VerifierKey>,
    /// The tenant.
    pub tenant: Option<String>,
    /// A checkpoint note of this log that was obtained elsewhere, e.g. from the portal on another day.
    pub head: Option<Vec<u8>>,
    /// The enrolment receipt, as the tenant gave it.
    pub receipt: Option<Receipt>,
    /// The reader's own policy for the head log: its key, and whose cosignatures he asks for.
    pub policy: Option<Policy>,
    /// What a watch of the reader's own has seen.
    pub watched: Option<Watched>,
    /// Fingerprints (`SHA256:…`) of the passkeys that the reader knows to be his approvers': another one is found. None: they are
    /// listed.
    pub passkeys: Vec<String>,
    /// Keys of approvers who sign statements with a key of their own (`bailee keyhouse approve`).
    pub approvers: Vec<VerifierKey>,
    /// Each approval must be signed, whatever the consent policy in the log says.
    pub signed: bool,
    /// The reader's clock, POSIX seconds; only cosignatures are held against it.
    pub now: u64,
    /// Threads that judge records; 0: as many as there are cores.
    pub threads: usize,
}

/// Why a bundle was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file could not be read: nothing can be said about it.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// It does not verify: where, and why.
    #[error("{place}: {why}")]
    Violation {
        /// Which promise is broken: see [`Promise::name`].
        promise: &'static str,
        /// `record 17`, `the checkpoint`, ….
        place: String,
        /// What does not hold.
        why: String,
    },
}

/// Somebody who reads along, record by record in the order of the log, each after it was found to be in order.
pub trait Follow {
    /// The next record; no event when it is erased or withheld.
    fn record(&mut self, entry: &Entry, event: Option<&EventView<'_>>);
}

/// Reads and checks a whole bundle.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(source: impl Read + Send, expect: &Expect) -> Result<Report, Problem> {
    verify_with(source, expect, None)
}

/// As [`verify`], with somebody who reads along.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify_with(
    source: impl Read + Send,
    expect: &Expect,
    follow: Option<&mut dyn Follow>,
) -> Result<Report, Problem> {
    let reader = Reader::open(source)?;
    let named = Manifest::read_unverified(reader.manifest_note()).map_err(at("signature", "the manifest"))?;
    let key = named.key.clone();
    let manifest = Manifest::open(reader.manifest_note(), &key).map_err(at("signature", "the manifest"))?;
    let head = Checkpoint::open(reader.checkpoint_note(), &key).map_err(at("signature", "the checkpoint"))?;
    if manifest.origin != head.origin {
        return Err(violation("signature", "the manifest", "it is of another log than the checkpoint"));
    }
    if *reader.lead() != manifest.lead {
        let why = "checkpoint, places or number of records are not those that the manifest signs";
        return Err(violation("signature", "the bundle", why));
    }
    if expect.tenant.as_ref().is_some_and(|t| *t != manifest.tenant) {
        return Err(violation("signature", "the manifest", format!("it is of tenant {}", manifest.tenant)));
    }
    for (place, count) in [("the manifest", manifest.records), ("the checkpoint", head.size)] {
        if count != reader.count() {
            let why =
                format!("it covers {count} records and the bundle says that it holds {}", reader.count());
            return Err(violation("completeness", place, why));
        }
    }
    let mut known = Vec::new();
    if let Some(kept) = kept_head(expect, &key)? {
        if kept.size > head.size {
            let why = format!(
                "it covers {} records and the bundle holds {}: the tail is cut off, or the bundle is older",
                kept.size, head.size
            );
            return Err(violation("continuity", "the head you gave", why));
        }
        known.push(Known::kept(&kept));
    }
    let outside = places::open(reader.places(), &manifest, expect)?;
    known.extend(outside.known(head.size)?);

    let mut order = Order::new(&manifest, known, reader.count(), expect, follow);
    let threads = match expect.threads {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        given => given,
    };
    judge::each_batch(reader, &manifest.tenant, threads, |batch| order.batch(batch))?;
    order.finish(&manifest, &head, expect, &outside)
}

/// The head that was kept; it may be from before the key changed, then it is by the key that was given, or the log's first.
fn kept_head(expect: &Expect, key: &VerifierKey) -> Result<Option<Checkpoint>, Problem> {
    let Some(note) = &expect.head else { return Ok(None) };
    let by = |key: &VerifierKey| Checkpoint::open(note, key);
    let mut opened = by(key);
    for other in expect.key.iter().chain(expect.receipt.as_ref().map(|r| &r.log)) {
        opened = opened.or_else(|e| by(other).map_err(|_| e));
    }
    opened.map(Some).map_err(at("continuity", "the head you gave"))
}

pub(crate) fn violation(promise: &'static str, place: impl Into<String>, why: impl Into<String>) -> Problem {
    Problem::Violation { promise, place: place.into(), why: why.into() }
}

fn at<E: std::fmt::Display>(promise: &'static str, place: &'static str) -> impl Fn(E) -> Problem {
    move |e| violation(promise, place, e.to_string())
}

impl From<BundleError> for Problem {
    fn from(e: BundleError) -> Self {
        match e {
            BundleError::Io { source, .. } => Self::Unreadable(source.to_string()),
            BundleError::Cut { part, .. } => {
                violation("completeness", part.to_string(), format!("{e}: the tail is cut off"))
            }
            other => violation("integrity", "the bundle", other.to_string()),
        }
    }
}
