//! What of a recording is covered, and where.
//!
//! Text is looked at as it passed, across the borders of frames, and as a person reads it: without control sequences, and with what a
//! line editor took back taken back. Frames of WebSockets and messages of PostgreSQL are opened first.
//! INVARIANT: how text is cut into frames changes nothing of what is covered.
//! INVARIANT: what is covered keeps its length, its place and its time; control sequences stay as they are.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

use super::super::recording::{RecordedFrame, Side};
use super::{Builtin, Masks, PATTERN_MAX};
use crate::Failure;

/// Bytes of text that are looked at together, besides what is at both ends of it.
const WINDOW: usize = 256 * 1024;
/// The longest secret that is found for sure.
const REACH: usize = 16 * 1024;
/// Bytes of a line of the target that is looked at for a prompt.
const PROMPT_MAX: usize = 256;
/// Bytes that a compiled pattern of a tenant takes at most.
const COMPILED_MAX: usize = 512 * 1024;
const COVER: u8 = b'*';

const ACCESS_KEYS: &[&str] = &[
    r"(?-u)(?:LTAI|STS\.|TMP\.|GRT\.)[A-Za-z0-9]{12,128}",
    r"(?-u)(?:AKIA|ASIA)[A-Z0-9]{16}",
    r#"(?i-u)(?:access[ _-]?key[ _-]?(?:secret|id)|secret[ _-]?(?:access[ _-]?)?key)[^A-Za-z0-9\n]{1,8}([A-Za-z0-9/+=._-]{8,256})"#,
];
/// A secret of an AccessKey that stands alone: see [`is_secret`].
const SECRETS: &str = r"(?-u)[A-Za-z0-9/+]{30,}";
const PASSWORDS: &[&str] = &[
    r"(?is-u)(?:password|identified\s{1,9}by(?:\s{1,9}password)?)\s{0,9}[=:]?\s{0,9}(?:e|n|u&)?'((?:[^'\\]|''|\\.){0,512})",
    r"(?is-u)(?:password|identified\s{1,9}by)\s{1,9}\$\w{0,16}\$(.{0,512}?)(?:\$|\z)",
    r#"(?i-u)(?:password|passwd|passphrase|pwd|secret|口令|密码)[\\"']{0,4}\s{0,9}(?:[=:]|：)\s{0,9}\\{0,3}(?:"((?:[^"\\\n]|\\.){0,512})|'([^'\n]{0,512})|([^\s"'&,;\\]{1,512}))"#,
    r"(?i-u)(?:^|\s)--?(?:password|passwd|pass|pwd|passphrase)\s{1,9}([^\s-]\S{0,511})",
    r"(?-u)(?:mysql\w{0,9}|mariadb|sshpass)[ \t](?:[^\n]{0,255}[ \t])?-p[ \t]{0,1}([^\s-]\S{0,255})",
    r#"(?-u)curl[ \t](?:[^\n]{0,511}[ \t])?(?:-u|--user)[ =]?["']?[^\s:"']{1,64}:([^\s"']{1,255})"#,
    r"(?-u)://[^\s/:@]{0,64}:([^\s/@]{1,255})@",
];
/// What a target shows before somebody types what nobody is to see.
const PROMPT: &str =
    r"(?i)(?:password|passphrase|passcode|verification code|口令|密码|验证码)[^\n]{0,80}[:：>?]\s*$";
