//! Decisions and their costs against what `policy` aims at: medians and 99th percentiles of single calls, growth with the
//! number of statements, allocations. Cedar decides the same requests in the same run, for scale.
//!
//! The allocator is the system's with a counter, not the program's: a decision is to allocate nothing anyway.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a bench fails loudly")]

use std::fmt::Write;
use std::hint::black_box;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bailee_policy::{
    Context, Kind, Phases, Policy, PolicySet, Request, Subject, Verdict, decide, decide_plainly,
};
use bailee_types::{Arn, SecretText, Timestamp};
use bailee_wire::rpc::RpcRequest;
use cedar_policy::RestrictedExpression as Expr;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const ACCOUNT: &str = "1000000000000001";
const OBJECT: &str = "acs:oss:*:1000000000000001:bucket-7/reports/2026/q1.pdf";

/// Median and 99th percentile of single calls.
struct Took {
    median: Duration,
    p99: Duration,
}

/// Times single calls for `long`, after a tenth of that as warm-up. The clock's own cost is part of each.
fn each(long: Duration, mut f: impl FnMut()) -> Took {
    let warm = Instant::now();
    while warm.elapsed() < long / 10 {
        f();
    }
    let mut all = Vec::with_capacity(1 << 20);
    let start = Instant::now();
    while start.elapsed() < long && all.len() < all.capacity() {
        let at = Instant::now();
        f();
        all.push(at.elapsed());
    }
    all.sort_unstable();
    Took { median: all[all.len() / 2], p99: all[all.len() * 99 / 100] }
}

/// Mean of one call in batches: what a call costs without the clock.
fn mean(long: Duration, mut f: impl FnMut()) -> Duration {
    let mut best = Duration::MAX;
    let start = Instant::now();
    while start.elapsed() < long {
        let at = Instant::now();
        for _ in 0..256 {
            f();
        }
        best = best.min(at.elapsed() / 256);
    }
    best
}

/// The value was needed.
fn done<T>(value: T) {
    black_box(value);
}

fn line(what: &str, value: f64, unit: &str, aim: &str, reached: bool) {
    let verdict = if reached { "reached" } else { "MISSED" };
    println!("{what:<72} {value:>10.2} {unit:<4} aim {aim}: {verdict}");
}

fn micros(d: Duration) -> f64 {
    d.as_secs_f64() * 1e6
}

/// Policies of 40 statements each.
fn compile(kind: Kind, statements: &[String]) -> PolicySet {
    let policy = |list: &[String]| {
        let document = format!(r#"{{"Version":"1","Statement":[{}]}}"#, list.join(","));
        Arc::new(Policy::parse_as(kind, &document).expect(&document))
    };
    PolicySet::compile(statements.chunks(20).enumerate().map(|(i, c)| (format!("p{i}"), policy(c))).collect())
}

const SERVICES: [&str; 8] = ["oss", "ram", "kms", "ecs", "vpc", "actiontrail", "sts", "log"];

/// Statements over eight services, a bucket or thing each, with a condition on the address.
fn spread(n: usize) -> Vec<String> {
    let one = |i: usize| {
        let service = SERVICES[i % 8];
        format!(
            r#"{{"Effect":"{}","Action":["{service}:Get*","{service}:List*"],"Resource":["acs:{service}:*:*:bucket-{i}","acs:{service}:*:*:bucket-{i}/*"],"Condition":{{"IpAddress":{{"acs:SourceIp":"10.0.0.0/8"}}}}}}"#,
            if i % 10 == 9 { "Deny" } else { "Allow" },
        )
    };
    (0..n).map(|i| one(i + 8)).collect()
}

fn allow_own() -> String {
    r#"{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":["acs:oss:*:*:bucket-7","acs:oss:*:*:bucket-7/*"],"Condition":{"IpAddress":{"acs:SourceIp":"10.0.0.0/8"},"Bool":{"acs:SecureTransport":true}}}"#.to_owned()
}

fn with_principal(statements: &[String]) -> Vec<String> {
    let principal = |s: &String| s.replacen('{', r#"{"Principal":{"RAM":["1000000000000001"]},"#, 1);
    statements.iter().map(principal).collect()
}

/// A request as the gate builds it, context included.
fn ask<'a>(phases: &Phases<'a>, resource: &Arn) -> Verdict<'a> {
    let extra: &[(&str, &[&str])] = &[("oss:Prefix", &["reports/"]), ("acs:RequestTag/team", &["finance"])];
    let context = Context {
        now: Timestamp::from_secs(1_767_323_045),
        source_ip: Some([10, 1, 2, 3].into()),
        secure_transport: true,
        mfa_present: Some(true),
        subject: Subject::User { account: ACCOUNT, id: "2000000000000001", name: "li" },
        extra,
    };
    decide(phases, black_box(&Request { action: "oss:GetObject", resource, context: &context }))
}

