//! Keys that lie with their tenant, regions, and the end of an account, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bailee_proof::grant::{Covers, GrantStatement};
use bailee_proof::note::Signer;
use bailee_proof::offline::OfflineProof;
use bailee_rooms::Failure;
use bailee_rooms::closure::{CancelClosure, CloseAccount, ClosureState, GetClosure};
use bailee_rooms::consent::{Decide, Decision};
use bailee_rooms::keys::cmk::{
    CreateKey, CreateKeyStore, DeleteKeyStore, KeyAct, KeyOrigin, KeyProblem, ScheduleDeletion, Spec,
    StoreProblem, StoreSettings, Usage,
};
use bailee_rooms::outside::{
    ExternalAnswer, ExternalAsk, ExternalCipher, ExternalFor, ExternalNo, KeyService, Outside,
};
use bailee_rooms::residency::{AddRegion, AllowRegions};
use bailee_rooms::vault::{
    CreateBucket, GetReplication, ReplicationRule, SetCustody, SetReplication, SetVersioning, Versioning,
};
use bailee_testkit::{TestHouse, TestTenant, bucket, engines, on_each_engine, runtime};
use bailee_types::{RegionId, SecretText};
use parking_lot::Mutex;

/// A key service that turns bytes around and keeps what it was shown.
#[derive(Default)]
struct Service {
    refuses: AtomicBool,
    asked: AtomicUsize,
    last: Mutex<Option<ExternalFor>>,
    bound: Mutex<Vec<u8>>,
}

#[async_trait]
impl Outside for Service {
    async fn get(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("nothing".into())
    }

    async fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        Err("nothing".into())
    }

    async fn external(
        &self,
        service: &KeyService,
        _key: Option<&str>,
        by: &ExternalFor,
        ask: ExternalAsk,
    ) -> Result<ExternalAnswer, ExternalNo> {
        assert_eq!(service.secret.expose(), "secret");
        self.asked.fetch_add(1, Ordering::SeqCst);
        *self.last.lock() = Some(by.clone());
        if self.refuses.load(Ordering::SeqCst) {
            return Err(ExternalNo::Refused("AccessDeniedException".into(), "no".into()));
        }
        let turned = |bytes: &[u8]| bytes.iter().map(|b| !b).collect::<Vec<u8>>();
        Ok(match ask {
            ExternalAsk::Health => ExternalAnswer::Health("ACTIVE".into()),
            ExternalAsk::Metadata => ExternalAnswer::Metadata {
                spec: "AES_256".into(),
                usage: vec!["ENCRYPT".into(), "DECRYPT".into()],
                enabled: true,
            },
            ExternalAsk::Encrypt { plain, bound } => ExternalAnswer::Encrypted(ExternalCipher {
                iv: vec![1; 12],
                metadata: bound.iter().copied().take(20).collect(),
                tag: bailee_proof::hash::sha256(&[&bound]).0[..16].to_vec(),
                cipher: turned(plain.expose()),
            }),
            ExternalAsk::Decrypt { cipher, bound } => {
                self.bound.lock().clone_from(&bound);
                if cipher.tag != bailee_proof::hash::sha256(&[&bound]).0[..16] {
                    return Err(ExternalNo::Refused("InvalidCiphertextException".into(), String::new()));
                }
                ExternalAnswer::Plain(bailee_types::SecretBytes::new(turned(&cipher.cipher)))
            }
        })
    }
}

fn settings(approver: &Signer) -> StoreSettings {
    StoreSettings {
        name: "home".into(),
        address: "https://keys.acme.example/kms/xks/v1".into(),
        credential_id: "A1".into(),
        secret: Some(SecretText::new("secret".into())),
        roots: String::new(),
        lease_s: 0,
        approvers: vec![approver.verifier().to_string()],
    }
}

async fn act<A: KeyAct>(t: &TestHouse, acme: &TestTenant, act: A) -> Result<A::Output, Failure> {
    t.house.perform(acme.root.clone(), act.of(&acme.id, &t.house)).await
}

fn elsewhere(store: &str, external: &str) -> CreateKey {
    CreateKey {
        spec: Spec::Aes256,
        usage: Usage::Encrypt,
        origin: KeyOrigin::Store,
        description: String::new(),
        rotation_s: None,
        tags: BTreeMap::new(),
        lies_at: Some((store.to_owned(), external.to_owned())),
        policy: None,
    }
}

