//! "Who touched my data": acts as pairs of intent and outcome, newest first, out of the log itself.

use std::collections::HashMap;
use std::sync::Arc;

use bailee_proof::record::Entry;
use bailee_types::{TenantId, Timestamp};
use serde_json::Value;

use super::{Head, Kind, LogKeys, rows};
use crate::{Failure, House};

/// Records read for one page at most; a filter that matches little continues on the next page.
const SCAN_MAX: u64 = 4_000;
const BATCH: u64 = 500;

/// Whose act it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The resource's ARN.
    pub resource: String,
    /// The operator's pseudonym, the user's name, or empty for automatic acts.
    pub who: String,
    /// Inner-ActionTrail's EventType; empty for the tenant's own.
    pub event_type: String,
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
}

/// Which acts to show.
#[derive(Clone, Debug, Default)]
pub struct ActFilter {
    /// Only acts at or after.
    pub from: Option<Timestamp>,
    /// Only acts before.
    pub until: Option<Timestamp>,
    /// Only this family.
    pub family: Option<Family>,
    /// Only this Inner-ActionTrail EventType.
    pub event_type: Option<String>,
    /// Only this result: `open`, `done`, `refused`, `failed`, `unknown`.
    pub result: Option<String>,
    /// Only acts with this text in event name, resource, operator, ticket, grant or reason.
    pub text: Option<String>,
}

/// A page of acts.
#[derive(Clone, Debug)]
pub struct ActPage {
    /// Newest first.
    pub acts: Vec<Act>,
    /// Where the next page starts; none when the log's beginning was reached.
    pub next_before: Option<u64>,
    /// The signed head that covers the page.
    pub head: Head,
}

