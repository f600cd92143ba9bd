//! Stage 4: it goes out. Claim → carry → record, for each destination by itself: one that is dead or slow delays no other.

pub mod carrier;
pub mod carriers;
pub mod decide;
mod desk;
pub mod lease;
pub mod pace;
pub mod prepare;
pub mod recorder;
mod worker;

use crate::domain::audience::Subscriber;
use crate::domain::breaker::Breaker;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::Lane;
use crate::store::deliveries::{self, Claimed};
use crate::store::{Store, StoreError, Tx, destinations, subscribers};
use carrier::Carrier;
use decide::Patience;
use desk::{Desk, Job};
use lease::Lease;
use pace::Pace;
use prepare::Preparer;
use recorder::Recorder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use worker::Worker;

/// Deliveries of a lane claimed ahead for each session of a destination, and for a destination at least: enough to keep it
/// busy through the next claim. An urgent one doesn't wait behind them, for it is of another lane.
const AHEAD_PER_SESSION: usize = 32;
const AHEAD_MIN: usize = 256;
/// An idle destination looks for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);

/// A way out, by name.
pub struct Destination {
    /// Such as `email:main`; what deliveries name.
    pub name: String,
    /// How it is carried there.
    pub carrier: Box<dyn Carrier>,
    /// How fast.
    pub pace: Pace,
    /// Notified when something may be due.
    pub wake: Notify,
}

impl Destination {
    /// A way out.
    #[must_use]
    pub fn new(name: String, carrier: Box<dyn Carrier>, pace: Pace) -> Self {
        Self { name, carrier, pace, wake: Notify::new() }
    }
}

/// What every destination's dispatcher shares.
pub struct Office {
    /// The store.
    pub store: Store,
    /// This process's lease.
    pub lease: Arc<Lease>,
    /// The recorder.
    pub recorder: Recorder,
    /// Editions made ready.
    pub preparer: Arc<Preparer>,
    /// How long is tried.
    pub patience: Patience,
    /// For jitter.
    pub chance: Arc<dyn Chance>,
}

/// What the workers of a destination learned about it since the last claim.
#[derive(Default)]
struct News {
    succeeded: bool,
    failures: Vec<Option<UnixMillis>>,
}

/// Sends what is due at one destination until `stop` turns true; then finishes what is under way.
pub async fn run(office: Arc<Office>, destination: Arc<Destination>, mut stop: watch::Receiver<bool>) {
    let sessions = destination.carrier.sessions().max(1);
    let desk = Arc::new(Desk::new((sessions * AHEAD_PER_SESSION).max(AHEAD_MIN)));
    let news = Arc::new(Mutex::new(News::default()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..sessions {
        let (office, session) = (office.clone(), destination.carrier.open());
        let worker = Worker { office, session, desk: desk.clone(), news: news.clone() };
        workers.spawn(worker.run());
    }
    let mut failures = 0;
    while !*stop.borrow() {
        let rest = match claim(&office, &destination, &news, &desk, failures > 0).await {
            Ok(Claims { is_any: true, .. }) => {
                failures = 0;
                continue;
            }
            Ok(Claims { rest, .. }) => {
                failures = 0;
                rest
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(destination = destination.name, %error, "nothing could be claimed");
                crate::domain::backoff::SERVICE.wait(failures, office.chance.draw_32())
            }
        };
        tokio::select! {
            () = destination.wake.notified() => {}
            () = desk.low() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    desk.close();
    while workers.join_next().await.is_some() {}
}

/// What a look for work came to.
struct Claims {
    is_any: bool,
    /// How long to rest before the next look, unless something happens.
    rest: Duration,
}

/// Takes what may go now and puts it on the desk.
async fn claim(
    office: &Office,
    destination: &Destination,
    news: &Mutex<News>,
    desk: &Desk,
    is_in_doubt: bool,
) -> Result<Claims, StoreError> {
    let news = Arc::new(std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner)));
    let rooms: Vec<(Lane, usize)> = Lane::ALL.iter().map(|lane| (*lane, desk.room(*lane))).collect();
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    let (term, name, pace) = (office.lease.term(), destination.name.clone(), destination.pace);
    let look = move |tx: &mut Tx<'_>| {
        let wanted = Wanted { term, name: &name, pace, now, rooms: &rooms, is_in_doubt };
        look(tx, &wanted, &news, draw)
    };
    let (claimed, rest, is_open) = office.store.write(look).await?;
    desk.pause(!is_open);
    let is_any = !claimed.is_empty();
    for (lane, jobs) in claimed {
        desk.put(lane, jobs);
    }
    Ok(Claims { is_any, rest })
}

/// What is looked for.
struct Wanted<'a> {
    term: i64,
    name: &'a str,
    pace: Pace,
    now: UnixMillis,
    /// How many of each lane there is room for.
    rooms: &'a [(Lane, usize)],
    /// The last look failed, perhaps after its commit: there may be claims of ours that nobody here knows of.
    is_in_doubt: bool,
}

type Looked = (Vec<(Lane, Vec<Job>)>, Duration, bool);

/// What was claimed by lane, how long to rest, and whether the destination is open.
fn look(tx: &mut Tx<'_>, wanted: &Wanted<'_>, news: &News, draw: u32) -> Result<Looked, StoreError> {
    let Wanted { name, pace, now, .. } = *wanted;
    if wanted.is_in_doubt {
        // Else they would lie there for as long as this process lives. What waits on a desk is handed back with them; the
        // gate doesn't let it through any more, for whoever claims it next has another attempt.
        deliveries::hand_back_claims(tx, wanted.term, now)?;
    }
    let mut standing = destinations::lock(tx, name)?;
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
    } else if let Some(until) = standing.breaker.not_before {
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
        breaker = breaker.failed(now, *asked_until, draw);
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
            claimed.push((*lane, with_recipients(tx, taken, wanted.now)?));
        }
    }
    Ok(claimed)
}

/// Adds who gets it. A recipient who left meanwhile gets nothing more: their delivery is cancelled.
fn with_recipients(
    tx: &mut Tx<'_>,
    claimed: Vec<Claimed>,
    now: UnixMillis,
) -> Result<Vec<(Claimed, Subscriber)>, StoreError> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = claimed.iter().map(|claim| claim.key.recipient_id).collect();
    let people: HashMap<i64, Subscriber> = subscribers::active(tx, &ids)?.into_iter().map(|s| (s.id, s)).collect();
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
