//! Approvals that passkeys signed: honest logs hold, and each lie of a provider about them is found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../federation/tests/it/passkey/soft.rs"]
#[expect(dead_code, reason = "the authenticator can lie in more ways than are tried here")]
mod soft;

use bailee_proof::approval::ApprovalStatement;
use bailee_proof::bundle::{Manifest, Opening, Scope, Writer, lead_digest};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::grant::{Covers, GrantStatement};
use bailee_proof::note::Signer;
use bailee_proof::passkey::{challenge, fingerprint};
use bailee_proof::record::{Entry, Kind, commitment};
use bailee_proof::tree::Frontier;
use bailee_verify::{Expect, Problem, Report, Verdict, verify};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use soft::{Soft, UP};

const TENANT: &str = "1000000000000001";
const GRANT: &str = "G-abcdefghjkmn";
/// 2026-01-02T03:04:05Z.
const T0: u64 = 1_767_323_045_000;
const MINUTE: u64 = 60_000;

/// A tenant's log as it grows, one record a second.
#[derive(Clone, Default)]
struct Log(Vec<(Kind, Value)>);

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn print(key: &Soft) -> String {
    fingerprint(&b64(&key.cose_key())).unwrap()
}

/// What li says yes to: an object for ten minutes, once.
fn text() -> ApprovalStatement {
    ApprovalStatement {
        grant: GRANT.into(),
        tenant: TENANT.into(),
        approver: "li".into(),
        operator: "emp-a".into(),
        place: "CN".into(),
        action: "oss:GetObject".into(),
        covers: Covers::Object("invoices/1.pdf".into()),
        narrowed: true,
        reason: "it does not open".into(),
        minutes: 10,
        reads: 1,
        time: "2026-01-02T03:04:05Z".into(),
        lapses: "2026-01-05T03:04:05Z".into(),
        nonce: "ab".repeat(32),
    }
}

fn sign(key: &Soft, text: &str) -> Value {
    let options = json!({ "challenge": challenge(text) }).to_string();
    let answer = key.get(&options);
    let part = |name: &str| answer["response"][name].clone();
    json!({
        "with": "passkey", "statement": text, "credentialId": b64(&key.id), "publicKey": b64(&key.cose_key()),
        "authenticatorData": part("authenticatorData"), "clientDataJSON": part("clientDataJSON"),
        "signature": part("signature"),
    })
}

impl Log {
    fn add(&mut self, kind: Kind, event: Value) -> u64 {
        self.0.push((kind, event));
        self.0.len() as u64 - 1
    }

    fn act(&mut self, who: &str, name: &str, parameters: Value) -> u64 {
        let (kind, id) =
            if who == "root" { ("root-account", TENANT.into()) } else { ("ram-user", format!("id-{who}")) };
        let resource = format!("acs:bailee:*:{TENANT}:consent/{GRANT}");
        let told = json!({ "userIdentity": { "type": kind, "principalId": id, "userName": who },
            "requestParameters": parameters });
        self.add(Kind::Management, json!({ "eventName": name, "resource": resource, "management": told }))
    }

    fn done(&mut self, intent: u64, detail: Value) -> u64 {
        self.add(Kind::Outcome, json!({ "intent": intent, "result": "done", "detail": detail }))
    }

    fn bind(&mut self, who: &str, key: &Soft) {
        let intent = self.act(who, "BindSecondFactor", json!({}));
        let told = json!({ "act": "bind", "credentialId": b64(&key.id), "publicKey": b64(&key.cose_key()) });
        self.done(intent, json!({ "passkey": told }));
    }

    fn remove(&mut self, who: &str, key: &Soft) {
        let intent = self.act(who, "RemoveSecondFactor", json!({}));
        self.done(intent, json!({ "passkey": { "act": "remove", "credentialId": b64(&key.id) } }));
    }

    fn policy(&mut self, signed: bool, approvals: u32) {
        let intent =
            self.act("root", "SetConsentPolicy", json!({ "signed": signed, "approvals": approvals }));
        self.done(intent, json!({}));
    }

