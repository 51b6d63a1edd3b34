//! Buckets and objects.

use std::collections::BTreeMap;

use bailee_rooms::handling::{Acknowledge, ListHandling};
use bailee_rooms::vault::{
    AbortUpload, AccessAct, Acl, AppendObject, ApplyLifecycle, ChangeAccess, ChangeWorm, Choice,
    CompleteUpload, Content, CreateBucket, CreateUpload, DeleteBucket, DeleteObject, DeleteVersion,
    DestroyObjects, ExplainLifecycle, GetBucket, GetCustody, GetDestruction, GetLifecycle, GetLock,
    GetObject, GetObjectAcl, GetReplication, GetSettings, GetTags, GetTenantUsage, GetUsage, ListBuckets,
    ListDestructions, ListObjects, ListParts, ListUploads, ListVersions, LockRules, LockWish, MayLock,
    MayTag, ObjectAcl, ObjectMeta, OpenObject, ReadObject, ReadVersion, Repair, RestoreObject, Scrub,
    SeeBucket, SeeObject, SetCors, SetCustody, SetEncryption, SetLegalHold, SetLifecycle, SetLockRules,
    SetLogging, SetObjectAcl, SetQuota, SetReplication, SetRetention, SetTags, SetTenantQuota, SetVersioning,
    Setting, TagsOf, VersionOf, Versioning, Which, WholeBody, WholeClaim, Window, WormAct,
};
use bailee_testkit::{bucket, key};
use bailee_types::GrantId;
use bytes::Bytes;

use super::scene::{BUCKET, OBJECT, PLAIN, Scene, filed, part, place, put};
use super::{Row, granted, may, never, opens, refused};

const NAMES: &str = "names, sizes and types of a tenant whose open ticket he works on";

fn which(s: &Scene) -> Option<Which> {
    Some(Which::Id(s.version.clone()))
}

fn of(s: &Scene) -> VersionOf {
    let (bucket, key) = place();
    VersionOf { tenant: s.id.clone(), bucket, key, which: None }
}

fn tags(s: &Scene) -> TagsOf {
    let (bucket, key) = place();
    TagsOf { tenant: s.id.clone(), bucket, object: Some((key, None)) }
}

fn get(s: &Scene, which: Option<Which>, choice: fn(u64) -> Choice) -> GetObject {
    let (bucket, key) = place();
    let choose = Box::new(move |info: &bailee_rooms::vault::ObjectInfo| choice(info.size));
    GetObject { tenant: s.id.clone(), bucket, key, which, customer_key: None, choose }
}

fn see(s: &Scene, tags: bool) -> SeeObject {
    let (bucket, key) = place();
    SeeObject { tenant: s.id.clone(), bucket, key, which: None, ticket: s.ticket.clone(), tags }
}

fn read(s: &Scene, continues: Option<GrantId>) -> ReadObject {
    let ((bucket, key), ticket) = (place(), s.ticket.clone());
    ReadObject { tenant: s.id.clone(), bucket, key, ticket, start: 0, continues }
}

fn list(s: &Scene, by_ticket: bool) -> ListObjects {
    ListObjects {
        tenant: s.id.clone(),
        bucket: bucket(BUCKET),
        prefix: String::new(),
        delimiter: String::new(),
        after: String::new(),
        entries_max: 100,
        ticket: by_ticket.then(|| s.ticket.clone()),
    }
}

fn versions(s: &Scene, by_ticket: bool) -> ListVersions {
    ListVersions {
        tenant: s.id.clone(),
        bucket: bucket(BUCKET),
        prefix: String::new(),
        delimiter: String::new(),
        after: (String::new(), None),
        entries_max: 100,
        ticket: by_ticket.then(|| s.ticket.clone()),
    }
}

fn all(size: u64) -> Choice {
    Choice::Bytes { start: 0, end: size }
}

fn content(c: Content) -> String {
    format!("{:?} {:?}", c.info, c.first)
}

fn window(w: Window) -> String {
    format!("{:?} {:?}", w.info, w.bytes)
}

fn body(text: &'static str) -> Box<WholeBody> {
    Box::new(WholeBody::new(Bytes::from_static(text.as_bytes())))
}

pub(crate) fn rows() -> Vec<Row> {
    let mut all = looks();
    all.extend(changes());
    all.extend(ends());
    all
}

