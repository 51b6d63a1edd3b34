//! Honest bundles pass; every change of one is found, with the record and the reason.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command;

use bailee_proof::bundle::{Manifest, Opening, Scope, Writer, lead_digest};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::note::Signer;
use bailee_proof::record::{Entry, Kind, commitment};
use bailee_proof::rotation::Rotation;
use bailee_proof::tree::Frontier;
use bailee_verify::{Expect, Problem, Report, Verdict, verify};
use serde_json::{Value, json};

const TENANT: &str = "1000000000000001";
const OBJECT: &str = "acs:oss:*:1000000000000001:invoices/1.pdf";
const GRANT: &str = "G-abcdefghjkmn";
const T0: u64 = 1_767_323_045_000;

#[derive(Clone)]
struct Record {
    entry: [u8; 50],
    nonce: [u8; 32],
    event: Vec<u8>,
}

fn signer() -> Signer {
    Signer::from_seed("trust.example/trail/0102", &[7; 32]).unwrap()
}

/// Records of these kinds and events, one second apart, as an honest log would write them.
fn log(events: &[(Kind, Value)]) -> Vec<Record> {
    let one = |(i, (kind, event)): (usize, &(Kind, Value))| {
        let time_ms = T0 + 1000 * i as u64;
        let mut event = event.clone();
        event["record"] = kind.word().into();
        event["index"] = i.into();
        event["timeMs"] = time_ms.into();
        event["tenant"] = TENANT.into();
        // A cheating server may spell a letter as an escape.
        let event = event.to_string().replace("{C}", "\\u0043").replace("{O}", "\\u004f").into_bytes();
        let nonce = [i as u8; 32];
        let entry = Entry { kind: *kind, index: i as u64, time_ms, commitment: commitment(&nonce, &event) };
        Record { entry: entry.encode(), nonce, event }
    };
    events.iter().enumerate().map(one).collect()
}

fn head(records: &[Record]) -> Checkpoint {
    let mut frontier = Frontier::new();
    for r in records {
        frontier.append(bailee_proof::hash::leaf_hash(&r.entry)).unwrap();
    }
    Checkpoint {
        origin: signer().verifier().name().to_owned(),
        size: records.len() as u64,
        root: frontier.root(),
    }
}

/// A bundle of `records` under the head of `signed`: the same for an honest server.
fn bundle(records: &[Record], signed: &[Record]) -> Vec<u8> {
    bundle_by(&signer(), records, signed)
}

fn bundle_by(signer: &Signer, records: &[Record], signed: &[Record]) -> Vec<u8> {
    let note = head(signed).sign(signer).unwrap();
    let manifest = Manifest {
        origin: signer.verifier().name().to_owned(),
        tenant: TENANT.into(),
        exported: "2026-01-02T04:00:00Z".into(),
        records: records.len() as u64,
        lead: lead_digest(note.as_bytes(), b"", records.len() as u64).unwrap(),
        scope: Scope::All,
        key: signer.verifier().clone(),
    };
    let mut out =
        Writer::new(Vec::new(), manifest.sign(signer).unwrap().as_bytes(), note.as_bytes(), b"").unwrap();
    for r in records {
        out.record(&r.entry, Opening::Opened { nonce: &r.nonce, event: &r.event }).unwrap();
    }
    out.finish().unwrap()
}

fn check(bytes: &[u8]) -> Result<Report, Problem> {
    verify(bytes, &Expect::default())
}

fn why(events: &[(Kind, Value)]) -> String {
    let records = log(events);
    check(&bundle(&records, &records)).unwrap_err().to_string()
}

fn approve() -> (Kind, Value) {
    (Kind::Management, json!({ "eventName": "ApproveConsent", "management": { "x": 1 } }))
}

fn approved(intent: u64, until_ms: u64) -> (Kind, Value) {
    let consent = json!({ "grant": GRANT, "act": "approve", "action": "oss:GetObject", "object": "invoices/1.pdf",
        "operator": "emp-a", "untilMs": until_ms });
    (Kind::Outcome, json!({ "intent": intent, "result": "done", "detail": { "consent": consent } }))
}

