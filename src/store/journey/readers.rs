//! Who got a post by mail, and who didn't: receipts in the order of readers' numbers, wherever their deliveries are kept.

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, State};
use crate::store::batches::look::{self, Member};
use crate::store::batches::progress::Log;
use crate::store::batches::{Header, header, header_columns};
use crate::store::value::{json, params};
use crate::store::{Row, StoreError, Tx};
use serde::Serialize;
use std::collections::BTreeMap;

/// Batches that are opened for one page at most.
const BATCHES_MAX: i64 = 64;

/// What became of the post for one reader of one send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The reader.
    pub recipient_id: i64,
    /// Their address, unless they were erased.
    pub address: Option<String>,
    /// The delivery.
    pub delivery: String,
    /// Where it stands.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: i64,
    /// When it came to its end, or is due.
    pub at: UnixMillis,
}

/// The readers of a send that holds a post, in one state or any, behind number `after`; at most `limit`. Returns them with the number
/// behind which it goes on, if there may be more.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn readers(
    tx: &mut Tx<'_>,
    (post_id, plan): (&str, i64),
    state: Option<State>,
    after: i64,
    limit: usize,
) -> Result<(Vec<Receipt>, Option<i64>), StoreError> {
    let editions = editions(tx, post_id, plan)?;
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found: BTreeMap<i64, Receipt> = BTreeMap::new();
    let rows = rows(tx, plan, &editions, state, after, most)?;
    // Behind the last row there may be others that weren't read.
    let mut known_to = if rows.len() as i64 == most { rows.last().map(|one| one.recipient_id) } else { None };
    found.extend(rows.into_iter().map(|one| (one.recipient_id, one)));
    let batches = batches(tx, plan, &editions, state, after)?;
    if batches.len() as i64 == BATCHES_MAX {
        let last = batches.last().map(|(first_id, _)| *first_id - 1);
        known_to = known_to.into_iter().chain(last).min();
    }
    for (_, batch) in &batches {
        let log = if batch.entries > 0 { Log::read(tx, batch.key)? } else { Log::default() };
        for member in look::everybody(tx, batch)?.into_iter().filter(|member| member.recipient_id > after) {
            let receipt = receipt(&member, &log);
            if state.is_none_or(|state| receipt.state == state.word()) {
                found.insert(receipt.recipient_id, receipt);
            }
        }
    }
    // A page of batches that all reach over the same readers shows these, rather than nothing for ever.
    let known_to = known_to.filter(|to| found.keys().any(|id| id <= to) || *to > after);
    let known = found.into_values().take_while(|one| known_to.is_none_or(|to| one.recipient_id <= to));
    let mut page: Vec<Receipt> = known.take(limit + 1).collect();
    let has_more = page.len() > limit;
    page.truncate(limit);
    let next = if has_more { page.last().map(|one| one.recipient_id) } else { known_to };
    with_addresses(tx, &mut page)?;
    Ok((page, next))
}

/// The editions of a plan that hold a post.
fn editions(tx: &mut Tx<'_>, post_id: &str, plan: i64) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "SELECT e.id FROM edition_items i JOIN editions e ON e.id = i.edition_id
         WHERE i.post_id = $1 AND e.plan_id = $2";
    tx.query(SQL, params![post_id, plan])?.iter().map(|row| row.int(0)).collect()
}

fn rows(
    tx: &mut Tx<'_>,
    plan: i64,
    editions: &[i64],
    state: Option<State>,
    after: i64,
    limit: i64,
) -> Result<Vec<Receipt>, StoreError> {
    const SQL: &str =
        "SELECT d.recipient_id, d.carrier, d.state, d.reason, d.attempts, COALESCE(d.finished_at, d.due_at)
         FROM deliveries d WHERE d.plan_id = $1 AND d.recipient_id > $2 AND d.edition_id IN {list $3: int}
           AND (CAST($4 AS TEXT) IS NULL OR d.state = $4) ORDER BY d.recipient_id LIMIT $5";
    let read = |row: &Row| {
        let key = DeliveryKey { plan_id: plan, recipient_id: row.int(0)?, carrier: row.text(1)? };
        Ok(Receipt {
            recipient_id: key.recipient_id,
            address: None,
            delivery: key.to_string(),
            state: row.text(2)?,
            reason: row.text_opt(3)?,
            attempts: row.int(4)?,
            at: row.at(5)?,
        })
    };
    let values = [plan.into(), after.into(), json(editions)?, state.map(State::word).into(), limit.into()];
    tx.query(SQL, &values)?.iter().map(read).collect()
}

