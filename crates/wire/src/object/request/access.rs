//! Who besides its account may use a bucket: canned ACLs, public access, and which pages of which origins may call it.

use super::argument;
use crate::object::dialect::Dialect;
use crate::object::error::ObjectError;
use crate::object::head::Head;
use crate::object::xml::{malformed, walk};

/// Rules of one bucket (S3; OSS has 20).
const RULES_MAX: usize = 100;
/// Origins, methods and headers of one rule, each.
const LIST_MAX: usize = 100;
const TEXT_BYTES_MAX: usize = 1_024;

/// A canned ACL that a header names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CannedAcl {
    /// Of an object: as its bucket.
    Default,
    /// The account's own people.
    Private,
    /// Everybody reads.
    PublicRead,
    /// Everybody reads and writes.
    PublicReadWrite,
}

impl CannedAcl {
    /// Reads a name; those of the owner's account mean the same as `private` here.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "default" => Self::Default,
            "private" | "bucket-owner-full-control" | "bucket-owner-read" => Self::Private,
            "public-read" => Self::PublicRead,
            "public-read-write" => Self::PublicReadWrite,
            _ => return None,
        })
    }
}

/// The ACL that a header names; whether it may be named there was looked at before.
pub(super) fn canned(head: &Head<'_>) -> Result<Option<CannedAcl>, ObjectError> {
    let prefix = head.words().prefix;
    for name in ["acl", "object-acl"] {
        if let Some(word) = head.header(&format!("{prefix}{name}"))?.filter(|v| !v.is_empty()) {
            return CannedAcl::parse(word).map(Some).ok_or_else(|| argument("acl", "it is no canned ACL"));
        }
    }
    Ok(None)
}

/// The ACL of a new object.
pub(super) fn of_object(head: &Head<'_>) -> Result<CannedAcl, ObjectError> {
    Ok(canned(head)?.unwrap_or(CannedAcl::Default))
}

/// The body of a PutPublicAccessBlock: whether public ACLs are blocked, and whether public policies are.
///
/// # Errors
/// `MalformedXML`; `NotImplemented` for S3's four switches when the two of a kind differ.
pub fn public_access_block(body: &[u8], dialect: Dialect) -> Result<(bool, bool), ObjectError> {
    let mut found: [Option<bool>; 4] = [None; 4];
    let mut oss = None;
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let flag = || match text.trim() {
            t if t.eq_ignore_ascii_case("true") => Ok(Some(true)),
            t if t.eq_ignore_ascii_case("false") => Ok(Some(false)),
            _ => Err(malformed("it must be true or false")),
        };
        let name = match path.as_slice() {
            ["PublicAccessBlockConfiguration"] => return Ok(()),
            ["PublicAccessBlockConfiguration", name] => *name,
            _ => return Err(malformed("an element is not known")),
        };
        match (dialect, name) {
            (Dialect::Oss, "BlockPublicAccess") => oss = flag()?,
            (Dialect::S3, "BlockPublicAcls") => found[0] = flag()?,
            (Dialect::S3, "IgnorePublicAcls") => found[1] = flag()?,
            (Dialect::S3, "BlockPublicPolicy") => found[2] = flag()?,
            (Dialect::S3, "RestrictPublicBuckets") => found[3] = flag()?,
            _ => return Err(malformed("an element is not known")),
        }
        Ok(())
    })?;
    if dialect == Dialect::Oss {
        let block = oss.ok_or_else(|| malformed("BlockPublicAccess is missing"))?;
        return Ok((block, block));
    }
    let [block_acls, ignore_acls, block_policy, restrict] = found.map(|f| f.unwrap_or(false));
    if block_acls != ignore_acls || block_policy != restrict {
        return Err(ObjectError::not_offered(
            "blocking public access for new rules and not for those that are there; set BlockPublicAcls like \
             IgnorePublicAcls, and BlockPublicPolicy like RestrictPublicBuckets",
        ));
    }
    Ok((block_acls, block_policy))
}

/// Which pages may call a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CorsRule {
    /// Its name.
    pub id: Option<String>,
    /// Origins, each with one `*` at most.
    pub origins: Vec<String>,
    /// Of GET, PUT, POST, DELETE, HEAD.
    pub methods: Vec<String>,
    /// Headers that a request may have, each with one `*` at most.
    pub headers: Vec<String>,
    /// Headers that the page may read.
    pub exposed: Vec<String>,
    /// Seconds that a browser may remember it.
    pub max_age: Option<u32>,
}

