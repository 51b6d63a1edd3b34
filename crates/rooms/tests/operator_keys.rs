//! Temporary keys of an operator's grant, on both engines: what they open, what they count, how they end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant};

use bailee_rooms::broker::{
    BeyondGrant, CutSession, ListKeys, ReturnSession, STREAMS_MAX, TakeKeys, TakenKeys,
};
use bailee_rooms::consent::{Because, Decision, NoCoverage, RequestConsent, Scope, State, WithdrawRequest};
use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::identity::{AuthError, Presented, SetOperatorState};
use bailee_rooms::tickets::SolveTicket;
use bailee_rooms::trail::{ActEnd, ActFilter, ListActs};
use bailee_rooms::vault::{
    Choice, ListObjects, ListVersions, ReadVersion, SeeBucket, SeeObject, SetVersioning, Versioning, Which,
    Window,
};
use bailee_rooms::{Failure, Thing};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine, origin};
use bailee_types::{GrantId, OperatorId, SecretText, TicketId};

const MIB: usize = 1024 * 1024;

struct Scene {
    acme: TestTenant,
    lin: Caller,
    ticket: TicketId,
}

impl Scene {
    async fn new(t: &TestHouse) -> Self {
        let acme = t.tenant("acme").await;
        for name in ["invoices", "other"] {
            acme.make_bucket(t, name).await;
        }
        for name in ["inv/1", "inv/2", "inv/3", "invoices", "invoices/1", "plan"] {
            acme.put(t, "invoices", name, format!("content of {name}")).await;
        }
        acme.put(t, "other", "inv/1", "elsewhere").await;
        let ticket = acme.ticket(t).await;
        Self { lin: t.operator("op-lin", "support", "CN").await, acme, ticket }
    }

    async fn grant(&self, t: &TestHouse, scope: Scope, (minutes, uses_max): (u32, u32)) -> GrantId {
        // The newest grant counts: no two are of one moment.
        t.clock.advance_ms(1);
        let ask = RequestConsent {
            tenant: self.acme.id.clone(),
            ticket: self.ticket.clone(),
            scope,
            minutes,
            uses_max,
            reason: "it opens blank".into(),
            because: Because::default(),
        };
        let grant = t.house.perform(self.lin.clone(), ask).await.unwrap().id;
        self.acme.decide(t, &grant, Decision::Approve { minutes, uses_max }).await.unwrap();
        grant
    }

    async fn of_prefix(&self, t: &TestHouse, uses_max: u32) -> GrantId {
        self.grant(t, Scope::Prefix { bucket: bucket("invoices"), prefix: "inv/".into() }, (30, uses_max))
            .await
    }

    async fn take(&self, t: &TestHouse, grant: &GrantId, content: bool) -> Result<TakenKeys, Failure> {
        let request = t.house.consent_request(&self.acme.id, grant).await.unwrap();
        let take = TakeKeys::of(&request, content, t.house.now())?;
        t.house.perform(self.lin.clone(), take).await
    }

    async fn keys(&self, t: &TestHouse, grant: &GrantId) -> Caller {
        signed(t, &self.take(t, grant, true).await.unwrap()).await.unwrap()
    }

    fn read_of(&self, name: &str) -> ReadVersion {
        ReadVersion {
            tenant: self.acme.id.clone(),
            bucket: bucket("invoices"),
            key: key(name),
            which: None,
            ticket: self.ticket.clone(),
            choose: Box::new(|info| Choice::Bytes { start: 0, end: info.size }),
        }
    }

    async fn read(&self, t: &TestHouse, who: &Caller, name: &str) -> Result<Window, Failure> {
        t.house.perform(who.clone(), self.read_of(name)).await
    }

