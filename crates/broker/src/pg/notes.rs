//! What messages mean, as notes beside their bytes: statements with their parameters, rows, errors, copies.
//!
//! A note says what a reader of the recording looks for; the bytes beside it are what counts. Text is shown as UTF-8, whatever
//! encoding the client chose.
//! INVARIANT: with `mask`, no value of a parameter is in a note; nor is the text of an error, which quotes values.

use serde_json::{Value, json};

use super::frames::{Fields, Message};
use super::link::told;

/// Notes of what one side of a connection sends.
pub(super) struct Notes {
    channel: u32,
    mask: bool,
    rows: u64,
    copied: u64,
    pieces: u64,
}

impl Notes {
    /// For connection `channel`.
    pub(super) fn new(channel: u32, mask: bool) -> Self {
        Self { channel, mask, rows: 0, copied: 0, pieces: 0 }
    }

    /// What a message of the client means.
    pub(super) fn of_client(&mut self, message: Message<'_>) -> Option<Value> {
        let mut fields = Fields(message.body);
        let note = match message.tag {
            b'Q' => json!({"kind": "statement", "sql": rest(&mut fields)}),
            b'P' => json!({"kind": "statement", "name": text(&mut fields), "sql": rest(&mut fields)}),
            b'B' => {
                let (portal, name) = (text(&mut fields), text(&mut fields));
                let values = self.values(&mut fields);
                json!({"kind": "bind", "portal": portal, "statement": name, "parameters": values})
            }
            b'E' => json!({"kind": "execute", "portal": text(&mut fields), "rows_max": fields.i32()}),
            b'F' => {
                let function = fields.i32().map(i32::cast_unsigned);
                json!({"kind": "call", "function": function, "parameters": self.values(&mut fields)})
            }
            b'd' => return self.copy(message),
            b'c' => self.copied("in"),
            b'f' => {
                let mut note = self.copied("in");
                note["given_up"] = json!(true);
                note
            }
            _ => return None,
        };
        Some(self.complete(note, message))
    }

    /// What a message of the database means.
    pub(super) fn of_target(&mut self, message: Message<'_>) -> Option<Value> {
        let mut fields = Fields(message.body);
        let note = match message.tag {
            b'D' => {
                self.rows += 1;
                return None;
            }
            b'C' => {
                let tag = text(&mut fields);
                let rows = tag.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
                json!({"kind": "done", "tag": tag, "rows": rows, "sent": std::mem::take(&mut self.rows)})
            }
            b's' => json!({"kind": "done", "more": true, "sent": std::mem::take(&mut self.rows)}),
            b'E' => {
                let told = told(message.body);
                let said = (!self.mask).then_some(told.text);
                json!({"kind": "error", "severity": told.severity, "code": told.code, "text": said,
                       "sent": std::mem::take(&mut self.rows)})
            }
            b'd' => return self.copy(message),
            b'c' => self.copied("out"),
            _ => return None,
        };
        Some(self.complete(note, message))
    }

    fn complete(&self, mut note: Value, message: Message<'_>) -> Value {
        note["channel"] = json!(self.channel);
        if message.is_cut() {
            note["cut"] = json!({"of": message.len});
        }
        note
    }

    fn copy(&mut self, message: Message<'_>) -> Option<Value> {
        self.copied += message.len as u64;
        self.pieces += 1;
        None
    }

    fn copied(&mut self, direction: &str) -> Value {
        let (bytes, messages) = (std::mem::take(&mut self.copied), std::mem::take(&mut self.pieces));
        json!({"kind": "copy", "direction": direction, "bytes": bytes, "messages": messages})
    }

