//! The scanner: one pass over the text, recursion bounded by the depth limit.

use std::borrow::Cow;

use super::{EVENT_DEPTH_MAX, EventError, EventView, NUMBER_BYTES_MAX};

/// Objects with at most this many names are checked pair by pair, larger ones by sorting.
const PAIRWISE_MAX: usize = 16;

/// Reads the text as one object.
pub(super) fn object(text: &str) -> Result<EventView<'_>, EventError> {
    let mut scanner = Scanner::new(text);
    scanner.whole().map_err(|e| *e)?;
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

/// An error is rare and large: in a box a result fits a register.
type Read<T> = Result<T, Box<EventError>>;

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The names of the objects that are open, outermost first.
    names: Vec<Name>,
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

struct Name {
    /// Equal for equal names, almost always different for different ones.
    key: u64,
    /// Of its first quotation mark.
    at: usize,
    /// Of its last one.
    end: usize,
    escaped: bool,
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

    fn whole(&mut self) -> Read<()> {
        self.space();
        if self.peek() != Some(b'{') {
            return Err(self.wanted("an object"));
        }
        self.object(1)?;
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.wanted("nothing after the event")) }
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

    fn object(&mut self, depth: usize) -> Read<()> {
        self.enter(depth)?;
        let first = self.names.len();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let name = self.name()?;
            self.space();
            self.expect(b':', "a colon")?;
            self.space();
            let begin = self.at;
            if depth <= 2 {
                let text = self.text_of(&name);
                if depth == 1 {
                    self.inside = match &*text {
                        "platform" => Inside::Platform,
                        "management" => Inside::Management,
                        _ => Inside::Other,
                    };
                }
                self.value(depth)?;
                if depth == 1 { self.keep(&text, begin) } else { self.keep_inner(&text, begin) }
            } else {
                self.value(depth)?;
            }
            self.names.push(name);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.wanted("a comma or the end of the object")),
            }
            self.space();
        }
        self.at += 1;
        let twice = self.duplicate(first);
        self.names.truncate(first);
        twice.map_or(Ok(()), |e| Err(Box::new(e)))
    }

    /// Reads the name of a member: a string, of which only a number is made when it has no escapes.
    fn name(&mut self) -> Read<Name> {
        let at = self.at;
        self.expect(b'"', "a string")?;
        let run = plain_run(self.rest());
        let plain = self.rest().get(..run).unwrap_or_default();
        if self.rest().get(run) == Some(&b'"') {
            self.at += run + 1;
            return Ok(Name { key: key(plain), at, end: at + run + 1, escaped: false });
        }
        self.at = at;
        let text = self.string()?;
        Ok(Name { key: key(text.as_bytes()), at, end: self.at - 1, escaped: true })
    }

    /// What a name that was read says.
    fn text_of(&self, name: &Name) -> Cow<'a, str> {
        let raw = self.text.get(name.at + 1..name.end).unwrap_or_default();
        if !name.escaped {
            return Cow::Borrowed(raw);
        }
        let quoted = self.text.get(name.at..=name.end).unwrap_or_default();
        text(quoted).unwrap_or(Cow::Borrowed(raw))
    }

    /// The second of two equal names of the object whose names begin at `first`.
    fn duplicate(&mut self, first: usize) -> Option<EventError> {
        let names = self.names.get(first..).unwrap_or_default();
        if names.len() > PAIRWISE_MAX {
            let mut order: Vec<&Name> = names.iter().collect();
            order.sort_unstable_by_key(|name| name.key);
            // Names with one key stand together; almost always it is one name.
            return order.chunk_by(|a, b| a.key == b.key).find_map(|equal| self.twice(equal.iter().copied()));
        }
        let any = |n: usize| {
            let (before, name) = (names.get(..n)?, names.get(n)?);
            before.iter().any(|b| b.key == name.key).then_some(())
        };
        (1..names.len()).find_map(any)?;
        self.twice(names.iter())
    }

    fn twice<'n>(&self, names: impl Iterator<Item = &'n Name>) -> Option<EventError> {
        let mut seen = std::collections::BTreeMap::new();
        let mut twice: Option<EventError> = None;
        for name in names {
            let text = self.text_of(name);
            if let Some(at) = seen.insert(text.clone(), name.at) {
                twice.get_or_insert(EventError::DuplicateName {
                    at: name.at.max(at),
                    name: text.chars().take(80).collect(),
                });
            }
        }
        twice
    }

    fn array(&mut self, depth: usize) -> Read<()> {
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

    fn enter(&mut self, depth: usize) -> Read<()> {
        if depth > EVENT_DEPTH_MAX {
            return Err(Box::new(EventError::TooDeep { at: self.at }));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Read<()> {
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

    fn literal(&mut self, word: &'static str) -> Read<()> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.wanted(word));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Read<()> {
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
            let wanted = "a number of at most 64 characters";
            return Err(Box::new(EventError::Syntax { at: begin, wanted }));
        }
        // Without an exponent 64 digits always fit.
        if exponent && !number.parse::<f64>().is_ok_and(f64::is_finite) {
            let wanted = "a number that a double can hold";
            return Err(Box::new(EventError::Syntax { at: begin, wanted }));
        }
        Ok(())
    }

    fn digits(&mut self) -> Read<()> {
        let count = self.rest().iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.wanted("a digit"));
        }
        self.at += count;
        Ok(())
    }

    /// Reads a string whose text nobody wants.
    fn skip_string(&mut self) -> Read<()> {
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
    fn string(&mut self) -> Read<Cow<'a, str>> {
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

    fn escape(&mut self) -> Read<char> {
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

    fn unicode(&mut self, begin: usize) -> Read<char> {
        let whole = || Box::new(EventError::Syntax { at: begin, wanted: "a whole surrogate pair" });
        let first = self.four_digits()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.rest().starts_with(b"\\u") {
                    return Err(whole());
                }
                self.at += 1;
                let second = self.four_digits()?;
                if !(0xdc00..=0xdfff).contains(&second) {
                    return Err(whole());
                }
                0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(whole)
    }

    /// The four hex digits after the `u` at which the scanner stands.
    fn four_digits(&mut self) -> Read<u32> {
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
            "glass" => &mut self.view.glass,
            "platform" => &mut self.view.platform,
            "management" => &mut self.view.management,
            "detail" => &mut self.view.detail,
            "erasure" => &mut self.view.erasure,
            "rotation" => &mut self.view.rotation,
            "policy" => &mut self.view.policy,
            "heartbeat" => &mut self.view.heartbeat,
            "collected" => &mut self.view.collected,
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
        // Events are written without any.
        while let Some(byte) = self.peek()
            && byte <= b' '
            && matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
        {
            self.at += 1;
        }
    }

    fn skip_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, wanted: &'static str) -> Read<()> {
        if self.skip_if(|b| b == byte) { Ok(()) } else { Err(self.wanted(wanted)) }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn wanted(&self, wanted: &'static str) -> Box<EventError> {
        Box::new(EventError::Syntax { at: self.at, wanted })
    }
}

/// Length of the run without quotation mark, backslash and control character.
fn plain_run(bytes: &[u8]) -> usize {
    // Most strings end in their first words.
    let (words, _) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().take(WORDS_FIRST).enumerate() {
        if let Some(at) = first_special(*word) {
            return number * 8 + at;
        }
    }
    let mut at = words.len().min(WORDS_FIRST) * 8;
    // Long ones are looked at in blocks, which the compiler does with wide registers.
    let (blocks, _) = bytes.get(at..).unwrap_or_default().as_chunks::<BLOCK>();
    let plain = |block: &[u8; BLOCK]| block.iter().fold(0, |any, b| any | u8::from(is_special(*b))) == 0;
    at += blocks.iter().take_while(|block| plain(block)).count() * BLOCK;
    let rest = bytes.get(at..).unwrap_or_default();
    let (words, tail) = rest.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        if let Some(found) = first_special(*word) {
            return at + number * 8 + found;
        }
    }
    let special = tail.iter().position(|b| is_special(*b));
    at + words.len() * 8 + special.unwrap_or(tail.len())
}

/// Words of a string that are looked at one by one.
const WORDS_FIRST: usize = 4;
/// Bytes of a block.
const BLOCK: usize = 32;

fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The first special byte of eight.
fn first_special(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The lowest bit set marks the first byte that is zero ("Bit Twiddling Hacks", haszero); bits above it may be wrong.
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & HIGHS;
    let below_space = |x: u64| x.wrapping_sub(ONES * 0x20) & !x & HIGHS;
    let x = u64::from_le_bytes(word);
    let special = zeros(x ^ (ONES * 0x22)) | zeros(x ^ (ONES * 0x5c)) | below_space(x);
    (special != 0).then(|| (special.trailing_zeros() / 8) as usize)
}

fn key(name: &[u8]) -> u64 {
    let length = (name.len() as u64).rotate_right(12);
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29) ^ length;
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return (u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))) ^ length;
    }
    name.iter().fold(0, |key, b| key << 8 | u64::from(*b))
}
