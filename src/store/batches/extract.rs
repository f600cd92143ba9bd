//! A member leaves its batch for a row of its own, in the state that it has.

use super::progress::{Log, close, members_and_log};
use super::{BatchKey, Header, header, header_columns};
use crate::domain::clock::UnixMillis;
use crate::store::deliveries::Claimed;
use crate::store::value::{json, params};
use crate::store::{StoreError, Tx};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize)]
struct Leaving {
    r: i64,
    state: &'static str,
    attempts: i64,
    term: Option<i64>,
    sending: Option<UnixMillis>,
}

/// The batch with this key, locked.
fn lock(tx: &mut Tx<'_>, key: BatchKey) -> Result<Header, StoreError> {
    const SQL: &str =
        concat!("SELECT ", header_columns!(), " FROM batches b WHERE b.plan_id = $1 AND b.number = $2 {lock b}");
    let row = tx.query_opt(SQL, params![key.plan_id, key.number])?;
    header(&row.ok_or_else(|| StoreError::Shape("a batch is missing".to_owned()))?)
}

/// Gives members rows of their own and notes it. Members that have one, or that were taken, are passed over. Returns how many
/// are open in the batch afterwards.
pub(in crate::store) fn from(tx: &mut Tx<'_>, key: BatchKey, indexes: &[u32]) -> Result<i64, StoreError> {
    let mut batch = lock(tx, key)?;
    let (ids, log) = members_and_log(tx, key)?;
    let is_open = |index: &&u32| !batch.own.contains(index) && !log.taken.contains_key(index);
    let leaving: Vec<u32> = indexes.iter().filter(is_open).copied().collect();
    if leaving.is_empty() {
        return Ok(batch.open);
    }
    write(tx, &batch, &ids, &log, &leaving)?;
    batch.own.extend(&leaving);
    batch.open -= leaving.len() as i64;
    note_own(tx, key, &batch.own, batch.open)?;
    Ok(batch.open)
}

/// Gives members rows of their own; the caller notes it.
pub(super) fn with_rows(tx: &mut Tx<'_>, key: BatchKey, indexes: &[u32]) -> Result<(), StoreError> {
    let batch = lock(tx, key)?;
    let (ids, log) = members_and_log(tx, key)?;
    write(tx, &batch, &ids, &log, indexes)
}

/// Gives the first `count` open members rows of their own.
pub(super) fn first_open(tx: &mut Tx<'_>, batch: &Header, count: i64) -> Result<(), StoreError> {
    let (ids, log) = members_and_log(tx, batch.key)?;
    let is_open = |index: &u32| !batch.own.contains(index) && !log.taken.contains_key(index);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let first: Vec<u32> = (0u32..).take(ids.len()).filter(is_open).take(count).collect();
    from(tx, batch.key, &first).map(drop)
}

/// Gives claimed members rows of their own.
pub(in crate::store) fn claimed(tx: &mut Tx<'_>, claimed: &[Claimed], now: UnixMillis) -> Result<(), StoreError> {
    let mut seats: BTreeMap<BatchKey, Vec<u32>> = BTreeMap::new();
    for claim in claimed {
        if let Some(seat) = claim.seat {
            let key = BatchKey { plan_id: claim.key.plan_id, number: seat.number };
            seats.entry(key).or_default().push(seat.index);
        }
    }
    for (key, indexes) in seats {
        from(tx, key, &indexes)?;
        close(tx, key, now)?;
    }
    Ok(())
}

/// Gives everybody who is open in a batch a row of their own.
pub(in crate::store) fn all_open(
    tx: &mut Tx<'_>,
    plan_id: i64,
    number: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let key = BatchKey { plan_id, number };
    let batch = lock(tx, key)?;
    first_open(tx, &batch, batch.open)?;
    close(tx, key, now)
}

/// Gives everybody who is open in some batches that were due before `until` rows of their own. Returns how many batches
/// that were.
pub(in crate::store) fn all_due_before(tx: &mut Tx<'_>, until: UnixMillis, now: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "SELECT plan_id, number FROM batches b WHERE state IN ('due', 'claimed') AND due_at < $1
         ORDER BY plan_id, number LIMIT 16 {lock b}";
    let batches = tx.query(SQL, params![until])?;
    for row in &batches {
        all_open(tx, row.int(0)?, row.int(1)?, now)?;
    }
    Ok(batches.len() as u64)
}

/// Notes who has a row of their own, and how many are left open.
pub(super) fn note_own(tx: &mut Tx<'_>, key: BatchKey, own: &BTreeSet<u32>, open: i64) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE batches SET own = $3, own_count = $4, open = $5 WHERE plan_id = $1 AND number = $2";
    let count = own.len() as i64;
    tx.change(
        "noting who left a batch",
        1,
        SQL,
        &[key.plan_id.into(), key.number.into(), json(own)?, count.into(), open.into()],
    )
}

fn write(tx: &mut Tx<'_>, batch: &Header, ids: &[i64], log: &Log, indexes: &[u32]) -> Result<(), StoreError> {
    let is_claimed = batch.state == "claimed";
    let mut leaving = Vec::with_capacity(indexes.len());
    for index in indexes {
        let Some(r) = ids.get(*index as usize) else { continue };
        let sending = log.began.get(index).map(|(at, _)| *at);
        let state = match (is_claimed, sending) {
            (_, Some(_)) => "sending",
            (true, None) => "claimed",
            (false, None) => "due",
        };
        leaving.push(Leaving { r: *r, state, attempts: batch.claims, term: batch.claimed_term, sending });
    }
    const ROWS: &str = "INSERT INTO deliveries (plan_id, recipient_id, carrier, edition_id, destination, lane, state, due_at,
             planned_at, attempts, failures, claimed_term, sending_at)
         SELECT b.plan_id, k.r, b.carrier, b.edition_id, b.destination, b.lane, k.state, b.due_at, b.planned_at, k.attempts, 0,
             k.term, k.sending
         FROM {rows $1: r int, state text, attempts int, term int, sending int} k CROSS JOIN batches b
         WHERE b.plan_id = $2 AND b.number = $3";
    let rows = json(&leaving)?;
    let of = [rows.clone(), batch.key.plan_id.into(), batch.key.number.into()];
    tx.change("giving members of a batch their own rows", leaving.len(), ROWS, &of)?;
    const ATTEMPTS: &str = "INSERT INTO attempts (plan_id, recipient_id, carrier, number, term, edition_id, sending_at)
         SELECT b.plan_id, k.r, b.carrier, k.attempts, COALESCE(k.term, 0), b.edition_id, k.sending
         FROM {rows $1: r int, attempts int, term int, sending int} k CROSS JOIN batches b
         WHERE b.plan_id = $2 AND b.number = $3 AND k.sending IS NOT NULL";
    tx.execute(ATTEMPTS, &of)?;
    Ok(())
}