/// The body of a PutBucketCors.
///
/// # Errors
/// `MalformedXML`, `InvalidArgument`.
pub fn cors_rules(body: &[u8]) -> Result<Vec<CorsRule>, ObjectError> {
    let mut out = Vec::new();
    let mut rule = CorsRule::default();
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(argument("CORSRule", "a text is too long or holds control characters"));
        }
        let one_star = |list: &mut Vec<String>| {
            if text.is_empty() || text.matches('*').count() > 1 || list.len() >= LIST_MAX {
                return Err(argument("CORSRule", "an origin or header is empty, or has more than one *"));
            }
            list.push(text.to_owned());
            Ok(())
        };
        match path.as_slice() {
            // OSS answers `Vary: Origin` with it; here every answer to a page says so.
            ["CORSConfiguration"] | ["CORSConfiguration", "ResponseVary"] => Ok(()),
            ["CORSConfiguration", "CORSRule", "ID"] => {
                rule.id = Some(text.to_owned());
                Ok(())
            }
            ["CORSConfiguration", "CORSRule", "AllowedOrigin"] => one_star(&mut rule.origins),
            ["CORSConfiguration", "CORSRule", "AllowedHeader"] => one_star(&mut rule.headers),
            ["CORSConfiguration", "CORSRule", "ExposeHeader"] => {
                if text.contains('*') || http::HeaderName::try_from(text).is_err() {
                    return Err(argument("ExposeHeader", "it must be the name of a header"));
                }
                one_star(&mut rule.exposed)
            }
            ["CORSConfiguration", "CORSRule", "AllowedMethod"] => {
                if !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&text) {
                    return Err(argument("AllowedMethod", "it must be GET, PUT, POST, DELETE or HEAD"));
                }
                one_star(&mut rule.methods)
            }
            ["CORSConfiguration", "CORSRule", "MaxAgeSeconds"] => {
                let seconds = text.parse().ok().filter(|n| *n <= 999_999_999);
                rule.max_age =
                    Some(seconds.ok_or_else(|| argument("MaxAgeSeconds", "it must be a number of seconds"))?);
                Ok(())
            }
            ["CORSConfiguration", "CORSRule"] => {
                let whole = std::mem::take(&mut rule);
                if whole.origins.is_empty() || whole.methods.is_empty() {
                    return Err(malformed("a CORSRule needs an AllowedOrigin and an AllowedMethod"));
                }
                out.push(whole);
                Ok(())
            }
            _ => Err(malformed("an element is not known")),
        }
    })?;
    if out.is_empty() || out.len() > RULES_MAX {
        return Err(malformed("there must be 1 to 100 rules"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::error::Code;

    #[test]
    fn switches_of_a_kind_go_together() {
        let s3 = |flags: [&str; 4]| {
            let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
            let inner: String = names.iter().zip(flags).map(|(n, f)| format!("<{n}>{f}</{n}>")).collect();
            public_access_block(
                format!("<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>")
                    .as_bytes(),
                Dialect::S3,
            )
        };
        assert_eq!(s3(["true"; 4]).unwrap(), (true, true));
        assert_eq!(s3(["TRUE", "true", "false", "false"]).unwrap(), (true, false));
        assert_eq!(s3(["true", "false", "false", "false"]).unwrap_err().code(), Code::NotImplemented);
        assert_eq!(s3(["maybe"; 4]).unwrap_err().code(), Code::MalformedXml);
        let oss = b"<PublicAccessBlockConfiguration><BlockPublicAccess>false</BlockPublicAccess></PublicAccessBlockConfiguration>";
        assert_eq!(public_access_block(oss, Dialect::Oss).unwrap(), (false, false));
    }

    #[test]
    fn rules_are_read_whole_or_refused() {
        let rule = |inner: &str| {
            cors_rules(
                format!("<CORSConfiguration><CORSRule>{inner}</CORSRule></CORSConfiguration>").as_bytes(),
            )
        };
        let good = "<AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>\
            <AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>600</MaxAgeSeconds>";
        let read = rule(good).unwrap();
        assert_eq!(read[0].origins, ["https://*.example.com"]);
        assert_eq!(
            (read[0].max_age, read[0].exposed.as_slice()),
            (Some(600), ["ETag".to_owned()].as_slice())
        );
        for bad in [
            "<AllowedOrigin>*</AllowedOrigin>",
            "<AllowedOrigin>*.*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>",
            "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>PATCH</AllowedMethod>",
            "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><MaxAgeSeconds>x</MaxAgeSeconds>",
            "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><Other/>",
        ] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