fn four_phases(resource: &Arn) {
    let statements: Vec<String> = spread(999).into_iter().chain([allow_own()]).collect();
    let all = compile(Kind::Identity, &statements);
    let bucket = compile(Kind::Bucket, &with_principal(&statements[..100]));
    let phases =
        Phases { control: Some(&all), session: Some(&all), identity: &[&all], resource: Some(&bucket) };
    assert!(ask(&phases, resource).is_allowed());
    let took = each(Duration::from_secs(3), || done(ask(&phases, resource).by()));
    let net = mean(Duration::from_secs(1), || done(ask(&phases, resource).by()));
    let (median, p99) = (micros(took.median), micros(took.p99));
    line("(a) 1,000 statements, four phases, reason kept: median", median, "µs", "1 µs", median <= 1.0);
    line("(a) the same: 99th percentile", p99, "µs", "4 µs", p99 <= 4.0);
    line("(a) the same: in a batch, without the clock", micros(net), "µs", "1 µs", micros(net) <= 1.0);
    let counted = allocation_counter::measure(|| done(ask(&phases, resource).by()));
    let count = counted.count_total as f64;
    line("(d) allocations of that decision", count, "", "0", counted.count_total == 0);
    let identity_only = Phases { identity: &[&all], ..Phases::default() };
    let one = each(Duration::from_secs(2), || done(ask(&identity_only, resource)));
    println!(
        "{:<72} {:>10.2} µs   p99 {:.2} µs",
        "    identity phase alone: median",
        micros(one.median),
        micros(one.p99)
    );
    let context = plain_context();
    let request = Request { action: "oss:GetObject", resource, context: &context };
    let plain = each(Duration::from_secs(2), || done(decide_plainly(&identity_only, &request)));
    println!(
        "{:<72} {:>10.2} µs   p99 {:.2} µs",
        "    identity phase, every statement in turn: median",
        micros(plain.median),
        micros(plain.p99)
    );
}

fn plain_context() -> Context<'static> {
    Context {
        now: Timestamp::from_secs(1_767_323_045),
        source_ip: Some([10, 1, 2, 3].into()),
        secure_transport: true,
        mfa_present: Some(true),
        subject: Subject::User { account: ACCOUNT, id: "2000000000000001", name: "li" },
        extra: &[],
    }
}

