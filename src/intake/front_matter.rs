//! Markdown files with front matter, for the spool folder and `allim post`: the file becomes a bare post, which then
//! passes the same door as any message. TOML between `+++` lines is read in full; between `---` lines only
//! what needs no YAML parser: `key: value` and `key: [a, b]`.

use super::fields::Fault;
use super::wire::{RejectReason, Rejection, clipped};
use serde_json::{Map, Value, json};

/// Why the front matter can't be read, and the fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrontMatterError {
    /// The file doesn't begin with a fence.
    #[error("the file must begin with front matter: a line `+++`, fields in TOML, and a line `+++`")]
    NoFence,
    /// The second fence is missing.
    #[error("the front matter isn't closed; write a line `{0}` after its fields")]
    NotClosed(&'static str),
    /// The TOML can't be read.
    #[error("line {line} isn't TOML: {what}")]
    NotToml {
        /// Counted from 1, in the file.
        line: usize,
        /// In the words of the TOML parser.
        what: String,
    },
    /// A line between `---` is more YAML than is read here.
    #[error("line {line}: {what}; or write the front matter in TOML between `+++` lines")]
    NotSimple {
        /// Counted from 1, in the file.
        line: usize,
        /// What to write.
        what: &'static str,
    },
    /// The text has two places.
    #[error("`body` can't be a field of the front matter; write the text below it")]
    BodyGiven,
}

impl FrontMatterError {
    /// As a rejection, for the quarantine.
    #[must_use]
    pub fn rejection(&self) -> Rejection {
        Fault::new(RejectReason::BadFrontMatter, "", &self.to_string()).rejection()
    }
}

/// Characters of the TOML parser's words that are repeated: they may quote a word of the file.
const TOML_CHARS_SHOWN: usize = 100;

/// The bare post in `file`: its front matter, and the text below as a Markdown body. A file without `title` takes it from
/// its first `# ` heading, which then leaves the body, so that it isn't shown twice.
///
/// # Errors
/// [`FrontMatterError`], with the line.
pub fn to_json(file: &str) -> Result<Value, FrontMatterError> {
    let file = file.strip_prefix('\u{FEFF}').unwrap_or(file).replace("\r\n", "\n");
    let (first, rest) = file.split_once('\n').unwrap_or((&file, ""));
    let (mut post, text) = match first.trim_end() {
        "+++" => {
            let (front, text) = closed(rest, "+++")?;
            (from_toml(front)?, text)
        }
        "---" => {
            let (front, text) = closed(rest, "---")?;
            (from_simple_lines(front)?, text)
        }
        _ => return Err(FrontMatterError::NoFence),
    };
    if post.contains_key("body") {
        return Err(FrontMatterError::BodyGiven);
    }
    let mut content = text.trim_start_matches('\n').to_owned();
    if !post.contains_key("title")
        && let Some((title, without)) = heading_taken(&content)
    {
        post.insert("title".to_owned(), Value::String(title));
        content = without;
    }
    post.insert("body".to_owned(), json!({ "format": "markdown", "content": content }));
    Ok(Value::Object(post))
}

/// What stands before the closing fence, and after it.
fn closed<'a>(rest: &'a str, fence: &'static str) -> Result<(&'a str, &'a str), FrontMatterError> {
    let mut start = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == fence {
            return Ok((&rest[..start], &rest[start + line.len()..]));
        }
        start += line.len();
    }
    Err(FrontMatterError::NotClosed(fence))
}

fn from_toml(front: &str) -> Result<Map<String, Value>, FrontMatterError> {
    let table: toml::Table = front.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| front.get(..span.start)).unwrap_or_default();
        // The fence is line 1.
        let line = 2 + before.matches('\n').count();
        FrontMatterError::NotToml { line, what: clipped(error.message(), TOML_CHARS_SHOWN) }
    })?;
    Ok(table.into_iter().map(|(key, value)| (key, json_of(value))).collect())
}

fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        // No field takes a fraction, and JSON has no `nan`: the decoder refuses either with the field's path.
        toml::Value::Float(number) => serde_json::Number::from_f64(number).map_or_else(|| json!("nan"), Value::Number),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json_of).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json_of(value))).collect())
        }
    }
}

fn from_simple_lines(front: &str) -> Result<Map<String, Value>, FrontMatterError> {
    let mut map = Map::new();
    for (index, line) in front.lines().enumerate() {
        // The fence is line 1.
        let fault = |what| FrontMatterError::NotSimple { line: index + 2, what };
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once(':').ok_or_else(|| fault("write `key: value`"))?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(fault("write `key: value` without indentation, lists as `key: [a, b]`"));
        }
        if !(value.is_empty() || value.starts_with([' ', '\t'])) {
            return Err(fault("write a space after the colon"));
        }
        let value = match value.trim().strip_prefix('[') {
            Some(list) => Value::Array(list_of(list.strip_suffix(']')).map_err(fault)?),
            None => scalar(value.trim()).map_err(fault)?,
        };
        if map.insert(key.to_owned(), value).is_some() {
            return Err(fault("this key stands there twice; leave one out"));
        }
    }
    Ok(map)
}

/// The items between brackets; a comma within quotes parts nothing.
fn list_of(inside: Option<&str>) -> Result<Vec<Value>, &'static str> {
    let inside = inside.ok_or("close the list with `]` on the same line")?;
    let mut items = Vec::new();
    let (mut start, mut quote, mut escaped) = (0, None, false);
    for (at, c) in inside.char_indices() {
        match quote {
            Some('"') if c == '\\' && !escaped => {
                escaped = true;
                continue;
            }
            Some(open) if c == open && !escaped => quote = None,
            None if (c == '"' || c == '\'') && inside[start..at].trim().is_empty() => quote = Some(c),
            None if c == ',' => {
                items.push(scalar(inside[start..at].trim())?);
                start = at + 1;
            }
            _ => {}
        }
        escaped = false;
    }
    let last = inside[start..].trim();
    if !last.is_empty() {
        items.push(scalar(last)?);
    }
    Ok(items)
}

/// One value as YAML would read it; what could mean something else there is refused.
fn scalar(raw: &str) -> Result<Value, &'static str> {
    if raw.starts_with('"') {
        return serde_json::from_str::<String>(raw).map(Value::String).map_err(|_| "close the double quotes");
    }
    if let Some(quoted) = raw.strip_prefix('\'') {
        let inside = quoted.strip_suffix('\'').ok_or("close the single quotes")?.replace("''", "\u{0}");
        let inside = (!inside.contains('\'')).then(|| inside.replace('\u{0}', "'"));
        return inside.map(Value::String).ok_or("close the single quotes");
    }
    if raw.starts_with(['{', '}', '[', ']', '|', '>', '&', '*', '!', '%', '@', '`', '#']) || raw.contains(" #") {
        return Err("put the value in quotes");
    }
    Ok(match raw {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => raw.parse::<i64>().map_or_else(|_| Value::String(raw.to_owned()), Value::from),
    })
}

/// The first heading of the first level, and the text without its line. A `#` within a fenced code block is none.
fn heading_taken(text: &str) -> Option<(String, String)> {
    let mut fence: Option<&str> = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        if fence.is_none()
            && let Some(title) = line.strip_prefix("# ")
        {
            // A heading may be closed with further signs: `# Title #`.
            let title = title.trim();
            let title = title.trim_end_matches('#').strip_suffix(' ').unwrap_or(title).trim();
            let without = format!("{}{}", &text[..start], &text[start + line.len()..]);
            return (!title.is_empty()).then(|| (title.to_owned(), without.trim_start_matches('\n').to_owned()));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests;
