//! Reading JSON fields one by one: each knows its path, so that a fault names the place and its fix.
//! Knows nothing of posts. `null` and blank strings count as absent, since content systems write empty columns so.

use super::wire::{DETAIL_CHARS_MAX, RejectReason, Rejection, URL_CHARS_MAX, clipped};
use crate::domain::text::CleanText;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::ops::RangeInclusive;

/// What is wrong, before it is known whose message it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    reason: RejectReason,
    path: String,
    detail: String,
}

impl Fault {
    /// A fault at `path`; `detail` is cut at its limit.
    #[must_use]
    pub fn new(reason: RejectReason, path: &str, detail: &str) -> Self {
        Self { reason, path: path.to_owned(), detail: clipped(detail, DETAIL_CHARS_MAX) }
    }

    /// The rejection that it leads to, of a message of which nothing else is known.
    #[must_use]
    pub fn rejection(self) -> Rejection {
        let Self { reason, path, detail } = self;
        Rejection { reason, path, detail, event_id: None, source_id: None, kind: None }
    }
}

/// Where what was cleaned is written down.
pub type Repairs = RefCell<Vec<String>>;

/// An object whose fields are read by name.
#[derive(Clone)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    repairs: &'a Repairs,
}

impl<'a> Fields<'a> {
    /// The outermost object; `path` stands before the names of its fields and is empty at the top of a message.
    #[must_use]
    pub fn root(map: &'a Map<String, Value>, path: &str, repairs: &'a Repairs) -> Self {
        Self { map, path: path.to_owned(), repairs }
    }

    /// A field, unless it is absent, `null` or a blank string.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Field<'a>> {
        self.present(name).filter(|field| field.value.as_str().is_none_or(|text| !text.trim().is_empty()))
    }

    /// A field that may be blank, unless it is absent or `null`.
    #[must_use]
    pub fn present(&self, name: &str) -> Option<Field<'a>> {
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Field { value, path: self.path_of(name), repairs: self.repairs })
    }

    /// A field that must be there; `fix` says what to write.
    ///
    /// # Errors
    /// `missing_field`.
    pub fn required(&self, name: &str, fix: &str) -> Result<Field<'a>, Fault> {
        self.get(name).ok_or_else(|| self.missing(name, fix))
    }

    /// What to say when the field `name` is absent or empty.
    #[must_use]
    pub fn missing(&self, name: &str, fix: &str) -> Fault {
        let detail = format!("`{name}` is missing or empty; {fix}");
        Fault::new(RejectReason::MissingField, &self.path_of(name), &detail)
    }

    /// A field that may be absent, read by `read`.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn optional<T>(
        &self,
        name: &str,
        read: impl FnOnce(&Field<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        self.get(name).map(|field| read(&field)).transpose()
    }

    /// One line that may be absent; one of which nothing is left counts as absent.
    ///
    /// # Errors
    /// Those of [`Field::line`].
    pub fn optional_line(&self, name: &str, chars_max: usize) -> Result<Option<CleanText>, Fault> {
        Ok(self.optional(name, |field| field.line(chars_max))?.filter(|text| !text.is_empty()))
    }

    /// A list that may be absent.
    ///
    /// # Errors
    /// Those of [`Field::items`].
    pub fn list(&self, name: &str, count_max: usize) -> Result<Vec<Field<'a>>, Fault> {
        Ok(self.optional(name, |field| field.items(count_max))?.unwrap_or_default())
    }

    /// Lines in a list; empty ones are left out and that is noted.
    ///
    /// # Errors
    /// Those of [`Field::items`] and [`Field::line`].
    pub fn lines(&self, name: &str, count_max: usize, chars_max: usize) -> Result<Vec<CleanText>, Fault> {
        let mut lines = Vec::new();
        for item in self.list(name, count_max)? {
            let line = item.line(chars_max)?;
            if line.is_empty() {
                item.note("empty entry removed");
            } else {
                lines.push(line);
            }
        }
        Ok(lines)
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// A value and its place.
#[derive(Clone)]
pub struct Field<'a> {
    value: &'a Value,
    path: String,
    repairs: &'a Repairs,
}

impl<'a> Field<'a> {
    /// The value as JSON.
    #[must_use]
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// `bad_field` at this place.
    #[must_use]
    pub fn bad(&self, detail: &str) -> Fault {
        self.fault(RejectReason::BadField, detail)
    }

    /// A fault at this place.
    #[must_use]
    pub fn fault(&self, reason: RejectReason, detail: &str) -> Fault {
        Fault::new(reason, &self.path, detail)
    }