    /// A prefix of ten objects was asked for.
    fn ask(&mut self) {
        let detail = json!({ "prefix": "invoices/", "minutes": 30, "usesMax": 3 }).to_string();
        let told = json!({ "EmployeeID": "emp-a", "EventAdditionalDetail": detail });
        let intent = self.add(Kind::Intent, json!({ "eventName": "RequestConsent", "platform": told }));
        self.done(intent, json!({ "consent": { "grant": GRANT, "act": "request" } }));
    }

    fn approve(&mut self, who: &str, change: impl FnOnce(&mut Value), signature: Option<Value>) {
        let intent = self.act(who, "ApproveConsent", json!({}));
        let mut consent = json!({ "grant": GRANT, "act": "approve", "action": "oss:GetObject",
            "object": "invoices/1.pdf", "operator": "emp-a", "usesMax": 1, "approvedBy": [who], "signedBy": [],
            "untilMs": T0 + 10 * MINUTE });
        change(&mut consent);
        if let Some(signature) = signature {
            consent["signature"] = signature;
        }
        self.done(intent, json!({ "consent": consent }));
    }

    fn read(&mut self) {
        let resource = format!("acs:oss:*:{TENANT}:invoices/1.pdf");
        let event = json!({ "eventName": "GetObject", "resource": resource, "grant": GRANT,
            "platform": { "EmployeeID": "emp-a" } });
        let intent = self.add(Kind::Intent, event);
        self.done(intent, json!({}));
    }

    fn bundle(&self) -> Vec<u8> {
        let signer = Signer::from_seed("trust.example/trail/0102", &[7; 32]).unwrap();
        let mut frontier = Frontier::new();
        let mut records = Vec::new();
        for (i, (kind, event)) in self.0.iter().enumerate() {
            let time_ms = T0 + 1000 * i as u64;
            let mut event = event.clone();
            event["record"] = kind.word().into();
            event["index"] = i.into();
            event["timeMs"] = time_ms.into();
            event["tenant"] = TENANT.into();
            let (event, nonce) = (event.to_string().into_bytes(), [i as u8; 32]);
            let entry =
                Entry { kind: *kind, index: i as u64, time_ms, commitment: commitment(&nonce, &event) }
                    .encode();
            frontier.append(bailee_proof::hash::leaf_hash(&entry)).unwrap();
            records.push((entry, nonce, event));
        }
        let (origin, size) = (signer.verifier().name().to_owned(), records.len() as u64);
        let note = Checkpoint { origin: origin.clone(), size, root: frontier.root() }.sign(&signer).unwrap();
        let manifest = Manifest {
            origin,
            tenant: TENANT.into(),
            exported: "2026-01-02T04:00:00Z".into(),
            records: size,
            lead: lead_digest(note.as_bytes(), b"", size).unwrap(),
            scope: Scope::All,
            key: signer.verifier().clone(),
        };
        let manifest = manifest.sign(&signer).unwrap();
        let mut out = Writer::new(Vec::new(), manifest.as_bytes(), note.as_bytes(), b"").unwrap();
        for (entry, nonce, event) in &records {
            out.record(entry, Opening::Opened { nonce, event }).unwrap();
        }
        out.finish().unwrap()
    }

    fn check(&self, expect: &Expect) -> Result<Report, Problem> {
        verify(self.bundle().as_slice(), expect)
    }

    fn why(&self) -> String {
        self.why_with(&Expect::default())
    }

    fn why_with(&self, expect: &Expect) -> String {
        match self.check(expect) {
            Err(Problem::Violation { promise: "consent", why, .. }) => why,
            other => panic!("it should not verify: {other:?}"),
        }
    }
}

fn signed(report: &Report) -> (Verdict, &str) {
    let promise = report.promise("signed").unwrap();
    (promise.verdict, &promise.detail)
}

/// li has a passkey, the policy wants signed approvals, and there is a request.
fn begun(key: &Soft) -> Log {
    let mut log = Log::default();
    log.bind("li", key);
    log.policy(true, 1);
    log.ask();
    log
}

