//! Retention against a model, on each engine: random acts and a clock that moves; what is retained is never destroyed, what is
//! not can be, and a lock in compliance mode never gets shorter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use bailee_proof::destruction::Certificate;
use bailee_rooms::Failure;
use bailee_rooms::trail::ActFilter;
use bailee_rooms::vault::{
    ChangeWorm, Choice, CompleteUpload, CreateUpload, DefaultRetention, DeleteObject, DeleteVersion,
    DestroyObjects, GetLock, GetObject, Lock, LockMode, LockRules, ObjectMeta, PutObject, PutPart, Retention,
    Rule, SetLegalHold, SetLifecycle, SetLockRules, SetRetention, SetVersioning, VersionOf, Versioning,
    Which, WholeBody, WholeClaim, WormAct,
};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::Timestamp;
use bytes::Bytes;

const BUCKET: &str = "acme-retained";
const DAY_MS: i64 = 86_400_000;

/// A sequence that repeats in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

async fn put(t: &TestHouse, acme: &TestTenant, name: &str, lock: Lock) -> Result<Option<String>, Failure> {
    let put = PutObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta: ObjectMeta { lock, ..ObjectMeta::default() },
        len: None,
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(Bytes::from_static(b"kept"))),
    };
    Ok(t.house.perform(acme.root.clone(), put).await?.shown)
}

fn of(acme: &TestTenant, name: &str, id: Option<&str>) -> VersionOf {
    VersionOf {
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        which: id.map(|id| Which::parse(id).unwrap()),
    }
}

async fn destroy(
    t: &TestHouse,
    acme: &TestTenant,
    name: &str,
    id: &str,
    bypass: bool,
) -> Result<(), Failure> {
    let VersionOf { tenant, bucket, key, which } = of(acme, name, Some(id));
    let delete = DeleteVersion { tenant, bucket, key, which: which.unwrap(), bypass };
    t.house.perform(acme.root.clone(), delete).await.map(drop)
}

async fn is_there(t: &TestHouse, acme: &TestTenant, name: &str, id: Option<&str>) -> bool {
    let VersionOf { tenant, bucket, key, which } = of(acme, name, id);
    let get =
        GetObject { customer_key: None, tenant, bucket, key, which, choose: Box::new(|_| Choice::Nothing) };
    t.house.perform(acme.root.clone(), get).await.is_ok()
}

async fn enable(t: &TestHouse, acme: &TestTenant, default: Option<DefaultRetention>) {
    acme.make_bucket(t, BUCKET).await;
    let (tenant, bucket) = (acme.id.clone(), bucket(BUCKET));
    let keep =
        SetVersioning { tenant: tenant.clone(), bucket: bucket.clone(), versioning: Versioning::Enabled };
    t.house.perform(acme.root.clone(), keep).await.unwrap();
    let rules = SetLockRules { tenant, bucket, rules: LockRules { default } };
    t.house.perform(acme.root.clone(), rules).await.unwrap();
}

