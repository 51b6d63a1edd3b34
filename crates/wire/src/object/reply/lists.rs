//! Listings and other XML answers.

use bailee_types::{BucketName, Timestamp};

use super::{Reply, etag};
use crate::object::dialect::Dialect;
use crate::object::encode::url_text;
use crate::object::error::{Code, ObjectError};
use crate::object::request::{
    BatchDelete, ListBuckets, ListObjectsV1, ListObjectsV2, Listing, StorageClass, continuation_token,
};
use crate::object::xml::Xml;

/// Who owns buckets and objects, as XML shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner<'a> {
    /// The tenant's account id.
    pub id: &'a str,
    /// A name for people; the id again when there is none.
    pub display_name: &'a str,
}

/// One bucket in an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketRow<'a> {
    /// The name.
    pub name: &'a BucketName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its region id, e.g. `cn-hangzhou`.
    pub region: &'a str,
    /// Its default storage class.
    pub storage_class: StorageClass,
    /// The host under which it is reached from outside.
    pub extranet_endpoint: &'a str,
    /// The host under which it is reached from inside.
    pub intranet_endpoint: &'a str,
}

/// The kinds of objects that OSS tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ObjectKind {
    /// It came as a whole.
    #[default]
    Normal,
    /// It was put together of parts.
    Multipart,
    /// It can be appended to.
    Appendable,
    /// It means another one.
    Symlink,
}

impl ObjectKind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Multipart => "Multipart",
            Self::Appendable => "Appendable",
            Self::Symlink => "Symlink",
        }
    }
}

/// One object in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedObject<'a> {
    /// The key.
    pub key: &'a str,
    /// When it was last written.
    pub modified_at: Timestamp,
    /// MD5 of the content, hex.
    pub md5_hex: &'a str,
    /// Size in bytes.
    pub size: u64,
    /// Its storage class.
    pub storage_class: StorageClass,
    /// What kind of object it is.
    pub kind: ObjectKind,
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page<'a> {
    /// The objects, in key order.
    pub objects: Vec<ListedObject<'a>>,
    /// Keys grouped by the delimiter, in order.
    pub common_prefixes: Vec<&'a str>,
    /// The last key or prefix of this page when more follow; `None` when the listing is complete.
    pub next: Option<&'a str>,
}

/// What became of one object of a batch delete.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gone<'a> {
    /// The key.
    pub key: &'a str,
    /// The version that was named.
    pub version: Option<&'a str>,
    /// The delete marker that was written, or that the named version was.
    pub marker: Option<&'a str>,
}

/// What became of a batch delete.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Deleted<'a> {
    /// Keys that are gone, whether they were there or not.
    pub done: Vec<Gone<'a>>,
    /// Keys that could not be deleted.
    pub failed: Vec<(&'a str, ObjectError)>,
}

