//! Posts that are being written in the control room.

use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::draft::Draft;
use serde::Serialize;

/// A draft as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its number.
    pub id: i64,
    /// What the variants of several languages share.
    pub story: String,
    /// What was written.
    pub draft: Draft,
    /// How often it was saved.
    pub version: i64,
    /// Who began it.
    pub made_by: i64,
    /// Who saved it last.
    pub saved_by: i64,
    /// When.
    pub saved_at: UnixMillis,
    /// Who asked for its publication.
    pub asked_by: Option<i64>,
    /// When.
    pub asked_at: Option<UnixMillis>,
    /// The post that it became, or whose revision it is to be.
    pub post_id: Option<String>,
    /// When it was published or thrown away.
    pub ended_at: Option<UnixMillis>,
}

macro_rules! columns {
    () => {
        "id, story, content, version, made_by, saved_by, saved_at, asked_by, asked_at, post_id, ended_at"
    };
}

fn kept(row: &Row) -> Result<Kept, StoreError> {
    Ok(Kept {
        id: row.int(0)?,
        story: row.text(1)?,
        draft: from_json(&row.text(2)?, "a draft")?,
        version: row.int(3)?,
        made_by: row.int(4)?,
        saved_by: row.int(5)?,
        saved_at: row.at(6)?,
        asked_by: row.int_opt(7)?,
        asked_at: row.at_opt(8)?,
        post_id: row.text_opt(9)?,
        ended_at: row.at_opt(10)?,
    })
}

/// Begins a draft, of a new post or of a revision of `post_id`.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn insert(
    tx: &mut Tx<'_>,
    id: i64,
    draft: &Draft,
    post_id: Option<&str>,
    by: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO drafts (id, story, language, title, content, version, made_by, made_at, saved_by, saved_at, post_id)
         VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $6, $7, $8)";
    let values = [
        id.into(),
        (&draft.story).into(),
        (&draft.language).into(),
        (&draft.title).into(),
        json(draft)?,
        by.into(),
        now.into(),
        post_id.into(),
    ];
    tx.change("beginning a draft", 1, SQL, &values)
}

/// One draft.
pub fn find(tx: &mut Tx<'_>, id: i64) -> Result<Option<Kept>, StoreError> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM drafts WHERE id = $1");
    tx.query_opt(SQL, params![id])?.as_ref().map(kept).transpose()
}

/// Saves a draft that nobody saved since `version`. Returns its new version, or `None` where somebody did, or it has ended. What was
/// asked for holds for what was written then.
pub fn save(
    tx: &mut Tx<'_>,
    id: i64,
    version: i64,
    draft: &Draft,
    by: i64,
    now: UnixMillis,
) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "UPDATE drafts SET language = $3, title = $4, content = $5, version = version + 1, saved_by = $6, saved_at = $7,
             asked_by = NULL, asked_at = NULL
         WHERE id = $1 AND version = $2 AND ended_at IS NULL";
    let values = [
        id.into(),
        version.into(),
        (&draft.language).into(),
        (&draft.title).into(),
        json(draft)?,
        by.into(),
        now.into(),
    ];
    Ok((tx.execute(SQL, &values)? == 1).then_some(version + 1))
}

/// Somebody asks for the publication of a draft as it is at this version. Returns whether it is.
pub fn ask(tx: &mut Tx<'_>, id: i64, version: i64, by: i64, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE drafts SET asked_by = $3, asked_at = $4
         WHERE id = $1 AND version = $2 AND ended_at IS NULL";
    Ok(tx.execute(SQL, params![id, version, by, now])? == 1)
}

/// A draft was published, as this post, or thrown away. Returns whether it was open, at this version.
pub fn end(tx: &mut Tx<'_>, id: i64, version: i64, post_id: Option<&str>, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE drafts SET ended_at = $4, post_id = COALESCE($3, post_id)
         WHERE id = $1 AND version = $2 AND ended_at IS NULL";
    Ok(tx.execute(SQL, params![id, version, post_id, now])? == 1)
}

/// Opens a draft again whose publication came to nothing.
pub fn reopen(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE drafts SET ended_at = NULL WHERE id = $1", params![id]).map(drop)
}

/// The open drafts, the ones saved last first.
pub fn open(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Kept>, StoreError> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " FROM drafts WHERE ended_at IS NULL ORDER BY saved_at DESC, id DESC LIMIT $1");
    tx.query(SQL, params![limit])?.iter().map(kept).collect()
}

/// The drafts of a story, by language: the open ones, and those that were published.
pub fn of_story(tx: &mut Tx<'_>, story: &str) -> Result<Vec<Kept>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM drafts WHERE story = $1 AND (ended_at IS NULL OR post_id IS NOT NULL) ORDER BY language, id LIMIT 50"
    );
    tx.query(SQL, params![story])?.iter().map(kept).collect()
}

/// The open draft that is to be a revision of a post.
pub fn of_post(tx: &mut Tx<'_>, post_id: &str) -> Result<Option<i64>, StoreError> {
    const SQL: &str = "SELECT id FROM drafts WHERE ended_at IS NULL AND post_id = $1 ORDER BY saved_at DESC LIMIT 1";
    tx.query_opt(SQL, params![post_id])?.map(|row| row.int(0)).transpose()
}
