//! Checksums of a body: what a request claims, what is computed, whether they agree.
//!
//! Promises: one pass over the body computes the MD5 (for the ETag), the CRC-64/XZ (OSS) and whatever the request
//! claims: `Content-MD5`, `x-amz-checksum-*` (header or trailer), `x-oss-hash-crc64ecma`, the payload's SHA-256.
//! Refuses: claims that cannot be parsed, two `x-amz-checksum-*` at once, algorithms that it cannot compute.
//! INVARIANT: [`Checksums::finish`] yields digests only when every claim was checked and held.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::{Digest as _, Md5};
use ring::digest;

use super::auth::Payload;
use super::chunk::Trailers;
use super::dialect::Dialect;
use super::error::{Code, ObjectError};
use super::head::Head;

/// An S3 checksum algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// What the checksum of an object of parts is made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChecksumType {
    /// Of the content.
    FullObject,
    /// Of the checksums of the parts.
    Composite,
}

impl ChecksumType {
    /// Its name on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }

    /// What `x-amz-checksum-type` says.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub(super) fn read(head: &Head<'_>) -> Result<Option<Self>, ObjectError> {
        let Some(word) = head.header("x-amz-checksum-type")? else { return Ok(None) };
        let known =
            [Self::FullObject, Self::Composite].into_iter().find(|t| t.word().eq_ignore_ascii_case(word));
        known.map(Some).ok_or_else(|| {
            ObjectError::because(Code::InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
        })
    }
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The header or trailer that carries the value, base64.
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Its name on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The XML element that carries the value, base64.
    pub fn element(self) -> &'static str {
        match self {
            Self::Crc32 => "ChecksumCRC32",
            Self::Crc32c => "ChecksumCRC32C",
            Self::Crc64Nvme => "ChecksumCRC64NVME",
            Self::Sha1 => "ChecksumSHA1",
            Self::Sha256 => "ChecksumSHA256",
        }
    }

    /// What `x-amz-checksum-algorithm` says.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub(super) fn read(head: &Head<'_>) -> Result<Option<Self>, ObjectError> {
        let name = if head.dialect == Dialect::S3 { head.header("x-amz-checksum-algorithm")? } else { None };
        let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
        Self::ALL.into_iter().find(|a| a.word().eq_ignore_ascii_case(name)).map(Some).ok_or_else(|| {
            ObjectError::because(
                Code::InvalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
                 CRC64NVME, SHA1, SHA256]",
            )
        })
    }

    /// Whether an object of parts can have a checksum of this type: only CRCs of parts make one of the whole.
    pub fn allows(self, kind: ChecksumType) -> bool {
        match kind {
            ChecksumType::FullObject => !matches!(self, Self::Sha1 | Self::Sha256),
            ChecksumType::Composite => self != Self::Crc64Nvme,
        }
    }

    /// The algorithm that a header or trailer name means.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.header().eq_ignore_ascii_case(name))
    }

    fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// What a request claims about its body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Claims {
    md5: Option<[u8; 16]>,
    checksum: Option<(Algorithm, Vec<u8>)>,
    trailer: Option<Algorithm>,
    crc64ecma: Option<u64>,
}

impl Claims {
    /// Reads what a head claims of a body that is not the object's: a list of parts, whose head may tell the checksum of the
    /// object instead.
    ///
    /// # Errors
    /// As [`Claims::read`].
    pub fn of_list(head: &Head<'_>) -> Result<Self, ObjectError> {
        let mut claims = Self::default();
        if let Some(value) = head.header("content-md5")? {
            let bytes = decode("Content-MD5", value, 16)?;
            claims.md5 = Some(bytes.try_into().map_err(|_| ObjectError::new(Code::InvalidDigest))?);
        }
        Ok(claims)
    }

    /// Reads the claims of a request head.
    ///
    /// # Errors
    /// `InvalidDigest` for a value that is not the base64 of the right number of bytes, `InvalidRequest` for
    /// unknown or several checksums.
    pub fn read(head: &Head<'_>) -> Result<Self, ObjectError> {
        let mut claims = Self { trailer: trailer(head)?, ..Self::of_list(head)? };
        match head.dialect {
            Dialect::Oss => {
                if let Some(value) = head.header("x-oss-hash-crc64ecma")? {
                    let parsed = Some(value)
                        .filter(|v| v.bytes().all(|b| b.is_ascii_digit()))
                        .and_then(|v| v.parse().ok());
                    claims.crc64ecma = Some(parsed.ok_or_else(|| {
                        ObjectError::because(
                            Code::InvalidDigest,
                            "The x-oss-hash-crc64ecma you specified is not a decimal number.",
                        )
                    })?);
                }
            }
            Dialect::S3 => claims.read_amz(head)?,
        }
        if claims.trailer.is_some() && claims.checksum.is_some() {
            return Err(one_only());
        }
        Ok(claims)
    }

