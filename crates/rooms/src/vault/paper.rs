//! A document on its way in: what it is by its bytes, a name that is safe to show and to save, its digest.
//!
//! Nothing of it is unpacked, rendered or run. What is none of the few types is refused, and so is one that says to be another.

use bailee_proof::hash::{from_hex, sha256};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// Bytes of one document.
pub const PAPER_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Characters of its name, without an ending that is put behind it: the register takes 200.
const NAME_MAX: usize = 190;
/// Of which the last stay when it is cut: the ending is among them.
const NAME_TAIL: usize = 20;

/// What a document is, found from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// PDF.
    Pdf,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Text in UTF-8.
    Text,
    /// Word (Office Open XML) without macros.
    Docx,
    /// Excel (Office Open XML) without macros.
    Xlsx,
}

impl Media {
    const ALL: [Self; 6] = [Self::Pdf, Self::Png, Self::Jpeg, Self::Text, Self::Docx, Self::Xlsx];

    /// Its MIME type.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Text => "text/plain; charset=utf-8",
            Self::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }
    }

    /// Endings of names, the usual one first.
    const fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Pdf => &["pdf"],
            Self::Png => &["png"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Text => &["txt", "csv", "md", "log"],
            Self::Docx => &["docx"],
            Self::Xlsx => &["xlsx"],
        }
    }

    fn of(bytes: &[u8]) -> Result<Self, &'static str> {
        const NO: &str = "is none of PDF, PNG, JPEG, DOCX, XLSX and plain text in UTF-8";
        match bytes {
            [] => Err("is empty"),
            [b'%', b'P', b'D', b'F', b'-', ..] => Ok(Self::Pdf),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [b'P', b'K', 3, 4, ..] => office(bytes),
            _ => {
                let text = std::str::from_utf8(bytes).map_err(|_| NO)?;
                if text.chars().any(|c| c.is_control() && !"\n\r\t\x0c".contains(c)) {
                    return Err(NO);
                }
                // What a browser could take for a page is no plain text.
                match text.trim_start_matches('\u{feff}').trim_start().starts_with('<') {
                    true => Err("is HTML, SVG or XML; keep it as PDF"),
                    false => Ok(Self::Text),
                }
            }
        }
    }
}

/// Which document of Office a ZIP file is, by the names in its directory.
fn office(bytes: &[u8]) -> Result<Media, &'static str> {
    const NO: &str = "is a ZIP file, and neither DOCX nor XLSX";
    let names = names_in_zip(bytes).ok_or(NO)?;
    let has = |name: &str| names.contains(&name.as_bytes());
    if !has("[Content_Types].xml") {
        return Err(NO);
    }
    if names.iter().any(|n| n.ends_with(b"vbaProject.bin")) {
        return Err("holds macros; keep it without them, or as PDF");
    }
    match (has("word/document.xml"), has("xl/workbook.xml")) {
        (true, false) => Ok(Media::Docx),
        (false, true) => Ok(Media::Xlsx),
        _ => Err(NO),
    }
}

/// The names in the directory of a ZIP file that ends with it; none when it is not whole.
fn names_in_zip(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    const END_LEN: usize = 22;
    let number = |at: usize, len: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(len)?)?;
        Some(field.iter().rev().fold(0, |n, b| n << 8 | usize::from(*b)))
    };
    // The end of the directory has a comment of up to 64 KiB behind it.
    let last = bytes.len().checked_sub(END_LEN)?;
    let end = (last.saturating_sub(0xffff)..=last)
        .rev()
        .find(|&at| bytes.get(at..at + 4) == Some(b"PK\x05\x06") && number(at + 20, 2) == Some(last - at))?;
    let (count, mut at) = (number(end + 10, 2)?, number(end + 16, 4)?);
    let mut names = Vec::new();
    for _ in 0..count {
        if bytes.get(at..at.checked_add(4)?)? != b"PK\x01\x02" {
            return None;
        }
        let (name, more) = (number(at + 28, 2)?, number(at + 30, 2)? + number(at + 32, 2)?);
        names.push(bytes.get(at + 46..at + 46 + name)?);
        at += 46 + name + more;
    }
    (at <= end).then_some(names)
}

