//! Policies of a tenant's users: made, attached, compiled.

use std::sync::Arc;

use bailee_policy::{Policy, PolicySet, system};
use bailee_types::{Arn, TenantId, UserName};
use serde_json::json;

use super::rows;
use crate::consent::parameters;
use crate::gate::{Asked, Class, Intent, Operation, Touches};
use crate::{Failure, House, Thing};

const PER_TENANT_MAX: u64 = 1_500;
const CUSTOM_PER_USER_MAX: u64 = 10;
const SYSTEM_PER_USER_MAX: u64 = 20;

/// Creates a policy. One that is not understood whole (a condition, for now) is refused, never partly applied.
#[derive(Clone, Debug)]
pub struct CreatePolicy {
    /// The tenant.
    pub tenant: TenantId,
    /// 1 to 128 of `[A-Za-z0-9-]`.
    pub name: String,
    /// The document.
    pub document: String,
}

/// Attaches a policy to a user.
#[derive(Clone, Debug)]
pub struct AttachPolicy {
    /// The tenant.
    pub tenant: TenantId,
    /// The user.
    pub user: UserName,
    /// A system policy's name or one of the tenant's own.
    pub policy: String,
    /// Whether it is a system policy.
    pub system: bool,
}

impl Operation for CreatePolicy {
    type Output = ();

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "ram:CreatePolicy",
            &format!("policy/{}", clip(&self.name)),
            json!({ "PolicyName": clip(&self.name) }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        let ok = (1..=128).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !ok {
            return Err(Failure::invalid("PolicyName", "must have 1 to 128 of A-Z, a-z, 0-9, hyphen"));
        }
        Policy::parse(&self.document)
            .map_err(|e| Failure::invalid("PolicyDocument", format!("is refused: {e}")))?;
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::count_policies(&mut tx)? >= PER_TENANT_MAX {
                    return Err(Failure::Limit {
                        what: "policies",
                        max: PER_TENANT_MAX,
                        thing: Thing::Policy,
                    });
                }
                if !rows::insert_policy(&mut tx, &self.name, &self.document, now)? {
                    return Err(Failure::exists(Thing::Policy, &self.name));
                }
                Ok(())
            })
            .await
    }
}

impl Operation for AttachPolicy {
    type Output = ();

    fn asks(&self) -> Asked {
        let detail = json!({
            "UserName": self.user.as_str(),
            "PolicyName": clip(&self.policy),
            "PolicyType": if self.system { "System" } else { "Custom" },
        });
        asked(&self.tenant, "ram:AttachPolicyToUser", &format!("user/{}", self.user), detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<(), Failure> {
        if self.system && system::policy(&self.policy).is_none() {
            return Err(Failure::not_found(Thing::Policy, &self.policy));
        }
        let now = house.now();
        house
            .db
            .write(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                if rows::user(&mut tx, &self.user)?.is_none() {
                    return Err(Failure::not_found(Thing::User, &self.user));
                }
                if !self.system && rows::policy(&mut tx, &self.policy)?.is_none() {
                    return Err(Failure::not_found(Thing::Policy, &self.policy));
                }
                let (kind, max) = if self.system {
                    ("System", SYSTEM_PER_USER_MAX)
                } else {
                    ("Custom", CUSTOM_PER_USER_MAX)
                };
                if rows::count_attached(&mut tx, &self.user, kind)? >= max {
                    return Err(Failure::Limit { what: "policies of a user", max, thing: Thing::Policy });
                }
                if !rows::attach(&mut tx, &self.user, kind, &self.policy, now)? {
                    return Err(Failure::exists(Thing::Policy, &self.policy));
                }
                Ok(())
            })
            .await?;
        house.forget_cached_keys();
        Ok(())
    }
}

/// Compiles what is attached to a user. A stored policy that no longer parses stops the caller (fail closed).
pub(super) fn compile(attached: Vec<rows::Attached>) -> Result<Arc<PolicySet>, Failure> {
    let mut named = Vec::with_capacity(attached.len());
    for a in attached {
        let policy = match a.document {
            Some(text) => Arc::new(
                Policy::parse(&text)
                    .map_err(|e| Failure::Damaged(format!("policy `{}` cannot be read: {e}", a.name)))?,
            ),
            None => system::policy(&a.name)
                .ok_or_else(|| Failure::Damaged(format!("system policy `{}` is not known", a.name)))?,
        };
        named.push((a.name, policy));
    }
    Ok(Arc::new(PolicySet::compile(named)))
}

fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

fn asked(tenant: &TenantId, action: &'static str, relative: &str, detail: serde_json::Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::ram(tenant, relative),
        resource_type: "ACS::RAM::Policy",
        class: Class::Management { write: true },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
    }
}
