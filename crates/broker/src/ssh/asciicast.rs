//! A recorded terminal for the eye: asciicast v2 for players, plain text for the console.
//!
//! What a host prints is hostile until shown otherwise: a title, a clipboard (OSC 52), a device string or a report can act
//! on the terminal of whoever watches. The recording keeps every byte; what is shown went through [`Filter`].
//! INVARIANT: [`plain_text`] yields printable characters, `\n` and `\t`.
//! INVARIANT: in an asciicast only those control sequences are left that draw (colours, cursor, erasing).

use serde_json::{Value, json};

use crate::seat::{Frame, Side};

/// A frame and when it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// What passed.
    pub frame: Frame<'a>,
}

/// The lines of an asciicast v2 file of one channel: what was shown, what was typed, how the window changed. None when the
/// channel had no terminal.
pub fn asciicast<'a>(moments: impl IntoIterator<Item = Moment<'a>>, channel: u32) -> Option<String> {
    let mut out = String::new();
    let mut began_ms = None;
    let (mut shown, mut typed) = (Filter::for_player(), Filter::for_player());
    for Moment { at_ms, frame } in moments.into_iter().filter(|m| m.frame.channel == channel) {
        let (code, text) = match (frame.side, began_ms) {
            (Side::Note, None) => {
                let Some(header) = header(frame.bytes, at_ms) else { continue };
                began_ms = Some(at_ms);
                line(&mut out, &header);
                continue;
            }
            (Side::Note, Some(_)) => match resized(frame.bytes) {
                Some(size) => ("r", size),
                None => continue,
            },
            (Side::Target, Some(_)) => ("o", shown.take(frame.bytes)),
            (Side::Client, Some(_)) => ("i", typed.take(frame.bytes)),
            (_, None) => continue,
        };
        if !text.is_empty() {
            let since = at_ms.saturating_sub(began_ms.unwrap_or(at_ms)).max(0);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of one session")]
            line(&mut out, &json!([since as f64 / 1000.0, code, text]));
        }
    }
    began_ms.map(|_| out)
}

/// What a channel showed, as plain text: no colours, no cursor, nothing that a browser or a terminal would act on.
pub fn plain_text<'a>(moments: impl IntoIterator<Item = Moment<'a>>, channel: u32) -> String {
    let mut filter = Filter::plain();
    let mut out = String::new();
    for Moment { frame, .. } in moments {
        if frame.channel == channel && frame.side == Side::Target {
            out.push_str(&filter.take(frame.bytes));
        }
    }
    out
}

fn line(out: &mut String, value: &Value) {
    out.push_str(&value.to_string());
    out.push('\n');
}

fn header(note: &[u8], at_ms: i64) -> Option<Value> {
    let note: Value = serde_json::from_slice(note).ok()?;
    let began = matches!(note["kind"].as_str(), Some("shell" | "exec"));
    let (cols, rows) = (note["cols"].as_u64()?, note["rows"].as_u64()?);
    let term: String = note["term"].as_str()?.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
    began.then(|| {
        json!({
            "version": 2, "width": cols.min(10_000), "height": rows.min(10_000),
            "timestamp": at_ms.div_euclid(1000), "env": { "TERM": term },
        })
    })
}

fn resized(note: &[u8]) -> Option<String> {
    let note: Value = serde_json::from_slice(note).ok()?;
    let size = (note["kind"] == "resize").then(|| (note["cols"].as_u64(), note["rows"].as_u64()))?;
    Some(format!("{}x{}", size.0?.min(10_000), size.1?.min(10_000)))
}

/// The longest control sequence that is kept.
const SEQUENCE_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate: one more byte ends it.
    Charset,
    /// In a control sequence (CSI).
    Sequence,
    /// In a string (OSC, DCS, SOS, PM, APC), until it is ended.
    Hidden,
    /// In a string, after ESC.
    HiddenEscape,
}

/// Reads what a host sends and leaves out what could act on the reader. Keeps its place between pieces.
#[derive(Debug)]
pub struct Filter {
    draws: bool,
    state: State,
    sequence: String,
    /// The bytes of a character that is not whole yet.
    part: Vec<u8>,
    returned: bool,
}

impl Filter {
    /// Leaves text only.
    pub fn plain() -> Self {
        Self { draws: false, state: State::Text, sequence: String::new(), part: Vec::new(), returned: false }
    }

    /// Leaves text and the sequences that draw.
    pub fn for_player() -> Self {
        Self { draws: true, ..Self::plain() }
    }

