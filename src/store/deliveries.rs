//! Deliveries: claimed, sent, recorded. Most are members of batches; here those are handed on, and the SQL is that of the
//! deliveries that have a row of their own. The states and what may follow what: domain/delivery.rs.

mod look;
mod received;
mod rescue;
mod spread;

pub use look::{Attempt, Listed, attempts, count, find, holding, list, open_of};
pub use received::{Before, Received, of_recipient, told};
use rescue::reopen;
pub use rescue::{hand_back_claims, lose_sending, next_uncertain, retry, settle_uncertain};
pub use spread::{Holder, Spread, holders, spread};

use super::batches::{self, Seat, progress};
use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane, Reason, State};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};

/// A delivery that this process has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Which.
    pub key: DeliveryKey,
    /// The term of the process that took it.
    pub term: i64,
    /// Its content.
    pub edition_id: i64,
    /// The number of this attempt, from 1.
    pub attempt: i64,
    /// Failures so far that count.
    pub failures: i64,
    /// When it was planned: Date and token key derive from it.
    pub planned_at: UnixMillis,
    /// When an attempt first ended uncertain.
    pub uncertain_at: Option<UnixMillis>,
    /// Its place, if it came in a batch.
    pub seat: Option<Seat>,
}

/// Plans one delivery of its own, due at `due_at`, unless the recipient has one of this plan. Returns whether it is new.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put(
    tx: &mut Tx<'_>,
    key: &DeliveryKey,
    edition_id: i64,
    destination: &str,
    lane: Lane,
    due_at: UnixMillis,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let one = [(key.recipient_id, edition_id, destination.to_owned())];
    Ok(put_all(tx, key.plan_id, &key.carrier, &one, lane, due_at, now)? == 1)
}

/// The same for several recipients, each with its edition and its destination. Returns how many are new.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put_all(
    tx: &mut Tx<'_>,
    plan_id: i64,
    carrier: &str,
    rows: &[(i64, i64, String)],
    lane: Lane,
    due_at: UnixMillis,
    now: UnixMillis,
) -> Result<u64, StoreError> {
    const SQL: &str =
        "INSERT INTO deliveries (plan_id, recipient_id, carrier, edition_id, destination, lane, state, due_at,
             planned_at, attempts, failures)
         SELECT CAST($2 AS BIGINT), b.r, CAST($3 AS TEXT), b.e, b.d, CAST($4 AS TEXT), 'due', CAST($5 AS BIGINT),
             CAST($6 AS BIGINT), 0, 0
         FROM {rows $1: r int, e int, d text} b WHERE true ON CONFLICT (plan_id, recipient_id, carrier) DO NOTHING";
    #[derive(Serialize)]
    struct New<'a> {
        r: i64,
        e: i64,
        d: &'a str,
    }
    let rows: Vec<New<'_>> = rows.iter().map(|(r, e, d)| New { r: *r, e: *e, d }).collect();
    tx.execute(SQL, &[json(&rows)?, plan_id.into(), carrier.into(), lane.word().into(), due_at.into(), now.into()])
}

/// Takes up to `limit` waiting deliveries of one destination and lane, oldest first. Nothing while a hold is on or the
/// lease of `term` has ended.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn claim(
    tx: &mut Tx<'_>,
    term: i64,
    destination: &str,
    lane: Lane,
    now: UnixMillis,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    if limit < 1 || !is_open(tx, term, destination)? {
        return Ok(Vec::new());
    }
    // Rows that have waited for longer than the oldest batch go first, so that neither starves the other.
    let batch_due = batches::next_due(tx, destination, lane)?.filter(|due| *due <= now);
    let mut claimed = claim_rows(tx, term, destination, lane, batch_due.unwrap_or(now), limit)?;
    let mut room = limit - claimed.len() as i64;
    if room > 0 && batch_due.is_some() {
        let members = batches::claim(tx, term, destination, lane, now, room)?;
        room -= members.len() as i64;
        claimed.extend(members);
        if room > 0 {
            claimed.append(&mut claim_rows(tx, term, destination, lane, now, room)?);
        }
    }
    Ok(claimed)
}

