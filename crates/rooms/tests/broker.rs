//! Sessions with a tenant's systems, on both engines: opened under a grant, recorded, ended with it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use bailee_collect::wire::{Batch, Event, Recorded, Tally};
use bailee_collect::{Outcome, Source};
use bailee_rooms::broker::{
    Builtin, CutSession, DeleteTarget, ListSessions, ListTargets, Masks, OpenSession, Opened, OwnMask,
    PutTarget, ReadRecording, Replay, ReturnSession, Seat, SetRecordingMasks, Settings, ShowRecordingMasks,
    Side,
};
use bailee_rooms::consent::{
    Because, Code, Decision, Limits, NoCoverage, RequestConsent, RevokeStandingRight, Scope,
    SetStandingRight, Terms,
};
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreateOperator, CreatePolicy, CreateUser, Entity, Owner, PolicyType,
    Presented, SignIn,
};
use bailee_rooms::tickets::SolveTicket;
use bailee_rooms::trail::ActFilter;
use bailee_rooms::trail::alerts::{AlertKind, ListAlerts};
use bailee_rooms::trail::collected::{CreateCollector, HandIn};
use bailee_rooms::{Failure, Thing};
use bailee_testkit::{TestHouse, TestTenant, on_each_engine, origin};
use bailee_types::{GrantId, OperatorId, PolicyName, SecretText, TargetName, TicketId, Timestamp, UserName};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const YES: Decision = Decision::Approve { minutes: 30, uses_max: 3 };

fn name(text: &str) -> TargetName {
    TargetName::parse(text).unwrap()
}

fn host() -> Settings {
    Settings::Host {
        address: "10.0.0.7:22".into(),
        host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ".into()],
        login: "deploy".into(),
    }
}

fn shell() -> Limits {
    Limits::Host { shell: true, exec: false, download: false, upload: false }
}

struct Scene {
    acme: TestTenant,
    lin: Caller,
    ticket: TicketId,
}

impl Scene {
    async fn new(t: &TestHouse) -> Self {
        let acme = t.tenant("acme").await;
        let put = PutTarget { tenant: acme.id.clone(), name: name("web-1"), settings: host(), secret: None };
        let made = t.house.perform(acme.root.clone(), put).await.unwrap();
        assert!(made.authority.unwrap().starts_with("ssh-ed25519 AAAA"), "hosts trust an authority");
        let ticket = acme.ticket(t).await;
        Self { lin: t.operator("op-lin", "support", "CN").await, acme, ticket }
    }

    async fn ask(&self, t: &TestHouse, target: &str, limits: Limits) -> Result<GrantId, Failure> {
        let ask = RequestConsent {
            tenant: self.acme.id.clone(),
            ticket: self.ticket.clone(),
            scope: Scope::Target { target: name(target), limits },
            minutes: 30,
            uses_max: 3,
            reason: "nginx does not start".into(),
            because: Because::default(),
        };
        t.house.perform(self.lin.clone(), ask).await.map(|asked| asked.id)
    }

    async fn granted(&self, t: &TestHouse) -> GrantId {
        // The newest grant counts: no two are of one moment.
        t.clock.advance_ms(1);
        let grant = self.ask(t, "web-1", shell()).await.unwrap();
        self.acme.decide(t, &grant, YES).await.unwrap();
        grant
    }

    async fn open(&self, t: &TestHouse, who: &Caller, target: &str, family: &str) -> Result<Opened, Failure> {
        let open = OpenSession {
            tenant: self.acme.id.clone(),
            ticket: self.ticket.clone(),
            target: name(target),
            family: family.into(),
        };
        t.house.perform(who.clone(), open).await
    }

    async fn enter(&self, t: &TestHouse, opened: &Opened) -> Result<Seat, Failure> {
        t.house.enter_session("host", (&opened.id, opened.secret.expose()), PEER).await
    }

    async fn cut(&self, t: &TestHouse, opened: &Opened) -> Result<(), Failure> {
        let cut = CutSession { tenant: self.acme.id.clone(), session: opened.id.clone() };
        t.house.perform(self.acme.root.clone(), cut).await
    }

