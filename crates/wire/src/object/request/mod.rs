//! The typed request: what an authenticated head asks for.
//!
//! Promises: every request becomes one [`ObjectRequest`]; what is not offered becomes [`ObjectRequest::NotOffered`]
//! with a name, which answers 501 in the caller's dialect, instead of being half understood.
//! Refuses: arguments out of bounds (400). Nothing a caller asked for is silently dropped when that could surprise
//! him: ACLs, tags, customer keys, object locks, callbacks and version ids are `NotOffered`.
//! INVARIANT: fields are parsed at this edge; buckets and keys are valid, numbers are within limits, header values
//! that will be sent back hold no control characters.

mod access;
mod encryption;
mod get;
mod lifecycle;
mod list;
mod logging;
mod put;
mod quota;
mod replication;
mod restore;
mod retain;
mod tags;
mod upload;
mod version;

use std::borrow::Cow;

use bailee_types::{BucketName, ObjectKey};
use http::Method;

pub use access::{CannedAcl, CorsRule, cors_rules, public_access_block};
pub use encryption::{CustomerKey, Encryption};
pub use get::{Conditions, GetAttributes, GetObject, Overrides, TagList};
pub use lifecycle::{LifecycleRule, LifecycleRules, Transition};
pub use list::{
    BatchDelete, BucketSettings, ListBuckets, ListObjectsV1, ListObjectsV2, Listing, continuation_token,
};
pub use logging::logging_target;
pub use put::{ContentHeaders, OBJECT_BYTES_MAX, PutObject, StorageClass};
pub use quota::quota_bytes;
pub use replication::{ReplicationSpec, replication_rules};
pub use restore::restore_days;
pub(super) use retain::words as lock_words;
pub use retain::{
    LockHeaders, LockSettings, LockTerm, WormRequest, legal_hold as read_legal_hold,
    retention as read_retention, worm_days,
};
pub use tags::TagSet;
pub use upload::{
    CompleteUpload, CopyObject, CopySource, CreateUpload, Described, ListParts, ListUploads, PartList,
    PartTag, UploadOf, UploadPart, UploadPartCopy,
};
pub use version::{ListVersions, VersioningSettings};

use super::dialect::Dialect;
use super::error::{Code, ObjectError};
use super::head::{Head, Target};

