//! A request head, read once: dialect, address, query.
//!
//! Promises: the bucket and key are valid types, the query is decoded, and everything is bounded (120 headers,
//! 32 KiB of headers, 16 KiB of address, 120 parameters).
//! Refuses: `%` without two hex digits, bytes that are not UTF-8, NUL in parameters, parameters that occur twice, two `Host` headers,
//! names and keys that [`BucketName`] and [`ObjectKey`] refuse (also keys that climb with `..`).
//! INVARIANT: signatures and the typed request read the same decoded values, so what is signed is what is done.

use std::borrow::Cow;

use bailee_types::{BucketName, ObjectKey};
use http::request::Parts;

use super::dialect::{Dialect, Words};
use super::encode::{percent_decode, shown};
use super::error::{Code, ObjectError};

const HEADERS_MAX: usize = 120;
const HEADER_BYTES_MAX: usize = 32 * 1024;
const ADDRESS_BYTES_MAX: usize = 16 * 1024;
const PARAMETERS_MAX: usize = 120;

/// The host names under which `bucket.<host>` addresses a bucket.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// Base hosts without port, e.g. `oss.example.org`. Empty: path style only.
    pub fn new(bases: impl IntoIterator<Item = String>) -> Self {
        let clean = |base: String| base.trim_matches('.').to_ascii_lowercase();
        Self(bases.into_iter().map(clean).filter(|base| !base.is_empty()).collect())
    }

    fn bucket_of(&self, host: &str) -> Option<String> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.to_ascii_lowercase();
        self.0.iter().find_map(|base| name.strip_suffix(base.as_str())?.strip_suffix('.').map(str::to_owned))
    }
}

/// What a request addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// `/`: the service.
    Service,
    /// One bucket.
    Bucket(BucketName),
    /// One object.
    Object(BucketName, ObjectKey),
}

/// One decoded query parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Param<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
}

/// A request head, decoded.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    pub(super) parts: &'a Parts,
    pub(super) dialect: Dialect,
    pub(super) target: Target,
    /// The whole path, decoded; SigV4 signs this, not the address.
    pub(super) path: Cow<'a, str>,
    pub(super) query: Vec<Param<'a>>,
}

impl<'a> Head<'a> {
    /// Reads a request head. `dialect` comes from [`Dialect::detect`], so that an error can be rendered.
    ///
    /// # Errors
    /// Codes `InvalidUri`, `UriTooLong`, `HeadersTooLarge`, `InvalidArgument`, `InvalidRequest`,
    /// `InvalidBucketName`, `InvalidObjectName`, `KeyTooLong`.
    pub fn read(parts: &'a Parts, dialect: Dialect, hosts: &Hosts) -> Result<Self, ObjectError> {
        limits(parts)?;
        let raw_path = parts.uri.path();
        let path = percent_decode(raw_path, false).ok_or_else(|| ObjectError::new(Code::InvalidUri))?;
        let host = host(parts)?;
        let target = match hosts.bucket_of(host) {
            Some(bucket) => address(bucket_name(&bucket)?, raw_path.strip_prefix('/').unwrap_or(raw_path))?,
            None => path_style(raw_path)?,
        };
        Ok(Self { parts, dialect, target, path, query: query(parts.uri.query().unwrap_or_default())? })
    }

    /// The dialect the request speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What the request addresses.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the method is HEAD, whose answers have no body.
    pub fn is_head(&self) -> bool {
        self.parts.method == http::Method::HEAD
    }

    pub(super) fn words(&self) -> &'static Words {
        self.dialect.words()
    }

    /// A query parameter's decoded value.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|p| p.name == name).map(|p| &*p.value)
    }

    /// A header that may stand at most once, as trimmed UTF-8.
    pub(super) fn header(&self, name: &str) -> Result<Option<&'a str>, ObjectError> {
        header(self.parts, name)
    }

    /// `/bucket/key`, `/bucket/` or `/`, decoded: what OSS signs (contract §2).
    pub(super) fn resource(&self) -> String {
        match &self.target {
            Target::Service => "/".to_owned(),
            Target::Bucket(bucket) => format!("/{bucket}/"),
            Target::Object(bucket, key) => format!("/{bucket}/{key}"),
        }
    }

    /// Whether the request carries a signature (header or presigned), in whatever scheme.
    pub(super) fn is_signed(&self) -> bool {
        const MARKS: [&str; 6] = [
            "OSSAccessKeyId",
            "x-oss-signature",
            "x-oss-signature-version",
            "X-Amz-Algorithm",
            "X-Amz-Signature",
            "AWSAccessKeyId",
        ];
        self.parts.headers.contains_key(http::header::AUTHORIZATION)
            || MARKS.iter().any(|m| self.param(m).is_some())
    }
}