    async fn read(
        &self,
        t: &TestHouse,
        who: &Caller,
        opened: &Opened,
    ) -> Result<Vec<(Side, Vec<u8>)>, Failure> {
        let all = self.replay(t, who, opened, false).await?;
        Ok(all.frames.into_iter().map(|f| (f.side, f.bytes)).collect())
    }

    async fn replay(
        &self,
        t: &TestHouse,
        who: &Caller,
        opened: &Opened,
        unmasked: bool,
    ) -> Result<Replay, Failure> {
        let read = ReadRecording { tenant: self.acme.id.clone(), session: opened.id.clone(), unmasked };
        t.house.perform(who.clone(), read).await
    }
}

/// A user with one policy, by his AccessKey.
async fn user(t: &TestHouse, acme: &TestTenant, name: &str, document: &str) -> Caller {
    async fn run<A: Act>(t: &TestHouse, acme: &TestTenant, act: A) -> A::Output
    where
        A::Output: Send,
    {
        t.house.perform(acme.root.clone(), act.of(&acme.id)).await.unwrap()
    }
    let (user, policy) = (UserName::parse(name).unwrap(), PolicyName::parse(name).unwrap());
    run(t, acme, CreateUser::named(user.clone())).await;
    let document = document.to_owned();
    let create =
        CreatePolicy { name: policy.clone(), document, description: String::new(), tags: Vec::new() };
    run(t, acme, create).await;
    run(t, acme, AttachPolicy { to: Entity::User(user.clone()), kind: PolicyType::Custom, policy }).await;
    let made = run(t, acme, CreateAccessKey { owner: Owner::User(user) }).await;
    let id = made.id.as_str();
    let presented = Presented { access_key_id: id, token: None, nonce: None, service: "Ram", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == made.secret.expose() { Ok(()) } else { Err(()) };
    t.house.authenticate(presented, origin(), same).await.unwrap().0
}

fn no_consent<T>(result: Result<T, Failure>) -> NoCoverage {
    match result {
        Err(Failure::Refused(r)) => match r.kind() {
            RefusalKind::NoConsent(why) => *why,
            other => panic!("refused for another reason: {other:?}"),
        },
        Err(other) => panic!("failed: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

async fn until_ended(seat: &Seat) -> (String, Duration) {
    let began = Instant::now();
    let why = tokio::time::timeout(Duration::from_secs(5), seat.ended()).await.unwrap();
    (why, began.elapsed())
}

#[test]
fn a_session_needs_a_live_grant_for_its_target() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        assert_eq!(no_consent(s.open(&t, &s.lin, "web-1", "host").await), NoCoverage::NotAsked);
        let unknown = s.ask(&t, "web-2", shell()).await;
        assert!(matches!(unknown, Err(Failure::NotFound { thing: Thing::Target, .. })), "{unknown:?}");
        let other = Limits::Database { roles: vec!["reader".into()], read_only: true };
        assert!(s.ask(&t, "web-1", other).await.is_err(), "limits of another family");
        let grant = s.ask(&t, "web-1", shell()).await.unwrap();
        assert_eq!(no_consent(s.open(&t, &s.lin, "web-1", "host").await), NoCoverage::Waiting);
        s.acme.decide(&t, &grant, YES).await.unwrap();
        let mei = t.operator("op-mei", "support", "CN").await;
        assert_eq!(no_consent(s.open(&t, &mei, "web-1", "host").await), NoCoverage::NotAsked);
        assert_eq!(no_consent(s.open(&t, &s.lin, "web-1", "database").await), NoCoverage::NotAsked);
        let far = t.operator("op-far", "support", "US").await;
        let refused = s.open(&t, &far, "web-1", "host").await;
        assert!(
            matches!(&refused, Err(Failure::Refused(r)) if matches!(r.kind(), RefusalKind::Residency { .. })),
            "{refused:?}"
        );
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        assert_eq!(opened.limits, shell());
        let by_tenant = s.open(&t, &s.acme.root, "web-1", "host").await;
        assert!(by_tenant.is_err(), "a tenant has no session with himself");
        for (family, id, secret) in [
            ("host", opened.id.as_str(), "wrong"),
            ("host", "s-aaaaaaaaaaaaaaaa", opened.secret.expose()),
            ("database", opened.id.as_str(), opened.secret.expose()),
            ("host", "", ""),
        ] {
            let no = t.house.enter_session(family, (id, secret), PEER).await;
            assert!(
                matches!(no, Err(Failure::NotFound { thing: Thing::BrokerSession, .. })),
                "{family} {id}"
            );
        }
        assert!(s.enter(&t, &opened).await.is_ok());
    });
}

#[test]
fn what_passes_is_recorded_for_the_tenant_alone_and_its_end_stands_in_the_log() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        s.granted(&t).await;
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let (one, two) = (s.enter(&t, &opened).await.unwrap(), s.enter(&t, &opened).await.unwrap());
        one.record(Side::Client, 1, b"id\n").unwrap();
        two.record(Side::Target, 2, &vec![9; 600 * 1024]).unwrap();
        one.record(Side::Note, 1, b"{\"kind\":\"exit\"}").unwrap();
        let live = s.read(&t, &s.acme.root, &opened).await.unwrap();
        assert_eq!(live.len(), 5, "the tenant watches while it goes on");
        let theirs = s.read(&t, &s.lin, &opened).await;
        assert!(matches!(theirs, Err(Failure::Refused(_))), "who made it does not read it: {theirs:?}");
        let globex = t.tenant("globex").await;
        let read = ReadRecording { tenant: globex.id.clone(), session: opened.id.clone(), unmasked: false };
        let foreign = t.house.perform(globex.root.clone(), read).await;
        assert!(matches!(foreign, Err(Failure::NotFound { .. })));
        drop((one, two));
        let back = ReturnSession { tenant: s.acme.id.clone(), session: opened.id.clone(), why: None };
        t.house.perform(s.lin.clone(), back).await.unwrap();
        assert!(s.enter(&t, &opened).await.is_err(), "it has ended");
        while t.house.keep_sessions(false).await.unwrap().1 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let all = s.read(&t, &s.acme.root, &opened).await.unwrap();
        assert_eq!(all, live);
        let sessions =
            ListSessions { tenant: s.acme.id.clone(), session: None, before: None, sessions_max: 10 };
        let listed = t.house.perform(s.acme.root.clone(), sessions).await.unwrap();
        assert_eq!((listed.len(), listed[0].recorded.0), (1, 5));
        // A cut file shows, also at a frame's border.
        let file = t.folder().join("recordings").join(format!("{}.1", opened.id));
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        let cut = s.read(&t, &s.acme.root, &opened).await;
        assert!(matches!(cut, Err(Failure::Damaged(_))), "{cut:?}");
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        std::fs::write(&file, &flipped).unwrap();
        assert!(matches!(s.read(&t, &s.acme.root, &opened).await, Err(Failure::Damaged(_))));
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(s.read(&t, &s.acme.root, &opened).await.unwrap(), live);
    });
}

