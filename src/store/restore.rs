//! What an operator says of a restored database: everything due before T went out, only this database doesn't know.
//! Each step can be run again; the doubts end after the last one (`plan/restored.rs` holds the order).

use super::batches::extract;
use super::occurrences::{self, SlotState};
use super::subscribers::mark_sql;
use super::value::params;
use super::{StoreError, Tx, identity};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Reason;

/// What skipped occurrences say.
const SKIPPED: &str = "sent before the restore";
const SENT_UNTIL: &str = "sent_until";

/// Remembers that everything due before `until` went out: a post published before it that comes again is backfill.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_sent_until(tx: &mut Tx<'_>, until: UnixMillis) -> Result<(), StoreError> {
    let latest = sent_until(tx)?.map_or(until, |before| before.max(until));
    identity::set_fact(tx, SENT_UNTIL, &latest.0.to_string())
}

/// The latest instant that an operator gave, if any.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn sent_until(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    let row = tx.query_opt("SELECT value FROM facts WHERE name = 'sent_until'", &[])?;
    row.map(|row| row.parse(0, |text| text.parse().ok().map(UnixMillis))).transpose()
}

/// Posts whose release was due before `until` and isn't made here become public, not released: whoever takes them at
/// once got them already. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn guard_posts(tx: &mut Tx<'_>, until: UnixMillis, now: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE posts SET backfill_at = $2
         WHERE backfill_at IS NULL AND withdrawn_at IS NULL AND public_due_at < $1
           AND (public_at IS NULL OR story_id IN (SELECT id FROM stories WHERE check_at < $1))";
    tx.execute(SQL, params![until, now])
}

/// Corrections and notices that were asked for before `until` went out.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget_asked(tx: &mut Tx<'_>, until: UnixMillis) -> Result<(), StoreError> {
    tx.execute("DELETE FROM corrections WHERE asked_at < $1", params![until])?;
    tx.execute("DELETE FROM notices WHERE at < $1", params![until]).map(drop)
}

/// The head as it was at an instant.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn head_before(tx: &mut Tx<'_>, at: UnixMillis) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT seq FROM changes WHERE at < $1 ORDER BY seq DESC LIMIT 1", params![at])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// A slot fired at `fired_at` with everything that was released by then, and all its readers got it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count_as_fired(
    tx: &mut Tx<'_>,
    mut slot: SlotState,
    fired_at: UnixMillis,
    bound: i64,
) -> Result<(), StoreError> {
    slot.considered_at = slot.considered_at.max(fired_at);
    slot.bound = slot.bound.max(bound);
    occurrences::save_slot(tx, &slot)?;
    move_marks(tx, slot.slot.as_str(), None, bound)
}

/// Ends the occurrences due before `until` that aren't planned to the end. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn finish_occurrences(tx: &mut Tx<'_>, until: UnixMillis, now: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE occurrences SET planned_at = $2, skipped = $3 WHERE planned_at IS NULL AND due_at < $1
         RETURNING slot, recipient_id, bound";
    let open = tx.query(SQL, params![until, now, SKIPPED])?;
    for row in &open {
        move_marks(tx, &row.text(0)?, row.int_opt(1)?, row.int(2)?)?;
    }
    Ok(open.len() as u64)
}

/// Nothing up to `bound` is owed through the subscriptions of a slot (or of one recipient in it). The beginning moves
/// with the mark, which a change of language sets back to it: the ledger here doesn't know what was given. From here on each
/// search goes by its own mark until it is planned with its slot again.
fn move_marks(tx: &mut Tx<'_>, slot: &str, recipient_id: Option<i64>, bound: i64) -> Result<(), StoreError> {
    const KEEP: &str = concat!(
        "UPDATE subscriptions AS s SET mark = ",
        mark_sql!(),
        ", followed_at = NULL FROM slots o WHERE s.slot = $1 AND s.since < $2 AND o.slot = s.slot
           AND (CAST($3 AS BIGINT) IS NULL OR s.subscriber_id = $3)"
    );
    tx.execute(KEEP, params![slot, bound, recipient_id])?;
    const SQL: &str = "UPDATE subscriptions SET mark = CASE WHEN mark < $2 THEN $2 ELSE mark END, since = $2
         WHERE slot = $1 AND since < $2 AND (CAST($3 AS BIGINT) IS NULL OR subscriber_id = $3)";
    tx.execute(SQL, params![slot, bound, recipient_id]).map(drop)
}

/// Gives deliveries of batches that were due before `until` rows of their own, some batches at a time. Returns how many batches
/// those were: none are left at 0.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn part_batches(tx: &mut Tx<'_>, until: UnixMillis, now: UnixMillis) -> Result<u64, StoreError> {
    extract::all_due_before(tx, until, now)
}

/// Deliveries that were due before `until`, or were being sent before it and lost their answer, may have gone out:
/// up to `limit` of them become uncertain and wait for an operator. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_deliveries_aside(
    tx: &mut Tx<'_>,
    until: UnixMillis,
    now: UnixMillis,
    limit: i64,
) -> Result<u64, StoreError> {
    // A claim ends here; what is on its way this moment keeps its term, so that a definite answer still settles it.
    const SQL: &str = "WITH picked AS MATERIALIZED (
             SELECT plan_id AS p, recipient_id AS r, carrier AS c FROM deliveries
             WHERE state IN ('due', 'claimed', 'sending', 'uncertain') AND due_at < 9223372036854775807
               AND (due_at < $1 OR (uncertain_at IS NOT NULL AND sending_at < $1)) LIMIT $4)
         UPDATE deliveries SET state = 'uncertain', reason = $3, due_at = 9223372036854775807,
             uncertain_at = COALESCE(uncertain_at, $2), claimed_term = CASE WHEN state = 'claimed' THEN NULL ELSE claimed_term END
         FROM picked WHERE plan_id = picked.p AND recipient_id = picked.r AND carrier = picked.c";
    tx.execute(SQL, params![until, now, Reason::Restored.word(), limit])
}
