//! The configuration: reads the file, lays the environment over it, checks it, and says of each mistake the file, the
//! line, the key and what would be right.

pub mod accounts;
mod control_room;
mod digests;
mod dkim;
pub mod file;
mod fixed;
mod inbound;
mod outside;
mod partners_in;
mod roles;
pub mod show;
mod validate;
pub mod ways;

pub use dkim::Dkim;
pub use file::File;
pub use fixed::fixed;
pub use partners_in::{Inbox, Receipts};
pub use roles::{Role, Roles};
pub use validate::{Config, FOLDER_DESTINATION};

use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Environment variables that begin like this override the file: `ALLIM__WEB__LISTEN` is `web.listen`.
pub const ENV_PREFIX: &str = "ALLIM__";

/// The JSON Schema (2020-12) of the file, by which editors complete and check it; descriptions are those of the tables.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(File).to_value()
}

/// A mistake in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("{}: {reason}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file isn't TOML, or a key or type is wrong; the text shows the place.
    #[error("{}:{line}: {reason}", file.display())]
    Syntax {
        /// Which.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A value can't be.
    #[error("{}:{line}: {key}: {reason}", file.display())]
    Value {
        /// Which file.
        file: PathBuf,
        /// Line, from 1; of the nearest table when the key is absent.
        line: usize,
        /// The key, such as `digest[1].schedule`.
        key: String,
        /// What would be right.
        reason: String,
    },
}

/// A value that can't be, before file and line are known.
#[derive(Debug)]
pub struct Mistake {
    /// The key, such as `digest[1].schedule`.
    pub key: String,
    /// What would be right.
    pub reason: String,
}

impl Mistake {
    fn new(key: impl Into<String>, reason: impl ToString) -> Self {
        Self { key: key.into(), reason: reason.to_string() }
    }
}

/// Reads, overlays and checks a configuration file.
///
/// # Errors
/// [`ConfigError`] for the first mistake.
pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ConfigError::Unreadable { file: path.to_owned(), reason: e.to_string() })?;
    let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(&text, path, base, environment)
}

/// The same for text that has been read; `base` is where relative template folders are taken from.
///
/// # Errors
/// [`ConfigError`] for the first mistake.
pub fn parse(
    text: &str,
    path: &Path,
    base: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let syntax = |error: toml::de::Error| ConfigError::Syntax {
        file: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        reason: error.message().to_owned(),
    };
    // Parsed with spans first, so that mistakes of the file itself are shown at their line.
    toml::from_str::<File>(text).map_err(syntax)?;
    let mut table: toml::Table = toml::from_str(text).map_err(syntax)?;
    for (name, value) in environment.filter(|(name, _)| name.starts_with(ENV_PREFIX)) {
        overlay(&mut table, &name, &value).map_err(|mistake| at_line(text, path, mistake))?;
    }
    let file: File = table.try_into().map_err(|e: toml::de::Error| {
        let reason = format!("with the variables {ENV_PREFIX}…: {}", e.message());
        ConfigError::Syntax { file: path.to_owned(), line: 1, reason }
    })?;
    Config::check(file, base).map_err(|mistake| at_line(text, path, mistake))
}

fn overlay(table: &mut toml::Table, name: &str, value: &str) -> Result<(), Mistake> {
    let path: Vec<String> = name[ENV_PREFIX.len()..].split("__").map(str::to_lowercase).collect();
    let Some((last, parents)) = path.split_last() else { return Ok(()) };
    let mut table = table;
    for key in parents {
        let entry = table.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = entry.as_table_mut().ok_or_else(|| Mistake::new(path.join("."), format!("{name} names no table")))?;
    }
    // `8025`, `true` and `["a"]` are read as TOML; anything else is a string.
    let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok().and_then(|mut t| t.remove("v"));
    let text = toml::Value::String(value.to_owned());
    let keeps_type = |new: &toml::Value| table.get(last).is_none_or(|old| old.same_type(new));
    let value = parsed.filter(keeps_type).unwrap_or(text);
    table.insert(last.clone(), value);
    Ok(())
}

fn at_line(text: &str, path: &Path, mistake: Mistake) -> ConfigError {
    let line = DeTable::parse(text).map_or(1, |table| line_of(text, span_of(table.get_ref(), &mistake.key)));
    ConfigError::Value { file: path.to_owned(), line, key: mistake.key, reason: mistake.reason }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Where the value of a dotted key begins, or the nearest table above it.
fn span_of(table: &DeTable<'_>, key: &str) -> usize {
    let mut found = 0;
    let mut level = table;
    for step in key.split('.') {
        let (name, index) = match step.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse::<usize>().ok()),
            None => (step, None),
        };
        let Some((key, value)) = level.iter().find(|(key, _)| key.get_ref() == name) else { return found };
        found = key.span().start;
        let mut value = value;
        if let (Some(index), DeValue::Array(array)) = (index, value.get_ref()) {
            let Some(element) = array.get(index) else { return found };
            (found, value) = (element.span().start, element);
        }
        match value.get_ref() {
            DeValue::Table(inner) => level = inner,
            _ => return found,
        }
    }
    found
}

#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod tests;
