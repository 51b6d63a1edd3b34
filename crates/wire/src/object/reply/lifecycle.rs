//! The answer about lifecycle rules.

use bailee_types::Timestamp;

use super::Reply;
use crate::object::dialect::Dialect;
use crate::object::request::LifecycleRule;
use crate::object::xml::Xml;

/// The answer to GetBucketLifecycle.
pub fn lifecycle(dialect: Dialect, rules: &[LifecycleRule]) -> Reply {
    let mut xml = Xml::document();
    xml.open("LifecycleConfiguration");
    for rule in rules {
        xml.open("Rule");
        xml.text("ID", &rule.id);
        filter(&mut xml, dialect, rule);
        xml.text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
        if rule.days.is_some() || rule.date.is_some() || rule.created_before.is_some() || rule.expired_markers
        {
            xml.open("Expiration");
            if let Some(days) = rule.days {
                xml.plain("Days", days);
            }
            if let Some(at) = rule.date {
                xml.text("Date", &iso(at));
            }
            if let Some(at) = rule.created_before {
                xml.text("CreatedBeforeDate", &iso(at));
            }
            if rule.expired_markers {
                xml.plain("ExpiredObjectDeleteMarker", true);
            }
            xml.close("Expiration");
        }
        if let Some(days) = rule.noncurrent_days {
            xml.open("NoncurrentVersionExpiration");
            xml.plain("NoncurrentDays", days);
            if let Some(kept) = rule.noncurrent_kept {
                xml.plain("NewerNoncurrentVersions", kept);
            }
            xml.close("NoncurrentVersionExpiration");
        }
        for t in &rule.transitions {
            xml.open("Transition");
            if let Some(days) = t.days {
                xml.plain("Days", days);
            }
            if let Some(at) = t.date {
                xml.text("Date", &iso(at));
            }
            if let Some(at) = t.created_before {
                xml.text("CreatedBeforeDate", &iso(at));
            }
            xml.text("StorageClass", t.to.name(dialect));
            xml.close("Transition");
        }
        for (days, to) in &rule.noncurrent_transitions {
            xml.open("NoncurrentVersionTransition");
            xml.plain("NoncurrentDays", days);
            xml.text("StorageClass", to.name(dialect));
            xml.close("NoncurrentVersionTransition");
        }
        if let Some(days) = rule.abort_days {
            let (outer, inner) = match dialect {
                Dialect::Oss => ("AbortMultipartUpload", "Days"),
                Dialect::S3 => ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
            };
            xml.open(outer);
            xml.plain(inner, days);
            xml.close(outer);
        }
        xml.close("Rule");
    }
    xml.close("LifecycleConfiguration");
    Reply::xml(xml)
}

fn filter(xml: &mut Xml, dialect: Dialect, rule: &LifecycleRule) {
    let members = |xml: &mut Xml| {
        for (key, value) in &rule.tags {
            xml.open("Tag");
            xml.text("Key", key);
            xml.text("Value", value);
            xml.close("Tag");
        }
        for (name, bytes) in
            [("ObjectSizeGreaterThan", rule.larger_than), ("ObjectSizeLessThan", rule.smaller_than)]
        {
            if let Some(bytes) = bytes {
                xml.plain(name, bytes);
            }
        }
    };
    let sized = rule.larger_than.is_some() || rule.smaller_than.is_some();
    match dialect {
        Dialect::Oss => {
            xml.text("Prefix", &rule.prefix);
            if sized {
                xml.open("Filter");
                members(xml);
                xml.close("Filter");
            } else {
                members(xml);
            }
        }
        Dialect::S3 => {
            xml.open("Filter");
            if rule.tags.is_empty() && !sized {
                xml.text("Prefix", &rule.prefix);
            } else {
                xml.open("And");
                xml.text("Prefix", &rule.prefix);
                members(xml);
                xml.close("And");
            }
            xml.close("Filter");
        }
    }
}

fn iso(at: Timestamp) -> String {
    at.iso_ms()
}
