//! Explanations and who-can.

use bailee_policy::{
    Effect, Element, Kind, Phase, Phases, Policy, PolicySet, Request, Subject, explain, explain_assume_role,
};
use bailee_types::Arn;
use serde_json::json;

use crate::kit::{LI, OBJECT, OTHER, context, one, set};

fn ask(phases: &Phases<'_>, subject: Subject<'_>) -> bailee_policy::Explanation {
    let (context, resource) = (context(subject), Arn::parse(OBJECT).unwrap());
    explain(phases, &Request { action: "oss:GetObject", resource: &resource, context: &context })
}

const READ: &str = r#""Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"acs:oss:*:*:invoices/*","Condition":{"IpAddress":{"acs:SourceIp":["192.0.2.0/24"]},"Bool":{"acs:SecureTransport":true}}"#;

#[test]
fn a_refusal_names_the_element_that_failed_and_what_stands_on_both_sides() {
    let own = set(
        Kind::Identity,
        &[&one(r#""Effect":"Allow","Action":"oss:Put*","Resource":"acs:oss:*:*:invoices/*""#), &one(READ)],
    );
    let why = ask(&Phases { identity: &[&own], ..Phases::default() }, LI);
    assert_eq!(
        (why.verdict, why.phase, why.deciding.len(), why.statements.len()),
        ("implicitDeny", Phase::Identity, 0, 2)
    );
    // The condition comes before the action: it is likelier to be what was overlooked.
    let nearest: Vec<_> = why.nearest.iter().map(|n| (n.policy.as_str(), n.failed.element)).collect();
    assert_eq!(nearest, [("p2", Element::Condition), ("p1", Element::Action)]);
    assert_eq!(
        serde_json::to_value(&why.nearest[0]).unwrap(),
        json!({ "phase": "identity", "policy": "p2", "statement": 1, "failed": {
            "element": "Condition", "held": false, "operator": "IpAddress", "key": "acs:SourceIp",
            "policy": ["192.0.2.0/24"], "request": ["10.1.2.3"] } })
    );
    let elements: Vec<_> = why.statements[1].elements.iter().map(|e| (e.element, e.held)).collect();
    assert_eq!(
        elements,
        [
            (Element::Action, true),
            (Element::Resource, true),
            (Element::Condition, false),
            (Element::Condition, true)
        ]
    );
    assert_eq!(why.statements[1].elements[0].policy, ["oss:Get*", "oss:List*"]);
    assert_eq!(why.statements[1].elements[1].request, [OBJECT]);
}

#[test]
fn a_deny_and_an_allow_name_their_statements() {
    let allow = one(r#""Effect":"Allow","Action":"oss:*","Resource":"*""#);
    let deny = one(r#""Effect":"Deny","Action":"oss:Get*","Resource":"*""#);
    let open =
        set(Kind::Bucket, &[&one(r#""Effect":"Allow","Action":"oss:*","Resource":"*","Principal":"*""#)]);
    let (own, group) = (set(Kind::Identity, &[&allow]), set(Kind::Identity, &[&allow, &deny, &deny]));
    let why = ask(&Phases { identity: &[&own], resource: Some(&open), ..Phases::default() }, LI);
    assert_eq!((why.verdict, why.phase, why.deciding.len()), ("allow", Phase::Identity, 2));
    let why = ask(&Phases { identity: &[&own, &group], ..Phases::default() }, LI);
    let deciding: Vec<_> = why.deciding.iter().map(|d| d.policy.as_str()).collect();
    assert_eq!((why.verdict, deciding.as_slice(), why.nearest.len()), ("explicitDeny", &["p2", "p3"][..], 0));
    let stranger = Subject::User { account: OTHER, id: "9", name: "wang" };
    let why = ask(&Phases { identity: &[&own], ..Phases::default() }, stranger);
    assert_eq!(
        (why.verdict, why.phase, why.nearest[0].failed.element),
        ("implicitDeny", Phase::Resource, Element::Account)
    );
    let root = Subject::Root { account: "1000000000000001" };
    let why = ask(&Phases { identity: &[&group], control: Some(&group), ..Phases::default() }, root);
    assert_eq!(
        (why.verdict, why.phase, why.deciding.len(), why.statements.len()),
        ("allow", Phase::Root, 0, 0)
    );
}

#[test]
fn a_role_that_does_not_trust_the_caller_says_so() {
    let trust = set(
        Kind::Trust,
        &[&one(r#""Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":["ecs.aliyuncs.com"]}"#)],
    );
    let may = set(Kind::Identity, &[&one(r#""Effect":"Allow","Action":"sts:*","Resource":"*""#)]);
    let (context, role) = (context(LI), Arn::parse("acs:ram::1000000000000001:role/r").unwrap());
    let request = Request { action: "sts:AssumeRole", resource: &role, context: &context };
    let why = explain_assume_role(&trust, &Phases { identity: &[&may], ..Phases::default() }, &request);
    assert_eq!((why.verdict, why.phase), ("implicitDeny", Phase::Trust));
    assert_eq!(why.nearest[0].failed.request, ["acs:ram::1000000000000001:user/li"]);
    let none: &[&PolicySet] = &[];
    let why = explain_assume_role(&trust, &Phases { identity: none, ..Phases::default() }, &request);
    assert_eq!((why.verdict, why.phase), ("implicitDeny", Phase::Identity));
}

#[test]
fn who_can_leaves_conditions_principals_and_variables_open() {
    let resource = Arn::parse("acs:oss:*:1000000000000001:home/li/x").unwrap();
    let touches = |kind, statement: &str| {
        Policy::parse_as(kind, &one(statement)).unwrap().touching("oss:GetObject", &resource)
    };
    let residual = |kind, rest: &str| {
        let mut found = touches(kind, &format!(r#""Effect":"Allow","Action":"oss:Get*",{rest}"#));
        assert!(found.len() <= 1);
        found.pop().map(|t| t.residual.join("; "))
    };
    let id = |rest: &str| residual(Kind::Identity, rest);
    assert_eq!(id(r#""Resource":"acs:oss:*:*:other/*""#), None);
    assert_eq!(id(r#""Resource":"acs:oss:*:*:home/*""#).as_deref(), Some(""));
    assert_eq!(
        id(r#""Resource":"acs:oss:*:*:home/${acs:RequestTag/u}/*""#).as_deref(),
        Some("the resource fits `acs:oss:*:*:home/${acs:RequestTag/u}/*`")
    );
    assert_eq!(
        id(r#""Resource":["acs:oss:*:*:home/${x:y}/*","*"]"#).as_deref(),
        Some(""),
        "one without variables is enough"
    );
    assert_eq!(id(r#""Resource":"acs:oss:*:*:work/${x:y}""#), None);
    assert_eq!(id(r#""NotResource":"acs:oss:*:*:home/*""#), None);
    assert_eq!(
        id(r#""NotResource":["acs:oss:*:*:home/${x:y}/*"]"#).as_deref(),
        Some("the resource fits none of `acs:oss:*:*:home/${x:y}/*`")
    );
    assert_eq!(id(r#""NotResource":"acs:oss:*:*:work/*""#).as_deref(), Some(""));
    assert_eq!(
        residual(Kind::Bucket, r#""Resource":"*","Principal":["1000000000000001","*"]"#).as_deref(),
        Some("the caller is `1000000000000001` or `*`")
    );
    let conditions = r#"{"IpAddress":{"acs:SourceIp":["10.0.0.0/8","192.0.2.1"]},"BoolIfExists":{"acs:MFAPresent":true},
        "ForAllValues:StringNotLike":{"x:y":"a*"},"DateLessThan":{"acs:CurrentTime":"2027-01-01T00:00:00Z"},
        "NumericGreaterThanEquals":{"x:n":3},"Null":{"x:z":"false"},"StringEqualsIgnoreCase":{"x:c":"A"}}"#;
    assert_eq!(
        id(&format!(r#""Resource":"*","Condition":{conditions}"#)).as_deref(),
        Some(
            "`acs:SourceIp` is in `10.0.0.0/8` or `192.0.2.1`; `acs:MFAPresent` is `true`, or it is missing; \
             every value of `x:y` is not like `a*`; `acs:CurrentTime` is before `2027-01-01T00:00:00Z`; `x:n` is at least `3`; \
             `x:z` is there; `x:c` is, in any case, `A`"
        )
    );
    let deny = touches(Kind::Identity, r#""Effect":"Deny","Action":"*","Resource":"*""#);
    assert_eq!((deny[0].effect, deny[0].statement), (Effect::Deny, 1));
    assert!(touches(Kind::Identity, r#""Effect":"Deny","NotAction":"oss:*","Resource":"*""#).is_empty());
}
