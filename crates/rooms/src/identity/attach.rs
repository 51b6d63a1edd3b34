//! Policies on users, groups and roles.

use bailee_types::{GroupName, PolicyName, RoleName, Timestamp, UserName};
use serde_json::{Value, json};

use super::act::{Act, Cx, head};
use super::policy::{PolicyInfo, PolicyType};
use super::rows::policy::{self as rows, Holder};
use super::{group, role, user};
use crate::{Failure, Thing};

/// Policies that one user, group or role may have (contract §5).
pub(super) const CUSTOM_MAX: u64 = 10;
/// As [`CUSTOM_MAX`], for system policies.
pub(super) const SYSTEM_MAX: u64 = 20;

/// What a policy is put on.
#[derive(Clone, Debug)]
pub enum Entity {
    /// A user.
    User(UserName),
    /// A group.
    Group(GroupName),
    /// A role.
    Role(RoleName),
}

impl Entity {
    fn relative(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// `user`, `group` or `role`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Role(_) => "role",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::User(n) => n.as_str(),
            Self::Group(n) => n.as_str(),
            Self::Role(n) => n.as_str(),
        }
    }

    fn id(&self, cx: &mut Cx<'_, '_, '_>) -> Result<String, Failure> {
        Ok(match self {
            Self::User(n) => user::found(cx, n)?.id.to_string(),
            Self::Group(n) => group::found(cx, n)?.id.to_string(),
            Self::Role(n) => role::found(cx, n)?.id.to_string(),
        })
    }

    fn policy_thing(&self) -> Thing {
        match self {
            Self::User(_) => Thing::UserPolicy,
            Self::Group(_) => Thing::GroupPolicy,
            Self::Role(_) => Thing::RolePolicy,
        }
    }
}

/// Puts a policy on a user, group or role.
#[derive(Clone, Debug)]
pub struct AttachPolicy {
    /// On whom.
    pub to: Entity,
    /// Whose policy.
    pub kind: PolicyType,
    /// Its name.
    pub policy: PolicyName,
}

/// Takes a policy off a user, group or role.
#[derive(Clone, Debug)]
pub struct DetachPolicy {
    /// Off whom.
    pub from: Entity,
    /// Whose policy.
    pub kind: PolicyType,
    /// Its name.
    pub policy: PolicyName,
}

/// The policies on a user, group or role, with the time they were put there.
#[derive(Clone, Debug)]
pub struct ListPoliciesFor {
    /// On whom.
    pub of: Entity,
}

/// On whom a policy is.
#[derive(Clone, Debug)]
pub struct ListEntitiesForPolicy {
    /// Whose policy.
    pub kind: PolicyType,
    /// Its name.
    pub policy: PolicyName,
}

/// The answer to [`ListEntitiesForPolicy`].
#[derive(Clone, Debug, Default)]
pub struct Entities {
    /// Users.
    pub users: Vec<(user::User, Timestamp)>,
    /// Groups.
    pub groups: Vec<(group::Group, Timestamp)>,
    /// Roles.
    pub roles: Vec<(role::Role, Timestamp)>,
}

/// System policies have a resource name of their own; a caller who may hand out his own policies only is stopped here.
fn policy_resource(kind: PolicyType, name: &PolicyName) -> String {
    match kind {
        PolicyType::System => format!("system:policy/{name}"),
        PolicyType::Custom => format!("policy/{name}"),
    }
}