fn retained<T>(done: Result<T, Failure>) -> bool {
    match done {
        Ok(_) => false,
        Err(Failure::Retained(_)) => true,
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn nothing_retained_is_destroyed_and_compliance_never_gets_shorter() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        enable(&t, &acme, None).await;
        let mut chance = Chance(11);
        let mut model: BTreeMap<String, Lock> = BTreeMap::new();
        for _ in 0..250 {
            let now = t.house.now();
            let at = |days: u64| now.plus_ms(i64::try_from(days).unwrap() * DAY_MS / 4);
            let mode = if chance.below(2) == 0 { LockMode::Governance } else { LockMode::Compliance };
            let some = match model.len() {
                0 => None,
                n => model.keys().nth(usize::try_from(chance.below(n as u64)).unwrap()).cloned(),
            };
            match (chance.below(7), some) {
                (0 | 1, _) | (_, None) => {
                    let retention =
                        (chance.below(2) == 0).then(|| Retention { mode, until: at(1 + chance.below(8)) });
                    let lock = Lock { retention, legal_hold: chance.below(5) == 0 };
                    let id = put(&t, &acme, "o", lock.clone()).await.unwrap().unwrap();
                    model.insert(id, lock);
                }
                (2, Some(id)) => {
                    let (bypass, gone) = (chance.below(3) == 0, chance.below(4) == 0);
                    let wanted = (!gone).then(|| Retention { mode, until: at(1 + chance.below(8)) });
                    let set = SetRetention { of: of(&acme, "o", Some(&id)), retention: wanted, bypass };
                    let refused = retained(t.house.perform(acme.root.clone(), set).await);
                    let lock = model.get_mut(&id).unwrap();
                    let live = lock.retention.filter(|r| now < r.until);
                    let may = match (live, wanted) {
                        (None, _) => true,
                        (Some(Retention { mode: LockMode::Governance, .. }), _) if bypass => true,
                        (Some(old), Some(new)) => {
                            new.until >= old.until
                                && (old.mode == LockMode::Governance || new.mode == LockMode::Compliance)
                        }
                        (Some(_), None) => false,
                    };
                    assert_eq!(refused, !may, "{live:?} -> {wanted:?}, bypass {bypass}");
                    if may {
                        lock.retention = wanted;
                    }
                }
                (3, Some(id)) => {
                    let hold = chance.below(2) == 0;
                    let set = SetLegalHold { of: of(&acme, "o", Some(&id)), hold };
                    t.house.perform(acme.root.clone(), set).await.unwrap();
                    model.get_mut(&id).unwrap().legal_hold = hold;
                }
                (4 | 5, Some(id)) => {
                    let bypass = chance.below(2) == 0;
                    let refused = retained(destroy(&t, &acme, "o", &id, bypass).await);
                    let lock = &model[&id];
                    let held = lock.legal_hold
                        || lock
                            .retention
                            .is_some_and(|r| now < r.until && !(bypass && r.mode == LockMode::Governance));
                    assert_eq!(refused, held, "{lock:?}, bypass {bypass}");
                    if !held {
                        model.remove(&id);
                    }
                }
                (_, Some(_)) => t.clock.advance_ms(DAY_MS / 4),
            }
            for (id, lock) in &model {
                assert!(is_there(&t, &acme, "o", Some(id)).await);
                let get = GetLock { of: of(&acme, "o", Some(id)), hold: false };
                assert_eq!(t.house.perform(acme.root.clone(), get).await.unwrap(), *lock);
            }
        }
    });
}

#[test]
fn a_writer_who_says_nothing_gets_what_the_bucket_says() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let days = |mode, days| DefaultRetention { mode, days: Some(days), years: None };
        enable(&t, &acme, Some(days(LockMode::Compliance, 30))).await;
        let id = put(&t, &acme, "o", Lock::default()).await.unwrap().unwrap();
        let until = t.house.now().plus_ms(30 * DAY_MS);
        let get = GetLock { of: of(&acme, "o", None), hold: false };
        let lock = t.house.perform(acme.root.clone(), get).await.unwrap();
        assert_eq!(lock.retention, Some(Retention { mode: LockMode::Compliance, until }));
        t.clock.advance_ms(30 * DAY_MS - 1);
        assert!(retained(destroy(&t, &acme, "o", &id, true).await));
        // A lifecycle rule that says one day waits as long, too, and its worker does not run in circles.
        let rule = Rule { id: "r".into(), enabled: true, noncurrent_days: Some(1), ..Rule::default() };
        let set = SetLifecycle { tenant: acme.id.clone(), bucket: bucket(BUCKET), rules: vec![rule] };
        t.house.perform(acme.root.clone(), set).await.unwrap();
        let delete = DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("o") };
        t.house.perform(acme.root.clone(), delete).await.unwrap();
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 0);
        assert!(is_there(&t, &acme, "o", Some(&id)).await);
        t.clock.advance_ms(3 * DAY_MS);
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 1);
        assert!(!is_there(&t, &acme, "o", Some(&id)).await);
    });
}