    async fn see(&self, t: &TestHouse, who: &Caller, name: &str) -> Result<(), Failure> {
        let see = SeeObject {
            tenant: self.acme.id.clone(),
            bucket: bucket("invoices"),
            key: key(name),
            which: None,
            ticket: self.ticket.clone(),
            tags: false,
        };
        let info = t.house.perform(who.clone(), see).await?;
        assert_eq!((info.meta.md5.as_str(), info.meta.crc64), (info.tag().as_str(), 0), "no digest is told");
        Ok(())
    }

    async fn list(&self, t: &TestHouse, who: &Caller, (of, prefix): (&str, &str)) -> Result<usize, Failure> {
        let list = ListObjects {
            tenant: self.acme.id.clone(),
            bucket: bucket(of),
            prefix: prefix.into(),
            delimiter: String::new(),
            after: String::new(),
            entries_max: 100,
            ticket: Some(self.ticket.clone()),
        };
        Ok(t.house.perform(who.clone(), list).await?.entries.len())
    }

    async fn uses(&self, t: &TestHouse, grant: &GrantId) -> u32 {
        t.house.consent_request(&self.acme.id, grant).await.unwrap().uses
    }
}

/// The caller whom a signature with these keys proves.
async fn signed(t: &TestHouse, taken: &TakenKeys) -> Result<Caller, AuthError<()>> {
    by(t, taken.keys.id.as_str(), &taken.secret, Some(taken.token.expose()), "Oss").await
}

async fn by(
    t: &TestHouse,
    id: &str,
    secret: &SecretText,
    token: Option<&str>,
    service: &'static str,
) -> Result<Caller, AuthError<()>> {
    let presented = Presented { access_key_id: id, token, nonce: None, service, scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == secret.expose() { Ok(()) } else { Err(()) };
    t.house.authenticate(presented, origin(), same).await.map(|(caller, ())| caller)
}

fn refused<T>(result: Result<T, Failure>) -> RefusalKind {
    match result {
        Err(Failure::Refused(r)) => {
            assert!(r.record().is_some(), "the tenant's log has it");
            r.kind().clone()
        }
        Err(other) => panic!("failed: {other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn outside<T>(result: Result<T, Failure>) {
    match refused(result) {
        RefusalKind::OutsideGrant { covers } => {
            assert!(
                covers.contains("`invoices/inv/*` and nothing else"),
                "it says what the grant covers: {covers}"
            );
        }
        other => panic!("refused for another reason: {other:?}"),
    }
}

#[test]
fn keys_open_what_the_grant_covers_and_nothing_beside_it() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let grant = s.of_prefix(&t, 10).await;
        // A wider grant of the same operator does not widen keys that were taken under this one.
        s.grant(&t, Scope::Prefix { bucket: bucket("invoices"), prefix: String::new() }, (30, 10)).await;
        let keys = s.keys(&t, &grant).await;
        assert_eq!(&s.read(&t, &keys, "inv/1").await.unwrap().bytes[..], b"content of inv/1");
        s.see(&t, &keys, "inv/2").await.unwrap();
        assert_eq!(s.list(&t, &keys, ("invoices", "inv/")).await.unwrap(), 3);
        assert_eq!(s.list(&t, &keys, ("invoices", "inv/2")).await.unwrap(), 1);
        // `inv` is not `invoices`, and a name that walks is a name.
        for name in ["invoices", "invoices/1", "plan", "inv", "Inv/1", "xinv/1", "inv%2F1"] {
            outside(s.read(&t, &keys, name).await);
            outside(s.see(&t, &keys, name).await);
        }
        for prefix in ["", "i", "inv", "inv%2F", "invoices/", "in"] {
            outside(s.list(&t, &keys, ("invoices", prefix)).await);
        }
        outside(s.list(&t, &keys, ("other", "inv/")).await);
        let other = ReadVersion { bucket: bucket("other"), ..s.read_of("inv/1") };
        outside(t.house.perform(keys.clone(), other).await);
        for request in ["PutObject", "DeleteObject", "PutBucketPolicy"] {
            let on = Some((bucket("invoices"), Some(key("inv/1"))));
            let (tenant, ticket) = (s.acme.id.clone(), s.ticket.clone());
            outside(t.house.perform(keys.clone(), BeyondGrant { tenant, ticket, request, on }).await);
        }
        // What he may do at the desk he may not with keys.
        outside(t.house.perform(keys.clone(), s.acme.read_of(&s.ticket, ("invoices", "plan"))).await);
        let ask = RequestConsent {
            tenant: s.acme.id.clone(),
            ticket: s.ticket.clone(),
            scope: Scope::object(bucket("other"), key("inv/1")),
            minutes: 1,
            uses_max: 1,
            reason: "more of it".into(),
            because: Because::default(),
        };
        outside(t.house.perform(keys.clone(), ask).await);
        // Another tenant, though of the same names.
        let globex = t.tenant("globex").await;
        globex.make_bucket(&t, "globex-invoices").await;
        globex.put(&t, "globex-invoices", "inv/1", "theirs").await;
        let theirs = ReadVersion {
            tenant: globex.id.clone(),
            bucket: bucket("globex-invoices"),
            ..s.read_of("inv/1")
        };
        outside(t.house.perform(keys.clone(), theirs).await);
        let see = SeeBucket { tenant: s.acme.id.clone(), bucket: bucket("other"), ticket: s.ticket.clone() };
        outside(t.house.perform(keys.clone(), see).await);
        let see =
            SeeBucket { tenant: s.acme.id.clone(), bucket: bucket("invoices"), ticket: s.ticket.clone() };
        t.house.perform(keys.clone(), see).await.unwrap();
        assert_eq!(s.uses(&t, &grant).await, 1, "only content counts");
        // Without keys nobody looks or reads this way.
        assert!(s.see(&t, &s.lin, "inv/1").await.is_err());
        assert!(s.read(&t, &s.acme.root, "inv/1").await.is_err());
    });
}

