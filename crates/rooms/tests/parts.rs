//! Objects in parts against the whole house, on each engine: order, races, what is left behind, an operator's windows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use bailee_rooms::consent::Decision;
use bailee_rooms::vault::{
    AbortUpload, AppendObject, Choice, CompleteUpload, CopyBody, CreateUpload, DeleteObject, GetObject,
    ListUploads, ObjectMeta, PARTS_MAX, PutObject, PutPart, Scrub, WholeBody, WholeClaim,
};
use bailee_rooms::{Failure, Thing};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bytes::Bytes;
use futures_util::StreamExt;

const BUCKET: &str = "acme-parts";

async fn begin(t: &TestHouse, acme: &TestTenant, name: &str) -> String {
    let create = CreateUpload {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta: ObjectMeta::default(),
    };
    t.house.perform(acme.root.clone(), create).await.unwrap()
}

fn part(acme: &TestTenant, name: &str, upload: &str, number: u32, content: &Bytes) -> PutPart {
    PutPart {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        upload: upload.into(),
        number,
        len: Some(content.len() as u64),
        body: Box::new(WholeBody::new(content.clone())),
    }
}

fn whole(acme: &TestTenant, name: &str, upload: &str) -> CompleteUpload {
    CompleteUpload {
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        upload: upload.into(),
        parts: None,
        part_min: 0,
        claim: WholeClaim::default(),
        must_be_new: false,
        must_have_md5: None,
    }
}

fn bytes(seed: u8, len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

async fn read(t: &TestHouse, acme: &TestTenant, name: &str) -> Result<Vec<u8>, Failure> {
    let content = acme.get(t, &acme.root, BUCKET, name).await?;
    let mut out = content.first.to_vec();
    if let Some(mut rest) = content.rest {
        while let Some(block) = rest.next().await {
            out.extend_from_slice(&block?);
        }
    }
    Ok(out)
}

fn files(t: &TestHouse) -> usize {
    fn count(folder: &std::path::Path) -> usize {
        let Ok(all) = std::fs::read_dir(folder) else { return 0 };
        all.flatten().map(|e| if e.path().is_dir() { count(&e.path()) } else { 1 }).sum()
    }
    count(&t.folder().join("blobs"))
}

#[test]
fn parts_of_every_kind_of_length_come_back_in_order() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let segment = 64 * 1024;
        // Empty parts, parts that end at a segment's end and beside it.
        let lens = [0, 1, segment, segment - 1, segment + 1, 0, 3 * segment + 7, 17];
        let pieces: Vec<Bytes> = lens.iter().enumerate().map(|(n, len)| bytes(n as u8, *len)).collect();
        let upload = begin(&t, &acme, "all").await;
        for (n, piece) in pieces.iter().enumerate().rev() {
            t.house
                .perform(acme.root.clone(), part(&acme, "all", &upload, 10 * n as u32 + 1, piece))
                .await
                .unwrap();
        }
        let done = t.house.perform(acme.root.clone(), whole(&acme, "all", &upload)).await.unwrap();
        let joined = pieces.concat();
        assert_eq!((done.size, done.meta.md5.ends_with("-8")), (joined.len() as u64, true));
        assert_eq!(read(&t, &acme, "all").await.unwrap(), joined);
        // An object of nothing but an empty part.
        let upload = begin(&t, &acme, "empty").await;
        t.house.perform(acme.root.clone(), part(&acme, "empty", &upload, 1, &Bytes::new())).await.unwrap();
        t.house.perform(acme.root.clone(), whole(&acme, "empty", &upload)).await.unwrap();
        assert_eq!(read(&t, &acme, "empty").await.unwrap(), b"");
        // A copy of parts is whole.
        let source = acme.get(&t, &acme.root, BUCKET, "all").await.unwrap();
        let put = PutObject {
            customer_key: None,
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key("copy"),
            meta: ObjectMeta::default(),
            len: Some(joined.len() as u64),
            must_be_new: false,
            must_have_md5: None,
            body: Box::new(CopyBody::new(source)),
        };
        let copied = t.house.perform(acme.root.clone(), put).await.unwrap();
        assert_eq!(copied.meta.crc64, done.meta.crc64, "the CRC-64 of parts together is that of the whole");
        assert!(!copied.meta.md5.contains('-'));
    });
}

