//! Copies of what posts show: which there are, and which are to be fetched.

use super::value::{json, params};
use super::{Row, StoreError, Tx, changes};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use crate::domain::post::Post;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

words! {
    /// What is copied.
    MediaKind {
        /// A picture, which is looked into.
        Picture = "picture",
        /// A file, which isn't.
        File = "file",
    }
}

/// A copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The SHA-256 of its octets, which it is found by.
    pub hash: String,
    /// What it is.
    pub media_type: String,
    /// Octets.
    pub bytes: i64,
    /// Width and height of a picture, in pixels.
    pub size: Option<(i64, i64)>,
    /// A smaller one, where the picture is large.
    pub small: Option<Small>,
}

/// A smaller picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// The SHA-256 of its octets.
    pub hash: String,
    /// What it is.
    pub media_type: String,
    /// Octets.
    pub bytes: i64,
    /// Width and height, in pixels.
    pub size: (i64, i64),
}

/// What is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Where it is.
    pub url: String,
    /// What it is.
    pub kind: MediaKind,
    /// How often it was tried.
    pub failures: i64,
}

/// The changes that weren't looked through yet, with their numbers.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn unseen(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(i64, changes::Change)>, StoreError> {
    let seen = changes::value(tx, "mirrored")?;
    changes::after(tx, seen, limit)
}

/// Changes up to `seq` were looked through.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_seen(tx: &mut Tx<'_>, seq: i64) -> Result<(), StoreError> {
    // Two replicas may have looked through the same ones; what they found is the same.
    const SQL: &str = "UPDATE counters SET value = CASE WHEN value < $1 THEN $1 ELSE value END WHERE name = 'mirrored'";
    tx.change("moving the counter mirrored", 1, SQL, params![seq])
}

/// Has what a post shows now fetched, unless it was or is to be; and lets go of what it shows no more.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn want(
    tx: &mut Tx<'_>,
    post_id: &str,
    urls: &BTreeMap<String, MediaKind>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    // What was a file first may be shown as a picture too.
    const WANT: &str = "INSERT INTO media (url, kind, due_at, failures) VALUES ($1, $2, $3, 0)
         ON CONFLICT (url) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at, failures = 0
         WHERE media.kind = 'file' AND excluded.kind = 'picture'";
    const USE: &str = "INSERT INTO media_uses (url, post_id) VALUES ($1, $2) ON CONFLICT (url, post_id) DO NOTHING";
    const UNUSE: &str = "DELETE FROM media_uses WHERE post_id = $1 AND url NOT IN {list $2: text}";
    let kept: Vec<&str> = urls.keys().map(String::as_str).collect();
    tx.execute(UNUSE, &[post_id.into(), json(&kept)?])?;
    for (url, kind) in urls {
        tx.execute(WANT, params![url, kind.word(), now])?;
        tx.execute(USE, params![url, post_id])?;
    }
    Ok(())
}

/// Knows a copy that somebody brought along, under the address that it will have, for a draft of theirs: `user` holds it until a post
/// shows it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn bring(
    tx: &mut Tx<'_>,
    (url, kind): (&str, MediaKind),
    user: &str,
    copy: &Copy,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const WANT: &str =
        "INSERT INTO media (url, kind, due_at, failures) VALUES ($1, $2, NULL, 0) ON CONFLICT (url) DO NOTHING";
    const USE: &str = "INSERT INTO media_uses (url, post_id) VALUES ($1, $2) ON CONFLICT (url, post_id) DO NOTHING";
    tx.execute(WANT, params![url, kind.word()])?;
    tx.execute(USE, params![url, user])?;
    keep(tx, url, copy, now)
}

/// Lets go of what a draft held and shows no more: of everything but `kept`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn let_go(tx: &mut Tx<'_>, user: &str, kept: &[String]) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM media_uses WHERE post_id = $1 AND url NOT IN {list $2: text}";
    tx.execute(SQL, &[user.into(), json(kept)?]).map(drop)
}

/// The type of a copy by its hash, or by that of its smaller one, that a draft holds.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn held(tx: &mut Tx<'_>, user: &str, hash: &str) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT CASE WHEN m.hash = $2 THEN m.media_type ELSE m.small_type END
         FROM media_uses u JOIN media m ON m.url = u.url WHERE u.post_id = $1 AND (m.hash = $2 OR m.small_hash = $2) LIMIT 1";
    tx.query_opt(SQL, params![user, hash])?.map(|row| row.text(0)).transpose()
}

/// Forgets copies that no post shows any more, up to `limit` of them. Returns the hashes of what nobody needs.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget_unused(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<String>, StoreError> {
    const UNUSED: &str = "SELECT m.url, m.hash, m.small_hash FROM media m
         WHERE NOT EXISTS (SELECT 1 FROM media_uses u WHERE u.url = m.url) ORDER BY m.url LIMIT $1";
    const IS_SHARED: &str = "SELECT 1 FROM media WHERE hash = $1 OR small_hash = $1 LIMIT 1";
    let mut hashes = Vec::new();
    for row in tx.query(UNUSED, params![limit])? {
        tx.execute("DELETE FROM media WHERE url = $1", params![row.text(0)?])?;
        hashes.extend([row.text_opt(1)?, row.text_opt(2)?].into_iter().flatten());
    }
    let mut needless = Vec::new();
    for hash in hashes {
        if tx.query_opt(IS_SHARED, params![hash.as_str()])?.is_none() {
            needless.push(hash);
        }
    }
    Ok(needless)
}

