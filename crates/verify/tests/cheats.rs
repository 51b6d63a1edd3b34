//! The twenty cheats of docs/trail-security.md, each by a server that signs whatever helps it: what finds it, and what no
//! log can show.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../witness/tests/it/site.rs"]
mod site;

use bailee_proof::bundle::{Manifest, Opening, Place, PlacedHead, Places, Scope, Writer, lead_digest};
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::event::KEPT_MS_MIN;
use bailee_proof::hash::Hash;
use bailee_proof::head::{
    Head, HeadChain, HeadLine, Receipt, WatchKey, enrol_entry, epoch_entry, head_entry,
};
use bailee_proof::note::{Signer, VerifierKey};
use bailee_proof::offline::OfflineProof;
use bailee_proof::policy::Policy;
use bailee_proof::record::{Entry, Kind, commitment};
use bailee_proof::rotation::Rotation;
use bailee_proof::tree::{ProofError, from_leaves, inclusion_proof};
use bailee_verify::{Audit, Expect, Outcome, Problem, Report, Verdict, Watched, audit, verify};
use bailee_witness::watch::{AlarmKind, Own, Round, Watch, remembered};
use bailee_witness::{Witness, WitnessKey};
use serde_json::{Value, json};
use site::{NOW, Site};

const TENANT: &str = "1000000000000001";
const OWN: &str = "trust.example/trail/0102";
const HEADS: &str = "trust.example/heads";
const GRANT: &str = "G-abcdefghjkmn";
/// Time of the first record, milliseconds.
const T0: u64 = (NOW - 7200) * 1000;

fn witness(n: u8) -> Signer {
    Signer::witness_from_seed(&format!("witness.example/w{n}"), &[0x20 + n; 32]).unwrap()
}

/// One record as the server keeps it.
#[derive(Clone)]
struct Record {
    entry: [u8; 50],
    nonce: [u8; 32],
    event: Option<Vec<u8>>,
}

/// A provider with one tenant: its log, the public head log, and what was published of both.
#[derive(Clone)]
struct Provider {
    records: Vec<Record>,
    own: Site,
    heads: Site,
    chain: HeadChain,
    lines: String,
    /// Per published head: its line, what it follows, its place, and the head log's size and time when it was cosigned.
    placed: Vec<(PlacedHead, u64, String)>,
    /// The seed of the key that signs the log now.
    signer: u8,
    epoch: u64,
    since: u32,
    /// POSIX seconds.
    time: u64,
    witnesses: Vec<u8>,
}

impl Provider {
    fn honest() -> Self {
        let mut provider = Self::new(2, 0x33);
        for (kind, event) in acts() {
            provider.record(kind, event);
        }
        provider.publish();
        provider.record(Kind::Heartbeat, json!({ "heartbeat": { "size": 5, "headVersion": 0 } }));
        provider.publish();
        provider
    }

    fn new(seed: u8, watch_key: u8) -> Self {
        let mut provider = Self {
            records: Vec::new(),
            own: Site::new(OWN, seed),
            heads: Site::new(HEADS, 1),
            chain: receipt_of(seed, watch_key).chain().unwrap(),
            lines: String::new(),
            placed: Vec::new(),
            signer: seed,
            epoch: 0,
            since: 0,
            time: NOW - 7200,
            witnesses: vec![1, 2, 3],
        };
        provider.enrol(seed, watch_key);
        provider
    }

    fn enrol(&mut self, seed: u8, watch_key: u8) {
        let receipt = receipt_of(seed, watch_key);
        let enrol = enrol_entry(OWN, &receipt.watch, receipt.log.ed25519().unwrap());
        self.heads.entries.push(enrol.to_vec());
        self.since += 1;
    }

    /// Writes a record a second after the last one.
    fn record(&mut self, kind: Kind, event: Value) -> u64 {
        self.time += 1;
        self.record_at(kind, event, self.time * 1000)
    }

    fn record_at(&mut self, kind: Kind, mut event: Value, time_ms: u64) -> u64 {
        let index = self.records.len() as u64;
        event["record"] = kind.word().into();
        event["index"] = index.into();
        event["timeMs"] = time_ms.into();
        event["tenant"] = TENANT.into();
        self.write(kind, event.to_string().into_bytes(), time_ms)
    }

    fn write(&mut self, kind: Kind, event: Vec<u8>, time_ms: u64) -> u64 {
        let index = self.records.len() as u64;
        let nonce = [index as u8; 32];
        let entry = Entry { kind, index, time_ms, commitment: commitment(&nonce, &event) }.encode();
        self.records.push(Record { entry, nonce, event: Some(event) });
        self.own.entries.push(entry.to_vec());
        index
    }

    /// Commits to the log as it is, ends the epoch, has both cosigned and serves all.
    fn publish(&mut self) {
        let Checkpoint { size, root, .. } = self.own.checkpoint();
        let previous = *self.chain.previous();
        let version = self.chain.next_version();
        let entry = self.chain.extend(size, root).unwrap();
        let line = HeadLine { version, size, root };
        self.lines.push_str(&line.to_string());
        self.add_head(line, previous, &entry);
    }

    fn add_head(&mut self, line: HeadLine, previous: Hash, entry: &[u8]) {
        let index = self.heads.entries.len() as u64;
        self.heads.entries.push(entry.to_vec());
        self.since += 1;
        self.end_epoch();
        self.placed.push((PlacedHead { line, previous }, index, self.cosigned()));
    }