    /// The S3 checksum that comes with the body, in front or behind.
    fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm).or(self.trailer)
    }

    /// The checksum algorithm that the trailer will carry.
    pub fn trailer(&self) -> Option<Algorithm> {
        self.trailer
    }

    /// Checks a whole body at once.
    ///
    /// # Errors
    /// As [`Checksums::finish`].
    pub fn check(&self, payload: &Payload, body: &[u8]) -> Result<Digests, ObjectError> {
        let mut sums = Checksums::new(self, payload);
        sums.update(body);
        sums.finish()
    }

    fn read_amz(&mut self, head: &Head<'_>) -> Result<(), ObjectError> {
        if let Some((algorithm, value)) = value_of(head)? {
            self.checksum = Some((algorithm, decode(algorithm.header(), value, algorithm.len())?));
        }
        Ok(())
    }
}

/// The one `x-amz-checksum-*` header that holds a value.
fn value_of<'h>(head: &'h Head<'_>) -> Result<Option<(Algorithm, &'h str)>, ObjectError> {
    let mut found = None;
    for name in head.parts.headers.keys() {
        let name = name.as_str();
        if !name.starts_with("x-amz-checksum-") {
            continue;
        }
        if matches!(name, "x-amz-checksum-mode" | "x-amz-checksum-type" | "x-amz-checksum-algorithm") {
            continue;
        }
        let Some(algorithm) = Algorithm::of_header(name) else {
            return Err(ObjectError::because(
                Code::InvalidRequest,
                format!("The checksum header `{name}` is not supported here."),
            ));
        };
        if found.is_some() {
            return Err(one_only());
        }
        found = Some((algorithm, head.header(name)?.unwrap_or_default()));
    }
    Ok(found)
}

/// What a head claims of an object of parts: a composite checksum has the number of parts behind it.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn of_whole(head: &Head<'_>) -> Result<Option<(Algorithm, String)>, ObjectError> {
    let Some((algorithm, value)) = value_of(head)? else { return Ok(None) };
    let (sum, count) = value.split_once('-').unwrap_or((value, "1"));
    let digits = (1..=5).contains(&count.len()) && count.bytes().all(|b| b.is_ascii_digit());
    if !digits || decode(algorithm.header(), sum, algorithm.len()).is_err() {
        let text = format!("Value for {} header is invalid.", algorithm.header());
        return Err(ObjectError::because(Code::InvalidRequest, text));
    }
    Ok(Some((algorithm, value.to_owned())))
}

/// Computes what a body owes, in one pass.
pub struct Checksums {
    claims: Claims,
    payload_sha256: Option<[u8; 32]>,
    bytes: u64,
    md5: Md5,
    crc64ecma: Crc,
    sha256: Option<digest::Context>,
    other: Option<Running>,
    trailer_value: Option<Vec<u8>>,
}

/// What a checked body turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digests {
    /// How many bytes the body had.
    pub bytes: u64,
    /// MD5 in lower-case hex: the ETag of a single-part object.
    pub md5_hex: String,
    /// CRC-64/XZ of the body (OSS `x-oss-hash-crc64ecma`, decimal).
    pub crc64ecma: u64,
    /// The S3 checksum that was claimed and held: algorithm and base64 value.
    pub checksum: Option<(Algorithm, String)>,
}

enum Running {
    Crc(Crc),
    Sha1(Box<digest::Context>),
}

