//! Who touched what, when and how often: counted out of the log, act by act.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_types::{Arn, TenantId, Timestamp};

use super::lookup::{ActFilter, Order};
use super::{Act, Head};
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// Records opened for one picture at most; beyond, it says that it is not complete.
const OPENED_MAX: u64 = 40_000;
const DAY_MS: i64 = 86_400_000;
/// Days of one picture.
pub const DAYS_MAX: i64 = 92;

/// Counts acts within a span of time.
#[derive(Clone, Debug)]
pub struct CountActs {
    /// Whose trail.
    pub tenant: TenantId,
    /// Which acts; a span of time is needed.
    pub filter: ActFilter,
}

/// Number of acts, and how many of them were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub acts: u64,
    /// Refused ones.
    pub refused: u64,
}

/// What was counted. Times are UTC.
#[derive(Clone, Debug)]
pub struct Figures {
    /// All acts.
    pub all: Tally,
    /// Each day of the span, `2026-11-25`.
    pub by_day: Vec<(String, Tally)>,
    /// By weekday, Monday first, and hour.
    pub by_hour: [[u64; 24]; 7],
    /// By who acted: his number, or the user's name; empty for automatic acts. Most first.
    pub by_who: Vec<(String, Tally)>,
    /// By resource, the part of its ARN that people read. Most first.
    pub by_resource: Vec<(String, Tally)>,
    /// Whether all acts of the span were counted.
    pub complete: bool,
    /// Records among them that do not open.
    pub damaged: u64,
    /// The head that covers it.
    pub head: Head,
}

impl Operation for CountActs {
    type Output = Figures;

    fn asks(&self) -> Asked {
        Asked {
            tenant: self.tenant.clone(),
            action: "bailee:ListActs",
            resource: Arn::own(&self.tenant, "trail"),
            resource_type: "ACS::Bailee::Trail",
            class: Class::Data,
            touches: Touches::Nothing,
            ticket: None,
            parameters: serde_json::Map::new(),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Figures, Failure> {
        let (Some(from), Some(until)) = (self.filter.from, self.filter.until) else {
            return Err(Failure::invalid("from", "and until are needed"));
        };
        let days = (until.ms() - from.ms()).div_euclid(DAY_MS);
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(Failure::invalid("from", format!("and until must be 1 to {DAYS_MAX} days apart")));
        }
        let head = house.head(&self.tenant).await?;
        let mut counting = Counting::new(from, days);
        let (mut cursor, mut opened) = (None, 0);
        let complete = loop {
            let found =
                house.lookup(&self.tenant, &self.filter, Order::Newest, cursor, head.records, 1_000).await?;
            found.acts.iter().for_each(|a| counting.add(a));
            opened += found.opened;
            cursor = found.next;
            if cursor.is_none() {
                break true;
            }
            if opened >= OPENED_MAX {
                break false;
            }
        };
        Ok(counting.done(complete, head))
    }
}

struct Counting {
    all: Tally,
    by_day: BTreeMap<String, Tally>,
    by_hour: [[u64; 24]; 7],
    by_who: BTreeMap<String, Tally>,
    by_resource: BTreeMap<String, Tally>,
    damaged: u64,
}

impl Tally {
    fn add(&mut self, refused: bool) {
        self.acts += 1;
        self.refused += u64::from(refused);
    }
}

impl Counting {
    fn new(from: Timestamp, days: i64) -> Self {
        let day = |n: i64| (day_of(from.plus_ms(n * DAY_MS)), Tally::default());
        Self {
            all: Tally::default(),
            by_day: (0..days).map(day).collect(),
            by_hour: [[0; 24]; 7],
            by_who: BTreeMap::new(),
            by_resource: BTreeMap::new(),
            damaged: 0,
        }
    }

    fn add(&mut self, act: &Act) {
        if act.damaged.is_some() {
            self.damaged += 1;
            return;
        }
        let refused = act.result() == "refused";
        self.all.add(refused);
        self.by_day.entry(day_of(act.at)).or_default().add(refused);
        let (weekday, hour) = weekday_and_hour(act.at);
        if let Some(n) = self.by_hour.get_mut(weekday).and_then(|day| day.get_mut(hour)) {
            *n += 1;
        }
        if act.erased.is_some() {
            // When it was is all that is left of it.
            return;
        }
        self.by_who.entry(act.who.clone()).or_default().add(refused);
        let resource = act.resource.splitn(5, ':').last().unwrap_or_default().to_owned();
        self.by_resource.entry(resource).or_default().add(refused);
    }

    fn done(self, complete: bool, head: Head) -> Figures {
        let most_first = |map: BTreeMap<String, Tally>| {
            let mut all: Vec<_> = map.into_iter().collect();
            all.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.acts));
            all
        };
        Figures {
            all: self.all,
            by_day: self.by_day.into_iter().collect(),
            by_hour: self.by_hour,
            by_who: most_first(self.by_who),
            by_resource: most_first(self.by_resource),
            complete,
            damaged: self.damaged,
            head,
        }
    }
}

fn day_of(at: Timestamp) -> String {
    at.iso().get(..10).unwrap_or_default().to_owned()
}

/// Monday is 0. The first of January 1970 was a Thursday.
fn weekday_and_hour(at: Timestamp) -> (usize, usize) {
    let weekday = (at.ms().div_euclid(DAY_MS) + 3).rem_euclid(7);
    let hour = at.ms().rem_euclid(DAY_MS) / 3_600_000;
    (usize::try_from(weekday).unwrap_or(0), usize::try_from(hour).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_week_are_right() {
        let at = |text: &str| weekday_and_hour(Timestamp::parse_iso(text).unwrap());
        assert_eq!(at("1970-01-01T00:00:00Z"), (3, 0));
        assert_eq!(at("2026-11-25T23:59:59Z"), (2, 23), "a Wednesday");
        assert_eq!(at("2026-11-30T06:00:00Z"), (0, 6), "a Monday");
    }
}
