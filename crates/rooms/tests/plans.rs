//! With 10,000 users and 1,000 policies no request may walk a table from end to end: what the embedded engine plans for the
//! statements of a busy house is looked at, and each walk that is left has a name and a reason here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use bailee_rooms::broker::{self, ListSessions, ListTargets, TakeKeys};
use bailee_rooms::consent::{Decision, GetAllFigures, GetConsentFigures, ListConsents, Span};
use bailee_rooms::handling::ListHandling;
use bailee_rooms::identity::{
    Act, AddUserToGroup, AttachPolicy, CreateAccessKey, CreateGroup, CreatePolicy, CreateUser, Entity,
    GetAccountSummary, GetUser, ListAccessKeys, ListEntitiesForPolicy, ListGroups, ListGroupsForUser,
    ListPolicies, ListPoliciesFor, ListRoles, ListTagResources, ListUsers, ListUsersForGroup, Owner, Paging,
    PolicyType, TagResources, Tagged, WhoCan, Whom, Why,
};
use bailee_rooms::keys::cmk::{
    AliasName, Context, CreateAlias, CreateKey, Decrypt, DeleteAlias, GenerateDataKey, KeyAct, KeyOrigin,
    KeyState, ListAliases, ListKeyStores, ListKeyUses, ListKeys, ListTags, ScheduleDeletion, Spec, Usage,
};
use bailee_rooms::keys::policy::{GetPolicy, Guarded, SetPolicy};
use bailee_rooms::keys::secret::rotate::{OfUser, RotateSecret};
use bailee_rooms::keys::secret::{
    CreateSecret, DataType, DeleteSecret, Filter, GetValue, ListSecrets, NewValue, PutValue, SecretName,
};
use bailee_rooms::notices::{Kind, MailAddress, SetNotifications, Target as NoticeTarget, Wanted};
use bailee_rooms::trail::deliver::{CreateSink, ListSinks, SinkFormat, SinkKind};
use bailee_rooms::trail::{ActFilter, EraseEvents, ListActs};
use bailee_rooms::vault::{
    CompleteUpload, CreateUpload, DeleteObject, DeleteVersion, DestroyObjects, GetDestruction, GetTags,
    ListDestructions, ListObjects, ListParts, ListUploads, ListVersions, ObjectMeta, PutPart, SetTags,
    SetVersioning, Tags, TagsOf, Versioning, Which, WholeBody, WholeClaim,
};
use bailee_testkit::{Engine, TestHouse, TestTenant, bucket, key, runtime};
use bailee_types::{Arn, GroupName, OperatorId, PolicyName, SecretBytes, UserName};

