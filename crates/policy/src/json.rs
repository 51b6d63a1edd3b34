//! JSON with places: each value keeps where it stands, numbers keep their digits, a member that stands twice is refused.
//!
//! serde_json would drop both places and digits. INVARIANT: nesting is bounded, so no document overflows the stack.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// Levels of nesting, at most; a policy needs seven.
const DEPTH_MAX: usize = 16;

/// Bytes of the document.
pub(crate) type Span = Range<usize>;

/// What is wrong, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) span: Span,
    pub(crate) text: String,
    pub(crate) help: Option<String>,
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node<'d> {
    pub(crate) span: Span,
    pub(crate) value: Value<'d>,
}

#[derive(Debug)]
pub(crate) enum Value<'d> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'d str),
    Text(Cow<'d, str>),
    List(Vec<Node<'d>>),
    Object(Vec<Member<'d>>),
}

#[derive(Debug)]
pub(crate) struct Member<'d> {
    pub(crate) name: Cow<'d, str>,
    pub(crate) name_span: Span,
    pub(crate) value: Node<'d>,
}

impl Fault {
    pub(crate) fn at(span: &Span, text: impl Into<String>) -> Self {
        Self { span: span.clone(), text: text.into(), help: None }
    }

    pub(crate) fn helped(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

impl Node<'_> {
    /// The opening bracket, for what is missing inside.
    pub(crate) fn opening(&self) -> Span {
        self.span.start..self.span.start + 1
    }

    /// What stands there, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) => "an object",
        }
    }
}

/// Reads one value that fills the document.
pub(crate) fn read(document: &str) -> Result<Node<'_>, Fault> {
    let mut reader = Reader { text: document, at: 0 };
    let node = reader.value(0)?;
    reader.spaces();
    if reader.at < document.len() {
        return Err(Fault::at(&reader.here(), "something follows the end of the policy"));
    }
    Ok(node)
}

struct Reader<'d> {
    text: &'d str,
    at: usize,
}

