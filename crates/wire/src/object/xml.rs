//! XML in and out, as small as object storage needs.
//!
//! Promises: the writer escapes everything and never emits a character that XML 1.0 forbids; the reader walks
//! elements and text with a bounded size, depth and count.
//! Refuses: document types, entities other than the five predefined ones and character references, processing
//! instructions, text that is not UTF-8, more than 2 MiB, depth over 8.
//! INVARIANT: no entity is ever expanded into more text than one character.

use quick_xml::Reader;
use quick_xml::events::Event;

use super::error::{Code, ObjectError};

/// How every XML answer begins.
pub const XML_DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
/// Longest XML body that is read, in bytes.
pub const XML_BYTES_MAX: usize = 2 * 1024 * 1024;
const DEPTH_MAX: usize = 8;

/// A writer without namespaces (contract §7: oss2 raises on the S3 namespace).
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn document() -> Self {
        let mut out = String::with_capacity(512);
        out.push_str(XML_DECLARATION);
        Self(out)
    }

    pub(super) fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
    }

    pub(super) fn close(&mut self, name: &str) {
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// The one element that S3's clients want with attributes.
    pub(super) fn grantee(&mut self, id: &str, name: &str) {
        self.0.push_str(
            "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\">",
        );
        self.text("ID", id);
        self.text("DisplayName", name);
        self.close("Grantee");
    }

    /// Everybody, as S3 writes it.
    pub(super) fn everybody(&mut self) {
        self.0
            .push_str("<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\">");
        self.text("URI", "http://acs.amazonaws.com/groups/global/AllUsers");
        self.close("Grantee");
    }

    /// `<name>text</name>`, escaped.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        self.escape(text);
        self.close(name);
    }

    /// `<name>…</name>` for values that need no escaping (numbers, booleans).
    pub(super) fn plain(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }

    pub(super) fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&apos;"),
                '\t' => self.0.push_str("&#9;"),
                '\n' => self.0.push_str("&#10;"),
                '\r' => self.0.push_str("&#13;"),
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('\u{fffd}'),
                other => self.0.push(other),
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// Calls `leaf(path, text)` for every element as it closes, where `path` names the elements from the root down
/// (local names) and `text` is the element's own text, trimmed of nothing.
///
/// # Errors
/// [`Code::MalformedXml`] for anything refused above, and whatever `leaf` returns.
pub(super) fn walk(
    body: &[u8],
    mut leaf: impl FnMut(&[String], &str) -> Result<(), ObjectError>,
) -> Result<(), ObjectError> {
    if body.len() > XML_BYTES_MAX {
        return Err(malformed("the body is longer than 2 MiB"));
    }
    let text = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    let mut roots = 0u32;
    loop {
        match reader.read_event().map_err(|_| malformed("the body is not well-formed"))? {
            Event::Start(start) => {
                enter(&mut path, &mut texts, &mut roots, start.local_name().as_ref())?;
            }
            Event::Empty(start) => {
                enter(&mut path, &mut texts, &mut roots, start.local_name().as_ref())?;
                leaf(&path, "")?;
                path.pop();
                texts.pop();
            }
            Event::End(_) => {
                let own = texts.pop().ok_or_else(|| malformed("an element closes twice"))?;
                leaf(&path, &own)?;
                path.pop();
            }
            Event::Text(piece) => append(&mut texts, &piece.xml10_content())?,
            Event::CData(piece) => append(&mut texts, &piece.xml10_content())?,
            Event::GeneralRef(reference) => {
                let c = match &*reference {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    other => char_reference(other).ok_or_else(|| malformed("entities are not allowed"))?,
                };
                append(&mut texts, c.encode_utf8(&mut [0; 4]))?;
            }
            Event::Decl(_) | Event::Comment(_) => {}
            Event::DocType(_) => return Err(malformed("document types are not allowed")),
            Event::PI(_) => return Err(malformed("processing instructions are not allowed")),
            Event::Eof => break,
        }
    }
    if roots == 1 && path.is_empty() { Ok(()) } else { Err(malformed("the body ends inside an element")) }
}

/// A [`Code::MalformedXml`] with a reason.
pub(super) fn malformed(reason: &'static str) -> ObjectError {
    ObjectError::because(Code::MalformedXml, format!("The XML you provided cannot be read: {reason}."))
}

fn enter(
    path: &mut Vec<String>,
    texts: &mut Vec<String>,
    roots: &mut u32,
    name: &str,
) -> Result<(), ObjectError> {
    if path.is_empty() {
        *roots += 1;
        if *roots > 1 {
            return Err(malformed("there is more than one root element"));
        }
    }
    if path.len() >= DEPTH_MAX {
        return Err(malformed("the elements are nested too deep"));
    }
    path.push(name.to_owned());
    texts.push(String::new());
    Ok(())
}

fn append(texts: &mut [String], piece: &str) -> Result<(), ObjectError> {
    match texts.last_mut() {
        Some(own) => own.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return Err(malformed("there is text outside the root element")),
    }
    Ok(())
}

fn char_reference(name: &str) -> Option<char> {
    let digits = name.strip_prefix('#')?;
    let number = match digits.strip_prefix('x') {
        Some(hex) if !hex.starts_with('+') => u32::from_str_radix(hex, 16).ok()?,
        None if !digits.starts_with('+') => digits.parse().ok()?,
        _ => return None,
    };
    char::from_u32(number).filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(body: &str) -> Result<Vec<(String, String)>, ObjectError> {
        let mut out = Vec::new();
        walk(body.as_bytes(), |path, text| {
            out.push((path.join("/"), text.to_owned()));
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn elements_text_cdata_and_references_are_read() {
        let read =
            leaves("<?xml version=\"1.0\"?><a xmlns=\"u\"><b>x&amp;&#65;<![CDATA[<]]></b><c/></a>").unwrap();
        let expected = [("a/b", "x&A<"), ("a/c", ""), ("a", "")];
        assert_eq!(read, expected.map(|(p, t)| (p.to_owned(), t.to_owned())));
    }

    #[test]
    fn document_types_entities_depth_and_loose_ends_are_refused() {
        let deep = "<a>".repeat(9) + &"</a>".repeat(9);
        let bad = [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&e;</a>",
            "<a>&#0;</a>",
            "<a>&#x110000;</a>",
            "<a>&#+65;</a>",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<?php x?><a/>",
            "<a/>x",
            deep.as_str(),
        ];
        for body in bad {
            assert_eq!(leaves(body).unwrap_err().code(), Code::MalformedXml, "{body}");
        }
        assert!(walk(&vec![b' '; XML_BYTES_MAX + 1], |_, _| Ok(())).is_err());
        assert!(walk(b"<a>\xff</a>", |_, _| Ok(())).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(text in "\\PC{0,60}") {
            let mut xml = Xml::document();
            xml.text("a", &text);
            let read = leaves(std::str::from_utf8(xml.bytes()).unwrap()).unwrap();
            let shown: String = text.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c }).collect();
            prop_assert_eq!(read, vec![("a".to_owned(), shown)]);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = walk(&body, |_, _| Ok(()));
        }

        #[test]
        fn any_markup_is_read_without_a_panic(body in "[<>/a&;#x!\\[\\]?= \"'-]{0,80}") {
            let _ = leaves(&body);
        }
    }
}
