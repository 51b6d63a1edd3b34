//! PutObject: length, headers to keep, user metadata, conditions, checksums.
//!
//! INVARIANT: the decoded length of a body is known before its first byte is read, except for OSS bodies with
//! `Transfer-Encoding: chunked`, which the server must count itself against [`OBJECT_BYTES_MAX`].

use bailee_types::{BucketName, ObjectKey};

use super::encryption::{CustomerKey, Encryption, customer_key, encryption};
use super::get::bare;
use super::{TagSet, argument, header_text};
use crate::object::checksum::Claims;
use crate::object::dialect::Dialect;
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;

/// Largest object in one PUT, in bytes (5 GiB, both services).
pub const OBJECT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// A write of one object.
#[derive(Clone, PartialEq, Debug)]
pub struct PutObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub key: ObjectKey,
    /// Bytes of the decoded body; `None` only for OSS with `Transfer-Encoding: chunked`.
    pub content_length: Option<u64>,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// Standard headers that come back with the object.
    pub headers: ContentHeaders,
    /// User metadata: lower-case names without prefix, sorted.
    pub metadata: Vec<(String, String)>,
    /// Tags.
    pub tags: TagSet,
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
    /// Write only if no object is there (S3 `If-None-Match: *`, OSS `x-oss-forbid-overwrite: true`); otherwise
    /// answer [`Code::ObjectExists`].
    pub if_absent: bool,
    /// Write only over an object with this ETag (S3 `If-Match`), without quotes.
    pub if_match: Option<String>,
    /// What the request claims about its body.
    pub claims: Claims,
}

