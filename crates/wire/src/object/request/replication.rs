//! What of a bucket is copied where, in S3's words.

use bailee_types::BucketName;

use super::argument;
use crate::object::error::ObjectError;
use crate::object::xml::{malformed, walk};

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicationSpec {
    /// Its name; empty when the client left it to us.
    pub id: String,
    /// Keys that begin so.
    pub prefix: String,
    /// The bucket that is copied to.
    pub to: String,
    /// Whether it is on.
    pub on: bool,
}

/// The body of a PutBucketReplication.
///
/// # Errors
/// `MalformedXML`, `InvalidArgument`; `NotImplemented` for tags in filters, replicated deletes, other accounts and the like.
pub fn replication_rules(body: &[u8]) -> Result<Vec<ReplicationSpec>, ObjectError> {
    let mut rules = Vec::new();
    let (mut rule, mut status) = (ReplicationSpec::default(), None);
    walk(body, |path, text| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(("ReplicationConfiguration", inner)) = path.split_first().map(|(a, b)| (*a, b)) else {
            return Err(malformed("the document is no ReplicationConfiguration"));
        };
        match inner {
            [] | ["Role"] | ["Rule", "Priority" | "Filter" | "Destination" | "DeleteMarkerReplication"] => {}
            ["Rule", "ID"] => text.trim().clone_into(&mut rule.id),
            ["Rule", "Prefix"] | ["Rule", "Filter", "Prefix"] => text.clone_into(&mut rule.prefix),
            ["Rule", "Status"] => {
                status = Some(match text.trim() {
                    "Enabled" => true,
                    "Disabled" => false,
                    _ => return Err(malformed("a Status is Enabled or Disabled")),
                });
            }
            ["Rule", "DeleteMarkerReplication", "Status"] if text.trim() == "Disabled" => {}
            ["Rule", "Destination", "Bucket"] => {
                let name = text.trim();
                let name = name
                    .strip_prefix("arn:aws:s3:::")
                    .or_else(|| name.strip_prefix("acs:oss:*:*:"))
                    .unwrap_or(name);
                BucketName::parse(name).map_err(|_| argument("Destination", "it names no bucket"))?;
                name.clone_into(&mut rule.to);
            }
            ["Rule"] => {
                rule.on = status.take().ok_or_else(|| malformed("a Rule has no Status"))?;
                if rule.to.is_empty() {
                    return Err(malformed("a Rule has no Destination"));
                }
                rules.push(std::mem::take(&mut rule));
            }
            ["Rule", ..] => {
                return Err(ObjectError::not_offered(
                    "tags in filters, replicated deletes, other accounts, classes and times of replication",
                ));
            }
            _ => return Err(malformed("an element is not known")),
        }
        Ok(())
    })?;
    if rules.is_empty() {
        return Err(malformed("there is no Rule"));
    }
    for (at, rule) in rules.iter_mut().enumerate() {
        if rule.id.is_empty() {
            rule.id = format!("rule-{}", at + 1);
        }
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::error::Code;

    #[test]
    fn rules_are_read_or_refused_whole() {
        let of = |inner: &str| {
            let text = format!("<ReplicationConfiguration><Role>r</Role>{inner}</ReplicationConfiguration>");
            replication_rules(text.as_bytes())
        };
        let rule = "<Rule><ID>a</ID><Priority>1</Priority><Filter><Prefix>p/</Prefix></Filter><Status>Enabled</Status>\
                    <DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>\
                    <Destination><Bucket>arn:aws:s3:::there</Bucket></Destination></Rule>";
        let old = "<Rule><Prefix/><Status>Disabled</Status><Destination><Bucket>there</Bucket></Destination></Rule>";
        let read = of(&format!("{rule}{old}")).unwrap();
        let first = ReplicationSpec { id: "a".into(), prefix: "p/".into(), to: "there".into(), on: true };
        assert_eq!(read[0], first);
        assert_eq!((read[1].id.as_str(), read[1].on), ("rule-2", false));
        for (bad, code) in [
            ("", Code::MalformedXml),
            ("<Rule><Status>Enabled</Status></Rule>", Code::MalformedXml),
            ("<Rule><Destination><Bucket>there</Bucket></Destination></Rule>", Code::MalformedXml),
            ("<Rule><Status>On</Status></Rule>", Code::MalformedXml),
            ("<Other/>", Code::MalformedXml),
            ("<Rule><Destination><Bucket>../x</Bucket></Destination></Rule>", Code::InvalidArgument),
            ("<Rule><Filter><Tag><Key>a</Key></Tag></Filter></Rule>", Code::NotImplemented),
            (
                "<Rule><DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication></Rule>",
                Code::NotImplemented,
            ),
            ("<Rule><Destination><Account>1</Account></Destination></Rule>", Code::NotImplemented),
        ] {
            assert_eq!(of(bad).unwrap_err().code(), code, "{bad}");
        }
        assert!(replication_rules(b"<Other/>").is_err());
    }
}
