//! Why an act is allowed or refused, and who could do it.
//!
//! Both read policies, so both are acts of their own that need a permission.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_policy::{
    Context, Effect, Explanation, Kind, Phases, Policy, PolicySet, Request, Subject, Touch, explain,
    explain_assume_role, system,
};
use bailee_types::{Arn, BucketName, ObjectKey, RoleName, TenantId, Timestamp, UserName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::policy::PolicyType;
use super::rows::{group, policy as policy_rows, role as role_rows, user as user_rows};
use super::settings::{SecurityPreference, SelfService};
use super::{policy, role};
use crate::consent::{self, parameters};
use crate::gate::{Asked, Caller, Class, Intent, Leave, Operation, Phase, Refusal, Touches, leave};
use crate::vault::{ACL_NAME, Access, ObjectAcl, VersionOf};
use crate::{Failure, House};

/// How many roles a chain may have before its further ends are not followed.
const CHAIN_MAX: usize = 3;
/// Principals that are listed, at most.
const LISTED_MAX: usize = 10_000;

/// Whom a question is about.
#[derive(Clone, Debug)]
pub enum Whom {
    /// The account's root.
    Root,
    /// A user.
    User(UserName),
    /// A session of a role.
    Role(RoleName),
}

/// Why somebody may or may not do something.
#[derive(Clone, Debug)]
pub struct Why {
    /// The tenant.
    pub tenant: TenantId,
    /// Whom it is about.
    pub whom: Whom,
    /// `oss:GetObject`.
    pub action: String,
    /// On what.
    pub resource: Arn,
    /// From where; missing when not said.
    pub source_ip: Option<std::net::IpAddr>,
    /// Whether a second factor was shown.
    pub mfa: bool,
    /// Further keys for conditions.
    pub conditions: Vec<(String, Vec<String>)>,
}

fn asked(tenant: &TenantId, action: &'static str, detail: serde_json::Value) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::own(tenant, "access"),
        resource_type: "ACS::Bailee::Access",
        class: Class::Management { write: false },
        touches: Touches::Nothing,
        ticket: None,
        parameters: parameters(detail),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}

impl Operation for Why {
    type Output = Explanation;

    fn asks(&self) -> Asked {
        let whom = match &self.whom {
            Whom::Root => "root".to_owned(),
            Whom::User(n) => format!("user/{n}"),
            Whom::Role(n) => format!("role/{n}"),
        };
        asked(
            &self.tenant,
            "bailee:ExplainAccess",
            json!({ "as": whom, "action": self.action, "resource": self.resource.to_string() }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Explanation, Failure> {
        check_action(&self.action)?;
        let now = house.now();
        let access = house.access_of(&self.tenant, &self.resource, &[]).await?;
        let acl = object_acl(house, access.as_deref(), &self.action, &self.resource).await?;
        let taken_down = access
            .as_deref()
            .filter(|a| a.tenant == self.tenant)
            .and_then(|a| a.taken_down(&self.resource, now))
            .map(|(id, presigned)| {
                let who =
                    if presigned { ", and from addresses that the account's own people signed" } else { "" };
                format!("takedown `{id}` keeps it from the public{who}: they get 451")
            });
        let mut why = house
            .db
            .read(move |tx| {
                let mut tx = tx.tenant(&self.tenant);
                let own_rules = access.as_ref().and_then(|a| a.set.as_ref());
                let account = self.tenant.as_str();
                let prefers = SecurityPreference::load(&mut tx)?;
                let values: Vec<Vec<&str>> =
                    self.conditions.iter().map(|(_, v)| v.iter().map(String::as_str).collect()).collect();
                let extra: Vec<(&str, &[&str])> = self
                    .conditions
                    .iter()
                    .zip(&values)
                    .map(|((k, _), v)| (k.as_str(), v.as_slice()))
                    .collect();
                // Taking a role on asks its trust policy, too.
                let trust = match taken_role(&mut tx, &self.action, &self.resource)? {
                    Some(role) => Some(PolicySet::compile(vec![(
                        format!("trust policy of {}", role.name),
                        Arc::new(trust_of(&role)?),
                    )])),
                    None => None,
                };
                let answer = |subject: Subject<'_>, set: &PolicySet| {
                    let context = Context {
                        now,
                        source_ip: self.source_ip,
                        secure_transport: true,
                        mfa_present: Some(self.mfa),
                        subject,
                        extra: &extra,
                    };
                    let request =
                        Request { action: &self.action, resource: &self.resource, context: &context };
                    let own = [set];
                    let phases = Phases { identity: &own, resource: own_rules, ..Phases::default() };
                    let why = match &trust {
                        // An account's root does not take roles on.
                        Some(_) if matches!(subject, Subject::Root { .. }) => {
                            Explanation::bare_refusal(Phase::Trust)
                        }
                        Some(trust) => explain_assume_role(trust, &phases, &request),
                        None => explain(&phases, &request),
                    };
                    let user = match subject {
                        Subject::User { name, .. } => Some(name),
                        _ => None,
                    };
                    // As the gate: only what no policy says anything about.
                    let open = why.verdict == "implicitDeny" && why.phase == Phase::Identity;
                    match leave(&self.action, &self.resource, user).filter(|_| open) {
                        Some(Leave::Everybody) => why.with_leave(EVERYBODY.into()),
                        Some(Leave::Preferred { what, with_mfa })
                            if prefers.allows(what) && (self.mfa || !with_mfa) =>
                        {
                            why.with_leave(preferred(what).into())
                        }
                        _ if open && acl == ObjectAcl::PublicRead => why.with_leave(OBJECT_ACL.into()),
                        _ => why,
                    }
                };
                match &self.whom {
                    Whom::Root => Ok::<_, Failure>(answer(Subject::Root { account }, &PolicySet::default())),
                    Whom::User(name) => {
                        let user = user_rows::by_name(&mut tx, name)?
                            .ok_or_else(|| Failure::not_found(crate::Thing::User, name))?;
                        let set = policy::compile(policy_rows::on_user(&mut tx, user.id.as_str())?)?;
                        let subject = Subject::User { account, id: user.id.as_str(), name: name.as_str() };
                        Ok(answer(subject, &set))
                    }
                    Whom::Role(name) => {
                        let role = role_rows::by_name(&mut tx, name)?
                            .ok_or_else(|| Failure::not_found(crate::Thing::Role, name))?;
                        let set = policy::compile(policy_rows::on(&mut tx, "role", role.id.as_str())?)?;
                        let subject = Subject::Role {
                            account,
                            role_id: role.id.as_str(),
                            role: role.name.as_str(),
                            session: "session",
                        };
                        Ok(answer(subject, &set))
                    }
                }
            })
            .await?;
        why.taken_down = taken_down;
        Ok(why)
    }
}

const OBJECT_ACL: &str = "the object's own ACL lets everybody read it";
const EVERYBODY: &str = "everybody may do this to himself";

/// The preference in plain words.
fn preferred(what: SelfService) -> &'static str {
    match what {
        SelfService::ChangePassword => "security preference: users change their own passwords",
        SelfService::AccessKeys => "security preference: users manage their own AccessKeys",
        SelfService::MfaDevices => "security preference: users manage their own MFA devices",
    }
}

fn check_action(action: &str) -> Result<(), Failure> {
    let ok = action.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty());
    if !ok || action.len() > 128 || action.contains(['*', '?']) {
        return Err(Failure::invalid(
            "action",
            "must be one action such as oss:GetObject, without wildcards",
        ));
    }
    Ok(())
}

/// Who may do something.
#[derive(Clone, Debug)]
pub struct WhoCan {
    /// The tenant.
    pub tenant: TenantId,
    /// `oss:GetObject`.
    pub action: String,
    /// On what.
    pub resource: Arn,
}

/// Somebody who may.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Can {
    /// `root`, `user/li`, `role/reader` or `operator emp-…`.
    pub principal: String,
    /// How: groups, policies, roles taken on, or the grant, from the principal to the permission.
    pub path: Vec<String>,
    /// What must also hold, in plain words.
    pub only_if: Vec<String>,
    /// What would take it away, in plain words.
    pub unless: Vec<String>,
}

