//! AWS's External Key Store Proxy API, version 1 (aws-kms-xksproxy-api-spec, `xks_proxy_api_spec.md`): how a provider asks a
//! tenant's own key service to encrypt and decrypt a few bytes. Both sides: messages, error names, and the SigV4 signature of
//! the service `kms-xks-proxy`.
//!
//! Ours beyond the specification is one member of `requestMetadata`, [`Evidence`] under the name `bailee`; it is sent only
//! for people of the provider (Appendix B announces that members will be added).
//! INVARIANT: a signature covers the whole body, the host and the date; nothing of a request is believed before it holds.
//! INVARIANT: `Debug` of a message shows no plaintext.

use bailee_types::{SecretBytes, SecretText, Timestamp};
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::object::auth::keys::derive_in;
use crate::object::encode::{hmac_sha256, is_hex64, sha256};

/// Bytes of plaintext that every proxy takes.
pub const PLAINTEXT_MAX: usize = 4_300;
/// Bytes of additional authenticated data that every proxy takes.
pub const AAD_MAX: usize = 8_192;
/// Bytes of `ciphertextMetadata`.
pub const METADATA_MAX: usize = 20;
/// Bytes of a request's body that are read.
pub const BODY_MAX: usize = 512 * 1024;
const SERVICE: &str = "kms-xks-proxy";
const TERMINATOR: &str = "aws4_request";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far the clocks may differ, as SigV4 has it.
const SKEW_MS_MAX: u64 = 5 * 60 * 1000;
const HEADERS_MAX: usize = 32;

/// Bytes as base64 in JSON.
mod base64_text {
    use super::STANDARD;
    use base64::Engine as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(d)?).map_err(|_| serde::de::Error::custom("not base64"))
    }
}

/// As [`base64_text`], for bytes that are wiped.
mod base64_secret {
    use super::{STANDARD, SecretBytes};
    use base64::Engine as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &SecretBytes, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(bytes.expose()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SecretBytes, D::Error> {
        let bytes =
            STANDARD.decode(String::deserialize(d)?).map_err(|_| serde::de::Error::custom("not base64"))?;
        Ok(SecretBytes::new(bytes))
    }
}

/// Why a request is made and for whom.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestMetadata {
    /// Who asks, as an ARN.
    #[serde(default)]
    pub aws_principal_arn: String,
    /// The provider's name of the key, an ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    /// What the provider was asked to do.
    #[serde(default)]
    pub kms_operation: String,
    /// The id of the request at the provider.
    #[serde(default)]
    pub kms_request_id: String,
    /// The service in between, `oss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_via_service: Option<String>,
    /// From which VPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_source_vpc: Option<String>,
    /// Through which endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws_source_vpce: Option<String>,
    /// For people of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bailee: Option<Evidence>,
}

/// What somebody of the provider shows: that the tenant let him, and that his intent stands in the tenant's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Why: `CUSTOMER_INITIATED_SUPPORT`, ….
    pub reason: String,
    /// The grant, a note that the tenant's approver signed.
    #[serde(default)]
    pub grant: String,
    /// The record of the intent with its place in the log: a `.tlog-proof` whose extra data are nonce and event.
    #[serde(default)]
    pub intent: String,
}

/// GetKeyMetadata and GetHealthStatus ask with this alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataRequest {
    /// For whom.
    pub request_metadata: RequestMetadata,
}

/// What is to be encrypted.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptRequest {
    /// For whom.
    pub request_metadata: RequestMetadata,
    /// At most [`PLAINTEXT_MAX`] bytes.
    #[serde(with = "base64_secret")]
    pub plaintext: SecretBytes,
    /// `AES_GCM`.
    pub encryption_algorithm: String,
    /// What the ciphertext is bound to.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub additional_authenticated_data: Vec<u8>,
    /// `SHA_256` when the answer shall hold a digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ciphertext_data_integrity_value_algorithm: Option<String>,
}

/// A ciphertext in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptAnswer {
    /// As long as the plaintext.
    #[serde(with = "base64_text")]
    pub ciphertext: Vec<u8>,
    /// The proxy's own, at most [`METADATA_MAX`] bytes.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub ciphertext_metadata: Vec<u8>,
    /// 12 or 16 bytes.
    #[serde(with = "base64_text")]
    pub initialization_vector: Vec<u8>,
    /// 16 bytes.
    #[serde(with = "base64_text")]
    pub authentication_tag: Vec<u8>,
    /// [`EncryptAnswer::digest`], when it was asked for.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub ciphertext_data_integrity_value: Vec<u8>,
}

