//! One typed request → one operation → one reply.

use std::collections::BTreeMap;
use std::sync::Arc;

use bailee_rooms::gate::{Caller, Operation, Origin};
use bailee_rooms::vault::{
    Acl, AppendObject, Choice, Content, CreateBucket, DeleteBucket, GetBucket, GetObject, ListBuckets,
    ListObjects, Listed, LockRules, ObjectInfo, ObjectMeta, ObjectPage, PutObject, SetLockRules,
    SetVersioning, Versioning,
};
use bailee_types::{BucketName, ObjectKey, RequestId, TenantId};
use bailee_wire::object::auth::{Payload, Scheme, Verified};
use bailee_wire::object::reply::{self, BucketRow, Deleted, Gone, ListedObject, ObjectFacts, Owner, Page};
use bailee_wire::object::{
    BatchDelete, BucketSettings, CannedAcl, Checksums, ChunkDecoder, Claims, Code, ContentHeaders, Described,
    Dialect, Digests, Head, Listing, ObjectError, ObjectRequest, Reply, Span, StorageClass, XML_BYTES_MAX,
};
use futures_util::{StreamExt, stream};
use http::Response;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::access::kept_of_object;
use super::answer::of_failure;
use super::body::{Answer, Found, Source, Upload, collect};
use super::checksum::{sum, told as told_algorithm};
use super::encryption::{customer_key, kept, of_object, told};
use super::lifecycle::{class_of, tier_of};
use super::retain::{Named, lock_headers, lock_of};
use super::version::which;
use super::{HOST_ID, Objects};
use bailee_wire::object as wire;

/// Deletes of one batch that run at the same time; they share commits.
const DELETES_AT_ONCE: usize = 64;

pub(super) struct Cx<'a> {
    pub(super) objects: &'a Arc<Objects>,
    pub(super) caller: Caller,
    pub(super) dialect: Dialect,
    pub(super) request_id: &'a RequestId,
    pub(super) verified: Verified,
}

