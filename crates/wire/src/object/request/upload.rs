//! Uploads in parts, and copies.
//!
//! INVARIANT: part numbers are within 1 to 10,000 and upload ids are bounded text; whether an upload exists is the server's
//! to say.

use bailee_types::{BucketName, ObjectKey};

use super::encryption::{CustomerKey, Encryption, customer_key, encryption};
use super::get::{Conditions, bare, tags};
use super::list::{encoding_url, page, text};
use super::put::{ContentHeaders, conditions, content_headers, length, metadata, storage_class};
use super::{StorageClass, TagSet, argument};
use crate::object::auth::any_date;
use crate::object::checksum::{Algorithm, ChecksumType, Claims, of_whole};
use crate::object::dialect::Dialect;
use crate::object::encode::percent_decode;
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;
use crate::object::range::{ByteRange, Span};
use crate::object::xml::{malformed, walk};

/// Parts of one object.
const PARTS_MAX: u32 = 10_000;
/// Parts or uploads on one page.
const PAGE_MAX: u32 = 1_000;
const ID_BYTES_MAX: usize = 128;

/// One upload of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadOf {
    /// The bucket.
    pub bucket: BucketName,
    /// The object to be.
    pub key: ObjectKey,
    /// The upload's id.
    pub upload: String,
}

/// What an object keeps beside its content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Described {
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// Standard headers that come back with the object.
    pub headers: ContentHeaders,
    /// User metadata: lower-case names without prefix, sorted.
    pub metadata: Vec<(String, String)>,
    /// Tags.
    pub tags: TagSet,
}

/// `POST /bucket/key?uploads`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateUpload {
    /// The bucket.
    pub bucket: BucketName,
    /// The object to be.
    pub key: ObjectKey,
    /// What it will keep beside its content.
    pub described: Described,
    /// Its ACL; never `public-read-write`.
    pub acl: super::CannedAcl,
    /// What shall hold it.
    pub lock: super::LockHeaders,
    /// The storage class asked for.
    pub storage_class: Option<StorageClass>,
    /// Server-side encryption asked for.
    pub encryption: Option<Encryption>,
    /// The customer's own key.
    pub customer_key: Option<CustomerKey>,
    /// The S3 checksum that the object shall have, and what that is made of.
    pub checksum: Option<(Algorithm, ChecksumType)>,
    /// Whether keys in the answer are URL-encoded.
    pub encoding_url: bool,
}

/// `PUT /bucket/key?partNumber&uploadId`.
#[derive(Clone, PartialEq, Debug)]
pub struct UploadPart {
    /// Which upload.
    pub of: UploadOf,
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes of the decoded body.
    pub content_length: Option<u64>,
    /// The customer's own key.
    pub customer_key: Option<CustomerKey>,
    /// What the request claims about its body.
    pub claims: Claims,
}

/// What is copied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopySource {
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub key: ObjectKey,
    /// Which version; the current one when missing.
    pub version: Option<String>,
    /// Conditions on it.
    pub conditions: Conditions,
    /// The customer's own key of it.
    pub customer_key: Option<CustomerKey>,
}

/// `PUT /bucket/key?partNumber&uploadId` with a source in place of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadPartCopy {
    /// Which upload.
    pub of: UploadOf,
    /// 1 to 10,000.
    pub number: u32,
    /// What is copied.
    pub source: CopySource,
    /// Which bytes of it; all when missing.
    pub range: Option<Span>,
    /// The customer's own key of the upload.
    pub customer_key: Option<CustomerKey>,
}

