//! What counts against an address: refusals by kind, from the far side's live replies and from mails that came back. Enough of
//! them suppress it, by the thresholds of [`Kind::threshold`].

use super::deliveries::Ended;
use super::suppressions::{self, Cause, Wanted};
use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::audience::Address;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Reason, State};
use crate::domain::reply::{self, Kind};
use serde::Serialize;
use std::collections::BTreeMap;

/// A refusal of one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bounce {
    /// Who couldn't be reached.
    pub subscriber_id: i64,
    /// When it was heard of first.
    pub at: UnixMillis,
    /// What it is about.
    pub kind: Kind,
    /// The enhanced status, such as `5.1.1`; empty when there was none.
    pub status: String,
    /// The far side's words, without addresses.
    pub reply: String,
    /// `plan.recipient.carrier`.
    pub delivery: String,
}

/// What outcomes of attempts say against their recipients; nothing in most commits.
#[must_use]
pub fn of_outcomes(ended: &[Ended], now: UnixMillis) -> Vec<Bounce> {
    let told = |one: &&Ended| one.state == State::Refused.word() || one.reason == Reason::MailboxFull;
    let bounce = |one: &Ended| {
        Some(Bounce {
            subscriber_id: one.attempt.key.recipient_id,
            at: now,
            kind: Kind::of_reason(one.reason)?,
            status: status_text(reply::status_within(&one.reply)),
            reply: one.reply.clone(),
            delivery: one.attempt.key.to_string(),
        })
    };
    ended.iter().filter(told).filter_map(bounce).collect()
}

/// A status as the table keeps it.
#[must_use]
pub fn status_text(status: Option<reply::Status>) -> String {
    status.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")).unwrap_or_default()
}

/// Locks the subscribers of these, in id order as planning does. To be called before anything else of theirs is touched.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock(tx: &mut Tx<'_>, bounces: &[Bounce]) -> Result<BTreeMap<i64, Address>, StoreError> {
    const SQL: &str = "SELECT id, address FROM subscribers WHERE id IN {list $1: int} ORDER BY id {for update}";
    if bounces.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<i64> = bounces.iter().map(|bounce| bounce.subscriber_id).collect();
    let row = |row: &Row| Ok((row.int(0)?, row.parse(1, |raw| Address::stored(raw).ok())?));
    tx.query(SQL, &[json(&ids)?])?.iter().map(row).collect()
}

/// Notes refusals and suppresses whose threshold they reach. Those of people who are gone, or that were noted before,
/// change nothing. Returns who was suppressed. The key of address hashes must be there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn note(
    tx: &mut Tx<'_>,
    known: &BTreeMap<i64, Address>,
    bounces: &[Bounce],
    now: UnixMillis,
) -> Result<Vec<i64>, StoreError> {
    const SQL: &str =
        "INSERT INTO bounces (subscriber_id, at, kind, status, reply, delivery) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (subscriber_id, delivery, kind) DO NOTHING";
    const COUNT: &str = "SELECT COUNT(*) FROM bounces WHERE subscriber_id = $1 AND kind = $2 AND at > $3";
    let mut suppressed = Vec::new();
    for bounce in bounces {
        let (Some(address), id, kind) = (known.get(&bounce.subscriber_id), bounce.subscriber_id, bounce.kind.word())
        else {
            continue;
        };
        let row = params![id, bounce.at, kind, &bounce.status, &bounce.reply, &bounce.delivery];
        if tx.execute(SQL, row)? == 0 {
            continue;
        }
        let (Some(threshold), Some(cause)) = (bounce.kind.threshold(), cause(bounce.kind)) else { continue };
        let counted = tx.query_opt(COUNT, params![id, kind, now.minus(threshold.within)])?;
        if counted.map_or(Ok(0), |row| row.int(0))? < threshold.count {
            continue;
        }
        let until_at = threshold.lasts.map(|lasts| now.plus(lasts));
        if suppressions::set(tx, Some(id), &Wanted { address, cause, evidence: &bounce.reply, until_at }, now)? {
            suppressed.push(id);
        }
    }
    Ok(suppressed)
}

fn cause(kind: Kind) -> Option<Cause> {
    match kind {
        Kind::NoSuchAddress => Some(Cause::NoSuchAddress),
        Kind::Disabled => Some(Cause::Disabled),
        Kind::Full => Some(Cause::Full),
        Kind::Unexplained => Some(Cause::Unexplained),
        Kind::Transient | Kind::Policy | Kind::Content | Kind::Ours => None,
    }
}

/// Forgets what was heard of before `until`. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, until: UnixMillis) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM bounces WHERE at < $1", params![until])
}

/// What counts against one subscriber, newest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of_subscriber(tx: &mut Tx<'_>, id: i64, limit: i64) -> Result<Vec<Bounce>, StoreError> {
    const SQL: &str = "SELECT subscriber_id, at, kind, status, reply, delivery FROM bounces WHERE subscriber_id = $1
         ORDER BY at DESC, delivery LIMIT $2";
    tx.query(SQL, params![id, limit])?.iter().map(read).collect()
}

/// What came back of one delivery, oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of_delivery(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<Vec<Bounce>, StoreError> {
    const SQL: &str = "SELECT subscriber_id, at, kind, status, reply, delivery FROM bounces
         WHERE subscriber_id = $1 AND delivery = $2 ORDER BY at, kind";
    tx.query(SQL, params![key.recipient_id, key.to_string()])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Bounce, StoreError> {
    Ok(Bounce {
        subscriber_id: row.int(0)?,
        at: row.at(1)?,
        kind: row.parse(2, Kind::from_word)?,
        status: row.text(3)?,
        reply: row.text(4)?,
        delivery: row.text(5)?,
    })
}