fn growth(resource: &Arn) {
    type Make = fn(usize) -> String;
    let kinds: [(&str, Make); 5] = [
        ("other buckets", |i| {
            format!(r#"{{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:other-{i}/*"}}"#)
        }),
        ("other prefixes", |i| {
            format!(r#"{{"Effect":"Allow","Action":"oss:*","Resource":"acs:oss:*:*:bucket-7/o{i}*"}}"#)
        }),
        ("other actions", |i| {
            format!(r#"{{"Effect":"Allow","Action":"oss:Put{i}","Resource":"acs:oss:*:*:bucket-7/*"}}"#)
        }),
        ("other services, any resource", |i| {
            format!(r#"{{"Effect":"Deny","Action":"{}:*","Resource":"*"}}"#, SERVICES[1 + i % 7])
        }),
        ("denied elsewhere", |i| {
            format!(r#"{{"Effect":"Deny","Action":"*","Resource":"acs:oss:*:*:other-{i}*"}}"#)
        }),
    ];
    for (name, make) in kinds {
        let time = |n: usize| {
            let statements: Vec<String> = (0..n).map(make).chain([allow_own()]).collect();
            let set = compile(Kind::Identity, &statements);
            let phases = Phases { identity: &[&set], ..Phases::default() };
            assert!(ask(&phases, resource).is_allowed());
            mean(Duration::from_millis(600), || done(ask(&phases, resource)))
        };
        let (few, many) = (time(10), time(10_000));
        let ratio = many.as_secs_f64() / few.as_secs_f64();
        let what = format!("(b) {name}: 10 -> 10,000 ({:.2} -> {:.2} µs)", micros(few), micros(many));
        line(&what, ratio, "x", "1.5x", ratio <= 1.5);
    }
}

fn adversarial(resource: &Arn) {
    // All stand under the same prefix and action, and fail at the last condition only.
    let one = |i: usize| {
        format!(
            r#"{{"Effect":"Allow","Action":"oss:Get*","Resource":"acs:oss:*:*:bucket-7/*","Condition":{{"IpAddress":{{"acs:SourceIp":"10.0.0.0/8"}},"StringEquals":{{"oss:Prefix":"p{i}"}}}}}}"#
        )
    };
    let set = compile(Kind::Identity, &(0..1_000).map(one).collect::<Vec<_>>());
    let phases = Phases { identity: &[&set], ..Phases::default() };
    assert!(!ask(&phases, resource).is_allowed());
    let took = each(Duration::from_secs(2), || done(ask(&phases, resource)));
    let (median, p99) = (micros(took.median), micros(took.p99));
    let what = format!("(c) 1,000 statements that all pass the index: median (p99 {p99:.1} µs)");
    line(&what, median, "µs", "150 µs", median <= 150.0);
}

fn compiling() {
    let mut document = String::from(r#"{"Version":"1","Statement":["#);
    for statement in spread(100) {
        if document.chars().count() + statement.chars().count() + 3 > 6_144 {
            break;
        }
        let _ = write!(document, "{}{statement}", if document.ends_with('[') { "" } else { "," });
    }
    document.push_str("]}");
    document.push_str(&" ".repeat(6_144 - document.chars().count()));
    let took = each(Duration::from_secs(2), || {
        let policy = Policy::parse(black_box(&document)).unwrap();
        drop(black_box(PolicySet::compile(vec![("p".to_owned(), Arc::new(policy))])));
    });
    let (median, p99) = (micros(took.median), micros(took.p99));
    let what = format!("(e) reading and compiling 6,144 characters: median (p99 {p99:.1} µs)");
    line(&what, median, "µs", "200 µs", median <= 200.0);
}

fn wildcards() {
    let context = plain_context();
    let key = Arn::parse(&format!("acs:oss:*:{ACCOUNT}:{}", "a".repeat(1_023))).unwrap();
    let request = Request { action: "oss:GetObject", resource: &key, context: &context };
    // A question mark behind the star keeps the literal from being looked for as a whole.
    let worst = format!("*?{}b*", "a".repeat(509));
    for (name, pattern, times) in [
        ("*a*a…", "*a".repeat(3_000), 1),
        ("*a*a…b", format!("{}b", "*a".repeat(511)), 1),
        ("*aaa…b*", format!("*{}b*", "a".repeat(511)), 1),
        ("*?aaa…b*", worst.clone(), 1),
        ("*?aaa…b* in a whole policy", worst, 11),
    ] {
        let resources = vec![format!("acs:oss:*:*:{pattern}"); times];
        let statement = format!(r#"{{"Effect":"Allow","Action":"*","Resource":{resources:?}}}"#);
        let set = compile(Kind::Identity, &[statement]);
        let phases = Phases { identity: &[&set], ..Phases::default() };
        let took = each(Duration::from_millis(700), || done(decide(&phases, &request)));
        let ms = took.p99.as_secs_f64() * 1e3;
        let what = format!("(f) wildcard {name} ({} characters), 1,023-byte key: p99", pattern.len() * times);
        if times == 1 {
            line(&what, ms, "ms", "5 ms", ms <= 5.0);
        } else {
            println!("{what:<72} {ms:>10.2} ms");
        }
    }
}

/// One RPC call as the server takes it: read, string to sign, MAC, then a decision over 1,000 statements.
fn signed_call(resource: &Arn) {
    const SECRET: &str = "BaileeFakeSecret0123456789abcd";
    let body_hash = hex::encode(Sha256::digest(b""));
    let headers = [
        ("host", "127.0.0.1:8420"),
        ("x-acs-action", "GetUser"),
        ("x-acs-content-sha256", body_hash.as_str()),
        ("x-acs-date", "2026-01-02T03:04:05Z"),
        ("x-acs-signature-nonce", "8f2c4a1e0b9d4c6e8a7b5d3f1c2e4a6b"),
        ("x-acs-version", "2015-05-01"),
    ];
    let names = headers.map(|(n, _)| n).join(";");
    let lines: String = headers.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
    let canonical = format!("POST\n/\nUserName=li\n{lines}\n{names}\n{body_hash}");
    let text = format!("ACS3-HMAC-SHA256\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut request = http::Request::post("/?UserName=li").header(
        "authorization",
        format!(
            "ACS3-HMAC-SHA256 Credential=LTAI5tBaileeFakeKey01,SignedHeaders={names},Signature={signature}"
        ),
    );
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let parts = request.body(()).unwrap().into_parts().0;
    let statements: Vec<String> = spread(999).into_iter().chain([allow_own()]).collect();
    let all = compile(Kind::Identity, &statements);
    let phases = Phases { identity: &[&all], ..Phases::default() };
    let now = Timestamp::parse_iso("2026-01-02T03:10:00Z").unwrap();
    let secret = SecretText::new(SECRET.into());
    let took = each(Duration::from_secs(2), || {
        let request = RpcRequest::read(black_box(&parts), b"").unwrap();
        let signed = request.signed(now).unwrap();
        signed.verify(&secret).unwrap();
        done(ask(&phases, resource));
    });
    let (median, p99) = (micros(took.median), micros(took.p99));
    let what = format!("signed call (V3) read, authenticated, decided: median (p99 {p99:.1} µs)");
    line(&what, median, "µs", "60 µs", median <= 60.0);
}

/// The statements of (a) for Cedar: patterns over the context, as RAM needs them.
fn cedar() {
    let one = |i: usize, condition: &str| {
        let (service, effect) = (SERVICES[i % 8], if i % 10 == 9 { "forbid" } else { "permit" });
        format!(
            r#"{effect}(principal, action, resource) when {{ context.action like "{service}:get*" || context.action like "{service}:list*" }} when {{ context.service == "{service}" && (context.relative == "bucket-{i}" || context.relative like "bucket-{i}/*") }} when {{ context has ip && context.ip.isInRange(ip("10.0.0.0/8")){condition} }};"#
        ) + "\n"
    };
    let authorizer = cedar_policy::Authorizer::new();
    let nobody = cedar_policy::Entities::empty();
    let someone = cedar_policy::EntityUid::from_str("U::\"u\"").unwrap();
    for n in [10, 1_000] {
        let text: String = (0..n - 1).map(|i| one(i + 8, "")).collect::<String>()
            + &one(7, " && context.secure").replace(SERVICES[7], "oss");
        let policies = cedar_policy::PolicySet::from_str(&text).unwrap();
        let took = each(Duration::from_secs(3), || {
            let pairs = [
                ("action", Expr::new_string("oss:getobject".into())),
                ("service", Expr::new_string("oss".into())),
                ("relative", Expr::new_string("bucket-7/reports/2026/q1.pdf".into())),
                ("ip", Expr::new_ip("10.1.2.3")),
                ("secure", Expr::new_bool(true)),
            ];
            let context = cedar_policy::Context::from_pairs(pairs.map(|(k, v)| (k.to_owned(), v))).unwrap();
            let request =
                cedar_policy::Request::new(someone.clone(), someone.clone(), someone.clone(), context, None)
                    .unwrap();
            let answer = authorizer.is_authorized(&request, &policies, &nobody);
            assert_eq!(black_box(answer).decision(), cedar_policy::Decision::Allow);
        });
        let what = format!("    Cedar 4.14, {n} statements, one phase: median");
        println!("{what:<72} {:>10.2} µs   p99 {:.2} µs", micros(took.median), micros(took.p99));
    }
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    let resource = Arn::parse(OBJECT).unwrap();
    let parts: [(&str, &dyn Fn()); 7] = [
        ("signed", &|| signed_call(&resource)),
        ("phases", &|| four_phases(&resource)),
        ("growth", &|| growth(&resource)),
        ("adversarial", &|| adversarial(&resource)),
        ("compiling", &compiling),
        ("wildcards", &wildcards),
        ("cedar", &cedar),
    ];
    for (name, part) in parts {
        if wanted(name) {
            part();
        }
    }
}
