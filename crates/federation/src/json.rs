//! JSON objects from outside, read strictly: a member that stands twice is refused (RFC 7519 §4), depth is bounded.
//!
//! Two readers that each pick another one of two equal members see two different statements under one signature.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep objects and lists may nest.
const DEPTH_MAX: usize = 16;

/// Why bytes are no object that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or nested too deep.
    #[error("is not JSON that can be read")]
    Syntax,
    /// JSON, but a list, a text or a number.
    #[error("is not a JSON object")]
    NotObject,
    /// One member twice in one object.
    #[error("names the member `{name}` twice")]
    Duplicate {
        /// Its name.
        name: String,
    },
}

/// Reads one object and nothing behind it.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let duplicate = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = Strict { depth: 0, duplicate: &duplicate }.deserialize(&mut reader);
    let value = match (read, duplicate.into_inner()) {
        (_, Some(name)) => return Err(JsonError::Duplicate { name }),
        (Err(_), None) => return Err(JsonError::Syntax),
        (Ok(value), None) => value,
    };
    reader.end().map_err(|_| JsonError::Syntax)?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(JsonError::NotObject),
    }
}

/// A text member; None when it is missing or something else.
pub(crate) fn text<'m>(map: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    map.get(name).and_then(Value::as_str)
}

struct Strict<'d> {
    depth: usize,
    duplicate: &'d RefCell<Option<String>>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(&self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom("nested too deep"));
        }
        Ok(Strict { depth: self.depth + 1, duplicate: self.duplicate })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = list.next_element_seed(self.deeper()?)? {
            out.push(value);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if out.contains_key(&name) {
                *self.duplicate.borrow_mut() = Some(name.chars().take(64).collect());
                return Err(A::Error::custom("duplicate member"));
            }
            let value = members.next_value_seed(self.deeper()?)?;
            out.insert(name, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"b":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(object(text.as_bytes()), Err(JsonError::Duplicate { name: "a".into() }), "{text}");
        }
        assert!(object(br#"{"a":{"a":1},"b":{"a":null}}"#).is_ok());
    }

    #[test]
    fn what_is_no_single_object_is_refused() {
        assert_eq!(object(b"[1]"), Err(JsonError::NotObject));
        assert_eq!(object(b"{} {}"), Err(JsonError::Syntax));
        assert_eq!(object(b"{\"a\":1e999}"), Err(JsonError::Syntax));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(20), "]".repeat(20));
        assert_eq!(object(deep.as_bytes()), Err(JsonError::Syntax));
    }
}