    fn end_epoch(&mut self) {
        self.time += 10;
        let end = epoch_entry(self.epoch, self.time * 1000, self.since, &[0; 32]);
        self.heads.entries.push(end.to_vec());
        (self.epoch, self.since) = (self.epoch + 1, 0);
        let witnesses: Vec<Signer> = self.witnesses.iter().map(|n| witness(*n)).collect();
        let signers: Vec<(&Signer, u64)> = witnesses.iter().map(|w| (w, self.time)).collect();
        self.heads.publish(&signers);
        self.own.publish(&[]);
        self.own.files.insert("heads/0".into(), self.lines.clone().into_bytes());
    }

    /// The head log's checkpoint with its cosignatures.
    fn cosigned(&self) -> String {
        String::from_utf8(self.heads.files["checkpoint"].clone()).unwrap()
    }

    /// The places of the enrolment and of all heads, each under the checkpoint of its time.
    fn places(&self) -> Places {
        let leaves = self.heads.leaves();
        let proof = |index: u64, note: &str| {
            let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
            let leaf = |i: u64| Ok::<_, ProofError>(leaves[i as usize]);
            let siblings = inclusion_proof(index, size, from_leaves(leaf)).unwrap();
            OfflineProof { extra: None, index, siblings, checkpoint: note.to_owned() }
        };
        let mut places = vec![Place { head: None, proof: proof(0, &self.placed[0].2) }];
        for (head, index, note) in &self.placed {
            places.push(Place { head: Some(*head), proof: proof(*index, note) });
        }
        Places::new(places).unwrap()
    }

    fn bundle(&self) -> Vec<u8> {
        self.bundle_of(&self.records, &self.own.checkpoint())
    }

    fn bundle_of(&self, records: &[Record], head: &Checkpoint) -> Vec<u8> {
        let signer = Signer::from_seed(OWN, &[self.signer; 32]).unwrap();
        let note = head.sign(&signer).unwrap();
        let (places, count) = (self.places().encode(), records.len() as u64);
        let manifest = Manifest {
            origin: OWN.into(),
            tenant: TENANT.into(),
            exported: "2023-11-14T22:13:20Z".into(),
            records: count,
            lead: lead_digest(note.as_bytes(), &places, count).unwrap(),
            scope: Scope::All,
            key: signer.verifier().clone(),
        };
        let signed = manifest.sign(&signer).unwrap();
        let mut out = Writer::new(Vec::new(), signed.as_bytes(), note.as_bytes(), &places).unwrap();
        for r in records {
            let opening = match &r.event {
                Some(event) => Opening::Opened { nonce: &r.nonce, event },
                None => Opening::Erased,
            };
            out.record(&r.entry, opening).unwrap();
        }
        out.finish().unwrap()
    }

    /// Signs the tree that the changed records give.
    fn resign(&mut self) {
        self.own.entries = self.records.iter().map(|r| r.entry.to_vec()).collect();
    }
}

fn receipt_of(seed: u8, watch_key: u8) -> Receipt {
    let log = Signer::from_seed(OWN, &[seed; 32]).unwrap().verifier().clone();
    Receipt { log, watch: WatchKey::new([watch_key; 32]) }
}

/// The tenant's own.
fn receipt() -> Receipt {
    receipt_of(2, 0x33)
}

fn platform(name: &str, kind: &str, level: &str) -> Value {
    json!({ "EventID": format!("id-{name}-{kind}"), "EventName": name, "EventType": kind, "EventLevel": level,
        "EmployeeID": "emp-a" })
}

/// A request approved with a second factor, and the read under it.
fn acts() -> Vec<(Kind, Value)> {
    let consent = json!({ "grant": GRANT, "act": "approve", "action": "oss:GetObject", "object": "invoices/1.pdf",
        "operator": "emp-a", "untilMs": T0 + 3_600_000, "usesMax": 1 });
    let approve = json!({ "eventName": "ApproveConsent", "management": { "eventId": "m-1",
        "userIdentity": { "type": "ram-user", "userName": "li" },
        "additionalEventData": { "isMFAChecked": "true" } } });
    let read = json!({ "eventName": "GetObject", "resource": format!("acs:oss:*:{TENANT}:invoices/1.pdf"),
        "grant": GRANT, "platform": platform("GetObject", "CUSTOMER_INITIATED_SUPPORT", "WARNING") });
    vec![
        (Kind::Refusal, json!({ "eventName": "GetObject", "errorCode": "NoConsent" })),
        (Kind::Management, approve),
        (Kind::Outcome, json!({ "intent": 1, "result": "done", "detail": { "consent": consent } })),
        (Kind::Intent, read),
        (Kind::Outcome, json!({ "intent": 3, "result": "done", "detail": { "keyReleases": 1 } })),
    ]
}

/// The reader's policy: two of three witnesses.
fn policy_of(quorum: &str) -> Policy {
    let log = Site::new(HEADS, 1).signer().verifier().to_string();
    let mut text = format!("log {log}\n");
    for n in 1..=4 {
        text.push_str(&format!("witness w{n} {}\n", witness(n).verifier()));
    }
    text.push_str(quorum);
    Policy::parse(text.as_bytes()).unwrap()
}

fn policy() -> Policy {
    policy_of("group some 2 w1 w2 w3\nquorum some\n")
}

