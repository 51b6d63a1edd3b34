//! Operators: provider staff. They have no AccessKey into a tenant, ever.

use std::sync::Arc;

use bailee_types::{Arn, OperatorId, SecretText, TenantId, Timestamp};
use serde_json::json;

use super::random_password;

use super::rows::{operator as rows, session};
use super::session::has_factor;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

/// What an operator may be. Two of them exclude each other in one person: see [`EXCLUSIVE`].
pub const OPERATOR_ROLES: &[&str] =
    &["support", "stability", "compliance", "approver", "portal-editor", "auditor-liaison"];

/// Roles that one person must not have together: who asks for access does not approve for the provider, and who shows
/// the provider to auditors does not do what they audit.
pub const EXCLUSIVE: &[(&str, &str)] = &[
    ("support", "approver"),
    ("stability", "approver"),
    ("compliance", "approver"),
    ("auditor-liaison", "support"),
    ("auditor-liaison", "stability"),
    ("auditor-liaison", "compliance"),
];

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// `op-…`.
    pub id: OperatorId,
    /// Of [`OPERATOR_ROLES`].
    pub roles: Vec<String>,
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
    /// Of [`OPERATOR_ROLES`], at least one.
    pub roles: Vec<String>,
    /// ISO 3166-1 alpha-2.
    pub place: String,
}

/// Gives an operator other roles; his sessions go on and have them at once.
#[derive(Clone, Debug)]
pub struct SetOperatorRoles {
    /// `op-…`.
    pub id: OperatorId,
    /// Of [`OPERATOR_ROLES`], at least one.
    pub roles: Vec<String>,
}

fn check_roles(roles: &[String]) -> Result<(), Failure> {
    let known = OPERATOR_ROLES.join(", ");
    if roles.is_empty() || roles.iter().any(|r| !OPERATOR_ROLES.contains(&r.as_str())) {
        return Err(Failure::invalid("role", format!("must be one or more of {known}")));
    }
    let has = |r: &str| roles.iter().any(|x| x == r);
    match EXCLUSIVE.iter().find(|(a, b)| has(a) && has(b)) {
        Some((a, b)) => Err(Failure::invalid(
            "role",
            format!("`{a}` and `{b}` must be two persons (separation of duties)"),
        )),
        None => Ok(()),
    }
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
                json!({ "operator": self.id.as_str(), "roles": self.roles, "place": self.place }),
            ),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<SecretText, Failure> {
        check_roles(&self.roles)?;
        if self.place.len() != 2 || !self.place.bytes().all(|b| b.is_ascii_uppercase()) {
            return Err(Failure::invalid("place", "must be an ISO 3166-1 alpha-2 code such as CN"));
        }
        let password = random_password();
        let hash = house.hash_password(password.clone(), house.identity.operator_cost).await?;
        let now = house.now();
        house
            .db
            .write(move |tx| {
                if !rows::insert(tx, &self.id, &self.roles, &self.place, &hash, now)? {
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
        self.db.read(|tx| rows::all(tx).map_err(Failure::from)).await
    }
}

impl House {
    /// Operators who may sign in: all, and those without a second factor.
    pub(crate) async fn operators_without_factor(&self) -> Result<(u64, u64), Failure> {
        self.db
            .read(|tx| {
                let active: Vec<_> = rows::all(tx)?.into_iter().filter(|o| o.active).collect();
                let (mut without, provider) = (0, TenantId::provider());
                for one in &active {
                    let mut provider = tx.tenant(&provider);
                    without += u64::from(!has_factor(&mut provider, &format!("operator/{}", one.id))?);
                }
                Ok((active.len() as u64, without))
            })
            .await
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
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        house
            .db
            .write(move |tx| {
                if !rows::set_state(tx, &self.id, self.active)? {
                    return Err(Failure::not_found(Thing::Operator, &self.id));
                }
                if !self.active {
                    let provider = TenantId::provider();
                    let holder = format!("operator/{}", self.id);
                    session::end_all(&mut tx.tenant(&provider), &holder)?;
                    super::rows::device::forget_all(&mut tx.tenant(&provider), &holder)?;
                }
                Ok(())
            })
            .await
    }
}

impl Operation for SetOperatorRoles {
    type Output = ();

    fn asks(&self) -> Asked {
        let provider = TenantId::provider();
        Asked {
            resource: Arn::own(&provider, &format!("operator/{}", self.id)),
            tenant: provider,
            action: "bailee:SetOperatorRoles",
            resource_type: "ACS::Bailee::Operator",
            class: Class::Management { write: true },
            touches: Touches::Nothing,
            ticket: None,
            parameters: parameters(json!({ "operator": self.id.as_str(), "roles": self.roles })),
            continues: None,
            also: Vec::new(),
            conditions: Vec::new(),
        }
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        check_roles(&self.roles)?;
        house
            .db
            .write(move |tx| {
                if rows::by_id(tx, &self.id)?.is_none() {
                    return Err(Failure::not_found(Thing::Operator, &self.id));
                }
                rows::set_roles(tx, &self.id, &self.roles).map_err(Failure::from)
            })
            .await
    }
}
