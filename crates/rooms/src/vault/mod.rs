//! The vault: objects encrypted, in their region, gone when destroyed.
//!
//! Each object version has its own data key; content is sealed in segments, metadata under the tenant's key.
//! Small objects lie in the row, so that a small PUT is one group commit; larger ones are blobs, written and
//! synced before the row that names them.
//!
//! INVARIANT: what [`PutObject`] acknowledged survives `kill -9` and power loss (I6).
//! INVARIANT: no changed byte is given out: a segment is authenticated before it leaves (I7).
//! Key names are stored in clear, so that listing by prefix is possible; the white paper says so.

mod access;
mod append;
mod bucket;
mod checksum;
mod clean;
mod copy;
mod cors;
mod crossing;
mod custody;
mod delete;
mod destroy;
mod encryption;
mod get;
mod lifecycle;
mod list;
mod logging;
mod meta;
mod paper;
mod papers;
mod parts;
mod put;
mod quota;
mod repair;
mod replicate;
mod retain;
mod rewrap;
mod rows;
mod scrub;
mod see;
mod settings;
mod tags;
mod tier;
mod upload;
mod version;
mod window;

use std::collections::BTreeMap;

use bailee_types::{Arn, BucketName, ObjectKey, ObjectVersionId, RegionId, TenantId, TicketId, Timestamp};
use bytes::Bytes;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use access::{ACL_NAME, Access, AccessCache, POLICY_TOLD_MAX, is_public};
pub use access::{
    AccessAct, Acl, BucketPolicy, ChangeAccess, GetObjectAcl, ObjectAcl, OpenObject, Public, SetObjectAcl,
};
pub use append::AppendObject;
use bucket::bucket_asked;
pub use bucket::{CreateBucket, DeleteBucket, GetBucket, ListBuckets};
pub(crate) use bucket::{has_blob_like, has_bucket, region_of};
pub use checksum::{Algorithm, Checksum, ChecksumProblem, ChecksumType};
pub(crate) use clean::clean;
pub use copy::CopyBody;
pub use cors::{CorsRule, SetCors};
pub use crossing::Carried;
pub use custody::{GetCustody, SetCustody};
pub(crate) use custody::{has_custody_under, is_in_custody};
pub use delete::DeleteObject;
pub(crate) use destroy::certificate;
pub use destroy::{DESTROY_MAX, DestroyObjects, Destroyed, Destruction, GetDestruction, ListDestructions};
pub use encryption::{DEFAULT_KEY_ALIAS, Encryption, SetEncryption};
pub use get::{Choice, Content, GetObject, PartOf};
pub(crate) use lifecycle::live;
pub use lifecycle::{
    Applied, ApplyLifecycle, Due, Ends, ExplainLifecycle, GetLifecycle, Move, Rule, SetLifecycle,
};
pub use list::{ListObjects, Listed, ObjectPage};
pub(crate) use logging::{Gathered, write_logs};
pub use logging::{Logging, SetLogging};
pub use paper::{Media, NewPaper, PAPER_BYTES_MAX, is_digest};
pub(crate) use papers::{DestroyPapers, Holder, remove_paper};
pub use papers::{PAPERS_MAX, Paper};
pub use put::{PutDone, PutObject};
pub use quota::{GetTenantUsage, GetUsage, SetQuota, SetTenantQuota, Usage};
pub use repair::{Repair, Repaired};
pub use replicate::{GetReplication, REPLICATION_RULES_MAX, ReplicationLag, ReplicationRule, SetReplication};
pub(crate) use replicate::{replicate, take_back_replication};
pub use retain::{
    ChangeWorm, DefaultRetention, GetLock, Lock, LockMode, LockRules, LockWish, MayLock, Retention,
    SetLegalHold, SetLockRules, SetRetention, VersionOf, Worm, WormAct,
};
pub use rewrap::RewrapDone;
pub(crate) use rewrap::{Rewrapping, under_version};
pub use scrub::{Damage, Scrub, Scrubbed};
pub use see::{SeeBucket, SeeObject};
pub use settings::{GetSettings, Setting, Settings};
pub use tags::{BUCKET_TAGS_MAX, GetTags, MayTag, OBJECT_TAGS_MAX, SetTags, Tags, TagsOf, check_tags};
pub use tier::{RESTORE_DAYS_MAX, RestoreObject, Tier};
pub use upload::{
    AbortUpload, CompleteUpload, CreateUpload, ListParts, ListUploads, ListedPart, PARTS_MAX, Part, PartPage,
    PutPart, Upload, UploadPage, WholeClaim,
};
pub use version::{
    DeleteVersion, Deleted, ListVersions, Marker, SetVersioning, Version, VersionPage, Versioning, Which,
};
pub use window::{ReadObject, ReadVersion, WINDOW_LEN, Window};

use crate::consent::parameters;
use crate::gate::{Asked, Class, Touches};

