//! Lifecycle rules, in the words of both dialects.
//!
//! Refuses, rather than to drop in silence, whatever it does not know.

use bailee_types::Timestamp;

use super::put::StorageClass;
use crate::object::dialect::Dialect;
use crate::object::error::{Code, ObjectError};
use crate::object::xml::{malformed, walk};

/// Rules of one bucket (both dialects).
const RULES_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 1_024;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LifecycleRule {
    /// Its name; made up by the server when empty.
    pub id: String,
    /// Whether it is on.
    pub enabled: bool,
    /// Keys with this prefix.
    pub prefix: String,
    /// Objects with all of these tags.
    pub tags: Vec<(String, String)>,
    /// Objects larger than so many bytes.
    pub larger_than: Option<u64>,
    /// Objects smaller than so many bytes.
    pub smaller_than: Option<u64>,
    /// Days after which current versions expire.
    pub days: Option<u32>,
    /// An instant (midnight UTC) from which on current versions expire.
    pub date: Option<Timestamp>,
    /// An instant (midnight UTC): current versions from before it expire (OSS `CreatedBeforeDate`).
    pub created_before: Option<Timestamp>,
    /// Whether delete markers go when nothing is behind them.
    pub expired_markers: bool,
    /// Days after which former versions are destroyed.
    pub noncurrent_days: Option<u32>,
    /// Former versions that stay in any case, the newest.
    pub noncurrent_kept: Option<u32>,
    /// Days after which uploads under way are given up.
    pub abort_days: Option<u32>,
    /// When current versions move to another storage class.
    pub transitions: Vec<Transition>,
    /// Days after which former versions do.
    pub noncurrent_transitions: Vec<(u32, StorageClass)>,
}

/// When current versions move to another storage class: one of the three is said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    /// To which.
    pub to: StorageClass,
    /// Days after they were written.
    pub days: Option<u32>,
    /// An instant (midnight UTC) from which on.
    pub date: Option<Timestamp>,
    /// Those from before this instant (OSS).
    pub created_before: Option<Timestamp>,
}

/// What of a transition was read so far.
#[derive(Default)]
struct Half {
    to: Option<StorageClass>,
    days: Option<u32>,
    date: Option<Timestamp>,
    created_before: Option<Timestamp>,
}

