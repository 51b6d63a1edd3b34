//! Values that go into statements, and rows that come out, the same on both engines.

use crate::StoreError;

/// A parameter of a statement. Both engines know four kinds of value only.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// A 64-bit integer (also for booleans: 0 or 1).
    Int(i64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(v: i64) -> Self {
        Value::Int(v)
    }
}
impl From<bool> for Value<'_> {
    fn from(v: bool) -> Self {
        Value::Int(i64::from(v))
    }
}
impl<'a> From<&'a str> for Value<'a> {
    fn from(v: &'a str) -> Self {
        Value::Text(v)
    }
}
impl<'a> From<&'a String> for Value<'a> {
    fn from(v: &'a String) -> Self {
        Value::Text(v)
    }
}
impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(v: &'a [u8]) -> Self {
        Value::Blob(v)
    }
}
impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(v: &'a Vec<u8>) -> Self {
        Value::Blob(v)
    }
}
impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(v: &'a [u8; N]) -> Self {
        Value::Blob(v)
    }
}
impl<'a, T> From<Option<T>> for Value<'a>
where
    T: Into<Value<'a>>,
{
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// One row of an answer. Columns are read by position; a column of another type is [`StoreError::Corrupt`].
#[derive(Clone, Debug)]
pub struct Row(pub(crate) Vec<Cell>);

impl Row {
    /// An integer column.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn int(&self, i: usize) -> Result<i64, StoreError> {
        match self.0.get(i) {
            Some(Cell::Int(v)) => Ok(*v),
            other => Err(wrong(i, "an integer", other)),
        }
    }

    /// An integer column that may be null.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn opt_int(&self, i: usize) -> Result<Option<i64>, StoreError> {
        if matches!(self.0.get(i), Some(Cell::Null)) { Ok(None) } else { self.int(i).map(Some) }
    }

    /// An integer column that cannot be negative.
    ///
    /// # Errors
    /// When the column is missing, of another type, or negative.
    pub fn uint(&self, i: usize) -> Result<u64, StoreError> {
        u64::try_from(self.int(i)?).map_err(|_| StoreError::Corrupt(format!("column {i} is negative")))
    }

    /// A text column.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn text(&self, i: usize) -> Result<&str, StoreError> {
        match self.0.get(i) {
            Some(Cell::Text(v)) => Ok(v),
            other => Err(wrong(i, "text", other)),
        }
    }

    /// A text column that may be null.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn opt_text(&self, i: usize) -> Result<Option<&str>, StoreError> {
        if matches!(self.0.get(i), Some(Cell::Null)) { Ok(None) } else { self.text(i).map(Some) }
    }

    /// A bytes column.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn blob(&self, i: usize) -> Result<&[u8], StoreError> {
        match self.0.get(i) {
            Some(Cell::Blob(v)) => Ok(v),
            other => Err(wrong(i, "bytes", other)),
        }
    }

    /// A bytes column that may be null.
    ///
    /// # Errors
    /// When the column is missing or of another type.
    pub fn opt_blob(&self, i: usize) -> Result<Option<&[u8]>, StoreError> {
        if matches!(self.0.get(i), Some(Cell::Null)) { Ok(None) } else { self.blob(i).map(Some) }
    }

    /// A bytes column of a fixed length.
    ///
    /// # Errors
    /// When the column is missing, of another type, or of another length.
    pub fn bytes<const N: usize>(&self, i: usize) -> Result<[u8; N], StoreError> {
        self.blob(i)?.try_into().map_err(|_| StoreError::Corrupt(format!("column {i} is not {N} bytes")))
    }

    /// A column parsed into a domain type; a value that no longer parses is corrupt, not absent.
    ///
    /// # Errors
    /// When the column is missing, of another type, or does not parse.
    pub fn parsed<T, E: std::fmt::Display>(
        &self,
        i: usize,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        parse(self.text(i)?).map_err(|e| StoreError::Corrupt(format!("column {i}: {e}")))
    }
}

fn wrong(i: usize, wanted: &str, found: Option<&Cell>) -> StoreError {
    let found = match found {
        None => "nothing",
        Some(Cell::Null) => "null",
        Some(Cell::Int(_)) => "an integer",
        Some(Cell::Text(_)) => "text",
        Some(Cell::Blob(_)) => "bytes",
    };
    StoreError::Corrupt(format!("column {i} should be {wanted} and is {found}"))
}
