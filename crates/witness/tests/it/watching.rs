//! The watch against an honest head log, and against the cheats that a head log shows.

use std::net::TcpListener;

use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::{Hash, leaf_hash};
use bailee_proof::head::{
    Head, HeadChain, HeadLine, Receipt, WatchKey, enrol_entry, epoch_entry, head_entry,
};
use bailee_proof::note::Signer;
use bailee_proof::policy::Policy;
use bailee_proof::rotation::Rotation;
use bailee_witness::watch::{AlarmKind, Own, Round, Source, SourceError, Watch, Web};

use crate::site::{NOW, Site};

const TENANT: &str = "trust.example/trail/0102";

fn witness() -> Signer {
    Signer::witness_from_seed("witness.example/w1", &[0x21; 32]).unwrap()
}

fn receipt() -> Receipt {
    let log = Site::new(TENANT, 2).signer().verifier().clone();
    Receipt { log, watch: WatchKey::new([0x33; 32]) }
}

/// Head log and own log of a provider; `time` is the clock of the provider.
#[derive(Clone)]
struct Provider {
    heads: Site,
    own: Site,
    chain: HeadChain,
    lines: String,
    epoch: u64,
    since: u32,
    time: u64,
}

impl Provider {
    fn new() -> Self {
        let mut heads = Site::new("trust.example/heads", 1);
        let receipt = receipt();
        let enrol = enrol_entry(TENANT, &receipt.watch, receipt.log.ed25519().unwrap());
        heads.entries.push(enrol.to_vec());
        let own = Site::new(TENANT, 2);
        let mut provider = Self {
            heads,
            own,
            chain: receipt.chain().unwrap(),
            lines: String::new(),
            epoch: 0,
            since: 1,
            time: NOW - 600,
        };
        provider.record(3);
        provider.head();
        provider.strangers(5);
        provider.end();
        provider.publish();
        provider
    }

    fn record(&mut self, count: usize) {
        for _ in 0..count {
            let n = self.own.entries.len();
            self.own.entries.push(format!("record {n}").into_bytes());
        }
    }

    fn add(&mut self, entry: &[u8]) {
        self.heads.entries.push(entry.to_vec());
        self.since += 1;
    }

    /// Commits to the own log as it is.
    fn head(&mut self) {
        let Checkpoint { size, root, .. } = self.own.checkpoint();
        let version = self.chain.next_version();
        let entry = self.chain.extend(size, root).unwrap();
        self.add(&entry);
        self.lines.push_str(&HeadLine { version, size, root }.to_string());
    }

    fn strangers(&mut self, count: usize) {
        for _ in 0..count {
            let n = self.heads.entries.len();
            let hash = |what: &str| leaf_hash(format!("{what} {n}").as_bytes()).0;
            self.add(&[&[1], hash("label").as_slice(), &hash("commit")].concat());
        }
    }

    fn end(&mut self) {
        self.time += 60;
        let entry = epoch_entry(self.epoch, self.time * 1000, self.since, &[0; 32]);
        self.heads.entries.push(entry.to_vec());
        (self.epoch, self.since) = (self.epoch + 1, 0);
    }

    fn publish(&mut self) {
        self.heads.publish(&[(&witness(), self.time)]);
        self.own.publish(&[]);
        self.own.files.insert("heads/0".into(), self.lines.clone().into_bytes());
    }

    /// What an honest provider does next.
    fn goes_on(&mut self) {
        self.record(2);
        self.head();
        self.strangers(300);
        self.end();
        self.publish();
    }
}

struct Watcher {
    folder: tempfile::TempDir,
}

impl Watcher {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn watch(&self, own: Option<Box<dyn Source>>) -> Watch {
        let log = Site::new("trust.example/heads", 1).signer().verifier().clone();
        let text = format!("log {log}\nwitness w1 {}\nquorum w1\n", witness().verifier());
        Watch {
            policy: Policy::parse(text.as_bytes()).unwrap(),
            state: self.folder.path().join("state"),
            expect_every: Some(600),
            own: own.map(|source| Own { receipt: receipt(), source }),
        }
    }

    /// A round of its own process: all it knows comes from the disk.
    fn round_at(&self, provider: &Provider, now: u64) -> Round {
        self.watch(Some(Box::new(provider.own.clone()))).round(&provider.heads, now).unwrap()
    }

    fn round(&self, provider: &Provider) -> Round {
        self.round_at(provider, NOW)
    }
}

fn kinds(round: &Round) -> Vec<AlarmKind> {
    round.alarms.iter().map(|a| a.kind).collect()
}

fn all_well(round: &Round) {
    assert_eq!((round.exit_code(), kinds(round)), (0, vec![]), "{round}");
}

