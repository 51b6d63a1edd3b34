//! What the policies say: the caller and the act in the words of the policy language.

use bailee_policy::{Context, Explanation, Phase, Phases, PolicySet, Request, Verdict, decide, explain};
use bailee_types::{Arn, Timestamp};

use super::{Asked, Caller, Class, Origin, Principal, RefusalKind, Shared};
use crate::identity::SelfService;
use crate::vault::{ACL_NAME, Access};
use crate::{Failure, House};

/// What lets somebody do without a policy what no policy denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// A password is the leave to sign in, a signature the leave to ask who one is.
    Everybody,
    /// The account's preference, if it is so set, lets a user do this to himself.
    Preferred {
        /// Which preference.
        what: SelfService,
        /// Whether a second factor must have been shown.
        with_mfa: bool,
    },
}

/// What lets a caller (`user` is his name, if he is a user) do this without a policy. The gate, `why` and `who-can` all
/// ask here, so that they cannot disagree.
pub(crate) fn leave(action: &str, resource: &Arn, user: Option<&str>) -> Option<Leave> {
    if needs_no_policy(action) {
        return Some(Leave::Everybody);
    }
    // A user may make the MFA device that he then binds to himself: it has his name.
    let (kind, what, with_mfa) = match action {
        "ram:CreateAccessKey"
        | "ram:ListAccessKeys"
        | "ram:UpdateAccessKey"
        | "ram:DeleteAccessKey"
        | "ram:GetAccessKeyLastUsed" => ("user/", SelfService::AccessKeys, false),
        "ram:CreateVirtualMFADevice" | "ram:DeleteVirtualMFADevice" => {
            ("mfa/", SelfService::MfaDevices, false)
        }
        "ram:BindMFADevice" | "ram:GetUserMFAInfo" => ("user/", SelfService::MfaDevices, false),
        // Somebody at an unlocked desk must not be able to take the second factor away with the first.
        "ram:UnbindMFADevice" | "ram:DisableVirtualMFA" => ("user/", SelfService::MfaDevices, true),
        "ram:ChangePassword" => ("user/", SelfService::ChangePassword, false),
        _ => return None,
    };
    let own = resource.service() == "ram" && resource.relative().strip_prefix(kind)? == user?;
    own.then_some(Leave::Preferred { what, with_mfa })
}

/// Acts that everybody with a password or a key may do, unless a policy denies them.
fn needs_no_policy(action: &str) -> bool {
    matches!(
        action,
        "bailee:SignIn"
            | "bailee:ShowSecondFactor"
            | "bailee:BindSecondFactor"
            | "bailee:RemoveSecondFactor"
            | "bailee:RenewRecoveryCodes"
            | "bailee:ChangePassword"
            | "bailee:ListSessions"
            | "bailee:EndSession"
            | "bailee:RememberDevice"
            | "bailee:ListDevices"
            | "bailee:ForgetDevice"
            | "sts:GetCallerIdentity"
    )
}

/// Calls `f` with the circumstances of a request.
pub(crate) fn words<T>(
    caller: &Caller,
    asked: &Asked,
    now: Timestamp,
    f: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let with = |extra: &[(&str, &[&str])]| {
        f(&Context {
            now,
            source_ip: caller.origin().source_ip.parse().ok(),
            secure_transport: caller.origin().secure,
            mfa_present: Some(caller.mfa_present()),
            subject: caller.subject(),
            extra,
        })
    };
    if asked.conditions.is_empty() {
        return with(&[]);
    }
    let values: Vec<Vec<&str>> =
        asked.conditions.iter().map(|(_, values)| values.iter().map(String::as_str).collect()).collect();
    let extra: Vec<(&str, &[&str])> =
        asked.conditions.iter().zip(&values).map(|((key, _), v)| (key.as_str(), v.as_slice())).collect();
    with(&extra)
}

