//! Keys of KMS over time and against tampering, on both engines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_rooms::consent::Decision;
use bailee_rooms::gate::Caller;
use bailee_rooms::keys::CustomerKey;
use bailee_rooms::keys::cmk::{
    AliasName, CancelDeletion, Ciphertext, Context, CreateAlias, CreateKey, CreateVersion, Decrypt,
    DescribeKey, Encrypt, Key, KeyAct, KeyOrigin, KeyProblem, KeyState, ListKeyUses, ListVersions,
    ScheduleDeletion, SetEnabled, SetRotation, Spec, Usage,
};
use bailee_rooms::vault::{Encryption, ObjectMeta, PutObject, WholeBody};
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine};
use bailee_types::{KeyId, SecretBytes, TenantId};
use bytes::Bytes;
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;

async fn act<A: KeyAct>(
    house: &Arc<House>,
    caller: &Caller,
    tenant: &TenantId,
    act: A,
) -> Result<A::Output, Failure> {
    house.perform(caller.clone(), act.of(tenant, house)).await
}

async fn run<A: KeyAct>(t: &TestHouse, acme: &TestTenant, a: A) -> Result<A::Output, Failure> {
    act(&t.house, &acme.root, &acme.id, a).await
}

fn new(rotation_days: Option<i64>) -> CreateKey {
    CreateKey {
        spec: Spec::Aes256,
        usage: Usage::Encrypt,
        origin: KeyOrigin::Own,
        description: String::new(),
        rotation_s: rotation_days.map(|d| d * 86_400),
        tags: BTreeMap::new(),
        lies_at: None,
        policy: None,
    }
}

fn encrypt(key: &KeyId) -> Encrypt {
    Encrypt { key: key.clone(), plaintext: SecretBytes::new(b"42 pumps".to_vec()), context: Context::new() }
}

fn decrypt(blob: &Ciphertext) -> Decrypt {
    Decrypt { blob: blob.clone(), context: Context::new() }
}

async fn show(t: &TestHouse, acme: &TestTenant, key: &KeyId) -> Key {
    run(t, acme, DescribeKey { key: key.clone() }).await.unwrap()
}

#[test]
fn a_key_rotates_when_its_time_has_come_and_once_after_a_pause() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = run(&t, &acme, new(Some(30))).await.unwrap().id;
        let first = run(&t, &acme, encrypt(&key)).await.unwrap();
        t.clock.advance_ms(29 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0, "not yet");
        t.clock.advance_ms(DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0, "once");
        let second = run(&t, &acme, encrypt(&key)).await.unwrap();
        assert_ne!(first.version, second.version);
        for blob in [&first, &second] {
            assert_eq!(run(&t, &acme, decrypt(blob)).await.unwrap().expose(), b"42 pumps");
        }
        // A disabled key does not rotate; enabled again it does what it missed once.
        run(&t, &acme, SetEnabled { key: key.clone(), enabled: false }).await.unwrap();
        t.clock.advance_ms(100 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        run(&t, &acme, SetEnabled { key: key.clone(), enabled: true }).await.unwrap();
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        let list = ListVersions { key: key.clone(), page: 1, size: 10 };
        let versions = run(&t, &acme, list).await.unwrap();
        assert_eq!(versions.total, 3);
        assert!(versions.items.is_sorted_by_key(|v| v.1));
        run(&t, &acme, SetRotation { key: key.clone(), seconds: None }).await.unwrap();
        t.clock.advance_ms(1000 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
    });
}

#[test]
fn a_scheduled_key_is_destroyed_with_all_that_names_it_and_not_before() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = run(&t, &acme, new(None)).await.unwrap().id;
        let alias = AliasName::parse("alias/bills").unwrap();
        run(&t, &acme, CreateAlias { alias, key: key.clone() }).await.unwrap();
        let blob = run(&t, &acme, encrypt(&key)).await.unwrap();
        run(&t, &acme, ScheduleDeletion { key: key.clone(), days: 7 }).await.unwrap();
        t.clock.advance_ms(7 * DAY_MS - 1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        run(&t, &acme, CancelDeletion { key: key.clone() }).await.unwrap();
        t.clock.advance_ms(DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0, "it was called back");
        assert!(run(&t, &acme, decrypt(&blob)).await.is_ok());
        run(&t, &acme, ScheduleDeletion { key: key.clone(), days: 7 }).await.unwrap();
        t.clock.advance_ms(7 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert!(matches!(run(&t, &acme, decrypt(&blob)).await, Err(Failure::NotFound { .. })));
        assert!(matches!(t.house.key_named(&acme.id, "alias/bills").await, Err(Failure::NotFound { .. })));
        let describe = DescribeKey { key: key.clone() };
        assert!(matches!(run(&t, &acme, describe).await, Err(Failure::NotFound { .. })));
        // Also for a process that comes later, and for one that had it opened.
        let second = t.second();
        assert!(act(&second.house, &acme.root, &acme.id, decrypt(&blob)).await.is_err());
    });
}

