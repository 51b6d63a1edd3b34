//! Effects, actions, resources.

use bailee_policy::{Kind, Phase, Verdict};

use crate::kit::{ACCOUNT, LI, OBJECT, OTHER, allows, ask, context, one, set};

fn simple(effect: &str, action: &str, resource: &str) -> String {
    one(&format!(r#""Effect":"{effect}","Action":"{action}","Resource":"{resource}""#))
}

#[test]
fn nothing_allows_until_something_does_and_a_deny_always_wins() {
    let allow = simple("Allow", "oss:Get*", "acs:oss:*:*:invoices/*");
    let deny = simple("Deny", "oss:*", "acs:oss:*:*:invoices/2026/*");
    let li = context(LI);
    let asked = |documents: &[&str], action: &str, resource: &str| {
        let set = set(Kind::Identity, documents);
        match ask(&[&set], action, resource, &li) {
            Verdict::Allow { phase: Phase::Identity, by } => format!("allow {} {}", by.policy, by.statement),
            Verdict::ExplicitDeny { phase: Phase::Identity, by } => {
                format!("deny {} {}", by.policy, by.statement)
            }
            Verdict::ImplicitDeny { phase: Phase::Identity } => "none".to_owned(),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(asked(&[], "oss:GetObject", OBJECT), "none");
    assert_eq!(asked(&[&allow], "oss:GetObject", OBJECT), "allow p1 1");
    assert_eq!(asked(&[&allow, &deny], "oss:GetObject", OBJECT), "deny p2 1");
    assert_eq!(asked(&[&deny, &allow], "oss:GetObject", OBJECT), "deny p1 1");
    assert_eq!(asked(&[&allow], "oss:PutObject", OBJECT), "none");
    assert_eq!(asked(&[&allow], "GetObject", OBJECT), "none");
    assert_eq!(asked(&[&allow], "oss:GetObject", "acs:oss:*:1000000000000001:other/x"), "none");
}

#[test]
fn actions_ignore_case_and_resources_do_not() {
    let set = set(Kind::Identity, &[&simple("Allow", "OSS:getobject", "acs:oss:*:*:invoices/A*")]);
    let li = context(LI);
    let allowed = |action, relative: &str| {
        ask(&[&set], action, &format!("acs:oss:*:{ACCOUNT}:invoices/{relative}"), &li).is_allowed()
    };
    assert!(allowed("oss:GetObject", "Ab") && allowed("Oss:GETOBJECT", "A"));
    assert!(!allowed("oss:GetObject", "ab") && !allowed("oss:GetObjects", "Ab"));
}

#[test]
fn a_role_is_the_same_in_any_case_and_a_user_is_not() {
    let li = context(LI);
    let denied = |pattern: &str, asked: &str| {
        let all = simple("Allow", "*", "*");
        let set = set(Kind::Identity, &[&all, &simple("Deny", "*", &format!("acs:ram:*:*:{pattern}"))]);
        !ask(&[&set], "sts:AssumeRole", &format!("acs:ram::{ACCOUNT}:{asked}"), &li).is_allowed()
    };
    for pattern in [
        "role/Vault-Keeper",
        "role/vault-keeper",
        "role/VAULT*",
        "*/Vault-Keeper",
        "role/?ault-keeper",
        "r*Keeper",
    ] {
        for asked in ["role/Vault-Keeper", "role/vault-keeper", "role/VAULT-KEEPER"] {
            assert!(denied(pattern, asked), "{pattern} {asked}");
        }
        assert!(!denied(pattern, "role/valet"), "{pattern}");
    }
    assert!(denied("user/Li", "user/Li") && !denied("user/Li", "user/li") && !denied("user/LI*", "user/Li"));
    assert!(denied("r*", "role/x") && !denied("role/x", "group/x"));
}

#[test]
fn a_star_stays_in_its_segment_and_crosses_slashes() {
    let li = context(LI);
    let allowed = |pattern: &str, resource: &str| {
        let set = set(Kind::Identity, &[&simple("Allow", "*", pattern)]);
        ask(&[&set], "oss:GetObject", resource, &li).is_allowed()
    };
    assert!(allowed("acs:*:*:1000000000000001:*", OBJECT));
    assert!(!allowed("acs:*:*:1000000000000009:*", OBJECT));
    assert!(allowed("acs:oss:::invoices/*", OBJECT), "empty region and account mean any");
    assert!(allowed("acs:oss:*:*:*/1.pdf", OBJECT) && allowed("*", OBJECT));
    assert!(!allowed("acs:oss:*:*:invoices", OBJECT) && !allowed("acs:oss:cn-*:*:invoices/*", OBJECT));
    assert!(allowed("acs:oss:*:*:in?oices/*", OBJECT) && !allowed("acs:oss:*:*:in?voices/*", OBJECT));
}

#[test]
fn not_action_and_not_resource_are_mirrors() {
    let statement =
        r#""Effect":"Allow","NotAction":"ram:*","NotResource":["acs:oss:*:*:secret/*","acs:oss:*:*:secret"]"#;
    let set = set(Kind::Identity, &[&one(statement)]);
    let li = context(LI);
    assert!(ask(&[&set], "oss:GetObject", OBJECT, &li).is_allowed());
    assert!(!ask(&[&set], "ram:GetUser", OBJECT, &li).is_allowed());
    assert!(!ask(&[&set], "oss:GetObject", "acs:oss:*:1000000000000001:secret/x", &li).is_allowed());
}

#[test]
fn an_identity_allow_never_reaches_another_account() {
    let set = set(Kind::Identity, &[&simple("Allow", "*", "*")]);
    let li = context(LI);
    assert!(matches!(
        ask(&[&set], "oss:GetObject", &format!("acs:oss:*:{OTHER}:invoices/x"), &li),
        Verdict::ImplicitDeny { phase: Phase::Resource }
    ));
    for everybodys in ["acs:oss:*::x", "acs:oss:*:*:x"] {
        assert!(ask(&[&set], "oss:GetObject", everybodys, &li).is_allowed(), "{everybodys}");
    }
}

#[test]
fn variables_stand_for_what_the_request_says() {
    let mut li = context(LI);
    let values: &[(&str, &[&str])] = &[
        ("acs:RequestTag/team", &["invoices"]),
        ("x:Star", &["*"]),
        ("x:Two", &["invoices", "b"]),
        ("x:Empty", &[""]),
    ];
    li.extra = values;
    let allowed = |relative: &str| {
        allows(&format!(r#""Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:{relative}""#), &li)
    };
    assert!(allowed("${acs:RequestTag/team}/2026/*"));
    assert!(allowed("${ACS:requesttag/TEAM}/*"), "keys ignore case");
    assert!(!allowed("${x:Star}"), "inserted text is no pattern");
    assert!(!allowed("${x:Two}/*"), "several values");
    assert!(allowed("${x:Two, 'invoices'}/*") && allowed("${x:None, 'invoices'}/*"));
    assert!(!allowed("${x:None}*"), "missing matches nothing");
    assert!(allowed("${x:Empty}invoices/*"));
    assert!(!allowed("invoices/${acs:SourceIp}") && !allowed("${acs:PrincipalARN}"));
    assert!(allows(
        r#""Effect":"Allow","Action":"*","Resource":"acs:oss:*:${x:None, '1000000000000001'}:*""#,
        &li
    ));
    let not = r#""Effect":"Allow","Action":"*","NotResource":"acs:oss:*:*:${x:None}*""#;
    assert!(allows(not, &li), "a pattern that matches nothing excludes nothing");
}