/// What may be walked, end to end or within a tenant: the table as the statement calls it, a part of the statement, and why.
const MEANT: &[(&str, &str, &str)] = &[
    ("head_checkpoint", "", "the newest few, from the end of the index"),
    ("trail", "", "the worker of deliveries: each that is on is due"),
    ("trail_sink", "", "the same"),
    ("notice_target", "", "a tenant's eleven; the worker of digests: an index of who wants them"),
    ("found", "count(*)", "what an index found, up to a limit"),
    ("trail_retention", "", "the worker of retention: tenants that set a period"),
    ("trail_log", "", "the worker of summaries: one row a tenant"),
    ("tenant", "", "one row a tenant"),
    ("tenant_quota", "", "the same"),
    ("trail_witnessing", "", "one row a tenant"),
    ("consent_policy", "", "the same"),
    ("trail_checkpoint", "LIMIT 1", "the newest, from the end of the index"),
    ("digest", "LIMIT 1", "the newest, from the end of the index"),
    ("trail_record", "max(record_index)", "the newest, from the end of the index"),
    ("trail_key_change", "", "a log's changes of key, a few"),
    ("bucket", "", "at most 100 a tenant"),
    ("instance", "", "servers, a few"),
    ("target", "", "at most 1,000 a tenant, a list that is answered whole"),
    ("s", "s.ended_at_ms IS NULL", "sessions that are open: an index of those"),
    ("k", "k.ended_at_ms IS NULL", "keys of operators that are good: an index of those"),
    ("recording_part", "frames IS NULL", "parts that are being written: an index of those"),
    ("r", "FROM consent_request", "requests of a tenant, a page of them"),
    ("a", "WHERE a.tenant_id = ?1 ORDER BY", "who-can asks every policy that is on anybody"),
    ("ram_user", "count(*)", "the limit and the summary"),
    ("ram_group", "count(*)", "the same"),
    ("ram_role", "count(*)", "the same"),
    ("ram_policy", "count(*)", "the same"),
    ("upload", "count(*)", "the limit on uploads under way"),
    ("mfa_device", "ORDER BY device_name", "a list that is answered whole"),
    (
        "cmk",
        "",
        "lists of keys: pages by number with a total, as the protocol has them; at most 10,000 a tenant",
    ),
    ("cmk_alias", "", "the same for aliases"),
    ("secret", "", "the same for secrets"),
    ("t", "FROM access_key k JOIN tenant t", "the tenant of an AccessKey: one row"),
    ("key_store", "", "at most 20 a tenant"),
    ("region", "", "at most 64 a house"),
    ("tenant_key", "", "at most 16 versions a tenant"),
    ("tenant_region", "", "the same"),
    ("handling", "notice_at_ms IS NOT NULL", "what waits to be acknowledged: an index of those"),
    ("handling", "ORDER BY filed_at_ms DESC", "a page, from the end of an index"),
    ("provider_change", "ORDER BY planned_at_ms DESC", "the same"),
    ("glass", "notice_at_ms IS NOT NULL", "what waits to be acknowledged: an index of those"),
    ("glass", "ORDER BY asked_at_ms DESC", "a page, from the end of an index"),
    ("g", "FROM glass g", "the same of one tenant; or one of them"),
    ("cmk_use", "uses > noted", "the worker of uses: an index of what does not stand in a log yet"),
];

