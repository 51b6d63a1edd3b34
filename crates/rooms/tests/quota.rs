//! What lies in a bucket against a model, and quotas under writers that race from two processes, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bailee_rooms::gate::Caller;
use bailee_rooms::vault::{
    AbortUpload, CompleteUpload, CreateUpload, DeleteObject, DeleteVersion, DestroyObjects, GetUsage,
    ListVersions, ObjectMeta, PutObject, PutPart, SetQuota, SetTenantQuota, SetVersioning, Usage, Versioning,
    Which, WholeBody, WholeClaim,
};
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::TenantId;
use bytes::Bytes;

const BUCKET: &str = "acme-counted";

/// A sequence that repeats in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

async fn put(
    house: &Arc<House>,
    (who, tenant): (&Caller, &TenantId),
    name: &str,
    len: usize,
) -> Result<(), Failure> {
    let put = PutObject {
        tenant: tenant.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta: ObjectMeta::default(),
        len: None,
        must_be_new: false,
        must_have_md5: None,
        customer_key: None,
        body: Box::new(WholeBody::new(Bytes::from(vec![7; len]))),
    };
    house.perform(who.clone(), put).await.map(drop)
}

async fn usage(t: &TestHouse, acme: &TestTenant) -> Usage {
    let get = GetUsage { tenant: acme.id.clone(), bucket: bucket(BUCKET) };
    t.house.perform(acme.root.clone(), get).await.unwrap().1
}

/// What is there, counted by hand: versions and their bytes.
async fn counted(t: &TestHouse, acme: &TestTenant) -> (u64, u64) {
    let list = ListVersions {
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        prefix: String::new(),
        delimiter: String::new(),
        after: (String::new(), None),
        entries_max: 1_000,
        ticket: None,
    };
    let all = t.house.perform(acme.root.clone(), list).await.unwrap().versions;
    let real: Vec<_> = all.iter().filter(|v| !v.marker).collect();
    (real.len() as u64, real.iter().map(|v| v.info.size).sum())
}

#[test]
fn what_lies_there_is_counted_through_everything_that_changes_it() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let (tenant, named) = (acme.id.clone(), bucket(BUCKET));
        let mut chance = Chance(5);
        // Uploads under way: id, and sizes by part.
        let mut uploads: Vec<(String, [u64; 3])> = Vec::new();
        for n in 0..200 {
            let name = ["a", "b", "c"][usize::try_from(chance.below(3)).unwrap()];
            let root = acme.root.clone();
            match chance.below(9) {
                0..=2 => {
                    let len = [5, 30_000][usize::try_from(chance.below(2)).unwrap()];
                    put(&t.house, (&root, &tenant), name, len).await.unwrap();
                }
                3 => {
                    let delete =
                        DeleteObject { tenant: tenant.clone(), bucket: named.clone(), key: key(name) };
                    t.house.perform(root, delete).await.unwrap();
                }
                4 => {
                    let which = Which::Null;
                    let delete = DeleteVersion {
                        tenant: tenant.clone(),
                        bucket: named.clone(),
                        key: key(name),
                        which,
                        bypass: false,
                    };
                    t.house.perform(root, delete).await.unwrap();
                }
                5 => {
                    let create = CreateUpload {
                        tenant: tenant.clone(),
                        bucket: named.clone(),
                        key: key("p"),
                        meta: ObjectMeta::default(),
                        customer_key: None,
                    };
                    uploads.push((t.house.perform(root, create).await.unwrap(), [0; 3]));
                }
                6 if !uploads.is_empty() => {
                    let at = usize::try_from(chance.below(uploads.len() as u64)).unwrap();
                    let (number, len) = (chance.below(3), 100 + chance.below(900));
                    let part = PutPart {
                        tenant: tenant.clone(),
                        bucket: named.clone(),
                        key: key("p"),
                        upload: uploads[at].0.clone(),
                        number: u32::try_from(number).unwrap() + 1,
                        len: None,
                        customer_key: None,
                        body: Box::new(WholeBody::new(Bytes::from(vec![1; usize::try_from(len).unwrap()]))),
                    };
                    t.house.perform(root, part).await.unwrap();
                    uploads[at].1[usize::try_from(number).unwrap()] = len;
                }
                7 if !uploads.is_empty() => {
                    let at = usize::try_from(chance.below(uploads.len() as u64)).unwrap();
                    let (upload, parts) = uploads.swap_remove(at);
                    if parts.iter().sum::<u64>() > 0 && chance.below(2) == 0 {
                        let complete = CompleteUpload {
                            tenant: tenant.clone(),
                            bucket: named.clone(),
                            key: key("p"),
                            upload,
                            parts: None,
                            part_min: 0,
                            claim: WholeClaim::default(),
                            must_be_new: false,
                            must_have_md5: None,
                        };
                        t.house.perform(root, complete).await.unwrap();
                    } else {
                        let abort = AbortUpload {
                            tenant: tenant.clone(),
                            bucket: named.clone(),
                            key: key("p"),
                            upload,
                        };
                        t.house.perform(root, abort).await.unwrap();
                    }
                }
                8 if n % 3 == 0 => {
                    let versioning =
                        if chance.below(2) == 0 { Versioning::Enabled } else { Versioning::Suspended };
                    let set = SetVersioning { tenant: tenant.clone(), bucket: named.clone(), versioning };
                    t.house.perform(root, set).await.unwrap();
                }
                _ => {}
            }
            let (objects, bytes) = counted(&t, &acme).await;
            let under_way: u64 = uploads.iter().flat_map(|(_, parts)| parts).sum();
            let wanted = Usage { objects, bytes: bytes + under_way, uploads: uploads.len() as u64 };
            assert_eq!(usage(&t, &acme).await, wanted, "after act {n}");
        }
        let all = DestroyObjects { tenant, bucket: named, prefix: String::new(), exact: false };
        t.house.perform(acme.root.clone(), all).await.unwrap();
        assert_eq!(usage(&t, &acme).await, Usage::default());
    });
}

