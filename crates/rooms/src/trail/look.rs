//! A tenant's own people look at their trail: authorized like any act, and a data event, so that looking does not
//! fill what is looked at.

use std::sync::Arc;

use bailee_types::{Arn, TenantId};
use serde_json::{Map, Value, json};

use super::{Act, ActFilter, ActPage};
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