#[test]
fn a_recording_is_read_masked_and_what_was_recorded_stays_as_it_was() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        s.granted(&t).await;
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let seat = s.enter(&t, &opened).await.unwrap();
        for piece in ["mysql --password=hun", "ter2 PRJ-0", "42\n"] {
            seat.record(Side::Target, 2, piece.as_bytes()).unwrap();
        }
        drop(seat);
        s.cut(&t, &opened).await.unwrap();
        while t.house.keep_sessions(false).await.unwrap().1 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let file = t.folder().join("recordings").join(format!("{}.1", opened.id));
        let sealed = std::fs::read(&file).unwrap();
        let text = |replay: &Replay| -> String {
            replay.frames.iter().map(|f| String::from_utf8_lossy(&f.bytes).into_owned()).collect()
        };
        let masked = s.replay(&t, &s.acme.root, &opened, false).await.unwrap();
        assert_eq!(
            (text(&masked).as_str(), masked.covered, masked.is_all),
            ("mysql --password=******* PRJ-042\n", 7, true)
        );
        assert_eq!(masked.frames.iter().map(|f| f.bytes.len()).collect::<Vec<_>>(), [20, 10, 3]);

        // Who may look is not yet who may look under the masks.
        let looks = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["bailee:ReadRecording"],"Resource":"*"}]}"#;
        let wei = user(&t, &s.acme, "wei", looks).await;
        assert_eq!(text(&s.replay(&t, &wei, &opened, false).await.unwrap()), text(&masked));
        let no = s.replay(&t, &wei, &opened, true).await;
        assert!(matches!(no, Err(Failure::Refused(_))), "{no:?}");
        let set = async |who: &Caller, masks: Masks| {
            t.house.perform(who.clone(), SetRecordingMasks { tenant: s.acme.id.clone(), masks }).await
        };
        assert!(matches!(set(&wei, Masks::default()).await, Err(Failure::Refused(_))));
        for unmasked in [false, true] {
            let no = s.replay(&t, &s.lin, &opened, unmasked).await;
            assert!(matches!(no, Err(Failure::Refused(_))), "{no:?}");
            let system = t.house.system_caller("somebody at the machine");
            assert!(s.replay(&t, &system, &opened, unmasked).await.is_err(), "the provider reads none");
        }
        let raw = s.replay(&t, &s.acme.root, &opened, true).await.unwrap();
        assert_eq!((text(&raw).as_str(), raw.covered), ("mysql --password=hunter2 PRJ-042\n", 0));
        let seen = |event: &str| ActFilter { event_name: Some(event.into()), ..ActFilter::default() };
        let acts = t.house.acts(&s.acme.id, &seen("ReplayUnmasked"), None, 10).await.unwrap().acts;
        assert!(acts.len() >= 2, "who looked and who tried stand in the log: {acts:?}");

        let bad =
            Masks { own: vec![OwnMask { name: "mine".into(), pattern: "(".into() }], ..Masks::default() };
        assert!(matches!(set(&s.acme.root, bad).await, Err(Failure::Invalid { .. })));
        let mine = Masks {
            builtin: vec![Builtin::Cards],
            own: vec![OwnMask { name: "projects".into(), pattern: "PRJ-([0-9]+)".into() }],
        };
        set(&s.acme.root, mine.clone()).await.unwrap();
        let show = ShowRecordingMasks { tenant: s.acme.id.clone() };
        let shown = t.house.perform(s.acme.root.clone(), show).await.unwrap();
        assert!(shown.masks == mine && shown.set.is_some(), "{shown:?}");
        let masked = s.replay(&t, &s.acme.root, &opened, false).await.unwrap();
        assert_eq!(text(&masked), "mysql --password=hunter2 PRJ-***\n");
        assert_eq!(
            std::fs::read(&file).unwrap(),
            sealed,
            "masks are laid over what is read, not over what lies there"
        );
    });
}

