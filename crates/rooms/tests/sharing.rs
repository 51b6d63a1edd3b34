//! A bucket's own rules against the whole house, on each engine: who gets in, who stays out, what is recorded, other servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bailee_rooms::gate::{Caller, RefusalKind};
use bailee_rooms::identity::{Act, CreateAccessKey, CreateUser, Owner, Presented, WhoCan, Whom, Why};
use bailee_rooms::keys::CustomerKey;
use bailee_rooms::vault::{
    AccessAct, Acl, BucketPolicy, ChangeAccess, Choice, DeleteObject, GetObject, GetObjectAcl, GetSettings,
    LockWish, MayLock, ObjectAcl, ObjectMeta, OpenObject, Public, PutObject, SetObjectAcl, Setting,
    VersionOf, WholeBody,
};
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine, origin};
use bailee_types::{Arn, SecretText, TenantId, UserName};
use bytes::Bytes;

const BUCKET: &str = "acme-shared";

async fn change(t: &TestHouse, acme: &TestTenant, act: AccessAct) -> Result<(), Failure> {
    let op = ChangeAccess { tenant: acme.id.clone(), bucket: bucket(BUCKET), act };
    t.house.perform(acme.root.clone(), op).await
}

fn all_open() -> AccessAct {
    AccessAct::Public(Public { acl: true, policy: true })
}

fn policy(action: &str, principal: &str) -> AccessAct {
    let text = format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"{action}","Principal":["{principal}"],"Resource":"*"}}]}}"#
    );
    AccessAct::Policy(Some(BucketPolicy::parse(text).unwrap()))
}

async fn get(house: &Arc<House>, who: &Caller, acme: &TestTenant, name: &str) -> Result<Bytes, Failure> {
    let op = GetObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        which: None,
        choose: Box::new(|info| Choice::Bytes { start: 0, end: info.size }),
    };
    house.perform(who.clone(), op).await.map(|c| c.first)
}

async fn put(house: &Arc<House>, who: &Caller, acme: &TestTenant, name: &str) -> Result<(), Failure> {
    let op = PutObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta: ObjectMeta::default(),
        len: None,
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(Bytes::from_static(b"theirs"))),
    };
    house.perform(who.clone(), op).await.map(drop)
}

fn kind(result: Result<impl std::fmt::Debug, Failure>) -> RefusalKind {
    match result {
        Err(Failure::Refused(refusal)) => refusal.kind().clone(),
        other => panic!("{other:?}"),
    }
}

/// The record of a no, in whichever log.
fn record(result: Result<impl std::fmt::Debug, Failure>) -> Option<u64> {
    match result {
        Err(Failure::Refused(refusal)) => refusal.record(),
        other => panic!("{other:?}"),
    }
}

/// The record of a no in a tenant's own log: how much stands there.
async fn end_of_log(t: &TestHouse, of: &TestTenant) -> u64 {
    let op = ChangeAccess { tenant: TenantId::provider(), bucket: bucket(BUCKET), act: all_open() };
    record(t.house.perform(of.root.clone(), op).await).unwrap()
}

