//! Operators, qualifiers, missing keys (rules P3, W1, W2).

use bailee_policy::{Context, Subject};
use bailee_types::Timestamp;

use crate::kit::{LI, allows, context};

/// Whether a condition holds with these values of `x:k`; none: the key is missing.
fn holds(operator: &str, wanted: &str, values: &[&str]) -> bool {
    let extra: &[(&str, &[&str])] = &[("X:K", values)];
    let mut li = context(LI);
    li.extra = extra;
    condition(&format!(r#"{{"{operator}":{{"x:k":{wanted}}}}}"#), &li)
}

fn condition(condition: &str, context: &Context<'_>) -> bool {
    allows(&format!(r#""Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}"#), context)
}

#[test]
fn each_operator_compares_as_its_name_says() {
    #[rustfmt::skip]
    let table: &[(&str, &str, &str, bool)] = &[
        ("StringEquals", r#""a""#, "a", true), ("StringEquals", r#""a""#, "A", false), ("StringEquals", r#""a*""#, "ab", false),
        ("StringEquals", r#"["a","b"]"#, "b", true), ("StringEquals", "5", "5", true), ("StringEquals", "true", "true", true),
        ("StringNotEquals", r#""a""#, "a", false), ("StringNotEquals", r#""a""#, "b", true),
        ("StringNotEquals", r#"["a","b"]"#, "b", false), ("StringNotEquals", r#"["a","b"]"#, "c", true),
        ("StringEqualsIgnoreCase", r#""Ab""#, "aB", true), ("StringEqualsIgnoreCase", r#""É""#, "é", true),
        ("StringNotEqualsIgnoreCase", r#""Ab""#, "aB", false), ("StringNotEqualsIgnoreCase", r#""Ab""#, "c", true),
        ("StringLike", r#""a*""#, "a", true), ("StringLike", r#""a?""#, "a", false), ("StringLike", r#""a?""#, "a中", true),
        ("StringLike", r#""a${*}""#, "a*", true), ("StringLike", r#""a${*}""#, "ab", false), ("StringLike", r#""A*""#, "ab", false),
        ("StringNotLike", r#""a*""#, "ab", false), ("StringNotLike", r#""a*""#, "b", true),
        ("NumericEquals", "5", "5.0", true), ("NumericEquals", r#""5""#, "05", true), ("NumericEquals", "5", "five", false),
        ("NumericNotEquals", "5", "6", true), ("NumericNotEquals", "5", "5", false), ("NumericNotEquals", "5", "x", true),
        ("NumericLessThan", "10", "9.99", true), ("NumericLessThan", "10", "10", false), ("NumericLessThan", "10", "x", false),
        ("NumericLessThanEquals", "10", "10", true), ("NumericLessThanEquals", "10", "10.01", false),
        ("NumericGreaterThan", "-1", "0", true), ("NumericGreaterThan", "-1", "-1.5", false),
        ("NumericGreaterThanEquals", "[5, 50]", "7", true), ("NumericGreaterThanEquals", "5", "4", false),
        ("NumericEquals", "0.1", "0.10000000000000000000000000000000001", false),
        ("DateEquals", r#""2026-01-02T03:04:05Z""#, "2026-01-02T11:04:05+08:00", true),
        ("DateNotEquals", r#""2026-01-02T03:04:05Z""#, "2026-01-02T03:04:06Z", true),
        ("DateLessThan", r#""2026-01-02T03:04:05Z""#, "2026-01-02T03:04:04.999Z", true),
        ("DateLessThanEquals", r#""2026-01-02T03:04:05Z""#, "2026-01-02T03:04:05Z", true),
        ("DateGreaterThan", r#""2026-01-02T03:04:05+08:00""#, "2026-01-01T19:04:05Z", false),
        ("DateGreaterThanEquals", r#""2026-01-02T03:04:05+08:00""#, "2026-01-01T19:04:05Z", true),
        ("DateLessThan", r#""2026-01-02T03:04:05Z""#, "yesterday", false),
        ("Bool", "true", "TRUE", true), ("Bool", r#""False""#, "false", true), ("Bool", "true", "1", false), ("Bool", "false", "1", false),
        ("IpAddress", r#""10.0.0.0/8""#, "10.1.2.3", true), ("IpAddress", r#""10.0.0.0/8""#, "::ffff:10.1.2.3", true),
        ("IpAddress", r#"["10.0.0.0/8","2001:db8::/32"]"#, "2001:db8::1", true), ("IpAddress", r#""10.0.0.0/8""#, "ten", false),
        ("NotIpAddress", r#""10.0.0.0/8""#, "11.0.0.1", true), ("NotIpAddress", r#""10.0.0.0/8""#, "10.0.0.1", false),
        ("NotIpAddress", r#""10.0.0.0/8""#, "ten", true), ("NotIpAddress", r#""10.0.0.0/8""#, "::1", true),
        ("Null", "true", "", false), ("Null", "false", "", true), ("Null", r#""false""#, "x", true),
    ];
    for (operator, wanted, value, result) in table {
        assert_eq!(holds(operator, wanted, &[value]), *result, "{operator} {wanted} {value}");
    }
}

#[test]
fn a_missing_key_does_what_the_table_says() {
    let positive = ["StringEquals", "StringEqualsIgnoreCase", "StringLike"];
    let negated = ["StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike"];
    for (operators, plain) in [(positive, false), (negated, true)] {
        for operator in operators {
            for (form, result) in [
                (operator.to_owned(), plain),
                (format!("{operator}IfExists"), true),
                (format!("ForAllValues:{operator}"), true),
                (format!("ForAnyValue:{operator}"), false),
                (format!("ForAllValues:{operator}IfExists"), true),
                (format!("ForAnyValue:{operator}IfExists"), true),
            ] {
                assert_eq!(holds(&form, r#""a""#, &[]), result, "{form}");
            }
        }
    }
    for (operator, wanted, result) in [
        ("NumericEquals", "1", false),
        ("NumericNotEquals", "1", true),
        ("DateLessThan", r#""2026-01-02T03:04:05Z""#, false),
        ("DateNotEquals", r#""2026-01-02T03:04:05Z""#, true),
        ("Bool", "false", false),
        ("BoolIfExists", "false", true),
        ("IpAddress", r#""0.0.0.0/0""#, false),
        ("NotIpAddress", r#""0.0.0.0/0""#, true),
        ("Null", "true", true),
        ("Null", "false", false),
        ("Null", "[true, false]", true),
    ] {
        assert_eq!(holds(operator, wanted, &[]), result, "{operator}");
    }
}

#[test]
fn qualifiers_apply_the_operator_with_its_negation_to_each_value() {
    #[rustfmt::skip]
    let table: &[(&str, &[&str], bool)] = &[
        ("ForAnyValue:StringEquals", &["a", "z"], true), ("ForAnyValue:StringEquals", &["y", "z"], false),
        ("ForAllValues:StringEquals", &["a", "b"], true), ("ForAllValues:StringEquals", &["a", "z"], false),
        // RustFS advisory v9cp: the qualifier stands outside the negation.
        ("ForAnyValue:StringNotEquals", &["a", "z"], true), ("ForAnyValue:StringNotEquals", &["a", "b"], false),
        ("ForAllValues:StringNotEquals", &["y", "z"], true), ("ForAllValues:StringNotEquals", &["a", "z"], false),
        ("StringEquals", &["a", "z"], true), ("StringEquals", &["y", "z"], false),
        ("StringNotEquals", &["a", "z"], false), ("StringNotEquals", &["y", "z"], true),
        ("ForAllValues:StringNotEquals", &["a"], false), ("ForAnyValue:StringNotEquals", &["z"], true),
    ];
    for (operator, values, result) in table {
        assert_eq!(holds(operator, r#"["a","b"]"#, values), *result, "{operator} {values:?}");
    }
}

#[test]
fn operators_and_keys_are_all_needed_and_one_value_is_enough() {
    let li = context(LI);
    let yes = r#""IpAddress":{"acs:SourceIp":["192.0.2.1","10.0.0.0/8"]}"#;
    assert!(condition(&format!("{{{yes}}}"), &li));
    assert!(condition(&format!(r#"{{{yes},"Bool":{{"acs:SecureTransport":true}}}}"#), &li));
    assert!(!condition(&format!(r#"{{{yes},"Bool":{{"acs:SecureTransport":false}}}}"#), &li));
    let two = r#"{"StringLike":{"acs:PrincipalArn":"acs:ram:*:*:user/l*","acs:SourceIp":"10.1.2.*"}}"#;
    assert!(condition(two, &li));
    assert!(!condition(&two.replace("user/l*", "user/w*"), &li));
}

#[test]
fn the_keys_of_every_request_are_there() {
    let mut c = context(LI);
    let cases = [
        (r#"{"DateLessThan":{"acs:currenttime":"2026-01-02T03:04:06Z"}}"#, true),
        (r#"{"DateGreaterThan":{"acs:CurrentTime":"2026-01-02T11:04:05+08:00"}}"#, false),
        (r#"{"StringEquals":{"acs:CurrentTime":"2026-01-02T03:04:05Z"}}"#, true),
        (r#"{"Bool":{"acs:SecureTransport":"true"}}"#, true),
        (r#"{"StringEquals":{"acs:SecureTransport":"true"}}"#, true),
        (r#"{"IpAddress":{"ACS:sourceip":"10.1.2.3"}}"#, true),
        (r#"{"StringEquals":{"acs:SourceIp":"10.1.2.3"}}"#, true),
        (r#"{"StringEquals":{"acs:PrincipalARN":"acs:ram::1000000000000001:user/li"}}"#, true),
        (r#"{"Null":{"acs:MFAPresent":"true"}}"#, true),
        (r#"{"Bool":{"acs:MFAPresent":"false"}}"#, false),
        (r#"{"BoolIfExists":{"acs:MFAPresent":"true"}}"#, true),
    ];
    for (text, result) in cases {
        assert_eq!(condition(text, &c), result, "{text}");
    }
    c.mfa_present = Some(true);
    assert!(condition(r#"{"Bool":{"acs:MFAPresent":"true"}}"#, &c));
    c.source_ip = "::ffff:10.1.2.3".parse().ok();
    assert!(condition(
        r#"{"IpAddress":{"acs:SourceIp":"10.1.2.3"},"StringEquals":{"acs:SourceIp":"10.1.2.3"}}"#,
        &c
    ));
    c.source_ip = None;
    assert!(!condition(r#"{"IpAddress":{"acs:SourceIp":"0.0.0.0/0"}}"#, &c));
    c.now = Timestamp::from_ms(1);
    assert!(condition(r#"{"DateGreaterThan":{"acs:CurrentTime":"1970-01-01T00:00:00Z"}}"#, &c));
    c.subject = Subject::Role { account: "1000000000000001", role_id: "3", role: "reader", session: "s1" };
    assert!(condition(
        r#"{"StringEquals":{"acs:PrincipalARN":"acs:ram::1000000000000001:role/reader"}}"#,
        &c
    ));
}

#[test]
fn a_long_name_goes_to_the_heap_and_still_compares() {
    let name = "n".repeat(400);
    let c = context(Subject::User { account: "1000000000000001", id: "2", name: &name });
    assert!(condition(
        &format!(r#"{{"StringEquals":{{"acs:PrincipalARN":"acs:ram::1000000000000001:user/{name}"}}}}"#),
        &c
    ));
}

#[test]
fn variables_in_values_are_taken_as_they_are() {
    let mut li = context(LI);
    li.extra = &[("x:k", &["a*"]), ("x:v", &["A*"]), ("x:w", &["a*"])];
    let cases = [
        (r#"{"StringEquals":{"x:k":"${x:w}"}}"#, true),
        (r#"{"StringEquals":{"x:k":"${x:v}"}}"#, false),
        (r#"{"StringEqualsIgnoreCase":{"x:k":"${x:v}"}}"#, true),
        (r#"{"StringLike":{"x:k":"${x:w}"}}"#, true),
        (r#"{"StringLike":{"x:k":"${x:w}?"}}"#, false),
        (r#"{"StringEquals":{"x:k":"${x:none}"}}"#, false),
        (r#"{"StringNotEquals":{"x:k":"${x:none}"}}"#, true),
        (r#"{"StringEquals":{"x:k":"${x:none, 'a*'}"}}"#, true),
        (r#"{"StringEquals":{"x:k":["b","a${*}"]}}"#, true),
        (r#"{"StringEquals":{"acs:SourceIp":"${acs:SourceIp}"}}"#, true),
        (r#"{"StringEquals":{"acs:PrincipalARN":"acs:ram::1000000000000001:${x:u,'user'}/li"}}"#, true),
    ];
    for (text, result) in cases {
        assert_eq!(condition(text, &li), result, "{text}");
    }
}
