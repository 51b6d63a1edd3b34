//! Checks a bundle offline: no network, no database, memory for one batch of records whatever the file says.
//!
//! What it proves and what it cannot is said in [`Report`]; the first thing that does not hold ends the check with a
//! [`Problem`] that names the record and why.
//! INVARIANT: nothing of an event is believed before its commitment opened; nothing of a bundle before the end was
//! reached and root and body fit what was signed.

mod consent;
mod report;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::mpsc::{channel, sync_channel};

use bailee_proof::bundle::{BundleError, Manifest, Opening, Reader, RecordRef, records};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::event::{Ended, Form, scan};
use bailee_proof::note::VerifierKey;
use bailee_proof::record::{Entry, Kind, commitment};
use bailee_proof::rotation::KeyChain;
use bailee_proof::tree::Frontier;

pub use report::Report;

/// What the checker knows from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The log's key; without it, the bundle's own word is taken and the report says so.
    pub key: Option<VerifierKey>,
    /// The tenant.
    pub tenant: Option<String>,
    /// A checkpoint note of this log that was obtained elsewhere, e.g. from the portal on another day.
    pub head: Option<Vec<u8>>,
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
        /// `record 17`, `the checkpoint`, ….
        place: String,
        /// What does not hold.
        why: String,
    },
}

/// Bytes of a batch of records.
const BATCH_BYTES: usize = 512 * 1024;
/// Batches that may wait to be checked.
const BATCHES_MAX: usize = 4;

/// Reads and checks a whole bundle.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(source: impl Read + Send, expect: &Expect) -> Result<Report, Problem> {
    let reader = Reader::open(source).map_err(of_bundle)?;
    let named = Manifest::read_unverified(reader.manifest_note()).map_err(at("the manifest"))?;
    let key = named.key.clone();
    let manifest = Manifest::open(reader.manifest_note(), &key).map_err(at("the manifest"))?;
    let head = Checkpoint::open(reader.checkpoint_note(), &key).map_err(at("the checkpoint"))?;
    if manifest.origin != head.origin {
        return Err(violation("the manifest", "it is of another log than the checkpoint"));
    }
    if expect.tenant.as_ref().is_some_and(|t| *t != manifest.tenant) {
        return Err(violation("the manifest", format!("it is of tenant {}", manifest.tenant)));
    }
    for (place, count) in [("the manifest", manifest.records), ("the checkpoint", head.size)] {
        if count != reader.count() {
            let why =
                format!("it covers {count} records and the bundle says that it holds {}", reader.count());
            return Err(violation(place, why));
        }
    }
    let other = match &expect.head {
        None => None,
        Some(note) => {
            // It may be from before the key changed; then it is by the key that was given, which must be the log's.
            let by = |key: &VerifierKey| Checkpoint::open(note, key);
            let opened = by(&key).or_else(|e| expect.key.as_ref().map_or(Err(e), by));
            Some(opened.map_err(at("the head you gave"))?)
        }
    };
    if let Some(other) = other.as_ref().filter(|o| o.size > head.size) {
        let why = format!(
            "it covers {} records and the bundle holds {}: the tail is cut off, or the bundle is older",
            other.size, head.size
        );
        return Err(violation("the head you gave", why));
    }

    let mut check = Check::new(&manifest, other);
    if *reader.lead() != manifest.lead {
        return Err(violation(
            "the bundle",
            "checkpoint, places and number of records are not those that the manifest signs",
        ));
    }
    check_all(reader, &mut check)?;
    if check.frontier.root() != head.root {
        return Err(violation("the checkpoint", "the records give another root than the one that is signed"));
    }
    check.key_is(&manifest.key, expect.key.as_ref())?;
    Ok(check.into_report(manifest.clone(), head, expect))
}

/// Records on their way from the reading to the checking thread.
struct Batch {
    bytes: Vec<u8>,
    /// The first record of the batch, by its place in it, whose event is not the one that its entry commits to.
    unopened: Option<usize>,
}