fn only(round: &Round, kind: AlarmKind, words: &str) {
    assert_eq!(round.exit_code(), 3);
    assert_eq!(kinds(round), [kind], "{round}");
    assert!(round.alarms[0].what.contains(words), "{round}");
}

#[test]
fn an_honest_history_raises_no_alarm_over_rounds_of_separate_processes() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    let first = watcher.round(&provider);
    all_well(&first);
    assert_eq!((first.entries, first.new_entries, first.labels, first.epoch), (8, 8, 7, Some(0)));
    for n in 1..=4 {
        provider.goes_on();
        let round = watcher.round(&provider);
        all_well(&round);
        let own = round.own.clone().unwrap();
        assert_eq!((own.heads, own.head_size, own.size), (n + 1, 3 + 2 * n, 3 + 2 * n));
        assert_eq!(round.labels, 7 + 301 * n);
        all_well(&watcher.round(&provider));
    }
    // Who starts now sees the same.
    all_well(&Watcher::new().round(&provider));
}

#[test]
fn cheat_3_a_rewritten_or_rolled_back_head_log_is_found() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    all_well(&watcher.round(&provider));
    let before = provider.clone();
    provider.goes_on();
    let mut rewritten = provider.clone();
    rewritten.heads.entries[3][40] ^= 1;
    rewritten.publish();
    only(&watcher.round(&rewritten), AlarmKind::Rewritten, "do not give the root that is signed");
    all_well(&watcher.round(&provider));
    only(&watcher.round(&before), AlarmKind::Rewritten, "it had");
    // The same size with another past.
    let mut other = provider.clone();
    other.heads.entries[3][40] ^= 1;
    other.publish();
    only(&watcher.round(&other), AlarmKind::Rewritten, "do not give the root");
    all_well(&watcher.round(&provider));
}

#[test]
fn cheats_5_and_6_a_label_that_repeats_is_found_in_the_same_round_and_later() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    all_well(&watcher.round(&provider));
    let receipt = receipt();
    // A second head under a used label: version 0 again, prettier.
    let head =
        Head { origin: TENANT, version: 0, size: 2, root: leaf_hash(b"prettier"), previous: Hash([0; 32]) };
    let mut second = provider.clone();
    second.add(&head_entry(&receipt.watch, &head));
    second.end();
    second.publish();
    only(&watcher.round(&second), AlarmKind::RepeatedLabel, "repeats the label");
    // It is said again in each round: what is in the log stays there.
    only(&watcher.round(&second), AlarmKind::RepeatedLabel, "repeats the label");
    // Without any secret too, and also for somebody who begins now.
    let stranger = Watcher::new();
    only(&stranger.watch(None).round(&second.heads, NOW).unwrap(), AlarmKind::RepeatedLabel, "repeats");
    // Another watch key for the auditor: the origin enrols a second time.
    let watcher = Watcher::new();
    all_well(&watcher.round(&provider));
    provider.add(&enrol_entry(TENANT, &WatchKey::new([9; 32]), receipt.log.ed25519().unwrap()));
    provider.end();
    provider.publish();
    let round = watcher.round(&provider);
    assert_eq!(kinds(&round), [AlarmKind::RepeatedLabel, AlarmKind::Enrolment], "{round}");
}

#[test]
fn cheat_8_a_frozen_head_log_or_own_log_is_found() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    provider.goes_on();
    let frozen = provider.own.clone();
    all_well(&watcher.round(&provider));
    let late = watcher.round_at(&provider, provider.time + 601);
    assert_eq!(kinds(&late), [AlarmKind::Late, AlarmKind::Late], "{late}");
    all_well(&watcher.round_at(&provider, provider.time + 600));
    // The head log goes on, the own log stays as it was.
    provider.goes_on();
    let mut stale = provider.clone();
    stale.own = frozen.clone();
    only(
        &watcher.round(&stale),
        AlarmKind::Withheld,
        "head 2 of the own log is in the head log and is not told",
    );
    stale.own.files.insert("heads/0".into(), provider.lines.clone().into_bytes());
    let other = Watcher::new();
    let round = other.round(&stale);
    assert_eq!(kinds(&round), [AlarmKind::OwnHead], "{round}");
    assert!(round.to_string().contains("serves 5 records, the head log covers 7"), "{round}");
    all_well(&watcher.round(&provider));
    // No own head for more than a day is a symptom.
    for _ in 0..2 {
        provider.strangers(1);
        provider.time += 13 * 3600;
        provider.end();
    }
    provider.publish();
    only(&watcher.round_at(&provider, provider.time), AlarmKind::Late, "the own log has had no new head");
}

