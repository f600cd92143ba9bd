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
use crate::store::endpoints::{self, Endpoint};
use crate::store::{Store, StoreError, Tx, destinations};
use courier::{Courier, Push};
use futures_util::FutureExt as _;
use prepare::{Prepare, PrepareError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Endpoints that are served at once.
const AT_ONCE_MAX: usize = 32;
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
    couriers: BTreeMap<&'static str, Box<dyn Courier>>,
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
        couriers: Vec<Box<dyn Courier>>,
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
    let (mut busy, mut under_way, mut is_in_doubt) = (BTreeSet::new(), JoinSet::new(), false);
    while !*stop.borrow() {
        let rest = match claim(&office, &busy, is_in_doubt).await {
            Ok(jobs) => {
                is_in_doubt = false;
                for job in jobs {
                    busy.insert(job.endpoint.id);
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
                is_in_doubt |= matches!(error, StoreError::Unavailable(_));
                tracing::warn!(%error, "nothing could be claimed for endpoints");
                backoff::SERVICE.wait(1, office.chance.draw_32())
            }
        };
        tokio::select! {
            Some(done) = under_way.join_next() => { done.map(|id| busy.remove(&id)).ok(); }
            () = wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Takes one delivery for each endpoint that isn't `busy`, as far as there is room.
async fn claim(office: &Office, busy: &BTreeSet<i64>, is_in_doubt: bool) -> Result<Vec<Job>, StoreError> {
    let now = office.store.about_now();
    let room = AT_ONCE_MAX.saturating_sub(busy.len());
    let mut ready = office.store.read(move |tx| endpoints::ready(tx, now)).await?;
    ready.retain(|(id, carrier)| !busy.contains(id) && office.couriers.contains_key(carrier.as_str()));
    ready.truncate(room);
    if ready.is_empty() && !is_in_doubt {
        return Ok(Vec::new());
    }
    let term = office.lease.term();
    let take = move |tx: &mut Tx<'_>| {
        if is_in_doubt {
            // What a claim took whose answer was lost is in nobody's hands.
            deliveries::hand_back_claims(tx, term, now)?;
        }
        let mut jobs = Vec::new();
        for (id, carrier) in &ready {
            jobs.extend(claim_one(tx, term, *id, carrier, now)?);
        }
        Ok(jobs)
    };
    office.store.write(take).await
}

fn claim_one(tx: &mut Tx<'_>, term: i64, id: i64, carrier: &str, now: UnixMillis) -> Result<Option<Job>, StoreError> {
    let name = destination::of_endpoint(carrier, id);
    let breaker = destinations::lock(tx, &name)?.breaker;
    let Some(endpoint) = endpoints::find(tx, id)?.filter(|_| breaker.admits(now)) else { return Ok(None) };
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
        Some(courier) => attempt(office, courier.as_ref(), &claimed, &endpoint).await,
        None => Outcome::NotAllowed,
    };
    let blames = matches!(&outcome, Outcome::TryLater { reason, .. } if reason.blames_destination());
    if blames || (is_on_trial && matches!(outcome, Outcome::Sent { .. })) {
        hear(office, &endpoint, &outcome, blames).await;
    }
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    decide::record(&office.recorder, &claimed, &outcome, PATIENCE, now, draw).await;
    if matches!(outcome, Outcome::Refused { reason: Reason::Gone, .. }) {
        let id = endpoint.id;
        let ended = office.store.write(move |tx| endpoints::end(tx, id, "it answered 410 Gone", now)).await;
        match ended {
            Ok(_) => tracing::info!(endpoint = id, carrier = endpoint.carrier, "an endpoint says that it is gone"),
            Err(error) => tracing::warn!(endpoint = id, %error, "an endpoint that is gone could not be ended"),
        }
    }
}

async fn attempt(office: &Office, courier: &dyn Courier, claimed: &Claimed, endpoint: &Endpoint) -> Outcome {
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
