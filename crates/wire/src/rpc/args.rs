//! Reading arguments: text, flags, numbers, names, lists (contract §1), each with the wire's error when it is wrong.

use bailee_types::SecretText;

use super::error::RpcError;
use super::request::RpcRequest;

/// Entries of one list argument, at most.
const LIST_MAX: usize = 200;

impl RpcRequest<'_> {
    /// A text; empty when it is missing.
    pub fn text(&self, name: &str) -> String {
        self.argument(name).unwrap_or_default().to_owned()
    }

    /// A text that was given, even if it is empty.
    pub fn given(&self, name: &str) -> Option<String> {
        self.argument(name).map(str::to_owned)
    }

    /// A text that is not empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.argument(name).filter(|t| !t.is_empty()).map(str::to_owned)
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn secret(&self, name: &str) -> Result<SecretText, RpcError> {
        Ok(SecretText::new(self.required(name)?.to_owned()))
    }

    /// `true` or `false` in any case, `1` or `0`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, RpcError> {
        match self.argument(name).unwrap_or_default().to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(RpcError::invalid(name, format!("The parameter {name} must be true or false."))),
        }
    }

    /// A whole number within a range.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, name: &str, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, RpcError> {
        let Some(text) = self.argument(name).filter(|t| !t.is_empty()) else { return Ok(None) };
        match text.parse() {
            Ok(n) if range.contains(&n) => Ok(Some(n)),
            _ => Err(RpcError::invalid(
                name,
                format!("The parameter {name} must be a number from {} to {}.", range.start(), range.end()),
            )),
        }
    }

    /// A name that must be there, as its type reads it. What does not read is `InvalidParameter.<name>.InvalidChars`, or
    /// `.Length` when it is too short or too long for any.
    ///
    /// # Errors
    /// As said, or `MissingParameter`.
    pub fn name<T, E: std::fmt::Display>(
        &self,
        name: &str,
        length_max: usize,
        parse: fn(&str) -> Result<T, E>,
    ) -> Result<T, RpcError> {
        read_name(name, self.required(name)?, length_max, parse)
    }

    /// As [`RpcRequest::name`], for a name that may be missing.
    ///
    /// # Errors
    /// When it does not read.
    pub fn optional_name<T, E: std::fmt::Display>(
        &self,
        name: &str,
        length_max: usize,
        parse: fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, RpcError> {
        self.argument(name)
            .filter(|t| !t.is_empty())
            .map(|t| read_name(name, t, length_max, parse))
            .transpose()
    }

    /// A list of texts: one JSON list, or `Name.1`, `Name.2`, ….
    ///
    /// # Errors
    /// When the JSON does not read, or there are too many.
    pub fn list(&self, name: &str) -> Result<Vec<String>, RpcError> {
        let wrong = || {
            RpcError::invalid(
                name,
                format!("The parameter {name} must be a list of at most {LIST_MAX} texts."),
            )
        };
        let mut out: Vec<String> = match self.argument(name).filter(|t| !t.is_empty()) {
            Some(text) => serde_json::from_str(text).map_err(|_| wrong())?,
            None => Vec::new(),
        };
        for n in 1.. {
            let Some(one) = self.argument(&format!("{name}.{n}")) else { break };
            out.push(one.to_owned());
        }
        if out.len() > LIST_MAX { Err(wrong()) } else { Ok(out) }
    }

    /// Tags: `Tag` as a JSON list of `{"Key": …, "Value": …}`, or `Tag.1.Key`, `Tag.1.Value`, ….
    ///
    /// # Errors
    /// When the JSON does not read, a key is missing, or there are too many.
    pub fn tags(&self) -> Result<Vec<(String, String)>, RpcError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Tag {
            key: String,
            #[serde(default)]
            value: String,
        }
        let wrong = || RpcError::invalid("Tag", "The parameter Tag must be a list of keys and values.");
        let mut out = Vec::new();
        if let Some(text) = self.argument("Tag").filter(|t| !t.is_empty()) {
            let all: Vec<Tag> = serde_json::from_str(text).map_err(|_| wrong())?;
            out.extend(all.into_iter().map(|t| (t.key, t.value)));
        }
        for n in 1.. {
            let Some(key) = self.argument(&format!("Tag.{n}.Key")) else { break };
            out.push((key.to_owned(), self.text(&format!("Tag.{n}.Value"))));
        }
        if out.len() > LIST_MAX { Err(wrong()) } else { Ok(out) }
    }
}

fn read_name<T, E: std::fmt::Display>(
    name: &str,
    text: &str,
    length_max: usize,
    parse: fn(&str) -> Result<T, E>,
) -> Result<T, RpcError> {
    parse(text).map_err(|e| {
        let kind = if (1..=length_max).contains(&text.chars().count()) { "InvalidChars" } else { "Length" };
        RpcError::invalid(&format!("{name}.{kind}"), format!("The parameter {name} is not valid: {e}."))
    })
}
