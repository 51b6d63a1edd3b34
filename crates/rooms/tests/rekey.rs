//! New versions of a tenant's key, on each engine: everything opens before, between and after; an old version goes when nothing
//! lies under it and not before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bailee_rooms::gate::Caller;
use bailee_rooms::keys::cmk::{
    CreateKey, CreateVersion, Decrypt, DeleteMaterial, Encrypt, ImportMaterial, KeyAct, KeyOrigin,
    PrepareImport, SetEnabled, Spec, Usage, WrapAlgorithm,
};
use bailee_rooms::keys::secret::{CreateSecret, DataType, GetValue, NewValue, SecretName};
use bailee_rooms::keys::{CustomerKey, Protection, RenewRootKey, Unlock};
use bailee_rooms::rekey::{RETIRE_AFTER_MS, RetireTenantKey, RewrapTenant, RotateTenantKey};
use bailee_rooms::tickets::{GetTicket, OpenTicket};
use bailee_rooms::trail::{ActFilter, ListActs, RotateLogKey};
use bailee_rooms::vault::{
    AppendObject, Choice, CompleteUpload, CreateUpload, DeleteObject, DestroyObjects, Encryption,
    GetDestruction, GetObject, Lock, LockMode, LockRules, ObjectMeta, PutObject, PutPart, Retention,
    RewrapDone, Scrub, SetLockRules, SetVersioning, Versioning, WholeBody, WholeClaim,
};
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::{KeyId, SecretBytes, TenantId};
use bytes::Bytes;
use futures_util::StreamExt;

const BUCKET: &str = "acme-keys";
const DAY_MS: i64 = 86_400_000;

async fn run<A: KeyAct>(t: &TestHouse, acme: &TestTenant, act: A) -> Result<A::Output, Failure> {
    t.house.perform(acme.root.clone(), act.of(&acme.id, &t.house)).await
}

fn put(acme: &TestTenant, name: &str, content: &Bytes, meta: ObjectMeta) -> PutObject {
    PutObject {
        customer_key: None,
        tenant: acme.id.clone(),
        bucket: bucket(BUCKET),
        key: key(name),
        meta,
        len: None,
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(content.clone())),
    }
}

async fn read(t: &TestHouse, acme: &TestTenant, name: &str) -> Vec<u8> {
    whole(acme.get(t, &acme.root, BUCKET, name).await.unwrap_or_else(|e| panic!("{name}: {e}"))).await
}

async fn whole(content: bailee_rooms::vault::Content) -> Vec<u8> {
    let mut out = content.first.to_vec();
    if let Some(mut rest) = content.rest {
        while let Some(block) = rest.next().await {
            out.extend_from_slice(&block.unwrap());
        }
    }
    out
}

fn bytes(seed: u8, len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect::<Vec<_>>().into()
}

async fn rotate(t: &TestHouse, tenant: &TenantId) -> Result<i64, Failure> {
    let act = RotateTenantKey { tenant: tenant.clone() };
    Ok(t.house.perform(t.house.system_caller("test"), act).await?.number)
}

fn rewrap_of(tenant: &TenantId, covers: bool, max: u64) -> RewrapTenant {
    RewrapTenant { tenant: tenant.clone(), bucket: None, covers, max, progress: Box::new(|_| {}) }
}

async fn rewrap(
    house: &Arc<House>,
    tenant: &TenantId,
    covers: bool,
    max: u64,
) -> Result<RewrapDone, Failure> {
    house.perform(house.system_caller("test"), rewrap_of(tenant, covers, max)).await
}

async fn retire(t: &TestHouse, tenant: &TenantId, version: i64) -> Result<(), Failure> {
    let act = RetireTenantKey { tenant: tenant.clone(), version };
    t.house.perform(t.house.system_caller("test"), act).await
}

/// How many stored versions lie under a version of the key.
fn under(t: &TestHouse, acme: &TestTenant, version: i64) -> u64 {
    ["object", "object_version", "upload"]
        .map(|table| {
            let current = if table == "object_version" { " AND is_marker = 0" } else { "" };
            t.change(&format!(
                "UPDATE {table} SET key_version = key_version \
                 WHERE tenant_id = '{}' AND key_version = {version}{current}",
                acme.id
            ))
        })
        .iter()
        .sum()
}