/// Batches in which somebody behind `after` may stand so, with their first members, in the order of these.
fn batches(
    tx: &mut Tx<'_>,
    plan: i64,
    editions: &[i64],
    state: Option<State>,
    after: i64,
) -> Result<Vec<(i64, Header)>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        ", b.first_id FROM batches b WHERE b.plan_id = $1 AND b.last_id > $2 AND b.edition_id IN {list $3: int}
           AND b.size > b.own_count
           AND (CAST($4 AS TEXT) IS NULL OR b.state = $4 OR ($4 = 'sending' AND b.state = 'claimed')
                OR ($4 = 'sent' AND b.state <> 'cancelled' AND b.open < b.size - b.own_count))
         ORDER BY b.first_id, b.number LIMIT $5"
    );
    let values = [plan.into(), after.into(), json(editions)?, state.map(State::word).into(), BATCHES_MAX.into()];
    let rows = tx.query(SQL, &values)?;
    rows.iter().map(|row| Ok((row.int(crate::store::batches::HEADER_COLUMNS)?, header(row)?))).collect()
}

fn receipt(member: &Member, log: &Log) -> Receipt {
    let (state, attempts, ended) = member.standing(log);
    let batch = &member.batch;
    let key =
        DeliveryKey { plan_id: batch.key.plan_id, recipient_id: member.recipient_id, carrier: batch.carrier.clone() };
    Receipt {
        recipient_id: member.recipient_id,
        address: None,
        delivery: key.to_string(),
        state: state.word().to_owned(),
        reason: if state == State::Cancelled { batch.reason.clone() } else { None },
        attempts,
        at: ended.unwrap_or(batch.due_at),
    }
}

fn with_addresses(tx: &mut Tx<'_>, page: &mut [Receipt]) -> Result<(), StoreError> {
    let ids: Vec<i64> = page.iter().map(|one| one.recipient_id).collect();
    const SQL: &str = "SELECT id, address FROM subscribers WHERE id IN {list $1: int}";
    let mut addresses = BTreeMap::new();
    for row in tx.query(SQL, &[json(&ids)?])? {
        addresses.insert(row.int(0)?, row.text(1)?);
    }
    page.iter_mut().for_each(|one| one.address = addresses.remove(&one.recipient_id));
    Ok(())
}

/// Deliveries by mail that hold a post and came to a bad end, or to none: refused, given up, and, if they are wanted, those of which
/// nobody knows. At most `limit`, behind one of them. Readers who left or whose address takes no mail are left out, and those who have
/// the post by another delivery.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn troubled(
    tx: &mut Tx<'_>,
    post_id: &str,
    with_uncertain: bool,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<(DeliveryKey, State)>, StoreError> {
    const SQL: &str = "SELECT d.plan_id, d.recipient_id, d.carrier, d.state
         FROM (SELECT DISTINCT e.plan_id, e.id FROM edition_items i JOIN editions e ON e.id = i.edition_id
               WHERE i.post_id = $1 AND e.kind IN ('issue', 'correction') AND i.form = 'post') x
         JOIN deliveries d ON d.plan_id = x.plan_id AND d.edition_id = x.id
         JOIN subscribers u ON u.id = d.recipient_id
         WHERE d.carrier = 'email' AND (d.state IN ('refused', 'abandoned') OR (d.state = 'uncertain' AND $2 = 1))
           AND u.unsubscribed_at IS NULL AND u.suppressed_at IS NULL
           AND (d.plan_id > $3 OR (d.plan_id = $3 AND d.recipient_id > $4))
           AND NOT EXISTS (SELECT 1 FROM edition_items j JOIN editions o ON o.id = j.edition_id
               JOIN deliveries w ON w.plan_id = o.plan_id AND w.edition_id = o.id AND w.recipient_id = d.recipient_id
               WHERE j.post_id = $1 AND w.state IN ('sent', 'due', 'claimed', 'sending'))
         ORDER BY d.plan_id, d.recipient_id LIMIT $5";
    let read = |row: &Row| {
        let key = DeliveryKey { plan_id: row.int(0)?, recipient_id: row.int(1)?, carrier: row.text(2)? };
        Ok((key, row.parse(3, State::from_word)?))
    };
    tx.query(SQL, params![post_id, i64::from(with_uncertain), after.0, after.1, limit])?.iter().map(read).collect()
}
