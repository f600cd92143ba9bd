//! Lists of subscribers that somebody handed in by the control room: looked through first, then perhaps taken in, part by part. The
//! rows wait here and not in memory, for an hour at most; so what is taken in is what was looked through, and a restart in between
//! costs nothing.

use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A list is kept for so long: it holds addresses of people who may never be subscribers.
pub const KEPT: Duration = Duration::from_secs(3_600);
/// The counts of a list of which nothing was gone through. Braces in a statement are marks.
const NONE_COUNTED: &str = "{}";
/// Lists that are kept at once.
pub const LISTS_MAX: i64 = 20;

words! {
    /// How far a list has come.
    Stage {
        /// It is looked through; nothing is changed.
        Looking = "looking",
        /// It was looked through, and waits for somebody to say yes.
        Looked = "looked",
        /// It is taken in.
        Taking = "taking",
        /// It was taken in.
        Taken = "taken",
    }
}

/// How many rows came to what: the words are the caller's.
pub type Counts = BTreeMap<String, i64>;

/// A list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Roster {
    /// The hash of what was handed in, by whom, and what was said about it.
    pub id: String,
    /// Who handed it in.
    pub staff_id: i64,
    /// How these people agreed, in the words of whoever handed it in.
    pub basis: String,
    /// How far it has come.
    pub stage: Stage,
    /// How many rows it has.
    pub rows: i64,
    /// In how many parts.
    pub parts: i64,
    /// How many parts are done, in this stage.
    pub done: i64,
    /// What the rows came to so far, in this stage.
    pub counts: Counts,
    /// When it was handed in.
    pub made_at: UnixMillis,
    /// When something last happened to it.
    pub moved_at: UnixMillis,
    /// When it is forgotten.
    pub until_at: UnixMillis,
}

/// A list about to be kept.
#[derive(Clone, Debug)]
pub struct New {
    /// Its id.
    pub id: String,
    /// Who hands it in.
    pub staff_id: i64,
    /// How these people agreed.
    pub basis: String,
    /// How many rows there are.
    pub rows: i64,
    /// The rows, part by part, as JSON.
    pub parts: Vec<String>,
}

/// What became of a list that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept, and to be looked through.
    New,
    /// The same one is there.
    Known,
    /// There are [`LISTS_MAX`] already.
    Full,
}

/// Keeps a list.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn keep(tx: &mut Tx<'_>, new: &New, now: UnixMillis) -> Result<Kept, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM rosters";
    const SQL: &str =
        "INSERT INTO rosters (id, staff_id, basis, stage, row_count, parts, done, counts, made_at, moved_at, until_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $9, $7, $7, $8)";
    forget(tx, now)?;
    if find(tx, &new.id)?.is_some() {
        return Ok(Kept::Known);
    }
    if tx.query_opt(COUNT, &[])?.map_or(Ok(0), |row| row.int(0))? >= LISTS_MAX {
        return Ok(Kept::Full);
    }
    let parts = i64::try_from(new.parts.len()).unwrap_or(i64::MAX);
    let (stage, until) = (Stage::Looking.word(), now.plus(KEPT));
    let row = params![&new.id, new.staff_id, &new.basis, stage, new.rows, parts, now, until, NONE_COUNTED];
    tx.change("keeping a list", 1, SQL, row)?;
    const PART: &str = "INSERT INTO roster_parts (roster_id, number, rows_json) VALUES ($1, $2, $3)";
    for (number, rows) in (0i64..).zip(&new.parts) {
        tx.change("keeping a part of a list", 1, PART, params![&new.id, number, rows])?;
    }
    Ok(Kept::New)
}