fn read(grant: Option<&str>, operator: &str) -> (Kind, Value) {
    let mut event =
        json!({ "eventName": "GetObject", "resource": OBJECT, "platform": { "EmployeeID": operator } });
    if let Some(grant) = grant {
        event["grant"] = grant.into();
    }
    (Kind::Intent, event)
}

fn done(intent: u64) -> (Kind, Value) {
    (Kind::Outcome, json!({ "intent": intent, "result": "done" }))
}

fn honest() -> Vec<(Kind, Value)> {
    let refusal = (Kind::Refusal, json!({ "eventName": "GetObject", "errorCode": "NoConsent" }));
    vec![refusal, approve(), approved(1, T0 + 60_000), read(Some(GRANT), "emp-a"), done(3)]
}

#[test]
fn an_honest_bundle_holds() {
    let records = log(&honest());
    let report = check(&bundle(&records, &records)).unwrap();
    assert_eq!((report.records, report.counts.content_reads, report.open.len()), (5, 1, 0));
    assert!(!report.key_given);
    let empty = check(&bundle(&[], &[])).unwrap();
    assert_eq!(empty.records, 0);
}

#[test]
fn every_flipped_bit_of_every_byte_is_found() {
    let records = log(&honest());
    let good = bundle(&records, &records);
    for i in 0..good.len() {
        for bit in [0, 3, 7] {
            let mut bad = good.clone();
            bad[i] ^= 1 << bit;
            let problem = check(&bad).err().unwrap_or_else(|| panic!("byte {i}, bit {bit} passed"));
            assert!(matches!(problem, Problem::Violation { .. }), "byte {i}: {problem}");
        }
    }
}

#[test]
fn every_cut_and_every_tail_is_found() {
    let records = log(&honest());
    let good = bundle(&records, &records);
    for n in 0..good.len() {
        assert!(matches!(check(&good[..n]), Err(Problem::Violation { .. })), "cut at {n}");
    }
    assert!(check(&[good, vec![0]].concat()).is_err());
}

#[test]
fn a_server_that_signs_what_it_changed_is_still_found() {
    let all = log(&honest());
    let mut removed = all.clone();
    removed.remove(1);
    let mut swapped = all.clone();
    swapped.swap(2, 3);
    let mut doubled = all.clone();
    doubled.insert(2, all[1].clone());
    let mut rewritten = all.clone();
    rewritten[0].event = rewritten[0].event.iter().map(|b| if *b == b'N' { b'M' } else { *b }).collect();
    for (bad, wanted) in [
        (removed, "record 1: it says that it is record 2"),
        (swapped, "record 2: it says that it is record 3"),
        (doubled, "record 2: it says that it is record 1"),
        (rewritten, "record 0: its event is not the one that the log committed to"),
    ] {
        // The dishonest server signs manifest and head over what it shows.
        let said = check(&bundle(&bad, &bad)).unwrap_err().to_string();
        assert!(said.starts_with(wanted), "{said}");
    }
    let said = check(&bundle(&all[..4], &all)).unwrap_err().to_string();
    assert_eq!(said, "the checkpoint: it covers 5 records and the bundle says that it holds 4");
}

#[test]
fn outcomes_close_open_intents_once() {
    let mut twice = honest();
    twice.push(done(3));
    assert_eq!(why(&twice), "record 5: it is an outcome of record 3, which is no intent that waits for one");
    assert_eq!(
        why(&[done(0)]),
        "record 0: it is an outcome of record 0, which is no intent that waits for one"
    );
    let open = log(&honest()[..4]);
    assert_eq!(check(&bundle(&open, &open)).unwrap().open, [3]);
}