async fn run<A: Act>(t: &TestHouse, acme: &TestTenant, act: A)
where
    A::Output: Send,
{
    t.house.perform(acme.root.clone(), act.of(&acme.id)).await.unwrap();
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

async fn keys(t: &TestHouse, acme: &TestTenant) {
    async fn run<A: KeyAct>(t: &TestHouse, acme: &TestTenant, act: A) -> A::Output {
        t.house.perform(acme.root.clone(), act.of(&acme.id, &t.house)).await.unwrap()
    }
    let new = CreateKey {
        spec: Spec::Aes256,
        usage: Usage::Encrypt,
        origin: KeyOrigin::Own,
        description: String::new(),
        rotation_s: Some(7 * 86_400),
        tags: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
        lies_at: None,
        policy: None,
    };
    run(t, acme, ListKeyStores).await;
    let key = run(t, acme, new).await;
    let alias = AliasName::parse("alias/invoices").unwrap();
    run(t, acme, CreateAlias { alias: alias.clone(), key: key.id.clone() }).await;
    assert_eq!(t.house.key_named(&acme.id, "alias/invoices").await.unwrap(), key.id);
    run(t, acme, ListKeys { states: vec![KeyState::Enabled], specs: Vec::new(), page: 1, size: 10 }).await;
    run(t, acme, ListAliases { key: None, page: 1, size: 10 }).await;
    run(t, acme, ListAliases { key: Some(key.id.clone()), page: 1, size: 10 }).await;
    run(t, acme, ListTags { key: key.id.clone() }).await;
    let (_, blob) = run(
        t,
        acme,
        GenerateDataKey {
            key: key.id.clone(),
            bytes: 32,
            context: Context::new(),
            action: "kms:GenerateDataKey",
        },
    )
    .await;
    run(t, acme, Decrypt { blob, context: Context::new() }).await;
    t.house.note_key_uses().await.unwrap();
    assert_eq!(run(t, acme, ListKeyUses { key: key.id.clone(), days: 7 }).await.len(), 2);
    run(t, acme, DeleteAlias { alias }).await;
    let name = SecretName::parse("db/password").unwrap();
    let value = |version: &str| NewValue {
        version: version.into(),
        data: SecretBytes::new(b"s3cret".to_vec()),
        data_type: DataType::Text,
    };
    let make = CreateSecret {
        name: name.clone(),
        value: value("v1"),
        description: String::new(),
        key: Some(key.id.clone()),
        config: String::new(),
        tags: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
        policy: None,
        of_user: None,
    };
    run(t, acme, make).await;
    let of = || Guarded::Secret(name.clone());
    let document = run(t, acme, GetPolicy { of: of() }).await;
    run(t, acme, SetPolicy { of: of(), document }).await;
    run(t, acme, PutValue { name: name.clone(), value: value("v2"), stages: Vec::new() }).await;
    run(t, acme, GetValue { name: name.clone(), version: None, stage: "ACSCurrent".into() }).await;
    run(t, acme, ListSecrets { page: 1, size: 10, filters: Vec::new() }).await;
    let filters = r#"[{"Key":"TagKey","Values":["env"]},{"Key":"SecretType","Values":["Generic"]}]"#;
    let filters = Filter::parse_all(filters).unwrap();
    assert_eq!(run(t, acme, ListSecrets { page: 1, size: 10, filters }).await.total, 1);
    run(t, acme, DeleteSecret { name, days: Some(7) }).await;
    rotate_secret(t, acme).await;
    run(t, acme, ScheduleDeletion { key: key.id.clone(), days: 7 }).await;
    t.house.keep_keys().await.unwrap();
}

async fn rotate_secret(t: &TestHouse, acme: &TestTenant) {
    let name = user("rotated");
    run(t, acme, CreateUser::named(name.clone())).await;
    let make = CreateAccessKey { owner: Owner::User(name.clone()) };
    let made = t.house.perform(acme.root.clone(), make.of(&acme.id)).await.unwrap();
    let (id, secret) = (made.id.as_str(), made.secret.expose());
    let given = format!(r#"{{"AccessKeys":[{{"AccessKeyId":"{id}","AccessKeySecret":"{secret}"}}]}}"#);
    let config = r#"{"SecretSubType":"RamUserAccessKey","UserName":"rotated"}"#;
    let name = SecretName::of_user(&name);
    let make = CreateSecret {
        name: name.clone(),
        value: NewValue {
            version: "v1".into(),
            data: SecretBytes::new(given.into_bytes()),
            data_type: DataType::Text,
        },
        description: String::new(),
        key: None,
        config: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        of_user: Some(OfUser::parse(config, Some(86_400)).unwrap()),
    };
    t.house.perform(acme.root.clone(), make.of(&acme.id, &t.house)).await.unwrap();
    let rotate = RotateSecret { name, version: "v2".into(), by_interval: false };
    t.house.perform(acme.root.clone(), rotate.of(&acme.id, &t.house)).await.unwrap();
    t.clock.advance_ms(43_200_000);
    assert!(t.house.keep_keys().await.unwrap() > 0);
}

async fn work(t: &TestHouse) {
    let acme = t.tenant("acme").await;
    keys(t, &acme).await;
    let page = |marker: Option<&str>| Paging { marker: marker.map(str::to_owned), items_max: 2 };
    let group = GroupName::parse("staff").unwrap();
    let own = PolicyName::parse("own").unwrap();
    run(t, &acme, CreateGroup { name: group.clone(), display_name: String::new(), comments: String::new() })
        .await;
    let document = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#;
    let create = CreatePolicy {
        name: own.clone(),
        document: document.into(),
        description: String::new(),
        tags: vec![("env".into(), "prod".into())],
    };
    run(t, &acme, create).await;
    for name in ["li", "wang", "zhao"] {
        run(t, &acme, CreateUser::named(user(name))).await;
        run(t, &acme, AddUserToGroup { user: user(name), group: group.clone() }).await;
        let attach =
            AttachPolicy { to: Entity::User(user(name)), kind: PolicyType::Custom, policy: own.clone() };
        run(t, &acme, attach).await;
        run(t, &acme, CreateAccessKey { owner: Owner::User(user(name)) }).await;
        run(t, &acme, GetUser { name: user(name) }).await;
        run(t, &acme, ListAccessKeys { owner: Owner::User(user(name)) }).await;
        run(t, &acme, ListGroupsForUser { user: user(name) }).await;
        run(t, &acme, ListPoliciesFor { of: Entity::User(user(name)) }).await;
    }
    let tags = vec![("env".to_owned(), "prod".to_owned())];
    run(t, &acme, TagResources { resources: vec![Tagged::User(user("li"))], tags: tags.clone() }).await;
    for marker in [None, Some("li")] {
        run(t, &acme, ListUsers { page: page(marker), tags: Vec::new() }).await;
        run(t, &acme, ListUsers { page: page(marker), tags: tags.clone() }).await;
        run(t, &acme, ListGroups { page: page(marker) }).await;
        run(t, &acme, ListRoles { page: page(marker), tags: Vec::new(), linked: None }).await;
        run(t, &acme, ListPolicies { kind: None, page: page(marker), tags: Vec::new() }).await;
        run(
            t,
            &acme,
            ListPolicies { kind: Some(PolicyType::Custom), page: page(marker), tags: tags.clone() },
        )
        .await;
        run(t, &acme, ListUsersForGroup { group: group.clone(), page: page(marker) }).await;
    }
    run(t, &acme, ListEntitiesForPolicy { kind: PolicyType::Custom, policy: own }).await;
    for (resources, tags) in [(vec![], vec![]), (vec![Tagged::User(user("li"))], vec![]), (vec![], tags)] {
        run(t, &acme, ListTagResources { kind: "user", resources, tags, after: None, rows_max: 20 }).await;
    }
    run(t, &acme, GetAccountSummary).await;
    let object = Arn::bucket(&acme.id, &bucket("acme-invoices"));
    let root = acme.root.clone();
    let why = Why {
        tenant: acme.id.clone(),
        whom: Whom::User(user("li")),
        action: "oss:GetObject".into(),
        resource: object.clone(),
        source_ip: None,
        mfa: false,
        conditions: Vec::new(),
    };
    t.house.perform(root.clone(), why).await.unwrap();
    let who = WhoCan { tenant: acme.id.clone(), action: "oss:GetObject".into(), resource: object };
    t.house.perform(root.clone(), who).await.unwrap();

    // Objects, consent, an operator's read, the trail.
    acme.make_bucket(t, "acme-invoices").await;
    acme.put(t, "acme-invoices", "a/1.pdf", "content").await;
    acme.get(t, &root, "acme-invoices", "a/1.pdf").await.unwrap();
    for after in ["", "a/1.pdf"] {
        let list = ListObjects {
            tenant: acme.id.clone(),
            bucket: bucket("acme-invoices"),
            prefix: "a".into(),
            delimiter: "/".into(),
            after: after.into(),
            entries_max: 10,
            ticket: None,
        };
        t.house.perform(root.clone(), list).await.unwrap();
    }
    objects_in_parts_and_versions(t, &acme).await;
    let ticket = acme.ticket(t).await;
    let lin = t.operator("op-lin", "support", "CN").await;
    let read = ("acme-invoices", "a/1.pdf");
    let grant = acme.ask(t, &lin, &ticket, read, (30, 3)).await.unwrap();
    acme.decide(t, &grant, Decision::Approve { minutes: 30, uses_max: 3 }).await.unwrap();
    acme.read(t, &lin, &ticket, read).await.unwrap();
    let request = t.house.consent_request(&acme.id, &grant).await.unwrap();
    let take = TakeKeys::of(&request, true, t.house.now()).unwrap();
    t.house.perform(lin.clone(), take).await.unwrap();
    t.house.perform(root.clone(), ListConsents { tenant: acme.id.clone(), requests_max: 10 }).await.unwrap();
    t.house.perform(root.clone(), ListHandling { tenant: acme.id.clone(), limit: 10 }).await.unwrap();
    t.house.to_acknowledge(&acme.id).await.unwrap();
    t.house.remind_tenants().await.unwrap();
    t.house.all_handling(10).await.unwrap();
    let list = ListActs { tenant: acme.id.clone(), filter: ActFilter::default(), before: None, acts_max: 5 };
    let acts = t.house.perform(root.clone(), list).await.unwrap().acts;
    let sink = CreateSink {
        tenant: acme.id.clone(),
        name: "siem".into(),
        kind: SinkKind::Webhook,
        address: "https://siem.example/".into(),
        format: SinkFormat::CloudEvents,
        family: None,
        roots: String::new(),
    };
    t.house.perform(root.clone(), sink).await.unwrap();
    t.house.perform(root, ListSinks { tenant: acme.id.clone() }).await.unwrap();
    t.house.deliver_once(true).await.unwrap();
    let own = acts.iter().find(|a| a.event_name == "CreateUser" || a.write).unwrap().record;
    let erase = EraseEvents {
        tenant: acme.id.clone(),
        records: vec![own],
        reason: "r".into(),
        legal_basis: "l".into(),
    };
    let _ = t.house.perform(t.house.system_caller("test"), erase).await;
    t.house.retain_once().await.unwrap();
    let days = Span::days(None, None, t.house.now()).unwrap();
    t.house
        .perform(acme.root.clone(), GetConsentFigures { tenant: acme.id.clone(), span: days })
        .await
        .unwrap();
    t.house.perform(t.house.system_caller("test"), GetAllFigures { span: days }).await.unwrap();
    let address = MailAddress::parse("ops@acme.example").unwrap();
    let hears = Wanted { target: NoticeTarget::Mail(address), kinds: vec![Kind::Digest] };
    let set = SetNotifications { tenant: acme.id.clone(), targets: vec![hears] };
    t.house.perform(acme.root.clone(), set).await.unwrap();
    t.house.tell_digests().await.unwrap();
    t.house.publish_totals().await.unwrap();
    t.house.summarise_blocks().await.unwrap();
    t.house.head(&acme.id).await.unwrap();
    t.house.places(&acme.id, 100).await.unwrap();
    // One that starts on a log asks for its newest checkpoint.
    drop(t.second());
}

async fn objects_in_parts_and_versions(t: &TestHouse, acme: &TestTenant) {
    let (tenant, named, root) = (&acme.id, bucket("acme-kept"), &acme.root);
    acme.make_bucket(t, "acme-kept").await;
    let set =
        SetVersioning { tenant: tenant.clone(), bucket: named.clone(), versioning: Versioning::Enabled };
    t.house.perform(root.clone(), set).await.unwrap();
    for _ in 0..2 {
        acme.put(t, "acme-kept", "a/1", "content").await;
    }
    let object = TagsOf { tenant: tenant.clone(), bucket: named.clone(), object: Some((key("a/1"), None)) };
    let of_bucket = TagsOf { object: None, ..object.clone() };
    let tags = Tags::from([("a".to_owned(), "1".to_owned())]);
    for of in [object, of_bucket] {
        t.house.perform(root.clone(), SetTags { of: of.clone(), tags: tags.clone() }).await.unwrap();
        assert_eq!(t.house.perform(root.clone(), GetTags(of)).await.unwrap(), tags);
    }
    let delete = DeleteObject { tenant: tenant.clone(), bucket: named.clone(), key: key("a/1") };
    let marker = t.house.perform(root.clone(), delete).await.unwrap().version.unwrap();
    assert!(acme.get(t, root, "acme-kept", "a/1").await.is_err());
    for after in [(String::new(), None), ("a/1".into(), None), ("a/1".into(), Which::parse(&marker))] {
        let list = ListVersions {
            tenant: tenant.clone(),
            bucket: named.clone(),
            prefix: "a".into(),
            delimiter: String::new(),
            after,
            entries_max: 2,
            ticket: None,
        };
        t.house.perform(root.clone(), list).await.unwrap();
    }
    for which in [Which::parse(&marker).unwrap(), Which::Null] {
        let gone = DeleteVersion {
            tenant: tenant.clone(),
            bucket: named.clone(),
            key: key("a/1"),
            which,
            bypass: false,
        };
        t.house.perform(root.clone(), gone).await.unwrap();
    }
    let destroy =
        DestroyObjects { tenant: tenant.clone(), bucket: named.clone(), prefix: "a/".into(), exact: false };
    let record = t.house.perform(root.clone(), destroy).await.unwrap().done.record;
    let list = ListDestructions { tenant: tenant.clone(), before: None, rows_max: 10 };
    assert_eq!(t.house.perform(root.clone(), list).await.unwrap().len(), 1);
    t.house.perform(root.clone(), GetDestruction { tenant: tenant.clone(), record }).await.unwrap();
    let create = CreateUpload {
        customer_key: None,
        tenant: tenant.clone(),
        bucket: named.clone(),
        key: key("big"),
        meta: ObjectMeta::default(),
    };
    let upload = t.house.perform(root.clone(), create).await.unwrap();
    let part = PutPart {
        customer_key: None,
        tenant: tenant.clone(),
        bucket: named.clone(),
        key: key("big"),
        upload: upload.clone(),
        number: 1,
        len: None,
        body: Box::new(WholeBody::new("part".into())),
    };
    t.house.perform(root.clone(), part).await.unwrap();
    let parts = ListParts {
        tenant: tenant.clone(),
        bucket: named.clone(),
        key: key("big"),
        upload: upload.clone(),
        after: 0,
        parts_max: 10,
    };
    t.house.perform(root.clone(), parts).await.unwrap();
    for prefix in ["", "b"] {
        let list = ListUploads {
            tenant: tenant.clone(),
            bucket: named.clone(),
            prefix: prefix.into(),
            delimiter: String::new(),
            after: ("a".into(), String::new()),
            uploads_max: 10,
        };
        t.house.perform(root.clone(), list).await.unwrap();
    }
    let complete = CompleteUpload {
        tenant: tenant.clone(),
        bucket: named,
        key: key("big"),
        upload,
        parts: None,
        part_min: 0,
        claim: WholeClaim::default(),
        must_be_new: false,
        must_have_md5: None,
    };
    t.house.perform(root.clone(), complete).await.unwrap();
    acme.get(t, root, "acme-kept", "big").await.unwrap();
    t.house.keep_sessions(false).await.unwrap();
    t.house.open_sessions(tenant).await.unwrap();
    t.house.operator_sessions(&OperatorId::parse("op-lin").unwrap(), 10).await.unwrap();
    let sessions = ListSessions { tenant: tenant.clone(), session: None, before: None, sessions_max: 10 };
    t.house.perform(root.clone(), sessions).await.unwrap();
    t.house.keys_in_use(tenant).await.unwrap();
    t.house.operator_keys(&OperatorId::parse("op-lin").unwrap()).await.unwrap();
    t.house.perform(root.clone(), broker::ListKeys { tenant: tenant.clone(), before: None }).await.unwrap();
    t.house.perform(root.clone(), ListTargets { tenant: tenant.clone() }).await.unwrap();
    t.house.remove_garbage().await.unwrap();
    t.house.find_orphans(i64::MAX).await.unwrap();
}

#[test]
fn no_statement_of_a_busy_house_walks_what_grows() {
    let t = TestHouse::new(Engine::Sqlite);
    bailee_store::plans::watch();
    runtime().block_on(work(&t));
    let scans = bailee_store::plans::scans();
    let walked = |plan: &str| plan.split_whitespace().nth(1).unwrap_or_default().to_owned();
    // A house that starts looks at the steps of its schema; another test may start one meanwhile.
    let scans: Vec<_> = scans.iter().filter(|(plan, _)| walked(plan) != "schema_migration").collect();
    let is = |scan: &(String, String), (table, part): (&str, &str)| {
        walked(&scan.0) == table && scan.1.contains(part)
    };
    let bad: Vec<_> =
        scans.iter().filter(|s| !MEANT.iter().any(|(table, part, _)| is(s, (table, part)))).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    // Each that is meant is met, or the list is out of date and the test sees less than it says.
    for (table, part, why) in MEANT {
        assert!(scans.iter().any(|s| is(s, (table, part))), "{table} ({why}) is walked no more");
    }
}

#[test]
fn the_limit_on_users_is_the_houses_and_the_summary_says_it() {
    let t = TestHouse::new(Engine::Sqlite);
    runtime().block_on(async {
        let acme = t.tenant("acme").await;
        let small = t.second_with_users(2);
        for name in ["li", "wang"] {
            run(&small, &acme, CreateUser::named(user(name))).await;
        }
        let third = || CreateUser::named(user("zhao")).of(&acme.id);
        let refused = small.house.perform(acme.root.clone(), third()).await;
        assert!(
            matches!(refused, Err(bailee_rooms::Failure::Limit { max: 2, .. })),
            "{:?}",
            refused.map(drop)
        );
        let summary = GetAccountSummary.of(&acme.id);
        let summary = small.house.perform(acme.root.clone(), summary).await.unwrap();
        assert_eq!((summary.users, summary.users_max), (2, 2));
        t.house.perform(acme.root.clone(), third()).await.unwrap();
    });
}
