//! GetObject and HeadObject: range, conditions, response overrides.
//!
//! INVARIANT: conditions are evaluated in the order of RFC 9110 §13.2.2; a date that cannot be read is ignored, as
//! that section says, but a condition that was read is never skipped.

use bailee_types::{BucketName, ObjectKey, Timestamp};

use super::encryption::{CustomerKey, customer_key};
use super::{ContentHeaders, argument, header_text};
use crate::object::auth::any_date;
use crate::object::error::{Code, ObjectError};
use crate::object::head::Head;
use crate::object::range::ByteRange;

/// Parts on one page.
const PAGE_MAX: u32 = 1_000;

/// A read of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetObject {
    /// The bucket.
    pub bucket: BucketName,
    /// The object.
    pub key: ObjectKey,
    /// Which version; the current one when missing.
    pub version: Option<String>,
    /// The range that is wanted; `None` for all, also when the header is to be ignored.
    pub range: Option<ByteRange>,
    /// Conditions on the object's ETag and date.
    pub conditions: Conditions,
    /// The customer's own key.
    pub customer_key: Option<CustomerKey>,
    /// `response-*` parameters, which replace headers of the answer.
    pub overrides: Overrides,
    /// Whether the S3 caller wants the stored checksum (`x-amz-checksum-mode: ENABLED`).
    pub checksum: bool,
}

/// What is asked of an object's attributes (S3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetAttributes {
    /// Of which object.
    pub get: GetObject,
    /// Its ETag.
    pub etag: bool,
    /// Its checksum.
    pub checksum: bool,
    /// Its parts: only those after a number, and at most so many.
    pub parts: Option<(u32, u32)>,
    /// Its storage class.
    pub storage_class: bool,
    /// Its size.
    pub size: bool,
}

/// `response-*` parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// `response-content-type`.
    pub content_type: Option<String>,
    /// The other five.
    pub headers: ContentHeaders,
}

/// An `If-Match` or `If-None-Match` list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TagList {
    /// `*`: any object.
    Any,
    /// Entity tags without quotes and weakness mark.
    Tags(Vec<String>),
}

/// Conditions of a read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub if_match: Option<TagList>,
    /// `If-None-Match`.
    pub if_none_match: Option<TagList>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
    /// `If-Range`: the range holds only when this tag or date is the object's.
    pub if_range: Option<String>,
}

impl Conditions {
    /// Whether an object with this ETag (hex, any case) and date may be sent.
    ///
    /// # Errors
    /// `PreconditionFailed` (412) or `NotModified` (304).
    pub fn check(&self, etag: &str, modified_at: Timestamp) -> Result<(), ObjectError> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.holds(etag) => return Err(failed("If-Match")),
            (None, Some(at)) if modified_at.secs() > at.secs() => return Err(failed("If-Unmodified-Since")),
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.holds(etag) => Err(ObjectError::new(Code::NotModified)),
            (None, Some(at)) if modified_at.secs() <= at.secs() => Err(ObjectError::new(Code::NotModified)),
            _ => Ok(()),
        }
    }

    /// Whether a range applies to an object with this ETag and date (RFC 9110 §13.1.5).
    pub fn range_holds(&self, etag: &str, modified_at: Timestamp) -> bool {
        match &self.if_range {
            None => true,
            Some(text) if text.starts_with("W/") => false,
            Some(text) => match any_date(text) {
                Some(at) => at.secs() == modified_at.secs(),
                None => bare(text).eq_ignore_ascii_case(etag),
            },
        }
    }
}

impl TagList {
    fn holds(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|t| t.eq_ignore_ascii_case(etag)),
        }
    }
}

pub(super) fn object(head: &Head<'_>, bucket: BucketName, key: ObjectKey) -> Result<GetObject, ObjectError> {
    Ok(GetObject {
        bucket,
        key,
        version: super::version::named(head)?,
        range: head.header("range")?.and_then(ByteRange::parse),
        conditions: Conditions {
            if_match: tags(head, "if-match")?,
            if_none_match: tags(head, "if-none-match")?,
            if_modified_since: head.header("if-modified-since")?.and_then(any_date),
            if_unmodified_since: head.header("if-unmodified-since")?.and_then(any_date),
            if_range: head.header("if-range")?.map(str::to_owned),
        },
        customer_key: customer_key(head, false)?,
        overrides: overrides(head)?,
        checksum: head.header("x-amz-checksum-mode")?.is_some_and(|m| m.eq_ignore_ascii_case("ENABLED")),
    })
}

