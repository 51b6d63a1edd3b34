//! Headers of single objects: PUT, GET, HEAD, 304.

use bailee_types::Timestamp;

use super::{Reply, etag};
use crate::object::checksum::{Algorithm, ChecksumType, Digests};
use crate::object::dialect::Dialect;
use crate::object::range::Span;
use crate::object::request::{ContentHeaders, Encryption, GetAttributes, Overrides, StorageClass};
use crate::object::xml::Xml;

/// Until when an archived object can be read.
fn restored(until: Timestamp) -> String {
    format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(until))
}

const TYPE_DEFAULT: &str = "application/octet-stream";

/// What is stored about an object.
#[derive(Clone, Debug)]
pub struct ObjectFacts<'a> {
    /// Size in bytes.
    pub size: u64,
    /// MD5 of the content, hex: the ETag.
    pub md5_hex: &'a str,
    /// CRC-64/XZ of the content.
    pub crc64ecma: u64,
    /// When it was last written.
    pub modified_at: Timestamp,
    /// `Content-Type` as stored; `application/octet-stream` when none.
    pub content_type: Option<&'a str>,
    /// Standard headers as stored.
    pub headers: &'a ContentHeaders,
    /// User metadata: names without prefix.
    pub metadata: &'a [(String, String)],
    /// Its storage class.
    pub storage_class: StorageClass,
    /// Until when it is restored, if it is.
    pub restored_until: Option<Timestamp>,
    /// What kind of object it is.
    pub kind: super::ObjectKind,
    /// The encryption to show.
    pub encryption: Option<&'a Encryption>,
    /// Its S3 checksum, when the caller asked for it.
    pub checksum: Option<Sum<'a>>,
}

/// The S3 checksum of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum<'a> {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Of what.
    pub kind: ChecksumType,
    /// Base64; a composite one with `-` and the number of parts.
    pub value: &'a str,
}

impl Sum<'_> {
    pub(super) fn write(self, xml: &mut Xml) {
        xml.text(self.algorithm.element(), self.value);
        xml.text("ChecksumType", self.kind.word());
    }
}

/// The answer to PutObject.
pub fn put_object(dialect: Dialect, digests: &Digests) -> Reply {
    let mut reply = Reply::empty(200);
    reply.push("ETag", etag(dialect, &digests.md5_hex));
    match dialect {
        Dialect::Oss => reply.push("x-oss-hash-crc64ecma", digests.crc64ecma.to_string()),
        Dialect::S3 => {
            if let Some((algorithm, value)) = &digests.checksum {
                reply.push(algorithm.header(), value.as_str());
                reply.push("x-amz-checksum-type", "FULL_OBJECT");
            }
        }
    }
    reply
}

/// The head of the answer to GetObject (and all of HeadObject): 200, or 206 when `span` is given. The server
/// streams the bytes.
pub fn object(dialect: Dialect, facts: &ObjectFacts<'_>, span: Option<Span>, overrides: &Overrides) -> Reply {
    let mut reply = Reply::empty(if span.is_some() { 206 } else { 200 });
    reply.push("Content-Length", span.map_or(facts.size, Span::len).to_string());
    if let Some(span) = span {
        reply.push("Content-Range", format!("bytes {}-{}/{}", span.first, span.last, facts.size));
    }
    let content_type = overrides.content_type.as_deref().or(facts.content_type).unwrap_or(TYPE_DEFAULT);
    reply.push("Content-Type", content_type);
    reply.push("Accept-Ranges", "bytes");
    validators(&mut reply, dialect, facts);
    push_content_headers(&mut reply, facts.headers, &overrides.headers);
    match dialect {
        Dialect::Oss => {
            reply.push("x-oss-object-type", facts.kind.word());
            if facts.kind == super::ObjectKind::Appendable {
                reply.push("x-oss-next-append-position", facts.size.to_string());
            }
            reply.push("x-oss-hash-crc64ecma", facts.crc64ecma.to_string());
            reply.push("x-oss-storage-class", facts.storage_class.name(dialect));
            if let Some(until) = facts.restored_until {
                reply.push("x-oss-restore", restored(until));
            }
        }
        Dialect::S3 => {
            if let Some(until) = facts.restored_until {
                reply.push("x-amz-restore", restored(until));
            }
            if facts.storage_class != StorageClass::Standard {
                reply.push("x-amz-storage-class", facts.storage_class.name(dialect));
            }
            // A checksum of the whole object says nothing about a part of it: clients would compare and fail.
            if let (Some(sum), None) = (facts.checksum, span) {
                reply.push(sum.algorithm.header(), sum.value);
                reply.push("x-amz-checksum-type", sum.kind.word());
            }
        }
    }
    push_encryption(&mut reply, dialect, facts.encryption);
    for (name, value) in facts.metadata {
        let mut full = String::with_capacity(dialect.words().meta_prefix.len() + name.len());
        full.push_str(dialect.words().meta_prefix);
        full.push_str(name);
        reply.push(full, value.as_str());
    }
    reply
}