fn own_key() -> CreateKey {
    CreateKey {
        spec: Spec::Aes256,
        usage: Usage::Encrypt,
        origin: KeyOrigin::Own,
        description: String::new(),
        rotation_s: None,
        tags: BTreeMap::new(),
        lies_at: None,
        policy: None,
    }
}

fn kms(id: &KeyId) -> ObjectMeta {
    let encryption = Some(Encryption { kms: Some(id.to_string()), ..Encryption::default() });
    ObjectMeta { encryption, ..ObjectMeta::default() }
}

async fn import(t: &TestHouse, acme: &TestTenant, id: &KeyId, material: &[u8]) -> Result<(), Failure> {
    let algorithm = WrapAlgorithm::OaepSha256;
    let wish = PrepareImport { key: id.clone(), wrapping: Spec::Rsa2048, algorithm };
    let given = run(t, acme, wish).await.unwrap();
    let der = pem(&given.public_pem);
    let public = bailee_rooms::keys::cmk::read_public_key("RSA_2048", &der).unwrap();
    let wrapped = bailee_rooms::keys::cmk::export_to(&public, algorithm, material).unwrap();
    run(t, acme, ImportMaterial { key: id.clone(), token: given.token, wrapped, until: None }).await
}

fn pem(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    let inner: String = text.lines().filter(|l| !l.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(inner).unwrap()
}

#[test]
fn everything_opens_before_between_and_after_and_an_old_version_goes_when_nothing_needs_it() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let globex = t.tenant("globex").await;
        acme.make_bucket(&t, BUCKET).await;
        globex.make_bucket(&t, "globex-files").await;
        globex.put(&t, "globex-files", "a", "theirs").await;
        let lock = SetLockRules {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            rules: LockRules { default: None },
        };
        let versions = SetVersioning {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            versioning: Versioning::Enabled,
        };
        t.house.perform(acme.root.clone(), versions).await.unwrap();
        t.house.perform(acme.root.clone(), lock).await.unwrap();
        let (small, large) = (bytes(1, 900), bytes(2, 300_000));
        let until = t.house.now().plus_ms(30 * DAY_MS);
        let retained =
            Lock { retention: Some(Retention { mode: LockMode::Compliance, until }), legal_hold: true };
        let cmk = run(&t, &acme, own_key()).await.unwrap().id;
        for (name, content, meta) in [
            ("small", &small, ObjectMeta::default()),
            ("large", &large, ObjectMeta::default()),
            ("retained", &small, ObjectMeta { lock: retained, ..ObjectMeta::default() }),
            ("under-kms", &large, kms(&cmk)),
            ("twice", &large, ObjectMeta::default()),
            ("twice", &small, ObjectMeta::default()),
            ("gone", &small, ObjectMeta::default()),
        ] {
            t.house.perform(acme.root.clone(), put(&acme, name, content, meta)).await.unwrap();
        }
        let own = CustomerKey::from_bytes(&[9; 32]).unwrap();
        let mut theirs = put(&acme, "customers", &small, ObjectMeta::default());
        theirs.customer_key = Some(own.clone());
        t.house.perform(acme.root.clone(), theirs).await.unwrap();
        let append = AppendObject {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key("appended"),
            position: 0,
            meta: ObjectMeta::default(),
            len: None,
            body: Box::new(WholeBody::new(small.clone())),
        };
        t.house.perform(acme.root.clone(), append).await.unwrap();
        let all = DestroyObjects {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            prefix: "gone".into(),
            exact: true,
        };
        let certificate = t.house.perform(acme.root.clone(), all).await.unwrap().done.record;
        let create = |name: &str| CreateUpload {
            customer_key: None,
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key(name),
            meta: ObjectMeta::default(),
        };
        let part = |(name, upload): (&str, &str), number, content: &Bytes| PutPart {
            customer_key: None,
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key(name),
            upload: upload.to_owned(),
            number,
            len: None,
            body: Box::new(WholeBody::new(content.clone())),
        };
        let complete = |(name, upload): (&str, &str)| CompleteUpload {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key(name),
            upload: upload.to_owned(),
            parts: None,
            part_min: 0,
            claim: WholeClaim::default(),
            must_be_new: false,
            must_have_md5: None,
        };
        // One that is put together before, one that is under way all the time.
        let upload = t.house.perform(acme.root.clone(), create("together")).await.unwrap();
        let together = ("together", upload.as_str());
        t.house.perform(acme.root.clone(), part(together, 1, &large)).await.unwrap();
        t.house.perform(acme.root.clone(), complete(together)).await.unwrap();
        let upload = t.house.perform(acme.root.clone(), create("in-parts")).await.unwrap();
        let under_way = ("in-parts", upload.as_str());
        t.house.perform(acme.root.clone(), part(under_way, 1, &large)).await.unwrap();
        let blob = Encrypt {
            key: cmk.clone(),
            plaintext: SecretBytes::new(b"42 pumps".to_vec()),
            context: Default::default(),
        };
        let blob = run(&t, &acme, blob).await.unwrap();
        let brought =
            run(&t, &acme, CreateKey { origin: KeyOrigin::External, ..own_key() }).await.unwrap().id;
        import(&t, &acme, &brought, &[5; 32]).await.unwrap();
        let name = SecretName::parse("db").unwrap();
        let secret = CreateSecret {
            name: name.clone(),
            value: NewValue {
                version: "v1".into(),
                data: SecretBytes::new(b"s3cret".to_vec()),
                data_type: DataType::Text,
            },
            description: String::new(),
            key: None,
            of_user: None,
            config: String::new(),
            tags: BTreeMap::new(),
            policy: None,
        };
        run(&t, &acme, secret).await.unwrap();
        let text = Some("the pump stands".to_owned());
        let open = OpenTicket { text, ..OpenTicket::titled(acme.id.clone(), "a pump") };
        let ticket = t.house.perform(acme.root.clone(), open).await.unwrap();

        let check = async |t: &TestHouse| {
            assert_eq!(read(t, &acme, "small").await, small);
            assert_eq!(read(t, &acme, "large").await, large);
            assert_eq!(read(t, &acme, "retained").await, small);
            assert_eq!(read(t, &acme, "under-kms").await, large);
            assert_eq!(read(t, &acme, "twice").await, small);
            assert_eq!(read(t, &acme, "appended").await, small);
            let parts = GetObject {
                tenant: acme.id.clone(),
                bucket: bucket(BUCKET),
                key: key("together"),
                which: None,
                customer_key: None,
                choose: Box::new(|_| Choice::Parts { after: 0, parts_max: 10 }),
            };
            let (parts, all) = t.house.perform(acme.root.clone(), parts).await.unwrap().parts;
            assert_eq!((parts.len(), all, parts[0].checksum.is_some()), (1, 1, true));
            let get = GetDestruction { tenant: acme.id.clone(), record: certificate };
            assert!(t.house.perform(acme.root.clone(), get).await.unwrap().contains("gone"));
            let open = Decrypt { blob: blob.clone(), context: Default::default() };
            assert_eq!(run(t, &acme, open).await.unwrap().expose(), b"42 pumps");
            let get = GetValue { name: name.clone(), version: None, stage: "ACSCurrent".into() };
            assert_eq!(run(t, &acme, get).await.unwrap().data.expose(), b"s3cret");
            let get =
                GetTicket { tenant: acme.id.clone(), ticket: ticket.clone(), before: None, recorded: false };
            let thread = t.house.perform(acme.root.clone(), get).await.unwrap();
            assert_eq!(thread.entries[0].text.as_deref(), Some("the pump stands"));
            let list = ListActs {
                tenant: acme.id.clone(),
                filter: ActFilter::default(),
                before: None,
                acts_max: 50,
            };
            assert!(!t.house.perform(acme.root.clone(), list).await.unwrap().acts.is_empty());
            assert_eq!(globex.get(t, &globex.root, "globex-files", "a").await.unwrap().first, "theirs");
        };
        let other = t.second();
        check(&other).await;
        let before = under(&t, &acme, 1);
        assert_eq!(rotate(&t, &acme.id).await.unwrap(), 2);
        assert!(rotate(&t, &acme.id).await.is_err(), "twice within seconds");
        // Nothing is sealed under it until every server knows it.
        t.clock.advance_ms(14_000);
        t.house.perform(acme.root.clone(), put(&acme, "soon", &small, ObjectMeta::default())).await.unwrap();
        assert_eq!((under(&t, &acme, 1), under(&t, &acme, 2)), (before + 1, 0));
        assert!(rewrap(&t.house, &acme.id, false, u64::MAX).await.is_err(), "too soon");
        assert_eq!(t.house.rewrap_due().await.unwrap(), 0);
        t.clock.advance_ms(6_000);
        t.house.perform(acme.root.clone(), put(&acme, "late", &small, ObjectMeta::default())).await.unwrap();
        assert_eq!((under(&t, &acme, 1), under(&t, &acme, 2)), (before + 1, 1));
        assert_eq!(read(&other, &acme, "late").await, small);
        check(&t).await;

        // Cut passes go on where they were; one act ends after its limit.
        t.clock.advance_ms(11_000);
        let first = rewrap(&t.house, &acme.id, false, 1).await.unwrap();
        assert!(first.more && first.rewrapped > 0, "{first:?}");
        let second = rewrap(&t.house, &acme.id, false, u64::MAX).await.unwrap();
        assert_eq!(second.raced + second.damaged_in_all + second.wait_for_key, 0, "{second:?}");
        assert_eq!(second.wait_for_customer, 1);
        let last = rewrap(&other.house, &acme.id, false, u64::MAX).await.unwrap();
        assert!(last.is_settled() && last.waiting() == 1, "{last:?}");
        assert_eq!(t.house.rewrap_due().await.unwrap(), 0, "it is settled");
        assert_eq!(under(&t, &acme, 1), 1, "what its customer covers");
        for house in [&t, &other] {
            check(house).await;
        }
        assert_eq!(globex.get(&other, &globex.root, "globex-files", "a").await.unwrap().first, "theirs");

        // An upload goes on under the new version.
        t.house.perform(acme.root.clone(), part(under_way, 2, &small)).await.unwrap();
        t.house.perform(acme.root.clone(), complete(under_way)).await.unwrap();
        assert_eq!(read(&t, &acme, "in-parts").await, [large.as_ref(), small.as_ref()].concat());

        // The old version goes a day later, when nothing lies under it.
        assert!(retire(&t, &acme.id, 2).await.is_err(), "the newest");
        assert!(retire(&t, &acme.id, 7).await.is_err(), "none");
        let early = retire(&t, &acme.id, 1).await.unwrap_err().to_string();
        assert!(early.contains("can be destroyed from"), "{early}");
        t.clock.advance_ms(RETIRE_AFTER_MS);
        let needed = retire(&t, &acme.id, 1).await.unwrap_err().to_string();
        assert!(needed.contains("1 lie under a key that only the customer keeps"), "{needed}");
        let get = |customer_key| GetObject {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            key: key("customers"),
            which: None,
            customer_key,
            choose: Box::new(|info| Choice::Bytes { start: 0, end: info.size }),
        };
        let content = t.house.perform(acme.root.clone(), get(Some(own.clone()))).await.unwrap();
        assert_eq!(whole(content).await, small);
        let mut again = put(&acme, "customers", &small, ObjectMeta::default());
        again.customer_key = Some(own.clone());
        t.house.perform(acme.root.clone(), again).await.unwrap();
        assert!(retire(&t, &acme.id, 1).await.is_err(), "its former version");
        let all = DestroyObjects {
            tenant: acme.id.clone(),
            bucket: bucket(BUCKET),
            prefix: "customers".into(),
            exact: true,
        };
        t.house.perform(acme.root.clone(), all).await.unwrap();
        // Its owner took the material of a key away: the fingerprint goes along all the same.
        run(&t, &acme, DeleteMaterial { key: brought.clone() }).await.unwrap();
        retire(&t, &acme.id, 1).await.unwrap();
        assert_eq!(t.change("UPDATE tenant_key SET version = version WHERE version = 1"), 2, "two others");
        let third = t.second();
        for house in [&t, &other, &third] {
            check(house).await;
        }
        assert!(import(&t, &acme, &brought, &[6; 32]).await.is_err(), "other material");
        import(&t, &acme, &brought, &[5; 32]).await.unwrap();
        let rotated = RotateLogKey { tenant: acme.id.clone() };
        third.house.perform(third.house.system_caller("test"), rotated).await.unwrap();
        check(&t.second()).await;
        let scrub = Scrub { tenant: None, bucket: None, progress: Box::new(|_| {}) };
        let found = t.house.perform(t.house.system_caller("test"), scrub).await.unwrap();
        assert_eq!((found.damaged_in_all, found.without_checksum), (0, 0));
        // The provider's own key: heads are signed on.
        let provider = TenantId::provider();
        rotate(&t, &provider).await.unwrap();
        t.clock.advance_ms(RETIRE_AFTER_MS + 15_000);
        assert!(t.house.rewrap_due().await.unwrap() > 0);
        retire(&t, &provider, 1).await.unwrap();
        check(&t.second()).await;
    });
}