#[test]
fn strangers_get_in_by_the_bucket_s_rules_alone_and_to_objects_alone() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "content").await;
        let (nobody, theirs) = (Caller::anonymous(origin()), globex.root.clone());
        let read = async |who: &Caller| get(&t.house, who, &acme, "a").await;
        assert_eq!(kind(read(&nobody).await), RefusalKind::Unsigned);
        assert_eq!(kind(read(&theirs).await), RefusalKind::NotYours);
        assert!(matches!(
            change(&t, &acme, AccessAct::Acl(Acl::PublicRead)).await,
            Err(Failure::PublicBlocked(_))
        ));
        assert!(matches!(change(&t, &acme, policy("oss:*", "*")).await, Err(Failure::PublicBlocked(_))));

        // One account, by name.
        change(&t, &acme, policy("oss:*", globex.id.as_str())).await.unwrap();
        assert_eq!(read(&theirs).await.unwrap(), "content");
        assert_eq!(kind(read(&nobody).await), RefusalKind::Unsigned);
        put(&t.house, &theirs, &acme, "b").await.unwrap();
        assert_eq!(get(&t.house, &acme.root, &acme, "b").await.unwrap(), "theirs");
        // `oss:*` is not enough for what stands in the log as management, nor for another bucket.
        let act = ChangeAccess { tenant: acme.id.clone(), bucket: bucket(BUCKET), act: all_open() };
        assert_eq!(kind(t.house.perform(theirs.clone(), act).await), RefusalKind::NotYours);
        let of = VersionOf { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("a"), which: None };
        let act = SetObjectAcl { of, acl: ObjectAcl::Private };
        assert_eq!(kind(t.house.perform(theirs.clone(), act).await), RefusalKind::NotYours);

        // Nor for how the bucket is set, nor to pass over what retains its objects.
        for setting in [Setting::Policy, Setting::Acl, Setting::Lock, Setting::Logging] {
            let op = GetSettings { tenant: acme.id.clone(), bucket: bucket(BUCKET), setting };
            assert_eq!(kind(t.house.perform(theirs.clone(), op).await), RefusalKind::NotYours, "{setting:?}");
        }
        for wants in [LockWish::Bypass, LockWish::Retain, LockWish::Hold] {
            let of =
                VersionOf { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("a"), which: None };
            let op = MayLock { of, wants };
            assert_eq!(kind(t.house.perform(theirs.clone(), op).await), RefusalKind::NotYours, "{wants:?}");
        }

        // Everybody, by ACL; but for what is private itself.
        change(&t, &acme, AccessAct::Policy(None)).await.unwrap();
        assert_eq!(kind(read(&theirs).await), RefusalKind::NotYours);
        change(&t, &acme, all_open()).await.unwrap();
        change(&t, &acme, AccessAct::Acl(Acl::PublicRead)).await.unwrap();
        assert_eq!(read(&nobody).await.unwrap(), "content");
        assert_eq!(kind(put(&t.house, &nobody, &acme, "c").await), RefusalKind::Unsigned);
        let of = VersionOf { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("a"), which: None };
        t.house.perform(acme.root.clone(), SetObjectAcl { of, acl: ObjectAcl::Private }).await.unwrap();
        assert_eq!(kind(read(&nobody).await), RefusalKind::Unsigned);
        assert!(record(read(&theirs).await).is_some(), "it stands in his own log");
        assert_eq!(read(&acme.root).await.unwrap(), "content");
        change(&t, &acme, AccessAct::Acl(Acl::PublicReadWrite)).await.unwrap();
        put(&t.house, &nobody, &acme, "c").await.unwrap();
        let op = DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("c") };
        t.house.perform(nobody.clone(), op).await.unwrap();

        // An operator is let in by a consent and by nothing else.
        let operator = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        let read_of = acme.read_of(&ticket, (BUCKET, "b"));
        assert!(matches!(
            kind(t.house.perform(operator, read_of).await.map(drop)),
            RefusalKind::NoConsent(_)
        ));
    });
}

#[test]
fn what_strangers_are_refused_fills_nobody_s_log_but_their_own() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "content").await;
        let (ours, theirs) = (end_of_log(&t, &acme).await, end_of_log(&t, &globex).await);
        let nobody = Caller::anonymous(origin());
        for _ in 0..20 {
            assert_eq!(record(get(&t.house, &nobody, &acme, "a").await), None);
        }
        assert_eq!(record(get(&t.house, &globex.root, &acme, "a").await), Some(theirs + 1));
        assert_eq!(end_of_log(&t, &acme).await, ours + 1);
    });
}

