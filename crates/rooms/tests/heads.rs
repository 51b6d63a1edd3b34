//! The public head log: every head is in it, blinded; witnesses cosign it; operators wait where the tenant wants it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bailee_proof::bundle::Places;
use bailee_proof::checkpoint::Checkpoint;
use bailee_proof::hash::Hash;
use bailee_proof::head::{HeadLine, HeadLogEntry};
use bailee_proof::note::{Note, Signer, VerifierKey, cosign};
use bailee_proof::policy::Policy;
use bailee_proof::rotation::{KeyChain, Rotation};
use bailee_proof::tile::read_bundle;
use bailee_proof::tree::verify_consistency;
use bailee_proof::witness::AddCheckpoint;
use bailee_rooms::consent::Decision;
use bailee_rooms::outside::{Answer, Outside, Post};
use bailee_rooms::trail::{LogPart, RotateLogKey, SetWitnessing, ShowEnrolment, ShowWitnessing};
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, on_each_engine};
use bailee_types::LogId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// How a witness behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Honest,
    Down,
    /// Signs something else.
    Liar,
}

struct Seen {
    size: u64,
    root: Hash,
    note: String,
}

/// Witnesses as the rooms see them, by the host of their address.
#[derive(Default)]
struct Witnesses {
    moods: Mutex<HashMap<String, Mood>>,
    /// They answer this late.
    late: Mutex<Duration>,
    seen: Mutex<HashMap<(String, String), Seen>>,
    logs: Mutex<Vec<VerifierKey>>,
}

fn signer(name: &str) -> Signer {
    let seed = std::array::from_fn(|i| name.as_bytes().get(i).copied().unwrap_or(7));
    Signer::witness_from_seed(&format!("{name}.example"), &seed).unwrap()
}

impl Witnesses {
    fn set(&self, name: &str, mood: Mood) {
        self.moods.lock().insert(name.to_owned(), mood);
    }

    fn answer(&self, name: &str, body: &[u8]) -> Result<Answer, String> {
        let mood = self.moods.lock().get(name).copied().unwrap_or(Mood::Honest);
        if mood == Mood::Down {
            return Err("connection refused".into());
        }
        let said = |status: u16, body: String| Ok(Answer { status, body: body.into_bytes() });
        let request = AddCheckpoint::parse(body).unwrap();
        let note = Note::parse(request.note).unwrap();
        let logs = self.logs.lock().clone();
        let Some(log) = logs.iter().find(|l| note.verify(&[l]).is_ok()) else {
            return said(404, String::new());
        };
        let checkpoint = Checkpoint::open(request.note, log).unwrap();
        let mut seen = self.seen.lock();
        let key = (name.to_owned(), checkpoint.origin.clone());
        let last = seen.get(&key).map_or(0, |s| s.size);
        if request.old != last {
            return said(409, format!("{last}\n"));
        }
        if let Some(before) = seen.get(&key) {
            verify_consistency(before.size, checkpoint.size, &request.proof, &before.root, &checkpoint.root)
                .unwrap();
        }
        let text = if mood == Mood::Liar { "another.example\n1\nAAAA\n" } else { note.text() };
        let line = cosign(text, &signer(name), 1_795_608_000).unwrap();
        let note = String::from_utf8(request.note.to_vec()).unwrap();
        seen.insert(
            key,
            Seen { size: checkpoint.size, root: checkpoint.root, note: format!("{note}{line}") },
        );
        said(200, line)
    }
}

#[async_trait]
impl Outside for Witnesses {
    async fn get(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("nothing is fetched here".into())
    }

    async fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        Err("no forms here".into())
    }

    async fn submit(&self, post: Post) -> Result<Answer, String> {
        let rest = post.address.strip_prefix("http://").unwrap();
        let (name, path) = rest.split_once('/').unwrap();
        assert_eq!(path, "add-checkpoint");
        let late = *self.late.lock();
        tokio::time::sleep(late).await;
        self.answer(name, &post.body)
    }

    async fn fetch_at(&self, address: &str, _: bool) -> Result<Vec<u8>, String> {
        let (name, _) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let seen = self.seen.lock();
        let found = seen.iter().find(|((n, _), _)| n == name).ok_or("it answered with status 404")?;
        Ok(found.1.note.clone().into_bytes())
    }
}