    /// The harmless part of the next piece.
    pub fn take(&mut self, bytes: &[u8]) -> String {
        self.part.extend_from_slice(bytes);
        let bytes = std::mem::take(&mut self.part);
        let mut out = String::new();
        let mut rest = &bytes[..];
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    text.chars().for_each(|c| self.step(c, &mut out));
                    return out;
                }
                Err(e) => {
                    let (good, bad) = rest.split_at(e.valid_up_to());
                    String::from_utf8_lossy(good).chars().for_each(|c| self.step(c, &mut out));
                    let Some(len) = e.error_len() else {
                        self.part = bad.to_vec();
                        return out;
                    };
                    self.step('\u{fffd}', &mut out);
                    rest = bad.get(len..).unwrap_or_default();
                }
            }
        }
    }

    fn step(&mut self, c: char, out: &mut String) {
        // CAN and SUB end whatever goes on.
        if matches!(c, '\x18' | '\x1a') {
            self.state = State::Text;
            return;
        }
        self.state = match (self.state, c) {
            (State::Hidden, '\x07' | '\u{9c}') => State::Text,
            (State::Hidden, '\x1b') => State::HiddenEscape,
            (State::HiddenEscape, '\\') => State::Text,
            (State::HiddenEscape, '\x1b') => State::HiddenEscape,
            (State::Hidden | State::HiddenEscape, _) => State::Hidden,
            (_, '\x1b') => State::Escape,
            (_, '\u{9b}') | (State::Escape, '[') => {
                self.sequence.clear();
                State::Sequence
            }
            (_, '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}')
            | (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::Hidden,
            (State::Escape, ' '..='/') => State::Charset,
            (State::Escape | State::Charset, '\x20'..='\x7e') => State::Text,
            (State::Sequence, '\x20'..='\x3f') => {
                if self.sequence.len() < SEQUENCE_MAX {
                    self.sequence.push(c);
                }
                State::Sequence
            }
            (State::Sequence, '@'..='~') => {
                self.sequence.push(c);
                if self.draws && draws(&self.sequence) {
                    out.push_str("\x1b[");
                    out.push_str(&self.sequence);
                }
                State::Text
            }
            (State::Text, c) => {
                self.text(c, out);
                State::Text
            }
            // A control character inside a sequence acts at once; anything else breaks the sequence off.
            (state, c) if c.is_control() => {
                self.text(c, out);
                state
            }
            (_, c) => {
                self.text(c, out);
                State::Text
            }
        };
    }

    fn text(&mut self, c: char, out: &mut String) {
        let returned = std::mem::replace(&mut self.returned, c == '\r');
        match c {
            '\n' if returned && !self.draws => {}
            '\n' | '\t' => out.push(c),
            '\r' | '\x08' if self.draws => out.push(c),
            '\r' => out.push('\n'),
            // What a shell's line editor takes back.
            '\x08' => {
                if out.chars().next_back().is_some_and(|last| !matches!(last, '\n' | '\t')) {
                    out.pop();
                }
            }
            c if c.is_control() || turns(c) => {}
            c => out.push(c),
        }
    }
}

