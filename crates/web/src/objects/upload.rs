//! Uploads in parts, and copies. A copy is a read and a write, each an act of its own that the gate decides.

use std::sync::Arc;

use bailee_rooms::vault::{
    AbortUpload, Checksum, Choice, CompleteUpload, Content, CopyBody, CreateUpload, GetObject, GetTags,
    ListParts, ListUploads, ListedPart as PartListed, ObjectInfo, ObjectMeta, PutObject, PutPart, TagsOf,
    WholeClaim,
};
use bailee_types::TenantId;
use bailee_wire::object::reply::{self, ListedPart, ListedUpload, UploadsPage};
use bailee_wire::object::{self as wire, Claims, Code, Dialect, Head, ObjectError, PartList, Reply, Span};
use http::Response;
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::HOST_ID;
use super::access::kept_of_object;
use super::answer::of_failure;
use super::body::{Answer, Source, slow};
use super::checksum::{asked, kept as kept_algorithm, kept_type, sum, told as told_algorithm, wanted};
use super::dispatch::{Cx, link_target, meta_of, no_target};
use super::encryption::{customer_key, kept, told};
use super::lifecycle::tier_of;
use super::retain::lock_of;

/// Bytes that each part but the last must have.
const fn part_min(dialect: Dialect) -> u64 {
    match dialect {
        Dialect::Oss => 100 * 1024,
        Dialect::S3 => 5 * 1024 * 1024,
    }
}

fn listed_part(part: wire::PartTag) -> PartListed {
    let checksums = part.checksums.into_iter().map(|(algorithm, value)| (kept_algorithm(algorithm), value));
    PartListed { number: part.number, md5: part.etag, checksums: checksums.collect() }
}