fn honest(key: &Soft) -> Log {
    let mut log = begun(key);
    log.approve("li", |_| {}, Some(sign(key, &text().to_string())));
    log.read();
    log
}

#[test]
fn an_approval_that_was_signed_holds_under_the_passkey_that_the_checker_knows() {
    for key in [Soft::es256(), Soft::ed25519(), Soft::rs256()] {
        let log = honest(&key);
        let report = log.check(&Expect::default()).unwrap();
        let (verdict, detail) = signed(&report);
        assert!(verdict == Verdict::NotShown && detail.contains("--passkey"), "{detail}");
        let [used] = report.passkeys.as_slice() else { panic!("{:?}", report.passkeys) };
        assert_eq!((used.fingerprint.clone(), used.bound, used.approvals), (print(&key), Some(0), 1));
        assert!(used.by.contains("li") && used.origins.contains("https://trust.example"));
        assert!(report.to_string().contains(&print(&key)));

        let known = Expect { passkeys: vec![print(&key)], signed: true, ..Expect::default() };
        assert_eq!(signed(&log.check(&known).unwrap()).0, Verdict::Holds);
        let other = Expect { passkeys: vec![print(&Soft::es256())], ..Expect::default() };
        assert!(log.why_with(&other).contains("that you did not name"), "the provider's own passkey");
    }
}

#[test]
fn each_change_of_what_was_signed_is_found() {
    let key = Soft::es256();
    // The words of the statement, changed after it was signed.
    for (from, to) in [
        ("invoices/1.pdf", "invoices/2.pdf"),
        ("minutes 10", "minutes 30"),
        ("reads 1", "reads 3"),
        ("emp-a", "emp-b"),
        ("place CN", "place SG"),
        ("it does not", "it does"),
        ("nonce ab", "nonce cd"),
    ] {
        let mut log = begun(&key);
        let mut signature = sign(&key, &text().to_string());
        let changed = text().to_string().replace(from, to);
        assert_ne!(changed, text().to_string(), "{from}");
        signature["statement"] = changed.into();
        log.approve("li", |_| {}, Some(signature));
        let why = log.why();
        assert!(why.contains("another text") || why.contains("statement of another one"), "{from}: {why}");
    }
    // The record opens more than the words.
    for (change, wanted) in [
        ((|c| c["object"] = "invoices/2.pdf".into()) as fn(&mut Value), "opens more than was signed"),
        (
            |c| c["prefix"] = c.as_object_mut().unwrap().remove("object").unwrap(),
            "opens more than was signed",
        ),
        (|c| c["usesMax"] = 2.into(), "opens more than was signed"),
        (|c| c["untilMs"] = (T0 + 20 * MINUTE).into(), "opens more than was signed"),
        (|c| c["operator"] = "emp-b".into(), "the statement of another one"),
        (|c| c["action"] = "oss:PutObject".into(), "the statement of another one"),
        (|c| c["grant"] = "G-bbbbbbbbbbbb".into(), "the statement of another one"),
    ] {
        let mut log = begun(&key);
        log.approve("li", change, Some(sign(&key, &text().to_string())));
        assert!(log.why().contains(wanted), "{}", log.why());
    }
    // The text itself says what is not so.
    let all = ApprovalStatement { covers: Covers::Prefix("invoices/".into()), ..text() };
    for (said, wanted) in [
        (ApprovalStatement { approver: "wang".into(), ..text() }, "is signed for wang"),
        (ApprovalStatement { lapses: "2026-01-02T03:04:06Z".into(), ..text() }, "had lapsed"),
        (ApprovalStatement { narrowed: false, ..text() }, "whether it was narrowed"),
        (all, "whether it was narrowed"),
        (ApprovalStatement { tenant: "1000000000000002".into(), ..text() }, "the statement of another one"),
    ] {
        let mut log = begun(&key);
        log.approve("li", |_| {}, Some(sign(&key, &said.to_string())));
        assert!(log.why().contains(wanted), "{wanted}: {}", log.why());
    }
}