#[test]
fn a_session_ends_with_whatever_ends_its_grant_and_at_once() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let workers = tokio::spawn({
            let house = t.house.clone();
            async move { house.run_workers(stopped).await }
        });
        let opened = async || {
            let grant = s.granted(&t).await;
            let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
            let seat = s.enter(&t, &opened).await.unwrap();
            seat.record(Side::Client, 1, b"w").unwrap();
            (grant, opened, seat)
        };
        let (_, first, seat) = opened().await;
        s.cut(&t, &first).await.unwrap();
        let (why, took) = until_ended(&seat).await;
        assert_eq!(why, "the tenant cut it");
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(seat.record(Side::Client, 1, b"late").is_err(), "nothing more passes");
        assert!(matches!(s.cut(&t, &first).await, Err(Failure::Conflict(_))), "once is enough");

        let (grant, _, seat) = opened().await;
        s.acme.decide(&t, &grant, Decision::Revoke).await.unwrap();
        let (why, took) = until_ended(&seat).await;
        assert_eq!(why, NoCoverage::Revoked.to_string());
        assert!(took < Duration::from_secs(1), "{took:?}");

        let (_, _, seat) = opened().await;
        let delete = DeleteTarget { tenant: s.acme.id.clone(), name: name("web-1") };
        t.house.perform(s.acme.root.clone(), delete).await.unwrap();
        assert_eq!(until_ended(&seat).await.0, "the target was deleted");
        let put =
            PutTarget { tenant: s.acme.id.clone(), name: name("web-1"), settings: host(), secret: None };
        t.house.perform(s.acme.root.clone(), put).await.unwrap();

        let (_, _, seat) = opened().await;
        t.clock.advance_ms(31 * 60_000);
        assert_eq!(until_ended(&seat).await.0, "the grant has expired");

        let (_, _, seat) = opened().await;
        let solve = SolveTicket { tenant: s.acme.id.clone(), ticket: s.ticket.clone() };
        t.house.perform(s.acme.root.clone(), solve).await.unwrap();
        assert_eq!(until_ended(&seat).await.0, NoCoverage::TicketClosed.to_string());
        drop(seat);
        stop.send(true).unwrap();
        workers.await.unwrap();
    });
}

