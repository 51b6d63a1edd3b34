//! Lifecycle rules against the whole house, on each engine, with a clock that is moved by hand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use bailee_rooms::trail::{ActFilter, ListActs};
use bailee_rooms::vault::{
    ApplyLifecycle, CreateUpload, DeleteObject, Ends, ExplainLifecycle, GetLifecycle, ListVersions,
    ObjectMeta, PutObject, PutPart, Rule, SetLifecycle, SetVersioning, Versioning, WholeBody,
};
use bailee_rooms::{Failure, Thing};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::Timestamp;

const BUCKET: &str = "acme-lives";
const DAY_MS: i64 = 86_400_000;

async fn set(t: &TestHouse, acme: &TestTenant, rules: Vec<Rule>) -> Result<(), Failure> {
    let set = SetLifecycle { tenant: acme.id.clone(), bucket: bucket(BUCKET), rules };
    t.house.perform(acme.root.clone(), set).await
}

fn rule(id: &str, prefix: &str) -> Rule {
    Rule { id: id.into(), enabled: true, prefix: prefix.into(), ..Rule::default() }
}

async fn put(t: &TestHouse, acme: &TestTenant, name: &str, size: usize, tags: &[(&str, &str)]) {
    let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let put = PutObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta: ObjectMeta { tags, ..ObjectMeta::default() },
        len: None,
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(vec![7; size].into())),
    };
    t.house.perform(acme.root.clone(), put).await.unwrap();
}

/// (what, key, rule) of all that is due at a time.
async fn due(t: &TestHouse, acme: &TestTenant, at: Timestamp) -> Vec<(Ends, String, String)> {
    let explain = ExplainLifecycle { tenant: acme.id.clone(), bucket: bucket(BUCKET), at, due_max: 100_000 };
    let found = t.house.perform(t.house.system_caller("test"), explain).await.unwrap();
    assert!(found.iter().all(|d| d.since <= at));
    found.into_iter().map(|d| (d.ends, d.key.to_string(), d.rule)).collect()
}

async fn left(t: &TestHouse, acme: &TestTenant) -> Vec<(String, bool)> {
    let list = ListVersions {
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        prefix: String::new(),
        delimiter: String::new(),
        after: Default::default(),
        entries_max: 1_000,
        ticket: None,
    };
    let page = t.house.perform(acme.root.clone(), list).await.unwrap();
    page.versions.into_iter().map(|v| (v.info.key.to_string(), v.marker)).collect()
}

#[test]
fn objects_expire_by_prefix_tag_size_and_date_and_nothing_else_does() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        for (name, size, tags) in [
            ("log/1", 10, vec![]),
            ("log/2", 10, vec![("keep", "yes")]),
            ("tmp/small", 10, vec![]),
            ("tmp/large", 30_000, vec![]),
            ("tagged/1", 10, vec![("class", "short"), ("more", "x")]),
            ("tagged/2", 10, vec![("class", "long")]),
            ("other", 10, vec![]),
        ] {
            put(&t, &acme, name, size, &tags).await;
        }
        let now = t.house.now();
        let midnight = Timestamp::from_ms((now.ms() / DAY_MS + 1) * DAY_MS);
        let rules = vec![
            Rule { days: Some(3), ..rule("logs", "log/") },
            Rule { days: Some(1), larger_than: Some(100), ..rule("large", "tmp/") },
            Rule {
                days: Some(2),
                tags: BTreeMap::from([("class".to_owned(), "short".to_owned())]),
                ..rule("tagged", "")
            },
            Rule { days: Some(1), enabled: false, ..rule("off", "") },
            Rule { date_ms: Some(midnight.plus_ms(10 * DAY_MS).ms()), ..rule("by-date", "other") },
        ];
        set(&t, &acme, rules.clone()).await.unwrap();
        let get = GetLifecycle { tenant: acme.id.clone(), bucket: bucket(BUCKET) };
        assert_eq!(t.house.perform(acme.root.clone(), get).await.unwrap(), rules);
        assert_eq!(due(&t, &acme, now).await, []);
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 0);
        // A day is over at a midnight, not before.
        let day = |n: i64| midnight.plus_ms(n * DAY_MS);
        assert_eq!(due(&t, &acme, day(1).plus_ms(-1)).await, []);
        let e = |name: &str, rule: &str| (Ends::Expires, name.to_owned(), rule.to_owned());
        assert_eq!(due(&t, &acme, day(1)).await, [e("tmp/large", "large")]);
        assert_eq!(due(&t, &acme, day(2)).await, [e("tagged/1", "tagged"), e("tmp/large", "large")]);
        let all = [
            e("log/1", "logs"),
            e("log/2", "logs"),
            e("other", "by-date"),
            e("tagged/1", "tagged"),
            e("tmp/large", "large"),
        ];
        assert_eq!(due(&t, &acme, day(10)).await, all);
        t.clock.advance_ms(day(2).ms() - now.ms());
        // What is written again begins anew.
        put(&t, &acme, "tmp/large", 30_000, &[]).await;
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 1);
        let names: Vec<String> = left(&t, &acme).await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["log/1", "log/2", "other", "tagged/2", "tmp/large", "tmp/small"]);
        // The act, with what it ended, stands in the tenant's log.
        let list =
            ListActs { tenant: acme.id.clone(), filter: ActFilter::default(), before: None, acts_max: 50 };
        let acts = t.house.perform(acme.root.clone(), list).await.unwrap().acts;
        let applied: Vec<_> = acts.iter().filter(|a| a.event_name == "ApplyLifecycle").collect();
        assert_eq!(applied.len(), 1, "rounds that end nothing are not recorded");
        set(&t, &acme, Vec::new()).await.unwrap();
        assert_eq!(due(&t, &acme, day(1_000)).await, []);
    });
}

