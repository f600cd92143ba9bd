//! The recorder: one task that commits for all workers of a process together, both what is about to be sent and what came of it.

use crate::domain::backoff;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::DeliveryKey;
use crate::domain::ids;
use crate::store::deliveries::{self, AttemptRef, Ended};
use crate::store::tallies::Tallies;
use crate::store::{Store, StoreError, Tx, bounces, suppressions};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Records in one transaction at most.
const BATCH_MAX: usize = 512;
/// How often more is waited for, a turn of the scheduler each time.
const GATHER_ROUNDS_MAX: usize = 16;
/// How long a commit waits until every other letter under way has something to record.
const PATIENCE: Duration = Duration::from_millis(1);
/// Commits that aren't waited for once a wait brought nothing: what is under way may hang.
const HASTE: u32 = 32;
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
    under_way: Arc<AtomicUsize>,
    tallies: Tallies,
}

/// One of the letters under way, until it is dropped.
pub(super) struct Mark(Arc<AtomicUsize>);

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Recorder {
    /// Starts the recorder; it ends when the last handle is dropped and everything is recorded.
    #[must_use]
    pub fn start(store: Store, chance: Arc<dyn Chance>) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, records) = mpsc::channel(QUEUE_MAX);
        let under_way = Arc::new(AtomicUsize::new(0));
        let tallies = store.tallies().clone();
        (Self { queue, under_way: under_way.clone(), tallies }, tokio::spawn(run(store, chance, records, under_way)))
    }

    /// Where outcomes are counted for plots.
    pub(super) fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Counts a letter among those under way.
    pub(super) fn mark(&self) -> Mark {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        Mark(self.under_way.clone())
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

async fn run(store: Store, chance: Arc<dyn Chance>, mut records: mpsc::Receiver<Record>, under_way: Arc<AtomicUsize>) {
    let (mut batch, mut in_haste) = (Vec::new(), 0u32);
    while records.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let under_way = if in_haste > 0 { 0 } else { under_way.load(Ordering::Relaxed) };
        let is_worth_it = gather(&mut records, &mut batch, under_way).await;
        in_haste = if is_worth_it { in_haste.saturating_sub(1) } else { HASTE };
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

/// Waits for more, as long as more come at once and then for a short while, until there is about one record for each letter
/// under way: what is committed together costs one sync. Otherwise the workers fall into groups that take turns, and each commit
/// carries a part of what it could. Returns false when a wait brought nothing.
async fn gather(records: &mut mpsc::Receiver<Record>, batch: &mut Vec<Record>, under_way: usize) -> bool {
    let mut before = 0;
    for _ in 0..GATHER_ROUNDS_MAX {
        tokio::task::yield_now().await;
        while batch.len() < BATCH_MAX
            && let Ok(record) = records.try_recv()
        {
            batch.push(record);
        }
        if std::mem::replace(&mut before, batch.len()) == batch.len() {
            break;
        }
    }
    let (before, enough) = (batch.len(), under_way.min(BATCH_MAX));
    if before >= enough {
        return true;
    }
    let more = async { while batch.len() < enough && records.recv_many(batch, BATCH_MAX).await > 0 {} };
    let _ = tokio::time::timeout(PATIENCE, more).await;
    batch.len() > before
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
        let refused = Refused::of(&now_ends, now, chance);
        let commit = move |tx: &mut Tx<'_>| {
            let Some(refused) = &refused else {
                return deliveries::commit(tx, &now_begins, &now_ends, failures > 0, now);
            };
            refused.count(tx, now, |tx| deliveries::commit(tx, &now_begins, &now_ends, failures > 0, now))
        };
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

/// Outcomes that count against their recipients, and the key of address hashes should there be none yet.
struct Refused {
    bounces: Vec<bounces::Bounce>,
    drawn: String,
}

impl Refused {
    /// `None` for most commits, which cost nothing more.
    fn of(ends: &[Ended], now: UnixMillis, chance: &dyn Chance) -> Option<Self> {
        let bounces = bounces::of_outcomes(ends, now);
        let draw = || (0..4).flat_map(|_| chance.draw().to_be_bytes()).collect::<Vec<u8>>();
        (!bounces.is_empty()).then(|| Self { bounces, drawn: ids::hex(&draw()) })
    }

    /// Counts them in the transaction that records them: recipients are locked first, as planning does, and suppressed last.
    fn count<T>(
        &self,
        tx: &mut Tx<'_>,
        now: UnixMillis,
        record: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let known = bounces::lock(tx, &self.bounces)?;
        let recorded = record(tx)?;
        suppressions::ensure_key(tx, &self.drawn)?;
        bounces::note(tx, &known, &self.bounces, now)?;
        Ok(recorded)
    }
}
