//! Secrets that rotate, over time, against crashes and against who wants another's AccessKey; on each engine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use bailee_rooms::Failure;
use bailee_rooms::gate::Caller;
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreatePolicy, CreateUser, DeleteAccessKey, DeleteUser, Entity,
    GetKeyNetworks, KeyNetworks, ListAccessKeys, NewAccessKey, Owner, PolicyType, Presented, SetKeyNetworks,
    UpdateAccessKey, UpdateUser,
};
use bailee_rooms::keys::cmk::{CreateKey, KeyAct, KeyOrigin, KeyProblem, SetEnabled, Spec, Usage};
use bailee_rooms::keys::policy::{Guarded, SetPolicy};
use bailee_rooms::keys::secret::rotate::{OfUser, RotateSecret, SetSecretRotation, WINDOW_S};
use bailee_rooms::keys::secret::{
    CreateSecret, DataType, DeleteSecret, DescribeSecret, Filter, GetValue, ListSecretVersions, ListSecrets,
    MoveStage, NewValue, PutValue, RestoreSecret, Secret, SecretName, UpdateSecret,
};
use bailee_rooms::trail::{ActFilter, ListActs};
use bailee_testkit::{Engine, TestHouse, TestTenant, engines, on_each_engine, origin, runtime};
use bailee_types::{AccessKeyId, PolicyName, SecretBytes, SecretText, UserName};
use serde_json::Value;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

async fn by<A: KeyAct>(t: &TestHouse, who: &Caller, acme: &TestTenant, act: A) -> Result<A::Output, Failure> {
    t.house.perform(who.clone(), act.of(&acme.id, &t.house)).await
}

async fn root<A: KeyAct>(t: &TestHouse, acme: &TestTenant, act: A) -> Result<A::Output, Failure> {
    by(t, &acme.root, acme, act).await
}

async fn ram<A: Act>(t: &TestHouse, acme: &TestTenant, act: A) -> Result<A::Output, Failure> {
    t.house.perform(acme.root.clone(), act.of(&acme.id)).await
}