/// Reads and hashes in one thread (the whole body, and each event against its commitment), and checks what the records
/// say in this one. Answers the body's digest.
fn check_all<R: Read + Send>(mut reader: Reader<R>, check: &mut Check<'_>) -> Result<(), Problem> {
    let (batches, next) = sync_channel::<Batch>(BATCHES_MAX);
    let (used, spare) = channel::<Vec<u8>>();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            loop {
                let mut bytes = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_BYTES * 5 / 4));
                bytes.clear();
                let mut read = Ok(true);
                while bytes.len() < BATCH_BYTES && matches!(read, Ok(true)) {
                    read = reader.read_into(&mut bytes);
                }
                let unopened = records(&bytes).position(|r| !opens(&r));
                // Whole records in front of what cannot be read are checked first: what they say is worse. When a
                // record does not hold, nobody takes the next batch.
                if batches.send(Batch { bytes, unopened }).is_err() {
                    return Ok(None);
                }
                if !read? {
                    drop(batches);
                    return reader.finish().map(Some);
                }
            }
        });
        for batch in &next {
            for (n, record) in records(&batch.bytes).enumerate() {
                check.record(&record, batch.unopened == Some(n))?;
            }
            // The reader may have ended: then nobody wants the buffer back.
            let _ = used.send(batch.bytes);
        }
        match reading.join() {
            Ok(Ok(Some(()))) => Ok(()),
            Ok(Err(e)) => Err(of_bundle(e)),
            Ok(Ok(None)) | Err(_) => Err(Problem::Unreadable("the reading thread stopped".into())),
        }
    })
}

/// Whether a record's event is the one that its entry commits to. An entry that cannot be read is refused by the check.
fn opens(record: &RecordRef<'_>) -> bool {
    let Opening::Opened { nonce, event } = record.opening else { return true };
    Entry::decode(record.entry).map_or(true, |entry| commitment(nonce, event) == entry.commitment)
}

struct Check<'a> {
    manifest: &'a Manifest,
    other: Option<Checkpoint>,
    /// From the first change of key on.
    keys: Option<KeyChain>,
    frontier: Frontier,
    last_time_ms: u64,
    open: BTreeMap<u64, Kind>,
    consent: consent::Replay,
    report: report::Counts,
}

impl<'a> Check<'a> {
    fn new(manifest: &'a Manifest, other: Option<Checkpoint>) -> Self {
        Self {
            manifest,
            other,
            keys: None,
            frontier: Frontier::new(),
            last_time_ms: 0,
            open: BTreeMap::new(),
            consent: consent::Replay::default(),
            report: report::Counts::default(),
        }
    }