/// Whether a process may take anything for a destination.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_open(tx: &mut Tx<'_>, term: i64, destination: &str) -> Result<bool, StoreError> {
    const OPEN: &str = "SELECT 1 FROM processes WHERE term = $1 AND ended_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM holds WHERE scope IN ('all', 'destination:' || $2))";
    Ok(tx.query_opt(OPEN, params![term, destination])?.is_some())
}

/// Takes one waiting delivery of a destination, if it still waits and anything may be taken.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn claim_key(
    tx: &mut Tx<'_>,
    term: i64,
    destination: &str,
    key: &DeliveryKey,
) -> Result<Option<Claimed>, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'claimed', claimed_term = $1, attempts = attempts + 1
         WHERE plan_id = $2 AND recipient_id = $3 AND carrier = $4 AND state = 'due'
         RETURNING plan_id, recipient_id, carrier, edition_id, attempts, failures, planned_at, uncertain_at";
    if !is_open(tx, term, destination)? {
        return Ok(None);
    }
    let row = tx.query_opt(SQL, params![term, key.plan_id, key.recipient_id, &key.carrier])?;
    row.map(|row| claimed(&row, term)).transpose()
}

fn claimed(row: &Row, term: i64) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        key: key(row)?,
        term,
        edition_id: row.int(3)?,
        attempt: row.int(4)?,
        failures: row.int(5)?,
        planned_at: row.at(6)?,
        uncertain_at: row.at_opt(7)?,
        seat: None,
    })
}

fn claim_rows(
    tx: &mut Tx<'_>,
    term: i64,
    destination: &str,
    lane: Lane,
    until: UnixMillis,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    const SQL: &str = "WITH picked AS MATERIALIZED (
             SELECT plan_id AS p, recipient_id AS r, carrier AS c FROM deliveries
             WHERE state = 'due' AND destination = $2 AND lane = $3 AND due_at <= $4
             ORDER BY due_at LIMIT $5 {skip locked})
         UPDATE deliveries SET state = 'claimed', claimed_term = $1, attempts = attempts + 1
         FROM picked WHERE plan_id = picked.p AND recipient_id = picked.r AND carrier = picked.c
         RETURNING plan_id, recipient_id, carrier, edition_id, attempts, failures, planned_at, uncertain_at";
    let rows = tx.query(SQL, params![term, destination, lane.word(), until, limit])?;
    rows.iter().map(|row| claimed(row, term)).collect()
}

/// The next instant at which a waiting delivery of a destination is due.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_due(tx: &mut Tx<'_>, destination: &str) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str =
        "SELECT due_at FROM deliveries WHERE state = 'due' AND destination = $1 AND lane = $2 ORDER BY due_at LIMIT 1";
    let mut next = None;
    for lane in Lane::ALL {
        let row = tx.query_opt(SQL, params![destination, lane.word()])?.map(|row| row.at(0)).transpose()?;
        next = [next, row, batches::next_due(tx, destination, *lane)?].into_iter().flatten().min();
    }
    Ok(next)
}

/// One attempt, as batches name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptRef {
    /// The delivery.
    #[serde(flatten)]
    pub key: DeliveryKey,
    /// The attempt's number.
    pub n: i64,
    /// The term of the process that makes it.
    pub t: i64,
    /// The delivery's place, if it came in a batch.
    #[serde(skip)]
    pub seat: Option<Seat>,
}

impl AttemptRef {
    /// The attempt that a claim allows.
    #[must_use]
    pub fn of(claimed: &Claimed) -> Self {
        Self { key: claimed.key.clone(), n: claimed.attempt, t: claimed.term, seat: claimed.seat }
    }
}

/// Commits together what is about to be sent ([`begin_sending`]) and what came of attempts ([`record`]). `is_repeat` when
/// an earlier commit of the same outcomes may have taken hold without our hearing of it. Returns those that may
/// be sent, and how many deliveries took their new state.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn commit(
    tx: &mut Tx<'_>,
    begins: &[AttemptRef],
    ends: &[Ended],
    is_repeat: bool,
    now: UnixMillis,
) -> Result<(Vec<DeliveryKey>, u64), StoreError> {
    let mut progress = progress::commit(tx, begins, ends, is_repeat, now)?;
    if !progress.rows_to_end.is_empty() {
        progress.changed += record_rows(tx, &progress.rows_to_end, now)?;
    }
    if !progress.rows_to_begin.is_empty() {
        progress.allowed.append(&mut begin_rows(tx, &progress.rows_to_begin, now)?);
    }
    Ok((progress.allowed, progress.changed))
}