#[test]
fn former_versions_markers_and_uploads_end_and_the_newest_stay() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let versioning = SetVersioning {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            versioning: Versioning::Enabled,
        };
        t.house.perform(acme.root.clone(), versioning).await.unwrap();
        for _ in 0..5 {
            put(&t, &acme, "many", 10, &[]).await;
            t.clock.advance_ms(1_000);
        }
        put(&t, &acme, "gone", 10, &[]).await;
        let delete = DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key("gone") };
        t.house.perform(acme.root.clone(), delete).await.unwrap();
        put(&t, &acme, "short", 10, &[]).await;
        let create = CreateUpload {
            customer_key: None,
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key("up"),
            meta: ObjectMeta::default(),
        };
        let upload = t.house.perform(acme.root.clone(), create).await.unwrap();
        let part = PutPart {
            customer_key: None,
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key("up"),
            upload,
            number: 1,
            len: None,
            body: Box::new(WholeBody::new("part".into())),
        };
        t.house.perform(acme.root.clone(), part).await.unwrap();
        set(
            &t,
            &acme,
            vec![
                Rule {
                    noncurrent_days: Some(1),
                    noncurrent_kept: Some(1),
                    expired_markers: true,
                    abort_days: Some(1),
                    ..rule("history", "")
                },
                Rule { days: Some(1), ..rule("short", "short") },
            ],
        )
        .await
        .unwrap();
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 0);
        t.clock.advance_ms(3 * DAY_MS);
        let apply = ApplyLifecycle { tenant: acme.id.clone(), bucket: bucket(BUCKET) };
        let done = t.house.perform(t.house.system_caller("test"), apply).await.unwrap();
        // Of `many` the newest and one former stay; what is behind the marker of `gone` is its one kept former version.
        let counts = BTreeMap::from([(Ends::Expires, 1), (Ends::Former, 3), (Ends::Upload, 1)]);
        assert_eq!(done.counts, counts, "{done:?}");
        let marked = |name: &str, marker| (name.to_owned(), marker);
        let after = [
            marked("gone", true),
            marked("gone", false),
            marked("many", false),
            marked("many", false),
            marked("short", true),
            marked("short", false),
        ];
        assert_eq!(left(&t, &acme).await, after);
        // Without a version to keep, what is behind the markers goes, and then the markers.
        set(&t, &acme, vec![Rule { noncurrent_days: Some(1), expired_markers: true, ..rule("all", "") }])
            .await
            .unwrap();
        t.clock.advance_ms(3 * DAY_MS);
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 5);
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 0);
        assert_eq!(left(&t, &acme).await, [marked("many", false)]);
        t.clock.advance_ms(DAY_MS);
        t.house.remove_garbage().await.unwrap();
    });
}

#[test]
fn many_are_ended_in_several_commits_and_rules_are_checked() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        for n in 0..1_203 {
            put(&t, &acme, &format!("k/{n:05}"), 1, &[]).await;
        }
        put(&t, &acme, "l", 1, &[]).await;
        set(&t, &acme, vec![Rule { days: Some(1), ..rule("", "k/") }]).await.unwrap();
        t.clock.advance_ms(3 * DAY_MS);
        assert_eq!(t.house.apply_lifecycles().await.unwrap(), 1_203);
        assert_eq!(left(&t, &acme).await, [("l".to_owned(), false)]);
        let twice = set(&t, &acme, vec![rule("a", ""), rule("a", "x")]).await;
        assert!(matches!(twice, Err(Failure::Invalid { field: "ID", .. })));
        let none = SetLifecycle {
            tenant: acme.id.clone(),
            bucket: bucket("no-such-bucket"),
            rules: vec![rule("a", "")],
        };
        let none = t.house.perform(acme.root.clone(), none).await;
        assert!(matches!(none, Err(Failure::NotFound { thing: Thing::Bucket, .. })));
        let lin = t.operator("op-lin", "support", "CN").await;
        let apply = ApplyLifecycle { tenant: acme.id.clone(), bucket: bucket(BUCKET) };
        assert!(
            matches!(t.house.perform(lin, apply).await, Err(Failure::Refused(_))),
            "not an operator's to say"
        );
    });
}