const PRIVATE_KEYS: &[&str] =
    &[r#"(?-u)-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----((?:[A-Za-z0-9+/=\s\\,:>"]|-[A-Za-z0-9])+)"#];
const TOKENS: &[&str] = &[
    r#"(?i-u)(?:authorization|x-auth-token|x-api-key|api[_-]?key|(?:security|access|refresh|id|session|auth)[_-]?token)[\\"']{0,4}\s{0,4}[=:]\s{0,4}[\\"']{0,4}(?:(?:bearer|basic|token)\s{1,4})?([A-Za-z0-9._~+/=%-]{8,})"#,
    r"(?i-u)(?:bearer|basic)\s{1,4}([A-Za-z0-9._~+/=-]{8,})",
    r"(?-u)eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?",
    r"(?-u)gh[pousr]_[A-Za-z0-9]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}",
];
/// Numbers, whole or in groups; which are meant says [`numbers`].
const DIGITS: &str = r"(?-u)\+?[0-9](?:[ -]?[0-9]){9,}[Xx]?";

/// Masks that are ready to be laid on.
pub(in crate::broker) struct Cover {
    patterns: Vec<Regex>,
    secrets: Option<Regex>,
    prompt: Option<Regex>,
    digits: Option<Regex>,
    numbers: Vec<Builtin>,
}

fn own(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build()
}

impl Cover {
    pub(in crate::broker) fn new(masks: &Masks) -> Result<Self, Failure> {
        let ours = |p: &str| Regex::new(p).map_err(|e| Failure::Bug(format!("a mask of ours: {e}")));
        let has = |b| masks.builtin.contains(&b);
        let mut patterns = Vec::new();
        for (builtin, list) in [
            (Builtin::AccessKeys, ACCESS_KEYS),
            (Builtin::Passwords, PASSWORDS),
            (Builtin::PrivateKeys, PRIVATE_KEYS),
            (Builtin::Tokens, TOKENS),
        ] {
            for pattern in list.iter().filter(|_| has(builtin)) {
                patterns.push(ours(pattern)?);
            }
        }
        for mask in &masks.own {
            let wrong = |why: String| Failure::invalid("masks", format!("`{}` {why}", mask.name));
            if mask.pattern.chars().count() > PATTERN_MAX {
                return Err(wrong(format!("must have at most {PATTERN_MAX} characters")));
            }
            let pattern = own(&mask.pattern).map_err(|e| match e {
                regex::Error::CompiledTooBig(_) => wrong("is too large: repeat less".into()),
                // The last line says why; those before point into the pattern.
                e => wrong(format!(
                    "is no regular expression: {}",
                    e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ")
                )),
            })?;
            patterns.push(pattern);
        }
        let numbers: Vec<_> =
            [Builtin::NationalIds, Builtin::Phones, Builtin::Cards].into_iter().filter(|b| has(*b)).collect();
        Ok(Self {
            patterns,
            secrets: has(Builtin::AccessKeys).then(|| ours(SECRETS)).transpose()?,
            prompt: has(Builtin::Passwords).then(|| ours(PROMPT)).transpose()?,
            digits: (!numbers.is_empty()).then(|| ours(DIGITS)).transpose()?,
            numbers,
        })
    }

    /// Covers what the masks name in the frames of one session; answers how many bytes that are.
    pub(in crate::broker) fn lay(&self, frames: &mut [RecordedFrame], is_database: bool) -> u64 {
        let mut channels: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (n, frame) in frames.iter().enumerate() {
            channels.entry(frame.channel).or_default().push(n);
        }
        channels.values().map(|of| self.channel(frames, of, is_database)).sum()
    }

    fn channel(&self, frames: &mut [RecordedFrame], of: &[usize], is_database: bool) -> u64 {
        let is_socket = of.iter().filter_map(|n| frames.get(*n)).any(turns_to_socket);
        let mut streams = [Side::Client, Side::Target].map(|side| {
            let mut s = Stream { side, ..Stream::default() };
            for frame in of.iter().filter_map(|n| frames.get(*n)).filter(|f| f.side == side) {
                s.plain.extend_from_slice(&frame.bytes);
            }
            s.marks = vec![false; s.plain.len()];
            if is_socket {
                open_socket(&mut s.plain);
            }
            self.find(&s.plain, side, &mut s.marks);
            if is_database {
                // As it passed and without the heads of messages, should they not be where they are thought to be.
                let mut opened = s.plain.clone();
                open_messages(&mut opened);
                self.find(&opened, side, &mut s.marks);
            }
            s
        });
        if !is_database {
            self.find_typed(frames, of, &mut streams);
        }
        let mut covered = 0;
        for frame in of {
            let Some(frame) = frames.get_mut(*frame) else { continue };
            if frame.side == Side::Note {
                covered += self.note(frame);
            } else if let Some(s) = streams.iter_mut().find(|s| s.side == frame.side) {
                covered += s.lay(frame);
            }
        }
        covered
    }

    /// Marks what is typed at a prompt for a password, which no terminal shows.
    fn find_typed(&self, frames: &[RecordedFrame], of: &[usize], streams: &mut [Stream; 2]) {
        let Some(prompt) = &self.prompt else { return };
        let [client, target] = streams;
        // What was shown before the last line ended asks for nothing any more.
        let (mut typed_at, mut shown_at, mut answered, mut secret) = (0, 0, 0, false);
        for frame in of.iter().filter_map(|n| frames.get(*n)) {
            match frame.side {
                Side::Note => {}
                Side::Target => shown_at += frame.bytes.len(),
                Side::Client => {
                    let end = typed_at + frame.bytes.len();
                    let from = shown_at.saturating_sub(PROMPT_MAX).max(answered);
                    let shown = Shown::of(target.plain.get(from..shown_at).unwrap_or_default(), Side::Target);
                    secret |= prompt.is_match(&shown.text);
                    for at in typed_at..end {
                        match (client.plain.get(at), client.marks.get_mut(at)) {
                            // The end of the line, of the input, or of what asked.
                            (Some(b'\r' | b'\n' | 3 | 4), _) => (secret, answered) = (false, shown_at),
                            (Some(byte), Some(mark)) if secret => *mark = !byte.is_ascii_control(),
                            _ => {}
                        }
                    }
                    typed_at = end;
                }
            }
        }
    }

    /// Marks what the patterns match in one direction of a channel.
    fn find(&self, plain: &[u8], side: Side, marks: &mut [bool]) {
        for start in (0..plain.len()).step_by(WINDOW) {
            let from = start.saturating_sub(REACH);
            let to = plain.len().min(start + WINDOW + REACH);
            let (Some(window), Some(marks)) = (plain.get(from..to), marks.get_mut(from..to)) else { return };
            let shown = Shown::of(window, side);
            let mut mark = |raw: Range<usize>| {
                for at in raw {
                    if let (Some(true), Some(mark)) = (shown.draws.get(at), marks.get_mut(at)) {
                        *mark = true;
                    }
                }
            };
            self.matches(window, &mut mark);
            if shown.text.len() < window.len() {
                self.matches(&shown.text, &mut |m| {
                    let last = m.end.checked_sub(1).and_then(|end| shown.places.get(end));
                    if let (Some(first), Some(last)) = (shown.places.get(m.start), last) {
                        mark(*first..last + 1);
                    }
                });
            }
        }
    }

    fn matches(&self, text: &[u8], found: &mut impl FnMut(Range<usize>)) {
        for pattern in &self.patterns {
            if pattern.captures_len() == 1 {
                pattern.find_iter(text).for_each(|m| found(m.range()));
                continue;
            }
            for captures in pattern.captures_iter(text) {
                let part = captures.iter().skip(1).flatten().next();
                if let Some(m) = part.or_else(|| captures.get(0)) {
                    found(m.range());
                }
            }
        }
        for m in self.secrets.iter().flat_map(|p| p.find_iter(text)) {
            if is_secret(m.as_bytes()) {
                found(m.range());
            }
        }
        for m in self.digits.iter().flat_map(|p| p.find_iter(text)) {
            numbers(m.as_bytes(), &self.numbers, |at| found(m.start() + at.start..m.start() + at.end));
        }
    }

    /// Covers texts in a note.
    fn note(&self, frame: &mut RecordedFrame) -> u64 {
        match serde_json::from_slice::<Value>(&frame.bytes) {
            Ok(mut note) => {
                let covered = self.value(&mut note);
                if covered > 0 {
                    frame.bytes = note.to_string().into_bytes();
                }
                covered
            }
            Err(_) => self.text(&mut frame.bytes),
        }
    }

    fn value(&self, value: &mut Value) -> u64 {
        match value {
            Value::String(text) => {
                let mut bytes = std::mem::take(text).into_bytes();
                let covered = self.text(&mut bytes);
                *text = String::from_utf8_lossy(&bytes).into_owned();
                covered
            }
            Value::Array(all) => all.iter_mut().map(|v| self.value(v)).sum(),
            Value::Object(all) => all
                .iter_mut()
                .map(|(name, v)| match v.as_str().map(hex::decode) {
                    // Values of parameters that came in binary.
                    Some(Ok(mut bytes)) if name == "hex" => {
                        let covered = self.text(&mut bytes);
                        *v = hex::encode(bytes).into();
                        covered
                    }
                    _ => self.value(v),
                })
                .sum(),
            _ => 0,
        }
    }

    fn text(&self, bytes: &mut [u8]) -> u64 {
        let mut marks = vec![false; bytes.len()];
        self.find(bytes, Side::Note, &mut marks);
        let mut covered = 0;
        for (byte, _) in bytes.iter_mut().zip(&marks).filter(|(_, mark)| **mark) {
            *byte = COVER;
            covered += 1;
        }
        covered
    }
}

/// One direction of a channel.
struct Stream {
    side: Side,
    plain: Vec<u8>,
    marks: Vec<bool>,
    /// Where the next frame begins.
    at: usize,
}

impl Default for Stream {
    fn default() -> Self {
        Self { side: Side::Note, plain: Vec::new(), marks: Vec::new(), at: 0 }
    }
}

impl Stream {
    /// Covers the next frame of this direction.
    fn lay(&mut self, frame: &mut RecordedFrame) -> u64 {
        let mut covered = 0;
        for byte in &mut frame.bytes {
            if let (Some(true), Some(plain)) = (self.marks.get(self.at), self.plain.get(self.at)) {
                // A client's WebSocket frames are scrambled by a key; so is what covers it.
                *byte ^= plain ^ COVER;
                covered += 1;
            }
            self.at += 1;
        }
        covered
    }
}

/// What a person reads of a piece of text.
struct Shown {
    text: Vec<u8>,
    /// Where each byte of it stands.
    places: Vec<usize>,
    /// Which bytes of the piece draw something, or did before they were taken back.
    draws: Vec<bool>,
}

impl Shown {
    fn of(bytes: &[u8], side: Side) -> Self {
        let mut shown = Self { text: Vec::new(), places: Vec::new(), draws: vec![false; bytes.len()] };
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let rest = bytes.get(at + 1..).unwrap_or_default();
            match byte {
                0x1b => at += sequence(rest),
                // What a line editor takes back.
                0x08 | 0x7f => {
                    if shown.text.last().is_some_and(|last| *last != b'\n') {
                        shown.take_back();
                    }
                }
                b'\r' if side == Side::Client => shown.draw(at, b'\n', false),
                // Where a line editor wraps a line: a space, and back to the line's beginning.
                b'\r' if rest.first() != Some(&b'\n') && shown.text.last() == Some(&b' ') => {
                    shown.take_back()
                }
                b'\n' | b'\t' => shown.draw(at, *byte, false),
                0..0x20 => {}
                byte => shown.draw(at, *byte, true),
            }
            at += 1;
        }
        shown
    }

    fn draw(&mut self, at: usize, byte: u8, draws: bool) {
        self.text.push(byte);
        self.places.push(at);
        if let Some(mark) = self.draws.get_mut(at) {
            *mark = draws;
        }
    }

    fn take_back(&mut self) {
        self.text.pop();
        self.places.pop();
    }
}