impl Operation for WhoCan {
    type Output = Vec<Can>;

    fn asks(&self) -> Asked {
        asked(
            &self.tenant,
            "bailee:ListWhoCan",
            json!({ "action": self.action, "resource": self.resource.to_string() }),
        )
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Vec<Can>, Failure> {
        check_action(&self.action)?;
        let now = house.now();
        let access = house.access_of(&self.tenant, &self.resource, &[]).await?;
        let acl = object_acl(house, access.as_deref(), &self.action, &self.resource).await?;
        house
            .db
            .read(move |tx| {
                let mut all = {
                    let mut tx = tx.tenant(&self.tenant);
                    // No policy of this account, and not root, reaches another account's resource.
                    let theirs = self.resource.account();
                    if matches!(theirs, "" | "*" | "system") || theirs == self.tenant.as_str() {
                        let world = World::load(&mut tx)?;
                        match taken_role(&mut tx, &self.action, &self.resource)? {
                            // A role is taken on by whom it trusts, and root takes none.
                            Some(role) => world.takers(&mut tx, &role, CHAIN_MAX)?,
                            None => world.who_can(&mut tx, &self.action, &self.resource, CHAIN_MAX)?,
                        }
                    } else {
                        Vec::new()
                    }
                };
                if let Some(access) = &access {
                    hear_rules(access, (&self.action, acl), &self.resource, &mut all);
                    if access.tenant == self.tenant {
                        hear_takedown(access, &self.resource, &mut all, now);
                    }
                }
                for (pseudonym, grant, until) in
                    consent::live_for(tx, &self.tenant, &self.action, &self.resource, now)?
                {
                    all.push(Can {
                        principal: format!("operator {pseudonym}"),
                        path: vec![format!("grant {grant}")],
                        only_if: vec![format!("before {}", until.iso())],
                        unless: Vec::new(),
                    });
                }
                all.sort();
                all.dedup();
                let more = all.len().saturating_sub(LISTED_MAX);
                if more > 0 {
                    // An answer that is cut says so.
                    all.truncate(LISTED_MAX);
                    all.push(Can {
                        principal: format!("and {more} more"),
                        path: Vec::new(),
                        only_if: Vec::new(),
                        unless: Vec::new(),
                    });
                }
                Ok(all)
            })
            .await
    }
}

/// The ACL of the object that a read is asked about, where ACLs may open something; of what is not there it is the usual one.
async fn object_acl(
    house: &House,
    access: Option<&Access>,
    action: &str,
    resource: &Arn,
) -> Result<ObjectAcl, Failure> {
    let reads = ["oss:GetObject", "oss:GetObjectVersion"].iter().any(|a| a.eq_ignore_ascii_case(action));
    let named = resource
        .relative()
        .split_once('/')
        .and_then(|(bucket, key)| Some((BucketName::parse(bucket).ok()?, ObjectKey::parse(key).ok()?)));
    let (Some(access), Some((bucket, key))) = (access.filter(|a| reads && a.object_acls), named) else {
        return Ok(ObjectAcl::Default);
    };
    let of = VersionOf { tenant: access.tenant.clone(), bucket, key, which: None };
    match house.object_acl(&of).await {
        Err(Failure::NotFound { .. } | Failure::DeleteMarker { .. }) => Ok(ObjectAcl::Default),
        found => found,
    }
}

/// Adds whom the resource's own rules let in, and what they deny those who are allowed.
fn hear_rules(access: &Access, (action, acl): (&str, ObjectAcl), resource: &Arn, all: &mut Vec<Can>) {
    let (mut lets, mut denies) = (Vec::new(), Vec::new());
    for (name, policy, outside) in &access.rules {
        for touch in policy.touching(action, resource) {
            let place = format!("{name}, statement {}", touch.statement);
            if touch.effect == Effect::Deny {
                denies.push(format!("{} ({place})", touch.residual.join(" and ")));
                continue;
            }
            let (everybody, mut only_if) = (*name == ACL_NAME, touch.residual);
            if everybody && acl == ObjectAcl::Private {
                continue;
            }
            if everybody {
                only_if.clear();
            }
            if !outside && resource.service() == "oss" {
                only_if.push("the caller is of this account: public access is blocked".to_owned());
            }
            let principal = if everybody { "everybody".to_owned() } else { format!("whom {name} names") };
            lets.push(Can { principal, path: vec![place], only_if, unless: Vec::new() });
        }
    }
    if acl == ObjectAcl::PublicRead {
        let path = vec!["the object's ACL".to_owned()];
        lets.push(Can { principal: "everybody".into(), path, only_if: Vec::new(), unless: Vec::new() });
    }
    all.append(&mut lets);
    // The account's root is not limited by it.
    for can in all.iter_mut().filter(|c| c.principal != "root") {
        can.unless.extend(denies.iter().cloned());
    }
}

/// Adds what a legal order takes away, and from whom.
fn hear_takedown(access: &Access, resource: &Arn, all: &mut [Can], now: Timestamp) {
    let Some((id, presigned)) = access.taken_down(resource, now) else { return };
    for can in all {
        match can.principal.as_str() {
            "everybody" => can.only_if.push(format!(
                "the caller is of this account, or its policy names him: takedown `{id}` keeps it from the public (451)"
            )),
            _ if can.principal.starts_with("whom ") => {
                can.only_if.push(format!("it names him, not everybody: takedown `{id}` keeps it from the public (451)"));
            }
            _ if presigned => can.unless.push(format!("by an address that he signed: takedown `{id}` (451)")),
            _ => {}
        }
    }
}

fn trust_of(role: &role::Role) -> Result<Policy, Failure> {
    Policy::parse_as(Kind::Trust, &role.trust).map_err(|e| {
        Failure::Damaged(format!("the trust policy of role `{}` cannot be read: {e}", role.name))
    })
}

/// The role that `sts:AssumeRole` is asked about, when it is one of this account.
fn taken_role(
    tx: &mut bailee_store::TenantTx<'_, '_>,
    action: &str,
    resource: &Arn,
) -> Result<Option<role::Role>, Failure> {
    if !action.eq_ignore_ascii_case("sts:AssumeRole") || resource.service() != "ram" {
        return Ok(None);
    }
    let name = resource.relative().strip_prefix("role/").and_then(|n| RoleName::parse(n).ok());
    name.map_or(Ok(None), |name| role_rows::by_name(tx, &name).map_err(Failure::from))
}

/// The policies that are on anybody in a tenant, parsed once for a question.
struct World {
    policies: Vec<(PolicyType, String, Arc<Policy>)>,
}

/// What one holder's policies say about the question.
#[derive(Default)]
struct Says {
    allows: Vec<(Vec<String>, Vec<String>)>,
    denied: bool,
    unless: Vec<String>,
}

impl World {
    fn load(tx: &mut bailee_store::TenantTx<'_, '_>) -> Result<Self, Failure> {
        let mut policies = Vec::new();
        for (kind, name, document) in policy_rows::all_attached(tx)? {
            let parsed = match document {
                Some(text) => Arc::new(
                    Policy::parse(&text)
                        .map_err(|e| Failure::Damaged(format!("policy `{name}` cannot be read: {e}")))?,
                ),
                None => system::policy(&name)
                    .ok_or_else(|| Failure::Damaged(format!("system policy `{name}` is not known")))?,
            };
            policies.push((kind, name, parsed));
        }
        Ok(Self { policies })
    }

