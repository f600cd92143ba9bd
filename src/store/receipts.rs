//! What sources are told of what they sent. A receipt is written with what it tells of, in one transaction.

use super::value::params;
use super::{Row, StoreError, Tx, changes};
use crate::domain::clock::UnixMillis;
use std::collections::BTreeMap;

/// Characters kept of what went wrong.
const WHY_LEN_MAX: usize = 300;

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Follows from what it says.
    pub id: String,
    /// Who is told.
    pub source: String,
    /// `accepted`, `quarantined` or `done`.
    pub kind: String,
    /// The event that it is told by, as JSON.
    pub body: String,
    /// When it was made.
    pub made_at: UnixMillis,
    /// How often it couldn't be told.
    pub failures: i64,
}

/// A post whose source waits to be told that all is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Awaited {
    /// The post.
    pub post_id: String,
    /// Its source.
    pub source: String,
    /// The revision.
    pub revision: i64,
    /// When that was taken in.
    pub since_at: UnixMillis,
}

/// Makes a receipt due. One that was made before stays as it is.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put(tx: &mut Tx<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO receipts (id, source, kind, body, made_at, due_at, failures)
         VALUES ($1, $2, $3, $4, $5, $5, 0) ON CONFLICT (id) DO NOTHING";
    let Receipt { id, source, kind, body, made_at, .. } = receipt;
    tx.execute(SQL, params![id, source, kind, body, *made_at]).map(drop)
}

/// Takes one receipt that is due. It is due again at `again_at`, if nobody says what came of it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn take(tx: &mut Tx<'_>, now: UnixMillis, again_at: UnixMillis) -> Result<Option<Receipt>, StoreError> {
    const SQL: &str = "SELECT id, source, kind, body, made_at, failures FROM receipts
         WHERE due_at IS NOT NULL AND due_at <= $1 ORDER BY due_at, id LIMIT 1 {skip locked}";
    let read = |row: Row| {
        Ok::<_, StoreError>(Receipt {
            id: row.text(0)?,
            source: row.text(1)?,
            kind: row.text(2)?,
            body: row.text(3)?,
            made_at: row.at(4)?,
            failures: row.int(5)?,
        })
    };
    let Some(receipt) = tx.query_opt(SQL, params![now])?.map(read).transpose()? else { return Ok(None) };
    tx.change("taking a receipt", 1, "UPDATE receipts SET due_at = $2 WHERE id = $1", params![&receipt.id, again_at])?;
    Ok(Some(receipt))
}

/// When the next one is due.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str = "SELECT MIN(due_at) FROM receipts WHERE due_at IS NOT NULL";
    tx.query_opt(SQL, &[])?.map_or(Ok(None), |row| row.at_opt(0))
}

/// The source was told.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_sent(tx: &mut Tx<'_>, id: &str, at: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE receipts SET due_at = NULL, sent_at = $2, why = NULL WHERE id = $1";
    tx.change("recording a receipt", 1, SQL, params![id, at])
}

/// The source couldn't be told: it is tried again at `due_at`, or given up.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put_off(tx: &mut Tx<'_>, id: &str, why: &str, due_at: Option<UnixMillis>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE receipts SET due_at = $3, failures = failures + 1, why = $2 WHERE id = $1";
    let why: String = why.chars().filter(|c| *c != '\0').take(WHY_LEN_MAX).collect();
    tx.change("putting a receipt off", 1, SQL, params![id, why, due_at])
}

/// Forgets receipts made before `before`, told or given up.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, before: UnixMillis, limit: i64) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM receipts WHERE id IN
         (SELECT id FROM receipts WHERE made_at < $1 AND due_at IS NULL ORDER BY made_at LIMIT $2)";
    tx.execute(SQL, params![before, limit])
}

/// Has it looked for when all of a post's revision is done. A newer revision takes the place of an older one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn await_done(tx: &mut Tx<'_>, awaited: &Awaited, look_at: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO receipts_awaited (post_id, source, revision, since_at, look_at)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (post_id) DO UPDATE SET revision = excluded.revision,
             since_at = excluded.since_at, look_at = excluded.look_at";
    let Awaited { post_id, source, revision, since_at } = awaited;
    tx.change("awaiting the end of a post", 1, SQL, params![post_id, source, *revision, *since_at, look_at])
}