pub(super) fn attributes(
    head: &Head<'_>,
    bucket: BucketName,
    key: ObjectKey,
) -> Result<GetAttributes, ObjectError> {
    let wanted = head.header("x-amz-object-attributes")?.unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    let known = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    if wanted.is_empty() || wanted.iter().any(|w| !known.contains(w)) {
        return Err(ObjectError::because(Code::InvalidArgument, "Invalid attribute name specified.")
            .with("ArgumentName", "x-amz-object-attributes"));
    }
    let number = |name: &'static str, usual: u32| match head.header(name)? {
        None | Some("") => Ok(usual),
        Some(text) if text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(text.parse().unwrap_or(usual))
        }
        Some(_) => Err(argument(name, "it must be a whole number")),
    };
    let asked = |name: &str| wanted.contains(&name);
    let page = (number("x-amz-part-number-marker", 0)?, number("x-amz-max-parts", PAGE_MAX)?.min(PAGE_MAX));
    Ok(GetAttributes {
        get: object(head, bucket, key)?,
        etag: asked("ETag"),
        checksum: asked("Checksum"),
        parts: asked("ObjectParts").then_some(page),
        storage_class: asked("StorageClass"),
        size: asked("ObjectSize"),
    })
}

pub(super) fn tags(head: &Head<'_>, name: &str) -> Result<Option<TagList>, ObjectError> {
    let Some(value) = head.header(name)? else { return Ok(None) };
    if value == "*" {
        return Ok(Some(TagList::Any));
    }
    Ok(Some(TagList::Tags(value.split(',').take(64).map(|t| bare(t).to_owned()).collect())))
}

/// An entity tag without weakness mark and quotes.
pub(super) fn bare(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
}

fn overrides(head: &Head<'_>) -> Result<Overrides, ObjectError> {
    let value = |name: &'static str| head.param(name).map(|v| header_text(name, v)).transpose();
    let out = Overrides {
        content_type: value("response-content-type")?,
        headers: ContentHeaders {
            cache_control: value("response-cache-control")?,
            content_disposition: value("response-content-disposition")?,
            content_encoding: value("response-content-encoding")?,
            content_language: value("response-content-language")?,
            expires: value("response-expires")?,
        },
    };
    if out != Overrides::default() && !head.is_signed() {
        return Err(ObjectError::because(
            Code::InvalidRequest,
            "Request specific response headers cannot be used for anonymous requests.",
        ));
    }
    Ok(out)
}

fn failed(condition: &'static str) -> ObjectError {
    ObjectError::new(Code::PreconditionFailed).with("Condition", condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "5d41402abc4b2a76b9719d911017c592";
    const AT: Timestamp = Timestamp::from_ms(1_767_323_045_678);

    fn check(headers: &[(&str, &str)]) -> Result<(), Code> {
        let mut builder = http::Request::builder().uri("/bkt-a/k");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let parts = builder.body(()).unwrap().into_parts().0;
        let head = Head::read(&parts, crate::object::Dialect::S3, &crate::object::Hosts::default()).unwrap();
        let Ok(crate::object::ObjectRequest::GetObject(get)) = crate::object::ObjectRequest::parse(&head)
        else {
            panic!()
        };
        get.conditions.check(TAG, AT).map_err(|e| e.code())
    }

    #[test]
    fn conditions_follow_the_order_of_rfc_9110() {
        let upper = format!("\"{}\"", TAG.to_uppercase());
        let same = "Fri, 02 Jan 2026 03:04:05 GMT";
        let before = "Fri, 02 Jan 2026 03:04:04 GMT";
        type Case<'a> = (&'a [(&'a str, &'a str)], Result<(), Code>);
        let cases: [Case<'_>; 12] = [
            (&[("if-match", &upper)], Ok(())),
            (&[("if-match", "*")], Ok(())),
            (&[("if-match", "\"x\", W/\"y\"")], Err(Code::PreconditionFailed)),
            (&[("if-none-match", &upper)], Err(Code::NotModified)),
            (&[("if-none-match", "\"x\"")], Ok(())),
            (&[("if-modified-since", same)], Err(Code::NotModified)),
            (&[("if-modified-since", before)], Ok(())),
            (&[("if-unmodified-since", same)], Ok(())),
            (&[("if-unmodified-since", before)], Err(Code::PreconditionFailed)),
            (&[("if-match", &upper), ("if-unmodified-since", before)], Ok(())),
            (&[("if-none-match", "\"x\""), ("if-modified-since", same)], Ok(())),
            (&[("if-modified-since", "yesterday")], Ok(())),
        ];
        for (headers, expected) in cases {
            assert_eq!(check(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_range_under_another_tag_does_not_hold() {
        let with = |text: &str| Conditions { if_range: Some(text.to_owned()), ..Conditions::default() };
        assert!(with(&format!("\"{TAG}\"")).range_holds(TAG, AT));
        assert!(!with("\"x\"").range_holds(TAG, AT) && !with(&format!("W/\"{TAG}\"")).range_holds(TAG, AT));
        assert!(with("Fri, 02 Jan 2026 03:04:05 GMT").range_holds(TAG, AT));
        assert!(!with("Fri, 02 Jan 2026 03:04:06 GMT").range_holds(TAG, AT));
    }
}
