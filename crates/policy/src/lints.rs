//! Findings about a policy that was understood: what it says is probably not what was meant. Nothing is ever blocked.

use serde::Serialize;

use crate::action::ActionPattern;
use crate::condition::{Condition, GLOBAL_KEYS, Known, Qualifier, Test};
use crate::document::{Effect, Policy, Statement};
use crate::error::nearest;
use crate::principal::Who;
use crate::resource::ResourcePattern;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lint {
    /// A short stable name, e.g. `over-match`.
    pub code: &'static str,
    /// The statement's number, from 1.
    pub statement: usize,
    /// What was found and what to write instead.
    pub text: String,
}

impl Policy {
    /// What is probably not meant, statement by statement.
    ///
    /// | code | finds |
    /// |---|---|
    /// | `allow-everything` | Allow `*` on `*` without a condition |
    /// | `allow-not-action`, `allow-not-resource`, `allow-not-principal` | an Allow of everything but a list |
    /// | `public` | an Allow for everybody without a condition |
    /// | `over-match` | `bucket*`, which means other buckets too |
    /// | `all-values-unguarded` | `ForAllValues` in an Allow, which holds when the key is missing |
    /// | `deny-missing-key` | `Bool` in a Deny on a key that may be missing: then nothing is denied |
    /// | `equals-star` | `*` or `?` where it is no wildcard |
    /// | `key-spelling` | an `acs:` key that RAM does not have |
    /// | `duplicate` | the same as an earlier statement |
    /// | `unreachable` | an Allow that a Deny of the same policy takes back whole |
    /// | `redundant` | an Allow that another Allow contains whole |
    ///
    /// ```
    /// let document = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:logs*"}]}"#;
    /// let lints = bailee_policy::Policy::parse(document).unwrap().lints();
    /// assert_eq!(lints[0].code, "over-match");
    /// ```
    pub fn lints(&self) -> Vec<Lint> {
        let mut found = Vec::new();
        for (i, statement) in self.statements.iter().enumerate() {
            let mut say = |code, text| found.push(Lint { code, statement: i + 1, text });
            allows_much(statement, &mut say);
            resources(statement, &mut say);
            for condition in &statement.conditions {
                conditions(self, statement, condition, &mut say);
            }
            others(self, i, statement, &mut say);
        }
        found
    }
}

type Say<'s> = dyn FnMut(&'static str, String) + 's;

fn allows_much(statement: &Statement, say: &mut Say<'_>) {
    if statement.effect != Effect::Allow {
        return;
    }
    let actions = &statement.actions;
    if actions.negated {
        let text = "`NotAction` with Allow grants every other action, also those that do not exist yet; list what is meant";
        say("allow-not-action", text.into());
    }
    let resources = statement.resources.as_ref();
    if resources.is_some_and(|r| r.negated) {
        let text =
            "`NotResource` with Allow grants every other resource, also those of later; list what is meant";
        say("allow-not-resource", text.into());
    }
    let principals = statement.principals.as_ref();
    if principals.is_some_and(|p| p.negated) {
        let text =
            "`NotPrincipal` with Allow grants everybody else, also callers without a name; list who is meant";
        say("allow-not-principal", text.into());
    }
    let is_open = statement.conditions.is_empty();
    let everything = !actions.negated
        && actions.list.iter().any(ActionPattern::is_any)
        && resources.is_some_and(|r| !r.negated && r.list.iter().any(ResourcePattern::is_any));
    if is_open && everything {
        say("allow-everything", "this allows every action on every resource".into());
    }
    let everybody = |p: &crate::principal::Principal| matches!(p.who, Who::Anyone | Who::AnyIdentity);
    if is_open && principals.is_some_and(|p| !p.negated && p.list.iter().any(everybody)) {
        say("public", "this is for everybody, of any account; name accounts or add a condition".into());
    }
}

fn resources(statement: &Statement, say: &mut Say<'_>) {
    let Some(resources) = &statement.resources else { return };
    for resource in &resources.list {
        let prefix = resource.relative.literal_prefix();
        let is_bucket = resource.service.matches("oss") && !prefix.is_empty() && !prefix.contains('/');
        if is_bucket && resource.relative.covers_all_behind(prefix) {
            say(
                "over-match",
                format!(
                    "`{}` also means every other bucket whose name begins with `{prefix}`; write `{prefix}` and `{prefix}/*`",
                    resource.text
                ),
            );
        }
    }
}