#[test]
fn keys_without_content_show_names_only() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let grant = s.of_prefix(&t, 10).await;
        let keys = signed(&t, &s.take(&t, &grant, false).await.unwrap()).await.unwrap();
        assert_eq!(s.list(&t, &keys, ("invoices", "inv/")).await.unwrap(), 3);
        s.see(&t, &keys, "inv/1").await.unwrap();
        match refused(s.read(&t, &keys, "inv/1").await) {
            RefusalKind::OutsideGrant { covers } => assert!(covers.contains("no content"), "{covers}"),
            other => panic!("refused for another reason: {other:?}"),
        }
        assert_eq!(s.uses(&t, &grant).await, 0);
    });
}

#[test]
fn a_version_is_one_use_however_it_is_read() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        s.acme.put(&t, "invoices", "inv/big", vec![7; 20 * MIB]).await;
        let grant = s.of_prefix(&t, 2).await;
        let keys = s.keys(&t, &grant).await;
        let part = |from: u64| ReadVersion {
            choose: Box::new(move |_| Choice::Bytes { start: from, end: from + 1000 }),
            ..s.read_of("inv/big")
        };
        let many =
            futures_util::future::join_all((0..16).map(|i| t.house.perform(keys.clone(), part(i * 1000))));
        for window in many.await {
            assert_eq!(window.unwrap().bytes.len(), 1000);
        }
        assert_eq!(s.uses(&t, &grant).await, 1, "sixteen ranges of one version");
        let long = s.read(&t, &keys, "inv/big").await.unwrap();
        assert_eq!((long.bytes.len(), long.next), (8 * MIB, Some(8 * MIB as u64)), "window by window");
        s.acme.put(&t, "invoices", "inv/big", "new").await;
        assert_eq!(&s.read(&t, &keys, "inv/big").await.unwrap().bytes[..], b"new");
        assert_eq!(s.uses(&t, &grant).await, 2, "what was written anew is another");
        s.read(&t, &keys, "inv/big").await.unwrap();
        assert!(matches!(
            refused(s.read(&t, &keys, "inv/1").await),
            RefusalKind::NoConsent(NoCoverage::Exhausted)
        ));
        // New keys begin anew, and nothing is left.
        s.acme.put(&t, "invoices", "inv/big", "newer").await;
        assert!(s.read(&t, &keys, "inv/big").await.is_err());
        assert!(s.take(&t, &grant, true).await.is_err(), "an exhausted grant gives no keys");
        let state = t.house.consent_request(&s.acme.id, &grant).await.unwrap().state(t.house.now());
        assert_eq!(state, State::Exhausted);
    });
}

