//! What records are in their order: complete, one after the other, outcomes to their intents, and the heads that others
//! know.

use std::collections::{BTreeMap, VecDeque};

use bailee_proof::bundle::{Manifest, Scope};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::event::{Ended, EventView, Form};
use bailee_proof::hash::Hash;
use bailee_proof::head::HeadLine;
use bailee_proof::note::VerifierKey;
use bailee_proof::record::{Entry, Kind};
use bailee_proof::rotation::KeyChain;
use bailee_proof::tree::Frontier;

use crate::consent::{LetIn, Replay, Said};
use crate::gone::Gone;
use crate::judge::{Batch, Judged, Opened, State};
use crate::places::Outside;
use crate::report::{Counts, Promise, Report, Verdict};
use crate::{Expect, Follow, Problem, violation};

/// A record's time may differ by so much from when witnesses saw the head before or over it.
const BRACKET_MS: u64 = 60_000;
/// An act may run for so long before its outcome is missed.
const RUNNING_MS: u64 = 10 * 60_000;
/// A log without a record for so long is silent: it says each day that it lives.
const SILENCE_MS: u64 = 25 * 3600 * 1000;

/// A head that is known from elsewhere.
pub(crate) struct Known {
    size: u64,
    root: Hash,
    promise: &'static str,
    place: String,
    wrong: &'static str,
    /// When a quorum of witnesses had seen it, milliseconds since 1970.
    seen_ms: Option<u64>,
}

impl Known {
    pub(crate) fn kept(head: &Checkpoint) -> Self {
        Self {
            size: head.size,
            root: head.root,
            promise: "continuity",
            place: "the head you gave".into(),
            wrong: "the log was rewritten",
            seen_ms: None,
        }
    }

    pub(crate) fn placed(line: &HeadLine, seen_ms: Option<u64>) -> Self {
        Self {
            size: line.size,
            root: line.root,
            promise: "head log",
            place: format!("head {} of the head log", line.version),
            wrong: "the log that was published is another one",
            seen_ms,
        }
    }

    pub(crate) fn watched(line: &HeadLine) -> Self {
        Self {
            size: line.size,
            root: line.root,
            promise: "same view",
            place: "the watch".into(),
            wrong: "you were shown another log than your watch",
            seen_ms: None,
        }
    }
}

/// See the module.
pub(crate) struct Order<'a> {
    scope: Scope,
    origin: String,
    follow: Option<&'a mut dyn Follow>,
    /// Rising sizes.
    known: VecDeque<Known>,
    kept: Option<u64>,
    /// From the first change of key on.
    keys: Option<KeyChain>,
    frontier: Frontier,
    last_ms: u64,
    /// Intents without outcome, with their times.
    open: BTreeMap<u64, u64>,
    consent: Replay,
    glass: crate::glass::Replay,
    gone: Gone,
    withheld: BTreeMap<&'static str, u64>,
    /// Hashes of event ids.
    ids: Vec<u64>,
    bracket: Bracket,
    counts: Counts,
}

/// Records' times against the times at which witnesses saw heads.
#[derive(Default)]
struct Bracket {
    heads: u64,
    /// Records are not older than this.
    floor_ms: u64,
    outside: u64,
    first: Option<String>,
}

impl<'a> Order<'a> {
    pub(crate) fn new(
        manifest: &Manifest,
        mut known: Vec<Known>,
        count: u64,
        expect: &Expect,
        follow: Option<&'a mut dyn Follow>,
    ) -> Self {
        let kept = known.iter().find(|k| k.promise == "continuity").map(|k| k.size);
        known.sort_by_key(|k| k.size);
        let bracket = Bracket {
            heads: known.iter().filter(|k| k.seen_ms.is_some()).count() as u64,
            ..Bracket::default()
        };
        // What the file says of its count is only believed for a first, small reservation.
        let ids = Vec::with_capacity(usize::try_from(count.min(1 << 16)).unwrap_or(0));
        let mut order = Self {
            scope: manifest.scope.clone(),
            origin: manifest.origin.clone(),
            follow,
            known: known.into(),
            kept,
            keys: None,
            frontier: Frontier::new(),
            last_ms: 0,
            open: BTreeMap::new(),
            consent: Replay::new(&manifest.tenant, expect),
            glass: crate::glass::Replay::default(),
            gone: Gone::default(),
            withheld: BTreeMap::new(),
            ids,
            bracket,
            counts: Counts::default(),
        };
        // An empty log has one root only.
        while order.known.front().is_some_and(|k| k.size == 0) {
            order.known.pop_front();
        }
        order
    }

