//! Delivery: in order, at least once, by one at a time; what fails is tried again and shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use bailee_rooms::Failure;
use bailee_rooms::outside::{Answer, Outside, Post, TlsLines};
use bailee_rooms::tickets::OpenTicket;
use bailee_rooms::trail::deliver::{
    CreateSink, DeleteSink, ListSinks, ReplayFrom, ReplaySink, SinkFormat, SinkKind, TestSink,
};
use bailee_rooms::trail::{CreateTrail, GetTrailStatus, StartLogging, TrailAct, TrailFamily, TrailSettings};
use bailee_rooms::vault::{ListObjects, Listed};
use bailee_testkit::{Engine, TestHouse, TestTenant, on_each_engine};
use bailee_types::RegionId;
use parking_lot::Mutex;
use serde_json::Value;

/// A receiver that may refuse.
#[derive(Default)]
struct Receiver {
    posts: Mutex<Vec<Post>>,
    frames: Mutex<Vec<Vec<u8>>>,
    broken: Mutex<bool>,
    /// What a slow receiver waits for.
    release: tokio::sync::Notify,
}

#[async_trait]
impl Outside for Receiver {
    async fn get(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("nothing".into())
    }

    async fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        Err("nothing".into())
    }

    async fn submit(&self, post: Post) -> Result<Answer, String> {
        assert!(!post.trusted, "a tenant named the address");
        if post.address.contains("slow") {
            self.release.notified().await;
        }
        self.posts.lock().push(post);
        let status = if *self.broken.lock() { 503 } else { 204 };
        Ok(Answer { status, body: Vec::new() })
    }

    async fn send_frames(&self, to: TlsLines) -> Result<(), String> {
        if *self.broken.lock() {
            return Err("connection refused".into());
        }
        self.frames.lock().extend(to.frames);
        Ok(())
    }
}