#[test]
fn a_bucket_in_custody_opens_for_an_operator_with_a_signed_grant_only_and_shows_his_record() {
    for engine in engines() {
        let service = Arc::new(Service::default());
        let t = TestHouse::with_outside(engine, Arc::clone(&service) as Arc<dyn Outside>);
        runtime().block_on(async {
            let approver = Signer::from_seed("alice@acme", &[7; 32]).unwrap();
            let acme = t.tenant("acme").await;
            let store = act(&t, &acme, CreateKeyStore { settings: settings(&approver) }).await.unwrap();
            assert!(!format!("{store:?}").contains("secret\""));
            let cmk = act(&t, &acme, elsewhere(&store.id, "k1")).await.unwrap().id;
            assert!(act(&t, &acme, elsewhere(&store.id, "k1")).await.is_err(), "one key of KMS for each");
            assert!(act(&t, &acme, DeleteKeyStore { id: store.id.clone() }).await.is_err());
            acme.make_bucket(&t, "acme-sealed").await;
            let custody = |key| SetCustody { tenant: acme.id.clone(), bucket: bucket("acme-sealed"), key };
            t.house.perform(acme.root.clone(), custody(Some(cmk.clone()))).await.unwrap();
            acme.put(&t, "acme-sealed", "plan", "the plan").await;
            acme.put(&t, "acme-sealed", "other", "not this").await;
            assert_eq!(
                &acme.get(&t, &acme.root, "acme-sealed", "plan").await.unwrap().first[..],
                b"the plan"
            );
            let told: serde_json::Value = serde_json::from_slice(&service.bound.lock()).unwrap();
            assert_eq!(told["context"]["acs:oss:object"], format!("acs:oss:*:{}:acme-sealed/plan", acme.id));

            // The gate would let him: the key does not, without a signature.
            let lin = t.operator("op-lin", "support", "CN").await;
            let ticket = acme.ticket(&t).await;
            let what = ("acme-sealed", "plan");
            let grant = acme.ask(&t, &lin, &ticket, what, (60, 5)).await.unwrap();
            let bare = acme.decide(&t, &grant, Decision::Approve { minutes: 60, uses_max: 5 }).await;
            assert!(matches!(bare, Err(Failure::Invalid { field: "statement", .. })));
            let now = t.house.now();
            let asked = t.house.consent_request(&acme.id, &grant).await.unwrap().statement(now);
            let yes = Decision::Approve { minutes: 1, uses_max: 1 };
            let decide = |note: String| Decide {
                statement: Some(note),
                ..Decide::new(acme.id.clone(), grant.clone(), yes)
            };
            let stranger = Signer::from_seed("alice@acme", &[8; 32]).unwrap();
            for (said, signer) in [
                (asked.clone(), &stranger),
                (GrantStatement { reads: 6, ..asked.clone() }, &approver),
                (GrantStatement { reads: 0, ..asked.clone() }, &approver),
                (GrantStatement { until_ms: asked.until_ms + 1, ..asked.clone() }, &approver),
                (GrantStatement { until_ms: 1, ..asked.clone() }, &approver),
                (
                    GrantStatement { covers: Covers::Object("acme-sealed/other".into()), ..asked.clone() },
                    &approver,
                ),
                (GrantStatement { operator: "emp-x".into(), ..asked.clone() }, &approver),
                (GrantStatement { tenant: "1000000000000001".into(), ..asked.clone() }, &approver),
            ] {
                let refused = t.house.perform(acme.root.clone(), decide(said.sign(signer).unwrap())).await;
                assert!(matches!(refused, Err(Failure::Invalid { field: "statement", .. })), "{said:?}");
            }
            let note = GrantStatement { reads: 2, ..asked }.sign(&approver).unwrap();
            t.house.perform(acme.root.clone(), decide(note.clone())).await.unwrap();
            let window = acme.read(&t, &lin, &ticket, what).await.unwrap();
            assert_eq!(&window.bytes[..], b"the plan");
            let shown = service.last.lock().clone().unwrap();
            let evidence = shown.evidence.unwrap();
            assert_eq!(evidence.grant, note);
            let proof = OfflineProof::parse(evidence.intent.as_bytes()).unwrap();
            assert_eq!(proof.index, window.record);
            assert!(shown.principal.starts_with("acs:bailee::provider:operator/emp-"), "{}", shown.principal);

            service.refuses.store(true, Ordering::SeqCst);
            let no = acme.read(&t, &lin, &ticket, what).await.map(drop);
            assert!(matches!(no, Err(Failure::Key(KeyProblem::Store(StoreProblem::Denied)))), "{no:?}");
            assert!(acme.get(&t, &acme.root, "acme-sealed", "plan").await.is_err());
            let end = || ScheduleDeletion { key: cmk.clone(), days: 7 };
            let kept = act(&t, &acme, end()).await.map(drop);
            assert!(matches!(kept, Err(Failure::Key(KeyProblem::Custody))), "{kept:?}");
            // Out of custody what lies there still lies under the key.
            t.house.perform(acme.root.clone(), custody(None)).await.unwrap();
            assert!(acme.get(&t, &acme.root, "acme-sealed", "plan").await.is_err());
            assert!(
                t.house.perform(acme.root.clone(), custody(Some(cmk.clone()))).await.is_err(),
                "not empty"
            );
            act(&t, &acme, end()).await.unwrap();
        });
    }
}