/// A header that may stand at most once, as trimmed UTF-8.
pub(super) fn header<'a>(parts: &'a Parts, name: &str) -> Result<Option<&'a str>, ObjectError> {
    let mut values = parts.headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ObjectError::because(
            Code::InvalidRequest,
            format!("The header `{name}` occurs more than once."),
        ));
    }
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
        ObjectError::because(Code::InvalidArgument, format!("The header `{name}` is not UTF-8."))
    })?;
    Ok(Some(text.trim_matches([' ', '\t'])))
}

fn limits(parts: &Parts) -> Result<(), ObjectError> {
    let address = parts.uri.path_and_query().map_or(0, |p| p.as_str().len());
    if address > ADDRESS_BYTES_MAX {
        return Err(ObjectError::new(Code::UriTooLong));
    }
    let bytes: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if parts.headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
        return Err(ObjectError::new(Code::HeadersTooLarge));
    }
    Ok(())
}

fn host(parts: &Parts) -> Result<&str, ObjectError> {
    let header = header(parts, "host")?;
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    match (header, authority) {
        (Some(host), Some(authority)) if !host.eq_ignore_ascii_case(authority) => Err(ObjectError::because(
            Code::InvalidRequest,
            "The address and the Host header name different hosts.",
        )),
        (Some(host), _) => Ok(host),
        (None, authority) => Ok(authority.unwrap_or_default()),
    }
}

fn path_style(raw: &str) -> Result<Target, ObjectError> {
    let rest = raw.strip_prefix('/').ok_or_else(|| ObjectError::new(Code::InvalidUri))?;
    if rest.is_empty() {
        return Ok(Target::Service);
    }
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let bucket = percent_decode(bucket, false).ok_or_else(|| ObjectError::new(Code::InvalidUri))?;
    address(bucket_name(&bucket)?, key)
}

fn address(bucket: BucketName, raw_key: &str) -> Result<Target, ObjectError> {
    if raw_key.is_empty() {
        return Ok(Target::Bucket(bucket));
    }
    let key = percent_decode(raw_key, false).ok_or_else(|| ObjectError::new(Code::InvalidUri))?;
    if key.len() > 1023 {
        return Err(ObjectError::new(Code::KeyTooLong).with("MaxSizeAllowed", "1023"));
    }
    match ObjectKey::parse(&key) {
        Ok(key) => Ok(Target::Object(bucket, key)),
        Err(why) => Err(ObjectError::because(
            Code::InvalidObjectName,
            format!("The object key is not valid: it must be an {}.", why.kind()),
        )),
    }
}

fn bucket_name(text: &str) -> Result<BucketName, ObjectError> {
    BucketName::parse(text)
        .map_err(|_| ObjectError::new(Code::InvalidBucketName).with("BucketName", shown(text)))
}

