//! Feeds whose address is a secret. Only a hash of the secret is kept.

use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use serde::Serialize;

/// A private feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrivateFeed {
    /// For whom it is.
    pub name: String,
    /// The topics in it; none: everything.
    pub topics: Vec<String>,
    /// The language that it is in, if in one.
    pub language: Option<String>,
    /// When it was made, or got its present address.
    pub created_at: UnixMillis,
    /// When it was read last, to the hour.
    pub read_at: Option<UnixMillis>,
    /// Since when it is shown no more.
    pub revoked_at: Option<UnixMillis>,
}

fn read(row: &Row) -> Result<PrivateFeed, StoreError> {
    Ok(PrivateFeed {
        name: row.text(0)?,
        topics: from_json(&row.text(1)?, "the topics of a private feed")?,
        language: row.text_opt(2)?,
        created_at: row.at(3)?,
        read_at: row.at_opt(4)?,
        revoked_at: row.at_opt(5)?,
    })
}

/// Makes a feed. Returns false when there is one of this name that isn't revoked.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn add(
    tx: &mut Tx<'_>,
    name: &str,
    token_hash: &str,
    topics: &[String],
    language: Option<&str>,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    const SQL: &str =
        "INSERT INTO private_feeds (name, token_hash, topics, language, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET token_hash = excluded.token_hash, topics = excluded.topics,
             language = excluded.language, created_at = excluded.created_at, read_at = NULL, revoked_at = NULL
         WHERE private_feeds.revoked_at IS NOT NULL";
    let values = &[name.into(), token_hash.into(), json(topics)?, language.into(), now.into()];
    Ok(tx.execute(SQL, values)? == 1)
}

/// Gives a feed another address: the one from before is good no more. Returns whether there is such a feed.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn rotate(tx: &mut Tx<'_>, name: &str, token_hash: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE private_feeds SET token_hash = $2, created_at = $3, read_at = NULL
         WHERE name = $1 AND revoked_at IS NULL";
    Ok(tx.execute(SQL, params![name, token_hash, now])? == 1)
}

/// Ends a feed. Returns whether there was one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn revoke(tx: &mut Tx<'_>, name: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE private_feeds SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL";
    Ok(tx.execute(SQL, params![name, now])? == 1)
}

/// All of them, by name.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<PrivateFeed>, StoreError> {
    const SQL: &str = "SELECT name, topics, language, created_at, read_at, revoked_at FROM private_feeds ORDER BY name";
    tx.query(SQL, &[])?.iter().map(read).collect()
}

/// The feed that a secret opens, whether it is revoked or not.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, token_hash: &str) -> Result<Option<PrivateFeed>, StoreError> {
    const SQL: &str =
        "SELECT name, topics, language, created_at, read_at, revoked_at FROM private_feeds WHERE token_hash = $1";
    tx.query_opt(SQL, params![token_hash])?.as_ref().map(read).transpose()
}

/// Notes that a feed was read: a statistic, by which one sees that it isn't any more.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_read(tx: &mut Tx<'_>, name: &str, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute("UPDATE private_feeds SET read_at = $2 WHERE name = $1", params![name, now]).map(drop)
}
