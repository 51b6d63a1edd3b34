//! Policies of keys and secrets against the whole house, on each engine: who gets in, who stays out, what wins, other servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_rooms::gate::Caller;
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreateUser, Entity, Owner, PolicyType, Presented, WhoCan, Whom, Why,
};
use bailee_rooms::keys::cmk::{
    Ciphertext, Context, CreateKey, Decrypt, Encrypt, KeyAct, KeyOrigin, ReEncrypt, ReEncryptFrom,
    ScheduleDeletion, Spec, Usage,
};
use bailee_rooms::keys::policy::{GetPolicy, Guarded, SetPolicy};
use bailee_rooms::keys::secret::{CreateSecret, DataType, DeleteSecret, GetValue, NewValue, SecretName};
use bailee_rooms::vault::{Encryption, ObjectMeta, PutObject, WholeBody};
use bailee_rooms::{Failure, House};
use bailee_testkit::{TestHouse, TestTenant, bucket, key, on_each_engine, origin};
use bailee_types::{Arn, KeyId, PolicyName, SecretBytes, SecretText, UserName};
use bytes::Bytes;

async fn act<A: KeyAct>(
    house: &Arc<House>,
    who: &Caller,
    acme: &TestTenant,
    act: A,
) -> Result<A::Output, Failure> {
    house.perform(who.clone(), act.of(&acme.id, house)).await
}

async fn root<A: KeyAct>(t: &TestHouse, acme: &TestTenant, a: A) -> Result<A::Output, Failure> {
    act(&t.house, &acme.root, acme, a).await
}

/// A user with some system policies.
async fn user(t: &TestHouse, acme: &TestTenant, name: &str, policies: &[&str]) -> Caller {
    let name = UserName::parse(name).unwrap();
    t.house.perform(acme.root.clone(), CreateUser::named(name.clone()).of(&acme.id)).await.unwrap();
    for policy in policies {
        let attach = AttachPolicy {
            to: Entity::User(name.clone()),
            kind: PolicyType::System,
            policy: PolicyName::parse(policy).unwrap(),
        };
        t.house.perform(acme.root.clone(), attach.of(&acme.id)).await.unwrap();
    }
    let make = CreateAccessKey { owner: Owner::User(name) };
    let made = t.house.perform(acme.root.clone(), make.of(&acme.id)).await.unwrap();
    let id = made.id.as_str();
    let presented = Presented { access_key_id: id, token: None, nonce: None, service: "Kms", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == made.secret.expose() { Ok(()) } else { Err(()) };
    t.house.authenticate(presented, origin(), same).await.map(|(caller, ())| caller).unwrap()
}

fn new(policy: Option<String>) -> CreateKey {
    CreateKey {
        spec: Spec::Aes256,
        usage: Usage::Encrypt,
        origin: KeyOrigin::Own,
        description: String::new(),
        rotation_s: None,
        tags: BTreeMap::new(),
        lies_at: None,
        policy,
    }
}

fn document(acme: &TestTenant, effect: &str, who: &str, actions: &str) -> String {
    format!(
        r#"{{"Version":"1","Statement":[{{"Sid":"s","Effect":"{effect}","Principal":{{"RAM":["acs:ram::{}:{who}"]}},
        "Action":[{actions}],"Resource":["*"]}}]}}"#,
        acme.id
    )
}

async fn set(t: &TestHouse, acme: &TestTenant, id: &KeyId, document: String) {
    root(t, acme, SetPolicy { of: Guarded::Key(id.clone()), document }).await.unwrap();
}

fn encrypt(id: &KeyId) -> Encrypt {
    Encrypt { key: id.clone(), plaintext: SecretBytes::new(b"42 pumps".to_vec()), context: Context::new() }
}

fn decrypt(blob: &Ciphertext) -> Decrypt {
    Decrypt { blob: blob.clone(), context: Context::new() }
}