/// Posts that are to be looked at, longest overdue first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn awaited(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<Vec<Awaited>, StoreError> {
    const SQL: &str = "SELECT post_id, source, revision, since_at FROM receipts_awaited WHERE look_at <= $1
         ORDER BY look_at, post_id LIMIT $2 {skip locked}";
    let read = |row: &Row| {
        Ok(Awaited { post_id: row.text(0)?, source: row.text(1)?, revision: row.int(2)?, since_at: row.at(3)? })
    };
    tx.query(SQL, params![now, limit])?.iter().map(read).collect()
}

/// When the next post is to be looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_look(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    tx.query_opt("SELECT MIN(look_at) FROM receipts_awaited", &[])?.map_or(Ok(None), |row| row.at_opt(0))
}

/// Has it looked at a post again at `look_at`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn look_again(tx: &mut Tx<'_>, post_id: &str, look_at: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE receipts_awaited SET look_at = $2 WHERE post_id = $1";
    tx.change("putting a look off", 1, SQL, params![post_id, look_at])
}

/// Nobody waits for a post any more.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_done(tx: &mut Tx<'_>, post_id: &str) -> Result<(), StoreError> {
    tx.change("ending a wait", 1, "DELETE FROM receipts_awaited WHERE post_id = $1", params![post_id])
}

/// Whether everything up to now was planned for programs, and no firing is being planned.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_all_planned(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    const FIRING: &str = "SELECT 1 FROM occurrences WHERE planned_at IS NULL LIMIT 1";
    const PUSHED: &str = "SELECT value FROM counters WHERE name = 'pushed'";
    let head = changes::head(tx)?;
    let pushed = tx.query_opt(PUSHED, &[])?.map_or(Ok(0), |row| row.int(0))?;
    let is_pushed = pushed >= head || !super::endpoints::any(tx)?;
    Ok(is_pushed && tx.query_opt(FIRING, &[])?.is_none())
}

/// Whether a delivery of a post is still open. One that is uncertain and goes again is; one that rests for good isn't.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_open(tx: &mut Tx<'_>, post_id: &str) -> Result<bool, StoreError> {
    const ROWS: &str = "SELECT 1 FROM edition_items i CROSS JOIN deliveries d
         WHERE i.post_id = $1 AND d.edition_id = i.edition_id AND (d.state IN ('due', 'claimed', 'sending')
             OR (d.state = 'uncertain' AND d.finished_at IS NULL AND d.due_at < 9223372036854775807)) LIMIT 1";
    const BATCHES: &str = "SELECT 1 FROM edition_items i CROSS JOIN batches b
         WHERE i.post_id = $1 AND b.edition_id = i.edition_id AND b.state IN ('due', 'claimed') LIMIT 1";
    Ok(tx.query_opt(ROWS, params![post_id])?.is_some() || tx.query_opt(BATCHES, params![post_id])?.is_some())
}

/// How the deliveries of a post ended: carrier, state, how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn counts(tx: &mut Tx<'_>, post_id: &str) -> Result<BTreeMap<String, BTreeMap<String, i64>>, StoreError> {
    // By the plan, whose deliveries lie together: there is no index of them by edition.
    const ROWS: &str = "SELECT d.carrier, d.state, COUNT(*) FROM editions e CROSS JOIN deliveries d
         WHERE e.id IN (SELECT edition_id FROM edition_items WHERE post_id = $1) AND e.kind <> 'test'
           AND d.plan_id = e.plan_id AND d.edition_id = e.id GROUP BY d.carrier, d.state";
    const BATCHES: &str = "SELECT b.carrier, CASE b.state WHEN 'cancelled' THEN 'cancelled' ELSE 'sent' END,
             CAST(SUM(b.size - b.own_count) AS BIGINT) FROM editions e CROSS JOIN batches b
         WHERE e.id IN (SELECT edition_id FROM edition_items WHERE post_id = $1) AND e.kind <> 'test'
           AND b.edition_id = e.id GROUP BY 1, 2";
    let mut counts: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for sql in [ROWS, BATCHES] {
        for row in tx.query(sql, params![post_id])? {
            *counts.entry(row.text(0)?).or_default().entry(row.text(1)?).or_default() += row.int(2)?;
        }
    }
    for states in counts.values_mut() {
        states.retain(|_, count| *count > 0);
    }
    counts.retain(|_, states| !states.is_empty());
    Ok(counts)
}
