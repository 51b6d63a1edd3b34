//! Answers about uploads in parts, and copies.

use bailee_types::{BucketName, ObjectKey, Timestamp};

use super::lists::{Owner, key_text, whole_second, write_owner};
use super::{Reply, Sum, etag};
use crate::object::checksum::{Algorithm, ChecksumType, Digests};
use crate::object::dialect::Dialect;
use crate::object::request::{CreateUpload, ListParts, ListUploads, StorageClass};
use crate::object::xml::Xml;

/// One part in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedPart<'a> {
    /// Its number.
    pub number: u32,
    /// MD5 of its content, hex.
    pub md5_hex: &'a str,
    /// CRC-64/XZ of its content.
    pub crc64ecma: u64,
    /// Its S3 checksum, base64.
    pub checksum: Option<(Algorithm, &'a str)>,
    /// Size in bytes.
    pub size: u64,
    /// When it was written.
    pub written_at: Timestamp,
}

/// One upload in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedUpload<'a> {
    /// The key of the object to be.
    pub key: &'a str,
    /// The upload's id.
    pub id: &'a str,
    /// When it began.
    pub begun_at: Timestamp,
    /// The S3 checksum that the object shall have.
    pub checksum: Option<(Algorithm, ChecksumType)>,
}

/// A page of uploads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UploadsPage<'a> {
    /// Uploads by key and id.
    pub uploads: Vec<ListedUpload<'a>>,
    /// Keys grouped by the delimiter.
    pub common_prefixes: Vec<&'a str>,
    /// Key and id after which the next page begins.
    pub next: Option<(&'a str, &'a str)>,
}

/// The answer to CreateMultipartUpload.
pub fn created_upload(dialect: Dialect, request: &CreateUpload, id: &str) -> Reply {
    let mut xml = Xml::document();
    xml.open("InitiateMultipartUploadResult");
    xml.text("Bucket", request.bucket.as_str());
    if request.encoding_url {
        xml.text("EncodingType", "url");
    }
    key_text(&mut xml, request.encoding_url, "Key", request.key.as_str());
    xml.text("UploadId", id);
    xml.close("InitiateMultipartUploadResult");
    let mut reply = Reply::xml(xml);
    if let (Dialect::S3, Some((algorithm, kind))) = (dialect, request.checksum) {
        reply.push("x-amz-checksum-algorithm", algorithm.word());
        reply.push("x-amz-checksum-type", kind.word());
    }
    reply
}

/// The answer to UploadPart.
pub fn uploaded_part(dialect: Dialect, digests: &Digests) -> Reply {
    let mut reply = Reply::empty(200);
    reply.push("ETag", etag(dialect, &digests.md5_hex));
    match (dialect, &digests.checksum) {
        (Dialect::Oss, _) => reply.push("x-oss-hash-crc64ecma", digests.crc64ecma.to_string()),
        (Dialect::S3, Some((algorithm, value))) => reply.push(algorithm.header(), value.as_str()),
        (Dialect::S3, None) => {}
    }
    reply
}

