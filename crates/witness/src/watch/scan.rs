//! One pass over the new entries of the head log.

use std::collections::{HashMap, HashSet};

use bailee_proof::hash::{Hash, leaf_hash};
use bailee_proof::head::{HeadLogEntry, origin_label};
use bailee_proof::policy::FUTURE_SECONDS_MAX;
use bailee_proof::tile::{TILE_WIDTH, new_entry_bundles, read_bundle};

use super::memory::{Kept, Label, OwnKept, short};
use super::{AlarmKind, Round, Source, Watch, source};

/// Own labels beyond the next one that are looked for: a head that comes before its turn is found too.
const LABELS_AHEAD: u64 = 64;

/// Alarms of one kind; a log full of rubbish must not fill the memory with complaints.
const ALARMS_MAX: usize = 100;

/// What a verified round adds.
pub(super) struct Next {
    pub(super) kept: Kept,
    pub(super) labels: Vec<Label>,
    /// Own heads found, in the order of the log: commitment, and when (POSIX seconds).
    pub(super) own_heads: Vec<(Hash, u64)>,
}

/// Fetches and checks; `None` when nothing may be remembered.
pub(super) fn scan(
    watch: &Watch,
    log: &dyn Source,
    before: &Kept,
    known: &HashSet<Label>,
    now: u64,
    round: &mut Round,
) -> Option<Next> {
    let note = match log.fetch("checkpoint") {
        Ok(note) => note,
        Err(e) => {
            round.missing("the head log's checkpoint", &e);
            return None;
        }
    };
    let judged = match watch.policy.evaluate(&note, now) {
        Ok(judged) => judged,
        Err(e) => {
            round.alarm(AlarmKind::Signature, format!("the head log's checkpoint: {e}"));
            return None;
        }
    };
    let name = |w: usize| watch.policy.witnesses().get(w).map(|w| w.name.clone());
    round.cosigned_by = judged.seen.iter().filter_map(|s| name(s.witness)).collect();
    round.quorum_time = judged.quorum_time;
    if let Err(e) = watch.policy.accept(&note, now) {
        round.alarm(AlarmKind::Quorum, e.to_string());
        return None;
    }
    let (size, root) = (judged.checkpoint.size, judged.checkpoint.root);
    if size < before.size() {
        let why = format!("the head log has {size} entries, it had {}", before.size());
        round.alarm(AlarmKind::Rewritten, why);
        return None;
    }
    let remembered = round.alarms.len();
    let mut scan = Scan::new(watch, before, known, now, round);
    for tile in new_entry_bundles(before.size(), size) {
        let (bytes, width) = match source::tile(log, tile) {
            Ok(found) => found,
            Err(e) => {
                scan.round.missing(&format!("`{tile}` of the head log"), &e);
                return None;
            }
        };
        let entries = match read_bundle(&bytes, width) {
            Ok(entries) => entries,
            Err(e) => {
                scan.alarm(AlarmKind::Withheld, format!("`{tile}` of the head log: {e}"));
                return None;
            }
        };
        let first = tile.index * u64::from(TILE_WIDTH);
        for (at, entry) in (first..size).zip(entries) {
            if at >= scan.next.kept.size() {
                scan.entry(at, entry)?;
            }
        }
    }
    let mut next = scan.next;
    next.settle(now);
    if next.kept.size() != size || next.kept.frontier.root() != root {
        let why = format!(
            "the {size} entries that are served, the first {} as they were, do not give the root that is signed",
            before.size()
        );
        round.alarm(AlarmKind::Rewritten, why);
        return None;
    }
    round.new_entries = size - before.size();
    // The entries are signed and stay: so does what is wrong with them.
    next.kept.alarms.extend(round.alarms.iter().skip(remembered).cloned());
    next.kept.note = String::from_utf8_lossy(&note).into_owned();
    if before.began == 0 {
        next.kept.began = now;
    }
    Some(next)
}

/// Raises the alarm for what has not come in time.
pub(super) fn late(watch: &Watch, kept: &Kept, now: u64, round: &mut Round) {
    let ago = |then: u64| now.saturating_sub(then);
    if let Some(every) = watch.expect_every {
        let ended = kept.epoch.map_or(kept.began, |(_, time_ms)| time_ms / 1000);
        if kept.began != 0 && ago(ended) > every {
            round.alarm(AlarmKind::Late, format!("no epoch ended for {} s", ago(ended)));
        }
        if let Some(time) = round.quorum_time.filter(|time| ago(*time) > every) {
            let why = format!("the checkpoint's quorum is {} s old: it may be an old head", ago(time));
            round.alarm(AlarmKind::Late, why);
        }
    }
    if let Some(own) = &kept.own {
        let last = if own.head_time == 0 { kept.began } else { own.head_time };
        if kept.began != 0 && ago(last) > super::SILENCE_SECONDS_MAX {
            round.alarm(AlarmKind::Late, format!("the own log has had no new head for {} s", ago(last)));
        }
    }
}

struct Scan<'a> {
    next: Next,
    known: &'a HashSet<Label>,
    new: HashSet<Label>,
    own: Option<OwnLabels>,
    now: u64,
    round: &'a mut Round,
}

/// Own labels that may come.
struct OwnLabels {
    enrol: Hash,
    heads: HashMap<Hash, u64>,
    watch: bailee_proof::head::WatchKey,
    next: u64,
}