impl Checksums {
    /// Starts computing. `payload` is what the signature says about the body.
    pub fn new(claims: &Claims, payload: &Payload) -> Self {
        let payload_sha256 = match payload {
            Payload::Sha256(hash) => Some(*hash),
            _ => None,
        };
        let claimed = claims.algorithm();
        let other = match claimed {
            Some(Algorithm::Crc32) => Some(Running::Crc(Crc::new(CrcAlgorithm::Crc32IsoHdlc))),
            Some(Algorithm::Crc32c) => Some(Running::Crc(Crc::new(CrcAlgorithm::Crc32Iscsi))),
            Some(Algorithm::Crc64Nvme) => Some(Running::Crc(Crc::new(CrcAlgorithm::Crc64Nvme))),
            Some(Algorithm::Sha1) => {
                Some(Running::Sha1(Box::new(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))))
            }
            Some(Algorithm::Sha256) | None => None,
        };
        let sha256 = (payload_sha256.is_some() || claimed == Some(Algorithm::Sha256))
            .then(|| digest::Context::new(&digest::SHA256));
        Self {
            claims: claims.clone(),
            payload_sha256,
            bytes: 0,
            md5: Md5::new(),
            crc64ecma: Crc::new(CrcAlgorithm::Crc64Xz),
            sha256,
            other,
            trailer_value: None,
        }
    }

    /// The S3 checksum that comes with the body.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.claims.algorithm()
    }

    /// Takes the next bytes of the decoded body.
    pub fn update(&mut self, data: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        self.md5.update(data);
        self.crc64ecma.update(data);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(data);
        }
        match &mut self.other {
            Some(Running::Crc(crc)) => crc.update(data),
            Some(Running::Sha1(sha1)) => sha1.update(data),
            None => {}
        }
    }

    /// Takes the trailers that the chunk decoder found.
    ///
    /// # Errors
    /// `InvalidDigest` when the announced checksum has no valid value.
    pub fn trailers(&mut self, trailers: &Trailers) -> Result<(), ObjectError> {
        if let Some(algorithm) = self.claims.trailer {
            let value = trailers.value(algorithm.header()).unwrap_or_default();
            self.trailer_value = Some(decode(algorithm.header(), value, algorithm.len())?);
        }
        Ok(())
    }

    /// Compares everything that was claimed with what was computed.
    ///
    /// # Errors
    /// `BadDigest`, `Sha256Mismatch`; `IncompleteBody` when an announced trailer was never handed in.
    pub fn finish(self) -> Result<Digests, ObjectError> {
        let sha256 = self.sha256.map(digest::Context::finish);
        let hash = sha256.as_ref().map(AsRef::as_ref);
        if self.payload_sha256.as_ref().is_some_and(|claim| hash != Some(claim.as_slice())) {
            return Err(ObjectError::new(Code::Sha256Mismatch));
        }
        let md5: [u8; 16] = self.md5.finalize().into();
        if self.claims.md5.is_some_and(|claim| claim != md5) {
            return Err(ObjectError::because(
                Code::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
        let crc64ecma = self.crc64ecma.finalize();
        if self.claims.crc64ecma.is_some_and(|claim| claim != crc64ecma) {
            return Err(ObjectError::because(
                Code::BadDigest,
                "The x-oss-hash-crc64ecma you specified did not match what we received.",
            ));
        }
        let claim = match (self.claims.checksum, self.claims.trailer, self.trailer_value) {
            (Some(claim), _, _) => Some(claim),
            (None, Some(algorithm), Some(value)) => Some((algorithm, value)),
            (None, Some(_), None) => return Err(ObjectError::new(Code::IncompleteBody)),
            (None, None, _) => None,
        };
        let checksum = match claim {
            None => None,
            Some((algorithm, value)) => {
                let computed = match self.other {
                    Some(Running::Crc(crc)) => crc_bytes(algorithm, crc.finalize()),
                    Some(Running::Sha1(sha1)) => sha1.finish().as_ref().to_vec(),
                    None => sha256.map(|d| d.as_ref().to_vec()).unwrap_or_default(),
                };
                if computed != value {
                    let text =
                        format!("The {} you specified did not match what we received.", algorithm.header());
                    return Err(ObjectError::because(Code::BadDigest, text));
                }
                Some((algorithm, BASE64.encode(value)))
            }
        };
        Ok(Digests { bytes: self.bytes, md5_hex: hex::encode(md5), crc64ecma, checksum })
    }
}

impl std::fmt::Debug for Checksums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checksums")
            .field("bytes", &self.bytes)
            .field("claims", &self.claims)
            .finish_non_exhaustive()
    }
}

fn crc_bytes(algorithm: Algorithm, value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    bytes.get(bytes.len() - algorithm.len().min(8)..).unwrap_or_default().to_vec()
}

fn decode(name: &str, value: &str, len: usize) -> Result<Vec<u8>, ObjectError> {
    BASE64.decode(value).ok().filter(|bytes| bytes.len() == len).ok_or_else(|| {
        ObjectError::because(
            Code::InvalidDigest,
            format!("The value of `{name}` is not the base64 of {len} bytes."),
        )
    })
}

fn one_only() -> ObjectError {
    ObjectError::because(
        Code::InvalidRequest,
        "Expecting a single x-amz-checksum- header; several checksums are not allowed.",
    )
}

