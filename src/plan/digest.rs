//! When digests fire: schedules in civil time, catch-up after downtime, and `max_late` (design rules 8 and 9).

use crate::domain::audience::{IMMEDIATE, Slot};
use crate::domain::clock::UnixMillis;
use crate::domain::freeze::{self, Freeze, Standing};
use crate::domain::ids;
use crate::domain::quiet::QuietHours;
use crate::domain::schedule::{Schedule, ScheduleError};
use crate::store::occurrences::{self, Occurrence, SlotState};
use crate::store::{StoreError, Tx, changes, releases};
use std::collections::BTreeMap;
use std::time::Duration;

/// A digest's schedule as configured.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Its name, which subscriptions choose it by.
    pub name: String,
    /// When it fires.
    pub schedule: Schedule,
    /// A firing later than this is skipped; its posts come with the next.
    pub max_late: Duration,
    /// Whether readers may choose their own hour and zone.
    pub own_hour: bool,
    /// Whether it is sent for profit, so that consent must be told of (docs/operating.md).
    pub commercial: bool,
    /// Hours in which none of it goes out, by the reader's own zone if they chose one, else by the schedule's.
    pub quiet_hours: Option<QuietHours>,
    /// Whether readers who are owed nothing are told so.
    pub heartbeat: bool,
}

impl Digest {
    /// The schedule of a slot of this digest: its own, or at the reader's hour and zone.
    ///
    /// # Errors
    /// [`ScheduleError`] when the line has no fixed hour that could be replaced, or the zone is unknown.
    pub fn schedule_of(&self, slot: &Slot) -> Result<Schedule, ScheduleError> {
        match slot.own_time() {
            Some((hour, minute, zone)) => self.schedule.with_own_time(hour, minute, zone),
            None => Ok(self.schedule.clone()),
        }
    }
}

/// Why somebody can't have mail by the schedule that they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSlot {
    /// There is no such schedule.
    #[error("there is no schedule of this name")]
    Unknown,
    /// It comes at its own hour only.
    #[error("this schedule offers no hour of one's own")]
    NoOwnHour,
    /// Hour or zone can't be read.
    #[error("write the hour as 07:30 and an IANA time zone such as Asia/Seoul")]
    BadHour,
}

/// The slot of a schedule, at a reader's own hour (`07:30`) and zone if they name an hour.
///
/// # Errors
/// [`BadSlot`].
pub fn slot(digests: &BTreeMap<String, Digest>, name: &str, own: Option<(&str, &str)>) -> Result<Slot, BadSlot> {
    let digest = match (name, digests.get(name), own) {
        (IMMEDIATE, _, None) => return Ok(Slot::of(IMMEDIATE)),
        (IMMEDIATE, _, Some(_)) => return Err(BadSlot::NoOwnHour),
        (_, None, _) => return Err(BadSlot::Unknown),
        (_, Some(_), None) => return Ok(Slot::of(name)),
        (_, Some(digest), Some(_)) if !digest.own_hour => return Err(BadSlot::NoOwnHour),
        (_, Some(digest), Some(_)) => digest,
    };
    let (hour, zone) = own.ok_or(BadSlot::BadHour)?;
    let read = |text: &str| text.parse::<i8>().map_err(|_| BadSlot::BadHour);
    let (hour, minute) = hour.split_once(':').ok_or(BadSlot::BadHour)?;
    let (hour, minute) = (read(hour)?, read(minute)?);
    digest.schedule.with_own_time(hour, minute, zone).map_err(|_| BadSlot::BadHour)?;
    Ok(Slot::own(name, hour, minute, zone))
}

/// What a look at a slot came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firing {
    /// Nothing was due.
    NotDue,
    /// An occurrence was stored.
    Fired,
    /// It was due, but too late or in a freeze, and was skipped.
    TooLate,
}

/// The due instant to fire now, if there is one: after downtime the newest missed one stands for all.
#[must_use]
pub fn due(schedule: &Schedule, state: &SlotState, now: UnixMillis) -> Option<UnixMillis> {
    schedule.newest_missed(state.considered_at.0, now.0).map(UnixMillis)
}

