//! Operators: provider staff. They have no AccessKey into a tenant, ever.

use std::sync::Arc;

use bailee_types::{Arn, OperatorId, SecretText, TenantId, Timestamp};
use serde_json::json;

use super::{random_password, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// `op-…`.
    pub id: OperatorId,
    /// `support`, `stability` or `compliance`.
    pub role: String,
    /// ISO 3166-1 alpha-2.
    pub place: String,
    /// Whether he may sign in.
    pub active: bool,
    /// When he was added.
    pub created_at: Timestamp,
}

/// Adds an operator; answers the password, which is shown once.
#[derive(Clone, Debug)]
pub struct CreateOperator {
    /// `op-…`.
    pub id: OperatorId,
    /// `support`, `stability` or `compliance`.
    pub role: String,
    /// ISO 3166-1 alpha-2.
    pub place: String,
}

impl Operation for CreateOperator {
    type Output = SecretText;

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            resource: Arn::own(&provider, &format!("operator/{}", self.id)),
            tenant: provider,
            action: "bailee:CreateOperator",
            resource_type: "ACS::Bailee::Operator",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(
                json!({ "operator": self.id.as_str(), "role": self.role, "place": self.place }),
            ),
            continues: None,
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<SecretText, Failure> {
        if !["support", "stability", "compliance"].contains(&self.role.as_str()) {
            return Err(Failure::invalid("role", "must be support, stability or compliance"));
        }
        if self.place.len() != 2 || !self.place.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(Failure::invalid("place", "must be an ISO 3166-1 alpha-2 code such as CN"));
        }
        let password = random_password();
        let hash = house.hash_password(password.clone(), house.identity.operator_cost).await?;
        let now = house.now();
        house
            .db
            .write(move |tx| {
                if !rows::insert_operator(tx, &self.id, &self.role, &self.place, &hash, now)? {
                    return Err(Failure::exists(Thing::Operator, &self.id));
                }
                Ok(())
            })
            .await?;
        Ok(password)
    }
}

impl House {
    /// All operators by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operators(&self) -> Result<Vec<Operator>, Failure> {
        self.db.read(|tx| rows::operators(tx).map_err(Failure::from)).await
    }
}

/// Disables or enables an operator; when disabled, his sessions and grants end with it.
#[derive(Clone, Debug)]
pub struct SetOperatorState {
    /// `op-…`.
    pub id: OperatorId,
    /// Whether he may act.
    pub active: bool,
}

impl Operation for SetOperatorState {
    type Output = ();

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            resource: Arn::own(&provider, &format!("operator/{}", self.id)),
            tenant: provider,
            action: "bailee:SetOperatorState",
            resource_type: "ACS::Bailee::Operator",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "operator": self.id.as_str(), "active": self.active })),
            continues: None,
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        house
            .db
            .write(move |tx| {
                if rows::set_operator_state(tx, &self.id, self.active)? {
                    return Ok(());
                }
                Err(Failure::not_found(Thing::Operator, &self.id))
            })
            .await
    }
}
