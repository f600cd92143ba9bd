//! Whose turn it is among what waits for one endpoint, where that isn't simply the oldest: in line, or by slots.

use super::deliveries::{Claimed, claim_key};
use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane, Reason};
use crate::domain::partner::Order;

/// The first in line, in the order in which things happened. `None`: nothing waits, or the first one waits for its next try, or for what
/// may have arrived to be settled, and the others behind it.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn first_in_line(tx: &mut Tx<'_>, destination: &str, now: UnixMillis) -> Result<Option<DeliveryKey>, StoreError> {
    const DOUBT: &str = "SELECT 1 FROM deliveries WHERE state = 'uncertain' AND due_at < 9223372036854775807
           AND destination = $1 AND finished_at IS NULL LIMIT 1";
    if tx.query_opt(DOUBT, params![destination])?.is_some() {
        return Ok(None);
    }
    const FIRST: &str = "SELECT d.plan_id, d.recipient_id, d.carrier, d.due_at FROM deliveries d
         JOIN occurrences o ON o.id = d.plan_id WHERE d.state = 'due' AND d.destination = $1 ORDER BY o.bound, d.planned_at, d.plan_id LIMIT 1";
    let Some(row) = tx.query_opt(FIRST, params![destination])? else { return Ok(None) };
    if row.at(3)? > now { Ok(None) } else { key(&row).map(Some) }
}

/// How a partner is served.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Whether others pass what fails.
    pub order: Order,
    /// Whether nothing got through lately.
    pub is_failing: bool,
    /// Whether it may know of posts under an embargo.
    pub is_trusted: bool,
}

/// How an endpoint's partner is served. `None`: it is no partner's.
pub fn of_partner(tx: &mut Tx<'_>, endpoint_id: i64) -> Result<Option<Service>, StoreError> {
    const SQL: &str =
        "SELECT ordering, failing_since_at, embargoed_at FROM partners WHERE endpoint_id = $1 AND ended_at IS NULL";
    let read = |row: Row| {
        let (is_failing, is_trusted) = (row.int_opt(1)?.is_some(), row.int_opt(2)?.is_some());
        Ok(Service { order: row.parse(0, Order::from_word)?, is_failing, is_trusted })
    };
    tx.query_opt(SQL, params![endpoint_id])?.map(read).transpose()
}

/// Cancels a delivery that was just claimed, if it is of a post under an embargo: whoever was trusted with it isn't any more.
/// Returns whether it was such a one.
pub fn cancel_embargoed(tx: &mut Tx<'_>, claimed: &Claimed, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'cancelled', reason = $5, finished_at = $4
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3 AND state = 'claimed'
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.schedule LIKE '%:embargoed')";
    let key = &claimed.key;
    let values = params![key.plan_id, key.recipient_id, &key.carrier, now, Reason::Operator.word()];
    Ok(tx.execute(SQL, values)? == 1)
}

fn key(row: &Row) -> Result<DeliveryKey, StoreError> {
    Ok(DeliveryKey { plan_id: row.int(0)?, recipient_id: row.int(1)?, carrier: row.text(2)? })
}

/// Gives up what waits for an account since before `before`, in whatever revision: it is no news any more. Returns how many.
pub fn give_up_stale(
    tx: &mut Tx<'_>,
    destination: &str,
    before: UnixMillis,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'abandoned', reason = $2, finished_at = $4
         WHERE state = 'due' AND destination = $1 AND lane <> 'transactional' AND uncertain_at IS NULL
           AND (planned_at < $3 OR EXISTS (SELECT 1 FROM edition_items i JOIN edition_items o ON o.post_id = i.post_id
                JOIN editions e ON e.id = o.edition_id JOIN deliveries x ON x.plan_id = e.plan_id
                    AND x.recipient_id = deliveries.recipient_id AND x.carrier = deliveries.carrier AND x.edition_id = e.id
                WHERE i.edition_id = deliveries.edition_id AND e.kind = 'push' AND x.planned_at < $3))";
    tx.execute(SQL, params![destination, Reason::Stale.word(), before, now])
}

/// Uses a slot for the newest delivery that waited for it, an urgent one first. The caller has locked the destination.
pub fn open_slot(
    tx: &mut Tx<'_>,
    endpoint_id: i64,
    destination: &str,
    slot: UnixMillis,
) -> Result<Option<DeliveryKey>, StoreError> {
    const NEWEST: &str = "SELECT d.plan_id, d.recipient_id, d.carrier FROM deliveries d JOIN occurrences o ON o.id = d.plan_id
         WHERE d.state = 'due' AND d.destination = $1 AND d.lane <> 'transactional' AND d.attempts = 0 AND d.planned_at <= $2
         ORDER BY CASE WHEN d.lane = 'urgent' THEN 0 ELSE 1 END, o.bound DESC LIMIT 1";
    let Some(row) = tx.query_opt(NEWEST, params![destination, slot])? else { return Ok(None) };
    use_slot(tx, endpoint_id, slot)?;
    key(&row).map(Some)
}

/// A slot is used.
pub fn use_slot(tx: &mut Tx<'_>, endpoint_id: i64, slot: UnixMillis) -> Result<(), StoreError> {
    const USED: &str = "INSERT INTO accounts (endpoint_id, slot_at) VALUES ($1, $2)
         ON CONFLICT (endpoint_id) DO UPDATE SET slot_at = excluded.slot_at";
    tx.change("using a slot", 1, USED, params![endpoint_id, slot])
}

/// A delivery to an account that had its slot, or needs none, and is due again; and whether it tells of something for the first time.
pub fn due_again(
    tx: &mut Tx<'_>,
    destination: &str,
    now: UnixMillis,
) -> Result<Option<(DeliveryKey, bool)>, StoreError> {
    const SQL: &str =
        "SELECT plan_id, recipient_id, carrier, lane FROM deliveries WHERE state = 'due' AND destination = $1
           AND (lane = 'transactional' OR attempts > 0) AND due_at <= $2 ORDER BY due_at LIMIT 1";
    let row = tx.query_opt(SQL, params![destination, now])?;
    row.map(|row| Ok((key(&row)?, row.text(3)? != Lane::Transactional.word()))).transpose()
}

/// Takes the delivery whose turn it is. `None`: it is gone, or nothing may be taken now.
pub fn take(
    tx: &mut Tx<'_>,
    term: i64,
    destination: &str,
    turn: Option<DeliveryKey>,
) -> Result<Option<Claimed>, StoreError> {
    turn.map_or(Ok(None), |key| claim_key(tx, term, destination, &key))
}
