//! Answers about who may use a bucket or an object, and which pages may.

use super::Reply;
use super::lists::{Owner, write_owner};
use crate::object::dialect::Dialect;
use crate::object::request::{CorsRule, ReplicationSpec};
use crate::object::xml::Xml;

/// The answer to GetBucketAcl and GetObjectAcl: a canned ACL by its name (`default` is an object's in OSS).
pub fn acl(dialect: Dialect, owner: Owner<'_>, word: &str) -> Reply {
    let mut xml = Xml::document();
    xml.open("AccessControlPolicy");
    write_owner(&mut xml, owner);
    xml.open("AccessControlList");
    match dialect {
        Dialect::Oss => xml.text("Grant", word),
        Dialect::S3 => {
            xml.open("Grant");
            xml.grantee(owner.id, owner.display_name);
            xml.text("Permission", "FULL_CONTROL");
            xml.close("Grant");
            let everybody: &[&str] = match word {
                "public-read" => &["READ"],
                "public-read-write" => &["READ", "WRITE"],
                _ => &[],
            };
            for permission in everybody {
                xml.open("Grant");
                xml.everybody();
                xml.text("Permission", permission);
                xml.close("Grant");
            }
        }
    }
    xml.close("AccessControlList");
    xml.close("AccessControlPolicy");
    Reply::xml(xml)
}

/// The answer to GetPublicAccessBlock.
pub fn public_access_block(dialect: Dialect, acls: bool, policies: bool) -> Reply {
    let mut xml = Xml::document();
    xml.open("PublicAccessBlockConfiguration");
    match dialect {
        Dialect::Oss => xml.plain("BlockPublicAccess", acls && policies),
        Dialect::S3 => {
            xml.plain("BlockPublicAcls", acls);
            xml.plain("IgnorePublicAcls", acls);
            xml.plain("BlockPublicPolicy", policies);
            xml.plain("RestrictPublicBuckets", policies);
        }
    }
    xml.close("PublicAccessBlockConfiguration");
    Reply::xml(xml)
}

/// The answer to GetBucketPolicyStatus.
pub fn policy_status(is_public: bool) -> Reply {
    let mut xml = Xml::document();
    xml.open("PolicyStatus");
    xml.plain("IsPublic", is_public);
    xml.close("PolicyStatus");
    Reply::xml(xml)
}

/// The answer to GetBucketPolicy: the document as it was written.
pub fn policy(document: &str) -> Reply {
    let mut reply = Reply::empty(200);
    reply.push("Content-Type", "application/json");
    reply.body = document.as_bytes().to_vec();
    reply
}

/// The answer to GetBucketLogging: target and prefix.
pub fn logging(to: Option<(&str, &str)>) -> Reply {
    let mut xml = Xml::document();
    xml.open("BucketLoggingStatus");
    if let Some((target, prefix)) = to {
        xml.open("LoggingEnabled");
        xml.text("TargetBucket", target);
        xml.text("TargetPrefix", prefix);
        xml.close("LoggingEnabled");
    }
    xml.close("BucketLoggingStatus");
    Reply::xml(xml)
}

/// The answer to GetBucketReplication.
pub fn replication(rules: &[ReplicationSpec]) -> Reply {
    let mut xml = Xml::document();
    xml.open("ReplicationConfiguration");
    // S3 asks for a role and S3's clients for its echo: here the rule itself is the leave.
    xml.text("Role", "");
    for rule in rules {
        xml.open("Rule");
        xml.text("ID", &rule.id);
        xml.open("Filter");
        xml.text("Prefix", &rule.prefix);
        xml.close("Filter");
        xml.text("Status", if rule.on { "Enabled" } else { "Disabled" });
        xml.open("DeleteMarkerReplication");
        xml.text("Status", "Disabled");
        xml.close("DeleteMarkerReplication");
        xml.open("Destination");
        xml.text("Bucket", &format!("arn:aws:s3:::{}", rule.to));
        xml.close("Destination");
        xml.close("Rule");
    }
    xml.close("ReplicationConfiguration");
    Reply::xml(xml)
}

/// The answer to GetBucketCors.
pub fn cors(dialect: Dialect, rules: &[CorsRule]) -> Reply {
    let mut xml = Xml::document();
    xml.open("CORSConfiguration");
    for rule in rules {
        xml.open("CORSRule");
        if let Some(id) = rule.id.as_deref().filter(|_| dialect == Dialect::S3) {
            xml.text("ID", id);
        }
        for (name, list) in [
            ("AllowedOrigin", &rule.origins),
            ("AllowedMethod", &rule.methods),
            ("AllowedHeader", &rule.headers),
            ("ExposeHeader", &rule.exposed),
        ] {
            for text in list {
                xml.text(name, text);
            }
        }
        if let Some(seconds) = rule.max_age {
            xml.plain("MaxAgeSeconds", seconds);
        }
        xml.close("CORSRule");
    }
    xml.close("CORSConfiguration");
    Reply::xml(xml)
}
