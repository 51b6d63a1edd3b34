//! Looking for acts without opening every record.
//!
//! Records are the truth. In the background a sealed summary is derived for each 512 of them ([`block`]), which says
//! what is certainly not there; a lookup passes over such blocks and opens the others, and the records that have no
//! summary yet. A summary that is missing or does not open costs time and hides nothing.
//! INVARIANT: a page continues at a record's index, so records appended meanwhile neither shift nor repeat anything.

mod block;
mod bloom;
mod filter;
mod rows;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_proof::record::Entry;
use bailee_store::TenantTx;
use bailee_types::{TenantId, Timestamp};

pub(crate) use block::summarise;
pub use filter::ActFilter;
pub use tail::{TailItem, TailPage};

use super::view::{self, Act, ActPage};
use super::{LogKeys, rows as trail_rows};
use crate::{Failure, House};
pub(super) use block::BLOCK;
use block::Wanted;

/// Records opened for one page at most; a filter that matches little continues on the next page.
const OPENED_MAX: u64 = 4_000;
/// Blocks looked at for one page at most: two million records.
const BLOCKS_MAX: u64 = 4_096;
/// Summaries read at once.
const AT_ONCE: u64 = 64;

/// Which end comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Newest first; the cursor is the first record that is not shown any more.
    #[default]
    Newest,
    /// Oldest first; the cursor is the first record that is still to be shown.
    Oldest,
}

/// What a lookup found.
pub(crate) struct Found {
    pub(crate) acts: Vec<Act>,
    /// Where the next page starts; none when the end was reached.
    pub(crate) next: Option<u64>,
    pub(crate) opened: u64,
    pub(crate) skipped: u64,
}

impl House {
    /// Acts on a tenant's resources, newest first. Records appended meanwhile never shift a page: the cursor is
    /// a record's index.
    ///
    /// # Errors
    /// When the database cannot be read or the tenant has no log.
    pub async fn acts(
        self: &Arc<Self>,
        tenant: &TenantId,
        filter: &ActFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<ActPage, Failure> {
        let head = self.head(tenant).await?;
        let found = self.lookup(tenant, filter, Order::Newest, before, head.records, limit).await?;
        let Found { acts, next, opened, skipped } = found;
        Ok(ActPage { acts, next_before: next, head, opened, skipped })
    }

    /// One act by the index of its intent or refusal.
    ///
    /// # Errors
    /// `NotFound` when the index is no act.
    pub async fn act(self: &Arc<Self>, tenant: &TenantId, record: u64) -> Result<Act, Failure> {
        let missing = || Failure::not_found(crate::Thing::Log, format!("record {record}"));
        let end = record.checked_add(1).ok_or_else(missing)?;
        if end > self.log_size(tenant).await? {
            return Err(missing());
        }
        let log = self.log_keys(tenant).await?;
        let id = tenant.clone();
        let batch = self
            .db
            .read(move |tx| view::batch(&mut tx.tenant(&id), record, end).map_err(Failure::from))
            .await?;
        batch.acts(&log).pop().ok_or_else(missing)
    }

    /// Records there are in a tenant's log.
    pub(crate) async fn log_size(&self, tenant: &TenantId) -> Result<u64, Failure> {
        let id = tenant.clone();
        let head =
            self.db.read(move |tx| trail_rows::head(&mut tx.tenant(&id)).map_err(Failure::from)).await?;
        Ok(head.size)
    }

    /// Acts among the first `size` records that a filter admits, from a cursor on.
    pub(crate) async fn lookup(
        self: &Arc<Self>,
        tenant: &TenantId,
        filter: &ActFilter,
        order: Order,
        cursor: Option<u64>,
        size: u64,
        limit: usize,
    ) -> Result<Found, Failure> {
        let log = self.log_keys(tenant).await?;
        let (id, from, until) = (tenant.clone(), filter.from, filter.until);
        let (low, high) = self
            .db
            .read(move |tx| bounds(&mut tx.tenant(&id), size, from, until).map_err(Failure::from))
            .await?;
        let mut at = match order {
            Order::Newest => cursor.unwrap_or(high).clamp(low, high),
            Order::Oldest => cursor.unwrap_or(low).clamp(low, high),
        };
        let mut blocks =
            Blocks { tenant, log: &log, wanted: Wanted::of(&log, filter), known: BTreeMap::new() };
        let mut found = Found { acts: Vec::new(), next: None, opened: 0, skipped: 0 };
        let mut looked = 0;
        loop {
            let there = if order == Order::Newest { at > low } else { at < high };
            if !there {
                return Ok(found);
            }
            if found.acts.len() >= limit || found.opened >= OPENED_MAX || looked >= BLOCKS_MAX {
                found.next = Some(at);
                return Ok(found);
            }
            looked += 1;
            let block = if order == Order::Newest { (at - 1) / BLOCK } else { at / BLOCK };
            let (first, end) = ((block * BLOCK).max(low), ((block + 1) * BLOCK).min(high));
            if !blocks.may_hold(self, block, order).await? {
                found.skipped += if order == Order::Newest { at - first } else { end - at };
                at = if order == Order::Newest { first } else { end };
                continue;
            }
            at = self.look_into(&mut found, &log, filter, order, (at, first, end), limit).await?;
        }
    }

    /// Opens records of one block and answers where it stopped.
    async fn look_into(
        self: &Arc<Self>,
        found: &mut Found,
        log: &Arc<LogKeys>,
        filter: &ActFilter,
        order: Order,
        (at, first, end): (u64, u64, u64),
        limit: usize,
    ) -> Result<u64, Failure> {
        // Where anything matches, a short page needs few records: an act has two.
        let some = if filter.is_open() { (limit.saturating_mul(3) as u64).clamp(16, BLOCK) } else { BLOCK };
        let (from, to) = match order {
            Order::Newest => (at.saturating_sub(some).max(first), at),
            Order::Oldest => (at, at.saturating_add(some).min(end)),
        };
        let id = log.tenant.clone();
        let batch =
            self.db.read(move |tx| view::batch(&mut tx.tenant(&id), from, to).map_err(Failure::from)).await?;
        found.opened += to - from;
        let mut acts = batch.acts(log);
        if order == Order::Newest {
            acts.reverse();
        }
        for act in acts.into_iter().filter(|a| filter.admits(a)) {
            let record = act.record;
            found.acts.push(act);
            if found.acts.len() == limit {
                return Ok(if order == Order::Newest { record } else { record + 1 });
            }
        }
        Ok(if order == Order::Newest { from } else { to })
    }
}

/// The blocks of one lookup, and what their summaries said so far.
struct Blocks<'a> {
    tenant: &'a TenantId,
    log: &'a Arc<LogKeys>,
    wanted: Wanted,
    known: BTreeMap<u64, bool>,
}

