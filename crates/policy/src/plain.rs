//! The obvious evaluator: every statement in turn, every rule as it stands in the contract. Tests and the fuzzer hold
//! [`crate::decide`] against it; nothing here is shared with it but the parsed document.

use bailee_types::Timestamp;

use crate::condition::{Condition, Decimal, Operator, Qualifier, Test, Wanted, truth};
use crate::context::{Request, Subject};
use crate::decide::Phases;
use crate::document::{Effect, Statement};
use crate::pattern::{Inserted, Pattern, VARS_MAX, Var};
use crate::set::{Compiled, PolicySet};
use crate::verdict::{Deciding, Phase, Verdict};

/// As [`crate::decide`], the obvious way.
pub fn decide_plainly<'a>(phases: &Phases<'a>, request: &Request<'_>) -> Verdict<'a> {
    let subject = request.context.subject;
    let owner = request.resource.account();
    let own = subject.account().is_some_and(|a| a == owner || owner.is_empty() || owner == "*");
    let is_root = matches!(subject, Subject::Root { .. });
    for (phase, set) in [(Phase::Control, phases.control), (Phase::Session, phases.session)] {
        let Some(set) = set else { continue };
        if phase == Phase::Control && is_root {
            continue;
        }
        if let Some(by) = first(set, Effect::Deny, request) {
            return Verdict::ExplicitDeny { phase, by };
        }
        if first(set, Effect::Allow, request).is_none() {
            return Verdict::ImplicitDeny { phase };
        }
    }
    if is_root && own {
        return Verdict::root();
    }
    for effect in [Effect::Deny, Effect::Allow] {
        let identity = phases.identity.iter().map(|set| (Phase::Identity, *set));
        for (phase, set) in identity.chain(phases.resource.map(|set| (Phase::Resource, set))) {
            match first(set, effect, request) {
                Some(by) if effect == Effect::Deny => return Verdict::ExplicitDeny { phase, by },
                Some(by) if phase == Phase::Resource || own => return Verdict::Allow { phase, by },
                _ => {}
            }
        }
    }
    Verdict::ImplicitDeny { phase: if own { Phase::Identity } else { Phase::Resource } }
}

fn first<'a>(set: &'a PolicySet, effect: Effect, request: &Request<'_>) -> Option<Deciding<'a>> {
    let found =
        set.statements().iter().find(|c| c.statement.effect == effect && applies(&c.statement, request));
    found.map(Compiled::deciding)
}

fn applies(statement: &Statement, request: &Request<'_>) -> bool {
    let Some((service, name)) = request.action.split_once(':') else { return false };
    let (service, name) = (service.to_ascii_lowercase(), name.to_ascii_lowercase());
    let actions = &statement.actions;
    let acts = actions.list.iter().any(|a| a.service.matches(&service) && a.name.matches(&name));
    let reaches = statement.resources.as_ref().is_none_or(|resources| {
        let arn = request.resource;
        let hit = resources.list.iter().any(|r| {
            let parts = [
                (Some(&r.service), arn.service()),
                (r.region.as_ref(), arn.region()),
                (r.account.as_ref(), arn.account()),
            ];
            parts.into_iter().all(|(pattern, text)| pattern.is_none_or(|p| like(p, text, request)))
                && if arn.service() == "ram" && arn.relative().to_ascii_lowercase().starts_with("role/") {
                    like_folded(&r.relative, arn.relative(), request)
                } else {
                    like(&r.relative, arn.relative(), request)
                }
        });
        hit != resources.negated
    });
    let means = statement.principals.as_ref().is_none_or(|principals| {
        principals.list.iter().any(|p| p.who.is(&request.context.subject)) != principals.negated
    });
    acts != actions.negated && reaches && means && statement.conditions.iter().all(|c| meets(c, request))
}

