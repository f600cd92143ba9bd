//! Batches: the deliveries of one edition that go the straight road (due, claimed, sending, sent), kept together at a few
//! octets each. A member that leaves the road gets a row of its own (`extract`), and from then on that row is
//! the truth about it. Why, and what it brought: docs/adr/0006-batches.md.

pub(super) mod extract;
pub(super) mod look;
pub(super) mod progress;

use super::deliveries::Claimed;
use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Members of a batch at most: enough that what a batch costs is shared by many, few enough that a process claims it whole.
pub const BATCH_MAX: usize = 256;
/// Batches looked at by one claim at most.
const PICKED_MAX: i64 = 64;

/// What makes a batch unique: its plan, and the position of its first member in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct BatchKey {
    #[serde(rename = "p")]
    pub plan_id: i64,
    #[serde(rename = "b")]
    pub number: i64,
}

/// The place of a delivery in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The batch within the plan.
    pub number: i64,
    /// The member within the batch.
    pub index: u32,
    /// The departure counter at the claim: while it stands still, nobody has left since.
    pub departure: i64,
}

/// What is planned together: one edition by one way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The edition.
    pub edition_id: i64,
    /// Where it goes.
    pub destination: String,
    /// How urgent it is.
    pub lane: Lane,
    /// When it may go out.
    pub due_at: UnixMillis,
    /// Who gets it, ascending.
    pub recipients: Vec<i64>,
}

/// A batch without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub key: BatchKey,
    pub carrier: String,
    pub edition_id: i64,
    pub destination: String,
    pub lane: String,
    pub state: String,
    pub reason: Option<String>,
    pub due_at: UnixMillis,
    pub planned_at: UnixMillis,
    pub finished_at: Option<UnixMillis>,
    pub open: i64,
    pub claims: i64,
    pub claimed_term: Option<i64>,
    pub entries: i64,
    pub own: BTreeSet<u32>,
}

/// The columns of [`Header`], of the table or alias `b`.
macro_rules! header_columns {
    () => {
        "b.plan_id, b.number, b.carrier, b.edition_id, b.destination, b.lane, b.state, b.reason, b.due_at, b.planned_at,
         b.finished_at, b.open, b.claims, b.claimed_term, b.entries, b.own"
    };
}
pub(super) use header_columns;

/// How many columns [`header_columns`] names.
pub(super) const HEADER_COLUMNS: usize = 16;

pub(super) fn header(row: &Row) -> Result<Header, StoreError> {
    Ok(Header {
        key: BatchKey { plan_id: row.int(0)?, number: row.int(1)? },
        carrier: row.text(2)?,
        edition_id: row.int(3)?,
        destination: row.text(4)?,
        lane: row.text(5)?,
        state: row.text(6)?,
        reason: row.text_opt(7)?,
        due_at: row.at(8)?,
        planned_at: row.at(9)?,
        finished_at: row.at_opt(10)?,
        open: row.int(11)?,
        claims: row.int(12)?,
        claimed_term: row.int_opt(13)?,
        entries: row.int(14)?,
        own: from_json(&row.text(15)?)?,
    })
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Shape(format!("a batch: {e}")))
}

#[derive(Serialize)]
struct NewBatch<'a> {
    b: i64,
    e: i64,
    dest: &'a str,
    lane: &'static str,
    first: i64,
    last: i64,
    size: usize,
    due: UnixMillis,
    /// How often its members were claimed before, so that no attempt of theirs has the number of an earlier one.
    claims: i64,
    ids: String,
}

