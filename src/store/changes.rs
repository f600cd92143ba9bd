//! The counter and the numbered changes (design rule 2).

use super::value::{json, params};
use super::{Row, StoreError, Tx, Value, posts};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

words! {
    /// What happened to a post.
    ChangeKind {
        /// It may be shown.
        Public = "public",
        /// Its story is owed to readers of one language.
        Released = "released",
        /// It has a newer revision.
        Revised = "revised",
        /// It was taken back.
        Withdrawn = "withdrawn",
        /// Its time is over.
        Expired = "expired",
    }
}

/// A change about to be numbered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which post.
    pub post_id: String,
    /// Its story.
    pub story_id: String,
    /// The post's language; for a release, the reader's.
    pub language: String,
    /// When.
    pub at: UnixMillis,
}

/// The head: the highest number that anybody can have seen.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn head(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    value(tx, "change")
}

/// Where a counter stands.
pub(super) fn value(tx: &mut Tx<'_>, counter: &'static str) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT value FROM counters WHERE name = $1", params![counter])?;
    row.ok_or_else(|| StoreError::Shape(format!("the counter {counter} is missing")))?.int(0)
}

/// The changes after a number, in their order, with their numbers.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn after(tx: &mut Tx<'_>, seq: i64, limit: i64) -> Result<Vec<(i64, Change)>, StoreError> {
    const SQL: &str =
        "SELECT seq, kind, post_id, story_id, language, at FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2";
    let read = |row: &Row| {
        let (kind, post_id, story_id) = (row.parse(1, ChangeKind::from_word)?, row.text(2)?, row.text(3)?);
        Ok((row.int(0)?, Change { kind, post_id, story_id, language: row.text(4)?, at: row.at(5)? }))
    };
    tx.query(SQL, params![seq, limit])?.iter().map(read).collect()
}

/// When the newest change was made.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn newest_at(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    tx.query_opt("SELECT at FROM changes ORDER BY seq DESC LIMIT 1", &[])?.map(|row| row.at(0)).transpose()
}

/// Draws `count` consecutive numbers of a counter and returns the first. The counter's row stays locked until the
/// commit, so whoever draws later commits later: call it last.
pub(super) fn draw(tx: &mut Tx<'_>, counter: &'static str, count: usize) -> Result<i64, StoreError> {
    const SQL: &str = "UPDATE counters SET value = value + $2 WHERE name = $1 RETURNING value";
    let count = count as i64;
    let row = tx.query_opt(SQL, params![counter, count])?;
    let last = row.ok_or_else(|| StoreError::Shape(format!("the counter {counter} is missing")))?.int(0)?;
    Ok(last - count + 1)
}

/// Numbers `changes` in their order and writes them; for those that are releases, also what planning searches by.
/// The last thing a releasing transaction does.
///
/// # Errors
/// [`StoreError`] from the database; also when a release exists already.
pub fn number(tx: &mut Tx<'_>, changes: &[Change]) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    let first = draw(tx, "change", changes.len())?;
    #[derive(Serialize)]
    struct Numbered<'a> {
        seq: i64,
        #[serde(flatten)]
        change: &'a Change,
    }
    let rows: Vec<_> = changes.iter().zip(first..).map(|(change, seq)| Numbered { seq, change }).collect();
    tx.change(
        "numbering changes",
        rows.len(),
        "INSERT INTO changes (seq, kind, post_id, story_id, language, at)
         SELECT seq, kind, post_id, story_id, language, at
         FROM {rows $1: seq int, kind text, post_id text, story_id text, language text, at int} b",
        &[json(&rows)?],
    )?;
    let released: Vec<_> = rows.iter().filter(|row| row.change.kind == ChangeKind::Released).collect();
    if released.is_empty() {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO releases (story_id, language, post_id, seq, released_at)
         SELECT story_id, language, post_id, seq, at
         FROM {rows $1: seq int, post_id text, story_id text, language text, at int} b",
        &[json(&released)?],
    )?;
    let post_ids: Vec<&str> = released.iter().map(|row| row.change.post_id.as_str()).collect();
    let topics = posts::topics(tx, &post_ids)?;
    let mut under: Vec<Vec<Value>> = Vec::new();
    for Numbered { seq, change } in released.iter().copied() {
        let distinct: BTreeSet<&String> = topics.get(&change.post_id).into_iter().flatten().collect();
        for topic in distinct {
            let texts = [topic, &change.language].map(|text| text.as_str().into());
            let ids = [&change.story_id, &change.post_id].map(|text| text.as_str().into());
            under.push(texts.into_iter().chain([(*seq).into()]).chain(ids).collect());
        }
    }
    tx.change_each(
        "putting releases under their topics",
        "INSERT INTO release_topics (topic, language, seq, story_id, post_id) {each $1: text, text, int, text, text}",
        &under,
    )?;
    Ok(())
}