impl EncryptAnswer {
    /// SHA-256 over the additional data and all parts (Appendix C).
    pub fn digest(&self, aad: &[u8]) -> [u8; 32] {
        let parts = [
            aad,
            &self.ciphertext_metadata,
            &self.initialization_vector,
            &self.ciphertext,
            &self.authentication_tag,
        ];
        sha256(&parts.concat())
    }
}

/// What is to be decrypted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecryptRequest {
    /// For whom.
    pub request_metadata: RequestMetadata,
    /// The ciphertext.
    #[serde(with = "base64_text")]
    pub ciphertext: Vec<u8>,
    /// What the proxy gave with it.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub ciphertext_metadata: Vec<u8>,
    /// `AES_GCM`.
    pub encryption_algorithm: String,
    /// What it is bound to.
    #[serde(default, with = "base64_text", skip_serializing_if = "Vec::is_empty")]
    pub additional_authenticated_data: Vec<u8>,
    /// 12 or 16 bytes.
    #[serde(with = "base64_text")]
    pub initialization_vector: Vec<u8>,
    /// 16 bytes.
    #[serde(with = "base64_text")]
    pub authentication_tag: Vec<u8>,
}

/// What was encrypted.
#[derive(Clone, Serialize, Deserialize)]
pub struct DecryptAnswer {
    /// The plaintext.
    #[serde(with = "base64_secret")]
    pub plaintext: SecretBytes,
}

/// What a key of the service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyMetadata {
    /// `AES_256`.
    pub key_spec: String,
    /// `ENCRYPT`, `DECRYPT` and others.
    pub key_usage: Vec<String>,
    /// `ENABLED` or `DISABLED`.
    pub key_status: String,
}

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Proxies that answer.
    pub xks_proxy_fleet_size: u32,
    /// Whose proxy.
    pub xks_proxy_vendor: String,
    /// Which.
    pub xks_proxy_model: String,
    /// Whose key manager.
    pub ekm_vendor: String,
    /// The key managers.
    pub ekm_fleet_details: Vec<Ekm>,
}

/// One key manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ekm {
    /// Its id.
    pub id: String,
    /// Which.
    pub model: String,
    /// `ACTIVE`, `DEGRADED` or `UNAVAILABLE`.
    pub health_status: String,
}

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorAnswer {
    /// [`XksError::name`].
    pub error_name: String,
    /// For people; fewer than 512 printable ASCII characters.
    #[serde(default)]
    pub error_message: String,
}

/// Why a service does not do what it was asked ("Error codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XksError {
    /// A parameter is missing or wrong.
    Validation,
    /// The key is disabled.
    InvalidState,
    /// The ciphertext does not open.
    InvalidCiphertext,
    /// The key is not for this.
    InvalidKeyUsage,
    /// The signature does not hold.
    AuthenticationFailed,
    /// The tenant's policy says no.
    AccessDenied,
    /// No such key.
    KeyNotFound,
    /// No such path.
    InvalidUriPath,
    /// Too many at once.
    Throttling,
    /// Too long, or not built.
    UnsupportedOperation,
    /// What is behind the service did not answer.
    DependencyTimeout,
    /// The service failed.
    Internal,
}

impl XksError {
    const ALL: [(Self, u16, &'static str); 12] = [
        (Self::Validation, 400, "ValidationException"),
        (Self::InvalidState, 400, "InvalidStateException"),
        (Self::InvalidCiphertext, 400, "InvalidCiphertextException"),
        (Self::InvalidKeyUsage, 400, "InvalidKeyUsageException"),
        (Self::AuthenticationFailed, 401, "AuthenticationFailedException"),
        (Self::AccessDenied, 403, "AccessDeniedException"),
        (Self::KeyNotFound, 404, "KeyNotFoundException"),
        (Self::InvalidUriPath, 404, "InvalidUriPathException"),
        (Self::Throttling, 429, "ThrottlingException"),
        (Self::UnsupportedOperation, 501, "UnsupportedOperationException"),
        (Self::DependencyTimeout, 503, "DependencyTimeoutException"),
        (Self::Internal, 500, "InternalException"),
    ];

    fn row(self) -> (u16, &'static str) {
        let found = Self::ALL.into_iter().find(|(e, _, _)| *e == self);
        found.map_or((500, "InternalException"), |(_, status, name)| (status, name))
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// The error of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, _, n)| *n == name).map(|(e, _, _)| e)
    }
}

impl std::fmt::Display for XksError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Who signs.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The id, 20 to 30 upper-case letters and digits.
    pub id: String,
    /// The secret.
    pub secret: SecretText,
}

