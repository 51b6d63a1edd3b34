//! A decision allocates nothing, whatever the policies hold.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bailee_policy::{Context, Kind, Phases, Policy, PolicySet, Request, Subject, Verdict, decide};
use bailee_types::{Arn, Timestamp};

#[test]
fn a_decision_allocates_nothing() {
    let compile = |kind, statement: &str| {
        let document = format!(r#"{{"Version":"1","Statement":[{statement}]}}"#);
        PolicySet::compile(vec![("p".to_owned(), Arc::new(Policy::parse_as(kind, &document).unwrap()))])
    };
    let wide = compile(Kind::Control, r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let own = compile(
        Kind::Identity,
        r#"{"Effect":"Allow","Action":["oss:Get*","OSS:putobject"],"Resource":"acs:oss:*:${x:Account, '1'}:home/${x:User}/*",
            "Condition":{"IpAddress":{"acs:SourceIp":["10.0.0.0/8"]},"StringLike":{"acs:PrincipalARN":"acs:ram::*:user/l?"},
            "StringEqualsIgnoreCase":{"x:User":"LI","acs:SourceIp":"10.1.2.3"},"NumericLessThan":{"x:N":10.5},
            "DateLessThan":{"acs:CurrentTime":"2030-01-01T00:00:00Z","x:Until":"2030-01-01T00:00:00+08:00"},
            "ForAllValues:StringEquals":{"x:Tags":["a","b"]},"BoolIfExists":{"acs:MFAPresent":true},"Null":{"x:None":"true"},
            "StringNotEquals":{"x:User":"${acs:SourceIp}"}}},
           {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"acs:SecureTransport":false}}}"#,
    );
    let bucket = compile(
        Kind::Bucket,
        r#"{"Effect":"Deny","NotAction":"oss:Get*","NotResource":"acs:oss:*:*:open/*","NotPrincipal":["acs:ram::1:user/li","7"]},
           {"Effect":"Allow","Action":"oss:*","Resource":"*","Principal":{"RAM":["2"]}}"#,
    );
    let extra: &[(&str, &[&str])] = &[
        ("x:user", &["li"]),
        ("x:n", &["10.25"]),
        ("x:tags", &["a", "b"]),
        ("x:until", &["2026-01-02T03:04:05Z"]),
    ];
    let context = |account| Context {
        now: Timestamp::from_secs(1_767_323_045),
        source_ip: "10.1.2.3".parse().ok(),
        secure_transport: true,
        mfa_present: Some(true),
        subject: Subject::User { account, id: "9", name: "li" },
        extra,
    };
    let phases =
        Phases { control: Some(&wide), session: Some(&wide), identity: &[&own], resource: Some(&bucket) };
    let resource = Arn::parse("acs:oss:*:1:home/li/a/b.txt").unwrap();
    for (account, action, allowed) in
        [("1", "oss:GetObject", true), ("2", "oss:GetObject", true), ("3", "oss:DeleteObject", false)]
    {
        let context = context(account);
        let request = Request { action, resource: &resource, context: &context };
        let mut verdict = None;
        let counted = allocation_counter::measure(|| verdict = Some(decide(&phases, &request)));
        assert_eq!(
            verdict.map(|v: Verdict<'_>| v.is_allowed()),
            Some(allowed),
            "{account} {action}: {verdict:?}"
        );
        assert_eq!(counted.count_total, 0, "{account} {action}");
    }
}