/// Characters that are not seen and turn or hide what stands beside them.
fn turns(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether a control sequence only draws. Reports (`n`, `c`), window acts (`t`), keys and modes are left out.
fn draws(sequence: &str) -> bool {
    let Some(last) = sequence.chars().next_back() else { return false };
    let parameters = sequence.get(..sequence.len() - last.len_utf8()).unwrap_or_default();
    match last {
        'm'
        | 'A'..='H'
        | 'J'
        | 'K'
        | 'L'
        | 'M'
        | 'P'
        | 'S'
        | 'T'
        | 'X'
        | '@'
        | 'd'
        | 'f'
        | 'r'
        | 's'
        | 'u' => parameters.bytes().all(|b| b.is_ascii_digit() || matches!(b, b';' | b':')),
        // Cursor shown or not, the other screen, wrapping.
        'h' | 'l' => matches!(parameters, "?25" | "?7" | "?47" | "?1047" | "?1048" | "?1049"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(at_ms: i64, side: Side, bytes: &[u8]) -> Moment<'_> {
        Moment { at_ms, frame: Frame { side, channel: 2, bytes } }
    }

    #[test]
    fn a_terminal_becomes_an_asciicast() {
        let begin = br#"{"kind":"shell","term":"xterm","cols":80,"rows":24}"#;
        let moments = [
            frame(1_000_000, Side::Note, br#"{"kind":"connect"}"#),
            frame(1_000_000, Side::Note, begin),
            frame(1_000_250, Side::Target, b"\x1b]0;owned\x07\x1b[31m$ \xe4"),
            frame(1_000_300, Side::Target, b"\xb8\xad\x1b[6n\r\n"),
            frame(1_000_500, Side::Client, b"ls\r"),
            Moment { at_ms: 1_000_600, frame: Frame { side: Side::Target, channel: 4, bytes: b"another" } },
            frame(1_001_000, Side::Note, br#"{"kind":"resize","cols":100,"rows":30}"#),
        ];
        let cast = asciicast(moments, 2).unwrap();
        // In which order the header's members stand hangs on what else is built with this crate.
        let (header, events) = cast.split_once('\n').unwrap();
        let header: Value = serde_json::from_str(header).unwrap();
        let wanted =
            json!({"env": {"TERM": "xterm"}, "height": 24, "timestamp": 1000, "version": 2, "width": 80});
        assert_eq!(header, wanted);
        assert_eq!(
            events.lines().collect::<Vec<_>>(),
            [
                "[0.25,\"o\",\"\\u001b[31m$ \"]",
                "[0.3,\"o\",\"中\\r\\n\"]",
                "[0.5,\"i\",\"ls\\r\"]",
                "[1.0,\"r\",\"100x30\"]",
            ]
        );
        assert_eq!(plain_text(moments, 2), "$ 中\n");
        assert_eq!(asciicast(moments, 4), None);
    }

    #[test]
    fn hostile_sequences_leave_nothing() {
        for hostile in [
            "\x1b]52;c;cm0gLXJm\x07",
            "\x1b]8;;http://x\x1b\\",
            "\x1bP$q\"p\x1b\\",
            "\x1b_payload\x1b\\",
            "\x1b^payload\x1b\\",
            "\x1b[?2004h",
            "\x1b[200~",
            "\x1b[21t",
            "\x1b[6n",
            "\x1b[c",
            "\x1b(0",
            "\x1bc",
            "\u{9d}0;title\u{9c}",
            "\u{9b}6n",
            "\u{202e}",
            "\x07\x0e\x7f\0",
            "\x1b[>4;1m",
        ] {
            let mut filter = Filter::for_player();
            assert_eq!(filter.take(format!("a{hostile}b").as_bytes()), "ab", "{hostile:?}");
            assert_eq!(Filter::plain().take(format!("a{hostile}b").as_bytes()), "ab", "{hostile:?}");
        }
        assert_eq!(Filter::plain().take(b"\x1b[1;31mred\x1b[0m\r\n10%\r20%"), "red\n10%\n20%");
    }

    proptest! {
        #[test]
        fn plain_text_holds_no_control_character(
            pieces in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b']'), Just(0xc2), Just(0x9b)], 0..40), 0..8),
        ) {
            let mut filter = Filter::plain();
            for piece in &pieces {
                let text = filter.take(piece);
                prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !(c.is_control() || turns(c))), "{text:?}");
            }
        }

        #[test]
        fn an_asciicast_holds_sequences_that_draw_and_no_others(
            pieces in proptest::collection::vec(proptest::collection::vec(
                prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b']'), Just(b'm'), Just(b';')], 0..40), 0..8),
        ) {
            let mut filter = Filter::for_player();
            let all: String = pieces.iter().map(|p| filter.take(p)).collect();
            for after in all.split('\x1b').skip(1) {
                let body = after.strip_prefix('[').unwrap_or("no sequence");
                let end = body.find(|c: char| ('@'..='~').contains(&c)).map_or(0, |i| i + 1);
                prop_assert!(draws(&body[..end]), "{after:?}");
            }
            prop_assert!(all.chars().all(|c| matches!(c, '\n' | '\t' | '\r' | '\x08' | '\x1b') || !c.is_control()));
        }

        #[test]
        fn pieces_of_a_stream_read_as_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200) {
            // Taking back a character reaches no further than its piece.
            let bytes: Vec<u8> = bytes.into_iter().filter(|b| *b != 8).collect();
            let (one, two) = bytes.split_at(at.min(bytes.len()));
            let mut filter = Filter::plain();
            let pieces = filter.take(one) + &filter.take(two);
            prop_assert_eq!(pieces, Filter::plain().take(&bytes));
        }

        #[test]
        fn notes_of_any_kind_are_read(note in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = asciicast([frame(0, Side::Note, &note), frame(i64::MIN, Side::Target, &note)], 2);
        }
    }
}