impl Cx<'_> {
    /// A place among the copies that run: they go on when their client is gone, so that connections alone do not bound them.
    fn copy_permit(&self) -> Result<OwnedSemaphorePermit, ObjectError> {
        let places = Arc::clone(&self.objects.copies);
        places.try_acquire_owned().map_err(|_| ObjectError::new(Code::SlowDown))
    }

    /// Opens what is copied: all of it, or a span; of a link what it means.
    async fn source(
        &self,
        tenant: &TenantId,
        source: wire::CopySource,
        span: Option<Span>,
    ) -> Result<Content, ObjectError> {
        let content = self.source_itself(tenant, source.clone(), span).await?;
        let Some(target) = &content.info.meta.symlink else { return Ok(content) };
        let linked = wire::CopySource { key: link_target(target)?, version: None, ..source };
        let content = self.source_itself(tenant, linked, span).await.map_err(no_target)?;
        match content.info.meta.symlink {
            None => Ok(content),
            Some(_) => Err(ObjectError::new(Code::SymlinkToSymlink)),
        }
    }

    async fn source_itself(
        &self,
        tenant: &TenantId,
        source: wire::CopySource,
        span: Option<Span>,
    ) -> Result<Content, ObjectError> {
        let refused: Arc<Mutex<Option<ObjectError>>> = Arc::default();
        let (slot, dialect) = (Arc::clone(&refused), self.dialect);
        let choose = move |info: &ObjectInfo| {
            if info.meta.symlink.is_some() {
                return Choice::Nothing;
            }
            let wanted =
                source.conditions.check(&info.meta.md5, info.modified_at).and_then(|()| match span {
                    None => Ok((0, info.size)),
                    Some(span) if span.last < info.size => Ok((span.first, span.last + 1)),
                    Some(_) => Err(ObjectError::invalid_range(info.size)),
                });
            match wanted {
                Ok((start, end)) => Choice::Bytes { start, end },
                Err(e) if e.code() == Code::NotModified && dialect == Dialect::S3 => {
                    *slot.lock() = Some(ObjectError::new(Code::PreconditionFailed));
                    Choice::Nothing
                }
                Err(e) => {
                    *slot.lock() = Some(e);
                    Choice::Nothing
                }
            }
        };
        let get = GetObject {
            customer_key: customer_key(source.customer_key.as_ref())?,
            tenant: tenant.clone(),
            bucket: source.bucket,
            key: source.key,
            which: super::version::which(source.version)?,
            choose: Box::new(choose),
        };
        let content = self.perform(get).await?;
        let refused = refused.lock().take();
        refused.map_or(Ok(content), Err)
    }

    pub(super) async fn copy_object(
        &self,
        tenant: TenantId,
        copy: wire::CopyObject,
    ) -> Result<Response<Answer>, ObjectError> {
        let permit = self.copy_permit()?;
        let of = TagsOf {
            tenant: self.whose(Some(&copy.source.bucket)).await?,
            bucket: copy.source.bucket.clone(),
            object: Some((copy.source.key.clone(), super::version::which(copy.source.version.clone())?)),
        };
        let content = self.source(&of.tenant, copy.source, None).await?;
        let from = Some(content.info.version_id()).filter(|_| !content.info.is_null);
        let source = &content.info.meta;
        let mut meta = match copy.described {
            Some(described) => meta_of(described),
            None => {
                ObjectMeta { md5: String::new(), crc64: 0, parts: None, appendable: false, ..source.clone() }
            }
        };
        // What is said of headers and of tags is said apart.
        match copy.tags {
            Some(tags) => meta.tags = tags.0.into_iter().collect(),
            None => {
                meta.tags.clone_from(&source.tags);
                if !meta.tags.is_empty() {
                    // To take tags along is to read them.
                    self.perform(GetTags(of)).await?;
                }
            }
        }
        self.may_tag(&tenant, &copy.bucket, &copy.key, !meta.tags.is_empty()).await?;
        // What holds the source does not hold its copy.
        meta.lock = lock_of(&copy.lock);
        // Nor does its ACL come along.
        let mut meta = meta.with_acl(kept_of_object(copy.acl));
        // Its checksum is made as the source's, of the whole.
        meta.checksum = match copy.checksum {
            Some(algorithm) => Some(Checksum { algorithm: kept_algorithm(algorithm), ..Checksum::default() }),
            None => source.checksum.clone(),
        };
        // A copy is at hand, unless it says otherwise.
        (meta.tier, meta.restored_until) = (copy.storage_class.map(tier_of), None);
        // Nor is it encrypted like it, but as the copy says, or its bucket.
        meta.encryption = copy.encryption.map(kept);
        self.may_lock(&tenant, (&copy.bucket, &copy.key), &meta.lock).await?;
        self.may_open(&tenant, (&copy.bucket, &copy.key), copy.acl).await?;
        let put = PutObject {
            customer_key: customer_key(copy.customer_key.as_ref())?,
            tenant,
            bucket: copy.bucket,
            key: copy.key,
            meta,
            len: Some(content.info.size),
            must_be_new: copy.if_absent,
            must_have_md5: copy.if_match.map(|t| t.to_ascii_lowercase()),
            body: Box::new(CopyBody::new(content)),
        };
        let own_key = copy.customer_key;
        let (house, caller, dialect) = (Arc::clone(self.objects.house()), self.caller.clone(), self.dialect);
        let work = async move {
            let _permit = permit;
            let done = house.perform(caller, put).await.map_err(of_failure)?;
            let digests = (done.meta.md5.as_str(), done.meta.crc64, done.meta.checksum.as_ref().map(sum));
            let reply = reply::copied(dialect, "CopyObjectResult", digests, done.modified_at);
            let reply = told(reply, dialect, &done.meta, own_key.as_ref());
            Ok(reply.of_version(dialect, done.shown.as_deref(), false).of_source(dialect, from.as_deref()))
        };
        Ok(slow(work, self.dialect, self.request_id.to_string(), HOST_ID).await)
    }

    pub(super) async fn create_upload(
        &self,
        tenant: TenantId,
        mut create: wire::CreateUpload,
    ) -> Result<Reply, ObjectError> {
        let described = std::mem::take(&mut create.described);
        self.may_tag(&tenant, &create.bucket, &create.key, !described.tags.0.is_empty()).await?;
        let lock = lock_of(&create.lock);
        self.may_lock(&tenant, (&create.bucket, &create.key), &lock).await?;
        self.may_open(&tenant, (&create.bucket, &create.key), create.acl).await?;
        let encryption = create.encryption.take().map(kept);
        let meta = ObjectMeta {
            lock,
            encryption,
            checksum: create.checksum.map(wanted),
            tier: create.storage_class.map(tier_of),
            ..meta_of(described)
        }
        .with_acl(kept_of_object(create.acl));
        let op = CreateUpload {
            customer_key: customer_key(create.customer_key.as_ref())?,
            tenant,
            bucket: create.bucket.clone(),
            key: create.key.clone(),
            meta: meta.clone(),
        };
        let id = self.perform(op).await?;
        let reply = reply::created_upload(self.dialect, &create, &id);
        // What the bucket adds to it is told when the object is put together.
        let own_key = create.customer_key.as_ref();
        Ok(match meta.encryption {
            Some(_) => told(reply, self.dialect, &meta, own_key),
            None => reply.with_customer_key(own_key),
        })
    }

    pub(super) async fn upload_part(
        &self,
        tenant: TenantId,
        part: wire::UploadPart,
        incoming: Incoming,
    ) -> Result<Reply, ObjectError> {
        let (upload, found) = self.upload(Source::Http(incoming), &part.claims, part.content_length)?;
        let op = PutPart {
            customer_key: customer_key(part.customer_key.as_ref())?,
            tenant,
            bucket: part.of.bucket,
            key: part.of.key,
            upload: part.of.upload,
            number: part.number,
            len: part.content_length,
            body: Box::new(upload),
        };
        let done = match self.objects.house().perform(self.caller.clone(), op).await {
            Ok(done) => done,
            Err(failure) => return Err(found.lock().error.take().unwrap_or_else(|| of_failure(failure))),
        };
        let taken = found.lock().digests.take();
        let claimed = taken.and_then(|digests| digests.checksum);
        let own = done.checksums.into_iter().next().map(|(a, value)| (told_algorithm(a), value));
        let digests = wire::Digests {
            bytes: done.size,
            md5_hex: done.md5,
            crc64ecma: done.crc64,
            checksum: claimed.or(own),
        };
        Ok(reply::uploaded_part(self.dialect, &digests).with_customer_key(part.customer_key.as_ref()))
    }

    pub(super) async fn copy_part(
        &self,
        tenant: TenantId,
        part: wire::UploadPartCopy,
    ) -> Result<Response<Answer>, ObjectError> {
        let permit = self.copy_permit()?;
        let from = self.whose(Some(&part.source.bucket)).await?;
        let content = self.source(&from, part.source, part.range).await?;
        let put = PutPart {
            customer_key: customer_key(part.customer_key.as_ref())?,
            tenant,
            bucket: part.of.bucket,
            key: part.of.key,
            upload: part.of.upload,
            number: part.number,
            len: Some(part.range.map_or(content.info.size, Span::len)),
            body: Box::new(CopyBody::new(content)),
        };
        let (house, caller, dialect) = (Arc::clone(self.objects.house()), self.caller.clone(), self.dialect);
        let work = async move {
            let _permit = permit;
            let done = house.perform(caller, put).await.map_err(of_failure)?;
            let own = done.checksums.into_iter().next();
            let own = own.map(|(algorithm, value)| Checksum { algorithm, value, ..Checksum::default() });
            let digests = (done.md5.as_str(), done.crc64, own.as_ref().map(sum));
            Ok(reply::copied(dialect, "CopyPartResult", digests, done.written_at))
        };
        Ok(slow(work, self.dialect, self.request_id.to_string(), HOST_ID).await)
    }

    pub(super) async fn complete_upload(
        &self,
        tenant: TenantId,
        complete: wire::CompleteUpload,
        head: &Head<'_>,
        body: Incoming,
    ) -> Result<Reply, ObjectError> {
        let raw = self.list_of(&Claims::of_list(head)?, body).await?;
        let listed =
            if complete.all && raw.is_empty() { PartList::default() } else { PartList::parse(&raw)? };
        let parts = match (complete.all, listed.0) {
            (true, list) if list.is_empty() => None,
            (true, _) => {
                return Err(ObjectError::because(
                    Code::InvalidArgument,
                    "With x-oss-complete-all: yes no parts are listed.",
                ));
            }
            (false, list) if list.is_empty() => {
                return Err(ObjectError::because(Code::MalformedXml, "The list has no Part."));
            }
            (false, list) => Some(list.into_iter().map(listed_part).collect()),
        };
        let of = complete.of;
        let op = CompleteUpload {
            tenant,
            bucket: of.bucket.clone(),
            key: of.key.clone(),
            upload: of.upload,
            parts,
            part_min: part_min(self.dialect),
            claim: WholeClaim {
                size: complete.size,
                checksum: complete.checksum.map(|(algorithm, value)| (kept_algorithm(algorithm), value)),
                kind: complete.checksum_type.map(kept_type),
            },
            must_be_new: complete.if_absent,
            must_have_md5: complete.if_match.map(|t| t.to_ascii_lowercase()),
        };
        let done = self.perform(op).await?;
        let location = format!("http://{}/{}/{}", self.objects.endpoint(), of.bucket, of.key);
        let what = (&of.bucket, &of.key, complete.encoding_url);
        let digests = (done.meta.md5.as_str(), done.meta.crc64, done.meta.checksum.as_ref().map(sum));
        let reply = reply::completed(self.dialect, what, &location, digests);
        let reply = told(reply, self.dialect, &done.meta, None);
        Ok(reply.of_version(self.dialect, done.shown.as_deref(), false))
    }

    pub(super) async fn abort_upload(
        &self,
        tenant: TenantId,
        of: wire::UploadOf,
    ) -> Result<Reply, ObjectError> {
        self.perform(AbortUpload { tenant, bucket: of.bucket, key: of.key, upload: of.upload }).await?;
        Ok(Reply::no_content())
    }

    pub(super) async fn list_parts(
        &self,
        tenant: TenantId,
        list: wire::ListParts,
    ) -> Result<Reply, ObjectError> {
        let op = ListParts {
            tenant: tenant.clone(),
            bucket: list.of.bucket.clone(),
            key: list.of.key.clone(),
            upload: list.of.upload.clone(),
            after: list.after,
            parts_max: list.parts_max,
        };
        let page = self.perform(op).await?;
        let rows: Vec<_> = page
            .parts
            .iter()
            .map(|p| ListedPart {
                number: p.number,
                md5_hex: &p.md5,
                crc64ecma: p.crc64,
                checksum: p
                    .checksums
                    .first()
                    .filter(|_| page.checksum.is_some())
                    .map(|(algorithm, value)| (told_algorithm(*algorithm), value.as_str())),
                size: p.size,
                written_at: p.written_at,
            })
            .collect();
        let checksum = page.checksum.as_ref().map(asked);
        Ok(reply::parts(self.dialect, &list, self.owner(&tenant), (&rows, page.more), checksum))
    }

    pub(super) async fn list_uploads(
        &self,
        tenant: TenantId,
        list: wire::ListUploads,
    ) -> Result<Reply, ObjectError> {
        let op = ListUploads {
            tenant: tenant.clone(),
            bucket: list.bucket.clone(),
            prefix: list.prefix.clone(),
            delimiter: list.delimiter.clone().unwrap_or_default(),
            after: (list.key_marker.clone(), list.upload_marker.clone()),
            uploads_max: list.uploads_max,
        };
        let page = self.perform(op).await?;
        let mut shown = UploadsPage {
            next: page.next.as_ref().map(|(key, id)| (key.as_str(), id.as_str())),
            ..UploadsPage::default()
        };
        for upload in &page.uploads {
            shown.uploads.push(ListedUpload {
                key: upload.key.as_str(),
                id: &upload.id,
                begun_at: upload.begun_at,
                checksum: upload.checksum.as_ref().map(asked),
            });
        }
        shown.common_prefixes = page.prefixes.iter().map(String::as_str).collect();
        Ok(reply::uploads(self.dialect, &list, self.owner(&tenant), &shown))
    }
}
