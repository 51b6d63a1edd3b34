//! The end of a log as it grows: acts and their outcomes, record by record, each once.

use std::sync::Arc;

use bailee_proof::record::Entry;
use bailee_types::{TenantId, Timestamp};
use serde_json::Value;

use super::{ActFilter, view};
use crate::trail::{Act, Kind, rows};
use crate::{Failure, House};

/// What came.
#[derive(Clone, Debug)]
pub enum TailItem {
    /// An act began, or was refused.
    Began(Box<Act>),
    /// An act ended.
    Ended {
        /// The outcome's record.
        record: u64,
        /// The record of the act.
        intent: u64,
        /// `done`, `refused`, `failed` or `unknown`.
        result: String,
        /// When.
        at: Timestamp,
    },
}

impl TailItem {
    /// When it was recorded.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Began(act) => act.at,
            Self::Ended { at, .. } => *at,
        }
    }

    /// The record that it stands for.
    pub fn record(&self) -> u64 {
        match self {
            Self::Began(act) => act.record,
            Self::Ended { record, .. } => *record,
        }
    }
}

/// What came since a record.
#[derive(Clone, Debug)]
pub struct TailPage {
    /// In the order of the log.
    pub items: Vec<TailItem>,
    /// The first record that is still to come.
    pub next: u64,
    /// Records there are; more than `next` when the page was full.
    pub records: u64,
}

impl House {
    /// What came since record `from`, at most `records_max` records of it; without `from`, nothing, and where the log
    /// ends now. Outcomes are given for all acts: whoever shows some of them knows which.
    pub(crate) async fn tail(
        self: &Arc<Self>,
        tenant: &TenantId,
        filter: &ActFilter,
        from: Option<u64>,
        records_max: u64,
    ) -> Result<TailPage, Failure> {
        let size = self.log_size(tenant).await?;
        let from = from.unwrap_or(size).min(size);
        let to = size.min(from.saturating_add(records_max));
        if from == to {
            return Ok(TailPage { items: Vec::new(), next: to, records: size });
        }
        let log = self.log_keys(tenant).await?;
        let id = tenant.clone();
        let (batch, stored) = self
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&id);
                let batch = view::batch(&mut tx, from, to)?;
                Ok::<_, Failure>((batch, rows::records(&mut tx, from, to - from)?))
            })
            .await?;
        let mut items: Vec<TailItem> = batch
            .acts(&log)
            .into_iter()
            .filter(|a| filter.admits(a))
            .map(|a| TailItem::Began(Box::new(a)))
            .collect();
        for (index, raw, sealed) in stored.iter().filter(|r| r.0 < to) {
            let Some(entry) = Entry::decode(raw).ok().filter(|e| e.kind == Kind::Outcome) else { continue };
            // One that does not open, or is erased, is shown with the act that it belongs to.
            let Ok(opened) = view::open_event(&log, *index, &entry, sealed) else { continue };
            if let Some(intent) = opened.value.get("intent").and_then(Value::as_u64) {
                items.push(TailItem::Ended {
                    record: *index,
                    intent,
                    result: opened.value.get("result").and_then(Value::as_str).unwrap_or_default().to_owned(),
                    at: Timestamp::from_ms(entry.time_ms as i64),
                });
            }
        }
        items.sort_by_key(TailItem::record);
        Ok(TailPage { items, next: to, records: size })
    }
}
