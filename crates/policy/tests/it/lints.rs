//! Lints: each finds what it is for and nothing beside.

use bailee_policy::{Kind, Policy, system};

fn codes(kind: Kind, statements: &[&str]) -> Vec<(usize, &'static str)> {
    let list: Vec<String> = statements.iter().map(|s| format!("{{{s}}}")).collect();
    let document = format!(r#"{{"Version":"1","Statement":[{}]}}"#, list.join(","));
    Policy::parse_as(kind, &document)
        .expect(&document)
        .lints()
        .into_iter()
        .map(|l| (l.statement, l.code))
        .collect()
}

fn of(statement: &str) -> Vec<&'static str> {
    codes(Kind::Identity, &[statement]).into_iter().map(|(_, c)| c).collect()
}

const GET: &str = r#""Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:logs/*""#;

#[test]
fn one_statement() {
    let with = |condition: &str| of(&format!(r#"{GET},"Condition":{condition}"#));
    let deny = |condition: &str| of(&format!(r#"{},"Condition":{condition}"#, GET.replace("Allow", "Deny")));
    assert_eq!(of(GET), [""; 0]);
    assert_eq!(of(&GET.replace("logs/*", "logs*")), ["over-match"]);
    for fine in ["logs", "logs/a*", "*", "*/x", "logs-?", "logs*/x"] {
        assert_eq!(of(&GET.replace("logs/*", fine)), [""; 0], "{fine}");
    }
    assert_eq!(
        of(r#""Effect":"Allow","NotAction":"ram:*","Resource":"acs:oss:*:*:a""#),
        ["allow-not-action"]
    );
    assert_eq!(of(r#""Effect":"Deny","NotAction":"ram:*","NotResource":"acs:oss:*:*:a""#), [""; 0]);
    assert_eq!(
        of(r#""Effect":"Allow","Action":"oss:*","NotResource":"acs:oss:*:*:a""#),
        ["allow-not-resource"]
    );
    assert_eq!(of(r#""Effect":"Allow","Action":"*","Resource":"*""#), ["allow-everything"]);
    assert_eq!(
        of(r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"acs:MFAPresent":true}}"#),
        [""; 0]
    );
    assert_eq!(with(r#"{"ForAllValues:StringLike":{"x:k":"a*"}}"#), ["all-values-unguarded"]);
    assert_eq!(with(r#"{"ForAllValues:StringLike":{"x:k":"a*"},"Null":{"X:K":"false"}}"#), [""; 0]);
    assert_eq!(
        with(r#"{"ForAllValues:StringLike":{"x:k":"a*"},"Null":{"x:k":"true"}}"#),
        ["all-values-unguarded"]
    );
    assert_eq!(deny(r#"{"ForAllValues:StringLike":{"x:k":"a*"}}"#), [""; 0]);
    assert_eq!(deny(r#"{"Bool":{"acs:MFAPresent":false}}"#), ["deny-missing-key"]);
    assert_eq!(deny(r#"{"BoolIfExists":{"acs:MFAPresent":false}}"#), [""; 0]);
    assert_eq!(deny(r#"{"Bool":{"acs:SecureTransport":false}}"#), [""; 0]);
    assert_eq!(with(r#"{"Bool":{"acs:MFAPresent":true}}"#), [""; 0]);
    assert_eq!(with(r#"{"StringEquals":{"x:k":["b","a*"]}}"#), ["equals-star"]);
    assert_eq!(with(r#"{"StringNotEqualsIgnoreCase":{"x:k":"a?"}}"#), ["equals-star"]);
    assert_eq!(with(r#"{"StringEquals":{"x:k":"a${*}"}}"#), [""; 0]);
    assert_eq!(with(r#"{"StringEquals":{"acs:SourceIP":"1.2.3.4","acs:requesttag/x":"y"}}"#), [""; 0]);
    assert_eq!(with(r#"{"IpAddress":{"acs:SourceIpp":"1.2.3.4"}}"#), ["key-spelling"]);
}

#[test]
fn several_statements() {
    let id = |statements: &[&str]| codes(Kind::Identity, statements);
    assert_eq!(id(&[GET, &GET.replace("Allow", "Deny")]), [(1, "unreachable")]);
    assert_eq!(
        id(&[GET, r#""Resource":["acs:oss:*:*:logs/*"],"Action":["OSS:getobject"],"Effect":"Allow""#]),
        [(2, "duplicate")]
    );
    assert_eq!(id(&[GET, &GET.replace("GetObject", "Get*")]), [(1, "redundant")]);
    assert_eq!(id(&[&GET.replace("GetObject", "Get*"), GET]), [(2, "redundant")]);
    assert_eq!(id(&[GET, &GET.replace("acs:oss:*:*:", "acs:oss::1:")]), [(2, "redundant")]);
    assert_eq!(id(&[&GET.replace("GetObject", "**"), &GET.replace("GetObject", "*")]), [(2, "redundant")]);
    assert_eq!(
        id(&[
            GET,
            r#""Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"acs:SecureTransport":false}}"#
        ]),
        []
    );
    assert_eq!(id(&[GET, r#""Effect":"Deny","Action":"oss:Put*","Resource":"*""#]), []);
    let list = r#""Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:logs""#;
    assert_eq!(id(&[GET, list]), []);
}

#[test]
fn principals() {
    let bucket = |principal: &str| codes(Kind::Bucket, &[&format!("{GET},{principal}")]);
    assert_eq!(bucket(r#""Principal":"*""#), [(1, "public")]);
    assert_eq!(bucket(r#""Principal":["1"]"#), []);
    assert_eq!(bucket(r#""NotPrincipal":["1"]"#), [(1, "allow-not-principal")]);
    assert_eq!(bucket(r#""Principal":"*","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"}}"#), []);
    let trust = |principal: &str| {
        codes(
            Kind::Trust,
            &[&format!(r#""Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}"#)],
        )
    };
    assert_eq!(trust(r#"{"RAM":["*"]}"#), [(1, "public")]);
    assert_eq!(trust(r#"{"Service":"ecs.aliyuncs.com"}"#), []);
}

#[test]
fn system_policies_are_clean_but_for_the_one_that_allows_everything() {
    for policy in system::all() {
        let lints = Policy::parse(policy.document).unwrap().lints();
        let wanted: &[&str] = if policy.name == "AdministratorAccess" { &["allow-everything"] } else { &[] };
        assert_eq!(lints.iter().map(|l| l.code).collect::<Vec<_>>(), wanted, "{}", policy.name);
    }
}
