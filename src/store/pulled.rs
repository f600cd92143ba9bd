//! Feeds of partners that are pulled: where each stands, and what of it was taken in.

use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use serde::Serialize;

/// Characters kept of what went wrong.
const WHY_LEN_MAX: usize = 300;

/// A feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Feed {
    /// As the configuration has it.
    pub url: String,
    /// The source whose posts its entries are.
    pub source: String,
    /// Where it moved for good, if it did.
    pub moved_to: Option<String>,
    /// What the server names the version that we have.
    pub etag: Option<String>,
    /// And its date, as it wrote it.
    pub last_modified: Option<String>,
    /// When it was asked for last.
    pub checked_at: Option<UnixMillis>,
    /// When it was taken in whole last; never before the first time.
    pub taken_at: Option<UnixMillis>,
    /// When it is asked for next.
    pub next_at: UnixMillis,
    /// How often in a row that failed.
    pub failures: i64,
    /// Why it failed last, or why it ended.
    pub why: Option<String>,
    /// Since when it is asked for no more.
    pub ended_at: Option<UnixMillis>,
}

/// An entry of a feed, as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The feed within which its key means something; empty where that is everywhere.
    pub scope: String,
    /// What the feed tells it by.
    pub key: String,
    /// The feed that it is taken from.
    pub feed: String,
    /// The id of its post within the source.
    pub source_id: String,
    /// Its page.
    pub link: Option<String>,
    /// The hash of what was taken in; empty until that is durable.
    pub content_hash: String,
    /// When it stood in the feed first.
    pub first_seen_at: UnixMillis,
}

/// How asking for a feed ended.
#[derive(Clone, Debug)]
pub enum Asked {
    /// It was taken in, or hasn't changed.
    Well {
        /// Where it is, if it moved for good.
        moved_to: Option<String>,
        /// For the next time.
        etag: Option<String>,
        /// For the next time.
        last_modified: Option<String>,
    },
    /// It comes again.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// It is asked for no more.
    Ended {
        /// Why.
        why: String,
    },
}

macro_rules! feed_sql {
    ($rest:literal) => {
        concat!(
            "SELECT url, source, moved_to, etag, last_modified, checked_at, taken_at, next_at, failures, why, ended_at
             FROM pulled_feeds ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Feed, StoreError> {
    Ok(Feed {
        url: row.text(0)?,
        source: row.text(1)?,
        moved_to: row.text_opt(2)?,
        etag: row.text_opt(3)?,
        last_modified: row.text_opt(4)?,
        checked_at: row.at_opt(5)?,
        taken_at: row.at_opt(6)?,
        next_at: row.at(7)?,
        failures: row.int(8)?,
        why: row.text_opt(9)?,
        ended_at: row.at_opt(10)?,
    })
}

/// Makes a feed known. One that is known already stays as it is, but for the source that it is given to.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn know(tx: &mut Tx<'_>, url: &str, source: &str, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO pulled_feeds (url, source, next_at, failures) VALUES ($1, $2, $3, 0)
         ON CONFLICT (url) DO UPDATE SET source = excluded.source, etag = NULL, last_modified = NULL, taken_at = NULL
         WHERE pulled_feeds.source <> excluded.source";
    tx.execute(SQL, params![url, source, now]).map(drop)
}

/// Takes one of these feeds that is due, so that no other process asks for it. It is due again at `again_at`, if nobody says what came
/// of it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn take(tx: &mut Tx<'_>, urls: &[&str], now: UnixMillis, again_at: UnixMillis) -> Result<Option<Feed>, StoreError> {
    const SQL: &str = feed_sql!(
        "WHERE ended_at IS NULL AND next_at <= $1 AND url IN {list $2: text} ORDER BY next_at, url LIMIT 1 {skip locked}"
    );
    let Some(feed) = tx.query_opt(SQL, &[now.into(), json(urls)?])?.as_ref().map(read).transpose()? else {
        return Ok(None);
    };
    let values = params![&feed.url, again_at];
    tx.change("taking a feed", 1, "UPDATE pulled_feeds SET next_at = $2 WHERE url = $1", values)?;
    Ok(Some(feed))
}

/// When the next of these feeds is due.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_at(tx: &mut Tx<'_>, urls: &[&str]) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str = "SELECT MIN(next_at) FROM pulled_feeds WHERE ended_at IS NULL AND url IN {list $1: text}";
    tx.query_opt(SQL, &[json(urls)?])?.map_or(Ok(None), |row| row.at_opt(0))
}

