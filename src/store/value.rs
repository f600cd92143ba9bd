//! What goes into and comes out of a statement: columns are TEXT or BIGINT only, so this is all there is.

use super::StoreError;
use crate::domain::clock::UnixMillis;

/// A parameter or a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_none(),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<UnixMillis> for Value {
    fn from(value: UnixMillis) -> Self {
        Self::Int(value.0)
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The parameters of a statement, in the order of `$1`, `$2`, …
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::value::Value::from($value)),*] };
}
pub(crate) use params;

/// Rows of a statement's JSON parameter (`{rows $1: …}` or `{list $1: …}`).
pub(crate) fn json<T: serde::Serialize + ?Sized>(rows: &T) -> Result<Value, StoreError> {
    serde_json::to_string(rows).map(Value::Text).map_err(|e| StoreError::Shape(e.to_string()))
}

/// Reads JSON that we wrote into a column; `what` names it where it isn't.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Shape(format!("{what}: {e}")))
}

/// One row of a result.
#[derive(Clone, Debug)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    /// A BIGINT that can't be NULL.
    ///
    /// # Errors
    /// [`StoreError::Shape`] when the column is something else, which is a mistake of ours.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.int_opt(column)?.ok_or_else(|| StoreError::Shape(format!("column {column} is NULL")))
    }

    /// A BIGINT or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn int_opt(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(value)) => Ok(Some(*value)),
            Some(Value::Null) => Ok(None),
            other => Err(StoreError::Shape(format!("column {column} is {other:?}, not BIGINT"))),
        }
    }

    /// An instant.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn at(&self, column: usize) -> Result<UnixMillis, StoreError> {
        self.int(column).map(UnixMillis)
    }

    /// An instant or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn at_opt(&self, column: usize) -> Result<Option<UnixMillis>, StoreError> {
        Ok(self.int_opt(column)?.map(UnixMillis))
    }

    /// A TEXT that can't be NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn text(&self, column: usize) -> Result<String, StoreError> {
        self.text_opt(column)?.ok_or_else(|| StoreError::Shape(format!("column {column} is NULL")))
    }

    /// A TEXT or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn text_opt(&self, column: usize) -> Result<Option<String>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(value)) => Ok(Some(value.clone())),
            Some(Value::Null) => Ok(None),
            _ => Err(StoreError::Shape(format!("column {column} is not TEXT"))),
        }
    }

    /// A TEXT that holds one of our own values.
    ///
    /// # Errors
    /// [`StoreError::Shape`] when `read` doesn't know it.
    pub fn parse<T>(&self, column: usize, read: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text(column)?;
        read(&text).ok_or_else(|| StoreError::Shape(format!("column {column} holds an unknown word")))
    }
}

/// A row that is looked at and not kept.
#[derive(Clone, Copy)]
pub enum Cells<'a> {
    /// As SQLite has it.
    Sqlite(&'a rusqlite::Row<'a>),
    /// One that was kept all the same.
    Kept(&'a Row),
}

impl Cells<'_> {
    /// A BIGINT that can't be NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|e| StoreError::Shape(e.to_string())),
            Self::Kept(row) => row.int(column),
        }
    }

    /// A BIGINT or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn int_opt(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self {
            Self::Sqlite(row) => row.get(column).map_err(|e| StoreError::Shape(e.to_string())),
            Self::Kept(row) => row.int_opt(column),
        }
    }

    /// A TEXT, or NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn text_opt(&self, column: usize) -> Result<Option<&str>, StoreError> {
        let shape = || StoreError::Shape(format!("column {column} is not TEXT"));
        match self {
            Self::Sqlite(row) => row.get_ref(column).map_err(|_| shape())?.as_str_or_null().map_err(|_| shape()),
            Self::Kept(row) => match row.0.get(column) {
                Some(Value::Text(text)) => Ok(Some(text)),
                Some(Value::Null) => Ok(None),
                _ => Err(shape()),
            },
        }
    }

    /// A TEXT that can't be NULL.
    ///
    /// # Errors
    /// As [`Row::int`].
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.text_opt(column)?.ok_or_else(|| StoreError::Shape(format!("column {column} is NULL")))
    }
}
