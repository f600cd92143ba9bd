//! A worker: one session of a destination, with the delivery that it carries, the one after it, and those being signed.

use super::carrier::{Gate, Parcel};
use super::desk::{Desk, Job};
use super::domains::Verdict;
use super::group::Seated;
use super::objections::Objections;
use super::prepare::PrepareError;
use super::{Destination, News, Office, decide};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::store::deliveries::{AttemptRef, Claimed};
use crate::store::tallies::Kind;
use futures_util::FutureExt as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Letters of a connection that are marked as about to be sent while one is sent, where that takes less than [`FAST`] and nobody
/// else waits for the connection: a commit takes longer than a letter, and is shared by as many. A process that dies leaves them
/// uncertain, and the one that is sent with them.
pub const MARKED_AHEAD: usize = 4;
/// More are marked when no more than this is left.
const MARKED_LOW: usize = 1;
/// What takes longer hides a commit by itself: then only the letter that is announced is marked.
const FAST: Duration = Duration::from_millis(5);
/// A session whose letter takes longer keeps no others waiting behind it.
const STALLED_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    pub office: Arc<Office>,
    pub destination: Arc<Destination>,
    pub desk: Arc<Desk>,
    pub news: Arc<Mutex<News>>,
    pub objections: Arc<Objections>,
    /// Deliveries made ready beside the one that is carried: the one to announce, and those whose letters are signed meanwhile.
    pub ahead_max: usize,
}

/// A delivery that is ready to be carried.
struct Ready {
    claimed: Claimed,
    parcel: Parcel,
    gate: Gate,
}

impl Worker {
    /// Works until the desk is closed. What was announced to the far side by then is carried to its end.
    pub(super) async fn run(self) {
        let (mut ahead, mut seated): (VecDeque<Ready>, Option<Seated>) = (VecDeque::new(), None);
        // How long the letter before took, and whether all was well with it.
        let mut before: Option<Duration> = None;
        let is_shared = self.destination.group.is_shared();
        loop {
            let current = match ahead.pop_front() {
                Some(ready) => ready,
                None => {
                    let Some(job) = self.next_job(&mut seated).await else { break };
                    match self.ready(job).await {
                        Some(ready) => ready,
                        None => continue,
                    }
                }
            };
            if seated.is_none() && current.gate.is_asked() {
                // Nobody knows how long it would wait for a relay, and what was asked of the ledger may not hold by then.
                ahead.push_front(current);
                let marked: VecDeque<Ready> = ahead.drain(..marked(&ahead)).collect();
                self.give_back(marked).await;
                continue;
            }
            // The letter that was announced ahead is paid for; another one may have to wait for a relay.
            let mut seat = match seated.take() {
                Some(seat) => seat,
                None => match self.destination.group.seat(&self.office, &self.desk).await {
                    Some(seat) => seat,
                    None => break,
                },
            };
            let is_fast = before.is_some_and(|took| took < FAST) && seat.seat.is_at_leisure(is_shared);
            let is_slow = before.is_some_and(|took| took > STALLED_AFTER);
            let ahead_max = match (is_fast, is_slow) {
                (true, _) => self.ahead_max.max(MARKED_AHEAD),
                (_, true) => 1,
                _ => self.ahead_max,
            };
            while ahead.len() < ahead_max {
                let Some(job) = self.desk.try_take(self.office.store.about_now()) else { break };
                ahead.extend(self.ready(job).await);
            }
            let pay = |seat: &mut Seated| seat.seat.pay(is_shared, self.office.store.about_now());
            let is_paid = !ahead.is_empty() && pay(&mut seat);
            if is_fast && is_paid {
                mark(&mut ahead);
            }
            let mut next = ahead.pop_front();
            let began = self.office.store.about_now();
            let carrying = self.carry(current, next.as_mut().filter(|_| is_paid), &mut seat);
            let carried = self.watched(carrying, &mut ahead).await;
            before = carried.is_well.then(|| began.until(self.office.store.about_now()));
            if let Some(next) = next {
                ahead.push_front(next);
            }
            if self.desk.is_closed() {
                // What was announced or marked goes out; the others go back with the lease, like those on the desk.
                ahead.truncate(marked(&ahead).max(1));
            }
            let goes_on = !ahead.is_empty() || self.desk.has_waiting();
            if (is_paid && !carried.has_moved) || (goes_on && pay(&mut seat)) {
                seated = Some(seat);
            }
        }
    }