impl Receiver {
    /// Ids of the events in all posts that were taken, in their order.
    fn ids(&self) -> Vec<String> {
        let posts = self.posts.lock();
        let events = posts.iter().flat_map(|p| serde_json::from_slice::<Vec<Value>>(&p.body).unwrap());
        events.map(|e| e["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn with_receiver(test: impl AsyncFn(TestHouse, Arc<Receiver>)) {
    for engine in bailee_testkit::engines() {
        let receiver = Arc::new(Receiver::default());
        let t = TestHouse::with_outside(engine, receiver.clone());
        bailee_testkit::runtime().block_on(test(t, receiver));
    }
}

async fn open(t: &TestHouse, acme: &TestTenant, count: usize) {
    for n in 0..count {
        let open = OpenTicket::titled(acme.id.clone(), format!("ticket {n} 发票"));
        t.house.perform(acme.root.clone(), open).await.unwrap();
    }
}

async fn sink(t: &TestHouse, acme: &TestTenant, kind: SinkKind, format: SinkFormat) -> String {
    let create = CreateSink {
        tenant: acme.id.clone(),
        name: "siem".into(),
        kind,
        address: if kind == SinkKind::Webhook {
            "https://siem.example/hook".into()
        } else {
            "siem.example:6514".into()
        },
        format,
        family: None,
        roots: String::new(),
    };
    t.house.perform(acme.root.clone(), create).await.unwrap().secret.expose().to_owned()
}

async fn only(t: &TestHouse, acme: &TestTenant) -> bailee_rooms::trail::deliver::Sink {
    t.house.perform(acme.root.clone(), ListSinks { tenant: acme.id.clone() }).await.unwrap().remove(0)
}

#[test]
fn a_webhook_gets_each_event_signed_and_again_after_a_failure() {
    with_receiver(async |t, receiver| {
        let acme = t.tenant("acme").await;
        open(&t, &acme, 2).await;
        let secret = sink(&t, &acme, SinkKind::Webhook, SinkFormat::CloudEvents).await;
        open(&t, &acme, 5).await;
        assert!(t.house.deliver_once(false).await.unwrap() >= 5);
        let first = receiver.ids();
        assert!(first.len() >= 5);
        {
            let posts = receiver.posts.lock();
            let header = |name: &str| {
                posts[0].headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()).unwrap()
            };
            assert_eq!(header("content-type"), "application/cloudevents-batch+json");
            // A receiver checks it so.
            let signed = [header("bailee-timestamp").as_bytes(), b".", &posts[0].body].concat();
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
            assert_eq!(
                header("bailee-signature"),
                format!("v1={}", hex::encode(ring::hmac::sign(&key, &signed)))
            );
            let event: Value = serde_json::from_slice::<Vec<Value>>(&posts[0].body).unwrap().remove(0);
            assert_eq!((&event["specversion"], &event["tenant"]), (&"1.0".into(), &acme.id.as_str().into()));
            assert!(!format!("{:?}", *posts).contains(&secret));
        }
        // Nothing new: nothing is sent. It fails: it is kept, shown, and comes again with the same id.
        receiver.posts.lock().clear();
        *receiver.broken.lock() = true;
        open(&t, &acme, 3).await;
        t.house.deliver_once(false).await.unwrap();
        let failed = only(&t, &acme).await;
        assert_eq!(
            (failed.failures, failed.failed.unwrap().1),
            (1, "the webhook answered with status 503".to_owned())
        );
        assert!(failed.waiting > 0);
        let tried: Vec<String> = receiver.ids();
        let delivery = |n: usize| receiver.posts.lock()[n].headers[1].1.clone();
        let name = delivery(0);
        *receiver.broken.lock() = false;
        assert_eq!(t.house.deliver_once(false).await.unwrap(), 0, "it rests first");
        t.clock.advance_ms(2_001);
        t.house.deliver_once(false).await.unwrap();
        assert_eq!(delivery(1), name);
        assert_eq!(receiver.ids()[tried.len()..][..tried.len()], tried);
        let well = only(&t, &acme).await;
        assert_eq!((well.failures, well.failed), (0, None));

        // Again from the beginning, by record and by time.
        receiver.posts.lock().clear();
        let replay = |from| ReplaySink { tenant: acme.id.clone(), name: "siem".into(), from };
        assert_eq!(t.house.perform(acme.root.clone(), replay(ReplayFrom::Record(0))).await.unwrap(), 0);
        t.house.deliver_once(false).await.unwrap();
        let all = receiver.ids();
        assert!(all.len() > 10 && first.iter().all(|id| all.contains(id)));
        let now = t.house.now();
        let at = t.house.perform(acme.root.clone(), replay(ReplayFrom::Time(now.plus_ms(1)))).await.unwrap();
        let size = t.house.head(&acme.id).await.unwrap().records;
        assert!(at + 3 >= size && at > 0, "{at} of {size}");
        let missing = ReplaySink { name: "none".into(), ..replay(ReplayFrom::Record(0)) };
        assert!(matches!(t.house.perform(acme.root.clone(), missing).await, Err(Failure::NotFound { .. })));
    });
}

#[test]
fn a_receiver_that_takes_its_time_keeps_nobody_waiting() {
    with_receiver(async |t, receiver| {
        for (alias, address) in [("acme", "https://slow.example/"), ("globex", "https://siem.example/")] {
            let tenant = t.tenant(alias).await;
            let create = CreateSink {
                tenant: tenant.id.clone(),
                name: "siem".into(),
                kind: SinkKind::Webhook,
                address: address.into(),
                format: SinkFormat::CloudEvents,
                family: None,
                roots: String::new(),
            };
            t.house.perform(tenant.root.clone(), create).await.unwrap();
            open(&t, &tenant, 2).await;
        }
        let house = t.house.clone();
        let round = tokio::spawn(async move { house.deliver_once(false).await.unwrap() });
        let mut waited = 0;
        while receiver.posts.lock().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            waited += 1;
            assert!(waited < 500, "the quick one waits for the slow one");
        }
        assert!(!round.is_finished());
        receiver.release.notify_one();
        assert!(round.await.unwrap() >= 4);
        assert_eq!(receiver.posts.lock().len(), 2);
    });
}

#[test]
fn syslog_frames_hold_one_event_each_in_rfc_5424() {
    with_receiver(async |t, receiver| {
        let acme = t.tenant("acme").await;
        sink(&t, &acme, SinkKind::Syslog, SinkFormat::Ocsf).await;
        open(&t, &acme, 3).await;
        t.house.deliver_once(false).await.unwrap();
        let frames = receiver.frames.lock().clone();
        assert!(frames.len() >= 3);
        for frame in &frames {
            let text = String::from_utf8(frame.clone()).unwrap();
            let (head, event) = text.split_once("\u{feff}").unwrap();
            assert!(head.starts_with("<110>1 20") && head.contains("[bailee@32473 eventId=\""), "{head}");
            assert!(head.contains(&format!("tenant=\"{}\"", acme.id)));
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!((&event["class_uid"], &event["metadata"]["version"]), (&6003.into(), &"1.5.0".into()));
            assert_eq!(event["type_uid"].as_i64().unwrap(), 600_300 + event["activity_id"].as_i64().unwrap());
        }
        // A test goes through, or says why not.
        let test = TestSink { tenant: acme.id.clone(), name: "siem".into() };
        t.house.perform(acme.root.clone(), test.clone()).await.unwrap();
        *receiver.broken.lock() = true;
        let said = t.house.perform(acme.root.clone(), test).await.unwrap_err().to_string();
        assert!(said.contains("connection refused"), "{said}");
        t.house
            .perform(acme.root.clone(), DeleteSink { tenant: acme.id.clone(), name: "siem".into() })
            .await
            .unwrap();
        assert!(
            t.house
                .perform(acme.root.clone(), ListSinks { tenant: acme.id.clone() })
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn a_sink_that_cannot_be_is_refused() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let good = CreateSink {
            tenant: acme.id.clone(),
            name: "siem".into(),
            kind: SinkKind::Webhook,
            address: "https://siem.example/hook".into(),
            format: SinkFormat::CloudEvents,
            family: None,
            roots: String::new(),
        };
        for (field, bad) in [
            ("name", CreateSink { name: String::new(), ..good.clone() }),
            ("name", CreateSink { name: "Siem".into(), ..good.clone() }),
            ("address", CreateSink { address: "ftp://siem.example".into(), ..good.clone() }),
            ("address", CreateSink { address: "https://user:pass@siem.example".into(), ..good.clone() }),
            ("address", CreateSink { address: "https://siem.example/a b".into(), ..good.clone() }),
            ("address", CreateSink { address: format!("https://{}", "x".repeat(600)), ..good.clone() }),
            ("address", CreateSink { kind: SinkKind::Syslog, ..good.clone() }),
            (
                "address",
                CreateSink { kind: SinkKind::Syslog, address: "siem.example:0".into(), ..good.clone() },
            ),
            ("roots", CreateSink { roots: "-----BEGIN CERTIFICATE-----".into(), ..good.clone() }),
            (
                "roots",
                CreateSink {
                    kind: SinkKind::Syslog,
                    address: "s:1".into(),
                    roots: "x".into(),
                    ..good.clone()
                },
            ),
        ] {
            let said = t.house.perform(acme.root.clone(), bad).await;
            assert!(
                matches!(&said, Err(Failure::Invalid { field: f, .. }) if *f == field),
                "{field}: {said:?}"
            );
        }
        for n in 0..10 {
            let create = CreateSink { name: format!("s-{n}"), ..good.clone() };
            t.house.perform(acme.root.clone(), create).await.unwrap();
        }
        assert!(matches!(t.house.perform(acme.root.clone(), good.clone()).await, Err(Failure::Limit { .. })));
        let again = CreateSink { name: "s-1".into(), ..good };
        assert!(matches!(t.house.perform(acme.root.clone(), again).await, Err(Failure::Exists { .. })));
    });
}

fn region() -> RegionId {
    RegionId::parse("cn-hangzhou").unwrap()
}

/// All events in the bucket, by object.
async fn delivered(t: &TestHouse, acme: &TestTenant) -> BTreeMap<String, Vec<Value>> {
    let list = ListObjects {
        tenant: acme.id.clone(),
        bucket: bailee_testkit::bucket("acme-logs"),
        prefix: String::new(),
        delimiter: String::new(),
        after: String::new(),
        entries_max: 100,
        ticket: None,
    };
    let mut out = BTreeMap::new();
    for entry in t.house.perform(acme.root.clone(), list).await.unwrap().entries {
        let Listed::Object(object) = entry else { panic!("a prefix") };
        let name = object.key.to_string();
        let content = acme.get(t, &acme.root, "acme-logs", &name).await.unwrap();
        assert!(content.rest.is_none(), "it is small");
        let bytes = content.first;
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes.as_ref()).read_to_string(&mut text).unwrap();
        out.insert(name, text.lines().map(|l| serde_json::from_str(l).unwrap()).collect());
    }
    out
}

#[test]
fn a_bucket_gets_lines_under_actiontrails_path_once_each() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-logs").await;
        let settings = TrailSettings::new(&acme.id, "Write", "All", ("acme-logs", "audit", "")).unwrap();
        let create = CreateTrail { family: TrailFamily::Management, name: "audit-1".into(), settings };
        t.house.perform(acme.root.clone(), create.of(&acme.id, &region())).await.unwrap();
        open(&t, &acme, 2).await;
        let start = StartLogging { name: "audit-1".into() };
        t.house.perform(acme.root.clone(), start.of(&acme.id, &region())).await.unwrap();
        open(&t, &acme, 7).await;
        // It gathers for a while; two processes at once deliver once.
        assert_eq!(t.house.deliver_once(false).await.unwrap(), 0);
        t.clock.advance_ms(10_001);
        let other = t.second();
        let (a, b) = tokio::join!(t.house.deliver_once(false), other.house.deliver_once(false));
        assert_eq!(a.unwrap() + b.unwrap(), 7);
        let got = delivered(&t, &acme).await;
        assert_eq!(got.len(), 1);
        let (name, events) = got.iter().next().unwrap();
        assert!(
            name.starts_with(
                "audit/AliyunLogs/Actiontrail/cn-hangzhou/2026/11/25/Actiontrail_cn-hangzhou_2026"
            ),
            "{name}"
        );
        let ids: std::collections::BTreeSet<&str> =
            events.iter().map(|e| e["eventId"].as_str().unwrap()).collect();
        assert_eq!((events.len(), ids.len()), (7, 7));
        assert!(events.iter().all(|e| e["eventRW"] == "Write" && e["responseElements"].is_object()));
        let status = GetTrailStatus { name: "audit-1".into() }.of(&acme.id, &region());
        let now = t.house.perform(acme.root.clone(), status).await.unwrap();
        assert!(now.trail.delivered_at.is_some() && now.trail.failed.is_none());
    });
}

