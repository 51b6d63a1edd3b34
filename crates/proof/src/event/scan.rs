//! The scanner: one pass over the text, recursion bounded by the depth limit.

use std::borrow::Cow;

use super::{EVENT_DEPTH_MAX, EventError, EventView, NUMBER_BYTES_MAX};

/// Objects with at most this many names are checked pair by pair, larger ones by sorting.
const PAIRWISE_MAX: usize = 16;

/// Reads the text as one object.
pub(super) fn object(text: &str) -> Result<EventView<'_>, EventError> {
    let mut scanner = Scanner::new(text);
    scanner.space();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.wanted("an object"));
    }
    scanner.object(1)?;
    scanner.space();
    if scanner.at != text.len() {
        return Err(scanner.wanted("nothing after the event"));
    }
    Ok(scanner.view)
}

/// The members of one object, which a whole event that was read holds: name and value, the value as it stands.
pub(super) fn members(json: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut scanner = Scanner::new(json);
    let mut found = Vec::new();
    scanner.expect(b'{', "an object").ok()?;
    scanner.space();
    while scanner.peek()? != b'}' {
        let name = scanner.string().ok()?;
        scanner.space();
        scanner.expect(b':', "a colon").ok()?;
        found.push((name, scanner.kept()?));
    }
    (scanner.at + 1 == json.len()).then_some(found)
}

/// The elements of one array, which a whole event that was read holds.
pub(super) fn elements(json: &str) -> Option<Vec<&str>> {
    let mut scanner = Scanner::new(json);
    let mut found = Vec::new();
    scanner.expect(b'[', "an array").ok()?;
    scanner.space();
    while scanner.peek()? != b']' {
        found.push(scanner.kept()?);
    }
    (scanner.at + 1 == json.len()).then_some(found)
}

/// What a JSON string says.
pub(super) fn text(json: &str) -> Option<Cow<'_, str>> {
    let mut scanner = Scanner::new(json);
    let text = scanner.string().ok()?;
    (scanner.at == json.len()).then_some(text)
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\n' => json.push_str("\\n"),
            c if u32::from(c) < 0x20 => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The names of the objects that are open, outermost first.
    names: Vec<Name<'a>>,
    view: EventView<'a>,
    /// Which member of the event is being read.
    inside: Inside,
}

#[derive(Clone, Copy)]
enum Inside {
    Platform,
    Management,
    Other,
}

