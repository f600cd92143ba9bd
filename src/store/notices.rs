//! Notices about consent: those that are owed and not planned yet, who is due to be reminded, and how far the day's work came.

use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;
use std::collections::BTreeMap;

/// A notice that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// To whom.
    pub subscriber_id: i64,
    /// What it tells.
    pub kind: EditionKind,
    /// Of which schedule.
    pub schedule: String,
    /// When that was.
    pub at: UnixMillis,
}

/// Notes a notice that whoever plans is to plan.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn owe(tx: &mut Tx<'_>, owed: &Owed) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO notices (subscriber_id, kind, schedule, at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (subscriber_id, kind, schedule) DO UPDATE SET at = excluded.at";
    tx.execute(SQL, params![owed.subscriber_id, owed.kind.word(), &owed.schedule, owed.at]).map(drop)
}

/// Takes up to `limit` notices that are owed.
pub fn take(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Owed>, StoreError> {
    const SQL: &str = "SELECT subscriber_id, kind, schedule, at FROM notices
         ORDER BY subscriber_id, kind, schedule LIMIT $1 {skip locked}";
    let owed = |row: &Row| {
        let (kind, schedule) = (row.parse(1, EditionKind::from_word)?, row.text(2)?);
        Ok(Owed { subscriber_id: row.int(0)?, kind, schedule, at: row.at(3)? })
    };
    let taken: Vec<Owed> = tx.query(SQL, params![limit])?.iter().map(owed).collect::<Result<_, StoreError>>()?;
    for one in &taken {
        const TAKE: &str = "DELETE FROM notices WHERE subscriber_id = $1 AND kind = $2 AND schedule = $3";
        tx.change("taking a notice", 1, TAKE, params![one.subscriber_id, one.kind.word(), &one.schedule])?;
    }
    Ok(taken)
}

/// Subscribers of these schedules, from after the id `after`, who were neither asked nor told of their consent since `since`, with
/// the schedules and since when they have them; up to `limit`.
pub fn unreminded(
    tx: &mut Tx<'_>,
    schedules: &[&str],
    since: UnixMillis,
    after: i64,
    limit: i64,
) -> Result<BTreeMap<i64, Vec<(String, UnixMillis)>>, StoreError> {
    const WHO: &str =
        "SELECT DISTINCT s.subscriber_id FROM subscriptions s JOIN subscribers u ON u.id = s.subscriber_id
         WHERE s.subscriber_id > $4 AND s.schedule IN {list $1: text} AND s.created_at < $2 AND u.suppressed_at IS NULL
           AND u.unsubscribed_at IS NULL AND NOT EXISTS (SELECT 1 FROM consents c
             WHERE c.subscriber_id = s.subscriber_id AND c.act IN ('granted', 'imported', 'told') AND c.at >= $2)
         ORDER BY s.subscriber_id LIMIT $3";
    const WHAT: &str = "SELECT subscriber_id, schedule, MIN(created_at) FROM subscriptions
         WHERE subscriber_id IN {list $1: int} AND schedule IN {list $2: text} GROUP BY subscriber_id, schedule ORDER BY 1, 2";
    let who = tx.query(WHO, &[json(schedules)?, since.into(), limit.into(), after.into()])?;
    let ids: Vec<i64> = who.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    let mut found: BTreeMap<i64, Vec<(String, UnixMillis)>> = BTreeMap::new();
    for row in tx.query(WHAT, &[json(&ids)?, json(schedules)?])? {
        found.entry(row.int(0)?).or_default().push((row.text(1)?, row.at(2)?));
    }
    Ok(found)
}

/// How far the day's work came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last day, counted from the Unix epoch, that is done.
    pub day_done: i64,
    /// Subscribers up to this id were looked at today.
    pub reminded_to: i64,
}

const DAY_DONE: &str = "day_done";
const REMINDED_TO: &str = "reminded_to";

/// How far the day's work came. Locked, so that of several replicas one goes on with it.
pub fn progress(tx: &mut Tx<'_>) -> Result<Progress, StoreError> {
    let mut fact = |name: &str| {
        let row = tx.query_opt("SELECT value FROM facts WHERE name = $1 {for update}", params![name])?;
        row.map(|row| row.parse(0, |text| text.parse().ok())).transpose()
    };
    Ok(Progress { day_done: fact(DAY_DONE)?.unwrap_or(0), reminded_to: fact(REMINDED_TO)?.unwrap_or(i64::MIN) })
}

/// Notes how far it came.
pub fn set_progress(tx: &mut Tx<'_>, progress: Progress) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    for (name, value) in [(DAY_DONE, progress.day_done), (REMINDED_TO, progress.reminded_to)] {
        tx.execute(SQL, params![name, value.to_string()])?;
    }
    Ok(())
}
