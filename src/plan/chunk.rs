//! One chunk of a plan: what its recipients are owed, as editions and batches of deliveries, in one transaction (design
//! rule 10). Most recipients are alike: their search follows the slot's and nothing of the window was given to them before.
//! What those are owed depends on nothing but their language and topics, so it is worked out once for all who share
//! these (`groups`). The others are looked at one by one (`one_by_one`).

use super::groups::Groups;
use super::write::write;
use super::{Rules, correction, digest, revised};
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::domain::edition::CORRECTION;
use crate::store::occurrences::{self, Occurrence};
use crate::store::owed::{self, Match};
use crate::store::{Dialect, StoreError, Tx, deliveries, window};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;

/// How far planning came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No occurrence is open.
    Idle,
    /// A chunk was planned, with this many deliveries.
    Planned(usize),
}

/// The carrier that subscribers are written to by.
pub const MAIL: &str = "email";

/// Plans the next chunk of the oldest open occurrence.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn plan_next(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<Progress, StoreError> {
    let Some(occurrence) = occurrences::lock_open(tx)? else { return Ok(Progress::Idle) };
    let (planned, covered) = match occurrence.recipient_id {
        Some(id) => (plan_alone(tx, rules, &occurrence, id, now)?, None),
        None if occurrence.slot.schedule() == CORRECTION => correction::plan_chunk(tx, rules, &occurrence, now)?,
        None => plan_window(tx, rules, &occurrence, now)?,
    };
    let (done_to, finished_at) = match covered {
        Some(id) => (id, None),
        None => (occurrence.done_to, Some(now)),
    };
    occurrences::advance(tx, occurrence.id, done_to, planned as i64, finished_at)?;
    Ok(Progress::Planned(planned))
}

/// Plans an occurrence for its one recipient, which nobody else has begun. Returns the edition, if anything is owed.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn plan_one(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    recipient_id: i64,
    now: UnixMillis,
) -> Result<Option<i64>, StoreError> {
    occurrences::insert(tx, occurrence, None)?;
    plan_alone(tx, rules, occurrence, recipient_id, now)?;
    let key = DeliveryKey { plan_id: occurrence.id, recipient_id, carrier: MAIL.to_owned() };
    Ok(deliveries::find(tx, &key)?.map(|delivery| delivery.edition_id))
}

/// What each recipient is owed: a list that many share, or one of their own. An empty one is for those who are to hear that
/// there was nothing.
pub(super) type Owing = BTreeMap<i64, Rc<Vec<Match>>>;

fn plan_alone(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    recipient_id: i64,
    now: UnixMillis,
) -> Result<usize, StoreError> {
    let recipients = owed::lock(tx, &[recipient_id])?;
    let ids: Vec<i64> = recipients.iter().map(|recipient| recipient.id).collect();
    let (mut owing, matches) = one_by_one(tx, occurrence, &ids, now)?;
    let matched: BTreeSet<(i64, &str)> = matches.iter().map(|m| (m.recipient_id, m.topic.as_str())).collect();
    owed::move_marks(tx, &matched.into_iter().collect::<Vec<_>>(), occurrence.bound)?;
    add_superseded(tx, occurrence, &mut owing, now)?;
    revised::add(tx, rules, occurrence, &mut owing, now)?;
    write(tx, rules, occurrence, &recipients, &owing, now)
}