impl House {
    /// Acts on a tenant's resources, newest first. Records appended meanwhile never shift a page: the cursor is
    /// a record's index.
    ///
    /// # Errors
    /// When a record does not open: nothing is shown as if it were complete.
    pub async fn acts(
        self: &Arc<Self>,
        tenant: &TenantId,
        filter: &ActFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<ActPage, Failure> {
        let log = self.log_keys(tenant).await?;
        let head = self.head(tenant).await?;
        let mut cursor = before.unwrap_or(head.records).min(head.records);
        let mut acts = Vec::new();
        let mut scanned = 0;
        while cursor > 0 && acts.len() < limit && scanned < SCAN_MAX {
            let (id, at) = (tenant.clone(), cursor);
            let (records, outcomes) = self
                .db
                .read(move |tx| {
                    let mut tx = tx.tenant(&id);
                    let records = rows::records_before(&mut tx, at, BATCH)?;
                    let (low, high) = (records.last().map_or(0, |r| r.0), records.first().map_or(0, |r| r.0));
                    let mut ends = HashMap::new();
                    for (intent, outcome) in rows::outcomes(&mut tx, low, high)? {
                        let row = match outcome {
                            Some(index) => rows::records(&mut tx, index, 1)?.into_iter().next(),
                            None => None,
                        };
                        ends.insert(intent, row);
                    }
                    Ok::<_, Failure>((records, ends))
                })
                .await?;
            if records.is_empty() {
                break;
            }
            for stored in records {
                scanned += 1;
                cursor = stored.0;
                if let Some(act) = read_act(&log, &stored, outcomes.get(&stored.0).and_then(Option::as_ref))?
                    && filter.admits(&act)
                {
                    acts.push(act);
                    if acts.len() == limit {
                        break;
                    }
                }
            }
        }
        Ok(ActPage { acts, next_before: (cursor > 0).then_some(cursor), head })
    }

    /// One act by the index of its intent or refusal.
    ///
    /// # Errors
    /// `NotFound` when the index is no act.
    pub async fn act(self: &Arc<Self>, tenant: &TenantId, record: u64) -> Result<Act, Failure> {
        let page = self.acts(tenant, &ActFilter::default(), record.checked_add(1), 1).await?;
        page.acts
            .into_iter()
            .find(|a| a.record == record)
            .ok_or_else(|| Failure::not_found(crate::Thing::Log, format!("record {record}")))
    }
}

impl ActFilter {
    fn admits(&self, act: &Act) -> bool {
        let result = match &act.end {
            ActEnd::Open => "open",
            ActEnd::Refused => "refused",
            ActEnd::Ended { result, .. } => result,
        };
        let text = |t: &String| {
            let t = t.to_lowercase();
            [&act.event_name, &act.resource, &act.who, &act.ticket, &act.grant, &act.reason]
                .iter()
                .any(|field| field.to_lowercase().contains(&t))
        };
        self.from.is_none_or(|from| act.at >= from)
            && self.until.is_none_or(|until| act.at < until)
            && self.family.is_none_or(|f| act.family == f)
            && self.event_type.as_ref().is_none_or(|t| *t == act.event_type)
            && self.result.as_ref().is_none_or(|r| r == result)
            && self.text.as_ref().is_none_or(text)
    }
}

/// Reads a record as an act; outcomes and the log's own records are none.
fn read_act(
    log: &LogKeys,
    stored: &rows::Stored,
    outcome: Option<&rows::Stored>,
) -> Result<Option<Act>, Failure> {
    let (index, entry, sealed) = stored;
    let damaged = |why: String| Failure::Damaged(format!("record {index} of the trail: {why}"));
    let entry = Entry::decode(entry).map_err(|e| damaged(e.to_string()))?;
    if !matches!(entry.kind, Kind::Intent | Kind::Refusal | Kind::Management) {
        return Ok(None);
    }
    let event = open_event(log, *index, &entry, sealed)?;
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let platform = event.value.get("platform").filter(|p| p.is_object());
    let (family, who, event_type, place, described) = match platform {
        Some(p) => (
            Family::Platform,
            text(p, "EmployeeID"),
            text(p, "EventType"),
            text(p, "EventLocation"),
            text(p, "EventDescription"),
        ),
        None => {
            let own = event.value.get("management").cloned().unwrap_or_default();
            let user = own.get("userIdentity").map(|u| text(u, "userName")).unwrap_or_default();
            (Family::Own, user, String::new(), text(&own, "sourceIpAddress"), String::new())
        }
    };
    let mut act = Act {
        record: *index,
        at: Timestamp::from_ms(entry.time_ms as i64),
        family,
        event_name: text(&event.value, "eventName"),
        resource: text(&event.value, "resource"),
        who,
        event_type,
        place,
        reason: Some(text(&event.value, "reason")).filter(|r| !r.is_empty()).unwrap_or(described),
        ticket: text(&event.value, "ticket"),
        grant: text(&event.value, "grant"),
        end: if entry.kind == Kind::Refusal { ActEnd::Refused } else { ActEnd::Open },
        error_code: text(&event.value, "errorCode"),
        error_message: text(&event.value, "errorMessage"),
        event: event.text,
        outcome_event: String::new(),
    };
    if let Some((at, raw, sealed)) = outcome {
        let entry = Entry::decode(raw).map_err(|e| damaged(e.to_string()))?;
        let outcome = open_event(log, *at, &entry, sealed)?;
        if outcome.value.get("intent").and_then(Value::as_u64) != Some(*index) {
            return Err(damaged(format!("the outcome {at} belongs to another intent")));
        }
        act.end = ActEnd::Ended {
            result: text(&outcome.value, "result"),
            record: *at,
            at: Timestamp::from_ms(entry.time_ms as i64),
        };
        if act.error_code.is_empty() {
            act.error_code = text(&outcome.value, "errorCode");
            act.error_message = text(&outcome.value, "errorMessage");
        }
        act.outcome_event = outcome.text;
    }
    Ok(Some(act))
}

struct Opened {
    value: Value,
    text: String,
}

/// Opens a record and believes it only if its commitment opens (I7).
fn open_event(log: &LogKeys, index: u64, entry: &Entry, sealed: &[u8]) -> Result<Opened, Failure> {
    let damaged = |why: &str| Failure::Damaged(format!("record {index} of the trail {why}"));
    let (nonce, bytes) = log.open(index, sealed)?;
    if bailee_proof::record::commitment(&nonce, &bytes) != entry.commitment || entry.index != index {
        return Err(damaged("does not fit its entry"));
    }
    let text = String::from_utf8(bytes).map_err(|_| damaged("is not text"))?;
    let value = serde_json::from_str(&text).map_err(|_| damaged("is not JSON"))?;
    Ok(Opened { value, text })
}
