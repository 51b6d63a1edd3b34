//! How one of a tenant's people stands in a transaction: who he is, where he belongs, what his policies let him.

use std::collections::BTreeSet;
use std::sync::Arc;

use bailee_policy::{Context, Phases, PolicySet, Request, Subject, decide};
use bailee_store::TenantTx;
use bailee_types::{Arn, GroupName, TenantId, Timestamp, UserId, UserName};

use super::{policy, rows};
use crate::{Failure, Thing};

/// People of a group that are looked at, at most.
const MEMBERS_MAX: u32 = 1_000;

/// A user as he stands now.
pub(crate) struct Standing {
    pub(crate) id: UserId,
    name: UserName,
    /// Ids of the groups he is in.
    pub(crate) groups: Vec<String>,
    policies: Arc<PolicySet>,
}

impl Standing {
    /// The user with this id; none when there is none any more.
    pub(crate) fn of(tx: &mut TenantTx<'_, '_>, id: &str) -> Result<Option<Self>, Failure> {
        let Some(user) = rows::user::by_text_id(tx, id)? else { return Ok(None) };
        let groups = rows::group::of_user(tx, id)?.into_iter().map(|(g, _)| g.id.to_string()).collect();
        let policies = policy::compile(rows::policy::on_user(tx, id)?)?;
        Ok(Some(Self { id: user.id, name: user.name, groups, policies }))
    }

    /// Whether his policies let him do this, in these circumstances (address, TLS, second factor).
    pub(crate) fn may(
        &self,
        (tenant, action, resource): (&TenantId, &str, &Arn),
        (source_ip, secure, mfa): (&str, bool, bool),
        at: Timestamp,
    ) -> bool {
        let context = Context {
            now: at,
            source_ip: source_ip.parse().ok(),
            secure_transport: secure,
            mfa_present: Some(mfa),
            subject: Subject::User {
                account: tenant.as_str(),
                id: self.id.as_str(),
                name: self.name.as_str(),
            },
            extra: &[],
        };
        let phases = Phases { control: None, session: None, identity: &[&self.policies], resource: None };
        decide(&phases, &Request { action, resource, context: &context }).is_allowed()
    }
}

/// Whom a name stands for: `root`, `user/<name>` or `group/<name>`.
pub(crate) struct Named {
    /// `root`, `user/<id>` or `group/<id>`.
    pub(crate) id: String,
    /// `root` and ids of users: who that is now.
    pub(crate) persons: BTreeSet<String>,
}

impl Named {
    pub(crate) fn of(tx: &mut TenantTx<'_, '_>, name: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::invalid("approvers", format!("`{name}` must be `root`, `user/<name>` or `group/<name>`"))
        };
        match name.split_once('/') {
            None if name == "root" => Ok(Self { id: "root".into(), persons: ["root".to_owned()].into() }),
            Some(("user", user)) => {
                let user = UserName::parse(user).map_err(|_| wrong())?;
                let found =
                    rows::user::by_name(tx, &user)?.ok_or_else(|| Failure::not_found(Thing::User, &user))?;
                Ok(Self { id: format!("user/{}", found.id), persons: [found.id.to_string()].into() })
            }
            Some(("group", group)) => {
                let group = GroupName::parse(group).map_err(|_| wrong())?;
                let found = rows::group::by_name(tx, &group)?
                    .ok_or_else(|| Failure::not_found(Thing::Group, &group))?;
                let members = rows::group::members(tx, found.id.as_str(), "", MEMBERS_MAX)?;
                let persons = members.into_iter().map(|m| m.id.to_string()).collect();
                Ok(Self { id: format!("group/{}", found.id), persons })
            }
            _ => Err(wrong()),
        }
    }
}