#[test]
fn covers_of_kms_are_brought_to_the_newest_version_of_their_key_or_wait_for_it() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        let cmk = run(&t, &acme, own_key()).await.unwrap().id;
        let content = bytes(3, 5_000);
        for name in ["a", "b"] {
            t.house.perform(acme.root.clone(), put(&acme, name, &content, kms(&cmk))).await.unwrap();
        }
        run(&t, &acme, CreateVersion { key: cmk.clone(), by_interval: false }).await.unwrap();
        // Which version covers is the key's business: without being asked nothing is done.
        assert_eq!(rewrap(&t.house, &acme.id, false, u64::MAX).await.unwrap().rewrapped, 0);
        run(&t, &acme, SetEnabled { key: cmk.clone(), enabled: false }).await.unwrap();
        t.clock.advance_ms(2_000);
        assert_eq!(rewrap(&t.house, &acme.id, true, u64::MAX).await.unwrap().wait_for_key, 2);
        run(&t, &acme, SetEnabled { key: cmk.clone(), enabled: true }).await.unwrap();
        assert_eq!(rewrap(&t.house, &acme.id, true, u64::MAX).await.unwrap().rewrapped, 2);
        let again = rewrap(&t.house, &acme.id, true, u64::MAX).await.unwrap();
        assert_eq!((again.rewrapped, again.looked, again.in_all), (0, 2, 2));
        // Both at once: the tenant's key below, the key of KMS above.
        rotate(&t, &acme.id).await.unwrap();
        t.clock.advance_ms(31_000);
        assert_eq!(rewrap(&t.house, &acme.id, false, u64::MAX).await.unwrap().rewrapped, 2);
        for name in ["a", "b"] {
            assert_eq!(read(&t, &acme, name).await, content);
        }
        assert_eq!(under(&t, &acme, 1), 0);
    });
}