/// What a request asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum ObjectRequest {
    /// `GET /`.
    ListBuckets(ListBuckets),
    /// `PUT /bucket`; the body is read by [`BucketSettings::parse`].
    CreateBucket {
        /// The bucket to make.
        bucket: BucketName,
        /// The storage class that a header names.
        storage_class: Option<StorageClass>,
        /// Whether it retains single versions from the beginning.
        locks: bool,
        /// The ACL that a header names.
        acl: Option<CannedAcl>,
    },
    /// `HEAD /bucket`.
    HeadBucket {
        /// The bucket.
        bucket: BucketName,
    },
    /// `DELETE /bucket`.
    DeleteBucket {
        /// The bucket.
        bucket: BucketName,
    },
    /// `GET /bucket?location`.
    GetBucketLocation {
        /// The bucket.
        bucket: BucketName,
    },
    /// `GET /bucket?bucketInfo` (OSS).
    GetBucketInfo {
        /// The bucket.
        bucket: BucketName,
    },
    /// `GET /bucket`.
    ListObjectsV1(ListObjectsV1),
    /// `GET /bucket?list-type=2`.
    ListObjectsV2(ListObjectsV2),
    /// `PUT /bucket/key`.
    PutObject(Box<PutObject>),
    /// `GET /bucket/key`.
    GetObject(Box<GetObject>),
    /// `HEAD /bucket/key`.
    HeadObject(Box<GetObject>),
    /// `GET /bucket/key?attributes` (S3).
    GetAttributes(Box<GetAttributes>),
    /// `HEAD /bucket/key?objectMeta` (OSS; GET is taken too).
    GetObjectMeta {
        /// The bucket.
        bucket: BucketName,
        /// The object.
        key: ObjectKey,
        /// Which version; the current one when missing.
        version: Option<String>,
    },
    /// `DELETE /bucket/key`.
    DeleteObject {
        /// The bucket.
        bucket: BucketName,
        /// The object.
        key: ObjectKey,
        /// The version to destroy; when missing, the object is deleted.
        version: Option<String>,
        /// Whether governance is to be passed over.
        bypass: bool,
    },
    /// `GET` or `PUT` of `/bucket?object-lock` (OSS: `?objectWorm`); the body of a PUT is read by [`LockSettings::parse`].
    LockSettings {
        /// The bucket.
        bucket: BucketName,
        /// What is done; never a delete.
        act: TagAct,
    },
    /// `POST /bucket/key?append&position=…` (OSS).
    Append {
        /// What is written, as by a PutObject.
        put: Box<PutObject>,
        /// Where the object must end.
        position: u64,
    },
    /// `PUT /bucket/key?symlink` (OSS).
    PutSymlink {
        /// The link, as a PutObject without content.
        put: Box<PutObject>,
        /// The object of the same bucket that it means.
        target: ObjectKey,
    },
    /// `GET /bucket/key?symlink` (OSS).
    GetSymlink {
        /// The bucket.
        bucket: BucketName,
        /// The link.
        key: ObjectKey,
        /// Which version; the current one when missing.
        version: Option<String>,
    },
    /// `GET` or `PUT` of `?acl`, on a bucket or an object. What is set is a canned one; of an object never `public-read-write`. A PUT has
    /// no body.
    Acl {
        /// The bucket.
        bucket: BucketName,
        /// The object and its version, when it is one's.
        object: Option<(ObjectKey, Option<String>)>,
        /// What is set; none: it is read.
        set: Option<CannedAcl>,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?publicAccessBlock`; the body of a PUT is read by [`public_access_block`].
    PublicAccessBlock {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?policy`; the body of a PUT is the document.
    Policy {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?replication` (S3); the body of a PUT is read by [`replication_rules`].
    Replication {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?logging`; the body of a PUT is read by [`logging_target`].
    Logging {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// `GET /bucket?policyStatus`.
    PolicyStatus {
        /// The bucket.
        bucket: BucketName,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?cors`; the body of a PUT is read by [`cors_rules`].
    Cors {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// `GET /bucket?stat` (OSS).
    Stat {
        /// The bucket.
        bucket: BucketName,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?quota`, `GET` or `PUT` of `/bucket?qos` (OSS); the body of a PUT is read by
    /// [`quota_bytes`].
    Quota {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
        /// In the older form, which counts in GB.
        old: bool,
    },
    /// `POST /bucket?destroy&prefix=…` or `&key=…`: ours, spoken in S3's words, whose signature covers every parameter.
    Destroy {
        /// The bucket.
        bucket: BucketName,
        /// Keys that begin so.
        prefix: String,
        /// Only the key that is the prefix.
        exact: bool,
    },
    /// `GET /?destructions`: certificates, the newest first; with `&record=…` that one.
    Destructions {
        /// Only those with a smaller number.
        before: Option<u64>,
        /// This one.
        record: Option<u64>,
        /// Page size, at most 1,000.
        rows_max: u32,
    },
    /// `POST /bucket/key?restore`; the body is read by [`restore_days`].
    Restore {
        /// The bucket.
        bucket: BucketName,
        /// The object.
        key: ObjectKey,
        /// Which version; the current one when missing.
        version: Option<String>,
    },
    /// `GET`, `PUT` or `DELETE` of `/bucket?encryption`; the body of a PUT is read by [`Encryption::parse`].
    Encryption {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// The WORM of a bucket (OSS).
    Worm {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: WormRequest,
    },
    /// `GET` or `PUT` of `?retention` or `?legal-hold` (OSS: `?legalHold`).
    Lock {
        /// The bucket.
        bucket: BucketName,
        /// The object.
        key: ObjectKey,
        /// Which version; the current one when missing.
        version: Option<String>,
        /// Whether it is its legal hold, else its retention.
        hold: bool,
        /// What is done; never a delete.
        act: TagAct,
        /// Whether governance is to be passed over.
        bypass: bool,
    },
    /// `GET /bucket?versioning`.
    GetVersioning {
        /// The bucket.
        bucket: BucketName,
    },
    /// `PUT /bucket?versioning`; the body is read by [`VersioningSettings::parse`].
    PutVersioning {
        /// The bucket.
        bucket: BucketName,
    },
    /// `GET /bucket?versions`.
    ListVersions(ListVersions),
    /// `GET`, `PUT` or `DELETE` of `/bucket?lifecycle`; the body of a PUT is read by [`LifecycleRules::parse`].
    Lifecycle {
        /// The bucket.
        bucket: BucketName,
        /// What is done.
        act: TagAct,
    },
    /// `GET`, `PUT` or `DELETE` of `?tagging`, on a bucket or an object; the body of a PUT is read by [`TagSet::parse`].
    Tagging {
        /// The bucket.
        bucket: BucketName,
        /// The object, when it is one's.
        object: Option<(ObjectKey, Option<String>)>,
        /// What is done.
        act: TagAct,
    },
    /// `POST /bucket?delete`; the body is read by [`BatchDelete::parse`].
    DeleteObjects {
        /// The bucket.
        bucket: BucketName,
        /// Whether keys in the answer are URL-encoded.
        encoding_url: bool,
        /// Whether governance is to be passed over.
        bypass: bool,
    },
    /// `PUT /bucket/key` with a source.
    CopyObject(Box<CopyObject>),
    /// `POST /bucket/key?uploads`.
    CreateUpload(Box<CreateUpload>),
    /// `PUT /bucket/key?partNumber&uploadId`.
    UploadPart(Box<UploadPart>),
    /// The same with a source.
    UploadPartCopy(Box<UploadPartCopy>),
    /// `POST /bucket/key?uploadId`; the body is read by [`PartList::parse`].
    CompleteUpload(Box<CompleteUpload>),
    /// `DELETE /bucket/key?uploadId`.
    AbortUpload(UploadOf),
    /// `GET /bucket/key?uploadId`.
    ListParts(ListParts),
    /// `GET /bucket?uploads`.
    ListUploads(ListUploads),
    /// Anything else: answer [`ObjectError::not_offered`].
    NotOffered {
        /// The sub-resource, header or method that is not offered.
        name: Cow<'static, str>,
    },
}

/// What is done with tags or rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TagAct {
    /// They are read.
    Get,
    /// They are set.
    Put,
    /// They are deleted.
    Delete,
}

impl TagAct {
    fn of(method: &Method) -> Option<Self> {
        match *method {
            Method::GET => Some(Self::Get),
            Method::PUT => Some(Self::Put),
            Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }
}

/// Sub-resources of either dialect; on an operation that does not know them they are not offered, never ignored.
const SUB_RESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "accessmonitor",
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "analytics",
    "annotation",
    "append",
    "asyncFetch",
    "attributes",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cleanRestoredObject",
    "cloudboxes",
    "cname",
    "comp",
    "cors",
    "dataPipeline",
    "delete",
    "destroy",
    "destructions",
    "encryption",
    "group",
    "httpsConfig",
    "img",
    "intelligent-tiering",
    "inventory",
    "inventoryId",
    "legal-hold",
    "legalHold",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metadataAnnotationTable",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "MetaQuery",
    "metaQuery",
    "metrics",
    "notification",
    "object-lock",
    "objectInfo",
    "objectMeta",
    "objectWorm",
    "overwriteConfig",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "quota",
    "redundancyTransition",
    "referer",
    "regionList",
    "regions",
    "renameObject",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requesterQosInfo",
    "requestPayment",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "responseHeader",
    "restore",
    "retention",
    "rtc",
    "select",
    "session",
    "stat",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "torrent",
    "transferAcceleration",
    "udf",
    "uploadId",
    "uploads",
    "userDefinedLogFieldsConfig",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-async-process",
    "x-oss-process",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
];

/// What may stand beside the sub-resources in the address of a request that is no GET or HEAD: a new sub-resource must not fall
/// through to the plain operation, which would replace or delete what it was about.
const ASIDE: &[&str] = &[
    "AWSAccessKeyId",
    "encoding-type",
    "Expires",
    "OSSAccessKeyId",
    "security-token",
    "sequential",
    "Signature",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-user-agent",
    "x-id",
    "x-oss-additional-headers",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-request-payer",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
    "x-oss-traffic-limit",
];

/// Headers that change what an operation means and are not offered; without the dialect's prefix.
const OTHER_HEADERS: &[&str] = &[
    "bucket-object-lock-enabled",
    "bypass-governance-retention",
    "callback",
    "callback-var",
    "copy-source",
    "copy-source-range",
    "copy-source-server-side-encryption-customer-algorithm",
    "copy-source-server-side-encryption-customer-key",
    "copy-source-server-side-encryption-customer-key-md5",
    "expected-bucket-owner",
    "source-expected-bucket-owner",
    "grant-full-control",
    "grant-read",
    "grant-read-acp",
    "grant-write",
    "grant-write-acp",
    "mfa",
    "object-lock-legal-hold",
    "object-lock-mode",
    "object-lock-retain-until-date",
    "object-worm-legal-hold",
    "object-worm-mode",
    "object-worm-retain-until-date",
    "object-ownership",
    "process",
    "rename-source",
    "server-side-data-encryption",
    "server-side-encryption-context",
    "server-side-encryption-customer-algorithm",
    "server-side-encryption-customer-key",
    "server-side-encryption-customer-key-md5",
    "symlink-target",
    "tagging",
    "website-redirect-location",
    "write-get-object-response",
    "write-offset-bytes",
];

impl ObjectRequest {
    /// Reads what a head asks for.
    ///
    /// # Errors
    /// `InvalidArgument` and other 400 codes for arguments out of bounds, `MissingContentLength`, `EntityTooLarge`,
    /// `MetadataTooLarge`, `InvalidDigest`.
    pub fn parse(head: &Head<'_>) -> Result<Self, ObjectError> {
        if let Some(name) = unusual(head)? {
            return Ok(Self::NotOffered { name });
        }
        let sub = sub_resources(head);
        let method = &head.parts.method;
        if let Some(name) = unknown_parameter(head, &sub) {
            let method = super::encode::shown(method.as_str());
            return Ok(Self::NotOffered { name: Cow::Owned(format!("{method} ?{name}")) });
        }
        match &head.target {
            Target::Service => match (method, sub.as_slice()) {
                (&Method::GET, []) => list::buckets(head).map(Self::ListBuckets),
                (&Method::GET, ["destructions"]) if head.dialect == Dialect::S3 => destructions(head),
                _ => Ok(not_offered(method, &sub, "service")),
            },
            Target::Bucket(bucket) => on_bucket(head, bucket.clone(), &sub),
            Target::Object(bucket, key) => on_object(head, bucket.clone(), key.clone(), &sub),
        }
    }

    /// Reads what a form asks for: the head of [`super::Form::put_head`]. How long the file is, it does not say.
    ///
    /// # Errors
    /// As [`ObjectRequest::parse`].
    pub fn of_form(head: &Head<'_>) -> Result<PutObject, ObjectError> {
        if let Some(name) = unusual(head)? {
            return Err(ObjectError::not_offered(&name));
        }
        if upload::copies(head) {
            return Err(ObjectError::not_offered("forms with a source to copy"));
        }
        match &head.target {
            Target::Object(bucket, key) => put::of_form(head, bucket.clone(), key.clone()),
            _ => Err(ObjectError::new(Code::InvalidRequest)),
        }
    }

    /// The operation's name, e.g. `GetObject`; what is not offered is `NotOffered`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ListBuckets(_) => "ListBuckets",
            Self::CreateBucket { .. } => "CreateBucket",
            Self::HeadBucket { .. } => "HeadBucket",
            Self::DeleteBucket { .. } => "DeleteBucket",
            Self::GetBucketLocation { .. } => "GetBucketLocation",
            Self::GetBucketInfo { .. } => "GetBucketInfo",
            Self::ListObjectsV1(_) => "ListObjects",
            Self::ListObjectsV2(_) => "ListObjectsV2",
            Self::PutObject(_) => "PutObject",
            Self::GetObject(_) => "GetObject",
            Self::HeadObject(_) => "HeadObject",
            Self::GetAttributes(_) => "GetObjectAttributes",
            Self::GetObjectMeta { .. } => "GetObjectMeta",
            Self::DeleteObject { .. } => "DeleteObject",
            Self::DeleteObjects { .. } => "DeleteObjects",
            Self::CopyObject(_) => "CopyObject",
            Self::CreateUpload(_) => "CreateMultipartUpload",
            Self::UploadPart(_) => "UploadPart",
            Self::UploadPartCopy(_) => "UploadPartCopy",
            Self::CompleteUpload(_) => "CompleteMultipartUpload",
            Self::AbortUpload(_) => "AbortMultipartUpload",
            Self::ListParts(_) => "ListParts",
            Self::ListUploads(_) => "ListMultipartUploads",
            Self::GetVersioning { .. } => "GetBucketVersioning",
            Self::PutVersioning { .. } => "PutBucketVersioning",
            Self::ListVersions(_) => "ListObjectVersions",
            Self::LockSettings { act: TagAct::Get, .. } => "GetObjectLockConfiguration",
            Self::LockSettings { .. } => "PutObjectLockConfiguration",
            Self::Append { .. } => "AppendObject",
            Self::PutSymlink { .. } => "PutSymlink",
            Self::GetSymlink { .. } => "GetSymlink",
            Self::Acl { object: None, set: None, .. } => "GetBucketAcl",
            Self::Acl { object: None, .. } => "PutBucketAcl",
            Self::Acl { set: None, .. } => "GetObjectAcl",
            Self::Acl { .. } => "PutObjectAcl",
            Self::PublicAccessBlock { act, .. } => match act {
                TagAct::Get => "GetPublicAccessBlock",
                TagAct::Put => "PutPublicAccessBlock",
                TagAct::Delete => "DeletePublicAccessBlock",
            },
            Self::Policy { act, .. } => match act {
                TagAct::Get => "GetBucketPolicy",
                TagAct::Put => "PutBucketPolicy",
                TagAct::Delete => "DeleteBucketPolicy",
            },
            Self::PolicyStatus { .. } => "GetBucketPolicyStatus",
            Self::Replication { act, .. } => match act {
                TagAct::Get => "GetBucketReplication",
                TagAct::Put => "PutBucketReplication",
                TagAct::Delete => "DeleteBucketReplication",
            },
            Self::Logging { act, .. } => match act {
                TagAct::Get => "GetBucketLogging",
                TagAct::Put => "PutBucketLogging",
                TagAct::Delete => "DeleteBucketLogging",
            },
            Self::Cors { act, .. } => match act {
                TagAct::Get => "GetBucketCors",
                TagAct::Put => "PutBucketCors",
                TagAct::Delete => "DeleteBucketCors",
            },
            Self::Restore { .. } => "RestoreObject",
            Self::Stat { .. } => "GetBucketStat",
            Self::Quota { act, .. } => match act {
                TagAct::Get => "GetBucketStorageQuota",
                TagAct::Put => "PutBucketStorageQuota",
                TagAct::Delete => "DeleteBucketStorageQuota",
            },
            Self::Destroy { .. } => "DestroyObjects",
            Self::Destructions { record: None, .. } => "ListDestructions",
            Self::Destructions { .. } => "GetDestruction",
            Self::Encryption { act, .. } => match act {
                TagAct::Get => "GetBucketEncryption",
                TagAct::Put => "PutBucketEncryption",
                TagAct::Delete => "DeleteBucketEncryption",
            },
            Self::Worm { act, .. } => match act {
                WormRequest::Get => "GetBucketWorm",
                WormRequest::Begin => "InitiateBucketWorm",
                WormRequest::GiveUp => "AbortBucketWorm",
                WormRequest::Lock(_) => "CompleteBucketWorm",
                WormRequest::Extend(_) => "ExtendBucketWorm",
            },
            Self::Lock { hold: true, act: TagAct::Get, .. } => "GetObjectLegalHold",
            Self::Lock { hold: true, .. } => "PutObjectLegalHold",
            Self::Lock { act: TagAct::Get, .. } => "GetObjectRetention",
            Self::Lock { .. } => "PutObjectRetention",
            Self::Lifecycle { act, .. } => match act {
                TagAct::Get => "GetBucketLifecycle",
                TagAct::Put => "PutBucketLifecycle",
                TagAct::Delete => "DeleteBucketLifecycle",
            },
            Self::Tagging { object: None, act, .. } => match act {
                TagAct::Get => "GetBucketTagging",
                TagAct::Put => "PutBucketTagging",
                TagAct::Delete => "DeleteBucketTagging",
            },
            Self::Tagging { act, .. } => match act {
                TagAct::Get => "GetObjectTagging",
                TagAct::Put => "PutObjectTagging",
                TagAct::Delete => "DeleteObjectTagging",
            },
            Self::NotOffered { .. } => "NotOffered",
        }
    }

    /// The bucket that the request is about.
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::ListBuckets(_) | Self::Destructions { .. } | Self::NotOffered { .. } => None,
            Self::CreateBucket { bucket, .. }
            | Self::HeadBucket { bucket }
            | Self::DeleteBucket { bucket }
            | Self::GetBucketLocation { bucket }
            | Self::GetBucketInfo { bucket }
            | Self::GetObjectMeta { bucket, .. }
            | Self::DeleteObject { bucket, .. }
            | Self::DeleteObjects { bucket, .. }
            | Self::GetVersioning { bucket }
            | Self::PutVersioning { bucket }
            | Self::LockSettings { bucket, .. }
            | Self::Worm { bucket, .. }
            | Self::Encryption { bucket, .. }
            | Self::Destroy { bucket, .. }
            | Self::Stat { bucket }
            | Self::Restore { bucket, .. }
            | Self::Acl { bucket, .. }
            | Self::PublicAccessBlock { bucket, .. }
            | Self::Policy { bucket, .. }
            | Self::PolicyStatus { bucket }
            | Self::Cors { bucket, .. }
            | Self::Replication { bucket, .. }
            | Self::Logging { bucket, .. }
            | Self::Quota { bucket, .. }
            | Self::Lock { bucket, .. }
            | Self::Lifecycle { bucket, .. }
            | Self::Tagging { bucket, .. } => Some(bucket),
            Self::ListVersions(list) => Some(&list.bucket),
            Self::ListObjectsV1(list) => Some(&list.bucket),
            Self::ListObjectsV2(list) => Some(&list.bucket),
            Self::PutObject(put) | Self::Append { put, .. } | Self::PutSymlink { put, .. } => {
                Some(&put.bucket)
            }
            Self::GetSymlink { bucket, .. } => Some(bucket),
            Self::GetObject(get) | Self::HeadObject(get) => Some(&get.bucket),
            Self::GetAttributes(asked) => Some(&asked.get.bucket),
            Self::CopyObject(copy) => Some(&copy.bucket),
            Self::CreateUpload(create) => Some(&create.bucket),
            Self::UploadPart(part) => Some(&part.of.bucket),
            Self::UploadPartCopy(part) => Some(&part.of.bucket),
            Self::CompleteUpload(complete) => Some(&complete.of.bucket),
            Self::AbortUpload(of) => Some(&of.bucket),
            Self::ListParts(list) => Some(&list.of.bucket),
            Self::ListUploads(list) => Some(&list.bucket),
        }
    }

    /// The object that the request is about.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::PutObject(put) | Self::Append { put, .. } | Self::PutSymlink { put, .. } => Some(&put.key),
            Self::GetSymlink { key, .. } | Self::Restore { key, .. } => Some(key),
            Self::GetObject(get) | Self::HeadObject(get) => Some(&get.key),
            Self::GetAttributes(asked) => Some(&asked.get.key),
            Self::GetObjectMeta { key, .. } | Self::DeleteObject { key, .. } | Self::Lock { key, .. } => {
                Some(key)
            }
            Self::Tagging { object, .. } | Self::Acl { object, .. } => object.as_ref().map(|(key, _)| key),
            Self::CopyObject(copy) => Some(&copy.key),
            Self::CreateUpload(create) => Some(&create.key),
            Self::UploadPart(part) => Some(&part.of.key),
            Self::UploadPartCopy(part) => Some(&part.of.key),
            Self::CompleteUpload(complete) => Some(&complete.of.key),
            Self::AbortUpload(of) => Some(&of.key),
            Self::ListParts(list) => Some(&list.of.key),
            _ => None,
        }
    }
}

