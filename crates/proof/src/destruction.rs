//! Certificates of destruction: which object versions a provider destroyed, with the fingerprint of each wrapped key that is gone.
//! The log holds the digest of the list in the outcome of the act.
//!
//! ```text
//! bailee-destruction/v1
//! tenant <16 digits>
//! log <origin>
//! record <index of the intent>
//! at <milliseconds since 1970>
//! items <n>
//! bytes <n>
//!
//! <fingerprint, 64 hex> <bytes> <written, milliseconds since 1970> <version> <bucket> <key, percent-encoded>
//! …
//! ```
//! Each line ends with a line feed. The digest is SHA-256 of all bytes behind the empty line.
//! INVARIANT: a certificate has one spelling: what is read is written again as the same bytes.

use std::fmt::Write as _;

use crate::hash::{Hash, from_hex, sha256};

const FORMAT: &str = "bailee-destruction/v1";
/// Items of one certificate.
pub const ITEMS_MAX: usize = 100_000;
/// Bytes of one.
pub const BYTES_MAX: usize = 512 * 1024 * 1024;

/// One object version that was destroyed, or an upload under way that was given up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Of the wrapped data key that is gone: [`fingerprint`].
    pub fingerprint: Hash,
    /// Bytes of content; of an upload under way 0.
    pub size: u64,
    /// When it was written, milliseconds since 1970.
    pub written_ms: i64,
    /// The stored version's id.
    pub version: String,
    /// The bucket.
    pub bucket: String,
    /// The key (name) of the object.
    pub key: String,
}

/// A certificate of destruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Whose objects they were: 16 digits.
    pub tenant: String,
    /// The log's origin.
    pub log: String,
    /// The index of the act's intent in it.
    pub record: u64,
    /// When they were destroyed, milliseconds since 1970.
    pub at_ms: i64,
    /// What was destroyed.
    pub items: Vec<Item>,
}

/// Why bytes are no certificate.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CertificateError {
    /// Another format, or a line that is not spelled as it must be.
    #[error("line {0} is not one of a certificate of destruction")]
    Line(usize),
    /// Counts in the head are not those of the list.
    #[error("the list has {items} items of {bytes} bytes, which the head does not say")]
    Counts {
        /// Items in the list.
        items: u64,
        /// Bytes of all of them.
        bytes: u64,
    },
    /// More than [`ITEMS_MAX`] items or [`BYTES_MAX`] bytes.
    #[error("the certificate is too long")]
    TooLong,
}

/// The fingerprint of a wrapped data key: it tells which key is gone to who has an old copy of the row, and nothing else.
pub fn fingerprint(wrapped_key: &[u8]) -> Hash {
    sha256(&[b"bailee/wrapped-key/v1\0", wrapped_key])
}

/// Names without spaces, control characters and percent signs.
fn encode(name: &str, out: &mut String) {
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte))
            }
            other => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
}

fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_first_chunk::<2>()?;
            out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            out.push(*first);
        }
    }
    String::from_utf8(out).ok()
}

impl Certificate {
    fn list(&self) -> String {
        let mut out = String::with_capacity(self.items.len() * 192);
        for item in &self.items {
            let _ = write!(
                out,
                "{} {} {} {} {} ",
                item.fingerprint, item.size, item.written_ms, item.version, item.bucket
            );
            encode(&item.key, &mut out);
            out.push('\n');
        }
        out
    }

