//! Short ways to policies and requests.

use std::sync::Arc;

use bailee_policy::{
    Context, Kind, Phases, Policy, PolicySet, Request, Subject, Verdict, decide, decide_plainly,
};
use bailee_types::{Arn, Timestamp};

pub(crate) const ACCOUNT: &str = "1000000000000001";
pub(crate) const OTHER: &str = "1000000000000002";
pub(crate) const LI: Subject<'static> =
    Subject::User { account: ACCOUNT, id: "2000000000000001", name: "li" };
pub(crate) const OBJECT: &str = "acs:oss:*:1000000000000001:invoices/2026/1.pdf";

pub(crate) fn context(subject: Subject<'_>) -> Context<'_> {
    Context {
        now: Timestamp::parse_iso("2026-01-02T03:04:05Z").unwrap(),
        source_ip: "10.1.2.3".parse().ok(),
        secure_transport: true,
        mfa_present: None,
        subject,
        extra: &[],
    }
}

pub(crate) fn set(kind: Kind, documents: &[&str]) -> PolicySet {
    let named = documents.iter().enumerate();
    PolicySet::compile(
        named.map(|(i, d)| (format!("p{}", i + 1), Arc::new(Policy::parse_as(kind, d).expect(d)))).collect(),
    )
}

/// A document of one statement.
pub(crate) fn one(statement: &str) -> String {
    format!(r#"{{"Version":"1","Statement":[{{{statement}}}]}}"#)
}

/// Decides in both ways.
pub(crate) fn both<'a>(phases: &Phases<'a>, request: &Request<'_>) -> Verdict<'a> {
    let verdict = decide(phases, request);
    assert_eq!(verdict, decide_plainly(phases, request), "{request:?}");
    verdict
}

/// Decides for identity policies only.
pub(crate) fn ask<'a>(
    sets: &'a [&'a PolicySet],
    action: &str,
    resource: &str,
    context: &Context<'_>,
) -> Verdict<'a> {
    let arn = Arn::parse(resource).unwrap();
    both(&Phases { identity: sets, ..Phases::default() }, &Request { action, resource: &arn, context })
}

/// Whether one identity statement allows li to read [`OBJECT`] under these circumstances.
pub(crate) fn allows(statement: &str, context: &Context<'_>) -> bool {
    let set = set(Kind::Identity, &[&one(statement)]);
    ask(&[&set], "oss:GetObject", OBJECT, context).is_allowed()
}
