//! Where claimed deliveries wait for a session: by lane, so that an urgent one that is claimed later goes first.

use crate::domain::audience::Subscriber;
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
    /// A lane has run half empty.
    low: Notify,
    /// How many of each lane are claimed ahead at most.
    capacity: usize,
}

#[derive(Default)]
struct Waiting {
    lanes: [VecDeque<Job>; Lane::ALL.len()],
    is_closed: bool,
    is_paused: bool,
}

impl Desk {
    pub(super) fn new(capacity: usize) -> Self {
        Self { waiting: Mutex::default(), changed: Notify::new(), low: Notify::new(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more of a lane may be claimed: none until it is half empty, so that claims come in large batches.
    pub(super) fn room(&self, lane: Lane) -> usize {
        let waiting = self.lock().lanes[lane as usize].len();
        if waiting * 2 > self.capacity { 0 } else { self.capacity - waiting }
    }

    /// Puts down what was claimed.
    pub(super) fn put(&self, lane: Lane, jobs: impl IntoIterator<Item = Job>) {
        self.lock().lanes[lane as usize].extend(jobs);
        self.changed.notify_waiters();
    }

    /// The next one, if one waits.
    pub(super) fn try_take(&self) -> Option<Job> {
        let mut waiting = self.lock();
        if waiting.is_closed || waiting.is_paused {
            return None;
        }
        let lane = waiting.lanes.iter_mut().find(|lane| !lane.is_empty())?;
        let job = lane.pop_front();
        if lane.len() * 2 == self.capacity || lane.is_empty() {
            self.low.notify_one();
        }
        job
    }

    /// The next one; `None` once the desk is closed.
    pub(super) async fn take(&self) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(job) = self.try_take() {
                return Some(job);
            }
            if self.is_closed() {
                return None;
            }
            changed.await;
        }
    }

    /// Whether nothing more is handed out.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits until a lane is half empty.
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
}