fn policy(names: &[&str], quorum: &str) -> String {
    let lines: String =
        names.iter().map(|n| format!("witness {n} {} http://{n}\n", signer(n).verifier())).collect();
    format!("{lines}{quorum}\n")
}

/// Workers of a house, stopped when the test is done.
struct Running {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(house: &Arc<House>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let house = Arc::clone(house);
        let task = tokio::spawn(async move { house.run_workers(stopped).await });
        Self { stop, task }
    }

    async fn end(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

/// Waits until `ready` says so; a worker needs a moment.
async fn until<T>(what: &str, mut ready: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(found) = ready().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{what} did not come");
}

async fn head_size(t: &TestHouse) -> u64 {
    t.house.public_head().await.unwrap().map_or(0, |h| h.size)
}

/// All entries of the head log up to `size`, as anybody fetches them.
async fn entries(t: &TestHouse, size: u64) -> Vec<HeadLogEntry> {
    let path = format!("tile/entries/000.p/{size}");
    let LogPart::Immutable(bytes) = t.house.head_log_part(&path).await.unwrap() else { panic!("no tile") };
    let bundle = read_bundle(&bytes, u16::try_from(size).unwrap()).unwrap();
    bundle.into_iter().map(|e| HeadLogEntry::decode(e).unwrap()).collect()
}

async fn part(t: &TestHouse, log: &VerifierKey, path: &str) -> Result<String, Failure> {
    let id = LogId::parse(log.name().rsplit('/').next().unwrap()).unwrap();
    Ok(match t.house.log_part(&id, path).await? {
        LogPart::Growing(text) => text,
        LogPart::Immutable(bytes) => String::from_utf8(bytes).unwrap(),
    })
}

async fn consent_and_read(t: &TestHouse, acme: &TestTenant) -> Result<(), Failure> {
    let lin = t.operator("op-lin", "support", "CN").await;
    acme.make_bucket(t, "acme-invoices").await;
    acme.put(t, "acme-invoices", "1.pdf", "pumps").await;
    let ticket = acme.ticket(t).await;
    let grant = acme.ask(t, &lin, &ticket, ("acme-invoices", "1.pdf"), (60, 5)).await?;
    acme.decide(t, &grant, Decision::Approve { minutes: 60, uses_max: 5 }).await?;
    acme.read(t, &lin, &ticket, ("acme-invoices", "1.pdf")).await.map(drop)
}

#[test]
fn every_head_stands_in_the_head_log_and_opens_for_who_holds_the_receipt() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let running = Running::start(&t.house);
        acme.make_bucket(&t, "acme-invoices").await;
        let size = until("the head log", async || Some(head_size(&t).await).filter(|s| *s >= 4)).await;
        let show = ShowEnrolment { tenant: acme.id.clone() };
        let enrolment = t.house.perform(acme.root.clone(), show).await.unwrap();
        let mut chain = enrolment.receipt.chain().unwrap();
        let known = t.house.public_head().await.unwrap().unwrap();
        let key = VerifierKey::parse(&known.vkey).unwrap();
        assert_eq!(Checkpoint::open(known.note.as_bytes(), &key).unwrap().size, known.size);
        let second = VerifierKey::parse(&t.house.head_log_second_key().unwrap()).unwrap();
        Note::parse(known.note.as_bytes()).unwrap().verify(&[&key, &second]).unwrap();
        assert_eq!(known.note.matches("— trust.kestrel.example/heads ").count(), 2, "Ed25519 and ML-DSA-44");
        let all = entries(&t, size).await;

        // Enrolment, then each head in order, each under the label of its version.
        let enrolled = &all[usize::try_from(enrolment.index.unwrap()).unwrap()];
        let HeadLogEntry::Enrol { commit, .. } = enrolled else { panic!("{enrolled:?}") };
        chain.enrolled(commit).unwrap();
        let lines = HeadLine::parse_all(&part(&t, &enrolment.receipt.log, "heads/0").await.unwrap()).unwrap();
        assert!(!lines.is_empty());
        for line in lines {
            let label = chain.next_label();
            let found = all.iter().find(|e| e.label() == Some(&label));
            let Some(HeadLogEntry::Head { commit, .. }) = found else { continue };
            chain.accept(line, commit).unwrap();
        }
        let last = chain.last().unwrap();
        let note = part(&t, &enrolment.receipt.log, "checkpoint").await.unwrap();
        let now = Checkpoint::open(note.as_bytes(), &enrolment.receipt.log).unwrap();
        assert!(last.size <= now.size);
        assert!(
            all.iter().filter_map(HeadLogEntry::label).collect::<std::collections::HashSet<_>>().len() >= 4
        );

        // A minute later the epoch ends, and says how many entries it had.
        t.clock.advance_ms(61_000);
        let epoch = until("the end of the epoch", async || {
            let size = head_size(&t).await;
            entries(&t, size).await.into_iter().find(|e| matches!(e, HeadLogEntry::EpochEnd { .. }))
        })
        .await;
        let HeadLogEntry::EpochEnd { epoch, leaves, .. } = epoch else { panic!() };
        assert_eq!(epoch, 0);
        assert!(u64::from(leaves) >= size);

        // A day of silence is broken by the log itself.
        let before = t.house.head(&acme.id).await.unwrap().records;
        t.clock.advance_ms(86_400_001);
        until("a heartbeat", async || (t.house.head(&acme.id).await.unwrap().records > before).then_some(()))
            .await;
        running.end().await;
        let house = Arc::clone(&t.house);
        tokio::task::spawn_blocking(move || house.recheck_logs()).await.unwrap().unwrap();

        // What a bundle carries of this: the newest head and the enrolment, each in the tree that is published.
        let newest = t.house.head(&acme.id).await.unwrap();
        let places = t.house.places(&acme.id, newest.size).await.unwrap();
        assert_eq!(Places::parse(&places.encode()).unwrap(), places);
        let policy = format!("log {key}\nquorum none\n");
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let placed = places.open(&enrolment.receipt, &policy, t.house.now().ms() as u64 / 1000).unwrap();
        let last = placed.last().unwrap();
        assert_eq!((last.line.size, last.line.root.0), (newest.size, newest.root));
        assert_eq!(placed.len() as u64, last.line.version + 1);
        assert!(placed.iter().all(|p| p.seen.met && p.index < p.seen.checkpoint.size));
    });
}

