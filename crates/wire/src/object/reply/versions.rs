//! Answers about versions.

use bailee_types::Timestamp;

use super::lists::{ObjectKind, Owner, key_text, whole_second, write_owner};
use super::{Reply, etag};
use crate::object::dialect::Dialect;
use crate::object::request::{ListVersions, StorageClass};
use crate::object::xml::Xml;

/// One version or delete marker in a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedVersion<'a> {
    /// Its storage class.
    pub storage_class: StorageClass,
    /// The key.
    pub key: &'a str,
    /// The version's id.
    pub id: &'a str,
    /// Whether it is the newest of its key.
    pub latest: bool,
    /// When it was written.
    pub modified_at: Timestamp,
    /// MD5 (hex) and size of the content, and its kind; none for a delete marker.
    pub content: Option<(&'a str, u64, ObjectKind)>,
}

/// A page of versions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VersionsPage<'a> {
    /// By key, the newest first.
    pub versions: Vec<ListedVersion<'a>>,
    /// Keys grouped by the delimiter.
    pub common_prefixes: Vec<&'a str>,
    /// Key and version after which the next page begins.
    pub next: Option<(&'a str, &'a str)>,
}

/// The answer to GetBucketVersioning: `Enabled`, `Suspended`, or none when the bucket never kept versions.
pub fn versioning(status: Option<&str>) -> Reply {
    let mut xml = Xml::document();
    xml.open("VersioningConfiguration");
    if let Some(status) = status {
        xml.text("Status", status);
    }
    xml.close("VersioningConfiguration");
    Reply::xml(xml)
}

/// The answer to ListObjectVersions. Versions and delete markers stand in one order.
pub fn versions(
    dialect: Dialect,
    request: &ListVersions,
    owner: Owner<'_>,
    page: &VersionsPage<'_>,
) -> Reply {
    let url = request.encoding_url;
    let root = "ListVersionsResult";
    let mut xml = Xml::document();
    xml.open(root);
    xml.text("Name", request.bucket.as_str());
    key_text(&mut xml, url, "Prefix", &request.prefix);
    key_text(&mut xml, url, "KeyMarker", &request.key_marker);
    xml.text("VersionIdMarker", request.version_marker.as_deref().unwrap_or_default());
    xml.plain("MaxKeys", request.max_keys);
    key_text(&mut xml, url, "Delimiter", request.delimiter.as_deref().unwrap_or_default());
    if url {
        xml.text("EncodingType", "url");
    }
    xml.plain("IsTruncated", page.next.is_some());
    if let Some((key, version)) = page.next {
        key_text(&mut xml, url, "NextKeyMarker", key);
        xml.text("NextVersionIdMarker", version);
    }
    for version in &page.versions {
        let element = if version.content.is_some() { "Version" } else { "DeleteMarker" };
        xml.open(element);
        key_text(&mut xml, url, "Key", version.key);
        xml.text("VersionId", version.id);
        xml.plain("IsLatest", version.latest);
        xml.text("LastModified", &whole_second(version.modified_at));
        if let Some((md5, size, kind)) = version.content {
            xml.text("ETag", &etag(dialect, md5));
            if dialect == Dialect::Oss {
                xml.text("Type", kind.word());
            }
            xml.plain("Size", size);
            xml.text("StorageClass", version.storage_class.name(dialect));
        }
        write_owner(&mut xml, owner);
        xml.close(element);
    }
    for prefix in &page.common_prefixes {
        xml.open("CommonPrefixes");
        key_text(&mut xml, url, "Prefix", prefix);
        xml.close("CommonPrefixes");
    }
    xml.close(root);
    Reply::xml(xml)
}

impl Reply {
    /// Adds which version the answer is about, and whether that is a delete marker.
    #[must_use]
    pub fn of_version(mut self, dialect: Dialect, version: Option<&str>, marker: bool) -> Self {
        let prefix = dialect.words().prefix;
        if let Some(version) = version {
            self.push(format!("{prefix}version-id"), version);
        }
        if marker {
            self.push(format!("{prefix}delete-marker"), "true");
        }
        self
    }

    /// Adds which version was copied.
    #[must_use]
    pub fn of_source(mut self, dialect: Dialect, version: Option<&str>) -> Self {
        if let Some(version) = version {
            self.push(format!("{}copy-source-version-id", dialect.words().prefix), version);
        }
        self
    }
}
