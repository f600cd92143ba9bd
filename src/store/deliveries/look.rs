//! Deliveries for those who look, wherever they are kept: in a batch, or in a row of their own.

use super::key;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Reason, State};
use crate::store::batches::look::{self, Member};
use crate::store::batches::progress::Log;
use crate::store::value::params;
use crate::store::{Row, StoreError, Tx};
use serde::Serialize;
use std::collections::BTreeMap;

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
pub(super) use listed_sql;

pub(super) fn listed(row: &Row) -> Result<Listed, StoreError> {
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
    let rows = tx.query(SQL, params![state.map(State::word), recipient, limit])?;
    let mut all: Vec<Listed> = rows.iter().map(listed).collect::<Result<_, _>>()?;
    let members = match recipient {
        Some(id) => look::of_recipient(tx, id)?,
        None => first_members(tx, state, limit)?,
    };
    for member in members {
        let member = listed_member(tx, &member)?;
        if state.is_none_or(|state| state.word() == member.state) {
            all.push(member);
        }
    }
    all.sort_by_key(|one| (std::cmp::Reverse(one.planned_at), one.id.clone()));
    all.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(all)
}

/// How many deliveries of a destination wait, and how many are uncertain and not settled.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn open_of(tx: &mut Tx<'_>, destination: &str) -> Result<(i64, i64), StoreError> {
    const SQL: &str = "SELECT (SELECT COUNT(*) FROM deliveries WHERE state = 'due' AND destination = $1),
             (SELECT COUNT(*) FROM deliveries WHERE state = 'uncertain' AND destination = $1 AND finished_at IS NULL)";
    tx.query_opt(SQL, params![destination])?.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
}

/// Enough members of the newest batches to fill a page.
fn first_members(tx: &mut Tx<'_>, state: Option<State>, limit: i64) -> Result<Vec<Member>, StoreError> {
    let mut members = Vec::new();
    for batch in look::in_state(tx, state, limit)? {
        let log = Log::read(tx, batch.key)?;
        let is_wanted = |member: &Member| state.is_none_or(|state| member.standing(&log).0 == state);
        members.extend(look::everybody(tx, &batch)?.into_iter().filter(is_wanted));
        if members.len() as i64 >= limit {
            break;
        }
    }
    Ok(members)
}

pub(super) fn listed_member(tx: &mut Tx<'_>, member: &Member) -> Result<Listed, StoreError> {
    let batch = &member.batch;
    let log = if batch.entries > 0 { Log::read(tx, batch.key)? } else { Log::default() };
    let (state, attempts, finished_at) = member.standing(&log);
    let schedule = tx.query_opt("SELECT schedule FROM editions WHERE id = $1", params![batch.edition_id])?;
    let schedule = schedule.ok_or_else(|| StoreError::Shape("an edition is missing".to_owned()))?.text(0)?;
    let reason = match state {
        State::Sent => Some(Reason::Accepted.word().to_owned()),
        State::Cancelled => batch.reason.clone(),
        _ => None,
    };
    Ok(Listed {
        id: member_key(member).to_string(),
        state: state.word().to_owned(),
        reason,
        schedule,
        recipient_id: member.recipient_id,
        edition_id: batch.edition_id,
        attempts,
        due_at: batch.due_at,
        planned_at: batch.planned_at,
        finished_at,
        uncertain_at: None,
    })
}

fn member_key(member: &Member) -> DeliveryKey {
    let batch = &member.batch;
    DeliveryKey { plan_id: batch.key.plan_id, recipient_id: member.recipient_id, carrier: batch.carrier.clone() }
}

/// One delivery.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<Option<Listed>, StoreError> {
    const SQL: &str = listed_sql!("WHERE d.plan_id = $1 AND d.recipient_id = $2 AND d.carrier = $3");
    if let Some(row) = tx.query_opt(SQL, params![key.plan_id, key.recipient_id, &key.carrier])? {
        return listed(&row).map(Some);
    }
    let member = look::find(tx, key.plan_id, key.recipient_id, &key.carrier)?;
    member.map(|member| listed_member(tx, &member)).transpose()
}

/// What was planned for a recipient with a story in it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn holding(tx: &mut Tx<'_>, story_id: &str, recipient_id: i64) -> Result<Vec<Listed>, StoreError> {
    const SQL: &str = listed_sql!(
        "WHERE d.recipient_id = $2 AND d.plan_id IN (SELECT x.plan_id FROM editions x JOIN edition_items i
             ON i.edition_id = x.id WHERE i.story_id = $1 AND x.kind <> 'test')
         AND EXISTS (SELECT 1 FROM edition_items i WHERE i.edition_id = d.edition_id AND i.story_id = $1)
         ORDER BY d.planned_at"
    );
    let rows = tx.query(SQL, params![story_id, recipient_id])?;
    let mut all: Vec<Listed> = rows.iter().map(listed).collect::<Result<_, _>>()?;
    for member in look::holding(tx, story_id, recipient_id)? {
        all.push(listed_member(tx, &member)?);
    }
    all.sort_by_key(|one| one.planned_at);
    Ok(all)
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
    let rows = tx.query(SQL, params![key.plan_id, key.recipient_id, &key.carrier])?;
    if !rows.is_empty() {
        return rows.iter().map(row).collect();
    }
    let Some(member) = look::find(tx, key.plan_id, key.recipient_id, &key.carrier)? else { return Ok(Vec::new()) };
    let log = Log::read(tx, member.batch.key)?;
    Ok(attempt_of_member(&member, &log).into_iter().collect())
}

fn attempt_of_member(member: &Member, log: &Log) -> Option<Attempt> {
    let (sending_at, number) = *log.began.get(&member.index)?;
    let taken = log.taken.get(&member.index);
    Some(Attempt {
        number,
        sending_at: Some(sending_at),
        ended_at: taken.map(|(at, ..)| *at),
        outcome: taken.map(|_| State::Sent.word().to_owned()),
        reason: taken.map(|_| Reason::Accepted.word().to_owned()),
        reply: taken.map(|(.., reply)| reply.clone()),
    })
}

/// How many deliveries there are, by state.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = tx.query("SELECT state, COUNT(*) FROM deliveries GROUP BY state", &[])?;
    let mut counts: BTreeMap<String, i64> = look::count(tx)?.into_iter().collect();
    for row in rows {
        *counts.entry(row.text(0)?).or_default() += row.int(1)?;
    }
    Ok(counts.into_iter().collect())
}