/// `PUT /bucket/key` with a source in place of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CopyObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The object to write.
    pub key: ObjectKey,
    /// What is copied.
    pub source: CopySource,
    /// What it keeps beside its content, when not what the source keeps.
    pub described: Option<Described>,
    /// Its tags, when not the source's.
    pub tags: Option<TagSet>,
    /// Its ACL; never `public-read-write`.
    pub acl: super::CannedAcl,
    /// What shall hold it.
    pub lock: super::LockHeaders,
    /// The storage class asked for.
    pub storage_class: Option<StorageClass>,
    /// Server-side encryption asked for.
    pub encryption: Option<Encryption>,
    /// The customer's own key.
    pub customer_key: Option<CustomerKey>,
    /// The S3 checksum that it shall have, when not the source's.
    pub checksum: Option<Algorithm>,
    /// Write only if no object is there.
    pub if_absent: bool,
    /// Write only over an object with this ETag, without quotes.
    pub if_match: Option<String>,
}

/// `POST /bucket/key?uploadId`; the body is read by [`PartList::parse`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompleteUpload {
    /// Which upload.
    pub of: UploadOf,
    /// Take every part that is there, and no body (OSS `x-oss-complete-all: yes`).
    pub all: bool,
    /// Write only if no object is there.
    pub if_absent: bool,
    /// Write only over an object with this ETag, without quotes.
    pub if_match: Option<String>,
    /// Bytes that the object must have in all (S3 `x-amz-mp-object-size`).
    pub size: Option<u64>,
    /// The checksum that it must have: base64, of a composite one also with `-` and the number of parts.
    pub checksum: Option<(Algorithm, String)>,
    /// What that is made of.
    pub checksum_type: Option<ChecksumType>,
    /// Whether keys in the answer are URL-encoded.
    pub encoding_url: bool,
}

/// `GET /bucket/key?uploadId`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListParts {
    /// Which upload.
    pub of: UploadOf,
    /// Only parts after this number.
    pub after: u32,
    /// Page size, at most 1,000.
    pub parts_max: u32,
    /// Whether keys in the answer are URL-encoded.
    pub encoding_url: bool,
}

/// `GET /bucket?uploads`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListUploads {
    /// The bucket.
    pub bucket: BucketName,
    /// Only keys with this prefix.
    pub prefix: String,
    /// Keys are grouped up to it.
    pub delimiter: Option<String>,
    /// Only uploads after this key.
    pub key_marker: String,
    /// And, of that key, after this id.
    pub upload_marker: String,
    /// Page size, at most 1,000.
    pub uploads_max: u32,
    /// Whether keys in the answer are URL-encoded.
    pub encoding_url: bool,
}

/// The body of a CompleteMultipartUpload.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PartList(
    /// In the order given.
    pub Vec<PartTag>,
);

/// One part in a [`PartList`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PartTag {
    /// Its number.
    pub number: u32,
    /// Its ETag, lower-case, without quotes.
    pub etag: String,
    /// What is said of its S3 checksums, base64.
    pub checksums: Vec<(Algorithm, String)>,
}

impl PartList {
    /// Reads `<CompleteMultipartUpload><Part><PartNumber/><ETag/></Part>…`.
    ///
    /// # Errors
    /// `MalformedXml`, also for more than 10,000 parts, or one without number or ETag.
    pub fn parse(body: &[u8]) -> Result<Self, ObjectError> {
        let mut out = Vec::new();
        let (mut number, mut etag): (Option<u32>, Option<String>) = (None, None);
        let mut checksums = Vec::new();
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match path.as_slice() {
                ["CompleteMultipartUpload"] => {}
                ["CompleteMultipartUpload", "Part", "PartNumber"] => {
                    let read = text.trim().parse().ok().filter(|n| (1..=PARTS_MAX).contains(n));
                    number = Some(read.ok_or_else(|| malformed("a PartNumber is not from 1 to 10000"))?);
                }
                ["CompleteMultipartUpload", "Part", "ETag"] => {
                    etag = Some(bare(text).to_ascii_lowercase());
                }
                ["CompleteMultipartUpload", "Part", name] => {
                    let algorithm = Algorithm::ALL.into_iter().find(|a| a.element() == *name);
                    if let Some(algorithm) = algorithm.filter(|_| checksums.len() < Algorithm::ALL.len()) {
                        checksums.push((algorithm, text.trim().to_owned()));
                    }
                }
                ["CompleteMultipartUpload", "Part"] => {
                    let (Some(number), Some(etag)) = (number.take(), etag.take()) else {
                        return Err(malformed("a Part needs a PartNumber and an ETag"));
                    };
                    if out.len() >= PARTS_MAX as usize {
                        return Err(malformed("there are more than 10000 parts"));
                    }
                    let checksums = std::mem::take(&mut checksums);
                    out.push(PartTag { number, etag, checksums });
                }
                _ => return Err(malformed("it holds an element that is not known")),
            }
            Ok(())
        })?;
        Ok(Self(out))
    }
}

