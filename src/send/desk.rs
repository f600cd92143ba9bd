//! Where claimed deliveries wait for a session: by lane, so that an urgent one that is claimed later goes first, and by
//! recipient domain, so that one that stalls doesn't keep all sessions busy.

use super::domains::{Admission, Domains, Verdict};
use crate::domain::audience::Subscriber;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::store::deliveries::Claimed;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A delivery that was claimed, and who gets it.
pub(super) type Job = (Claimed, Subscriber);

/// The desk of a destination.
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    /// Something was put down, or the state changed.
    changed: Notify,
    /// A lane has run half empty, or something is to be put back.
    low: Notify,
    /// How many of each lane are claimed ahead at most.
    capacity: usize,
}

struct Waiting {
    lanes: [VecDeque<Job>; Lane::ALL.len()],
    domains: Domains<Job>,
    /// To be put back until then.
    back: Vec<(Job, UnixMillis)>,
    busy: usize,
    is_closed: bool,
    is_paused: bool,
}

impl Waiting {
    /// Puts what was parked before what came later. Returns whether it was anything.
    fn put_first(&mut self, jobs: Vec<(Lane, Job)>) -> bool {
        let is_any = !jobs.is_empty();
        for (lane, job) in jobs.into_iter().rev() {
            self.lanes[lane as usize].push_front(job);
        }
        is_any
    }
}

impl Desk {
    /// A desk that holds so many of each lane, for `sessions` that have up to `each` letters in hand. Each domain may have `share`
    /// of them at first.
    pub(super) fn new(share: usize, sessions: usize, each: usize, capacity: usize) -> Self {
        let waiting = Waiting {
            lanes: Default::default(),
            domains: Domains::new(share, sessions, each, |(_, to)| to.address.domain()),
            back: Vec::new(),
            busy: 0,
            is_closed: false,
            is_paused: false,
        };
        Self { waiting: Mutex::new(waiting), changed: Notify::new(), low: Notify::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more of a lane may be claimed: none until it is half empty, so that claims come in large batches. What is
    /// parked for a domain takes no room from others up to as much again.
    pub(super) fn room(&self, lane: Lane) -> usize {
        let waiting = self.lock();
        let crowd = waiting.domains.parked(lane).saturating_sub(self.capacity);
        let count = waiting.lanes[lane as usize].len() + crowd;
        if count * 2 > self.capacity { 0 } else { self.capacity - count }
    }

    /// Puts down what was claimed.
    pub(super) fn put(&self, lane: Lane, jobs: impl IntoIterator<Item = Job>) {
        self.lock().lanes[lane as usize].extend(jobs);
        self.changed.notify_waiters();
    }

    /// The next one, if one may go. [`Desk::ended`] must follow.
    pub(super) fn try_take(&self, now: UnixMillis) -> Option<Job> {
        let mut guard = self.lock();
        let waiting = &mut *guard;
        if waiting.is_closed || waiting.is_paused {
            return None;
        }
        let had_back = waiting.back.len();
        let mut taken = None;
        for lane in Lane::ALL {
            while taken.is_none() {
                let Some(job) = waiting.lanes[*lane as usize].pop_front() else { break };
                match waiting.domains.admit(*lane, job, now) {
                    Admission::Go(job) => taken = Some(job),
                    Admission::Parked => {}
                    Admission::Back(job, until) => waiting.back.push((job, until)),
                }
                let left = waiting.lanes[*lane as usize].len();
                if left * 2 == self.capacity || left == 0 {
                    self.low.notify_one();
                }
            }
        }
        if waiting.back.len() > had_back {
            self.low.notify_one();
        }
        waiting.busy += usize::from(taken.is_some());
        taken
    }

    /// The next one; `None` once the desk is closed. [`Desk::ended`] must follow.
    pub(super) async fn take(&self, now: impl Fn() -> UnixMillis) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(job) = self.try_take(now()) {
                return Some(job);
            }
            if self.is_closed() {
                return None;
            }
            changed.await;
        }
    }