fn string_to_sign(
    (path, host, body): (&str, &str, &[u8]),
    headers: &[(String, String)],
    date: &str,
    scope: &[&str; 4],
) -> String {
    let mut canonical = format!("POST\n{path}\n\n");
    for (name, value) in headers {
        let value = if name == "host" { host } else { value };
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        canonical.push_str(&format!("{name}:{value}\n"));
    }
    let list = headers.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>().join(";");
    canonical.push_str(&format!("\n{list}\n{}", hex::encode(sha256(body))));
    format!("{ALGORITHM}\n{date}\n{}\n{}", scope.join("/"), hex::encode(sha256(canonical.as_bytes())))
}

/// The headers of a signed request: `x-amz-date` and `authorization`. `host` is what the client sends as Host.
pub fn sign(
    credential: &Credential,
    region: &str,
    (host, path): (&str, &str),
    body: &[u8],
    now: Timestamp,
) -> [(&'static str, String); 2] {
    let date = now.basic();
    let day = date.get(..8).unwrap_or_default();
    let scope = [day, region, SERVICE, TERMINATOR];
    let signed = [
        ("content-type".to_owned(), "application/json".to_owned()),
        ("host".to_owned(), String::new()),
        ("x-amz-date".to_owned(), date.clone()),
    ];
    let text = string_to_sign((path, host, body), &signed, &date, &scope);
    let key = derive_in(&credential.secret, "AWS4", scope);
    let signature = hex::encode(hmac_sha256(key.as_slice(), text.as_bytes()));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders=content-type;host;x-amz-date, Signature={signature}",
        credential.id,
        scope.join("/")
    );
    [("x-amz-date", date), ("authorization", authorization)]
}