macro_rules! roster_sql {
    ($rest:literal) => {
        concat!(
            "SELECT id, staff_id, basis, stage, row_count, parts, done, counts, made_at, moved_at, until_at FROM rosters ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Roster, StoreError> {
    Ok(Roster {
        id: row.text(0)?,
        staff_id: row.int(1)?,
        basis: row.text(2)?,
        stage: row.parse(3, Stage::from_word)?,
        rows: row.int(4)?,
        parts: row.int(5)?,
        done: row.int(6)?,
        counts: from_json(&row.text(7)?, "the counts of a list")?,
        made_at: row.at(8)?,
        moved_at: row.at(9)?,
        until_at: row.at(10)?,
    })
}

/// One list.
///
/// # Errors
/// As [`keep`].
pub fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<Roster>, StoreError> {
    tx.query_opt(roster_sql!("WHERE id = $1"), params![id])?.as_ref().map(read).transpose()
}

/// Lists that are kept, newest first.
///
/// # Errors
/// As [`keep`].
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Roster>, StoreError> {
    tx.query(roster_sql!("ORDER BY made_at DESC, id LIMIT $1"), params![LISTS_MAX])?.iter().map(read).collect()
}

/// The rows of a part as they were given, and what became of them so far.
///
/// # Errors
/// As [`keep`].
pub fn part(tx: &mut Tx<'_>, id: &str, number: i64) -> Result<Option<(String, Option<String>)>, StoreError> {
    const SQL: &str = "SELECT rows_json, told FROM roster_parts WHERE roster_id = $1 AND number = $2";
    tx.query_opt(SQL, params![id, number])?.map(|row| Ok((row.text(0)?, row.text_opt(1)?))).transpose()
}

/// Locks a list whose next part is this one, in this stage. `None`: another process was faster, or it is gone.
///
/// # Errors
/// As [`keep`].
pub fn lock_at(tx: &mut Tx<'_>, id: &str, stage: Stage, done: i64) -> Result<Option<Roster>, StoreError> {
    const SQL: &str = roster_sql!("WHERE id = $1 AND stage = $2 AND done = $3 {for update}");
    tx.query_opt(SQL, params![id, stage.word(), done])?.as_ref().map(read).transpose()
}

/// Notes what became of a part, whose list the caller has locked; with the last part its stage ends.
///
/// # Errors
/// As [`keep`].
pub fn note(tx: &mut Tx<'_>, roster: &Roster, told: &str, counts: &Counts, now: UnixMillis) -> Result<(), StoreError> {
    const PART: &str = "UPDATE roster_parts SET told = $3 WHERE roster_id = $1 AND number = $2";
    const SQL: &str =
        "UPDATE rosters SET stage = $3, done = $4, counts = $5, moved_at = $6 WHERE id = $1 AND done = $2";
    tx.change("noting a part of a list", 1, PART, params![&roster.id, roster.done, told])?;
    let done = roster.done + 1;
    let stage = match roster.stage {
        Stage::Looking if done == roster.parts => Stage::Looked,
        Stage::Taking if done == roster.parts => Stage::Taken,
        stage => stage,
    };
    let mut sum = roster.counts.clone();
    for (word, count) in counts {
        *sum.entry(word.clone()).or_default() += count;
    }
    let row = params![&roster.id, roster.done, stage.word(), done, json(&sum)?, now];
    tx.change("noting how far a list has come", 1, SQL, row)
}

/// Has a list taken in that was looked through. False: it wasn't, or somebody said yes before.
///
/// # Errors
/// As [`keep`].
pub fn begin_taking(tx: &mut Tx<'_>, id: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE rosters SET stage = $2, done = 0, counts = $6, moved_at = $4, until_at = $5
         WHERE id = $1 AND stage = $3";
    let row = params![id, Stage::Taking.word(), Stage::Looked.word(), now, now.plus(KEPT), NONE_COUNTED];
    Ok(tx.execute(SQL, row)? == 1)
}

/// Forgets one list at once. Returns whether it was there.
///
/// # Errors
/// As [`keep`].
pub fn drop_one(tx: &mut Tx<'_>, id: &str) -> Result<bool, StoreError> {
    tx.execute("DELETE FROM roster_parts WHERE roster_id = $1", params![id])?;
    Ok(tx.execute("DELETE FROM rosters WHERE id = $1", params![id])? == 1)
}

/// Forgets lists whose time is over. Returns how many.
///
/// # Errors
/// As [`keep`].
pub fn forget(tx: &mut Tx<'_>, now: UnixMillis) -> Result<u64, StoreError> {
    const PARTS: &str = "DELETE FROM roster_parts WHERE roster_id IN (SELECT id FROM rosters WHERE until_at <= $1)";
    tx.execute(PARTS, params![now])?;
    tx.execute("DELETE FROM rosters WHERE until_at <= $1", params![now])
}

/// Takes the rows of an address out of the lists that are kept.
///
/// # Errors
/// As [`keep`].
pub fn strike_out(tx: &mut Tx<'_>, address_key: &str) -> Result<(), StoreError> {
    const PARTS: &str = "SELECT number, rows_json FROM roster_parts WHERE roster_id = $1 ORDER BY number";
    const SET: &str = "UPDATE roster_parts SET rows_json = $3 WHERE roster_id = $1 AND number = $2";
    for roster in list(tx)? {
        for row in tx.query(PARTS, params![&roster.id])? {
            let (number, text) = (row.int(0)?, row.text(1)?);
            if !text.to_lowercase().contains(address_key) {
                continue;
            }
            let rows: Vec<serde_json::Value> = from_json(&text, "the rows of a list")?;
            let is_other = |row: &serde_json::Value| !row.to_string().to_lowercase().contains(address_key);
            let kept: Vec<_> = rows.into_iter().filter(is_other).collect();
            tx.change("striking somebody out of a list", 1, SET, params![&roster.id, number, json(&kept)?])?;
        }
    }
    Ok(())
}