#[test]
fn a_change_holds_at_once_here_and_within_seconds_elsewhere_and_damage_closes() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "content").await;
        let second = t.second();
        let nobody = Caller::anonymous(origin());
        change(&t, &acme, all_open()).await.unwrap();
        change(&t, &acme, policy("oss:GetObject", "*")).await.unwrap();
        for house in [&t.house, &second.house] {
            assert_eq!(get(house, &nobody, &acme, "a").await.unwrap(), "content");
        }
        change(&t, &acme, AccessAct::Public(Public::default())).await.unwrap();
        assert!(get(&t.house, &nobody, &acme, "a").await.is_err());
        second.clock.advance_ms(5_001);
        assert!(get(&second.house, &nobody, &acme, "a").await.is_err());
        // Blocked, it holds for the account's own people all the same.
        assert_eq!(get(&t.house, &acme.root, &acme, "a").await.unwrap(), "content");

        // Somebody writes a policy into the database that is none: nobody does anything by it, the owner neither.
        t.change("UPDATE bucket SET settings = '{\"policy\":{\"text\":\"{}\"},\"public\":{\"acl\":true,\"policy\":true}}'");
        t.clock.advance_ms(5_001);
        for who in [&nobody, &acme.root] {
            let no = get(&t.house, who, &acme, "a").await.unwrap_err();
            assert!(matches!(no, Failure::Damaged(_)), "{no}");
        }
    });
}

/// Whatever changes race with reads: after the answer that it is closed, nobody from outside gets in.
#[test]
fn reads_race_a_closing() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "content").await;
        change(&t, &acme, all_open()).await.unwrap();
        for _ in 0..20 {
            change(&t, &acme, AccessAct::Acl(Acl::PublicRead)).await.unwrap();
            let readers: Vec<_> = (0..8)
                .map(|_| {
                    let (house, acme) = (Arc::clone(&t.house), acme.clone());
                    tokio::spawn(async move {
                        let nobody = Caller::anonymous(origin());
                        for _ in 0..5 {
                            let _ = get(&house, &nobody, &acme, "a").await;
                        }
                    })
                })
                .collect();
            change(&t, &acme, AccessAct::Acl(Acl::Private)).await.unwrap();
            let nobody = Caller::anonymous(origin());
            assert!(
                get(&t.house, &nobody, &acme, "a").await.is_err(),
                "a read that began before is remembered"
            );
            for reader in readers {
                reader.await.unwrap();
            }
            assert!(get(&t.house, &nobody, &acme, "a").await.is_err());
        }
    });
}

fn of(acme: &TestTenant, name: &str) -> VersionOf {
    VersionOf { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key(name), which: None }
}

async fn set_acl(t: &TestHouse, acme: &TestTenant, name: &str, acl: ObjectAcl) -> Result<(), Failure> {
    t.house.perform(acme.root.clone(), SetObjectAcl { of: of(acme, name), acl }).await
}

