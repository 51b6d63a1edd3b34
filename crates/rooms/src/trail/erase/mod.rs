//! Erasing what events say. The entry stays in the tree, so every proof stays valid; nonce and text go, and a record of the
//! log says which, by whom, why, and on what legal basis.
//!
//! INVARIANT: the record of an erasure and the erasing are one transaction.
//! INVARIANT: what tells of an operator is not erased before 180 days, what the log says about itself never
//! (`may_erase`, which verifiers share), and nothing under a legal hold, whoever asks.
//! INVARIANT: an intent goes only with its outcome, and a decision about consent not before 180 days: the reads under it
//! would lose what covers them.

mod hold;
mod retention;
mod rows;

use std::collections::BTreeSet;
use std::sync::Arc;

use bailee_proof::event::{ERASED_MAX, Erasure, KEPT_MS_MIN, TEXT_BYTES_MAX, may_erase};
use bailee_proof::record::{Entry, Kind};
use bailee_store::{StoreError, Tx};
use bailee_types::{TenantId, Timestamp};
use serde_json::{Map, Value, json};

pub use hold::{Hold, HoldScope, LiftHold, ListHolds, PlaceHold};
pub(crate) use retention::keep_retention;
pub use retention::{
    RETENTION_DAYS_MAX, RETENTION_DAYS_MIN, Retention, RetentionPlan, SetRetention, ShowRetention,
};
pub(super) use rows::{erased, is_erased};

use super::look::trail_asked;
use super::{LogKeys, rows as records, view};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation};
use crate::{Failure, House};

/// Acts that one erasure names, at most; each may take its outcome with it.
const ACTS_MAX: usize = ERASED_MAX / 2;

/// Erases what some records of a tenant's log say.
#[derive(Clone, Debug)]
pub struct EraseEvents {
    /// Whose log.
    pub tenant: TenantId,
    /// Which: indices of acts and refusals, 1 to 1,024.
    pub records: Vec<u64>,
    /// Why, in words: 1 to 1,024 bytes.
    pub reason: String,
    /// The law or right it rests on: 1 to 1,024 bytes.
    pub legal_basis: String,
}

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// The record that says so.
    pub record: u64,
    /// The records whose text is gone, with the outcomes that went too.
    pub indices: Vec<u64>,
    /// Outcomes of the tenant's own acts that stay until they are 180 days old.
    pub kept: Vec<u64>,
}

impl Operation for EraseEvents {
    type Output = Erased;

    fn asks(&self) -> Asked {
        let first: Vec<u64> = self.records.iter().copied().take(32).collect();
        let detail =
            json!({ "records": first, "count": self.records.len(), "legalBasis": cut(&self.legal_basis) });
        trail_asked(&self.tenant, "bailee:EraseEvents", Class::Management { write: true }, parameters(detail))
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Erased, Failure> {
        // What is gone does not come back: somebody who found an open session must not do it.
        if intent.caller().is_tenant() {
            intent.caller().need_fresh_mfa(house.now())?;
        }
        let fits = |text: &str| (1..=TEXT_BYTES_MAX).contains(&text.trim().len());
        for (field, text) in [("reason", &self.reason), ("legalBasis", &self.legal_basis)] {
            if !fits(text) {
                return Err(Failure::invalid(field, "must have 1 to 1,024 bytes"));
            }
        }
        let wanted: BTreeSet<u64> = self.records.iter().copied().collect();
        if wanted.is_empty() || wanted.len() > ACTS_MAX {
            return Err(Failure::invalid("records", format!("must name 1 to {ACTS_MAX} records")));
        }
        let said = Said {
            by: intent.caller().name().to_owned(),
            reason: self.reason.trim().to_owned(),
            legal_basis: self.legal_basis.trim().to_owned(),
        };
        let log = house.log_keys(&self.tenant).await?;
        let now = house.now();
        let erased = house
            .db
            .write(move |tx| {
                let mut found = Found::default();
                for index in wanted {
                    found.named(tx, &log, index, now)?;
                }
                found
                    .erase(tx, &log, said, now)?
                    .ok_or_else(|| Failure::invalid("records", "name nothing that is still there"))
            })
            .await?;
        house.trail.changed.notify_one();
        Ok(erased)
    }

    fn outcome_detail(done: &Erased) -> Map<String, Value> {
        parameters(json!({ "erasure": done.record, "events": done.indices.len() }))
    }
}

/// What an erasure says of itself.
struct Said {
    by: String,
    reason: String,
    legal_basis: String,
}

/// Records that may go.
#[derive(Default)]
struct Found {
    indices: BTreeSet<u64>,
    kept: BTreeSet<u64>,
}

/// Why a record stays.
enum Stays {
    Failed(Failure),
    /// Under this hold.
    Held(u64),
    /// It is erased already, and what belongs to it.
    Gone,
    /// Why, in words that follow "record 7 ".
    Because(String),
}

impl From<Failure> for Stays {
    fn from(e: Failure) -> Self {
        Self::Failed(e)
    }
}

impl From<StoreError> for Stays {
    fn from(e: StoreError) -> Self {
        Self::Failed(e.into())
    }
}

impl Found {
    /// Takes a record that somebody named: what stays is an error.
    fn named(&mut self, tx: &mut Tx<'_>, log: &LogKeys, index: u64, now: Timestamp) -> Result<(), Failure> {
        match self.take(tx, log, index, now) {
            Ok(()) => Ok(()),
            Err(Stays::Failed(e)) => Err(e),
            Err(Stays::Held(hold)) => Err(Failure::Conflict(format!(
                "record {index} is under legal hold {hold}; nothing was erased"
            ))),
            Err(Stays::Gone) => {
                Err(Failure::Conflict(format!("record {index} is erased already; nothing was erased")))
            }
            Err(Stays::Because(why)) => {
                Err(Failure::Conflict(format!("record {index} {why}; nothing was erased")))
            }
        }
    }