/// Takes one that is to be fetched. It is due again at `again_at`, if nobody says what came of it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn take(tx: &mut Tx<'_>, now: UnixMillis, again_at: UnixMillis) -> Result<Option<Wanted>, StoreError> {
    const SQL: &str =
        "SELECT url, kind, failures FROM media WHERE due_at <= $1 ORDER BY due_at, url LIMIT 1 {skip locked}";
    let Some(row) = tx.query_opt(SQL, params![now])? else { return Ok(None) };
    let wanted = Wanted { url: row.text(0)?, kind: row.parse(1, MediaKind::from_word)?, failures: row.int(2)? };
    // A try that ends the process counts as well.
    const TAKE: &str = "UPDATE media SET due_at = $2, failures = failures + 1 WHERE url = $1";
    tx.change("taking what is to be fetched", 1, TAKE, params![&wanted.url, again_at])?;
    Ok(Some(wanted))
}

/// When the next is due.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    let row = tx.query_opt("SELECT due_at FROM media WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1", &[])?;
    row.map(|row| row.at(0)).transpose()
}

/// It was fetched.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn keep(tx: &mut Tx<'_>, url: &str, copy: &Copy, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE media SET due_at = NULL, hash = $2, media_type = $3, bytes = $4, width = $5, height = $6,
             small_hash = $7, small_type = $8, small_width = $9, small_height = $10, fetched_at = $11, small_bytes = $12,
             why = NULL WHERE url = $1";
    let (width, height) = copy.size.unzip();
    let small = copy.small.as_ref();
    let (small_width, small_height) = small.map(|small| small.size).unzip();
    let values = params![
        url,
        &copy.hash,
        &copy.media_type,
        copy.bytes,
        width,
        height,
        small.map(|small| small.hash.as_str()),
        small.map(|small| small.media_type.as_str()),
        small_width,
        small_height,
        now,
        small.map(|small| small.bytes),
    ];
    tx.execute(SQL, values).map(drop)
}

/// It couldn't be had: tried again at `due_at`, or given up.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn fail(tx: &mut Tx<'_>, url: &str, why: &str, due_at: Option<UnixMillis>) -> Result<(), StoreError> {
    // It may have been forgotten meanwhile.
    tx.execute("UPDATE media SET due_at = $3, why = $2 WHERE url = $1", params![url, why, due_at]).map(drop)
}

/// Octets of all copies together.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn total(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let row = tx.query_opt(
        "SELECT CAST(COALESCE(SUM(bytes + COALESCE(small_bytes, 0)), 0) AS BIGINT) FROM media WHERE hash IS NOT NULL",
        &[],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// What a post shows, by address: its files, its pictures, and those in its text.
#[must_use]
pub fn shown_by(post: &Post) -> BTreeMap<String, MediaKind> {
    let files = post.attachments.iter().map(|file| (file.url.clone(), MediaKind::File));
    let pictures = post.images.iter().map(|image| image.url.clone()).chain(post.pictures_in_text());
    files.chain(pictures.map(|url| (url, MediaKind::Picture))).collect()
}

/// What isn't copied and won't be tried again by itself, with the reason.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn given_up(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<(String, String)>, StoreError> {
    const SQL: &str =
        "SELECT url, COALESCE(why, '') FROM media WHERE hash IS NULL AND due_at IS NULL ORDER BY url LIMIT $1";
    tx.query(SQL, params![limit])?.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// Has all of that tried again. Returns how many that are.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn retry(tx: &mut Tx<'_>, now: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE media SET due_at = $1, failures = 0 WHERE hash IS NULL AND due_at IS NULL";
    tx.execute(SQL, params![now])
}

/// The copies of these addresses that there are.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn copies(tx: &mut Tx<'_>, urls: &[&String]) -> Result<BTreeMap<String, Copy>, StoreError> {
    const SQL: &str = "SELECT m.url, m.hash, m.media_type, m.bytes, m.width, m.height, m.small_hash, m.small_type,
             m.small_width, m.small_height, m.small_bytes
         FROM media m WHERE m.hash IS NOT NULL AND m.url IN {list $1: text}";
    if urls.is_empty() {
        return Ok(BTreeMap::new());
    }
    let read = |row: &Row| {
        let small = match (row.text_opt(6)?, row.text_opt(7)?, row.int_opt(8)?, row.int_opt(9)?) {
            (Some(hash), Some(media_type), Some(width), Some(height)) => {
                Some(Small { hash, media_type, bytes: row.int_opt(10)?.unwrap_or(0), size: (width, height) })
            }
            _ => None,
        };
        let size = row.int_opt(4)?.zip(row.int_opt(5)?);
        Ok((row.text(0)?, Copy { hash: row.text(1)?, media_type: row.text(2)?, bytes: row.int(3)?, size, small }))
    };
    tx.query(SQL, &[json(urls)?])?.iter().map(read).collect()
}

/// The type of a copy by its hash, or by that of its smaller one, if a post that may be shown shows it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn shown(tx: &mut Tx<'_>, hash: &str) -> Result<Option<String>, StoreError> {
    const SQL: [&str; 2] = [
        "SELECT m.media_type FROM media m JOIN media_uses u ON u.url = m.url JOIN posts p ON p.id = u.post_id
         WHERE m.hash = $1 AND p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL LIMIT 1",
        "SELECT m.small_type FROM media m JOIN media_uses u ON u.url = m.url JOIN posts p ON p.id = u.post_id
         WHERE m.small_hash = $1 AND p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL LIMIT 1",
    ];
    for sql in SQL {
        if let Some(row) = tx.query_opt(sql, params![hash])? {
            return row.text(0).map(Some);
        }
    }
    Ok(None)
}