/// An auditor with the tenant's receipt and a policy of his own.
fn auditor() -> Expect {
    Expect { receipt: Some(receipt()), policy: Some(policy()), now: NOW, ..Expect::default() }
}

fn check(bundle: &[u8], expect: &Expect) -> Result<Report, Problem> {
    verify(bundle, expect)
}

/// The promise that is broken, and why.
fn broken(bundle: &[u8], expect: &Expect) -> (&'static str, String) {
    match check(bundle, expect) {
        Err(Problem::Violation { promise, place, why }) => (promise, format!("{place}: {why}")),
        other => panic!("it should not verify: {other:?}"),
    }
}

fn doubt(report: &Report, name: &str) -> String {
    let promise = report.promise(name).unwrap();
    assert_eq!(promise.verdict, Verdict::Doubt, "{promise:?}");
    promise.detail.clone()
}

/// A watch of the tenant's.
struct Watcher {
    folder: tempfile::TempDir,
}

impl Watcher {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn round(&self, provider: &Provider) -> Round {
        let own = Own { receipt: receipt(), source: Box::new(provider.own.clone()) };
        let watch = Watch {
            policy: policy(),
            state: self.folder.path().to_owned(),
            expect_every: Some(3600),
            own: Some(own),
        };
        watch.round(&provider.heads, provider.time + 5).unwrap()
    }

    /// What the verifier reads of it.
    fn seen(&self) -> Watched {
        let seen = remembered(self.folder.path()).unwrap().unwrap();
        let alarms = seen.alarms.into_iter().map(|a| a.what).collect();
        Watched { head_log: seen.head_log, origin: seen.origin, head: seen.head, alarms }
    }
}

fn alarms(round: &Round) -> Vec<AlarmKind> {
    round.alarms.iter().map(|a| a.kind).collect()
}

fn audited(bundle: &[u8]) -> Audit {
    audit(bundle, &auditor()).unwrap()
}

fn outcome_of(audit: &Audit, id: &str) -> Outcome {
    audit.procedures.iter().find(|p| p.id == id).unwrap().outcome
}

#[test]
fn an_honest_provider_is_found_honest_by_everybody() {
    let provider = Provider::honest();
    let watcher = Watcher::new();
    let round = watcher.round(&provider);
    assert!(round.alarms.is_empty() && round.unknown.is_empty(), "{round:?}");
    let expect = Expect { watched: Some(watcher.seen()), ..auditor() };
    let report = check(&provider.bundle(), &expect).unwrap();
    for name in
        ["integrity", "order", "once", "completeness", "erasure", "outcomes", "consent", "gaps", "times"]
    {
        assert_eq!(report.promise(name).unwrap().verdict, Verdict::Holds, "{report}");
    }
    for name in ["keys", "head log", "same view", "witnesses"] {
        assert_eq!(report.promise(name).unwrap().verdict, Verdict::Holds, "{report}");
    }
    assert_eq!(report.promise("never logged").unwrap().verdict, Verdict::NotShown);
    let audit = audited(&provider.bundle());
    assert!(audit.is_clean(), "{}", audit.markdown());
    for id in ["P1", "P2", "P3", "P5", "P6"] {
        assert_eq!(outcome_of(&audit, id), Outcome::NoExceptions, "{id}");
    }
    assert_eq!(outcome_of(&audit, "P4"), Outcome::NothingToLookAt);
    // Without what the auditor must bring, nothing is claimed.
    let alone = check(&provider.bundle(), &Expect::default()).unwrap();
    for name in ["keys", "head log", "same view", "witnesses", "times", "continuity"] {
        assert_eq!(alone.promise(name).unwrap().verdict, Verdict::NotShown, "{alone}");
    }
    // Any number of threads finds the same.
    for threads in [1, 2, 7] {
        let again = check(&provider.bundle(), &Expect { threads, ..expect.clone() }).unwrap();
        assert_eq!(again.to_string(), report.to_string());
    }
}

#[test]
fn cheat_01_an_event_is_rewritten() {
    let mut provider = Provider::honest();
    let event = provider.records[3].event.as_mut().unwrap();
    *event = String::from_utf8(event.clone()).unwrap().replace("1.pdf", "2.pdf").into_bytes();
    let (promise, why) = broken(&provider.bundle(), &auditor());
    assert_eq!(promise, "integrity", "{why}");
}

#[test]
fn cheat_02_records_are_dropped_inserted_or_swapped() {
    let honest = Provider::honest();
    let with = |change: fn(&mut Vec<Record>)| {
        let mut provider = honest.clone();
        change(&mut provider.records);
        // It signs the tree over what it shows.
        provider.resign();
        broken(&provider.bundle(), &auditor())
    };
    // One less than the head log has; and with the last one doubled, out of place.
    assert_eq!(with(|r| drop(r.remove(0))).0, "completeness");
    let removed = with(|r| {
        r.remove(0);
        r.push(r[0].clone());
    });
    assert_eq!(removed.0, "order");
    assert_eq!(with(|r| r.swap(1, 3)).0, "order");
    let inserted = with(|r| {
        let copy = r[0].clone();
        r.insert(2, copy);
    });
    assert!(matches!(inserted.0, "order" | "completeness"), "{inserted:?}");
    // The tail is dropped: the head log has a head over more.
    assert_eq!(with(|r| drop(r.pop())).0, "completeness");
}