#[test]
fn one_of_two_who_complete_at_once_wins_and_nothing_is_left_behind() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        for round in 0..8 {
            let upload = begin(&t, &acme, "race").await;
            for n in 1..=3 {
                let piece = bytes(n as u8 + round, 1000);
                t.house.perform(acme.root.clone(), part(&acme, "race", &upload, n, &piece)).await.unwrap();
            }
            let act = |house: &Arc<bailee_rooms::House>| {
                let (house, who) = (Arc::clone(house), acme.root.clone());
                let complete = whole(&acme, "race", &upload);
                tokio::spawn(async move { house.perform(who, complete).await.map(drop) })
            };
            let late = {
                let (house, who) = (Arc::clone(&t.house), acme.root.clone());
                let again = part(&acme, "race", &upload, 2, &bytes(99, 500));
                tokio::spawn(async move { house.perform(who, again).await.map(drop) })
            };
            let (a, b) = (act(&t.house), act(&t.house));
            let (a, b, late) = (a.await.unwrap(), b.await.unwrap(), late.await.unwrap());
            let lost = |r: &Result<(), Failure>| match r {
                Ok(()) => false,
                Err(
                    Failure::NotFound { thing: Thing::Upload, .. } | Failure::Invalid { field: "Part", .. },
                ) => true,
                Err(other) => panic!("{other}"),
            };
            let _ = lost(&late);
            if lost(&a) && lost(&b) {
                // Both met the late part; then it goes through now.
                t.house.perform(acme.root.clone(), whole(&acme, "race", &upload)).await.unwrap();
            } else {
                assert!(lost(&a) || lost(&b), "an upload was completed twice");
            }
            let content = read(&t, &acme, "race").await.unwrap();
            assert!(content.len() == 3000 || content.len() == 2500, "{}", content.len());
        }
        let delete = DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("race") };
        assert!(t.house.perform(acme.root.clone(), delete).await.unwrap().found);
        let gone = begin(&t, &acme, "gone").await;
        t.house.perform(acme.root.clone(), part(&acme, "gone", &gone, 1, &bytes(1, 50))).await.unwrap();
        let abort = AbortUpload {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key("gone"),
            upload: gone.clone(),
        };
        t.house.perform(acme.root.clone(), abort).await.unwrap();
        let after = t.house.perform(acme.root.clone(), part(&acme, "gone", &gone, 1, &bytes(1, 50))).await;
        assert!(matches!(after, Err(Failure::NotFound { thing: Thing::Upload, .. })));
        t.clock.advance_ms(3_600_000);
        t.house.remove_garbage().await.unwrap();
        assert_eq!(files(&t), 0, "a part's blob is still there");
    });
}

#[test]
fn an_operator_reads_an_object_of_parts_in_windows_and_orphans_are_told_from_parts() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let upload = begin(&t, &acme, "big").await;
        let pieces = [bytes(1, 100_000), bytes(2, 70_000)];
        for (n, piece) in pieces.iter().enumerate() {
            t.house
                .perform(acme.root.clone(), part(&acme, "big", &upload, n as u32 + 1, piece))
                .await
                .unwrap();
        }
        // Parts of an upload that is under way are nobody's orphans.
        t.clock.advance_ms(0);
        t.house.find_orphans(i64::MAX).await.unwrap();
        assert_eq!(files(&t), 2);
        t.house.perform(acme.root.clone(), whole(&acme, "big", &upload)).await.unwrap();
        t.house.find_orphans(i64::MAX).await.unwrap();
        assert_eq!(files(&t), 2);
        // A scrub looks at all of it and opens nothing, page by page.
        for n in 0..3 {
            let again = begin(&t, &acme, "under-way").await;
            t.house
                .perform(acme.root.clone(), part(&acme, "under-way", &again, 1, &bytes(n, 9)))
                .await
                .unwrap();
        }
        acme.put(&t, BUCKET, "small", "content").await;
        let mut words = 0;
        let (tenant, seen) = (acme.id.clone(), Arc::new(std::sync::atomic::AtomicU64::new(0)));
        let heard = Arc::clone(&seen);
        let scrub = Scrub {
            tenant: Some(tenant),
            bucket: Some(bucket(BUCKET)),
            progress: Box::new(move |done| {
                words += 1;
                heard.store(words, std::sync::atomic::Ordering::Relaxed);
                assert!(done.objects <= done.objects_in_all);
            }),
        };
        let done = t.house.perform(t.house.system_caller("test"), scrub).await.unwrap();
        assert_eq!((done.objects, done.objects_in_all, done.damaged_in_all), (5, 5, 0), "{done:?}");
        assert_eq!((done.bytes, done.bytes_in_all), (170_034, 170_034));
        assert!(seen.load(std::sync::atomic::Ordering::Relaxed) >= 3);
        let lies = Scrub { tenant: None, bucket: None, progress: Box::new(|_| {}) };
        assert!(
            matches!(t.house.perform(acme.root.clone(), lies).await, Err(Failure::Refused(_))),
            "not a tenant's"
        );
        let ticket = acme.ticket(&t).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        assert!(acme.read(&t, &lin, &ticket, (BUCKET, "big")).await.is_err(), "without consent");
        let grant = acme.ask(&t, &lin, &ticket, (BUCKET, "big"), (30, 1)).await.unwrap();
        acme.decide(&t, &grant, Decision::Approve { minutes: 30, uses_max: 1 }).await.unwrap();
        let window = acme.read(&t, &lin, &ticket, (BUCKET, "big")).await.unwrap();
        assert_eq!(window.bytes, pieces.concat());
        // Nor does he write parts, or see uploads, of a tenant by its ways.
        let theirs = t.house.perform(lin.clone(), part(&acme, "big", &upload, 1, &pieces[0])).await;
        assert!(matches!(theirs, Err(Failure::Refused(_))));
        let list = ListUploads {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            prefix: String::new(),
            delimiter: String::new(),
            after: Default::default(),
            uploads_max: 10,
        };
        assert!(matches!(t.house.perform(lin, list).await, Err(Failure::Refused(_))));
    });
}

