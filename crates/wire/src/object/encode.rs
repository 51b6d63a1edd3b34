//! Small encodings that the object half needs on its hot path: RFC 3986 percent-encoding on bytes, hex, HMAC.
//!
//! Refuses: a `%` without two hex digits, and bytes that are not UTF-8 after decoding.
//! INVARIANT: `percent_encode` after `percent_decode` yields the one canonical spelling of a text.

use std::borrow::Cow;

use ring::{digest, hmac};

/// Appends `bytes` with all but `A-Za-z0-9-_.~` (and `/` when `keep_slash`) as `%XX`, upper case.
pub(crate) fn percent_encode(out: &mut Vec<u8>, bytes: &[u8], keep_slash: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        if plain || (keep_slash && byte == b'/') {
            out.push(byte);
        } else {
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// The same, as text; `/` is kept. For `encoding-type=url` in listings.
pub(super) fn url_text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 16);
    percent_encode(&mut out, text.as_bytes(), true);
    String::from_utf8(out).unwrap_or_default()
}

/// Decodes `%XX` strictly; `+` becomes a space when `plus_is_space` (queries). `None` when it is not UTF-8 or a
/// `%` stands without two hex digits.
pub(crate) fn percent_decode(raw: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !raw.bytes().any(|b| b == b'%' || (plus_is_space && b == b'+')) {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => (nibble(bytes.next()?)? << 4) | nibble(bytes.next()?)?,
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok())
}

/// HMAC-SHA256.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

/// HMAC-SHA1, which OSS V1 prescribes (contract §2).
pub(crate) fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), message);
    let mut out = [0; 20];
    out.copy_from_slice(tag.as_ref());
    out
}

/// SHA-256 of one slice.
pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    finish_sha256(digest::digest(&digest::SHA256, data))
}

/// The 32 bytes of a SHA-256 digest.
pub(super) fn finish_sha256(value: digest::Digest) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(value.as_ref());
    out
}

/// Whether `text` is exactly 64 lower-case hex digits.
pub(crate) fn is_hex64(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// User text that may stand in a message: at most 80 characters, without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lone_percent_sign_and_broken_utf8_are_refused() {
        for bad in ["%", "%4", "%zz", "a%2", "%ff", "%c3%28", "%+1"] {
            assert_eq!(percent_decode(bad, false), None, "{bad}");
        }
        assert_eq!(percent_decode("a+b%2B", true).as_deref(), Some("a b+"));
        assert_eq!(percent_decode("a+b%2B", false).as_deref(), Some("a+b+"));
    }

    proptest! {
        #[test]
        fn encoding_then_decoding_returns_the_text(text in "\\PC{0,40}") {
            let encoded = url_text(&text);
            let decoded = percent_decode(&encoded, false);
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
        }

        #[test]
        fn any_text_decodes_without_a_panic(text in ".{0,60}") {
            let _ = (percent_decode(&text, false), percent_decode(&text, true));
        }
    }
}
