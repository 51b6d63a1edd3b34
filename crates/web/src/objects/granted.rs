//! Requests that an operator signs with the temporary keys of a grant: he looks and reads within it; everything else the gate refuses.
//!
//! A read leaves in segments of 64 KiB, and before each it is asked whether the keys still live. What is said of an object is no
//! digest of its content, but for a read itself: its entity tag tells versions apart and nothing else.

use std::sync::Arc;

use bailee_rooms::Failure;
use bailee_rooms::broker::BeyondGrant;
use bailee_rooms::gate::Operation;
use bailee_rooms::vault::{
    Choice, ListObjects, ListVersions, Listed, ObjectInfo, ObjectPage, ReadVersion, SeeBucket, SeeObject,
    Which,
};
use bailee_types::{BucketName, ObjectKey, TenantId, TicketId};
use bailee_wire::object::reply;
use bailee_wire::object::{
    self as wire, Code, Head, Listing, ObjectError, ObjectRequest, Reply, Span, TagAct, Target,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Response;
use hyper::body::Incoming;
use parking_lot::Mutex;

use super::HOST_ID;
use super::answer::{of_failure, sentence};
use super::body::{Answer, collect};
use super::checksum::sum;
use super::dispatch::{Cx, Kept, shown};
use super::version::which;

/// Bytes that leave between two looks at the keys.
const SEGMENT: usize = 64 * 1024;

/// Bytes of a body that is taken in though nothing is written.
const BODY_BYTES_MAX: u64 = 64 * 1024;

/// A request within a grant.
struct Granted<'a> {
    cx: Cx<'a>,
    tenant: TenantId,
    ticket: TicketId,
}

