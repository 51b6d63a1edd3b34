//! The two dialects of object storage as tables of words.
//!
//! Promises: every name that differs between OSS and S3 (headers, presign parameters, signing constants, list
//! limits) stands in one row here; the rest of the module asks the table.
//! Refuses: nothing. Detection never fails, so that even the first error is answered in a fitting dialect.
//! INVARIANT: detection looks at the request head only and does not decide whether a caller is trusted.

use http::request::Parts;

/// Which words a request speaks (contract §7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// Alibaba Cloud OSS: `Authorization: OSS…`, `x-oss-*`.
    Oss,
    /// Amazon S3: `Authorization: AWS4-HMAC-SHA256`, `x-amz-*`.
    S3,
}

/// The words of one dialect.
pub(super) struct Words {
    /// Prefix of the dialect's own headers.
    pub(super) prefix: &'static str,
    /// Prefix of user metadata headers.
    pub(super) meta_prefix: &'static str,
    pub(super) date: &'static str,
    pub(super) security_token: &'static str,
    pub(super) content_sha256: &'static str,
    pub(super) storage_class: &'static str,
    pub(super) encryption: &'static str,
    pub(super) encryption_key: &'static str,
    /// What holds a version, as headers.
    pub(super) lock_mode: &'static str,
    pub(super) lock_until: &'static str,
    pub(super) lock_hold: &'static str,
    pub(super) request_id: &'static str,
    /// V4 signing: algorithm, key prefix, service, terminator (contract §2; AWS SigV4).
    pub(super) algorithm: &'static str,
    pub(super) key_prefix: &'static str,
    pub(super) service: &'static str,
    pub(super) terminator: &'static str,
    /// Name of the header list inside the `Authorization` header.
    pub(super) header_list: &'static str,
    /// Presign parameters.
    pub(super) q_algorithm: &'static str,
    pub(super) q_credential: &'static str,
    pub(super) q_date: &'static str,
    pub(super) q_expires: &'static str,
    pub(super) q_token: &'static str,
    pub(super) q_headers: &'static str,
    pub(super) q_signature: &'static str,
    /// `max-keys` when the request names none.
    pub(super) max_keys_default: u32,
    /// User metadata limit: names and values together, in bytes.
    pub(super) metadata_bytes_max: usize,
}

static OSS: Words = Words {
    prefix: "x-oss-",
    meta_prefix: "x-oss-meta-",
    date: "x-oss-date",
    security_token: "x-oss-security-token",
    content_sha256: "x-oss-content-sha256",
    storage_class: "x-oss-storage-class",
    encryption: "x-oss-server-side-encryption",
    encryption_key: "x-oss-server-side-encryption-key-id",
    lock_mode: "x-oss-object-worm-mode",
    lock_until: "x-oss-object-worm-retain-until-date",
    lock_hold: "x-oss-object-worm-legal-hold",
    request_id: "x-oss-request-id",
    algorithm: "OSS4-HMAC-SHA256",
    key_prefix: "aliyun_v4",
    service: "oss",
    terminator: "aliyun_v4_request",
    header_list: "AdditionalHeaders",
    q_algorithm: "x-oss-signature-version",
    q_credential: "x-oss-credential",
    q_date: "x-oss-date",
    q_expires: "x-oss-expires",
    q_token: "x-oss-security-token",
    q_headers: "x-oss-additional-headers",
    q_signature: "x-oss-signature",
    max_keys_default: 100,
    metadata_bytes_max: 8 * 1024,
};

static S3: Words = Words {
    prefix: "x-amz-",
    meta_prefix: "x-amz-meta-",
    date: "x-amz-date",
    security_token: "x-amz-security-token",
    content_sha256: "x-amz-content-sha256",
    storage_class: "x-amz-storage-class",
    encryption: "x-amz-server-side-encryption",
    encryption_key: "x-amz-server-side-encryption-aws-kms-key-id",
    lock_mode: "x-amz-object-lock-mode",
    lock_until: "x-amz-object-lock-retain-until-date",
    lock_hold: "x-amz-object-lock-legal-hold",
    request_id: "x-amz-request-id",
    algorithm: "AWS4-HMAC-SHA256",
    key_prefix: "AWS4",
    service: "s3",
    terminator: "aws4_request",
    header_list: "SignedHeaders",
    q_algorithm: "X-Amz-Algorithm",
    q_credential: "X-Amz-Credential",
    q_date: "X-Amz-Date",
    q_expires: "X-Amz-Expires",
    q_token: "X-Amz-Security-Token",
    q_headers: "X-Amz-SignedHeaders",
    q_signature: "X-Amz-Signature",
    max_keys_default: 1000,
    metadata_bytes_max: 2 * 1024,
};

impl Dialect {
    /// Tells the dialect from the `Authorization` scheme, else from presign parameters, else from `x-oss-*` and
    /// `x-amz-*` headers and parameters; S3 when nothing tells.
    pub fn detect(parts: &Parts) -> Self {
        if let Some(value) = parts.headers.get(http::header::AUTHORIZATION) {
            if value.as_bytes().starts_with(b"OSS") {
                return Self::Oss;
            }
            if value.as_bytes().starts_with(b"AWS") {
                return Self::S3;
            }
        }
        let names =
            || parts.uri.query().unwrap_or_default().split('&').map(|p| p.split('=').next().unwrap_or(p));
        for name in names() {
            match name {
                "x-oss-signature-version" | "x-oss-credential" | "x-oss-signature" | "OSSAccessKeyId" => {
                    return Self::Oss;
                }
                "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Signature" | "AWSAccessKeyId" => {
                    return Self::S3;
                }
                _ => {}
            }
        }
        for name in parts.headers.keys().map(http::HeaderName::as_str).chain(names()) {
            if name.starts_with("x-oss-") {
                return Self::Oss;
            }
            if name.starts_with("x-amz-") {
                return Self::S3;
            }
        }
        Self::S3
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::Oss => &OSS,
            Self::S3 => &S3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(uri: &str, headers: &[(&str, &str)]) -> Dialect {
        let mut builder = http::Request::builder().uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        Dialect::detect(&builder.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_authorization_scheme_decides_before_anything_else() {
        assert_eq!(detect("/b/k", &[("authorization", "OSS a:b"), ("x-amz-date", "x")]), Dialect::Oss);
        assert_eq!(detect("/b/k", &[("authorization", "OSS4-HMAC-SHA256 x")]), Dialect::Oss);
        assert_eq!(
            detect("/b/k", &[("authorization", "AWS4-HMAC-SHA256 x"), ("x-oss-date", "x")]),
            Dialect::S3
        );
        assert_eq!(detect("/b/k", &[("authorization", "AWS a:b")]), Dialect::S3);
    }

    #[test]
    fn presign_parameters_and_own_headers_decide_next_and_s3_is_the_fallback() {
        assert_eq!(detect("/b/k?Expires=1&OSSAccessKeyId=a", &[("x-amz-meta-a", "x")]), Dialect::Oss);
        assert_eq!(detect("/b/k?X-Amz-Algorithm=x", &[("x-oss-meta-a", "x")]), Dialect::S3);
        assert_eq!(detect("/b/k", &[("x-oss-meta-a", "x")]), Dialect::Oss);
        assert_eq!(detect("/b/k?x-oss-process=style", &[]), Dialect::Oss);
        assert_eq!(detect("/b/k", &[]), Dialect::S3);
    }
}