#[test]
fn a_log_changes_its_key_and_each_size_has_one_signer() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-invoices").await;
        let old = t.house.head(&acme.id).await.unwrap();
        let first = VerifierKey::parse(&old.vkey).unwrap();
        let new =
            t.house.perform(t.house.system_caller("test"), RotateLogKey { tenant: acme.id.clone() }).await;
        let new = new.unwrap();
        // Before anything is signed with the new key, another process starts and finds the old head in order.
        drop(t.second());
        let head = t.house.head(&acme.id).await.unwrap();
        assert_eq!(head.vkey, new);
        drop(t.second());
        let note = part(&t, &first, "keys/1").await.unwrap();
        let mut chain = KeyChain::new(first.clone());
        chain.rotate(Rotation::open(note.as_bytes()).unwrap()).unwrap();
        assert!(chain.open(old.note.as_bytes()).is_ok() && chain.open(head.note.as_bytes()).is_ok());
        assert!(Checkpoint::open(head.note.as_bytes(), &first).is_err(), "the old key signs no more");
        assert!(matches!(part(&t, &first, "keys/2").await, Err(Failure::NotFound { .. })));
        // Another process on the same data notices, and signs with the new key.
        let second = t.second();
        acme.make_bucket(&t, "acme-more").await;
        assert_eq!(second.house.head(&acme.id).await.unwrap().vkey, new);
        let show = ShowEnrolment { tenant: acme.id.clone() };
        let receipt = second.house.perform(acme.root.clone(), show).await.unwrap().receipt;
        assert_eq!(receipt.log, first, "the receipt names the first key for ever");
    });
}