#[test]
fn a_region_takes_content_and_an_account_says_which() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let region = RegionId::parse("eu-central-1").unwrap();
        let add = || AddRegion { id: region.clone(), jurisdiction: "DE".into(), folder: None };
        let make = |name: &str| CreateBucket {
            tenant: acme.id.clone(),
            bucket: bucket(name),
            region: Some("oss-eu-central-1".into()),
            tier: None,
        };
        assert!(t.house.perform(acme.root.clone(), add()).await.is_err(), "the provider's, at the machine");
        t.house.perform(t.house.system_caller("test"), add()).await.unwrap();
        assert!(t.house.perform(t.house.system_caller("test"), add()).await.is_err());
        assert!(t.house.perform(acme.root.clone(), make("acme-berlin")).await.is_err(), "too new");
        t.clock.advance_ms(7_000);
        t.house.perform(acme.root.clone(), make("acme-berlin")).await.unwrap();
        acme.put(&t, "acme-berlin", "small", "few bytes").await;
        let second = t.second();
        assert_eq!(
            &acme.get(&second, &acme.root, "acme-berlin", "small").await.unwrap().first[..],
            b"few bytes"
        );
        let files = |below: &str| {
            let mut found = 0;
            let mut todo = vec![t.folder().join(below)];
            while let Some(folder) = todo.pop() {
                for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                    match entry.path() {
                        path if path.is_dir() => todo.push(path),
                        path => found += u32::from(path.file_name().is_some_and(|n| n.len() == 32)),
                    }
                }
            }
            found
        };
        assert_eq!((files("blobs"), files("regions/eu-central-1")), (0, 1));
        let allow = |regions| AllowRegions { tenant: acme.id.clone(), regions };
        let home = t.house.provider().region.clone();
        assert!(
            t.house
                .perform(acme.root.clone(), allow(vec![RegionId::parse("no-where-1").unwrap()]))
                .await
                .is_err()
        );
        t.house.perform(acme.root.clone(), allow(vec![home])).await.unwrap();
        assert!(t.house.perform(acme.root.clone(), make("acme-munich")).await.is_err());
        t.house.perform(acme.root.clone(), allow(Vec::new())).await.unwrap();
        t.house.perform(acme.root.clone(), make("acme-munich")).await.unwrap();
    });
}

