//! Answers about encryption at rest.

use super::Reply;
use crate::object::dialect::Dialect;
use crate::object::request::{CustomerKey, Encryption};
use crate::object::xml::Xml;

/// The answer to GetBucketEncryption.
pub fn encryption(dialect: Dialect, rule: &Encryption) -> Reply {
    let (outer, inner) = match dialect {
        Dialect::Oss => ("ServerSideEncryptionRule", None),
        Dialect::S3 => ("ServerSideEncryptionConfiguration", Some("Rule")),
    };
    let mut xml = Xml::document();
    xml.open(outer);
    if let Some(inner) = inner {
        xml.open(inner);
    }
    xml.open("ApplyServerSideEncryptionByDefault");
    let algorithm = match (dialect, rule.algorithm) {
        (Dialect::S3, "KMS") => "aws:kms",
        (_, other) => other,
    };
    xml.text("SSEAlgorithm", algorithm);
    if let Some(key) = &rule.key_id {
        xml.text("KMSMasterKeyID", key);
    }
    if rule.sm4_data && dialect == Dialect::Oss {
        xml.text("KMSDataEncryption", "SM4");
    }
    xml.close("ApplyServerSideEncryptionByDefault");
    if let Some(inner) = inner {
        xml.close(inner);
    }
    xml.close(outer);
    Reply::xml(xml)
}

impl Reply {
    /// Adds that an object is under a customer's own key, if it is.
    #[must_use]
    pub fn with_customer_key(mut self, key: Option<&CustomerKey>) -> Self {
        if let Some(key) = key {
            self.push("x-amz-server-side-encryption-customer-algorithm", "AES256");
            self.push("x-amz-server-side-encryption-customer-key-MD5", key.md5.as_str());
        }
        self
    }
}