/// A user without a policy.
async fn without_rights(t: &TestHouse, acme: &TestTenant) -> Caller {
    let name = UserName::parse("no-rights").unwrap();
    t.house.perform(acme.root.clone(), CreateUser::named(name.clone()).of(&acme.id)).await.unwrap();
    let make = CreateAccessKey { owner: Owner::User(name) };
    let made = t.house.perform(acme.root.clone(), make.of(&acme.id)).await.unwrap();
    let id = made.id.as_str();
    let presented = Presented { access_key_id: id, token: None, nonce: None, service: "Oss", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == made.secret.expose() { Ok(()) } else { Err(()) };
    t.house.authenticate(presented, origin(), same).await.map(|(caller, ())| caller).unwrap()
}

/// Whether `who-can` names everybody, and whether `why` lets the user in who has no policy.
async fn told(t: &TestHouse, acme: &TestTenant, name: &str) -> (bool, bool) {
    let resource = Arn::object(&acme.id, &bucket(BUCKET), &key(name));
    let action = "oss:GetObject".to_owned();
    let who = WhoCan { tenant: acme.id.clone(), action: action.clone(), resource: resource.clone() };
    let who = t.house.perform(acme.root.clone(), who).await.unwrap();
    let why = Why {
        tenant: acme.id.clone(),
        whom: Whom::User(UserName::parse("no-rights").unwrap()),
        action,
        resource,
        source_ip: None,
        mfa: false,
        conditions: Vec::new(),
    };
    let why = t.house.perform(acme.root.clone(), why).await.unwrap();
    (who.iter().any(|c| c.principal == "everybody"), why.verdict == "allow")
}

#[test]
fn an_object_s_acl_opens_it_alone_and_only_where_its_bucket_lets_acls_open_something() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        acme.make_bucket(&t, BUCKET).await;
        for name in ["open", "shut"] {
            acme.put(&t, BUCKET, name, "content").await;
        }
        let second = t.second();
        let (nobody, theirs) = (Caller::anonymous(origin()), globex.root.clone());
        let ours = without_rights(&t, &acme).await;
        let blocked = set_acl(&t, &acme, "open", ObjectAcl::PublicRead).await;
        assert!(matches!(blocked, Err(Failure::PublicBlocked(_))), "{blocked:?}");
        let brought = t.house.perform(acme.root.clone(), OpenObject { of: of(&acme, "new") }).await;
        assert!(matches!(brought, Err(Failure::PublicBlocked(_))), "{brought:?}");

        change(&t, &acme, AccessAct::Public(Public { acl: true, policy: false })).await.unwrap();
        set_acl(&t, &acme, "open", ObjectAcl::PublicRead).await.unwrap();
        for who in [&nobody, &theirs, &ours] {
            for house in [&t.house, &second.house] {
                assert_eq!(get(house, who, &acme, "open").await.unwrap(), "content");
            }
            // It opens nothing else, and what is there and what is not is one answer.
            let (shut, none) =
                (get(&t.house, who, &acme, "shut").await, get(&t.house, who, &acme, "none").await);
            assert_eq!(kind(shut), kind(none));
            assert!(put(&t.house, who, &acme, "open").await.is_err(), "to read is not to write");
            let act = SetObjectAcl { of: of(&acme, "open"), acl: ObjectAcl::PublicRead };
            assert!(t.house.perform(who.clone(), act).await.is_err());
            let act = OpenObject { of: of(&acme, "open") };
            assert!(t.house.perform(who.clone(), act).await.is_err());
            let act = GetObjectAcl { of: of(&acme, "open") };
            assert!(t.house.perform(who.clone(), act).await.is_err());
        }
        assert_eq!(told(&t, &acme, "open").await, (true, true));
        assert_eq!(told(&t, &acme, "shut").await, (false, false));
        assert_eq!(told(&t, &acme, "none").await, (false, false));
        assert_eq!(kind(get(&t.house, &nobody, &acme, "shut").await), RefusalKind::Unsigned);
        assert_eq!(kind(get(&t.house, &theirs, &acme, "shut").await), RefusalKind::NotYours);
        let no = kind(get(&t.house, &ours, &acme, "shut").await);
        assert!(matches!(no, RefusalKind::ImplicitDeny { .. }), "{no:?}");

        // A policy that lets nobody in while it is blocked denies all the same.
        let both = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Principal":["*"],"Resource":"*"},
            {"Effect":"Deny","Action":"oss:GetObject","Principal":["*"],"Resource":"*"}]}"#;
        change(&t, &acme, all_open()).await.unwrap();
        let denies = AccessAct::Policy(Some(BucketPolicy::parse(both.into()).unwrap()));
        change(&t, &acme, denies).await.unwrap();
        for public in [Public { acl: true, policy: false }, Public { acl: true, policy: true }] {
            change(&t, &acme, AccessAct::Public(public)).await.unwrap();
            for who in [&nobody, &theirs, &ours] {
                assert!(get(&t.house, who, &acme, "open").await.is_err(), "{public:?}");
            }
        }
        change(&t, &acme, AccessAct::Policy(None)).await.unwrap();
        assert_eq!(get(&t.house, &nobody, &acme, "open").await.unwrap(), "content");

        // Whoever writes it anew says so anew; closing the bucket closes it, at once here and soon elsewhere.
        put(&t.house, &acme.root, &acme, "open").await.unwrap();
        assert_eq!(kind(get(&t.house, &nobody, &acme, "open").await), RefusalKind::Unsigned);
        set_acl(&t, &acme, "open", ObjectAcl::PublicRead).await.unwrap();
        assert_eq!(get(&second.house, &nobody, &acme, "open").await.unwrap(), "theirs");
        change(&t, &acme, AccessAct::Public(Public::default())).await.unwrap();
        assert!(get(&t.house, &nobody, &acme, "open").await.is_err());
        assert_eq!(told(&t, &acme, "open").await, (false, false));
        second.clock.advance_ms(5_001);
        assert!(get(&second.house, &nobody, &acme, "open").await.is_err());
        set_acl(&t, &acme, "open", ObjectAcl::Private).await.unwrap();
        let acl = t.house.perform(acme.root.clone(), GetObjectAcl { of: of(&acme, "open") }).await.unwrap();
        assert_eq!(acl, ObjectAcl::Private, "what closes needs no open bucket");
        // In a public bucket it is the one that stays closed.
        change(&t, &acme, all_open()).await.unwrap();
        change(&t, &acme, AccessAct::Acl(Acl::PublicRead)).await.unwrap();
        assert_eq!(kind(get(&t.house, &nobody, &acme, "open").await), RefusalKind::Unsigned);
        assert_eq!(get(&t.house, &nobody, &acme, "shut").await.unwrap(), "content");
        assert!(!told(&t, &acme, "open").await.0 && told(&t, &acme, "shut").await.0);
    });
}