#[test]
fn a_seat_that_nobody_confirms_ends() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        s.granted(&t).await;
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        // No worker looks here.
        let seat = s.enter(&t, &opened).await.unwrap();
        assert!(seat.record(Side::Client, 1, b"w").is_ok());
        let (why, took) = until_ended(&seat).await;
        assert_eq!(why, "the house could not say that the grant lives");
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert!(seat.record(Side::Client, 1, b"w").is_err());
    });
}

#[test]
fn the_recording_of_a_process_that_died_is_closed_by_the_next() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        s.granted(&t).await;
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let seat = s.enter(&t, &opened).await.unwrap();
        seat.record(Side::Client, 1, b"rm important").unwrap();
        let second = t.second();
        assert_eq!(second.house.keep_sessions(false).await.unwrap(), (0, 0), "the other one lives");
        let torn = t.folder().join("recordings").join(format!("{}.1", opened.id));
        let mut bytes = std::fs::read(&torn).unwrap();
        bytes.extend_from_slice(&[0, 0, 1, 0, 7]);
        std::fs::write(&torn, bytes).unwrap();
        assert_eq!(second.house.keep_sessions(true).await.unwrap(), (0, 1));
        // The session goes on in the other process, in a part of its own.
        let seat = s.enter(&second, &opened).await.unwrap();
        seat.record(Side::Target, 1, b"gone").unwrap();
        let all = s.read(&second, &s.acme.root, &opened).await.unwrap();
        assert_eq!(all, [(Side::Client, b"rm important".to_vec()), (Side::Target, b"gone".to_vec())]);
    });
}

#[test]
fn settings_that_cannot_be_are_refused_and_secrets_are_not_shown() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let put = async |settings: Settings, secret: Option<&str>| {
            let secret = secret.map(|s| SecretText::new(s.to_owned()));
            let put = PutTarget { tenant: acme.id.clone(), name: name("db-1"), settings, secret };
            t.house.perform(acme.root.clone(), put).await
        };
        let database = |roles: &[&str], admin: &str| Settings::Database {
            address: "10.0.0.8:5432".into(),
            database: "shop".into(),
            admin: admin.into(),
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            statement_ms: 60_000,
            mask: false,
        };
        assert!(put(database(&["reader"], "broker"), None).await.is_err(), "no password");
        assert!(put(database(&[], "broker"), Some("pw")).await.is_err(), "no role");
        assert!(put(database(&["broker"], "broker"), Some("pw")).await.is_err(), "the admin's own role");
        let made = put(database(&["reader"], "broker"), Some("hunter2-hunter2")).await.unwrap();
        assert!(!format!("{made:?}").contains("hunter2"));
        assert!(put(host(), None).await.is_err(), "another family under the name");
        assert!(put(database(&["reader", "writer"], "broker"), None).await.is_ok(), "the password stays");
        let moved = || {
            let mut moved = database(&["reader"], "broker");
            if let Settings::Database { address, .. } = &mut moved {
                *address = "203.0.113.9:5432".into();
            }
            moved
        };
        assert!(put(moved(), None).await.is_err(), "a password is not carried to another place");
        assert!(put(moved(), Some("another-password")).await.is_ok());
        for (address, login) in
            [("10.0.0.7", "deploy"), ("10.0.0.7:0", "deploy"), ("h:22", "root,admin"), ("h:22", "")]
        {
            let bad = Settings::Host {
                address: address.into(),
                host_keys: vec!["ssh-ed25519 AAAA".into()],
                login: login.into(),
            };
            let put = PutTarget { tenant: acme.id.clone(), name: name("web-9"), settings: bad, secret: None };
            assert!(t.house.perform(acme.root.clone(), put).await.is_err(), "{address} {login}");
        }
        let list = ListTargets { tenant: acme.id.clone() };
        let all = t.house.perform(acme.root.clone(), list.clone()).await.unwrap();
        assert_eq!(all.len(), 1);
        let lin = t.operator("op-lin", "support", "CN").await;
        assert!(t.house.perform(lin, list).await.is_err(), "no operator reads where they are");
    });
}