    /// Waits for a letter. When it takes long or goes wrong, those behind it are given back: nobody knows how long they would
    /// wait.
    async fn watched(&self, carrying: impl Future<Output = Carried>, behind: &mut VecDeque<Ready>) -> Carried {
        tokio::pin!(carrying);
        let carried = match tokio::time::timeout(STALLED_AFTER, &mut carrying).await {
            Ok(carried) => carried,
            Err(_) => {
                self.give_back(std::mem::take(behind)).await;
                carrying.await
            }
        };
        if !carried.is_well {
            self.give_back(std::mem::take(behind)).await;
        }
        carried
    }

    async fn give_back(&self, letters: VecDeque<Ready>) {
        for ready in letters {
            let domain = ready.parcel.to.address.domain();
            self.desk.ended(domain, Verdict::Silent, self.office.store.about_now(), 0);
            record(&self.office, &ready.claimed, &Outcome::NotAllowed).await;
        }
    }

    /// The next job. A seat that is held is paid for, and is given up when there is nothing to be carried.
    async fn next_job(&self, seated: &mut Option<Seated>) -> Option<Job> {
        let now = || self.office.store.about_now();
        if let Some(job) = self.desk.try_take(now()) {
            return Some(job);
        }
        if let Some(seat) = seated.take() {
            seat.seat.refund();
        }
        self.desk.take(now).await
    }

    /// Makes a delivery ready; when it can't be, that is its outcome.
    async fn ready(&self, (claimed, to): Job) -> Option<Ready> {
        let outcome = match self.office.preparer.edition(claimed.edition_id).await {
            Ok(prepared) => {
                let mut parcel = self.office.preparer.parcel(&claimed, prepared, to);
                parcel.pen = self.office.signing.pen(&parcel.prepared.sender.name);
                parcel.sign_ahead();
                let attempt = AttemptRef::of(&claimed);
                let gate = Gate::new(self.office.recorder.clone(), self.office.lease.clone(), attempt);
                return Some(Ready { claimed, parcel, gate });
            }
            Err(PrepareError::Store(error)) => {
                tracing::warn!(%error, "an edition could not be loaded");
                Outcome::NotAllowed
            }
            Err(error) => {
                tracing::error!(edition = claimed.edition_id, %error, "an edition can't be rendered");
                Outcome::Refused { reason: Reason::RenderFailed, reply: error.to_string() }
            }
        };
        self.desk.ended(to.address.domain(), Verdict::Silent, self.office.store.about_now(), 0);
        record(&self.office, &claimed, &outcome).await;
        None
    }

