//! A look for work: in one transaction, what a destination may send now.

use super::desk::{Desk, Job};
use super::objections::Objections;
use super::pace::Pace;
use super::posture::board::Board;
use super::{Destination, News, Office};
use crate::domain::audience::Subscriber;
use crate::domain::backoff;
use crate::domain::breaker::Breaker;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::store::deliveries::{self, Claimed};
use crate::store::{StoreError, Tx, destinations, subscribers};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An idle destination looks for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);

/// What a look for work came to.
pub(super) struct Claims {
    pub is_any: bool,
    /// How long to rest before the next look, unless something happens.
    pub rest: Duration,
}

/// Takes what may go now and puts it on the desk. `is_in_doubt` when the answer to an earlier claim was lost: then everything
/// goes back first that this process has claimed and not begun. What lies on the desk of it won't pass its gate.
pub(super) async fn claim(
    office: &Office,
    destination: &Destination,
    news: &Mutex<News>,
    objections: &Objections,
    desk: &Desk,
    is_in_doubt: bool,
) -> Result<Claims, StoreError> {
    let news = Arc::new(std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner)));
    let objection = objections.reason(&destination.name, office.store.about_now());
    if destination.is_class && news.is_empty() && desk.count() == (0, 0) && !is_in_doubt && objection.is_none() {
        // There are many classes, and most have nothing to do: that is found out without the writer's time.
        let (name, now) = (destination.name.clone(), office.store.about_now());
        let next = office.store.read(move |tx| deliveries::next_due(tx, &name)).await?;
        let rest = next.map_or(POLL, |due| now.until(due).min(POLL));
        if !rest.is_zero() {
            return Ok(Claims { is_any: false, rest });
        }
    }
    let mut rooms: Vec<(Lane, usize)> = Lane::ALL.iter().map(|lane| (*lane, desk.room(*lane))).collect();
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    let (term, name, pace) = (office.lease.term(), destination.name.clone(), destination.pace);
    // While all relays are out of order nothing is claimed: what waits can go by another replica.
    let opens_at = destination.group.opens_at(now);
    if opens_at > now && is_in_doubt {
        rooms.iter_mut().for_each(|(_, room)| *room = 0);
    } else if opens_at > now {
        tell(destination, desk, false);
        return Ok(Claims { is_any: false, rest: now.until(opens_at).min(POLL) });
    }
    let (board, objecting) = (office.board.clone(), objection.clone());
    let wanted = move |tx: &mut Tx<'_>| {
        let objection = objecting.as_deref();
        look(
            tx,
            &Wanted { term, name: &name, pace, now, rooms: &rooms, is_in_doubt, board: &board, objection },
            &news,
            draw,
        )
    };
    let (claimed, rest, is_open) = office.store.write(wanted).await?;
    if let Some(reason) = objection {
        tracing::warn!(destination = destination.name, reason, "receivers object: nothing more is sent there");
        objections.clear(now);
    }
    desk.pause(!is_open);
    tell(destination, desk, is_open);
    let is_any = !claimed.is_empty();
    for (lane, jobs) in claimed {
        desk.put(lane, jobs);
    }
    Ok(Claims { is_any, rest })
}

fn tell(destination: &Destination, desk: &Desk, is_open: bool) {
    let name = || destination.name.clone();
    let (waiting, busy) = desk.count();
    metrics::gauge!("allim_destination_open", "destination" => name()).set(if is_open { 1.0 } else { 0.0 });
    metrics::gauge!("allim_destination_claimed", "destination" => name()).set(waiting as f64);
    metrics::gauge!("allim_destination_in_hand", "destination" => name()).set(busy as f64);
}

/// What is looked for.
struct Wanted<'a> {
    term: i64,
    name: &'a str,
    pace: Pace,
    now: UnixMillis,
    /// How many of each lane there is room for.
    rooms: &'a [(Lane, usize)],
    /// Whether something may be claimed that nobody knows of.
    is_in_doubt: bool,
    /// What is to be kept back.
    board: &'a Board,
    /// Why nothing is to go at all, if so.
    objection: Option<&'a str>,
}

type Looked = (Vec<(Lane, Vec<Job>)>, Duration, bool);