pub(super) async fn run(
    cx: Cx<'_>,
    head: &Head<'_>,
    request: ObjectRequest,
    body: Incoming,
) -> Result<Response<Answer>, ObjectError> {
    let own = matches!(request, ObjectRequest::CreateBucket { .. });
    let tenant = cx.whose(request.bucket().filter(|_| !own)).await?;
    let reply = match request {
        ObjectRequest::GetObject(get) => return cx.get(tenant, *get, false).await,
        ObjectRequest::HeadObject(get) => return cx.get(tenant, *get, true).await,
        ObjectRequest::GetAttributes(asked) => cx.attributes(tenant, *asked).await?,
        ObjectRequest::CopyObject(copy) => return cx.copy_object(tenant, *copy).await,
        ObjectRequest::UploadPartCopy(part) => return cx.copy_part(tenant, *part).await,
        ObjectRequest::CreateUpload(create) => cx.create_upload(tenant, *create).await?,
        ObjectRequest::UploadPart(part) => cx.upload_part(tenant, *part, body).await?,
        ObjectRequest::CompleteUpload(complete) => cx.complete_upload(tenant, *complete, head, body).await?,
        ObjectRequest::AbortUpload(of) => cx.abort_upload(tenant, of).await?,
        ObjectRequest::ListParts(list) => cx.list_parts(tenant, list).await?,
        ObjectRequest::ListUploads(list) => cx.list_uploads(tenant, list).await?,
        ObjectRequest::PutObject(put) => cx.put(tenant, *put, None, body).await?,
        ObjectRequest::Policy { bucket, act } => cx.policy(tenant, bucket, act, head, body).await?,
        ObjectRequest::Logging { bucket, act } => cx.logging(tenant, bucket, act, head, body).await?,
        ObjectRequest::Replication { bucket, act } => cx.replication(tenant, bucket, act, head, body).await?,
        ObjectRequest::PolicyStatus { bucket } => cx.policy_status(tenant, bucket).await?,
        ObjectRequest::Cors { bucket, act } => cx.cors(tenant, bucket, act, head, body).await?,
        ObjectRequest::GetObjectMeta { bucket, key, version } => {
            cx.meta(tenant, bucket, key, version).await?
        }
        ObjectRequest::DeleteObject { bucket, key, version, bypass } => {
            let gone = cx.delete_one(tenant, Named { bucket, key, version }, bypass).await?;
            Reply::no_content().of_version(cx.dialect, gone.version.as_deref(), gone.marker)
        }
        ObjectRequest::GetVersioning { bucket } => cx.get_versioning(tenant, bucket).await?,
        ObjectRequest::PutVersioning { bucket } => cx.put_versioning(tenant, bucket, head, body).await?,
        ObjectRequest::Lifecycle { bucket, act } => cx.lifecycle(tenant, bucket, act, head, body).await?,
        ObjectRequest::Tagging { bucket, object, act } => {
            cx.tagging(tenant, (bucket, object), act, head, body).await?
        }
        ObjectRequest::LockSettings { bucket, act } => {
            cx.lock_settings(tenant, bucket, act, head, body).await?
        }
        ObjectRequest::Encryption { bucket, act } => cx.encryption(tenant, bucket, act, head, body).await?,
        ObjectRequest::Append { put, position } => cx.append(tenant, (*put, position), body).await?,
        ObjectRequest::PutSymlink { put, target } => cx.put(tenant, *put, Some(target), body).await?,
        ObjectRequest::GetSymlink { bucket, key, version } => {
            cx.get_symlink(tenant, Named { bucket, key, version }).await?
        }
        ObjectRequest::Acl { bucket, object, set } => {
            cx.acl(tenant, (bucket, object), set, head, body).await?
        }
        ObjectRequest::PublicAccessBlock { bucket, act } => {
            cx.public_access(tenant, bucket, act, head, body).await?
        }
        ObjectRequest::Restore { bucket, key, version } => {
            cx.restore(tenant, Named { bucket, key, version }, head, body).await?
        }
        ObjectRequest::Stat { bucket } => cx.stat(tenant, bucket).await?,
        ObjectRequest::Quota { bucket, act, old } => cx.quota(tenant, bucket, (act, old), head, body).await?,
        ObjectRequest::Destroy { bucket, prefix, exact } => {
            cx.destroy(tenant, bucket, (prefix, exact)).await?
        }
        ObjectRequest::Destructions { before, record, rows_max } => {
            cx.destructions(tenant, (before, record, rows_max)).await?
        }
        ObjectRequest::Worm { bucket, act } => cx.worm(tenant, bucket, act, head, body).await?,
        ObjectRequest::Lock { bucket, key, version, hold, act, bypass } => {
            cx.lock(tenant, Named { bucket, key, version }, (hold, act, bypass), head, body).await?
        }
        ObjectRequest::ListVersions(list) => cx.list_versions(tenant, list).await?,
        ObjectRequest::DeleteObjects { bucket, encoding_url, bypass } => {
            cx.delete_batch(tenant, bucket, (encoding_url, bypass), head, body).await?
        }
        ObjectRequest::ListBuckets(list) => cx.list_buckets(tenant, &list).await?,
        ObjectRequest::CreateBucket { bucket, storage_class, locks, acl } => {
            cx.create_bucket(tenant, bucket, (storage_class, locks, acl), head, body).await?
        }
        ObjectRequest::HeadBucket { bucket } => {
            let found = cx.perform(GetBucket { tenant, bucket }).await?;
            Reply::bucket_head(cx.dialect, found.region.as_str())
        }
        ObjectRequest::DeleteBucket { bucket } => {
            cx.perform(DeleteBucket { tenant, bucket }).await?;
            Reply::no_content()
        }
        ObjectRequest::GetBucketLocation { bucket } => {
            let found = cx.perform(GetBucket { tenant, bucket }).await?;
            reply::location(cx.dialect, found.region.as_str())
        }
        ObjectRequest::GetBucketInfo { bucket } => {
            let found = cx.perform(GetBucket { tenant: tenant.clone(), bucket }).await?;
            let settings = &found.settings;
            let acl = settings.acl.word();
            reply::bucket_info(&cx.row(&found), cx.owner(&tenant), acl, settings.public.is_blocked())
        }
        ObjectRequest::ListObjectsV1(list) => {
            let after = list.marker.clone().unwrap_or_default();
            let page = cx.list(tenant.clone(), list.bucket.clone(), &list.listing, after).await?;
            reply::objects_v1(cx.dialect, &list, cx.owner(&tenant), &shown(&page))
        }
        ObjectRequest::ListObjectsV2(list) => {
            let after = list.after().unwrap_or_default().to_owned();
            let page = cx.list(tenant.clone(), list.bucket.clone(), &list.listing, after).await?;
            reply::objects_v2(cx.dialect, &list, cx.owner(&tenant), &shown(&page))
        }
        ObjectRequest::NotOffered { name } => return Err(ObjectError::not_offered(&name)),
    };
    Ok(Answer::complete(reply.stamped(cx.dialect, cx.request_id.as_str(), HOST_ID)))
}

