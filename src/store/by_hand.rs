//! A store in memory without a thread of its own: whoever holds the other end runs each job when it wants to, loses it, or
//! loses its answer. For simulations: with the usual threads the order of things would be the machine's, not the seed's,
//! and no fault could be put between a commit and its answer. What a job does and what its caller sees are the same code.

use super::jobs::{Job, Queue};
use super::sqlite::{self, Connected};
use super::tallies::Tallies;
use super::{Dialect, Store, StoreError, bell, migrate};
use crate::domain::clock::Clock;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The database behind such a store, and the jobs that wait for it.
pub struct ByHand {
    database: Connected,
    jobs: mpsc::UnboundedReceiver<Box<dyn Job>>,
}

/// A job that waits. Dropped, it was never heard of: its caller learns that the store is out of reach.
pub struct Waiting(Box<dyn Job>);

impl Store {
    /// A store in memory whose jobs are run by hand.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be made.
    pub fn by_hand(clock: Arc<dyn Clock>) -> Result<(Self, ByHand), StoreError> {
        let mut database = sqlite::connect(None)?;
        sqlite::in_transaction(&mut database, migrate::run)?;
        let (queue, jobs) = mpsc::unbounded_channel();
        let queue = Queue::Hand(queue);
        let (writes, reads, bell) = (queue.clone(), queue, bell::Bell::default());
        let store = Self {
            writes,
            reads,
            dialect: Dialect::Sqlite,
            clock,
            ahead_ms: Arc::default(),
            bell,
            tallies: Tallies::default(),
        };
        Ok((store, ByHand { database, jobs }))
    }
}

impl ByHand {
    /// The next job; `None` once no handle to the store is left.
    pub async fn next(&mut self) -> Option<Waiting> {
        self.jobs.recv().await.map(Waiting)
    }

    /// The next job, if one waits already.
    pub fn try_next(&mut self) -> Option<Waiting> {
        self.jobs.try_recv().ok().map(Waiting)
    }

    /// Runs a job in a transaction of its own.
    ///
    /// # Errors
    /// What the job returned; nothing is kept then.
    pub fn run(&mut self, job: &mut Waiting) -> Result<(), StoreError> {
        sqlite::in_transaction(&mut self.database, |tx| job.0.run(tx))
    }
}

impl Waiting {
    /// Tells its caller what became of it.
    pub fn answer(self, committed: Result<(), StoreError>) {
        self.0.answer(committed);
    }
}