/// Another history of the same length, in order and signed: only somebody who remembers finds it.
fn rewritten(honest: &Provider) -> Provider {
    let mut other = Provider::new(2, 0x33);
    other.time = honest.time;
    for n in 0..honest.records.len() {
        let act = json!({ "eventName": "Nothing", "management": { "eventId": format!("x-{n}") } });
        let index = other.record_at(Kind::Management, act, T0 + 1000 * (n as u64 + 1));
        assert_eq!(index, n as u64);
    }
    other
}

#[test]
fn cheat_03_a_rewritten_tree_is_signed_and_the_log_rolled_back() {
    let honest = Provider::honest();
    let watcher = Watcher::new();
    watcher.round(&honest);
    let kept = honest.own.note().into_bytes();
    let mut other = rewritten(&honest);
    other.publish();
    // A kept checkpoint, the tenant's watch, the head log itself.
    let expect = Expect { head: Some(kept), ..auditor() };
    assert_eq!(broken(&other.bundle(), &expect).0, "continuity");
    let expect = Expect { watched: Some(watcher.seen()), ..auditor() };
    assert_eq!(broken(&other.bundle(), &expect).0, "same view");
    assert!(alarms(&watcher.round(&other)).contains(&AlarmKind::Rewritten));
    let mut shorter = honest.clone();
    shorter.records.truncate(4);
    shorter.resign();
    assert_eq!(broken(&shorter.bundle(), &auditor()).0, "completeness");
    // A witness remembers the head log.
    let folder = tempfile::tempdir().unwrap();
    let witness = real_witness(folder.path());
    assert_eq!(witness.add_checkpoint(&honest.heads.request(0), NOW).status, 200);
    let size = honest.heads.entries.len() as u64;
    let mut forked = other.heads.clone();
    forked.entries.resize(honest.heads.entries.len() + 3, vec![1; 65]);
    assert_eq!(witness.add_checkpoint(&forked.request(size), NOW).status, 422);
}

fn real_witness(folder: &std::path::Path) -> Witness {
    let key = WitnessKey::create(&folder.join("key"), "witness.example/real", false).unwrap();
    Witness::create(&folder.join("state"), &key).unwrap();
    let log: VerifierKey = Site::new(HEADS, 1).signer().verifier().clone();
    Witness::open(&folder.join("state"), key, &[log]).unwrap()
}

#[test]
fn a_grant_that_is_used_once_too_often_is_found() {
    let mut provider = Provider::honest();
    let mut again = acts()[3].1.clone();
    again["platform"]["EventID"] = "id-again".into();
    let mut window = again.clone();
    window["continues"] = GRANT.into();
    provider.record(Kind::Intent, window);
    assert!(check(&provider.bundle(), &auditor()).is_ok(), "a window of the first read");
    again["platform"]["EventID"] = "id-third".into();
    provider.record(Kind::Intent, again);
    let (promise, why) = broken(&provider.bundle(), &auditor());
    assert!(promise == "consent" && why.contains("one more than the 1 that grant"), "{why}");
}

/// The head log gets a second head for a version, over the other tree, for the other reader.
fn forked_for_the_auditor(honest: &Provider) -> Provider {
    let mut other = rewritten(honest);
    other.heads = honest.heads.clone();
    (other.epoch, other.since) = (honest.epoch, honest.since);
    let Checkpoint { size, root, .. } = other.own.checkpoint();
    let line = HeadLine { version: 0, size, root };
    let previous = *receipt().chain().unwrap().previous();
    let head = Head { origin: OWN, version: 0, size, root, previous };
    let entry = head_entry(&receipt().watch, &head);
    other.add_head(line, previous, &entry);
    other
}

#[test]
fn cheat_04_and_05_two_readers_are_shown_two_trees_under_one_label() {
    let honest = Provider::honest();
    let watcher = Watcher::new();
    watcher.round(&honest);
    let other = forked_for_the_auditor(&honest);
    // The auditor alone sees a log that verifies, with its place in the head log, and is told what he does not know.
    let report = check(&other.bundle(), &auditor()).unwrap();
    assert_eq!(report.promise("same view").unwrap().verdict, Verdict::NotShown);
    // Any watch sees the label twice; and the tenant's watch has another tree.
    let mut public = honest.clone();
    public.heads = other.heads.clone();
    public.time = other.time;
    let round = watcher.round(&public);
    assert!(alarms(&round).contains(&AlarmKind::RepeatedLabel), "{round:?}");
    let expect = Expect { watched: Some(watcher.seen()), ..auditor() };
    assert_eq!(broken(&other.bundle(), &expect).0, "same view");
}

#[test]
fn cheat_06_the_auditor_gets_another_watch_key() {
    let honest = Provider::honest();
    let mut other = honest.clone();
    // The log is enrolled a second time, with the key that the provider gives the auditor.
    other.enrol(2, 0x77);
    other.end_epoch();
    let watcher = Watcher::new();
    watcher.round(&honest);
    assert!(alarms(&watcher.round(&other)).contains(&AlarmKind::RepeatedLabel));
    // With a receipt that is not the tenant's nothing opens.
    let expect = Expect { receipt: Some(receipt_of(2, 0x77)), ..auditor() };
    assert_eq!(broken(&honest.bundle(), &expect).0, "head log");
}

