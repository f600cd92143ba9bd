//! A relay: its connections, which all destinations that go by it share, its breaker, and how much it may be given.

use super::Office;
use super::carrier::{Carrier, Session};
use super::pace::{Pace, Ramp};
use crate::domain::breaker::{Breaker, FAILURES_TO_OPEN};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A relay all of whose connections are busy and that hasn't finished a letter for this long is passed over while the
/// group has another.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// After an outage one letter tries the relay; when nothing has come of it for this long, another one does.
const TRIAL_MAX: Duration = Duration::from_secs(2);
/// Letters that a session carries in one go while others wait for its connection, or there are other relays to be
/// given their share; and how long that may take.
const TURN_LETTERS: usize = 16;
const TURN: Duration = Duration::from_millis(250);

/// What a relay may be given.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Messages a second.
    pub pace: Pace,
    /// Messages a day in its first weeks.
    pub ramp: Option<Ramp>,
}

/// A relay, or a folder in the place of one.
pub struct Relay {
    /// Its name, such as `main`.
    pub name: String,
    carrier: Box<dyn Carrier>,
    pub(super) limits: Limits,
    /// Sessions that nobody uses now; the one used last is used next, for its connection is still warm.
    idle: Mutex<Vec<Box<dyn Session>>>,
    seats: Arc<Semaphore>,
    /// How many wait for a seat.
    waiting: AtomicUsize,
    /// When it last finished a letter, or began after a rest.
    moved_at: AtomicI64,
    health: Mutex<Health>,
    /// Letters that the ledger has granted and that aren't used yet; meaningless without limits.
    pub(super) budget: AtomicI64,
    /// Tells the purser that there is news, or that the budget is used up.
    pub(super) stir: Notify,
    /// Tells those who wait that it may be usable again.
    changed: Notify,
}

/// What is known of a relay's health.
#[derive(Default)]
pub(super) struct Health {
    pub breaker: Breaker,
    /// Whether the ledger doesn't know it yet.
    pub has_news: bool,
    /// Since when a trial is under way after an outage.
    tried_at: Option<UnixMillis>,
}

impl Health {
    /// Whether what comes of a trial should be waited for. One that takes long says nothing about the next.
    fn is_tried(&self, now: UnixMillis) -> bool {
        is_shaky(self.breaker) && self.tried_at.is_some_and(|at| at.until(now) < TRIAL_MAX)
    }
}

impl Relay {
    /// A relay that nothing was sent to yet.
    #[must_use]
    pub fn new(name: &str, carrier: Box<dyn Carrier>, limits: Limits) -> Arc<Self> {
        let connections = carrier.sessions().max(1);
        Arc::new(Self {
            name: name.to_owned(),
            carrier,
            limits,
            idle: Mutex::default(),
            seats: Arc::new(Semaphore::new(connections)),
            waiting: AtomicUsize::new(0),
            moved_at: AtomicI64::new(0),
            health: Mutex::default(),
            budget: AtomicI64::new(0),
            stir: Notify::new(),
            changed: Notify::new(),
        })
    }