fn meets(condition: &Condition, request: &Request<'_>) -> bool {
    let values = values(&condition.key.name, condition.operator.test, request);
    let Operator { qualifier, test, negated, if_exists } = condition.operator;
    if let (Test::Null, Wanted::Flags(flags)) = (test, &condition.wanted) {
        return flags.contains(&values.is_empty());
    }
    if values.is_empty() && if_exists {
        return true;
    }
    let matches = |value: &String| hit(condition, value, request);
    match qualifier {
        None => values.iter().any(matches) != negated,
        Some(Qualifier::All) => values.iter().all(|v| matches(v) != negated),
        Some(Qualifier::Any) => values.iter().any(|v| matches(v) != negated),
    }
}

/// Whether one value of the request matches any of the policy.
fn hit(condition: &Condition, value: &str, request: &Request<'_>) -> bool {
    match (&condition.wanted, condition.operator.test) {
        (Wanted::Texts(list), Test::EqualFolded) => list.iter().any(|p| {
            let filled = variables(p, request).map(|v| p.filled(&inserted(&v)).to_lowercase());
            filled.as_deref() == Some(&*value.to_lowercase())
        }),
        (Wanted::Texts(list), _) => list.iter().any(|p| like(p, value, request)),
        (Wanted::Numbers(list), Test::Number(order)) => {
            Decimal::parse(value).is_some_and(|v| list.iter().any(|w| order.admits(v.compare(w))))
        }
        (Wanted::Dates(list), Test::Date(order)) => {
            Timestamp::parse_iso_offset(value).is_ok_and(|t| list.iter().any(|w| order.admits(t.cmp(w))))
        }
        (Wanted::Flags(list), _) => list.iter().any(|w| truth(value) == Some(*w)),
        (Wanted::Networks(list), _) => value.parse().is_ok_and(|a| list.iter().any(|n| n.holds(a))),
        _ => false,
    }
}

/// The values of a key as texts; none when it is missing.
fn values(key: &str, test: Test, request: &Request<'_>) -> Vec<String> {
    let context = request.context;
    match key.to_ascii_lowercase().as_str() {
        "acs:currenttime" if matches!(test, Test::Date(_)) => vec![context.now.iso_ms()],
        "acs:currenttime" => vec![context.now.iso()],
        "acs:securetransport" => vec![context.secure_transport.to_string()],
        "acs:mfapresent" => context.mfa_present.iter().map(ToString::to_string).collect(),
        "acs:sourceip" => context.source_ip.iter().map(|a| a.to_canonical().to_string()).collect(),
        "acs:principalarn" => match context.subject {
            Subject::Anonymous | Subject::Service(_) => Vec::new(),
            Subject::Root { account } => vec![format!("acs:ram::{account}:root")],
            Subject::User { account, name, .. } => vec![format!("acs:ram::{account}:user/{name}")],
            Subject::Role { account, role, .. } => {
                vec![format!("acs:ram::{account}:role/{}", role.to_ascii_lowercase())]
            }
            Subject::Federated { provider_arn } => vec![provider_arn.to_owned()],
        },
        key => {
            let entry = context.extra.iter().find(|(k, _)| k.to_ascii_lowercase() == key);
            entry.map_or_else(Vec::new, |(_, list)| list.iter().map(ToString::to_string).collect())
        }
    }
}

fn like(pattern: &Pattern, text: &str, request: &Request<'_>) -> bool {
    variables(pattern, request).is_some_and(|values| pattern.matches_with(text, &inserted(&values)))
}

fn like_folded(pattern: &Pattern, text: &str, request: &Request<'_>) -> bool {
    variables(pattern, request).is_some_and(|values| {
        let values: Vec<String> = values.iter().map(|v| v.to_ascii_lowercase()).collect();
        pattern.clone().lower().matches_with(&text.to_ascii_lowercase(), &inserted(&values))
    })
}

/// The values of a pattern's variables; none when one cannot be inserted.
fn variables(pattern: &Pattern, request: &Request<'_>) -> Option<Vec<String>> {
    let one = |var: &Var| match values(&var.key, Test::Equal, request).as_slice() {
        [only] => Some(only.clone()),
        _ => var.default.as_deref().map(str::to_owned),
    };
    pattern.vars().iter().map(one).collect()
}

fn inserted(values: &[String]) -> Inserted<'_> {
    let mut all = [""; VARS_MAX];
    all.iter_mut().zip(values).for_each(|(place, value)| *place = value);
    all
}
