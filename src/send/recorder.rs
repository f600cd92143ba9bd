//! The recorder: one task that commits for all workers of a process together, both what is about to be sent and what came of it.

use crate::domain::backoff;
use crate::domain::clock::Chance;
use crate::domain::delivery::DeliveryKey;
use crate::store::deliveries::{self, AttemptRef, Ended};
use crate::store::{Store, Tx};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Records in one transaction at most.
const BATCH_MAX: usize = 512;
/// How often more is waited for, a turn of the scheduler each time.
const GATHER_ROUNDS_MAX: usize = 16;
/// Records waiting at most; more than all workers together can have open.
const QUEUE_MAX: usize = 4_096;

enum Record {
    Begin(AttemptRef, oneshot::Sender<bool>),
    End(Box<Ended>),
}

/// A handle to the recorder.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Record>,
}

impl Recorder {
    /// Starts the recorder; it ends when the last handle is dropped and everything is recorded.
    #[must_use]
    pub fn start(store: Store, chance: Arc<dyn Chance>) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, records) = mpsc::channel(QUEUE_MAX);
        (Self { queue }, tokio::spawn(run(store, chance, records)))
    }

    /// Asks to commit that an attempt is about to pass the point of no return. The answer says whether it may.
    pub(super) fn begin(&self, attempt: AttemptRef) -> oneshot::Receiver<bool> {
        let (answer, receiver) = oneshot::channel();
        // A full queue or an ended recorder drops the sender, which reads as no.
        let _ = self.queue.try_send(Record::Begin(attempt, answer));
        receiver
    }

    /// Records what came of an attempt, before anything that is asked for later.
    pub(super) async fn end(&self, ended: Ended) {
        // The recorder ends after the last handle, so there is somebody to take it.
        let _ = self.queue.send(Record::End(Box::new(ended))).await;
    }
}

async fn run(store: Store, chance: Arc<dyn Chance>, mut records: mpsc::Receiver<Record>) {
    let mut batch = Vec::new();
    while records.recv_many(&mut batch, BATCH_MAX).await > 0 {
        gather(&mut records, &mut batch).await;
        let (mut begins, mut ends) = (Vec::new(), Vec::new());
        for record in batch.drain(..) {
            match record {
                Record::Begin(attempt, answer) => begins.push((attempt, answer)),
                Record::End(ended) => ends.push(*ended),
            }
        }
        let (attempts, answers): (Vec<AttemptRef>, Vec<_>) = newest_only(begins).into_iter().unzip();
        let attempts = Arc::new(attempts);
        let allowed = commit(&store, chance.as_ref(), attempts.clone(), ends).await;
        for (attempt, answer) in attempts.iter().zip(answers) {
            let _ = answer.send(allowed.contains(&attempt.key));
        }
    }
}

/// Of several attempts of one delivery only the newest may begin: what is allowed is told by delivery. An older one is still
/// asked for where a claim was handed back and made anew; its dropped sender reads as no.
fn newest_only<T>(begins: Vec<(AttemptRef, T)>) -> Vec<(AttemptRef, T)> {
    let mut newest: HashMap<&DeliveryKey, i64> = HashMap::with_capacity(begins.len());
    for (attempt, _) in &begins {
        newest.entry(&attempt.key).and_modify(|n| *n = attempt.n.max(*n)).or_insert(attempt.n);
    }
    if newest.len() == begins.len() {
        return begins;
    }
    let is_newest: Vec<bool> = begins.iter().map(|(attempt, _)| newest[&attempt.key] == attempt.n).collect();
    begins.into_iter().zip(is_newest).filter_map(|(begin, is_newest)| is_newest.then_some(begin)).collect()
}

/// Lets those who were just answered ask for their next before the commit begins, as long as more come: otherwise the
/// workers fall into two halves that take turns, and each commit carries half of what it could.
async fn gather(records: &mut mpsc::Receiver<Record>, batch: &mut Vec<Record>) {
    for _ in 0..GATHER_ROUNDS_MAX {
        tokio::task::yield_now().await;
        let before = batch.len();
        while batch.len() < BATCH_MAX
            && let Ok(record) = records.try_recv()
        {
            batch.push(record);
        }
        if batch.len() == before {
            return;
        }
    }
}

/// Commits a batch. What ended is tried until it is durable; what was to begin isn't begun when the first try fails.
async fn commit(
    store: &Store,
    chance: &dyn Chance,
    begins: Arc<Vec<AttemptRef>>,
    ends: Vec<Ended>,
) -> HashSet<DeliveryKey> {
    let ends = Arc::new(ends);
    let mut failures = 0;
    loop {
        let (now_begins, now_ends) = (if failures == 0 { begins.clone() } else { Arc::default() }, ends.clone());
        let now = store.about_now();
        let commit = move |tx: &mut Tx<'_>| deliveries::commit(tx, &now_begins, &now_ends, failures > 0, now);
        match store.write(commit).await {
            Ok((allowed, _)) => return allowed.into_iter().collect(),
            Err(error) if ends.is_empty() => {
                tracing::warn!(%error, "attempts could not be recorded and are not made");
                return HashSet::new();
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, outcomes = ends.len(), "outcomes could not be recorded; trying again");
                tokio::time::sleep(backoff::SERVICE.wait(failures, chance.draw_32())).await;
            }
        }
    }
}
