//! Versions against a model that remembers everything, on each engine: random acts, the whole history compared after each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use bailee_rooms::vault::{
    Choice, DeleteObject, DeleteVersion, GetObject, ListVersions, ObjectMeta, PutObject, SetVersioning,
    Versioning, Which, WholeBody,
};
use bailee_rooms::{Failure, Thing};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bytes::Bytes;

const BUCKET: &str = "acme-versions";

/// A sequence that repeats in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

async fn put(t: &TestHouse, acme: &TestTenant, name: &str, body: &[u8]) -> Option<String> {
    let put = PutObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta: ObjectMeta::default(),
        len: None,
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(Bytes::copy_from_slice(body))),
    };
    t.house.perform(acme.root.clone(), put).await.unwrap().shown
}

async fn get(t: &TestHouse, acme: &TestTenant, name: &str, which: Option<&str>) -> Result<Bytes, Failure> {
    let get = GetObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        which: which.map(|w| Which::parse(w).unwrap()),
        choose: Box::new(|info| Choice::Bytes { start: 0, end: info.size }),
    };
    Ok(t.house.perform(acme.root.clone(), get).await?.first)
}

/// (key, id, latest, marker) of all, by pages of `max`.
async fn listed(t: &TestHouse, acme: &TestTenant, max: u32) -> Vec<(String, String, bool, bool)> {
    let (mut all, mut after) = (Vec::new(), (String::new(), None));
    loop {
        let list = ListVersions {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            prefix: String::new(),
            delimiter: String::new(),
            after: after.clone(),
            entries_max: max,
            ticket: None,
        };
        let page = t.house.perform(acme.root.clone(), list).await.unwrap();
        assert!(page.versions.len() <= max as usize);
        all.extend(page.versions.into_iter().map(|v| (v.info.key.to_string(), v.id, v.latest, v.marker)));
        match page.next {
            None => return all,
            Some((key, id)) => after = (key, Which::parse(&id)),
        }
    }
}

#[test]
fn the_history_is_what_a_model_says() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let mut chance = Chance(7);
        let mut state = Versioning::Off;
        // Newest first: id, and the body or none for a delete marker.
        let mut model: [Vec<(String, Option<Vec<u8>>)>; 2] = [Vec::new(), Vec::new()];
        for n in 0..150_u32 {
            let which = usize::try_from(chance.below(2)).unwrap();
            let (name, history) = (["a", "b"][which], &mut model[which]);
            match chance.below(7) {
                0 => {
                    state = if chance.below(2) == 0 { Versioning::Enabled } else { Versioning::Suspended };
                    let set =
                        SetVersioning { tenant: acme.id.clone(), bucket: bucket(BUCKET), versioning: state };
                    t.house.perform(acme.root.clone(), set).await.unwrap();
                }
                1..=3 => {
                    let body = vec![n as u8; if chance.below(4) == 0 { 20_000 } else { 10 }];
                    let id = put(&t, &acme, name, &body).await;
                    if state != Versioning::Enabled {
                        history.retain(|v| v.0 != "null");
                    }
                    assert_eq!(id.is_none(), state == Versioning::Off);
                    history.insert(0, (id.unwrap_or_else(|| "null".into()), Some(body)));
                }
                4 | 5 => {
                    let delete =
                        DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key(name) };
                    let gone = t.house.perform(acme.root.clone(), delete).await.unwrap();
                    if state != Versioning::Enabled {
                        history.retain(|v| v.0 != "null");
                    }
                    match gone.version {
                        Some(id) => history.insert(0, (id, None)),
                        None => history.clear(),
                    }
                }
                _ if !history.is_empty() => {
                    let at = usize::try_from(chance.below(history.len() as u64)).unwrap();
                    let (id, body) = history.remove(at);
                    let delete = DeleteVersion {
                        tenant: acme.id.clone(),
                        bucket: bucket(BUCKET),
                        key: key(name),
                        which: Which::parse(&id).unwrap(),
                        bypass: false,
                    };
                    let gone = t.house.perform(acme.root.clone(), delete).await.unwrap();
                    assert_eq!((gone.found, gone.marker), (true, body.is_none()));
                }
                _ => {}
            }
            let wanted: Vec<_> = model
                .iter()
                .zip(["a", "b"])
                .flat_map(|(history, name)| {
                    history
                        .iter()
                        .enumerate()
                        .map(move |(at, (id, body))| (name.to_owned(), id.clone(), at == 0, body.is_none()))
                })
                .collect();
            assert_eq!(listed(&t, &acme, if n % 3 == 0 { 2 } else { 1_000 }).await, wanted, "after act {n}");
            for (history, name) in model.iter().zip(["a", "b"]) {
                match (history.first(), get(&t, &acme, name, None).await) {
                    (Some((_, Some(body))), Ok(found)) => assert_eq!(found, body),
                    (Some((id, None)), Err(Failure::DeleteMarker { marker, .. })) => {
                        assert_eq!((&marker.id, marker.named), (id, false));
                    }
                    (None, Err(Failure::NotFound { thing: Thing::Object, .. })) => {}
                    (_, other) => panic!("act {n}: {other:?}"),
                }
            }
        }
        for (history, name) in model.iter().zip(["a", "b"]) {
            for (id, body) in history {
                match (body, get(&t, &acme, name, Some(id)).await) {
                    (Some(body), Ok(found)) => assert_eq!(found, body),
                    (None, Err(Failure::DeleteMarker { marker, .. })) => assert!(marker.named),
                    (_, other) => panic!("{other:?}"),
                }
            }
        }
    });
}