/// What was claimed by lane, how long to rest, and whether the destination is open.
fn look(tx: &mut Tx<'_>, wanted: &Wanted<'_>, news: &News, draw: u32) -> Result<Looked, StoreError> {
    let Wanted { name, pace, now, .. } = *wanted;
    // Under this lock a claim whose answer was lost has either taken hold by now or never will.
    let mut standing = destinations::lock(tx, name)?;
    if wanted.is_in_doubt {
        deliveries::hand_back_claims(tx, wanted.term, now)?;
    }
    if let Some(reason) = wanted.objection {
        destinations::hold_anew(tx, &format!("destination:{name}"), reason, now)?;
    }
    wanted.board.keep_back(tx, name, now)?;
    let before = standing;
    standing.breaker = hear(standing.breaker, news, now, draw);
    let (mut claimed, mut rest) = (Vec::new(), POLL);
    let is_open = standing.breaker.admits(now);
    let room: usize = wanted.rooms.iter().map(|(_, room)| room).sum();
    if is_open && room > 0 {
        let (granted, allowance_at) = pace.grant(standing.allowance_at, now, u32::try_from(room).unwrap_or(u32::MAX));
        claimed = by_lane(tx, wanted, granted as usize)?;
        // What was granted and not used is given back by granting exactly what was taken.
        let used = claimed.iter().map(|(_, jobs)| jobs.len()).sum::<usize>();
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        standing.allowance_at =
            if used == granted { allowance_at } else { pace.grant(standing.allowance_at, now, used).1 };
        if claimed.is_empty() {
            rest = deliveries::next_due(tx, name)?.map_or(POLL, |due| now.until(due).clamp(MIN_REST, POLL));
        }
    } else if let Some(until) = standing.breaker.closed_until(now) {
        rest = now.until(until).min(POLL);
    }
    if standing != before {
        destinations::save(tx, name, &standing)?;
    }
    Ok((claimed, rest, is_open))
}

/// The shortest rest: a delivery that is due but can't be claimed (held, say) mustn't make the loop spin.
const MIN_REST: Duration = Duration::from_millis(20);

fn hear(mut breaker: Breaker, news: &News, now: UnixMillis, draw: u32) -> Breaker {
    if news.succeeded {
        breaker = breaker.succeeded();
    }
    for asked_until in &news.failures {
        breaker = breaker.failed_by(&backoff::DOMAIN, now, *asked_until, draw);
    }
    breaker
}

/// Earlier lanes first.
fn by_lane(tx: &mut Tx<'_>, wanted: &Wanted<'_>, granted: usize) -> Result<Vec<(Lane, Vec<Job>)>, StoreError> {
    let (mut claimed, mut left) = (Vec::new(), granted);
    for (lane, room) in wanted.rooms {
        let limit = i64::try_from(left.min(*room)).unwrap_or(i64::MAX);
        let taken = deliveries::claim(tx, wanted.term, wanted.name, *lane, wanted.now, limit)?;
        left = left.saturating_sub(taken.len());
        if !taken.is_empty() {
            claimed.push((*lane, with_recipients(tx, *lane, taken, wanted.now)?));
        }
    }
    Ok(claimed)
}

/// Adds who gets it to what was claimed of a lane. A recipient who left meanwhile gets nothing more: their delivery is cancelled.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn with_recipients(
    tx: &mut Tx<'_>,
    lane: Lane,
    claimed: Vec<Claimed>,
    now: UnixMillis,
) -> Result<Vec<(Claimed, Subscriber)>, StoreError> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = claimed.iter().map(|claim| claim.key.recipient_id).collect();
    // Who left may have asked for a link or for a new beginning.
    let people = if lane == Lane::Transactional { subscribers::reachable } else { subscribers::active };
    let people: HashMap<i64, Subscriber> = people(tx, &ids)?.into_iter().map(|s| (s.id, s)).collect();
    let (mut out, mut departed) = (Vec::with_capacity(claimed.len()), Vec::new());
    for claim in claimed {
        match people.get(&claim.key.recipient_id) {
            Some(subscriber) => out.push((claim, subscriber.clone())),
            None => departed.push(claim),
        }
    }
    if !departed.is_empty() {
        deliveries::cancel_departed(tx, &departed, now)?;
    }
    Ok(out)
}