    fn who_can(
        &self,
        tx: &mut bailee_store::TenantTx<'_, '_>,
        action: &str,
        resource: &Arn,
        chain: usize,
    ) -> Result<Vec<Can>, Failure> {
        // Only the statements that touch the question are looked at, and only their holders are read.
        let mut users: BTreeMap<String, Says> = BTreeMap::new();
        let mut roles: BTreeMap<String, Says> = BTreeMap::new();
        for (kind, name, policy) in &self.policies {
            let touches = policy.touching(action, resource);
            if touches.is_empty() {
                continue;
            }
            for holder in policy_rows::holders(tx, kind.word(), name)? {
                match holder.kind.as_str() {
                    "user" => users.entry(holder.id).or_default().hear(&[], name, &touches),
                    "role" => roles.entry(holder.id).or_default().hear(&[], name, &touches),
                    _ => {
                        let Some(found) = group::by_text_id(tx, &holder.id)? else { continue };
                        let through = [format!("group {}", found.name)];
                        for member in group::members(tx, &holder.id, "", u32::MAX)? {
                            users.entry(member.id.to_string()).or_default().hear(&through, name, &touches);
                        }
                    }
                }
            }
        }
        let mut out = vec![Can {
            principal: "root".into(),
            path: vec!["owner of the account".into()],
            only_if: Vec::new(),
            unless: Vec::new(),
        }];
        self.hear_leave(tx, action, resource, &mut users, &mut roles)?;
        for (id, says) in users {
            if says.denied || says.allows.is_empty() {
                continue;
            }
            if let Some(user) = user_rows::by_text_id(tx, &id)? {
                says.into_cans(&format!("user/{}", user.name), &mut out);
            }
        }
        for (id, says) in roles {
            if says.denied || says.allows.is_empty() {
                continue;
            }
            let Some(role) = role_rows::by_text_id(tx, &id)? else { continue };
            let mut own = Vec::new();
            says.into_cans(&format!("role/{}", role.name), &mut own);
            if chain > 0 {
                for taker in self.takers(tx, &role, chain - 1)? {
                    for can in &own {
                        let mut path = taker.path.clone();
                        path.push(format!("role {}", role.name));
                        path.extend(can.path.iter().cloned());
                        out.push(Can {
                            principal: taker.principal.clone(),
                            path,
                            only_if: taker.only_if.iter().chain(&can.only_if).cloned().collect(),
                            unless: taker.unless.iter().chain(&can.unless).cloned().collect(),
                        });
                    }
                }
            }
            out.extend(own);
        }
        Ok(out)
    }