fn trailer(head: &Head<'_>) -> Result<Option<Algorithm>, ObjectError> {
    if head.dialect != Dialect::S3 {
        return Ok(None);
    }
    let Some(value) = head.header("x-amz-trailer")? else { return Ok(None) };
    Algorithm::of_header(value).map(Some).ok_or_else(|| {
        ObjectError::because(
            Code::InvalidRequest,
            "The value of x-amz-trailer is not supported: name one x-amz-checksum- header.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Hosts;

    fn claims(dialect: Dialect, headers: &[(&str, &str)]) -> Result<Claims, Code> {
        let mut builder = http::Request::builder().uri("/bkt-a/k");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).unwrap().into_parts().0;
        let head = Head::read(&parts, dialect, &Hosts::default()).unwrap();
        Claims::read(&head).map_err(|e| e.code())
    }

    fn check(dialect: Dialect, headers: &[(&str, &str)], body: &[u8]) -> Result<Digests, Code> {
        claims(dialect, headers)?.check(&Payload::Unsigned, body).map_err(|e| e.code())
    }

    /// The check value of every algorithm over `123456789` (CRC catalogue; contract §7 for CRC-64/XZ).
    const CHECKS: [(&str, &str); 5] = [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-crc32c", "4waSgw=="),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
    ];

    #[test]
    fn the_two_digests_every_put_needs_match_the_contract() {
        let digests = check(Dialect::Oss, &[], b"123456789").unwrap();
        assert_eq!((digests.crc64ecma, digests.bytes), (11_051_210_869_376_104_954, 9));
        assert_eq!(digests.md5_hex, "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(check(Dialect::Oss, &[], b"hello").unwrap().crc64ecma, 11_177_612_005_948_864_433);
    }

    #[test]
    fn each_claim_is_checked() {
        use base64::Engine as _;
        for (name, value) in CHECKS {
            let len = BASE64.decode(value).map(|v| v.len());
            assert_eq!(len.ok(), Algorithm::of_header(name).map(Algorithm::len), "{name}");
        }
        for (name, value) in CHECKS {
            let ok = check(Dialect::S3, &[(name, value)], b"123456789").map(|d| d.checksum.map(|c| c.1));
            assert_eq!(ok, Ok(Some(value.to_owned())), "{name}");
            assert_eq!(check(Dialect::S3, &[(name, value)], b"123456780"), Err(Code::BadDigest), "{name}");
        }
        assert_eq!(
            check(Dialect::Oss, &[("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")], b"hello").map(|d| d.bytes),
            Ok(5)
        );
        assert_eq!(
            check(Dialect::Oss, &[("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")], b"hellp"),
            Err(Code::BadDigest)
        );
        let crc = [("x-oss-hash-crc64ecma", "11177612005948864433")];
        assert!(check(Dialect::Oss, &crc, b"hello").is_ok());
        assert_eq!(check(Dialect::Oss, &crc, b"hellp"), Err(Code::BadDigest));
    }

    #[test]
    fn the_signed_payload_hash_is_checked() {
        let hash = super::super::encode::sha256(b"hello");
        let none = Claims::default();
        assert!(none.check(&Payload::Sha256(hash), b"hello").is_ok());
        let wrong = none.check(&Payload::Sha256(hash), b"hellp").unwrap_err();
        assert_eq!(wrong.code(), Code::Sha256Mismatch);
        let sha = BASE64.encode(hash);
        let both = claims(Dialect::S3, &[("x-amz-checksum-sha256", &sha)]).unwrap();
        assert_eq!(
            both.check(&Payload::Sha256(hash), b"hello").unwrap().checksum,
            Some((Algorithm::Sha256, sha))
        );
    }

    #[test]
    fn claims_that_cannot_be_read_are_refused() {
        let cases = [
            (Dialect::S3, ("content-md5", "x"), Code::InvalidDigest),
            (Dialect::Oss, ("content-md5", "AAAA"), Code::InvalidDigest),
            (Dialect::S3, ("x-amz-checksum-crc32", "AAAAAAA="), Code::InvalidDigest),
            (Dialect::S3, ("x-amz-checksum-xxhash64", "AAAAAAA="), Code::InvalidRequest),
            (Dialect::S3, ("x-amz-trailer", "x-evil"), Code::InvalidRequest),
            (Dialect::Oss, ("x-oss-hash-crc64ecma", "-1"), Code::InvalidDigest),
            (Dialect::Oss, ("x-oss-hash-crc64ecma", "99999999999999999999"), Code::InvalidDigest),
        ];
        for (dialect, header, code) in cases {
            assert_eq!(claims(dialect, &[header]), Err(code), "{header:?}");
        }
        let two = [("x-amz-checksum-crc32", "y/Q5Jg=="), ("x-amz-checksum-crc32c", "4waSgw==")];
        assert_eq!(claims(Dialect::S3, &two), Err(Code::InvalidRequest));
        let announced = claims(Dialect::S3, &[("x-amz-trailer", "x-amz-checksum-crc32")]).unwrap();
        let missing = announced.check(&Payload::Unsigned, b"").unwrap_err();
        assert_eq!(missing.code(), Code::IncompleteBody);
    }
}