fn on_bucket(head: &Head<'_>, bucket: BucketName, sub: &[&str]) -> Result<ObjectRequest, ObjectError> {
    let method = &head.parts.method;
    if let (["tagging"], Some(act)) = (sub, TagAct::of(method)) {
        return Ok(ObjectRequest::Tagging { bucket, object: None, act });
    }
    if let (["acl"], Some(act @ (TagAct::Get | TagAct::Put))) = (sub, TagAct::of(method)) {
        return acl(head, bucket, None, act == TagAct::Put);
    }
    if let ([what @ ("publicAccessBlock" | "policy" | "cors" | "logging")], Some(act)) =
        (sub, TagAct::of(method))
    {
        return Ok(match *what {
            "policy" => ObjectRequest::Policy { bucket, act },
            "cors" => ObjectRequest::Cors { bucket, act },
            "logging" => ObjectRequest::Logging { bucket, act },
            _ => ObjectRequest::PublicAccessBlock { bucket, act },
        });
    }
    if let (["replication"], Some(act), Dialect::S3) = (sub, TagAct::of(method), head.dialect) {
        return Ok(ObjectRequest::Replication { bucket, act });
    }
    if let (["encryption"], Some(act)) = (sub, TagAct::of(method)) {
        return Ok(ObjectRequest::Encryption { bucket, act });
    }
    if let (["lifecycle"], Some(act)) = (sub, TagAct::of(method)) {
        return Ok(ObjectRequest::Lifecycle { bucket, act });
    }
    let rules = if head.dialect == Dialect::S3 { "object-lock" } else { "objectWorm" };
    if let ([what], Some(act @ (TagAct::Get | TagAct::Put))) = (sub, TagAct::of(method))
        && *what == rules
    {
        return Ok(ObjectRequest::LockSettings { bucket, act });
    }
    if head.dialect == Dialect::Oss
        && let (&[what @ ("quota" | "qos")], Some(act)) = (sub, TagAct::of(method))
        && (what == "quota" || act != TagAct::Delete)
    {
        return Ok(ObjectRequest::Quota { bucket, act, old: what == "qos" });
    }
    if head.dialect == Dialect::Oss
        && let Some(act) = worm(head, sub)?
    {
        return Ok(ObjectRequest::Worm { bucket, act });
    }
    Ok(match (method, sub) {
        (&Method::GET, []) => match head.param("list-type") {
            None => ObjectRequest::ListObjectsV1(list::objects_v1(head, bucket)?),
            Some("2") => ObjectRequest::ListObjectsV2(list::objects_v2(head, bucket)?),
            Some(_) => return Err(argument("list-type", "it must be 2")),
        },
        (&Method::GET, ["versioning"]) => ObjectRequest::GetVersioning { bucket },
        (&Method::PUT, ["versioning"]) => ObjectRequest::PutVersioning { bucket },
        (&Method::GET, ["versions"]) => ObjectRequest::ListVersions(version::list(head, bucket)?),
        (&Method::GET, ["uploads"]) => ObjectRequest::ListUploads(upload::uploads(head, bucket)?),
        (&Method::GET, ["location"]) => ObjectRequest::GetBucketLocation { bucket },
        (&Method::GET, ["policyStatus"]) => ObjectRequest::PolicyStatus { bucket },
        (&Method::GET, ["stat"]) if head.dialect == Dialect::Oss => ObjectRequest::Stat { bucket },
        (&Method::GET, ["bucketInfo"]) if head.dialect == Dialect::Oss => {
            ObjectRequest::GetBucketInfo { bucket }
        }
        (&Method::PUT, []) => ObjectRequest::CreateBucket {
            bucket,
            storage_class: put::storage_class(head)?,
            locks: locks_from_the_start(head)?,
            acl: access::canned(head)?,
        },
        (&Method::HEAD, []) => ObjectRequest::HeadBucket { bucket },
        (&Method::DELETE, []) => ObjectRequest::DeleteBucket { bucket },
        (&Method::POST, ["destroy"]) if head.dialect == Dialect::S3 => destroy(head, bucket)?,
        (&Method::POST, ["delete"]) => ObjectRequest::DeleteObjects {
            bucket,
            encoding_url: list::encoding_url(head)?,
            bypass: retain::bypass(head)?,
        },
        _ => not_offered(method, sub, "bucket"),
    })
}