    fn take(&mut self, tx: &mut Tx<'_>, log: &LogKeys, index: u64, now: Timestamp) -> Result<(), Stays> {
        let because = |why: &str| Stays::Because(why.to_owned());
        let mut narrow = tx.tenant(&log.tenant);
        let stored = records::records(&mut narrow, index, 1)?.into_iter().find(|r| r.0 == index);
        let Some((_, raw, sealed)) = stored else { return Err(because("is not in this log")) };
        let entry = Entry::decode(&raw).map_err(|e| Failure::Damaged(format!("record {index}: {e}")))?;
        if entry.kind == Kind::Outcome {
            return Err(because("is an outcome: name the act that it belongs to"));
        }
        let now_ms = u64::try_from(now.ms()).unwrap_or(0);
        if sealed.is_empty() {
            return self.left_behind(tx, log, &entry, now_ms);
        }
        may_erase(entry.kind, entry.time_ms, now_ms).map_err(|e| Stays::Because(format!("stays: {e}")))?;
        let event = view::open_event(log, index, &entry, &sealed)?;
        let text = |name: &str| event.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let decides = matches!(
            text("eventName"),
            "ApproveConsent"
                | "DenyConsent"
                | "RevokeConsent"
                | "SetStandingRight"
                | "RevokeStandingRight"
                | "SetConsentPolicy"
                | "BindSecondFactor"
                | "RemoveSecondFactor"
                | "AskGlass"
                | "BreakGlass"
                | "EndGlass"
        );
        if decides && now_ms.saturating_sub(entry.time_ms) < KEPT_MS_MIN {
            return Err(because(
                "decides about consent or says how, and stays 180 days: reads under it would lose what covers them",
            ));
        }
        if let Some(hold) = hold::over(&mut narrow, entry.time_ms, text("resource"))? {
            return Err(Stays::Held(hold));
        }
        if !entry.kind.awaits_outcome() {
            self.indices.insert(index);
            return Ok(());
        }
        let outcome = records::outcomes(&mut narrow, index, index)?.into_iter().find_map(|(_, o)| o);
        let outcome = outcome.ok_or_else(|| because("has no outcome yet"))?;
        let row = records::records(&mut narrow, outcome, 1)?.into_iter().find(|r| r.0 == outcome);
        let Some((_, raw, sealed)) = row else {
            return Err(Failure::Damaged(format!("record {outcome} is missing")).into());
        };
        let of_outcome =
            Entry::decode(&raw).map_err(|e| Failure::Damaged(format!("record {outcome}: {e}")))?;
        if let Some(hold) = hold::over(&mut narrow, of_outcome.time_ms, text("resource"))? {
            return Err(Stays::Held(hold));
        }
        match may_erase(of_outcome.kind, of_outcome.time_ms, now_ms) {
            Ok(()) if !sealed.is_empty() => {
                self.indices.insert(outcome);
            }
            Ok(()) => {}
            Err(_) if entry.kind == Kind::Management => {
                self.kept.insert(outcome);
            }
            Err(e) => return Err(Stays::Because(format!("stays: its outcome {outcome}: {e}"))),
        }
        self.indices.insert(index);
        Ok(())
    }

