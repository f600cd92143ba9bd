//! Stage 4: it goes out. Claim → carry → record, for each destination by itself: one that is dead or slow delays no other.

pub mod carrier;
pub mod carriers;
pub mod decide;
pub mod lease;
pub mod pace;
pub mod prepare;
pub mod recorder;

use crate::domain::audience::Subscriber;
use crate::domain::breaker::Breaker;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::{Lane, Outcome, Reason};
use crate::store::deliveries::{self, AttemptRef, Claimed};
use crate::store::{Store, StoreError, Tx, destinations, subscribers};
use carrier::{Carrier, Gate, Session};
use decide::Patience;
use futures_util::FutureExt as _;
use lease::Lease;
use pace::Pace;
use prepare::{PrepareError, Preparer};
use recorder::Recorder;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// Parcels waiting for each session of a destination at most: enough to keep it busy through a claim, few enough that
/// an urgent one soon has its turn.
const AHEAD_PER_SESSION: usize = 4;
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
    let (jobs, queue) = mpsc::channel::<(Claimed, Subscriber)>(sessions * AHEAD_PER_SESSION);
    let queue = Arc::new(tokio::sync::Mutex::new(queue));
    let (news, done) = (Arc::new(Mutex::new(News::default())), Arc::new(Notify::new()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..sessions {
        let worker = Worker {
            office: office.clone(),
            session: destination.carrier.open(),
            queue: queue.clone(),
            news: news.clone(),
            done: done.clone(),
            stop: stop.clone(),
        };
        workers.spawn(worker.run());
    }
    let mut failures = 0;
    while !*stop.borrow() {
        // Half the queue at a time, so that claims come in batches while no session runs dry.
        let room = jobs.capacity();
        let rest = if room * 2 < jobs.max_capacity() {
            Duration::from_secs(3_600)
        } else {
            match claim(&office, &destination, &news, room).await {
                Ok((claimed, rest)) => {
                    failures = 0;
                    let busy = !claimed.is_empty();
                    for job in claimed {
                        if jobs.send(job).await.is_err() {
                            break;
                        }
                    }
                    if busy { continue } else { rest }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(destination = destination.name, %error, "nothing could be claimed");
                    crate::domain::backoff::SERVICE.wait(failures, office.chance.draw_32())
                }
            }
        };
        tokio::select! {
            () = destination.wake.notified() => {}
            () = done.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    drop(jobs);
    while workers.join_next().await.is_some() {}
}

/// Takes what may go now, with who gets it; and how long to rest when that is nothing.
async fn claim(
    office: &Office,
    destination: &Destination,
    news: &Mutex<News>,
    room: usize,
) -> Result<(Vec<(Claimed, Subscriber)>, Duration), StoreError> {
    let news = std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner));
    let now = office.store.now().await?;
    let (term, name, pace) = (office.lease.term(), destination.name.clone(), destination.pace);
    let draw = office.chance.draw_32();
    let news = Arc::new(news);
    office
        .store
        .write(move |tx| {
            let mut standing = destinations::lock(tx, &name)?;
            let before = standing;
            standing.breaker = hear(standing.breaker, &news, now, draw);
            let mut claimed = Vec::new();
            let mut rest = POLL;
            if standing.breaker.admits(now) {
                let (granted, allowance_at) =
                    pace.grant(standing.allowance_at, now, u32::try_from(room).unwrap_or(u32::MAX));
                claimed = by_lane(tx, term, &name, now, granted as usize)?;
                // What was granted and not used is given back by granting exactly what was taken.
                let used = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
                standing.allowance_at =
                    if used == granted { allowance_at } else { pace.grant(standing.allowance_at, now, used).1 };
                if claimed.is_empty() {
                    rest = deliveries::next_due(tx, &name)?.map_or(POLL, |due| now.until(due).clamp(MIN_REST, POLL));
                }
            } else if let Some(until) = standing.breaker.not_before {
                rest = now.until(until).min(POLL);
            }
            if standing != before {
                destinations::save(tx, &name, &standing)?;
            }
            Ok((with_recipients(tx, claimed, now)?, rest))
        })
        .await
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
fn by_lane(tx: &mut Tx<'_>, term: i64, name: &str, now: UnixMillis, room: usize) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed: Vec<Claimed> = Vec::new();
    for lane in Lane::ALL {
        let left = room.saturating_sub(claimed.len());
        if left > 0 {
            claimed.append(&mut deliveries::claim(tx, term, name, *lane, now, left as i64)?);
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

struct Worker {
    office: Arc<Office>,
    session: Box<dyn Session>,
    queue: Arc<tokio::sync::Mutex<mpsc::Receiver<(Claimed, Subscriber)>>>,
    news: Arc<Mutex<News>>,
    done: Arc<Notify>,
    stop: watch::Receiver<bool>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            let job = self.queue.lock().await.recv().await;
            let Some((claimed, to)) = job else { break };
            // On the way out claims that nothing was done for are handed back with the lease.
            if !*self.stop.borrow() {
                self.one(claimed, to).await;
                self.done.notify_one();
            }
        }
        self.session.close().await;
    }

    async fn one(&mut self, claimed: Claimed, to: Subscriber) {
        let outcome = match self.office.preparer.edition(claimed.edition_id).await {
            Ok(prepared) => self.carry(&claimed, prepared, to).await,
            Err(PrepareError::Store(error)) => {
                tracing::warn!(%error, "an edition could not be loaded");
                Outcome::NotAllowed
            }
            Err(error) => {
                tracing::error!(edition = claimed.edition_id, %error, "an edition can't be rendered");
                Outcome::Refused { reason: Reason::RenderFailed, reply: error.to_string() }
            }
        };
        self.hear(&outcome);
        let Ok(now) = self.office.store.now().await.inspect_err(|error| tracing::warn!(%error, "no time")) else {
            // The database is away: the recorder waits for it, with the time of planning, which is earlier.
            return record(&self.office, &claimed, &outcome, claimed.planned_at).await;
        };
        record(&self.office, &claimed, &outcome, now).await;
    }

    async fn carry(&mut self, claimed: &Claimed, prepared: Arc<carrier::Prepared>, to: Subscriber) -> Outcome {
        let parcel = self.office.preparer.parcel(claimed, prepared, to);
        let attempt = AttemptRef::of(claimed);
        let mut gate = Gate::new(self.office.recorder.clone(), self.office.lease.clone(), attempt);
        let carried = std::panic::AssertUnwindSafe(self.session.carry(&parcel, &mut gate)).catch_unwind().await;
        carried.unwrap_or_else(|_| {
            tracing::error!("a carrier panicked");
            Outcome::Uncertain { reason: Reason::AnswerLost, reply: "the carrier panicked".to_owned() }
        })
    }

    fn hear(&self, outcome: &Outcome) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Sent { .. } => {
                news.succeeded = true;
                news.failures.clear();
            }
            Outcome::TryLater { reason, not_before, .. } if reason.blames_destination() => {
                news.failures.push(*not_before);
            }
            _ => {}
        }
    }
}

async fn record(office: &Office, claimed: &Claimed, outcome: &Outcome, now: UnixMillis) {
    let ended = decide::follow(claimed, outcome, office.patience, now, office.chance.draw_32());
    metrics::counter!("allim_attempts_total", "state" => ended.state, "reason" => ended.reason.word()).increment(1);
    if ended.state == "uncertain" {
        metrics::counter!("allim_uncertain_total").increment(1);
    }
    if ended.state != "sent" {
        tracing::info!(delivery = %claimed.key, state = ended.state, reason = %ended.reason, reply = ended.reply, "not delivered");
    }
    office.recorder.end(ended).await;
}