#[test]
fn another_process_sees_a_disabled_key_within_its_lease() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = run(&t, &acme, new(None)).await.unwrap().id;
        let second = t.second();
        let blob = act(&second.house, &acme.root, &acme.id, encrypt(&key)).await.unwrap();
        run(&t, &acme, SetEnabled { key: key.clone(), enabled: false }).await.unwrap();
        let refused = run(&t, &acme, decrypt(&blob)).await;
        assert!(matches!(refused, Err(Failure::Key(KeyProblem::State(KeyState::Disabled)))), "at once here");
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        let refused = act(&second.house, &acme.root, &acme.id, decrypt(&blob)).await;
        assert!(matches!(refused, Err(Failure::Key(KeyProblem::State(KeyState::Disabled)))), "and there");
    });
}

#[test]
fn two_who_rotate_at_once_make_two_versions_and_the_newest_encrypts() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = run(&t, &acme, new(None)).await.unwrap().id;
        let rotate = || CreateVersion { key: key.clone(), by_interval: false };
        let (a, b) = tokio::join!(run(&t, &acme, rotate()), run(&t, &acme, rotate()));
        let made = [a.unwrap().0, b.unwrap().0];
        let versions = run(&t, &acme, ListVersions { key: key.clone(), page: 1, size: 10 }).await.unwrap();
        assert_eq!(versions.total, 3);
        assert_eq!(versions.items.last().unwrap().0, show(&t, &acme, &key).await.primary);
        assert!(made.contains(&run(&t, &acme, encrypt(&key)).await.unwrap().version));
        // The keeper's rotation is by the clock: it makes none when a person was faster.
        let by_clock = CreateVersion { key: key.clone(), by_interval: true };
        assert!(matches!(run(&t, &acme, by_clock).await, Err(Failure::Conflict(_))));
    });
}

#[test]
fn material_moved_to_another_row_does_not_open() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let one = run(&t, &acme, new(None)).await.unwrap();
        let two = run(&t, &acme, new(None)).await.unwrap();
        let theirs = run(&t, &globex, new(None)).await.unwrap();
        let blob = run(&t, &acme, encrypt(&two.id)).await.unwrap();
        let theirs_blob = run(&t, &globex, encrypt(&theirs.id)).await.unwrap();
        for (from, to, tenant, caller, blob) in [
            (&one, &two, &acme.id, &acme.root, &blob),
            (&one, &theirs, &globex.id, &globex.root, &theirs_blob),
        ] {
            t.change(&format!(
                "UPDATE cmk_version SET sealed_material = (SELECT sealed_material FROM cmk_version WHERE key_id = '{}') \
                 WHERE key_id = '{}'",
                from.id, to.id
            ));
            let second = t.second();
            let refused = act(&second.house, caller, tenant, decrypt(blob)).await;
            assert!(matches!(refused, Err(Failure::Damaged(_))), "{:?}", refused.map(drop));
        }
        // Nor does a key that says it is for something else.
        let three = run(&t, &acme, new(None)).await.unwrap();
        let blob = run(&t, &acme, encrypt(&three.id)).await.unwrap();
        t.change(&format!("UPDATE cmk SET spec = 'Aliyun_SM4' WHERE key_id = '{}'", three.id));
        let second = t.second();
        assert!(act(&second.house, &acme.root, &acme.id, decrypt(&blob)).await.is_err());
    });
}

