//! Errors of object storage: one code, two spellings.
//!
//! Promises: every refusal has a [`Code`]; its HTTP status, its name in each dialect and its OSS `EC` number stand
//! in one table row. Renders XML, or for HEAD no body and (OSS) the XML in `x-oss-err` (contract §4).
//! Refuses: nothing; user text is escaped and cut before it is shown.
//! INVARIANT: `Debug` and `Display` show code and message only. Side elements may echo a string-to-sign, which is
//! for the caller who sent it, never for a log.

use std::borrow::Cow;

use bailee_types::{BucketName, ObjectKey};
use base64::Engine as _;

use super::dialect::Dialect;
use super::reply::Reply;
use super::xml::Xml;

struct Row {
    s3: (&'static str, u16),
    oss: (&'static str, u16),
    /// OSS `EC`. Group `0100` is ours; the others are the real service's published numbers.
    ec: &'static str,
    text: &'static str,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident: $s3:literal $s3_status:literal, $oss:literal $oss_status:literal, $ec:literal, $text:literal;)*) => {
        /// Why a request was refused, independent of dialect.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code {
            $($(#[$doc])* #[doc = concat!("S3 `", $s3, "` ", $s3_status, ", OSS `", $oss, "` ", $oss_status, ".")] $name,)*
        }

        impl Code {
            /// Every code, for tables and tests.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            fn row(self) -> Row {
                match self {
                    $(Self::$name => Row { s3: ($s3, $s3_status), oss: ($oss, $oss_status), ec: $ec, text: $text },)*
                }
            }
        }
    };
}

codes! {
    AccessDenied: "AccessDenied" 403, "AccessDenied" 403, "0003-00000001", "You have no right to access this resource.";
    /// A legal order keeps it from the public.
    UnavailableForLegalReasons: "UnavailableForLegalReasons" 451, "UnavailableForLegalReasons" 451, "0003-00000451", "This is not available to the public here for legal reasons.";
    InvalidAccessKeyId: "InvalidAccessKeyId" 403, "InvalidAccessKeyId" 403, "0002-00000902", "The access key id you provided does not exist in our records.";
    SignatureDoesNotMatch: "SignatureDoesNotMatch" 403, "SignatureDoesNotMatch" 403, "0002-00000040", "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    RequestTimeTooSkewed: "RequestTimeTooSkewed" 403, "RequestTimeTooSkewed" 403, "0002-00000504", "The difference between the request time and the current time is too large.";
    InvalidToken: "InvalidToken" 400, "InvalidSecurityToken" 403, "0100-00000001", "The security token you provided is invalid.";
    ExpiredToken: "ExpiredToken" 400, "SecurityTokenExpired" 403, "0100-00000002", "The security token you provided has expired.";
    AuthHeaderMalformed: "AuthorizationHeaderMalformed" 400, "InvalidArgument" 400, "0100-00000003", "The authorization header is malformed.";
    AuthQueryMalformed: "AuthorizationQueryParametersError" 400, "InvalidArgument" 400, "0100-00000004", "The signature parameters in the query are malformed.";
    InvalidRequest: "InvalidRequest" 400, "InvalidRequest" 400, "0100-00000005", "The request is invalid.";
    InvalidArgument: "InvalidArgument" 400, "InvalidArgument" 400, "0100-00000006", "An argument is invalid.";
    InvalidUri: "InvalidURI" 400, "InvalidURI" 400, "0100-00000007", "The address of the request could not be parsed.";
    UriTooLong: "URITooLong" 414, "URITooLong" 414, "0100-00000008", "The address of the request is too long.";
    HeadersTooLarge: "RequestHeaderSectionTooLarge" 400, "RequestHeaderSectionTooLarge" 400, "0100-00000009", "The headers of the request are too large.";
    InvalidBucketName: "InvalidBucketName" 400, "InvalidBucketName" 400, "0015-00000001", "The specified bucket is not valid.";
    InvalidObjectName: "InvalidURI" 400, "InvalidObjectName" 400, "0100-00000010", "The specified object key is not valid.";
    KeyTooLong: "KeyTooLongError" 400, "InvalidObjectName" 400, "0100-00000011", "The object key is longer than 1023 bytes.";
    NoSuchBucket: "NoSuchBucket" 404, "NoSuchBucket" 404, "0015-00000101", "The specified bucket does not exist.";
    NoSuchKey: "NoSuchKey" 404, "NoSuchKey" 404, "0026-00000001", "The specified key does not exist.";
    NoSuchUpload: "NoSuchUpload" 404, "NoSuchUpload" 404, "0042-00000002", "The specified upload does not exist. Its id may be wrong, or it may have been completed or aborted.";
    NoSuchVersion: "NoSuchVersion" 404, "NoSuchVersion" 404, "0026-00000002", "The specified version of the object does not exist.";
    NoSuchLifecycle: "NoSuchLifecycleConfiguration" 404, "NoSuchLifecycle" 404, "0100-00000041", "The bucket has no lifecycle rules.";
    NoSuchTagSet: "NoSuchTagSet" 404, "NoSuchTagSet" 404, "0100-00000039", "The bucket has no tags.";
    InvalidTag: "InvalidTag" 400, "InvalidTag" 400, "0100-00000040", "A tag is not valid.";
    InvalidPart: "InvalidPart" 400, "InvalidPart" 400, "0100-00000036", "One or more of the specified parts could not be found, or an ETag did not match.";
    InvalidPartOrder: "InvalidPartOrder" 400, "InvalidPartOrder" 400, "0100-00000037", "The list of parts was not in ascending order.";
    EntityTooSmall: "EntityTooSmall" 400, "EntityTooSmall" 400, "0100-00000038", "A part is smaller than the least size that all but the last part need.";
    BucketNotEmpty: "BucketNotEmpty" 409, "BucketNotEmpty" 409, "0015-00000301", "The bucket you tried to delete is not empty.";
    BucketAlreadyExists: "BucketAlreadyExists" 409, "BucketAlreadyExists" 409, "0015-00000104", "The requested bucket name is not available. Choose another name.";
    /// The caller's own tenant has this bucket already.
    BucketAlreadyOwned: "BucketAlreadyOwnedByYou" 409, "BucketAlreadyExists" 409, "0100-00000012", "Your previous request to create the bucket succeeded and you own it.";
    TooManyBuckets: "TooManyBuckets" 400, "TooManyBuckets" 400, "0100-00000013", "You have as many buckets as you may have.";
    /// `If-None-Match: *` or `x-oss-forbid-overwrite` met an existing object.
    ObjectExists: "PreconditionFailed" 412, "FileAlreadyExists" 409, "0100-00000014", "The object exists and the request forbids overwriting it.";
    /// The object is under retention (WORM).
    ObjectImmutable: "AccessDenied" 403, "FileImmutable" 409, "0100-00000015", "The object is under retention and cannot be changed or deleted yet.";
    /// An append is not at the object's end.
    PositionNotEqual: "InvalidRequest" 409, "PositionNotEqualToLength" 409, "0026-00000016", "Position is not equal to file length.";
    /// An append to an object that was not made by one.
    NotAppendable: "InvalidRequest" 409, "ObjectNotAppendable" 409, "0026-00000021", "The object is not appendable.";
    /// What a symbolic link means is not there.
    NoSymlinkTarget: "NoSuchKey" 404, "SymlinkTargetNotExist" 404, "0100-00000052", "The target of the symbolic link does not exist.";
    /// A symbolic link means another one.
    SymlinkToSymlink: "InvalidRequest" 400, "InvalidTargetType" 400, "0100-00000053", "The target of the symbolic link is a symbolic link.";
    /// A bucket or an account holds what it may.
    QuotaExceeded: "QuotaExceeded" 403, "QuotaExceeded" 403, "0100-00000050", "What may be stored is stored.";
    /// An object is archived, or is not.
    ObjectState: "InvalidObjectState" 403, "InvalidObjectState" 403, "0100-00000058", "The operation is not valid for the object's storage class.";
    /// A request has a body and a header in its place.
    UnexpectedContent: "UnexpectedContent" 400, "InvalidRequest" 400, "0100-00000060", "This request does not support content.";
    /// A bucket has no policy.
    NoBucketPolicy: "NoSuchBucketPolicy" 404, "NoSuchBucketPolicy" 404, "0100-00000054", "The bucket policy does not exist.";
    /// A policy is not understood.
    MalformedPolicy: "MalformedPolicy" 400, "InvalidPolicyDocument" 400, "0100-00000055", "The policy is not understood.";
    /// A bucket lets no pages of other origins call it.
    NoCors: "NoSuchCORSConfiguration" 404, "NoSuchCORSConfiguration" 404, "0100-00000056", "The CORS configuration does not exist.";
    /// No rule lets the page's origin do what it asks for.
    CorsForbidden: "AccessForbidden" 403, "AccessForbidden" 403, "0100-00000057", "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";
    /// Nothing of a bucket is replicated.
    NoReplication: "ReplicationConfigurationNotFoundError" 404, "NoSuchReplicationConfiguration" 404, "0100-00000059", "The replication configuration was not found.";
    /// A bucket has no quota.
    NoQuota: "NoSuchQuotaConfiguration" 404, "NoSuchQuotaConfiguration" 404, "0100-00000051", "The bucket has no storage quota.";
    /// A bucket says nothing of encryption.
    NoEncryptionRule: "ServerSideEncryptionConfigurationNotFoundError" 404, "NoSuchServerSideEncryptionRule" 404, "0100-00000047", "The bucket has no encryption rule.";
    /// There is no such key of KMS.
    NoSuchKmsKey: "KMS.NotFoundException" 400, "KMS.NotFoundException" 400, "0100-00000048", "The KMS key does not exist.";
    /// The state of a key of KMS does not allow its use.
    KmsKeyState: "KMS.KMSInvalidStateException" 400, "KMS.KMSInvalidStateException" 400, "0100-00000049", "The KMS key cannot be used in its present state.";
    /// A bucket's state forbids it.
    InvalidBucketState: "InvalidBucketState" 409, "InvalidBucketState" 409, "0100-00000042", "The bucket's state does not allow this.";
    /// There is no WORM, or another one.
    NoSuchWorm: "NoSuchWORMConfiguration" 404, "NoSuchWORMConfiguration" 404, "0100-00000043", "The bucket has no such WORM configuration.";
    /// There is a WORM already, or it can no longer be given up.
    WormLocked: "WORMConfigurationLocked" 409, "WORMConfigurationLocked" 409, "0100-00000044", "The bucket has a WORM configuration already, or it is locked.";
    /// Retention of versions is not on.
    NoLockRules: "ObjectLockConfigurationNotFoundError" 404, "NoSuchObjectWormConfiguration" 404, "0100-00000045", "The bucket does not retain single versions.";
    /// A version has no retention, or no legal hold.
    NoLock: "NoSuchObjectLockConfiguration" 404, "NoSuchObjectWormConfiguration" 404, "0100-00000046", "The object has no retention of this kind.";
    PreconditionFailed: "PreconditionFailed" 412, "PreconditionFailed" 412, "0100-00000016", "At least one of the preconditions you specified did not hold.";
    NotModified: "NotModified" 304, "NotModified" 304, "0100-00000017", "Not modified.";
    InvalidRange: "InvalidRange" 416, "InvalidRange" 416, "0100-00000018", "The requested range cannot be satisfied.";
    MalformedXml: "MalformedXML" 400, "MalformedXML" 400, "0100-00000019", "The XML you provided was not well-formed or did not follow our schema.";
    BadDigest: "BadDigest" 400, "InvalidDigest" 400, "0100-00000020", "The checksum you specified did not match what we received.";
    InvalidDigest: "InvalidDigest" 400, "InvalidDigest" 400, "0100-00000021", "The checksum you specified is not valid.";
    Sha256Mismatch: "XAmzContentSHA256Mismatch" 400, "InvalidDigest" 400, "0100-00000022", "The provided payload hash does not match what was computed.";
    IncompleteBody: "IncompleteBody" 400, "IncompleteBody" 400, "0100-00000023", "You did not provide the number of bytes that the request announced.";
    MissingContentLength: "MissingContentLength" 411, "MissingContentLength" 411, "0100-00000024", "You must provide the Content-Length HTTP header.";
    EntityTooLarge: "EntityTooLarge" 400, "EntityTooLarge" 400, "0100-00000025", "Your proposed upload exceeds the maximum allowed size.";
    MetadataTooLarge: "MetadataTooLarge" 400, "MetadataTooLarge" 400, "0100-00000026", "Your user metadata exceeds the maximum allowed size.";
    InvalidStorageClass: "InvalidStorageClass" 400, "InvalidArgument" 400, "0100-00000027", "The storage class you specified is not valid.";
    InvalidLocation: "InvalidLocationConstraint" 400, "InvalidLocationConstraint" 400, "0100-00000028", "The specified location is not served here.";
    InvalidEncryption: "InvalidArgument" 400, "InvalidEncryptionAlgorithmError" 400, "0100-00000029", "The encryption you specified is not valid.";
    MethodNotAllowed: "MethodNotAllowed" 405, "MethodNotAllowed" 405, "0100-00000030", "The method is not allowed against this resource.";
    OperationAborted: "OperationAborted" 409, "OperationAborted" 409, "0100-00000031", "A conflicting operation is in progress against this resource. Try again.";
    NotImplemented: "NotImplemented" 501, "NotImplemented" 501, "0100-00000032", "The operation is not offered here.";
    SlowDown: "SlowDown" 503, "SlowDown" 503, "0100-00000033", "Reduce your request rate.";
    ServiceUnavailable: "ServiceUnavailable" 503, "ServiceUnavailable" 503, "0100-00000034", "The service is not available at the moment. Try again.";
    InternalError: "InternalError" 500, "InternalError" 500, "0100-00000035", "We encountered an internal error. Try again.";
}

impl Code {
    /// The wire name in `dialect`.
    pub fn name(self, dialect: Dialect) -> &'static str {
        self.word(dialect).0
    }

