//! Who an operator's number in a tenant's events is: resolved by compliance, with a reason, and recorded in both logs.
//!
//! The tenant's log says that its number was resolved, by whom (again a number), and under which reference; never whose
//! it is. The provider's log has the same before the answer is given.

use std::sync::Arc;

use bailee_types::{Arn, OperatorId, Pseudonym, TenantId, TicketId};
use serde_json::json;

use super::rows::operator as rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// Resolves an operator's number as one tenant sees it.
#[derive(Clone, Debug)]
pub struct ResolveEmployee {
    /// In whose events it stands.
    pub tenant: TenantId,
    /// The number.
    pub employee: Pseudonym,
    /// The tenant's ticket that asks for it, if it does.
    pub ticket: Option<TicketId>,
    /// What it is resolved for: a case, an order, a complaint. 3 to 100 characters.
    pub reference: String,
}

/// Who it is.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The operator.
    pub operator: OperatorId,
    /// Where he works.
    pub place: String,
    /// Whether he still is one.
    pub active: bool,
}

impl Operation for ResolveEmployee {
    type Output = Resolved;

    fn asks(&self) -> Asked {
        resolve_asked(&self.tenant, "bailee:ResolveEmployee", self)
    }

    async fn act(self, house: &Arc<House>, intent: &Intent) -> Result<Resolved, Failure> {
        let reference = self.reference.trim();
        if !(3..=100).contains(&reference.chars().count()) || reference.chars().any(char::is_control) {
            return Err(Failure::invalid("reference", "must have 3 to 100 characters on one line"));
        }
        if intent.caller().operator().is_none() {
            return Err(Failure::Conflict(
                "only an operator with the role compliance resolves an operator's number: sign in as one"
                    .into(),
            ));
        }
        // Boxed: an act within an act.
        Box::pin(house.perform(intent.caller().clone(), NoteResolve(self.clone()))).await?;
        let all = house.db.read(|tx| rows::all(tx).map_err(Failure::from)).await?;
        all.into_iter()
            .find(|o| house.pseudonym(&self.tenant, &o.id) == self.employee)
            .map(|o| Resolved { operator: o.id, place: o.place, active: o.active })
            .ok_or_else(|| Failure::not_found(Thing::Operator, &self.employee))
    }
}

/// The same in the provider's own log.
struct NoteResolve(ResolveEmployee);

impl Operation for NoteResolve {
    type Output = ();

    fn asks(&self) -> Asked {
        Asked {
            ticket: None,
            touches: Touches::Nothing,
            ..resolve_asked(&TenantId::provider(), "bailee:NoteResolveEmployee", &self.0)
        }
    }

    async fn act(self, _house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        Ok(())
    }
}

fn resolve_asked(log: &TenantId, action: &'static str, what: &ResolveEmployee) -> Asked {
    let reference: String = what.reference.trim().chars().filter(|c| !c.is_control()).take(100).collect();
    Asked {
        tenant: log.clone(),
        action,
        resource: Arn::own(log, &format!("employee/{}", what.employee)),
        resource_type: "ACS::Bailee::Employee",
        class: Class::Management { write: false },
        // With a ticket it must be an open one of the tenant.
        touches: if what.ticket.is_some() { Touches::Metadata } else { Touches::Nothing },
        ticket: what.ticket.clone(),
        parameters: parameters(json!({
            "employee": what.employee.as_str(), "tenant": what.tenant.as_str(), "legalReference": reference,
        })),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}