/// Standard headers stored with an object.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContentHeaders {
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Expires`, as sent.
    pub expires: Option<String>,
}

/// A storage class of both dialects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StorageClass {
    /// `Standard`, `STANDARD`.
    Standard,
    /// `IA`, `STANDARD_IA`.
    InfrequentAccess,
    /// `Archive`, `GLACIER`.
    Archive,
    /// `ColdArchive`, `DEEP_ARCHIVE`.
    ColdArchive,
    /// `DeepColdArchive`; S3 has no such class and shows `DEEP_ARCHIVE`.
    DeepColdArchive,
}

impl StorageClass {
    const ALL: [Self; 5] =
        [Self::Standard, Self::InfrequentAccess, Self::Archive, Self::ColdArchive, Self::DeepColdArchive];

    /// Reads a class name of `dialect`.
    ///
    /// # Errors
    /// `InvalidStorageClass`.
    pub fn parse(dialect: Dialect, text: &str) -> Result<Self, ObjectError> {
        Self::ALL.into_iter().find(|c| c.name(dialect) == text).ok_or_else(|| {
            ObjectError::new(Code::InvalidStorageClass)
                .with("StorageClass", crate::object::encode::shown(text))
        })
    }

    /// The name in `dialect`.
    pub fn name(self, dialect: Dialect) -> &'static str {
        match (dialect, self) {
            (Dialect::Oss, Self::Standard) => "Standard",
            (Dialect::Oss, Self::InfrequentAccess) => "IA",
            (Dialect::Oss, Self::Archive) => "Archive",
            (Dialect::Oss, Self::ColdArchive) => "ColdArchive",
            (Dialect::Oss, Self::DeepColdArchive) => "DeepColdArchive",
            (Dialect::S3, Self::Standard) => "STANDARD",
            (Dialect::S3, Self::InfrequentAccess) => "STANDARD_IA",
            (Dialect::S3, Self::Archive) => "GLACIER",
            (Dialect::S3, Self::ColdArchive | Self::DeepColdArchive) => "DEEP_ARCHIVE",
        }
    }
}

pub(super) fn object(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<PutObject, ObjectError> {
    Ok(PutObject { content_length: length(head)?, ..of_form(head, bucket, key)? })
}

/// All but how long the body is.
pub(super) fn of_form(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<PutObject, ObjectError> {
    let (if_absent, if_match) = conditions(head)?;
    let (content_type, headers) = content_headers(head)?;
    Ok(PutObject {
        bucket,
        key,
        content_length: None,
        content_type,
        headers,
        metadata: metadata(head)?,
        tags: super::tags::header(head)?.unwrap_or_default(),
        lock: super::retain::headers(head)?,
        acl: super::access::of_object(head)?,
        storage_class: storage_class(head)?,
        encryption: encryption(head)?,
        customer_key: customer_key(head, false)?,
        if_absent,
        if_match,
        claims: Claims::read(head)?,
    })
}

/// The key, URL-encoded, that a symbolic link means.
pub(super) fn symlink_target(head: &Head<'_>) -> Result<ObjectKey, ObjectError> {
    let wrong = || argument("symlink-target", "it must be an object's key, URL-encoded");
    let text = head.header("x-oss-symlink-target")?.unwrap_or_default();
    let name = crate::object::encode::percent_decode(text, false).ok_or_else(wrong)?;
    ObjectKey::parse(&name).map_err(|_| wrong())
}

/// `Content-Type` and the standard headers that are kept.
pub(super) fn content_headers(head: &Head<'_>) -> Result<(Option<String>, ContentHeaders), ObjectError> {
    let headers = ContentHeaders {
        cache_control: text(head, "cache-control")?,
        content_disposition: text(head, "content-disposition")?,
        content_encoding: text(head, "content-encoding")?.and_then(without_chunked),
        content_language: text(head, "content-language")?,
        expires: text(head, "expires")?,
    };
    Ok((text(head, "content-type")?, headers))
}

pub(super) fn storage_class(head: &Head<'_>) -> Result<Option<StorageClass>, ObjectError> {
    head.header(head.words().storage_class)?.map(|text| StorageClass::parse(head.dialect, text)).transpose()
}

fn text(head: &Head<'_>, name: &'static str) -> Result<Option<String>, ObjectError> {
    head.header(name)?.filter(|v| !v.is_empty()).map(|v| header_text(name, v)).transpose()
}

fn without_chunked(value: String) -> Option<String> {
    let left: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty() && !t.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    if left.is_empty() { None } else { Some(left.join(",")) }
}

pub(super) fn length(head: &Head<'_>) -> Result<Option<u64>, ObjectError> {
    let number = |name: &'static str, value: &str| {
        let digits = (1..=19).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { value.parse::<u64>().ok() } else { None };
        number.ok_or_else(|| argument(name, "it must be a number of bytes"))
    };
    let chunked = head.dialect == Dialect::S3
        && head.header("x-amz-content-sha256")?.is_some_and(|hash| hash.starts_with("STREAMING-"));
    let length = if chunked {
        let value = head.header("x-amz-decoded-content-length")?;
        let value = value.ok_or_else(|| {
            ObjectError::because(
                Code::MissingContentLength,
                "You must provide the x-amz-decoded-content-length HTTP header.",
            )
        })?;
        Some(number("x-amz-decoded-content-length", value)?)
    } else {
        head.header("content-length")?.map(|value| number("content-length", value)).transpose()?
    };
    match length {
        Some(bytes) if bytes > OBJECT_BYTES_MAX => Err(ObjectError::new(Code::EntityTooLarge)
            .with("ProposedSize", bytes.to_string())
            .with("MaxSizeAllowed", OBJECT_BYTES_MAX.to_string())),
        Some(bytes) => Ok(Some(bytes)),
        None if head.dialect == Dialect::Oss && head.parts.headers.contains_key("transfer-encoding") => {
            Ok(None)
        }
        None => Err(ObjectError::new(Code::MissingContentLength)),
    }
}

pub(super) fn metadata(head: &Head<'_>) -> Result<Vec<(String, String)>, ObjectError> {
    let words = head.words();
    let mut out: Vec<(String, String)> = Vec::new();
    let mut bytes = 0usize;
    for (name, value) in &head.parts.headers {
        let Some(name) = name.as_str().strip_prefix(words.meta_prefix) else { continue };
        let value = std::str::from_utf8(value.as_bytes())
            .ok()
            .map(str::trim)
            .filter(|v| !v.chars().any(char::is_control));
        let value = value
            .ok_or_else(|| argument("user metadata", "values must be UTF-8 without control characters"))?;
        if name.is_empty() {
            return Err(argument("user metadata", "a name is empty"));
        }
        bytes = bytes.saturating_add(name.len() + value.len());
        match out.iter_mut().find(|(n, _)| n == name) {
            Some((_, joined)) => {
                joined.push(',');
                joined.push_str(value);
            }
            None => out.push((name.to_owned(), value.to_owned())),
        }
    }
    if bytes > words.metadata_bytes_max {
        return Err(ObjectError::new(Code::MetadataTooLarge)
            .with("Size", bytes.to_string())
            .with("MaxSizeAllowed", words.metadata_bytes_max.to_string()));
    }
    out.sort();
    Ok(out)
}

pub(super) fn conditions(head: &Head<'_>) -> Result<(bool, Option<String>), ObjectError> {
    if head.dialect == Dialect::Oss {
        return match head.header("x-oss-forbid-overwrite")? {
            None => Ok((false, None)),
            Some(v) if v.eq_ignore_ascii_case("true") => Ok((true, None)),
            Some(v) if v.eq_ignore_ascii_case("false") => Ok((false, None)),
            Some(_) => Err(argument("x-oss-forbid-overwrite", "it must be true or false")),
        };
    }
    let absent = match head.header("if-none-match")? {
        None => false,
        Some("*") => true,
        Some(_) => return Err(ObjectError::not_offered("PutObject with an If-None-Match other than *")),
    };
    let tag = match head.header("if-match")? {
        Some(tag) if tag == "*" || tag.contains(',') => {
            return Err(ObjectError::not_offered("PutObject with an If-Match other than one ETag"));
        }
        tag => tag.map(|t| bare(t).to_owned()),
    };
    Ok((absent, tag))
}