    /// An act of the tenant's own may have gone alone, because its outcome was too young: then that goes now.
    fn left_behind(&mut self, tx: &mut Tx<'_>, log: &LogKeys, act: &Entry, now_ms: u64) -> Result<(), Stays> {
        let mut narrow = tx.tenant(&log.tenant);
        let outcome = records::outcomes(&mut narrow, act.index, act.index)?.into_iter().find_map(|(_, o)| o);
        let Some(outcome) = outcome else { return Err(Stays::Gone) };
        let row = records::records(&mut narrow, outcome, 1)?.into_iter().find(|r| r.0 == outcome);
        let Some((_, raw, _)) = row.filter(|r| !r.2.is_empty()) else { return Err(Stays::Gone) };
        let entry = Entry::decode(&raw).map_err(|e| Failure::Damaged(format!("record {outcome}: {e}")))?;
        may_erase(entry.kind, entry.time_ms, now_ms).map_err(|_| Stays::Gone)?;
        // What it was about is gone with the act: any hold over its time may be meant.
        if let Some(hold) = hold::over_time(&mut narrow, entry.time_ms)? {
            return Err(Stays::Held(hold));
        }
        self.indices.insert(outcome);
        Ok(())
    }

    /// Erases them and writes the record that says so; none when there is nothing to erase.
    fn erase(
        self,
        tx: &mut Tx<'_>,
        log: &LogKeys,
        said: Said,
        now: Timestamp,
    ) -> Result<Option<Erased>, Failure> {
        let indices: Vec<u64> = self.indices.into_iter().collect();
        if indices.is_empty() {
            return Ok(None);
        }
        let Said { by, reason, legal_basis } = said;
        let erasure = Erasure { indices: indices.clone(), reason, by, legal_basis };
        let value: Value =
            serde_json::from_str(&erasure.json()).map_err(|e| Failure::Bug(format!("an erasure: {e}")))?;
        let record = super::append(tx, log, Kind::Erasure, now, |_| {
            parameters(json!({ "eventName": "EraseEvents", "erasure": value }))
        })?;
        let mut narrow = tx.tenant(&log.tenant);
        for index in &indices {
            rows::erase(&mut narrow, *index, record)?;
        }
        // Summaries were made from what is gone; they are made anew without it.
        let blocks: BTreeSet<u64> = indices.iter().map(|index| index / super::lookup::BLOCK).collect();
        for block in blocks {
            rows::forget_summary(&mut narrow, block)?;
        }
        Ok(Some(Erased { record, indices, kept: self.kept.into_iter().collect() }))
    }
}

/// Why a record has no text: who erased it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyErased {
    /// The record of the erasure.
    pub record: u64,
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// On what basis.
    pub legal_basis: String,
}

/// What the record of an erasure says.
pub(super) fn why(log: &LogKeys, (record, raw, sealed): &records::Stored) -> Result<WhyErased, Failure> {
    let entry = Entry::decode(raw).map_err(|e| Failure::Damaged(format!("its erasure: {e}")))?;
    let event = view::open_event(log, *record, &entry, sealed)?;
    let erasure = event.value.get("erasure").cloned().unwrap_or_default();
    let text = |name: &str| erasure.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(WhyErased {
        record: *record,
        at: Timestamp::from_ms(i64::try_from(entry.time_ms).unwrap_or(i64::MAX)),
        by: text("by"),
        reason: text("reason"),
        legal_basis: text("legalBasis"),
    })
}

fn cut(text: &str) -> String {
    text.chars().take(200).collect()
}
