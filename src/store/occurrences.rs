//! Slots and their firings.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::audience::{IMMEDIATE, Slot};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;

/// A slot and up to when its firings have been considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotState {
    /// The slot.
    pub slot: Slot,
    /// The cron line and zone by which it was considered last; empty for a new one.
    pub line: String,
    /// Firings up to here have been considered.
    pub considered_at: UnixMillis,
    /// The bound of the last occurrence.
    pub bound: i64,
}

/// One firing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Its id, which is the plan of its deliveries.
    pub id: i64,
    /// The slot that fired.
    pub slot: Slot,
    /// The instant it was due.
    pub due_at: UnixMillis,
    /// One recipient only: what they owe after a change.
    pub recipient_id: Option<i64>,
    /// Recipients with nothing released between floor and bound under their topics aren't looked at.
    pub floor: i64,
    /// The head when it fired; all its chunks use it.
    pub bound: i64,
    /// When it fired.
    pub fired_at: UnixMillis,
    /// Recipients up to this id are planned.
    pub done_to: i64,
    /// Deliveries made so far.
    pub planned: i64,
}

fn slot_state(row: &Row) -> Result<SlotState, StoreError> {
    Ok(SlotState { slot: row.text(0)?.into(), line: row.text(1)?, considered_at: row.at(2)?, bound: row.int(3)? })
}

/// All slots that somebody chose.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn slots(tx: &mut Tx<'_>) -> Result<Vec<SlotState>, StoreError> {
    tx.query("SELECT slot, line, considered_at, bound FROM slots ORDER BY slot", &[])?.iter().map(slot_state).collect()
}

/// One slot, locked: of several replicas one fires it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock_slot(tx: &mut Tx<'_>, slot: &Slot) -> Result<Option<SlotState>, StoreError> {
    const SQL: &str = "SELECT slot, line, considered_at, bound FROM slots WHERE slot = $1 {for update}";
    tx.query_opt(SQL, params![slot.as_str()])?.as_ref().map(slot_state).transpose()
}

/// Writes back a slot that was locked.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn save_slot(tx: &mut Tx<'_>, state: &SlotState) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE slots SET line = $2, considered_at = $3, bound = $4 WHERE slot = $1";
    tx.change("moving a slot", 1, SQL, params![state.slot.as_str(), &state.line, state.considered_at, state.bound])
}

/// Whether anything was released with a number in (`floor`, `bound`].
///
/// # Errors
/// [`StoreError`] from the database.
pub fn released_between(tx: &mut Tx<'_>, floor: i64, bound: i64) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM release_topics WHERE seq > $1 AND seq <= $2 LIMIT 1";
    Ok(tx.query_opt(SQL, params![floor, bound])?.is_some())
}

/// Stores a firing, with its frozen bound; `skipped` gives the reason when it plans nothing.
///
/// # Errors
/// [`StoreError`] from the database, also when the slot fired for this instant already.
pub fn insert(tx: &mut Tx<'_>, occurrence: &Occurrence, skipped: Option<&str>) -> Result<(), StoreError> {
    let planned_at = skipped.map(|_| occurrence.fired_at);
    tx.change(
        "storing an occurrence",
        1,
        "INSERT INTO occurrences (id, slot, schedule, due_at, recipient_id, floor, bound, fired_at, done_to, planned,
             planned_at, skipped)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, $9, $10)",
        params![
            occurrence.id,
            occurrence.slot.as_str(),
            occurrence.slot.schedule(),
            occurrence.due_at,
            occurrence.recipient_id,
            occurrence.floor,
            occurrence.bound,
            occurrence.fired_at,
            planned_at,
            skipped,
        ],
    )
}

/// Stores a firing whose deliveries are planned one by one by those who call for them, unless it is there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ensure_planned(tx: &mut Tx<'_>, occurrence: &Occurrence, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO occurrences (id, slot, schedule, due_at, floor, bound, fired_at, done_to, planned, planned_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $7) ON CONFLICT (id) DO NOTHING";
    let Occurrence { id, slot, due_at, floor, bound, .. } = occurrence;
    tx.execute(SQL, params![*id, slot.as_str(), slot.schedule(), *due_at, *floor, *bound, now]).map(drop)
}