fn named(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn owner(name: &str) -> Owner {
    Owner::User(named(name))
}

/// A user with an AccessKey.
async fn user(t: &TestHouse, acme: &TestTenant, name: &str) -> NewAccessKey {
    ram(t, acme, CreateUser::named(named(name))).await.unwrap();
    ram(t, acme, CreateAccessKey { owner: owner(name) }).await.unwrap()
}

fn secret_of(name: &str) -> SecretName {
    SecretName::of_user(&named(name))
}

fn of_user(name: &str, every_s: Option<i64>) -> OfUser {
    OfUser::parse(&format!(r#"{{"SecretSubType":"RamUserAccessKey","UserName":"{name}"}}"#), every_s).unwrap()
}

fn data_of(id: &str, secret: &str) -> String {
    format!(r#"{{"AccessKeys":[{{"AccessKeyId":"{id}","AccessKeySecret":"{secret}"}}]}}"#)
}

fn make_with(name: &str, data: String, every_s: Option<i64>) -> CreateSecret {
    CreateSecret {
        name: secret_of(name),
        value: NewValue {
            version: "v1".into(),
            data: SecretBytes::new(data.into_bytes()),
            data_type: DataType::Text,
        },
        description: String::new(),
        key: None,
        config: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        of_user: Some(of_user(name, every_s)),
    }
}

fn make(name: &str, key: &NewAccessKey, every_s: Option<i64>) -> CreateSecret {
    make_with(name, data_of(key.id.as_str(), key.secret.expose()), every_s)
}

fn rotate(name: &str, version: &str) -> RotateSecret {
    RotateSecret { name: secret_of(name), version: version.into(), by_interval: false }
}

/// What a reader of the secret gets.
async fn read(t: &TestHouse, acme: &TestTenant, name: &str) -> NewAccessKey {
    let get = GetValue { name: secret_of(name), version: None, stage: "ACSCurrent".into() };
    let value = root(t, acme, get).await.unwrap();
    let told: Value = serde_json::from_slice(value.data.expose()).unwrap();
    assert!(told["GenerateTimestamp"].as_str().unwrap().ends_with('Z'));
    NewAccessKey {
        id: AccessKeyId::parse(told["AccessKeyId"].as_str().unwrap()).unwrap(),
        secret: SecretText::new(told["AccessKeySecret"].as_str().unwrap().to_owned()),
        created_at: value.version.created_at,
    }
}

async fn caller(t: &TestHouse, key: &NewAccessKey) -> Option<Caller> {
    let id = key.id.as_str();
    let presented = Presented { access_key_id: id, token: None, nonce: None, service: "Ram", scheme: "test" };
    let same = |kept: &SecretText| if kept.expose() == key.secret.expose() { Ok(()) } else { Err(()) };
    t.house.authenticate(presented, origin(), same).await.ok().map(|(caller, ())| caller)
}

async fn works(t: &TestHouse, key: &NewAccessKey) -> bool {
    caller(t, key).await.is_some()
}

async fn show(t: &TestHouse, acme: &TestTenant, name: &str) -> Secret {
    root(t, acme, DescribeSecret { name: secret_of(name) }).await.unwrap().0
}

async fn versions(t: &TestHouse, acme: &TestTenant, name: &str) -> Vec<(String, Vec<String>)> {
    let list = ListSecretVersions { name: secret_of(name), all: true };
    root(t, acme, list).await.unwrap().into_iter().map(|v| (v.id, v.stages)).collect()
}

/// Acts of the log by name, the oldest first: their results.
async fn acts(t: &TestHouse, acme: &TestTenant, name: &str) -> Vec<String> {
    let filter = ActFilter { event_name: Some(name.to_owned()), ..ActFilter::default() };
    let list = ListActs { tenant: acme.id.clone(), filter, before: None, acts_max: 100 };
    let found = t.house.perform(acme.root.clone(), list).await.unwrap().acts;
    found.iter().rev().map(|a| format!("{a:?}")).collect()
}

#[test]
fn a_rotation_gives_a_new_accesskey_and_the_old_one_works_until_its_time() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let first = user(&t, &acme, "app").await;
        let made = root(&t, &acme, make("app", &first, None)).await.unwrap();
        assert_eq!((made.name.as_str(), made.holds.word()), ("acs/ram/user/app", "RAMCredentials"));
        assert_eq!(read(&t, &acme, "app").await.id, first.id);
        // From where the old one may be used the new one may.
        let only =
            KeyNetworks::of_networks("203.0.113.0/24;127.0.0.0/8;192.0.2.0/24;198.51.100.0/24").unwrap();
        let set = SetKeyNetworks { owner: owner("app"), id: first.id.clone(), to: only.clone() };
        ram(&t, &acme, set).await.unwrap();

        root(&t, &acme, rotate("app", "v2")).await.unwrap();
        let second = read(&t, &acme, "app").await;
        assert_ne!(second.id, first.id);
        assert!(works(&t, &first).await && works(&t, &second).await, "both work for a while");
        let networks = GetKeyNetworks { owner: owner("app"), id: second.id.clone() };
        assert_eq!(ram(&t, &acme, networks).await.unwrap(), only);
        let stages = |v: &str, s: &str| (v.to_owned(), vec![s.to_owned()]);
        let both = vec![stages("v1", "ACSPrevious"), stages("v2", "ACSCurrent")];
        assert_eq!(versions(&t, &acme, "app").await, both);

        // The same again has nothing to do; another one waits.
        root(&t, &acme, rotate("app", "v2")).await.unwrap();
        assert_eq!(read(&t, &acme, "app").await.id, second.id);
        for refused in [
            root(&t, &acme, rotate("app", "v3")).await,
            root(&t, &acme, SetSecretRotation { name: secret_of("app"), every_s: Some(86_400) }).await,
        ] {
            assert!(matches!(refused, Err(Failure::Key(KeyProblem::Rotating))), "{refused:?}");
        }
        t.clock.advance_ms(WINDOW_S * 1_000 - 1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0, "not yet");
        assert!(works(&t, &first).await);
        t.clock.advance_ms(1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert!(!works(&t, &first).await && works(&t, &second).await);
        assert_eq!(versions(&t, &acme, "app").await, vec![stages("v2", "ACSCurrent")]);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0, "once");

        // Each step stands in the tenant's log, those of the service under its name.
        for (name, times) in
            [("RotateSecret", 3), ("CreateAccessKey", 2), ("DeleteAccessKey", 1), ("RetireSecretVersion", 1)]
        {
            assert_eq!(acts(&t, &acme, name).await.len(), times, "{name}");
        }
        let by_service = acts(&t, &acme, "CreateAccessKey").await;
        assert!(by_service.last().unwrap().contains("secret rotation"), "{by_service:?}");
        assert!(!format!("{by_service:?}").contains(second.secret.expose()));
    });
}

#[test]
fn a_secret_rotates_by_itself_and_says_when() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let first = user(&t, &acme, "app").await;
        let made = root(&t, &acme, make("app", &first, Some(6 * 3_600))).await.unwrap();
        assert_eq!(made.rotates.next_at.unwrap().ms(), made.created_at.ms() + 6 * HOUR_MS);
        t.clock.advance_ms(6 * HOUR_MS - 1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        t.clock.advance_ms(1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        let second = read(&t, &acme, "app").await;
        assert!(second.id != first.id && works(&t, &first).await && works(&t, &second).await);
        let told = show(&t, &acme, "app").await.rotates;
        assert_eq!((told.last_at, told.word()), (Some(t.house.now()), "Enabled"));
        // A secret that rotates often lets the old one work for half of its interval.
        t.clock.advance_ms(3 * HOUR_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert!(!works(&t, &first).await && works(&t, &second).await);

        root(&t, &acme, SetSecretRotation { name: secret_of("app"), every_s: None }).await.unwrap();
        t.clock.advance_ms(400 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        // What was missed is done once, from the last rotation on.
        root(&t, &acme, SetSecretRotation { name: secret_of("app"), every_s: Some(86_400) }).await.unwrap();
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        // One that waits for its end does not rotate; called back it does.
        t.clock.advance_ms(12 * HOUR_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1, "the AccessKey of before ends");
        root(&t, &acme, DeleteSecret { name: secret_of("app"), days: Some(30) }).await.unwrap();
        t.clock.advance_ms(5 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        root(&t, &acme, RestoreSecret { name: secret_of("app") }).await.unwrap();
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert!(works(&t, &read(&t, &acme, "app").await).await);
    });
}

#[test]
fn a_rotation_that_cannot_be_done_says_so_and_loses_nothing() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let first = user(&t, &acme, "app").await;
        root(&t, &acme, make("app", &first, Some(86_400))).await.unwrap();
        // A second AccessKey takes the place that a rotation needs.
        let other = ram(&t, &acme, CreateAccessKey { owner: owner("app") }).await.unwrap();
        let refused = root(&t, &acme, rotate("app", "v2")).await;
        assert!(matches!(refused, Err(Failure::Limit { .. })), "{refused:?}");
        assert_eq!(read(&t, &acme, "app").await.id, first.id);
        t.clock.advance_ms(DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        assert_eq!(show(&t, &acme, "app").await.rotates.word(), "Invalid");
        let tried = acts(&t, &acme, "RotateSecret").await.len();
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
        assert_eq!(acts(&t, &acme, "RotateSecret").await.len(), tried, "not each minute");
        ram(&t, &acme, DeleteAccessKey { owner: owner("app"), id: other.id }).await.unwrap();
        t.clock.advance_ms(HOUR_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        assert_eq!(show(&t, &acme, "app").await.rotates.word(), "Enabled");
        let second = read(&t, &acme, "app").await;
        assert!(works(&t, &second).await);

        // A leaked AccessKey is deleted by hand: then nothing is to wait for.
        ram(&t, &acme, DeleteAccessKey { owner: owner("app"), id: first.id }).await.unwrap();
        root(&t, &acme, rotate("app", "v9")).await.unwrap();
        let third = read(&t, &acme, "app").await;
        assert!(third.id != second.id && works(&t, &third).await);

        // Without its user it cannot rotate, and is not another's who takes the name.
        for id in [second.id, third.id] {
            ram(&t, &acme, DeleteAccessKey { owner: owner("app"), id }).await.unwrap();
        }
        ram(&t, &acme, DeleteUser { name: named("app") }).await.unwrap();
        let heir = user(&t, &acme, "app").await;
        let refused = root(&t, &acme, rotate("app", "v10")).await;
        assert!(matches!(refused, Err(Failure::NotFound { .. })), "{refused:?}");
        let keys = ram(&t, &acme, ListAccessKeys { owner: owner("app") }).await.unwrap();
        assert_eq!(keys.iter().map(|k| &k.id).collect::<Vec<_>>(), [&heir.id]);
    });
}

#[test]
fn a_user_who_is_renamed_keeps_his_secret_and_has_one_only() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let first = user(&t, &acme, "app").await;
        root(&t, &acme, make("app", &first, None)).await.unwrap();
        let rename = UpdateUser {
            name: named("app"),
            new_name: Some(named("web")),
            display_name: None,
            comments: None,
            email: None,
            mobile_phone: None,
        };
        ram(&t, &acme, rename).await.unwrap();
        let stranger = user(&t, &acme, "app").await;
        root(&t, &acme, rotate("app", "v2")).await.unwrap();
        let second = read(&t, &acme, "app").await;
        assert_eq!(caller(&t, &second).await.unwrap().name(), "web", "the id counts, not the name");
        assert_eq!(caller(&t, &stranger).await.unwrap().name(), "app");
        ram(&t, &acme, DeleteAccessKey { owner: owner("web"), id: first.id }).await.unwrap();
        let again = root(&t, &acme, make("web", &second, None)).await;
        assert!(
            matches!(&again, Err(Failure::Exists { name, .. }) if name == "acs/ram/user/app"),
            "{again:?}"
        );
    });
}