/// How many bytes after ESC belong to its sequence.
fn sequence(rest: &[u8]) -> usize {
    let until = |from: usize, ends: fn(&u8) -> bool| {
        rest.iter().skip(from).position(ends).map_or(rest.len(), |n| from + n + 1)
    };
    match rest.first() {
        Some(b'[') => until(1, |b| (b'@'..=b'~').contains(b)),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => until(1, |b| matches!(b, 0x07 | b'\\')),
        Some(b' '..=b'/') => until(1, |b| (b'0'..=b'~').contains(b)),
        Some(_) => 1,
        None => 0,
    }
}

/// Whether this note says that a channel goes on as a WebSocket.
fn turns_to_socket(frame: &RecordedFrame) -> bool {
    frame.side == Side::Note
        && serde_json::from_slice::<Value>(&frame.bytes)
            .is_ok_and(|note| note["kind"] == "response" && note["status"] == 101)
}

/// Opens the frames of a WebSocket: heads become zeros, a client's bytes are read with their key.
fn open_socket(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let [_, second, after @ ..] = &*rest {
        let number = |n: usize| {
            after.get(..n).map(|b| b.iter().fold(0_usize, |sum, b| sum.saturating_mul(256) + usize::from(*b)))
        };
        let (head, len) = match second & 0x7f {
            126 => (4, number(2)),
            127 => (10, number(8)),
            n => (2, Some(usize::from(n))),
        };
        let is_scrambled = second & 0x80 != 0;
        let key: [u8; 4] = match after.get(head - 2..).and_then(|b| b.first_chunk()) {
            Some(key) if is_scrambled => *key,
            _ => [0; 4],
        };
        let head = (head + 4 * usize::from(is_scrambled)).min(rest.len());
        let (front, body) = std::mem::take(&mut rest).split_at_mut(head);
        front.fill(0);
        let len = len.unwrap_or(0).min(body.len());
        let (body, next) = body.split_at_mut(len);
        body.iter_mut().zip(key.iter().cycle()).for_each(|(b, k)| *b ^= k);
        rest = next;
    }
}

