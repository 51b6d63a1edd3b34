//! Where a bucket's access log goes, in the words of both dialects.

use bailee_types::BucketName;

use super::argument;
use crate::object::error::ObjectError;
use crate::object::xml::{malformed, walk};

/// The body of a PutBucketLogging: target and prefix; none switches it off.
///
/// # Errors
/// `MalformedXML`, `InvalidArgument`; `NotImplemented` for grants on logs and other names of theirs.
pub fn logging_target(body: &[u8]) -> Result<Option<(BucketName, String)>, ObjectError> {
    let (mut target, mut prefix) = (None, String::new());
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["BucketLoggingStatus"] | ["BucketLoggingStatus", "LoggingEnabled"] => {}
            ["BucketLoggingStatus", "LoggingEnabled", "TargetBucket"] => {
                let name = BucketName::parse(text.trim());
                target = Some(name.map_err(|_| argument("TargetBucket", "it is no bucket's name"))?);
            }
            ["BucketLoggingStatus", "LoggingEnabled", "TargetPrefix"] => text.clone_into(&mut prefix),
            ["BucketLoggingStatus", "LoggingEnabled", "TargetObjectKeyFormat", "SimplePrefix"]
            | ["BucketLoggingStatus", "LoggingEnabled", "TargetObjectKeyFormat"] => {}
            [
                "BucketLoggingStatus",
                "LoggingEnabled",
                "TargetGrants" | "TargetObjectKeyFormat" | "LoggingRole",
                ..,
            ] => {
                return Err(ObjectError::not_offered(
                    "grants on logs, partitioned names and roles of logging",
                ));
            }
            _ => return Err(malformed("an element is not known")),
        }
        Ok(())
    })?;
    if target.is_none() && !prefix.is_empty() {
        return Err(malformed("a TargetPrefix needs a TargetBucket"));
    }
    Ok(target.map(|target| (target, prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::error::Code;

    #[test]
    fn a_target_is_read_or_there_is_none() {
        let on = b"<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>a/</TargetPrefix></LoggingEnabled></BucketLoggingStatus>";
        assert_eq!(logging_target(on).unwrap().unwrap().1, "a/");
        assert_eq!(logging_target(b"<BucketLoggingStatus/>").unwrap(), None);
        let bad = b"<BucketLoggingStatus><LoggingEnabled><TargetBucket>../x</TargetBucket></LoggingEnabled></BucketLoggingStatus>";
        assert_eq!(logging_target(bad).unwrap_err().code(), Code::InvalidArgument);
        let grants = b"<BucketLoggingStatus><LoggingEnabled><TargetGrants><Grant/></TargetGrants></LoggingEnabled></BucketLoggingStatus>";
        assert_eq!(logging_target(grants).unwrap_err().code(), Code::NotImplemented);
    }
}