fn conditions(policy: &Policy, statement: &Statement, condition: &Condition, say: &mut Say<'_>) {
    let key = &condition.key.name;
    let operator = condition.operator;
    if operator.qualifier == Some(Qualifier::All) && statement.effect == Effect::Allow {
        let guarded = statement.conditions.iter().any(|c| {
            c.operator.test == Test::Null
                && c.key.name.eq_ignore_ascii_case(key)
                && c.texts(policy).iter().all(|v| v.eq_ignore_ascii_case("false"))
        });
        if !guarded {
            let text = format!(
                "`{operator}` also holds when `{key}` is missing; add `\"Null\": {{\"{key}\": \"false\"}}`"
            );
            say("all-values-unguarded", text);
        }
    }
    let may_be_missing = !matches!(condition.key.known, Known::CurrentTime | Known::SecureTransport);
    if statement.effect == Effect::Deny
        && operator.test == Test::Bool
        && !operator.if_exists
        && may_be_missing
    {
        let text =
            format!("nothing is denied when `{key}` is missing; write `BoolIfExists` to deny then too");
        say("deny-missing-key", text);
    }
    if matches!(operator.test, Test::Equal | Test::EqualFolded) {
        let star = |v: &String| v.replace("${*}", "").replace("${?}", "").contains(['*', '?']);
        if let Some(value) = condition.texts(policy).into_iter().find(star) {
            let text =
                format!("`{operator}` compares `{value}` letter by letter; write `StringLike` for wildcards");
            say("equals-star", text);
        }
    }
    let prefixed = |known: &str| match known.strip_suffix('/') {
        Some(_) => key.get(..known.len()).is_some_and(|k| k.eq_ignore_ascii_case(known)),
        None => key.eq_ignore_ascii_case(known),
    };
    let is_global = key.get(..4).is_some_and(|k| k.eq_ignore_ascii_case("acs:"));
    if is_global && !GLOBAL_KEYS.iter().any(|k| prefixed(k)) {
        let guess = nearest(key, GLOBAL_KEYS.iter().copied());
        let help = guess.map_or_else(String::new, |k| format!("; did you mean `{k}`?"));
        say("key-spelling", format!("no request has the key `{key}`{help}"));
    }
}

/// Findings about two statements.
fn others(policy: &Policy, i: usize, statement: &Statement, say: &mut Say<'_>) {
    let same = |a: &Statement, b: &Statement| a.effect == b.effect && words(policy, a) == words(policy, b);
    if let Some(at) = policy.statements.iter().take(i).position(|earlier| same(earlier, statement)) {
        say("duplicate", format!("this says the same as statement {}", at + 1));
        return;
    }
    if statement.effect != Effect::Allow {
        return;
    }
    let contains = |effect| {
        let mut all = policy.statements.iter().enumerate();
        all.find(|(at, other)| {
            *at != i && other.effect == effect && contains(other, statement) && !same(other, statement)
                // Of two that contain each other, the later is the one too many.
                && (effect == Effect::Deny || *at < i || !contains_both(other, statement))
        })
        .map(|(at, _)| at + 1)
    };
    if let Some(deny) = contains(Effect::Deny) {
        say("unreachable", format!("statement {deny} denies all that this allows"));
    } else if let Some(allow) = contains(Effect::Allow) {
        say("redundant", format!("statement {allow} allows all that this allows"));
    }
}

fn contains_both(a: &Statement, b: &Statement) -> bool {
    contains(a, b) && contains(b, a)
}

/// Whether `outer` matches whenever `inner` does. No is also the answer when that is not easily seen.
fn contains(outer: &Statement, inner: &Statement) -> bool {
    let negated = |s: &Statement| s.actions.negated || s.resources.as_ref().is_some_and(|r| r.negated);
    let list = |s: &Statement| {
        s.principals.as_ref().map(|p| p.list.iter().map(|p| p.text.clone()).collect::<Vec<_>>())
    };
    let not = |s: &Statement| s.principals.as_ref().is_some_and(|p| p.negated);
    if negated(outer)
        || negated(inner)
        || !outer.conditions.is_empty()
        || (list(outer), not(outer)) != (list(inner), not(inner))
    {
        return false;
    }
    let actions = inner.actions.list.iter().all(|i| outer.actions.list.iter().any(|o| o.covers(i)));
    let resources = match (&outer.resources, &inner.resources) {
        (Some(outer), Some(inner)) => inner.list.iter().all(|i| outer.list.iter().any(|o| o.covers(i))),
        (None, None) => true,
        _ => false,
    };
    actions && resources
}

/// What a statement says, in an order of its own.
fn words(policy: &Policy, statement: &Statement) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let lower =
        |a: &ActionPattern| format!("a {} {}", statement.actions.negated, a.text.to_ascii_lowercase());
    out.extend(statement.actions.list.iter().map(lower));
    if let Some(r) = &statement.resources {
        out.extend(r.list.iter().map(|p| format!("r {} {}", r.negated, p.text)));
    }
    if let Some(p) = &statement.principals {
        out.extend(p.list.iter().map(|w| format!("p {} {:?}", p.negated, w.who)));
    }
    out.extend(statement.conditions.iter().map(|c| {
        let mut values = c.texts(policy);
        values.sort();
        format!("c {} {} {values:?}", c.operator, c.key.name.to_ascii_lowercase())
    }));
    out.sort();
    out.dedup();
    out
}