/// Makes the heads of PostgreSQL's messages zeros.
fn open_messages(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Some([_, len @ ..]) = rest.first_chunk::<5>().copied() {
        let whole = (u32::from_be_bytes(len) as usize).saturating_add(1);
        if whole < 5 {
            return;
        }
        let (message, next) = std::mem::take(&mut rest).split_at_mut_checked(whole).unwrap_or_default();
        message.iter_mut().take(5).for_each(|b| *b = 0);
        rest = next;
    }
}

/// Whether a run of such characters is as long and as mixed as the secret of an AccessKey.
fn is_secret(run: &[u8]) -> bool {
    let any = |of: fn(&u8) -> bool| run.iter().any(of);
    let is_mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit);
    is_mixed && (run.len() == 40 || run.len() == 30 && run.iter().all(u8::is_ascii_alphanumeric))
}

/// The numbers of these kinds in a run of digits, with a space or a hyphen between groups of them.
fn numbers(run: &[u8], kinds: &[Builtin], mut found: impl FnMut(Range<usize>)) {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in run.iter().enumerate().filter(|(_, b)| b.is_ascii_digit()) {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => groups.push(at..at + 1),
        }
    }
    for (n, first) in groups.iter().enumerate() {
        // What stands before a value on the wire may look like a digit of it.
        let skips = if n == 0 && first.len() > 1 { 2 } else { 1 };
        for begin in (first.start..first.end).take(skips) {
            let is_abroad = begin.checked_sub(1).and_then(|b| run.get(b)) == Some(&b'+');
            let (mut digits, mut lens) = (Vec::new(), Vec::new());
            for group in groups.iter().skip(n).take(6) {
                digits.extend_from_slice(run.get(group.start.max(begin)..group.end).unwrap_or_default());
                lens.push(group.len());
                let check = run.get(group.end).filter(|b| b.eq_ignore_ascii_case(&b'x'));
                let is_one = |kind: &Builtin| match kind {
                    Builtin::Cards => is_card(&digits, &lens),
                    Builtin::Phones => is_phone(&digits, is_abroad),
                    Builtin::NationalIds => is_national_id(&digits, check),
                    _ => false,
                };
                if kinds.iter().any(is_one) {
                    found(begin..group.end + usize::from(check.is_some()));
                }
            }
        }
    }
}

