//! Encryption at rest: what a writer asks for, keys that customers keep, defaults of buckets.

use bailee_types::SecretBytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq;

use super::{argument, header_text};
use crate::object::dialect::Dialect;
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;
use crate::object::xml::{malformed, walk};

/// Server-side encryption that a writer or a bucket asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Encryption {
    /// The algorithm in the OSS words: `AES256`, `KMS` or `SM4`.
    pub algorithm: &'static str,
    /// The KMS key, when one is named.
    pub key_id: Option<String>,
    /// With `KMS`: whether content is sealed with SM4 (OSS `x-oss-server-side-data-encryption`).
    pub sm4_data: bool,
}

/// A key that the customer keeps, as it comes with a request (S3 SSE-C).
#[derive(Clone)]
pub struct CustomerKey {
    /// 32 bytes.
    pub key: SecretBytes,
    /// Their MD5 in base64, which answers repeat.
    pub md5: String,
}

impl std::fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for CustomerKey {
    fn eq(&self, other: &Self) -> bool {
        self.key.expose().ct_eq(other.key.expose()).into()
    }
}

impl Eq for CustomerKey {}

pub(super) fn encryption(head: &Head<'_>) -> Result<Option<Encryption>, ObjectError> {
    let words = head.words();
    let key_id = head.header(words.encryption_key)?.filter(|v| !v.is_empty());
    let data = match head.dialect {
        Dialect::Oss => head.header("x-oss-server-side-data-encryption")?.filter(|v| !v.is_empty()),
        Dialect::S3 => None,
    };
    let algorithm = match (head.dialect, head.header(words.encryption)?) {
        (_, None | Some("")) if key_id.is_none() && data.is_none() => return Ok(None),
        (_, Some("AES256")) if key_id.is_none() => "AES256",
        (Dialect::Oss, Some("KMS")) | (Dialect::S3, Some("aws:kms")) => "KMS",
        (Dialect::Oss, Some("SM4")) if key_id.is_none() => "SM4",
        _ => return Err(ObjectError::new(Code::InvalidEncryption)),
    };
    let sm4_data = sm4_data(algorithm, data)?;
    let key_id = key_id.map(|v| header_text("server-side-encryption key", v)).transpose()?;
    Ok(Some(Encryption { algorithm, key_id, sm4_data }))
}

fn sm4_data(algorithm: &str, data: Option<&str>) -> Result<bool, ObjectError> {
    match (algorithm, data) {
        (_, None | Some("")) | ("KMS", Some("AES256")) => Ok(false),
        ("KMS", Some("SM4")) => Ok(true),
        _ => Err(ObjectError::new(Code::InvalidEncryption)),
    }
}

/// The customer's key of a request, or (with `copy-source-`) of the source of a copy.
pub(super) fn customer_key(head: &Head<'_>, of_source: bool) -> Result<Option<CustomerKey>, ObjectError> {
    if head.dialect != Dialect::S3 {
        return Ok(None);
    }
    let between = if of_source { "copy-source-" } else { "" };
    let given = |what: &str| {
        let name = format!("x-amz-{between}server-side-encryption-customer-{what}");
        Ok::<_, ObjectError>(head.header(&name)?.filter(|v| !v.is_empty()))
    };
    let (algorithm, key, md5) = (given("algorithm")?, given("key")?, given("key-md5")?);
    let (Some(algorithm), Some(key), Some(md5)) = (algorithm, key, md5) else {
        if algorithm.is_none() && key.is_none() && md5.is_none() {
            return Ok(None);
        }
        return Err(ObjectError::because(
            Code::InvalidArgument,
            "A customer key needs its algorithm, the key, and the MD5 of the key, all three.",
        ));
    };
    if algorithm != "AES256" {
        return Err(ObjectError::new(Code::InvalidEncryption));
    }
    let wrong =
        || argument("server-side-encryption-customer-key", "it must be 32 bytes in base64, with their MD5");
    let key = SecretBytes::new(STANDARD.decode(key).map_err(|_| wrong())?);
    let digest = Md5::digest(key.expose());
    let claimed = STANDARD.decode(md5).map_err(|_| wrong())?;
    if key.expose().len() != 32 || !bool::from(digest.as_slice().ct_eq(&claimed)) {
        return Err(wrong());
    }
    Ok(Some(CustomerKey { key, md5: md5.to_owned() }))
}