#[test]
fn of_two_who_race_for_the_last_use_one_reads() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let twin = t.second();
        for round in 0..5 {
            let grant = s.of_prefix(&t, 1).await;
            let taken = s.take(&t, &grant, true).await.unwrap();
            let (a, b) = (signed(&t, &taken).await.unwrap(), signed(&twin, &taken).await.unwrap());
            let (one, other) = tokio::join!(
                t.house.perform(a, s.read_of("inv/1")),
                twin.house.perform(b, s.read_of("inv/2"))
            );
            assert!(one.is_ok() != other.is_ok(), "round {round}: {:?} {:?}", one.is_ok(), other.is_ok());
            assert_eq!(s.uses(&t, &grant).await, 1);
        }
        // The same version from both is one use: both read.
        let grant = s.of_prefix(&t, 1).await;
        let taken = s.take(&t, &grant, true).await.unwrap();
        let (a, b) = (signed(&t, &taken).await.unwrap(), signed(&twin, &taken).await.unwrap());
        let (one, other) =
            tokio::join!(t.house.perform(a, s.read_of("inv/1")), twin.house.perform(b, s.read_of("inv/1")));
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(s.uses(&t, &grant).await, 1);
    });
}

#[test]
fn keys_end_with_the_grant_and_before() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        // Revoked: at once, and a look at the keys again does not help.
        let grant = s.of_prefix(&t, 9).await;
        let taken = s.take(&t, &grant, true).await.unwrap();
        let keys = signed(&t, &taken).await.unwrap();
        s.read(&t, &keys, "inv/1").await.unwrap();
        s.acme.decide(&t, &grant, Decision::Revoke).await.unwrap();
        for _ in 0..2 {
            let again = signed(&t, &taken).await.unwrap();
            let no = refused(s.read(&t, &again, "inv/1").await);
            assert!(
                matches!(no, RefusalKind::NoConsent(NoCoverage::Revoked) | RefusalKind::KeysEnded(_)),
                "{no:?}"
            );
            refused(s.list(&t, &again, ("invoices", "inv/")).await);
            t.house.keep_sessions(true).await.unwrap();
        }
        assert!(s.take(&t, &grant, true).await.is_err());
        // Cut: the keys end, the grant does not.
        let grant = s.of_prefix(&t, 9).await;
        let taken = s.take(&t, &grant, true).await.unwrap();
        let keys = signed(&t, &taken).await.unwrap();
        assert_eq!(t.house.keys_in_use(&s.acme.id).await.unwrap().len(), 1, "the tenant sees them");
        let cut = CutSession { tenant: s.acme.id.clone(), session: taken.keys.id.to_string() };
        assert!(t.house.perform(s.lin.clone(), cut.clone()).await.is_err(), "the tenant's right alone");
        t.house.perform(s.acme.root.clone(), cut).await.unwrap();
        assert!(
            matches!(refused(s.read(&t, &keys, "inv/1").await), RefusalKind::KeysEnded(why) if why.contains("tenant cut"))
        );
        s.acme.read(&t, &s.lin, &s.ticket, ("invoices", "inv/1")).await.unwrap();
        // Taken anew: the old ones end. Given back: none of another's.
        let first = s.take(&t, &grant, true).await.unwrap();
        let second = s.take(&t, &grant, true).await.unwrap();
        let (old, new) = (signed(&t, &first).await.unwrap(), signed(&t, &second).await.unwrap());
        assert!(matches!(refused(s.read(&t, &old, "inv/1").await), RefusalKind::KeysEnded(_)));
        s.read(&t, &new, "inv/1").await.unwrap();
        let give =
            ReturnSession { tenant: s.acme.id.clone(), session: second.keys.id.to_string(), why: None };
        let mei = t.operator("op-mei", "support", "CN").await;
        assert!(t.house.perform(mei, give.clone()).await.is_err());
        t.house.perform(s.lin.clone(), give).await.unwrap();
        assert!(matches!(refused(s.read(&t, &new, "inv/1").await), RefusalKind::KeysEnded(_)));
        // The operator gives the grant back.
        let keys = s.keys(&t, &grant).await;
        let back = WithdrawRequest { tenant: s.acme.id.clone(), id: grant };
        t.house.perform(s.lin.clone(), back).await.unwrap();
        assert!(matches!(
            refused(s.see(&t, &keys, "inv/1").await),
            RefusalKind::NoConsent(NoCoverage::Returned)
        ));
        // Their own time: an hour at most, though the grant goes on.
        let scope = Scope::Prefix { bucket: bucket("invoices"), prefix: "inv/".into() };
        let grant = s.grant(&t, scope, (300, 9)).await;
        let taken = s.take(&t, &grant, true).await.unwrap();
        let keys = signed(&t, &taken).await.unwrap();
        assert_eq!(taken.keys.until, t.house.now().plus_ms(3_600_000));
        t.clock.advance_ms(3_600_000);
        assert!(matches!(refused(s.read(&t, &keys, "inv/1").await), RefusalKind::KeysEnded(_)));
        t.house.keep_sessions(true).await.unwrap();
        assert!(t.house.keys_in_use(&s.acme.id).await.unwrap().is_empty());
        // The operator is disabled; let in again, he has nothing.
        let keys = s.keys(&t, &grant).await;
        for active in [false, true] {
            let id = OperatorId::parse("op-lin").unwrap();
            t.house.perform(t.house.system_caller("test"), SetOperatorState { id, active }).await.unwrap();
            let no = refused(s.read(&t, &keys, "inv/1").await);
            assert!(
                matches!(
                    no,
                    RefusalKind::NoConsent(NoCoverage::OperatorDisabled) | RefusalKind::KeysEnded(_)
                ),
                "{no:?}"
            );
        }
        // A day later nobody is recorded any more for keys that ended long ago.
        t.clock.advance_ms(25 * 3_600_000);
        assert!(matches!(signed(&t, &taken).await, Err(AuthError::TokenExpired)));
        let all = t
            .house
            .perform(s.acme.root.clone(), ListKeys { tenant: s.acme.id.clone(), before: None })
            .await
            .unwrap();
        assert!(all.len() >= 6, "the tenant sees all there ever were");
    });
}

