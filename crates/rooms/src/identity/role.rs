//! RAM roles: a name, a trust policy that says who may take it on, and the policies that he then has.

use bailee_policy::{Kind, Policy};
use bailee_types::{Arn, RoleId, RoleName, TenantId, Timestamp};
use serde_json::{Value, json};

use super::act::{Act, Cx, Page, Paging, head, short};
use super::rows::{policy, role, tag};
use super::service_role::{self, ServiceRole};
use crate::{Failure, Thing};

/// Roles a tenant may have (contract §5).
pub(super) const PER_TENANT_MAX: u64 = 1_000;
/// Seconds that a session may last, at least and at most, as a role's own limit (contract §5).
const SESSION_MAX_S: std::ops::RangeInclusive<i64> = 3_600..=43_200;

/// A RAM role.
#[derive(Clone, Debug)]
pub struct Role {
    /// Never used again, unlike the name.
    pub id: RoleId,
    /// The name.
    pub name: RoleName,
    /// For people.
    pub description: String,
    /// The trust policy's document.
    pub trust: String,
    /// The longest session, seconds.
    pub session_max_s: i64,
    /// Whether the console may be used with it.
    pub allows_console: bool,
    /// The service that it is linked to, if one.
    pub service: Option<String>,
    /// Sessions that began before this are revoked.
    pub void_before: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Role {
    /// `acs:ram::<tenant>:role/<name>`.
    pub fn arn(&self, tenant: &TenantId) -> String {
        Arn::ram(tenant, &format!("role/{}", self.name.as_str().to_lowercase())).to_string()
    }
}

/// Creates a role.
#[derive(Clone, Debug)]
pub struct CreateRole {
    /// The name.
    pub name: RoleName,
    /// At most 1,024 characters.
    pub description: String,
    /// The trust policy's document.
    pub trust: String,
    /// Seconds, 3,600 to 43,200.
    pub session_max_s: i64,
    /// Whether the console may be used with it.
    pub allows_console: bool,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
}

/// One role.
#[derive(Clone, Debug)]
pub struct GetRole {
    /// The name.
    pub name: RoleName,
}

/// Changes a role; what is `None` stays.
#[derive(Clone, Debug)]
pub struct UpdateRole {
    /// The name.
    pub name: RoleName,
    /// At most 1,024 characters.
    pub description: Option<String>,
    /// The trust policy's document. Sessions that live go on; [`RevokeRoleSessions`] ends them.
    pub trust: Option<String>,
    /// Seconds, 3,600 to 43,200.
    pub session_max_s: Option<i64>,
    /// Whether the console may be used with it.
    pub allows_console: Option<bool>,
}

/// Deletes a role that has no policies any more; its sessions end with it.
#[derive(Clone, Debug)]
pub struct DeleteRole {
    /// The name.
    pub name: RoleName,
    /// Whether it is deleted as the service's role that it is, policies included.
    pub linked: bool,
}

/// Roles by name, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct ListRoles {
    /// Which page.
    pub page: Paging,
    /// Only roles with all of these tags.
    pub tags: Vec<(String, String)>,
    /// Only roles of services, or only others.
    pub linked: Option<bool>,
}

/// Ends every session of a role that began before now.
#[derive(Clone, Debug)]
pub struct RevokeRoleSessions {
    /// The role.
    pub name: RoleName,
}

/// Creates the role that a service of the platform works with.
#[derive(Clone, Debug)]
pub struct CreateServiceLinkedRole {
    /// E.g. `actiontrail.aliyuncs.com`.
    pub service: String,
    /// Appended to the name where the service allows several.
    pub suffix: Option<String>,
    /// At most 1,024 characters.
    pub description: Option<String>,
}

/// What the role of a service would look like.
#[derive(Clone, Debug)]
pub struct GetServiceLinkedRoleTemplate {
    /// E.g. `actiontrail.aliyuncs.com`.
    pub service: String,
}

pub(super) fn found(cx: &mut Cx<'_, '_, '_>, name: &RoleName) -> Result<Role, Failure> {
    role::by_name(cx.tx, name)?.ok_or_else(|| Failure::not_found(Thing::Role, name))
}

fn check(description: &str, trust: &str, session_max_s: i64) -> Result<(), Failure> {
    short("Description", description, 1_024)?;
    Policy::parse_as(Kind::Trust, trust)
        .map_err(|e| Failure::invalid("PolicyDocument", format!("(trust policy) is refused: {e}")))?;
    if !SESSION_MAX_S.contains(&session_max_s) {
        return Err(Failure::invalid("MaxSessionDuration", "must be 3600 to 43200 seconds"));
    }
    Ok(())
}

fn insert(cx: &mut Cx<'_, '_, '_>, role: &CreateRole, service: Option<&str>) -> Result<Role, Failure> {
    check(&role.description, &role.trust, role.session_max_s)?;
    if role::count(cx.tx)? >= PER_TENANT_MAX {
        return Err(Failure::limit(Thing::Role, "roles", PER_TENANT_MAX));
    }
    let id = RoleId::random();
    if !role::insert(cx.tx, &id, role, service, cx.now)? {
        return Err(Failure::exists(Thing::Role, &role.name));
    }
    super::tag::put(cx, "role", id.as_str(), &role.tags)?;
    found(cx, &role.name)
}

