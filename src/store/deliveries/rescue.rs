//! What a process left behind, answers that were lost, and what an operator wants tried again.

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::store::batches::{self, progress};
use crate::store::value::{json, params};
use crate::store::{StoreError, Tx};
use std::collections::BTreeSet;

/// Hands back everything that a process has taken and not begun to send, as if it had never been taken. What it had begun in
/// a batch has a row of its own afterwards, in the state `sending`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hand_back_claims(tx: &mut Tx<'_>, term: i64, now: UnixMillis) -> Result<u64, StoreError> {
    let waiting = progress::release_claims(tx, term, now)?;
    const SQL: &str =
        "UPDATE deliveries SET state = 'due', reason = 'handed_back' WHERE claimed_term = $1 AND state = 'claimed'";
    Ok(waiting + tx.execute(SQL, params![term])?)
}

/// What a dead process had begun to send becomes uncertain, as of then: how long a far side knows a repeat counts from there. It is looked at again at `settle_at`, unless it rests.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lose_sending(tx: &mut Tx<'_>, term: i64, now: UnixMillis, settle_at: UnixMillis) -> Result<u64, StoreError> {
    const ATTEMPTS: &str = "UPDATE attempts SET ended_at = $2, outcome = 'uncertain', reason = 'process_lost'
         WHERE term = $1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM deliveries d WHERE d.plan_id = attempts.plan_id
             AND d.recipient_id = attempts.recipient_id AND d.carrier = attempts.carrier
             AND d.claimed_term = $1 AND d.state IN ('sending', 'uncertain'))
           AND (plan_id, recipient_id, carrier) IN
             (SELECT plan_id, recipient_id, carrier FROM deliveries WHERE claimed_term = $1 AND state = 'sending'
              UNION ALL SELECT plan_id, recipient_id, carrier FROM deliveries WHERE claimed_term = $1 AND state = 'uncertain')";
    tx.execute(ATTEMPTS, params![term, now])?;
    const SQL: &str = "UPDATE deliveries SET state = 'uncertain', reason = 'process_lost', due_at = $3,
             uncertain_at = COALESCE(uncertain_at, sending_at, $2) WHERE claimed_term = $1 AND state = 'sending'";
    tx.execute(SQL, params![term, now, settle_at])
}

/// Uncertain deliveries whose wait is over are due again, with the same content. Those that hold a withdrawn post or
/// whose reader left stay uncertain for good: they aren't sent again, and count as given. So do those that told a program of what
/// was revised since: the revision is told by itself. Mail only if `with_mail`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn settle_uncertain(tx: &mut Tx<'_>, now: UnixMillis, with_mail: bool) -> Result<u64, StoreError> {
    const KEEP: &str = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = $1
         WHERE state = 'uncertain' AND due_at <= $1
           AND (EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id
                  AND (e.withdrawn_at IS NOT NULL OR (e.kind = 'push' AND e.replaced_at IS NOT NULL)))
             OR NOT EXISTS (SELECT 1 FROM subscribers u WHERE u.id = deliveries.recipient_id
                  AND (u.unsubscribed_at IS NULL OR deliveries.lane = 'transactional') AND u.suppressed_at IS NULL)
               AND NOT EXISTS (SELECT 1 FROM endpoints x WHERE x.id = deliveries.recipient_id AND x.ended_at IS NULL))
           AND (carrier <> 'email' OR $2 = 1)";
    tx.execute(KEEP, params![now, i64::from(with_mail)])?;
    const AGAIN: &str = "UPDATE deliveries SET state = 'due', due_at = $1 WHERE state = 'uncertain' AND due_at <= $1
           AND (carrier <> 'email' OR $2 = 1) RETURNING edition_id";
    let again = tx.query(AGAIN, params![now, i64::from(with_mail)])?;
    reopen(tx, &again.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?)?;
    Ok(again.len() as u64)
}

/// Editions that deliveries wait with again may have been closed meanwhile: those who leave the schedule must find them.
pub(super) fn reopen(tx: &mut Tx<'_>, editions: &BTreeSet<i64>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE editions SET closed_at = NULL WHERE id IN {list $1: int} AND closed_at IS NOT NULL";
    if editions.is_empty() { Ok(()) } else { tx.execute(SQL, &[json(editions)?]).map(drop) }
}

/// When the next uncertain delivery is to be looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_uncertain(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str = "SELECT due_at FROM deliveries WHERE state = 'uncertain' ORDER BY due_at LIMIT 1";
    tx.query_opt(SQL, &[])?.map(|row| row.at(0)).transpose()
}

/// Makes a delivery due again at an operator's word: one that waits, was refused, was abandoned, or is uncertain and
/// holds nothing that was withdrawn. One whose edition was replaced moves to the successor first. Returns whether there
/// was such a one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn retry(tx: &mut Tx<'_>, key: &DeliveryKey, now: UnixMillis) -> Result<bool, StoreError> {
    batches::look::part_member(tx, key, now)?;
    const SQL: &str =
        "UPDATE deliveries SET state = 'due', reason = 'operator', due_at = $4, failures = 0, finished_at = NULL
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3
           AND (state IN ('due', 'refused', 'abandoned') OR (state = 'uncertain' AND NOT EXISTS
                (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.withdrawn_at IS NOT NULL)))
           AND (carrier = 'email' OR EXISTS (SELECT 1 FROM endpoints x WHERE x.id = deliveries.recipient_id AND x.ended_at IS NULL))
         RETURNING edition_id";
    let Some(row) = tx.query_opt(SQL, params![key.plan_id, key.recipient_id, &key.carrier, now])? else {
        return Ok(false);
    };
    const REOPEN: &str = "UPDATE editions SET closed_at = NULL, moved_at = NULL WHERE id = $1";
    tx.change("reopening an edition", 1, REOPEN, params![row.int(0)?])?;
    Ok(true)
}