/// A name without a path, without what is not seen or turns the order of what is seen, and not too long.
fn cleaned(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let shown: String = last.chars().filter(|c| !hidden(*c)).collect();
    let shown = shown.trim().trim_start_matches('.').trim();
    let chars: Vec<char> = shown.chars().collect();
    match chars.len() {
        0 => "document".to_owned(),
        n if n > NAME_MAX => {
            let (head, tail) = (chars.get(..NAME_MAX - NAME_TAIL), chars.get(n - NAME_TAIL..));
            head.into_iter().chain(tail).flatten().collect()
        }
        _ => shown.to_owned(),
    }
}

/// Whether a text is a SHA-256 in lower-case hex.
pub fn is_digest(text: &str) -> bool {
    from_hex(text).is_some()
}

/// A document that may be kept.
#[derive(Clone)]
pub struct NewPaper {
    pub(super) name: String,
    pub(super) media: Media,
    pub(super) sha256: String,
    pub(super) bytes: Bytes,
}

impl std::fmt::Debug for NewPaper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewPaper({}, {} bytes)", self.sha256, self.bytes.len())
    }
}

impl NewPaper {
    /// Looks at a document.
    ///
    /// # Errors
    /// When it is too large, of no type that is kept, or says by its name that it is of another.
    pub fn parse(name: &str, bytes: Bytes) -> Result<Self, Failure> {
        if bytes.len() > PAPER_BYTES_MAX {
            return Err(Self::too_large(name));
        }
        let mut name = cleaned(name);
        let no = |why: &str| Failure::invalid("document", format!("`{name}` {why}"));
        let media = Media::of(&bytes).map_err(no)?;
        let ending = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default();
        if let Some(said) = Media::ALL.iter().find(|m| m.endings().contains(&ending.as_str()))
            && *said != media
        {
            return Err(no(&format!("is {} by its bytes; name it as what it is", media.mime())));
        }
        if !media.endings().contains(&ending.as_str()) {
            name = format!("{name}.{}", media.endings().first().copied().unwrap_or("bin"));
        }
        Ok(Self { name, media, sha256: sha256(&[&bytes]).to_string(), bytes })
    }

    /// What is said of one that has more than [`PAPER_BYTES_MAX`] bytes, for who does not take it in.
    pub fn too_large(name: &str) -> Failure {
        Failure::invalid("document", format!("`{}` is larger than 20 MiB", cleaned(name)))
    }

    /// Its cleaned name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its bytes, lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ZIP file with empty entries, written from the format's description.
    fn zip(names: &[&str]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for name in names {
            let (at, len) = (out.len() as u32, (name.len() as u16).to_le_bytes());
            out.extend([b"PK\x03\x04".as_slice(), &[0; 22], &len, &[0; 2], name.as_bytes()].concat());
            let front = [b"PK\x01\x02".as_slice(), &[0; 24], &len, &[0; 12], &at.to_le_bytes()].concat();
            directory.extend([front.as_slice(), name.as_bytes()].concat());
        }
        let (at, len, count) = (out.len() as u32, directory.len() as u32, (names.len() as u16).to_le_bytes());
        out.extend(&directory);
        let end = [
            b"PK\x05\x06".as_slice(),
            &[0; 4],
            &count,
            &count,
            &len.to_le_bytes(),
            &at.to_le_bytes(),
            &[0; 2],
        ];
        out.extend(end.concat());
        out
    }

