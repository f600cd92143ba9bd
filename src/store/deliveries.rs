//! Deliveries: planned, claimed, sent, recorded. The states and what may follow what: domain/delivery.rs.

use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane, Reason, State};
use serde::Serialize;
use std::collections::HashSet;

/// A delivery about to be planned.
#[derive(Clone, Debug, Serialize)]
pub struct Planned {
    /// The subscriber.
    pub r: i64,
    /// The edition.
    pub e: i64,
    /// The lane's word.
    pub lane: &'static str,
    /// Where it goes.
    pub dest: String,
}

/// Writes the deliveries of one chunk of a plan.
///
/// # Errors
/// [`StoreError`] from the database, also when a recipient has a delivery by this carrier and plan already.
pub fn insert(
    tx: &mut Tx<'_>,
    plan_id: i64,
    carrier: &str,
    rows: &[Planned],
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.change(
        "planning deliveries",
        rows.len(),
        "INSERT INTO deliveries (plan_id, recipient_id, carrier, edition_id, destination, lane, state, due_at, planned_at,
             attempts, failures)
         SELECT CAST($2 AS BIGINT), r, $3, e, dest, lane, 'due', CAST($4 AS BIGINT), CAST($4 AS BIGINT), 0, 0
         FROM {rows $1: r int, e int, lane text, dest text} b",
        &[json(rows)?, plan_id.into(), carrier.into(), now.into()],
    )
}

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
    const SQL: &str = "WITH picked AS MATERIALIZED (
             SELECT plan_id AS p, recipient_id AS r, carrier AS c FROM deliveries
             WHERE state = 'due' AND destination = $2 AND lane = $3 AND due_at <= $4
               AND EXISTS (SELECT 1 FROM processes WHERE term = $1 AND ended_at IS NULL)
               AND NOT EXISTS (SELECT 1 FROM holds WHERE scope IN ('all', 'destination:' || $2))
             ORDER BY due_at LIMIT $5 {skip locked})
         UPDATE deliveries SET state = 'claimed', claimed_term = $1, attempts = attempts + 1
         FROM picked WHERE plan_id = picked.p AND recipient_id = picked.r AND carrier = picked.c
         RETURNING plan_id, recipient_id, carrier, edition_id, attempts, failures, planned_at, uncertain_at";
    let row = |row: &Row| {
        Ok(Claimed {
            key: key(row)?,
            term,
            edition_id: row.int(3)?,
            attempt: row.int(4)?,
            failures: row.int(5)?,
            planned_at: row.at(6)?,
            uncertain_at: row.at_opt(7)?,
        })
    };
    tx.query(SQL, params![term, destination, lane.word(), now, limit])?.iter().map(row).collect()
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
        let due = tx.query_opt(SQL, params![destination, lane.word()])?.map(|row| row.at(0)).transpose()?;
        next = [next, due].into_iter().flatten().min();
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
}

/// Commits that these attempts are about to pass the point of no return, and returns those that may: the claim still
/// stands, no hold is on, the edition wasn't replaced (a repeat of an uncertain one keeps its content, unless that was
/// withdrawn), and the subscriber is still there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn begin_sending(
    tx: &mut Tx<'_>,
    attempts: &[AttemptRef],
    now: UnixMillis,
) -> Result<Vec<DeliveryKey>, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'sending', sending_at = $2
         FROM {rows $1: p int, r int, c text, n int, t int} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND attempts = b.n
           AND state = 'claimed' AND claimed_term = b.t
           AND EXISTS (SELECT 1 FROM processes x WHERE x.term = b.t AND x.ended_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope IN ('all', 'destination:' || deliveries.destination))
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND (e.replaced_at IS NULL
                OR (deliveries.uncertain_at IS NOT NULL AND e.withdrawn_at IS NULL)))
           AND EXISTS (SELECT 1 FROM subscribers u WHERE u.id = deliveries.recipient_id
                AND u.unsubscribed_at IS NULL AND u.suppressed_at IS NULL)
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
/// attempt began. Returns how many deliveries took their new state.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn record(tx: &mut Tx<'_>, ended: &[Ended], now: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = b.state, reason = b.reason, due_at = COALESCE(b.due, due_at),
             failures = failures + b.failed, finished_at = b.fin, uncertain_at = COALESCE(uncertain_at, b.unc)
         FROM {rows $1: p int, r int, c text, n int, t int, state text, reason text, due int, failed int, fin int, unc int} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND attempts = b.n AND claimed_term = b.t
           AND (deliveries.state IN ('claimed', 'sending', 'uncertain')
                OR (deliveries.state = 'due' AND b.state IN ('sent', 'refused')))";
    let rows = json(ended)?;
    let changed = tx.execute(SQL, std::slice::from_ref(&rows))?;
    // What may have arrived and holds a withdrawn post isn't sent again: it would be claimed and refused for ever.
    const KEEP: &str = "UPDATE deliveries SET state = 'uncertain', due_at = 9223372036854775807, finished_at = $2
         FROM {rows $1: p int, r int, c text} b
         WHERE plan_id = b.p AND recipient_id = b.r AND carrier = b.c AND state = 'due' AND uncertain_at IS NOT NULL
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.withdrawn_at IS NOT NULL)";
    if ended.iter().any(|ended| ended.state == State::Due.word()) {
        tx.execute(KEEP, &[rows.clone(), now.into()])?;
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

/// Cancels a delivery that was just claimed.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn cancel_claimed(tx: &mut Tx<'_>, key: &DeliveryKey, reason: Reason, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE deliveries SET state = 'cancelled', reason = $4, finished_at = $5
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3 AND state = 'claimed'";
    let params = params![key.plan_id, key.recipient_id, &key.carrier, reason.word(), now];
    tx.change("cancelling a claimed delivery", 1, SQL, params)
}

