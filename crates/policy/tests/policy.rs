//! Decisions and refusals as a person meets them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bailee_policy::{Decision, Policy, PolicySet, Request};
use bailee_types::Arn;
use proptest::prelude::*;

fn set(documents: &[&str]) -> PolicySet {
    let named = documents.iter().enumerate();
    PolicySet::compile(
        named.map(|(i, d)| (format!("p{}", i + 1), Arc::new(Policy::parse(d).unwrap()))).collect(),
    )
}

fn one(effect: &str, action: &str, resource: &str) -> String {
    format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}]}}"#
    )
}

fn decide(set: &PolicySet, action: &str, resource: &str) -> Decision {
    let arn = Arn::parse(resource).unwrap();
    let request = Request { action, resource: &arn };
    let decision = set.decide(&request);
    assert_eq!(decision, set.decide_plainly(&request), "{action} {resource}");
    decision
}

const OBJECT: &str = "acs:oss:*:1000000000000001:invoices/2026/1.pdf";

#[test]
fn nothing_allows_until_something_does_and_a_deny_always_wins() {
    let allow = one("Allow", "oss:Get*", "acs:oss:*:*:invoices/*");
    let deny = one("Deny", "oss:*", "acs:oss:*:*:invoices/2026/*");
    assert!(matches!(decide(&set(&[]), "oss:GetObject", OBJECT), Decision::ImplicitDeny { nearest: None }));
    assert!(
        matches!(decide(&set(&[&allow]), "oss:GetObject", OBJECT), Decision::Allow { by } if &*by.policy == "p1" && by.statement == 1)
    );
    assert!(
        matches!(decide(&set(&[&allow, &deny]), "oss:GetObject", OBJECT), Decision::ExplicitDeny { by } if &*by.policy == "p2")
    );
    assert!(matches!(decide(&set(&[&deny, &allow]), "oss:GetObject", OBJECT), Decision::ExplicitDeny { .. }));
    assert!(matches!(
        decide(&set(&[&allow]), "oss:PutObject", OBJECT),
        Decision::ImplicitDeny { nearest: None }
    ));
    assert!(matches!(
        decide(&set(&[&allow]), "oss:GetObject", "acs:oss:*:1000000000000001:other/x"),
        Decision::ImplicitDeny { nearest: Some(_) }
    ));
}

#[test]
fn actions_ignore_case_and_resources_do_not() {
    let s = set(&[&one("Allow", "OSS:getobject", "acs:oss:*:*:invoices/A*")]);
    assert!(matches!(
        decide(&s, "oss:GetObject", "acs:oss:*:1000000000000001:invoices/Ab"),
        Decision::Allow { .. }
    ));
    assert!(matches!(
        decide(&s, "oss:GetObject", "acs:oss:*:1000000000000001:invoices/ab"),
        Decision::ImplicitDeny { .. }
    ));
}

#[test]
fn a_star_stays_in_its_segment_and_crosses_slashes() {
    let s = set(&[&one("Allow", "*", "acs:*:*:1000000000000001:*")]);
    assert!(matches!(decide(&s, "oss:GetObject", OBJECT), Decision::Allow { .. }));
    assert!(matches!(
        decide(&s, "oss:GetObject", "acs:oss:*:1000000000000002:a/b"),
        Decision::ImplicitDeny { .. }
    ));
    let s = set(&[&one("Allow", "oss:GetObject", "acs:oss::: invoices".replace(' ', "").as_str())]);
    assert!(matches!(
        decide(&s, "oss:GetObject", "acs:oss:*:1000000000000009:invoices"),
        Decision::Allow { .. }
    ));
}

#[test]
fn not_action_and_not_resource_are_mirrors() {
    let s = set(&[
        r#"{"Version":"1","Statement":[{"Effect":"Allow","NotAction":"ram:*","NotResource":["acs:oss:*:*:secret/*","acs:oss:*:*:secret"]}]}"#,
    ]);
    assert!(matches!(decide(&s, "oss:GetObject", OBJECT), Decision::Allow { .. }));
    assert!(matches!(decide(&s, "ram:GetUser", OBJECT), Decision::ImplicitDeny { .. }));
    assert!(matches!(
        decide(&s, "oss:GetObject", "acs:oss:*:1000000000000001:secret/x"),
        Decision::ImplicitDeny { .. }
    ));
}

