//! Totals over all tenants for the public portal, where the provider switches them on: one signed note a day, over the days up to the
//! last full one.
//!
//! INVARIANT: a figure with fewer than [`TENANTS_MIN`] tenants behind it is not told, and counts are told in steps, so that neither one
//! note nor the difference of two tells of one tenant.
//! INVARIANT: a day has one note, whoever makes it.

use std::sync::Arc;
use std::time::Duration;

pub use bailee_proof::totals::Totals;
use bailee_types::{TenantId, Timestamp};
use tokio::sync::watch;

use super::figures::{DAY_MS, Decisions, REQUESTS_MAX, Span};
use super::{State, rows};
use crate::{Failure, House, gate};

/// Days of one note.
pub const TOTALS_DAYS: i64 = 90;
/// Tenants behind a figure that is told.
pub const TENANTS_MIN: u32 = 5;
/// Counts are rounded down to a multiple of this.
const STEP: u32 = 5;
/// Reads of one tenant that are counted at most.
const READS_MAX: u32 = 100_000;
/// So long after midnight, clocks of other servers are past it, too.
const GRACE_MS: i64 = 300_000;
const LOOK: Duration = Duration::from_secs(60);

/// Totals that were signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What they say.
    pub totals: Totals,
    /// The signed note.
    pub note: String,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// A count, and how many tenants are behind it.
#[derive(Default)]
struct Sum {
    count: u64,
    tenants: u32,
}

impl Sum {
    fn add(&mut self, count: u64) {
        self.count += count;
        self.tenants += u32::from(count > 0);
    }

    fn enough(&self) -> Option<u64> {
        (self.tenants >= TENANTS_MIN).then_some(self.count)
    }

    fn told(&self) -> Option<u64> {
        self.enough().map(|n| n - n % u64::from(STEP))
    }
}

/// The worker, until `stop`.
pub(crate) async fn publish(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    if !house.public_totals {
        return;
    }
    loop {
        if let Err(e) = house.publish_totals().await {
            tracing::warn!("totals could not be published: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl House {
    /// Signs the totals up to the last full day, if nobody has yet; answers whether it did.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn publish_totals(&self) -> Result<bool, Failure> {
        let now = self.now();
        let until = Timestamp::from_ms(now.plus_ms(-GRACE_MS).ms().div_euclid(DAY_MS) * DAY_MS);
        let span = Span { from: until.plus_ms(-TOTALS_DAYS * DAY_MS), until };
        let (from, to) = span.named();
        let day = to.clone();
        if self
            .db
            .read(move |tx| rows::figures::totals(tx, Some(&day)).map_err(Failure::from))
            .await?
            .is_some()
        {
            return Ok(false);
        }
        let [mut requests, mut approvals, mut refusals, mut decided, mut reads]: [Sum; 5] =
            Default::default();
        let mut taken_ms = Vec::new();
        for tenant in self.tenants().await? {
            let (found, read) = self
                .db
                .read(move |tx| {
                    let tx = &mut tx.tenant(&tenant.id);
                    let read = gate::count_reads(tx, (span.from, span.until), READS_MAX)?;
                    Ok::<_, Failure>((rows::figures::asked(tx, span, REQUESTS_MAX)?, read))
                })
                .await?;
            let by_then = |state: bool, at: Option<Timestamp>| state && at.is_some_and(|at| at < until);
            let (mut yes, mut no, before) = (0, 0, taken_ms.len());
            for r in &found {
                let (state, at) = (r.state(now), r.decided.as_ref().map(|d| d.1));
                let (given, denied) =
                    (by_then(r.granted(state).is_some(), at), by_then(state == State::Denied, at));
                yes += u64::from(given);
                no += u64::from(denied);
                taken_ms.extend(r.taken_ms(state).filter(|_| given || denied));
            }
            requests.add(found.len() as u64);
            approvals.add(yes);
            refusals.add(no);
            decided.add((taken_ms.len() - before) as u64);
            reads.add(read);
        }
        let median = Decisions::of(taken_ms).filter(|_| decided.enough().is_some());
        let totals = Totals {
            log: self.log_keys(&TenantId::provider()).await?.origin.clone(),
            from,
            to: to.clone(),
            tenants_min: TENANTS_MIN,
            step: STEP,
            requests: requests.told(),
            approvals: approvals.told(),
            refusals: refusals.told(),
            median_minutes: median.and_then(|d| u64::try_from(d.median_ms / 60_000).ok()),
            content_reads: reads.told(),
        };
        self.sign_totals(totals, move |tx, note| rows::figures::keep_totals(tx, &to, note, now)).await
    }

    /// The totals of a day, or the newest, as they were signed; none where the provider does not publish any.
    ///
    /// # Errors
    /// When the database cannot be read, or what was kept was changed.
    pub async fn totals(&self, day: Option<&str>) -> Result<Option<Published>, Failure> {
        if !self.public_totals {
            return Ok(None);
        }
        let day = day.map(str::to_owned);
        let found =
            self.db.read(move |tx| rows::figures::totals(tx, day.as_deref()).map_err(Failure::from)).await?;
        found
            .map(|(note, signed_at)| {
                let totals = Totals::read_unverified(note.as_bytes())
                    .map_err(|e| Failure::Damaged(format!("published totals: {e}")))?;
                Ok(Published { totals, note, signed_at })
            })
            .transpose()
    }

    /// Whether the portal shows totals.
    pub fn publishes_totals(&self) -> bool {
        self.public_totals
    }
}