#[test]
fn whoever_writes_meanwhile_wins_and_nothing_is_lost() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        for n in 0..40 {
            let first = put(&acme, &format!("k{n}"), &bytes(0, 100), ObjectMeta::default());
            t.house.perform(acme.root.clone(), first).await.unwrap();
        }
        rotate(&t, &acme.id).await.unwrap();
        t.clock.advance_ms(31_000);
        let (other, over) = (t.second(), Arc::new(AtomicBool::new(false)));
        let (house, id, flag) = (Arc::clone(&other.house), acme.id.clone(), Arc::clone(&over));
        let passes = tokio::spawn(async move {
            let mut all = 0;
            while !flag.load(Ordering::Relaxed) {
                all += rewrap(&house, &id, false, u64::MAX).await.unwrap().rewrapped;
            }
            all
        });
        let writer = async |from: u8| {
            for round in 1..8u8 {
                for n in 0..40u8 {
                    if n % 4 != from {
                        continue;
                    }
                    let name = format!("k{n}");
                    let next = put(&acme, &name, &bytes(round, 100), ObjectMeta::default());
                    t.house.perform(acme.root.clone(), next).await.unwrap();
                    let old = [from, n, round].iter().map(|x| u32::from(*x)).sum::<u32>() % 5 == 0;
                    if old && round < 7 {
                        let gone =
                            DeleteObject { tenant: acme.id.clone(), bucket: bucket(BUCKET), key: key(&name) };
                        t.house.perform(acme.root.clone(), gone).await.unwrap();
                    }
                }
            }
        };
        tokio::join!(writer(0), writer(1), writer(2), writer(3));
        over.store(true, Ordering::Relaxed);
        passes.await.unwrap();
        for _ in 0..2 {
            rewrap(&t.house, &acme.id, false, u64::MAX).await.unwrap();
        }
        assert_eq!(under(&t, &acme, 1), 0);
        for n in 0..40 {
            assert_eq!(read(&other, &acme, &format!("k{n}")).await, bytes(7, 100), "k{n}");
        }
    });
}