impl<'a> Cx<'a> {
    /// Who sent no signature.
    pub(super) fn anonymous(
        objects: &'a Arc<Objects>,
        origin: Origin,
        dialect: Dialect,
        request_id: &'a RequestId,
    ) -> Self {
        let unsigned =
            Verified { scheme: Scheme::SigV4, access_key_id: String::new(), payload: Payload::Unsigned };
        Self { objects, caller: Caller::anonymous(origin), dialect, request_id, verified: unsigned }
    }
}

impl Cx<'_> {
    /// Whose resources a request is about: the caller's, or those of an account whose bucket lets in others.
    pub(super) async fn whose(&self, bucket: Option<&BucketName>) -> Result<TenantId, ObjectError> {
        let shared = match bucket {
            Some(bucket) => self.objects.house().shared_bucket(bucket).await.map_err(of_failure)?,
            None => None,
        };
        shared.or_else(|| self.caller.tenant().cloned()).ok_or_else(|| {
            // The same whether there is such a bucket or not.
            ObjectError::because(
                Code::AccessDenied,
                "The request is not signed, and this is not public: sign it with an AccessKey.",
            )
        })
    }

    pub(super) async fn perform<O: Operation>(&self, op: O) -> Result<O::Output, ObjectError> {
        self.objects.house().perform(self.caller.clone(), op).await.map_err(of_failure)
    }

    pub(super) fn owner<'t>(&self, tenant: &'t TenantId) -> Owner<'t> {
        Owner { id: tenant.as_str(), display_name: tenant.as_str() }
    }

    fn row<'b>(&'b self, bucket: &'b bailee_rooms::vault::Bucket) -> BucketRow<'b> {
        BucketRow {
            name: &bucket.name,
            created_at: bucket.created_at,
            region: bucket.region.as_str(),
            storage_class: class_of(bucket.settings.tier.unwrap_or_default()),
            extranet_endpoint: self.objects.endpoint(),
            intranet_endpoint: self.objects.endpoint(),
        }
    }

    async fn get(
        self,
        tenant: TenantId,
        get: wire::GetObject,
        head_only: bool,
    ) -> Result<Response<Answer>, ObjectError> {
        let (content, span) = self.choose(&tenant, &get, &get.key, head_only).await?;
        // A link has no content: what it means has.
        let target = content.info.meta.symlink.clone();
        let linked = target.is_some();
        let (content, span) = match target {
            None => (content, span),
            Some(target) => {
                let target = link_target(&target)?;
                let linked = wire::GetObject { version: None, ..get.clone() };
                let found = self.choose(&tenant, &linked, &target, head_only).await.map_err(no_target)?;
                if found.0.info.meta.symlink.is_some() {
                    return Err(ObjectError::new(Code::SymlinkToSymlink));
                }
                found
            }
        };
        let kept = Kept::of(&content.info);
        let mut facts = kept.facts(&content.info);
        facts.restored_until = content.info.meta.restored(self.objects.house().now());
        facts.checksum = content.info.meta.checksum.as_ref().filter(|_| get.checksum).map(sum);
        if linked {
            facts.kind = reply::ObjectKind::Symlink;
        }
        let span = match span {
            Ok(span) => span,
            Err(error) if error.code() == Code::NotModified => {
                let reply = reply::not_modified(self.dialect, &facts);
                return Ok(Answer::complete(reply.stamped(self.dialect, self.request_id.as_str(), HOST_ID)));
            }
            Err(error) => return Err(error),
        };
        let reply = reply::object(self.dialect, &facts, span, &get.overrides);
        // Where a bucket keeps no versions there is none to tell.
        let version = (get.version.is_some() || !content.info.is_null).then(|| content.info.version_id());
        let reply = reply
            .of_version(self.dialect, version.as_deref(), false)
            .with_tags(self.dialect, content.info.meta.tags.len())
            .with_lock(self.dialect, &lock_headers(&content.info.meta.lock))
            .with_customer_key(get.customer_key.as_ref());
        let reply = reply.stamped(self.dialect, self.request_id.as_str(), HOST_ID);
        let len = span.map_or(content.info.size, Span::len);
        Ok(Answer::of(reply, content.first, content.rest, len))
    }

    /// Opens what a read asks for of an object.
    async fn choose(
        &self,
        tenant: &TenantId,
        get: &wire::GetObject,
        key: &ObjectKey,
        head_only: bool,
    ) -> Result<(Content, Result<Option<Span>, ObjectError>), ObjectError> {
        let chosen: Arc<Mutex<Result<Option<Span>, ObjectError>>> = Arc::new(Mutex::new(Ok(None)));
        let (slot, conditions, range) = (Arc::clone(&chosen), get.conditions.clone(), get.range);
        let choose = move |info: &ObjectInfo| {
            if info.meta.symlink.is_some() {
                return Choice::Nothing;
            }
            let span = conditions.check(&info.meta.md5, info.modified_at).and_then(|()| match range {
                Some(range) if conditions.range_holds(&info.meta.md5, info.modified_at) => {
                    range.resolve(info.size).map(Some)
                }
                _ => Ok(None),
            });
            let choice = match &span {
                _ if head_only => Choice::Nothing,
                Err(_) => Choice::Nothing,
                Ok(Some(span)) => Choice::Bytes { start: span.first, end: span.last + 1 },
                Ok(None) => Choice::Bytes { start: 0, end: info.size },
            };
            *slot.lock() = span;
            choice
        };
        let op = GetObject {
            customer_key: customer_key(get.customer_key.as_ref())?,
            tenant: tenant.clone(),
            bucket: get.bucket.clone(),
            key: key.clone(),
            which: which(get.version.clone())?,
            choose: Box::new(choose),
        };
        let content = self.perform(op).await?;
        let span = std::mem::replace(&mut *chosen.lock(), Ok(None));
        Ok((content, span))
    }

    async fn append(
        &self,
        tenant: TenantId,
        (put, position): (wire::PutObject, u64),
        incoming: Incoming,
    ) -> Result<Reply, ObjectError> {
        self.may_tag(&tenant, &put.bucket, &put.key, !put.tags.0.is_empty()).await?;
        let lock = lock_of(&put.lock);
        self.may_lock(&tenant, (&put.bucket, &put.key), &lock).await?;
        self.may_open(&tenant, (&put.bucket, &put.key), put.acl).await?;
        let (upload, found) = self.upload(Source::Http(incoming), &put.claims, put.content_length)?;
        let op = AppendObject {
            tenant,
            bucket: put.bucket,
            key: put.key,
            position,
            meta: ObjectMeta {
                lock,
                tier: put.storage_class.map(tier_of),
                encryption: put.encryption.map(kept),
                ..meta_of(Described {
                    content_type: put.content_type,
                    headers: put.headers,
                    metadata: put.metadata,
                    tags: put.tags,
                })
            }
            .with_acl(kept_of_object(put.acl)),
            len: put.content_length,
            body: Box::new(upload),
        };
        let done = match self.objects.house().perform(self.caller.clone(), op).await {
            Ok(done) => done,
            Err(failure) => return Err(found.lock().error.take().unwrap_or_else(|| of_failure(failure))),
        };
        let reply = Reply::appended(done.size, &done.meta.md5, done.meta.crc64);
        Ok(told(reply, self.dialect, &done.meta, None))
    }

    async fn get_symlink(&self, tenant: TenantId, named: Named) -> Result<Reply, ObjectError> {
        let op = GetObject {
            customer_key: None,
            tenant,
            bucket: named.bucket,
            key: named.key.clone(),
            which: which(named.version)?,
            choose: Box::new(|_: &ObjectInfo| Choice::Nothing),
        };
        let info = self.perform(op).await?.info;
        match &info.meta.symlink {
            Some(target) => Ok(Reply::symlink(target, &info.meta.md5)),
            None => Err(ObjectError::because(Code::InvalidRequest, "The object is no symbolic link.")),
        }
    }

    async fn meta(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<String>,
    ) -> Result<Reply, ObjectError> {
        let which = which(version)?;
        let op = GetObject {
            customer_key: None,
            tenant,
            bucket,
            key,
            which,
            choose: Box::new(|_: &ObjectInfo| Choice::Nothing),
        };
        let info = self.perform(op).await?.info;
        Ok(reply::object_meta(&Kept::of(&info).facts(&info)))
    }

    async fn put(
        &self,
        tenant: TenantId,
        put: wire::PutObject,
        symlink: Option<ObjectKey>,
        incoming: Incoming,
    ) -> Result<Reply, ObjectError> {
        if symlink.is_some() && put.content_length.is_some_and(|n| n > 0) {
            return Err(ObjectError::because(Code::InvalidRequest, "A symbolic link has no content."));
        }
        let upload = self.upload(Source::Http(incoming), &put.claims, put.content_length)?;
        Ok(self.put_body(tenant, put, symlink, upload).await?.0)
    }

    /// Writes an object whose body is at hand; answers its MD5 as well.
    pub(super) async fn put_body(
        &self,
        tenant: TenantId,
        put: wire::PutObject,
        symlink: Option<ObjectKey>,
        (upload, found): (Upload, Arc<Mutex<Found>>),
    ) -> Result<(Reply, String), ObjectError> {
        self.may_tag(&tenant, &put.bucket, &put.key, !put.tags.0.is_empty()).await?;
        let lock = lock_of(&put.lock);
        self.may_lock(&tenant, (&put.bucket, &put.key), &lock).await?;
        self.may_open(&tenant, (&put.bucket, &put.key), put.acl).await?;
        let op = PutObject {
            customer_key: customer_key(put.customer_key.as_ref())?,
            tenant,
            bucket: put.bucket,
            key: put.key,
            meta: ObjectMeta {
                lock,
                tier: put.storage_class.map(tier_of),
                symlink: symlink.map(|target| target.to_string()),
                encryption: put.encryption.map(kept),
                ..meta_of(Described {
                    content_type: put.content_type,
                    headers: put.headers,
                    metadata: put.metadata,
                    tags: put.tags,
                })
            }
            .with_acl(kept_of_object(put.acl)),
            len: put.content_length,
            must_be_new: put.if_absent,
            must_have_md5: put.if_match.map(|t| t.to_ascii_lowercase()),
            body: Box::new(upload),
        };
        let done = match self.objects.house().perform(self.caller.clone(), op).await {
            Ok(done) => done,
            Err(failure) => return Err(found.lock().error.take().unwrap_or_else(|| of_failure(failure))),
        };
        let meta = done.meta;
        let digests = found.lock().digests.take().unwrap_or(Digests {
            bytes: done.size,
            md5_hex: meta.md5.clone(),
            crc64ecma: meta.crc64,
            checksum: None,
        });
        let kept = meta.checksum.as_ref().map(|c| (told_algorithm(c.algorithm), c.value.clone()));
        let digests = Digests { checksum: kept, ..digests };
        let reply = reply::put_object(self.dialect, &digests);
        let reply = told(reply, self.dialect, &meta, put.customer_key.as_ref());
        Ok((reply.of_version(self.dialect, done.shown.as_deref(), false), meta.md5))
    }

    /// A body on its way in, decoded and checked against what is claimed of it.
    pub(super) fn upload(
        &self,
        source: Source,
        claims: &Claims,
        content_length: Option<u64>,
    ) -> Result<(Upload, Arc<Mutex<Found>>), ObjectError> {
        let payload = &self.verified.payload;
        let decoder = if payload.is_chunked() {
            let len = content_length.ok_or_else(|| ObjectError::new(Code::MissingContentLength))?;
            ChunkDecoder::new(payload, len, claims.trailer())
        } else {
            None
        };
        Ok(Upload::new(source, decoder, Checksums::new(claims, payload)))
    }

    pub(super) async fn body_of(&self, head: &Head<'_>, body: Incoming) -> Result<bytes::Bytes, ObjectError> {
        self.list_of(&Claims::read(head)?, body).await
    }

    /// A small body, checked against what is claimed of it.
    pub(super) async fn list_of(&self, claims: &Claims, body: Incoming) -> Result<bytes::Bytes, ObjectError> {
        let raw = collect(body, XML_BYTES_MAX).await?;
        let payload = &self.verified.payload;
        if payload.is_chunked() {
            return Err(ObjectError::because(
                Code::InvalidRequest,
                "This request's body cannot be sent in chunks.",
            ));
        }
        claims.check(payload, &raw)?;
        Ok(raw)
    }

    async fn create_bucket(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        (storage_class, locks, acl): (Option<StorageClass>, bool, Option<CannedAcl>),
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let body = self.body_of(head, body).await?;
        let settings = BucketSettings::parse(&body, self.dialect)?;
        if acl.is_some_and(|acl| super::access::kept(acl) != Acl::Private) {
            return Err(ObjectError::because(
                Code::AccessDenied,
                "A new bucket blocks public access. Make it without a public ACL, unblock it (`?publicAccessBlock`), then \
                 set the ACL.",
            ));
        }
        let op = CreateBucket {
            tenant: tenant.clone(),
            bucket: bucket.clone(),
            region: settings.location,
            tier: storage_class.or(settings.storage_class).map(tier_of),
        };
        self.perform(op).await?;
        if locks {
            let (tenant, bucket) = (tenant, bucket.clone());
            let keeps = SetVersioning {
                tenant: tenant.clone(),
                bucket: bucket.clone(),
                versioning: Versioning::Enabled,
            };
            self.perform(keeps).await?;
            self.perform(SetLockRules { tenant, bucket, rules: LockRules::default() }).await?;
        }
        Ok(Reply::created_bucket(&bucket))
    }

    async fn delete_batch(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        (encoding_url, bypass): (bool, bool),
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let body = self.body_of(head, body).await?;
        let batch = BatchDelete::parse(&body)?;
        // A missing bucket is one error, not one for each key.
        self.perform(GetBucket { tenant: tenant.clone(), bucket: bucket.clone() }).await?;
        let acts: Vec<_> = batch
            .keys
            .iter()
            .map(|(key, version)| {
                let (bucket, key, version) = (bucket.clone(), key.clone(), version.clone());
                self.delete_one(tenant.clone(), Named { bucket, key, version }, bypass)
            })
            .collect();
        let results: Vec<_> = stream::iter(acts).buffered(DELETES_AT_ONCE).collect().await;
        let mut deleted = Deleted::default();
        for ((key, version), result) in batch.keys.iter().zip(&results) {
            match result {
                Ok(gone) => deleted.done.push(Gone {
                    key: key.as_str(),
                    version: version.as_deref(),
                    marker: gone.version.as_deref().filter(|_| gone.marker),
                }),
                Err(error) => deleted.failed.push((key.as_str(), error.clone())),
            }
        }
        Ok(reply::deleted_objects(self.dialect, &batch, encoding_url, &deleted))
    }

    async fn list_buckets(&self, tenant: TenantId, list: &wire::ListBuckets) -> Result<Reply, ObjectError> {
        let all = self.perform(ListBuckets { tenant: tenant.clone(), ticket: None }).await?;
        let marker = list.marker.as_deref().unwrap_or_default();
        let mut wanted: Vec<_> = all
            .iter()
            .filter(|b| b.name.as_str().starts_with(&list.prefix) && b.name.as_str() > marker)
            .collect();
        let more = wanted.len() > list.max_keys as usize;
        wanted.truncate(list.max_keys as usize);
        let rows: Vec<_> = wanted.iter().map(|b| self.row(b)).collect();
        let next = if more { wanted.last().map(|b| b.name.as_str()) } else { None };
        Ok(reply::buckets(self.dialect, list, self.owner(&tenant), &rows, next))
    }

    async fn list(
        &self,
        tenant: TenantId,
        bucket: BucketName,
        listing: &Listing,
        after: String,
    ) -> Result<ObjectPage, ObjectError> {
        self.perform(ListObjects {
            tenant,
            bucket,
            prefix: listing.prefix.clone(),
            delimiter: listing.delimiter.clone().unwrap_or_default(),
            after,
            entries_max: listing.max_keys,
            ticket: None,
        })
        .await
    }
}