#[test]
fn an_answer_that_is_none_of_the_console_is_found() {
    let es256 = Soft::es256;
    for (key, wanted) in [
        (Soft { flags: UP, ..es256() }, "did not verify the person"),
        (Soft { client: |c| c["type"] = "webauthn.create".into(), ..es256() }, "no answer of a page"),
        (Soft { client: |c| c["crossOrigin"] = true.into(), ..es256() }, "no answer of a page"),
        (Soft { client: |c| c["challenge"] = "AAAA".into(), ..es256() }, "another text"),
        (Soft { client: |c| *c = json!([]), ..es256() }, "clientDataJSON"),
        (Soft { origin: "https://trust.evil", ..es256() }, "for another domain"),
        (Soft { rp_id: "evil.example", ..es256() }, "for another domain"),
    ] {
        let why = honest(&key).why();
        assert!(why.contains(wanted), "{wanted}: {why}");
    }
    for part in ["publicKey", "authenticatorData", "clientDataJSON", "signature", "statement", "credentialId"]
    {
        let key = es256();
        for bad in [json!(null), json!("AAAA"), json!("+"), json!(7)] {
            let mut log = begun(&key);
            let mut signature = sign(&key, &text().to_string());
            signature[part] = bad.clone();
            // A credential that nobody bound is one from before registrations were recorded: that is in doubt.
            if part != "credentialId" {
                log.approve("li", |_| {}, Some(signature));
                log.why();
            } else {
                log.approve("li", |_| {}, Some(signature));
                assert_eq!(signed(&log.check(&Expect::default()).unwrap()).0, Verdict::Doubt, "{bad}");
            }
        }
    }
}

#[test]
fn the_key_must_be_the_persons_own_at_that_moment() {
    let key = Soft::es256();
    let signature = || Some(sign(&key, &text().to_string()));
    let mut other = Soft::es256();
    other.id = key.id.clone();
    let mut log = begun(&key);
    log.approve("li", |_| {}, Some(sign(&other, &text().to_string())));
    assert!(log.why().contains("another public key"));

    let mut log = begun(&key);
    log.remove("li", &key);
    log.approve("li", |_| {}, signature());
    assert!(log.why().contains("had been removed"));

    let mut log = begun(&key);
    let wang = ApprovalStatement { approver: "wang".into(), ..text() };
    log.approve("wang", |_| {}, Some(sign(&key, &wang.to_string())));
    assert!(log.why().contains("another person's passkey"));

    let mut log = begun(&key);
    log.bind("li", &key);
    assert!(log.why().contains("was there already"));

    // With its user it goes, too.
    let mut log = begun(&key);
    let intent = log.act("root", "DeleteUser", json!({}));
    log.done(intent, json!({ "passkey": { "act": "remove", "credentialIds": [b64(&key.id)] } }));
    log.approve("li", |_| {}, signature());
    assert!(log.why().contains("had been removed"));

    // A removal that ran beside the approval accuses nobody.
    let mut log = begun(&key);
    let intent = log.act("li", "ApproveConsent", json!({}));
    log.remove("li", &key);
    let mut consent = json!({ "grant": GRANT, "act": "approve", "action": "oss:GetObject", "object": "invoices/1.pdf",
        "operator": "emp-a", "usesMax": 1, "approvedBy": ["li"], "untilMs": T0 + 10 * MINUTE });
    consent["signature"] = signature().unwrap();
    log.done(intent, json!({ "consent": consent }));
    log.check(&Expect::default()).unwrap();

    // From before registrations were recorded: the key of the first approval stays his.
    let mut log = Log::default();
    log.ask();
    log.approve("li", |_| {}, signature());
    let report = log.check(&Expect::default()).unwrap();
    assert!(signed(&report).0 == Verdict::Doubt && report.passkeys.first().unwrap().bound.is_none());
    let known = Expect { passkeys: vec![print(&key)], ..Expect::default() };
    assert_eq!(signed(&log.check(&known).unwrap()).0, Verdict::Holds);
    let again = ApprovalStatement { nonce: "cd".repeat(32), ..text() };
    log.approve("li", |_| {}, Some(sign(&other, &again.to_string())));
    assert!(log.why().contains("another public key"));
}