#[test]
fn cheat_07_the_auditor_gets_another_prettier_log() {
    let mut pretty = Provider::new(9, 0x55);
    pretty.record(Kind::Heartbeat, json!({ "heartbeat": { "size": 0, "headVersion": null } }));
    pretty.publish();
    // In itself all is well, with the provider's receipt for it.
    let own = Expect { receipt: Some(receipt_of(9, 0x55)), ..auditor() };
    assert!(check(&pretty.bundle(), &own).is_ok());
    let (promise, why) = broken(&pretty.bundle(), &auditor());
    assert!(matches!(promise, "head log" | "keys"), "{promise}: {why}");
}

#[test]
fn cheat_08_an_old_head_is_served() {
    let honest = Provider::honest();
    let old = honest.clone();
    let mut now = honest;
    now.record(Kind::Management, json!({ "eventName": "More", "management": { "eventId": "m-9" } }));
    now.publish();
    let watcher = Watcher::new();
    watcher.round(&now);
    let expect = Expect { watched: Some(watcher.seen()), ..auditor() };
    let (promise, why) = broken(&old.bundle(), &expect);
    assert_eq!(promise, "completeness", "{why}");
    // Without a watch the report says how old the newest word of the witnesses is.
    let report = check(&old.bundle(), &auditor()).unwrap();
    assert!(report.promise("witnesses").unwrap().detail.contains("2023-11-14T20:13"), "{report}");
    // To the watch a log that says nothing more is late.
    now.time += 90_000;
    assert!(alarms(&watcher.round(&now)).contains(&AlarmKind::Late));
}

#[test]
fn cheat_09_the_head_log_is_split() {
    let honest = Provider::honest();
    let watcher = Watcher::new();
    watcher.round(&honest);
    // For the auditor a head log of his own, which honest witnesses do not cosign.
    let mut other = rewritten(&honest);
    other.witnesses = vec![3];
    other.publish();
    let report = check(&other.bundle(), &auditor()).unwrap();
    assert!(doubt(&report, "witnesses").contains("w3 did"), "{report}");
    // And if they did, two readers who compare find it: same size, two roots.
    let mut other = rewritten(&honest);
    other.publish();
    while other.heads.entries.len() < honest.heads.entries.len() {
        other.end_epoch();
    }
    other.placed.last_mut().unwrap().2 = other.cosigned();
    let mut watched = watcher.seen();
    watched.head = None;
    let (promise, why) = broken(&other.bundle(), &Expect { watched: Some(watched), ..auditor() });
    assert!(promise == "same view" && why.contains("was split"), "{promise}: {why}");
}

#[test]
fn cheat_10_the_provider_owns_the_witnesses() {
    // All three of the provider's cosign; the tenant's own, which it demands, does not.
    let provider = Provider::honest();
    let policy = policy_of("group theirs 2 w1 w2 w3\ngroup both all theirs w4\nquorum both\n");
    let report = check(&provider.bundle(), &Expect { policy: Some(policy), ..auditor() }).unwrap();
    assert!(doubt(&report, "witnesses").contains("quorum has not cosigned"), "{report}");
}

#[test]
fn cheat_11_a_record_is_backdated() {
    let mut provider = Provider::new(2, 0x33);
    let act = |n: u32| json!({ "eventName": "Act", "management": { "eventId": format!("b-{n}") } });
    provider.record(Kind::Management, act(1));
    provider.time += 600;
    provider.publish();
    // Written now, and dated before the head that does not have it.
    let before = (provider.time - 400) * 1000;
    provider.record_at(Kind::Management, act(2), before);
    provider.publish();
    let report = check(&provider.bundle(), &auditor()).unwrap();
    let said = doubt(&report, "times");
    assert!(said.contains("record 1 is dated 400 s before witnesses saw a head without it"), "{said}");
    // Dated ahead: witnesses saw it before its time.
    let mut provider = Provider::new(2, 0x33);
    let ahead = (provider.time + 5_000) * 1000;
    provider.record_at(Kind::Management, act(1), ahead);
    provider.publish();
    let report = check(&provider.bundle(), &auditor()).unwrap();
    assert!(doubt(&report, "times").contains("after witnesses saw it"), "{report}");
}

#[test]
fn cheat_12_a_head_is_published_and_records_withheld() {
    let honest = Provider::honest();
    let (promise, why) =
        broken(&honest.bundle_of(&honest.records[..5], &honest.own.checkpoint()), &auditor());
    assert_eq!(promise, "completeness", "{why}");
    let bytes = honest.bundle();
    let (promise, _) = broken(&bytes[..bytes.len() - 40], &auditor());
    assert_eq!(promise, "completeness");
    let watcher = Watcher::new();
    let mut withheld = honest;
    withheld.own.files.retain(|path, _| !path.starts_with("heads/"));
    assert!(alarms(&watcher.round(&withheld)).contains(&AlarmKind::Withheld));
}

