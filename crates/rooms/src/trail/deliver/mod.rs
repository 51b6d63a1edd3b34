//! Delivery: a tenant's events go where it wants them, in the order of the log, at least once, each with an id.
//!
//! An event is delivered when its outcome is known, so a delivery stops in front of an act that still runs (the sweeper ends
//! what was lost). One worker at a time has a target, by a lease in its row; the cursor moves after the delivery, so a
//! crash repeats the last batch and loses nothing.
//! INVARIANT: a cursor moves only over records whose events were delivered or are not of this target.
//! INVARIANT: the delivery writes objects of the tenant that asked for it and opens none (`Caller::delivery`).
//! Deliveries are not recorded one by one: they would be delivered in turn. Where a target stands is in its status.

mod bucket;
mod push;
mod rows;
mod shapes;
mod sinks;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bailee_types::TenantId;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use push::signed_post;
pub use shapes::{CLOUDEVENTS_VERSION, OCSF_VERSION, cloud_event, ocsf};
pub(crate) use sinks::is_webhook;
pub(super) use sinks::reseal;
pub use sinks::{
    CreateSink, DeleteSink, ListSinks, Made, ReplayFrom, ReplaySink, SINKS_MAX, Sink, SinkFormat, SinkKind,
    TestSink,
};

use super::trails::{Trail, TrailFamily};
use super::{Act, ActEnd, Family, view};
use crate::house::Counters;
use crate::{Failure, House};

/// How often targets are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Records looked at for one batch.
const BATCH: u64 = 500;
/// A bucket gets an object when so much time has passed since the last, or a batch is full.
const GATHER_MS: i64 = 10_000;
/// Targets that are delivered to at the same time.
const AT_ONCE: usize = 16;
/// Who has a target keeps it for so long, if he dies.
const LEASE_MS: i64 = 60_000;
/// The longest pause after failures.
const PAUSE_MS_MAX: i64 = 3_600_000;

/// What events go to.
#[derive(Clone, Debug)]
enum Target {
    Trail(Box<Trail>),
    Sink(Box<Sink>),
}

/// A batch: what is delivered, and the record after it.
struct Batch {
    from: u64,
    to: u64,
    acts: Vec<Act>,
}

impl Target {
    fn next_record(&self) -> u64 {
        match self {
            Self::Trail(t) => t.next_record,
            Self::Sink(s) => s.next_record,
        }
    }

    fn counter<'c>(&self, [buckets, webhooks, syslog]: &'c [AtomicU64; 3]) -> &'c AtomicU64 {
        match self {
            Self::Trail(_) => buckets,
            Self::Sink(s) if s.kind == SinkKind::Webhook => webhooks,
            Self::Sink(_) => syslog,
        }
    }

    /// Whether an act is one of those that go there.
    fn wants(&self, act: &Act) -> bool {
        match self {
            Self::Trail(t) => {
                let family = match t.family {
                    TrailFamily::Management => Family::Own,
                    TrailFamily::Inner => Family::Platform,
                };
                let rw = match t.settings.event_rw.as_str() {
                    "Write" => act.write,
                    "Read" => !act.write,
                    _ => true,
                };
                act.family == family && (rw || act.erased.is_some() || act.damaged.is_some())
            }
            Self::Sink(s) => s.family.is_none_or(|f| f == act.family),
        }
    }
}

