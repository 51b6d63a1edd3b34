//! Prints random cases as JSON lines for the second oracle: `oracle_cases [how many] [seed]`.
//!
//! Each line has policies and a request in the other cloud's language, and what we decided; see
//! `tests/oracles/iam_simulate.mjs`. Left out, because the two languages differ: empty regions and accounts in patterns
//! (here: any), other accounts (there both sides must allow), owners and `root` principals, several values without a
//! qualifier, variables with defaults, variables in exceptions (`NotResource`, negated operators), numbers that are no
//! decimals, dates as seconds, control and session policies. Also left out, because that engine takes shortcuts: wildcards
//! in the first part of a path (all resources stand in a folder `o/` there), variables whose value is empty, `/0` networks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a tool of the tests")]

#[path = "../tests/shared/cases.rs"]
mod cases;

use std::io::Write;
use std::sync::Arc;

use bailee_policy::{Kind, Policy, PolicySet};
use cases::{ACCOUNT, Dice, NOW, RAM, Shared, Spelling, Statement, asked, statement};
use serde_json::{Map, Value, json};

const REQUESTS: usize = 10;

const AWS: Spelling =
    Spelling { version: "2012-10-17", arn: "arn:aws", identity: "AWS", folder: "o/", key: aws_key };

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(default, |a| a.parse().expect("a number"));
    let (wanted, seed) = (number(20_000), number(1) as u64);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut made = 0;
    let mut dice = Dice(seed);
    while made < wanted {
        let own: Vec<Statement> =
            (0..=dice.below(5)).map(|_| statement(&mut dice, Shared::Aws, false)).collect();
        let open: Vec<Statement> =
            (0..dice.below(3)).map(|_| statement(&mut dice, Shared::Aws, true)).collect();
        let compile = |kind, statements: &[Statement]| {
            let policy = Policy::parse_as(kind, &RAM.document(statements)).unwrap();
            PolicySet::compile(vec![("p".to_owned(), Arc::new(policy))])
        };
        let identity = compile(Kind::Identity, &own);
        let resource = (!open.is_empty()).then(|| compile(Kind::Bucket, &open));
        let theirs: Value = serde_json::from_str(&AWS.document(&own)).unwrap();
        let their_resource: Option<Value> =
            (!open.is_empty()).then(|| serde_json::from_str(&AWS.document(&open)).unwrap());
        for _ in 0..REQUESTS.min(wanted - made) {
            let asked = asked(&mut dice, Shared::Aws);
            let mut context = Map::new();
            context.insert("aws:CurrentTime".into(), NOW.into());
            context.insert("aws:SecureTransport".into(), asked.secure.to_string().into());
            context.extend(asked.mfa.map(|v| (aws_key("acs:MFAPresent"), v.to_string().into())));
            context.extend(asked.ip.map(|v| (aws_key("acs:SourceIp"), v.into())));
            for (key, values) in asked.extra() {
                match values.as_slice() {
                    [] => {}
                    [only] if key != "x:s" => drop(context.insert(aws_key(key), only.as_str().into())),
                    many => drop(context.insert(aws_key(key), many.into())),
                }
            }
            let line = json!({
                "ours": asked.decide(&[&identity], resource.as_ref()), "identity": theirs, "resource": their_resource,
                "request": {
                    "principal": AWS.user(asked.user), "action": asked.action,
                    "resource": { "resource": AWS.resource(&asked.resource), "accountId": ACCOUNT }, "contextVariables": context,
                },
            });
            writeln!(out, "{line}").expect("standard output");
            made += 1;
        }
    }
}

fn aws_key(key: &str) -> String {
    match key.strip_prefix("acs:") {
        Some("MFAPresent") => "aws:MultiFactorAuthPresent".to_owned(),
        Some(name) => format!("aws:{name}"),
        None => key.to_owned(),
    }
}
