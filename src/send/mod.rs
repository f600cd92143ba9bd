//! Stage 4: it goes out. Claim → carry → record, for each destination by itself: one that is dead or slow delays no other.

pub mod carrier;
pub mod carriers;
mod claim;
pub mod decide;
mod desk;
mod domains;
pub mod group;
pub mod hub;
pub mod lease;
mod objections;
pub mod pace;
pub mod posture;
pub mod prepare;
pub mod purser;
pub mod push;
pub mod recorder;
pub mod relay;
pub mod reroute;
pub mod signing;
pub mod social;
mod worker;

use crate::domain::backoff;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::{Outcome, Reason};
use crate::store::{Store, StoreError};
use claim::Claims;
pub use claim::with_recipients;
use decide::Patience;
use desk::Desk;
use group::Group;
use lease::Lease;
use objections::Objections;
use pace::Pace;
use posture::board::Board;
use prepare::Preparer;
use recorder::Recorder;
use signing::Signing;
use std::sync::{Arc, Mutex};
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
    /// How the senders stand with receivers.
    pub board: Arc<Board>,
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
    let objections = Arc::new(Objections::default());
    tokio::select! {
        () = office.board.looked() => {}
        _ = stop.changed() => {}
    }
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..destination.sessions {
        let (office, destination) = (office.clone(), destination.clone());
        let ahead_max = 1 + office.signing.lead(destination.sessions);
        let (desk, news, objections) = (desk.clone(), news.clone(), objections.clone());
        workers.spawn(Worker { office, destination, desk, news, objections, ahead_max }.run());
    }
    let (mut failures, mut is_in_doubt) = (0, false);
    while !*stop.borrow() {
        put_back(&office, &desk).await;
        let claimed = claim::claim(&office, &destination, &news, &objections, &desk, is_in_doubt).await;
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
