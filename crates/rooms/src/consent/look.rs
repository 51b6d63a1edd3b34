//! A tenant's own people look at requests and grants: authorized like any act, and a data event.

use std::sync::Arc;

use bailee_types::{Arn, GrantId, TenantId};
use serde_json::json;

use super::Request;
use super::request::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House};

/// Requests to the tenant, newest first.
#[derive(Clone, Debug)]
pub struct ListConsents {
    /// The tenant.
    pub tenant: TenantId,
    /// At most so many.
    pub requests_max: u32,
}

/// One request to the tenant.
#[derive(Clone, Debug)]
pub struct GetConsent {
    /// The tenant.
    pub tenant: TenantId,
    /// The request or grant.
    pub id: GrantId,
}

impl Operation for ListConsents {
    type Output = Vec<Request>;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListConsents", "consent/*".to_owned())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Request>, Failure> {
        house.consent_requests(&self.tenant, self.requests_max).await
    }
}

impl Operation for GetConsent {
    type Output = Request;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:GetConsent", format!("consent/{}", self.id))
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Request, Failure> {
        house.consent_request(&self.tenant, &self.id).await
    }
}

fn asked(tenant: &TenantId, action: &'static str, relative: String) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, &relative),
        resource_type: "ACS::Bailee::Consent",
        class: Class::Data,
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(json!({})),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}
