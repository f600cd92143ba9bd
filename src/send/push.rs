//! What goes to endpoints: programs, each a destination by itself, so that none waits for another. One delivery at a time to each, the
//! oldest first; claim → carry → record as with mail.

pub mod courier;
mod desk;
pub(super) mod prepare;

use super::carrier::Gate;
use super::decide::{self, Patience};
use super::lease::Lease;
use super::recorder::Recorder;
use super::social::{self, Account};
use crate::domain::clock::Chance;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::partner::{AMQP, WEBHOOK};
use crate::domain::seal::Seal;
use crate::domain::{backoff, destination};
use crate::render::templates::Templates;
use crate::store::deliveries::{AttemptRef, Claimed};
use crate::store::endpoints::{self, Endpoint, Ready};
use crate::store::partners::{self, Heard};
use crate::store::{Store, Tx, destinations};
use courier::{Courier, Manners, News, Push};
use desk::Desk;
use futures_util::FutureExt as _;
use prepare::Prepare;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// It is looked for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);
/// And so soon when the next delivery of an endpoint waits for the record of the one before.
const SOON: Duration = Duration::from_millis(5);
/// What a person is to settle waits for them.
const FOR_EVER: Duration = Duration::MAX;

/// What carries to endpoints.
pub struct Office {
    pub(super) store: Store,
    lease: Arc<Lease>,
    recorder: Recorder,
    pub(super) chance: Arc<dyn Chance>,
    couriers: BTreeMap<&'static str, Arc<dyn Courier>>,
    pub(super) accounts: BTreeMap<i64, Arc<Account>>,
    pub(super) seal: Arc<Seal>,
    pub(super) prepare: Prepare,
}

impl Office {
    /// An office with these couriers and accounts.
    #[must_use]
    pub fn new(store: Store, lease: Arc<Lease>, recorder: Recorder, chance: Arc<dyn Chance>, ways: Ways) -> Self {
        let couriers = ways.couriers.into_iter().map(|courier| (courier.carrier(), courier)).collect();
        let accounts = ways.accounts.into_iter().map(|account| (account.endpoint_id, Arc::new(account))).collect();
        let prepare = Prepare::new(store.clone(), ways.templates);
        Self { store, lease, recorder, chance, couriers, accounts, seal: ways.seal, prepare }
    }

    fn serves(&self, ready: &Ready) -> bool {
        self.couriers.contains_key(ready.carrier.as_str()) || self.accounts.contains_key(&ready.id)
    }

    fn manners(&self, carrier: &str) -> Manners {
        self.couriers.get(carrier).map_or(social::MANNERS, |courier| courier.manners())
    }
}

/// What an office carries by.
pub struct Ways {
    /// To programs.
    pub couriers: Vec<Arc<dyn Courier>>,
    /// To own accounts at social networks.
    pub accounts: Vec<Account>,
    /// What logins are kept under.
    pub seal: Arc<Seal>,
    /// For what is written.
    pub templates: Arc<Templates>,
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
                        let _ = without_panic(carry(&office, job)).await;
                        id
                    });
                }
                if desk.is_about_to() { SOON } else { POLL }
            }
            Err(error) => {
                tracing::warn!(%error, "nothing could be claimed for endpoints");
                backoff::SERVICE.wait(1, office.chance.draw_32())
            }
        };
        tokio::select! {
            Some(done) = under_way.join_next() => { done.map(|id| desk.is_done_with(id)).ok(); }
            () = wake.notified() => desk.look_again(),
            () = tokio::time::sleep(rest) => desk.look_again(),
            _ = stop.changed() => {}
        }
    }
    while under_way.join_next().await.is_some() {}
}

