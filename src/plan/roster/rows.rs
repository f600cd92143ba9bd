//! The rows of a list as somebody hands it in: CSV with a header, or a JSON list of the same fields.

use super::Fault;
use crate::domain::audience::Subscriber;
use crate::store::subscribers::Subscription;
use std::collections::BTreeMap;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Line {
    /// Mail address.
    pub address: String,
    /// How to greet them; may be empty.
    #[serde(default)]
    pub name: String,
    /// Language tag.
    pub language: String,
    /// Topics, parted by spaces; in JSON perhaps a list.
    #[serde(deserialize_with = "listed")]
    pub topics: String,
    /// `immediate`, a digest's name, or `DIGEST HH:MM ZONE`.
    pub schedule: String,
}

impl Line {
    /// The rows by which somebody would be taken in again, one for each of their schedules; none for whoever left, since wherever
    /// the list is read next nobody knows that.
    pub fn of(person: &Subscriber, subscriptions: &[Subscription]) -> Vec<Self> {
        let mut by_slot: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for subscription in subscriptions.iter().filter(|_| person.unsubscribed_at.is_none()) {
            by_slot.entry(subscription.slot.as_str()).or_default().push(&subscription.topic);
        }
        let line = |(slot, topics): (&str, Vec<&str>)| Self {
            address: person.address.to_string(),
            name: person.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            language: person.language.to_string(),
            topics: topics.join(" "),
            schedule: slot.to_owned(),
        };
        by_slot.into_iter().map(line).collect()
    }
}

fn listed<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        List(Vec<String>),
    }
    Ok(match serde::Deserialize::deserialize(from)? {
        Given::One(text) => text,
        Given::List(list) => list.join(" "),
    })
}

/// Why a list can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A column is missing in the first line.
    #[error("line 1: the column `{0}` is missing; begin with address,name,language,topics,schedule")]
    Column(&'static str),
    /// The first line can't be read.
    #[error("line 1: {0}")]
    Header(csv::Error),
    /// It begins as JSON and isn't a list in JSON.
    #[error("JSON: {0}")]
    Json(serde_json::Error),
}

/// A row with its line in the file.
pub type Read = (u64, Result<Line, Fault>);

/// The rows of a list, each with its line (of JSON: with its place in the list). A row that can't be read is a fault of its own.
///
/// # Errors
/// [`Unreadable`].
pub fn rows(bytes: &[u8]) -> Result<Vec<Read>, Unreadable> {
    // Spreadsheets put it before the first column's name.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.trim_ascii_start().starts_with(b"[") {
        let list: Vec<serde_json::Value> = serde_json::from_slice(bytes).map_err(Unreadable::Json)?;
        let row = |one| serde_json::from_value(one).map_err(|e: serde_json::Error| Fault::Unread(e.to_string()));
        return Ok((1..).zip(list.into_iter().map(row)).collect());
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(bytes);
    let header = reader.headers().map_err(Unreadable::Header)?.clone();
    for column in ["address", "language", "topics", "schedule"] {
        if !header.iter().any(|name| name == column) {
            return Err(Unreadable::Column(column));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let position = match &record {
            Ok(record) => record.position(),
            Err(error) => error.position(),
        };
        let line = position.map_or(0, |position| line_of(position, bytes));
        let read = record.map_err(|e| Fault::Unread(without_content(&e))).and_then(|record| row(&record, &header));
        rows.push((line, read));
    }
    Ok(rows)
}

/// What the reader says, unless it may repeat what stands in the row.
fn without_content(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it isn't UTF-8".to_owned(),
        _ => "it isn't CSV".to_owned(),
    }
}

/// The line that a record begins on. The reader counts from before the blank lines that it skips.
fn line_of(position: &csv::Position, bytes: &[u8]) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
    let blank = bytes[start..].iter().take_while(|byte| matches!(**byte, b'\n' | b'\r'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

fn row(record: &csv::StringRecord, header: &csv::StringRecord) -> Result<Line, Fault> {
    let (has, wants) = (record.len(), header.len());
    if has != wants {
        return Err(Fault::Fields { has, wants });
    }
    record.deserialize(Some(header)).map_err(|e| Fault::Unread(without_content(&e)))
}
