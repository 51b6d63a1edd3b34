//! Answers about who may use a bucket or an object: its account, and nobody else.

use super::Reply;
use super::lists::{Owner, write_owner};
use crate::object::dialect::Dialect;
use crate::object::xml::Xml;

/// The answer to GetBucketAcl and GetObjectAcl.
pub fn acl(dialect: Dialect, owner: Owner<'_>) -> Reply {
    let mut xml = Xml::document();
    xml.open("AccessControlPolicy");
    write_owner(&mut xml, owner);
    xml.open("AccessControlList");
    match dialect {
        Dialect::Oss => xml.text("Grant", "private"),
        Dialect::S3 => {
            xml.open("Grant");
            xml.grantee(owner.id, owner.display_name);
            xml.text("Permission", "FULL_CONTROL");
            xml.close("Grant");
        }
    }
    xml.close("AccessControlList");
    xml.close("AccessControlPolicy");
    Reply::xml(xml)
}

/// The answer to GetPublicAccessBlock.
pub fn public_access_block(dialect: Dialect) -> Reply {
    let mut xml = Xml::document();
    xml.open("PublicAccessBlockConfiguration");
    let names: &[&str] = match dialect {
        Dialect::Oss => &["BlockPublicAccess"],
        Dialect::S3 => &["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"],
    };
    for name in names {
        xml.plain(name, true);
    }
    xml.close("PublicAccessBlockConfiguration");
    Reply::xml(xml)
}