    /// One that was taken came to an end. `draw` is random, for the jitter of a wait.
    pub(super) fn ended(&self, domain: &str, verdict: Verdict, now: UnixMillis, draw: u32) {
        let mut waiting = self.lock();
        waiting.busy = waiting.busy.saturating_sub(1);
        let freed = waiting.domains.ended(domain, verdict, now, draw);
        if freed.next.is_empty() && freed.back.is_empty() {
            return;
        }
        waiting.put_first(freed.next);
        if !freed.back.is_empty() {
            waiting.back.extend(freed.back);
            self.low.notify_one();
        }
        drop(waiting);
        self.changed.notify_waiters();
    }

    /// What is to be put back, with the instant until which it should rest.
    pub(super) fn take_back(&self, now: UnixMillis, draw: u32) -> Vec<(Job, UnixMillis)> {
        let mut waiting = self.lock();
        let mut back = std::mem::take(&mut waiting.back);
        let mut freed = waiting.domains.sweep(self.capacity, now, draw);
        back.append(&mut freed.back);
        waiting.domains.forget(now);
        if waiting.put_first(freed.next) {
            drop(waiting);
            self.changed.notify_waiters();
        }
        back
    }

    /// How many wait here, and how many are in hand.
    pub(super) fn count(&self) -> (usize, usize) {
        let waiting = self.lock();
        let parked: usize = Lane::ALL.iter().map(|lane| waiting.domains.parked(*lane)).sum();
        (waiting.lanes.iter().map(VecDeque::len).sum::<usize>() + parked, waiting.busy)
    }

    /// Whether anything waits that isn't parked.
    pub(super) fn has_waiting(&self) -> bool {
        self.lock().lanes.iter().any(|lane| !lane.is_empty())
    }

    /// Whether nothing more is handed out.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Has the dispatcher look at once.
    pub(super) fn nudge(&self) {
        self.low.notify_one();
    }

    /// Waits until the dispatcher is needed.
    pub(super) async fn low(&self) {
        self.low.notified().await;
    }

    /// Nothing is handed out while the destination is known to be out of order: what was claimed waits here.
    pub(super) fn pause(&self, is_paused: bool) {
        let was_paused = std::mem::replace(&mut self.lock().is_paused, is_paused);
        if was_paused && !is_paused {
            self.changed.notify_waiters();
        }
    }

    /// Nothing more is handed out; what lies here goes back with the lease.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_waiters();
    }

    /// Waits until nothing more is handed out.
    pub(super) async fn closed(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.lock().is_closed {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audience::Address;
    use crate::domain::delivery::DeliveryKey;
    use crate::domain::language::Language;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn job(recipient_id: i64, domain: &str) -> Job {
        let key = DeliveryKey { plan_id: 1, recipient_id, carrier: "email".to_owned() };
        let claimed = Claimed {
            key,
            term: 1,
            edition_id: 1,
            attempt: 1,
            failures: 0,
            planned_at: NOW,
            uncertain_at: None,
            seat: None,
        };
        let to = Subscriber {
            id: recipient_id,
            address: Address::parse(&format!("r{recipient_id}@{domain}")).expect("an address"),
            name: None,
            language: Language::parse("en").expect("a tag"),
            text_only: false,
            unsubscribed_at: None,
        };
        (claimed, to)
    }

    #[test]
    fn each_job_is_handed_out_once_and_urgent_ones_first() {
        let desk = Desk::new(2, 4, 2, 100);
        desk.put(Lane::Bulk, (0..60).map(|number| job(number, ["a.example", "b.example"][number as usize % 2])));
        desk.put(Lane::Urgent, [job(60, "c.example")]);
        let (mut order, mut held) = (Vec::new(), VecDeque::new());
        while desk.count() != (0, 0) {
            while let Some((claimed, to)) = desk.try_take(NOW) {
                order.push(claimed.key.recipient_id);
                held.push_back(to);
            }
            let to = held.pop_front().expect("somebody holds what isn't waiting");
            desk.ended(to.address.domain(), Verdict::Good, NOW, 0);
        }
        assert_eq!(order.first(), Some(&60));
        order.sort_unstable();
        assert_eq!(order, (0..=60).collect::<Vec<_>>());
    }
}