    /// The HTTP status in `dialect`.
    pub fn status(self, dialect: Dialect) -> u16 {
        self.word(dialect).1
    }

    fn word(self, dialect: Dialect) -> (&'static str, u16) {
        match dialect {
            Dialect::Oss => self.row().oss,
            Dialect::S3 => self.row().s3,
        }
    }
}

/// A refusal with its text and side data, not yet in a dialect.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ObjectError {
    code: Code,
    message: Cow<'static, str>,
    extra: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    /// Headers whose names begin with the dialect's prefix.
    own: Vec<(&'static str, String)>,
}

impl ObjectError {
    /// A refusal with the table's text.
    pub fn new(code: Code) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.row().text),
            extra: Vec::new(),
            headers: Vec::new(),
            own: Vec::new(),
        }
    }

    /// A refusal with its own text. The text goes to the caller: no secrets, no internals.
    pub fn because(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { message: message.into(), ..Self::new(code) }
    }

    /// The bucket does not exist, or the caller may not know of it.
    pub fn no_such_bucket(bucket: &BucketName) -> Self {
        Self::new(Code::NoSuchBucket).with("BucketName", bucket.as_str())
    }

    /// The object does not exist, or the caller may not know of it.
    pub fn no_such_key(key: &ObjectKey) -> Self {
        Self::new(Code::NoSuchKey).with("Key", key.as_str())
    }

    /// A range that starts behind the end of an object of `size` bytes (RFC 9110 §15.5.17).
    pub fn invalid_range(size: u64) -> Self {
        Self::new(Code::InvalidRange)
            .with("ActualObjectSize", size.to_string())
            .with_header("Content-Range", format!("bytes */{size}"))
    }

    /// An operation that exists in the dialect but not here.
    pub fn not_offered(name: &str) -> Self {
        let name = super::encode::shown(name);
        Self::because(Code::NotImplemented, format!("The operation `{name}` is not offered here."))
    }

    /// Adds an XML element after `Message`.
    #[must_use]
    pub fn with(mut self, element: &'static str, text: impl Into<String>) -> Self {
        self.extra.push((element, text.into()));
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a response header whose name begins with `x-oss-` or `x-amz-`.
    #[must_use]
    pub fn with_own_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.own.push((name, value.into()));
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The text for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status in `dialect`.
    pub fn status(&self, dialect: Dialect) -> u16 {
        self.code.status(dialect)
    }

    /// The answer. `head` is true when the request method was HEAD: no body then, and OSS gets the XML in
    /// `x-oss-err`. A 304 never has a body.
    pub fn render(&self, dialect: Dialect, request_id: &str, host_id: &str, head: bool) -> Reply {
        let mut xml = Xml::document();
        xml.open("Error");
        xml.text("Code", self.code.name(dialect));
        xml.text("Message", &self.message);
        for (name, text) in &self.extra {
            xml.text(name, text);
        }
        xml.text("RequestId", request_id);
        xml.text("HostId", host_id);
        if dialect == Dialect::Oss {
            xml.text("EC", self.code.row().ec);
        }
        xml.close("Error");
        let mut reply = Reply::empty(self.status(dialect));
        for (name, value) in &self.headers {
            reply.push(*name, value.clone());
        }
        for (name, value) in &self.own {
            reply.push(format!("{}{name}", dialect.words().prefix), value.clone());
        }
        if dialect == Dialect::Oss {
            reply.push("x-oss-ec", self.code.row().ec);
        }
        if head && dialect == Dialect::Oss && self.code != Code::NotModified {
            reply.push("x-oss-err", base64::engine::general_purpose::STANDARD.encode(xml.bytes()));
        }
        if !head && self.code != Code::NotModified {
            reply.push("Content-Type", "application/xml");
            reply.body = xml.into_bytes();
        }
        reply.stamped(dialect, request_id, host_id)
    }
}

