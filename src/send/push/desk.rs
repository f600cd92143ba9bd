//! What is claimed for endpoints: one delivery at a time for each, so that none waits for another.

use super::{Job, Office, is_of_partner};
use crate::domain::backoff::Backoff;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::destination;
use crate::domain::partner::Order;
use crate::send::social::Account;
use crate::store::deliveries::{self, Claimed};
use crate::store::endpoints::{self, Ready};
use crate::store::turns::{self, Service};
use crate::store::{StoreError, Tx, accounts, destinations};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Endpoints that are served at once, and among them such as failed last.
const AT_ONCE_MAX: usize = 32;
const ON_TRIAL_MAX: usize = 8;
/// Endpoints looked up in one query.
const READY_MAX: i64 = 1_000;
/// An account that waits for a slot is looked at this often, for what waits for none.
const SLOT_LOOK: Duration = Duration::from_secs(15);
/// It is looked so often in haste whether a record is there.
const LOOKS_MAX: u32 = 50;
/// Any other for which nothing could be taken is looked at again after this.
const NOTHING_LOOK: Duration = Duration::from_secs(2);

/// What is to be claimed next, and what is in hand.
#[derive(Default)]
pub(super) struct Desk {
    /// Endpoints for which something is due, as was found last.
    ready: VecDeque<Ready>,
    /// Those for which nothing was to be taken, and until when nothing is looked up for them.
    resting: BTreeMap<i64, UnixMillis>,
    /// Those that were served a moment ago, and how often it was looked since whether that is recorded.
    unrecorded: BTreeMap<i64, u32>,
    /// Endpoints that are served, and whether they are on trial.
    busy: BTreeMap<i64, bool>,
    /// Endpoints whose claims may have taken hold without our hearing of it.
    doubtful: Vec<Ready>,
}

impl Desk {
    /// Takes one delivery for each endpoint that isn't busy, as far as there is room.
    pub(super) async fn claim(&mut self, office: &Office) -> Result<Vec<Job>, StoreError> {
        let now = office.store.about_now();
        if self.ready.is_empty() {
            self.ready = office.store.read(move |tx| endpoints::ready(tx, now, READY_MAX)).await?.into();
        }
        let chosen = self.choose(office, now);
        if chosen.is_empty() && self.doubtful.is_empty() {
            self.unrecorded.clear();
            return Ok(Vec::new());
        }
        let (term, doubtful) = (office.lease.term(), std::mem::take(&mut self.doubtful));
        let (asked, before) = (chosen.clone(), doubtful.clone());
        let turns: Vec<_> = asked.iter().map(|one| Turn::of(office, one)).collect();
        let take = move |tx: &mut Tx<'_>| {
            // Under these locks a claim whose answer was lost has either taken hold by now or never will.
            for one in &before {
                destinations::lock(tx, &destination::of_endpoint(&one.carrier, one.id))?;
            }
            if !before.is_empty() {
                deliveries::hand_back_claims(tx, term, now)?;
            }
            let taken = asked.iter().zip(&turns).map(|(one, turn)| claim_one(tx, term, one, turn, now));
            taken.collect::<Result<Vec<Taken>, StoreError>>()
        };
        match office.store.write(take).await {
            Ok(taken) => Ok(self.sort(office, &chosen, taken, now)),
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
    fn choose(&mut self, office: &Office, now: UnixMillis) -> Vec<Ready> {
        let mut room = AT_ONCE_MAX.saturating_sub(self.busy.len());
        let mut trials = ON_TRIAL_MAX.saturating_sub(self.busy.values().filter(|is_on_trial| **is_on_trial).count());
        let mut chosen = Vec::new();
        while room > 0
            && let Some(one) = self.ready.pop_front()
        {
            let fits = !one.is_on_trial || trials > 0;
            let rests = self.resting.get(&one.id).is_some_and(|until| *until > now);
            if fits && !rests && !self.busy.contains_key(&one.id) && office.serves(&one) {
                room -= 1;
                trials -= usize::from(one.is_on_trial);
                chosen.push(one);
            }
        }
        chosen.sort_by_key(|one| one.id);
        chosen
    }

    /// Notes that an endpoint isn't served any more; what came of it may not be recorded yet.
    pub(super) fn is_done_with(&mut self, endpoint_id: i64) {
        self.busy.remove(&endpoint_id);
        self.unrecorded.insert(endpoint_id, 0);
    }

    /// Whether it is worth looking again in a moment: somebody's next delivery waits only for the record of the one before.
    pub(super) fn is_about_to(&self) -> bool {
        !self.unrecorded.is_empty()
    }

    /// What is due is looked up anew.
    pub(super) fn look_again(&mut self) {
        self.ready.clear();
    }

    /// What was taken is in hand. Those for which nothing was to be taken wait a little, so that they don't take others' room again and
    /// again: for the next of their slots, or for what stands before the first in line.
    fn sort(&mut self, office: &Office, chosen: &[Ready], taken: Vec<Taken>, now: UnixMillis) -> Vec<Job> {
        self.resting.retain(|_, until| *until > now);
        let mut jobs = Vec::new();
        for (one, taken) in chosen.iter().zip(taken) {
            match taken {
                Taken::Job(job) => {
                    self.unrecorded.remove(&one.id);
                    self.busy.insert(one.id, job.is_on_trial);
                    jobs.push(*job);
                }
                Taken::Busy => {
                    let looks = self.unrecorded.get(&one.id).map_or(LOOKS_MAX, |looks| looks + 1);
                    self.unrecorded.remove(&one.id);
                    if looks < LOOKS_MAX {
                        self.unrecorded.insert(one.id, looks);
                    }
                }
                Taken::Nothing => {
                    self.unrecorded.remove(&one.id);
                    let slots = office.accounts.get(&one.id).and_then(|account| account.slots.as_ref());
                    let until = match slots {
                        Some(slots) => {
                            slots.next(now).map_or(now.plus(SLOT_LOOK), |next| next.min(now.plus(SLOT_LOOK)))
                        }
                        None => now.plus(NOTHING_LOOK),
                    };
                    self.resting.insert(one.id, until);
                }
            }
        }
        // Whoever isn't among those for whom something is due waits for nothing.
        if self.ready.is_empty() {
            self.unrecorded.retain(|id, _| chosen.iter().any(|one| one.id == *id));
        }
        jobs
    }
}

/// What came of looking for an endpoint's next delivery.
enum Taken {
    /// This one.
    Job(Box<Job>),
    /// The one before isn't recorded yet.
    Busy,
    /// There is none to be taken now.
    Nothing,
}

/// By what it goes whose turn it is at an endpoint.
enum Turn {
    /// The oldest that is due, urgent ones first.
    Oldest,
    /// An account's slots and how long it keeps news.
    Account(Arc<Account>),
}

impl Turn {
    fn of(office: &Office, ready: &Ready) -> (Self, &'static Backoff) {
        let turn = office.accounts.get(&ready.id).map_or(Self::Oldest, |account| Self::Account(account.clone()));
        (turn, office.manners(&ready.carrier).backoff)
    }