#[test]
fn what_waits_to_be_copied_is_copied_once_in_order_and_by_a_live_rule_only() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        for name in ["acme-a", "acme-b"] {
            acme.make_bucket(&t, name).await;
            let on = SetVersioning {
                tenant: acme.id.clone(),
                bucket: bucket(name),
                versioning: Versioning::Enabled,
            };
            t.house.perform(acme.root.clone(), on).await.unwrap();
        }
        let rule = |on| ReplicationRule { id: "r".into(), prefix: "d/".into(), to: bucket("acme-b"), on };
        let set = |rules| SetReplication { tenant: acme.id.clone(), bucket: bucket("acme-a"), rules };
        let lag = async || {
            let get = GetReplication { tenant: acme.id.clone(), bucket: bucket("acme-a") };
            t.house.perform(acme.root.clone(), get).await.unwrap().remove(0).1
        };
        t.house.perform(acme.root.clone(), set(vec![rule(true)])).await.unwrap();
        for (n, name) in ["d/1", "d/1", "other", "d/2"].into_iter().enumerate() {
            acme.put(&t, "acme-a", name, format!("{name} {n}")).await;
            t.clock.advance_ms(5);
        }
        assert_eq!(lag().await.waiting, 3);
        assert_eq!(
            t.house.replicate_due().await.unwrap(),
            2,
            "the second version of a key waits for the first"
        );
        assert_eq!(t.house.replicate_due().await.unwrap(), 1);
        assert_eq!((lag().await.waiting, t.house.replicate_due().await.unwrap()), (0, 0));
        assert_eq!(&acme.get(&t, &acme.root, "acme-b", "d/1").await.unwrap().first[..], b"d/1 1");
        // Two servers at once: each version once, an older one before a newer, whoever looks first.
        for name in ["d/1", "d/1", "d/2"] {
            acme.put(&t, "acme-a", name, format!("again {name} {}", t.house.now().ms())).await;
            t.clock.advance_ms(5);
        }
        let newest = acme.get(&t, &acme.root, "acme-a", "d/1").await.unwrap().first;
        let (second, mut done) = (t.second(), 0);
        while lag().await.waiting > 0 {
            let (one, two) = tokio::join!(t.house.replicate_due(), second.house.replicate_due());
            done += one.unwrap() + two.unwrap();
        }
        assert_eq!(done, 3);
        assert_eq!(acme.get(&t, &acme.root, "acme-b", "d/1").await.unwrap().first, newest);
        assert!(acme.get(&t, &acme.root, "acme-b", "other").await.is_err());
        // Switched off before its turn comes, nothing is opened.
        acme.put(&t, "acme-a", "d/3", "late").await;
        t.house.perform(acme.root.clone(), set(vec![rule(false)])).await.unwrap();
        t.house.replicate_due().await.unwrap();
        assert!(acme.get(&t, &acme.root, "acme-b", "d/3").await.is_err());
        assert_eq!(lag().await.waiting, 0);
        // What fails waits, longer each time, and says why.
        t.house.perform(acme.root.clone(), set(vec![rule(true)])).await.unwrap();
        acme.put(&t, "acme-a", "d/4", "x").await;
        t.change(
            "UPDATE bucket SET settings = replace(settings, 'acme-b', 'acme-c') WHERE bucket = 'acme-a'",
        );
        assert_eq!(t.house.replicate_due().await.unwrap(), 1);
        let told = lag().await;
        assert_eq!((told.waiting, told.failed), (1, 1));
        assert!(told.why.unwrap().contains("acme-c"));
        assert_eq!(t.house.replicate_due().await.unwrap(), 0, "not yet again");
        t.clock.advance_ms(1_100);
        assert_eq!(t.house.replicate_due().await.unwrap(), 1);
        t.clock.advance_ms(1_100);
        assert_eq!(t.house.replicate_due().await.unwrap(), 0, "two seconds");
    });
}

#[test]
fn an_account_ends_when_its_root_said_so_and_not_before() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        for (tenant, name) in [(&acme, "acme-data"), (&globex, "globex-data")] {
            tenant.make_bucket(&t, name).await;
            tenant.put(&t, name, "o", "bytes").await;
        }
        let close = CloseAccount { tenant: acme.id.clone(), days: 3 };
        let get = || GetClosure { tenant: acme.id.clone() };
        assert!(t.house.perform(globex.root.clone(), close.clone()).await.is_err(), "another's account");
        assert!(t.house.perform(t.house.system_caller("test"), close.clone()).await.is_err());
        let (receipt, _) = t.house.perform(acme.root.clone(), close.clone()).await.unwrap();
        assert!(t.house.perform(acme.root.clone(), close.clone()).await.is_err(), "twice");
        t.clock.advance_ms(2 * 86_400_000);
        assert_eq!(t.house.close_due_accounts().await.unwrap(), 0);
        t.house.perform(acme.root.clone(), CancelClosure { tenant: acme.id.clone() }).await.unwrap();
        assert!(t.house.closure_report(receipt.expose()).await.is_err());
        t.clock.advance_ms(2 * 86_400_000);
        assert_eq!(t.house.close_due_accounts().await.unwrap(), 0);
        let (receipt, _) = t.house.perform(acme.root.clone(), close).await.unwrap();
        t.clock.advance_ms(3 * 86_400_000);
        assert_eq!(t.house.close_due_accounts().await.unwrap(), 1);
        let (closure, report) = t.house.closure_report(receipt.expose()).await.unwrap();
        let report = report.unwrap();
        assert_eq!((closure.state, &report["buckets"][0]["items"]), (ClosureState::Closed, &1.into()));
        let record = report["buckets"][0]["certificate"].as_u64().unwrap();
        assert!(t.house.closure_certificate(receipt.expose(), record).await.unwrap().contains("acme-data"));
        assert!(t.house.closure_certificate("nothing", record).await.is_err());
        let admin = t.house.system_caller("test");
        assert!(t.house.perform(admin, get()).await.unwrap().is_some());
        assert_eq!(t.house.close_due_accounts().await.unwrap(), 0);
        assert_eq!(&globex.get(&t, &globex.root, "globex-data", "o").await.unwrap().first[..], b"bytes");
        assert!(acme.get(&t, &acme.root, "acme-data", "o").await.is_err());
    });
}