impl Act for AttachPolicy {
    type Output = ();
    const TYPE: &'static str = "ACS::RAM::Policy";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        match self.to {
            Entity::User(_) => "ram:AttachPolicyToUser",
            Entity::Group(_) => "ram:AttachPolicyToGroup",
            Entity::Role(_) => "ram:AttachPolicyToRole",
        }
    }

    fn on(&self) -> Vec<String> {
        vec![self.to.relative(), policy_resource(self.kind, &self.policy)]
    }

    fn detail(&self) -> Value {
        json!({ "Entity": self.to.relative(), "PolicyName": self.policy.as_str(), "PolicyType": self.kind.word() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let id = self.to.id(cx)?;
        super::policy::found(cx, self.kind, &self.policy)?;
        let (entity, kind, policy) = (self.to.kind(), self.kind.word(), self.policy.as_str());
        if rows::is_attached(cx.tx, entity, &id, kind, policy)? {
            return Err(Failure::exists(self.to.policy_thing(), &self.policy));
        }
        let max = if self.kind == PolicyType::System { SYSTEM_MAX } else { CUSTOM_MAX };
        if rows::count_attached(cx.tx, entity, &id, Some(kind))? >= max {
            return Err(Failure::limit(self.to.policy_thing(), "policies of one user, group or role", max));
        }
        rows::attach(cx.tx, entity, &id, kind, policy, cx.now)?;
        Ok(())
    }
}

impl Act for DetachPolicy {
    type Output = ();
    const TYPE: &'static str = "ACS::RAM::Policy";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        match self.from {
            Entity::User(_) => "ram:DetachPolicyFromUser",
            Entity::Group(_) => "ram:DetachPolicyFromGroup",
            Entity::Role(_) => "ram:DetachPolicyFromRole",
        }
    }

    fn on(&self) -> Vec<String> {
        vec![self.from.relative(), policy_resource(self.kind, &self.policy)]
    }

    fn detail(&self) -> Value {
        json!({ "Entity": self.from.relative(), "PolicyName": self.policy.as_str(), "PolicyType": self.kind.word() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let id = self.from.id(cx)?;
        let kind = self.kind.word();
        if !rows::detach(cx.tx, self.from.kind(), &id, kind, self.policy.as_str())? {
            return Err(Failure::not_found(self.from.policy_thing(), &self.policy));
        }
        Ok(())
    }
}

impl Act for ListPoliciesFor {
    type Output = Vec<(PolicyInfo, Timestamp)>;
    const TYPE: &'static str = "ACS::RAM::Policy";
    const WRITE: bool = false;

    fn action(&self) -> &'static str {
        match self.of {
            Entity::User(_) => "ram:ListPoliciesForUser",
            Entity::Group(_) => "ram:ListPoliciesForGroup",
            Entity::Role(_) => "ram:ListPoliciesForRole",
        }
    }

    fn on(&self) -> Vec<String> {
        vec![self.of.relative()]
    }

    fn detail(&self) -> Value {
        json!({ "Entity": self.of.relative() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<(PolicyInfo, Timestamp)>, Failure> {
        let id = self.of.id(cx)?;
        let mut out = Vec::new();
        for (kind, name, at) in rows::names_on(cx.tx, self.of.kind(), &id)? {
            let name = PolicyName::parse(&name).map_err(|e| Failure::Damaged(e.to_string()))?;
            out.push((super::policy::found(cx, kind, &name)?, at));
        }
        Ok(out)
    }
}

impl Act for ListEntitiesForPolicy {
    type Output = Entities;
    head!(
        "ACS::RAM::Policy",
        read,
        "ram:ListEntitiesForPolicy",
        |s| [policy_resource(s.kind, &s.policy)],
        |s| json!({ "PolicyName": s.policy.as_str(), "PolicyType": s.kind.word() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Entities, Failure> {
        super::policy::found(cx, self.kind, &self.policy)?;
        let mut out = Entities::default();
        for Holder { kind, id, at } in rows::holders(cx.tx, self.kind.word(), self.policy.as_str())? {
            match kind.as_str() {
                "user" => out.users.extend(super::rows::user::by_text_id(cx.tx, &id)?.map(|u| (u, at))),
                "group" => out.groups.extend(super::rows::group::by_text_id(cx.tx, &id)?.map(|g| (g, at))),
                _ => out.roles.extend(super::rows::role::by_text_id(cx.tx, &id)?.map(|r| (r, at))),
            }
        }
        Ok(out)
    }
}
