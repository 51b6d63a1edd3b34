//! Listings, batch delete and bucket creation: bounded numbers, opaque tokens, small XML bodies.
//!
//! INVARIANT: a page holds at most 1,000 entries, whatever the request says.
//! INVARIANT: a continuation token is the URL-safe base64 of the last entry; it grants nothing that `start-after`
//! would not.

use bailee_types::{BucketName, ObjectKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;

use super::argument;
use super::put::StorageClass;
use crate::object::dialect::Dialect;
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;
use crate::object::xml::{malformed, walk};

const PAGE_MAX: u32 = 1000;
const TEXT_BYTES_MAX: usize = 1024;
/// Most objects in one batch delete.
const BATCH_MAX: usize = 1000;

/// `GET /`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListBuckets {
    /// Only buckets whose name starts with this.
    pub prefix: String,
    /// Only buckets after this name (OSS `marker`; S3 `continuation-token`, decoded).
    pub marker: Option<String>,
    /// At most this many, 1 to 1,000.
    pub max_keys: u32,
}

/// What both versions of a listing have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Only keys that start with this.
    pub prefix: String,
    /// Keys are grouped up to the first delimiter after the prefix.
    pub delimiter: Option<String>,
    /// At most this many keys and groups, 0 to 1,000 (0 in S3 only).
    pub max_keys: u32,
    /// Whether keys in the answer are URL-encoded.
    pub encoding_url: bool,
}

/// `GET /bucket`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjectsV1 {
    /// The bucket.
    pub bucket: BucketName,
    /// Filter and page size.
    pub listing: Listing,
    /// Only keys after this one.
    pub marker: Option<String>,
}

/// `GET /bucket?list-type=2`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjectsV2 {
    /// The bucket.
    pub bucket: BucketName,
    /// Filter and page size.
    pub listing: Listing,
    /// The token as it came, to be echoed.
    pub continuation_token: Option<String>,
    /// What the token means: only entries after this one.
    pub continue_after: Option<String>,
    /// Only keys after this one; the token wins when both are given.
    pub start_after: Option<String>,
    /// Whether each entry names its owner.
    pub fetch_owner: bool,
}

impl ListObjectsV2 {
    /// The entry after which the page starts.
    pub fn after(&self) -> Option<&str> {
        self.continue_after.as_deref().or(self.start_after.as_deref())
    }
}

/// The token that continues a listing after `last` (a key, a common prefix or a bucket name).
pub fn continuation_token(last: &str) -> String {
    TOKEN.encode(last)
}

pub(super) fn buckets(head: &Head<'_>) -> Result<ListBuckets, ObjectError> {
    let (max, marker) = match head.dialect {
        Dialect::Oss => (page(head, "max-keys", 1)?.unwrap_or(100), text(head, "marker")?),
        Dialect::S3 => {
            (page(head, "max-buckets", 1)?.unwrap_or(PAGE_MAX), token(head)?.map(|(_, after)| after))
        }
    };
    Ok(ListBuckets { prefix: text(head, "prefix")?.unwrap_or_default(), marker, max_keys: max })
}

pub(super) fn objects_v1(head: &Head<'_>, bucket: BucketName) -> Result<ListObjectsV1, ObjectError> {
    Ok(ListObjectsV1 {
        bucket,
        listing: listing(head)?,
        marker: text(head, "marker")?.filter(|m| !m.is_empty()),
    })
}

pub(super) fn objects_v2(head: &Head<'_>, bucket: BucketName) -> Result<ListObjectsV2, ObjectError> {
    let (continuation_token, continue_after) = token(head)?.unzip();
    Ok(ListObjectsV2 {
        bucket,
        listing: listing(head)?,
        continuation_token,
        continue_after,
        start_after: text(head, "start-after")?.filter(|s| !s.is_empty()),
        fetch_owner: match head.param("fetch-owner") {
            None | Some("" | "false") => false,
            Some("true") => true,
            Some(_) => return Err(argument("fetch-owner", "it must be true or false")),
        },
    })
}

pub(super) fn encoding_url(head: &Head<'_>) -> Result<bool, ObjectError> {
    match head.param("encoding-type") {
        None | Some("") => Ok(false),
        Some("url") => Ok(true),
        Some(_) => Err(argument("encoding-type", "it must be url")),
    }
}

fn listing(head: &Head<'_>) -> Result<Listing, ObjectError> {
    let least = if head.dialect == Dialect::S3 { 0 } else { 1 };
    Ok(Listing {
        prefix: text(head, "prefix")?.unwrap_or_default(),
        delimiter: text(head, "delimiter")?.filter(|d| !d.is_empty()),
        max_keys: page(head, "max-keys", least)?.unwrap_or(head.words().max_keys_default),
        encoding_url: encoding_url(head)?,
    })
}