#[test]
fn a_read_of_content_without_a_live_grant_is_found() {
    let read_after = |before: Vec<(Kind, Value)>, read: (Kind, Value)| {
        let mut all = before;
        all.push(read);
        why(&all)
    };
    let granted = || vec![approve(), approved(0, T0 + 60_000)];
    let by = |text: &str| format!("record 2: an operator's read of `invoices/1.pdf` {text}");
    assert!(why(&[read(None, "emp-a")]).ends_with("names no grant"));
    assert!(why(&[read(Some(GRANT), "emp-a")]).ends_with("which no record of the tenant approves"));
    assert_eq!(
        read_after(granted(), read(Some(GRANT), "emp-b")),
        by(&format!("is by another operator than grant {GRANT} names"))
    );
    let expired = vec![approve(), approved(0, T0 + 2_000)];
    assert_eq!(
        read_after(expired, read(Some(GRANT), "emp-a")),
        by(&format!("comes after grant {GRANT} had expired"))
    );
    let mut other = read(Some(GRANT), "emp-a");
    other.1["resource"] = "acs:oss:*:1000000000000001:invoices/2.pdf".into();
    assert!(read_after(granted(), other).contains("is not covered by grant"));
    let mut revoked = granted();
    revoked.push((Kind::Management, json!({ "eventName": "RevokeConsent", "management": {} })));
    revoked.push((
        Kind::Outcome,
        json!({ "intent": 2, "result": "done", "detail": { "consent": { "grant": GRANT, "act": "revoke" } } }),
    ));
    assert!(read_after(revoked, read(Some(GRANT), "emp-a")).contains("was revoked"));
    let back = |act: &str| {
        let by = json!({ "eventName": "WithdrawRequest", "platform": { "EmployeeID": "emp-a" } });
        let mut detail = approved(0, T0 + 60_000).1["detail"]["consent"].clone();
        detail["act"] = act.into();
        (by, json!({ "intent": 0, "result": "done", "detail": { "consent": detail } }))
    };
    let mut returned = granted();
    let (by_operator, mut outcome) = back("return");
    outcome["intent"] = 2.into();
    returned.extend([(Kind::Intent, by_operator), (Kind::Outcome, outcome)]);
    assert!(read_after(returned, read(Some(GRANT), "emp-a")).contains("given back"));
    // Who takes a request back gives himself nothing by it, and a part of the needed approvals is no grant.
    let (by_operator, outcome) = back("approve");
    let own = vec![(Kind::Intent, by_operator), (Kind::Outcome, outcome)];
    assert!(read_after(own, read(Some(GRANT), "emp-a")).contains("which no record of the tenant approves"));
    let mut part = granted();
    part[1].1["detail"]["consent"]["act"] = "approve-part".into();
    assert!(read_after(part, read(Some(GRANT), "emp-a")).contains("which no record of the tenant approves"));
    let mut hidden = granted();
    hidden.push((Kind::Management, json!({ "eventName": "Revoke{C}onsent", "management": {} })));
    hidden.push((
        Kind::Outcome,
        json!({ "intent": 2, "result": "done", "detail": { "consent": { "grant": GRANT, "act": "revoke" } } }),
    ));
    assert!(read_after(hidden, read(Some(GRANT), "emp-a")).contains("was revoked"), "however it is spelled");
    let mut hidden = read(None, "emp-a");
    hidden.1["eventName"] = "Get{O}bject".into();
    assert!(why(&[hidden]).ends_with("names no grant"));
    // An approval that failed gives nothing, and one that an operator wrote is not the tenant's.
    let mut failed = granted();
    failed[1].1["result"] = "failed".into();
    assert!(
        read_after(failed, read(Some(GRANT), "emp-a")).contains("which no record of the tenant approves")
    );
    let mut forged = granted();
    forged[0] =
        (Kind::Intent, json!({ "eventName": "ApproveConsent", "platform": { "EmployeeID": "emp-a" } }));
    assert!(
        read_after(forged, read(Some(GRANT), "emp-a")).contains("which no record of the tenant approves")
    );
}

