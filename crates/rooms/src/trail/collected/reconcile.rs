//! What access logs saw against what the gate recorded: an act that a collector saw and that no intent announced is an act
//! that was never logged (docs/collectors.md says what this can and cannot find).

use std::collections::BTreeSet;
use std::sync::Arc;

use bailee_types::{TenantId, Timestamp};
use serde_json::Value;

use super::super::{Act, ActEnd, ActFilter, Family};
use crate::broker::Session;
use crate::{Failure, House};

/// How far the clocks of a log and of this house may be apart, and how long a read may last.
pub(super) const APART_MS: i64 = 120_000;
const PAGE: usize = 500;

/// An act that has no counterpart.
#[derive(Clone, Debug)]
pub struct Unmatched {
    /// The record in the tenant's log.
    pub record: u64,
    /// When it happened, by whoever recorded it.
    pub at: Timestamp,
    /// The object.
    pub object: String,
    /// The operator's pseudonym.
    pub who: String,
    /// The log that saw it; empty for the gate's own.
    pub source: String,
}

/// Reads of objects in a span of time, by both.
#[derive(Clone, Debug, Default)]
pub struct Reconciliation {
    /// Reads that collectors saw.
    pub seen: u64,
    /// Reads that the gate recorded.
    pub recorded: u64,
    /// Seen by a collector, announced by no intent: never logged.
    pub never_logged: Vec<Unmatched>,
    /// Recorded as done, seen by no collector: the collector is behind, or does not watch that bucket.
    pub not_seen: Vec<Unmatched>,
    /// Acts with the tenant's systems that collectors saw and a broker's session let in.
    pub in_sessions: u64,
    /// Such acts that nothing let in.
    pub uncovered: Vec<Unmatched>,
    /// Sessions of which no collector saw anything: the collector is behind, or does not watch that system.
    pub sessions_not_seen: Vec<Session>,
}

impl House {
    /// Compares what the provider's people did with a tenant's objects and systems, by their logs and by the house's, `from` to
    /// before `until`.
    ///
    /// # Errors
    /// When a record of the trail does not open.
    pub async fn reconcile(
        self: &Arc<Self>,
        tenant: &TenantId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Reconciliation, Failure> {
        // A collector may be late by any time, so all that was recorded since is looked at, by the time of the act.
        let filter = ActFilter {
            from: Some(from.plus_ms(-APART_MS)),
            family: Some(Family::Platform),
            ..ActFilter::default()
        };
        let (mut seen, mut recorded, mut before) = (Vec::new(), Vec::new(), None);
        let (mut in_sessions, mut uncovered, mut named) = (0, Vec::new(), BTreeSet::new());
        loop {
            let page = self.acts(tenant, &filter, before, PAGE).await?;
            for act in &page.acts {
                if let Some((at, source)) =
                    collected_elsewhere(act).filter(|(at, _)| (from..until).contains(at))
                {
                    if act.uncovered().is_some() {
                        uncovered.push(Unmatched { at, source, ..own_read(act) });
                    } else if let Some(covered) = act.covered() {
                        in_sessions += 1;
                        let of = |name: &str| covered.get(name).and_then(Value::as_str).map(str::to_owned);
                        let several = covered.get("oneOf").and_then(Value::as_array).into_iter().flatten();
                        named.extend(of("session"));
                        named.extend(several.filter_map(Value::as_str).map(str::to_owned));
                    }
                } else if let Some(read) = collected_read(act) {
                    seen.push(read);
                } else if act.event_name == "GetObject" && !matches!(act.end, ActEnd::Refused) {
                    recorded.push(own_read(act));
                }
            }
            match page.next_before {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        let id = tenant.clone();
        let sessions = self
            .db
            .read(move |tx| {
                crate::broker::sessions_within(&mut tx.tenant(&id), (from, until)).map_err(Failure::from)
            })
            .await?;
        uncovered.sort_by_key(|u: &Unmatched| u.record);
        Ok(Reconciliation {
            in_sessions,
            uncovered,
            sessions_not_seen: sessions.into_iter().filter(|s| !named.contains(&s.id)).collect(),
            ..compare(&seen, &recorded, from, until)
        })
    }
}

fn compare(seen: &[Unmatched], recorded: &[Unmatched], from: Timestamp, until: Timestamp) -> Reconciliation {
    let within = |u: &&Unmatched| from <= u.at && u.at < until;
    // A long read is several intents, and a client may ask in several parts: one is enough for either.
    let meets = |a: &Unmatched, b: &Unmatched| {
        a.object == b.object && a.who == b.who && (a.at.ms() - b.at.ms()).abs() <= APART_MS
    };
    let without = |these: &[Unmatched], those: &[Unmatched]| {
        let mut found: Vec<_> =
            these.iter().filter(within).filter(|a| !those.iter().any(|b| meets(a, b))).cloned().collect();
        found.sort_by_key(|u| u.record);
        found
    };
    Reconciliation {
        seen: seen.iter().filter(within).count() as u64,
        recorded: recorded.iter().filter(within).count() as u64,
        never_logged: without(seen, recorded),
        not_seen: without(recorded, seen),
        ..Reconciliation::default()
    }
}

/// When an act with a system beside the object store happened, and the log that saw it.
fn collected_elsewhere(act: &Act) -> Option<(Timestamp, String)> {
    let source = act.collected_from()?;
    let event: Value = serde_json::from_str(&act.event).ok()?;
    let text = |name: &str| event.pointer(&format!("/platform/{name}")).and_then(Value::as_str);
    (text("EventProduct")? != "OSS")
        .then(|| (text("EventTime").and_then(|t| Timestamp::parse_iso(t).ok()).unwrap_or(act.at), source))
}

/// A read of an object that a collector saw; those that the source refused opened nothing.
fn collected_read(act: &Act) -> Option<Unmatched> {
    let source = act.collected_from()?;
    let event: Value = serde_json::from_str(&act.event).ok()?;
    let platform = event.get("platform")?;
    let text = |name: &str| platform.get(name).and_then(Value::as_str).unwrap_or_default();
    let opened =
        matches!(&act.end, ActEnd::Ended { result, .. } if result != "refused" && result != "failed");
    if text("EventProduct") != "OSS" || text("EventName") != "GetObject" || !opened {
        return None;
    }
    Some(Unmatched {
        record: act.record,
        at: Timestamp::parse_iso(text("EventTime")).unwrap_or(act.at),
        object: act.resource.clone(),
        who: act.who.clone(),
        source,
    })
}

fn own_read(act: &Act) -> Unmatched {
    Unmatched {
        record: act.record,
        at: act.at,
        object: act.resource.clone(),
        who: act.who.clone(),
        source: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(record: u64, at_ms: i64, who: &str) -> Unmatched {
        let at = Timestamp::from_ms(at_ms);
        Unmatched { record, at, object: "b/k".into(), who: who.into(), source: String::new() }
    }

    #[test]
    fn a_read_that_no_intent_announced_is_found() {
        let day = (Timestamp::from_ms(0), Timestamp::from_ms(86_400_000));
        let seen = [read(1, 1_000, "a"), read(2, 1_000, "b"), read(3, 500_000, "a")];
        let recorded = [read(9, 100_000, "a"), read(10, 4_000_000, "c")];
        let found = compare(&seen, &recorded, day.0, day.1);
        let records = |list: &[Unmatched]| list.iter().map(|u| u.record).collect::<Vec<_>>();
        // By another operator, and too long after.
        assert_eq!(records(&found.never_logged), [2, 3]);
        assert_eq!(records(&found.not_seen), [10]);
        assert_eq!((found.seen, found.recorded), (3, 2));
    }
}