impl Blocks<'_> {
    async fn may_hold(&mut self, house: &House, block: u64, order: Order) -> Result<bool, Failure> {
        if self.wanted.is_empty() {
            return Ok(true);
        }
        if !self.known.contains_key(&block) {
            let first = match order {
                Order::Newest => (block + 1).saturating_sub(AT_ONCE),
                Order::Oldest => block,
            };
            let id = self.tenant.clone();
            let sealed = house
                .db
                .read(move |tx| rows::summaries(&mut tx.tenant(&id), first, AT_ONCE).map_err(Failure::from))
                .await?;
            self.known = (first..first + AT_ONCE).map(|b| (b, true)).collect();
            for (index, sealed) in sealed {
                if let Some(bloom) = block::open(self.log, index, &sealed) {
                    self.known.insert(index, self.wanted.may_be_in(&bloom));
                }
            }
        }
        Ok(self.known.get(&block).copied().unwrap_or(true))
    }
}

/// The records `from..until` that lie in a span of time, by halving: time never falls along a log. Only entries are
/// looked at; each record that is shown is checked against its own.
fn bounds(
    tx: &mut TenantTx<'_, '_>,
    size: u64,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Result<(u64, u64), bailee_store::StoreError> {
    let mut first_at = |time: Timestamp| {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = trail_rows::entries(tx, middle, 1)?.into_iter().find(|(i, _, _)| *i == middle);
            // A damaged entry tells nothing: then the whole log is looked through.
            let Some(entry) = entry.and_then(|(_, raw, _)| Entry::decode(&raw).ok()) else {
                return Ok(None);
            };
            if (entry.time_ms as i64) < time.ms() { low = middle + 1 } else { high = middle }
        }
        Ok::<_, bailee_store::StoreError>(Some(low))
    };
    let low = from.map(&mut first_at).transpose()?.flatten().unwrap_or(0);
    let high = until.map(&mut first_at).transpose()?.flatten().unwrap_or(size);
    Ok((low, high.max(low)))
}