    /// Adds what needs no policy; a policy that denies it wins all the same.
    fn hear_leave(
        &self,
        tx: &mut bailee_store::TenantTx<'_, '_>,
        action: &str,
        resource: &Arn,
        users: &mut BTreeMap<String, Says>,
        roles: &mut BTreeMap<String, Says>,
    ) -> Result<(), Failure> {
        let own = resource.relative().split_once('/').map(|(_, name)| name);
        match leave(action, resource, own) {
            None => {}
            Some(Leave::Everybody) => {
                let way = || (vec![EVERYBODY.to_owned()], Vec::new());
                for user in user_rows::page(tx, &[], "", u32::MAX)? {
                    users.entry(user.id.to_string()).or_default().allows.push(way());
                }
                for role in role_rows::page(tx, &[], None, "", u32::MAX)? {
                    roles.entry(role.id.to_string()).or_default().allows.push(way());
                }
            }
            Some(Leave::Preferred { what, with_mfa }) => {
                if !SecurityPreference::load(tx)?.allows(what) {
                    return Ok(());
                }
                let Some(name) = own.and_then(|n| UserName::parse(n).ok()) else { return Ok(()) };
                let Some(user) = user_rows::by_name(tx, &name)? else { return Ok(()) };
                let only_if = with_mfa.then(|| "`acs:MFAPresent` is `true`".to_owned());
                let way = (vec![preferred(what).to_owned()], only_if.into_iter().collect());
                users.entry(user.id.to_string()).or_default().allows.push(way);
            }
        }
        Ok(())
    }

