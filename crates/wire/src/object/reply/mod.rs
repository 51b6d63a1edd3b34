//! Answers of object storage, rendered per dialect.
//!
//! Promises: XML without a namespace, times with milliseconds, every element that oss2 insists on (contract §7).
//! Refuses: nothing; the values come from the server and are escaped.
//! INVARIANT: a header value never holds a control character, whatever was stored: such a header is left out.

mod access;
mod encryption;
mod lifecycle;
mod lists;
mod objects;
mod quota;
mod retain;
mod uploads;
mod versions;

use std::borrow::Cow;

pub use access::{acl, cors, logging, policy, policy_status, public_access_block, replication};
pub use encryption::encryption;
pub use lifecycle::lifecycle;
pub use lists::{
    BucketRow, Deleted, Gone, ListedObject, ObjectKind, Owner, Page, bucket_info, buckets, deleted_objects,
    location, objects_v1, objects_v2,
};
pub use objects::{ObjectFacts, ObjectPart, Sum, attributes, not_modified, object, object_meta, put_object};

pub use quota::{quota, stat, storage_capacity};
pub use retain::{WormFacts, legal_hold, lock_settings, retention, worm};
pub use uploads::{
    ListedPart, ListedUpload, UploadsPage, completed, copied, created_upload, parts, uploaded_part, uploads,
};

pub use versions::{ListedVersion, VersionsPage, versioning, versions};

use super::dialect::Dialect;
use super::xml::Xml;

/// A complete answer, except that the body of an object is streamed by the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Header names and values, in order.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body; empty for HEAD and for object content.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer without body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::with_capacity(12), body: Vec::new() }
    }

    /// The answer to DeleteObject and DeleteBucket.
    pub fn no_content() -> Self {
        Self::empty(204)
    }

    /// The answer to CreateBucket.
    pub fn created_bucket(bucket: &bailee_types::BucketName) -> Self {
        let mut reply = Self::empty(200);
        reply.push("Location", format!("/{bucket}"));
        reply
    }

    /// The answer to HeadBucket.
    pub fn bucket_head(dialect: Dialect, region: &str) -> Self {
        let mut reply = Self::empty(200);
        match dialect {
            Dialect::Oss => reply.push("x-oss-bucket-region", region),
            Dialect::S3 => reply.push("x-amz-bucket-region", region),
        }
        reply
    }

    /// The answer to GetObjectTagging and GetBucketTagging.
    pub fn tagging<'t>(tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let mut xml = Xml::document();
        xml.open("Tagging");
        xml.open("TagSet");
        for (key, value) in tags {
            xml.open("Tag");
            xml.text("Key", key);
            xml.text("Value", value);
            xml.close("Tag");
        }
        xml.close("TagSet");
        xml.close("Tagging");
        Self::xml(xml)
    }

    /// The answer to AppendObject.
    pub fn appended(end: u64, md5_hex: &str, crc64ecma: u64) -> Self {
        let mut reply = Self::empty(200);
        reply.push("ETag", etag(Dialect::Oss, md5_hex));
        reply.push("x-oss-next-append-position", end.to_string());
        reply.push("x-oss-hash-crc64ecma", crc64ecma.to_string());
        reply
    }

    /// The answer to GetSymlink.
    pub fn symlink(target: &str, md5_hex: &str) -> Self {
        let mut reply = Self::empty(200);
        reply.push("ETag", etag(Dialect::Oss, md5_hex));
        reply.push("x-oss-symlink-target", super::encode::url_text(target));
        reply
    }

    /// Plain text.
    pub fn text(text: String) -> Self {
        let mut reply = Self::empty(200);
        reply.push("Content-Type", "text/plain; charset=utf-8");
        reply.body = text.into_bytes();
        reply
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.push(name, value);
        self
    }

    /// Adds how many tags an object has, if it has any.
    #[must_use]
    pub fn with_tags(mut self, dialect: Dialect, count: usize) -> Self {
        if count > 0 {
            self.push(format!("{}tagging-count", dialect.words().prefix), count.to_string());
        }
        self
    }

    /// A header's value, name compared without case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Adds a header, unless its value holds a control character.
    pub fn push(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let value = value.into();
        if !value.bytes().any(|b| b < 0x20 || b == 0x7f) {
            self.headers.push((name.into(), value));
        }
    }

    /// Adds the request id (and for S3 the host id), which every answer carries.
    #[must_use]
    pub fn stamped(mut self, dialect: Dialect, request_id: &str, host_id: &str) -> Self {
        self.push(dialect.words().request_id, request_id);
        if dialect == Dialect::S3 {
            self.push("x-amz-id-2", host_id);
        }
        self
    }

    fn xml(xml: Xml) -> Self {
        let mut reply = Self::empty(200);
        reply.push("Content-Type", "application/xml");
        reply.body = xml.into_bytes();
        reply
    }
}

/// An ETag in quotes: upper case in OSS, lower case in S3 (contract §7).
fn etag(dialect: Dialect, md5_hex: &str) -> String {
    let mut out = String::with_capacity(md5_hex.len() + 2);
    out.push('"');
    out.push_str(md5_hex);
    out.push('"');
    match dialect {
        Dialect::Oss => out.make_ascii_uppercase(),
        Dialect::S3 => out.make_ascii_lowercase(),
    }
    out
}
