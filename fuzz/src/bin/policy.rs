//! Policies of every kind: none panics or takes for ever, an error can be shown, and the index decides as reading every
//! statement does.
#![no_main]

use std::sync::Arc;

use bailee_policy::{
    Context, Kind, Phases, Policy, PolicySet, Request, Subject, decide, decide_assume_role, decide_plainly,
    explain, of_s3,
};
use bailee_types::{Arn, Timestamp};
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 6] = [Kind::Identity, Kind::Session, Kind::Trust, Kind::Bucket, Kind::Key, Kind::Control];

const ASKED: [(&str, &str); 5] = [
    ("oss:GetObject", "acs:oss:*:1000000000000001:a/b"),
    ("OSS:PUTOBJECT", "acs:oss:*:1000000000000002:a/b/c"),
    ("kms:Decrypt", "acs:kms:cn-hangzhou:1000000000000001:key/k"),
    ("sts:AssumeRole", "acs:ram::1000000000000001:role/r"),
    ("nothing", "acs:oss:::x"),
];

const SUBJECTS: [Subject<'static>; 6] = [
    Subject::Anonymous,
    Subject::Root { account: "1000000000000001" },
    Subject::User { account: "1000000000000001", id: "2", name: "a" },
    Subject::Role { account: "1000000000000002", role_id: "3", role: "r", session: "s" },
    Subject::Service("ecs.aliyuncs.com"),
    Subject::Federated { provider_arn: "acs:ram::1000000000000001:oidc-provider/p" },
];

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // What is behind the document is asked for too.
    let (document, asked) =
        text.rsplit_once('\n').unwrap_or((text, "oss:GetObject acs:oss:*:1000000000000001:a/b"));
    if let Ok(ours) = of_s3(document) {
        // What is translated is read, or refused as any document is; it has as many statements.
        if let Ok(policy) = Policy::parse_as(Kind::Bucket, &ours) {
            let _ = policy.is_public();
            assert!(policy.statements() > 0);
        }
    }
    if let Ok(key) = Arn::parse("acs:kms:cn-hangzhou:1000000000000001:key/k")
        && let Ok(policy) = Policy::of_key(document, &key)
    {
        about_nothing_else(&policy);
        understood(policy, asked);
    }
    for kind in KINDS {
        match Policy::parse_as(kind, document) {
            Ok(policy) => understood(policy, asked),
            Err(e) => {
                // A place, or none at all.
                assert_eq!(e.line() == 0, e.column() == 0, "{e}");
                let _ = (e.render(document), e.render(asked), e.to_string());
            }
        }
    }
});

/// A key's policy says nothing about another key, and lets nobody in without a name.
fn about_nothing_else(policy: &Policy) {
    let set = PolicySet::compile(vec![("p".to_owned(), Arc::new(policy.clone()))]);
    let context = |subject| Context {
        now: Timestamp::from_ms(0),
        source_ip: None,
        secure_transport: true,
        mfa_present: None,
        subject,
        extra: &[],
    };
    let says = |subject, resource: &str| {
        let Ok(resource) = Arn::parse(resource) else { return true };
        let context = context(subject);
        let request = Request { action: "kms:Decrypt", resource: &resource, context: &context };
        decide(&Phases { resource: Some(&set), ..Phases::default() }, &request).is_allowed()
    };
    let user = |account| Subject::User { account, id: "2", name: "a" };
    assert!(!says(user("1000000000000001"), "acs:kms:cn-hangzhou:1000000000000001:key/other"));
    assert!(!says(Subject::Anonymous, "acs:kms:cn-hangzhou:1000000000000001:key/k"));
}

fn understood(policy: Policy, asked: &str) {
    let policy = Arc::new(policy);
    let _ = policy.lints();
    for number in 1..=policy.statements() {
        assert!(policy.statement_text(number).starts_with('{'));
    }
    let set = PolicySet::compile(vec![("p".to_owned(), Arc::clone(&policy))]);
    let phases = [
        Phases { identity: &[&set], ..Phases::default() },
        Phases { resource: Some(&set), ..Phases::default() },
        Phases { control: Some(&set), session: Some(&set), identity: &[&set, &set], resource: Some(&set) },
    ];
    let own = asked.split_once(' ').unwrap_or((asked, "acs:oss:*:1:x"));
    for (action, resource) in ASKED.into_iter().chain([own]) {
        let Ok(resource) = Arn::parse(resource) else { continue };
        let _ = policy.touching(action, &resource);
        for subject in SUBJECTS {
            let extra: &[(&str, &[&str])] = &[("x:one", &[asked]), ("x:two", &["a", "b*"]), ("x:none", &[])];
            let context = Context {
                now: Timestamp::from_secs(1_767_323_045),
                source_ip: "::ffff:10.1.2.3".parse().ok(),
                secure_transport: false,
                mfa_present: None,
                subject,
                extra,
            };
            let request = Request { action, resource: &resource, context: &context };
            for phases in &phases {
                let verdict = decide(phases, &request);
                assert_eq!(verdict, decide_plainly(phases, &request));
                let why = explain(phases, &request);
                assert_eq!(why.verdict == "allow", verdict.is_allowed());
                assert_eq!(
                    why.deciding.first().map(|d| d.statement),
                    verdict.by().map(|b| b.statement).filter(|n| *n > 0)
                );
            }
            let _ = decide_assume_role(&set, &phases[0], &request);
        }
    }
}
