//! Members of batches, for those who ask about one recipient, and for planning.

use super::progress::Log;
use super::{BatchKey, HEADER_COLUMNS, Header, extract, header, header_columns, members, members_of_all};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, State};
use crate::store::value::{json, params};
use crate::store::{StoreError, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// A member of a batch, whose truth is in the batch.
#[derive(Clone, Debug)]
pub(in crate::store) struct Member {
    pub batch: Header,
    pub recipient_id: i64,
    pub index: u32,
}

impl Member {
    /// Where it stands: state, attempts so far, and when it was taken.
    pub(in crate::store) fn standing(&self, log: &Log) -> (State, i64, Option<UnixMillis>) {
        if let Some((at, attempt, _)) = log.taken.get(&self.index) {
            return (State::Sent, *attempt, Some(*at));
        }
        match self.batch.state.as_str() {
            "cancelled" => (State::Cancelled, self.batch.claims, self.batch.finished_at),
            "claimed" if log.began.contains_key(&self.index) => (State::Sending, self.batch.claims, None),
            "claimed" => (State::Claimed, self.batch.claims, None),
            _ => (State::Due, self.batch.claims, None),
        }
    }
}

/// One member, if it has no row of its own.
pub(in crate::store) fn find(
    tx: &mut Tx<'_>,
    plan_id: i64,
    recipient_id: i64,
    carrier: &str,
) -> Result<Option<Member>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM batches b WHERE b.plan_id = $1 AND b.carrier = $2 AND b.first_id <= $3 AND b.last_id >= $3"
    );
    let rows = tx.query(SQL, params![plan_id, carrier, recipient_id])?;
    Ok(seated(tx, rows.iter().map(header).collect::<Result<_, _>>()?, recipient_id)?.pop())
}

/// Every membership of one recipient, the newest plan first.
pub(in crate::store) fn of_recipient(tx: &mut Tx<'_>, recipient_id: i64) -> Result<Vec<Member>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM batches b WHERE b.first_id <= $1 AND b.last_id >= $1 ORDER BY b.planned_at DESC, b.plan_id"
    );
    let rows = tx.query(SQL, params![recipient_id])?;
    seated(tx, rows.iter().map(header).collect::<Result<_, _>>()?, recipient_id)
}

/// Headers read at once while somebody's memberships are looked for.
const HEADERS_MAX: i64 = 200;

/// Memberships of one recipient that were planned before, newest first, `limit` at most.
pub(in crate::store) fn of_recipient_before(
    tx: &mut Tx<'_>,
    recipient_id: i64,
    before: (UnixMillis, i64),
    limit: usize,
) -> Result<Vec<Member>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM batches b WHERE b.planned_at <= $2 AND b.first_id <= $1 AND b.last_id >= $1
           AND (b.planned_at < $2 OR b.plan_id < $3 OR (b.plan_id = $3 AND b.number > $4))
         ORDER BY b.planned_at DESC, b.plan_id DESC, b.number LIMIT $5"
    );
    // Nothing of the plan named is wanted, however many batches it has.
    let (mut at, mut plan_id, mut number) = (before.0, before.1, i64::MAX);
    let mut found = Vec::new();
    loop {
        let rows = tx.query(SQL, params![recipient_id, at, plan_id, number, HEADERS_MAX])?;
        let headers: Vec<Header> = rows.iter().map(header).collect::<Result<_, _>>()?;
        let is_last = (headers.len() as i64) < HEADERS_MAX;
        if let Some(last) = headers.last() {
            (at, plan_id, number) = (last.planned_at, last.key.plan_id, last.key.number);
        }
        // Few enough at once: who asks for a page mostly gets it from the first of them.
        for few in headers.chunks(limit.max(1)) {
            found.extend(seated(tx, few.to_vec(), recipient_id)?);
            if found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// The memberships of one recipient in batches whose edition holds a story.
pub(in crate::store) fn holding(tx: &mut Tx<'_>, story_id: &str, recipient_id: i64) -> Result<Vec<Member>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM edition_items i CROSS JOIN batches b
         WHERE i.story_id = $1 AND b.edition_id = i.edition_id AND b.first_id <= $2 AND b.last_id >= $2"
    );
    let rows = tx.query(SQL, params![story_id, recipient_id])?;
    seated(tx, rows.iter().map(header).collect::<Result<_, _>>()?, recipient_id)
}

/// Of these batches the ones that this recipient is a member of.
fn seated(tx: &mut Tx<'_>, batches: Vec<Header>, recipient_id: i64) -> Result<Vec<Member>, StoreError> {
    let mut seated = Vec::new();
    for batch in batches {
        let ids = members(tx, batch.key)?;
        let Ok(index) = ids.binary_search(&recipient_id) else { continue };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if !batch.own.contains(&index) {
            seated.push(Member { batch, recipient_id, index });
        }
    }
    Ok(seated)
}

/// Batches in which a member may be in `state`, the newest plan first.
pub(in crate::store) fn in_state(tx: &mut Tx<'_>, state: Option<State>, limit: i64) -> Result<Vec<Header>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM batches b WHERE b.size > b.own_count
           AND (CAST($1 AS TEXT) IS NULL OR b.state = $1 OR ($1 = 'sending' AND b.state = 'claimed')
                OR ($1 = 'sent' AND b.state <> 'cancelled' AND b.open < b.size - b.own_count))
         ORDER BY b.planned_at DESC, b.plan_id, b.number LIMIT $2"
    );
    tx.query(SQL, params![state.map(State::word), limit])?.iter().map(header).collect()
}

