//! Matching segment by segment, variables already written in: what stands between two stars is found as far to the left as it goes,
//! which is best for all that follows, so nothing is tried twice; what stands before the first star and behind the last
//! is held against the ends.
//!
//! INVARIANT: at most text length times the longest segment, many bytes at a time; nothing is allocated.

use super::{ANY, Inserted, ONE, VAR, VARS_MAX};

/// A text of up to so many bytes is looked at character by character where `?` must be one of several bytes.
const CHARS_MAX: usize = 1_280;
/// No two stars are neighbours, and the rest has at most as many units as the text.
const UNITS_MAX: usize = 2 * CHARS_MAX + 2;

/// What patterns and texts are made of: bytes, or characters.
trait Unit: Copy + PartialEq {
    const ANY: Self;
    const ONE: Self;
    fn folded(self) -> Self;
}

impl Unit for u8 {
    const ANY: Self = ANY;
    const ONE: Self = ONE;

    fn folded(self) -> Self {
        self.to_ascii_lowercase()
    }
}

impl Unit for u32 {
    const ANY: Self = u32::MAX;
    const ONE: Self = u32::MAX - 1;

    fn folded(self) -> Self {
        // As for bytes: ASCII only.
        if (0x41..=0x5a).contains(&self) { self | 0x20 } else { self }
    }
}

/// Whether the whole text matches; `None` when it must be looked at in another way.
pub(super) fn matches<const FOLD: bool>(code: &[u8], text: &[u8]) -> Option<bool> {
    if !code.contains(&ONE) || text.is_ascii() {
        return Some(glob::<u8, FOLD>(code, text));
    }
    let mut pattern = [0; UNITS_MAX];
    let mut letters = [0; CHARS_MAX];
    let pattern = units(code, &mut pattern)?;
    let letters = units(text, &mut letters)?;
    Some(glob::<u32, FOLD>(pattern, letters))
}

/// As [`matches`], for a pattern with variables: their values are written into it. A value holds no wildcard.
pub(super) fn matches_with<const FOLD: bool>(
    code: &[u8],
    text: &[u8],
    inserted: &Inserted<'_>,
) -> Option<bool> {
    let mut buffer = [0; UNITS_MAX];
    let (mut count, mut bytes) = (0, code.iter());
    while let Some(byte) = bytes.next() {
        let one = [*byte];
        let written = match *byte {
            VAR => bytes.next().and_then(|n| inserted.get(usize::from(*n))).map_or(&[][..], |v| v.as_bytes()),
            _ => &one[..],
        };
        let Some(place) = buffer.get_mut(count..count + written.len()) else {
            // More than half of it is no star, so it is longer than such a text; of a longer one the other way is asked.
            return (text.len() <= CHARS_MAX - 2 * VARS_MAX).then_some(false);
        };
        place.copy_from_slice(written);
        if FOLD {
            place.make_ascii_lowercase();
        }
        count += written.len();
    }
    matches::<FOLD>(buffer.get(..count)?, text)
}

/// The characters of a text, or of a pattern with its wildcards; `None` when there are too many.
fn units<'b>(bytes: &[u8], buffer: &'b mut [u32]) -> Option<&'b [u32]> {
    let mut count = 0;
    for piece in bytes.split_inclusive(|b| matches!(*b, ANY | ONE)) {
        let (text, wildcard) = match piece.split_last() {
            Some((&ANY, text)) => (text, Some(<u32 as Unit>::ANY)),
            Some((&ONE, text)) => (text, Some(<u32 as Unit>::ONE)),
            _ => (piece, None),
        };
        let text = std::str::from_utf8(text).ok()?;
        for unit in text.chars().map(u32::from).chain(wildcard) {
            *buffer.get_mut(count)? = unit;
            count += 1;
        }
    }
    buffer.get(..count)
}

fn glob<T: Unit, const FOLD: bool>(code: &[T], text: &[T]) -> bool {
    let Some(first) = code.iter().position(|u| *u == T::ANY) else {
        return code.len() == text.len() && same::<T, FOLD>(code, text);
    };
    let last = code.iter().rposition(|u| *u == T::ANY).unwrap_or(first);
    let (head, tail) = (code.get(..first).unwrap_or_default(), code.get(last + 1..).unwrap_or_default());
    if text.len() < head.len() + tail.len() {
        return false;
    }
    let (start, rest) = text.split_at(head.len());
    let (mut rest, end) = rest.split_at(rest.len() - tail.len());
    if !same::<T, FOLD>(head, start) || !same::<T, FOLD>(tail, end) {
        return false;
    }
    let between = code.get(first + 1..last).unwrap_or_default();
    for segment in between.split(|u| *u == T::ANY).filter(|s| !s.is_empty()) {
        let Some(at) = rest.windows(segment.len()).position(|window| same::<T, FOLD>(segment, window)) else {
            return false;
        };
        rest = rest.get(at + segment.len()..).unwrap_or_default();
    }
    true
}

/// Whether a segment fits a piece of text of its length. The first unit decides most; then many at a time, without looking
/// at each for an end.
fn same<T: Unit, const FOLD: bool>(segment: &[T], text: &[T]) -> bool {
    let fits = |s: &T, t: &T| *s == T::ONE || *s == if FOLD { t.folded() } else { *t };
    if !segment.first().zip(text.first()).is_none_or(|(s, t)| fits(s, t)) {
        return false;
    }
    segment
        .chunks(32)
        .zip(text.chunks(32))
        .all(|(segment, text)| segment.iter().zip(text).fold(true, |all, (s, t)| all & fits(s, t)))
}
