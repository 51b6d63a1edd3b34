//! Answers about what lies in a bucket and how much may (OSS).

use super::Reply;
use crate::object::xml::Xml;

/// The answer to GetBucketStat: bytes, versions, uploads under way.
pub fn stat(bytes: u64, objects: u64, uploads: u64) -> Reply {
    let mut xml = Xml::document();
    xml.open("BucketStat");
    for (name, value) in [
        ("Storage", bytes),
        ("ObjectCount", objects),
        ("MultipartUploadCount", uploads),
        ("LiveChannelCount", 0),
        ("StandardStorage", bytes),
        ("StandardObjectCount", objects),
    ] {
        xml.plain(name, value);
    }
    xml.close("BucketStat");
    Reply::xml(xml)
}

/// The answer to GetBucketStorageQuota.
pub fn quota(bytes_max: u64, used: u64) -> Reply {
    let mut xml = Xml::document();
    xml.open("QuotaConfiguration");
    xml.plain("StorageQuota", bytes_max);
    xml.text("Mode", "Strict");
    xml.plain("CurrentUsage", used);
    xml.close("QuotaConfiguration");
    Reply::xml(xml)
}

/// The same in the older form, in whole GB; -1 for none.
pub fn storage_capacity(bytes_max: Option<u64>) -> Reply {
    let mut xml = Xml::document();
    xml.open("BucketUserQos");
    xml.plain("StorageCapacity", bytes_max.map_or(-1, |b| i64::try_from(b >> 30).unwrap_or(i64::MAX)));
    xml.close("BucketUserQos");
    Reply::xml(xml)
}