/// Writes what one chunk of a plan came to. `position` is how many deliveries the plan has made before.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn insert(
    tx: &mut Tx<'_>,
    plan_id: i64,
    position: i64,
    carrier: &str,
    planned: &[Planned],
    now: UnixMillis,
) -> Result<(), StoreError> {
    let (mut rows, mut number) = (Vec::new(), position);
    for group in planned {
        for ids in group.recipients.chunks(BATCH_MAX) {
            let (Some(first), Some(last)) = (ids.first(), ids.last()) else { continue };
            rows.push(NewBatch {
                b: number,
                e: group.edition_id,
                dest: &group.destination,
                lane: group.lane.word(),
                first: *first,
                last: *last,
                size: ids.len(),
                due: group.due_at,
                claims: 0,
                ids: list(ids)?,
            });
            number += ids.len() as i64;
        }
    }
    write(tx, plan_id, carrier, &rows, now)
}

fn list(ids: &[i64]) -> Result<String, StoreError> {
    serde_json::to_string(ids).map_err(|e| StoreError::Shape(e.to_string()))
}

fn write(
    tx: &mut Tx<'_>,
    plan_id: i64,
    carrier: &str,
    rows: &[NewBatch<'_>],
    now: UnixMillis,
) -> Result<(), StoreError> {
    const HEADERS: &str = "INSERT INTO batches (plan_id, number, carrier, edition_id, destination, lane, state, due_at,
             planned_at, first_id, last_id, size, open, claims, entries, own, own_count)
         SELECT CAST($2 AS BIGINT), b, $3, e, dest, lane, 'due', due, CAST($4 AS BIGINT), first, last, size, size,
             claims, 0, '[]', 0
         FROM {rows $1: b int, e int, dest text, lane text, first int, last int, size int, due int, claims int} t";
    const MEMBERS: &str = "INSERT INTO batch_recipients (plan_id, number, ids)
         SELECT CAST($2 AS BIGINT), b, ids FROM {rows $1: b int, ids text} t";
    let written = json(rows)?;
    tx.change("planning batches", rows.len(), HEADERS, &[written.clone(), plan_id.into(), carrier.into(), now.into()])?;
    tx.change("planning the members of batches", rows.len(), MEMBERS, &[written, plan_id.into()])
}

/// The oldest waiting batch of a destination and lane.
pub(super) fn next_due(tx: &mut Tx<'_>, destination: &str, lane: Lane) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str =
        "SELECT due_at FROM batches WHERE state = 'due' AND destination = $1 AND lane = $2 ORDER BY due_at LIMIT 1";
    tx.query_opt(SQL, params![destination, lane.word()])?.map(|row| row.at(0)).transpose()
}

/// Claims waiting batches, oldest first, until `limit` deliveries are taken: whole ones, and of the last one a part. A
/// part of a batch of which some are sent already is given rows of its own instead, which the caller claims.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    term: i64,
    destination: &str,
    lane: Lane,
    now: UnixMillis,
    limit: i64,
) -> Result<Vec<Claimed>, StoreError> {
    const PICK: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM batches b WHERE b.state = 'due' AND b.destination = $1 AND b.lane = $2 AND b.due_at <= $3
         ORDER BY b.due_at, b.plan_id, b.number LIMIT $4 {skip locked}"
    );
    let picked = tx.query(PICK, params![destination, lane.word(), now, limit.min(PICKED_MAX)])?;
    let (mut taken, mut room) = (Vec::new(), limit);
    for row in &picked {
        let batch = header(row)?;
        if batch.open > room {
            if batch.entries == 0 && batch.own.is_empty() {
                split(tx, &batch, room)?;
                taken.push(batch);
            } else {
                extract::first_open(tx, &batch, room)?;
            }
            break;
        }
        room -= batch.open;
        taken.push(batch);
        if room == 0 {
            break;
        }
    }
    take(tx, term, &taken)
}