#[test]
fn only_a_living_accesskey_of_that_user_with_its_secret_is_taken() {
    on_each_engine(async |t| {
        let (acme, globex) = (t.tenant("acme").await, t.tenant("globex").await);
        let (mine, theirs) = (user(&t, &acme, "app").await, user(&t, &globex, "app").await);
        let other = user(&t, &acme, "other").await;
        let roots = ram(&t, &acme, CreateAccessKey { owner: Owner::Root }).await.unwrap();
        let (id, secret) = (mine.id.as_str(), mine.secret.expose());
        for (data, why) in [
            (data_of(id, "x"), "another secret"),
            (data_of(id, &secret[1..]), "a part of the secret"),
            (data_of(id, ""), "no secret"),
            (data_of(theirs.id.as_str(), theirs.secret.expose()), "another tenant's"),
            (data_of(other.id.as_str(), other.secret.expose()), "another user's"),
            (data_of(roots.id.as_str(), roots.secret.expose()), "root's"),
            (data_of("LTAI5tNobody", secret), "nobody's"),
            (String::from("{}"), "none"),
            (String::from(r#"{"AccessKeys":[]}"#), "an empty list"),
            (format!(r#"{{"AccessKeyId":"{id}","AccessKeySecret":"{secret}"}}"#), "another form"),
            ("[".repeat(20_000), "nonsense"),
        ] {
            let refused = root(&t, &acme, make_with("app", data, None)).await;
            assert!(
                matches!(&refused, Err(Failure::Invalid { field: "SecretData", .. })),
                "{why}: {refused:?}"
            );
            assert!(!format!("{refused:?}").contains(secret), "{why}: the secret is told");
        }
        let off = UpdateAccessKey { owner: owner("app"), id: mine.id.clone(), active: false };
        ram(&t, &acme, off.clone()).await.unwrap();
        assert!(root(&t, &acme, make("app", &mine, None)).await.is_err(), "an inactive one");
        ram(&t, &acme, UpdateAccessKey { active: true, ..off }).await.unwrap();
        let second = ram(&t, &acme, CreateAccessKey { owner: owner("app") }).await.unwrap();
        assert!(root(&t, &acme, make("app", &mine, None)).await.is_err(), "a rotation would have no place");
        ram(&t, &acme, DeleteAccessKey { owner: owner("app"), id: second.id }).await.unwrap();
        let nobody = root(&t, &acme, make_with("nobody", data_of(id, secret), None)).await;
        assert!(matches!(nobody, Err(Failure::NotFound { .. })), "{nobody:?}");
        for bad in [
            "{}",
            "",
            "[]",
            r#"{"SecretSubType":"RamUser","UserName":"app"}"#,
            r#"{"SecretSubType":"RamUserAccessKey"}"#,
            r#"{"SecretSubType":"RamUserAccessKey","UserName":"a b"}"#,
            r#"{"SecretSubType":"RamUserAccessKey","UserName":"app","More":1}"#,
            r#"{"SecretSubType":"RamUserAccessKey","UserName":"app","CustomData":{"a":1}}"#,
        ] {
            assert!(OfUser::parse(bad, None).is_err(), "{bad}");
        }
        let good = r#"{"SecretSubType":"RamUserAccessKey","UserName":"app","CustomData":{"a":"b"}}"#;
        for every_s in [-1, 0, 6 * 3_600 - 1, 365 * 86_400 + 1, i64::MAX] {
            assert!(OfUser::parse(good, Some(every_s)).is_err(), "{every_s}");
        }
        let create = CreateSecret {
            of_user: Some(OfUser::parse(good, Some(365 * 86_400)).unwrap()),
            ..make("app", &mine, None)
        };
        root(&t, &acme, create).await.unwrap();

        // What its owner adds to the settings can be changed, what it is of cannot.
        for (config, kept) in [
            (
                r#"{"c":"d"}"#,
                r#"{"CustomData":{"c":"d"},"SecretSubType":"RamUserAccessKey","UserName":"app"}"#,
            ),
            (
                r#"{"UserName":"other","CustomData":{}}"#,
                r#"{"CustomData":{},"SecretSubType":"RamUserAccessKey","UserName":"app"}"#,
            ),
        ] {
            let name = secret_of("app");
            root(&t, &acme, UpdateSecret { name, description: None, config: Some(config.into()) })
                .await
                .unwrap();
            let now: Value = serde_json::from_str(&show(&t, &acme, "app").await.config).unwrap();
            assert_eq!(now, serde_json::from_str::<Value>(kept).unwrap());
        }
        // Its versions and stages are the rotation's.
        let name = || secret_of("app");
        let value = || NewValue {
            version: "v2".into(),
            data: SecretBytes::new(b"x".to_vec()),
            data_type: DataType::Text,
        };
        let put = root(&t, &acme, PutValue { name: name(), value: value(), stages: Vec::new() }).await;
        assert!(matches!(put, Err(Failure::Key(KeyProblem::SecretType(_)))), "{put:?}");
        let stage = MoveStage { name: name(), stage: "mine".into(), from: None, to: Some("v1".into()) };
        assert!(matches!(root(&t, &acme, stage).await, Err(Failure::Key(KeyProblem::SecretType(_)))));
        // And one that anybody fills does not rotate, nor take such a name.
        let generic = |name: &str| CreateSecret {
            name: SecretName::parse(name).unwrap(),
            value: value(),
            of_user: None,
            ..make("app", &mine, None)
        };
        assert!(matches!(root(&t, &acme, generic("acs/ram/user/other")).await, Err(Failure::Invalid { .. })));
        root(&t, &acme, generic("db")).await.unwrap();
        let db = || SecretName::parse("db").unwrap();
        for refused in [
            root(&t, &acme, RotateSecret { name: db(), version: "v3".into(), by_interval: false }).await,
            root(&t, &acme, SetSecretRotation { name: db(), every_s: Some(86_400) }).await,
        ] {
            assert!(matches!(refused, Err(Failure::Key(KeyProblem::SecretType(_)))), "{refused:?}");
        }
    });
}

#[test]
fn a_secret_is_no_way_to_accesskeys_that_its_maker_could_not_make() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let (app, keeper) = (user(&t, &acme, "app").await, user(&t, &acme, "keeper").await);
        let attach = |kind, policy: &str| AttachPolicy {
            to: Entity::User(named("keeper")),
            kind,
            policy: PolicyName::parse(policy).unwrap(),
        };
        ram(&t, &acme, attach(PolicyType::System, "AliyunKMSSecretAdminAccess")).await.unwrap();
        let who = caller(&t, &keeper).await.unwrap();
        // He has the AccessKey, and all rights to secrets; yet not to make the user further ones.
        let refused = by(&t, &who, &acme, make("app", &app, None)).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
        // Nor does he learn whether a secret is right.
        let wrong = by(&t, &who, &acme, make_with("app", data_of(app.id.as_str(), "x"), None)).await;
        assert!(matches!(wrong, Err(Failure::Refused(_))), "{wrong:?}");
        let on = |action: &str, name: &str| CreatePolicy {
            name: PolicyName::parse(name).unwrap(),
            description: String::new(),
            document: format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"ram:{action}","Resource":"acs:ram::*:user/app"}}]}}"#
            ),
            tags: Vec::new(),
        };
        ram(&t, &acme, on("CreateAccessKey", "creates")).await.unwrap();
        ram(&t, &acme, on("DeleteAccessKey", "deletes")).await.unwrap();
        ram(&t, &acme, attach(PolicyType::Custom, "creates")).await.unwrap();
        let who = caller(&t, &keeper).await.unwrap();
        let refused = by(&t, &who, &acme, make("app", &app, None)).await;
        assert!(matches!(refused, Err(Failure::Refused(_))), "the old one is deleted, too: {refused:?}");
        ram(&t, &acme, attach(PolicyType::Custom, "deletes")).await.unwrap();
        let who = caller(&t, &keeper).await.unwrap();
        by(&t, &who, &acme, make("app", &app, None)).await.unwrap();
        // The secret's own policy is asked for the new acts, and wins.
        let deny = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Deny","Principal":{{"RAM":["acs:ram::{}:user/keeper"]}},
            "Action":["kms:RotateSecret","kms:UpdateSecretRotationPolicy"],"Resource":["*"]}}]}}"#,
            acme.id
        );
        let of = Guarded::Secret(secret_of("app"));
        root(&t, &acme, SetPolicy { of: of.clone(), document: deny.clone() }).await.unwrap();
        for refused in [
            by(&t, &who, &acme, rotate("app", "v2")).await,
            by(&t, &who, &acme, SetSecretRotation { name: secret_of("app"), every_s: Some(86_400) }).await,
        ] {
            assert!(matches!(refused, Err(Failure::Refused(_))), "{refused:?}");
        }
        root(&t, &acme, SetPolicy { of, document: deny.replace("Deny", "Allow") }).await.unwrap();
        by(&t, &who, &acme, rotate("app", "v2")).await.unwrap();
        // Another tenant finds nothing.
        let globex = t.tenant("globex").await;
        let there = root(&t, &globex, rotate("app", "v3")).await;
        assert!(matches!(there, Err(Failure::NotFound { .. })), "{there:?}");
    });
}