fn on_object(
    head: &Head<'_>,
    bucket: BucketName,
    key: ObjectKey,
    sub: &[&str],
) -> Result<ObjectRequest, ObjectError> {
    let method = &head.parts.method;
    // These say which version they mean; for others it is not offered.
    let tags = sub.contains(&"tagging")
        || sub.contains(&"acl")
        || sub.contains(&"restore")
        || sub.iter().any(|s| lock_of(head.dialect, s).is_some());
    let reads = tags || matches!(method, &Method::GET | &Method::HEAD | &Method::DELETE);
    let sub: Vec<&str> = sub.iter().copied().filter(|s| !(reads && *s == "versionId")).collect();
    let version = version::named(head)?;
    if let ([what], Some(act @ (TagAct::Get | TagAct::Put))) = (sub.as_slice(), TagAct::of(method))
        && let Some(hold) = lock_of(head.dialect, what)
    {
        return Ok(ObjectRequest::Lock { bucket, key, version, hold, act, bypass: retain::bypass(head)? });
    }
    if let (["acl"], Some(act @ (TagAct::Get | TagAct::Put))) = (sub.as_slice(), TagAct::of(method)) {
        return acl(head, bucket, Some((key, version)), act == TagAct::Put);
    }
    if let (["tagging"], Some(act)) = (sub.as_slice(), TagAct::of(method)) {
        return Ok(ObjectRequest::Tagging { bucket, object: Some((key, version)), act });
    }
    Ok(match (method, sub.as_slice()) {
        (&Method::GET, []) => ObjectRequest::GetObject(Box::new(get::object(head, bucket, key)?)),
        (&Method::HEAD, []) => ObjectRequest::HeadObject(Box::new(get::object(head, bucket, key)?)),
        (&Method::GET, ["attributes"]) if head.dialect == Dialect::S3 => {
            ObjectRequest::GetAttributes(Box::new(get::attributes(head, bucket, key)?))
        }
        (&Method::HEAD | &Method::GET, ["objectMeta"]) if head.dialect == Dialect::Oss => {
            ObjectRequest::GetObjectMeta { bucket, key, version }
        }
        (&Method::PUT, []) if upload::copies(head) => {
            ObjectRequest::CopyObject(Box::new(upload::copy(head, bucket, key)?))
        }
        (&Method::PUT, []) => ObjectRequest::PutObject(Box::new(put::object(head, bucket, key)?)),
        (&Method::POST, ["append", "position"] | ["position", "append"]) if head.dialect == Dialect::Oss => {
            let position = head.param("position").unwrap_or_default();
            let digits = (1..=19).contains(&position.len()) && position.bytes().all(|b| b.is_ascii_digit());
            let position = if digits { position.parse().ok() } else { None };
            let position = position.ok_or_else(|| argument("position", "it must be a number of bytes"))?;
            ObjectRequest::Append { put: Box::new(put::object(head, bucket, key)?), position }
        }
        (&Method::PUT, ["symlink"]) if head.dialect == Dialect::Oss => {
            let target = put::symlink_target(head)?;
            ObjectRequest::PutSymlink { put: Box::new(put::object(head, bucket, key)?), target }
        }
        (&Method::GET, ["symlink"]) if head.dialect == Dialect::Oss => {
            ObjectRequest::GetSymlink { bucket, key, version }
        }
        (&Method::POST, ["restore"]) => ObjectRequest::Restore { bucket, key, version },
        (&Method::POST, ["uploads"]) => {
            ObjectRequest::CreateUpload(Box::new(upload::create(head, bucket, key)?))
        }
        (&Method::PUT, ["partNumber", "uploadId"] | ["uploadId", "partNumber"]) if upload::copies(head) => {
            ObjectRequest::UploadPartCopy(Box::new(upload::part_copy(head, bucket, key)?))
        }
        (&Method::PUT, ["partNumber", "uploadId"] | ["uploadId", "partNumber"]) => {
            ObjectRequest::UploadPart(Box::new(upload::part(head, bucket, key)?))
        }
        (&Method::POST, ["uploadId"]) => {
            ObjectRequest::CompleteUpload(Box::new(upload::complete(head, bucket, key)?))
        }
        (&Method::DELETE, ["uploadId"]) => ObjectRequest::AbortUpload(upload::abort(head, bucket, key)?),
        (&Method::GET, ["uploadId"]) => ObjectRequest::ListParts(upload::parts(head, bucket, key)?),
        (&Method::DELETE, []) => {
            ObjectRequest::DeleteObject { bucket, key, version, bypass: retain::bypass(head)? }
        }
        _ => not_offered(method, &sub, "object"),
    })
}

