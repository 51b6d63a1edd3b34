//! The weekly digest: that a finished week of a tenant had something in it, once for each week.
//!
//! INVARIANT: that a week was looked at stands in the transaction of its notices, so two servers, or one that dies, tell it once.

use std::sync::Arc;
use std::time::Duration;

use bailee_store::TenantTx;
use bailee_types::Timestamp;
use tokio::sync::watch;

use super::{Kind, emit, rows};
use crate::consent::Span;
use crate::{Failure, House, consent};

const DAY_MS: i64 = 86_400_000;
const WEEK_MS: i64 = 7 * DAY_MS;
/// Weeks that are told at most after a house stood still.
const BACK: i64 = 4;
const LOOK: Duration = Duration::from_secs(60);
/// Tenants of one transaction's list.
const BATCH: i64 = 100;

/// A week from Monday to Sunday, UTC, by its first instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Week(Timestamp);

impl Week {
    fn of(at: Timestamp) -> Self {
        // 1970 began on a Thursday.
        let monday = (at.ms() + 3 * DAY_MS).div_euclid(WEEK_MS) * WEEK_MS - 3 * DAY_MS;
        Self(Timestamp::from_ms(monday))
    }

    fn first_of(year: &str) -> Option<Self> {
        // The fourth of January is in the first week, whatever day it is.
        Timestamp::parse_iso(&format!("{year}-01-04T00:00:00Z")).ok().map(Self::of)
    }

    /// As ISO 8601 names it, `2026-W48`. Its Thursday says the year.
    pub(super) fn name(self) -> String {
        let thursday = self.0.plus_ms(3 * DAY_MS).iso();
        let year = thursday.get(..4).unwrap_or_default();
        let weeks = Self::first_of(year).map_or(0, |first| (self.0.ms() - first.0.ms()) / WEEK_MS);
        format!("{year}-W{:02}", weeks + 1)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        let (year, week) = name.split_once("-W")?;
        let weeks = week.parse::<i64>().ok().filter(|n| (1..=53).contains(n))? - 1;
        Some(Self(Self::first_of(year)?.0.plus_ms(weeks * WEEK_MS)))
    }

    pub(super) fn span(self) -> Span {
        Span { from: self.0, until: self.0.plus_ms(WEEK_MS) }
    }
}

/// The worker, until `stop`.
pub(crate) async fn sum_up(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(e) = house.tell_digests().await {
            tracing::warn!("weekly digests could not be made: {e}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

impl House {
    /// Makes the notices of weeks that have ended, for tenants who want them; answers of how many weeks there was something to tell.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn tell_digests(&self) -> Result<u64, Failure> {
        let (now, mut told, mut after) = (self.now(), 0, String::new());
        let last = Week(Week::of(now).0.plus_ms(-WEEK_MS));
        loop {
            let behind = after.clone();
            let due = self
                .db
                .read(move |tx| rows::without_digest(tx, last.0, &behind, BATCH).map_err(Failure::from))
                .await?;
            let Some(end) = due.last() else { return Ok(told) };
            after = end.to_string();
            for tenant in due {
                let id = tenant.clone();
                match self.db.write(move |tx| sum_up_weeks(&mut tx.tenant(&tenant), last, now)).await {
                    Ok(weeks) => told += weeks,
                    // One tenant's trouble is not another's.
                    Err(e) => tracing::warn!(tenant.id = %id, "a weekly digest could not be made: {e}"),
                }
            }
        }
    }
}

/// Looks at a tenant's weeks up to `last` at which nobody looked; answers of how many there is something to tell.
fn sum_up_weeks(tx: &mut TenantTx<'_, '_>, last: Week, now: Timestamp) -> Result<u64, Failure> {
    // Who begins to listen hears of the last week.
    let mut week = rows::newest_digest(tx)?
        .map_or(last.0, |newest| newest.plus_ms(WEEK_MS).max(last.0.plus_ms((1 - BACK) * WEEK_MS)));
    let mut told = 0;
    while week <= last.0 {
        let tells = consent::happened(tx, Week(week).span())?;
        if rows::note_digest(tx, week, tells)? && tells {
            emit(tx, Kind::Digest, &Week(week).name(), now)?;
            told += 1;
        }
        week = week.plus_ms(WEEK_MS);
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_are_named_as_iso_8601_names_them_and_found_again() {
        for (day, name) in [
            ("2026-11-25", "2026-W48"),
            ("2026-11-29", "2026-W48"),
            ("2026-11-30", "2026-W49"),
            ("2027-01-01", "2026-W53"),
            ("2027-01-04", "2027-W01"),
            ("2024-12-30", "2025-W01"),
            ("2023-01-01", "2022-W52"),
            ("1970-01-01", "1970-W01"),
        ] {
            let week = Week::of(Timestamp::parse_iso(&format!("{day}T23:59:59Z")).unwrap());
            assert_eq!((week.name().as_str(), Week::parse(name)), (name, Some(week)), "{day}");
        }
        assert_eq!(
            Week::parse("2026-W48").unwrap().span().named(),
            ("2026-11-23".into(), "2026-11-29".into())
        );
        for wrong in ["", "2026-W00", "2026-W54", "x-W01", "2026-48"] {
            assert_eq!(Week::parse(wrong), None, "{wrong}");
        }
    }
}
