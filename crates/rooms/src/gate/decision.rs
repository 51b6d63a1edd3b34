//! What the policies say: the caller and the act in the words of the policy language.

use bailee_policy::{Context, Explanation, Phases, PolicySet, Request, Verdict, decide, explain};
use bailee_types::{Arn, TenantId, Timestamp};

use super::{Asked, Caller, Principal, RefusalKind};
use crate::identity::SelfService;
use crate::{Failure, House};

/// Acts that everybody with a password or a key may do, unless a policy denies them.
pub(super) fn needs_no_policy(action: &str) -> bool {
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

/// Calls `f` with the policies of a caller.
pub(crate) fn phases<T>(caller: &Caller, f: impl FnOnce(&Phases<'_>) -> T) -> T {
    let (session, identity): (Option<&PolicySet>, &[&PolicySet]) = match caller.principal() {
        Principal::User { policies, .. } => (None, &[policies]),
        Principal::Session(s) => (s.session_policy.as_deref(), &[&s.policies]),
        _ => (None, &[]),
    };
    f(&Phases { control: None, session, identity, resource: None })
}

/// The no that policies say to an act, if they do.
pub(super) fn refuses(caller: &Caller, asked: &Asked, now: Timestamp) -> Option<RefusalKind> {
    let refuse = |resource: &Arn| {
        words(caller, asked, now, |context| {
            let request = Request { action: asked.action, resource, context };
            phases(caller, |phases| of_verdict(&decide(phases, &request)))
        })
    };
    std::iter::once(&asked.resource).chain(&asked.also).find_map(refuse)
}

/// Why the policies say no, for the first resource that they say it about.
pub(super) fn explanation(caller: &Caller, asked: &Asked, now: Timestamp) -> Option<Explanation> {
    std::iter::once(&asked.resource).chain(&asked.also).find_map(|resource| {
        words(caller, asked, now, |context| {
            let request = Request { action: asked.action, resource, context };
            phases(caller, |phases| {
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
    /// Whether a tenant lets its users do this to themselves.
    pub(super) async fn prefers(&self, tenant: &TenantId, own: Option<SelfService>) -> Result<bool, Failure> {
        match own {
            None => Ok(false),
            Some(what) => self.self_service_allowed(tenant, what).await,
        }
    }
}