/// Whether any of these firings isn't planned to the end.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn any_open(tx: &mut Tx<'_>, ids: &[i64]) -> Result<bool, StoreError> {
    const SQL: &str =
        "SELECT 1 FROM {list $1: int} p CROSS JOIN occurrences o WHERE o.id = p.value AND o.planned_at IS NULL LIMIT 1";
    Ok(tx.query_opt(SQL, &[super::value::json(ids)?])?.is_some())
}

/// Whether there is a firing of this id.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_there(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT 1 FROM occurrences WHERE id = $1", params![id])?.is_some())
}

/// Lets one reader have at once what their immediate subscriptions owe after a change of language or schedule.
/// Nothing happens when they have no such subscription.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn fire_for(tx: &mut Tx<'_>, recipient_id: i64, now: UnixMillis) -> Result<(), StoreError> {
    let slot = Slot::of(IMMEDIATE);
    const WANTED: &str = "SELECT 1 FROM subscriptions WHERE subscriber_id = $1 AND slot = $2 LIMIT 1";
    if tx.query_opt(WANTED, params![recipient_id, slot.as_str()])?.is_none() {
        return Ok(());
    }
    let bound = super::changes::head(tx)?;
    let id = ids::occurrence_id(slot.as_str(), now.0, &format!("recipient {recipient_id} at {bound}"));
    if tx.query_opt("SELECT 1 FROM occurrences WHERE id = $1", params![id])?.is_some() {
        return Ok(());
    }
    let recipient_id = Some(recipient_id);
    let one =
        Occurrence { id, slot, due_at: now, recipient_id, floor: 0, bound, fired_at: now, done_to: 0, planned: 0 };
    insert(tx, &one, None)
}

/// The oldest firing that isn't planned to the end; immediate ones first. Locked, so that a replica that comes to
/// the same one goes on to the next. The firings of one slot are planned one after the other: a subscription that was
/// planned with one follows its slot's search (`slots.searched`) from there on.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock_open(tx: &mut Tx<'_>) -> Result<Option<Occurrence>, StoreError> {
    const SQL: &str = "SELECT id, slot, due_at, recipient_id, floor, bound, fired_at, done_to, planned
         FROM occurrences o WHERE planned_at IS NULL
           AND (recipient_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM occurrences x WHERE x.planned_at IS NULL
                AND x.recipient_id IS NULL AND x.slot = o.slot AND (x.bound, x.fired_at, x.id) < (o.bound, o.fired_at, o.id)))
         ORDER BY CASE WHEN schedule = 'immediate' THEN 0 ELSE 1 END, fired_at, id LIMIT 1 {skip locked}";
    let row = |row: Row| {
        Ok(Occurrence {
            id: row.int(0)?,
            slot: row.text(1)?.into(),
            due_at: row.at(2)?,
            recipient_id: row.int_opt(3)?,
            floor: row.int(4)?,
            bound: row.int(5)?,
            fired_at: row.at(6)?,
            done_to: row.int(7)?,
            planned: row.int(8)?,
        })
    };
    tx.query_opt(SQL, &[])?.map(row).transpose()
}

/// Records how far an occurrence is planned; `finished_at` when it is to the end.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn advance(
    tx: &mut Tx<'_>,
    id: i64,
    done_to: i64,
    planned: i64,
    finished_at: Option<UnixMillis>,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE occurrences SET done_to = $2, planned = planned + $3, planned_at = $4
         WHERE id = $1 AND planned_at IS NULL";
    tx.change("advancing an occurrence", 1, SQL, params![id, done_to, planned, finished_at])?;
    const SEARCHED: &str = "UPDATE slots SET searched = o.bound FROM occurrences o
         WHERE o.id = $1 AND o.recipient_id IS NULL AND slots.slot = o.slot AND slots.searched < o.bound";
    if finished_at.is_some() {
        tx.execute(SEARCHED, params![id])?;
    }
    Ok(())
}