/// Hands back everything that a process has taken and not begun to send, as if it had never been taken.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hand_back_claims(tx: &mut Tx<'_>, term: i64) -> Result<u64, StoreError> {
    const SQL: &str =
        "UPDATE deliveries SET state = 'due', reason = 'handed_back' WHERE claimed_term = $1 AND state = 'claimed'";
    tx.execute(SQL, params![term])
}

/// What a dead process had begun to send becomes uncertain; it is looked at again at `settle_at`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lose_sending(tx: &mut Tx<'_>, term: i64, now: UnixMillis, settle_at: UnixMillis) -> Result<u64, StoreError> {
    const ATTEMPTS: &str = "UPDATE attempts SET ended_at = $2, outcome = 'uncertain', reason = 'process_lost'
         WHERE term = $1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM deliveries d WHERE d.plan_id = attempts.plan_id
             AND d.recipient_id = attempts.recipient_id AND d.carrier = attempts.carrier
             AND d.claimed_term = $1 AND d.state = 'sending')
           AND (plan_id, recipient_id, carrier) IN
             (SELECT plan_id, recipient_id, carrier FROM deliveries WHERE claimed_term = $1 AND state = 'sending')";
    tx.execute(ATTEMPTS, params![term, now])?;
    const SQL: &str = "UPDATE deliveries SET state = 'uncertain', reason = 'process_lost', due_at = $3,
             uncertain_at = COALESCE(uncertain_at, $2) WHERE claimed_term = $1 AND state = 'sending'";
    tx.execute(SQL, params![term, now, settle_at])
}

/// Uncertain deliveries whose wait is over are due again, with the same content. Those that hold a withdrawn post or
/// whose reader left stay uncertain for good: they aren't sent again, and count as given.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn settle_uncertain(tx: &mut Tx<'_>, now: UnixMillis) -> Result<u64, StoreError> {
    const KEEP: &str = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = $1
         WHERE state = 'uncertain' AND due_at <= $1
           AND (EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.withdrawn_at IS NOT NULL)
             OR NOT EXISTS (SELECT 1 FROM subscribers u WHERE u.id = deliveries.recipient_id
                  AND u.unsubscribed_at IS NULL AND u.suppressed_at IS NULL))";
    tx.execute(KEEP, params![now])?;
    const AGAIN: &str = "UPDATE deliveries SET state = 'due', due_at = $1 WHERE state = 'uncertain' AND due_at <= $1";
    tx.execute(AGAIN, params![now])
}

/// When the next uncertain delivery is to be looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_uncertain(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str = "SELECT due_at FROM deliveries WHERE state = 'uncertain' ORDER BY due_at LIMIT 1";
    tx.query_opt(SQL, &[])?.map(|row| row.at(0)).transpose()
}

/// A delivery, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// `plan.recipient.carrier`.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// `immediate` or the digest.
    pub schedule: String,
    /// The subscriber.
    pub recipient_id: i64,
    /// The edition.
    pub edition_id: i64,
    /// Attempts so far.
    pub attempts: i64,
    /// When it is due, if it waits.
    pub due_at: UnixMillis,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// When it came to its end.
    pub finished_at: Option<UnixMillis>,
    /// When an attempt first ended uncertain.
    pub uncertain_at: Option<UnixMillis>,
}