#[test]
fn what_a_log_of_the_platform_shows_must_be_let_in_as_the_house_says() {
    let collected = |employee: &str, more: Value| {
        let mut collected = json!({ "source": "sshd", "timeBy": "source" });
        collected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let platform = json!({ "EmployeeID": employee });
        (
            Kind::Intent,
            json!({ "eventName": "collected:SSH-login", "collected": collected, "platform": platform }),
        )
    };
    let covered = |grant: &str, at_ms: u64| json!({ "covered": { "session": "s-1", "grant": grant, "by": "name", "atMs": at_ms } });
    let granted = || vec![approve(), approved(0, T0 + 60_000), read(Some(GRANT), "emp-a"), done(2)];
    let after = |mut events: Vec<(Kind, Value)>, last: (Kind, Value)| {
        let intent = events.len() as u64;
        events.extend([last, done(intent)]);
        let records = log(&events);
        check(&bundle(&records, &records))
    };
    let counts = |report: Report| {
        (report.counts.collected, report.counts.collected_uncovered, report.counts.collected_not_asked)
    };
    let verdict = |report: &Report| report.promise("beside the gate").map(|p| p.verdict);
    let report = after(granted(), collected("emp-a", covered(GRANT, T0 + 5_000))).unwrap();
    assert_eq!((verdict(&report), counts(report)), (Some(Verdict::Holds), (1, 0, 0)));
    let report =
        after(granted(), collected("emp-a", json!({ "covered": { "record": 2, "by": "record" } }))).unwrap();
    assert_eq!(counts(report), (1, 0, 0));
    let report = after(granted(), collected("emp-a", json!({ "uncovered": "no session" }))).unwrap();
    assert_eq!((verdict(&report), counts(report)), (Some(Verdict::Doubt), (1, 1, 0)));
    // A house that does not say is not believed; what nobody did needs nothing.
    let report = after(granted(), collected("emp-a", json!({}))).unwrap();
    assert_eq!((verdict(&report), counts(report)), (Some(Verdict::Doubt), (1, 0, 1)));
    assert_eq!(verdict(&after(granted(), collected("", json!({}))).unwrap()), None);

    let wrong = |events, last| after(events, last).unwrap_err().to_string();
    let lie = collected("emp-a", covered("G-zzzzzzzzzzzz", T0));
    assert!(wrong(granted(), lie).contains("no record of the tenant approves"));
    for lie in [
        collected("emp-b", covered(GRANT, T0 + 5_000)),
        collected("emp-a", covered(GRANT, T0 + 60_000 + 120_001)),
        collected("emp-a", covered(GRANT, T0 - 120_001)),
        collected("emp-a", json!({ "covered": { "grant": GRANT } })),
    ] {
        assert!(wrong(granted(), lie).contains("not his or not live then"));
    }
    for record in [0, 3, 4] {
        let lie = collected("emp-a", json!({ "covered": { "record": record } }));
        assert!(wrong(granted(), lie).contains("is no act of his"), "{record}");
    }
    // What the gate refused opened nothing; laid to it, neither did this.
    let mut refused = granted();
    refused.push((Kind::Refusal, json!({ "eventName": "GetObject", "platform": { "EmployeeID": "emp-a" } })));
    for (result, holds) in [("refused", true), ("failed", true), ("done", false), ("unknown", false)] {
        let mut events = refused.clone();
        events.push(collected("emp-a", json!({ "covered": { "record": 4, "by": "record" } })));
        let end = json!({ "intent": 5, "result": result, "eventName": "collected:SSH-login" });
        events.push((Kind::Outcome, end));
        let records = log(&events);
        assert_eq!(check(&bundle(&records, &records)).is_ok(), holds, "{result}");
    }
    // Taken back, two minutes before.
    let mut revoked = granted();
    revoked.push((Kind::Management, json!({ "eventName": "RevokeConsent", "management": {} })));
    revoked.push((
        Kind::Outcome,
        json!({ "intent": 4, "result": "done", "detail": { "consent": { "grant": GRANT, "act": "revoke" } } }),
    ));
    assert!(after(revoked.clone(), collected("emp-a", covered(GRANT, T0 + 100_000))).is_ok());
    let late = collected("emp-a", covered(GRANT, T0 + 5_000 + 120_001));
    assert!(wrong(revoked, late).contains("not live then"));
}