/// A page size. OSS refuses more than 1,000; S3 takes any 31-bit number and gives at most 1,000.
pub(super) fn page(head: &Head<'_>, name: &'static str, least: u32) -> Result<Option<u32>, ObjectError> {
    let Some(value) = head.param(name).filter(|v| !v.is_empty()) else { return Ok(None) };
    let most = if head.dialect == Dialect::S3 { 0x7fff_ffff } else { PAGE_MAX };
    let digits = value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit());
    let number = if digits { value.parse::<u32>().ok() } else { None };
    match number.filter(|n| (least..=most).contains(n)) {
        Some(n) => Ok(Some(n.min(PAGE_MAX))),
        None => Err(argument(name, "it must be a whole number from 1 to 1000")),
    }
}

pub(super) fn text(head: &Head<'_>, name: &'static str) -> Result<Option<String>, ObjectError> {
    match head.param(name) {
        Some(value) if value.len() > TEXT_BYTES_MAX => Err(argument(name, "it is longer than 1024 bytes")),
        other => Ok(other.map(str::to_owned)),
    }
}

/// The continuation token as it came and as it reads. An empty one counts as absent (oss-v2 sends it).
fn token(head: &Head<'_>) -> Result<Option<(String, String)>, ObjectError> {
    let Some(raw) = head.param("continuation-token").filter(|t| !t.is_empty()) else { return Ok(None) };
    let read = Some(raw)
        .filter(|raw| raw.len() <= TEXT_BYTES_MAX * 4 / 3 + 4)
        .and_then(|raw| TOKEN.decode(raw).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(|after| !after.is_empty() && !after.contains('\0'));
    match read {
        Some(after) => Ok(Some((raw.to_owned(), after))),
        None => Err(argument("continuation-token", "it did not come from this service")),
    }
}

/// The body of a batch delete.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchDelete {
    /// Whether only errors are reported.
    pub quiet: bool,
    /// The objects to delete, and the version of each to destroy where one is named, in the order given.
    pub keys: Vec<(ObjectKey, Option<String>)>,
    /// Keys that cannot exist; report them as [`Code::InvalidObjectName`].
    pub refused: Vec<String>,
}

impl BatchDelete {
    /// Reads `<Delete><Quiet/><Object><Key/><VersionId/></Object>…</Delete>`.
    ///
    /// # Errors
    /// `MalformedXml` (also for no key or more than 1,000).
    pub fn parse(body: &[u8]) -> Result<Self, ObjectError> {
        let mut out = Self::default();
        let (mut key, mut version): (Option<String>, Option<String>) = (None, None);
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match path.as_slice() {
                ["Delete"] => {}
                ["Delete", "Quiet"] => {
                    out.quiet = match text.trim() {
                        "true" => true,
                        "false" | "" => false,
                        _ => return Err(malformed("Quiet must be true or false")),
                    };
                }
                ["Delete", "Object", "Key"] => {
                    if text.is_empty() {
                        return Err(malformed("an Object has an empty Key"));
                    }
                    if key.replace(text.to_owned()).is_some() {
                        return Err(malformed("an Object has two keys"));
                    }
                }
                ["Delete", "Object", "VersionId"] => {
                    let id = text.trim();
                    if id.len() > TEXT_BYTES_MAX {
                        return Err(malformed("a VersionId is too long"));
                    }
                    version = Some(id.to_owned()).filter(|id| !id.is_empty());
                }
                ["Delete", "Object", _] => {
                    return Err(ObjectError::not_offered("DeleteObjects with conditions"));
                }
                ["Delete", "Object"] => {
                    let key = key.take().ok_or_else(|| malformed("an Object has no Key"))?;
                    if out.keys.len() + out.refused.len() >= BATCH_MAX {
                        return Err(malformed("there are more than 1000 objects"));
                    }
                    match ObjectKey::parse(&key) {
                        Ok(key) => out.keys.push((key, version.take())),
                        Err(_) => {
                            version = None;
                            out.refused.push(key);
                        }
                    }
                }
                _ => return Err(malformed("there is an unknown element")),
            }
            Ok(())
        })?;
        if out.keys.is_empty() && out.refused.is_empty() {
            return Err(malformed("there is no object to delete"));
        }
        Ok(out)
    }
}

/// The body of CreateBucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BucketSettings {
    /// S3 `LocationConstraint`.
    pub location: Option<String>,
    /// OSS `StorageClass`.
    pub storage_class: Option<StorageClass>,
    /// OSS `DataRedundancyType`: `LRS` or `ZRS`.
    pub redundancy: Option<String>,
}