#[test]
fn one_witness_down_and_one_lying_do_not_stop_a_quorum_of_two_of_four() {
    for engine in bailee_testkit::engines() {
        let outside = Arc::new(Witnesses::default());
        let t = TestHouse::with_outside(engine, Arc::clone(&outside) as Arc<dyn Outside>);
        bailee_testkit::runtime().block_on(async {
            outside.logs.lock().push(VerifierKey::parse(&t.house.head_log_key().unwrap()).unwrap());
            outside.set("w2", Mood::Down);
            outside.set("w3", Mood::Liar);
            let text = policy(&["w1", "w2", "w3", "w4"], "group two 2 w1 w2 w3 w4\nquorum two");
            t.house.witnessed_by(Policy::parse(text.as_bytes()).unwrap());
            let acme = t.tenant("acme").await;
            let running = Running::start(&t.house);
            let head = until("a cosigned head", async || {
                let head = t.house.public_head().await.unwrap()?;
                let note = Note::parse(head.note.as_bytes()).unwrap();
                let by = |n: &str| note.verify(&[signer(n).verifier()]).is_ok();
                (by("w1") && by("w4")).then_some(head)
            })
            .await;
            assert!(!head.note.contains("w2.example") && !head.note.contains("w3.example"));
            let show = ShowWitnessing { tenant: acme.id.clone() };
            let state = t.house.perform(acme.root.clone(), show).await.unwrap();
            let last: Vec<_> = state.witnesses.iter().map(|w| (w.name.as_str(), w.last.is_some())).collect();
            assert_eq!(last, [("w1", true), ("w2", false), ("w3", false), ("w4", true)]);
            running.end().await;
        });
    }
}

#[test]
fn operators_wait_for_the_witnesses_where_the_tenant_wants_it() {
    for engine in bailee_testkit::engines() {
        let outside = Arc::new(Witnesses::default());
        let t = TestHouse::with_outside(engine, Arc::clone(&outside) as Arc<dyn Outside>);
        bailee_testkit::runtime().block_on(async {
            outside.logs.lock().push(VerifierKey::parse(&t.house.head_log_key().unwrap()).unwrap());
            let acme = t.tenant("acme").await;
            let set = |policy: String, before_act: bool| SetWitnessing {
                tenant: acme.id.clone(),
                policy,
                before_act,
            };
            // Without any witness there is nothing to wait for.
            let none = t.house.perform(acme.root.clone(), set(String::new(), true)).await;
            assert!(matches!(none, Err(Failure::Invalid { field: "beforeAct", .. })), "{none:?}");
            let nowhere = format!("witness mine {}\nquorum mine\n", signer("mine").verifier());
            assert!(t.house.perform(acme.root.clone(), set(nowhere, true)).await.is_err());

            // Its own witness over its own log, in a quorum beside the provider's over the head log.
            t.house.witnessed_by(Policy::parse(policy(&["w1"], "quorum w1").as_bytes()).unwrap());
            let log = VerifierKey::parse(&t.house.head(&acme.id).await.unwrap().vkey).unwrap();
            outside.logs.lock().push(log);
            t.house.perform(acme.root.clone(), set(policy(&["mine"], "quorum mine"), true)).await.unwrap();
            let running = Running::start(&t.house);
            consent_and_read(&t, &acme).await.unwrap();
            let id = LogId::parse(t.house.head(&acme.id).await.unwrap().origin.rsplit('/').next().unwrap())
                .unwrap();
            until("the tenant's witness on its own log", async || {
                let LogPart::Growing(note) = t.house.log_part(&id, "checkpoint").await.unwrap() else {
                    panic!()
                };
                note.contains("— mine.example ").then_some(())
            })
            .await;

            // It goes away: nothing is read, and the log says that it was tried.
            outside.set("mine", Mood::Down);
            let releases = || t.house.counters().key_releases.load(std::sync::atomic::Ordering::Relaxed);
            let before = releases();
            let lin = t.operator("op-wei", "support", "CN").await;
            let ticket = acme.ticket(&t).await;
            let refused = acme.ask(&t, &lin, &ticket, ("acme-invoices", "1.pdf"), (60, 5)).await;
            let grant = refused.unwrap();
            acme.decide(&t, &grant, Decision::Approve { minutes: 60, uses_max: 5 }).await.unwrap();
            let read = acme.read(&t, &lin, &ticket, ("acme-invoices", "1.pdf")).await;
            let Err(Failure::Unavailable(why)) = read else { panic!("it was read without its witness") };
            assert!(why.contains("witnesses"), "{why}");
            assert_eq!(releases(), before, "no key opened");
            running.end().await;
        });
    }
}