#[test]
fn an_approval_of_more_than_was_asked_is_found() {
    let asked = |scope: Value, minutes: u64, uses: u64| {
        let mut told = json!({ "action": "oss:GetObject", "minutes": minutes, "usesMax": uses });
        told.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
        let platform = json!({ "EmployeeID": "emp-a", "EventAdditionalDetail": told.to_string() });
        let outcome = json!({ "grant": GRANT, "act": "request" });
        let event = json!({ "eventName": "RequestConsent", "platform": platform });
        let done = json!({ "intent": 0, "result": "done", "detail": { "consent": outcome } });
        let mut approval = approved(2, T0 + 60_000);
        approval.1["detail"]["consent"]["usesMax"] = 3.into();
        vec![(Kind::Intent, event), (Kind::Outcome, done), approve(), approval, read(Some(GRANT), "emp-a")]
    };
    for scope in [json!({ "object": "invoices/1.pdf" }), json!({ "prefix": "invoices/" })] {
        let records = log(&asked(scope, 1, 3));
        assert_eq!(check(&bundle(&records, &records)).unwrap().counts.content_reads, 1);
    }
    let more = format!("record 3: the approval of {GRANT} gives more than was asked for");
    let same = || json!({ "object": "invoices/1.pdf" });
    let mut other = asked(same(), 1, 3);
    other[0].1["platform"]["EmployeeID"] = "emp-b".into();
    for wider in [
        asked(json!({ "object": "invoices/2.pdf" }), 1, 3),
        asked(json!({ "prefix": "invoices/2" }), 1, 3),
        asked(json!({ "target": "web", "limits": {} }), 1, 3),
        asked(same(), 0, 3),
        asked(same(), 1, 2),
        other,
    ] {
        assert_eq!(why(&wider), more);
    }
}

const RIGHT: &str = "R-abcdefghjkmn";
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

fn patched(mut value: Value, patch: Value) -> Value {
    value.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
    value
}

/// A right that the tenant sets, with changes to what its record says.
fn right_set(at: u64, patch: Value) -> Vec<(Kind, Value)> {
    let told = json!({ "right": RIGHT, "act": "set", "prefix": "invoices/1", "action": "oss:GetObject", "operators": ["emp-a"],
        "codes": ["response_to_alert"], "minutes": 5, "usesMax": 3, "dayUsesMax": 3, "untilMs": T0 + 10 * MINUTE_MS });
    let set = json!({ "eventName": "SetStandingRight", "management": { "x": 1 } });
    let done = json!({ "intent": at, "result": "done", "detail": { "standing": patched(told, patch) } });
    vec![(Kind::Management, set), (Kind::Outcome, done)]
}

/// A request that becomes a grant at once, with changes to what was asked, and to what its outcome says was opened.
fn stood(at: u64, grant: &str, asked: Value, opened: Value) -> Vec<(Kind, Value)> {
    let wish = patched(
        json!({ "object": "invoices/1.pdf", "action": "oss:GetObject", "minutes": 5, "usesMax": 3, "code": "response_to_alert" }),
        asked,
    );
    let platform = json!({ "EmployeeID": "emp-a", "EventAdditionalDetail": wish.to_string() });
    let began = T0 + 1000 * at;
    let given =
        patched(wish, json!({ "standing": RIGHT, "operator": "emp-a", "untilMs": began + 5 * MINUTE_MS }));
    let detail = json!({ "consent": { "grant": grant, "act": "request", "opened": patched(given, opened) } });
    vec![
        (Kind::Intent, json!({ "eventName": "RequestConsent", "platform": platform })),
        (Kind::Outcome, json!({ "intent": at, "result": "done", "detail": detail })),
    ]
}

fn right_ended(at: u64, grants: &[&str]) -> Vec<(Kind, Value)> {
    let told = json!({ "right": RIGHT, "act": "revoke", "grants": grants });
    let end = json!({ "eventName": "RevokeStandingRight", "management": { "x": 1 } });
    vec![
        (Kind::Management, end),
        (Kind::Outcome, json!({ "intent": at, "result": "done", "detail": { "standing": told } })),
    ]
}