/// Checks the signature of a POST over its whole body; the credential by which it was signed. `known` finds one by its id.
///
/// # Errors
/// What does not hold, for the service's own log; the client learns that authentication failed, and no more.
pub fn verify<'k>(
    parts: &http::request::Parts,
    body: &[u8],
    known: impl Fn(&str) -> Option<&'k Credential>,
    now: Timestamp,
) -> Result<&'k Credential, &'static str> {
    let header = |name: &str| {
        let mut all = parts.headers.get_all(name).iter();
        let one = all.next()?.to_str().ok()?;
        if all.next().is_some() { None } else { Some(one) }
    };
    let authorization = header("authorization").ok_or("no Authorization header, or several")?;
    let rest = authorization.strip_prefix(ALGORITHM).ok_or("another algorithm than AWS4-HMAC-SHA256")?;
    let (mut credential, mut list, mut signature) = (None, None, None);
    for field in rest.split(',') {
        let (name, value) = field.trim().split_once('=').ok_or("a field of Authorization has no value")?;
        let slot = match name {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut list,
            "Signature" => &mut signature,
            _ => return Err("an unknown field of Authorization"),
        };
        if slot.replace(value).is_some() {
            return Err("a field of Authorization stands twice");
        }
    }
    let (Some(credential), Some(list), Some(signature)) = (credential, list, signature) else {
        return Err("a field of Authorization is missing");
    };
    let mut scope = credential.split('/');
    let (Some(id), Some(day), Some(region), Some(SERVICE), Some(TERMINATOR), None) =
        (scope.next(), scope.next(), scope.next(), scope.next(), scope.next(), scope.next())
    else {
        return Err("the credential's scope is not of kms-xks-proxy");
    };
    let date = header("x-amz-date").ok_or("no x-amz-date header, or several")?;
    let at = Timestamp::parse_basic(date).map_err(|_| "x-amz-date has another form")?;
    if !date.starts_with(day) || day.len() != 8 {
        return Err("the scope's date is not the request's");
    }
    if at.ms().abs_diff(now.ms()) > SKEW_MS_MAX {
        return Err("the request's date is more than five minutes from now");
    }
    let mut signed: Vec<(String, String)> = Vec::new();
    for name in list.split(';') {
        let lower = !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
        if !lower
            || signed.len() >= HEADERS_MAX
            || signed.last().is_some_and(|(before, _)| before.as_str() >= name)
        {
            return Err("SignedHeaders are not in order");
        }
        let value = header(name).ok_or("a signed header is missing or stands twice")?;
        signed.push((name.to_owned(), value.to_owned()));
    }
    for needed in ["host", "x-amz-date"] {
        if !signed.iter().any(|(name, _)| name == needed) {
            return Err("host or x-amz-date is not signed");
        }
    }
    if parts.uri.query().is_some() {
        return Err("the address has a query");
    }
    if !is_hex64(signature) {
        return Err("the signature is not 64 hex digits");
    }
    let known = known(id).ok_or("an unknown credential")?;
    let host = header("host").unwrap_or_default();
    let scope = [day, region, SERVICE, TERMINATOR];
    let text = string_to_sign((parts.uri.path(), host, body), &signed, date, &scope);
    let key = derive_in(&known.secret, "AWS4", scope);
    let computed = hex::encode(hmac_sha256(key.as_slice(), text.as_bytes()));
    if bool::from(subtle::ConstantTimeEq::ct_eq(computed.as_bytes(), signature.as_bytes())) {
        Ok(known)
    } else {
        Err("the signature does not match")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    fn credential() -> Credential {
        Credential {
            id: "BXKSBAILEEFAKEKEY001".into(),
            secret: SecretText::new("BaileeFakeSecret0123456789BaileeFakeSecret0".into()),
        }
    }

    fn request(body: &[u8], now: Timestamp, region: &str) -> http::request::Parts {
        let path = "/acme/kms/xks/v1/keys/k1/encrypt";
        let mut builder = http::Request::post(path)
            .header("host", "keys.acme.example")
            .header("content-type", "application/json");
        for (name, value) in sign(&credential(), region, ("keys.acme.example", path), body, now) {
            builder = builder.header(name, value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_is_signed_verifies_and_nothing_else() {
        let now = Timestamp::from_secs(1_767_323_045);
        let known = credential();
        let find = |id: &str| (id == known.id).then_some(&known);
        let good = request(b"{}", now, "cn-hangzhou");
        assert_eq!(verify(&good, b"{}", find, now).unwrap().id, known.id);
        assert_eq!(verify(&good, b"{ }", find, now).unwrap_err(), "the signature does not match");
        assert!(verify(&good, b"{}", |_| None, now).is_err());
        assert!(verify(&good, b"{}", find, now.plus_ms(301_000)).unwrap_err().contains("five minutes"));
        let change = |name: &'static str, value: &str| {
            let mut other = request(b"{}", now, "cn-hangzhou");
            other.headers.insert(name, value.parse().unwrap());
            verify(&other, b"{}", find, now).unwrap_err()
        };
        assert_eq!(change("host", "elsewhere"), "the signature does not match");
        let text = good.headers["authorization"].to_str().unwrap();
        for (from, to) in [
            ("content-type;host;x-amz-date", "host"),
            ("content-type;host;x-amz-date", "host;host;x-amz-date"),
            ("content-type;host;x-amz-date", "content-type;Host;x-amz-date"),
            ("kms-xks-proxy", "s3"),
            ("cn-hangzhou", "cn-shanghai"),
            ("Signature=", "Signature=0"),
            ("Signature=", "Other="),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        ] {
            change("authorization", &text.replacen(from, to, 1));
        }
        let mut query = request(b"{}", now, "cn-hangzhou");
        query.uri = "/acme/kms/xks/v1/keys/k1/encrypt?x=1".parse().unwrap();
        assert_eq!(verify(&query, b"{}", find, now).unwrap_err(), "the address has a query");
    }

    proptest::proptest! {
        #[test]
        fn any_authorization_is_read_without_a_panic(value in "(AWS4-HMAC-SHA256)?[ -~]{0,120}", date in "[0-9TZ]{0,20}", list in "[a-z;-]{0,40}") {
            let now = Timestamp::from_secs(1_767_323_045);
            let known = credential();
            let mut parts = request(b"{}", now, "r");
            let fields = format!("AWS4-HMAC-SHA256 Credential=a/20260102/r/kms-xks-proxy/aws4_request, SignedHeaders={list}, Signature={}", "0".repeat(64));
            for text in [value, fields] {
                parts.headers.insert("authorization", text.parse().unwrap());
                parts.headers.insert("x-amz-date", date.parse().unwrap());
                let read = verify(&parts, b"{}", |_| Some(&known), now);
                proptest::prop_assert!(read.is_err());
            }
        }
    }

    /// The example of the specification, Appendix C.
    #[test]
    fn the_digest_is_the_specifications() {
        let bytes = |text: &str| STANDARD.decode(text).unwrap();
        let answer = EncryptAnswer {
            ciphertext: bytes("ghxkK1txeDNn3q8Y"),
            ciphertext_metadata: bytes("a2V5X3ZlcnNpb249MQ=="),
            initialization_vector: bytes("HMrlRw85cAJUd5Ax"),
            authentication_tag: bytes("vBxN2ncH1oEkR8WVXpmyYQ=="),
            ciphertext_data_integrity_value: Vec::new(),
        };
        let aad = bytes("cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n");
        assert_eq!(STANDARD.encode(answer.digest(&aad)), "qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc=");
    }

    #[test]
    fn errors_have_one_name_each() {
        for (error, _, name) in XksError::ALL {
            assert_eq!((XksError::parse(name), error.name()), (Some(error), name));
        }
        assert_eq!(XksError::AccessDenied.status(), 403);
    }
}