#[test]
fn cheat_13_events_are_erased_that_may_not_be() {
    let erasure = |indices: &str, at_ms: u64| {
        let mut provider = Provider::honest();
        let value: Value = serde_json::from_str(&format!(
            r#"{{"indices":{indices},"reason":"asked","by":"li","legalBasis":"PIPL 47"}}"#
        ))
        .unwrap();
        provider.record_at(Kind::Erasure, json!({ "erasure": value }), at_ms);
        provider
    };
    let soon = NOW * 1000;
    let late = T0 + KEPT_MS_MIN + 60_000;
    let without = |mut provider: Provider, gone: &[usize]| {
        gone.iter().for_each(|at| provider.records[*at].event = None);
        provider.bundle()
    };
    // No record says so; an operator's act is too young; a record about the log.
    let (promise, why) = broken(&without(Provider::honest(), &[0]), &auditor());
    assert!(promise == "erasure" && why.starts_with("record 0: its event is gone"), "{why}");
    let (promise, why) = broken(&without(erasure("[0]", soon), &[0]), &auditor());
    assert!(promise == "erasure" && why.contains("not erased within 180 days"), "{why}");
    let (promise, why) = broken(&without(erasure("[5]", late), &[5]), &auditor());
    assert!(promise == "erasure" && why.contains("never erased"), "{why}");
    // A lawful one leaves the proofs whole, and is counted.
    let report = check(&without(erasure("[0]", late), &[0]), &auditor()).unwrap();
    assert_eq!((report.erased, report.promise("erasure").unwrap().verdict), (1, Verdict::Holds));
    // Said to be erased and still there.
    let report = check(&erasure("[0]", late).bundle(), &auditor()).unwrap();
    assert!(doubt(&report, "erasure").contains("record 0 was said to be erased"));
    // The approval of a read is erased: what is left does not show that there was one.
    let report = check(&without(erasure("[1,2]", late), &[1, 2]), &auditor()).unwrap();
    assert!(doubt(&report, "consent").contains("may be among what was erased"));
}

#[test]
fn cheat_14_one_act_is_given_twice() {
    let mut provider = Provider::honest();
    let act = json!({ "eventName": "Act", "management": { "eventId": "m-1" } });
    provider.record(Kind::Management, act);
    provider.publish();
    let (promise, why) = broken(&provider.bundle(), &auditor());
    assert_eq!(promise, "once", "{why}");
    // One opening for two records: the second names another index.
    let mut provider = Provider::honest();
    let (first, nonce) = (provider.records[0].event.clone().unwrap(), provider.records[0].nonce);
    let entry =
        Entry { kind: Kind::Refusal, index: 6, time_ms: NOW * 1000, commitment: commitment(&nonce, &first) };
    provider.records.push(Record { entry: entry.encode(), nonce, event: Some(first) });
    provider.resign();
    let (promise, why) = broken(&provider.bundle(), &auditor());
    assert!(promise == "integrity" && why.contains("another kind, index or time"), "{why}");
}

#[test]
fn cheat_15_an_event_has_two_readings() {
    let mut provider = Provider::honest();
    let (index, time) = (provider.records.len(), NOW * 1000);
    let event = format!(
        r#"{{"record":"management","index":{index},"timeMs":{time},"tenant":"{TENANT}","eventName":"A","event\u004eame":"B"}}"#
    );
    provider.write(Kind::Management, event.into_bytes(), time);
    let (promise, why) = broken(&provider.bundle(), &auditor());
    assert!(promise == "integrity" && why.contains("twice in one object"), "{why}");
}

#[test]
fn cheat_16_the_key_is_swapped() {
    let mut provider = Provider::honest();
    provider.signer = 8;
    let (promise, why) = broken(&provider.bundle(), &auditor());
    assert_eq!(promise, "keys", "{why}");
    // Passed on by a record that the old key signed, it is the log's.
    let keys = |n: u8| Signer::from_seed(OWN, &[n; 32]).unwrap();
    let note = Rotation::sign(6, &keys(2), &keys(8)).unwrap();
    provider.record(Kind::Log, json!({ "eventName": "RotateLogKey", "rotation": note }));
    let report = check(&provider.bundle(), &auditor()).unwrap();
    assert_eq!(report.key_changes, 1);
    // Passed on by a thief, it is not.
    let mut stolen = Provider::honest();
    let note = Rotation::sign(6, &keys(7), &keys(8)).unwrap();
    stolen.record(Kind::Log, json!({ "eventName": "RotateLogKey", "rotation": note }));
    stolen.signer = 8;
    assert_eq!(broken(&stolen.bundle(), &auditor()).0, "keys");
}

#[test]
fn cheat_17_an_old_backup_is_restored() {
    let old = Provider::honest();
    let mut newer = old.clone();
    newer.record(Kind::Management, json!({ "eventName": "More", "management": { "eventId": "m-2" } }));
    newer.publish();
    let folder = tempfile::tempdir().unwrap();
    let witness = real_witness(folder.path());
    assert_eq!(witness.add_checkpoint(&newer.heads.request(0), NOW).status, 200);
    // The restored house asks again with what it has, and is told what the witness has.
    let size = newer.heads.entries.len() as u64;
    let answer = witness.add_checkpoint(&old.heads.request(0), NOW);
    assert_eq!(
        (answer.status, String::from_utf8_lossy(&answer.body).trim()),
        (409, size.to_string().as_str())
    );
    // How a house starts with such a database: crates/rooms/tests/heads.rs.
    let watcher = Watcher::new();
    watcher.round(&newer);
    assert!(!watcher.round(&old).alarms.is_empty());
}