/// Answers when the caller acts with the keys of a grant.
pub(super) async fn run(
    cx: Cx<'_>,
    head: &Head<'_>,
    request: ObjectRequest,
    body: Incoming,
) -> Result<Response<Answer>, ObjectError> {
    // A connection whose small body is read is kept, and the client sees the refusal.
    if http_body::Body::size_hint(&body).upper().is_some_and(|bytes| (1..=BODY_BYTES_MAX).contains(&bytes)) {
        collect(body, BODY_BYTES_MAX as usize).await?;
    }
    let name = request.name();
    let granted = Granted::of(cx)?;
    let reply = match request {
        ObjectRequest::GetObject(get) => return granted.get(*get).await,
        ObjectRequest::HeadObject(get) => granted.head(*get).await?,
        ObjectRequest::GetObjectMeta { bucket, key, version } => {
            let info = granted.see(bucket, key, version, false).await?;
            reply::object_meta(&Kept::of(&info).facts(&info))
        }
        ObjectRequest::Tagging { bucket, object: Some((key, version)), act: TagAct::Get } => {
            let info = granted.see(bucket, key, version, true).await?;
            Reply::tagging(info.meta.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        }
        ObjectRequest::HeadBucket { bucket } => {
            Reply::bucket_head(granted.cx.dialect, granted.bucket(bucket).await?.region.as_str())
        }
        ObjectRequest::GetBucketLocation { bucket } => {
            reply::location(granted.cx.dialect, granted.bucket(bucket).await?.region.as_str())
        }
        ObjectRequest::ListObjectsV1(list) => {
            let after = list.marker.clone().unwrap_or_default();
            let page = granted.list(list.bucket.clone(), &list.listing, after).await?;
            reply::objects_v1(granted.cx.dialect, &list, granted.cx.owner(&granted.tenant), &shown(&page))
        }
        ObjectRequest::ListObjectsV2(list) => {
            let after = list.after().unwrap_or_default().to_owned();
            let page = granted.list(list.bucket.clone(), &list.listing, after).await?;
            reply::objects_v2(granted.cx.dialect, &list, granted.cx.owner(&granted.tenant), &shown(&page))
        }
        ObjectRequest::ListVersions(list) => {
            let op = ListVersions {
                tenant: granted.tenant.clone(),
                bucket: list.bucket.clone(),
                prefix: list.prefix.clone(),
                delimiter: list.delimiter.clone().unwrap_or_default(),
                after: (list.key_marker.clone(), which(list.version_marker.clone())?),
                entries_max: list.max_keys,
                ticket: Some(granted.ticket.clone()),
            };
            let mut page = granted.perform(op).await?;
            page.versions.iter_mut().for_each(|v| v.info.meta.md5 = v.info.tag());
            granted.cx.versions(&granted.tenant, &list, &page)
        }
        _ => return granted.beyond(name, head.target()).await,
    };
    Ok(Answer::complete(reply.stamped(granted.cx.dialect, granted.cx.request_id.as_str(), HOST_ID)))
}

/// Refuses, on record, what is no request that keys of a grant are good for.
pub(super) async fn refuse(
    cx: Cx<'_>,
    name: &'static str,
    on: &Target,
) -> Result<Response<Answer>, ObjectError> {
    Granted::of(cx)?.beyond(name, on).await
}

impl<'a> Granted<'a> {
    fn of(cx: Cx<'a>) -> Result<Self, ObjectError> {
        let (tenant, ticket) = cx.caller.grant_keys().ok_or_else(|| ObjectError::new(Code::InternalError))?;
        let (tenant, ticket) = (tenant.clone(), ticket.clone());
        Ok(Self { cx, tenant, ticket })
    }

    async fn perform<O: Operation>(&self, op: O) -> Result<O::Output, ObjectError> {
        self.cx.objects.house().perform(self.cx.caller.clone(), op).await.map_err(|failure| match failure {
            Failure::Conflict(text) => ObjectError::because(Code::AccessDenied, sentence(&text)),
            other => of_failure(other),
        })
    }

    async fn beyond(&self, request: &'static str, on: &Target) -> Result<Response<Answer>, ObjectError> {
        let on = match on {
            Target::Service => None,
            Target::Bucket(bucket) => Some((bucket.clone(), None)),
            Target::Object(bucket, key) => Some((bucket.clone(), Some(key.clone()))),
        };
        let (tenant, ticket) = (self.tenant.clone(), self.ticket.clone());
        self.perform(BeyondGrant { tenant, ticket, request, on }).await?;
        Err(ObjectError::new(Code::AccessDenied))
    }

    async fn see(
        &self,
        bucket: BucketName,
        key: ObjectKey,
        version: Option<String>,
        tags: bool,
    ) -> Result<ObjectInfo, ObjectError> {
        let (tenant, ticket) = (self.tenant.clone(), self.ticket.clone());
        self.perform(SeeObject { tenant, bucket, key, which: which(version)?, ticket, tags }).await
    }

    async fn bucket(&self, bucket: BucketName) -> Result<bailee_rooms::vault::Bucket, ObjectError> {
        let (tenant, ticket) = (self.tenant.clone(), self.ticket.clone());
        self.perform(SeeBucket { tenant, bucket, ticket }).await
    }

    async fn list(
        &self,
        bucket: BucketName,
        listing: &Listing,
        after: String,
    ) -> Result<ObjectPage, ObjectError> {
        let op = ListObjects {
            tenant: self.tenant.clone(),
            bucket,
            prefix: listing.prefix.clone(),
            delimiter: listing.delimiter.clone().unwrap_or_default(),
            after,
            entries_max: listing.max_keys,
            ticket: Some(self.ticket.clone()),
        };
        let mut page = self.perform(op).await?;
        for entry in &mut page.entries {
            if let Listed::Object(info) = entry {
                info.meta.md5 = info.tag();
            }
        }
        Ok(page)
    }

    async fn head(&self, get: wire::GetObject) -> Result<Reply, ObjectError> {
        let info = self.see(get.bucket.clone(), get.key.clone(), get.version.clone(), false).await?;
        match span_of(&get, &info) {
            Ok(span) => {
                let mut reply = self.reply(&get, &info, span);
                reply.headers.retain(|(name, _)| name != "x-oss-hash-crc64ecma");
                Ok(reply)
            }
            Err(error) if error.code() == Code::NotModified => {
                Ok(reply::not_modified(self.cx.dialect, &Kept::of(&info).facts(&info)))
            }
            Err(error) => Err(error),
        }
    }

    /// The head of an answer; `info` has the tag in place of the digest.
    fn reply(&self, get: &wire::GetObject, info: &ObjectInfo, span: Option<Span>) -> Reply {
        let kept = Kept::of(info);
        let mut facts = kept.facts(info);
        facts.restored_until = info.meta.restored(self.cx.objects.house().now());
        facts.checksum = info.meta.checksum.as_ref().filter(|_| get.checksum).map(sum);
        let version = (get.version.is_some() || !info.is_null).then(|| info.version_id());
        reply::object(self.cx.dialect, &facts, span, &get.overrides)
            .of_version(self.cx.dialect, version.as_deref(), false)
            .with_tags(self.cx.dialect, info.meta.tags.len())
    }

    async fn get(self, get: wire::GetObject) -> Result<Response<Answer>, ObjectError> {
        let house = Arc::clone(self.cx.objects.house());
        let reading = house.reading(&self.cx.caller).map_err(of_failure)?;
        let chosen: Arc<Mutex<Result<Option<Span>, ObjectError>>> = Arc::new(Mutex::new(Ok(None)));
        let (slot, wanted) = (Arc::clone(&chosen), get.clone());
        let op = ReadVersion {
            tenant: self.tenant.clone(),
            bucket: get.bucket.clone(),
            key: get.key.clone(),
            which: which(get.version.clone())?,
            ticket: self.ticket.clone(),
            choose: Box::new(move |info| {
                let span = span_of(&wanted, info);
                let choice = match &span {
                    Err(_) => Choice::Nothing,
                    Ok(Some(span)) => Choice::Bytes { start: span.first, end: span.last + 1 },
                    Ok(None) => Choice::Bytes { start: 0, end: info.size },
                };
                *slot.lock() = span;
                choice
            }),
        };
        let mut window = self.perform(op).await?;
        let span = std::mem::replace(&mut *chosen.lock(), Ok(None));
        window.info.meta.md5 = window.info.tag();
        let span = match span {
            Ok(span) => span,
            Err(error) if error.code() == Code::NotModified => {
                let reply = reply::not_modified(self.cx.dialect, &Kept::of(&window.info).facts(&window.info));
                let reply = reply.stamped(self.cx.dialect, self.cx.request_id.as_str(), HOST_ID);
                return Ok(Answer::complete(reply));
            }
            Err(error) => return Err(error),
        };
        let len = span.map_or(window.info.size, Span::len);
        let end = span.map_or(window.info.size, |s| s.last + 1);
        let reply = self.reply(&get, &window.info, span).stamped(
            self.cx.dialect,
            self.cx.request_id.as_str(),
            HOST_ID,
        );
        let (caller, version) = (self.cx.caller.clone(), window.info.version);
        let (tenant, ticket) = (self.tenant, self.ticket);
        let later = move |start| ReadVersion {
            tenant: tenant.clone(),
            bucket: get.bucket.clone(),
            key: get.key.clone(),
            which: Some(Which::Stored(version.clone())),
            ticket: ticket.clone(),
            choose: Box::new(move |_| Choice::Bytes { start, end }),
        };
        let read = Arc::new((house, caller, reading));
        let rest = stream::try_unfold((window.bytes, window.next), move |(mut bytes, next)| {
            let op = next.filter(|_| bytes.is_empty()).map(&later);
            let read = Arc::clone(&read);
            async move {
                let (house, caller, reading) = &*read;
                let mut next = next;
                if let Some(op) = op {
                    let window = house.perform(caller.clone(), op).await?;
                    (bytes, next) = (window.bytes, window.next);
                }
                reading.goes_on()?;
                let piece = bytes.split_to(bytes.len().min(SEGMENT));
                Ok::<_, Failure>((!piece.is_empty()).then_some((piece, (bytes, next))))
            }
        });
        let rest = (len > 0).then(|| rest.boxed());
        Ok(Answer::of(reply, Bytes::new(), rest, len))
    }
}

/// What of an object is asked for, if its conditions hold.
fn span_of(get: &wire::GetObject, info: &ObjectInfo) -> Result<Option<Span>, ObjectError> {
    let (tag, at) = (info.tag(), info.modified_at);
    get.conditions.check(&tag, at)?;
    match get.range {
        Some(range) if get.conditions.range_holds(&tag, at) => range.resolve(info.size).map(Some),
        _ => Ok(None),
    }
}