#[test]
fn what_a_log_of_the_platform_shows_is_laid_to_a_session_or_raises_an_alert() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let grant = s.granted(&t).await;
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let other = t.tenant("globex").await;
        let create = CreateCollector { name: "host-1".into(), sources: vec![Source::Sshd] };
        let token = t.house.perform(t.house.system_caller("test"), create).await.unwrap();
        let began = t.house.now();
        let count = Cell::new(0u8);
        let see = async |change: &dyn Fn(&mut Event)| {
            let n = count.get() + 1;
            count.set(n);
            let mut event = seen(n, t.house.now());
            change(&mut event);
            let tenant = if event.tenant == "acme" { &s.acme.id } else { &other.id };
            let batch = Batch {
                id: format!("{n:02x}").repeat(16),
                source: Source::Sshd,
                events: vec![event],
                tally: Tally::default(),
            };
            let collector = t.house.collector(token.expose()).await.unwrap();
            let hand_in = HandIn { collector, batch };
            let said = t.house.perform(t.house.system_caller("test"), hand_in).await.unwrap();
            assert_eq!(said.verdicts, [Recorded::Recorded]);
            t.house.acts(tenant, &ActFilter::default(), None, 1).await.unwrap().acts.remove(0)
        };
        let lin = t.house.pseudonym(&s.acme.id, &OperatorId::parse("op-lin").unwrap()).to_string();
        let (named, id) = (|e: &mut Event| e.session = opened.id.clone(), opened.id.as_str());

        // By the name that the broker left in the host's log: the act is that operator's.
        let act = see(&named).await;
        assert_eq!((act.who.as_str(), act.level.as_str(), act.uncovered()), (lin.as_str(), "NOTICE", None));
        let covered = act.covered().unwrap();
        assert_eq!(
            (&covered["session"], &covered["grant"], &covered["by"]),
            (&id.into(), &grant.as_str().into(), &"name".into())
        );
        // The same account without the name: it must have been this session, as no other was open.
        let act = see(&|_| {}).await;
        let by = act.covered().unwrap()["by"].clone();
        assert_eq!((act.who, by.as_str()), (lin.clone(), Some("time")));
        // An operator known by his own account, while he has a session.
        let act = see(&|e| (e.brokered, e.operator) = (false, Some("op-lin".into()))).await;
        assert_eq!(act.covered().unwrap()["by"], "time");

        let uncovered = Cell::new(0);
        let missing = async |why: &str, change: &dyn Fn(&mut Event)| {
            let act = see(change).await;
            assert_eq!((act.uncovered().as_deref(), act.level.as_str()), (Some(why), "WARNING"));
            uncovered.set(uncovered.get() + 1);
        };
        t.operator("op-bo", "support", "CN").await;
        let (unknown, alone) = (
            "no session of the tenant has the name that the log names",
            "no session of this operator with such a system lived then",
        );
        missing(alone, &|e| (e.brokered, e.operator) = (false, Some("op-bo".into()))).await;
        missing("the session that the log names is another operator's", &|e| {
            named(e);
            (e.brokered, e.operator) = (false, Some("op-bo".into()));
        })
        .await;
        missing(unknown, &|e| e.session = "s-0123456789abcdef".into()).await;
        missing(unknown, &|e| {
            named(e);
            e.product = "RDS".into();
        })
        .await;
        // A line that would name the session: he went around the broker.
        missing("it did not come by a broker: the log names no session", &|e| e.session = "-".into()).await;
        // Who says that nobody did it does not get by with a session in the line.
        missing(unknown, &|e| (e.brokered, e.session) = (false, "s-0123456789abcdef".into())).await;
        missing("the gate recorded no such act of this operator", &|e| {
            (e.brokered, e.operator, e.product) = (false, Some("op-lin".into()), "OSS".into());
            e.resource = "invoices/1.pdf".into();
        })
        .await;
        // What the gate refused may stand in an access log as refused, and as nothing else.
        s.acme.make_bucket(&t, "invoices").await;
        s.acme.put(&t, "invoices", "2.pdf", "pumps").await;
        assert!(s.acme.read(&t, &s.lin, &s.ticket, ("invoices", "2.pdf")).await.is_err());
        let read = |e: &mut Event, outcome| {
            (e.brokered, e.operator, e.product) = (false, Some("op-lin".into()), "OSS".into());
            (e.name, e.resource, e.outcome) = ("GetObject".into(), "invoices/2.pdf".into(), outcome);
        };
        let act = see(&|e| read(e, Outcome::Refused)).await;
        assert_eq!(act.covered().unwrap()["by"], "record");
        let no_such = "the gate recorded no such act of this operator";
        missing(no_such, &|e| read(e, Outcome::Done)).await;
        missing(no_such, &|e| {
            read(e, Outcome::Refused);
            e.resource = "invoices/3.pdf".into();
        })
        .await;
        t.house.raise_alerts().await.unwrap();
        let list = ListAlerts { tenant: s.acme.id.clone(), open_only: true, before: None, alerts_max: 100 };
        let raised = t.house.perform(s.acme.root.clone(), list).await.unwrap().alerts;
        assert_eq!(raised.iter().filter(|a| a.kind == AlertKind::Uncovered).count() as u64, uncovered.get());
        // At another tenant the session opens nothing.
        let act = see(&|e| {
            named(e);
            e.tenant = "globex".into();
        })
        .await;
        assert_eq!(act.uncovered().as_deref(), Some(unknown));

        // Cut; what comes two minutes later is not its.
        s.cut(&t, &opened).await.unwrap();
        t.clock.advance_ms(121_000);
        missing("the session that the log names did not live then", &named).await;
        missing(alone, &|_| {}).await;
        // A log without times may be read late: the name tells.
        let act = see(&|e| {
            named(e);
            e.time = None;
        })
        .await;
        assert_eq!(act.covered().unwrap()["by"], "name");
        // What nobody did needs nothing.
        let act = see(&|e| e.brokered = false).await;
        assert_eq!((act.covered(), act.uncovered()), (None, None));

        let found =
            t.house.reconcile(&s.acme.id, began.plus_ms(-1_000), t.house.now().plus_ms(1_000)).await.unwrap();
        // Those on objects are compared as reads.
        assert_eq!((found.in_sessions, found.uncovered.len() as u64), (4, uncovered.get() - 3));
        assert!(found.sessions_not_seen.is_empty());
    });
}