/// The answer to ListBuckets. `next` is the last name of this page when more follow.
pub fn buckets(
    dialect: Dialect,
    request: &ListBuckets,
    owner: Owner<'_>,
    rows: &[BucketRow<'_>],
    next: Option<&str>,
) -> Reply {
    let mut xml = Xml::document();
    xml.open("ListAllMyBucketsResult");
    match dialect {
        Dialect::Oss => {
            xml.text("Prefix", &request.prefix);
            xml.text("Marker", request.marker.as_deref().unwrap_or_default());
            xml.plain("MaxKeys", request.max_keys);
            xml.plain("IsTruncated", next.is_some());
            if let Some(next) = next {
                xml.text("NextMarker", next);
            }
        }
        Dialect::S3 => {
            if let Some(next) = next {
                xml.text("ContinuationToken", &continuation_token(next));
            }
            if !request.prefix.is_empty() {
                xml.text("Prefix", &request.prefix);
            }
        }
    }
    write_owner(&mut xml, owner);
    xml.open("Buckets");
    for row in rows {
        xml.open("Bucket");
        write_bucket(&mut xml, dialect, row);
        xml.close("Bucket");
    }
    xml.close("Buckets");
    xml.close("ListAllMyBucketsResult");
    Reply::xml(xml)
}

/// The answer to GetBucketLocation.
pub fn location(dialect: Dialect, region: &str) -> Reply {
    let mut xml = Xml::document();
    match dialect {
        Dialect::Oss => xml.text("LocationConstraint", &format!("oss-{region}")),
        Dialect::S3 => xml.text("LocationConstraint", region),
    }
    Reply::xml(xml)
}

/// The answer to GetBucketInfo (OSS).
pub fn bucket_info(row: &BucketRow<'_>, owner: Owner<'_>, acl: &str, blocks_public: bool) -> Reply {
    let mut xml = Xml::document();
    xml.open("BucketInfo");
    xml.open("Bucket");
    write_bucket(&mut xml, Dialect::Oss, row);
    xml.text("DataRedundancyType", "LRS");
    xml.text("Comment", "");
    write_owner(&mut xml, owner);
    xml.open("AccessControlList");
    xml.text("Grant", acl);
    xml.close("AccessControlList");
    xml.plain("BlockPublicAccess", blocks_public);
    xml.close("Bucket");
    xml.close("BucketInfo");
    Reply::xml(xml)
}

/// The answer to ListObjects.
pub fn objects_v1(dialect: Dialect, request: &ListObjectsV1, owner: Owner<'_>, page: &Page<'_>) -> Reply {
    let mut xml = begin(&request.bucket, &request.listing);
    let url = request.listing.encoding_url;
    key_text(&mut xml, url, "Marker", request.marker.as_deref().unwrap_or_default());
    xml.plain("IsTruncated", page.next.is_some());
    if let Some(next) = page.next {
        key_text(&mut xml, url, "NextMarker", next);
    }
    entries(&mut xml, dialect, url, Some(owner), page);
    xml.close("ListBucketResult");
    Reply::xml(xml)
}

/// The answer to ListObjectsV2.
pub fn objects_v2(dialect: Dialect, request: &ListObjectsV2, owner: Owner<'_>, page: &Page<'_>) -> Reply {
    let mut xml = begin(&request.bucket, &request.listing);
    let url = request.listing.encoding_url;
    xml.plain("KeyCount", page.objects.len() + page.common_prefixes.len());
    if let Some(start) = &request.start_after {
        key_text(&mut xml, url, "StartAfter", start);
    }
    if let Some(token) = &request.continuation_token {
        xml.text("ContinuationToken", token);
    }
    xml.plain("IsTruncated", page.next.is_some());
    if let Some(next) = page.next {
        xml.text("NextContinuationToken", &continuation_token(next));
    }
    entries(&mut xml, dialect, url, request.fetch_owner.then_some(owner), page);
    xml.close("ListBucketResult");
    Reply::xml(xml)
}

/// The answer to DeleteObjects. When quiet and nothing failed, OSS sends no body (contract §7).
pub fn deleted_objects(
    dialect: Dialect,
    request: &BatchDelete,
    encoding_url: bool,
    result: &Deleted<'_>,
) -> Reply {
    if dialect == Dialect::Oss && request.quiet && result.failed.is_empty() && request.refused.is_empty() {
        return Reply::empty(200);
    }
    let mut xml = Xml::document();
    xml.open("DeleteResult");
    if encoding_url {
        xml.text("EncodingType", "url");
    }
    if !request.quiet {
        for gone in &result.done {
            xml.open("Deleted");
            key_text(&mut xml, encoding_url, "Key", gone.key);
            if let Some(version) = gone.version {
                xml.text("VersionId", version);
            }
            if let Some(marker) = gone.marker {
                xml.plain("DeleteMarker", true);
                xml.text("DeleteMarkerVersionId", marker);
            }
            xml.close("Deleted");
        }
    }
    let refusal = ObjectError::new(Code::InvalidObjectName);
    let refused = request.refused.iter().map(|key| (key.as_str(), &refusal));
    for (key, error) in result.failed.iter().map(|(key, error)| (*key, error)).chain(refused) {
        xml.open("Error");
        key_text(&mut xml, encoding_url, "Key", key);
        xml.text("Code", error.code().name(dialect));
        xml.text("Message", error.message());
        xml.close("Error");
    }
    xml.close("DeleteResult");
    Reply::xml(xml)
}

fn begin(bucket: &BucketName, listing: &Listing) -> Xml {
    let mut xml = Xml::document();
    xml.open("ListBucketResult");
    xml.text("Name", bucket.as_str());
    key_text(&mut xml, listing.encoding_url, "Prefix", &listing.prefix);
    xml.plain("MaxKeys", listing.max_keys);
    key_text(&mut xml, listing.encoding_url, "Delimiter", listing.delimiter.as_deref().unwrap_or_default());
    if listing.encoding_url {
        xml.text("EncodingType", "url");
    }
    xml
}

fn entries(xml: &mut Xml, dialect: Dialect, url: bool, owner: Option<Owner<'_>>, page: &Page<'_>) {
    for object in &page.objects {
        xml.open("Contents");
        key_text(xml, url, "Key", object.key);
        xml.text("LastModified", &whole_second(object.modified_at));
        xml.text("ETag", &etag(dialect, object.md5_hex));
        if dialect == Dialect::Oss {
            xml.text("Type", object.kind.word());
        }
        xml.plain("Size", object.size);
        xml.text("StorageClass", object.storage_class.name(dialect));
        if let Some(owner) = owner {
            write_owner(xml, owner);
        }
        xml.close("Contents");
    }
    for prefix in &page.common_prefixes {
        xml.open("CommonPrefixes");
        key_text(xml, url, "Prefix", prefix);
        xml.close("CommonPrefixes");
    }
}

fn write_bucket(xml: &mut Xml, dialect: Dialect, row: &BucketRow<'_>) {
    xml.text("Name", row.name.as_str());
    xml.text("CreationDate", &whole_second(row.created_at));
    match dialect {
        Dialect::Oss => {
            xml.text("Location", &format!("oss-{}", row.region));
            xml.text("Region", row.region);
            xml.text("StorageClass", row.storage_class.name(dialect));
            xml.text("ExtranetEndpoint", row.extranet_endpoint);
            xml.text("IntranetEndpoint", row.intranet_endpoint);
        }
        Dialect::S3 => xml.text("BucketRegion", row.region),
    }
}

pub(super) fn write_owner(xml: &mut Xml, owner: Owner<'_>) {
    xml.open("Owner");
    xml.text("ID", owner.id);
    xml.text("DisplayName", owner.display_name);
    xml.close("Owner");
}

pub(super) fn key_text(xml: &mut Xml, url: bool, name: &str, key: &str) {
    if url { xml.text(name, &url_text(key)) } else { xml.text(name, key) }
}
/// `2026-01-02T03:04:05.000Z`: oss2 reads milliseconds only when they are zero, and `Last-Modified` has none either.
pub(super) fn whole_second(at: Timestamp) -> String {
    Timestamp::from_secs(at.secs()).iso_ms()
}