#[test]
fn a_signature_counts_once_and_for_its_own_grant() {
    let key = Soft::es256();
    let mut log = honest(&key);
    log.approve("li", |_| {}, Some(sign(&key, &text().to_string())));
    assert!(log.why().contains("used before"));
    let mut log = honest(&key);
    log.approve("li", |c| c["grant"] = "G-bbbbbbbbbbbb".into(), Some(sign(&key, &text().to_string())));
    assert!(log.why().contains("the statement of another one"));
}

#[test]
fn what_the_policy_demands_is_replayed() {
    let key = Soft::es256();
    let mut log = begun(&key);
    log.approve("li", |_| {}, None);
    assert!(log.why().contains("is not signed, and the consent policy takes signed ones only"));
    // A word of the house that somebody signed is no signature.
    let mut log = begun(&key);
    log.approve("li", |c| c["signedBy"] = json!(["alice@acme"]), None);
    assert!(log.why().contains("is not signed"));

    let mut log = Log::default();
    log.ask();
    log.approve("li", |_| {}, None);
    let (verdict, detail) = (Verdict::NotShown, "not signed: 1");
    let report = log.check(&Expect::default()).unwrap();
    assert!(signed(&report).0 == verdict && signed(&report).1.contains(detail), "{report}");
    let strict = Expect { signed: true, ..Expect::default() };
    assert!(log.why_with(&strict).contains("is not signed"), "whatever the log says");
    log.policy(true, 1);
    log.check(&Expect::default()).unwrap();

    // A policy that was set while the approval ran may have come after it; one from before may not.
    let mut log = Log::default();
    log.ask();
    let policy = log.act("root", "SetConsentPolicy", json!({ "signed": true, "approvals": 1 }));
    let before = log.clone();
    log.approve("li", |_| {}, None);
    log.done(policy, json!({}));
    log.check(&Expect::default()).unwrap();
    let mut log = before.clone();
    log.add(
        Kind::Outcome,
        json!({ "intent": policy, "result": "failed", "errorCode": "X", "eventName": "SetConsentPolicy" }),
    );
    log.approve("li", |_| {}, None);
    log.check(&Expect::default()).unwrap();
    let mut log = before.clone();
    log.done(policy, json!({}));
    log.approve("li", |_| {}, None);
    log.why();
    // Whether one was set whose process died nobody knows, until another is set after it.
    let unknown = |log: &mut Log, intent: u64| {
        let event = json!({ "intent": intent, "result": "unknown", "eventName": "SetConsentPolicy" });
        log.add(Kind::Outcome, event);
    };
    let mut log = before;
    unknown(&mut log, policy);
    let mut after = log.clone();
    log.approve("li", |_| {}, None);
    log.check(&Expect::default()).unwrap();
    after.policy(true, 1);
    let mut later = after.clone();
    after.approve("li", |_| {}, None);
    after.why();
    let looser = later.act("root", "SetConsentPolicy", json!({ "signed": false, "approvals": 1 }));
    unknown(&mut later, looser);
    later.approve("li", |_| {}, None);
    later.check(&Expect::default()).unwrap();
}

