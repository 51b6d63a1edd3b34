//! What an AccessKey was used for, and how many events there were each day, out of the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_types::{AccessKeyId, RegionId, TenantId, Timestamp};
use serde_json::json;

use super::lookup::{ActFilter, Order};
use super::trails::asked;
use super::{Act, Family};
use crate::gate::{Asked, Intent, Operation};
use crate::{Failure, House, Thing, identity};

/// Records opened for one answer at most.
const OPENED_MAX: u64 = 20_000;
const DAY_MS: i64 = 86_400_000;
/// Days of one answer, and records that they may hold.
const DAYS_MAX: i64 = 92;
const COUNTED_MAX: u64 = 1_000_000;

/// The tenant's events that an AccessKey signed, newest first.
#[derive(Clone, Debug)]
pub struct KeyUses {
    /// The tenant.
    pub tenant: TenantId,
    /// The region.
    pub region: RegionId,
    /// The policy action, of `actiontrail:GetAccessKeyLastUsed…`.
    pub action: &'static str,
    /// The key; a session's is known by its uses only.
    pub key: AccessKeyId,
    /// Only this service.
    pub service: Option<String>,
    /// How many different ones suffice.
    pub kinds_max: usize,
    /// What makes two of them different.
    pub kind: fn(&Act) -> String,
}

impl Operation for KeyUses {
    /// The newest of each kind, newest first.
    type Output = Vec<Act>;

    fn asks(&self) -> Asked {
        let detail = json!({ "accessKey": self.key.as_str(), "serviceName": self.service });
        asked(&self.tenant, &self.region, self.action, ("*", false), detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Act>, Failure> {
        let (tenant, key) = (self.tenant.clone(), self.key.clone());
        let known = house
            .db
            .read(move |tx| identity::has_access_key(tx, &tenant, &key).map_err(Failure::from))
            .await?;
        if !known && !self.key.is_session() {
            return Err(Failure::not_found(Thing::AccessKey, &self.key));
        }
        let filter = ActFilter {
            family: Some(Family::Own),
            access_key: Some(self.key.to_string()),
            service: self.service.clone(),
            ..ActFilter::default()
        };
        let size = house.log_size(&self.tenant).await?;
        let (mut cursor, mut opened) = (None, 0);
        let mut kinds: BTreeMap<String, Act> = BTreeMap::new();
        loop {
            let found = house.lookup(&self.tenant, &filter, Order::Newest, cursor, size, 1_000).await?;
            for act in found.acts.into_iter().filter(|a| a.damaged.is_none()) {
                kinds.entry((self.kind)(&act)).or_insert(act);
            }
            opened += found.opened;
            cursor = found.next;
            if cursor.is_none() || kinds.len() >= self.kinds_max || opened >= OPENED_MAX {
                break;
            }
        }
        let mut out: Vec<Act> = kinds.into_values().collect();
        out.sort_by_key(|a| std::cmp::Reverse(a.record));
        Ok(out)
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The tenant's management events.
    Events,
    /// Acts of the platform at level `WARNING`.
    Alerts,
}

/// Events of each day.
#[derive(Clone, Debug)]
pub struct CountByDay {
    /// The tenant.
    pub tenant: TenantId,
    /// The region.
    pub region: RegionId,
    /// What.
    pub counted: Counted,
    /// The first day's beginning.
    pub from: Timestamp,
    /// The last day's beginning.
    pub until: Timestamp,
}

impl Operation for CountByDay {
    /// Day (`2026-11-25`) and number, each day once.
    type Output = Vec<(String, u64)>;

    fn asks(&self) -> Asked {
        let action = match self.counted {
            Counted::Events => "actiontrail:DescribeUserLogCount",
            Counted::Alerts => "actiontrail:DescribeUserAlertCount",
        };
        let detail = json!({ "startDate": self.from.iso(), "endDate": self.until.iso() });
        asked(&self.tenant, &self.region, action, ("*", false), detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Self::Output, Failure> {
        let last = (self.until.ms() - self.from.ms()).div_euclid(DAY_MS);
        if !(0..DAYS_MAX).contains(&last) {
            return Err(Failure::invalid("StartDate", format!("and EndDate must span 1 to {DAYS_MAX} days")));
        }
        let day = |at: Timestamp| at.iso().get(..10).unwrap_or_default().to_owned();
        let mut counts: BTreeMap<String, u64> =
            (0..=last).map(|n| (day(self.from.plus_ms(n * DAY_MS)), 0)).collect();
        let end = self.until.plus_ms(DAY_MS);
        let filter = ActFilter {
            from: Some(self.from),
            until: Some(end),
            family: Some(if self.counted == Counted::Events { Family::Own } else { Family::Platform }),
            level: (self.counted == Counted::Alerts).then(|| "WARNING".to_owned()),
            ..ActFilter::default()
        };
        let size = house.log_size(&self.tenant).await?;
        let (mut cursor, mut opened) = (None, 0);
        loop {
            let found = house.lookup(&self.tenant, &filter, Order::Oldest, cursor, size, 1_000).await?;
            for act in &found.acts {
                if let Some(n) = counts.get_mut(&day(act.at)) {
                    *n += 1;
                }
            }
            opened += found.opened;
            cursor = found.next;
            if cursor.is_none() {
                return Ok(counts.into_iter().collect());
            }
            if opened >= COUNTED_MAX {
                return Err(Failure::invalid(
                    "StartDate",
                    format!("and EndDate must span fewer than {COUNTED_MAX} records"),
                ));
            }
        }
    }
}