    /// Who may take a role on: both the role must trust him and his policies must allow it.
    fn takers(
        &self,
        tx: &mut bailee_store::TenantTx<'_, '_>,
        role: &role::Role,
        chain: usize,
    ) -> Result<Vec<Can>, Failure> {
        let trust = trust_of(role)?;
        let arn = Arn::ram(tx.id(), &format!("role/{}", role.name.as_str().to_lowercase()));
        let touches = trust.touching("sts:AssumeRole", &arn);
        if !touches.iter().any(|t| t.effect == Effect::Allow) {
            return Ok(Vec::new());
        }
        let mut out = Vec::new();
        let account = tx.id().to_string();
        // Those whose own policies allow it, with what the trust policy asks of them in particular. An account's root does
        // not take roles on.
        for mut can in self.who_can(tx, "sts:AssumeRole", &arn, chain)? {
            let trusted = match can.principal.split_once('/') {
                Some(("user", name)) => match UserName::parse(name) {
                    Ok(name) => match user_rows::by_name(tx, &name)? {
                        Some(u) => trust.trusts(&Subject::User {
                            account: &account,
                            id: u.id.as_str(),
                            name: u.name.as_str(),
                        }),
                        None => None,
                    },
                    Err(_) => None,
                },
                Some(("role", name)) => match RoleName::parse(name) {
                    Ok(name) => match role_rows::by_name(tx, &name)? {
                        Some(r) => trust.trusts(&Subject::Role {
                            account: &account,
                            role_id: r.id.as_str(),
                            role: r.name.as_str(),
                            session: "*",
                        }),
                        None => None,
                    },
                    Err(_) => None,
                },
                _ => None,
            };
            if let Some(residual) = trusted {
                can.only_if.extend(residual);
                out.push(can);
            }
        }
        // Those who need no policy of this account: services, other accounts, identity providers.
        for (principal, only_if) in trust.trusts_outside(&account) {
            out.push(Can { principal, path: Vec::new(), only_if, unless: Vec::new() });
        }
        Ok(out)
    }
}

impl Says {
    fn hear(&mut self, through: &[String], policy: &str, touches: &[Touch]) {
        for touch in touches {
            let place = format!("policy {policy}, statement {}", touch.statement);
            match touch.effect {
                Effect::Allow => {
                    let path = through.iter().cloned().chain([place]).collect();
                    self.allows.push((path, touch.residual.clone()));
                }
                Effect::Deny if touch.residual.is_empty() => self.denied = true,
                Effect::Deny => self.unless.push(format!("{} ({place})", touch.residual.join(" and "))),
            }
        }
    }