#[test]
fn cheat_9_a_head_that_the_policys_witnesses_did_not_see_is_found() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    all_well(&watcher.round(&provider));
    provider.goes_on();
    let accomplice = Signer::witness_from_seed("witness.example/w2", &[0x22; 32]).unwrap();
    provider.heads.publish(&[(&accomplice, provider.time)]);
    only(&watcher.round(&provider), AlarmKind::Quorum, "cosigned by nobody; missing are w1");
    provider.heads.publish(&[(&witness(), NOW + 301)]);
    only(&watcher.round(&provider), AlarmKind::Quorum, "cosigned by nobody");
    // Another key for the log itself.
    provider.heads.seed = 7;
    provider.heads.publish(&[(&witness(), provider.time)]);
    only(&watcher.round(&provider), AlarmKind::Signature, "no log of the policy signed this checkpoint");
    provider.heads.seed = 1;
    provider.publish();
    all_well(&watcher.round(&provider));
}

#[test]
fn cheat_12_withheld_files_are_an_alarm_and_an_unreachable_server_is_not_known() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    all_well(&watcher.round(&provider));
    provider.goes_on();
    for file in ["checkpoint", "tile/entries/000"] {
        let mut hidden = provider.clone();
        hidden.heads.files.remove(file);
        only(&watcher.round(&hidden), AlarmKind::Withheld, file);
    }
    let mut cut = provider.clone();
    cut.heads.files.get_mut("tile/entries/000").unwrap().pop();
    only(&watcher.round(&cut), AlarmKind::Withheld, "does not end after 256 entries");
    for file in ["checkpoint", "heads/0", "tile/0/000.p/5"] {
        let mut hidden = provider.clone();
        hidden.own.files.remove(file);
        // Each with a memory of its own: what was opened is not asked for twice.
        only(&Watcher::new().round(&hidden), AlarmKind::Withheld, file);
    }
    let mut down = provider.clone();
    down.heads.down = true;
    let round = watcher.round(&down);
    assert_eq!((round.exit_code(), round.alarms.len(), round.unknown.len()), (1, 0, 1), "{round}");
    down.heads.down = false;
    down.own.down = true;
    let round = watcher.round(&down);
    assert_eq!((round.exit_code(), round.alarms.len()), (1, 0), "{round}");
    all_well(&watcher.round(&provider));
    assert_eq!(watcher.round(&provider).own.unwrap().heads, 2);
}

#[test]
fn an_own_head_that_does_not_fit_the_own_log_is_found() {
    // Cheat 4: the tenant is shown another tree than the one that was committed to.
    let mut provider = Provider::new();
    let mut other = provider.clone();
    other.own.entries[0] = b"another past".to_vec();
    other.own.publish(&[]);
    let round = Watcher::new().round(&other);
    only(&round, AlarmKind::OwnHead, "do not begin with the 3 that were committed to");
    // Lines that tell another head than the one committed to.
    let mut lied = provider.clone();
    lied.own.files.insert("heads/0".into(), provider.lines.replace("0 3 ", "0 2 ").into_bytes());
    only(&Watcher::new().round(&lied), AlarmKind::OwnHead, "is not what the head log committed to");
    // Heads out of order.
    let key = receipt().watch;
    let skipped =
        Head { origin: TENANT, version: 2, size: 9, root: leaf_hash(b"x"), previous: leaf_hash(b"y") };
    provider.add(&head_entry(&key, &skipped));
    provider.end();
    provider.publish();
    only(&Watcher::new().round(&provider), AlarmKind::OwnHead, "is the own head 2, 1 is next");
}

#[test]
fn an_own_log_that_is_enrolled_otherwise_or_not_at_all_is_found() {
    let mut provider = Provider::new();
    provider.heads.entries[0] = enrol_entry(TENANT, &WatchKey::new([1; 32]), &[2; 32]).to_vec();
    provider.publish();
    let round = Watcher::new().round(&provider);
    assert!(kinds(&round).iter().all(|k| *k == AlarmKind::Enrolment) && round.exit_code() == 3, "{round}");
    assert!(round.to_string().contains("another watch key or first key"), "{round}");
}

#[test]
fn entries_and_epochs_that_no_head_log_has_are_found() {
    let wrong = |change: &dyn Fn(&mut Provider)| {
        let mut provider = Provider::new();
        let watcher = Watcher::new();
        all_well(&watcher.round(&provider));
        change(&mut provider);
        provider.publish();
        watcher.round(&provider)
    };
    for entry in [&[1; 64][..], &[1; 66], &[4; 65], &[], &[3; 65]] {
        let round = wrong(&|p| {
            p.add(entry);
            p.end();
        });
        only(&round, AlarmKind::Entry, "entry 8 of the head log");
    }
    only(
        &wrong(&|p| {
            p.since += 1;
            p.end()
        }),
        AlarmKind::Epoch,
        "counts 1 entries, there are 0",
    );
    only(
        &wrong(&|p| {
            p.epoch = 0;
            p.end()
        }),
        AlarmKind::Epoch,
        "has number 0, the one before it 0",
    );
    only(
        &wrong(&|p| {
            p.time -= 61;
            p.end()
        }),
        AlarmKind::Epoch,
        "is older than the one before it",
    );
    let round = wrong(&|p| {
        let time = p.time;
        p.time = NOW + 900;
        p.end();
        p.time = time;
    });
    only(&round, AlarmKind::Epoch, "lies in the future");
}