#[test]
fn a_crash_between_object_and_cursor_repeats_the_object_and_loses_nothing() {
    let t = TestHouse::new(Engine::Sqlite);
    bailee_testkit::runtime().block_on(async {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-logs").await;
        let settings = TrailSettings::new(&acme.id, "All", "All", ("acme-logs", "", "")).unwrap();
        let create = CreateTrail { family: TrailFamily::Management, name: "audit-1".into(), settings };
        t.house.perform(acme.root.clone(), create.of(&acme.id, &region())).await.unwrap();
        let start = StartLogging { name: "audit-1".into() };
        t.house.perform(acme.root.clone(), start.of(&acme.id, &region())).await.unwrap();
        open(&t, &acme, 3).await;
        let db = bailee_store::Db::open(bailee_testkit::database(Engine::Sqlite, t.folder())).unwrap();
        let cursor = async || {
            let row = |tx: &mut bailee_store::Tx<'_>| tx.query_opt("SELECT next_record FROM trail", &[]);
            db.read(move |tx| row(tx)).await.unwrap().unwrap().int(0).unwrap()
        };
        let before = cursor().await;
        assert_eq!(t.house.deliver_once(true).await.unwrap(), 3);
        let first = delivered(&t, &acme).await;
        // The object is there; the process died before its cursor moved, and still holds the lease.
        let dead = move |tx: &mut bailee_store::Tx<'_>| {
            let lease = i64::MAX / 2;
            tx.execute(
                "UPDATE trail SET next_record = $1, lease_by = 'dead', lease_until_ms = $2",
                &[before.into(), lease.into()],
            )
        };
        db.write(dead).await.unwrap();
        assert_eq!(t.house.deliver_once(true).await.unwrap(), 0, "another has it");
        let over = |tx: &mut bailee_store::Tx<'_>| tx.execute("UPDATE trail SET lease_until_ms = 0", &[]);
        db.write(over).await.unwrap();
        assert_eq!(t.house.deliver_once(true).await.unwrap(), 3);
        assert_eq!(delivered(&t, &acme).await, first, "the same object, byte for byte the same events");
        assert!(cursor().await > before);
    });
}

#[test]
fn the_writer_of_a_bucket_opens_nothing() {
    // What it may do beyond sealing new objects is refused by the key: see gate::intent::release and its unit.
    let t = TestHouse::new(Engine::Sqlite);
    bailee_testkit::runtime().block_on(async {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-logs").await;
        acme.put(&t, "acme-logs", "secret.txt", "content").await;
        let system = t.house.system_caller("trail delivery");
        assert!(acme.get(&t, &system, "acme-logs", "secret.txt").await.is_err(), "a name opens nothing");
    });
}
