//! Tags: in a header, and in a body.

use crate::object::encode::percent_decode;
use crate::object::error::ObjectError;
use crate::object::head::Head;
use crate::object::xml::{malformed, walk};

use super::argument;

/// Keys and values, in the order given; no key twice.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TagSet(
    /// The tags.
    pub Vec<(String, String)>,
);

/// Tags in one request that are read; the server's own limits are lower.
const TAGS_MAX: usize = 100;
const HEADER_BYTES_MAX: usize = 8 * 1024;

impl TagSet {
    /// Reads `<Tagging><TagSet><Tag><Key/><Value/></Tag>…`.
    ///
    /// # Errors
    /// `MalformedXml`, also for a tag without key or value, a key that occurs twice, or more than 100 tags.
    pub fn parse(body: &[u8]) -> Result<Self, ObjectError> {
        let mut out = Self::default();
        let (mut key, mut value): (Option<String>, Option<String>) = (None, None);
        walk(body, |path, text| {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            match path.as_slice() {
                ["Tagging"] | ["Tagging", "TagSet"] => {}
                ["Tagging", "TagSet", "Tag", "Key"] => key = Some(text.to_owned()),
                ["Tagging", "TagSet", "Tag", "Value"] => value = Some(text.to_owned()),
                ["Tagging", "TagSet", "Tag"] => {
                    let (Some(key), Some(value)) = (key.take(), value.take()) else {
                        return Err(malformed("a Tag needs a Key and a Value"));
                    };
                    if !out.push(key, value) {
                        return Err(malformed("a key occurs twice, or there are more than 100 tags"));
                    }
                }
                _ => return Err(malformed("it holds an element that is not known")),
            }
            Ok(())
        })?;
        Ok(out)
    }

    fn push(&mut self, key: String, value: String) -> bool {
        if self.0.len() >= TAGS_MAX || self.0.iter().any(|(k, _)| *k == key) {
            return false;
        }
        self.0.push((key, value));
        true
    }
}

/// The tags of a `tagging` header: `key=value&…`, URL-encoded.
pub(super) fn header(head: &Head<'_>) -> Result<Option<TagSet>, ObjectError> {
    let name = format!("{}tagging", head.words().prefix);
    let Some(text) = head.header(&name)? else { return Ok(None) };
    let wrong = || argument("tagging", "it must be key=value pairs joined by &, URL-encoded, each key once");
    if text.len() > HEADER_BYTES_MAX {
        return Err(wrong());
    }
    let mut out = TagSet::default();
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let read = |t: &str| percent_decode(t, true).map(|t| t.into_owned()).ok_or_else(wrong);
        if !out.push(read(key)?, read(value)?) {
            return Err(wrong());
        }
    }
    Ok(Some(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Code;

    #[test]
    fn tags_are_read_or_refused() {
        let read =
            |inner: &str| TagSet::parse(format!("<Tagging><TagSet>{inner}</TagSet></Tagging>").as_bytes());
        let tag = |k: &str, v: &str| format!("<Tag><Key>{k}</Key><Value>{v}</Value></Tag>");
        let two = read(&(tag("a", "1") + &tag("b", ""))).unwrap();
        assert_eq!(two.0, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert!(read("").unwrap().0.is_empty());
        let many: String = (0..101).map(|n| tag(&n.to_string(), "")).collect();
        for bad in [tag("a", "1") + &tag("a", "2"), "<Tag><Key>a</Key></Tag>".into(), "<Other/>".into(), many]
        {
            assert_eq!(read(&bad).unwrap_err().code(), Code::MalformedXml);
        }
    }
}