/// The worker, until `stop`.
pub(crate) async fn deliver(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.deliver_once(false).await {
            tracing::warn!("deliveries could not be looked at: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl House {
    /// One round over all targets that are on; `now` delivers what would wait for more. Answers events delivered.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn deliver_once(self: &Arc<Self>, at_once: bool) -> Result<u64, Failure> {
        let now = self.now();
        let targets = self.db.read(move |tx| rows::due(tx, now).map_err(Failure::from)).await?;
        // Some at a time: a receiver that takes its time must not keep the others waiting.
        let (delivered, waiting) = stream::iter(targets)
            .map(async |(tenant, target)| {
                self.deliver_to(&tenant, &target, at_once).await.unwrap_or_else(|e| {
                    // One target's trouble is not another's.
                    tracing::warn!(tenant.id = %tenant, "a delivery failed: {e}");
                    (0, 0)
                })
            })
            .buffer_unordered(AT_ONCE)
            .fold((0, 0), async |(events, left), done| (events + done.0, left + done.1))
            .await;
        self.counters().delivery_waiting.store(waiting, std::sync::atomic::Ordering::Relaxed);
        Ok(delivered)
    }

    /// Delivers batch after batch to one target; answers events delivered and records that are left.
    async fn deliver_to(
        self: &Arc<Self>,
        tenant: &TenantId,
        target: &Target,
        at_once: bool,
    ) -> Result<(u64, u64), Failure> {
        let size = self.log_size(tenant).await?;
        if size <= target.next_record() || !self.is_time_for(target, size, at_once) {
            return Ok((0, size.saturating_sub(target.next_record())));
        }
        if !self.lease(tenant, target).await? {
            return Ok((0, 0));
        }
        let (mut events, mut next) = (0, target.next_record());
        let ended = loop {
            let batch = match self.batch(tenant, target, next, size).await {
                Ok(batch) => batch,
                Err(e) => break Err(e.to_string()),
            };
            if batch.to == batch.from {
                break Ok(());
            }
            let count = batch.acts.len() as u64;
            if count > 0
                && let Err(why) = self.hand_over(tenant, target, &batch).await
            {
                break Err(why);
            }
            // Somebody may have stopped, replayed or deleted it meanwhile: then the cursor is his.
            if !self.advance(tenant, target, &batch).await? {
                break Ok(());
            }
            next = batch.to;
            events += count;
            Counters::add(target.counter(&self.counters().delivered_events), count);
            if next >= size {
                break Ok(());
            }
        };
        self.release(tenant, target, ended.err()).await?;
        Ok((events, size.saturating_sub(next)))
    }

    fn is_time_for(&self, target: &Target, size: u64, at_once: bool) -> bool {
        match target {
            Target::Sink(_) => true,
            Target::Trail(t) => {
                let last = t.delivered_at.max(t.started_at);
                at_once
                    || size - t.next_record >= BATCH
                    || last.is_none_or(|at| at.plus_ms(GATHER_MS) <= self.now())
            }
        }
    }

    /// Records from `from` whose events are complete, at most [`BATCH`].
    async fn batch(
        self: &Arc<Self>,
        tenant: &TenantId,
        target: &Target,
        from: u64,
        size: u64,
    ) -> Result<Batch, Failure> {
        let (log, id) = (self.log_keys(tenant).await?, tenant.clone());
        let end = size.min(from.saturating_add(BATCH));
        let read = self
            .db
            .read(move |tx| view::batch(&mut tx.tenant(&id), from, end).map_err(Failure::from))
            .await?;
        let mut batch = Batch { from, to: end, acts: Vec::new() };
        for act in read.acts(&log) {
            let runs = act.end == ActEnd::Open && act.erased.is_none() && act.damaged.is_none();
            if runs {
                batch.to = act.record;
                break;
            }
            if target.wants(&act) {
                batch.acts.push(act);
            }
        }
        Ok(batch)
    }

    async fn hand_over(
        self: &Arc<Self>,
        tenant: &TenantId,
        target: &Target,
        batch: &Batch,
    ) -> Result<(), String> {
        match target {
            Target::Trail(trail) => bucket::write(self, tenant, trail, batch).await,
            Target::Sink(sink) => {
                let log = self.log_keys(tenant).await.map_err(|e| e.to_string())?;
                let events: Vec<Value> = batch
                    .acts
                    .iter()
                    .map(|act| shapes::event(sink.format, &log.origin, tenant, act))
                    .collect();
                let id = format!("{}/{}-{}", sink.name, batch.from, batch.to.saturating_sub(1));
                push::send(self, tenant, sink, &id, batch.acts.as_slice(), events).await
            }
        }
    }

    async fn lease(&self, tenant: &TenantId, target: &Target) -> Result<bool, Failure> {
        let (tenant, target, by, now) = (tenant.clone(), target.clone(), self.instance.clone(), self.now());
        self.db
            .write(move |tx| rows::lease(&mut tx.tenant(&tenant), &target, &by, now).map_err(Failure::from))
            .await
    }

    async fn advance(&self, tenant: &TenantId, target: &Target, batch: &Batch) -> Result<bool, Failure> {
        let (tenant, target, by, now) = (tenant.clone(), target.clone(), self.instance.clone(), self.now());
        let (from, to, any) = (batch.from, batch.to, !batch.acts.is_empty());
        self.db
            .write(move |tx| {
                rows::advance(&mut tx.tenant(&tenant), &target, &by, (from, to), any.then_some(now), now)
                    .map_err(Failure::from)
            })
            .await
    }

    async fn release(
        &self,
        tenant: &TenantId,
        target: &Target,
        failed: Option<String>,
    ) -> Result<(), Failure> {
        if let Some(why) = &failed {
            Counters::add(target.counter(&self.counters().delivery_failures), 1);
            tracing::info!(tenant.id = %tenant, "a delivery failed and is tried again: {why}");
        }
        let (tenant, target, by, now) = (tenant.clone(), target.clone(), self.instance.clone(), self.now());
        self.db
            .write(move |tx| {
                rows::release(&mut tx.tenant(&tenant), &target, &by, failed.as_deref(), now)
                    .map_err(Failure::from)
            })
            .await
    }
}

/// When to try again after so many failures in a row: twice as long each time, with a part by chance so that many targets
/// of one receiver do not come at once.
pub(crate) fn pause_ms(failures: u64) -> i64 {
    let whole = 1_000_i64.checked_shl(u32::try_from(failures.min(12)).unwrap_or(12)).unwrap_or(PAUSE_MS_MAX);
    let whole = whole.min(PAUSE_MS_MAX);
    let [byte] = bailee_types::random_bytes::<1>();
    whole / 2 + whole / 2 * i64::from(byte) / 255
}

/// The beginning of a text for a row: what somebody else's server says is not kept whole.
pub(crate) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_differ() {
        for n in 0..40 {
            let pause = pause_ms(n);
            let whole = (1_000 << n.min(12)).min(PAUSE_MS_MAX);
            assert!((whole / 2..=whole).contains(&pause), "{n}: {pause}");
        }
        assert!((0..64).map(|_| pause_ms(5)).collect::<std::collections::BTreeSet<_>>().len() > 1);
    }
}