    /// A string as it is.
    ///
    /// # Errors
    /// `bad_field` when it is something else.
    pub fn string(&self) -> Result<&'a str, Fault> {
        self.value.as_str().ok_or_else(|| self.wrong_kind("a string"))
    }

    /// Text of several lines, cleaned; what was removed is noted.
    ///
    /// # Errors
    /// `bad_field` when it isn't a string, `too_large`.
    pub fn text(&self, chars_max: usize) -> Result<CleanText, Fault> {
        let text = self.cleaned()?;
        self.within(&text, chars_max)?;
        Ok(text)
    }

    /// Text of one line, cleaned and trimmed; what was removed is noted.
    ///
    /// # Errors
    /// `bad_field` when it isn't a string, `too_large`.
    pub fn line(&self, chars_max: usize) -> Result<CleanText, Fault> {
        let line = self.cleaned()?.line();
        self.within(&line, chars_max)?;
        Ok(line)
    }

    /// A key: kept as it is but for the normal form, since a repaired key would name something else.
    ///
    /// # Errors
    /// `bad_field` when it isn't a string, is padded or holds control characters, `too_large`.
    pub fn key(&self, chars_max: usize) -> Result<String, Fault> {
        let raw = self.string()?;
        let (text, dropped) = CleanText::counting(raw);
        if dropped > 0 || raw.chars().any(char::is_control) || raw.trim() != raw {
            return Err(self.bad("must hold no control characters and no space at its ends"));
        }
        self.within(&text, chars_max)?;
        Ok(text.into())
    }

    /// An absolute http or https URL without credentials, in its normal, percent-encoded form.
    ///
    /// # Errors
    /// `bad_field`, `too_large`.
    pub fn url(&self) -> Result<String, Fault> {
        let raw = self.string()?.trim();
        let lower = raw.get(..8).or(raw.get(..7)).unwrap_or_default().to_ascii_lowercase();
        if raw.chars().any(char::is_control) || !(lower.starts_with("http://") || lower.starts_with("https://")) {
            return Err(self.bad("must be an absolute http or https URL, such as https://example.org/a"));
        }
        let url = url::Url::parse(raw).map_err(|error| self.bad(&format!("is not a URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.bad("holds a user name or password; every reader would see them, leave them out"));
        }
        let url = String::from(url);
        if url.chars().count() > URL_CHARS_MAX {
            let detail = format!("is longer than {URL_CHARS_MAX} characters once percent-encoded; shorten it");
            return Err(self.fault(RejectReason::TooLarge, &detail));
        }
        Ok(url)
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// `bad_field`.
    pub fn integer(&self, range: RangeInclusive<i64>) -> Result<i64, Fault> {
        if !self.value.is_number() {
            return Err(self.wrong_kind("a whole number"));
        }
        let (from, to) = (range.start(), range.end());
        let number = self.value.as_i64().filter(|number| range.contains(number));
        number.ok_or_else(|| self.bad(&format!("must be a whole number from {from} to {to}")))
    }

    /// An object.
    ///
    /// # Errors
    /// `bad_field` when it is something else.
    pub fn object(&self) -> Result<Fields<'a>, Fault> {
        let map = self.value.as_object().ok_or_else(|| self.wrong_kind("an object"))?;
        Ok(Fields { map, path: self.path.clone(), repairs: self.repairs })
    }

    /// The entries of an array; a `null` among them is left to who reads it.
    ///
    /// # Errors
    /// `bad_field` when it is something else, `too_large`.
    pub fn items(&self, count_max: usize) -> Result<Vec<Field<'a>>, Fault> {
        let array = self.value.as_array().ok_or_else(|| self.wrong_kind("an array"))?;
        if array.len() > count_max {
            let detail = format!("has {} entries, {count_max} at most; leave some out", array.len());
            return Err(self.fault(RejectReason::TooLarge, &detail));
        }
        let item = |(index, value)| Field { value, path: format!("{}[{index}]", self.path), repairs: self.repairs };
        Ok(array.iter().enumerate().map(item).collect())
    }

    /// Notes what was cleaned here.
    pub fn note(&self, what: &str) {
        self.repairs.borrow_mut().push(format!("{}: {what}", self.path));
    }

    /// That it is of another kind than it must be.
    #[must_use]
    pub fn wrong_kind(&self, wanted: &str) -> Fault {
        self.bad(&format!("must be {wanted}, is {}", kind_of(self.value)))
    }

    fn cleaned(&self) -> Result<CleanText, Fault> {
        let (text, dropped) = CleanText::counting(self.string()?);
        if dropped > 0 {
            let plural = if dropped == 1 { "" } else { "s" };
            self.note(&format!("{dropped} control character{plural} removed"));
        }
        Ok(text)
    }

    fn within(&self, text: &CleanText, chars_max: usize) -> Result<(), Fault> {
        let chars = text.as_str().chars().count();
        if chars <= chars_max {
            return Ok(());
        }
        Err(self.fault(RejectReason::TooLarge, &format!("has {chars} characters, {chars_max} at most; shorten it")))
    }
}

/// What a value is, for a sentence.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