/// Parts an untouched batch: the first `count` members stay, the others become a batch of their own.
fn split(tx: &mut Tx<'_>, batch: &Header, count: i64) -> Result<(), StoreError> {
    let ids = members(tx, batch.key)?;
    let at = usize::try_from(count).unwrap_or(usize::MAX).min(ids.len());
    let (kept, rest) = ids.split_at(at);
    let (Some(last), Some(first), Some(end)) = (kept.last(), rest.first(), rest.last()) else { return Ok(()) };
    let Some(lane) = Lane::from_word(&batch.lane) else {
        return Err(StoreError::Shape("a batch has an unknown lane".to_owned()));
    };
    let tail = NewBatch {
        b: batch.key.number + count,
        e: batch.edition_id,
        dest: &batch.destination,
        lane: lane.word(),
        first: *first,
        last: *end,
        size: rest.len(),
        due: batch.due_at,
        claims: batch.claims,
        ids: list(rest)?,
    };
    write(tx, batch.key.plan_id, &batch.carrier, &[tail], batch.planned_at)?;
    const HEAD: &str = "UPDATE batches SET last_id = $3, size = $4, open = $4 WHERE plan_id = $1 AND number = $2";
    tx.change("parting a batch", 1, HEAD, params![batch.key.plan_id, batch.key.number, *last, count])?;
    const MEMBERS: &str = "UPDATE batch_recipients SET ids = $3 WHERE plan_id = $1 AND number = $2";
    tx.change("parting a batch", 1, MEMBERS, params![batch.key.plan_id, batch.key.number, list(kept)?])
}

fn take(tx: &mut Tx<'_>, term: i64, batches: &[Header]) -> Result<Vec<Claimed>, StoreError> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<BatchKey> = batches.iter().map(|batch| batch.key).collect();
    const TAKE: &str = "UPDATE batches SET state = 'claimed', claimed_term = $2, claims = claims + 1
         FROM {rows $1: p int, b int} k WHERE plan_id = k.p AND number = k.b AND state = 'due'";
    tx.change("claiming batches", keys.len(), TAKE, &[json(&keys)?, term.into()])?;
    let departure = departure(tx)?;
    let everybody = members_of_all(tx, &keys)?;
    let mut claimed = Vec::new();
    for batch in batches {
        let taken = if batch.entries > 0 { progress::Log::read(tx, batch.key)?.taken } else { BTreeMap::new() };
        let ids = everybody.get(&batch.key).map_or(&[][..], Vec::as_slice);
        for (index, recipient_id) in (0u32..).zip(ids) {
            if batch.own.contains(&index) || taken.contains_key(&index) {
                continue;
            }
            let (plan_id, recipient_id) = (batch.key.plan_id, *recipient_id);
            claimed.push(Claimed {
                key: DeliveryKey { plan_id, recipient_id, carrier: batch.carrier.clone() },
                term,
                edition_id: batch.edition_id,
                attempt: batch.claims + 1,
                failures: 0,
                planned_at: batch.planned_at,
                uncertain_at: None,
                seat: Some(Seat { number: batch.key.number, index, departure }),
            });
        }
    }
    Ok(claimed)
}

/// A number that grows whenever a subscriber leaves.
pub(super) fn departure(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    super::changes::value(tx, "departure")
}

/// The members of a batch, ascending.
pub(super) fn members(tx: &mut Tx<'_>, key: BatchKey) -> Result<Vec<i64>, StoreError> {
    Ok(members_of_all(tx, &[key])?.remove(&key).unwrap_or_default())
}

/// The members of several batches.
pub(super) fn members_of_all(tx: &mut Tx<'_>, keys: &[BatchKey]) -> Result<BTreeMap<BatchKey, Vec<i64>>, StoreError> {
    const SQL: &str = "SELECT m.plan_id, m.number, m.ids FROM {rows $1: p int, b int} k CROSS JOIN batch_recipients m
         WHERE m.plan_id = k.p AND m.number = k.b";
    let member = |row: &Row| {
        let key = BatchKey { plan_id: row.int(0)?, number: row.int(1)? };
        Ok((key, from_json(&row.text(2)?)?))
    };
    tx.query(SQL, &[json(keys)?])?.iter().map(member).collect()
}
