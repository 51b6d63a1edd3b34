//! The fast evaluator against the obvious one, and what must hold for every policy.

use std::sync::Arc;

use bailee_policy::{
    Context, Kind, Phase, Phases, Policy, PolicySet, Request, Subject, Verdict, decide, explain,
};
use bailee_types::{Arn, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use crate::kit::{both, one};

const ACTIONS: &[&str] = &[
    "*",
    "oss:*",
    "oss:Get*",
    "oss:GetObject",
    "OSS:getobject",
    "oss:Put?bject",
    "o?s:*",
    "*:Get*",
    "ram:ListUsers",
    "oss:G*t*t",
    "oss:GetObjectAcl",
    "kms:*",
];
const RESOURCES: &[&str] = &[
    "*",
    "acs:oss:*:*:a",
    "acs:oss:*:*:a/*",
    "acs:oss:::b/x",
    "acs:oss:*:1:*",
    "acs:*:*:*:a*",
    "acs:oss:cn-*:*:*",
    "acs:oss:*:*:*/x",
    "acs:oss:*:*:a?/x",
    "acs:o*:*:*:ab",
    "acs:oss:*:*:${x:k}/*",
    "acs:oss:*:${x:one, '1'}:*",
    "acs:oss:*:*:${x:two, 'a'}/x",
    "acs:ram::*:user/${acs:PrincipalARN}",
    "acs:oss:*:*:a/${x:k}*",
    "acs:oss:*:*:a${*}/x",
    "acs:ram:*:2:*",
    "acs:ram:*:*:role/Ab",
    "acs:ram:*:*:role/aB*",
    "acs:ram:*:*:Role/*b",
    "acs:r*:*:*:role/AB",
    "acs:ram:*:*:*/AB",
    "acs:ram:*:*:R*",
    "acs:ram:*:*:roLe?ab",
    "acs:ram:*:*:role/${x:k}B",
    "acs:ram:*:*:user/B",
];
const CONDITIONS: &[&str] = &[
    r#""StringEquals":{"x:k":V}"#,
    r#""StringNotEquals":{"x:k":V}"#,
    r#""StringLike":{"X:K":V}"#,
    r#""StringNotLike":{"x:two":V}"#,
    r#""StringEqualsIgnoreCase":{"x:two":V}"#,
    r#""StringNotEqualsIgnoreCase":{"x:k":V}"#,
    r#""StringEqualsIfExists":{"x:none":V}"#,
    r#""ForAnyValue:StringEquals":{"x:two":V}"#,
    r#""ForAnyValue:StringNotEquals":{"x:two":V}"#,
    r#""ForAllValues:StringLike":{"x:two":V}"#,
    r#""ForAllValues:StringNotEquals":{"x:two":V}"#,
    r#""ForAnyValue:StringNotLike":{"x:none":V}"#,
    r#""ForAllValues:StringEquals":{"x:none":V}"#,
    r#""NumericLessThan":{"x:n":10}"#,
    r#""NumericNotEquals":{"x:n":[5,"5.50"]}"#,
    r#""NumericGreaterThanEqualsIfExists":{"x:n":"5"}"#,
    r#""ForAnyValue:NumericEquals":{"x:n":5}"#,
    r#""DateLessThan":{"acs:CurrentTime":"2026-01-02T03:04:05Z"}"#,
    r#""DateGreaterThanEquals":{"acs:CurrentTime":"2026-01-02T11:04:05+08:00"}"#,
    r#""DateNotEquals":{"x:n":"2026-01-02T03:04:05Z"}"#,
    r#""Bool":{"acs:SecureTransport":true}"#,
    r#""Bool":{"acs:MFAPresent":"false"}"#,
    r#""BoolIfExists":{"acs:MFAPresent":"true"}"#,
    r#""IpAddress":{"acs:SourceIp":["10.0.0.0/8","2001:db8::/32"]}"#,
    r#""NotIpAddress":{"acs:SourceIp":"10.1.0.0/16"}"#,
    r#""Null":{"x:k":"true"}"#,
    r#""Null":{"acs:MFAPresent":false}"#,
    r#""StringLike":{"acs:PrincipalARN":"acs:ram::1:*"}"#,
    r#""StringEquals":{"acs:PrincipalARN":"acs:ram::1:user/${x:k}"}"#,
];
const VALUES: &[&str] = &[
    r#""a""#,
    r#""A""#,
    r#"["a","b"]"#,
    r#""*""#,
    r#""a*""#,
    r#""${x:one}""#,
    r#""${x:none, 'a'}""#,
    r#"["?","${x:none}"]"#,
    "5",
];
const PRINCIPALS: &[&str] = &[
    r#""*""#,
    r#"["1"]"#,
    r#"["11","acs:ram::2:root"]"#,
    r#"{"RAM":["*"]}"#,
    r#"{"RAM":["acs:ram::1:user/*"]}"#,
    r#"{"RAM":["acs:ram::*:role/R"]}"#,
    r#"{"RAM":["acs:ram::1:assumed-role/*/s"]}"#,
    r#"{"Service":["ecs.aliyuncs.com"]}"#,
];
const SUBJECTS: &[Subject<'static>] = &[
    Subject::Anonymous,
    Subject::Root { account: "1" },
    Subject::User { account: "1", id: "11", name: "a" },
    Subject::User { account: "2", id: "21", name: "b" },
    Subject::Role { account: "1", role_id: "12", role: "r", session: "s" },
    Subject::Service("ecs.aliyuncs.com"),
    Subject::Federated { provider_arn: "acs:ram::1:oidc-provider/p" },
];

/// A statement without principal.
fn statement() -> impl Strategy<Value = String> {
    let list = |from: &'static [&'static str]| proptest::collection::vec(select(from), 1..4);
    let conditions = proptest::collection::btree_map(select(CONDITIONS), select(VALUES), 0..3);
    (
        any::<bool>(),
        prop::bool::weighted(0.1),
        list(ACTIONS),
        prop::bool::weighted(0.1),
        list(RESOURCES),
        conditions,
    )
        .prop_map(|(deny, not_action, actions, not_resource, resources, conditions)| {
            let mut blocks: Vec<(String, String)> = Vec::new();
            for (condition, value) in conditions {
                let text = condition.replacen(":V}", &format!(":{value}}}"), 1);
                let operator = text.split("\":{").next().unwrap_or_default().to_owned();
                // One operator stands once.
                if !blocks.iter().any(|(o, _)| *o == operator) {
                    blocks.push((operator, text));
                }
            }
            let condition = match blocks.is_empty() {
                true => String::new(),
                false => {
                    let all: Vec<&str> = blocks.iter().map(|(_, t)| t.as_str()).collect();
                    format!(r#","Condition":{{{}}}"#, all.join(","))
                }
            };
            format!(
                r#""Effect":"{}","{}Action":{actions:?},"{}Resource":{resources:?}{condition}"#,
                if deny { "Deny" } else { "Allow" },
                if not_action { "Not" } else { "" },
                if not_resource { "Not" } else { "" },
            )
        })
}

fn documents(max: usize) -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(statement(), 0..max)
}