impl Act for CreateRole {
    type Output = Role;
    head!(
        "ACS::RAM::Role",
        write,
        "ram:CreateRole",
        |s| [format!("role/{}", s.name)],
        |s| json!({ "RoleName": s.name.as_str(), "MaxSessionDuration": s.session_max_s })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Role, Failure> {
        insert(cx, &self, None)
    }

    fn outcome(role: &Role) -> Value {
        json!({ "roleId": role.id.as_str() })
    }
}

impl Act for GetRole {
    type Output = Role;
    head!(
        "ACS::RAM::Role",
        read,
        "ram:GetRole",
        |s| [format!("role/{}", s.name)],
        |s| json!({ "RoleName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Role, Failure> {
        found(cx, &self.name)
    }
}

impl Act for UpdateRole {
    type Output = Role;
    head!(
        "ACS::RAM::Role",
        write,
        "ram:UpdateRole",
        |s| [format!("role/{}", s.name)],
        |s| json!({ "RoleName": s.name.as_str(), "NewMaxSessionDuration": s.session_max_s,
                    "NewAssumeRolePolicyDocument": s.trust.is_some() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Role, Failure> {
        let mut role = found(cx, &self.name)?;
        if role.service.is_some() && self.trust.is_some() {
            return Err(Failure::Conflict(format!(
                "the role `{}` belongs to the service {}; its trust policy cannot be changed",
                role.name,
                role.service.unwrap_or_default()
            )));
        }
        role.description = self.description.unwrap_or(role.description);
        role.trust = self.trust.unwrap_or(role.trust);
        role.session_max_s = self.session_max_s.unwrap_or(role.session_max_s);
        role.allows_console = self.allows_console.unwrap_or(role.allows_console);
        check(&role.description, &role.trust, role.session_max_s)?;
        role::update(cx.tx, &role, cx.now)?;
        found(cx, &role.name)
    }
}

impl Act for DeleteRole {
    type Output = RoleId;
    const TYPE: &'static str = "ACS::RAM::Role";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        if self.linked { "ram:DeleteServiceLinkedRole" } else { "ram:DeleteRole" }
    }

    fn on(&self) -> Vec<String> {
        vec![format!("role/{}", self.name)]
    }

    fn detail(&self) -> Value {
        json!({ "RoleName": self.name.as_str() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<RoleId, Failure> {
        let role = found(cx, &self.name)?;
        let id = role.id.as_str();
        match (self.linked, &role.service) {
            (true, None) => return Err(Failure::not_found(Thing::Role, &self.name)),
            (true, Some(_)) => policy::detach_all(cx.tx, "role", id)?,
            (false, _) if policy::count_attached(cx.tx, "role", id, None)? > 0 => {
                return Err(Failure::in_use(Thing::Role, &self.name, Thing::Policy, "policies"));
            }
            (false, _) => {}
        }
        tag::delete_all(cx.tx, "role", id)?;
        role::delete(cx.tx, id)?;
        Ok(role.id)
    }
}

impl Act for ListRoles {
    type Output = Page<Role>;
    head!("ACS::RAM::Role", read, "ram:ListRoles", |_s| ["role/*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<Role>, Failure> {
        let max = self.page.max();
        let after = self.page.after().to_lowercase();
        let roles = role::page(cx.tx, &self.tags, self.linked, &after, max + 1)?;
        Ok(Page::cut(roles, max, |r| r.name.to_string()))
    }
}

impl Act for RevokeRoleSessions {
    type Output = Timestamp;
    head!(
        "ACS::RAM::Role",
        write,
        "ram:RevokeRoleSessions",
        |s| [format!("role/{}", s.name)],
        |s| json!({ "RoleName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Timestamp, Failure> {
        let role = found(cx, &self.name)?;
        role::revoke_sessions(cx.tx, role.id.as_str(), cx.now)?;
        Ok(cx.now)
    }
}

impl Act for CreateServiceLinkedRole {
    type Output = Role;
    head!(
        "ACS::RAM::Role",
        write,
        "ram:CreateServiceLinkedRole",
        |_s| ["role/*".to_owned()],
        |s| json!({ "ServiceName": s.service })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Role, Failure> {
        let known = service_role::of(&self.service)?;
        let suffix = self.suffix.as_deref().filter(|s| !s.is_empty());
        let name = match (suffix, known.several) {
            (None, _) => known.role.to_owned(),
            (Some(suffix), true) => format!("{}_{suffix}", known.role),
            (Some(_), false) => {
                return Err(Failure::invalid(
                    "CustomSuffix",
                    "is not allowed: the service has one role only",
                ));
            }
        };
        let role = CreateRole {
            name: RoleName::parse(&name).map_err(|e| Failure::invalid("CustomSuffix", e.to_string()))?,
            description: self.description.unwrap_or_else(|| known.description.to_owned()),
            trust: known.trust(),
            session_max_s: 3_600,
            allows_console: false,
            tags: Vec::new(),
        };
        let made = insert(cx, &role, Some(known.service))?;
        policy::attach(cx.tx, "role", made.id.as_str(), "System", known.policy, cx.now)?;
        Ok(made)
    }
}

impl Act for GetServiceLinkedRoleTemplate {
    type Output = &'static ServiceRole;
    head!(
        "ACS::RAM::Role",
        read,
        "ram:GetServiceLinkedRoleTemplate",
        |_s| ["role/*".to_owned()],
        |s| json!({ "ServiceName": s.service })
    );

    fn run(self, _cx: &mut Cx<'_, '_, '_>) -> Result<&'static ServiceRole, Failure> {
        service_role::of(&self.service)
    }
}
