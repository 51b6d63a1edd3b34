//! `Range` headers: one range of bytes (RFC 9110 §14).
//!
//! Promises: a range is resolved against the object's size into a first and a last byte inside it.
//! Refuses: a range that starts behind the end, or the last zero bytes (416).
//! A header that is malformed, in another unit or names several ranges is ignored and the whole object is sent, as
//! the real services do. Both dialects follow `x-oss-range-behavior: standard`: a range that starts inside the
//! object and ends behind it is cut, in OSS too, where the historic default would send the whole object.
//! INVARIANT: `first <= last < size` for every resolved range.

use super::error::ObjectError;

/// A parsed single range, before the object's size is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteRange {
    /// `bytes=first-` or `bytes=first-last`.
    From {
        /// First byte, counted from 0.
        first: u64,
        /// Last byte, inclusive.
        last: Option<u64>,
    },
    /// `bytes=-n`: the last n bytes.
    Last(u64),
}

/// A range inside an object, in bytes, both ends inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// First byte.
    pub first: u64,
    /// Last byte, inclusive.
    pub last: u64,
}

impl ByteRange {
    /// Reads a `Range` header value; `None` when it is to be ignored.
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, set) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (first, last) = set.trim().split_once('-')?;
        match (first.trim(), last.trim()) {
            ("", n) => Some(Self::Last(number(n)?)),
            (first, "") => Some(Self::From { first: number(first)?, last: None }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The bytes of an object of `size` bytes that this range means.
    ///
    /// # Errors
    /// `InvalidRange` (416) when no byte of the object lies in the range.
    pub fn resolve(self, size: u64) -> Result<Span, ObjectError> {
        let end = size.checked_sub(1).ok_or_else(|| ObjectError::invalid_range(size))?;
        match self {
            Self::From { first, last } if first <= end => {
                Ok(Span { first, last: last.map_or(end, |l| l.min(end)) })
            }
            Self::Last(n) if n > 0 => Ok(Span { first: size.saturating_sub(n), last: end }),
            _ => Err(ObjectError::invalid_range(size)),
        }
    }
}

impl Span {
    /// How many bytes the span has.
    #[expect(clippy::len_without_is_empty, reason = "a span has at least one byte")]
    pub fn len(self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// Digits only; a number too large for an offset means "behind any end".
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Code;
    use proptest::prelude::*;

    fn resolve(value: &str, size: u64) -> Option<Result<(u64, u64), Code>> {
        let range = ByteRange::parse(value)?;
        Some(range.resolve(size).map(|s| (s.first, s.last)).map_err(|e| e.code()))
    }

    #[test]
    fn a_single_range_is_cut_to_the_object() {
        assert_eq!(resolve("bytes=0-9", 100), Some(Ok((0, 9))));
        assert_eq!(resolve("bytes=90-", 100), Some(Ok((90, 99))));
        assert_eq!(resolve("bytes=90-1000", 100), Some(Ok((90, 99))));
        assert_eq!(resolve("bytes=-10", 100), Some(Ok((90, 99))));
        assert_eq!(resolve("bytes=-1000", 100), Some(Ok((0, 99))));
        assert_eq!(resolve("Bytes = 5-5", 100), Some(Ok((5, 5))));
        assert_eq!(resolve("bytes=0-99999999999999999999999", 100), Some(Ok((0, 99))));
    }

    #[test]
    fn a_range_without_a_byte_of_the_object_is_416() {
        for (value, size) in [
            ("bytes=100-", 100),
            ("bytes=100-200", 100),
            ("bytes=-0", 100),
            ("bytes=0-", 0),
            ("bytes=-5", 0),
            ("bytes=99999999999999999999999-", 5),
        ] {
            assert_eq!(resolve(value, size), Some(Err(Code::InvalidRange)), "{value}");
        }
    }

    #[test]
    fn a_malformed_or_multiple_range_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=9-0",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(resolve(value, 100), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_resolved_range_lies_inside_the_object(value in "bytes=[0-9]{0,21}-[0-9]{0,21}", size in any::<u64>()) {
            if let Some(Ok((first, last))) = resolve(&value, size) {
                prop_assert!(first <= last && last < size);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(value in ".{0,40}", size in any::<u64>()) {
            let _ = resolve(&value, size);
        }
    }
}