fn query(raw: &str) -> Result<Vec<Param<'_>>, ObjectError> {
    let mut out: Vec<Param<'_>> = Vec::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        if out.len() >= PARAMETERS_MAX {
            return Err(ObjectError::because(
                Code::InvalidArgument,
                "There are more than 120 query parameters.",
            ));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text| percent_decode(text, true).ok_or_else(|| ObjectError::new(Code::InvalidUri));
        let param = Param { name: decode(name)?, value: decode(value)? };
        if out.iter().any(|p| p.name == param.name) {
            let text = format!("The query parameter `{}` occurs more than once.", shown(&param.name));
            return Err(ObjectError::because(Code::InvalidArgument, text));
        }
        // No text of a database holds it.
        if param.value.contains('\0') {
            let text = format!("The query parameter `{}` holds a NUL character.", shown(&param.name));
            return Err(ObjectError::because(Code::InvalidArgument, text));
        }
        out.push(param);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(uri: &str, host: &str) -> Result<Target, Code> {
        let parts = http::Request::builder().uri(uri).header("host", host).body(()).unwrap().into_parts().0;
        let hosts = Hosts::new(["oss.example.org".to_owned()]);
        Head::read(&parts, Dialect::Oss, &hosts).map(|h| h.target).map_err(|e| e.code())
    }

    fn object(bucket: &str, key: &str) -> Result<Target, Code> {
        Ok(Target::Object(BucketName::parse(bucket).unwrap(), ObjectKey::parse(key).unwrap()))
    }

    fn bucket(name: &str) -> Result<Target, Code> {
        Ok(Target::Bucket(BucketName::parse(name).unwrap()))
    }

    #[test]
    fn both_address_styles_name_the_same_object() {
        assert_eq!(
            target("/bkt-a/dir%2Fk%20%E4%B8%AD%2B~.txt", "127.0.0.1:8421"),
            object("bkt-a", "dir/k 中+~.txt")
        );
        assert_eq!(
            target("/dir/k%20%E4%B8%AD+~.txt", "BKT-a.oss.example.org:8421"),
            object("bkt-a", "dir/k 中+~.txt")
        );
        assert_eq!(target("/", "oss.example.org"), Ok(Target::Service));
        assert_eq!(target("/bkt-a", "oss.example.org"), bucket("bkt-a"));
        assert_eq!(target("/bkt-a/", "oss.example.org"), bucket("bkt-a"));
        assert_eq!(target("/", "bkt-a.oss.example.org"), bucket("bkt-a"));
        assert_eq!(target("/bkt-a", "evil-oss.example.org"), bucket("bkt-a"));
    }

    #[test]
    fn keys_that_climb_and_bad_names_are_refused() {
        let cases = [
            ("/bkt-a/../etc", Code::InvalidObjectName),
            ("/bkt-a/a/%2e%2e/b", Code::InvalidObjectName),
            ("/bkt-a/a%2f..%2fb", Code::InvalidObjectName),
            ("/bkt-a/a%5c..%5cb", Code::InvalidObjectName),
            ("/bkt-a//etc/passwd", Code::InvalidObjectName),
            ("/bkt-a/%2Fetc", Code::InvalidObjectName),
            ("/bkt-a/a%00b", Code::InvalidObjectName),
            ("/bkt-a/a%0Ab", Code::InvalidObjectName),
            ("/bkt-a/%ff", Code::InvalidUri),
            ("/bkt-a/%4", Code::InvalidUri),
            ("/bkt-a/x?a=%zz", Code::InvalidUri),
            ("/bkt-a/x?a=1&a=2", Code::InvalidArgument),
            ("/bkt-a?prefix=a%00b", Code::InvalidArgument),
            ("/bkt-a?list-type=2&start-after=%00", Code::InvalidArgument),
            ("/Bkt/x", Code::InvalidBucketName),
            ("//x", Code::InvalidBucketName),
            ("/a%2Fb/x", Code::InvalidBucketName),
        ];
        for (uri, code) in cases {
            assert_eq!(target(uri, "h"), Err(code), "{uri}");
        }
        assert_eq!(target("/x", "a.b.oss.example.org"), Err(Code::InvalidBucketName));
        assert_eq!(target(&format!("/bkt-a/{}", "k".repeat(1024)), "h"), Err(Code::KeyTooLong));
        assert!(target(&format!("/bkt-a/{}", "k".repeat(1023)), "h").is_ok());
        assert_eq!(target(&format!("/bkt-a/?x={}", "k".repeat(17_000)), "h"), Err(Code::UriTooLong));
    }

    #[test]
    fn too_many_headers_parameters_and_a_second_host_are_refused() {
        let read = |builder: http::request::Builder| {
            let parts = builder.body(()).unwrap().into_parts().0;
            Head::read(&parts, Dialect::S3, &Hosts::default()).map(|_| ()).map_err(|e| e.code())
        };
        let mut many = http::Request::builder().uri("/b");
        for i in 0..121 {
            many = many.header(format!("x-{i}"), "1");
        }
        assert_eq!(read(many), Err(Code::HeadersTooLarge));
        assert_eq!(
            read(http::Request::builder().header("x-a", "v".repeat(33_000))),
            Err(Code::HeadersTooLarge)
        );
        assert_eq!(
            read(http::Request::builder().header("host", "a").header("host", "b")),
            Err(Code::InvalidRequest)
        );
        assert_eq!(
            read(http::Request::builder().uri("http://a/b").header("host", "b")),
            Err(Code::InvalidRequest)
        );
        let params: String = (0..121).map(|i| format!("p{i}&")).collect();
        assert_eq!(read(http::Request::builder().uri(format!("/?{params}"))), Err(Code::InvalidArgument));
    }
}