    pub(crate) fn batch(&mut self, batch: &Batch) -> Result<(), Problem> {
        for judged in &batch.judged {
            self.record(batch, judged)?;
        }
        for (name, n) in &batch.types {
            *self.counts.types.entry(name.clone()).or_default() += n;
        }
        Ok(())
    }

    fn record(&mut self, batch: &Batch, judged: &Judged) -> Result<(), Problem> {
        let position = self.frontier.size();
        let place = || format!("record {position}");
        let entry = judged.entry.as_ref().map_err(|e| violation("integrity", place(), e.clone()))?;
        if entry.index != position {
            let why = format!(
                "it says that it is record {}: a record was removed, added, or two were swapped",
                entry.index
            );
            return Err(violation("order", place(), why));
        }
        if entry.time_ms < self.last_ms {
            return Err(violation("order", place(), "it is older than the record before it"));
        }
        let view = match &judged.state {
            State::Wrong(why) => return Err(violation("integrity", place(), why.clone())),
            State::Erased => {
                self.gone.add(entry);
                None
            }
            State::Withheld => {
                if !self.scope.may_withhold(entry.time_ms) {
                    let why = "it is withheld, and the scope of this bundle holds it";
                    return Err(violation("completeness", place(), why));
                }
                *self.withheld.entry(entry.kind.word()).or_default() += 1;
                None
            }
            State::Opened(opened) => {
                let view = if opened.matters || self.follow.is_some() { batch.view(judged) } else { None };
                self.opened(entry, opened, view.as_ref())?;
                view
            }
        };
        if let Some(follow) = &mut self.follow {
            follow.record(entry, view.as_ref());
        }
        self.time(entry);
        *self.counts.kinds.entry(entry.kind.word()).or_default() += 1;
        self.frontier.append(judged.leaf).map_err(|e| violation("order", place(), e.to_string()))?;
        self.meets_what_is_known(entry)
    }