    fn parse(name: &str, bytes: &[u8]) -> Result<(String, Media), String> {
        NewPaper::parse(name, Bytes::copy_from_slice(bytes))
            .map(|p| (p.name, p.media))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_type_is_found_by_the_bytes_and_must_fit_the_name() {
        let docx = zip(&["[Content_Types].xml", "word/document.xml"]);
        for (name, bytes, media, called) in [
            ("a.pdf", b"%PDF-1.7\n".as_slice(), Media::Pdf, "a.pdf"),
            ("A.PDF", b"%PDF-1.7\n", Media::Pdf, "A.PDF"),
            ("scan", b"\xff\xd8\xff\xe0", Media::Jpeg, "scan.jpg"),
            ("scan.jpeg", b"\xff\xd8\xff\xe0", Media::Jpeg, "scan.jpeg"),
            ("x.png", b"\x89PNG\r\n\x1a\n", Media::Png, "x.png"),
            ("合同.txt", "甲方".as_bytes(), Media::Text, "合同.txt"),
            ("run.html", b"a < b", Media::Text, "run.html.txt"),
            ("c.docx", &docx, Media::Docx, "c.docx"),
            ("c", &zip(&["[Content_Types].xml", "xl/workbook.xml"]), Media::Xlsx, "c.xlsx"),
        ] {
            assert_eq!(parse(name, bytes), Ok((called.to_owned(), media)), "{name}");
        }
        let mut behind = docx.clone();
        behind.extend(b"more");
        for (name, bytes, said) in [
            ("a.pdf", b"".as_slice(), "empty"),
            ("a.pdf", b"<!doctype html><script>", "HTML"),
            ("a.svg", "\u{feff} \n<svg>".as_bytes(), "HTML"),
            ("a.pdf", b"hello", "text/plain"),
            ("a.docx", b"%PDF-1.7", "application/pdf"),
            ("a.exe", b"MZ\x90\0", "none of"),
            ("a.txt", b"a\0b", "none of"),
            ("a.txt", b"\xff\xfea\0", "none of"),
            ("a.zip", &zip(&["a.txt"]), "ZIP"),
            ("a.docx", &zip(&["[Content_Types].xml"]), "ZIP"),
            ("a.docx", &zip(&["[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"]), "macros"),
            ("a.docx", &docx[..docx.len() - 1], "ZIP"),
            ("a.docx", &behind, "ZIP"),
            ("a.pdf", &docx, "wordprocessing"),
        ] {
            let no = parse(name, bytes).unwrap_err();
            assert!(no.contains(said), "{name}: {no}");
        }
        let most = |n: usize| NewPaper::parse("a.txt", Bytes::from(vec![b'a'; n]));
        assert!(most(PAPER_BYTES_MAX).is_ok());
        assert!(most(PAPER_BYTES_MAX + 1).unwrap_err().to_string().contains("20 MiB"));
    }

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        for (given, called) in [
            ("../../x", "x.txt"),
            ("C:\\temp\\x.txt", "x.txt"),
            ("..", "document.txt"),
            ("", "document.txt"),
            ("a\r\nSet-Cookie: b.txt", "aSet-Cookie: b.txt"),
            ("in\u{202e}fdp.txt", "infdp.txt"),
            ("\u{200b}.htaccess", "htaccess.txt"),
        ] {
            assert_eq!(parse(given, b"t").unwrap().0, called, "{given:?}");
        }
        let long = parse(&format!("{}.csv", "长".repeat(5_000)), b"t").unwrap().0;
        assert_eq!((long.chars().count(), long.ends_with("长.csv")), (NAME_MAX, true));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(name in ".*", mut bytes in prop::collection::vec(any::<u8>(), 0..200), zipped: bool, at in 0..300usize, with: u8) {
            if zipped {
                bytes = zip(&["[Content_Types].xml", "word/document.xml"]);
                let at = at % bytes.len();
                bytes[at] = with;
            }
            if let Ok(paper) = NewPaper::parse(&name, Bytes::from(bytes)) {
                prop_assert!(!paper.name.contains(['/', '\\']) && !paper.name.chars().any(char::is_control));
                prop_assert!(paper.name.chars().count() <= NAME_MAX + 5);
            }
        }
    }
}