/// Objects up to this many bytes lie in the database row.
pub const INLINE_MAX: usize = 16 * 1024;

/// A body on its way in. An error ends the act; nothing of it is stored.
#[async_trait::async_trait]
pub trait Body: Send {
    /// The next piece; none at the end.
    async fn next(&mut self) -> Option<Result<Bytes, String>>;

    /// Called once after the end: checks what the client claimed of the body and answers its digests.
    ///
    /// # Errors
    /// When a checksum differs or the body was cut.
    fn finish(&mut self) -> Result<BodyDigests, String>;

    /// The S3 checksum that comes with it; it is checked at the end.
    fn claims(&self) -> Option<Algorithm> {
        None
    }

    /// What of another object is in it; none for what a client sends.
    fn carries(&self) -> Option<Carried> {
        None
    }
}

/// Digests of a whole body.
#[derive(Clone, Debug)]
pub struct BodyDigests {
    /// MD5, lower-case hex.
    pub md5: String,
    /// CRC-64/XZ.
    pub crc64: u64,
    /// S3 checksums, base64: the one that came with it.
    pub checksums: Vec<(Algorithm, String)>,
}

/// A body that is in memory already (a form's file, sample data).
pub struct WholeBody {
    bytes: Option<Bytes>,
    digests: BodyDigests,
}

impl WholeBody {
    /// A body of these bytes.
    pub fn new(bytes: Bytes) -> Self {
        let digests = BodyDigests {
            md5: hex::encode(Md5::digest(&bytes)),
            crc64: crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, &bytes),
            checksums: Vec::new(),
        };
        Self { bytes: Some(bytes), digests }
    }
}

#[async_trait::async_trait]
impl Body for WholeBody {
    async fn next(&mut self) -> Option<Result<Bytes, String>> {
        self.bytes.take().map(Ok)
    }

    fn finish(&mut self) -> Result<BodyDigests, String> {
        Ok(self.digests.clone())
    }
}

/// A bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// Where its objects lie.
    pub region: RegionId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How it keeps versions.
    pub versioning: Versioning,
    /// What else its owner has set.
    pub settings: Settings,
}

/// What is known of an object beside its content. Sealed in the row: an MD5 in clear would tell which objects
/// are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectMeta {
    /// MD5 of the content, lower-case hex; of an object of parts the MD5 of their MD5s, `-` and their number.
    pub md5: String,
    /// CRC-64/XZ of the content.
    pub crc64: u64,
    /// S3's checksum of it; of what is to be written the one that it shall have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// `Content-Type`.
    pub content_type: String,
    /// Other standard headers by lower-case name (`cache-control`, `content-disposition`, …).
    pub headers: BTreeMap<String, String>,
    /// User metadata by lower-case name without the dialect's prefix.
    pub user: BTreeMap<String, String>,
    /// Tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Whether it can be appended to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub appendable: bool,
    /// Whether replication brought it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replica: bool,
    /// The object of the same bucket that is meant by it, when it is a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symlink: Option<String>,
    /// Whether it stays private where its bucket's ACL lets everybody in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Whether everybody may read it, where the bucket's owner lets ACLs open something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// Its storage type, when it was said or is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Until when it is restored, when it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_until: Option<Timestamp>,
    /// How it is encrypted, when otherwise than every object is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// What holds it.
    #[serde(default, skip_serializing_if = "Lock::is_none")]
    pub lock: Lock,
    /// For an object of parts: the digest of their list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<String>,
}

/// An object as HEAD shows it.
#[derive(Clone, Debug)]
pub struct ObjectInfo {
    /// The key.
    pub key: ObjectKey,
    /// The stored version.
    pub version: ObjectVersionId,
    /// Whether clients call it `null`.
    pub is_null: bool,
    /// Bytes of content.
    pub size: u64,
    /// When it was written.
    pub modified_at: Timestamp,
    /// The rest.
    pub meta: ObjectMeta,
}

impl ObjectInfo {
    /// The version's id as clients know it.
    pub fn version_id(&self) -> String {
        version::shown_id(self.is_null, &self.version)
    }

    /// An entity tag that tells versions apart and nothing of their content. Clients take it for no MD5.
    pub fn tag(&self) -> String {
        format!("{}-1", self.version)
    }
}

fn object_asked(
    tenant: &TenantId,
    bucket: &BucketName,
    key: &ObjectKey,
    action: &'static str,
    ticket: Option<&TicketId>,
) -> Asked {
    Asked {
        tenant: tenant.clone(),
        action,
        resource: Arn::object(tenant, bucket, key),
        resource_type: "ACS::OSS::Object",
        class: Class::Data,
        touches: Touches::Content,
        ticket: ticket.cloned(),
        parameters: parameters(json!({ "bucket": bucket.as_str(), "object": key.as_str() })),
        continues: None,
        also: Vec::new(),
        conditions: Vec::new(),
    }
}