impl std::fmt::Debug for ObjectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectError").field("code", &self.code).field("message", &self.message).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_error_travels_in_a_header_for_oss_and_nowhere_for_s3() {
        let error = ObjectError::new(Code::NoSuchKey);
        let oss = error.render(Dialect::Oss, "R1", "h", true);
        assert!(oss.body.is_empty());
        let packed = oss.header("x-oss-err").unwrap();
        let xml = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
        assert_eq!(
            String::from_utf8(xml).unwrap(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key \
             does not exist.</Message><RequestId>R1</RequestId><HostId>h</HostId><EC>0026-00000001</EC></Error>"
        );
        assert_eq!(oss.header("x-oss-ec"), Some("0026-00000001"));
        let s3 = error.render(Dialect::S3, "R1", "h", true);
        assert!(s3.body.is_empty() && s3.header("x-oss-err").is_none());
        assert_eq!(s3.header("x-amz-request-id"), Some("R1"));
    }

    #[test]
    fn user_text_in_an_error_is_escaped() {
        let error = ObjectError::because(Code::InvalidArgument, "`<a>&`").with("ArgumentValue", "\u{1}\"'");
        let body = String::from_utf8(error.render(Dialect::S3, "R", "h", false).body).unwrap();
        assert!(body.contains("<Message>`&lt;a&gt;&amp;`</Message>"), "{body}");
        assert!(body.contains("<ArgumentValue>\u{fffd}&quot;&apos;</ArgumentValue>"), "{body}");
    }

    #[test]
    fn debug_shows_no_side_elements() {
        let error = ObjectError::new(Code::SignatureDoesNotMatch).with("StringToSign", "hush");
        assert!(!format!("{error:?} {error}").contains("hush"));
    }

    #[test]
    fn every_code_has_a_client_or_server_status_and_its_own_ec() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            for dialect in [Dialect::Oss, Dialect::S3] {
                assert!(matches!(code.status(dialect), 304 | 400..=599), "{code:?}");
                // Those of KMS have its name in front, as the real services'.
                assert!(code.name(dialect).bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'));
            }
            assert!(seen.insert(code.row().ec), "{code:?}");
        }
    }
}