fn compile(kind: Kind, statements: &[String]) -> PolicySet {
    let parsed = |s: &String| Arc::new(Policy::parse_as(kind, &one(s)).expect(s));
    PolicySet::compile(statements.iter().enumerate().map(|(i, s)| (format!("p{i}"), parsed(s))).collect())
}

#[derive(Debug, Clone)]
struct Asked {
    action: &'static str,
    resource: &'static str,
    subject: Subject<'static>,
    late: bool,
    ip: Option<&'static str>,
    secure: bool,
    mfa: Option<bool>,
    k: Vec<&'static str>,
    two: Vec<&'static str>,
    n: Vec<&'static str>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let text = || proptest::collection::vec(select(&["a", "A", "b", "", "a*", "5"][..]), 0..3);
    let number = select(&["5", "5.5", "10", "x", "2026-01-02T03:04:05Z"][..]);
    (
        select(
            &[
                "oss:GetObject",
                "oss:getobjectacl",
                "oss:PutObject",
                "ram:ListUsers",
                "kms:Encrypt",
                "nothing",
            ][..],
        ),
        select(
            &[
                "acs:oss:*:1:a",
                "acs:oss:*:1:a/x",
                "acs:oss:*:1:a/xy/x",
                "acs:oss:cn-x:1:b/x",
                "acs:oss:*:2:ab/x",
                "acs:oss:*:1:ab",
                "acs:oss:*:1:a*/x",
                "acs:ram::1:user/acs:ram::1:user/a",
                "acs:ram::2:user/b",
                "acs:ram::1:role/ab",
                "acs:ram::1:role/AB",
                "acs:ram::1:role/Ab",
                "acs:ram::1:ROLE/b",
                "acs:ram::2:role/a/b",
                "acs:oss:*:*:*",
                "acs:oss:::5/x",
            ][..],
        ),
        select(SUBJECTS),
        any::<bool>(),
        select(&[None, Some("10.1.2.3"), Some("10.2.0.1"), Some("2001:db8::7"), Some("::ffff:10.1.9.9")][..]),
        any::<bool>(),
        any::<Option<bool>>(),
        text(),
        text(),
        proptest::collection::vec(number, 0..3),
    )
        .prop_map(|(action, resource, subject, late, ip, secure, mfa, k, two, n)| Asked {
            action,
            resource,
            subject,
            late,
            ip,
            secure,
            mfa,
            k,
            two,
            n,
        })
}