/// Makes a feed due now, also one that has ended, and asks for the whole of it.
///
/// # Errors
/// [`StoreError`] from the database, also when it isn't known.
pub fn ask_now(tx: &mut Tx<'_>, url: &str, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE pulled_feeds SET next_at = $2, ended_at = NULL, etag = NULL, last_modified = NULL,
         moved_to = NULL WHERE url = $1";
    tx.change("making a feed due", 1, SQL, params![url, now])
}

/// Records how asking for a feed ended, and when it is asked for next.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn settle(
    tx: &mut Tx<'_>,
    url: &str,
    asked: &Asked,
    now: UnixMillis,
    next_at: UnixMillis,
) -> Result<(), StoreError> {
    let clipped = |why: &str| why.chars().filter(|c| *c != '\0').take(WHY_LEN_MAX).collect::<String>();
    match asked {
        Asked::Well { moved_to, etag, last_modified } => tx.change(
            "recording a feed",
            1,
            "UPDATE pulled_feeds SET moved_to = $4, etag = $5, last_modified = $6, checked_at = $2, taken_at = $2,
                 next_at = $3, failures = 0, why = NULL WHERE url = $1",
            params![url, now, next_at, moved_to.as_deref(), etag.as_deref(), last_modified.as_deref()],
        ),
        // Where it moved to may be what is wrong.
        Asked::Failed { why } => tx.change(
            "recording a feed that failed",
            1,
            "UPDATE pulled_feeds SET moved_to = NULL, checked_at = $2, next_at = $3, failures = failures + 1, why = $4
             WHERE url = $1",
            params![url, now, next_at, clipped(why)],
        ),
        Asked::Ended { why } => tx.change(
            "recording the end of a feed",
            1,
            "UPDATE pulled_feeds SET checked_at = $2, ended_at = $2, why = $3 WHERE url = $1",
            params![url, now, clipped(why)],
        ),
    }
}

/// A feed by its address.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, url: &str) -> Result<Option<Feed>, StoreError> {
    tx.query_opt(feed_sql!("WHERE url = $1"), params![url])?.as_ref().map(read).transpose()
}

/// Holds the other feeds of a source up until the transaction ends, so that two of them don't take one entry for new, and returns
/// those that are still asked for. [`live`] is the same for who only looks.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock(tx: &mut Tx<'_>, source: &str) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT url FROM pulled_feeds WHERE source = $1 AND ended_at IS NULL ORDER BY url {for update}";
    tx.query(SQL, params![source])?.iter().map(|row| row.text(0)).collect()
}

/// The feeds of a source that are still asked for.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn live(tx: &mut Tx<'_>, source: &str) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT url FROM pulled_feeds WHERE source = $1 AND ended_at IS NULL ORDER BY url";
    tx.query(SQL, params![source])?.iter().map(|row| row.text(0)).collect()
}

/// Entries of all feeds of a source that are known by one of these keys or pages, those that were seen first before others.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn entries(tx: &mut Tx<'_>, source: &str, keys: &[&str], links: &[&str]) -> Result<Vec<Entry>, StoreError> {
    const SQL: &str = "SELECT scope, entry_key, feed, source_id, link, content_hash, first_seen_at FROM pulled_entries
             WHERE source = $1 AND entry_key IN {list $2: text}
         UNION SELECT scope, entry_key, feed, source_id, link, content_hash, first_seen_at FROM pulled_entries
             WHERE source = $1 AND link IS NOT NULL AND link IN {list $3: text}
         ORDER BY first_seen_at, entry_key, scope";
    let row = |row: &Row| {
        Ok(Entry {
            scope: row.text(0)?,
            key: row.text(1)?,
            feed: row.text(2)?,
            source_id: row.text(3)?,
            link: row.text_opt(4)?,
            content_hash: row.text(5)?,
            first_seen_at: row.at(6)?,
        })
    };
    tx.query(SQL, &[source.into(), json(keys)?, json(links)?])?.iter().map(row).collect()
}

/// Keeps an entry. One that is known by its key keeps its post and the instant at which it was seen first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn keep_entry(tx: &mut Tx<'_>, source: &str, entry: &Entry) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO pulled_entries (source, scope, entry_key, feed, source_id, link, content_hash, first_seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (source, entry_key, scope) DO UPDATE SET feed = excluded.feed, link = excluded.link,
             content_hash = excluded.content_hash";
    let Entry { scope, key, feed, source_id, link, content_hash, first_seen_at } = entry;
    let values = params![source, scope, key, feed, source_id, link.as_deref(), content_hash, *first_seen_at];
    tx.change("keeping an entry of a feed", 1, SQL, values)
}
