//! Digests that are held: what is planned of them waits, is looked at, and then goes on in its order or is cancelled.
//!
//! The hold's scope is `digest:NAME`. The gate before the point of no return asks for it, so an issue that is leaving stops with
//! what has passed already. What waits isn't due for a while ([`REST`]), so that it doesn't stand in the way of others; that is
//! renewed by every claim that would come to it.

use super::editions::{self, Fate};
use super::value::{json, params};
use super::{StoreError, Tx, destinations};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Lane, Reason};
use crate::domain::edition::EditionKind;
use std::time::Duration;

/// What stands before the scope of a digest's hold.
pub const SCOPE: &str = "digest:";
/// What is held rests no longer than this before it is looked at again.
pub const REST: Duration = Duration::from_secs(180);
/// Deliveries cancelled in one transaction at most, so that nobody waits for it.
pub const CANCELLED_MAX: i64 = 2_000;
/// Editions that are listed at most.
const EDITIONS_MAX: i64 = 50;

/// The scope of a digest's hold.
#[must_use]
pub fn scope(digest: &str) -> String {
    format!("{SCOPE}{digest}")
}

/// The digests that are held.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn digests(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    let scopes = destinations::holds(tx)?.into_iter();
    Ok(scopes.filter_map(|(scope, ..)| scope.strip_prefix(SCOPE).map(str::to_owned)).collect())
}

/// Puts off what is due of held digests at a destination. A test for colleagues goes all the same.
pub(super) fn rest(tx: &mut Tx<'_>, destination: &str, lane: Lane, now: UnixMillis) -> Result<(), StoreError> {
    const BATCHES: &str = "UPDATE batches SET due_at = $4
         WHERE state = 'due' AND destination = $1 AND lane = $2 AND due_at <= $3
           AND edition_id IN (SELECT id FROM editions WHERE closed_at IS NULL AND schedule IN {list $5: text})";
    const ROWS: &str = "UPDATE deliveries SET due_at = $4
         WHERE state = 'due' AND destination = $1 AND lane = $2 AND due_at <= $3
           AND edition_id IN (SELECT id FROM editions WHERE closed_at IS NULL AND schedule IN {list $5: text})";
    if lane == Lane::Transactional {
        return Ok(());
    }
    let held = digests(tx)?;
    if held.is_empty() {
        return Ok(());
    }
    let values = [destination.into(), lane.word().into(), now.into(), now.plus(REST).into(), json(&held)?];
    tx.execute(BATCHES, &values)?;
    tx.execute(ROWS, &values).map(drop)
}

/// Lets a digest go on. Returns whether it was held.
pub fn let_go(tx: &mut Tx<'_>, digest: &str, now: UnixMillis) -> Result<bool, StoreError> {
    // What lies further ahead waits for something else: a night, the end of a pause, a later attempt.
    const BATCHES: &str = "UPDATE batches SET due_at = $2 WHERE state = 'due' AND due_at > $2 AND due_at <= $3
           AND edition_id IN (SELECT id FROM editions WHERE closed_at IS NULL AND schedule = $1)";
    const ROWS: &str = "UPDATE deliveries SET due_at = $2 WHERE state = 'due' AND due_at > $2 AND due_at <= $3
           AND edition_id IN (SELECT id FROM editions WHERE closed_at IS NULL AND schedule = $1)";
    let was_on = destinations::release_hold(tx, &scope(digest))?;
    for sql in [BATCHES, ROWS] {
        tx.execute(sql, params![digest, now, now.plus(REST)])?;
    }
    Ok(was_on)
}

/// An edition of a digest of which something waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub edition_id: i64,
    /// Its plan.
    pub plan_id: i64,
    /// Its kind.
    pub kind: EditionKind,
    /// The language of its readers.
    pub language: String,
    /// When it was planned.
    pub created_at: UnixMillis,
    /// Deliveries that wait.
    pub waits: i64,
    /// Whether its plan may still grow.
    pub is_growing: bool,
}

/// The editions of a digest of which something waits, the newest first, 50 at most.
pub fn waiting(tx: &mut Tx<'_>, digest: &str) -> Result<Vec<Waiting>, StoreError> {
    const SQL: &str = "SELECT e.id, e.plan_id, e.kind, e.language, e.created_at,
             (SELECT CAST(COALESCE(SUM(b.open), 0) AS BIGINT) FROM batches b WHERE b.edition_id = e.id AND b.state IN ('due', 'claimed'))
             + (SELECT COUNT(*) FROM deliveries d WHERE d.edition_id = e.id AND d.state IN ('due', 'claimed')),
             CASE WHEN EXISTS (SELECT 1 FROM occurrences o WHERE o.id = e.plan_id AND o.planned_at IS NULL) THEN 1 ELSE 0 END
         FROM editions e WHERE e.closed_at IS NULL AND e.schedule = $1
           AND (EXISTS (SELECT 1 FROM batches b WHERE b.edition_id = e.id AND b.state IN ('due', 'claimed'))
             OR EXISTS (SELECT 1 FROM deliveries d WHERE d.edition_id = e.id AND d.state IN ('due', 'claimed')))
         ORDER BY e.created_at DESC, e.id LIMIT $2";
    let rows = tx.query(SQL, params![digest, EDITIONS_MAX])?;
    let waiting = |row: &super::Row| {
        Ok(Waiting {
            edition_id: row.int(0)?,
            plan_id: row.int(1)?,
            kind: row.parse(2, EditionKind::from_word)?,
            language: row.text(3)?,
            created_at: row.at(4)?,
            waits: row.int(5)?,
            is_growing: row.int(6)? == 1,
        })
    };
    rows.iter().map(waiting).collect()
}

/// Cancels waiting deliveries of an edition, [`CANCELLED_MAX`] rows or 64 batches at most: call it until it returns 0. What is on its
/// way or may have arrived stays. Its posts count as given: nobody gets them by a later issue.
pub fn cancel(tx: &mut Tx<'_>, edition_id: i64, now: UnixMillis) -> Result<u64, StoreError> {
    editions::settle_replaced(tx, edition_id, &Fate::Cancel(Reason::Operator), now, CANCELLED_MAX)
}