/// What is destroyed is said, never left out: a missing parameter must not mean everything.
fn destroy(head: &Head<'_>, bucket: BucketName) -> Result<ObjectRequest, ObjectError> {
    match (head.param("prefix"), head.param("key")) {
        (Some(prefix), None) if prefix.len() <= 1023 => {
            Ok(ObjectRequest::Destroy { bucket, prefix: prefix.to_owned(), exact: false })
        }
        (None, Some(key)) => {
            let key = ObjectKey::parse(key).map_err(|_| argument("key", "it is no object's key"))?;
            Ok(ObjectRequest::Destroy { bucket, prefix: key.to_string(), exact: true })
        }
        _ => Err(argument("prefix", "either prefix (empty for the whole bucket) or key must be given")),
    }
}

fn destructions(head: &Head<'_>) -> Result<ObjectRequest, ObjectError> {
    let number = |name: &'static str| {
        let read = |v: &str| v.parse::<u64>().map_err(|_| argument(name, "it must be a number"));
        head.param(name).filter(|v| !v.is_empty()).map(read).transpose()
    };
    Ok(ObjectRequest::Destructions {
        before: number("before")?,
        record: number("record")?,
        rows_max: list::page(head, "max", 1)?.unwrap_or(100),
    })
}

/// An ACL is set by a canned name in a header, which was looked at already; grants one by one are not offered.
fn acl(
    head: &Head<'_>,
    bucket: BucketName,
    object: Option<(ObjectKey, Option<String>)>,
    set: bool,
) -> Result<ObjectRequest, ObjectError> {
    let canned = access::canned(head)?;
    if set && canned.is_none() {
        return Ok(ObjectRequest::NotOffered {
            name: Cow::Borrowed("an ACL other than a canned one in a header"),
        });
    }
    Ok(ObjectRequest::Acl { bucket, object, set: canned.filter(|_| set) })
}

