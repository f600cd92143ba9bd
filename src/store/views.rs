//! How often posts were looked at: a statistic, and nothing that anything else depends on.

use super::value::{json, params};
use super::{StoreError, Tx};
use std::collections::BTreeMap;

/// Adds views to posts. What a post has is added to, never set, so that replicas count together.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn add(tx: &mut Tx<'_>, views: &BTreeMap<String, i64>) -> Result<(), StoreError> {
    #[derive(serde::Serialize)]
    struct New<'a> {
        id: &'a str,
        count: i64,
    }
    // In the order of ids: two replicas that write the same posts wait for each other and never both.
    const SQL: &str = "INSERT INTO post_views (post_id, views)
         SELECT id, count FROM {rows $1: id text, count int} b WHERE true ORDER BY id
         ON CONFLICT (post_id) DO UPDATE SET views = post_views.views + excluded.views";
    let rows: Vec<New<'_>> = views.iter().map(|(id, count)| New { id, count: *count }).collect();
    tx.change("counting views", rows.len(), SQL, &[json(&rows)?])
}

/// Keeps the views that a source told of its post without revising it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn tell(tx: &mut Tx<'_>, post_id: &str, told: i64) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO post_views (post_id, views, told) VALUES ($1, 0, $2)
         ON CONFLICT (post_id) DO UPDATE SET told = excluded.told";
    tx.change("keeping the views that were told", 1, SQL, params![post_id, told])
}

/// From now on those count that the post itself has: it was revised.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget_told(tx: &mut Tx<'_>, post_id: &str) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE post_views SET told = NULL WHERE post_id = $1 AND told IS NOT NULL";
    tx.execute(SQL, params![post_id]).map(drop)
}

/// The views that were told last, if that was after the post's newest revision.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn told(tx: &mut Tx<'_>, post_id: &str) -> Result<Option<i64>, StoreError> {
    let row = tx.query_opt("SELECT told FROM post_views WHERE post_id = $1", params![post_id])?;
    row.map_or(Ok(None), |row| row.int_opt(0))
}

/// How often a post was looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of(tx: &mut Tx<'_>, post_id: &str) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT views FROM post_views WHERE post_id = $1", params![post_id])?;
    row.map_or(Ok(0), |row| row.int(0))
}