#[test]
fn a_document_that_is_not_understood_is_refused_whole_and_says_where() {
    let cases = [
        ("", "EOF while parsing a value"),
        ("[]", "invalid type: sequence, expected a policy: an object with `Version` and `Statement`"),
        ("{}", "the policy has no `Version`; it must be \"1\""),
        (r#"{"Version":"2","Statement":[]}"#, "`Version` is `2`; it must be \"1\""),
        (r#"{"Version":"1","Statement":[]}"#, "`Statement` is empty; a policy needs at least one statement"),
        (r#"{"Version":"1","Id":"x"}"#, "`Id` is not a member of a policy"),
        (r#"{"Version":"1","Version":"1"}"#, "`Version` stands there twice"),
        (
            r#"{"Version":"1","Statement":[{"Effect":"Permit"}]}"#,
            "`Effect` is `Permit`; it must be `Allow` or `Deny`",
        ),
        (
            r#"{"Version":"1","Statement":[{"Effect":"allow"}]}"#,
            "`Effect` is `allow`; it must be `Allow` or `Deny`; did you mean `Allow`?",
        ),
        (
            r#"{"Version":"1","Statement":[{"Action":[]}]}"#,
            "the list is empty; it needs an action such as `oss:GetObject`",
        ),
        (
            r#"{"Version":"1","Statement":[{"Action":"GetObject"}]}"#,
            "the action `GetObject` has no service; write `service:Name`, or `*` for all",
        ),
        (
            r#"{"Version":"1","Statement":[{"Action":"oss:Get Object"}]}"#,
            "the action `oss:Get Object` holds a character that no action has",
        ),
        (
            r#"{"Version":"1","Statement":[{"Action":"*","NotAction":"*"}]}"#,
            "a statement has exactly one of `Action` and `NotAction`",
        ),
        (
            r#"{"Version":"1","Statement":[{"Resource":"invoices"}]}"#,
            "the resource `invoices` has not the five parts acs:service:region:account:resource",
        ),
        (
            r#"{"Version":"1","Statement":[{"Resource":"acs:oss:*:*:${acs:x}"}]}"#,
            "the resource holds `${acs:x}`; variables are not offered yet, write `${$}` for a dollar sign",
        ),
        (
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}]}"#,
            "`Condition` is not offered yet, so this policy is refused whole: without its condition it would allow or deny more than it says",
        ),
        (
            r#"{"Version":"1","Statement":[{"Principal":"*"}]}"#,
            "`Principal` belongs into trust, bucket and key policies, not into a user's policy",
        ),
        (
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*"}]}"#,
            "the statement has no `Resource` or `NotResource`",
        ),
        (
            r#"{"Version":"1","Statement":[{"Action":7}]}"#,
            "invalid type: integer `7`, expected an action such as `oss:GetObject`, or a list of them",
        ),
        (
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]} x"#,
            "trailing characters",
        ),
    ];
    for (document, wanted) in cases {
        let error = Policy::parse(document).unwrap_err();
        let place = format!("line {}, column {}: ", error.line(), error.column());
        assert_eq!(error.to_string().strip_prefix(&place), Some(wanted), "{document}");
    }
    let placed = Policy::parse("{\"Version\": \"1\",\n  \"Stmt\": []}").unwrap_err();
    assert_eq!((placed.line(), placed.column()), (2, 8));
    let long = one("Allow", "*", &format!("acs:oss:*:*:{}", "x".repeat(7000)));
    assert!(Policy::parse(&long).unwrap_err().to_string().contains("at most 6144 are allowed"));
}

proptest! {
    #[test]
    fn the_index_agrees_with_looking_at_every_statement(
        docs in proptest::collection::vec(
            ("(Allow|Deny)", "(oss|ram|\\*|o\\?s):(Get\\*|GetObject|\\*|Put?Object)", "acs:(oss|ram|\\*):(|\\*):(|\\*|1000000000000001):(a|b|\\*|a\\*|[ab]/[xy\\*]{1,3}|\\*/x|\\?/x)"), 0..12),
        action in "(oss|ram):(GetObject|PutObject|ListUsers)",
        resource in "acs:(oss|ram):\\*:(1000000000000001|1000000000000002):(a|b|ab|[ab]/[xy]{1,3})",
    ) {
        let documents: Vec<String> = docs.iter().map(|(e, a, r)| one(e, a, r)).collect();
        let refs: Vec<&str> = documents.iter().map(String::as_str).collect();
        decide(&set(&refs), &action, &resource);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        let _ = Policy::parse(&text);
    }
}