#[test]
fn versions_are_retained_only_where_versions_are_kept() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let (tenant, name) = (acme.id.clone(), bucket(BUCKET));
        let rules =
            || SetLockRules { tenant: tenant.clone(), bucket: name.clone(), rules: LockRules::default() };
        let refused = t.house.perform(acme.root.clone(), rules()).await;
        assert!(matches!(refused, Err(Failure::BucketState(_))), "{refused:?}");
        let held = Lock { retention: None, legal_hold: true };
        let refused = put(&t, &acme, "o", held).await;
        assert!(matches!(refused, Err(Failure::Invalid { field: "ObjectLock", .. })), "{refused:?}");
        let set = |versioning| SetVersioning { tenant: tenant.clone(), bucket: name.clone(), versioning };
        t.house.perform(acme.root.clone(), set(Versioning::Enabled)).await.unwrap();
        t.house.perform(acme.root.clone(), rules()).await.unwrap();
        let refused = t.house.perform(acme.root.clone(), set(Versioning::Suspended)).await;
        assert!(matches!(refused, Err(Failure::BucketState(_))), "{refused:?}");
        // In the past, and without end.
        for until in [t.house.now(), Timestamp::from_ms(0), t.house.now().plus_ms(40_000 * DAY_MS)] {
            let retention = Some(Retention { mode: LockMode::Governance, until });
            let refused = put(&t, &acme, "o", Lock { retention, legal_hold: false }).await;
            assert!(matches!(refused, Err(Failure::Invalid { field: "RetainUntilDate", .. })), "{refused:?}");
        }
    });
}

#[test]
fn a_worm_keeps_everything_of_its_bucket() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        put(&t, &acme, "o", Lock::default()).await.unwrap();
        let worm = async |act| {
            let change = ChangeWorm { tenant: acme.id.clone(), bucket: bucket(BUCKET), act };
            t.house.perform(acme.root.clone(), change).await
        };
        let delete = async |name: &str| {
            let delete = DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key(name) };
            t.house.perform(acme.root.clone(), delete).await
        };
        // One that is not locked binds at once, and lapses after a day.
        worm(WormAct::Begin(5)).await.unwrap().unwrap();
        assert!(retained(delete("o").await) && retained(put(&t, &acme, "o", Lock::default()).await));
        assert!(matches!(worm(WormAct::Begin(5)).await, Err(Failure::Exists { .. })));
        t.clock.advance_ms(DAY_MS);
        delete("o").await.unwrap();
        // One that was given up does not bind.
        let begun = worm(WormAct::Begin(5)).await.unwrap().unwrap();
        assert!(matches!(worm(WormAct::Extend(begun.id.clone(), 9)).await, Err(Failure::BucketState(_))));
        worm(WormAct::GiveUp).await.unwrap();
        assert!(matches!(worm(WormAct::Lock(begun.id)).await, Err(Failure::NotFound { .. })));
        // One that is locked is for good, and grows only.
        let id = worm(WormAct::Begin(5)).await.unwrap().unwrap().id;
        worm(WormAct::Lock(id.clone())).await.unwrap();
        assert!(matches!(worm(WormAct::GiveUp).await, Err(Failure::Exists { .. })));
        put(&t, &acme, "o", Lock::default()).await.unwrap();
        for days in [0, 4, 5, 30_000] {
            let refused = worm(WormAct::Extend(id.clone(), days)).await;
            assert!(matches!(refused, Err(Failure::Invalid { .. })), "{days}: {refused:?}");
        }
        worm(WormAct::Extend(id.clone(), 6)).await.unwrap();
        t.clock.advance_ms(6 * DAY_MS - 1);
        assert!(retained(delete("o").await) && retained(put(&t, &acme, "o", Lock::default()).await));
        put(&t, &acme, "another", Lock::default()).await.unwrap();
        t.clock.advance_ms(1);
        delete("o").await.unwrap();
        assert!(retained(delete("another").await));
    });
}