/// The database of an older day, whose own memory of heads is gone as well: only the witness still knows.
#[test]
fn a_house_that_is_older_than_its_witness_signs_nothing_and_lets_no_operator_act() {
    let outside = Arc::new(Witnesses::default());
    let t = TestHouse::with_outside(bailee_testkit::Engine::Sqlite, Arc::clone(&outside) as Arc<dyn Outside>);
    let runtime = bailee_testkit::runtime();
    outside.logs.lock().push(VerifierKey::parse(&t.house.head_log_key().unwrap()).unwrap());
    let by_one = || Policy::parse(policy(&["w1"], "quorum w1").as_bytes()).unwrap();
    let cosigned = async |house: &Arc<House>, more_than: u64| {
        until("a cosigned head", async || {
            let head = house.public_head().await.unwrap()?;
            (head.note.contains("w1.example") && head.size > more_than).then_some(head.size)
        })
        .await
    };
    t.house.witnessed_by(by_one());
    let old = tempfile::tempdir().unwrap();
    let (acme, lin, ticket, size) = runtime.block_on(async {
        let running = Running::start(&t.house);
        let acme = t.tenant("acme").await;
        let lin = t.operator("op-lin", "support", "CN").await;
        acme.make_bucket(&t, "acme-invoices").await;
        acme.put(&t, "acme-invoices", "1.pdf", "pumps").await;
        let ticket = acme.ticket(&t).await;
        let grant = acme.ask(&t, &lin, &ticket, ("acme-invoices", "1.pdf"), (60, 5)).await.unwrap();
        acme.decide(&t, &grant, Decision::Approve { minutes: 60, uses_max: 5 }).await.unwrap();
        acme.read(&t, &lin, &ticket, ("acme-invoices", "1.pdf")).await.unwrap();
        let size = cosigned(&t.house, 0).await;
        running.end().await;
        (acme, lin, ticket, size)
    });
    for file in std::fs::read_dir(t.folder()).unwrap().flatten().filter(|f| f.path().is_file()) {
        std::fs::copy(file.path(), old.path().join(file.file_name())).unwrap();
    }
    runtime.block_on(async {
        let running = Running::start(&t.house);
        t.tenant("globex").await;
        cosigned(&t.house, size).await;
        running.end().await;
    });

    let mut config =
        bailee_rooms::HouseConfig::embedded(old.path(), Arc::clone(&t.clock) as Arc<dyn bailee_types::Clock>);
    config.outside = Arc::clone(&outside) as Arc<dyn Outside>;
    let house = House::open(&config).unwrap();
    house.witnessed_by(by_one());
    runtime.block_on(async {
        *outside.late.lock() = Duration::from_secs(2);
        // A head is due before any witness was asked: it waits for what they say. (`records`, since what is published
        // waits for a quorum anyway.)
        let before = house.public_head().await.unwrap().unwrap().records;
        let rotate = RotateLogKey { tenant: acme.id.clone() };
        house.perform(house.system_caller("test"), rotate).await.unwrap();
        let running = Running::start(&house);
        until("the witness's word", async || house.is_behind_its_witnesses().then_some(())).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(
            house.public_head().await.unwrap().unwrap().records,
            before,
            "no second history is signed"
        );
        // A grant that was good yesterday opens nothing here.
        let read = house.perform(lin.clone(), acme.read_of(&ticket, ("acme-invoices", "1.pdf"))).await;
        let Err(Failure::Unavailable(why)) = read else { panic!("an operator acted") };
        assert!(why.contains("witness"), "{why}");
        assert_eq!(house.counters().key_releases.load(std::sync::atomic::Ordering::Relaxed), 0);
        running.end().await;
    });
}