fn of(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<UploadOf, ObjectError> {
    let upload = head.param("uploadId").unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=');
    if upload.is_empty() || upload.len() > ID_BYTES_MAX || !upload.bytes().all(plain) {
        return Err(ObjectError::new(Code::NoSuchUpload));
    }
    Ok(UploadOf { bucket, key, upload: upload.to_owned() })
}

fn number(head: &Head<'_>) -> Result<u32, ObjectError> {
    let value = head.param("partNumber").unwrap_or_default();
    let digits = (1..=5).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { value.parse().ok() } else { None };
    number
        .filter(|n| (1..=PARTS_MAX).contains(n))
        .ok_or_else(|| argument("partNumber", "it must be a whole number from 1 to 10000"))
}

fn described(head: &Head<'_>) -> Result<Described, ObjectError> {
    let (content_type, headers) = content_headers(head)?;
    let tags = super::tags::header(head)?.unwrap_or_default();
    Ok(Described { content_type, headers, metadata: metadata(head)?, tags })
}

pub(super) fn create(
    head: &Head<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<CreateUpload, ObjectError> {
    Ok(CreateUpload {
        bucket,
        key,
        described: described(head)?,
        lock: super::retain::headers(head)?,
        acl: super::access::of_object(head)?,
        storage_class: storage_class(head)?,
        encryption: encryption(head)?,
        customer_key: customer_key(head, false)?,
        checksum: checksum(head)?,
        encoding_url: encoding_url(head)?,
    })
}

/// The checksum that an object of parts shall have.
fn checksum(head: &Head<'_>) -> Result<Option<(Algorithm, ChecksumType)>, ObjectError> {
    let wrong = |text: String| ObjectError::because(Code::InvalidRequest, text);
    if head.dialect == Dialect::Oss {
        return Ok(None);
    }
    let kind = ChecksumType::read(head)?;
    let Some(algorithm) = Algorithm::read(head)? else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(wrong(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                    .into(),
            )),
        };
    };
    let usual = if algorithm.allows(ChecksumType::Composite) {
        ChecksumType::Composite
    } else {
        ChecksumType::FullObject
    };
    let kind = kind.unwrap_or(usual);
    if !algorithm.allows(kind) {
        return Err(wrong(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            kind.word(),
            algorithm.word().to_ascii_lowercase()
        )));
    }
    Ok(Some((algorithm, kind)))
}