#[test]
fn what_is_damaged_is_named_and_keeps_the_old_version_and_only_the_administrator_may() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        for name in ["good", "bad"] {
            t.house
                .perform(acme.root.clone(), put(&acme, name, &bytes(1, 50), ObjectMeta::default()))
                .await
                .unwrap();
        }
        let operator = t.operator("op-lin", "stability", "CN").await;
        let refuses = async |caller: &Caller| {
            let rotated = RotateTenantKey { tenant: acme.id.clone() };
            assert!(t.house.perform(caller.clone(), rotated).await.is_err());
            assert!(t.house.perform(caller.clone(), rewrap_of(&acme.id, false, 1)).await.is_err());
            let gone = RetireTenantKey { tenant: acme.id.clone(), version: 1 };
            assert!(t.house.perform(caller.clone(), gone).await.is_err());
        };
        refuses(&acme.root).await;
        refuses(&operator).await;
        rotate(&t, &acme.id).await.unwrap();
        t.clock.advance_ms(RETIRE_AFTER_MS + 15_000);
        assert_eq!(t.change("UPDATE object SET wrapped_key = sealed_meta WHERE object_key = 'bad'"), 1);
        let done = rewrap(&t.house, &acme.id, false, u64::MAX).await.unwrap();
        assert_eq!((done.rewrapped, done.damaged_in_all), (1, 1));
        assert!(done.damaged[0].starts_with(&format!("{BUCKET}/bad ")), "{done:?}");
        let kept = retire(&t, &acme.id, 1).await.unwrap_err().to_string();
        assert!(kept.contains("1 do not open"), "{kept}");
        assert_eq!(read(&t, &acme, "good").await, bytes(1, 50));
        assert!(acme.get(&t, &acme.root, BUCKET, "bad").await.is_err());
    });
}