    /// Bytes of content of all items.
    pub fn bytes(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.size))
    }

    /// The digest of the list, which the log holds.
    pub fn digest(&self) -> Hash {
        sha256(&[self.list().as_bytes()])
    }

    /// As text.
    pub fn encode(&self) -> String {
        format!(
            "{FORMAT}\ntenant {}\nlog {}\nrecord {}\nat {}\nitems {}\nbytes {}\n\n{}",
            self.tenant,
            self.log,
            self.record,
            self.at_ms,
            self.items.len(),
            self.bytes(),
            self.list()
        )
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or spelled in another way.
    pub fn parse(text: &str) -> Result<Self, CertificateError> {
        if text.len() > BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let mut lines = text.split('\n').enumerate();
        let mut head = |name: &str| {
            let (at, line) = lines.next().ok_or(CertificateError::Line(0))?;
            let value = match name {
                "" => (line == FORMAT || line.is_empty()).then_some(line),
                name => line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')),
            };
            value.map(|v| (at + 1, v)).ok_or(CertificateError::Line(at + 1))
        };
        fn number<N: std::str::FromStr>((at, value): (usize, &str)) -> Result<N, CertificateError> {
            value.parse().map_err(|_| CertificateError::Line(at))
        }
        head("")?;
        let (tenant, log) = (head("tenant")?.1.to_owned(), head("log")?.1.to_owned());
        let (record, at_ms) = (number(head("record")?)?, number(head("at")?)?);
        let (items, bytes): (u64, u64) = (number(head("items")?)?, number(head("bytes")?)?);
        head("")?;
        let mut out = Self { tenant, log, record, at_ms, items: Vec::new() };
        for (at, line) in lines {
            let wrong = CertificateError::Line(at + 1);
            if line.is_empty() {
                continue;
            }
            if out.items.len() >= ITEMS_MAX {
                return Err(CertificateError::TooLong);
            }
            let fields: Vec<&str> = line.split(' ').collect();
            let &[print, size, written, version, bucket, key] = fields.as_slice() else { return Err(wrong) };
            let item = || {
                Some(Item {
                    fingerprint: from_hex(print)?,
                    size: size.parse().ok()?,
                    written_ms: written.parse().ok()?,
                    version: version.to_owned(),
                    bucket: bucket.to_owned(),
                    key: decode(key)?,
                })
            };
            out.items.push(item().ok_or(wrong)?);
        }
        let (found, sum) = (out.items.len() as u64, out.bytes());
        if (found, sum) != (items, bytes) {
            return Err(CertificateError::Counts { items: found, bytes: sum });
        }
        // One spelling: signs, leading zeros, other escapes and empty lines are found here.
        let again = out.encode();
        if again == text {
            return Ok(out);
        }
        let line = again.split('\n').zip(text.split('\n')).position(|(a, b)| a != b);
        Err(CertificateError::Line(line.map_or_else(|| again.lines().count(), |n| n + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate(keys: &[String]) -> Certificate {
        let item = |key: &String| Item {
            fingerprint: fingerprint(key.as_bytes()),
            size: key.len() as u64,
            written_ms: 1_795_608_000_000,
            version: "0123456789abcdef0123456789abcdef".into(),
            bucket: "acme".into(),
            key: key.clone(),
        };
        Certificate {
            tenant: "1000000000000001".into(),
            log: "log.example/tenant/1".into(),
            record: 17,
            at_ms: 1_795_608_000_001,
            items: keys.iter().map(item).collect(),
        }
    }

    #[test]
    fn what_is_spelled_otherwise_is_none() {
        let good = certificate(&["a b/发票%\n".into(), "x".into()]).encode();
        assert!(Certificate::parse(&good).is_ok());
        for (from, to) in [
            ("record 17", "record 017"),
            ("record 17", "record +17"),
            ("items 2", "items 3"),
            ("bytes ", "bytes 1"),
            ("%20", " "),
            ("%20", "%2"),
            ("%0A", "%0a"),
            (" x\n", " %78\n"),
            (" x\n", " x"),
            (" x\n", " x\n\n"),
            ("/v1", "/v2"),
            ("\n\n", "\n"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert!(Certificate::parse(&changed).is_err(), "{from:?} -> {to:?}");
        }
    }

    proptest! {
        #[test]
        fn names_of_every_kind_come_back(keys in proptest::collection::vec(any::<String>(), 0..8)) {
            let whole = certificate(&keys);
            prop_assert_eq!(Certificate::parse(&whole.encode()), Ok(whole));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = Certificate::parse(&text);
        }
    }
}