/// Whether a sub-resource is a version's legal hold, or its retention.
fn lock_of(dialect: Dialect, sub: &str) -> Option<bool> {
    match (dialect, sub) {
        (_, "retention") => Some(false),
        (Dialect::S3, "legal-hold") | (Dialect::Oss, "legalHold") => Some(true),
        _ => None,
    }
}

fn worm(head: &Head<'_>, sub: &[&str]) -> Result<Option<WormRequest>, ObjectError> {
    Ok(match (&head.parts.method, sub) {
        (&Method::GET, ["worm"]) => Some(WormRequest::Get),
        (&Method::POST, ["worm"]) => Some(WormRequest::Begin),
        (&Method::DELETE, ["worm"]) => Some(WormRequest::GiveUp),
        (&Method::POST, ["wormId"]) => Some(WormRequest::Lock(retain::worm_id(head)?)),
        (&Method::POST, ["wormExtend", "wormId"] | ["wormId", "wormExtend"]) => {
            Some(WormRequest::Extend(retain::worm_id(head)?))
        }
        _ => None,
    })
}

fn locks_from_the_start(head: &Head<'_>) -> Result<bool, ObjectError> {
    match head.header("x-amz-bucket-object-lock-enabled")? {
        None | Some("") => Ok(false),
        Some(v) if v.eq_ignore_ascii_case("true") => Ok(true),
        Some(v) if v.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(argument("bucket-object-lock-enabled", "it must be true or false")),
    }
}