#[test]
fn a_new_root_key_opens_what_the_old_one_sealed_and_a_cut_renewal_is_brought_to_its_end() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, BUCKET).await;
        acme.put(&t, BUCKET, "a", "before").await;
        t.house.keep_sealed("test.secret", &SecretBytes::new(b"kept".to_vec())).await.unwrap();
        let lin = bailee_types::OperatorId::parse("op-lin").unwrap();
        let known_as = t.house.pseudonym(&acme.id, &lin);
        let path = t.folder().join("root.key");
        let renew = async |t: &TestHouse| {
            let act =
                RenewRootKey { path: path.clone(), protection: Protection::Clear, unlock: Unlock::default() };
            t.house.perform(t.house.system_caller("test"), act).await
        };
        // Another process may be at work.
        let other = t.second();
        let refused = renew(&t).await.unwrap_err().to_string();
        assert!(refused.contains("stop all servers"), "{refused}");
        assert!(!t.folder().join("root.key.next").exists());
        drop(other);
        t.clock.advance_ms(61_000);
        let old = std::fs::read(&path).unwrap();
        renew(&t).await.unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), old);
        assert!(renew(&t).await.is_err(), "this process has the old one");
        let check = async |t: &TestHouse| {
            assert_eq!(acme.get(t, &acme.root, BUCKET, "a").await.unwrap().first, "before");
            assert_eq!(t.house.kept_sealed("test.secret").await.unwrap().unwrap().expose(), b"kept");
            assert_eq!(t.house.pseudonym(&acme.id, &lin).to_string(), known_as.to_string());
        };
        check(&t.second()).await;
        // Once more: what stayed what it was stays so. Cut between commit and the file's change of place.
        t.clock.advance_ms(61_000);
        let new = t.second();
        let first = std::fs::read(&path).unwrap();
        renew(&new).await.unwrap();
        std::fs::rename(&path, t.folder().join("root.key.next")).unwrap();
        std::fs::write(&path, &first).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        check(&t.second()).await;
        assert!(!t.folder().join("root.key.next").exists());
        assert_ne!(std::fs::read(&path).unwrap(), first);
        // With the old key the house does not open.
        let current = std::fs::read(&path).unwrap();
        std::fs::write(&path, &old).unwrap();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| t.second())).is_err());
        std::fs::write(&path, &current).unwrap();
        check(&t.second()).await;
        let caller = acme.root.clone();
        let act =
            RenewRootKey { path: path.clone(), protection: Protection::Clear, unlock: Unlock::default() };
        assert!(t.house.perform(caller, act).await.is_err(), "a tenant");
    });
}