impl Half {
    /// A member of a Transition; false when it is none.
    fn read(&mut self, member: &str, text: &str) -> Result<bool, ObjectError> {
        match member {
            "StorageClass" => self.to = Some(colder(text)?),
            "Days" | "NoncurrentDays" => self.days = Some(days(text)?),
            "Date" => self.date = Some(midnight(text)?),
            "CreatedBeforeDate" => self.created_before = Some(midnight(text)?),
            // OSS: by the last access, which is not kept here.
            "IsAccessTime" | "ReturnToStdWhenVisit" if text.trim() == "false" => {}
            "IsAccessTime" | "ReturnToStdWhenVisit" => {
                return Err(ObjectError::not_offered("lifecycle rules by the last access"));
            }
            // Small objects move as others do.
            "AllowSmallFile" if matches!(text.trim(), "true" | "false") => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn current(self) -> Result<Transition, ObjectError> {
        let (Some(to), when) = (self.to, (self.days, self.date, self.created_before)) else {
            return Err(malformed("a Transition needs a StorageClass"));
        };
        match when {
            (Some(_), None, None) | (None, Some(_), None) | (None, None, Some(_)) => {
                Ok(Transition { to, days: self.days, date: self.date, created_before: self.created_before })
            }
            _ => Err(malformed("a Transition needs Days, or a date, and not both")),
        }
    }

    fn former(self) -> Result<(u32, StorageClass), ObjectError> {
        match (self.days, self.to) {
            (Some(days), Some(to)) if self.date.is_none() && self.created_before.is_none() => Ok((days, to)),
            _ => Err(malformed("a NoncurrentVersionTransition needs NoncurrentDays and a StorageClass")),
        }
    }
}

/// A class of either dialect, but not the warmest: nothing moves there by itself.
fn colder(text: &str) -> Result<StorageClass, ObjectError> {
    let text = text.trim();
    let class =
        StorageClass::parse(Dialect::Oss, text).or_else(|_| StorageClass::parse(Dialect::S3, text))?;
    if class == StorageClass::Standard {
        return Err(malformed("nothing moves to the class Standard"));
    }
    Ok(class)
}

/// The body of a PutBucketLifecycle.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LifecycleRules(
    /// The rules in the order given.
    pub Vec<LifecycleRule>,
);

fn days(text: &str) -> Result<u32, ObjectError> {
    text.trim().parse().ok().filter(|n| (1..=36_500).contains(n)).ok_or_else(|| {
        ObjectError::because(Code::InvalidArgument, "Days must be a whole number from 1 to 36500.")
    })
}

fn midnight(text: &str) -> Result<Timestamp, ObjectError> {
    Timestamp::parse_iso(text.trim()).ok().filter(|at| at.ms().rem_euclid(86_400_000) == 0).ok_or_else(|| {
        ObjectError::because(
            Code::InvalidArgument,
            "A Date must be a midnight of UTC, e.g. 2027-01-01T00:00:00.000Z.",
        )
    })
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, ObjectError> {
    text.trim().parse().map_err(|_| malformed("a number is no number"))
}

impl LifecycleRules {
    /// Reads `<LifecycleConfiguration><Rule>…`.
    ///
    /// # Errors
    /// `MalformedXml`, `InvalidArgument` for days and dates, `InvalidStorageClass`, `NotImplemented` for rules by the last access.
    pub fn parse(body: &[u8]) -> Result<Self, ObjectError> {
        let mut out = Self::default();
        let mut rule = LifecycleRule::default();
        let mut half = Half::default();
        let mut status = None;
        let (mut tag_key, mut tag_value): (Option<String>, Option<String>) = (None, None);
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(("LifecycleConfiguration", rest)) = path.split_first().map(|(a, b)| (*a, b)) else {
                return Err(malformed("the root is not LifecycleConfiguration"));
            };
            // A filter's members mean the same wherever they stand.
            let rest: Vec<&str> = match rest {
                ["Rule", "Filter", "And", more @ ..] | ["Rule", "Filter", more @ ..] => {
                    std::iter::once("Rule").chain(more.iter().copied()).collect()
                }
                other => other.to_vec(),
            };
            match rest.as_slice() {
                [] => {}
                ["Rule", "ID"] => rule.id = bounded(text)?,
                ["Rule", "Prefix"] => rule.prefix = bounded(text)?,
                ["Rule", "Status"] => {
                    status = Some(match text.trim() {
                        "Enabled" => true,
                        "Disabled" => false,
                        _ => return Err(malformed("Status must be Enabled or Disabled")),
                    });
                }
                ["Rule", "Tag", "Key"] => tag_key = Some(bounded(text)?),
                ["Rule", "Tag", "Value"] => tag_value = Some(bounded(text)?),
                ["Rule", "Tag"] => match (tag_key.take(), tag_value.take()) {
                    (Some(key), Some(value)) => rule.tags.push((key, value)),
                    _ => return Err(malformed("a Tag needs a Key and a Value")),
                },
                ["Rule", "ObjectSizeGreaterThan"] => rule.larger_than = Some(number(text)?),
                ["Rule", "ObjectSizeLessThan"] => rule.smaller_than = Some(number(text)?),
                ["Rule", "Expiration", "Days"] => rule.days = Some(days(text)?),
                ["Rule", "Expiration", "Date"] => rule.date = Some(midnight(text)?),
                ["Rule", "Expiration", "CreatedBeforeDate"] => rule.created_before = Some(midnight(text)?),
                ["Rule", "Expiration", "ExpiredObjectDeleteMarker"] => {
                    rule.expired_markers = text.trim() == "true"
                }
                ["Rule", "NoncurrentVersionExpiration", "NoncurrentDays"] => {
                    rule.noncurrent_days = Some(days(text)?);
                }
                ["Rule", "NoncurrentVersionExpiration", "NewerNoncurrentVersions"] => {
                    rule.noncurrent_kept = Some(number(text)?);
                }
                ["Rule", "AbortIncompleteMultipartUpload", "DaysAfterInitiation"]
                | ["Rule", "AbortMultipartUpload", "Days"] => rule.abort_days = Some(days(text)?),
                // The element around those above, as it closes.
                [
                    "Rule",
                    "Expiration"
                    | "NoncurrentVersionExpiration"
                    | "AbortIncompleteMultipartUpload"
                    | "AbortMultipartUpload",
                ] => {}
                ["Rule", "Transition" | "NoncurrentVersionTransition", member]
                    if half.read(member, text)? => {}
                ["Rule", "Transition"] => rule.transitions.push(std::mem::take(&mut half).current()?),
                ["Rule", "NoncurrentVersionTransition"] => {
                    rule.noncurrent_transitions.push(std::mem::take(&mut half).former()?);
                }
                ["Rule"] if path.len() > 2 => {}
                ["Rule"] => {
                    let mut whole = std::mem::take(&mut rule);
                    whole.enabled = status.take().ok_or_else(|| malformed("a Rule needs a Status"))?;
                    if !whole.acts() {
                        return Err(malformed("a Rule says nothing that it does"));
                    }
                    if out.0.len() >= RULES_MAX {
                        return Err(malformed("there are more than 1000 rules"));
                    }
                    out.0.push(whole);
                }
                _ => return Err(malformed("it holds an element that is not known")),
            }
            Ok(())
        })?;
        if out.0.is_empty() {
            return Err(malformed("there is no Rule"));
        }
        Ok(out)
    }
}