    /// Connections at once.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.carrier.sessions().max(1)
    }

    pub(super) fn per_second(&self) -> Option<u32> {
        self.limits.pace.per_second
    }

    /// Connections in use now.
    pub(super) fn busy(&self) -> usize {
        self.connections().saturating_sub(self.seats.available_permits())
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the ledger has to be asked before it is used.
    pub(super) fn is_limited(&self) -> bool {
        self.limits.pace.per_second.is_some() || self.limits.ramp.is_some()
    }

    /// When it may be tried: not after `now` if it may be now.
    pub(super) fn opens_at(&self, now: UnixMillis) -> UnixMillis {
        self.health().breaker.closed_until(now).unwrap_or(now)
    }

    /// Whether it may be given a letter now, once it has a seat.
    pub(super) fn is_usable(&self, now: UnixMillis) -> bool {
        let has_budget = !self.is_limited() || self.budget.load(Ordering::Relaxed) > 0;
        if !has_budget {
            self.stir.notify_one();
        }
        let health = self.health();
        // After an outage one letter tries it, and the others wait for what comes of it.
        has_budget && health.breaker.admits(now) && !health.is_tried(now)
    }

    /// Whether all its connections are busy and none has come to an end for a while.
    pub(super) fn is_stalled(&self, now: UnixMillis) -> bool {
        let moved_at = UnixMillis(self.moved_at.load(Ordering::Relaxed));
        self.seats.available_permits() == 0 && moved_at.until(now) > STALLED_AFTER
    }

    /// Waits until something has changed for the better.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn tell(&self) {
        self.changed.notify_waiters();
    }

    /// A seat, if one is free.
    pub(super) fn try_seat(self: &Arc<Self>, now: UnixMillis) -> Option<Seat> {
        let permit = self.seats.clone().try_acquire_owned().ok()?;
        self.sit(permit, now)
    }

    /// A seat as soon as one is free; `None` when that takes long, or it can't be used after all.
    pub(super) async fn seat(self: &Arc<Self>, office: &Office) -> Option<Seat> {
        let _waiting = Waiting::on(self);
        let permit = tokio::time::timeout(STALLED_AFTER, self.seats.clone().acquire_owned()).await.ok()?.ok()?;
        self.sit(permit, office.store.about_now())
    }

    fn sit(self: &Arc<Self>, permit: OwnedSemaphorePermit, now: UnixMillis) -> Option<Seat> {
        let is_trial = {
            let mut health = self.health();
            let is_trial = is_shaky(health.breaker);
            if !health.breaker.admits(now) || health.is_tried(now) {
                return None;
            }
            health.tried_at = is_trial.then_some(now).or(health.tried_at);
            is_trial
        };
        // Made first, so that a trial that comes to nothing is ended by its end.
        let mut seat =
            Seat { relay: self.clone(), session: None, permit: Some(permit), letters: 0, since: now, is_trial };
        if !self.spend() {
            return None;
        }
        if self.busy() == 1 {
            self.moved_at.store(now.0, Ordering::Relaxed);
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        seat.session = Some(idle.unwrap_or_else(|| self.carrier.open()));
        Some(seat)
    }

    /// Takes one letter off the budget.
    fn spend(&self) -> bool {
        if !self.is_limited() {
            return true;
        }
        let take = |left: i64| (left > 0).then_some(left - 1);
        let taken = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if !matches!(taken, Ok(2..)) {
            self.stir.notify_one();
        }
        taken.is_ok()
    }

    /// Hears what came of a letter. `draw` is random, for the jitter of the wait.
    pub(super) fn hear(&self, outcome: &Outcome, now: UnixMillis, draw: u32) {
        self.moved_at.store(now.0, Ordering::Relaxed);
        let mut health = self.health();
        let before = health.breaker;
        match outcome {
            Outcome::Sent { .. } => health.breaker = before.succeeded(),
            Outcome::Refused { reason, .. } if !matches!(reason, Reason::Policy | Reason::RenderFailed) => {
                health.breaker = before.succeeded();
            }
            // What was under way when it was found out of order says nothing new.
            Outcome::TryLater { reason, not_before, .. } if reason.blames_destination() && before.admits(now) => {
                health.breaker = before.failed(now, *not_before, draw);
            }
            Outcome::Uncertain { .. } if before.admits(now) => health.breaker = before.failed(now, None, draw),
            _ => {}
        }
        if health.breaker == before {
            return;
        }
        health.has_news = true;
        let (was_open, is_open) = (before.admits(now), health.breaker.admits(now));
        let until = health.breaker.not_before;
        drop(health);
        if was_open && !is_open {
            tracing::warn!(relay = self.name, until = until.map(tracing::field::display), "a relay is out of order");
        } else if is_shaky(before) && is_open {
            tracing::info!(relay = self.name, "a relay is in order again");
        }
        self.stir.notify_one();
        self.tell();
    }

    /// Ends all sessions that aren't in use, politely.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        futures_util::future::join_all(idle.into_iter().map(|mut session| async move { session.close().await })).await;
    }
}

/// Whether it was out of order and hasn't shown since that it is well.
fn is_shaky(breaker: Breaker) -> bool {
    breaker.failures >= FAILURES_TO_OPEN
}

/// Counts one that waits, also when it gives up.
struct Waiting<'a>(&'a Relay);

impl<'a> Waiting<'a> {
    fn on(relay: &'a Relay) -> Self {
        relay.waiting.fetch_add(1, Ordering::Relaxed);
        Self(relay)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to use one of a relay's connections, for one letter that is paid for and as many as are paid for after it.
pub(super) struct Seat {
    pub relay: Arc<Relay>,
    session: Option<Box<dyn Session>>,
    permit: Option<OwnedSemaphorePermit>,
    letters: usize,
    since: UnixMillis,
    is_trial: bool,
}

impl Seat {
    /// The session.
    pub(super) fn session(&mut self) -> &mut dyn Session {
        self.letters += 1;
        let relay = &self.relay;
        self.session.get_or_insert_with(|| relay.carrier.open()).as_mut()
    }

    /// A session that failed in a way that it can't have foreseen isn't used again.
    pub(super) fn discard_session(&mut self) {
        self.session = None;
    }

    /// Takes one more letter off the relay's budget, unless the connection should go to somebody else. `is_shared` when the
    /// destination has other relays.
    pub(super) fn pay(&self, is_shared: bool, now: UnixMillis) -> bool {
        let others_wait = is_shared || self.relay.waiting.load(Ordering::Relaxed) > 0;
        let is_over = others_wait && (self.letters >= TURN_LETTERS || self.since.until(now) > TURN);
        let is_open = || self.relay.health().breaker.admits(now);
        !is_over && !self.is_trial && is_open() && self.relay.spend()
    }

    /// Whether nothing but a fault can take the connection away soon: no limit, nobody who waits, no other relay to be given its
    /// share.
    pub(super) fn is_at_leisure(&self, is_shared: bool) -> bool {
        !is_shared && !self.is_trial && !self.relay.is_limited() && self.relay.waiting.load(Ordering::Relaxed) == 0
    }

    /// Gives back what was paid for a letter that there isn't.
    pub(super) fn refund(&self) {
        if self.relay.is_limited() {
            self.relay.budget.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.relay.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
        // The permit goes after the session, so that whoever gets it finds the session.
        self.permit = None;
        if self.is_trial {
            self.relay.health().tried_at = None;
            self.relay.tell();
        }
    }
}