impl<'a> Scan<'a> {
    fn new(
        watch: &'a Watch,
        before: &Kept,
        known: &'a HashSet<Label>,
        now: u64,
        round: &'a mut Round,
    ) -> Self {
        let own = watch.own.as_ref().zip(before.own.as_ref()).map(|(own, kept)| {
            let key = own.receipt.watch.clone();
            let next = kept.chain.next_version() + kept.waiting.len() as u64;
            OwnLabels {
                enrol: origin_label(own.receipt.log.name()),
                heads: (next..next + LABELS_AHEAD).map(|v| (key.label(v), v)).collect(),
                watch: key,
                next,
            }
        });
        let next = Next { kept: before.clone(), labels: Vec::new(), own_heads: Vec::new() };
        Self { next, known, new: HashSet::new(), own, now, round }
    }

    fn entry(&mut self, at: u64, bytes: &[u8]) -> Option<()> {
        if let Err(e) = self.next.kept.frontier.append(leaf_hash(bytes)) {
            self.alarm(AlarmKind::Entry, format!("entry {at} of the head log: {e}"));
            return None;
        }
        match HeadLogEntry::decode(bytes) {
            Err(e) => self.alarm(AlarmKind::Entry, format!("entry {at} of the head log: {e}")),
            Ok(HeadLogEntry::EpochEnd { epoch, time_ms, leaves, .. }) => {
                self.epoch(at, epoch, time_ms, leaves);
                return Some(());
            }
            Ok(HeadLogEntry::Enrol { label, commit }) => {
                self.label(at, &label);
                self.enrol(at, &label, &commit);
            }
            Ok(HeadLogEntry::Head { label, commit }) => {
                self.label(at, &label);
                self.head(at, &label, commit);
            }
        }
        self.next.kept.since_epoch += 1;
        Some(())
    }

    fn label(&mut self, at: u64, label: &Hash) {
        let kept = short(label);
        if self.known.contains(&kept) || !self.new.insert(kept) {
            let why = format!("entry {at} of the head log repeats the label {label}: a log has two heads");
            self.alarm(AlarmKind::RepeatedLabel, why);
        } else {
            self.next.labels.push(kept);
        }
    }

    fn enrol(&mut self, at: u64, label: &Hash, commit: &Hash) {
        if self.own.as_ref().is_none_or(|own| own.enrol != *label) {
            return;
        }
        let Some(kept) = &mut self.next.kept.own else { return };
        let first = !kept.enrolled;
        if first && kept.chain.enrolled(commit).is_ok() {
            kept.enrolled = true;
            return;
        }
        let why = if first {
            "enrols the own log with another watch key or first key than the receipt's"
        } else {
            "enrols the own log a second time"
        };
        self.alarm(AlarmKind::Enrolment, format!("entry {at} of the head log {why}"));
    }

    fn head(&mut self, at: u64, label: &Hash, commit: Hash) {
        let Some(own) = &mut self.own else { return };
        let Some(version) = own.heads.remove(label) else { return };
        if version != own.next {
            let why = format!("entry {at} of the head log is the own head {version}, {} is next", own.next);
            self.alarm(AlarmKind::OwnHead, why);
            return;
        }
        own.next += 1;
        let ahead = own.next + LABELS_AHEAD - 1;
        own.heads.insert(own.watch.label(ahead), ahead);
        // Its time is the end of its epoch; 0 until that is read.
        self.next.own_heads.push((commit, 0));
        if self.next.kept.own.as_ref().is_some_and(|kept| !kept.enrolled) {
            self.alarm(
                AlarmKind::Enrolment,
                format!("entry {at} is an own head, and the own log is not enrolled"),
            );
        }
    }

    fn epoch(&mut self, at: u64, epoch: u64, time_ms: u64, leaves: u32) {
        let counted = self.next.kept.since_epoch;
        let mut wrong = Vec::new();
        if u64::from(leaves) != counted {
            wrong.push(format!("counts {leaves} entries, there are {counted}"));
        }
        if let Some((last, last_ms)) = self.next.kept.epoch {
            if epoch <= last {
                wrong.push(format!("has number {epoch}, the one before it {last}"));
            }
            if time_ms < last_ms {
                wrong.push("is older than the one before it".into());
            }
        }
        if time_ms / 1000 > self.now.saturating_add(FUTURE_SECONDS_MAX) {
            wrong.push("lies in the future".into());
        }
        if !wrong.is_empty() {
            self.alarm(AlarmKind::Epoch, format!("the epoch end at entry {at} {}", wrong.join(", ")));
        }
        self.next.kept.epoch = Some((epoch, time_ms));
        self.next.kept.since_epoch = 0;
        self.next.settle(time_ms / 1000);
    }

    fn alarm(&mut self, kind: AlarmKind, what: String) {
        let already = self.round.alarms.iter().filter(|a| a.kind == kind).count();
        if already < ALARMS_MAX {
            self.round.alarm(kind, what);
        }
    }
}

impl Next {
    /// Gives the own heads that wait for it the time at which their epoch ended.
    fn settle(&mut self, time: u64) {
        self.own_heads.iter_mut().filter(|(_, at)| *at == 0).for_each(|(_, at)| *at = time);
    }
}

impl OwnKept {
    /// Takes what was found; the heads wait until the log tells them.
    pub(super) fn found(&mut self, heads: &[(Hash, u64)]) {
        self.waiting.extend(heads.iter().map(|(commit, _)| *commit));
        if let Some((_, time)) = heads.last() {
            self.head_time = *time;
        }
    }
}