    fn record(&mut self, record: &RecordRef<'_>, unopened: bool) -> Result<(), Problem> {
        let position = self.frontier.size();
        let wrong = |why: String| violation(format!("record {position}"), why);
        let entry = Entry::decode(record.entry).map_err(|e| wrong(e.to_string()))?;
        if entry.index != position {
            return Err(wrong(format!(
                "it says that it is record {}: a record was removed, added, or two were swapped",
                entry.index
            )));
        }
        if entry.time_ms < self.last_time_ms {
            return Err(wrong("it is older than the record before it".into()));
        }
        if unopened {
            return Err(wrong("its event is not the one that the log committed to".into()));
        }
        let Opening::Opened { event, .. } = record.opening else {
            return Err(wrong("it is not opened".into()));
        };
        let view = scan(event).map_err(|e| wrong(e.to_string()))?;
        let event = view.envelope().map_err(|e| wrong(e.to_string()))?;
        let same = event.kind == entry.kind && event.index == position && event.time_ms == entry.time_ms;
        if !same {
            return Err(wrong("its event names another kind, index or time than its entry".into()));
        }
        if event.tenant != self.manifest.tenant {
            return Err(wrong(format!("its event is of tenant {}", event.tenant)));
        }
        // What records about the log itself say has one form each.
        if let Some(Form::Rotation(rotation)) =
            view.form(entry.kind, position).map_err(|e| wrong(e.to_string()))?
        {
            if rotation.old.name() != self.manifest.origin {
                return Err(wrong("it changes the key of another log".into()));
            }
            let keys = self.keys.get_or_insert_with(|| KeyChain::new(rotation.old.clone()));
            keys.rotate(*rotation).map_err(|e| wrong(e.to_string()))?;
        }
        if let Some(closes) = event.closes {
            if self.open.remove(&closes.intent).is_none() {
                return Err(wrong(format!(
                    "it is an outcome of record {}, which is no intent that waits for one",
                    closes.intent
                )));
            }
            self.report.unknown += u64::from(closes.result == Ended::Unknown);
            self.consent.outcome(closes.intent, closes.result == Ended::Done, &view).map_err(wrong)?;
        } else if entry.kind.awaits_outcome() {
            self.open.insert(position, entry.kind);
        }
        match entry.kind {
            Kind::Management => self.consent.management(position, &view).map_err(wrong)?,
            Kind::Intent => {
                let reads = self.consent.intent(entry.time_ms, &view).map_err(wrong)?;
                self.report.content_reads += u64::from(reads);
            }
            _ => {}
        }
        self.report.first_ms.get_or_insert(entry.time_ms);
        if position > 0 {
            let gap = entry.time_ms.saturating_sub(self.last_time_ms);
            self.report.longest_gap_ms = self.report.longest_gap_ms.max(gap);
        }
        self.last_time_ms = entry.time_ms;
        *self.report.kinds.entry(entry.kind.word()).or_default() += 1;
        let leaf = entry.leaf_hash();
        self.frontier.append(leaf).map_err(|e| violation(format!("record {position}"), e.to_string()))?;
        if let Some(other) = self.other.as_ref().filter(|o| o.size == self.frontier.size())
            && other.root != self.frontier.root()
        {
            return Err(violation(
                "the head you gave",
                format!("the first {} records give another root: the log was rewritten", other.size),
            ));
        }
        Ok(())
    }

    /// The key that signs must be the one that the log passed on to, and the key that was given one of the log's.
    fn key_is(&self, signs: &VerifierKey, given: Option<&VerifierKey>) -> Result<(), Problem> {
        if let Some(keys) = &self.keys
            && keys.latest() != signs
        {
            return Err(violation(
                "the manifest",
                "it is signed by another key than the one that the log passed on to",
            ));
        }
        let was = |k: &VerifierKey| {
            *k == *signs
                || self
                    .keys
                    .as_ref()
                    .is_some_and(|c| c.first() == k || c.changes().iter().any(|change| change.new == *k))
        };
        if given.is_some_and(|k| !was(k)) {
            return Err(violation(
                "the manifest",
                "it names another key than the one you gave: this is another log",
            ));
        }
        Ok(())
    }

    fn into_report(self, manifest: Manifest, head: Checkpoint, expect: &Expect) -> Report {
        Report {
            origin: manifest.origin,
            tenant: manifest.tenant,
            exported: manifest.exported,
            records: head.size,
            root: head.root.to_string(),
            key: manifest.key.to_string(),
            key_fingerprint: manifest.key.fingerprint().to_string(),
            key_given: expect.key.is_some(),
            head_given: self.other.map(|o| o.size),
            open: self.open.into_keys().collect(),
            last_ms: self.last_time_ms,
            key_changes: self.keys.map_or(0, |k| k.changes().len()),
            counts: self.report,
        }
    }
}

fn violation(place: impl Into<String>, why: impl Into<String>) -> Problem {
    Problem::Violation { place: place.into(), why: why.into() }
}

fn at<E: std::fmt::Display>(place: &'static str) -> impl Fn(E) -> Problem {
    move |e| violation(place, e.to_string())
}

fn of_bundle(e: BundleError) -> Problem {
    match e {
        BundleError::Io { source, .. } => Problem::Unreadable(source.to_string()),
        BundleError::Cut { part, .. } => violation(part.to_string(), format!("{e}: the tail is cut off")),
        other => violation("the bundle", other.to_string()),
    }
}