fn looks() -> Vec<Row> {
    vec![
        opens("NoTicket", |s| get(s, None, all), content),
        opens("NoPermission.OperatorRole", |s| get(s, which(s), all), content),
        opens("NoTicket", |s| get(s, None, |_| Choice::Nothing), content),
        opens("NoTicket", |s| get(s, None, |_| Choice::Parts { after: 0, parts_max: 10 }), content),
        granted(|s| read(s, None), window),
        refused("NoConsent", "Conflict", |s| read(s, Some(s.revoked.id.clone()))),
        granted(
            |s| ReadVersion {
                tenant: s.id.clone(),
                bucket: place().0,
                key: place().1,
                which: None,
                ticket: s.ticket.clone(),
                choose: Box::new(|info| all(info.size)),
            },
            window,
        ),
        refused("Conflict", "Conflict", |s| see(s, false)),
        refused("Conflict", "Conflict", |s| see(s, true)),
        refused("Conflict", "Conflict", |s| SeeBucket {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            ticket: s.ticket.clone(),
        }),
        opens("NoTicket", |s| GetTags(tags(s)), |tags| format!("{tags:?}")),
        refused("NoPermission.OperatorRole", "ok", |s| GetTags(TagsOf { object: None, ..tags(s) })),
        may(("ok", NAMES), "ok", |s| list(s, true), |page| format!("{page:?}")),
        refused("NoTicket", "ok", |s| list(s, false)),
        may(("ok", NAMES), "ok", |s| versions(s, true), |page| format!("{page:?}")),
        refused("NoTicket", "ok", |s| versions(s, false)),
        may(
            ("ok", NAMES),
            "ok",
            |s| ListBuckets { tenant: s.id.clone(), ticket: Some(s.ticket.clone()) },
            |all| format!("{all:?}"),
        ),
        refused("NoTicket", "ok", |s| ListBuckets { tenant: s.id.clone(), ticket: None }),
        never("ok", |s| ListParts {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            key: key("parts"),
            upload: s.upload.clone(),
            after: 0,
            parts_max: 10,
        }),
        never("ok", |s| ListUploads {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            prefix: String::new(),
            delimiter: String::new(),
            after: (String::new(), String::new()),
            uploads_max: 10,
        }),
        refused("NoTicket", "ok", |s| GetBucket { tenant: s.id.clone(), bucket: bucket(BUCKET) }),
        never("ok", |s| GetSettings {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            setting: Setting::Policy,
        }),
        never("ok", |s| GetSettings {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            setting: Setting::Encryption,
        }),
        never("ok", |s| GetCustody { tenant: s.id.clone(), bucket: bucket(BUCKET) }),
        never("ok", |s| GetLifecycle { tenant: s.id.clone(), bucket: bucket(BUCKET) }),
        never("ok", |s| ExplainLifecycle {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            at: s.t.house.now(),
            due_max: 9,
        }),
        never("ok", |s| GetReplication { tenant: s.id.clone(), bucket: bucket(BUCKET) }),
        never("ok", |s| GetUsage { tenant: s.id.clone(), bucket: bucket(BUCKET) }),
        refused("NoTicket", "ok", |s| GetTenantUsage { tenant: s.id.clone() }),
        never("ok", |s| GetObjectAcl { of: of(s) }),
        never("InvalidParameter", |s| GetLock { of: of(s), hold: true }),
        never("InvalidParameter", |s| GetLock { of: of(s), hold: false }),
        never("PublicAccessBlocked", |s| OpenObject { of: of(s) }),
        never("ok", |s| MayTag(tags(s))),
        never("ok", |s| MayLock { of: of(s), wants: LockWish::Retain }),
        never("ok", |s| ListDestructions { tenant: s.id.clone(), before: None, rows_max: 9 }),
        never("NotFound", |s| GetDestruction { tenant: s.id.clone(), record: s.record }),
        never("ok", |s| ListHandling { tenant: s.id.clone(), limit: 9 }),
    ]
}