#[test]
fn a_ticket_that_is_solved_ends_keys_and_streams() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let grant = s.of_prefix(&t, 9).await;
        let keys = s.keys(&t, &grant).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let workers = tokio::spawn({
            let house = t.house.clone();
            async move { house.run_workers(stopped).await }
        });
        let reading = t.house.reading(&keys).unwrap();
        s.read(&t, &keys, "inv/1").await.unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        reading.goes_on().unwrap();
        let solve = SolveTicket { tenant: s.acme.id.clone(), ticket: s.ticket.clone() };
        t.house.perform(s.lin.clone(), solve).await.unwrap();
        let began = Instant::now();
        while reading.goes_on().is_ok() {
            assert!(began.elapsed() < Duration::from_secs(5), "it goes on");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // 200 ms, and what a loaded machine takes.
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
        assert!(matches!(
            refused(s.read(&t, &keys, "inv/1").await),
            RefusalKind::NoConsent(NoCoverage::TicketClosed) | RefusalKind::KeysEnded(_)
        ));
        let many: Vec<_> = (0..40).map(|_| t.house.reading(&keys)).collect();
        assert_eq!(many.iter().filter(|r| r.is_ok()).count(), STREAMS_MAX - 1, "with the first one");
        assert!(t.house.reading(&s.lin).is_err(), "who acts without keys has no such stream");
        drop((many, reading));
        stop.send(true).unwrap();
        workers.await.unwrap();
        // Nobody looks any more: what cannot be confirmed does not go on.
        let reading = t.house.reading(&keys).unwrap();
        reading.goes_on().unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(reading.goes_on().is_err());
    });
}