#[test]
fn a_grant_by_a_standing_right_needs_one_that_the_tenant_set_and_that_covers_it() {
    let none = || json!({});
    let reads = |events: &[(Kind, Value)]| {
        let records = log(events);
        check(&bundle(&records, &records)).unwrap().counts.content_reads
    };
    let read_it = || vec![read(Some(GRANT), "emp-a")];
    let all = |parts: Vec<Vec<(Kind, Value)>>| parts.concat();
    let good = all(vec![right_set(0, none()), stood(2, GRANT, none(), none()), read_it()]);
    assert_eq!(reads(&good), 1);
    let any = right_set(0, json!({ "operators": [] }));
    assert_eq!(reads(&all(vec![any, stood(2, GRANT, none(), none()), read_it()])), 1);

    // The right: none, not the tenant's, failed, ended before, too narrow for what it opened, or more than any may be.
    let opened = || stood(2, GRANT, none(), none());
    let mut forged = right_set(0, none());
    forged[0] =
        (Kind::Intent, json!({ "eventName": "SetStandingRight", "platform": { "EmployeeID": "emp-a" } }));
    let mut failed = right_set(0, none());
    failed[1].1["result"] = "failed".into();
    for (set, wanted) in [
        (vec![], "which no record of the tenant sets"),
        (forged, "which no record of the tenant sets"),
        (failed, "which no record of the tenant sets"),
        (right_set(0, json!({ "right": "R-zzzzzzzzzzzz" })), "which no record of the tenant sets"),
        (right_set(0, json!({ "operators": "emp-a" })), "which no record of the tenant sets"),
        (all(vec![right_set(0, none()), right_ended(2, &[])]), "had ended"),
        (right_set(0, json!({ "untilMs": T0 + 5 * MINUTE_MS })), "lasts longer than standing right"),
        (right_set(0, json!({ "operators": ["emp-b"] })), "does not name its operator"),
        (right_set(0, json!({ "codes": ["customer_initiated_support"] })), "not for requests of code"),
        (right_set(0, json!({ "prefix": "invoices/2" })), "not for all of"),
        (right_set(0, json!({ "prefix": "invoices/1.pdf.zip" })), "not for all of"),
        (right_set(0, json!({ "minutes": 4 })), "is more than standing right"),
        (right_set(0, json!({ "usesMax": 2 })), "is more than standing right"),
        (right_set(0, json!({ "dayUsesMax": 2 })), "is more than standing right"),
        (right_set(0, json!({ "prefix": "invoices/" })), "wider or longer than any may be"),
        (right_set(0, json!({ "untilMs": T0 + 91 * DAY_MS })), "wider or longer than any may be"),
    ] {
        let at = set.len() as u64;
        let said = why(&all(vec![set, stood(at, GRANT, none(), none())]));
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    // What it opened: not what was asked for, or at another time.
    for (asked, told) in [
        (none(), json!({ "object": "invoices/10.pdf" })),
        (none(), json!({ "usesMax": 2 })),
        (none(), json!({ "operator": "emp-b" })),
        (none(), json!({ "code": "customer_initiated_support" })),
        (json!({ "minutes": 4 }), json!({ "minutes": 5 })),
        (none(), json!({ "untilMs": T0 + 2_000 + 6 * MINUTE_MS })),
        (none(), json!({ "untilMs": T0 + 1_999 + 5 * MINUTE_MS })),
        (none(), json!({ "standing": 1 })),
        (json!({ "usesMax": 0 }), none()),
    ] {
        let said = why(&all(vec![right_set(0, none()), stood(2, GRANT, asked, told.clone())]));
        assert!(said.contains("was opened by a standing right, but"), "{told}: {said}");
    }
    // More in a day than it gives, one grant twice, and what an operator says of another act.
    let other = "G-bbbbbbbbbbbb";
    let twice = all(vec![right_set(0, none()), opened(), stood(4, other, none(), none())]);
    assert!(why(&twice).contains("is more than standing right"), "{}", why(&twice));
    let more = || right_set(0, json!({ "dayUsesMax": 6 }));
    assert_eq!(reads(&all(vec![more(), opened(), stood(4, other, none(), none()), read_it()])), 1);
    let said = why(&all(vec![more(), opened(), stood(4, GRANT, none(), none())]));
    assert!(said.contains("was a grant before"), "{said}");
    let mut elsewhere = all(vec![right_set(0, none()), opened(), read_it()]);
    elsewhere[2].1["eventName"] = "CommentRequest".into();
    assert!(why(&elsewhere).contains("which no record of the tenant approves"));

    // Its end ends what came of it; a grant that its end names may be told after it, and allows nothing.
    let ended = all(vec![right_set(0, none()), opened(), right_ended(4, &[GRANT]), read_it()]);
    assert!(why(&ended).contains("after grant G-abcdefghjkmn was revoked"), "{}", why(&ended));
    let quiet = all(vec![right_set(0, none()), opened(), right_ended(4, &[]), read_it()]);
    assert!(why(&quiet).contains("was revoked"), "whatever its record lists");
    let mut late = all(vec![right_set(0, none()), opened(), right_ended(3, &[GRANT])]);
    let told = late.remove(3);
    late.push(told);
    assert_eq!(reads(&late), 0);
    late.extend(read_it());
    assert!(why(&late).contains("was revoked"));

    // Sessions: no limit may be wider.
    let target = |limits: Value| json!({ "target": "web", "limits": limits, "action": "ecs:StartSession" });
    let session = |limits: Value| {
        let (mut wish, mut set) = (target(limits), right_set(0, none()));
        wish["object"] = Value::Null;
        let told = set[1].1["detail"]["standing"].as_object_mut().unwrap();
        told.remove("prefix");
        told.extend(
            target(json!({ "family": "host", "shell": false, "exec": true })).as_object().unwrap().clone(),
        );
        all(vec![set, stood(2, GRANT, wish, none())])
    };
    assert_eq!(reads(&session(json!({ "family": "host", "shell": false, "exec": true }))), 0);
    for wider in [
        json!({ "family": "host", "shell": true, "exec": true }),
        json!({ "family": "database", "shell": false, "exec": true }),
        json!({ "family": "host", "exec": true }),
    ] {
        assert!(why(&session(wider.clone())).contains("not for all of"), "{wider}");
    }
}

#[test]
fn a_head_from_elsewhere_must_be_continued() {
    let all = log(&honest());
    let good = bundle(&all, &all);
    let with_head = |head: &Checkpoint| {
        let note = head.sign(&signer()).unwrap().into_bytes();
        verify(good.as_slice(), &Expect { head: Some(note), ..Expect::default() })
    };
    for n in 1..=all.len() {
        assert_eq!(with_head(&head(&all[..n])).unwrap().head_given, Some(n as u64));
    }
    let mut longer = honest();
    longer.push(read(Some(GRANT), "emp-a"));
    assert!(with_head(&head(&log(&longer))).unwrap_err().to_string().contains("the tail is cut off"));
    let other = log(&[approve(), approve()]);
    assert!(with_head(&head(&other)).unwrap_err().to_string().contains("the log was rewritten"));
}

#[test]
fn another_key_or_tenant_is_refused() {
    let all = log(&honest());
    let good = bundle(&all, &all);
    let other = Signer::from_seed("trust.example/trail/0102", &[8; 32]).unwrap().verifier().clone();
    let expect = Expect { key: Some(other), ..Expect::default() };
    assert!(verify(good.as_slice(), &expect).unwrap_err().to_string().contains("another key"));
    let expect =
        Expect { key: Some(signer().verifier().clone()), tenant: Some(TENANT.into()), ..Expect::default() };
    assert!(verify(good.as_slice(), &expect).unwrap().key_given);
    let expect = Expect { tenant: Some("1000000000000002".into()), ..Expect::default() };
    assert!(verify(good.as_slice(), &expect).unwrap_err().to_string().contains(TENANT));
}

#[test]
fn the_program_answers_by_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bundle");
    let all = log(&honest());
    let good = bundle(&all, &all);
    let run = |bytes: &[u8], more: &[&str]| {
        std::fs::write(&path, bytes).unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_bailee-verify")).arg(&path).args(more).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        (out.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, text) = run(&good, &[]);
    assert_eq!(code, Some(0), "{text}");
    for promise in ["signature", "integrity", "order", "completeness", "consent"] {
        assert!(text.lines().any(|l| l.starts_with(promise) && l.contains("holds")), "{promise}: {text}");
    }
    let (code, text) = run(&good[..good.len() - 1], &[]);
    assert_eq!(code, Some(3));
    assert!(text.contains("record 4") && text.contains("cut off"), "{text}");
    assert_eq!(run(b"hello", &[]).0, Some(3));
    assert_eq!(run(&good, &["--no-such-flag"]).0, Some(1));
    let (code, text) = run(&good, &["--output", "json"]);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &value["verifies"]), (Some(0), &Value::Bool(true)));
    let missing = Command::new(env!("CARGO_BIN_EXE_bailee-verify")).arg("no-such-file").output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
}