/// Carries one delivery and records what came of it.
async fn carry(office: &Office, job: Job) {
    let Job { claimed, endpoint, is_on_trial } = job;
    let manners = office.manners(&endpoint.carrier);
    let mut gate = Gate::new(office.recorder.clone(), office.lease.clone(), AttemptRef::of(&claimed));
    let account = office.accounts.get(&endpoint.id);
    let Ended { outcome, is_for_a_person } = match (account, office.couriers.get(endpoint.carrier.as_str())) {
        (Some(account), _) => without_panic(social::carry(office, account, &claimed, &mut gate))
            .await
            .unwrap_or_else(|| panicked().into()),
        (None, Some(courier)) => attempt(office, courier, &claimed, &endpoint, &mut gate).await.into(),
        (None, None) => Outcome::NotAllowed.into(),
    };
    // Who lets us wait for an answer that never comes is out of order too.
    let blames = match &outcome {
        // What one call to a network did wrong says nothing of the next one.
        Outcome::TryLater { reason: Reason::OurError, .. } if account.is_some() => false,
        Outcome::TryLater { reason, .. } => reason.blames_destination(),
        Outcome::Uncertain { .. } => !is_for_a_person,
        _ => false,
    };
    let has_arrived = matches!(outcome, Outcome::Sent { .. });
    if blames || (is_on_trial && has_arrived) {
        hear(office, &endpoint, &outcome, blames, manners).await;
    }
    if is_of_partner(&endpoint.carrier) && (!has_arrived || is_on_trial) {
        hear_of_partner(office, &endpoint, &outcome).await;
    }
    let waits = manners.backoff;
    let patience = match is_for_a_person {
        true => Patience { give_up_after: FOR_EVER, uncertain_wait: FOR_EVER, waits },
        false => {
            // What waited for its slot is tried for as long as what didn't.
            let waited = account.and_then(|account| account.max_age).unwrap_or_default();
            let give_up_after = manners.give_up_after.saturating_add(waited);
            Patience { give_up_after, uncertain_wait: manners.uncertain_wait, waits }
        }
    };
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    let outcome = match outcome {
        // Whoever never answers is given up too, some day.
        Outcome::Uncertain { reply, .. }
            if !is_for_a_person && account.is_none() && now > claimed.planned_at.plus(patience.give_up_after) =>
        {
            Outcome::TryLater { reason: Reason::AnswerLost, reply, not_before: None }
        }
        outcome => outcome,
    };
    decide::record(&office.recorder, &claimed, &outcome, patience, now, draw).await;
    if matches!(outcome, Outcome::Refused { reason: Reason::Gone, .. }) {
        let (id, gone) = (endpoint.id, endpoint.clone());
        let end = move |tx: &mut Tx<'_>| {
            // Whoever has moved meanwhile isn't meant.
            let ended = endpoints::end_unless_renewed(tx, &gone, "it answered 410 Gone", now)?;
            if ended && is_of_partner(&gone.carrier) {
                partners::gone(tx, gone.id, now)?;
            }
            Ok(ended)
        };
        let ended = office.store.write(end).await;
        match ended {
            Ok(_) => tracing::info!(endpoint = id, carrier = endpoint.carrier, "an endpoint says that it is gone"),
            Err(error) => tracing::warn!(endpoint = id, %error, "an endpoint that is gone could not be ended"),
        }
    }
}

/// What came of an attempt.
pub(super) struct Ended {
    pub outcome: Outcome,
    /// Something may have arrived, and nobody but a person can find out: it isn't tried again by itself, or waits for them.
    pub is_for_a_person: bool,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, is_for_a_person: false }
    }
}

async fn attempt(
    office: &Office,
    courier: &Arc<dyn Courier>,
    claimed: &Claimed,
    endpoint: &Endpoint,
    gate: &mut Gate,
) -> Outcome {
    let writer = courier.clone();
    let write = move |subject: &str, news: &News, templates: &Templates| writer.write(subject, news, templates);
    let body = match office.prepare.edition(claimed.edition_id, write).await {
        Ok(body) => body,
        Err(error) => return error.outcome(claimed.edition_id),
    };
    let push = Push { key: &claimed.key, endpoint, body: &body, now: office.store.about_now() };
    without_panic(courier.carry(&push, gate)).await.unwrap_or_else(panicked)
}

fn panicked() -> Outcome {
    tracing::error!("a carrier panicked");
    Outcome::Uncertain { reason: Reason::AnswerLost, reply: "the carrier panicked".to_owned() }
}

/// What a future comes to, unless it panics.
async fn without_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    std::panic::AssertUnwindSafe(future).catch_unwind().await.ok()
}

/// Whether a carrier goes to partner institutions.
fn is_of_partner(carrier: &str) -> bool {
    matches!(carrier, WEBHOOK | AMQP)
}

/// Keeps in mind since when nothing gets through to a partner: some day it is paused, and its contact told.
async fn hear_of_partner(office: &Office, endpoint: &Endpoint, outcome: &Outcome) {
    let has_failed = match outcome {
        Outcome::TryLater { .. } | Outcome::Uncertain { .. } => true,
        Outcome::Sent { .. } => false,
        Outcome::Refused { .. } | Outcome::NotAllowed => return,
    };
    let (id, now) = (endpoint.id, office.store.about_now());
    match office.store.write(move |tx: &mut Tx<'_>| partners::heard(tx, id, has_failed, now)).await {
        Ok(Heard::Pause { name }) => {
            tracing::error!(
                partner = name,
                "nothing got through for five days; it is paused: `allim partner resume {name}`"
            );
        }
        Ok(Heard::Nothing) => {}
        Err(error) => tracing::warn!(endpoint = id, %error, "how a partner does could not be recorded"),
    }
}

/// Lets the endpoint's breaker hear how it went.
async fn hear(office: &Office, endpoint: &Endpoint, outcome: &Outcome, has_failed: bool, manners: Manners) {
    let name = destination::of_endpoint(&endpoint.carrier, endpoint.id);
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    let asked = match outcome {
        Outcome::TryLater { not_before, .. } => *not_before,
        _ => None,
    };
    let tell = move |tx: &mut Tx<'_>| {
        let mut standing = destinations::lock(tx, &name)?;
        standing.breaker = match has_failed {
            true => standing.breaker.failed_after(manners.opens_after, manners.backoff, now, asked, draw),
            false => standing.breaker.succeeded(),
        };
        destinations::save(tx, &name, &standing)
    };
    if let Err(error) = office.store.write(tell).await {
        tracing::warn!(endpoint = endpoint.id, %error, "how an endpoint does could not be recorded");
    }
}
