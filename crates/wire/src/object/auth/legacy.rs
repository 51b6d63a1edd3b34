//! OSS V1: HMAC-SHA1 over method, three headers, `x-oss-*` and the resource (contract §2).
//!
//! INVARIANT: only `x-oss-*` headers and the listed sub-resources are signed. Range, conditions, list parameters
//! and the host are not: the typed request may believe them no more than it believes an unsigned one.

use bailee_types::{SecretText, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{Payload, Scheme, Signed, Terms, any_date, expired, key_id, no_date, same, within_skew};
use crate::object::encode::{hmac_sha1, is_hex64};
use crate::object::error::{Code, ObjectError};
use crate::object::head::{Head, Param};

/// What an OSS V1 signature consists of.
#[derive(Clone)]
pub(super) struct Proof {
    signature: String,
    /// The DATE line: `x-oss-date`, `Date`, or for presigned addresses `Expires`.
    date_line: String,
}

/// Sub-resources that OSS V1 signs: the union of the SDKs' sets (contract §2), sorted.
const SIGNED_PARAMETERS: &[&str] = &[
    "accessPoint",
    "accessPointPolicy",
    "acl",
    "append",
    "asyncFetch",
    "bucketArchiveDirectRead",
    "bucketInfo",
    "callback",
    "callback-var",
    "cloudboxes",
    "cname",
    "comp",
    "continuation-token",
    "cors",
    "dataAccelerator",
    "delete",
    "encryption",
    "endTime",
    "group",
    "httpsConfig",
    "img",
    "inventory",
    "inventoryId",
    "lifecycle",
    "link",
    "live",
    "location",
    "logging",
    "metaQuery",
    "objectInfo",
    "objectMeta",
    "partNumber",
    "policy",
    "policyStatus",
    "position",
    "publicAccessBlock",
    "qos",
    "qosInfo",
    "qosRequester",
    "redundancyProgress",
    "redundancyTransition",
    "redundancyType",
    "referer",
    "regionList",
    "regionsV2",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "requesterQosInfo",
    "resourceGroup",
    "resourcePool",
    "resourcePoolBuckets",
    "resourcePoolInfo",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "responseHeader",
    "restore",
    "rtc",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "udf",
    "udfApplication",
    "udfApplicationLog",
    "udfId",
    "udfImage",
    "udfImageDesc",
    "udfName",
    "uploadId",
    "uploads",
    "userDefinedLogFieldsConfig",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "withHashContext",
    "worm",
    "wormExtend",
    "wormId",
    "x-oss-ac-forward-allow",
    "x-oss-ac-source-ip",
    "x-oss-ac-subnet-mask",
    "x-oss-ac-vpc-id",
    "x-oss-async-process",
    "x-oss-enable-md5",
    "x-oss-enable-sha1",
    "x-oss-enable-sha256",
    "x-oss-hash-ctx",
    "x-oss-md5-ctx",
    "x-oss-process",
    "x-oss-request-payer",
    "x-oss-traffic-limit",
];

/// `Authorization: OSS ak:sig`.
pub(super) fn header(head: &Head<'_>, rest: &str) -> Result<Signed, ObjectError> {
    let (id, signature) = rest
        .split_once(':')
        .ok_or_else(|| ObjectError::because(Code::AuthHeaderMalformed, "Authorization header is invalid."))?;
    let date_line = match head.header("x-oss-date")? {
        Some(date) => Some(date),
        None => head.header("date")?,
    };
    let date_line = date_line.ok_or_else(|| no_date(head.dialect))?;
    let date = any_date(date_line).ok_or_else(|| no_date(head.dialect))?;
    let token = match head.header("x-oss-security-token")? {
        Some(token) => Some(token),
        None => head.header("security-token")?,
    };
    Ok(Signed {
        scheme: Scheme::OssV1,
        access_key_id: key_id(id)?,
        security_token: token.map(str::to_owned),
        date,
        proof: super::Proof::Legacy(Proof {
            signature: signature.to_owned(),
            date_line: date_line.to_owned(),
        }),
    })
}

/// `?OSSAccessKeyId=…&Expires=…&Signature=…`.
pub(super) fn presigned(head: &Head<'_>) -> Result<Signed, ObjectError> {
    let (Some(id), Some(expires), Some(signature)) =
        (head.param("OSSAccessKeyId"), head.param("Expires"), head.param("Signature"))
    else {
        return Err(ObjectError::because(
            Code::AuthQueryMalformed,
            "A signed address needs the parameters OSSAccessKeyId, Expires and Signature.",
        ));
    };
    let ends = Some(expires)
        .filter(|e| e.len() <= 12 && e.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|e| e.parse().ok())
        .map(Timestamp::from_secs)
        .ok_or_else(|| {
            ObjectError::because(Code::AuthQueryMalformed, "Expires must be a number of seconds since 1970.")
        })?;
    Ok(Signed {
        scheme: Scheme::OssV1Presigned,
        access_key_id: key_id(id)?,
        security_token: head.param("security-token").map(str::to_owned),
        date: ends,
        proof: super::Proof::Legacy(Proof { signature: signature.to_owned(), date_line: expires.to_owned() }),
    })
}

pub(super) fn verify(
    signed: &Signed,
    proof: &Proof,
    head: &Head<'_>,
    secret: &SecretText,
    terms: &Terms<'_>,
) -> Result<Payload, ObjectError> {
    if signed.scheme == Scheme::OssV1Presigned {
        if terms.now >= signed.date {
            return Err(expired(signed.date, terms.now));
        }
    } else {
        within_skew(signed.date, terms.now)?;
    }
    let text = string_to_sign(head, &proof.date_line)?;
    let computed = BASE64.encode(hmac_sha1(secret.expose().as_bytes(), &text));
    if !same(computed.as_bytes(), proof.signature.as_bytes()) {
        let error = ObjectError::new(Code::SignatureDoesNotMatch)
            .with("OSSAccessKeyId", &signed.access_key_id)
            .with("SignatureProvided", &proof.signature);
        // With a token in it the string would carry a credential into proxies and logs.
        return Err(match signed.security_token {
            None => error.with("StringToSign", String::from_utf8_lossy(&text)),
            Some(_) => error,
        });
    }
    match head.header("x-oss-content-sha256")? {
        Some(hash) if is_hex64(hash) => {
            let mut bytes = [0; 32];
            hex::decode_to_slice(hash, &mut bytes).map_err(|_| ObjectError::new(Code::InvalidArgument))?;
            Ok(Payload::Sha256(bytes))
        }
        _ => Ok(Payload::Unsigned),
    }
}

fn string_to_sign(head: &Head<'_>, date_line: &str) -> Result<Vec<u8>, ObjectError> {
    let mut out = Vec::with_capacity(256);
    let lines = [
        head.parts.method.as_str(),
        head.header("content-md5")?.unwrap_or_default(),
        head.header("content-type")?.unwrap_or_default(),
        date_line,
    ];
    for line in lines {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    let mut headers: Vec<_> =
        head.parts.headers.iter().filter(|(n, _)| n.as_str().starts_with("x-oss-")).collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    super::modern::write_headers(&mut out, &headers, false);
    out.extend_from_slice(head.resource().as_bytes());
    let mut params: Vec<&Param<'_>> =
        head.query.iter().filter(|p| SIGNED_PARAMETERS.binary_search(&&*p.name).is_ok()).collect();
    params.sort_by(|a, b| a.name.cmp(&b.name));
    for (i, param) in params.iter().enumerate() {
        out.push(if i == 0 { b'?' } else { b'&' });
        out.extend_from_slice(param.name.as_bytes());
        if !param.value.is_empty() {
            out.push(b'=');
            out.extend_from_slice(param.value.as_bytes());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_parameters_are_sorted_for_the_search() {
        assert!(SIGNED_PARAMETERS.windows(2).all(|w| w[0] < w[1]));
    }
}