fn with_request<T>(asked: &Asked, then: impl FnOnce(&Request<'_>) -> T) -> T {
    let resource = Arn::parse(asked.resource).unwrap();
    let extra: &[(&str, &[&str])] =
        &[("x:K", &asked.k), ("x:two", &asked.two), ("X:n", &asked.n), ("x:one", &["1"])];
    let now = Timestamp::parse_iso("2026-01-02T03:04:05Z").unwrap();
    let context = Context {
        now: if asked.late { now } else { now.plus_ms(-1) },
        source_ip: asked.ip.and_then(|t| t.parse().ok()),
        secure_transport: asked.secure,
        mfa_present: asked.mfa,
        subject: asked.subject,
        extra,
    };
    then(&Request { action: asked.action, resource: &resource, context: &context })
}

/// What identity policies say, without the statement.
fn answer(sets: &[&PolicySet], request: &Request<'_>) -> (&'static str, Phase) {
    let phases = Phases { identity: sets, ..Phases::default() };
    let verdict = decide(&phases, request);
    let word = match verdict {
        Verdict::Allow { .. } => "allowed",
        Verdict::ExplicitDeny { .. } => "denied",
        Verdict::ImplicitDeny { .. } => "nothing",
    };
    (word, verdict.phase())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn the_index_agrees_with_looking_at_every_statement(
        own in documents(8), group in documents(5), control in prop::option::weighted(0.3, documents(6)),
        session in prop::option::weighted(0.3, documents(6)),
        resource in prop::option::of(proptest::collection::vec((statement(), any::<bool>(), select(PRINCIPALS)), 0..6)),
        requests in proptest::collection::vec(asked(), 8),
    ) {
        let (own, group) = (compile(Kind::Identity, &own), compile(Kind::Identity, &group));
        let (control, session) = (control.map(|s| compile(Kind::Control, &s)), session.map(|s| compile(Kind::Session, &s)));
        let resource = resource.map(|list| {
            let with = |(s, not, p): &(String, bool, &str)| format!(r#"{s},"{}Principal":{p}"#, if *not { "Not" } else { "" });
            compile(Kind::Bucket, &list.iter().map(with).collect::<Vec<_>>())
        });
        let phases = Phases {
            control: control.as_ref(), session: session.as_ref(), identity: &[&own, &group], resource: resource.as_ref(),
        };
        for request in &requests {
            with_request(request, |r| both(&phases, r));
        }
    }

    #[test]
    fn a_deny_that_matches_wins_and_more_allows_change_nothing(
        statements in documents(6), more in documents(4), requests in proptest::collection::vec(asked(), 6),
    ) {
        let (before, more) = (compile(Kind::Identity, &statements), compile(Kind::Identity, &more));
        for asked in &requests {
            with_request(asked, |request| {
                let (alone, joined) = (answer(&[&before], request), answer(&[&before, &more], request));
                assert!(alone.0 != "denied" || joined.0 == "denied");
                assert!(alone.0 != "allowed" || joined.0 != "nothing");
            });
        }
    }

    #[test]
    fn the_order_of_statements_and_policies_never_matters(
        statements in documents(8), split in 0usize..8, turn in 0usize..8, requests in proptest::collection::vec(asked(), 6),
    ) {
        let mut turned = statements.clone();
        turned.rotate_left(turn.min(statements.len()));
        turned.reverse();
        let (a, b) = statements.split_at(split.min(statements.len()));
        let (one, other) = (compile(Kind::Identity, &statements), compile(Kind::Identity, &turned));
        let (first, second) = (compile(Kind::Identity, a), compile(Kind::Identity, b));
        for asked in &requests {
            with_request(asked, |request| {
                let wanted = answer(&[&one], request);
                assert_eq!(wanted, answer(&[&other], request));
                assert_eq!(wanted, answer(&[&first, &second], request));
                assert_eq!(wanted, answer(&[&second, &first], request));
            });
        }
    }

    #[test]
    fn case_of_actions_and_keys_never_matters(statements in documents(5), asked in asked()) {
        let upper: Vec<String> = statements.iter().map(|s| s.replace("\"x:k\"", "\"X:K\"").replace("oss:Get", "OSS:gET")).collect();
        let (a, b) = (compile(Kind::Identity, &statements), compile(Kind::Identity, &upper));
        let shouted = asked.action.to_uppercase();
        with_request(&asked, |request| {
            let wanted = answer(&[&a], request);
            assert_eq!(wanted, answer(&[&b], request));
            assert_eq!(wanted, answer(&[&a], &Request { action: &shouted, ..*request }));
        });
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        for kind in [Kind::Identity, Kind::Session, Kind::Trust, Kind::Bucket, Kind::Key, Kind::Control] {
            if let Err(error) = Policy::parse_as(kind, &text) {
                let _ = (error.render(&text), error.render(""), error.to_string());
            }
        }
    }

    #[test]
    fn a_damaged_document_is_read_or_refused_with_a_place(statement in statement(), at in 0usize..400, with in "[\\PC\"\\\\{}:,]{0,2}") {
        let mut document = one(&statement);
        let at = document.char_indices().map(|(i, _)| i).nth(at).unwrap_or(document.len());
        let end = document[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        document.replace_range(at..end, &with);
        if let Err(error) = Policy::parse(&document) {
            assert!(error.line() >= 1 && error.column() >= 1);
            assert!(error.render(&document).contains('^'), "{document}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn an_explanation_says_what_was_decided(
        own in documents(6), open in proptest::collection::vec((statement(), select(PRINCIPALS)), 0..4),
        session in prop::option::weighted(0.3, documents(5)), requests in proptest::collection::vec(asked(), 3),
    ) {
        let with = |(s, p): &(String, &str)| format!(r#"{s},"Principal":{p}"#);
        let resource = compile(Kind::Bucket, &open.iter().map(with).collect::<Vec<_>>());
        let (own, session) = (compile(Kind::Identity, &own), session.map(|s| compile(Kind::Session, &s)));
        let phases = Phases { session: session.as_ref(), identity: &[&own], resource: Some(&resource), ..Phases::default() };
        for asked in &requests {
            with_request(asked, |request| {
                let (verdict, why) = (decide(&phases, request), explain(&phases, request));
                let word = match verdict {
                    Verdict::Allow { .. } => "allow",
                    Verdict::ExplicitDeny { .. } => "explicitDeny",
                    Verdict::ImplicitDeny { .. } => "implicitDeny",
                };
                assert_eq!((why.verdict, why.phase), (word, verdict.phase()));
                let first = why.deciding.first().map(|d| (d.policy.clone(), d.statement));
                let by = verdict.by().filter(|b| b.statement > 0).map(|b| (b.policy.to_owned(), b.statement));
                assert_eq!(first, by);
                for near in &why.nearest {
                    let all = why.statements.iter();
                    let of = |s: &&bailee_policy::StatementOutcome| {
                        (s.phase, &s.policy, s.statement) == (near.phase, &near.policy, near.statement)
                    };
                    assert_eq!(all.filter(of).flat_map(|s| &s.elements).filter(|e| !e.held).count(), 1);
                }
            });
        }
    }

    #[test]
    fn who_can_never_misses_a_statement_that_decides(statements in proptest::collection::vec(statement(), 1..6), asked in asked()) {
        let list: Vec<String> = statements.iter().map(|s| format!("{{{s}}}")).collect();
        let document = format!(r#"{{"Version":"1","Statement":[{}]}}"#, list.join(","));
        let policy = Arc::new(Policy::parse(&document).unwrap());
        let set = PolicySet::compile(vec![("p".to_owned(), Arc::clone(&policy))]);
        with_request(&asked, |request| {
            let touches = policy.touching(request.action, request.resource);
            let (phases, sets) = (Phases::default(), [&set]);
            let verdict = decide(&Phases { identity: &sets, ..phases }, request);
            if let Some(by) = verdict.by().filter(|b| b.statement > 0) {
                assert!(touches.iter().any(|t| t.statement == by.statement), "{document}");
            }
            // One that leaves nothing open decides: it, or a Deny, or an Allow before it.
            let own = request.context.subject.account().is_some_and(|a| ["", "*", a].contains(&request.resource.account()));
            if own && touches.iter().any(|t| t.residual.is_empty()) {
                assert!(verdict.by().is_some(), "{document}");
            }
        });
    }

    #[test]
    fn what_a_lint_calls_needless_can_be_left_away(
        statements in proptest::collection::vec(statement(), 2..7), again in 0usize..7, requests in proptest::collection::vec(asked(), 12),
    ) {
        let mut statements = statements;
        statements.push(statements[again % statements.len()].clone());
        let document = |list: &[String]| {
            let list: Vec<String> = list.iter().map(|s| format!("{{{s}}}")).collect();
            format!(r#"{{"Version":"1","Statement":[{}]}}"#, list.join(","))
        };
        let lints = Policy::parse(&document(&statements)).unwrap().lints();
        prop_assert!(lints.iter().any(|l| l.code == "duplicate"));
        for lint in lints.iter().filter(|l| ["duplicate", "unreachable", "redundant"].contains(&l.code)) {
            let mut fewer = statements.clone();
            fewer.remove(lint.statement - 1);
            let (all, fewer) = (compile(Kind::Identity, &statements), compile(Kind::Identity, &fewer));
            for asked in &requests {
                with_request(asked, |request| assert_eq!(answer(&[&all], request), answer(&[&fewer], request), "{lint:?}"));
            }
        }
    }
}