/// What the wire says of an object, as it is kept.
pub(super) fn meta_of(described: Described) -> ObjectMeta {
    let mut headers = BTreeMap::new();
    let named = described.headers;
    for (name, value) in [
        ("cache-control", named.cache_control),
        ("content-disposition", named.content_disposition),
        ("content-encoding", named.content_encoding),
        ("content-language", named.content_language),
        ("expires", named.expires),
    ] {
        if let Some(value) = value {
            headers.insert(name.to_owned(), value);
        }
    }
    ObjectMeta {
        content_type: described.content_type.unwrap_or_default(),
        headers,
        user: described.metadata.into_iter().collect(),
        tags: described.tags.0.into_iter().collect(),
        ..Default::default()
    }
}

/// What a symbolic link means, as a key.
pub(super) fn link_target(target: &str) -> Result<ObjectKey, ObjectError> {
    ObjectKey::parse(target).map_err(|_| ObjectError::new(Code::NoSymlinkTarget))
}

/// That what a link means is not there is said as such.
pub(super) fn no_target(error: ObjectError) -> ObjectError {
    if error.code() == Code::NoSuchKey { ObjectError::new(Code::NoSymlinkTarget) } else { error }
}

/// What kind of object it is.
pub(super) fn kind(info: &ObjectInfo) -> reply::ObjectKind {
    if info.meta.symlink.is_some() {
        reply::ObjectKind::Symlink
    } else if info.meta.appendable {
        reply::ObjectKind::Appendable
    } else if info.meta.parts.is_some() {
        reply::ObjectKind::Multipart
    } else {
        reply::ObjectKind::Normal
    }
}