/// As many parts as there may be, in any order and at the same time.
#[test]
fn ten_thousand_parts_in_any_order() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let upload = begin(&t, &acme, "many").await;
        let content = |n: u32| Bytes::from(n.to_be_bytes().repeat(3));
        // 7,919 is prime: each number once, far from order.
        let numbers = (0..PARTS_MAX).map(|n| n * 7_919 % PARTS_MAX + 1);
        let mut work = futures_util::stream::iter(numbers.map(|n| {
            let put = part(&acme, "many", &upload, n, &content(n));
            t.house.perform(acme.root.clone(), put)
        }))
        .buffer_unordered(64);
        while let Some(done) = work.next().await {
            done.unwrap();
        }
        let beyond = part(&acme, "many", &upload, PARTS_MAX + 1, &content(0));
        assert!(matches!(t.house.perform(acme.root.clone(), beyond).await, Err(Failure::Invalid { .. })));
        t.house.perform(acme.root.clone(), whole(&acme, "many", &upload)).await.unwrap();
        let wanted: Vec<u8> = (1..=PARTS_MAX).flat_map(|n| content(n).to_vec()).collect();
        assert_eq!(read(&t, &acme, "many").await.unwrap(), wanted);
        let scrub = Scrub { tenant: None, bucket: None, progress: Box::new(|_| {}) };
        let done = t.house.perform(t.house.system_caller("test"), scrub).await.unwrap();
        assert_eq!(done.damaged_in_all, 0);
    });
}

/// A row and its parts are read one after the other: whoever reads while somebody appends, replaces or destroys gets one state or
/// another of the object, and never "damaged".
#[test]
fn reads_race_appends_and_replacements() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let readers: Vec<_> = (0..4)
            .map(|n| {
                let (house, acme, over) = (Arc::clone(&t.house), acme.clone(), Arc::clone(&over));
                tokio::spawn(async move {
                    let mut found = 0;
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        let get = GetObject {
                            customer_key: None,
                            tenant: acme.id.clone(),
                            bucket: bucket(BUCKET),
                            key: key(["log", "swap"][n % 2]),
                            which: None,
                            choose: Box::new(|_| Choice::Bytes { start: 0, end: 0 }),
                        };
                        match house.perform(acme.root.clone(), get).await {
                            Ok(_) => found += 1,
                            Err(Failure::NotFound { .. }) => {}
                            Err(e) => panic!("{e}"),
                        }
                        // A read of the embedded database never waits: the others would not get a turn.
                        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
                    }
                    found
                })
            })
            .collect();
        let mut end = 0;
        for n in 0..60u8 {
            let append = AppendObject {
                tenant: acme.id.clone(),
                bucket: bucket(BUCKET),
                key: key("log"),
                position: end,
                meta: ObjectMeta::default(),
                len: None,
                body: Box::new(WholeBody::new(bytes(n, 10))),
            };
            end = t.house.perform(acme.root.clone(), append).await.unwrap().size;
            let upload = begin(&t, &acme, "swap").await;
            for number in 1..=3 {
                let put = part(&acme, "swap", &upload, number, &bytes(n, 10));
                t.house.perform(acme.root.clone(), put).await.unwrap();
            }
            t.house.perform(acme.root.clone(), whole(&acme, "swap", &upload)).await.unwrap();
            if n % 10 == 9 {
                let gone = DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("swap") };
                t.house.perform(acme.root.clone(), gone).await.unwrap();
            }
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        for reader in readers {
            assert!(reader.await.unwrap() > 0);
        }
    });
}