#[test]
fn a_token_is_good_with_its_own_key_alone() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let one = s.of_prefix(&t, 9).await;
        let two = s.grant(&t, Scope::object(bucket("other"), key("inv/1")), (30, 9)).await;
        let (a, b) = (s.take(&t, &one, true).await.unwrap(), s.take(&t, &two, true).await.unwrap());
        let (id, token) = (a.keys.id.as_str(), a.token.expose());
        assert!(id.starts_with("GRT.") && !format!("{a:?}").contains(token));
        assert!(matches!(by(&t, id, &a.secret, None, "Oss").await, Err(AuthError::TokenMissing)));
        let foreign = Some(b.token.expose());
        assert!(matches!(by(&t, id, &a.secret, foreign, "Oss").await, Err(AuthError::TokenMismatch)));
        assert!(matches!(by(&t, id, &b.secret, Some(token), "Oss").await, Err(AuthError::Signature(()))));
        for at in [0, 10, token.len() / 2, token.len() - 5] {
            let mut changed = token.to_owned().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let no = by(&t, id, &a.secret, Some(&changed), "Oss").await;
            assert!(matches!(no, Err(AuthError::TokenMalformed)), "byte {at}");
        }
        assert!(matches!(by(&t, id, &a.secret, Some(token), "Kms").await, Err(AuthError::UnknownKey)));
        // Another's grant gives him none, and neither does one that does not live or is about something else.
        let request = t.house.consent_request(&s.acme.id, &one).await.unwrap();
        let take = TakeKeys::of(&request, true, t.house.now()).unwrap();
        let mei = t.operator("op-mei", "support", "CN").await;
        assert!(matches!(t.house.perform(mei, take.clone()).await, Err(Failure::Conflict(_))));
        assert!(t.house.perform(s.acme.root.clone(), take).await.is_err());
        // What is shown once lies nowhere in clear.
        let file = std::fs::read(t.folder().join("bailee.sqlite")).unwrap_or_default();
        assert!(!file.windows(a.secret.expose().len()).any(|w| w == a.secret.expose().as_bytes()));
    });
}

#[test]
fn versions_are_read_by_their_ids_and_only_of_their_key() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let versioning = SetVersioning {
            tenant: s.acme.id.clone(),
            bucket: bucket("invoices"),
            versioning: Versioning::Enabled,
        };
        t.house.perform(s.acme.root.clone(), versioning).await.unwrap();
        for content in ["old", "new"] {
            s.acme.put(&t, "invoices", "inv/v", content).await;
        }
        s.acme.put(&t, "invoices", "plan", "secret plan").await;
        let grant = s.of_prefix(&t, 9).await;
        let keys = s.keys(&t, &grant).await;
        let list = |prefix: &str| ListVersions {
            tenant: s.acme.id.clone(),
            bucket: bucket("invoices"),
            prefix: prefix.into(),
            delimiter: String::new(),
            after: (String::new(), None),
            entries_max: 100,
            ticket: Some(s.ticket.clone()),
        };
        let page = t.house.perform(keys.clone(), list("inv/v")).await.unwrap();
        assert_eq!(page.versions.len(), 2);
        assert!(page.versions.iter().all(|v| v.info.meta.md5.is_empty() && v.info.size == 3));
        let old = Which::parse(&page.versions[1].id).unwrap();
        let read = ReadVersion { which: Some(old.clone()), ..s.read_of("inv/v") };
        assert_eq!(&t.house.perform(keys.clone(), read).await.unwrap().bytes[..], b"old");
        outside(t.house.perform(keys.clone(), list("plan")).await);
        let mut open = list("plan");
        open.ticket = None;
        let plan = t.house.perform(s.acme.root.clone(), open).await.unwrap().versions.remove(0);
        let foreign = ReadVersion { which: Which::parse(&plan.id), ..s.read_of("inv/v") };
        let no = t.house.perform(keys.clone(), foreign).await.err();
        assert!(matches!(no, Some(Failure::NotFound { thing: Thing::Version, .. })), "{no:?}");
    });
}