    /// Values of parameters, text as text and all else in hex; or how many they are.
    fn values(&self, fields: &mut Fields<'_>) -> Value {
        let formats = fields.i16().unwrap_or(0).max(0);
        let formats: Vec<i16> = (0..formats).map_while(|_| fields.i16()).collect();
        let many = fields.i16().map_or(0, i16::cast_unsigned);
        if self.mask {
            return json!({"masked": many});
        }
        let values = (0..usize::from(many)).map_while(|i| {
            let format = formats.get(i).or(formats.first().filter(|_| formats.len() == 1)).copied();
            let Ok(len) = usize::try_from(fields.i32()?) else { return Some(Value::Null) };
            let value = fields.take(len)?;
            Some(match std::str::from_utf8(value) {
                Ok(text) if format.unwrap_or(0) == 0 => json!(text),
                _ => json!({"hex": hex::encode(value)}),
            })
        });
        values.collect()
    }
}

fn text(fields: &mut Fields<'_>) -> String {
    fields.text().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
}

/// A text that ends the body, or with it.
fn rest(fields: &mut Fields<'_>) -> String {
    let rest = fields.0;
    let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
    String::from_utf8_lossy(rest.get(..end).unwrap_or(rest)).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frames::{CLIENT, TARGET};
    use super::*;

    fn client(tag: u8, body: &[u8], mask: bool) -> Option<Value> {
        Notes::new(3, mask).of_client(Message { tag, body, len: body.len() })
    }

    #[test]
    fn a_bind_shows_its_values_unless_they_are_masked() {
        let body = [
            &b"p\0s\0"[..],
            &[0, 3, 0, 0, 0, 1, 0, 0], // text, binary, text
            &[0, 3],
            b"\0\0\0\x02hi",
            b"\0\0\0\x02\0\xff",
            b"\xff\xff\xff\xff",
            &[0, 0],
        ]
        .concat();
        assert_eq!(
            client(b'B', &body, false),
            Some(json!({"kind": "bind", "channel": 3, "portal": "p", "statement": "s",
                        "parameters": ["hi", {"hex": "00ff"}, null]}))
        );
        let masked = client(b'B', &body, true).unwrap();
        assert_eq!(masked["parameters"], json!({"masked": 3}));
        assert!(!masked.to_string().contains("hi"));
        // A function's values come without names before them; text that is not UTF-8 is shown in hex.
        let call = [&[0, 0, 4, 210][..], &[0, 0], &[0, 1], b"\0\0\0\x01\xe9", &[0, 0]].concat();
        let call = client(b'F', &call, false).unwrap();
        assert_eq!((&call["function"], &call["parameters"]), (&json!(1234), &json!([{"hex": "e9"}])));
    }

    #[test]
    fn what_a_database_says_is_counted() {
        let mut notes = Notes::new(1, true);
        let mut say = |tag, body: &[u8]| notes.of_target(Message { tag, body, len: body.len() });
        assert_eq!((say(b'D', b"\0\0"), say(b'D', b"\0\0")), (None, None));
        let done = say(b'C', b"SELECT 2\0");
        assert_eq!(
            done,
            Some(json!({"kind": "done", "channel": 1, "tag": "SELECT 2", "rows": 2, "sent": 2}))
        );
        let made = say(b'C', b"CREATE TABLE\0").unwrap();
        assert_eq!((&made["rows"], &made["sent"]), (&Value::Null, &json!(0)));
        let error = say(b'E', b"SERROR\0C22P02\0Minvalid: \"secret\"\0\0").unwrap();
        assert_eq!((&error["code"], &error["text"]), (&json!("22P02"), &Value::Null));
        say(b'd', b"1\t2\n");
        assert_eq!(say(b'c', b"").unwrap()["bytes"], json!(4));
    }

    proptest! {
        #[test]
        fn any_body_is_noted_without_a_panic(
            tag in prop::sample::select([CLIENT, TARGET].concat()),
            body in prop::collection::vec(any::<u8>(), 0..200),
            more in 0usize..9,
        ) {
            let mut notes = Notes::new(1, false);
            let message = Message { tag, body: &body, len: body.len() + more };
            let _ = (notes.of_client(message), notes.of_target(message));
        }
    }
}
