//! Phases, principals, roles (rule X1).

use bailee_policy::{Kind, Phase, Phases, PolicySet, Request, Subject, Verdict, decide_assume_role};
use bailee_types::Arn;

use crate::kit::{ACCOUNT, LI, OBJECT, OTHER, both, context, one, set};

const ALLOW: &str = r#""Effect":"Allow","Action":"*","Resource":"*""#;
const DENY: &str = r#""Effect":"Deny","Action":"*","Resource":"*""#;
const ROOT: Subject<'static> = Subject::Root { account: ACCOUNT };
const STRANGER: Subject<'static> = Subject::User { account: OTHER, id: "2000000000000002", name: "wang" };
const SESSION: Subject<'static> =
    Subject::Role { account: ACCOUNT, role_id: "3000000000000001", role: "reader", session: "s1" };
const SERVICE: Subject<'static> = Subject::Service("ecs.aliyuncs.com");
const PROVIDER: Subject<'static> =
    Subject::Federated { provider_arn: "acs:ram::1000000000000001:oidc-provider/github" };

fn principal(effect: &str, principal: &str) -> String {
    one(&format!(r#""Effect":"{effect}","Action":"*","Resource":"*","Principal":{principal}"#))
}

/// `a`/`d` for allowed and denied by a policy, `n` for no Allow, then the phase's first letter.
fn word(verdict: Verdict<'_>) -> String {
    let letter = match verdict.phase() {
        Phase::Root => 'o',
        Phase::Control => 'c',
        Phase::Session => 's',
        Phase::Identity => 'i',
        Phase::Resource => 'r',
        Phase::Trust => 't',
    };
    let answer = match verdict {
        Verdict::Allow { .. } => 'a',
        Verdict::ExplicitDeny { .. } => 'd',
        Verdict::ImplicitDeny { .. } => 'n',
    };
    format!("{answer}{letter}")
}

#[test]
fn each_phase_has_its_place() {
    let (allow, deny, other) =
        (one(ALLOW), one(DENY), one(r#""Effect":"Allow","Action":"ram:*","Resource":"*""#));
    let of = |kind, code: char| match code {
        '-' => None,
        'a' => Some(set(kind, &[&allow])),
        'd' => Some(set(kind, &[&allow, &deny])),
        _ => Some(set(kind, &[&other])),
    };
    let bucket = |code: char| match code {
        '-' => None,
        'a' => Some(set(Kind::Bucket, &[&principal("Allow", "\"*\"")])),
        'd' => Some(set(Kind::Bucket, &[&principal("Deny", "\"*\"")])),
        _ => Some(set(Kind::Bucket, &[&principal("Allow", r#"["9999"]"#)])),
    };
    // Control, session, identity, resource (-: none, a: allows, d: denies, n: allows something else).
    #[rustfmt::skip]
    let table: &[(&str, Subject<'_>, &str, &str)] = &[
        ("----", LI, ACCOUNT, "ni"), ("--a-", LI, ACCOUNT, "ai"), ("--d-", LI, ACCOUNT, "di"), ("---a", LI, ACCOUNT, "ar"),
        ("---d", LI, ACCOUNT, "dr"), ("--ad", LI, ACCOUNT, "dr"), ("--da", LI, ACCOUNT, "di"), ("--na", LI, ACCOUNT, "ar"), ("--nn", LI, ACCOUNT, "ni"),
        ("a-a-", LI, ACCOUNT, "ai"), ("d-a-", LI, ACCOUNT, "dc"), ("n-a-", LI, ACCOUNT, "nc"), ("a---", LI, ACCOUNT, "ni"), ("d--a", LI, ACCOUNT, "dc"),
        ("-aa-", SESSION, ACCOUNT, "ai"), ("-da-", SESSION, ACCOUNT, "ds"), ("-na-", SESSION, ACCOUNT, "ns"), ("-n-a", SESSION, ACCOUNT, "ns"),
        ("nna-", SESSION, ACCOUNT, "nc"), ("-a--", SESSION, ACCOUNT, "ni"),
        // The owner of the resource's account.
        ("----", ROOT, ACCOUNT, "ao"), ("d-dd", ROOT, ACCOUNT, "ao"), ("-d--", ROOT, ACCOUNT, "ds"), ("-n--", ROOT, ACCOUNT, "ns"), ("-a-d", ROOT, ACCOUNT, "ao"),
        ("----", ROOT, "*", "ao"), ("----", ROOT, "", "ao"),
        // Another account's resource.
        ("--a-", ROOT, OTHER, "nr"), ("d--a", ROOT, OTHER, "ar"), ("---d", ROOT, OTHER, "dr"), ("--d-", ROOT, OTHER, "di"),
        ("--a-", STRANGER, ACCOUNT, "nr"), ("--aa", STRANGER, ACCOUNT, "ar"), ("--da", STRANGER, ACCOUNT, "di"), ("d--a", STRANGER, ACCOUNT, "dc"),
        ("---n", STRANGER, ACCOUNT, "nr"), ("--a-", STRANGER, "*", "ai"),
        // Callers without account.
        ("----", Subject::Anonymous, ACCOUNT, "nr"), ("---a", Subject::Anonymous, ACCOUNT, "ar"), ("--a-", Subject::Anonymous, ACCOUNT, "nr"),
        ("--a-", Subject::Anonymous, "*", "nr"), ("---a", SERVICE, ACCOUNT, "ar"), ("---a", PROVIDER, ACCOUNT, "ar"), ("---d", SERVICE, ACCOUNT, "dr"),
    ];
    for (codes, subject, owner, wanted) in table {
        let code: Vec<char> = codes.chars().collect();
        let (control, session) = (of(Kind::Control, code[0]), of(Kind::Session, code[1]));
        let (own, resource) = (of(Kind::Identity, code[2]), bucket(code[3]));
        let identity: Vec<&PolicySet> = own.iter().collect();
        let phases = Phases {
            control: control.as_ref(),
            session: session.as_ref(),
            identity: &identity,
            resource: resource.as_ref(),
        };
        let (context, arn) = (context(*subject), Arn::parse(&format!("acs:oss:*:{owner}:b/k")).unwrap());
        let request = Request { action: "oss:GetObject", resource: &arn, context: &context };
        assert_eq!(word(both(&phases, &request)), *wanted, "{codes} {subject:?} {owner}");
    }
}

#[test]
fn principals_mean_whom_they_say() {
    let arn = Arn::parse(OBJECT).unwrap();
    let all = [LI, ROOT, STRANGER, SESSION, SERVICE, PROVIDER, Subject::Anonymous];
    // Who is meant: li, owner, stranger, session, service, provider, anonymous.
    #[rustfmt::skip]
    let table: &[(Kind, &str, &str)] = &[
        (Kind::Bucket, r#""*""#, "1111111"), (Kind::Bucket, r#"["*"]"#, "1111111"), (Kind::Bucket, r#"{"RAM":["*"]}"#, "1111001"),
        (Kind::Bucket, r#"["2000000000000001"]"#, "1000000"), (Kind::Bucket, r#"["1000000000000001"]"#, "1101000"),
        (Kind::Bucket, r#"["3000000000000001"]"#, "0001000"), (Kind::Bucket, r#"["acs:ram::1000000000000002:user/wang"]"#, "0010000"),
        (Kind::Key, r#"{"RAM":"acs:ram::1000000000000001:root"}"#, "1101000"), (Kind::Key, r#"{"RAM":["acs:ram::1000000000000001:*"]}"#, "1101000"),
        (Kind::Key, r#"{"RAM":["acs:ram::*:root"]}"#, "1111000"), (Kind::Key, r#"{"RAM":["acs:ram::1000000000000001:user/l*"]}"#, "1000000"),
        (Kind::Key, r#"{"RAM":["acs:ram:*:1000000000000001:user/li"]}"#, "1000000"),
        (Kind::Key, r#"{"RAM":["acs:ram::1000000000000001:role/reader"]}"#, "0001000"), (Kind::Key, r#"{"RAM":["acs:ram::1000000000000001:role/*"]}"#, "0001000"),
        (Kind::Key, r#"{"RAM":["acs:ram::1000000000000001:assumed-role/reader/s1"]}"#, "0001000"),
        (Kind::Key, r#"{"RAM":["acs:ram::1000000000000001:assumed-role/reader/s2"]}"#, "0000000"),
        (Kind::Key, r#"{"RAM":["1000000000000002"],"Service":["ECS.aliyuncs.com"]}"#, "0010100"),
    ];
    for (kind, principal_text, wanted) in table {
        for (member, flip) in [("Principal", false), ("NotPrincipal", true)] {
            let text =
                one(&format!(r#""Effect":"Deny","Action":"*","Resource":"*","{member}":{principal_text}"#));
            let resource = set(*kind, &[&text]);
            let phases = Phases { resource: Some(&resource), ..Phases::default() };
            for (subject, means) in all.iter().zip(wanted.chars()) {
                // Owners are not limited: they are asked from another account's side.
                let context = context(*subject);
                let elsewhere = Arn::parse("acs:oss:*:7:x").unwrap();
                let asked = if matches!(subject, Subject::Root { .. }) { &elsewhere } else { &arn };
                let request = Request { action: "oss:GetObject", resource: asked, context: &context };
                let denied = matches!(both(&phases, &request), Verdict::ExplicitDeny { .. });
                assert_eq!(denied, (means == '1') != flip, "{member} {principal_text} {subject:?}");
            }
        }
    }
}

#[test]
fn a_role_needs_both_sides_and_services_need_trust_only() {
    let trust = |principal: &str| {
        set(
            Kind::Trust,
            &[&one(&format!(r#""Effect":"Allow","Action":"sts:AssumeRole","Principal":{principal}"#))],
        )
    };
    let may = set(
        Kind::Identity,
        &[&one(r#""Effect":"Allow","Action":"sts:AssumeRole","Resource":"acs:ram::*:role/reader""#)],
    );
    let (none, denies) = (set(Kind::Identity, &[]), set(Kind::Identity, &[&one(ALLOW), &one(DENY)]));
    let arn = Arn::parse("acs:ram::1000000000000001:role/reader").unwrap();
    let asked = |trust: &PolicySet,
                 identity: &PolicySet,
                 session: Option<&PolicySet>,
                 control: Option<&PolicySet>,
                 subject| {
        let context = context(subject);
        let phases = Phases { control, session, identity: &[identity], resource: None };
        word(decide_assume_role(
            trust,
            &phases,
            &Request { action: "sts:AssumeRole", resource: &arn, context: &context },
        ))
    };
    let own = trust(r#"{"RAM":["acs:ram::1000000000000001:root"]}"#);
    assert_eq!(asked(&own, &may, None, None, LI), "at");
    assert_eq!(asked(&own, &none, None, None, LI), "ni");
    assert_eq!(asked(&own, &denies, None, None, LI), "di");
    assert_eq!(asked(&own, &none, None, None, ROOT), "at");
    assert_eq!(asked(&own, &may, None, None, STRANGER), "nt");
    assert_eq!(asked(&trust(r#"{"RAM":["1000000000000002"]}"#), &may, None, None, STRANGER), "at");
    assert_eq!(asked(&trust(r#"{"RAM":["1000000000000002"]}"#), &may, None, None, LI), "nt");
    assert_eq!(asked(&own, &may, Some(&none), None, SESSION), "ns");
    assert_eq!(asked(&own, &may, Some(&may), None, SESSION), "at");
    assert_eq!(asked(&own, &may, None, Some(&none), LI), "nc");
    assert_eq!(asked(&own, &may, None, Some(&none), ROOT), "at");
    assert_eq!(asked(&trust(r#"{"RAM":["*"]}"#), &may, None, None, Subject::Anonymous), "nt");
    assert_eq!(asked(&trust(r#"{"RAM":["*"]}"#), &none, None, None, SERVICE), "nt");
    assert_eq!(asked(&trust(r#"{"Service":["ecs.aliyuncs.com"]}"#), &none, None, None, SERVICE), "at");
    assert_eq!(asked(&trust(r#"{"Service":["oss.aliyuncs.com"]}"#), &none, None, None, SERVICE), "nt");
    let github = r#"{"Federated":["acs:ram::1000000000000001:oidc-provider/github"]}"#;
    assert_eq!(asked(&trust(github), &none, None, None, PROVIDER), "at");
    assert_eq!(asked(&trust(&github.replace("github", "other")), &none, None, None, PROVIDER), "nt");
    let both = set(
        Kind::Trust,
        &[
            &one(r#""Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["*"]}"#),
            &one(
                r#""Effect":"Deny","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::*:user/li"]},"Condition":{"Bool":{"acs:SecureTransport":true}}"#,
            ),
        ],
    );
    assert_eq!(asked(&both, &may, None, None, LI), "dt");
    assert_eq!(asked(&both, &may, None, None, STRANGER), "at");
}