impl<'d> Reader<'d> {
    fn value(&mut self, depth: usize) -> Result<Node<'d>, Fault> {
        self.spaces();
        let start = self.at;
        if depth > DEPTH_MAX {
            return Err(Fault::at(&self.here(), format!("this is nested deeper than {DEPTH_MAX} levels")));
        }
        let value = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word()?,
            Some(_) => return Err(self.expected("a value")),
            None => return Err(self.expected("a value")),
        };
        Ok(Node { span: start..self.at, value })
    }

    fn object(&mut self, depth: usize) -> Result<Value<'d>, Fault> {
        self.at += 1;
        let mut members: Vec<Member<'d>> = Vec::new();
        self.spaces();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.spaces();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a member's name in double quotes"));
            }
            let name = self.string()?;
            let name_span = start..self.at;
            self.spaces();
            if !self.take(b':') {
                return Err(self.expected("a colon"));
            }
            let value = self.value(depth + 1)?;
            members.push(Member { name, name_span, value });
            self.spaces();
            if self.take(b'}') {
                break;
            }
            if !self.take(b',') {
                return Err(self.expected("a comma or `}`"));
            }
        }
        match twice(&members) {
            Some(again) => Err(Fault::at(
                &again.name_span,
                format!("`{}` stands there twice", crate::error::shown(&again.name)),
            )),
            None => Ok(Value::Object(members)),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value<'d>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        self.spaces();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.spaces();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return Err(self.expected("a comma or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'d, str>, Fault> {
        let open = self.at;
        self.at += 1;
        let mut from = self.at;
        let mut built: Option<String> = None;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let tail = self.text.get(from..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(match built {
                        None => Cow::Borrowed(tail),
                        Some(mut text) => {
                            text.push_str(tail);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = built.get_or_insert_default();
                    text.push_str(self.text.get(from..self.at).unwrap_or_default());
                    text.push(self.escape()?);
                    from = self.at;
                }
                Some(0..=0x1f) => {
                    return Err(Fault::at(
                        &self.here(),
                        "a text holds a control character; write it as an escape",
                    ));
                }
                Some(_) => self.at += 1,
                None => return Err(Fault::at(&(open..open + 1), "the text that begins here does not end")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let start = self.at;
        let wrong = |end: usize| Fault::at(&(start..end), "this is no escape of JSON");
        self.at += 1;
        let byte = self.peek();
        self.at += 1;
        Ok(match byte {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.hex().ok_or_else(|| wrong(start + 2))?;
                let code = if (0xd800..0xdc00).contains(&first) {
                    let second = if self.take(b'\\') && self.take(b'u') { self.hex() } else { None };
                    let second =
                        second.filter(|s| (0xdc00..0xe000).contains(s)).ok_or_else(|| wrong(start + 6))?;
                    0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| wrong(start + 6))?
            }
            _ => return Err(wrong(start + 1)),
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Result<Value<'d>, Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if is_number(text) {
            Ok(Value::Number(text))
        } else {
            Err(Fault::at(
                &(start..self.at),
                format!("`{}` is not a number of JSON", crate::error::shown(text)),
            ))
        }
    }

    fn word(&mut self) -> Result<Value<'d>, Fault> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric()) {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        match word {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            other => Err(Fault::at(
                &(start..self.at),
                format!("`{}` is not JSON; a text stands in double quotes", crate::error::shown(other)),
            )),
        }
    }

    fn expected(&self, what: &str) -> Fault {
        let text = match self.text.get(self.at..).and_then(|t| t.chars().next()) {
            Some(c) => format!("`{}` stands where {what} was expected", crate::error::shown(&c.to_string())),
            None => format!("the document ends where {what} was expected"),
        };
        Fault::at(&self.here(), text)
    }

    fn here(&self) -> Span {
        let width = self.text.get(self.at..).and_then(|t| t.chars().next()).map_or(0, char::len_utf8);
        self.at..self.at + width
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}

fn twice<'m, 'd>(members: &'m [Member<'d>]) -> Option<&'m Member<'d>> {
    if members.len() <= 8 {
        return members
            .iter()
            .enumerate()
            .find(|(i, m)| members.iter().take(*i).any(|o| o.name == m.name))
            .map(|(_, m)| m);
    }
    let mut seen = HashSet::with_capacity(members.len());
    members.iter().find(|m| !seen.insert(m.name.as_ref()))
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(text: &str) -> bool {
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((w, f)) => (w, Some(f)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(node: &Node<'_>) -> serde_json::Value {
        match &node.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Number(n) => serde_json::from_str(n).unwrap(),
            Value::Text(t) => t.as_ref().into(),
            Value::List(items) => items.iter().map(plain).collect(),
            Value::Object(members) => members
                .iter()
                .map(|m| (m.name.to_string(), plain(&m.value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    proptest! {
        #[test]
        fn it_reads_what_serde_json_reads(text in r#"[\[\]{}",:01a.e\\u\-tfn \n]{0,24}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            match (read(&text), theirs) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(plain(&ours), theirs),
                (Err(e), Ok(_)) => prop_assert!(e.text.contains("twice") || e.text.contains("deeper"), "{}: {}", text, e.text),
                // Numbers that serde_json's own types cannot hold are read here, and refused later.
                (Ok(_), Err(e)) => prop_assert!(e.to_string().contains("out of range"), "{text}: {e}"),
                (Err(_), Err(_)) => {}
            }
        }

        #[test]
        fn what_was_written_as_json_is_read_again(texts in proptest::collection::vec(".{0,12}", 0..6)) {
            let written = serde_json::to_string(&texts).unwrap();
            prop_assert_eq!(plain(&read(&written).unwrap()), serde_json::json!(texts));
        }

        #[test]
        fn any_text_has_a_place_inside_it(text in "\\PC{0,80}") {
            if let Err(e) = read(&text) {
                prop_assert!(e.span.start <= text.len());
            }
        }
    }
}