fn seen(n: u8, at: Timestamp) -> Event {
    Event {
        id: format!("{n:02x}").repeat(32),
        line: "ab".repeat(32),
        observed_at: at.iso_ms(),
        time: Some(at.iso_ms()),
        tenant: "acme".into(),
        operator: None,
        brokered: true,
        session: String::new(),
        name: "SSH-login".into(),
        kind: "CUSTOMER_INITIATED_SUPPORT".into(),
        product: "ECS".into(),
        level: "NOTICE".into(),
        method: "Regular Read".into(),
        resource_type: "ACS::ECS::Instance".into(),
        resource: "web-1/login".into(),
        description: String::new(),
        detail: Default::default(),
        outcome: Outcome::Done,
        code: String::new(),
        rule: "r".into(),
    }
}

#[test]
fn a_grant_leads_to_the_system_where_it_was_when_it_was_asked_for() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let elsewhere = |port: u16| match host() {
            Settings::Host { host_keys, login, .. } => {
                Settings::Host { address: format!("10.0.0.8:{port}"), host_keys, login }
            }
            other => other,
        };
        let put = async |settings| {
            t.clock.advance_ms(1);
            let put = PutTarget { tenant: s.acme.id.clone(), name: name("web-1"), settings, secret: None };
            t.house.perform(s.acme.root.clone(), put).await.unwrap();
        };
        let until = t.house.now().plus_ms(86_400_000);
        let scope = Scope::Target { target: name("web-1"), limits: shell() };
        let terms = Terms {
            scope,
            operators: Vec::new(),
            codes: vec![Code::CustomerInitiatedSupport],
            minutes: 30,
            uses_max: 3,
            day_uses_max: 9,
            until,
        };
        let set = SetStandingRight { tenant: s.acme.id.clone(), terms, why: String::new() };
        t.house.perform(s.acme.root.clone(), set).await.unwrap();
        s.ask(&t, "web-1", shell()).await.unwrap();
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let seat = s.enter(&t, &opened).await.unwrap();
        // What does not move it ends nothing.
        put(host()).await;
        s.enter(&t, &opened).await.unwrap();
        put(elsewhere(22)).await;
        t.house.keep_sessions(false).await.unwrap();
        assert_eq!(until_ended(&seat).await.0, "the target was moved");
        assert!(s.enter(&t, &opened).await.is_err());
        let no = s.open(&t, &s.lin, "web-1", "host").await;
        assert!(
            matches!(no, Err(Failure::Conflict(ref why)) if why.contains("was moved")),
            "{:?}",
            no.map(drop)
        );
        // Nor does the standing right open anything any more; a grant of after does.
        t.clock.advance_ms(1);
        s.ask(&t, "web-1", shell()).await.unwrap();
        assert!(s.open(&t, &s.lin, "web-1", "host").await.is_err());
        s.granted(&t).await;
        s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        // Deleted and made anew under its name, it is another.
        let delete = DeleteTarget { tenant: s.acme.id.clone(), name: name("web-1") };
        t.house.perform(s.acme.root.clone(), delete).await.unwrap();
        put(elsewhere(23)).await;
        assert!(matches!(s.open(&t, &s.lin, "web-1", "host").await, Err(Failure::Conflict(_))));
    });
}