/// Whether what a reader gets works, and the user has at most two AccessKeys.
async fn sound(t: &TestHouse, acme: &TestTenant, when: &str) {
    assert!(works(t, &read(t, acme, "app").await).await, "{when}: ACSCurrent works");
    let keys = ram(t, acme, ListAccessKeys { owner: owner("app") }).await.unwrap();
    assert!(keys.len() <= 2, "{when}: {keys:?}");
}

#[test]
fn a_process_that_dies_between_two_steps_leaves_what_the_next_one_finishes() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let mut current = user(&t, &acme, "app").await;
        root(&t, &acme, make("app", &current, None)).await.unwrap();
        // Each index lets the house stop at one step: before the AccessKey is made, and before the secret names it.
        let stops = ["access_key (tenant_id, owner)", "secret_version (tenant_id, name, data_type)"];
        for (n, stop) in stops.into_iter().enumerate() {
            let version = format!("stopped-{n}");
            t.change(&format!("CREATE UNIQUE INDEX stop ON {stop}"));
            let stopped = root(&t, &acme, rotate("app", &version)).await;
            assert!(stopped.is_err(), "{stop}");
            sound(&t, &acme, stop).await;
            assert_eq!(read(&t, &acme, "app").await.id, current.id);
            t.change("DROP INDEX stop");
            // Another process goes on with it, at once.
            let next = t.second();
            assert_eq!(next.house.keep_keys().await.unwrap(), 1);
            sound(&next, &acme, "gone on").await;
            let new = read(&next, &acme, "app").await;
            assert_ne!(new.id, current.id);
            assert!(works(&next, &current).await, "the old one works on");
            assert!(versions(&next, &acme, "app").await.iter().any(|v| v.0 == version));
            // And its end: the AccessKey is gone, its version is still there.
            t.change(&format!("DELETE FROM access_key WHERE access_key_id = '{}'", current.id));
            t.clock.advance_ms(WINDOW_S * 1_000);
            assert_eq!(t.house.keep_keys().await.unwrap(), 1);
            assert_eq!(versions(&t, &acme, "app").await, [(version, vec!["ACSCurrent".to_owned()])]);
            sound(&t, &acme, "ended").await;
            current = new;
        }
    });
}