pub(super) fn part(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<UploadPart, ObjectError> {
    Ok(UploadPart {
        of: of(head, bucket, key)?,
        number: number(head)?,
        content_length: length(head)?,
        customer_key: customer_key(head, false)?,
        claims: Claims::read(head)?,
    })
}

pub(super) fn part_copy(
    head: &Head<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<UploadPartCopy, ObjectError> {
    let range = match head.header(&own(head, "copy-source-range"))? {
        None | Some("") => None,
        Some(value) => match ByteRange::parse(value) {
            Some(ByteRange::From { first, last: Some(last) }) => Some(Span { first, last }),
            _ => return Err(argument("copy-source-range", "it must be bytes=first-last")),
        },
    };
    Ok(UploadPartCopy {
        of: of(head, bucket, key)?,
        number: number(head)?,
        source: source(head)?,
        range,
        customer_key: customer_key(head, false)?,
    })
}

pub(super) fn copy(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<CopyObject, ObjectError> {
    let source = source(head)?;
    let replaces = match head.header(&own(head, "metadata-directive"))? {
        None | Some("") => false,
        Some(v) if v.eq_ignore_ascii_case("COPY") => false,
        Some(v) if v.eq_ignore_ascii_case("REPLACE") => true,
        Some(_) => return Err(argument("metadata-directive", "it must be COPY or REPLACE")),
    };
    let tags = match head.header(&own(head, "tagging-directive"))? {
        Some(v) if v.eq_ignore_ascii_case("REPLACE") => Some(super::tags::header(head)?.unwrap_or_default()),
        None | Some("") => super::tags::header(head)?,
        Some(v) if v.eq_ignore_ascii_case("COPY") => None,
        Some(_) => return Err(argument("tagging-directive", "it must be COPY or REPLACE")),
    };
    let class = storage_class(head)?;
    let same = source.bucket == bucket && source.key == key;
    if same
        && source.version.is_none()
        && !replaces
        && tags.is_none()
        && class.is_none()
        && head.dialect == Dialect::S3
    {
        return Err(ObjectError::because(
            Code::InvalidRequest,
            "This copy request is illegal because it copies an object to itself without changing its metadata or storage class.",
        ));
    }
    let (if_absent, if_match) = conditions(head)?;
    Ok(CopyObject {
        lock: super::retain::headers(head)?,
        acl: super::access::of_object(head)?,
        bucket,
        key,
        source,
        described: if replaces { Some(described(head)?) } else { None },
        tags,
        storage_class: class,
        encryption: encryption(head)?,
        customer_key: customer_key(head, false)?,
        checksum: Algorithm::read(head)?,
        if_absent,
        if_match,
    })
}

pub(super) fn complete(
    head: &Head<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<CompleteUpload, ObjectError> {
    let (if_absent, if_match) = conditions(head)?;
    let (mut size, mut checksum, mut checksum_type) = (None, None, None);
    let mut all = false;
    match head.dialect {
        Dialect::Oss => {
            all = match head.header("x-oss-complete-all")? {
                None | Some("") => false,
                Some("yes") => true,
                Some(_) => return Err(argument("x-oss-complete-all", "it must be yes")),
            };
        }
        Dialect::S3 => {
            (checksum, checksum_type) = (of_whole(head)?, ChecksumType::read(head)?);
            if let Some(value) = head.header("x-amz-mp-object-size")? {
                let digits = value.bytes().all(|b| b.is_ascii_digit());
                let read = if digits { value.parse().ok() } else { None };
                size = Some(read.ok_or_else(|| {
                    let value = crate::object::encode::shown(value);
                    ObjectError::because(
                        Code::InvalidRequest,
                        format!("Value for x-amz-mp-object-size header is invalid: '{value}'"),
                    )
                })?);
            }
        }
    }
    let of = of(head, bucket, key)?;
    let encoding_url = encoding_url(head)?;
    Ok(CompleteUpload { of, all, if_absent, if_match, size, checksum, checksum_type, encoding_url })
}

pub(super) fn abort(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<UploadOf, ObjectError> {
    of(head, bucket, key)
}

pub(super) fn parts(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<ListParts, ObjectError> {
    let after = match head.param("part-number-marker").filter(|v| !v.is_empty()) {
        None => 0,
        Some(value) => value
            .parse()
            .ok()
            .filter(|n| *n <= PARTS_MAX)
            .ok_or_else(|| argument("part-number-marker", "it must be a part's number"))?,
    };
    Ok(ListParts {
        of: of(head, bucket, key)?,
        after,
        parts_max: page(head, "max-parts", 1)?.unwrap_or(PAGE_MAX),
        encoding_url: encoding_url(head)?,
    })
}

pub(super) fn uploads(head: &Head<'_>, bucket: BucketName) -> Result<ListUploads, ObjectError> {
    Ok(ListUploads {
        bucket,
        prefix: text(head, "prefix")?.unwrap_or_default(),
        delimiter: text(head, "delimiter")?.filter(|d| !d.is_empty()),
        key_marker: text(head, "key-marker")?.unwrap_or_default(),
        upload_marker: text(head, "upload-id-marker")?.unwrap_or_default(),
        uploads_max: page(head, "max-uploads", 1)?.unwrap_or(PAGE_MAX),
        encoding_url: encoding_url(head)?,
    })
}

fn own(head: &Head<'_>, name: &str) -> String {
    format!("{}{name}", head.words().prefix)
}

/// Whether the request has a source in place of a body.
pub(super) fn copies(head: &Head<'_>) -> bool {
    head.parts.headers.contains_key(own(head, "copy-source"))
}

fn source(head: &Head<'_>) -> Result<CopySource, ObjectError> {
    let wrong = || argument("copy-source", "it must be /bucket/key, URL-encoded");
    let raw = head.header(&own(head, "copy-source"))?.unwrap_or_default();
    let (path, query) = raw.split_once('?').unwrap_or((raw, ""));
    let version = match query.strip_prefix("versionId=") {
        Some(id) if id.len() <= ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Some(id.to_owned()).filter(|id| !id.is_empty())
        }
        None if query.is_empty() => None,
        _ => return Err(wrong()),
    };
    let path = percent_decode(path, false).ok_or_else(wrong)?;
    let (bucket, key) = path.trim_start_matches('/').split_once('/').ok_or_else(wrong)?;
    let date = |name: &str| {
        Ok::<_, ObjectError>(head.header(&own(head, &format!("copy-source-{name}")))?.and_then(any_date))
    };
    Ok(CopySource {
        bucket: BucketName::parse(bucket).map_err(|_| ObjectError::new(Code::InvalidBucketName))?,
        key: ObjectKey::parse(key).map_err(|_| wrong())?,
        version,
        customer_key: customer_key(head, true)?,
        conditions: Conditions {
            if_match: tags(head, &own(head, "copy-source-if-match"))?,
            if_none_match: tags(head, &own(head, "copy-source-if-none-match"))?,
            if_modified_since: date("if-modified-since")?,
            if_unmodified_since: date("if-unmodified-since")?,
            if_range: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_parts_is_read_or_refused() {
        let list = |inner: &str| {
            PartList::parse(format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>").as_bytes())
        };
        let part =
            |n: &str, tag: &str| format!("<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>");
        let read = list(&(part("1", "&quot;AB&quot;") + &part("10000", "cd"))).unwrap();
        let tags: Vec<_> = read.0.iter().map(|p| (p.number, p.etag.as_str())).collect();
        assert_eq!(tags, [(1, "ab"), (10_000, "cd")]);
        for bad in [
            part("0", "a"),
            part("10001", "a"),
            part("-1", "a"),
            part("1e3", "a"),
            "<Part><PartNumber>1</PartNumber></Part>".into(),
            "<Part><ETag>a</ETag></Part>".into(),
            "<Sheet/>".into(),
        ] {
            assert_eq!(list(&bad).unwrap_err().code(), Code::MalformedXml, "{bad}");
        }
        assert!(list("").unwrap().0.is_empty());
        // Order and checksums are the server's to judge; each part has its own.
        let sums = "<Part><PartNumber>2</PartNumber><ETag>a</ETag><ChecksumCRC32>x</ChecksumCRC32><ChecksumMD9>y</ChecksumMD9></Part>";
        let read = list(&format!("{sums}{}", part("1", "b"))).unwrap().0;
        assert_eq!(read[0].checksums, [(Algorithm::Crc32, "x".to_owned())]);
        assert!(read[1].checksums.is_empty());
    }
}