/// Forty writers from two processes, room for ten: exactly ten are done, whatever they raced.
#[test]
fn a_quota_is_exact_under_writers_that_race() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let other = t.second();
        for of_tenant in [false, true] {
            let max = Some(10 * 100);
            if of_tenant {
                let quota = SetTenantQuota { tenant: acme.id.clone(), bytes_max: Some(20 * 100) };
                t.house.perform(t.house.system_caller("test"), quota).await.unwrap();
            }
            let quota = SetQuota {
                tenant: acme.id.clone(),
                bucket: bucket(BUCKET),
                bytes_max: if of_tenant { None } else { max },
            };
            t.house.perform(acme.root.clone(), quota).await.unwrap();
            let mut writers = tokio::task::JoinSet::new();
            for n in 0..40 {
                let house = if n % 2 == 0 { t.house.clone() } else { other.house.clone() };
                let (root, tenant) = (acme.root.clone(), acme.id.clone());
                let name = format!("{of_tenant}/{n}");
                writers.spawn(async move { put(&house, (&root, &tenant), &name, 100).await });
            }
            let mut done = 0;
            while let Some(written) = writers.join_next().await {
                match written.unwrap() {
                    Ok(()) => done += 1,
                    Err(Failure::Quota { max, used, .. }) => assert!(used > max),
                    Err(e) => panic!("{e}"),
                }
            }
            assert_eq!(done, 10, "of the tenant: {of_tenant}");
        }
        // What replaces as much as it brings has room; what is larger has not.
        let who = (&acme.root, &acme.id);
        let list = counted(&t, &acme).await;
        assert_eq!(list, (20, 2_000));
        let first = (0..40).map(|n| format!("false/{n}")).collect::<Vec<_>>();
        let mut replaced = 0;
        for name in &first {
            let get = acme.get(&t, &acme.root, BUCKET, name).await;
            if get.is_ok() {
                put(&t.house, who, name, 100).await.unwrap();
                assert!(matches!(put(&t.house, who, name, 101).await, Err(Failure::Quota { .. })));
                replaced += 1;
            }
        }
        assert_eq!((replaced, usage(&t, &acme).await.bytes), (10, 2_000));
        // Where there is too much already, what makes it less has room.
        let quota = SetQuota { tenant: acme.id.clone(), bucket: bucket(BUCKET), bytes_max: Some(500) };
        t.house.perform(acme.root.clone(), quota).await.unwrap();
        let full = counted(&t, &acme).await.0;
        let name = first.iter().enumerate();
        for (n, name) in name {
            if acme.get(&t, &acme.root, BUCKET, name).await.is_ok() {
                put(&t.house, who, name, 50).await.unwrap();
                assert!(matches!(put(&t.house, who, name, 51).await, Err(Failure::Quota { .. })), "{n}");
            }
        }
        assert_eq!((counted(&t, &acme).await.0, usage(&t, &acme).await.bytes), (full, 1_500));
    });
}