fn not_offered(method: &Method, sub: &[&str], level: &'static str) -> ObjectRequest {
    let method = super::encode::shown(method.as_str());
    let name = match sub.first() {
        Some(sub) => format!("{method} {level} ?{sub}"),
        None => format!("{method} {level}"),
    };
    ObjectRequest::NotOffered { name: Cow::Owned(name) }
}

/// The request's sub-resources. An empty `versionId` names none and is dropped.
fn sub_resources<'h>(head: &'h Head<'_>) -> Vec<&'h str> {
    let known = |p: &&super::head::Param<'_>| {
        SUB_RESOURCES.contains(&&*p.name) && !(p.name == "versionId" && p.value.is_empty())
    };
    head.query.iter().filter(known).map(|p| &*p.name).collect()
}

/// A parameter of a writing request that no operation has.
fn unknown_parameter(head: &Head<'_>, sub: &[&str]) -> Option<String> {
    let known = |name: &str| {
        SUB_RESOURCES.contains(&name)
            || ASIDE.contains(&name)
            || name.starts_with("X-Amz-")
            || name.starts_with("x-amz-checksum-")
            || sub == ["destroy"] && matches!(name, "prefix" | "key")
    };
    if matches!(head.parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    head.query.iter().find(|p| !known(&p.name)).map(|p| super::encode::shown(&p.name))
}

/// A header or ACL that changes the meaning of any operation and is not offered.
fn unusual(head: &Head<'_>) -> Result<Option<Cow<'static, str>>, ObjectError> {
    // A delete is not bound to a state: who asks for that must not lose what another wrote meanwhile.
    if head.parts.method == Method::DELETE {
        let condition = |n: &str| n == "if-match" || n.starts_with("x-amz-if-match-");
        if let Some(name) = head.parts.headers.keys().find(|n| condition(n.as_str())) {
            return Ok(Some(Cow::Owned(format!("DELETE with {name}"))));
        }
    }
    let prefix = head.words().prefix;
    for name in head.parts.headers.keys() {
        let Some(rest) = name.as_str().strip_prefix(prefix) else { continue };
        // A source is offered where an object or a part is written.
        let writes = head.parts.method == Method::PUT && matches!(head.target, Target::Object(..));
        if rest == "copy-source" && writes || rest == "copy-source-range" && writes && upload::copies(head) {
            continue;
        }
        // Tags are kept where an object is written.
        let made = writes || head.parts.method == Method::POST && matches!(head.target, Target::Object(..));
        if rest == "tagging" && made {
            continue;
        }
        // How it is encrypted is said there, too; a key that the customer keeps also where one is read.
        let object = matches!(head.target, Target::Object(..));
        let own_key = rest.strip_prefix("copy-source-").unwrap_or(rest);
        if own_key.starts_with("server-side-encryption-customer-") && object && head.dialect == Dialect::S3 {
            continue;
        }
        if rest == "symlink-target" && sub_resources(head) == ["symlink"] {
            continue;
        }
        if rest == "server-side-data-encryption" && made && head.dialect == Dialect::Oss {
            continue;
        }
        // What holds an object is said where one is written, also in parts.
        let names = head.words();
        if made && [names.lock_mode, names.lock_until, names.lock_hold].contains(&name.as_str()) {
            continue;
        }
        // Who destroys versions, or changes their retention, may pass over governance.
        let destroys = matches!(head.parts.method, Method::DELETE | Method::POST | Method::PUT)
            && !matches!(head.target, Target::Service);
        if rest == "bypass-governance-retention" && destroys {
            continue;
        }
        let makes_bucket = head.parts.method == Method::PUT && matches!(head.target, Target::Bucket(_));
        if rest == "bucket-object-lock-enabled" && makes_bucket && sub_resources(head).is_empty() {
            continue;
        }
        if OTHER_HEADERS.contains(&rest) {
            return Ok(Some(Cow::Owned(name.as_str().to_owned())));
        }
        if matches!(rest, "acl" | "object-acl") {
            let value = head.header(name.as_str())?.unwrap_or_default();
            // An object that everybody may write would be anybody's to replace, and with it its ACL: its bucket's ACL says so.
            let on_bucket = matches!(head.target, Target::Bucket(_));
            let offered = match CannedAcl::parse(value) {
                Some(CannedAcl::PublicReadWrite) => on_bucket,
                Some(_) => true,
                // Those of S3 whom nobody is meant by here; any other word is none.
                None => !matches!(value, "authenticated-read" | "aws-exec-read" | "log-delivery-write"),
            };
            if !offered {
                return Ok(Some(Cow::Owned(format!("{name}: {}", super::encode::shown(value)))));
            }
        }
    }
    Ok(None)
}

/// `InvalidArgument` for a parameter.
fn argument(name: &'static str, why: &'static str) -> ObjectError {
    ObjectError::because(Code::InvalidArgument, format!("The argument `{name}` is invalid: {why}."))
        .with("ArgumentName", name)
}

/// Text that will be sent back in a header: no control characters, bounded.
fn header_text(name: &'static str, text: &str) -> Result<String, ObjectError> {
    if text.len() > 4096 || text.chars().any(char::is_control) {
        return Err(argument(name, "it is too long or holds control characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Hosts;

    fn name(method: &str, uri: &str, dialect: Dialect, headers: &[(&str, &str)]) -> String {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.header("content-length", "0").body(()).unwrap().into_parts().0;
        let head = Head::read(&parts, dialect, &Hosts::default()).unwrap();
        match ObjectRequest::parse(&head).unwrap() {
            ObjectRequest::NotOffered { name } => format!("! {name}"),
            other => other.name().to_owned(),
        }
    }

    #[test]
    fn an_unknown_sub_resource_never_becomes_the_plain_operation() {
        for (method, uri) in [
            ("PUT", "/bkt/k?annotation&annotationName=a"),
            ("DELETE", "/bkt/k?annotation&annotationName=a"),
            ("GET", "/bkt/k?annotation&annotationName=a"),
            ("DELETE", "/bkt?overwriteConfig"),
            ("GET", "/bkt?overwriteConfig"),
            ("GET", "/?redundancyTransition"),
            ("PUT", "/bkt?foo"),
            ("PUT", "/bkt?prefix=x"),
            ("DELETE", "/bkt/k?new-thing=1"),
            ("PUT", "/bkt/k?x-amz-acl=public-read"),
            ("POST", "/bkt/k?uploads&new-thing"),
        ] {
            for dialect in [Dialect::S3, Dialect::Oss] {
                let named = name(method, uri, dialect, &[]);
                assert!(named.starts_with(&format!("! {method} ")), "{method} {uri}: {named}");
            }
        }
    }

    #[test]
    fn a_continuation_token_with_a_nul_is_refused() {
        let parse = |inner: &str| {
            let uri = format!("/bkt?list-type=2&continuation-token={}", continuation_token(inner));
            let parts = http::Request::builder().uri(uri).body(()).unwrap().into_parts().0;
            let head = Head::read(&parts, Dialect::S3, &Hosts::default()).unwrap();
            ObjectRequest::parse(&head).map(|_| ()).map_err(|e| e.code())
        };
        assert_eq!(parse("a"), Ok(()));
        assert_eq!(parse("a\0b"), Err(Code::InvalidArgument));
    }

    #[test]
    fn a_delete_under_a_condition_is_not_offered() {
        for (uri, header) in [
            ("/bkt/k", "if-match"),
            ("/bkt/k", "x-amz-if-match-size"),
            ("/bkt/k", "x-amz-if-match-last-modified-time"),
            ("/bkt/k?uploadId=0123", "x-amz-if-match-initiated-time"),
        ] {
            assert_eq!(name("DELETE", uri, Dialect::S3, &[(header, "1")]), format!("! DELETE with {header}"));
        }
    }

    #[test]
    fn what_stands_beside_an_operation_stays() {
        for (method, uri, is) in [
            ("PUT", "/bkt/k?x-id=PutObject", "PutObject"),
            ("PUT", "/bkt/k?X-Amz-Algorithm=a&X-Amz-Content-Sha256=b&x-amz-checksum-crc32=c", "PutObject"),
            (
                "PUT",
                "/bkt/k?x-oss-signature-version=a&x-oss-additional-headers=b&x-oss-expires=1",
                "PutObject",
            ),
            ("DELETE", "/bkt/k?OSSAccessKeyId=a&Expires=1&Signature=b&security-token=c", "DeleteObject"),
            ("DELETE", "/bkt/k?versionId=", "DeleteObject"),
            ("POST", "/bkt/k?uploads&encoding-type=url&sequential", "CreateMultipartUpload"),
            ("POST", "/bkt?delete&encoding-type=url", "DeleteObjects"),
            ("GET", "/bkt/k?whatever=1", "GetObject"),
        ] {
            assert_eq!(name(method, uri, Dialect::Oss, &[]), is, "{uri}");
        }
        assert_eq!(name("POST", "/bkt?destroy&prefix=x", Dialect::S3, &[]), "DestroyObjects");
    }
}