/// All members of a batch that have no row of their own.
pub(in crate::store) fn everybody(tx: &mut Tx<'_>, batch: &Header) -> Result<Vec<Member>, StoreError> {
    let ids = members(tx, batch.key)?;
    let member = |(index, recipient_id): (u32, i64)| Member { batch: batch.clone(), recipient_id, index };
    Ok((0u32..).zip(ids).filter(|(index, _)| !batch.own.contains(index)).map(member).collect())
}

/// How many deliveries the batches hold, by state.
pub(in crate::store) fn count(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    const SQL: &str =
        "SELECT state, CAST(SUM(open) AS BIGINT), CAST(SUM(size - own_count) AS BIGINT) FROM batches GROUP BY state";
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for row in tx.query(SQL, &[])? {
        let (state, open, all) = (row.text(0)?, row.int(1)?, row.int(2)?);
        if state == "cancelled" {
            *counts.entry(state).or_default() += all;
        } else {
            *counts.entry(State::Sent.word().to_owned()).or_default() += all - open;
            *counts.entry(if state == "done" { "due".to_owned() } else { state }).or_default() += open;
        }
    }
    let sending = on_their_way(tx)?;
    *counts.entry(State::Sending.word().to_owned()).or_default() += sending;
    *counts.entry(State::Claimed.word().to_owned()).or_default() -= sending;
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
}

/// How many members of claimed batches are about to be sent.
fn on_their_way(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    const CLAIMED: &str = concat!("SELECT ", header_columns!(), " FROM batches b WHERE b.state = 'claimed'");
    let batches: Vec<Header> = tx.query(CLAIMED, &[])?.iter().map(header).collect::<Result<_, _>>()?;
    let mut sending = 0;
    for batch in batches.iter().filter(|batch| batch.entries > 0) {
        let log = Log::read(tx, batch.key)?;
        sending += log.on_their_way().filter(|index| !batch.own.contains(index)).count() as i64;
    }
    Ok(sending)
}

/// Which of these stories each of `ids` (ascending) was given as a member of a batch of another plan.
pub(in crate::store) fn given(
    tx: &mut Tx<'_>,
    plan_id: i64,
    ids: &[i64],
    stories: &[&str],
) -> Result<Vec<(i64, String)>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        ", i.story_id FROM edition_items i CROSS JOIN editions e CROSS JOIN batches b
         WHERE i.story_id IN {list $1: text} AND e.id = i.edition_id AND e.plan_id <> $4 AND e.kind <> 'test' AND b.edition_id = e.id
           AND b.first_id <= $3 AND b.last_id >= $2 AND b.state <> 'cancelled'"
    );
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
    let rows = tx.query(SQL, &[json(stories)?, (*first).into(), (*last).into(), plan_id.into()])?;
    let mut holding: BTreeMap<BatchKey, (Header, Vec<String>)> = BTreeMap::new();
    for row in &rows {
        let batch = header(row)?;
        holding.entry(batch.key).or_insert((batch, Vec::new())).1.push(row.text(HEADER_COLUMNS)?);
    }
    let everybody = members_of_all(tx, &holding.keys().copied().collect::<Vec<_>>())?;
    let mut given = Vec::new();
    for (key, (batch, stories)) in holding {
        for (index, id) in (0u32..).zip(everybody.get(&key).map_or(&[][..], Vec::as_slice)) {
            if !batch.own.contains(&index) && ids.binary_search(id).is_ok() {
                given.extend(stories.iter().map(|story| (*id, story.clone())));
            }
        }
    }
    Ok(given)
}