#[test]
fn what_an_operator_has_open_ends_when_he_signs_out() {
    on_each_engine(async |t| {
        let scene = Scene::new(&t).await;
        let id = OperatorId::parse("op-wang").unwrap();
        let create = CreateOperator { id: id.clone(), roles: vec!["support".into()], place: "CN".into() };
        let password = t.house.perform(t.house.system_caller("test"), create).await.unwrap();
        let who = SignIn::Operator { id: id.to_string(), password };
        let token = t.house.sign_in(who, origin()).await.unwrap().expose().to_owned();
        let s = Scene { lin: t.house.session(&token, origin()).await.unwrap().unwrap().caller, ..scene };
        s.granted(&t).await;
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let seat = s.enter(&t, &opened).await.unwrap();
        t.house.sign_out(&token).await.unwrap();
        t.house.keep_sessions(false).await.unwrap();
        assert_eq!(until_ended(&seat).await.0, "the operator signed out");
        assert!(s.enter(&t, &opened).await.is_err());
    });
}

#[test]
fn a_session_under_a_standing_right_ends_with_the_right() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let right = async |target: &str, limits| {
            let terms = Terms {
                scope: Scope::Target { target: name(target), limits },
                operators: Vec::new(),
                codes: vec![Code::CustomerInitiatedSupport],
                minutes: 30,
                uses_max: 3,
                day_uses_max: 3,
                until: t.house.now().plus_ms(86_400_000),
            };
            let set = SetStandingRight { tenant: s.acme.id.clone(), terms, why: String::new() };
            t.house.perform(s.acme.root.clone(), set).await.map(|set| set.0)
        };
        assert!(matches!(right("web-2", shell()).await, Err(Failure::NotFound { thing: Thing::Target, .. })));
        let exec = Limits::Host { shell: false, exec: true, download: false, upload: false };
        right("web-1", exec).await.unwrap();
        s.ask(&t, "web-1", shell()).await.unwrap();
        assert_eq!(no_consent(s.open(&t, &s.lin, "web-1", "host").await), NoCoverage::Waiting, "no shell");
        let id = right("web-1", shell()).await.unwrap();
        t.clock.advance_ms(1);
        let grant = s.ask(&t, "web-1", shell()).await.unwrap();
        let opened = s.open(&t, &s.lin, "web-1", "host").await.unwrap();
        let seat = s.enter(&t, &opened).await.unwrap();
        let end = RevokeStandingRight { tenant: s.acme.id.clone(), id };
        assert_eq!(t.house.perform(s.acme.root.clone(), end).await.unwrap().grants, [grant]);
        t.house.keep_sessions(false).await.unwrap();
        assert!(until_ended(&seat).await.0.contains("revoked"));
        assert!(s.enter(&t, &opened).await.is_err());
    });
}