#[test]
fn a_key_change_is_followed_and_one_that_the_old_key_did_not_sign_is_not() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    all_well(&watcher.round(&provider));
    let (old, new) = (provider.own.signer(), Site::new(TENANT, 4).signer());
    let change = Rotation::sign(provider.own.entries.len() as u64, &old, &new).unwrap();
    provider.own.seed = 4;
    provider.goes_on();
    only(&watcher.round(&provider), AlarmKind::Signature, "the own log's checkpoint");
    let thief = Site::new(TENANT, 5).signer();
    let stolen = Rotation::sign(3, &thief, &new).unwrap();
    provider.own.files.insert("keys/1".into(), stolen.into_bytes());
    only(&watcher.round(&provider), AlarmKind::Signature, "was not the log's key then");
    provider.own.files.insert("keys/1".into(), change.into_bytes());
    all_well(&watcher.round(&provider));
}

#[test]
fn a_memory_that_is_damaged_or_of_another_log_is_not_used() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    all_well(&watcher.round(&provider));
    let state = watcher.folder.path().join("state");
    let own = || -> Option<Box<dyn Source>> { Some(Box::new(provider.own.clone())) };
    let error = watcher.watch(None).round(&provider.heads, NOW).unwrap_err().to_string();
    assert!(error.contains("is of the own log `trust.example/trail/0102`"), "{error}");
    // Bytes behind the count are a crash between labels and memory: they are cut off.
    let labels = std::fs::read(state.join("labels")).unwrap();
    std::fs::write(state.join("labels"), [labels.as_slice(), &[7; 40]].concat()).unwrap();
    all_well(&watcher.round(&provider));
    assert_eq!(std::fs::read(state.join("labels")).unwrap(), labels);
    for cut in [0, labels.len() - 1] {
        std::fs::write(state.join("labels"), &labels[..cut]).unwrap();
        assert!(watcher.watch(own()).round(&provider.heads, NOW).is_err());
    }
    std::fs::write(state.join("labels"), &labels).unwrap();
    let memory = std::fs::read(state.join("memory")).unwrap();
    for damaged in [&b""[..], b"{}", &memory[..memory.len() - 2]] {
        std::fs::write(state.join("memory"), damaged).unwrap();
        assert!(watcher.watch(own()).round(&provider.heads, NOW).is_err());
    }
    std::fs::remove_file(state.join("memory")).unwrap();
    assert!(watcher.watch(own()).round(&provider.heads, NOW).is_err());
    std::fs::write(state.join("memory"), &memory).unwrap();
    provider.goes_on();
    all_well(&watcher.round(&provider));
}

/// Serves the files over HTTP, each connection one request.
fn serve(site: Site) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/log", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let mut first = String::new();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                if first.is_empty() {
                    first = line.clone();
                }
                line.clear();
            }
            let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches("/log/").to_owned();
            let (status, body) = match site.files.get(&path) {
                _ if path == "tile/entries/001" => ("503 Busy", vec![]),
                Some(body) => ("200 OK", body.clone()),
                None => ("404 Not Found", vec![]),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = reader.into_inner().write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

#[test]
fn a_log_is_watched_over_http_as_static_files() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    provider.goes_on();
    let round = |provider: &Provider| {
        let own: Box<dyn Source> = Box::new(Web::new(&serve(provider.own.clone())));
        watcher.watch(Some(own)).round(&Web::new(&serve(provider.heads.clone())), NOW).unwrap()
    };
    all_well(&round(&provider));
    // A partial bundle may go once the full one is there.
    provider.goes_on();
    provider.goes_on();
    let round = round(&provider);
    assert_eq!(round.exit_code(), 1);
    assert!(round.unknown[0].contains("status 503"), "{round}");
    let nobody = Web::new("http://127.0.0.1:1").fetch("x");
    assert!(matches!(nobody, Err(SourceError::Failed(_))), "{nobody:?}");
}

#[test]
fn a_partial_bundle_may_be_gone_when_the_full_one_is_there() {
    let (watcher, mut provider) = (Watcher::new(), Provider::new());
    let signed = provider.heads.files["checkpoint"].clone();
    let lines = provider.own.clone();
    provider.goes_on();
    let mut pruned = provider.clone();
    pruned.heads.files.insert("checkpoint".into(), signed);
    pruned.own = lines;
    let round = watcher.round(&pruned);
    all_well(&round);
    assert_eq!(round.entries, 8);
}