/// Those of `ids` (ascending) who get an edition as members of a batch, and whether it went out to them.
pub(in crate::store) fn members_of_edition(
    tx: &mut Tx<'_>,
    edition_id: i64,
    ids: &[i64],
) -> Result<Vec<(i64, bool)>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        header_columns!(),
        " FROM batches b WHERE b.edition_id = $1 AND b.first_id <= $3 AND b.last_id >= $2 AND b.state <> 'cancelled'"
    );
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(Vec::new()) };
    let rows = tx.query(SQL, params![edition_id, *first, *last])?;
    let mut members = Vec::new();
    for batch in rows.iter().map(header) {
        let batch = batch?;
        let log = if batch.state == "done" { Log::default() } else { Log::read(tx, batch.key)? };
        for member in everybody(tx, &batch)? {
            if ids.binary_search(&member.recipient_id).is_ok() {
                members.push((member.recipient_id, batch.state == "done" || log.began.contains_key(&member.index)));
            }
        }
    }
    Ok(members)
}

/// Gives those of `ids` (ascending) who wait in batches of these editions rows of their own.
pub(in crate::store) fn part_waiting(
    tx: &mut Tx<'_>,
    editions: &[i64],
    ids: &[i64],
    now: UnixMillis,
) -> Result<(), StoreError> {
    const SQL: &str = "SELECT b.plan_id, b.number FROM {list $1: int} e CROSS JOIN batches b
         WHERE b.edition_id = e.value AND b.first_id <= $3 AND b.last_id >= $2 AND b.state = 'due' {lock b}";
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(()) };
    let rows = tx.query(SQL, &[json(editions)?, (*first).into(), (*last).into()])?;
    for row in &rows {
        part(tx, BatchKey { plan_id: row.int(0)?, number: row.int(1)? }, ids, now)?;
    }
    Ok(())
}

/// Gives one recipient rows of their own for what is open in batches of a schedule.
pub(in crate::store) fn part_open(
    tx: &mut Tx<'_>,
    schedule: &str,
    recipient_id: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const SQL: &str = "SELECT b.plan_id, b.number FROM editions e CROSS JOIN batches b
         WHERE e.schedule = $1 AND e.closed_at IS NULL AND b.edition_id = e.id AND b.first_id <= $2 AND b.last_id >= $2
           AND b.state IN ('due', 'claimed') {lock b}";
    for row in &tx.query(SQL, params![schedule, recipient_id])? {
        part(tx, BatchKey { plan_id: row.int(0)?, number: row.int(1)? }, &[recipient_id], now)?;
    }
    Ok(())
}

/// Gives one recipient rows of their own for what a process has taken and not ended.
pub(in crate::store) fn part_claimed(tx: &mut Tx<'_>, recipient_id: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "SELECT plan_id, number FROM batches b WHERE first_id <= $1 AND last_id >= $1
           AND state = 'claimed' ORDER BY plan_id, number {lock b}";
    for row in &tx.query(SQL, params![recipient_id])? {
        part(tx, BatchKey { plan_id: row.int(0)?, number: row.int(1)? }, &[recipient_id], now)?;
    }
    Ok(())
}

/// Gives a delivery a row of its own, if it waits in a batch that nobody has claimed.
pub(in crate::store) fn part_member(tx: &mut Tx<'_>, key: &DeliveryKey, now: UnixMillis) -> Result<(), StoreError> {
    match find(tx, key.plan_id, key.recipient_id, &key.carrier)? {
        Some(member) if member.batch.state == State::Due.word() => part(tx, member.batch.key, &[key.recipient_id], now),
        _ => Ok(()),
    }
}

fn part(tx: &mut Tx<'_>, key: BatchKey, ids: &[i64], now: UnixMillis) -> Result<(), StoreError> {
    let wanted: BTreeSet<i64> = ids.iter().copied().collect();
    let seats = (0u32..).zip(members(tx, key)?).filter(|(_, id)| wanted.contains(id)).map(|(index, _)| index);
    let seats: Vec<u32> = seats.collect();
    if extract::from(tx, key, &seats)? == 0 {
        super::progress::close(tx, key, now)?;
    }
    Ok(())
}