impl Encryption {
    /// Reads a `ServerSideEncryptionRule` (OSS) or `ServerSideEncryptionConfiguration` (S3).
    ///
    /// # Errors
    /// `MalformedXml`, `InvalidEncryption`.
    pub fn parse(body: &[u8], dialect: Dialect) -> Result<Self, ObjectError> {
        let (mut algorithm, mut key_id, mut data, mut rules) = (None, None, None, 0);
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let rest = match (dialect, path.as_slice()) {
                (Dialect::Oss, ["ServerSideEncryptionRule", rest @ ..]) => rest,
                (Dialect::S3, ["ServerSideEncryptionConfiguration"]) => return Ok(()),
                (Dialect::S3, ["ServerSideEncryptionConfiguration", "Rule"]) => {
                    rules += 1;
                    return if rules > 1 { Err(malformed("there is more than one Rule")) } else { Ok(()) };
                }
                // A key for the bucket saves calls of KMS elsewhere; here none leaves the machine.
                (Dialect::S3, ["ServerSideEncryptionConfiguration", "Rule", "BucketKeyEnabled"]) => {
                    return Ok(());
                }
                (Dialect::S3, ["ServerSideEncryptionConfiguration", "Rule", rest @ ..]) => rest,
                _ => return Err(malformed("the root is not the one of an encryption rule")),
            };
            match rest {
                [] | ["ApplyServerSideEncryptionByDefault"] => {}
                ["ApplyServerSideEncryptionByDefault", "SSEAlgorithm"] => {
                    algorithm = Some(match (dialect, text.trim()) {
                        (_, "AES256") => "AES256",
                        (Dialect::Oss, "KMS") | (Dialect::S3, "aws:kms") => "KMS",
                        (Dialect::Oss, "SM4") => "SM4",
                        _ => return Err(ObjectError::new(Code::InvalidEncryption)),
                    });
                }
                ["ApplyServerSideEncryptionByDefault", "KMSMasterKeyID"] => {
                    key_id = Some(header_text("KMSMasterKeyID", text.trim())?).filter(|k| !k.is_empty());
                }
                ["ApplyServerSideEncryptionByDefault", "KMSDataEncryption"] => {
                    data = Some(text.trim().to_owned())
                }
                _ => return Err(malformed("it holds an element that is not known")),
            }
            Ok(())
        })?;
        let algorithm = algorithm.ok_or_else(|| malformed("there is no SSEAlgorithm"))?;
        if key_id.is_some() && algorithm != "KMS" {
            return Err(ObjectError::new(Code::InvalidEncryption));
        }
        Ok(Self { algorithm, key_id, sm4_data: sm4_data(algorithm, data.as_deref())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_buckets_are_read_or_refused() {
        let oss = |inner: &str| {
            let body = format!(
                "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault>{inner}\
                 </ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>"
            );
            Encryption::parse(body.as_bytes(), Dialect::Oss).map_err(|e| e.code())
        };
        let kms = oss(
            "<SSEAlgorithm>KMS</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID><KMSDataEncryption>SM4</KMSDataEncryption>",
        );
        let wanted = Encryption { algorithm: "KMS", key_id: Some("k".into()), sm4_data: true };
        assert_eq!(kms, Ok(wanted));
        assert_eq!(oss("<SSEAlgorithm>SM4</SSEAlgorithm>").unwrap().algorithm, "SM4");
        for (bad, code) in [
            ("", Code::MalformedXml),
            ("<SSEAlgorithm>DES</SSEAlgorithm>", Code::InvalidEncryption),
            (
                "<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>",
                Code::InvalidEncryption,
            ),
            (
                "<SSEAlgorithm>AES256</SSEAlgorithm><KMSDataEncryption>SM4</KMSDataEncryption>",
                Code::InvalidEncryption,
            ),
            ("<Other/>", Code::MalformedXml),
        ] {
            assert_eq!(oss(bad), Err(code), "{bad}");
        }
    }
}