    fn take(
        &self,
        tx: &mut Tx<'_>,
        term: i64,
        destination: &str,
        now: UnixMillis,
    ) -> Result<Option<Claimed>, StoreError> {
        if let Self::Account(account) = self {
            if let Some(max_age) = account.max_age {
                let stale = turns::give_up_stale(tx, destination, now.minus(max_age), now)?;
                if stale > 0 {
                    tracing::info!(account = account.rule.name, stale, "posts were too old to be said");
                }
            }
            if let Some(slots) = &account.slots {
                let again = turns::due_again(tx, destination, now)?;
                let used = accounts::find(tx, account.endpoint_id)?.slot_at;
                let slot = slots.newest(now).filter(|slot| Some(*slot) > used);
                let turn = match (again, slot) {
                    _ if !deliveries::is_open(tx, term, destination)? => None,
                    // A second try that comes in a slot of its own takes that one too: two would stand side by side.
                    (Some((key, true)), Some(slot)) => {
                        turns::use_slot(tx, account.endpoint_id, slot)?;
                        Some(key)
                    }
                    (Some((key, _)), _) => Some(key),
                    (None, Some(slot)) => turns::open_slot(tx, account.endpoint_id, destination, slot)?,
                    (None, None) => None,
                };
                return turns::take(tx, term, destination, turn);
            }
        }
        for lane in Lane::ALL {
            if let Some(claimed) = deliveries::claim(tx, term, destination, *lane, now, 1)?.pop() {
                return Ok(Some(claimed));
            }
        }
        Ok(None)
    }
}

fn claim_one(
    tx: &mut Tx<'_>,
    term: i64,
    ready: &Ready,
    (turn, waits): &(Turn, &'static Backoff),
    now: UnixMillis,
) -> Result<Taken, StoreError> {
    let name = destination::of_endpoint(&ready.carrier, ready.id);
    let breaker = destinations::lock(tx, &name)?.breaker;
    let is_open = breaker.admits_by(waits, now);
    let Some(endpoint) = endpoints::find(tx, ready.id)?.filter(|_| is_open) else { return Ok(Taken::Nothing) };
    // Another process may be carrying the one before.
    if endpoints::is_busy(tx, &name)? {
        return Ok(Taken::Busy);
    }
    let partner = match is_of_partner(&ready.carrier) {
        true => turns::of_partner(tx, ready.id)?,
        false => None,
    };
    let claimed = match partner {
        Some(Service { order: Order::Line, .. }) => {
            let turn = turns::first_in_line(tx, &name, now)?;
            turns::take(tx, term, &name, turn)?
        }
        _ => turn.take(tx, term, &name, now)?,
    };
    if let (Some(one), Some(Service { is_trusted: false, .. })) = (&claimed, partner)
        && turns::cancel_embargoed(tx, one, now)?
    {
        return Ok(Taken::Busy);
    }
    let is_on_trial = breaker.failures > 0 || partner.is_some_and(|service| service.is_failing);
    Ok(claimed.map_or(Taken::Nothing, |claimed| Taken::Job(Box::new(Job { claimed, endpoint, is_on_trial }))))
}