/// The answer to CopyObject and UploadPartCopy.
pub fn copied(
    dialect: Dialect,
    root: &'static str,
    (md5_hex, crc64, sum): (&str, u64, Option<Sum<'_>>),
    at: Timestamp,
) -> Reply {
    let mut xml = Xml::document();
    xml.open(root);
    xml.text("LastModified", &whole_second(at));
    xml.text("ETag", &etag(dialect, md5_hex));
    match sum.filter(|_| dialect == Dialect::S3) {
        // Of a part there is no type to tell.
        Some(sum) if root == "CopyPartResult" => xml.text(sum.algorithm.element(), sum.value),
        Some(sum) => sum.write(&mut xml),
        None => {}
    }
    xml.close(root);
    let mut reply = Reply::xml(xml);
    if dialect == Dialect::Oss {
        reply.push("x-oss-hash-crc64ecma", crc64.to_string());
        reply.push("ETag", etag(dialect, md5_hex));
    }
    reply
}

/// The answer to CompleteMultipartUpload.
pub fn completed(
    dialect: Dialect,
    (bucket, key, encoding_url): (&BucketName, &ObjectKey, bool),
    location: &str,
    (md5_hex, crc64, sum): (&str, u64, Option<Sum<'_>>),
) -> Reply {
    let mut xml = Xml::document();
    xml.open("CompleteMultipartUploadResult");
    if encoding_url {
        xml.text("EncodingType", "url");
    }
    xml.text("Location", location);
    xml.text("Bucket", bucket.as_str());
    key_text(&mut xml, encoding_url, "Key", key.as_str());
    xml.text("ETag", &etag(dialect, md5_hex));
    if let Some(sum) = sum.filter(|_| dialect == Dialect::S3) {
        sum.write(&mut xml);
    }
    xml.close("CompleteMultipartUploadResult");
    let mut reply = Reply::xml(xml);
    if dialect == Dialect::Oss {
        reply.push("x-oss-hash-crc64ecma", crc64.to_string());
        reply.push("ETag", etag(dialect, md5_hex));
    }
    reply
}

/// The answer to ListParts. oss2 wants a NextPartNumberMarker always (contract §7).
pub fn parts(
    dialect: Dialect,
    request: &ListParts,
    owner: Owner<'_>,
    (list, more): (&[ListedPart<'_>], bool),
    checksum: Option<(Algorithm, ChecksumType)>,
) -> Reply {
    let mut xml = Xml::document();
    xml.open("ListPartsResult");
    xml.text("Bucket", request.of.bucket.as_str());
    if request.encoding_url {
        xml.text("EncodingType", "url");
    }
    key_text(&mut xml, request.encoding_url, "Key", request.of.key.as_str());
    xml.text("UploadId", &request.of.upload);
    xml.plain("PartNumberMarker", request.after);
    xml.plain("NextPartNumberMarker", list.last().map_or(request.after, |p| p.number));
    xml.plain("MaxParts", request.parts_max);
    xml.plain("IsTruncated", more);
    xml.text("StorageClass", StorageClass::Standard.name(dialect));
    if dialect == Dialect::S3 {
        for who in ["Initiator", "Owner"] {
            xml.open(who);
            xml.text("ID", owner.id);
            xml.text("DisplayName", owner.display_name);
            xml.close(who);
        }
        write_checksum(&mut xml, checksum);
    }
    for part in list {
        xml.open("Part");
        xml.plain("PartNumber", part.number);
        xml.text("LastModified", &whole_second(part.written_at));
        xml.text("ETag", &etag(dialect, part.md5_hex));
        xml.plain("Size", part.size);
        match (dialect, part.checksum) {
            (Dialect::Oss, _) => xml.plain("HashCrc64ecma", part.crc64ecma),
            (Dialect::S3, Some((algorithm, value))) => xml.text(algorithm.element(), value),
            (Dialect::S3, None) => {}
        }
        xml.close("Part");
    }
    xml.close("ListPartsResult");
    Reply::xml(xml)
}

fn write_checksum(xml: &mut Xml, checksum: Option<(Algorithm, ChecksumType)>) {
    if let Some((algorithm, kind)) = checksum {
        xml.text("ChecksumAlgorithm", algorithm.word());
        xml.text("ChecksumType", kind.word());
    }
}

/// The answer to ListMultipartUploads. oss2 wants both next markers always (contract §7).
pub fn uploads(dialect: Dialect, request: &ListUploads, owner: Owner<'_>, page: &UploadsPage<'_>) -> Reply {
    let url = request.encoding_url;
    let mut xml = Xml::document();
    xml.open("ListMultipartUploadsResult");
    xml.text("Bucket", request.bucket.as_str());
    if url {
        xml.text("EncodingType", "url");
    }
    key_text(&mut xml, url, "KeyMarker", &request.key_marker);
    xml.text("UploadIdMarker", &request.upload_marker);
    let (key, id) = page.next.unwrap_or_default();
    key_text(&mut xml, url, "NextKeyMarker", key);
    xml.text("NextUploadIdMarker", id);
    key_text(&mut xml, url, "Prefix", &request.prefix);
    key_text(&mut xml, url, "Delimiter", request.delimiter.as_deref().unwrap_or_default());
    xml.plain("MaxUploads", request.uploads_max);
    xml.plain("IsTruncated", page.next.is_some());
    for upload in &page.uploads {
        xml.open("Upload");
        key_text(&mut xml, url, "Key", upload.key);
        xml.text("UploadId", upload.id);
        xml.text("StorageClass", StorageClass::Standard.name(dialect));
        if dialect == Dialect::S3 {
            xml.open("Initiator");
            xml.text("ID", owner.id);
            xml.text("DisplayName", owner.display_name);
            xml.close("Initiator");
            write_owner(&mut xml, owner);
            write_checksum(&mut xml, upload.checksum);
        }
        xml.text("Initiated", &whole_second(upload.begun_at));
        xml.close("Upload");
    }
    for prefix in &page.common_prefixes {
        xml.open("CommonPrefixes");
        key_text(&mut xml, url, "Prefix", prefix);
        xml.close("CommonPrefixes");
    }
    xml.close("ListMultipartUploadsResult");
    Reply::xml(xml)
}