struct Name<'a> {
    /// Equal for equal names, almost always different for different ones.
    key: u64,
    at: usize,
    text: Cow<'a, str>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Scanner {
            text,
            at: 0,
            names: Vec::with_capacity(16),
            view: EventView::default(),
            inside: Inside::Other,
        }
    }

    /// One value and the comma after it, if there is one; it is followed by another value or the end.
    fn kept(&mut self) -> Option<&'a str> {
        self.space();
        let begin = self.at;
        self.value(1).ok()?;
        let value = self.text.get(begin..self.at);
        self.space();
        self.skip_if(|b| b == b',');
        self.space();
        value
    }

    fn object(&mut self, depth: usize) -> Result<(), EventError> {
        self.enter(depth)?;
        let first = self.names.len();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let at = self.at;
            let text = self.string()?;
            self.space();
            self.expect(b':', "a colon")?;
            self.space();
            let begin = self.at;
            if depth == 1 {
                self.inside = match &*text {
                    "platform" => Inside::Platform,
                    "management" => Inside::Management,
                    _ => Inside::Other,
                };
            }
            self.value(depth)?;
            match depth {
                1 => self.keep(&text, begin),
                2 => self.keep_inner(&text, begin),
                _ => {}
            }
            self.names.push(Name { key: key(text.as_bytes()), at, text });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wanted("a comma or the end of the object")),
            }
            self.space();
        }
        self.at += 1;
        let names = self.names.get_mut(first..).unwrap_or_default();
        let twice = duplicate(names);
        self.names.truncate(first);
        twice.map_or(Ok(()), Err)
    }

    fn array(&mut self, depth: usize) -> Result<(), EventError> {
        self.enter(depth)?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.wanted("a comma or the end of the array")),
            }
            self.space();
        }
        self.at += 1;
        Ok(())
    }

    fn enter(&mut self, depth: usize) -> Result<(), EventError> {
        if depth > EVENT_DEPTH_MAX {
            return Err(EventError::TooDeep { at: self.at });
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), EventError> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.wanted("a value")),
        }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), EventError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wanted(word));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), EventError> {
        let begin = self.at;
        self.skip_if(|b| b == b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.wanted("a digit")),
        }
        if self.skip_if(|b| b == b'.') {
            self.digits()?;
        }
        let exponent = self.skip_if(|b| b == b'e' || b == b'E');
        if exponent {
            self.skip_if(|b| b == b'+' || b == b'-');
            self.digits()?;
        }
        let number = self.text.get(begin..self.at).unwrap_or_default();
        if number.len() > NUMBER_BYTES_MAX {
            return Err(EventError::Syntax { at: begin, wanted: "a number of at most 64 characters" });
        }
        // Without an exponent 64 digits always fit.
        if exponent && !number.parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(EventError::Syntax { at: begin, wanted: "a number that a double can hold" });
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), EventError> {
        let count = self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.wanted("a digit"));
        }
        self.at += count;
        Ok(())
    }

    /// Reads a string whose text nobody wants.
    fn skip_string(&mut self) -> Result<(), EventError> {
        self.at += 1;
        loop {
            self.at += plain_run(self.rest());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => return Err(self.wanted("no control character in a string")),
                None => return Err(self.wanted("the end of the string")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string and decodes it if it has escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, EventError> {
        self.expect(b'"', "a string")?;
        let begin = self.at;
        let mut decoded: Option<String> = None;
        loop {
            let run = self.at;
            self.at += plain_run(self.rest());
            let plain = self.text.get(run..self.at).unwrap_or_default();
            if let Some(decoded) = &mut decoded {
                decoded.push_str(plain);
            }
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let sofar = decoded.get_or_insert_with(|| plain.to_owned());
                    self.at += 1;
                    let character = self.escape()?;
                    sofar.push(character);
                }
                Some(_) => return Err(self.wanted("no control character in a string")),
                None => return Err(self.wanted("the end of the string")),
            }
        }
        let end = self.at;
        self.at += 1;
        let raw = self.text.get(begin..end).unwrap_or_default();
        Ok(decoded.map_or(Cow::Borrowed(raw), Cow::Owned))
    }

    fn escape(&mut self) -> Result<char, EventError> {
        let begin = self.at;
        let character = match self.peek() {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(begin),
            _ => return Err(self.wanted("an escape")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode(&mut self, begin: usize) -> Result<char, EventError> {
        let whole = EventError::Syntax { at: begin, wanted: "a whole surrogate pair" };
        let first = self.four_digits()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.rest().starts_with(b"\\u") {
                    return Err(whole);
                }
                self.at += 1;
                let second = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(whole);
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or(whole)
    }

    /// The four hex digits after the `u` at which the scanner stands.
    fn four_digits(&mut self) -> Result<u32, EventError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|b| char::from(b).to_digit(16));
            code = code << 4 | digit.ok_or_else(|| self.wanted("four hex digits"))?;
            self.at += 1;
        }
        Ok(code)
    }

    fn keep(&mut self, name: &str, begin: usize) {
        let place = match name {
            "record" => &mut self.view.record,
            "index" => &mut self.view.index,
            "timeMs" => &mut self.view.time_ms,
            "tenant" => &mut self.view.tenant,
            "intent" => &mut self.view.intent,
            "result" => &mut self.view.result,
            "eventName" => &mut self.view.event_name,
            "resource" => &mut self.view.resource,
            "grant" => &mut self.view.grant,
            "continues" => &mut self.view.continues,
            "platform" => &mut self.view.platform,
            "management" => &mut self.view.management,
            "detail" => &mut self.view.detail,
            "erasure" => &mut self.view.erasure,
            "rotation" => &mut self.view.rotation,
            "policy" => &mut self.view.policy,
            "heartbeat" => &mut self.view.heartbeat,
            "finding" => &mut self.view.finding,
            _ => return,
        };
        *place = self.text.get(begin..self.at);
    }

    fn keep_inner(&mut self, name: &str, begin: usize) {
        let place = match (self.inside, name) {
            (Inside::Platform, "EventID") | (Inside::Management, "eventId") => &mut self.view.event_id,
            (Inside::Platform, "EventType") => &mut self.view.event_type,
            (Inside::Platform, "EventLevel") => &mut self.view.event_level,
            (Inside::Platform, "EmployeeID") => &mut self.view.employee,
            _ => return,
        };
        *place = self.text.get(begin..self.at);
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, wanted: &'static str) -> Result<(), EventError> {
        if self.skip_if(|b| b == byte) { Ok(()) } else { Err(self.wanted(wanted)) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn wanted(&self, wanted: &'static str) -> EventError {
        EventError::Syntax { at: self.at, wanted }
    }
}

/// Length of the run without quotation mark, backslash and control character, eight bytes at a time.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The lowest bit set marks the first byte that is zero ("Bit Twiddling Hacks", haszero); bits above it may be wrong.
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
    let below_space = |x: u64| x.wrapping_sub(ONES * 0x20) & !x & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let x = u64::from_le_bytes(*word);
        let special = zeros(x ^ (ONES * 0x22)) | zeros(x ^ (ONES * 0x5c)) | below_space(x);
        if special != 0 {
            return number * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let special = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f));
    words.len() * 8 + special.unwrap_or(rest.len())
}

fn key(name: &[u8]) -> u64 {
    let short = |bytes: &[u8]| bytes.iter().fold(0u64, |key, b| key << 8 | u64::from(*b));
    match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            let ends = u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29);
            ends ^ (name.len() as u64).rotate_right(12)
        }
        _ => short(name),
    }
}

fn duplicate(names: &mut [Name<'_>]) -> Option<EventError> {
    let twice = |a: &Name<'_>, b: &Name<'_>| {
        (a.key == b.key && a.text == b.text).then(|| EventError::DuplicateName {
            at: a.at.max(b.at),
            name: a.text.chars().take(80).collect(),
        })
    };
    if names.len() > PAIRWISE_MAX {
        names.sort_unstable_by(|a, b| a.key.cmp(&b.key).then_with(|| a.text.cmp(&b.text)));
        return names.windows(2).find_map(|pair| match pair {
            [a, b] => twice(a, b),
            _ => None,
        });
    }
    let mut rest: &[Name<'_>] = names;
    while let Some((last, before)) = rest.split_last() {
        if let Some(error) = before.iter().find_map(|name| twice(name, last)) {
            return Some(error);
        }
        rest = before;
    }
    None
}