fn is_card(digits: &[u8], groups: &[usize]) -> bool {
    let grouped = [&[4, 4, 4, 4][..], &[4, 4, 4, 4, 3], &[4, 6, 5], &[4, 6, 4], &[6, 13]];
    (groups.len() == 1 || grouped.contains(&groups))
        && (13..=19).contains(&digits.len())
        && matches!(digits.first(), Some(b'2'..=b'6'))
        && luhn(digits)
}

fn is_phone(digits: &[u8], is_abroad: bool) -> bool {
    let local = digits.strip_prefix(b"86").filter(|rest| rest.len() == 11).unwrap_or(digits);
    let is_mobile = local.len() == 11 && matches!(local, [b'1', b'3'..=b'9', ..]);
    is_mobile || is_abroad && (8..=15).contains(&digits.len())
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = (0_u32..)
        .zip(digits.iter().rev())
        .map(|(n, digit)| {
            let digit = u32::from(digit.wrapping_sub(b'0'));
            if n % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// GB 11643: place, date of birth, number, check character.
fn is_national_id(digits: &[u8], x: Option<&u8>) -> bool {
    let (body, check) = match (digits.len(), digits.split_last(), x) {
        (17, _, Some(_)) => (digits, b'X'),
        (18, Some((check, body)), _) => (body, *check),
        _ => return false,
    };
    let number = |at: Range<usize>| {
        body.get(at).into_iter().flatten().fold(0, |sum, d| sum * 10 + u32::from(d - b'0'))
    };
    let is_born = (1800..2200).contains(&number(6..10))
        && (1..=12).contains(&number(10..12))
        && (1..=31).contains(&number(12..14));
    let sum: u32 = (1_u32..).zip(body.iter().rev()).map(|(n, d)| u32::from(d - b'0') * (1 << n)).sum();
    is_born && b"10X98765432".get((sum % 11) as usize) == Some(&check)
}