/// The answer to GetObjectMeta (OSS): size, ETag and date only.
pub fn object_meta(facts: &ObjectFacts<'_>) -> Reply {
    let mut reply = Reply::empty(200);
    reply.push("Content-Length", facts.size.to_string());
    validators(&mut reply, Dialect::Oss, facts);
    reply
}

/// A part of an object in the answer to GetObjectAttributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectPart<'a> {
    /// Its number.
    pub number: u32,
    /// Size in bytes.
    pub size: u64,
    /// Its checksum by the object's algorithm.
    pub checksum: Option<(Algorithm, &'a str)>,
}

/// The answer to GetObjectAttributes (S3): what was asked for. `parts` is of an object that was put together: a page and, when
/// there are more, one behind it; and how many there are in all.
pub fn attributes(
    request: &GetAttributes,
    facts: &ObjectFacts<'_>,
    parts: Option<(&[ObjectPart<'_>], usize)>,
) -> Reply {
    let mut xml = Xml::document();
    xml.open("GetObjectAttributesResponse");
    if request.etag {
        xml.text("ETag", facts.md5_hex);
    }
    if let Some(sum) = facts.checksum.filter(|_| request.checksum) {
        xml.open("Checksum");
        sum.write(&mut xml);
        xml.close("Checksum");
    }
    if let (Some((page, count)), Some((after, parts_max))) = (parts, request.parts) {
        let shown = page.get(..parts_max as usize).unwrap_or(page);
        xml.open("ObjectParts");
        xml.plain("PartsCount", count);
        xml.plain("PartNumberMarker", after);
        xml.plain("NextPartNumberMarker", shown.last().map_or(after, |p| p.number));
        xml.plain("MaxParts", parts_max);
        xml.plain("IsTruncated", page.len() > shown.len());
        for part in shown {
            xml.open("Part");
            xml.plain("PartNumber", part.number);
            xml.plain("Size", part.size);
            if let Some((algorithm, value)) = part.checksum {
                xml.text(algorithm.element(), value);
            }
            xml.close("Part");
        }
        xml.close("ObjectParts");
    }
    if request.storage_class {
        xml.text("StorageClass", facts.storage_class.name(Dialect::S3));
    }
    if request.size {
        xml.plain("ObjectSize", facts.size);
    }
    xml.close("GetObjectAttributesResponse");
    let mut reply = Reply::xml(xml);
    reply.push("Last-Modified", http_date(facts.modified_at));
    reply
}

/// A 304, with the headers that RFC 9110 §15.4.5 wants.
pub fn not_modified(dialect: Dialect, facts: &ObjectFacts<'_>) -> Reply {
    let mut reply = Reply::empty(304);
    validators(&mut reply, dialect, facts);
    if let Some(value) = &facts.headers.cache_control {
        reply.push("Cache-Control", value.as_str());
    }
    reply
}

fn validators(reply: &mut Reply, dialect: Dialect, facts: &ObjectFacts<'_>) {
    reply.push("ETag", etag(dialect, facts.md5_hex));
    reply.push("Last-Modified", http_date(facts.modified_at));
}

fn push_content_headers(reply: &mut Reply, stored: &ContentHeaders, overrides: &ContentHeaders) {
    let pairs = [
        ("Cache-Control", &overrides.cache_control, &stored.cache_control),
        ("Content-Disposition", &overrides.content_disposition, &stored.content_disposition),
        ("Content-Encoding", &overrides.content_encoding, &stored.content_encoding),
        ("Content-Language", &overrides.content_language, &stored.content_language),
        ("Expires", &overrides.expires, &stored.expires),
    ];
    for (name, first, second) in pairs {
        if let Some(value) = first.as_deref().or(second.as_deref()) {
            reply.push(name, value);
        }
    }
}

impl Reply {
    /// Adds how an object is encrypted.
    #[must_use]
    pub fn with_encryption(mut self, dialect: Dialect, encryption: &Encryption) -> Self {
        push_encryption(&mut self, dialect, Some(encryption));
        self
    }
}

fn push_encryption(reply: &mut Reply, dialect: Dialect, encryption: Option<&Encryption>) {
    let Some(encryption) = encryption else { return };
    let words = dialect.words();
    let algorithm = match (dialect, encryption.algorithm) {
        (Dialect::S3, "KMS") => "aws:kms",
        // S3 has no word for SM4; what is shown must be true, so nothing is shown.
        (Dialect::S3, "SM4") => return,
        (_, other) => other,
    };
    reply.push(words.encryption, algorithm);
    if encryption.sm4_data && dialect == Dialect::Oss {
        reply.push("x-oss-server-side-data-encryption", "SM4");
    }
    if let Some(key) = &encryption.key_id {
        reply.push(words.encryption_key, key.as_str());
    }
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`; instants before 1970 or after 9999 are shown as the nearer end.
fn http_date(at: Timestamp) -> String {
    let secs = u64::try_from(at.secs()).unwrap_or(0).min(253_402_300_799);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(secs))
}