/// The process is gone at any moment: its runtime ends with what runs on it.
#[test]
fn a_rotation_that_is_killed_at_any_moment_is_finished() {
    let rounds: u64 = std::env::var("BAILEE_KILL_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(40);
    for engine in engines() {
        let t = TestHouse::new(engine);
        let acme = runtime().block_on(async {
            let acme = t.tenant("acme").await;
            let key = user(&t, &acme, "app").await;
            root(&t, &acme, make("app", &key, Some(86_400))).await.unwrap();
            acme
        });
        let (mut begun, mut finished) = (0, 0);
        for round in 0..rounds {
            let doomed = runtime();
            let version = format!("r{round}");
            let act = rotate("app", &version).of(&acme.id, &t.house);
            let running = doomed.spawn({
                let (house, who) = (std::sync::Arc::clone(&t.house), acme.root.clone());
                async move { house.perform(who, act).await }
            });
            std::thread::sleep(Duration::from_micros(
                round * 37 % 1_000 * if engine == Engine::Postgres { 40 } else { 8 },
            ));
            let done = running.is_finished();
            doomed.shutdown_timeout(Duration::from_secs(5));
            runtime().block_on(async {
                sound(&t, &acme, &version).await;
                let there = versions(&t, &acme, "app").await.iter().any(|v| v.0 == version);
                assert!(!done || there, "{version}: it was said to be done");
                begun += u64::from(t.house.keep_keys().await.unwrap() > 0);
                sound(&t, &acme, &version).await;
                finished += u64::from(there);
                // Who asks again for what was killed gets it.
                root(&t, &acme, rotate("app", &version)).await.unwrap();
                assert!(versions(&t, &acme, "app").await.iter().any(|v| v.0 == version));
                sound(&t, &acme, &version).await;
                t.clock.advance_ms(12 * HOUR_MS);
                t.house.keep_keys().await.unwrap();
                sound(&t, &acme, &version).await;
                let keys = ram(&t, &acme, ListAccessKeys { owner: owner("app") }).await.unwrap();
                assert_eq!(keys.len(), 1, "{version}: the old one is gone, and nothing was left");
            });
        }
        eprintln!("{engine:?}: of {rounds} kills {begun} hit a rotation under way, {finished} came too late");
    }
}

#[test]
fn two_who_rotate_at_once_make_one_accesskey() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = user(&t, &acme, "app").await;
        root(&t, &acme, make("app", &key, None)).await.unwrap();
        let other = t.second();
        let all = futures_util::future::join_all((0..8).map(|n| {
            let house = if n % 2 == 0 { &t } else { &other };
            root(house, &acme, rotate("app", if n < 6 { "same" } else { "another" }))
        }))
        .await;
        let done = all.iter().filter(|r| r.is_ok()).count();
        assert!((2..=6).contains(&done), "{all:?}");
        for refused in all.into_iter().filter_map(Result::err) {
            assert!(matches!(refused, Failure::Key(KeyProblem::Rotating)), "{refused:?}");
        }
        sound(&t, &acme, "after all").await;
        let keys = ram(&t, &acme, ListAccessKeys { owner: owner("app") }).await.unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(versions(&t, &acme, "app").await.len(), 2);
    });
}

