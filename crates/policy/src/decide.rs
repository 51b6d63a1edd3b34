//! Deciding a request over all phases (rule X1).
//!
//! 1. The owner of the resource's account ([`Subject::Root`]) is not limited by control, identity or resource policies;
//!    a session policy, if there is one, must allow.
//! 2. Control policies must allow; they do not limit owners of accounts, also on other accounts' resources.
//! 3. The session policy, if there is one, must allow.
//! 4. Identity policies and the resource's policy together: any Deny loses, then any Allow wins. An identity Allow does not
//!    reach another account's resource; a resource whose account is empty or `*` is everybody's own. Callers without
//!    account (anonymous, services, federated) are allowed by the resource's policy only.
//!
//! INVARIANT: an explicit Deny of a phase wins over any Allow; what no statement allows is denied.

use crate::context::{Eval, Request, Subject};
use crate::set::PolicySet;
use crate::verdict::{Phase, Verdict};

/// The policies that apply, by phase. The caller hands each phase the kinds of policy that belong there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases<'a> {
    /// Control policies; none when the account has none above it.
    pub control: Option<&'a PolicySet>,
    /// The session's policy; none when the session was made without.
    pub session: Option<&'a PolicySet>,
    /// Own policies, those of groups: any order, a Deny in any loses.
    pub identity: &'a [&'a PolicySet],
    /// The policy of the bucket or key, if it has one.
    pub resource: Option<&'a PolicySet>,
}

/// Decides; allocates nothing.
///
/// ```
/// use std::sync::Arc;
/// use bailee_policy::{Context, Phases, Policy, PolicySet, Request, Subject, decide};
/// use bailee_types::{Arn, Timestamp};
/// let document = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*",
///     "Resource":"acs:oss:*:*:invoices/*","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}}]}"#;
/// let own = PolicySet::compile(vec![("readers".into(), Arc::new(Policy::parse(document).unwrap()))]);
/// let context = Context {
///     now: Timestamp::from_secs(1_767_323_045),
///     source_ip: "10.1.2.3".parse().ok(),
///     secure_transport: true,
///     mfa_present: None,
///     subject: Subject::User { account: "1000000000000001", id: "2000000000000001", name: "li" },
///     extra: &[],
/// };
/// let resource = Arn::parse("acs:oss:*:1000000000000001:invoices/1.pdf").unwrap();
/// let request = Request { action: "oss:GetObject", resource: &resource, context: &context };
/// let phases = Phases { identity: &[&own], ..Phases::default() };
/// assert!(decide(&phases, &request).is_allowed());
/// ```
pub fn decide<'a>(phases: &Phases<'a>, request: &Request<'_>) -> Verdict<'a> {
    let subject = request.context.subject;
    let is_root = matches!(subject, Subject::Root { .. });
    let is_own = subject.owns(request.resource);
    let Some(eval) = Eval::new(request) else { return unnamed(phases, is_root, is_own) };
    let limits = [(Phase::Control, phases.control.filter(|_| !is_root)), (Phase::Session, phases.session)];
    if let Some(no) = limits.into_iter().find_map(|(phase, set)| limit(phase, set?, &eval)) {
        return no;
    }
    if is_root && is_own {
        return Verdict::root();
    }
    if let Some(by) = phases.identity.iter().find_map(|set| set.denies(&eval)) {
        return Verdict::ExplicitDeny { phase: Phase::Identity, by };
    }
    if let Some(by) = phases.resource.and_then(|set| set.denies(&eval)) {
        return Verdict::ExplicitDeny { phase: Phase::Resource, by };
    }
    if is_own && let Some(by) = phases.identity.iter().find_map(|set| set.allows(&eval)) {
        return Verdict::Allow { phase: Phase::Identity, by };
    }
    if let Some(by) = phases.resource.and_then(|set| set.allows(&eval)) {
        return Verdict::Allow { phase: Phase::Resource, by };
    }
    Verdict::ImplicitDeny { phase: if is_own { Phase::Identity } else { Phase::Resource } }
}

/// Decides whether a role may be assumed; the request's action is `sts:AssumeRole` and its resource the role.
///
/// Users, sessions and owners need both sides: control and session policies and an identity Allow as for any act (here an
/// identity Allow does reach another account's role; an owner has it without a policy), and the role's trust. Services
/// and federated callers need the trust only. Anonymous callers are refused.
pub fn decide_assume_role<'a>(
    trust: &'a PolicySet,
    phases: &Phases<'a>,
    request: &Request<'_>,
) -> Verdict<'a> {
    let no = Verdict::ImplicitDeny { phase: Phase::Trust };
    let Some(eval) = Eval::new(request) else { return no };
    let trusts = || match (trust.denies(&eval), trust.allows(&eval)) {
        (Some(by), _) => Verdict::ExplicitDeny { phase: Phase::Trust, by },
        (None, Some(by)) => Verdict::Allow { phase: Phase::Trust, by },
        (None, None) => no,
    };
    let is_root = match request.context.subject {
        Subject::Anonymous => return no,
        Subject::Service(_) | Subject::Federated { .. } => return trusts(),
        Subject::Root { .. } => true,
        Subject::User { .. } | Subject::Role { .. } => false,
    };
    let limits = [(Phase::Control, phases.control.filter(|_| !is_root)), (Phase::Session, phases.session)];
    if let Some(no) = limits.into_iter().find_map(|(phase, set)| limit(phase, set?, &eval)) {
        return no;
    }
    if !is_root {
        if let Some(by) = phases.identity.iter().find_map(|set| set.denies(&eval)) {
            return Verdict::ExplicitDeny { phase: Phase::Identity, by };
        }
        if !phases.identity.iter().any(|set| set.allows(&eval).is_some()) {
            return Verdict::ImplicitDeny { phase: Phase::Identity };
        }
    }
    trusts()
}

/// A no, when a phase that must allow does not.
fn limit<'a>(phase: Phase, set: &'a PolicySet, eval: &Eval<'_, '_>) -> Option<Verdict<'a>> {
    match set.denies(eval) {
        Some(by) => Some(Verdict::ExplicitDeny { phase, by }),
        None if set.allows(eval).is_some() => None,
        None => Some(Verdict::ImplicitDeny { phase }),
    }
}

/// An action without service: no statement can match it.
fn unnamed<'a>(phases: &Phases<'a>, is_root: bool, is_own: bool) -> Verdict<'a> {
    let phase = match () {
        () if phases.control.is_some() && !is_root => Phase::Control,
        () if phases.session.is_some() => Phase::Session,
        () if is_root && is_own => return Verdict::root(),
        () if is_own => Phase::Identity,
        () => Phase::Resource,
    };
    Verdict::ImplicitDeny { phase }
}