/// Calls `f` with the policies of a caller, and what the resource itself says.
pub(crate) fn phases<T>(
    caller: &Caller,
    resource: Option<&PolicySet>,
    f: impl FnOnce(&Phases<'_>) -> T,
) -> T {
    let (session, identity): (Option<&PolicySet>, &[&PolicySet]) = match caller.principal() {
        Principal::User { policies, .. } => (None, &[policies]),
        Principal::Session(s) => (s.session_policy.as_deref(), &[&s.policies]),
        _ => (None, &[]),
    };
    f(&Phases { control: None, session, identity, resource })
}

/// The no that policies say to an act of the account's own people, if they do; `access` are the bucket's own rules.
pub(super) fn refuses(
    caller: &Caller,
    asked: &Asked,
    access: Option<&Access>,
    now: Timestamp,
) -> Option<RefusalKind> {
    let own_rules = access.and_then(|a| a.set.as_ref());
    let refuse = |resource: &Arn| {
        words(caller, asked, now, |context| {
            let request = Request { action: asked.action, resource, context };
            phases(caller, own_rules, |phases| of_verdict(&decide(phases, &request)))
        })
    };
    std::iter::once(&asked.resource).chain(&asked.also).find_map(refuse)
}

/// What somebody may do at most who is none of an account's people, whatever its bucket says: read, write and list objects. How a
/// bucket is set, what is retained and who may pass over that is not for him, also where a rule says `oss:*`.
const FOR_STRANGERS: [&str; 18] = [
    "oss:GetObject",
    "oss:GetObjectVersion",
    "oss:PutObject",
    "oss:DeleteObject",
    "oss:DeleteObjectVersion",
    "oss:AbortMultipartUpload",
    "oss:ListParts",
    "oss:ListObjects",
    "oss:ListObjectVersions",
    "oss:ListMultipartUploads",
    "oss:GetBucketInfo",
    "oss:RestoreObject",
    "oss:GetObjectTagging",
    "oss:PutObjectTagging",
    "oss:DeleteObjectTagging",
    "oss:GetObjectVersionTagging",
    "oss:PutObjectVersionTagging",
    "oss:DeleteObjectVersionTagging",
];

/// What of a bucket's own rules lets a caller in who is none of its account's people; where none does, perhaps the object's.
pub(super) fn shared(
    caller: &Caller,
    asked: &Asked,
    access: Option<&Access>,
    by_object: Option<Shared>,
    now: Timestamp,
) -> Result<Shared, RefusalKind> {
    let no = if caller.is_anonymous() { RefusalKind::Unsigned } else { RefusalKind::NotYours };
    let Some(access) = access else { return Err(no) };
    let outside = (access.outside.as_ref(), by_object);
    let found = let_in(caller, asked, access, outside, now).ok_or(no)?;
    if !access.is_blocked(&asked.resource, now) {
        return Ok(found);
    }
    // Whom a rule names is not the public.
    let_in(caller, asked, access, (access.named.as_ref(), None), now).ok_or(RefusalKind::LegalBlock)
}

/// What lets everybody in, were he to ask for this now.
pub(crate) fn lets_everybody_in(asked: &Asked, access: &Access, now: Timestamp) -> Option<Shared> {
    let anybody = Caller::anonymous(Origin { secure: true, ..Origin::default() });
    let by_object = access.object_acls.then_some(Shared::Object);
    let_in(&anybody, asked, access, (access.outside.as_ref(), by_object), now)
}

fn let_in(
    caller: &Caller,
    asked: &Asked,
    access: &Access,
    (rules, by_object): (Option<&PolicySet>, Option<Shared>),
    now: Timestamp,
) -> Option<Shared> {
    if asked.class != Class::Data || !asked.also.is_empty() || !FOR_STRANGERS.contains(&asked.action) {
        return None;
    }
    words(caller, asked, now, |context| {
        let request = Request { action: asked.action, resource: &asked.resource, context };
        // A policy that lets nobody in because it is public and blocked denies all the same.
        let denied = |phases: &Phases<'_>| matches!(decide(phases, &request), Verdict::ExplicitDeny { .. });
        if phases(caller, access.set.as_ref(), denied) {
            return None;
        }
        phases(caller, rules, |phases| match decide(phases, &request) {
            Verdict::Allow { phase: Phase::Resource, by } if by.policy == ACL_NAME => Some(Shared::Acl),
            Verdict::Allow { phase: Phase::Resource, .. } => Some(Shared::Policy),
            _ => by_object,
        })
    })
}

/// Why the policies say no, for the first resource that they say it about.
pub(super) fn explanation(
    caller: &Caller,
    asked: &Asked,
    access: Option<&Access>,
    now: Timestamp,
) -> Option<Explanation> {
    let own_rules = access.and_then(|a| a.set.as_ref());
    std::iter::once(&asked.resource).chain(&asked.also).find_map(|resource| {
        words(caller, asked, now, |context| {
            let request = Request { action: asked.action, resource, context };
            phases(caller, own_rules, |phases| {
                (!decide(phases, &request).is_allowed()).then(|| explain(phases, &request))
            })
        })
    })
}

/// A verdict as a refusal, if it is one.
pub(crate) fn of_verdict(verdict: &Verdict<'_>) -> Option<RefusalKind> {
    match verdict {
        Verdict::Allow { .. } => None,
        Verdict::ExplicitDeny { phase, by } => Some(RefusalKind::ExplicitDeny {
            phase: *phase,
            policy: by.policy.to_owned(),
            statement: by.statement,
        }),
        Verdict::ImplicitDeny { phase } => Some(RefusalKind::ImplicitDeny { phase: *phase }),
    }
}

impl House {
    /// Whether a caller may do without a policy what no policy denies him.
    pub(super) async fn has_leave(&self, caller: &Caller, asked: &Asked) -> Result<bool, Failure> {
        let user = match caller.principal() {
            Principal::User { name, .. } => Some(name.as_str()),
            _ => None,
        };
        match leave(asked.action, &asked.resource, user) {
            None => Ok(false),
            Some(Leave::Everybody) => Ok(true),
            Some(Leave::Preferred { with_mfa, .. }) if with_mfa && !caller.mfa_present() => Ok(false),
            Some(Leave::Preferred { what, .. }) => self.self_service_allowed(&asked.tenant, what).await,
        }
    }
}