#[test]
fn cheat_18_an_outcome_lies_or_never_comes() {
    let mut provider = Provider::honest();
    provider.record(Kind::Outcome, json!({ "intent": 3, "result": "refused" }));
    assert_eq!(broken(&provider.bundle(), &auditor()).0, "outcomes");
    // It never comes: the report and the audit name the record.
    let act = |name: &str| json!({ "eventName": name, "resource": "r", "platform": platform(name, "ALIYUN_INITIATED_SERVICE", "NOTICE") });
    let mut provider = Provider::honest();
    provider.record(Kind::Intent, act("MoveBlob"));
    let running = check(&provider.bundle(), &auditor()).unwrap();
    assert!(running.promise("outcomes").unwrap().detail.contains("still running: 1"), "{running}");
    provider.time += 601;
    provider.record(Kind::Heartbeat, json!({ "heartbeat": { "size": 7, "headVersion": 1 } }));
    let report = check(&provider.bundle(), &auditor()).unwrap();
    assert!(doubt(&report, "outcomes").contains("records 6"), "{report}");
    let audit = audited(&provider.bundle());
    assert_eq!(outcome_of(&audit, "P6"), Outcome::Exceptions);
    provider.record(Kind::Outcome, json!({ "intent": 6, "result": "unknown" }));
    assert!(doubt(&check(&provider.bundle(), &auditor()).unwrap(), "outcomes").contains("unknown: 1"));
    // It says that nothing of the content was used, and a key was.
    let mut provider = Provider::honest();
    provider.record(Kind::Intent, act("MoveBlob"));
    provider.record(Kind::Outcome, json!({ "intent": 6, "result": "done", "detail": { "keyReleases": 2 } }));
    let audit = audited(&provider.bundle());
    assert_eq!(outcome_of(&audit, "P5"), Outcome::Exceptions);
    assert!(audit.markdown().contains("used a data key 2 times"));
}

#[test]
fn cheat_19_an_act_that_was_never_logged_is_named_as_what_no_log_shows() {
    // Somebody read the object and nothing was written: the bundle verifies, as it must, and says so.
    let report = check(&Provider::honest().bundle(), &auditor()).unwrap();
    let never = report.promise("never logged").unwrap();
    assert_eq!(never.verdict, Verdict::NotShown);
    assert!(never.detail.contains("key releases") && never.detail.contains("collectors"));
    // What reconciles it: a collector found the read, and the platform had to record the finding.
    let mut provider = Provider::honest();
    let found = json!({ "check": "acts seen by collectors have an intent", "result": "fails", "detail": "1 read of invoices/1.pdf" });
    provider.record(Kind::Finding, json!({ "finding": found }));
    let audit = audited(&provider.bundle());
    assert_eq!(outcome_of(&audit, "P9"), Outcome::Exceptions);
}

#[test]
fn cheat_20_the_act_that_matters_is_buried_in_noise() {
    let mut provider = Provider::new(2, 0x33);
    for n in 0..2000 {
        let mut noise = platform("Touch", "ALIYUN_INITIATED_SERVICE", "NOTICE");
        noise["EventID"] = format!("noise-{n}").into();
        provider.record(Kind::Refusal, json!({ "eventName": "Touch", "platform": noise }));
    }
    let mut loud = platform("TakeDown", "ALIYUN_INITIATED_PENALTY", "WARNING");
    loud["EventDescription"] = "legal reference ".into();
    provider.record(Kind::Intent, json!({ "eventName": "TakeDown", "platform": loud }));
    provider.publish();
    let report = check(&provider.bundle(), &auditor()).unwrap();
    assert_eq!(report.counts.types["ALIYUN_INITIATED_PENALTY WARNING"], 1);
    assert_eq!(report.counts.types["ALIYUN_INITIATED_SERVICE NOTICE"], 2000);
    let audit = audited(&provider.bundle());
    assert_eq!(outcome_of(&audit, "P7"), Outcome::Exceptions);
    assert!(audit.markdown().contains("names no legal reference"));
}

#[test]
fn a_takedown_by_one_person_is_an_exception() {
    for (filed, says) in [
        (Some("emp-b"), None),
        (Some("emp-a"), Some("was confirmed by who filed it")),
        (None, Some("does not name two people")),
    ] {
        let mut provider = Provider::honest();
        let mut act = platform("ConfirmTakedown", "ALIYUN_INITIATED_PENALTY", "WARNING");
        act["EventDescription"] = "legal reference Court, 17, 2026-11-20".into();
        act["EventAdditionalDetail"] = json!({ "filedBy": filed }).to_string().into();
        provider.record(
            Kind::Intent,
            json!({ "eventName": "ConfirmTakedown", "resource": "r", "platform": act.clone() }),
        );
        // What was not done is no exception, whoever tried it.
        provider.record(Kind::Outcome, json!({ "intent": 6, "result": "failed", "errorCode": "Conflict" }));
        provider.publish();
        assert_ne!(outcome_of(&audited(&provider.bundle()), "P7"), Outcome::Exceptions, "{filed:?}");
        provider.record(Kind::Intent, json!({ "eventName": "ConfirmTakedown", "resource": "r", "platform": {
            "EventID": "again", "EventName": "ConfirmTakedown", "EventType": "ALIYUN_INITIATED_PENALTY", "EventLevel": "WARNING",
            "EmployeeID": "emp-a", "EventDescription": act["EventDescription"], "EventAdditionalDetail": act["EventAdditionalDetail"] } }));
        provider.record(Kind::Outcome, json!({ "intent": 8, "result": "done" }));
        provider.publish();
        let audit = audited(&provider.bundle());
        assert_eq!(outcome_of(&audit, "P7") == Outcome::Exceptions, says.is_some(), "{filed:?}");
        assert!(says.is_none_or(|s| audit.markdown().contains(s)), "{}", audit.markdown());
    }
}