#[test]
fn so_many_persons_sign_as_the_policy_wants() {
    let (li, wang) = (Soft::es256(), Soft { id: vec![8; 20], ..Soft::ed25519() });
    let two = || {
        let mut log = Log::default();
        log.bind("li", &li);
        log.bind("wang", &wang);
        log.policy(true, 2);
        log.ask();
        log
    };
    let yes = |key: &Soft, who: &str, change: fn(&mut ApprovalStatement)| {
        let mut said = ApprovalStatement { approver: who.into(), ..text() };
        said.nonce = if who == "li" { "ab" } else { "cd" }.repeat(32);
        change(&mut said);
        Some(sign(key, &said.to_string()))
    };
    let part = |c: &mut Value| {
        c["act"] = "approve-part".into();
        c["untilMs"] = Value::Null;
    };
    let both = |c: &mut Value| c["approvedBy"] = json!(["li", "wang"]);
    let mut log = two();
    log.approve("li", part, yes(&li, "li", |_| {}));
    log.approve("wang", both, yes(&wang, "wang", |_| {}));
    log.read();
    let known = Expect { passkeys: vec![print(&li), print(&wang)], ..Expect::default() };
    assert_eq!(signed(&log.check(&known).unwrap()).0, Verdict::Holds);

    let mut log = two();
    log.approve("wang", |_| {}, yes(&wang, "wang", |_| {}));
    assert!(log.why().contains("opens it with 1 persons, and the consent policy wants 2"));
    let mut log = two();
    log.approve("wang", both, yes(&wang, "wang", |_| {}));
    assert!(log.why().contains("counts li, and no record shows"));
    let mut log = two();
    log.approve("li", part, yes(&li, "li", |s| s.minutes = 1));
    log.approve("wang", both, yes(&wang, "wang", |_| {}));
    assert!(log.why().contains("opens more than was signed (by li)"), "the strictest holds");
    // The first one's yes is from before signatures were demanded.
    let mut log = Log::default();
    log.bind("wang", &wang);
    log.policy(false, 2);
    log.ask();
    log.approve("li", part, None);
    log.policy(true, 2);
    log.approve("wang", both, yes(&wang, "wang", |_| {}));
    assert!(log.why().contains("counts a person who did not sign"));

    // Two at once: the record of the first comes after that of the second.
    let early = |signature: Value| {
        let mut log = two();
        let intent = log.act("li", "ApproveConsent", json!({}));
        log.approve("wang", both, yes(&wang, "wang", |_| {}));
        let mut consent = json!({ "grant": GRANT, "act": "approve-part", "action": "oss:GetObject",
            "object": "invoices/1.pdf", "operator": "emp-a", "usesMax": 1 });
        consent["signature"] = signature;
        (log, intent, json!({ "consent": consent }))
    };
    let (mut log, intent, detail) = early(yes(&li, "li", |_| {}).unwrap());
    assert_eq!(
        signed(&log.check(&Expect::default()).unwrap()).0,
        Verdict::Doubt,
        "how li's ended is not known"
    );
    log.done(intent, detail);
    assert_eq!(signed(&log.check(&known).unwrap()).0, Verdict::Holds);
    let (mut log, intent, detail) = early(yes(&li, "li", |s| s.reads = 0).unwrap());
    log.done(intent, detail);
    assert!(log.why().contains("opens more than was signed"));
}

#[test]
fn a_key_of_ones_own_signs_as_well_and_is_checked_where_it_is_known() {
    let (alice, mallory) = (
        Signer::from_seed("alice@acme", &[3; 32]).unwrap(),
        Signer::from_seed("alice@acme", &[4; 32]).unwrap(),
    );
    let said = GrantStatement {
        grant: GRANT.into(),
        tenant: TENANT.into(),
        operator: "emp-a".into(),
        place: "CN".into(),
        action: "oss:GetObject".into(),
        covers: Covers::Object("invoices/1.pdf".into()),
        reason: "it does not open".into(),
        until_ms: T0 + 10 * MINUTE,
        reads: 1,
    };
    let log = |by: &Signer, change: fn(&mut Value)| {
        let mut log = Log::default();
        log.policy(true, 1);
        let told = json!({ "with": "key", "statement": said.sign(by).unwrap() });
        let named = |c: &mut Value| {
            c["signedBy"] = json!(["alice@acme"]);
            change(c);
        };
        log.approve("li", named, Some(told));
        log
    };
    let known = Expect { approvers: vec![alice.verifier().clone()], ..Expect::default() };
    assert_eq!(signed(&log(&alice, |_| {}).check(&known).unwrap()).0, Verdict::Holds);
    assert_eq!(signed(&log(&mallory, |_| {}).check(&Expect::default()).unwrap()).0, Verdict::NotShown);
    assert!(log(&mallory, |_| {}).why_with(&known).contains("does not hold"));
    assert!(log(&alice, |c| c["usesMax"] = 2.into()).why().contains("opens more than was signed"));
    assert!(log(&alice, |c| c["signedBy"] = json!([])).why().contains("is not signed"), "nobody checked it");
}