#[test]
fn uses_are_counted_by_day_and_stand_in_the_log() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = run(&t, &acme, new(None)).await.unwrap().id;
        let records = t.house.head(&acme.id).await.unwrap().records;
        let mut blob = None;
        for _ in 0..5 {
            blob = Some(run(&t, &acme, encrypt(&key)).await.unwrap());
        }
        run(&t, &acme, decrypt(&blob.unwrap())).await.unwrap();
        assert_eq!(t.house.head(&acme.id).await.unwrap().records, records, "a use writes nothing");
        t.house.write_key_uses().await.unwrap();
        assert_eq!(t.house.head(&acme.id).await.unwrap().records, records, "nor does writing down how often");
        // Two processes that note at the same time note each use once.
        let second = t.second();
        let (a, b) = tokio::join!(t.house.note_key_uses(), second.house.note_key_uses());
        assert!(a.is_ok() || b.is_ok());
        t.house.note_key_uses().await.unwrap();
        let acts = (t.house.head(&acme.id).await.unwrap().records - records) / 2;
        assert_eq!(
            acts,
            1 + u64::from(a.is_err() || b.is_err()),
            "one act with its outcome, or one that came too late"
        );
        t.clock.advance_ms(DAY_MS);
        run(&t, &acme, encrypt(&key)).await.unwrap();
        t.house.note_key_uses().await.unwrap();
        let uses = |days| ListKeyUses { key: key.clone(), days };
        let told = run(&t, &acme, uses(2)).await.unwrap();
        let told: Vec<_> = told.iter().map(|(_, operation, n)| (operation.as_str(), *n)).collect();
        assert_eq!(told, [("Decrypt", 1), ("Encrypt", 5), ("Encrypt", 1)]);
        assert_eq!(run(&t, &acme, uses(1)).await.unwrap().len(), 1);
    });
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_a_ciphertext_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(read) = Ciphertext::read(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_text_is_read_as_an_alias_without_a_panic(text in "\\PC{0,300}") {
        if let Ok(read) = AliasName::parse(&text) {
            prop_assert_eq!(read.as_str(), text);
        }
    }
}

mod secrets {
    use bailee_rooms::keys::secret::{
        CreateSecret, DataType, DeleteSecret, GetValue, NewValue, PutValue, RestoreSecret, SecretName,
    };

    use super::*;

    fn name() -> SecretName {
        SecretName::parse("db/main").unwrap()
    }

    fn value(version: &str, text: &str) -> NewValue {
        NewValue {
            version: version.into(),
            data: SecretBytes::new(text.as_bytes().to_vec()),
            data_type: DataType::Text,
        }
    }

    fn make(key: Option<KeyId>) -> CreateSecret {
        CreateSecret {
            name: name(),
            value: value("v1", "first"),
            description: String::new(),
            key,
            config: String::new(),
            tags: BTreeMap::new(),
            policy: None,
            of_user: None,
        }
    }

    fn get() -> GetValue {
        GetValue { name: name(), version: None, stage: "ACSCurrent".into() }
    }

    #[test]
    fn a_deleted_secret_is_destroyed_at_its_time_unless_it_is_called_back() {
        on_each_engine(async |t| {
            let acme = t.tenant("acme").await;
            run(&t, &acme, make(None)).await.unwrap();
            run(&t, &acme, DeleteSecret { name: name(), days: Some(7) }).await.unwrap();
            t.clock.advance_ms(7 * DAY_MS - 1);
            assert_eq!(t.house.keep_keys().await.unwrap(), 0);
            run(&t, &acme, RestoreSecret { name: name() }).await.unwrap();
            t.clock.advance_ms(DAY_MS);
            assert_eq!(t.house.keep_keys().await.unwrap(), 0);
            assert_eq!(run(&t, &acme, get()).await.unwrap().data.expose(), b"first");
            run(&t, &acme, DeleteSecret { name: name(), days: Some(7) }).await.unwrap();
            t.clock.advance_ms(7 * DAY_MS);
            assert_eq!(t.house.keep_keys().await.unwrap(), 1);
            assert!(matches!(run(&t, &acme, get()).await, Err(Failure::NotFound { .. })));
            run(&t, &acme, make(None)).await.expect("the name is free again");
        });
    }

    #[test]
    fn nobody_but_the_tenant_uses_its_keys_and_reads_its_secrets() {
        on_each_engine(async |t| {
            let acme = t.tenant("acme").await;
            let key = run(&t, &acme, new(None)).await.unwrap().id;
            let blob = run(&t, &acme, encrypt(&key)).await.unwrap();
            run(&t, &acme, make(None)).await.unwrap();
            let lin = t.operator("op-lin", "support", "CN").await;
            for caller in [t.house.system_caller("test"), lin] {
                assert!(act(&t.house, &caller, &acme.id, decrypt(&blob)).await.is_err());
                assert!(act(&t.house, &caller, &acme.id, encrypt(&key)).await.is_err());
                assert!(act(&t.house, &caller, &acme.id, get()).await.is_err());
            }
        });
    }

