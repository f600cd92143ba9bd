//! Stage 4: it goes out. Claim → carry → record, for each destination by itself: one that is dead or slow delays no other.

pub mod carrier;
pub mod carriers;
pub mod decide;
mod desk;
mod domains;
pub mod group;
pub mod lease;
pub mod pace;
pub mod prepare;
pub mod purser;
pub mod recorder;
pub mod relay;
pub mod reroute;
pub mod signing;
mod worker;

use crate::domain::audience::Subscriber;
use crate::domain::backoff;
use crate::domain::breaker::Breaker;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::{Lane, Outcome, Reason};
use crate::store::deliveries::{self, Claimed};
use crate::store::{Store, StoreError, Tx, destinations, subscribers};
use decide::Patience;
use desk::{Desk, Job};
use group::Group;
use lease::Lease;
use pace::Pace;
use prepare::Preparer;
use recorder::Recorder;
use signing::Signing;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
pub use worker::MARKED_AHEAD;
use worker::Worker;

/// Deliveries of a lane claimed ahead for each session of a destination, and for a destination at least: enough to keep it
/// busy through the next claim. An urgent one doesn't wait behind them, for it is of another lane.
const AHEAD_PER_SESSION: usize = 32;
const AHEAD_MIN: usize = 256;
/// Seconds' worth of deliveries claimed ahead where a rate is set.
const AHEAD_SECONDS: usize = 2;
/// A domain that nothing is known of may keep this part of the sessions busy: one in four.
const DOMAIN_SHARE: usize = 4;
/// An idle destination looks for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);

/// A way out, by name: a group of relays, and mail for everybody or for a class of recipient domains.
pub struct Destination {
    /// Such as `email:main` or `email:main/naver.com`; what deliveries name.
    pub name: String,
    /// Notified when something may be due.
    pub wake: Notify,
    group: Group,
    /// Letters carried at once.
    sessions: usize,
    /// How fast; beside what the relays allow.
    pace: Pace,
    /// Whether it is for a class of recipient domains, which share a breaker.
    is_class: bool,
}

impl Destination {
    /// Mail for everybody who has no destination of their own.
    #[must_use]
    pub fn new(name: String, group: Group) -> Self {
        let sessions = group.connections().max(1);
        Self { name, wake: Notify::new(), group, sessions, pace: Pace::default(), is_class: false }
    }

    /// Mail for a class of recipient domains. It never keeps more than half of the relays' connections busy, so that others
    /// go on when it stalls.
    #[must_use]
    pub fn of_class(name: String, group: Group, connections: Option<usize>, pace: Pace) -> Self {
        let half = (group.connections() / 2).max(1);
        let sessions = connections.unwrap_or(half).clamp(1, half);
        Self { name, wake: Notify::new(), group, sessions, pace, is_class: true }
    }

    /// How many of each lane are claimed ahead: no more than what limits let through in a short while, so that the rest can
    /// go by other replicas.
    fn ahead(&self) -> usize {
        let enough = (self.sessions * AHEAD_PER_SESSION).max(AHEAD_MIN);
        let rates = [self.pace.per_second, self.group.per_second()];
        let rate = rates.into_iter().flatten().min().map(|rate| rate as usize * AHEAD_SECONDS);
        rate.map_or(enough, |rate| enough.min(rate.max(self.sessions)))
    }

    /// A desk. A domain within a class isn't held back: the class is.
    fn desk(&self) -> Desk {
        let each = 1 + MARKED_AHEAD;
        let share = if self.is_class { self.sessions * each } else { (self.sessions / DOMAIN_SHARE).max(1) };
        Desk::new(share, self.sessions, each, self.ahead())
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
    /// Signatures.
    pub signing: Signing,
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

impl News {
    fn is_empty(&self) -> bool {
        !self.succeeded && self.failures.is_empty()
    }
}

/// Sends what is due at one destination until `stop` turns true; then finishes what is under way.
pub async fn run(office: Arc<Office>, destination: Arc<Destination>, mut stop: watch::Receiver<bool>) {
    let (desk, news) = (Arc::new(destination.desk()), Arc::new(Mutex::new(News::default())));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..destination.sessions {
        let (office, destination) = (office.clone(), destination.clone());
        let ahead_max = 1 + office.signing.lead(destination.sessions);
        workers.spawn(Worker { office, destination, desk: desk.clone(), news: news.clone(), ahead_max }.run());
    }
    let (mut failures, mut is_in_doubt) = (0, false);
    while !*stop.borrow() {
        put_back(&office, &desk).await;
        let claimed = claim(&office, &destination, &news, &desk, is_in_doubt).await;
        // What a claim took whose answer was lost lies on nobody's desk; with the next one it goes back.
        is_in_doubt = match &claimed {
            Ok(_) => false,
            Err(error) => is_in_doubt || matches!(error, StoreError::Unavailable(_)),
        };
        let rest = match claimed {
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
                backoff::SERVICE.wait(failures, office.chance.draw_32())
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

/// Records that deliveries rest whose domains are out of order: a row each, and no connection.
async fn put_back(office: &Office, desk: &Desk) {
    let back = desk.take_back(office.store.about_now(), office.chance.draw_32());
    if !back.is_empty() {
        tracing::info!(count = back.len(), "put back: their domains defer everybody or don't answer");
    }
    for ((claimed, _), until) in back {
        let reply = String::new();
        let rests = Outcome::TryLater { reason: Reason::DomainResting, reply, not_before: Some(until) };
        worker::record(office, &claimed, &rests).await;
    }
}

/// What a look for work came to.
struct Claims {
    is_any: bool,
    /// How long to rest before the next look, unless something happens.
    rest: Duration,
}

/// Takes what may go now and puts it on the desk. `is_in_doubt` when the answer to an earlier claim was lost: then everything
/// goes back first that this process has claimed and not begun. What lies on the desk of it won't pass its gate.
async fn claim(
    office: &Office,
    destination: &Destination,
    news: &Mutex<News>,
    desk: &Desk,
    is_in_doubt: bool,
) -> Result<Claims, StoreError> {
    let news = Arc::new(std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner)));
    if destination.is_class && news.is_empty() && desk.count() == (0, 0) && !is_in_doubt {
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
    let wanted = move |tx: &mut Tx<'_>| {
        look(tx, &Wanted { term, name: &name, pace, now, rooms: &rooms, is_in_doubt }, &news, draw)
    };
    let (claimed, rest, is_open) = office.store.write(wanted).await?;
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