macro_rules! listed_sql {
    ($rest:literal) => {
        concat!(
            "SELECT d.plan_id, d.recipient_id, d.carrier, d.state, d.reason, e.schedule, d.edition_id, d.attempts, d.due_at,
                 d.planned_at, d.finished_at, d.uncertain_at
             FROM deliveries d JOIN editions e ON e.id = d.edition_id ",
            $rest
        )
    };
}

fn listed(row: &Row) -> Result<Listed, StoreError> {
    Ok(Listed {
        id: key(row)?.to_string(),
        state: row.text(3)?,
        reason: row.text_opt(4)?,
        schedule: row.text(5)?,
        recipient_id: row.int(1)?,
        edition_id: row.int(6)?,
        attempts: row.int(7)?,
        due_at: row.at(8)?,
        planned_at: row.at(9)?,
        finished_at: row.at_opt(10)?,
        uncertain_at: row.at_opt(11)?,
    })
}

/// Deliveries in one state (or any) of one recipient (or any), newest plan first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(
    tx: &mut Tx<'_>,
    state: Option<State>,
    recipient: Option<i64>,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    const SQL: &str = listed_sql!(
        "WHERE (CAST($1 AS TEXT) IS NULL OR d.state = $1) AND (CAST($2 AS BIGINT) IS NULL OR d.recipient_id = $2)
         ORDER BY d.planned_at DESC, d.plan_id, d.recipient_id LIMIT $3"
    );
    tx.query(SQL, params![state.map(State::word), recipient, limit])?.iter().map(listed).collect()
}

/// One delivery.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<Option<Listed>, StoreError> {
    const SQL: &str = listed_sql!("WHERE d.plan_id = $1 AND d.recipient_id = $2 AND d.carrier = $3");
    tx.query_opt(SQL, params![key.plan_id, key.recipient_id, &key.carrier])?.as_ref().map(listed).transpose()
}

/// What was planned for a recipient with a story in it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn holding(tx: &mut Tx<'_>, story_id: &str, recipient_id: i64) -> Result<Vec<Listed>, StoreError> {
    const SQL: &str = listed_sql!(
        "WHERE d.recipient_id = $2 AND d.plan_id IN (SELECT x.plan_id FROM editions x JOIN edition_items i
             ON i.edition_id = x.id WHERE i.story_id = $1)
         AND EXISTS (SELECT 1 FROM edition_items i WHERE i.edition_id = d.edition_id AND i.story_id = $1)
         ORDER BY d.planned_at"
    );
    tx.query(SQL, params![story_id, recipient_id])?.iter().map(listed).collect()
}

/// An attempt, for people.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// Its number.
    pub number: i64,
    /// When it passed the point of no return.
    pub sending_at: Option<UnixMillis>,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
    /// The state it led to.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The far side's words.
    pub reply: Option<String>,
}

/// The attempts of one delivery, oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn attempts(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<Vec<Attempt>, StoreError> {
    const SQL: &str = "SELECT number, sending_at, ended_at, outcome, reason, reply FROM attempts
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3 ORDER BY number";
    let row = |row: &Row| {
        Ok(Attempt {
            number: row.int(0)?,
            sending_at: row.at_opt(1)?,
            ended_at: row.at_opt(2)?,
            outcome: row.text_opt(3)?,
            reason: row.text_opt(4)?,
            reply: row.text_opt(5)?,
        })
    };
    tx.query(SQL, params![key.plan_id, key.recipient_id, &key.carrier])?.iter().map(row).collect()
}

/// Makes a delivery due again at an operator's word: one that waits, was refused, was abandoned, or is uncertain and
/// holds nothing that was withdrawn. One whose edition was replaced moves to the successor first. Returns whether there
/// was such a one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn retry(tx: &mut Tx<'_>, key: &DeliveryKey, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str =
        "UPDATE deliveries SET state = 'due', reason = 'operator', due_at = $4, failures = 0, finished_at = NULL
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3
           AND (state IN ('due', 'refused', 'abandoned') OR (state = 'uncertain' AND NOT EXISTS
                (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.withdrawn_at IS NOT NULL)))
         RETURNING edition_id";
    let Some(row) = tx.query_opt(SQL, params![key.plan_id, key.recipient_id, &key.carrier, now])? else {
        return Ok(false);
    };
    const REOPEN: &str = "UPDATE editions SET closed_at = NULL, moved_at = NULL WHERE id = $1";
    tx.change("reopening an edition", 1, REOPEN, params![row.int(0)?])?;
    Ok(true)
}

/// Deliveries by state.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = tx.query("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state", &[])?;
    rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect()
}