/// Cheat 16: another key signs than the one that the log passed on to.
#[test]
fn a_key_is_the_one_that_the_log_passed_on_to() {
    let by = |n: u8| Signer::from_seed("trust.example/trail/0102", &[n; 32]).unwrap();
    let change = |index: u64, old: &Signer, new: &Signer| {
        let note = Rotation::sign(index, old, new).unwrap();
        (Kind::Log, json!({ "eventName": "RotateLogKey", "rotation": note }))
    };
    let (old, new, thief) = (signer(), by(8), by(9));
    let mut events = honest();
    events.push(change(5, &old, &new));
    let records = log(&events);
    let with = |signs: &Signer, given: Option<&Signer>| {
        let expect = Expect { key: given.map(|s| s.verifier().clone()), ..Expect::default() };
        verify(bundle_by(signs, &records, &records).as_slice(), &expect)
    };
    for given in [None, Some(&old), Some(&new)] {
        let report = with(&new, given).unwrap();
        assert_eq!(report.key_changes, 1);
        assert!(given.is_none() || report.to_string().contains("; 1 changes, each signed"), "{report}");
    }
    let other = with(&new, Some(&thief)).unwrap_err().to_string();
    assert!(other.contains("another key than the one you gave"), "{other}");
    for signs in [&old, &thief] {
        let why = with(signs, None).unwrap_err().to_string();
        assert!(why.contains("than the one that the log passed on to"), "{why}");
    }
    // A kept head of before the change is by the key that was given.
    let kept = head(&records[..5]).sign(&old).unwrap().into_bytes();
    let expect = Expect { key: Some(old.verifier().clone()), head: Some(kept), ..Expect::default() };
    let bytes = bundle_by(&new, &records, &records);
    assert_eq!(verify(bytes.as_slice(), &expect).unwrap().head_given, Some(5));

    // Not by the key of now, not in its own record, not of this log.
    let foreign = Signer::from_seed("trust.example/trail/else", &[7; 32]).unwrap();
    let foreign_new = Signer::from_seed("trust.example/trail/else", &[8; 32]).unwrap();
    for wrong in [
        vec![change(0, &old, &new), change(1, &old, &thief)],
        vec![change(1, &old, &new)],
        vec![change(0, &foreign, &foreign_new)],
    ] {
        let records = log(&wrong);
        assert!(verify(bundle_by(&new, &records, &records).as_slice(), &Expect::default()).is_err());
    }
}

/// Records about the log itself have one form each; another is no record of ours.
#[test]
fn a_heartbeat_or_finding_of_another_form_is_found() {
    let beat = |size: u64| (Kind::Heartbeat, json!({ "heartbeat": { "size": size, "headVersion": null } }));
    let records = log(&[beat(0)]);
    assert_eq!(check(&bundle(&records, &records)).unwrap().records, 1);
    assert!(why(&[beat(3)]).contains("record 0"), "a heartbeat that counts wrongly");
    assert!(why(&[(Kind::Heartbeat, json!({}))]).contains("heartbeat"));
    assert!(why(&[(Kind::Finding, json!({ "eventName": "LinesNotMapped" }))]).contains("finding"));
}