    /// Carries a letter, by another relay when the first is out of order, and records what came of it.
    async fn carry(&self, mut current: Ready, mut ahead: Option<&mut Ready>, seat: &mut Seated) -> Carried {
        let mut tried = Vec::new();
        let outcome = loop {
            let outcome = carry_once(&mut current, ahead.as_deref_mut(), seat).await;
            let now = self.office.store.about_now();
            seat.seat.relay.hear(&outcome, now, self.office.chance.draw_32());
            let is_free = current.gate.is_unpassed() && self.destination.group.is_shared();
            if !is_free || !is_relays_fault(&outcome) {
                break outcome;
            }
            match self.destination.group.seat_elsewhere(now, &[&tried[..], &[seat.way]].concat()) {
                Some(other) => {
                    tracing::debug!(delivery = %current.claimed.key, from = seat.seat.relay.name, to = other.seat.relay.name, "carried by another relay");
                    metrics::counter!("allim_failovers_total", "relay" => seat.seat.relay.name.clone()).increment(1);
                    // What was paid for the letter after this one isn't spent at the relay that failed.
                    if ahead.is_some() && tried.is_empty() {
                        seat.seat.refund();
                    }
                    tried.push(seat.way);
                    *seat = other;
                }
                None => break outcome,
            }
        };
        let verdict = self.hear(&outcome);
        let domain = current.parcel.to.address.domain();
        let kind = current.parcel.prepared.kind;
        if self.objections.hear(&outcome, domain, kind, self.office.store.about_now()) {
            self.desk.nudge();
        }
        self.desk.ended(domain, verdict, self.office.store.about_now(), self.office.chance.draw_32());
        let accepted_at = current.parcel.prepared.accepted_at;
        self.tally(&outcome, domain, accepted_at);
        record(&self.office, &current.claimed, &outcome).await;
        let is_well = !is_relays_fault(&outcome) && !matches!(outcome, Outcome::Uncertain { .. });
        Carried { has_moved: !tried.is_empty(), is_well }
    }

    /// Counts what the control room plots.
    fn tally(&self, outcome: &Outcome, domain: &str, accepted_at: Option<UnixMillis>) {
        let tallies = self.office.store.tallies();
        match (outcome, accepted_at) {
            (Outcome::Sent { .. }, Some(at)) => tallies.took(at.until(self.office.store.about_now())),
            (Outcome::Refused { .. }, _) => tallies.count(Kind::Bounce, domain, 1),
            _ => {}
        }
    }

    /// What an outcome says of the recipient's domain. A class of domains has one breaker, which the dispatcher keeps: it
    /// is told, and the domain within the class isn't blamed.
    fn hear(&self, outcome: &Outcome) -> Verdict {
        let verdict = Verdict::of(outcome);
        if !self.destination.is_class {
            return verdict;
        }
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match (verdict, outcome) {
            (Verdict::Good, _) => {
                news.succeeded = true;
                news.failures.clear();
            }
            (Verdict::Bad, Outcome::TryLater { not_before, .. }) => {
                news.failures.push(*not_before);
                self.desk.nudge();
                return Verdict::Silent;
            }
            _ => {}
        }
        verdict
    }
}

/// How a letter was carried.
struct Carried {
    /// By another relay than the first.
    has_moved: bool,
    /// Nothing was wrong with the relay.
    is_well: bool,
}

/// How many letters are marked: those that come first.
fn marked(ahead: &VecDeque<Ready>) -> usize {
    ahead.iter().take_while(|ready| ready.gate.is_asked()).count()
}

/// Has the next letters marked, as soon as few are.
fn mark(ahead: &mut VecDeque<Ready>) {
    if marked(ahead) <= MARKED_LOW {
        ahead.iter_mut().take(MARKED_AHEAD).for_each(|ready| ready.gate.ask());
    }
}

/// Whether another relay may do better.
fn is_relays_fault(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::TryLater { reason, .. } if reason.blames_destination())
}

async fn carry_once(current: &mut Ready, ahead: Option<&mut Ready>, seat: &mut Seated) -> Outcome {
    let ahead = ahead.map(|ready| (&ready.parcel, &mut ready.gate));
    let carrying = seat.seat.session().carry(&current.parcel, &mut current.gate, ahead);
    match std::panic::AssertUnwindSafe(carrying).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!("a carrier panicked");
            seat.seat.discard_session();
            Outcome::Uncertain { reason: Reason::AnswerLost, reply: "the carrier panicked".to_owned() }
        }
    }
}

/// Records what came of an attempt, or of a claim that no attempt followed.
pub(super) async fn record(office: &Office, claimed: &Claimed, outcome: &Outcome) {
    let (now, draw) = (office.store.about_now(), office.chance.draw_32());
    decide::record(&office.recorder, claimed, outcome, office.patience, now, draw).await;
}