    #[test]
    fn two_who_put_at_once_leave_one_current_and_one_previous_value() {
        on_each_engine(async |t| {
            let acme = t.tenant("acme").await;
            run(&t, &acme, make(None)).await.unwrap();
            let put =
                |version: &str| PutValue { name: name(), value: value(version, version), stages: Vec::new() };
            let (a, b) = tokio::join!(run(&t, &acme, put("a")), run(&t, &acme, put("b")));
            a.unwrap();
            b.unwrap();
            let current = run(&t, &acme, get()).await.unwrap();
            let previous = GetValue { stage: "ACSPrevious".into(), ..get() };
            let previous = run(&t, &acme, previous).await.unwrap();
            let mut both = [current.version.id, previous.version.id];
            both.sort();
            assert_eq!(both, ["a", "b"]);
        });
    }

    #[test]
    fn a_value_moved_to_another_secret_version_or_tenant_does_not_open() {
        on_each_engine(async |t| {
            let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
            let key = run(&t, &acme, new(None)).await.unwrap().id;
            for under in [None, Some(key)] {
                run(&t, &acme, make(under)).await.unwrap();
                run(&t, &acme, PutValue { name: name(), value: value("v2", "second"), stages: Vec::new() })
                    .await
                    .unwrap();
                let tenant = &acme.id;
                t.change(&format!(
                    "UPDATE secret_version SET sealed = (SELECT sealed FROM secret_version WHERE tenant_id = '{tenant}' \
                     AND version_id = 'v1') WHERE tenant_id = '{tenant}' AND version_id = 'v2'"
                ));
                assert!(matches!(run(&t, &acme, get()).await, Err(Failure::Damaged(_))));
                run(&t, &acme, DeleteSecret { name: name(), days: None }).await.unwrap();
            }
            run(&t, &acme, make(None)).await.unwrap();
            run(&t, &globex, make(None)).await.unwrap();
            t.change(&format!(
                "UPDATE secret_version SET sealed = (SELECT sealed FROM secret_version WHERE tenant_id = '{}') \
                 WHERE tenant_id = '{}'",
                acme.id, globex.id
            ));
            assert!(matches!(run(&t, &globex, get()).await, Err(Failure::Damaged(_))));
        });
    }
}

#[test]
fn an_operator_with_consent_reads_under_a_key_while_it_works_and_never_under_a_customers() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-sealed").await;
        let id = run(&t, &acme, new(Some(30))).await.unwrap().id;
        let put = async |name: &str, encryption: Option<Encryption>, customer_key| {
            let put = PutObject {
                tenant: acme.id.clone(),
                bucket: bucket("acme-sealed"),
                key: key(name),
                meta: ObjectMeta { encryption, ..ObjectMeta::default() },
                len: None,
                must_be_new: false,
                must_have_md5: None,
                customer_key,
                body: Box::new(WholeBody::new(Bytes::from_static(b"pumps"))),
            };
            t.house.perform(acme.root.clone(), put).await.unwrap();
        };
        let under = Encryption { sm4: true, kms: Some(id.to_string()), customer: false };
        put("o", Some(under), None).await;
        put("c", None, Some(CustomerKey::from_bytes(&[7; 32]).unwrap())).await;
        let lin = t.operator("op-lin", "support", "CN").await;
        let ticket = acme.ticket(&t).await;
        for name in ["o", "c"] {
            let grant = acme.ask(&t, &lin, &ticket, ("acme-sealed", name), (30, 9)).await.unwrap();
            let yes = Decision::Approve { minutes: 30, uses_max: 9 };
            acme.decide(&t, &grant, yes).await.unwrap();
        }
        let read = async |name| acme.read(&t, &lin, &ticket, ("acme-sealed", name)).await;
        assert_eq!(&read("o").await.unwrap().bytes[..], b"pumps");
        let refused = read("c").await.map(|w| w.bytes);
        assert!(matches!(refused, Err(Failure::Invalid { field: "CustomerKey", .. })), "{refused:?}");
        let enabled = async |enabled| run(&t, &acme, SetEnabled { key: id.clone(), enabled }).await.unwrap();
        enabled(false).await;
        for refused in [
            read("o").await.map(|w| w.bytes),
            acme.get(&t, &acme.root, "acme-sealed", "o").await.map(|c| c.first),
        ] {
            let disabled = Err(Failure::Key(KeyProblem::State(KeyState::Disabled)));
            assert_eq!(
                format!("{refused:?}"),
                format!("{disabled:?}", disabled = disabled as Result<Bytes, _>)
            );
        }
        enabled(true).await;
        // A key that turns keeps what lies under its former versions.
        t.clock.advance_ms(31 * DAY_MS);
        assert!(t.house.keep_keys().await.unwrap() > 0);
        let content = acme.get(&t, &acme.root, "acme-sealed", "o").await.unwrap();
        assert_eq!(&content.first[..], b"pumps");
    });
}