#[test]
fn a_value_lies_under_the_key_that_its_owner_named_and_waits_for_it() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let new = CreateKey {
            spec: Spec::Aes256,
            usage: Usage::Encrypt,
            origin: KeyOrigin::Own,
            description: String::new(),
            rotation_s: None,
            tags: BTreeMap::new(),
            lies_at: None,
            policy: None,
        };
        let cmk = root(&t, &acme, new).await.unwrap().id;
        let first = user(&t, &acme, "app").await;
        let with_key = CreateSecret { key: Some(cmk.clone()), ..make("app", &first, Some(86_400)) };
        root(&t, &acme, with_key).await.unwrap();
        root(&t, &acme, SetEnabled { key: cmk.clone(), enabled: false }).await.unwrap();
        t.clock.advance_ms(DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0, "the key does nothing now");
        assert_eq!(show(&t, &acme, "app").await.rotates.word(), "Invalid");
        assert!(works(&t, &first).await);
        root(&t, &acme, SetEnabled { key: cmk.clone(), enabled: true }).await.unwrap();
        t.clock.advance_ms(HOUR_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 1);
        sound(&t, &acme, "under its key").await;
        // A secret that is destroyed leaves the user what he has.
        let left = read(&t, &acme, "app").await;
        root(&t, &acme, DeleteSecret { name: secret_of("app"), days: None }).await.unwrap();
        assert!(works(&t, &left).await);
        t.clock.advance_ms(10 * DAY_MS);
        assert_eq!(t.house.keep_keys().await.unwrap(), 0);
    });
}