/// Commits that these attempts are about to pass the point of no return, and returns those that may: the claim still
/// stands, no hold is on, the edition wasn't replaced (a repeat of an uncertain one keeps its content, unless that was
/// withdrawn) and it isn't its night, and the subscriber or endpoint is still there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn begin_sending(
    tx: &mut Tx<'_>,
    attempts: &[AttemptRef],
    now: UnixMillis,
) -> Result<Vec<DeliveryKey>, StoreError> {
    commit(tx, attempts, &[], false, now).map(|(allowed, _)| allowed)
}

fn begin_rows(tx: &mut Tx<'_>, attempts: &[AttemptRef], now: UnixMillis) -> Result<Vec<DeliveryKey>, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'sending', sending_at = $2
         FROM {rows $1: p int, r int, c text, n int, t int} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND attempts = b.n
           AND state = 'claimed' AND claimed_term = b.t
           AND EXISTS (SELECT 1 FROM processes x WHERE x.term = b.t AND x.ended_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope IN ('all', 'destination:' || deliveries.destination))
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND (e.replaced_at IS NULL
                OR (deliveries.uncertain_at IS NOT NULL AND e.withdrawn_at IS NULL AND e.kind <> 'push'))
                AND (e.quiet_until_at IS NULL OR $2 < e.quiet_from_at OR $2 >= e.quiet_until_at))
           AND (EXISTS (SELECT 1 FROM subscribers u WHERE u.id = deliveries.recipient_id
                AND (u.unsubscribed_at IS NULL OR deliveries.lane = 'transactional') AND u.suppressed_at IS NULL)
              OR EXISTS (SELECT 1 FROM endpoints x WHERE x.id = deliveries.recipient_id AND x.carrier = deliveries.carrier
                AND x.ended_at IS NULL AND (x.until_at IS NULL OR x.until_at > $2)))
         RETURNING plan_id, recipient_id, carrier";
    let allowed: HashSet<DeliveryKey> =
        tx.query(SQL, &[json(attempts)?, now.into()])?.iter().map(key).collect::<Result<_, _>>()?;
    let begun: Vec<&AttemptRef> = attempts.iter().filter(|attempt| allowed.contains(&attempt.key)).collect();
    const RECORD: &str = "INSERT INTO attempts (plan_id, recipient_id, carrier, number, term, edition_id, sending_at)
         SELECT d.plan_id, d.recipient_id, d.carrier, d.attempts, b.t, d.edition_id, CAST($2 AS BIGINT)
         FROM {rows $1: p int, r int, c text, t int} b
         JOIN deliveries d ON d.plan_id = b.p AND d.recipient_id = b.r AND d.carrier = b.c";
    tx.change("recording attempts", begun.len(), RECORD, &[json(&begun)?, now.into()])?;
    Ok(allowed.into_iter().collect())
}

fn key(row: &Row) -> Result<DeliveryKey, StoreError> {
    Ok(DeliveryKey { plan_id: row.int(0)?, recipient_id: row.int(1)?, carrier: row.text(2)? })
}

/// What an attempt came to.
#[derive(Clone, Debug, Serialize)]
pub struct Ended {
    /// Which attempt.
    #[serde(flatten)]
    pub attempt: AttemptRef,
    /// The edition it carried.
    pub e: i64,
    /// The new state's word.
    pub state: &'static str,
    /// Why.
    pub reason: Reason,
    /// The far side's words, cut.
    pub reply: String,
    /// When it is due again, for `due` and `uncertain`.
    pub due: Option<UnixMillis>,
    /// 1 when this counts as a failure of this delivery, 0 otherwise.
    pub failed: i64,
    /// When nothing more is to come.
    pub fin: Option<UnixMillis>,
    /// When it ended uncertain.
    pub unc: Option<UnixMillis>,
}

/// Records outcomes. A definite answer also settles a delivery that was called uncertain meanwhile, as long as no newer
/// attempt began. One that rests for good is due again only if no attempt can have arrived. Returns how many deliveries took their new state.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn record(tx: &mut Tx<'_>, ended: &[Ended], now: UnixMillis) -> Result<u64, StoreError> {
    commit(tx, &[], ended, false, now).map(|(_, changed)| changed)
}

