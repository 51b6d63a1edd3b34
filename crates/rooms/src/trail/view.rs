//! Acts as pairs of intent and outcome, read out of the log itself.
//!
//! INVARIANT: what is shown of a record was opened and fits its entry (I7). A record that does not is shown as damaged,
//! in its place, and with nothing of it: one bad record must not hide the others, and must not be passed over either.

use std::collections::HashMap;

use bailee_proof::record::Entry;
use bailee_store::{StoreError, TenantTx};
use bailee_types::Timestamp;
use serde_json::Value;

use super::{Head, Kind, LogKeys, erase, rows};
use crate::Failure;

/// Whose act it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// The provider's staff or systems.
    Platform,
    /// The tenant's own people.
    Own,
}

/// How an act ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActEnd {
    /// No outcome yet.
    Open,
    /// Refused before it began; there is one record only.
    Refused,
    /// `done`, `refused`, `failed` or `unknown`, with the outcome's record and time.
    Ended {
        /// The word.
        result: String,
        /// The outcome's index.
        record: u64,
        /// When.
        at: Timestamp,
    },
}

/// One act.
#[derive(Clone, Debug)]
pub struct Act {
    /// The index of the intent or refusal.
    pub record: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Whose act.
    pub family: Family,
    /// `GetObject`.
    pub event_name: String,
    /// The name in the tenant's management event, where it has another: `ConsoleSignin`.
    pub wire_name: String,
    /// The resource's ARN.
    pub resource: String,
    /// `ACS::OSS::Object`.
    pub resource_type: String,
    /// The resource's name or id.
    pub resource_name: String,
    /// The service of the tenant's own acts, e.g. `Ram`.
    pub service: String,
    /// The product of the platform's acts, e.g. `OSS`.
    pub product: String,
    /// Whether it changes anything.
    pub write: bool,
    /// The event's id.
    pub event_id: String,
    /// The AccessKey that signed.
    pub access_key: String,
    /// The operator's pseudonym, the user's name, or empty for automatic acts.
    pub who: String,
    /// Inner-ActionTrail's EventType; empty for the tenant's own.
    pub event_type: String,
    /// `NOTICE` or `WARNING`; empty for the tenant's own.
    pub level: String,
    /// ISO 3166-1 alpha-2 of the operator, or the source address of the tenant's own.
    pub place: String,
    /// Why.
    pub reason: String,
    /// The ticket.
    pub ticket: String,
    /// The grant.
    pub grant: String,
    /// How it ended.
    pub end: ActEnd,
    /// Error code of a refusal or failure.
    pub error_code: String,
    /// Error text of a refusal or failure.
    pub error_message: String,
    /// The whole event, as recorded.
    pub event: String,
    /// The whole outcome event, if there is one.
    pub outcome_event: String,
    /// Who erased what the record said, and why; nothing else of it is left.
    pub erased: Option<super::WhyErased>,
    /// Why the record cannot be shown, and no erasure explains it.
    pub damaged: Option<String>,
    /// The event in ActionTrail's or Inner-ActionTrail's shape.
    pub(crate) shape: Value,
    /// What the outcome says came of it.
    pub(crate) detail: Value,
}

/// A page of acts.
#[derive(Clone, Debug)]
pub struct ActPage {
    /// In the order that was asked for.
    pub acts: Vec<Act>,
    /// Where the next page starts; none when the end was reached.
    pub next_before: Option<u64>,
    /// The signed head that covers the page.
    pub head: Head,
    /// Records opened for this page.
    pub opened: u64,
    /// Records passed over by their blocks' summaries.
    pub skipped: u64,
}

/// Records with the outcomes of the intents among them, as they are stored.
pub(super) struct Batch {
    from: u64,
    to: u64,
    records: HashMap<u64, rows::Stored>,
    outcomes: HashMap<u64, Option<rows::Stored>>,
    /// Records of it that are erased, by the record of the erasure.
    erased: HashMap<u64, u64>,
    /// Those records.
    erasures: HashMap<u64, rows::Stored>,
    /// Whether an intent among them waits for its outcome.
    pub(super) has_open: bool,
}

/// Reads records `from..to`.
pub(super) fn batch(tx: &mut TenantTx<'_, '_>, from: u64, to: u64) -> Result<Batch, StoreError> {
    let (records, outcomes) = (HashMap::new(), HashMap::new());
    let (erased, erasures) = (HashMap::new(), HashMap::new());
    let mut read = Batch { from, to, records, outcomes, erased, erasures, has_open: false };
    if to <= from {
        return Ok(read);
    }
    for row in rows::records(tx, from, to - from)?.into_iter().filter(|r| r.0 < to) {
        read.records.insert(row.0, row);
    }
    for (intent, outcome) in rows::outcomes(tx, from, to - 1)? {
        read.has_open |= outcome.is_none();
        let row = match outcome {
            None => None,
            // Most outcomes follow their intents at once.
            Some(index) if read.records.contains_key(&index) => read.records.get(&index).cloned(),
            Some(index) => rows::records(tx, index, 1)?.into_iter().find(|r| r.0 == index),
        };
        read.outcomes.insert(intent, row);
    }
    for (index, erasure) in erase::erased(tx, from, to)? {
        read.erased.insert(index, erasure);
        if !read.erasures.contains_key(&erasure) {
            let row = rows::records(tx, erasure, 1)?.into_iter().find(|r| r.0 == erasure);
            read.erasures.extend(row.map(|row| (erasure, row)));
        }
    }
    Ok(read)
}