pub(super) fn shown(page: &ObjectPage) -> Page<'_> {
    let mut out = Page { next: page.next_after.as_deref(), ..Page::default() };
    for entry in &page.entries {
        match entry {
            Listed::Prefix(prefix) => out.common_prefixes.push(prefix),
            Listed::Object(info) => out.objects.push(ListedObject {
                key: info.key.as_str(),
                modified_at: info.modified_at,
                md5_hex: &info.meta.md5,
                size: info.size,
                storage_class: class_of(info.meta.tier()),
                kind: kind(info),
            }),
        }
    }
    out
}

/// Stored headers in the wire's form.
pub(super) struct Kept {
    headers: ContentHeaders,
    user: Vec<(String, String)>,
    encryption: Option<wire::Encryption>,
}

impl Kept {
    pub(super) fn of(info: &ObjectInfo) -> Self {
        let header = |name: &str| info.meta.headers.get(name).cloned();
        Self {
            headers: ContentHeaders {
                cache_control: header("cache-control"),
                content_disposition: header("content-disposition"),
                content_encoding: header("content-encoding"),
                content_language: header("content-language"),
                expires: header("expires"),
            },
            user: info.meta.user.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            encryption: of_object(info),
        }
    }

    pub(super) fn facts<'a>(&'a self, info: &'a ObjectInfo) -> ObjectFacts<'a> {
        ObjectFacts {
            size: info.size,
            md5_hex: &info.meta.md5,
            crc64ecma: info.meta.crc64,
            modified_at: info.modified_at,
            content_type: Some(info.meta.content_type.as_str()).filter(|t| !t.is_empty()),
            headers: &self.headers,
            metadata: &self.user,
            storage_class: class_of(info.meta.tier()),
            restored_until: None,
            kind: kind(info),
            encryption: self.encryption.as_ref(),
            checksum: None,
        }
    }
}
