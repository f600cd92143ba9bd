//! What goes to endpoints: programs, each a destination by itself, so that none waits for another. One delivery at a time to each, the
//! oldest first; claim → carry → record as with mail.

pub mod courier;
mod prepare;

use super::carrier::Gate;
use super::decide::{self, Patience};
use super::lease::Lease;
use super::recorder::Recorder;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::{Lane, Outcome, Reason};
use crate::domain::{backoff, destination};
use crate::render::templates::Templates;
use crate::store::deliveries::{self, AttemptRef, Claimed};
use crate::store::endpoints::{self, Endpoint, Ready};
use crate::store::{Store, StoreError, Tx, destinations};
use courier::{Courier, Push};
use futures_util::FutureExt as _;
use prepare::{Prepare, PrepareError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Endpoints that are served at once, and among them such as failed last.
const AT_ONCE_MAX: usize = 32;
const ON_TRIAL_MAX: usize = 8;
/// Endpoints looked up in one query.
const READY_MAX: i64 = 1_000;
/// It is looked for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);
/// Given up this long after planning: the feed itself holds it still.
const PATIENCE: Patience =
    Patience { give_up_after: Duration::from_secs(3 * 86_400), uncertain_wait: Duration::from_secs(60) };

/// What carries to endpoints.
pub struct Office {
    store: Store,
    lease: Arc<Lease>,
    recorder: Recorder,
    chance: Arc<dyn Chance>,
    couriers: BTreeMap<&'static str, Arc<dyn Courier>>,
    prepare: Prepare,
}

impl Office {
    /// An office with these couriers, by their carriers' names.
    #[must_use]
    pub fn new(
        store: Store,
        lease: Arc<Lease>,
        recorder: Recorder,
        chance: Arc<dyn Chance>,
        couriers: Vec<Arc<dyn Courier>>,
        templates: Arc<Templates>,
    ) -> Self {
        let couriers = couriers.into_iter().map(|courier| (courier.carrier(), courier)).collect();
        let prepare = Prepare::new(store.clone(), templates);
        Self { store, lease, recorder, chance, couriers, prepare }
    }
}

/// A delivery that was claimed.
struct Job {
    claimed: Claimed,
    endpoint: Endpoint,
    /// Whether the endpoint failed before.
    is_on_trial: bool,
}

/// Carries what is due until `stop` turns true; then finishes what is under way.
pub async fn run(office: Arc<Office>, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    let (mut desk, mut under_way) = (Desk::default(), JoinSet::new());
    while !*stop.borrow() {
        let rest = match desk.claim(&office).await {
            Ok(jobs) => {
                for job in jobs {
                    let (office, id) = (office.clone(), job.endpoint.id);
                    under_way.spawn(async move {
                        // Whoever waits for this one is told, whatever happened.
                        let _ = std::panic::AssertUnwindSafe(carry(&office, job)).catch_unwind().await;
                        id
                    });
                }
                POLL
            }
            Err(error) => {
                tracing::warn!(%error, "nothing could be claimed for endpoints");
                backoff::SERVICE.wait(1, office.chance.draw_32())
            }
        };
        tokio::select! {
            Some(done) = under_way.join_next() => { done.map(|id| desk.busy.remove(&id)).ok(); }
            () = wake.notified() => desk.ready.clear(),
            () = tokio::time::sleep(rest) => desk.ready.clear(),
            _ = stop.changed() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// What is to be claimed next, and what is in hand.
#[derive(Default)]
struct Desk {
    /// Endpoints for which something is due, as was found last.
    ready: VecDeque<Ready>,
    /// Endpoints that are served, and whether they are on trial.
    busy: BTreeMap<i64, bool>,
    /// Endpoints whose claims may have taken hold without our hearing of it.
    doubtful: Vec<Ready>,
}

impl Desk {
    /// Takes one delivery for each endpoint that isn't busy, as far as there is room.
    async fn claim(&mut self, office: &Office) -> Result<Vec<Job>, StoreError> {
        let now = office.store.about_now();
        if self.ready.is_empty() {
            self.ready = office.store.read(move |tx| endpoints::ready(tx, now, READY_MAX)).await?.into();
        }
        let chosen = self.choose(office);
        if chosen.is_empty() && self.doubtful.is_empty() {
            return Ok(Vec::new());
        }
        let (term, doubtful) = (office.lease.term(), std::mem::take(&mut self.doubtful));
        let (asked, before) = (chosen.clone(), doubtful.clone());
        let take = move |tx: &mut Tx<'_>| {
            // Under these locks a claim whose answer was lost has either taken hold by now or never will.
            for one in &before {
                destinations::lock(tx, &destination::of_endpoint(&one.carrier, one.id))?;
            }
            if !before.is_empty() {
                deliveries::hand_back_claims(tx, term, now)?;
            }
            let claimed = asked.iter().map(|one| claim_one(tx, term, one, now)).collect::<Result<Vec<_>, _>>()?;
            Ok(claimed.into_iter().flatten().collect::<Vec<Job>>())
        };
        match office.store.write(take).await {
            Ok(jobs) => {
                self.busy.extend(jobs.iter().map(|job| (job.endpoint.id, job.is_on_trial)));
                Ok(jobs)
            }
            Err(error) => {
                if matches!(error, StoreError::Unavailable(_)) {
                    self.doubtful = chosen.into_iter().chain(doubtful).collect();
                    // In the order of ids: two replicas that lock the same ones wait for each other and never both.
                    self.doubtful.sort_by_key(|one| one.id);
                    self.doubtful.dedup();
                }
                Err(error)
            }
        }
    }

    /// Those to be served next. Those that failed last take no more than a part of the room, so that they hold up nobody.
    fn choose(&mut self, office: &Office) -> Vec<Ready> {
        let mut room = AT_ONCE_MAX.saturating_sub(self.busy.len());
        let mut trials = ON_TRIAL_MAX.saturating_sub(self.busy.values().filter(|is_on_trial| **is_on_trial).count());
        let mut chosen = Vec::new();
        while room > 0
            && let Some(one) = self.ready.pop_front()
        {
            let fits = !one.is_on_trial || trials > 0;
            if fits && !self.busy.contains_key(&one.id) && office.couriers.contains_key(one.carrier.as_str()) {
                room -= 1;
                trials -= usize::from(one.is_on_trial);
                chosen.push(one);
            }
        }
        chosen.sort_by_key(|one| one.id);
        chosen
    }
}

fn claim_one(tx: &mut Tx<'_>, term: i64, ready: &Ready, now: UnixMillis) -> Result<Option<Job>, StoreError> {
    let name = destination::of_endpoint(&ready.carrier, ready.id);
    let breaker = destinations::lock(tx, &name)?.breaker;
    let Some(endpoint) = endpoints::find(tx, ready.id)?.filter(|_| breaker.admits(now)) else { return Ok(None) };
    // Another process may be carrying the one before.
    if endpoints::is_busy(tx, &name)? {
        return Ok(None);
    }
    for lane in Lane::ALL {
        if let Some(claimed) = deliveries::claim(tx, term, &name, *lane, now, 1)?.pop() {
            return Ok(Some(Job { claimed, endpoint, is_on_trial: breaker.failures > 0 }));
        }
    }
    Ok(None)
}

/// Carries one delivery and records what came of it.
async fn carry(office: &Office, job: Job) {
    let Job { claimed, endpoint, is_on_trial } = job;
    let outcome = match office.couriers.get(endpoint.carrier.as_str()) {
        Some(courier) => attempt(office, courier, &claimed, &endpoint).await,
        None => Outcome::NotAllowed,
    };
    // Who lets us wait for an answer that never comes is out of order too.
    let blames = match &outcome {
        Outcome::TryLater { reason, .. } => reason.blames_destination(),
        Outcome::Uncertain { .. } => true,
        _ => false,
    };
    if blames || (is_on_trial && matches!(outcome, Outcome::Sent { .. })) {
        hear(office, &endpoint, &outcome, blames).await;
    }
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    let outcome = match outcome {
        // Whoever never answers is given up too, some day.
        Outcome::Uncertain { reply, .. } if now > claimed.planned_at.plus(PATIENCE.give_up_after) => {
            Outcome::TryLater { reason: Reason::AnswerLost, reply, not_before: None }
        }
        outcome => outcome,
    };
    decide::record(&office.recorder, &claimed, &outcome, PATIENCE, now, draw).await;
    if matches!(outcome, Outcome::Refused { reason: Reason::Gone, .. }) {
        let id = endpoint.id;
        let gone = endpoint.clone();
        let end = move |tx: &mut Tx<'_>| endpoints::end_unless_renewed(tx, &gone, "it answered 410 Gone", now);
        let ended = office.store.write(end).await;
        match ended {
            Ok(_) => tracing::info!(endpoint = id, carrier = endpoint.carrier, "an endpoint says that it is gone"),
            Err(error) => tracing::warn!(endpoint = id, %error, "an endpoint that is gone could not be ended"),
        }
    }
}

async fn attempt(office: &Office, courier: &Arc<dyn Courier>, claimed: &Claimed, endpoint: &Endpoint) -> Outcome {
    let body = match office.prepare.edition(claimed.edition_id, courier).await {
        Ok(body) => body,
        Err(PrepareError::Store(error)) => {
            tracing::warn!(%error, "an edition could not be loaded");
            return Outcome::NotAllowed;
        }
        Err(error) => {
            tracing::error!(edition = claimed.edition_id, %error, "an edition can't be written");
            return Outcome::Refused { reason: Reason::RenderFailed, reply: error.to_string() };
        }
    };
    let mut gate = Gate::new(office.recorder.clone(), office.lease.clone(), AttemptRef::of(claimed));
    let push = Push { key: &claimed.key, endpoint, body: &body, now: office.store.about_now() };
    match std::panic::AssertUnwindSafe(courier.carry(&push, &mut gate)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!(carrier = endpoint.carrier, "a carrier panicked");
            Outcome::Uncertain { reason: Reason::AnswerLost, reply: "the carrier panicked".to_owned() }
        }
    }
}

/// Lets the endpoint's breaker hear how it went.
async fn hear(office: &Office, endpoint: &Endpoint, outcome: &Outcome, has_failed: bool) {
    let name = destination::of_endpoint(&endpoint.carrier, endpoint.id);
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    let asked = match outcome {
        Outcome::TryLater { not_before, .. } => *not_before,
        _ => None,
    };
    let tell = move |tx: &mut Tx<'_>| {
        let mut standing = destinations::lock(tx, &name)?;
        standing.breaker = match has_failed {
            true => standing.breaker.failed_by(&backoff::DOMAIN, now, asked, draw),
            false => standing.breaker.succeeded(),
        };
        destinations::save(tx, &name, &standing)
    };
    if let Err(error) = office.store.write(tell).await {
        tracing::warn!(endpoint = endpoint.id, %error, "how an endpoint does could not be recorded");
    }
}