impl LifecycleRule {
    fn acts(&self) -> bool {
        self.days.is_some()
            || self.date.is_some()
            || self.created_before.is_some()
            || self.expired_markers
            || self.noncurrent_days.is_some()
            || self.abort_days.is_some()
            || !self.transitions.is_empty()
            || !self.noncurrent_transitions.is_empty()
    }
}

fn bounded(text: &str) -> Result<String, ObjectError> {
    if text.len() > TEXT_BYTES_MAX { Err(malformed("a text is too long")) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inner: &str) -> Result<Vec<LifecycleRule>, Code> {
        let body = format!("<LifecycleConfiguration>{inner}</LifecycleConfiguration>");
        LifecycleRules::parse(body.as_bytes()).map(|r| r.0).map_err(|e| e.code())
    }

    #[test]
    fn rules_of_both_dialects_are_read() {
        let s3 = read(
            "<Rule><ID>a</ID><Filter><And><Prefix>log/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>\
             <Status>Enabled</Status><Expiration><Days>30</Days></Expiration>\
             <NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays>\
             <NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>\
             <AbortIncompleteMultipartUpload><DaysAfterInitiation>3</DaysAfterInitiation>\
             </AbortIncompleteMultipartUpload></Rule>",
        )
        .unwrap();
        assert_eq!(
            s3,
            [LifecycleRule {
                id: "a".into(),
                enabled: true,
                prefix: "log/".into(),
                tags: vec![("k".into(), "v".into())],
                days: Some(30),
                noncurrent_days: Some(7),
                noncurrent_kept: Some(2),
                abort_days: Some(3),
                ..LifecycleRule::default()
            }]
        );
        let oss = read(
            "<Rule><Prefix>x</Prefix><Status>Disabled</Status><Expiration><CreatedBeforeDate>2026-01-01T00:00:00.000Z\
             </CreatedBeforeDate></Expiration><AbortMultipartUpload><Days>1</Days></AbortMultipartUpload></Rule>",
        )
        .unwrap();
        assert_eq!((oss[0].enabled, oss[0].abort_days), (false, Some(1)));
        assert_eq!(oss[0].created_before.unwrap().iso(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let rule = |inner: &str| read(&format!("<Rule><Status>Enabled</Status>{inner}</Rule>")).unwrap_err();
        for (inner, code) in [
            ("", Code::MalformedXml),
            ("<Expiration><Days>0</Days></Expiration>", Code::InvalidArgument),
            ("<Expiration><Days>x</Days></Expiration>", Code::InvalidArgument),
            ("<Expiration><Date>2026-01-01T00:00:01Z</Date></Expiration>", Code::InvalidArgument),
            ("<Transition><Days>1</Days></Transition>", Code::MalformedXml),
            ("<Transition><StorageClass>IA</StorageClass></Transition>", Code::MalformedXml),
            (
                "<Transition><Days>1</Days><StorageClass>STANDARD</StorageClass></Transition>",
                Code::MalformedXml,
            ),
            (
                "<Transition><Days>1</Days><StorageClass>WARM</StorageClass></Transition>",
                Code::InvalidStorageClass,
            ),
            (
                "<Transition><Days>1</Days><StorageClass>IA</StorageClass><IsAccessTime>true</IsAccessTime></Transition>",
                Code::NotImplemented,
            ),
            ("<Expiration><Days>1</Days></Expiration><Other/>", Code::MalformedXml),
            (
                "<Filter><Tag><Key>k</Key></Tag></Filter><Expiration><Days>1</Days></Expiration>",
                Code::MalformedXml,
            ),
        ] {
            assert_eq!(rule(inner), code, "{inner}");
        }
        assert_eq!(
            read("<Rule><Expiration><Days>1</Days></Expiration></Rule>").unwrap_err(),
            Code::MalformedXml
        );
        assert_eq!(read("").unwrap_err(), Code::MalformedXml);
    }
}