/// Asked for by `emp-a` at record 6, broken by `emp-b`, and an act under it by `emp-a`.
fn glass() -> Vec<(Kind, Value)> {
    let id = "H-abcdefghjkmn";
    let act = |name: &str, by: &str| {
        let mut told = platform(name, "ALIYUN_INITIATED_SERVICE", "WARNING");
        (told["EmployeeID"], told["EventID"]) = (by.into(), format!("id-{name}-{by}").into());
        told["EventDescription"] = "incident INC-42".into();
        json!({ "eventName": name, "resource": "r", "platform": told })
    };
    let done = |intent: u64, detail: Value| {
        (Kind::Outcome, json!({ "intent": intent, "result": "done", "detail": detail }))
    };
    let mut look = act("ListObjects", "emp-a");
    look["glass"] = id.into();
    let until = T0 + 20_000 + 30 * 60_000;
    vec![
        (Kind::Intent, act("AskGlass", "emp-a")),
        done(6, json!({ "glass": { "id": id, "act": "ask", "minutes": 30 } })),
        (Kind::Intent, act("BreakGlass", "emp-b")),
        done(8, json!({ "glass": { "id": id, "act": "break", "untilMs": until - 20_000 } })),
        (Kind::Intent, look),
        done(10, json!({})),
        (Kind::Management, json!({ "eventName": "EndGlass", "management": { "eventId": "m-9" } })),
        done(12, json!({ "glass": { "id": id, "act": "end" } })),
    ]
}

fn with_glass(change: impl FnOnce(&mut Vec<(Kind, Value)>)) -> Provider {
    let (mut provider, mut records) = (Provider::honest(), glass());
    change(&mut records);
    for (kind, event) in records {
        provider.record(kind, event);
    }
    provider.publish();
    provider
}

#[test]
fn an_act_under_a_broken_glass_is_by_two_in_time_and_of_no_content() {
    let honest = with_glass(|_| {});
    check(&honest.bundle(), &auditor()).unwrap();
    let audit = audited(&honest.bundle());
    assert!(audit.markdown().contains("incident INC-42"), "{}", audit.markdown());
    type Lie = fn(&mut Vec<(Kind, Value)>);
    let by = |n: usize, who: &'static str| {
        move |r: &mut Vec<(Kind, Value)>| r[n].1["platform"]["EmployeeID"] = who.into()
    };
    let lies: [(Lie, &str); 16] = [
        (|r| r[2].1["platform"]["EmployeeID"] = "emp-a".into(), "was not broken by another operator"),
        (|r| r[2].1["platform"]["EmployeeID"] = "".into(), "was not broken by another operator"),
        (|r| r[4].1["platform"]["EmployeeID"] = "emp-c".into(), "is by another operator than asked for it"),
        (|r| r[4].1["eventName"] = "GetObjectMeta".into(), "is none that a broken glass allows"),
        (|r| r[4].1["eventName"] = "GetObject".into(), "is none that a broken glass allows"),
        (|r| r[4].1["eventName"] = "StartSession".into(), "is none that a broken glass allows"),
        (|r| r[4].1["grant"] = GRANT.into(), "names a grant, too"),
        (|r| r[4].1["glass"] = "H-another".into(), "which no two operators broke"),
        (|r| r[4].1["glass"] = 7.into(), "invalid type"),
        (|r| r[5].1["detail"]["keyReleases"] = 1.into(), "opened content"),
        (|r| r[3].1["result"] = "unknown".into(), "which no two operators broke"),
        (|r| r[1].1["result"] = "failed".into(), "no operator asked for it"),
        (
            |r| r[3].1["detail"]["glass"]["untilMs"] = (T0 + 40 * 60_000).into(),
            "for longer than was asked for",
        ),
        (|r| r[1].1["detail"]["glass"]["minutes"] = 61.into(), "longer than any may be"),
        (|r| r[3].1["detail"]["glass"]["untilMs"] = (T0 + 5_000).into(), "after its time was over"),
        (
            |r| {
                // The end comes first.
                r.swap(4, 6);
                r.swap(5, 7);
                (r[5].1["intent"], r[7].1["intent"]) = (10.into(), 12.into());
            },
            "comes after it was ended",
        ),
    ];
    for (lie, says) in lies {
        let (promise, why) = broken(&with_glass(lie).bundle(), &auditor());
        assert!(promise == "consent" && why.contains(says), "{says}: {promise}: {why}");
    }
    // An end that was only tried ended nothing; another's second hand is one too many.
    check(&with_glass(|r| r[7].1["result"] = "failed".into()).bundle(), &auditor()).unwrap();
    check(&with_glass(by(2, "emp-z")).bundle(), &auditor()).unwrap();
    let again = with_glass(|r| {
        let (mut intent, mut outcome) = (r[2].clone(), r[3].clone());
        intent.1["platform"]["EventID"] = "id-again".into();
        outcome.1["intent"] = 10.into();
        r.splice(4..8, [intent, outcome]);
    });
    assert!(broken(&again.bundle(), &auditor()).1.contains("broken again"));
}