impl Batch {
    /// How many of the records are erased.
    pub(super) fn erased(&self) -> usize {
        self.erased.len()
    }

    /// The times of the first and the last record.
    pub(super) fn times(&self) -> Option<(u64, u64)> {
        let time = |index: u64| Entry::decode(&self.records.get(&index)?.1).ok().map(|e| e.time_ms);
        Some((time(self.from)?, time(self.to.checked_sub(1)?)?))
    }

    /// The acts among the records, in their order.
    pub(super) fn acts(&self, log: &LogKeys) -> Vec<Act> {
        (self.from..self.to)
            .filter_map(|index| match self.records.get(&index) {
                None => Some(Act::damaged(index, None, format!("record {index} is missing"))),
                Some(stored) if stored.2.is_empty() => self.read_erased(log, stored),
                Some(stored) => read_act(log, stored, self.outcomes.get(&index).and_then(Option::as_ref)),
            })
            .collect()
    }

    /// What stands for a record whose text is gone; without a record that says so it is damaged.
    fn read_erased(&self, log: &LogKeys, (index, raw, _): &rows::Stored) -> Option<Act> {
        let entry = match Entry::decode(raw) {
            Ok(entry) => entry,
            Err(e) => return Some(Act::damaged(*index, None, format!("record {index} of the trail: {e}"))),
        };
        if !matches!(entry.kind, Kind::Intent | Kind::Refusal | Kind::Management) {
            return None;
        }
        let why = self.erased.get(index).and_then(|erasure| self.erasures.get(erasure));
        let why = why.ok_or_else(|| Failure::Damaged("its text is gone and nothing says why".into()));
        match why.and_then(|stored| erase::why(log, stored)) {
            Ok(why) => Some(Act::erased(*index, &entry, why)),
            Err(e) => Some(Act::damaged(*index, Some(&entry), format!("record {index} of the trail: {e}"))),
        }
    }
}

/// Reads a record as an act; outcomes and the log's own records are none.
fn read_act(log: &LogKeys, stored: &rows::Stored, outcome: Option<&rows::Stored>) -> Option<Act> {
    let (index, raw, sealed) = stored;
    let entry = match Entry::decode(raw) {
        Ok(entry) => entry,
        Err(e) => return Some(Act::damaged(*index, None, format!("record {index} of the trail: {e}"))),
    };
    if !matches!(entry.kind, Kind::Intent | Kind::Refusal | Kind::Management) {
        return None;
    }
    let event = match open_event(log, *index, &entry, sealed) {
        Ok(event) => event,
        Err(e) => return Some(Act::damaged(*index, Some(&entry), e.to_string())),
    };
    let mut act = of_event(*index, &entry, event);
    // Of an act of the tenant's own the outcome may have gone alone.
    if let Some(outcome) = outcome.filter(|o| !o.2.is_empty())
        && let Err(e) = add_outcome(log, &mut act, outcome)
    {
        act.damaged = Some(e.to_string());
    }
    Some(act)
}

