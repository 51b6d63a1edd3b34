//! A tenant's own people look at requests and grants: authorized like any act, and a data event.

use std::sync::Arc;

use bailee_types::{Arn, GrantId, Pseudonym, TenantId};
use serde_json::json;

use super::request::parameters;
use super::{Request, State, rows};
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

/// Requests to the tenant, page by page, the newest first.
#[derive(Clone, Debug)]
pub struct FindConsents {
    /// The tenant.
    pub tenant: TenantId,
    /// Only where they stand so; none: all.
    pub states: Option<Vec<State>>,
    /// Only his.
    pub operator: Option<Pseudonym>,
    /// Only those behind this one.
    pub after: Option<GrantId>,
    /// At most so many.
    pub requests_max: u32,
}

/// A page of requests.
#[derive(Clone, Debug)]
pub struct ConsentPage {
    /// The requests.
    pub requests: Vec<Request>,
    /// Behind which the next page begins; a page may have fewer than fit and still go on.
    pub next: Option<GrantId>,
}

/// Rows that one page looks at: where a request stands is computed, not stored.
const LOOKED_AT_MAX: u32 = 1_000;

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

impl Operation for FindConsents {
    type Output = ConsentPage;

    fn asks(&self) -> Asked {
        asked(&self.tenant, "bailee:ListConsents", "consent/*".to_owned())
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<ConsentPage, Failure> {
        let now = house.now();
        house
            .db
            .read(move |tx| {
                let tx = &mut tx.tenant(&self.tenant);
                let all = rows::find(tx, self.operator.as_ref(), self.after.as_ref(), LOOKED_AT_MAX)?;
                let (mut next, mut requests) = (None, Vec::new());
                if all.len() == LOOKED_AT_MAX as usize {
                    next = all.last().map(|r| r.id.clone());
                }
                let policy = rows::policy(tx)?.policy;
                let wanted = |r: &Request| self.states.as_ref().is_none_or(|s| s.contains(&r.state(now)));
                for mut request in all.into_iter().filter(wanted) {
                    if requests.len() == self.requests_max as usize {
                        next = requests.last().map(|r: &Request| r.id.clone());
                        break;
                    }
                    if request.state(now) == State::Pending {
                        request.count(tx, &policy, now)?;
                    }
                    requests.push(request);
                }
                Ok(ConsentPage { requests, next })
            })
            .await
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

pub(super) fn asked(tenant: &TenantId, action: &'static str, relative: String) -> Asked {
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
