//! What is refused, with which text and where: golden texts.

use bailee_policy::{
    BUCKET_BYTES_MAX, CONTROL_CHARS_MAX, DOCUMENT_CHARS_MAX, KEY_BYTES_MAX, Kind, Policy, SESSION_CHARS_MAX,
    TRUST_CHARS_MAX,
};

#[rustfmt::skip]
const TEXTS: &[(Kind, &str, &str)] = &[
    (Kind::Identity, r#""#,
        r#"line 1, column 1: the document ends where a value was expected"#),
    (Kind::Identity, r#"[]"#,
        r#"line 1, column 1: a list stands where a policy was expected: an object with `Version` and `Statement`"#),
    (Kind::Identity, r#"{}"#,
        r#"line 1, column 1: the policy has no `Version`; it must be "1""#),
    (Kind::Identity, r#"{"Version":"1""#,
        r#"line 1, column 15: the document ends where a comma or `}` was expected"#),
    (Kind::Identity, r#"{"Version":"1",}"#,
        r#"line 1, column 16: `}` stands where a member's name in double quotes was expected"#),
    (Kind::Identity, r#"{"Version" "1"}"#,
        r#"line 1, column 12: `"` stands where a colon was expected"#),
    (Kind::Identity, r#"{Version:"1"}"#,
        r#"line 1, column 2: `V` stands where a member's name in double quotes was expected"#),
    (Kind::Identity, r#"{"Version":1}"#,
        r#"line 1, column 12: `Version` is a number; it must be "1""#),
    (Kind::Identity, r#"{"Version":"2","Statement":[]}"#,
        r#"line 1, column 12: `Version` is `2`; it must be "1""#),
    (Kind::Identity, r#"{"Version":"1","Statement":[]}"#,
        r#"line 1, column 28: `Statement` is empty; a policy needs at least one statement"#),
    (Kind::Identity, r#"{"Version":"1","Statement":{}}"#,
        r#"line 1, column 28: `Statement` is an object; it must be a list of statements"#),
    (Kind::Identity, r#"{"Version":"1","Statement":["x"]}"#,
        r#"line 1, column 29: a text stands where a statement was expected: an object with `Effect` and `Action`"#),
    (Kind::Identity, r#"{"Version":"1","Id":"x"}"#,
        r#"line 1, column 16: `Id` is not a member of a policy"#),
    (Kind::Identity, r#"{"Version":"1","Version":"1"}"#,
        r#"line 1, column 16: `Version` stands there twice"#),
    (Kind::Identity, r#"{"Version":"1","Statment":[]}"#,
        r#"line 1, column 16: `Statment` is not a member of a policy; did you mean `Statement`?"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]} x"#,
        r#"line 1, column 78: something follows the end of the policy"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow"#,
        r#"line 1, column 39: the text that begins here does not end"#),
    (Kind::Identity, r#"{"Version":"\x"}"#,
        r#"line 1, column 13: this is no escape of JSON"#),
    (Kind::Identity, r#"{"Version":"\ud800"}"#,
        r#"line 1, column 13: this is no escape of JSON"#),
    (Kind::Identity, r#"{"Version":01}"#,
        r#"line 1, column 12: `01` is not a number of JSON"#),
    (Kind::Identity, r#"{"Version":None}"#,
        r#"line 1, column 12: `None` is not JSON; a text stands in double quotes"#),
    (Kind::Identity, "{\"Version\":\n \"1\n\"}",
        r#"line 2, column 4: a text holds a control character; write it as an escape"#),
    (Kind::Identity, r#"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["#,
        r#"line 1, column 18: this is nested deeper than 16 levels"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Sid":"1","Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        r#"line 1, column 30: `Sid` is not a member of a statement"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Permit"}]}"#,
        r#"line 1, column 39: `Effect` is `Permit`; it must be `Allow` or `Deny`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"allow"}]}"#,
        r#"line 1, column 39: `Effect` is `allow`; it must be `Allow` or `Deny`; did you mean `Allow`?"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":true}]}"#,
        r#"line 1, column 39: `Effect` is a truth value; it must be `Allow` or `Deny`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":[]}]}"#,
        r#"line 1, column 39: the list is empty; it needs an action such as `oss:GetObject`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":"GetObject"}]}"#,
        r#"line 1, column 39: the action `GetObject` has no service; write `service:Name`, or `*` for all"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":"oss:Get Object"}]}"#,
        r#"line 1, column 39: the action `oss:Get Object` holds a character that no action has"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":"oss:${x:y}"}]}"#,
        r#"line 1, column 39: the action `oss:${x:y}` holds a `$`; actions have no variables"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":"*","NotAction":"*"}]}"#,
        r#"line 1, column 43: a statement has exactly one of `Action` and `NotAction`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":7}]}"#,
        r#"line 1, column 39: a number stands where an action such as `oss:GetObject`, or a list of them, was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":["oss:*",["ram:*"]]}]}"#,
        r#"line 1, column 48: a list stands where an action such as `oss:GetObject` was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"invoices"}]}"#,
        r#"line 1, column 41: the resource `invoices` has not the five parts acs:service:region:account:resource"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"acs::*:*:x"}]}"#,
        r#"line 1, column 41: the resource `acs::*:*:x` has an empty service or resource part"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"acs:oss:*:*:"}]}"#,
        r#"line 1, column 41: the resource `acs:oss:*:*:` has an empty service or resource part"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"acs:${x:y}:*:*:a"}]}"#,
        r#"line 1, column 41: the resource `acs:${x:y}:*:*:a` has a variable where its service belongs"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"acs:oss:*:*:${acs}"}]}"#,
        r#"line 1, column 41: `${acs}` is no variable; write `${service:Key}` or `${service:Key, 'default'}`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"acs:oss:*:*:a${"}]}"#,
        r#"line 1, column 41: `${` is not closed; write `${$}` for a dollar sign"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"acs:oss:*:*:${a:b}${a:b}${a:b}${a:b}${a:b}${a:b}${a:b}${a:b}${a:b}"}]}"#,
        r#"line 1, column 41: one text holds more than 8 variables"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Resource":"*","NotResource":"*"}]}"#,
        r#"line 1, column 45: a statement has exactly one of `Resource` and `NotResource`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*"}]}"#,
        r#"line 1, column 29: the statement has no `Resource` or `NotResource`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*"}]}"#,
        r#"line 1, column 29: the statement has no `Action` or `NotAction`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Action":"*","Resource":"*"}]}"#,
        r#"line 1, column 29: the statement has no `Effect`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}"#,
        r#"line 1, column 75: `Principal` belongs into trust, bucket and key policies, not into a user's, group's or role's policies"#),
    (Kind::Session, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","NotPrincipal":"*"}]}"#,
        r#"line 1, column 75: `NotPrincipal` belongs into trust, bucket and key policies, not into session policies"#),
    (Kind::Control, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}]}"#,
        r#"line 1, column 75: `Principal` belongs into trust, bucket and key policies, not into control policies"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}"#,
        r#"line 1, column 29: the statement has no `Principal`"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}"#,
        r#"line 1, column 73: a trust policy has no `Resource`: what it is about is its role"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":{"RAM":"*"}}]}"#,
        r#"line 1, column 73: a trust policy has no `NotPrincipal`: it would trust everybody but those it names"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}]}"#,
        r#"line 1, column 85: the principal is a text; it must be an object with `RAM`, `Service` or `Federated`"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{}}]}"#,
        r#"line 1, column 85: the principal is empty; it needs `RAM`, `Service` or `Federated`"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}"#,
        r#"line 1, column 86: `AWS` is not a member of a principal"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Ram":"*"}}]}"#,
        r#"line 1, column 86: `Ram` is not a member of a principal; did you mean `RAM`?"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::1:group/x"]}}]}"#,
        r#"line 1, column 93: the principal `acs:ram::1:group/x` is neither an id nor `*` nor acs:ram::account:root, user/…, role/… or assumed-role/…/…"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":"acs:ram::1:user/${a:b}"}}]}"#,
        r#"line 1, column 92: the principal `acs:ram::1:user/${a:b}` holds a `$`; principals have no variables"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":["ecs"]}}]}"#,
        r#"line 1, column 97: the service `ecs` is not a name such as `ecs.aliyuncs.com`"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Federated":["acs:ram::*:oidc-provider/x"]}}]}"#,
        r#"line 1, column 99: the provider `acs:ram::*:oidc-provider/x` is not acs:ram::account:oidc-provider/name or …:saml-provider/name"#),
    (Kind::Trust, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":7}}]}"#,
        r#"line 1, column 96: a number stands where a service such as `ecs.aliyuncs.com`, or a list of them, was expected"#),
    (Kind::Bucket, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        r#"line 1, column 29: the statement has no `Principal` or `NotPrincipal`"#),
    (Kind::Bucket, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":[]}]}"#,
        r#"line 1, column 87: the list is empty; it needs an account's, user's or role's id, an ARN or `*`"#),
    (Kind::Bucket, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":["li"]}]}"#,
        r#"line 1, column 88: the principal `li` is neither an id nor `*` nor acs:ram::account:root, user/…, role/… or assumed-role/…/…"#),
    (Kind::Bucket, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":{"Federated":"x"}}]}"#,
        r#"line 1, column 88: `Federated` belongs into trust policies, not into bucket policies"#),
    (Kind::Bucket, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*","NotPrincipal":"*"}]}"#,
        r#"line 1, column 91: a statement has exactly one of `Principal` and `NotPrincipal`"#),
    (Kind::Key, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":["1"]}]}"#,
        r#"line 1, column 87: the principal is a list; it must be an object with `RAM`, `Service` or `Federated`"#),
    (Kind::Key, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Principal":{"RAM":"1"}}]}"#,
        r#"line 1, column 29: the statement has no `Resource` or `NotResource`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":[]}]}"#,
        r#"line 1, column 87: `Condition` is a list; it must be an object of operators"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{}}]}"#,
        r#"line 1, column 87: `Condition` is empty; leave it away or name operators"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEqual":{"a:b":"c"}}}]}"#,
        r#"line 1, column 88: `StringEqual` is not an operator; did you mean `StringEquals`?"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValues:StringEquals":{"a:b":"c"}}}]}"#,
        r#"line 1, column 88: `ForAnyValues` is not a qualifier; did you mean `ForAnyValue`?"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAdress":{"acs:SourceIp":"1.2.3.4"}}}]}"#,
        r#"line 1, column 88: `IpAdress` is not an operator; did you mean `IpAddress`?"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NullIfExists":{"a:b":true}}}]}"#,
        r#"line 1, column 88: `Null` takes no qualifier and no `IfExists`: it asks whether the key is there"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{}}}]}"#,
        r#"line 1, column 95: `Bool` is empty; leave it away or name keys"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":true}}]}"#,
        r#"line 1, column 95: `Bool` is a truth value; it must be an object of keys"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"SecureTransport":true}}}]}"#,
        r#"line 1, column 96: the key `SecureTransport` has not the form `service:Name`; did you mean `acs:SecureTransport`?"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":true,"A:B":true}}}]}"#,
        r#"line 1, column 107: the key `A:B` stands there twice; its case does not matter"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":"yes"}}}]}"#,
        r#"line 1, column 102: `yes` is neither `true` nor `false`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a:b":1}}}]}"#,
        r#"line 1, column 102: a number stands where `true` or `false` was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:b":[]}}}]}"#,
        r#"line 1, column 110: the list is empty; it needs a value"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:b":null}}}]}"#,
        r#"line 1, column 110: null stands where a text was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a:b":[["c"]]}}}]}"#,
        r#"line 1, column 111: a list stands where a text was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"a:b":"${x y}"}}}]}"#,
        r#"line 1, column 108: `${x y}` is no variable; write `${service:Key}` or `${service:Key, 'default'}`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":"ten"}}}]}"#,
        r#"line 1, column 111: `ten` is not a number such as `10` or `-2.5` (without exponent)"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":1e3}}}]}"#,
        r#"line 1, column 111: `1e3` is not a number such as `10` or `-2.5` (without exponent)"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"NumericEquals":{"a:b":true}}}]}"#,
        r#"line 1, column 111: a truth value stands where a number was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"a:b":"2026-02-30T00:00:00Z"}}}]}"#,
        r#"line 1, column 110: `2026-02-30T00:00:00Z` is not a time such as `2026-01-02T03:04:05Z` or `…+08:00`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"a:b":5}}}]}"#,
        r#"line 1, column 110: a number stands where a time such as `2026-01-02T03:04:05Z` was expected"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/33"}}}]}"#,
        r#"line 1, column 116: `10.0.0.0/33` is neither an address nor a range such as `10.0.0.0/8`"#),
    (Kind::Identity, r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"acs:SourceIp":10}}}]}"#,
        r#"line 1, column 116: a number stands where an address or a range such as `10.0.0.0/8` was expected"#),
];

#[test]
fn a_document_that_is_not_understood_is_refused_whole_and_says_where() {
    assert!(TEXTS.len() >= 90);
    for (kind, document, wanted) in TEXTS {
        let error = Policy::parse_as(*kind, document).unwrap_err();
        assert_eq!(error.to_string(), *wanted, "{kind:?} {document}");
        assert_eq!(
            wanted.split(':').next(),
            Some(&*format!("line {}, column {}", error.line(), error.column()))
        );
        assert!(error.render(document).contains('^'), "{document}");
    }
}

#[test]
fn an_error_is_shown_under_its_line() {
    let document = "{\n  \"Version\": \"1\",\n  \"Statement\": [{\n    \"Effect\": \"Allow\", \"Action\": \"*\", \"Resource\": \"*\",\n    \"Condition\": {\"StringEqual\": {\"acs:SourceIp\": \"1\"}}\n  }]\n}";
    let error = Policy::parse(document).unwrap_err();
    assert_eq!(
        error.render(document),
        r#"error: `StringEqual` is not an operator
 --> line 5, column 19
  |
5 |     "Condition": {"StringEqual": {"acs:SourceIp": "1"}}
  |                   ^^^^^^^^^^^^^
  = help: did you mean `StringEquals`?
"#
    );
    let wide = r#"{"Version": "1", "备注": "一"}"#;
    assert_eq!(
        Policy::parse(wide).unwrap_err().render(wide),
        r#"error: `备注` is not a member of a policy
 --> line 1, column 18
  |
1 | {"Version": "1", "备注": "一"}
  |                  ^^^^^^
"#
    );
    // Another document than the one that was refused: nothing to point at, and no panic.
    assert_eq!(
        error.render(""),
        "error: `StringEqual` is not an operator\n  = help: did you mean `StringEquals`?\n"
    );
}

#[test]
fn each_kind_has_its_size() {
    for (kind, max, unit) in [
        (Kind::Identity, DOCUMENT_CHARS_MAX, "characters"),
        (Kind::Session, SESSION_CHARS_MAX, "characters"),
        (Kind::Trust, TRUST_CHARS_MAX, "characters"),
        (Kind::Control, CONTROL_CHARS_MAX, "characters"),
        (Kind::Bucket, BUCKET_BYTES_MAX, "bytes"),
        (Kind::Key, KEY_BYTES_MAX, "bytes"),
    ] {
        let middle = match kind {
            Kind::Trust => r#","Principal":{"RAM":"1"}"#,
            Kind::Bucket | Kind::Key => r#","Resource":"*","Principal":{"RAM":"1"}"#,
            _ => r#","Resource":"*""#,
        };
        let base = format!(r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"*"{middle}}}]}}"#);
        let padded = |letter: &str, size: usize| {
            let at = base.find("\"Effect\"").unwrap();
            format!("{}{}{}", &base[..at], letter.repeat(size - base.len()), &base[at..])
        };
        assert!(Policy::parse_as(kind, &padded(" ", max)).is_ok(), "{kind:?}");
        let error = Policy::parse_as(kind, &padded(" ", max + 1)).unwrap_err();
        let wanted = format!("the document has {} {unit}, at most {max} are allowed", max + 1);
        assert_eq!((error.to_string(), error.line(), error.column()), (wanted.clone(), 0, 0));
        assert_eq!(error.render(&base), format!("error: {wanted}\n"));
    }
}

#[test]
fn a_bomb_is_refused_quickly() {
    let deep = format!("{}{}", "[".repeat(15_000), "]".repeat(15_000));
    assert!(Policy::parse_as(Kind::Key, &deep).unwrap_err().to_string().contains("nested deeper"));
    let objects = r#"{"a":"#.repeat(6_000);
    assert!(Policy::parse_as(Kind::Key, &objects).unwrap_err().to_string().contains("nested deeper"));
    let many: Vec<String> = (0..3_000).map(|n| format!("\"{n}\":1")).collect();
    assert!(
        Policy::parse_as(Kind::Key, &format!("{{{}}}", many.join(",")))
            .unwrap_err()
            .to_string()
            .contains("not a member")
    );
    let stars = format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"*","Resource":"acs:oss:*:*:{}"}}]}}"#,
        "*".repeat(5_000)
    );
    assert!(Policy::parse(&stars).is_ok());
}

#[test]
fn a_statement_keeps_its_text() {
    let first = r#"{ "Effect": "Allow", "Action": "oss:*", "Resource": "*" }"#;
    let second = "{\"Effect\":\"Deny\",\n\"Action\":\"ram:*\",\"Resource\":\"acs:ram::*:user/中\"}";
    let policy =
        Policy::parse(&format!("{{\"Version\":\"1\",\"Statement\":[{first} ,\n {second}]}}")).unwrap();
    assert_eq!((policy.statement_text(1), policy.statement_text(2)), (first, second));
    assert_eq!((policy.statement_text(0), policy.statement_text(3), policy.statements()), ("", "", 2));
}