fn text(v: &Value, name: &str) -> String {
    v.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn of_event(index: u64, entry: &Entry, event: Opened) -> Act {
    let value = &event.value;
    let mut act = Act {
        event_name: text(value, "eventName"),
        resource: text(value, "resource"),
        reason: text(value, "reason"),
        ticket: text(value, "ticket"),
        grant: text(value, "grant"),
        error_code: text(value, "errorCode"),
        error_message: text(value, "errorMessage"),
        end: if entry.kind == Kind::Refusal { ActEnd::Refused } else { ActEnd::Open },
        ..Act::empty(index, Timestamp::from_ms(entry.time_ms as i64))
    };
    match value.get("platform").filter(|p| p.is_object()) {
        Some(p) => {
            act.who = text(p, "EmployeeID");
            act.event_type = text(p, "EventType");
            act.place = text(p, "EventLocation");
            act.level = text(p, "EventLevel");
            act.product = text(p, "EventProduct");
            act.event_id = text(p, "EventID");
            act.resource_type = text(p, "ResourceType");
            act.resource_name = text(p, "ResourceID");
            act.write = text(p, "EventMethod").ends_with("Write");
            if act.reason.is_empty() {
                act.reason = text(p, "EventDescription");
            }
            act.shape = p.clone();
        }
        None => {
            let own = value.get("management").cloned().unwrap_or_default();
            let user = own.get("userIdentity").cloned().unwrap_or_default();
            act.family = Family::Own;
            act.wire_name = text(&own, "eventName");
            act.who = text(&user, "userName");
            act.access_key = text(&user, "accessKeyId");
            act.place = text(&own, "sourceIpAddress");
            act.service = text(&own, "serviceName");
            act.event_id = text(&own, "eventId");
            act.resource_type = text(&own, "resourceType");
            act.resource_name = text(&own, "resourceName");
            act.write = text(&own, "eventRW") == "Write";
            act.shape = own;
        }
    }
    act.event = event.text;
    act
}

fn add_outcome(log: &LogKeys, act: &mut Act, outcome: &rows::Stored) -> Result<(), Failure> {
    let (at, raw, sealed) = outcome;
    let entry = Entry::decode(raw).map_err(|e| Failure::Damaged(format!("record {at} of the trail: {e}")))?;
    let opened = open_event(log, *at, &entry, sealed)?;
    if opened.value.get("intent").and_then(Value::as_u64) != Some(act.record) {
        return Err(Failure::Damaged(format!(
            "record {}: the outcome {at} belongs to another intent",
            act.record
        )));
    }
    act.end = ActEnd::Ended {
        result: text(&opened.value, "result"),
        record: *at,
        at: Timestamp::from_ms(entry.time_ms as i64),
    };
    if act.error_code.is_empty() {
        act.error_code = text(&opened.value, "errorCode");
        act.error_message = text(&opened.value, "errorMessage");
    }
    act.detail = opened.value.get("detail").cloned().unwrap_or_default();
    act.outcome_event = opened.text;
    Ok(())
}

impl Act {
    fn empty(record: u64, at: Timestamp) -> Self {
        let no = String::new;
        Self {
            record,
            at,
            family: Family::Platform,
            event_name: no(),
            wire_name: no(),
            resource: no(),
            resource_type: no(),
            resource_name: no(),
            service: no(),
            product: no(),
            write: false,
            event_id: no(),
            access_key: no(),
            who: no(),
            event_type: no(),
            level: no(),
            place: no(),
            reason: no(),
            ticket: no(),
            grant: no(),
            end: ActEnd::Open,
            error_code: no(),
            error_message: no(),
            event: no(),
            outcome_event: no(),
            erased: None,
            damaged: None,
            shape: Value::Null,
            detail: Value::Null,
        }
    }

    /// Whether content was opened for it, or asked for: only then does the gate name a grant.
    pub(super) fn reads_content(&self) -> bool {
        self.family == Family::Platform && !self.grant.is_empty()
    }

    /// What is sent to see whether somebody gets it.
    pub(super) fn ping(at: Timestamp) -> Self {
        Self {
            event_name: "Ping".into(),
            event_id: format!("ping-{}", at.ms()),
            reason: "a test of this sink; nothing happened".into(),
            ..Self::empty(0, at)
        }
    }

    /// What stands for a record whose text was erased.
    fn erased(record: u64, entry: &Entry, why: super::WhyErased) -> Self {
        let own = entry.kind == Kind::Management;
        Self {
            family: if own { Family::Own } else { Family::Platform },
            end: if entry.kind == Kind::Refusal { ActEnd::Refused } else { ActEnd::Open },
            erased: Some(why),
            ..Self::empty(record, Timestamp::from_ms(entry.time_ms as i64))
        }
    }

    /// What stands for a record that cannot be shown: its place, and its time and kind where the entry is whole.
    fn damaged(record: u64, entry: Option<&Entry>, why: String) -> Self {
        let at = entry.map_or(Timestamp::from_ms(0), |e| Timestamp::from_ms(e.time_ms as i64));
        let own = entry.is_some_and(|e| e.kind == Kind::Management);
        Self {
            family: if own { Family::Own } else { Family::Platform },
            damaged: Some(why),
            ..Self::empty(record, at)
        }
    }
}

/// A record, opened.
pub(super) struct Opened {
    pub(super) value: Value,
    text: String,
}

/// Opens a record and believes it only if its commitment opens (I7).
pub(super) fn open_event(log: &LogKeys, index: u64, entry: &Entry, sealed: &[u8]) -> Result<Opened, Failure> {
    let damaged = |why: &str| Failure::Damaged(format!("record {index} of the trail {why}"));
    let (nonce, bytes) = log.open(index, sealed)?;
    if bailee_proof::record::commitment(&nonce, &bytes) != entry.commitment || entry.index != index {
        return Err(damaged("does not fit its entry"));
    }
    let text = String::from_utf8(bytes).map_err(|_| damaged("is not text"))?;
    let value: Value = serde_json::from_str(&text).map_err(|_| damaged("is not JSON"))?;
    if value.get("timeMs").and_then(Value::as_u64) != Some(entry.time_ms) {
        return Err(damaged("has another time than its entry"));
    }
    Ok(Opened { value, text })
}