#[test]
fn a_list_shows_what_all_of_its_filters_let_through() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        let key = user(&t, &acme, "app").await;
        root(&t, &acme, make("app", &key, None)).await.unwrap();
        for (name, description, tags) in [
            ("a", "first", vec![("team", "red"), ("env", "prod")]),
            ("b", "second", vec![("team", "blue"), ("env", "red")]),
            ("c", "first", vec![]),
        ] {
            let create = CreateSecret {
                name: SecretName::parse(name).unwrap(),
                description: description.into(),
                tags: tags.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                of_user: None,
                ..make("app", &key, None)
            };
            root(&t, &acme, create).await.unwrap();
        }
        let found = async |filters: &str| {
            let filters = Filter::parse_all(filters).unwrap();
            let found = root(&t, &acme, ListSecrets { page: 1, size: 10, filters }).await.unwrap();
            assert_eq!(found.total as usize, found.items.len(), "the total is of what is shown");
            found.items.iter().map(|(s, _)| s.name.to_string()).collect::<Vec<_>>().join(" ")
        };
        for (filters, wanted) in [
            ("[]", "a acs/ram/user/app b c"),
            (r#"[{"Key":"SecretName","Values":["a","c","nobody"]}]"#, "a c"),
            (r#"[{"Key":"SecretName","Values":[]}]"#, "a acs/ram/user/app b c"),
            (r#"[{"Key":"Description","Values":["first"]}]"#, "a c"),
            (r#"[{"Key":"Description","Values":["first"]},{"Key":"SecretName","Values":["c"]}]"#, "c"),
            (r#"[{"Key":"TagKey","Values":["team"]}]"#, "a b"),
            (r#"[{"Key":"TagValue","Values":["red"]}]"#, "a b"),
            (r#"[{"Key":"TagKey","Values":["team"]},{"Key":"TagValue","Values":["red"]}]"#, "a"),
            (r#"[{"Key":"SecretType","Values":["RAMCredentials"]}]"#, "acs/ram/user/app"),
            (r#"[{"Key":"SecretType","Values":["generic","Rds"]}]"#, "a b c"),
            (r#"[{"Key":"SecretType","Values":["Rds"]}]"#, ""),
            (r#"[{"Key":"Description","Values":["' OR '1'='1"]}]"#, ""),
        ] {
            assert_eq!(found(filters).await, wanted, "{filters}");
        }
        let page = ListSecrets {
            page: 2,
            size: 1,
            filters: Filter::parse_all(r#"[{"Key":"TagKey","Values":["team"]}]"#).unwrap(),
        };
        let page = root(&t, &acme, page).await.unwrap();
        assert_eq!((page.total, page.items[0].0.name.as_str()), (2, "b"));
        let many = |n| format!("[{}]", vec![r#"{"Key":"TagKey","Values":["x"]}"#; n].join(","));
        let long = |n| format!(r#"[{{"Key":"TagKey","Values":[{}]}}]"#, vec![r#""x""#; n].join(","));
        for good in [many(10), long(10)] {
            assert!(Filter::parse_all(&good).is_ok());
        }
        for bad in [
            many(11),
            long(11),
            "{}".into(),
            "[".repeat(50_000),
            r#"[{"Key":"Creator","Values":["x"]}]"#.into(),
            r#"[{"Key":"SecretName","Values":["a*"]}]"#.into(),
            r#"[{"Key":"SecretName","Values":"a"}]"#.into(),
        ] {
            assert!(Filter::parse_all(&bad).is_err(), "{}", bad.get(..60).unwrap_or(&bad));
        }
    });
}