#[test]
fn a_policy_lets_in_whom_it_names_and_its_no_wins() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let li = user(&t, &acme, "li", &[]).await;
        let crypto = user(&t, &acme, "crypto", &["AliyunKMSCryptoUserAccess"]).await;
        let theirs = user(&t, &globex, "li", &["AdministratorAccess"]).await;
        let id = root(&t, &acme, new(None)).await.unwrap().id;
        let other = root(&t, &acme, new(None)).await.unwrap().id;
        let blob = root(&t, &acme, encrypt(&id)).await.unwrap();
        let usual = root(&t, &acme, GetPolicy { of: Guarded::Key(id.clone()) }).await.unwrap();
        assert!(act(&t.house, &li, &acme, decrypt(&blob)).await.is_err());
        // The usual policy, written back, opens nothing to anybody.
        set(&t, &acme, &id, usual.clone()).await;
        assert!(act(&t.house, &li, &acme, decrypt(&blob)).await.is_err(), "{usual}");
        assert!(act(&t.house, &crypto, &acme, decrypt(&blob)).await.is_ok());
        // Named, he may at once, with this key and what is named only; another server hears of it in seconds.
        let second = t.second();
        assert!(act(&second.house, &li, &acme, decrypt(&blob)).await.is_err());
        set(&t, &acme, &id, document(&acme, "Allow", "user/li", r#""kms:Decrypt","kms:Encrypt""#)).await;
        assert_eq!(act(&t.house, &li, &acme, decrypt(&blob)).await.unwrap().expose(), b"42 pumps");
        assert!(act(&t.house, &li, &acme, encrypt(&other)).await.is_err());
        assert!(act(&t.house, &li, &acme, GetPolicy { of: Guarded::Key(id.clone()) }).await.is_err());
        assert!(act(&t.house, &theirs, &acme, decrypt(&blob)).await.is_err(), "another account");
        t.clock.advance_ms(6_000);
        assert!(act(&second.house, &li, &acme, decrypt(&blob)).await.is_ok());
        // What takes two keys asks the policies of both.
        let from = |to: &KeyId| ReEncrypt {
            from: ReEncryptFrom::Blob(blob.clone(), Context::new()),
            to: to.clone(),
            context: Context::new(),
        };
        let again = |to: &KeyId| act(&t.house, &li, &acme, from(to));
        set(&t, &acme, &id, document(&acme, "Allow", "user/li", r#""kms:*""#)).await;
        assert!(again(&other).await.is_err());
        set(&t, &acme, &other, document(&acme, "Allow", "user/l?", r#""kms:ReEncrypt*""#)).await;
        assert!(again(&other).await.is_ok());
        set(&t, &acme, &other, document(&acme, "Deny", "*", r#""kms:ReEncrypt*""#)).await;
        assert!(again(&other).await.is_err());
        // Who may use one context does not carry what is of another into it.
        let of = |dept: &str| Context::from([("dept".to_owned(), dept.to_owned())]);
        let billing = document(&acme, "Allow", "user/li", r#""kms:*""#).replace(
            r#""Resource":"#,
            r#""Condition":{"StringEquals":{"kms:EncryptionContext/dept":"billing"}},"Resource":"#,
        );
        set(&t, &acme, &other, billing).await;
        let carry = async |dept: &str| {
            let blob = root(&t, &acme, Encrypt { context: of(dept), ..encrypt(&other) }).await.unwrap();
            let from = ReEncryptFrom::Blob(blob, of(dept));
            act(&t.house, &li, &acme, ReEncrypt { from, to: other.clone(), context: of("billing") }).await
        };
        assert!(carry("billing").await.is_ok());
        assert!(matches!(carry("staff").await, Err(Failure::Refused(_))));
        // A Deny wins over a policy of RAM, and does not bind the account's root.
        set(&t, &acme, &id, document(&acme, "Deny", "*", r#""kms:Decrypt""#)).await;
        for who in [&li, &crypto] {
            let no = act(&t.house, who, &acme, decrypt(&blob)).await.unwrap_err();
            assert!(no.to_string().contains("the key's policy"), "{no}");
        }
        assert!(root(&t, &acme, decrypt(&blob)).await.is_ok());
        // Which `why` and `who-can` tell, too.
        let on = Arn::kms(&acme.id, t.house.provider().region.as_str(), &format!("key/{id}"));
        let why = Why {
            tenant: acme.id.clone(),
            whom: Whom::User(UserName::parse("crypto").unwrap()),
            action: "kms:Decrypt".into(),
            resource: on.clone(),
            source_ip: None,
            mfa: false,
            conditions: Vec::new(),
        };
        assert_eq!(t.house.perform(acme.root.clone(), why).await.unwrap().verdict, "explicitDeny");
        set(&t, &acme, &id, document(&acme, "Allow", "user/li", r#""kms:Decrypt""#)).await;
        let who = WhoCan { tenant: acme.id.clone(), action: "kms:Decrypt".into(), resource: on };
        let can = t.house.perform(acme.root.clone(), who).await.unwrap();
        assert!(
            can.iter()
                .any(|c| c.principal == "whom the key's policy names"
                    && c.only_if.join("").contains("user/li")),
            "{can:?}"
        );
    });
}

#[test]
fn a_policy_goes_with_its_key_or_secret_and_a_broken_one_lets_nobody_in() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let li = user(&t, &acme, "li", &[]).await;
        let allow = document(&acme, "Allow", "user/li", r#""kms:*""#);
        let id = root(&t, &acme, new(Some(allow.clone()))).await.unwrap().id;
        assert!(act(&t.house, &li, &acme, encrypt(&id)).await.is_ok());
        let wrong = root(&t, &acme, new(Some(allow.replace(acme.id.as_str(), "1999999999999999"))))
            .await
            .unwrap_err();
        assert!(wrong.to_string().contains("another account"), "{wrong}");
        let name = SecretName::parse("db").unwrap();
        let make = CreateSecret {
            name: name.clone(),
            value: NewValue {
                version: "v1".into(),
                data: SecretBytes::new(b"s3cret".to_vec()),
                data_type: DataType::Text,
            },
            description: String::new(),
            key: Some(id.clone()),
            config: String::new(),
            tags: BTreeMap::new(),
            policy: Some(allow.clone()),
            of_user: None,
        };
        let get = || GetValue { name: name.clone(), version: None, stage: "ACSCurrent".into() };
        root(&t, &acme, make).await.unwrap();
        assert!(act(&t.house, &li, &acme, get()).await.is_ok());
        let deny = document(&acme, "Deny", "*", r#""kms:GetSecretValue""#);
        let of = || Guarded::Secret(name.clone());
        root(&t, &acme, SetPolicy { of: of(), document: deny }).await.unwrap();
        assert!(act(&t.house, &li, &acme, get()).await.is_err());
        let nothing = SetPolicy { of: Guarded::Key(KeyId::random()), document: allow };
        assert!(matches!(root(&t, &acme, nothing).await, Err(Failure::NotFound { .. })));
        // Damaged in the database: nobody gets in by it, nor past it.
        assert_eq!(t.change("UPDATE key_policy SET document = '{' WHERE resource LIKE 'key/%'"), 1);
        t.clock.advance_ms(6_000);
        assert!(matches!(act(&t.house, &li, &acme, encrypt(&id)).await, Err(Failure::Damaged(_))));
        assert_eq!(t.change("DELETE FROM key_policy WHERE resource LIKE 'key/%'"), 1);
        t.clock.advance_ms(6_000);
        root(&t, &acme, DeleteSecret { name: name.clone(), days: None }).await.unwrap();
        set(&t, &acme, &id, document(&acme, "Allow", "user/li", r#""kms:Encrypt""#)).await;
        root(&t, &acme, ScheduleDeletion { key: id.clone(), days: 7 }).await.unwrap();
        t.clock.advance_ms(7 * 86_400_000);
        t.house.keep_keys().await.unwrap();
        assert_eq!(t.change("DELETE FROM key_policy"), 0);
    });
}

#[test]
fn whoever_is_let_to_a_bucket_uses_its_key_by_the_keys_own_policy() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        acme.make_bucket(&t, "acme-bills").await;
        let li = user(&t, &acme, "li", &["AliyunOSSFullAccess"]).await;
        let id = root(&t, &acme, new(None)).await.unwrap().id;
        let put = PutObject {
            customer_key: None,
            tenant: acme.id.clone(),
            bucket: bucket("acme-bills"),
            key: key("b"),
            meta: ObjectMeta {
                encryption: Some(Encryption { sm4: false, kms: Some(id.to_string()), customer: false }),
                ..ObjectMeta::default()
            },
            len: None,
            must_be_new: false,
            must_have_md5: None,
            body: Box::new(WholeBody::new(Bytes::from_static(b"sealed"))),
        };
        t.house.perform(acme.root.clone(), put).await.unwrap();
        let read = || acme.get(&t, &li, "acme-bills", "b");
        assert!(read().await.is_err(), "no right to the key");
        set(&t, &acme, &id, document(&acme, "Allow", "user/li", r#""kms:Decrypt""#)).await;
        assert_eq!(&read().await.unwrap().first[..], b"sealed");
        set(&t, &acme, &id, document(&acme, "Deny", "user/li", r#""kms:Decrypt""#)).await;
        assert!(read().await.is_err());
    });
}