#[test]
fn what_lies_under_a_key_is_opened_by_no_acl() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        change(&t, &acme, all_open()).await.unwrap();
        let write = async |acl: ObjectAcl| {
            let op = PutObject {
                customer_key: Some(CustomerKey::from_bytes(&[7; 32]).unwrap()),
                tenant: acme.id.clone(),
                bucket: bucket(BUCKET),
                key: key("under"),
                meta: ObjectMeta::default().with_acl(acl),
                len: None,
                must_be_new: false,
                must_have_md5: None,
                body: Box::new(WholeBody::new(Bytes::from_static(b"sealed"))),
            };
            t.house.perform(acme.root.clone(), op).await.map(drop)
        };
        let no = write(ObjectAcl::PublicRead).await;
        assert!(matches!(no, Err(Failure::Invalid { field: "ObjectAcl", .. })), "{no:?}");
        write(ObjectAcl::Default).await.unwrap();
        let no = set_acl(&t, &acme, "under", ObjectAcl::PublicRead).await;
        assert!(matches!(no, Err(Failure::Invalid { field: "ObjectAcl", .. })), "{no:?}");
        let nobody = Caller::anonymous(origin());
        assert_eq!(kind(get(&t.house, &nobody, &acme, "under").await), RefusalKind::Unsigned);
    });
}

/// Whatever writes race with reads: after the answer that an object is private nobody from outside reads it.
#[test]
fn reads_race_the_closing_of_an_object() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "content").await;
        change(&t, &acme, all_open()).await.unwrap();
        for _ in 0..10 {
            set_acl(&t, &acme, "a", ObjectAcl::PublicRead).await.unwrap();
            let readers: Vec<_> = (0..8)
                .map(|_| {
                    let (house, acme) = (Arc::clone(&t.house), acme.clone());
                    tokio::spawn(async move {
                        for _ in 0..5 {
                            let _ = get(&house, &Caller::anonymous(origin()), &acme, "a").await;
                        }
                    })
                })
                .collect();
            set_acl(&t, &acme, "a", ObjectAcl::Default).await.unwrap();
            for reader in readers {
                assert!(get(&t.house, &Caller::anonymous(origin()), &acme, "a").await.is_err());
                reader.await.unwrap();
            }
        }
    });
}