#[test]
fn destruction_goes_around_what_is_retained_and_two_at_once_certify_each_version_once() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        enable(&t, &acme, None).await;
        let mut held = Vec::new();
        let mut all = Vec::new();
        for n in 0..60 {
            let lock = Lock { retention: None, legal_hold: n % 5 == 0 };
            let id = put(&t, &acme, &format!("o{}", n % 7), lock).await.unwrap().unwrap();
            if n % 5 == 0 { held.push(id) } else { all.push(id) }
        }
        let destroy = || {
            let op = DestroyObjects {
                tenant: acme.id.clone(),
                bucket: bucket(BUCKET),
                prefix: String::new(),
                exact: false,
            };
            t.house.perform(acme.root.clone(), op)
        };
        let (one, two) = tokio::join!(destroy(), destroy());
        let (one, two) = (one.unwrap(), two.unwrap());
        let mut gone: Vec<String> = [&one, &two]
            .iter()
            .flat_map(|d| Certificate::parse(&d.certificate).unwrap().items)
            .map(|item| item.version)
            .collect();
        gone.sort();
        all.sort();
        assert_eq!(gone, all, "each once, in one of the two");
        assert_eq!(one.retained, held.len() as u64);
        for n in 0..60 {
            let which = held.get(n);
            let Some(id) = which else { break };
            assert!(is_there(&t, &acme, &format!("o{}", (n * 5) % 7), Some(id)).await, "{id}");
        }
    });
}

#[test]
fn metadata_that_do_not_open_count_as_locked_and_locks_stand_in_the_log() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        enable(&t, &acme, None).await;
        let id = put(&t, &acme, "o", Lock::default()).await.unwrap().unwrap();
        let until = t.house.now().plus_ms(DAY_MS);
        let retention = Some(Retention { mode: LockMode::Governance, until });
        let set = SetRetention { of: of(&acme, "o", Some(&id)), retention, bypass: false };
        t.house.perform(acme.root.clone(), set).await.unwrap();
        for hold in [true, false] {
            let set = SetLegalHold { of: of(&acme, "o", Some(&id)), hold };
            t.house.perform(acme.root.clone(), set).await.unwrap();
        }
        assert!(retained(destroy(&t, &acme, "o", &id, false).await));
        destroy(&t, &acme, "o", &id, true).await.unwrap();
        // Who destroyed by passing over governance is on record; a plain delete is a data event.
        let page = t.house.acts(&acme.id, &ActFilter::default(), None, 100).await.unwrap();
        let count = |name: &str| page.acts.iter().filter(|a| a.event_name == name).count();
        assert_eq!(count("PutBucketObjectWormConfiguration"), 1);
        assert_eq!((count("PutObjectRetention"), count("PutObjectLegalHold")), (1, 2));
        assert_eq!(count("DeleteObjectVersion"), 1);
        let id = put(&t, &acme, "o", Lock::default()).await.unwrap().unwrap();
        assert_eq!(t.change("UPDATE object SET sealed_meta = header"), 1);
        let refused = destroy(&t, &acme, "o", &id, true).await;
        assert!(matches!(refused, Err(Failure::Damaged(_))), "{refused:?}");
        assert_eq!(t.change("UPDATE object SET size = size"), 1, "it is still there");
    });
}

#[test]
fn a_term_that_ends_while_parts_come_does_not_hinder_the_object() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        enable(&t, &acme, None).await;
        let retention = Some(Retention { mode: LockMode::Compliance, until: t.house.now().plus_ms(DAY_MS) });
        let (tenant, named) = (acme.id.clone(), bucket(BUCKET));
        let create = CreateUpload {
            tenant: tenant.clone(),
            bucket: named.clone(),
            key: key("p"),
            meta: ObjectMeta { lock: Lock { retention, legal_hold: true }, ..ObjectMeta::default() },
            customer_key: None,
        };
        let upload = t.house.perform(acme.root.clone(), create).await.unwrap();
        let part = PutPart {
            tenant: tenant.clone(),
            bucket: named.clone(),
            key: key("p"),
            upload: upload.clone(),
            number: 1,
            len: None,
            customer_key: None,
            body: Box::new(WholeBody::new(Bytes::from_static(b"part"))),
        };
        t.house.perform(acme.root.clone(), part).await.unwrap();
        t.clock.advance_ms(2 * DAY_MS);
        let complete = CompleteUpload {
            tenant,
            bucket: named,
            key: key("p"),
            upload,
            parts: None,
            part_min: 0,
            claim: WholeClaim::default(),
            must_be_new: false,
            must_have_md5: None,
        };
        let done = t.house.perform(acme.root.clone(), complete).await.unwrap();
        assert_eq!(done.meta.lock, Lock { retention: None, legal_hold: true });
    });
}
