//! What the bundle tells of the public head log, held against what the reader brought: the tenant's receipt, his own
//! policy, and what his own watch has seen.

use bailee_proof::bundle::{Manifest, Placed, Places};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::head::HeadLine;

use crate::order::Known;
use crate::report::{Promise, Verdict};
use crate::{Expect, Problem, at, violation};

/// What a watch of the reader's own has seen of the head log, without an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The head log's last checkpoint.
    pub head_log: Checkpoint,
    /// The origin of the log whose heads it opens.
    pub origin: Option<String>,
    /// The last head of that log.
    pub head: Option<HeadLine>,
    /// What it raised and still stands.
    pub alarms: Vec<String>,
}

/// The outside of a log.
pub(crate) struct Outside {
    placed: Option<Vec<Placed>>,
    watched: Option<HeadLine>,
    names: Vec<String>,
    asks: bool,
}

/// Opens the places, as far as the reader brought what it takes.
pub(crate) fn open(bytes: &[u8], manifest: &Manifest, expect: &Expect) -> Result<Outside, Problem> {
    const PROMISE: &str = "head log";
    let places = Places::parse(bytes).map_err(at(PROMISE, "the places"))?;
    if let Some(receipt) = expect.receipt.as_ref().filter(|r| r.log.name() != manifest.origin) {
        let why = format!("it is of the log `{}`: this is another log", receipt.log.name());
        return Err(violation(PROMISE, "the enrolment receipt", why));
    }
    let placed = match (&expect.receipt, &expect.policy) {
        (Some(receipt), Some(policy)) if !places.is_empty() => {
            Some(places.open(receipt, policy, expect.now).map_err(at(PROMISE, "the places"))?)
        }
        _ => None,
    };
    let mut watched = None;
    if let Some(watch) = &expect.watched {
        for one in placed.iter().flatten() {
            let seen = &one.seen.checkpoint;
            if seen.origin == watch.head_log.origin
                && seen.size == watch.head_log.size
                && seen.root != watch.head_log.root
            {
                let why =
                    format!("your watch saw another root at {} entries: the head log was split", seen.size);
                return Err(violation("same view", "the places", why));
            }
        }
        if let Some(origin) = watch.origin.as_ref().filter(|o| **o != manifest.origin) {
            let why = format!("it watches the log `{origin}`, not this one");
            return Err(violation("same view", "the watch", why));
        }
        if let Some(alarm) = watch.alarms.first() {
            return Err(violation("same view", "the watch", format!("it raised: {alarm}")));
        }
        watched = watch.head;
    }
    let policy = expect.policy.as_ref();
    Ok(Outside {
        placed,
        watched,
        names: policy.map_or_else(Vec::new, |p| p.witnesses().iter().map(|w| w.name.clone()).collect()),
        asks: policy.is_some_and(bailee_proof::policy::Policy::asks_for_witnesses),
    })
}

impl Outside {
    /// Heads that the records must give, from outside.
    pub(crate) fn known(&self, records: u64) -> Result<Vec<Known>, Problem> {
        let mut known = Vec::new();
        for Placed { line, seen, .. } in self.placed.iter().flatten() {
            if line.size > records {
                let why = format!(
                    "its head {} covers {} records and the bundle holds {records}: the tail is cut off",
                    line.version, line.size
                );
                return Err(violation("completeness", "the head log", why));
            }
            let time = seen.quorum_time.map(|seconds| seconds.saturating_mul(1000));
            known.push(Known::placed(line, time));
        }
        if let Some(line) = self.watched {
            if line.size > records {
                let why = format!(
                    "your watch saw a head of {} records and the bundle holds {records}: the tail is cut off, or the bundle is older",
                    line.size
                );
                return Err(violation("completeness", "the watch", why));
            }
            known.push(Known::watched(&line));
        }
        Ok(known)
    }

    /// What the head log, the watch and the witnesses show.
    pub(crate) fn promises(&self, expect: &Expect, records: u64) -> Vec<Promise> {
        let mut out = Vec::new();
        let newest = self.placed.as_ref().and_then(|p| p.last());
        out.push(match (newest, &self.placed) {
            (Some(p), Some(all)) => Promise::holds(
                "head log",
                format!(
                    "{} heads stand in it under labels of their own, the newest (version {}) over {} of {records} records",
                    all.len(), p.line.version, p.line.size
                ),
            ),
            _ if expect.receipt.is_none() => Promise::not_shown(
                "head log",
                "give the tenant's enrolment receipt with --enrolment: the provider must not be asked for it",
            ),
            _ if expect.policy.is_none() => {
                Promise::not_shown("head log", "give a policy with the head log's key with --policy")
            }
            _ => Promise::not_shown("head log", "the bundle names no place: no head of this log was published yet"),
        });
        out.push(match (&expect.watched, &self.watched) {
            (Some(watch), Some(line)) => Promise::holds(
                "same view",
                format!(
                    "your watch read all {} entries of the head log, no label twice, and saw this log's first {} records as they are here",
                    watch.head_log.size, line.size
                ),
            ),
            (Some(_), None) => Promise::not_shown("same view", "your watch has opened no head of this log yet"),
            (None, _) => Promise::not_shown(
                "same view",
                "that no label occurs twice shows a watch of yours (`bailee-verify watch`): give its folder with --watch-state",
            ),
        });
        out.push(match newest {
            None => Promise::not_shown("witnesses", "needs the places in the head log"),
            Some(_) if !self.asks => {
                Promise::not_shown("witnesses", "your policy asks for none: others may be shown another head log")
            }
            Some(p) => {
                let names: Vec<&str> = p
                    .seen
                    .seen
                    .iter()
                    .filter_map(|s| self.names.get(s.witness).map(String::as_str))
                    .collect();
                match p.seen.quorum_time.filter(|_| p.seen.met) {
                    Some(time) => Promise::holds(
                        "witnesses",
                        format!("the newest head is cosigned by {}, at {}", names.join(", "), iso(time)),
                    ),
                    None => Promise {
                        name: "witnesses",
                        verdict: Verdict::Doubt,
                        detail: format!(
                            "your policy's quorum has not cosigned the newest head ({} did): it may have been shown to you alone",
                            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
                        ),
                    },
                }
            }
        });
        out
    }
}

/// POSIX seconds as people read them.
pub(crate) fn iso(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// The date of a day since 1970-01-01, by counting years and months.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    // 400 years have 146,097 days.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::iso;

    #[test]
    fn seconds_are_dates() {
        assert_eq!(iso(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(iso(1_767_323_045), "2026-01-02T03:04:05Z");
        assert_eq!(iso(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(iso(4_107_542_400), "2100-03-01T00:00:00Z");
        let _ = iso(u64::MAX);
    }
}