    fn opened(
        &mut self,
        entry: &Entry,
        opened: &Opened,
        view: Option<&EventView<'_>>,
    ) -> Result<(), Problem> {
        let position = entry.index;
        let place = || format!("record {position}");
        self.ids.extend(opened.id);
        if let Some(closes) = opened.closes {
            if self.open.remove(&closes.intent).is_none() && !self.gone.has(closes.intent) {
                let why = format!(
                    "it is an outcome of record {}, which is no intent that waits for one",
                    closes.intent
                );
                return Err(violation("outcomes", place(), why));
            }
            self.counts.unknown += u64::from(closes.result == Ended::Unknown);
        } else if entry.kind.awaits_outcome() {
            self.open.insert(position, entry.time_ms);
        }
        let Some(view) = view else { return Ok(()) };
        let consent = |why: String| violation("consent", place(), why);
        let glass = match (entry.kind, opened.closes) {
            (_, Some(closes)) => self.glass.outcome((closes.intent, closes.result), entry.time_ms, view),
            (Kind::Management | Kind::Intent, _) => self.glass.intent(position, entry.time_ms, view),
            _ => Ok(None),
        };
        match glass.map_err(consent)? {
            // What would show it may be among what was erased.
            Some(why) if self.gone.len() == 0 => return Err(consent(why)),
            _ => {}
        }
        match (entry.kind, opened.closes) {
            (_, Some(closes)) => {
                let (closed, at) = ((closes.intent, closes.result), (position, entry.time_ms));
                let whole = self.scope == Scope::All && self.gone.len() == 0;
                match self.consent.outcome(closed, at, view, whole).map_err(consent)? {
                    // The setting of the right may be among what was erased; a read under such a grant is counted below.
                    Said::NoRight(why) if self.gone.len() == 0 => return Err(consent(why)),
                    _ => {}
                }
            }
            (Kind::Management, _) => {
                self.consent.management(position, entry.time_ms, view).map_err(consent)?
            }
            (Kind::Intent, _) => match self.consent.intent(position, entry.time_ms, view).map_err(consent)? {
                Said::Nothing | Said::NoRight(_) => {}
                Said::Covered => self.counts.content_reads += 1,
                // The approval may be among what was erased; then nothing shows that it was there.
                Said::NoGrant(_) if self.gone.len() > 0 => {
                    self.counts.content_reads += 1;
                    self.counts.reads_without_approval += 1;
                }
                Said::NoGrant(why) => return Err(consent(why)),
                Said::Collected(how) => {
                    self.counts.collected += 1;
                    match how {
                        LetIn::Yes => {}
                        LetIn::No => self.counts.collected_uncovered += 1,
                        LetIn::NotAsked => self.counts.collected_not_asked += 1,
                    }
                }
            },
            (Kind::Refusal, _) => self.consent.refusal(position, view).map_err(consent)?,
            _ => {}
        }
        let form =
            view.form(entry.kind, position).map_err(|e| violation("integrity", place(), e.to_string()))?;
        match form {
            // Each size has one key.
            Some(Form::Rotation(rotation)) => {
                if rotation.old.name() != self.origin {
                    return Err(violation("keys", place(), "it changes the key of another log"));
                }
                let keys = self.keys.get_or_insert_with(|| KeyChain::new(rotation.old.clone()));
                keys.rotate(*rotation).map_err(|e| violation("keys", place(), e.to_string()))?;
            }
            Some(Form::Erasure(erasure)) => {
                self.gone
                    .explain(&erasure, entry.time_ms)
                    .map_err(|why| violation("erasure", place(), why))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn time(&mut self, entry: &Entry) {
        self.counts.first_ms.get_or_insert(entry.time_ms);
        if entry.index > 0 {
            let gap = entry.time_ms.saturating_sub(self.last_ms);
            if gap > self.counts.longest_gap_ms {
                (self.counts.longest_gap_ms, self.counts.longest_gap_before) = (gap, entry.index);
            }
            self.counts.silences += u64::from(gap > SILENCE_MS);
        }
        if entry.time_ms < self.bracket.floor_ms {
            let early = self.bracket.floor_ms - entry.time_ms;
            self.bracket.note(|| {
                format!(
                    "record {} is dated {} s before witnesses saw a head without it",
                    entry.index,
                    (early + BRACKET_MS) / 1000
                )
            });
        }
        self.last_ms = entry.time_ms;
    }

    fn meets_what_is_known(&mut self, entry: &Entry) -> Result<(), Problem> {
        while let Some(known) = self.known.front().filter(|k| k.size == self.frontier.size()) {
            if known.root != self.frontier.root() {
                let why = format!("the first {} records give another root: {}", known.size, known.wrong);
                return Err(violation(known.promise, known.place.clone(), why));
            }
            if let Some(seen) = known.seen_ms {
                let late = entry.time_ms.saturating_sub(seen);
                if late > BRACKET_MS {
                    self.bracket.note(|| {
                        format!("record {} is dated {} s after witnesses saw it", entry.index, late / 1000)
                    });
                }
                self.bracket.floor_ms = self.bracket.floor_ms.max(seen.saturating_sub(BRACKET_MS));
            }
            self.known.pop_front();
        }
        Ok(())
    }

    /// The end was reached: the root, the keys, what is missing.
    pub(crate) fn finish(
        mut self,
        manifest: &Manifest,
        head: &Checkpoint,
        expect: &Expect,
        outside: &Outside,
    ) -> Result<Report, Problem> {
        if self.frontier.root() != head.root {
            let why = "the records give another root than the one that is signed";
            return Err(violation("completeness", "the checkpoint", why));
        }
        self.key_is(&manifest.key, expect)?;
        if let Some(index) = self.gone.unexplained() {
            let why = "its event is gone and no later record says that it was erased";
            return Err(violation("erasure", format!("record {index}"), why));
        }
        self.ids.sort_unstable();
        let twice = self.ids.array_windows::<2>().filter(|[a, b]| a == b).count();
        if twice > 0 {
            let why = format!("{twice} records carry the event id of another record: an act was given twice");
            return Err(violation("once", "the bundle", why));
        }
        let mut promises = self.promises(manifest, head, expect);
        let (signed, passkeys) = std::mem::take(&mut self.consent.signatures).promise();
        let at = promises.iter().position(|p| p.name == "consent").map_or(0, |at| at + 1);
        promises.insert(at, signed);
        promises.splice(promises.len() - 2..promises.len() - 2, outside.promises(expect, head.size));
        Ok(Report {
            origin: manifest.origin.clone(),
            tenant: manifest.tenant.clone(),
            exported: manifest.exported.clone(),
            scope: manifest.scope.to_string(),
            records: head.size,
            root: head.root.to_string(),
            key: manifest.key.to_string(),
            key_fingerprint: manifest.key.fingerprint().to_string(),
            key_given: expect.key.is_some() || expect.receipt.is_some(),
            head_given: self.kept,
            overdue: self.overdue(),
            open: self.open.into_keys().collect(),
            last_ms: self.last_ms,
            key_changes: self.keys.map_or(0, |k| k.changes().len()),
            erased: self.gone.explained,
            withheld: self.withheld,
            counts: self.counts,
            passkeys,
            promises,
        })
    }

    /// The key that signs must be the one that the log passed on to, and the keys that were given must be the log's.
    fn key_is(&self, signs: &VerifierKey, expect: &Expect) -> Result<(), Problem> {
        let wrong = |why: &str| Err(violation("keys", "the manifest", why));
        if self.keys.as_ref().is_some_and(|keys| keys.latest() != signs) {
            return wrong("it is signed by another key than the one that the log passed on to");
        }
        let first = self.keys.as_ref().map_or(signs, KeyChain::first);
        if expect.receipt.as_ref().is_some_and(|r| r.log != *first) {
            return wrong(
                "the log began with another key than the enrolment receipt names: this is another log",
            );
        }
        let was = |k: &VerifierKey| {
            *k == *signs
                || *k == *first
                || self.keys.as_ref().is_some_and(|c| c.changes().iter().any(|change| change.new == *k))
        };
        if expect.key.as_ref().is_some_and(|k| !was(k)) {
            return wrong("it names another key than the one you gave: this is another log");
        }
        Ok(())
    }

    /// Open intents that are too old to be still running when the last record was written; the export itself is.
    fn overdue(&self) -> Vec<u64> {
        let old = |at: &u64| self.last_ms.saturating_sub(*at) > RUNNING_MS;
        self.open.iter().filter(|(_, at)| old(at)).map(|(index, _)| *index).collect()
    }

    /// All but what the outside shows, which goes in front of the last two.
    fn promises(&self, manifest: &Manifest, head: &Checkpoint, expect: &Expect) -> Vec<Promise> {
        let counts = &self.counts;
        let mut out = Vec::new();
        let mut say = |name, verdict, detail: String| out.push(Promise { name, verdict, detail });
        let holds = |good: bool| if good { Verdict::Holds } else { Verdict::Doubt };
        say("signature", Verdict::Holds, format!("manifest and checkpoint are signed by {}", manifest.key));
        let changes = self.keys.as_ref().map_or(0, |k| k.changes().len());
        if expect.key.is_none() && expect.receipt.is_none() {
            let detail =
                "the key was taken from the bundle: give it with --key, or the receipt with --enrolment";
            say("keys", Verdict::NotShown, detail.into());
        } else {
            let detail = format!(
                "the log's key is the one you gave; {changes} changes, each signed by the key before it"
            );
            say("keys", Verdict::Holds, detail);
        }
        say("integrity", Verdict::Holds, "each event here is the one that the log committed to".into());
        say("order", Verdict::Holds, "each record stands at its index, and time never falls".into());
        say("once", Verdict::Holds, format!("no event id occurs twice among {}", self.ids.len()));
        let root = head.root;
        say(
            "completeness",
            Verdict::Holds,
            format!("all records below the signed head {} are here, root {root}", head.size),
        );
        if manifest.scope != Scope::All {
            let withheld: u64 = self.withheld.values().sum();
            let detail = format!(
                "{withheld} records are withheld, outside of {}; what they say is not shown, and nothing here shows that they lie outside",
                manifest.scope
            );
            say("scope", Verdict::NotShown, detail);
        }
        let detail = match self.gone.still_there {
            Some(index) => format!("record {index} was said to be erased, and its event is here"),
            None => format!("{} events are gone, each by a later record that may do so", self.gone.explained),
        };
        say("erasure", holds(self.gone.still_there.is_none()), detail);
        let overdue = self.overdue();
        let detail = format!(
            "intents without one for over ten minutes: {}{}; still running: {}; unknown: {}",
            overdue.len(),
            shown(&overdue),
            self.open.len() - overdue.len(),
            counts.unknown
        );
        say("outcomes", holds(overdue.is_empty() && counts.unknown == 0), detail);
        let detail = match counts.reads_without_approval {
            0 => format!(
                "operators' reads of content: {}, each under a live grant of the tenant",
                counts.content_reads
            ),
            n => format!(
                "{n} of {} reads of content name a grant whose approval may be among what was erased",
                counts.content_reads
            ),
        };
        say("consent", holds(counts.reads_without_approval == 0), detail);
        if counts.collected > 0 {
            let (no, not_asked) = (counts.collected_uncovered, counts.collected_not_asked);
            let detail = format!(
                "operators' acts that logs of the platform show: {}; nothing let in: {no}; not compared: {not_asked}",
                counts.collected
            );
            say("beside the gate", holds(no == 0 && not_asked == 0), detail);
        }
        match self.kept {
            Some(size) => say(
                "continuity",
                Verdict::Holds,
                format!("the log continues the head of {size} records that you gave"),
            ),
            None => {
                say("continuity", Verdict::NotShown, "give a checkpoint from elsewhere with --head".into())
            }
        }
        let silent = counts.silences;
        let detail = format!(
            "the longest time without a record was {} s (before record {}); silent for over a day: {silent} times",
            counts.longest_gap_ms / 1000,
            counts.longest_gap_before
        );
        say("gaps", holds(silent == 0), detail);
        match (self.bracket.heads, &self.bracket.first) {
            (0, _) => say("times", Verdict::NotShown, "needs heads that witnesses cosigned".into()),
            (_, Some(first)) => say(
                "times",
                Verdict::Doubt,
                format!("{first} ({} such): backdated, or the witnesses were away", self.bracket.outside),
            ),
            (heads, None) => say(
                "times",
                Verdict::Holds,
                format!("each lies within 60 s of what witnesses saw at {heads} heads"),
            ),
        }
        let never = "no log can show an act that was never logged: compare key releases and collectors (docs/trail-security.md)";
        say("never logged", Verdict::NotShown, never.into());
        out
    }
}

impl Bracket {
    fn note(&mut self, what: impl FnOnce() -> String) {
        self.outside += 1;
        self.first.get_or_insert_with(what);
    }
}

fn shown(open: &[u64]) -> String {
    if open.is_empty() {
        return String::new();
    }
    let first: Vec<_> = open.iter().take(10).map(ToString::to_string).collect();
    format!(" (records {}{})", first.join(", "), if open.len() > 10 { ", …" } else { "" })
}