#[test]
fn who_is_abroad_takes_keys_that_open_nothing() {
    on_each_engine(async |t| {
        let mut s = Scene::new(&t).await;
        s.lin = t.operator("op-far", "support", "US").await;
        let grant = s.of_prefix(&t, 9).await;
        let keys = s.keys(&t, &grant).await;
        assert!(matches!(refused(s.read(&t, &keys, "inv/1").await), RefusalKind::Residency { .. }));
        assert_eq!(s.uses(&t, &grant).await, 0);
    });
}

#[test]
fn each_act_with_keys_stands_in_the_log_and_names_the_grant() {
    on_each_engine(async |t| {
        let s = Scene::new(&t).await;
        let grant = s.of_prefix(&t, 9).await;
        let taken = s.take(&t, &grant, true).await.unwrap();
        let keys = signed(&t, &taken).await.unwrap();
        s.list(&t, &keys, ("invoices", "inv/")).await.unwrap();
        s.see(&t, &keys, "inv/1").await.unwrap();
        s.read(&t, &keys, "inv/1").await.unwrap();
        s.read(&t, &keys, "inv/1").await.unwrap();
        outside(s.read(&t, &keys, "plan").await);
        let list =
            ListActs { tenant: s.acme.id.clone(), filter: ActFilter::default(), before: None, acts_max: 100 };
        let acts = t.house.perform(s.acme.root.clone(), list).await.unwrap().acts;
        let of = |name: &str| acts.iter().filter(|a| a.event_name == name).collect::<Vec<_>>();
        let takes = of("TakeKeys");
        assert_eq!(takes.len(), 1);
        assert_eq!(takes[0].ticket, s.ticket.as_str());
        assert!(matches!(&takes[0].end, ActEnd::Ended { result, .. } if result == "done"));
        for part in [grant.as_str(), taken.keys.id.as_str(), taken.keys.until.iso().as_str()] {
            assert!(takes[0].event.contains(part), "{part}: {}", takes[0].event);
        }
        for act in &acts {
            let all = format!("{}{}", act.event, act.outcome_event);
            assert!(!all.contains(taken.secret.expose()) && !all.contains(taken.token.expose()));
        }
        for (name, times) in [("ListObjects", 1), ("GetObjectMeta", 1), ("GetObject", 3)] {
            let found = of(name);
            assert_eq!(found.len(), times, "{name}");
            for act in found {
                assert!(act.event.contains(taken.keys.id.as_str()), "{}", act.event);
                assert_eq!(act.event_type, "CUSTOMER_INITIATED_SUPPORT", "{}", act.event);
                assert!(act.end == ActEnd::Refused || act.grant == grant.as_str(), "{}", act.event);
            }
        }
        let reads = of("GetObject");
        assert_eq!(
            reads.iter().filter(|a| a.event.contains("\"continues\"")).count(),
            1,
            "the second of one version"
        );
        assert!(reads[0].error_message.contains("nothing else"), "{}", reads[0].error_message);
    });
}