/// Plans a chunk of everybody in the slot. Returns how many deliveries that made, and the highest id that is covered
/// unless this was the last chunk.
fn plan_window(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    now: UnixMillis,
) -> Result<(usize, Option<i64>), StoreError> {
    let releases = window::releases(tx, occurrence, now)?;
    let mut groups = Groups::of(&releases);
    // That there is nothing is said when it is the digest's time, not when an operator looks for more to send.
    let says_nothing = rules.has_heartbeat(occurrence.slot.schedule()) && !digest::is_out_of_turn(occurrence);
    let mut chunk = window::chunk(tx, occurrence, groups.topics(), rules.chunk_recipients, says_nothing)?;
    let interested = chunk.interested.iter().map(|(id, _)| *id);
    let mut ids: Vec<i64> =
        interested.chain(chunk.fresh.iter().copied()).chain(chunk.everybody.iter().copied()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok((0, chunk.covered));
    }
    let recipients = owed::lock(tx, &ids)?;
    if tx.dialect() == Dialect::Postgres {
        // What was read before the lock may have changed; what is locked now doesn't.
        let (slot, until) = (occurrence.slot.as_str(), chunk.covered.unwrap_or(i64::MAX));
        chunk.interested = window::interested(tx, slot, groups.topics(), occurrence.done_to, until)?;
        chunk.fresh = window::fresh(tx, slot, occurrence.done_to, until)?;
        if says_nothing {
            chunk.everybody = window::everybody(tx, slot, occurrence.done_to, until)?;
        }
    }
    ids = recipients.iter().map(|recipient| recipient.id).collect();
    let fresh: HashSet<i64> = chunk.fresh.iter().copied().filter(|id| ids.binary_search(id).is_ok()).collect();
    let given = owed::given(tx, occurrence.id, &ids, &groups.stories())?;
    let special: HashSet<i64> = fresh.iter().copied().chain(given.into_iter().map(|(id, _)| id)).collect();

    let mut owing = groups.assign(&recipients, &chunk.interested, &special);
    let mut special: Vec<i64> = special.into_iter().collect();
    special.sort_unstable();
    owing.append(&mut one_by_one(tx, occurrence, &special, now)?.0);
    if !fresh.is_empty() {
        owed::follow(tx, &occurrence.slot, &fresh.into_iter().collect::<Vec<_>>(), occurrence.bound, now)?;
    }
    if says_nothing {
        let nothing = Rc::new(Vec::new());
        for id in chunk.everybody.iter().filter(|id| ids.binary_search(id).is_ok()) {
            owing.entry(*id).or_insert_with(|| nothing.clone());
        }
    }
    add_superseded(tx, occurrence, &mut owing, now)?;
    revised::add(tx, rules, occurrence, &mut owing, now)?;
    Ok((write(tx, rules, occurrence, &recipients, &owing, now)?, chunk.covered))
}

/// What each of `ids` (ascending) is owed, by their own marks and the ledger; and everything that matched. A story under
/// several topics counts once.
fn one_by_one(
    tx: &mut Tx<'_>,
    occurrence: &Occurrence,
    ids: &[i64],
    now: UnixMillis,
) -> Result<(Owing, Vec<Match>), StoreError> {
    if ids.is_empty() {
        return Ok((Owing::new(), Vec::new()));
    }
    let matches = owed::matches(tx, occurrence, ids, now)?;
    let showable: Vec<&Match> = matches.iter().filter(|m| m.showable).collect();
    let stories: BTreeSet<&str> = showable.iter().map(|m| m.story_id.as_str()).collect();
    if stories.is_empty() {
        return Ok((Owing::new(), matches));
    }
    let given = owed::given(tx, occurrence.id, ids, &stories.into_iter().collect::<Vec<_>>())?;
    let given: HashSet<(i64, String)> = given.into_iter().collect();
    let mut owing: BTreeMap<i64, Vec<Match>> = BTreeMap::new();
    let new = showable.into_iter().filter(|m| !given.contains(&(m.recipient_id, m.story_id.clone())));
    for m in new {
        let owed = owing.entry(m.recipient_id).or_default();
        match owed.iter_mut().find(|other| other.story_id == m.story_id) {
            Some(known) => known.add_topic(&m.topic),
            None => owed.push(m.clone()),
        }
    }
    Ok((owing.into_iter().map(|(id, matches)| (id, matches.into())).collect(), matches))
}

/// The posts of earlier issues that nobody can have seen go into this one.
fn add_superseded(
    tx: &mut Tx<'_>,
    occurrence: &Occurrence,
    owing: &mut Owing,
    now: UnixMillis,
) -> Result<(), StoreError> {
    if owing.is_empty() || occurrence.slot.schedule() == IMMEDIATE {
        return Ok(());
    }
    let ids: Vec<i64> = owing.keys().copied().collect();
    for m in owed::supersede(tx, occurrence, &ids, now)? {
        let entry = owing.entry(m.recipient_id).or_default();
        if m.showable && !entry.iter().any(|other| other.story_id == m.story_id) {
            Rc::make_mut(entry).push(m);
        }
    }
    Ok(())
}