fn record_rows(tx: &mut Tx<'_>, ended: &[Ended], now: UnixMillis) -> Result<u64, StoreError> {
    // What was put to rest while it was on its way is uncertain by that alone (both at one time), and no more when its answer
    // is known. Whoever left the schedule then gets it no more, if it hasn't arrived.
    const SQL: &str = "UPDATE deliveries SET
             state = CASE WHEN deliveries.reason = 'unsubscribed' AND b.state = 'due' THEN 'cancelled' ELSE b.state END,
             reason = CASE WHEN deliveries.reason = 'unsubscribed' AND b.state = 'due' THEN deliveries.reason ELSE b.reason END,
             finished_at = CASE WHEN deliveries.reason = 'unsubscribed' AND b.state = 'due' THEN finished_at ELSE b.fin END,
             uncertain_at = CASE WHEN deliveries.uncertain_at = deliveries.finished_at THEN NULL
                 ELSE COALESCE(uncertain_at, b.unc) END,
             due_at = COALESCE(b.due, due_at), failures = failures + b.failed
         FROM {rows $1: p int, r int, c text, n int, t int, state text, reason text, due int, failed int, fin int, unc int} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND attempts = b.n AND claimed_term = b.t
           AND (deliveries.state IN ('claimed', 'sending', 'uncertain')
                OR (deliveries.state = 'due' AND b.state IN ('sent', 'refused')))
           AND (deliveries.finished_at IS NULL OR b.state IN ('sent', 'refused')
                OR (deliveries.uncertain_at = deliveries.finished_at AND b.state <> 'uncertain'))";
    let rows = json(ended)?;
    let changed = tx.execute(SQL, std::slice::from_ref(&rows))?;
    // What may have arrived and holds a withdrawn post (or tells a program of what was revised) isn't sent again: it would be claimed and refused for ever.
    const KEEP: &str = "UPDATE deliveries SET state = 'uncertain', due_at = 9223372036854775807, finished_at = $2
         FROM {rows $1: p int, r int, c text} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND state = 'due' AND uncertain_at IS NOT NULL
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id
                AND (e.withdrawn_at IS NOT NULL OR (e.kind = 'push' AND e.replaced_at IS NOT NULL)))";
    let waiting = ended.iter().filter(|ended| ended.state == State::Due.word());
    let editions: BTreeSet<i64> = waiting.map(|ended| ended.e).collect();
    if !editions.is_empty() {
        tx.execute(KEEP, &[rows.clone(), now.into()])?;
        reopen(tx, &editions)?;
    }
    const ATTEMPTS: &str =
        "INSERT INTO attempts (plan_id, recipient_id, carrier, number, term, edition_id, ended_at, outcome,
             reason, reply)
         SELECT p, r, c, n, t, e, CAST($2 AS BIGINT), state, reason, reply
         FROM {rows $1: p int, r int, c text, n int, t int, e int, state text, reason text, reply text} b WHERE true
         ON CONFLICT (plan_id, recipient_id, carrier, number) DO UPDATE SET ended_at = excluded.ended_at,
             outcome = excluded.outcome, reason = excluded.reason, reply = excluded.reply";
    tx.execute(ATTEMPTS, &[rows, now.into()])?;
    Ok(changed)
}

/// Cancels deliveries that were just claimed, because their recipients have left: as of then, so that it is undone with their
/// leaving.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn cancel_departed(tx: &mut Tx<'_>, claimed: &[Claimed], now: UnixMillis) -> Result<(), StoreError> {
    batches::extract::claimed(tx, claimed, now)?;
    let keys: Vec<&DeliveryKey> = claimed.iter().map(|claim| &claim.key).collect();
    const SQL: &str = "UPDATE deliveries SET state = 'cancelled', reason = 'unsubscribed',
             finished_at = COALESCE((SELECT u.unsubscribed_at FROM subscribers u WHERE u.id = deliveries.recipient_id), $2)
         FROM {rows $1: p int, r int, c text} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND state = 'claimed'";
    tx.change("cancelling claimed deliveries", claimed.len(), SQL, &[json(&keys)?, now.into()])
}