impl BucketSettings {
    /// Reads `<CreateBucketConfiguration>`; an empty body means defaults.
    ///
    /// # Errors
    /// `MalformedXml`, `InvalidStorageClass`, `NotImplemented` for settings that are not offered.
    pub fn parse(body: &[u8], dialect: Dialect) -> Result<Self, ObjectError> {
        let mut out = Self::default();
        if body.trim_ascii().is_empty() {
            return Ok(out);
        }
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let text = text.trim();
            match path.as_slice() {
                ["CreateBucketConfiguration"] => {}
                ["CreateBucketConfiguration", _] if text.is_empty() => {}
                ["CreateBucketConfiguration", "LocationConstraint"] => out.location = Some(short(text)?),
                ["CreateBucketConfiguration", "StorageClass"] if dialect == Dialect::Oss => {
                    out.storage_class = Some(StorageClass::parse(dialect, text)?);
                }
                ["CreateBucketConfiguration", "DataRedundancyType"] if matches!(text, "LRS" | "ZRS") => {
                    out.redundancy = Some(text.to_owned());
                }
                ["CreateBucketConfiguration", ..] => {
                    return Err(ObjectError::not_offered("CreateBucket with other settings"));
                }
                _ => return Err(malformed("the root element must be CreateBucketConfiguration")),
            }
            Ok(())
        })?;
        Ok(out)
    }
}

fn short(text: &str) -> Result<String, ObjectError> {
    let ok = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if ok { Ok(text.to_owned()) } else { Err(ObjectError::new(Code::InvalidLocation)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_names_its_keys_and_the_refused_ones() {
        let body = br#"<?xml version="1.0"?><Delete xmlns="http://x/"><Object><Key>a&amp;b</Key></Object>
            <Object><Key> c </Key><VersionId>null</VersionId></Object><Object><Key>../d</Key></Object><Quiet>true</Quiet></Delete>"#;
        let batch = BatchDelete::parse(body).unwrap();
        assert!(batch.quiet);
        let named: Vec<_> =
            batch.keys.iter().map(|(key, version)| (key.as_str(), version.as_deref())).collect();
        assert_eq!(named, [("a&b", None), (" c ", Some("null"))]);
        assert_eq!(batch.refused, ["../d"]);
    }

    #[test]
    fn a_batch_of_none_or_too_many_or_with_conditions_is_refused() {
        let object = "<Object><Key>k</Key></Object>";
        let of = |n: usize| BatchDelete::parse(format!("<Delete>{}</Delete>", object.repeat(n)).as_bytes());
        assert_eq!(of(1000).unwrap().keys.len(), 1000);
        for bad in [of(0), of(1001)] {
            assert_eq!(bad.unwrap_err().code(), Code::MalformedXml);
        }
        let refused = |body: &str| BatchDelete::parse(body.as_bytes()).unwrap_err().code();
        assert_eq!(
            refused("<Delete><Object><Key>k</Key><ETag>v</ETag></Object></Delete>"),
            Code::NotImplemented
        );
        assert_eq!(refused("<Delete><Object><Key>k</Key><Key>l</Key></Object></Delete>"), Code::MalformedXml);
        assert_eq!(refused("<Delete><Object></Object></Delete>"), Code::MalformedXml);
        assert_eq!(refused("<Delete><Object><Key></Key></Object></Delete>"), Code::MalformedXml);
        assert_eq!(refused("<Other/>"), Code::MalformedXml);
        assert_eq!(refused("<Delete><Key>k</Key></Delete>"), Code::MalformedXml);
    }

    #[test]
    fn bucket_settings_are_read_per_dialect() {
        let oss = BucketSettings::parse(
            b"<CreateBucketConfiguration><StorageClass>IA</StorageClass><DataRedundancyType>ZRS</DataRedundancyType></CreateBucketConfiguration>",
            Dialect::Oss,
        );
        let oss = oss.unwrap();
        assert_eq!(
            (oss.storage_class, oss.redundancy.as_deref()),
            (Some(StorageClass::InfrequentAccess), Some("ZRS"))
        );
        let s3 = BucketSettings::parse(
            b"<CreateBucketConfiguration xmlns=\"u\"><LocationConstraint>cn-hangzhou</LocationConstraint></CreateBucketConfiguration>",
            Dialect::S3,
        );
        assert_eq!(s3.unwrap().location.as_deref(), Some("cn-hangzhou"));
        assert_eq!(BucketSettings::parse(b" ", Dialect::S3), Ok(BucketSettings::default()));
        assert!(
            BucketSettings::parse(
                b"<CreateBucketConfiguration><Bucket><Type>D</Type></Bucket></CreateBucketConfiguration>",
                Dialect::S3
            )
            .is_err()
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read_without_a_panic(body in "(<|>|/|Delete|Object|Key|Quiet|true|&amp;|&|x){0,30}") {
            let _ = BatchDelete::parse(body.as_bytes());
            let _ = BucketSettings::parse(body.as_bytes(), Dialect::Oss);
        }
    }
}
