//! Against Cedar: random policies translated into its language must decide the same.
//!
//! Left out, because Cedar has no counterpart: `?` and variables in patterns, texts without case, other accounts. A key is
//! always guarded by `has`, since a Cedar policy that errs is skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "shared/cases.rs"]
mod cases;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use bailee_policy::{Kind, Policy, PolicySet};
use cases::{Asked, Condition, Dice, NOW, RAM, Shared, Statement, asked, statement};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, RestrictedExpression as Expr};

const SETS: usize = 1_250;
const REQUESTS: usize = 80;

#[test]
fn cedar_decides_the_same() {
    let authorizer = Authorizer::new();
    let nobody = Entities::empty();
    let someone = EntityUid::from_str("U::\"u\"").unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..SETS as u64 {
        let mut dice = Dice(seed);
        let own: Vec<Statement> =
            (0..=dice.below(8)).map(|_| statement(&mut dice, Shared::Cedar, false)).collect();
        let open: Vec<Statement> =
            (0..dice.below(4)).map(|_| statement(&mut dice, Shared::Cedar, true)).collect();
        let compile = |kind, statements: &[Statement]| {
            let policy = Policy::parse_as(kind, &RAM.document(statements)).unwrap();
            PolicySet::compile(vec![("p".to_owned(), Arc::new(policy))])
        };
        let identity = compile(Kind::Identity, &own);
        let resource = (!open.is_empty()).then(|| compile(Kind::Bucket, &open));
        let text: String = own.iter().chain(&open).map(cedar_statement).collect();
        let theirs = cedar_policy::PolicySet::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        for _ in 0..REQUESTS {
            let asked = asked(&mut dice, Shared::Cedar);
            let ours = asked.decide(&[&identity], resource.as_ref());
            let request = cedar_policy::Request::new(
                someone.clone(),
                someone.clone(),
                someone.clone(),
                context(&asked),
                None,
            );
            let answer = authorizer.is_authorized(&request.unwrap(), &theirs, &nobody);
            assert_eq!(answer.diagnostics().errors().count(), 0, "{text}");
            let cedar = match (answer.decision(), answer.diagnostics().reason().next()) {
                (Decision::Allow, _) => "Allowed",
                (Decision::Deny, Some(_)) => "ExplicitlyDenied",
                (Decision::Deny, None) => "ImplicitlyDenied",
            };
            assert_eq!(
                ours,
                cedar,
                "seed {seed}: {} {:?} in\n{}\n{text}",
                asked.action,
                asked.resource,
                RAM.document(&own)
            );
            *counts.entry(ours).or_default() += 1;
        }
    }
    let total: usize = counts.values().sum();
    println!("{total} cases against Cedar: {counts:?}");
    assert!(total >= 100_000 && counts.len() == 3 && counts.values().all(|n| *n > total / 50), "{counts:?}");
}

fn context(asked: &Asked) -> Context {
    let (service, action) = asked.action.split_once(':').unwrap();
    let text = |t: &str| Expr::new_string(t.to_owned());
    let mut pairs = vec![
        ("service", text(&service.to_lowercase())),
        ("action", text(&action.to_lowercase())),
        ("user", text(asked.user)),
        ("SecureTransport", Expr::new_bool(asked.secure)),
        ("now", Expr::new_datetime(NOW)),
    ];
    pairs.extend(["r0", "r1", "r2", "r3"].into_iter().zip(asked.resource).map(|(k, v)| (k, text(v))));
    pairs.extend(asked.mfa.map(|v| ("MFAPresent", Expr::new_bool(v))));
    pairs.extend(asked.ip.map(|v| ("SourceIp", Expr::new_ip(v))));
    pairs.extend(asked.a.map(|v| ("a", text(v))));
    pairs.extend(asked.b.map(|v| ("b", text(v))));
    pairs.extend(asked.n.map(|v| ("n", Expr::new_long(v))));
    if !asked.s.is_empty() {
        pairs.push(("s", Expr::new_set(asked.s.iter().map(|v| text(v)))));
    }
    Context::from_pairs(pairs.into_iter().map(|(k, v)| (k.to_owned(), v))).unwrap()
}

fn cedar_statement(s: &Statement) -> String {
    let like = |field: &str, pattern: &str| match pattern {
        "*" => "true".to_owned(),
        p => format!("context.{field} like \"{p}\""),
    };
    let any = |list: Vec<String>| format!("({})", list.join(" || "));
    let action = |a: &&str| {
        let (service, name) = a.split_once(':').unwrap_or(("*", "*"));
        format!("({} && {})", like("service", &service.to_lowercase()), like("action", &name.to_lowercase()))
    };
    let resource = |r: &[&str; 4]| {
        let parts: Vec<String> = ["r0", "r1", "r2", "r3"].iter().zip(r).map(|(f, p)| like(f, p)).collect();
        format!("({})", parts.join(" && "))
    };
    let not = |yes| if yes { "!" } else { "" };
    let mut all = vec![
        format!("{}{}", not(s.not_action), any(s.actions.iter().map(action).collect())),
        format!("{}{}", not(s.not_resource), any(s.resources.iter().map(resource).collect())),
    ];
    all.extend(s.principals.iter().map(|list| any(list.iter().map(|p| like("user", p)).collect())));
    all.extend(s.conditions.iter().map(cedar_condition));
    let effect = if s.deny { "forbid" } else { "permit" };
    format!("{effect}(principal, action, resource) when {{ {} }};\n", all.join(" && "))
}

fn cedar_condition(c: &Condition) -> String {
    let field = match c.key {
        "acs:CurrentTime" => "now",
        key => key.split_once(':').unwrap().1,
    };
    let has = format!("context has {field}");
    let quoted: Vec<String> = c.values.iter().map(|v| format!("\"{v}\"")).collect();
    let one = |v: &&str| match c.operator {
        "StringEquals" | "StringNotEquals" => format!("context.{field} == \"{v}\""),
        "StringLike" | "StringNotLike" => format!("context.{field} like \"{v}\""),
        "IpAddress" | "NotIpAddress" => format!("context.{field}.isInRange(ip(\"{v}\"))"),
        "Bool" => format!("context.{field} == {v}"),
        name => {
            let comparison = match name.trim_start_matches("Numeric").trim_start_matches("Date") {
                "LessThan" => "<",
                "LessThanEquals" => "<=",
                "GreaterThan" => ">",
                "GreaterThanEquals" => ">=",
                _ => "==",
            };
            let value = if field == "now" { format!("datetime(\"{v}\")") } else { (*v).to_owned() };
            format!("context.{field} {comparison} {value}")
        }
    };
    let set = format!("[{}]", quoted.join(", "));
    match (c.qualifier, c.operator) {
        (_, "Null") if c.values == ["true"] => format!("!({has})"),
        (_, "Null") => format!("({has})"),
        ("ForAnyValue:", "StringEquals") => format!("({has} && context.{field}.containsAny({set}))"),
        ("ForAnyValue:", _) => format!("({has} && !({set}.containsAll(context.{field})))"),
        ("ForAllValues:", "StringEquals") => format!("(!({has}) || {set}.containsAll(context.{field}))"),
        ("ForAllValues:", _) => format!("(!({has}) || !(context.{field}.containsAny({set})))"),
        (_, operator) => {
            let hit = format!("({})", c.values.iter().map(one).collect::<Vec<_>>().join(" || "));
            match (operator.contains("Not"), c.if_exists) {
                (false, false) => format!("({has} && {hit})"),
                (false, true) => format!("(!({has}) || {hit})"),
                (true, _) => format!("(!({has}) || !{hit})"),
            }
        }
    }
}
