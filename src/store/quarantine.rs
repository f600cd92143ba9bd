//! Messages that could not be taken in, with the reason and the bytes, until they are replayed or too old.

use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;

/// One message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Quarantined {
    /// Derived from source and content: the same message is one row.
    pub id: String,
    /// The configured source.
    pub source: String,
    /// `published`, `revised` or `withdrawn`, as far as it could be told.
    pub kind: Option<String>,
    /// The post's id within the source, as far as it could be told.
    pub source_id: Option<String>,
    /// The event's id, as far as it could be told.
    pub event_id: Option<String>,
    /// A word from a closed list.
    pub reason: String,
    /// The path of the field that is wrong.
    pub path: String,
    /// A sentence that says what would be right.
    pub detail: String,
    /// The message as JSON: content type, headers and bytes in base64.
    #[serde(skip)]
    pub message: String,
    /// When it came, first.
    pub received_at: UnixMillis,
    /// When it was taken in after all.
    pub replayed_at: Option<UnixMillis>,
}

macro_rules! quarantine_sql {
    ($rest:literal) => {
        concat!(
            "SELECT id, source, kind, source_id, event_id, reason, path, detail, message, received_at, replayed_at
             FROM quarantine ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Quarantined, StoreError> {
    Ok(Quarantined {
        id: row.text(0)?,
        source: row.text(1)?,
        kind: row.text_opt(2)?,
        source_id: row.text_opt(3)?,
        event_id: row.text_opt(4)?,
        reason: row.text(5)?,
        path: row.text(6)?,
        detail: row.text(7)?,
        message: row.text(8)?,
        received_at: row.at(9)?,
        replayed_at: row.at_opt(10)?,
    })
}

/// Sets a message aside. One that is there already keeps its place and gets the newest reason.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put(tx: &mut Tx<'_>, row: &Quarantined) -> Result<(), StoreError> {
    tx.change(
        "quarantining a message",
        1,
        "INSERT INTO quarantine (id, source, kind, source_id, event_id, reason, path, detail, message, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, path = excluded.path, detail = excluded.detail,
             replayed_at = NULL",
        params![
            &row.id,
            &row.source,
            row.kind.as_ref(),
            row.source_id.as_ref(),
            row.event_id.as_ref(),
            &row.reason,
            &row.path,
            &row.detail,
            &row.message,
            row.received_at,
        ],
    )
}

/// One message.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<Quarantined>, StoreError> {
    const SQL: &str = quarantine_sql!("WHERE id = $1");
    tx.query_opt(SQL, params![id])?.as_ref().map(read).transpose()
}

/// Messages still set aside, oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Quarantined>, StoreError> {
    const SQL: &str = quarantine_sql!("WHERE replayed_at IS NULL ORDER BY received_at, id LIMIT $1");
    tx.query(SQL, params![limit])?.iter().map(read).collect()
}

/// A message that is set aside, without what it holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Head {
    /// Its id.
    pub id: String,
    /// The configured source.
    pub source: String,
    /// The post's id within the source, as far as it could be told.
    pub source_id: Option<String>,
    /// A word from a closed list.
    pub reason: String,
    /// The path of the field that is wrong.
    pub path: String,
    /// When it came, first.
    pub received_at: UnixMillis,
}

/// Messages still set aside, oldest first, after the last one of the page before.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn heads(tx: &mut Tx<'_>, after: Option<&(UnixMillis, String)>, limit: i64) -> Result<Vec<Head>, StoreError> {
    const SQL: &str = "SELECT id, source, source_id, reason, path, received_at FROM quarantine
         WHERE replayed_at IS NULL AND received_at >= $1 AND (received_at > $1 OR id > $2)
         ORDER BY received_at, id LIMIT $3";
    let (at, id) = after.map_or((UnixMillis(i64::MIN), ""), |(at, id)| (*at, id.as_str()));
    let head = |row: &Row| {
        Ok(Head {
            id: row.text(0)?,
            source: row.text(1)?,
            source_id: row.text_opt(2)?,
            reason: row.text(3)?,
            path: row.text(4)?,
            received_at: row.at(5)?,
        })
    };
    tx.query(SQL, params![at, id, limit])?.iter().map(head).collect()
}

/// The ids of all messages still set aside, oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ids(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT id FROM quarantine WHERE replayed_at IS NULL ORDER BY received_at, id";
    tx.query(SQL, &[])?.iter().map(|row| row.text(0)).collect()
}

/// Every message that was set aside and spoke of a post, those taken in later too.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of_post(tx: &mut Tx<'_>, source: &str, source_id: &str) -> Result<Vec<Quarantined>, StoreError> {
    const SQL: &str = quarantine_sql!("WHERE source = $1 AND source_id = $2 ORDER BY received_at, id");
    tx.query(SQL, params![source, source_id])?.iter().map(read).collect()
}

/// Messages set aside because they spoke of one of these posts of a source, which was unknown then.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn waiting_for_posts(
    tx: &mut Tx<'_>,
    source: &str,
    source_ids: &[&str],
    reason: &str,
) -> Result<Vec<Quarantined>, StoreError> {
    const SQL: &str = quarantine_sql!(
        "WHERE source = $1 AND source_id IN {list $2: text} AND reason = $3 AND replayed_at IS NULL
         ORDER BY received_at, id"
    );
    tx.query(SQL, &[source.into(), json(source_ids)?, reason.into()])?.iter().map(read).collect()
}

/// Marks a message as taken in after all.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_replayed(tx: &mut Tx<'_>, id: &str, at: UnixMillis) -> Result<(), StoreError> {
    tx.change("marking a replay", 1, "UPDATE quarantine SET replayed_at = $2 WHERE id = $1", params![id, at])
}

/// How many messages are set aside.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT COUNT(*) FROM quarantine WHERE replayed_at IS NULL", &[])?;
    row.map_or(Ok(0), |row| row.int(0))
}