/// Fires a digest's slot when it is due. One transaction; of several replicas the first to lock the slot fires it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn fire(
    tx: &mut Tx<'_>,
    digest: &Digest,
    slot: &Slot,
    schedule: &Schedule,
    freezes: &[Freeze],
    now: UnixMillis,
) -> Result<Firing, StoreError> {
    let Some(mut state) = occurrences::lock_slot(tx, slot)? else { return Ok(Firing::NotDue) };
    let line = format!("{} {}", schedule.line(), schedule.zone());
    if state.line != line {
        // A new or changed schedule counts from now on, not from what it would have missed.
        let known = !state.line.is_empty();
        state.line = line;
        if known {
            state.considered_at = now;
        }
        occurrences::save_slot(tx, &state)?;
    }
    let Some(due_at) = due(schedule, &state, now) else { return Ok(Firing::NotDue) };
    // Another replica may be releasing this moment what is due by then: the issue waits for it, else it would come a
    // whole period later.
    if releases::is_waiting(tx, due_at)? {
        return Ok(Firing::NotDue);
    }
    let (late_from, frozen) = match freeze::standing(freezes, &digest.name, due_at, schedule.zone()) {
        Standing::Free => (due_at, None),
        Standing::Skipped(freeze) => (due_at, Some(format!("frozen: {}", freeze.name))),
        Standing::PutOff(_, at) if at > now => return Ok(Firing::NotDue),
        Standing::PutOff(_, at) => (at, None),
    };
    let is_late = late_from.until(now) > digest.max_late;
    let skipped = frozen.as_deref().or(is_late.then_some("later than max_late"));
    let bound = changes::head(tx)?;
    let id = ids::occurrence_id(slot.as_str(), due_at.0, "");
    occurrences::insert(tx, &occurrence(id, slot, due_at, 0, bound, now), skipped)?;
    state.considered_at = due_at;
    state.bound = bound;
    occurrences::save_slot(tx, &state)?;
    Ok(if skipped.is_some() { Firing::TooLate } else { Firing::Fired })
}

/// The id of an operator's firing.
fn id_at_once(slot: &Slot, now: UnixMillis) -> i64 {
    ids::occurrence_id(slot.as_str(), now.0, "operator")
}

/// Whether an operator fired it, out of turn.
#[must_use]
pub fn is_out_of_turn(occurrence: &Occurrence) -> bool {
    occurrence.id == id_at_once(&occurrence.slot, occurrence.fired_at)
}

/// Fires a slot now, without moving its schedule. Returns the plan; none if nobody ever chose the slot.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn fire_at_once(tx: &mut Tx<'_>, slot: &Slot, now: UnixMillis) -> Result<Option<i64>, StoreError> {
    let Some(mut state) = occurrences::lock_slot(tx, slot)? else { return Ok(None) };
    let (bound, id) = (changes::head(tx)?, id_at_once(slot, now));
    occurrences::insert(tx, &occurrence(id, slot, now, 0, bound, now), None)?;
    state.bound = bound;
    occurrences::save_slot(tx, &state)?;
    Ok(Some(id))
}

/// A firing for everybody in a slot, of which nothing is planned yet.
pub(super) fn occurrence(
    id: i64,
    slot: &Slot,
    due_at: UnixMillis,
    floor: i64,
    bound: i64,
    now: UnixMillis,
) -> Occurrence {
    Occurrence {
        id,
        slot: slot.clone(),
        due_at,
        recipient_id: None,
        floor,
        bound,
        fired_at: now,
        done_to: 0,
        planned: 0,
    }
}

/// Fires the immediate slot when something was released since it fired last.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn fire_immediate(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Firing, StoreError> {
    let slot = Slot::of(IMMEDIATE);
    let Some(mut state) = occurrences::lock_slot(tx, &slot)? else { return Ok(Firing::NotDue) };
    let bound = changes::head(tx)?;
    if bound <= state.bound || !occurrences::released_between(tx, state.bound, bound)? {
        return Ok(Firing::NotDue);
    }
    let id = ids::occurrence_id(slot.as_str(), bound, "head");
    occurrences::insert(tx, &occurrence(id, &slot, now, state.bound.max(1), bound, now), None)?;
    state.considered_at = now;
    state.bound = bound;
    occurrences::save_slot(tx, &state)?;
    Ok(Firing::Fired)
}
