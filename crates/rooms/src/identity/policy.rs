//! Policies of a tenant, their versions, and the system's.

use std::sync::Arc;

use bailee_policy::{Kind, Lint, Policy, PolicySet, system};
use bailee_types::{PolicyName, Timestamp};
use serde_json::{Value, json};

use super::act::{Act, Cx, Page, Paging, head, short};
use super::rows::{self, policy, tag};
use crate::{Failure, Thing};

/// Custom policies a tenant may have (contract §5).
pub(super) const PER_TENANT_MAX: u64 = 1_500;
/// Versions a custom policy may have (contract §5).
pub(super) const VERSIONS_MAX: u64 = 5;

/// Whose policy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyType {
    /// The platform's, the same for all tenants.
    System,
    /// The tenant's own.
    Custom,
}

impl PolicyType {
    /// As the wire spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Custom => "Custom",
        }
    }
}

/// A policy without its document.
#[derive(Clone, Debug)]
pub struct PolicyInfo {
    /// The name.
    pub name: String,
    /// Whose.
    pub kind: PolicyType,
    /// For people.
    pub description: String,
    /// The version that counts.
    pub default_version: i64,
    /// On how many users, groups and roles it is.
    pub attached: u64,
    /// When it was made; 2020 for the system's.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A version of a policy.
#[derive(Clone, Debug)]
pub struct PolicyVersion {
    /// From 1.
    pub version: i64,
    /// The document.
    pub document: String,
    /// Whether it is the one that counts.
    pub is_default: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Creates a policy. One that is not understood whole is refused, never partly applied.
#[derive(Clone, Debug)]
pub struct CreatePolicy {
    /// The name.
    pub name: PolicyName,
    /// The document.
    pub document: String,
    /// At most 1,024 characters.
    pub description: String,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
}

/// A policy with its default version.
#[derive(Clone, Debug)]
pub struct GetPolicy {
    /// Whose.
    pub kind: PolicyType,
    /// The name.
    pub name: PolicyName,
}

/// Changes a policy's description.
#[derive(Clone, Debug)]
pub struct UpdatePolicyDescription {
    /// The name.
    pub name: PolicyName,
    /// At most 1,024 characters.
    pub description: String,
}

/// Deletes a policy that is on nobody and has its default version only, unless told to cascade.
#[derive(Clone, Debug)]
pub struct DeletePolicy {
    /// The name.
    pub name: PolicyName,
    /// Whether to take it off everybody and delete all versions.
    pub cascade: bool,
}

/// Policies by name, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct ListPolicies {
    /// Whose; both when not said, the system's first.
    pub kind: Option<PolicyType>,
    /// Which page.
    pub page: Paging,
    /// Only policies with all of these tags.
    pub tags: Vec<(String, String)>,
}

/// Adds a version to a policy.
#[derive(Clone, Debug)]
pub struct CreatePolicyVersion {
    /// The name.
    pub name: PolicyName,
    /// The document.
    pub document: String,
    /// Whether it counts from now on.
    pub set_default: bool,
    /// Whether the oldest version that does not count makes room when there are five.
    pub rotate: bool,
}

/// One version of a policy.
#[derive(Clone, Debug)]
pub struct GetPolicyVersion {
    /// Whose.
    pub kind: PolicyType,
    /// The name.
    pub name: PolicyName,
    /// From 1.
    pub version: i64,
}

/// Deletes a version that does not count.
#[derive(Clone, Debug)]
pub struct DeletePolicyVersion {
    /// The name.
    pub name: PolicyName,
    /// From 1.
    pub version: i64,
}

/// Makes a version the one that counts.
#[derive(Clone, Debug)]
pub struct SetDefaultPolicyVersion {
    /// The name.
    pub name: PolicyName,
    /// From 1.
    pub version: i64,
}

/// All versions of a policy, oldest first.
#[derive(Clone, Debug)]
pub struct ListPolicyVersions {
    /// Whose.
    pub kind: PolicyType,
    /// The name.
    pub name: PolicyName,
}

/// Reads a document for nothing but its errors; the text shows the line with a caret under the place.
///
/// # Errors
/// The text.
pub fn check_policy(document: &str) -> Result<(), String> {
    Policy::parse(document).map(drop).map_err(|e| e.render(document))
}

/// As [`check_policy`], for the trust policy of a role.
///
/// # Errors
/// The text.
pub fn check_trust_policy(document: &str) -> Result<(), String> {
    Policy::parse_as(Kind::Trust, document).map(drop).map_err(|e| e.render(document))
}

/// What a document says that is probably not meant; nothing for one that is refused anyway.
pub fn policy_lints(document: &str) -> Vec<Lint> {
    Policy::parse(document).map(|p| p.lints()).unwrap_or_default()
}

/// As [`policy_lints`], for the trust policy of a role.
pub fn trust_policy_lints(document: &str) -> Vec<Lint> {
    Policy::parse_as(Kind::Trust, document).map(|p| p.lints()).unwrap_or_default()
}

/// Whether a policy's name is one of the platform's.
pub fn is_system_policy(name: &str) -> bool {
    system::policy(name).is_some()
}

/// A policy of either kind, with the number of those it is on.
pub(super) fn found(
    cx: &mut Cx<'_, '_, '_>,
    kind: PolicyType,
    name: &PolicyName,
) -> Result<PolicyInfo, Failure> {
    let info = match kind {
        PolicyType::Custom => policy::by_name(cx.tx, name)?,
        PolicyType::System => match system::all().iter().find(|p| p.name == name.as_str()) {
            Some(p) => Some(of_system(cx, p)?),
            None => None,
        },
    };
    info.ok_or_else(|| Failure::not_found(Thing::Policy, name))
}

fn of_system(cx: &mut Cx<'_, '_, '_>, p: &system::SystemPolicy) -> Result<PolicyInfo, Failure> {
    Ok(PolicyInfo {
        name: p.name.to_owned(),
        kind: PolicyType::System,
        description: p.description.to_owned(),
        default_version: 1,
        attached: policy::count_holders(cx.tx, "System", p.name)?,
        created_at: SYSTEM_SINCE,
        updated_at: SYSTEM_SINCE,
    })
}

/// 2020-01-01: system policies have no date of their own.
const SYSTEM_SINCE: Timestamp = Timestamp::from_secs(1_577_836_800);

fn custom(cx: &mut Cx<'_, '_, '_>, name: &PolicyName) -> Result<PolicyInfo, Failure> {
    if system::policy(name.as_str()).is_some() && policy::by_name(cx.tx, name)?.is_none() {
        return Err(Failure::Conflict(format!("`{name}` is a system policy; it cannot be changed")));
    }
    found(cx, PolicyType::Custom, name)
}

fn check(document: &str) -> Result<(), Failure> {
    Policy::parse(document)
        .map(drop)
        .map_err(|e| Failure::invalid("PolicyDocument", format!("is refused: {e}")))
}

fn versions(cx: &mut Cx<'_, '_, '_>, info: &PolicyInfo) -> Result<Vec<PolicyVersion>, Failure> {
    match info.kind {
        PolicyType::Custom => Ok(policy::versions(cx.tx, &info.name, info.default_version)?),
        PolicyType::System => Ok(system::all()
            .iter()
            .filter(|p| p.name == info.name)
            .map(|p| PolicyVersion {
                version: 1,
                document: p.document.to_owned(),
                is_default: true,
                created_at: info.created_at,
            })
            .collect()),
    }
}

fn version(cx: &mut Cx<'_, '_, '_>, info: &PolicyInfo, number: i64) -> Result<PolicyVersion, Failure> {
    versions(cx, info)?
        .into_iter()
        .find(|v| v.version == number)
        .ok_or_else(|| Failure::not_found(Thing::PolicyVersion, format!("v{number}")))
}

fn on(name: &PolicyName) -> [String; 1] {
    [format!("policy/{name}")]
}

fn named(name: &PolicyName) -> Value {
    json!({ "PolicyName": name.as_str() })
}

impl Act for CreatePolicy {
    type Output = PolicyInfo;
    head!("ACS::RAM::Policy", write, "ram:CreatePolicy", |s| on(&s.name), |s| named(&s.name));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<PolicyInfo, Failure> {
        short("Description", &self.description, 1_024)?;
        check(&self.document)?;
        if system::policy(self.name.as_str()).is_some() {
            return Err(Failure::exists(Thing::Policy, &self.name));
        }
        if policy::count(cx.tx)? >= PER_TENANT_MAX {
            return Err(Failure::limit(Thing::Policy, "custom policies", PER_TENANT_MAX));
        }
        if !policy::insert(cx.tx, &self, cx.now)? {
            return Err(Failure::exists(Thing::Policy, &self.name));
        }
        super::tag::put(cx, "policy", self.name.as_str(), &self.tags)?;
        found(cx, PolicyType::Custom, &self.name)
    }
}

impl Act for GetPolicy {
    type Output = (PolicyInfo, PolicyVersion);
    head!("ACS::RAM::Policy", read, "ram:GetPolicy", |s| on(&s.name), |s| named(&s.name));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(PolicyInfo, PolicyVersion), Failure> {
        let info = found(cx, self.kind, &self.name)?;
        let version = version(cx, &info, info.default_version)?;
        Ok((info, version))
    }
}

impl Act for UpdatePolicyDescription {
    type Output = PolicyInfo;
    head!("ACS::RAM::Policy", write, "ram:UpdatePolicyDescription", |s| on(&s.name), |s| named(&s.name));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<PolicyInfo, Failure> {
        short("NewDescription", &self.description, 1_024)?;
        custom(cx, &self.name)?;
        policy::describe(cx.tx, &self.name, &self.description, cx.now)?;
        found(cx, PolicyType::Custom, &self.name)
    }
}

impl Act for DeletePolicy {
    type Output = ();
    head!(
        "ACS::RAM::Policy",
        write,
        "ram:DeletePolicy",
        |s| on(&s.name),
        |s| json!({ "PolicyName": s.name.as_str(), "CascadingDelete": s.cascade })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let info = custom(cx, &self.name)?;
        if !self.cascade {
            let holders = policy::holders(cx.tx, "Custom", self.name.as_str())?;
            for (kind, by, what) in [
                ("user", Thing::User, "users that it is on"),
                ("group", Thing::Group, "groups that it is on"),
                ("role", Thing::Role, "roles that it is on"),
            ] {
                if holders.iter().any(|h| h.kind == kind) {
                    return Err(Failure::in_use(Thing::Policy, &self.name, by, what));
                }
            }
            if versions(cx, &info)?.len() > 1 {
                let what = "versions that do not count";
                return Err(Failure::in_use(Thing::Policy, &self.name, Thing::PolicyVersion, what));
            }
        }
        policy::detach_everywhere(cx.tx, self.name.as_str())?;
        tag::delete_all(cx.tx, "policy", self.name.as_str())?;
        policy::delete(cx.tx, &self.name)?;
        Ok(())
    }
}

impl Act for ListPolicies {
    type Output = Page<PolicyInfo>;
    head!("ACS::RAM::Policy", read, "ram:ListPolicies", |_s| ["policy/*".to_owned()], |_s| json!({}));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<PolicyInfo>, Failure> {
        let max = self.page.max();
        let read = max + 1;
        // The marker tells the kind, so that a page may begin in the middle of either.
        let (after_kind, after) = self.page.after().split_once('/').unwrap_or(("System", ""));
        let mut all = Vec::new();
        // Only policies of the tenant's own have tags.
        if self.kind != Some(PolicyType::Custom) && after_kind == "System" && self.tags.is_empty() {
            let mut system: Vec<_> = system::all().iter().filter(|p| p.name > after).collect();
            system.sort_by_key(|p| p.name);
            for p in system.into_iter().take(read as usize) {
                all.push(of_system(cx, p)?);
            }
        }
        if self.kind != Some(PolicyType::System) && all.len() < read as usize {
            let after = if after_kind == "Custom" { after } else { "" };
            all.extend(policy::page(cx.tx, &self.tags, after, read)?);
        }
        Ok(Page::cut(all, max, |p| format!("{}/{}", p.kind.word(), p.name)))
    }
}

impl Act for CreatePolicyVersion {
    type Output = PolicyVersion;
    head!(
        "ACS::RAM::Policy",
        write,
        "ram:CreatePolicyVersion",
        |s| on(&s.name),
        |s| json!({ "PolicyName": s.name.as_str(), "SetAsDefault": s.set_default })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<PolicyVersion, Failure> {
        check(&self.document)?;
        let info = custom(cx, &self.name)?;
        let there = versions(cx, &info)?;
        if there.len() as u64 >= VERSIONS_MAX {
            match there.iter().find(|v| !v.is_default).filter(|_| self.rotate) {
                Some(oldest) => policy::delete_version(cx.tx, &self.name, oldest.version)?,
                None => {
                    return Err(Failure::limit(Thing::PolicyVersion, "versions of a policy", VERSIONS_MAX));
                }
            }
        }
        let number = policy::add_version(cx.tx, &self.name, &self.document, cx.now)?;
        if self.set_default {
            policy::set_default(cx.tx, &self.name, number, cx.now)?;
        }
        Ok(PolicyVersion {
            version: number,
            document: self.document,
            is_default: self.set_default,
            created_at: cx.now,
        })
    }

    fn outcome(made: &PolicyVersion) -> Value {
        json!({ "versionId": format!("v{}", made.version) })
    }
}

impl Act for GetPolicyVersion {
    type Output = PolicyVersion;
    head!(
        "ACS::RAM::Policy",
        read,
        "ram:GetPolicyVersion",
        |s| on(&s.name),
        |s| json!({ "PolicyName": s.name.as_str(), "VersionId": format!("v{}", s.version) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<PolicyVersion, Failure> {
        let info = found(cx, self.kind, &self.name)?;
        version(cx, &info, self.version)
    }
}

impl Act for DeletePolicyVersion {
    type Output = ();
    head!(
        "ACS::RAM::Policy",
        write,
        "ram:DeletePolicyVersion",
        |s| on(&s.name),
        |s| json!({ "PolicyName": s.name.as_str(), "VersionId": format!("v{}", s.version) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let info = custom(cx, &self.name)?;
        if version(cx, &info, self.version)?.is_default {
            return Err(Failure::InUse {
                thing: Thing::PolicyVersion,
                name: format!("v{}", self.version),
                by: Thing::PolicyVersion,
                what: "the policy's word: it is the default version",
            });
        }
        policy::delete_version(cx.tx, &self.name, self.version)?;
        Ok(())
    }
}

impl Act for SetDefaultPolicyVersion {
    type Output = ();
    head!(
        "ACS::RAM::Policy",
        write,
        "ram:SetDefaultPolicyVersion",
        |s| on(&s.name),
        |s| json!({ "PolicyName": s.name.as_str(), "VersionId": format!("v{}", s.version) })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let info = custom(cx, &self.name)?;
        version(cx, &info, self.version)?;
        policy::set_default(cx.tx, &self.name, self.version, cx.now)?;
        Ok(())
    }
}

impl Act for ListPolicyVersions {
    type Output = Vec<PolicyVersion>;
    head!("ACS::RAM::Policy", read, "ram:ListPolicyVersions", |s| on(&s.name), |s| named(&s.name));

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Vec<PolicyVersion>, Failure> {
        let info = found(cx, self.kind, &self.name)?;
        versions(cx, &info)
    }
}

/// Compiles what is attached. A stored policy that no longer parses stops the caller (fail closed).
pub(super) fn compile(attached: Vec<rows::policy::Attached>) -> Result<Arc<PolicySet>, Failure> {
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
