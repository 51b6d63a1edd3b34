//! A tenant's own people look at their trail: authorized like any act, and a data event, so that looking does not
//! fill what is looked at.

use std::sync::Arc;

use bailee_types::{Arn, RegionId, TenantId, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;

use super::lookup::Order;
use super::{Act, ActFilter, ActPage, Family, TailPage};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// Acts on the tenant's resources, newest first; see [`House::acts`].
#[derive(Clone, Debug)]
pub struct ListActs {
    /// Whose trail.
    pub tenant: TenantId,
    /// Which acts.
    pub filter: ActFilter,
    /// Only acts before this record.
    pub before: Option<u64>,
    /// At most so many.
    pub acts_max: usize,
}

/// One act by the index of its intent or refusal.
#[derive(Clone, Debug)]
pub struct GetAct {
    /// Whose trail.
    pub tenant: TenantId,
    /// The record.
    pub record: u64,
}

impl Operation for ListActs {
    type Output = ActPage;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListActs", None)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<ActPage, Failure> {
        house.acts(&self.tenant, &self.filter, self.before, self.acts_max).await
    }
}

impl Operation for GetAct {
    type Output = Act;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetAct", Some(self.record))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Act, Failure> {
        house.act(&self.tenant, self.record).await
    }
}

fn asked(tenant: &TenantId, action: &'static str, record: Option<u64>) -> Asked {
    trail_asked(tenant, action, Class::Data, parameters(json!({ "record": record })))
}

/// What an act on a tenant's trail asks for.
pub(super) fn trail_asked(
    tenant: &TenantId,
    action: &'static str,
    class: Class,
    parameters: Map<String, Value>,
) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "trail"),
        resource_type: "ACS::Bailee::Trail",
        class,
        touches: Touches::Nothing,
        ticket: None,
        parameters,
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

/// What came to the log since a record; see [`House::tail`].
#[derive(Clone, Debug)]
pub struct TailActs {
    /// Whose trail.
    pub tenant: TenantId,
    /// Which acts.
    pub filter: ActFilter,
    /// The first record to look at; none means the end of the log.
    pub from: Option<u64>,
    /// Records looked at, at most.
    pub records_max: u64,
}

impl Operation for TailActs {
    type Output = TailPage;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListActs", None)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<TailPage, Failure> {
        house.tail(&self.tenant, &self.filter, self.from, self.records_max).await
    }
}

/// How far back a lookup goes that does not say (contract §6).
const WINDOW_MS: i64 = 7 * 86_400_000;

/// Events over the wire, a page at a time: the tenant's own in ActionTrail's shape, or the platform's in
/// Inner-ActionTrail's. Unlike a look at the console it is an event itself, as it is for ActionTrail.
#[derive(Clone, Debug)]
pub struct LookupEvents {
    /// Whose trail.
    pub tenant: TenantId,
    /// The region.
    pub region: RegionId,
    /// Whose events: the filter's family is set by it.
    pub family: Family,
    /// Which events.
    pub filter: ActFilter,
    /// Which end comes first.
    pub order: Order,
    /// The token of the page before.
    pub token: Option<String>,
    /// At most so many.
    pub events_max: usize,
}

/// A page of events.
#[derive(Clone, Debug)]
pub struct Looked {
    /// In the order that was asked for.
    pub events: Vec<Map<String, Value>>,
    /// For the next page; none when there is none.
    pub token: Option<String>,
    /// The span of time that was looked through: from this moment on.
    pub from: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
}

impl Operation for LookupEvents {
    type Output = Looked;

    fn asks(&self) -> Asked {
        let action = match self.family {
            Family::Own => "actiontrail:LookupEvents",
            Family::Platform => "actiontrail:LookupInnerEvents",
        };
        let window = json!({
            "startTime": self.filter.from.map(Timestamp::iso), "endTime": self.filter.until.map(Timestamp::iso),
        });
        super::trails::asked(&self.tenant, &self.region, action, ("*", false), window)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Looked, Failure> {
        let mut filter = ActFilter { family: Some(self.family), ..self.filter };
        let cursor = match &self.token {
            None => {
                let until = filter.until.unwrap_or_else(|| house.now().plus_ms(1_000));
                filter.until = Some(until);
                filter.from.get_or_insert(until.plus_ms(-WINDOW_MS));
                None
            }
            Some(token) => Some(house.read_token(&self.tenant, &mut filter, self.order, token)?),
        };
        if filter.from > filter.until {
            return Err(Failure::invalid("StartTime", "must not be after EndTime"));
        }
        let size = house.log_size(&self.tenant).await?;
        let found = house.lookup(&self.tenant, &filter, self.order, cursor, size, self.events_max).await?;
        let events = found.acts.iter().filter_map(|a| match self.family {
            Family::Own => a.management_event(),
            Family::Platform => a.platform_event(),
        });
        Ok(Looked {
            events: events.collect(),
            token: found.next.map(|c| house.token(&self.tenant, &filter, self.order, c)),
            from: filter.from.unwrap_or(Timestamp::from_ms(0)),
            until: filter.until.unwrap_or(Timestamp::from_ms(0)),
        })
    }

    fn outcome_detail(page: &Looked) -> Map<String, Value> {
        parameters(json!({ "events": page.events.len() }))
    }
}

/// A token is the record at which the next page starts and the span of time that the first page had, and a MAC over
/// both with the tenant and everything that was asked: it continues one lookup of one tenant and nothing else.
const TOKEN_MAC: usize = 16;

impl House {
    fn token_mac(&self, tenant: &TenantId, filter: &ActFilter, order: Order, cursor: [u8; 8]) -> [u8; 32] {
        let key = self.keys.derived("bailee/lookup-token/v1");
        // The filter's own text form names each of its members with its value.
        let asked = format!("{order:?} {filter:?}");
        key.mac(&[tenant.as_str().as_bytes(), asked.as_bytes(), &cursor])
    }

    fn token(&self, tenant: &TenantId, filter: &ActFilter, order: Order, cursor: u64) -> String {
        let ms = |at: Option<Timestamp>| at.map_or(0, Timestamp::ms).to_be_bytes();
        let cursor = cursor.to_be_bytes();
        let mac = self.token_mac(tenant, filter, order, cursor);
        let mac = mac.get(..TOKEN_MAC).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&cursor[..], &ms(filter.from), &ms(filter.until), mac].concat())
    }

    /// The cursor of a token; the filter gets the first page's span of time.
    fn read_token(
        &self,
        tenant: &TenantId,
        filter: &mut ActFilter,
        order: Order,
        token: &str,
    ) -> Result<u64, Failure> {
        let wrong = || Failure::invalid("NextToken", "does not continue this lookup; begin without it");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
        let (cursor, rest) = bytes.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (from, rest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
        let (until, given) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
        let time = |bytes: &[u8; 8]| Some(Timestamp::from_ms(i64::from_be_bytes(*bytes)));
        for (asked, was) in [(&mut filter.from, time(from)), (&mut filter.until, time(until))] {
            if asked.is_some() && *asked != was {
                return Err(wrong());
            }
            *asked = was;
        }
        let mac = self.token_mac(tenant, filter, order, *cursor);
        if !bool::from(given.ct_eq(mac.get(..TOKEN_MAC).unwrap_or_default())) {
            return Err(wrong());
        }
        Ok(u64::from_be_bytes(*cursor))
    }
}
