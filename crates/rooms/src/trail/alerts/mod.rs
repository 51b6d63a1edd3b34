//! Alerts: what a tenant should look at without having to look. Each is raised once for a record, within seconds, and stands
//! until somebody of the tenant acknowledges it. What it is about is read from the record, so an alert holds no text of its own.
//!
//! INVARIANT: the alerts of a batch of records and the cursor over them are one transaction: none is missed, none comes twice.

mod acts;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use bailee_store::{StoreError, TenantTx};
use bailee_types::{TenantId, Timestamp};
use tokio::sync::watch;

pub use acts::{AcknowledgeAlerts, AlertPage, AlertSettings, ListAlerts, SetAlerts};

use super::{Act, ActFilter, Family, TailItem};
use crate::{Failure, House, notices};

/// How often logs are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Records of one log looked at in one go.
const BATCH: u64 = 1_000;
/// Older records raise nothing.
const HISTORY_MS: i64 = 86_400_000;
/// A log whose newest record is not signed, or not in the head log, for so long is behind.
const BEHIND_MS: i64 = 300_000;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertKind {
    /// An operator opened content.
    Content,
    /// A log of the provider's shows an act of an operator that nothing let in.
    Uncovered,
    /// Another act of the platform at level `WARNING`.
    Warning,
    /// Nobody knows how an act of the platform ended.
    Unknown,
    /// An operator was refused.
    Refused,
    /// The log is not signed, or not in the head log, for five minutes.
    Behind,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its number, from 1.
    pub number: u64,
    /// What it is about.
    pub kind: AlertKind,
    /// The record; of a log that is behind, its size.
    pub record: u64,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When and by whom it was acknowledged.
    pub acknowledged: Option<(Timestamp, String)>,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Content, Self::Uncovered, Self::Warning, Self::Unknown, Self::Refused, Self::Behind];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Uncovered => "uncovered",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Behind => "behind",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.word() == word)
    }

    /// What an act of the platform is, as it begins.
    fn of(act: &Act) -> Option<Self> {
        if act.family != Family::Platform || act.erased.is_some() {
            return None;
        }
        // A record that does not open may be any act.
        if act.damaged.is_some() {
            return Some(Self::Warning);
        }
        if act.uncovered().is_some() {
            return Some(Self::Uncovered);
        }
        match (act.result(), act.level.as_str()) {
            ("refused", _) if !act.who.is_empty() => Some(Self::Refused),
            _ if act.reads_content() => Some(Self::Content),
            (_, "WARNING") => Some(Self::Warning),
            _ => None,
        }
    }
}

/// The worker, until `stop`.
pub(crate) async fn raise(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.raise_alerts().await {
            tracing::warn!("logs could not be looked through for alerts: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

/// Tells who wants to hear of alerts, when some were raised.
fn tell(tx: &mut TenantTx<'_, '_>, raised: u64, now: Timestamp) -> Result<u64, StoreError> {
    if raised > 0 {
        notices::emit(tx, notices::Kind::Alert, notices::ALERTS, now)?;
    }
    Ok(raised)
}

impl House {
    /// One round over all logs that grew; answers how many alerts were raised.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn raise_alerts(self: &Arc<Self>) -> Result<u64, Failure> {
        let grown = self.db.read(|tx| rows::grown(tx).map_err(Failure::from)).await?;
        let mut raised = 0;
        for (tenant, next) in grown {
            match self.raise_of(&tenant, next).await {
                Ok(n) => raised += n,
                // One log's trouble is not another's.
                Err(e) => {
                    tracing::warn!(tenant.id = %tenant, "a log could not be looked through for alerts: {e}")
                }
            }
        }
        let (now, before) = (self.now(), self.now().plus_ms(-BEHIND_MS));
        raised += self
            .db
            .write(move |tx| {
                let mut raised = 0;
                for (tenant, size) in rows::behind(tx, before)? {
                    let mut tx = tx.tenant(&tenant);
                    if !rows::muted(&mut tx)?.contains(&AlertKind::Behind) {
                        let new = rows::raise(&mut tx, AlertKind::Behind, size, now)?;
                        raised += tell(&mut tx, new, now)?;
                    }
                }
                Ok::<_, Failure>(raised)
            })
            .await?;
        Ok(raised)
    }

    async fn raise_of(self: &Arc<Self>, tenant: &TenantId, mut next: u64) -> Result<u64, Failure> {
        let mut raised = 0;
        loop {
            let page = self.tail(tenant, &ActFilter::default(), Some(next), BATCH).await?;
            let mut found = Vec::new();
            // What is older than a day when it is first looked at is history: a house that learns to raise alerts does not
            // raise them for years.
            let since = self.now().plus_ms(-HISTORY_MS);
            for item in page.items.iter().filter(|item| item.at() >= since) {
                match item {
                    TailItem::Began(act) => found.extend(AlertKind::of(act).map(|kind| (kind, act.record))),
                    // Whose act it was stands in the intent; the tenant's own are in its hands.
                    TailItem::Ended { intent, result, .. } if result == "unknown" => {
                        let act = self.act(tenant, *intent).await?;
                        if act.family == Family::Platform && act.erased.is_none() {
                            found.push((AlertKind::Unknown, *intent));
                        }
                    }
                    TailItem::Ended { .. } => {}
                }
            }
            let (id, from, to, now) = (tenant.clone(), next, page.next, self.now());
            raised += self
                .db
                .write(move |tx| {
                    let mut tx = tx.tenant(&id);
                    if !rows::advance(&mut tx, from, to)? {
                        // Another process was here.
                        return Ok(0);
                    }
                    let muted = rows::muted(&mut tx)?;
                    let mut raised = 0;
                    for (kind, record) in found.into_iter().filter(|(kind, _)| !muted.contains(kind)) {
                        raised += rows::raise(&mut tx, kind, record, now)?;
                    }
                    tell(&mut tx, raised, now).map_err(Failure::from)
                })
                .await?;
            if page.next <= next || page.next >= page.records {
                return Ok(raised);
            }
            next = page.next;
        }
    }
}