fn changes() -> Vec<Row> {
    vec![
        never("ok", |s| put(&s.id, (BUCKET, "new.txt"), "pumps")),
        never("ok", |s| AppendObject {
            tenant: s.id.clone(),
            bucket: bucket(PLAIN),
            key: key("appended"),
            position: 0,
            meta: ObjectMeta::default(),
            len: Some(5),
            body: body("pumps"),
        }),
        never("ok", |s| CreateUpload {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            key: key("more"),
            meta: ObjectMeta::default(),
            customer_key: None,
        }),
        never("ok", |s| part(&s.id, &s.upload)),
        never("ok", |s| CompleteUpload {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            key: key("parts"),
            upload: s.upload.clone(),
            parts: None,
            part_min: 0,
            claim: WholeClaim::default(),
            must_be_new: false,
            must_have_md5: None,
        }),
        never("NotFound", |s| AbortUpload {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            key: key("parts"),
            upload: s.upload.clone(),
        }),
        never("ok", |s| CreateBucket {
            tenant: s.id.clone(),
            bucket: bucket("acme-more"),
            region: None,
            tier: None,
        }),
        never("ok", |s| ChangeAccess {
            tenant: s.id.clone(),
            bucket: bucket(PLAIN),
            act: AccessAct::Acl(Acl::Private),
        }),
        never("ok", |s| ChangeAccess {
            tenant: s.id.clone(),
            bucket: bucket(PLAIN),
            act: AccessAct::Policy(None),
        }),
        never("ok", |s| SetObjectAcl { of: of(s), acl: ObjectAcl::Private }),
        never("ok", |s| SetTags { of: tags(s), tags: BTreeMap::from([("a".into(), "b".into())]) }),
        never("ok", |s| SetCors { tenant: s.id.clone(), bucket: bucket(PLAIN), rules: Vec::new() }),
        never("ok", |s| SetCustody { tenant: s.id.clone(), bucket: bucket(PLAIN), key: None }),
        never("ok", |s| SetEncryption { tenant: s.id.clone(), bucket: bucket(PLAIN), encryption: None }),
        never("ok", |s| SetLogging { tenant: s.id.clone(), bucket: bucket(PLAIN), to: None }),
        never("ok", |s| SetLifecycle { tenant: s.id.clone(), bucket: bucket(PLAIN), rules: Vec::new() }),
        never("ok", |s| ApplyLifecycle { tenant: s.id.clone(), bucket: bucket(PLAIN) }),
        never("ok", |s| SetReplication { tenant: s.id.clone(), bucket: bucket(BUCKET), rules: Vec::new() }),
        never("ok", |s| SetQuota { tenant: s.id.clone(), bucket: bucket(PLAIN), bytes_max: None }),
        refused("NoTicket", "Conflict", |s| SetTenantQuota { tenant: s.id.clone(), bytes_max: None }),
        refused("NoTicket", "ok", |s| Scrub {
            tenant: Some(s.id.clone()),
            bucket: Some(bucket(BUCKET)),
            progress: Box::new(|_| {}),
        }),
        never("Conflict", |s| Repair {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            from: s.t.folder().join("blobs"),
            dry_run: false,
            progress: Box::new(|_| {}),
        }),
        refused("NoTicket", "NotFound", |_| Scrub { tenant: None, bucket: None, progress: Box::new(|_| {}) }),
        never("ok", |s| SetVersioning {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            versioning: Versioning::Enabled,
        }),
        never("ok", |s| SetLockRules {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            rules: LockRules::default(),
        }),
        never("ok", |s| SetRetention { of: of(s), retention: None, bypass: false }),
        never("ok", |s| SetLegalHold { of: of(s), hold: false }),
        never("NotFound", |s| ChangeWorm {
            tenant: s.id.clone(),
            bucket: bucket(PLAIN),
            act: WormAct::GiveUp,
        }),
        never("ObjectState", |s| RestoreObject { of: of(s), days: 1 }),
        may(
            ("ok", "compliance files what an order names; nothing happens before another person confirms it"),
            "Conflict",
            |s| filed(&s.id, ""),
            |id| id.to_string(),
        ),
        never("ok", |s| Acknowledge { tenant: s.id.clone(), id: s.takedown.clone() }),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        never("ok", |s| DeleteVersion {
            tenant: s.id.clone(),
            bucket: bucket(BUCKET),
            key: key(OBJECT),
            which: Which::Id(s.version.clone()),
            bypass: false,
        }),
        never("ok", |s| DeleteObject { tenant: s.id.clone(), bucket: bucket(PLAIN), key: key(OBJECT) }),
        never("ok", |s| DestroyObjects {
            tenant: s.id.clone(),
            bucket: bucket(PLAIN),
            prefix: "other.txt".into(),
            exact: true,
        }),
        never("Conflict", |s| DeleteBucket { tenant: s.id.clone(), bucket: bucket(PLAIN) }),
    ]
}