    fn into_cans(self, principal: &str, out: &mut Vec<Can>) {
        for (path, only_if) in self.allows {
            out.push(Can { principal: principal.to_owned(), path, only_if, unless: self.unless.clone() });
        }
    }
}

/// What a refused caller gets sealed: the policies that decided, for those who may read them.
#[derive(Serialize, Deserialize)]
struct Diagnostic {
    tenant: String,
    action: String,
    resource: String,
    principal_type: String,
    principal: String,
    explicit: bool,
    phase: String,
    at_ms: i64,
    explanation: serde_json::Value,
}

/// What [`DecodeDiagnostic`] answers.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// The policy action.
    pub action: String,
    /// The resource.
    pub resource: String,
    /// `SubUser`, `AssumedRoleUser` or `Account`.
    pub principal_type: String,
    /// The principal's id or name.
    pub principal: String,
    /// Whether a statement denied it.
    pub explicit: bool,
    /// The kind of policy that decided.
    pub phase: String,
    /// When.
    pub at: Timestamp,
    /// The explanation, as [`Explanation`] is written.
    pub explanation: serde_json::Value,
}

impl House {
    /// The reasons of a refusal, sealed so that they may travel with it: to open them takes
    /// `ram:DecodeDiagnosticMessage`.
    pub fn sealed_diagnostic(&self, caller: &Caller, refusal: &Refusal) -> Option<String> {
        let tenant = caller.tenant()?.to_string();
        let explanation = refusal.explanation()?;
        let mut value = serde_json::to_value(explanation).ok()?;
        // Only what decided and what was nearest: a thousand statements do not travel in an error.
        value.as_object_mut()?.remove("statements");
        let (principal_type, principal) = match caller.principal() {
            crate::gate::Principal::User { id, .. } => ("SubUser", id.to_string()),
            crate::gate::Principal::Session(s) => ("AssumedRoleUser", format!("{}:{}", s.role, s.session)),
            _ => ("Account", tenant.clone()),
        };
        let diagnostic = Diagnostic {
            tenant,
            action: refusal.action().to_owned(),
            resource: refusal.resource().to_owned(),
            principal_type: principal_type.into(),
            principal,
            explicit: explanation.verdict == "explicitDeny",
            phase: serde_json::to_value(explanation.phase).ok()?.as_str()?.to_owned(),
            at_ms: self.now().ms(),
            explanation: value,
        };
        let plain = serde_json::to_vec(&diagnostic).ok()?;
        Some(STANDARD.encode(self.identity.diagnostics.seal(DIAGNOSTIC_AAD, &plain)))
    }
}

const DIAGNOSTIC_AAD: &[u8] = b"bailee/diagnostic/v1";
/// Characters of a sealed diagnostic that are looked at.
const DIAGNOSTIC_MAX: usize = 64 * 1024;

/// Opens the sealed reasons of a refusal of the same tenant.
#[derive(Clone, Debug)]
pub struct DecodeDiagnostic {
    /// The tenant.
    pub tenant: TenantId,
    /// What came with the refusal.
    pub message: String,
}

impl Operation for DecodeDiagnostic {
    type Output = Decoded;

    fn asks(&self) -> Asked {
        let mut asked = asked(&self.tenant, "ram:DecodeDiagnosticMessage", json!({}));
        asked.resource = Arn::ram(&self.tenant, "*");
        asked
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Decoded, Failure> {
        let wrong = || Failure::invalid("EncodedDiagnosticMessage.Format", "is not one of this account's");
        if self.message.len() > DIAGNOSTIC_MAX {
            return Err(wrong());
        }
        let bytes = STANDARD.decode(&self.message).map_err(|_| wrong())?;
        let plain = house.identity.diagnostics.open(DIAGNOSTIC_AAD, &bytes).map_err(|_| wrong())?;
        let d: Diagnostic = serde_json::from_slice(plain.expose()).map_err(|_| wrong())?;
        if d.tenant != self.tenant.as_str() {
            return Err(wrong());
        }
        Ok(Decoded {
            action: d.action,
            resource: d.resource,
            principal_type: d.principal_type,
            principal: d.principal,
            explicit: d.explicit,
            phase: d.phase,
            at: Timestamp::from_ms(d.at_ms),
            explanation: d.explanation,
        })
    }
}
