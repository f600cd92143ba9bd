//! Stage 1: a post comes in. Every way in ends at [`Intake::accept`].

pub mod accept;
pub mod amqp;
mod aside;
mod batch;
pub mod decode;
mod door;
pub mod feed;
mod fields;
pub mod front_matter;
mod gather;
mod look;
pub mod media;
pub mod post_file;
pub mod receipts;
pub mod spool;
pub mod unshowable;
pub mod wire;
mod withdraw;

use crate::domain::ids;
use crate::store::quarantine::Quarantined;
use crate::store::tallies::{Kind, Tallies};
use crate::store::{Store, StoreError, quarantine, restore};
use accept::{Backfill, Guard, Receipt, Source, Verdict};
use batch::{Opened, Terms};
use gather::Gathering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use wire::{Incoming, RejectReason, Rejection};

/// As many messages as one of tokio's threads decodes by itself: about as long as handing them to another thread takes.
const OPENED_HERE_MAX: usize = 8;

/// Messages that were decoded and are stored together.
#[derive(Clone)]
pub struct Batch(Arc<Vec<Arc<Opened>>>);

impl Batch {
    fn joined(batches: Vec<Self>) -> Self {
        Self(Arc::new(batches.iter().flat_map(|batch| batch.0.iter().cloned()).collect()))
    }
}

/// Takes messages in.
#[derive(Clone)]
pub struct Intake {
    store: Store,
    sources: Arc<BTreeMap<String, Source>>,
    backfill: Backfill,
    /// Who is told what became of their messages.
    told: Arc<BTreeSet<String>>,
    wake: Arc<Notify>,
    gathering: Gathering,
    /// Whether nothing of the last batch was known before.
    expects_new: Arc<AtomicBool>,
}

impl Intake {
    /// `wake` is notified after every commit that may give the planner something to do.
    #[must_use]
    pub fn new(store: Store, sources: BTreeMap<String, Source>, backfill: Backfill, wake: Arc<Notify>) -> Self {
        let (sources, expects_new) = (Arc::new(sources), Arc::new(AtomicBool::new(true)));
        Self { store, sources, backfill, told: Arc::default(), wake, gathering: Gathering::default(), expects_new }
    }

    /// The same door, of which these sources hear what became of their messages.
    #[must_use]
    pub fn telling(self, sources: BTreeSet<String>) -> Self {
        Self { told: Arc::new(sources), ..self }
    }

    /// The same door for an import of old posts: everything becomes public, not released.
    #[must_use]
    pub fn as_backfill(&self) -> Self {
        // Its messages are taken in on other terms, so they are gathered apart.
        Self { backfill: Backfill::Everything, gathering: Gathering::default(), ..self.clone() }
    }

    /// Whether a source of this name is configured.
    #[must_use]
    pub fn knows(&self, source: &str) -> bool {
        self.sources.contains_key(source)
    }

    /// Takes in some messages with one commit. When this returns `Ok`, each of them is durable, as a post or in the
    /// quarantine, and may be acknowledged.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was stored; taking the same messages in again is safe.
    pub async fn accept(&self, messages: Vec<Incoming>) -> Result<Vec<Receipt>, StoreError> {
        self.keep(&self.open(messages).await?).await
    }

    /// Decodes messages. Many of them at once are left to a thread of their own, as that takes a while.
    ///
    /// # Errors
    /// [`StoreError`] when the process is ending.
    pub async fn open(&self, messages: Vec<Incoming>) -> Result<Batch, StoreError> {
        let (sources, is_small) = (self.sources.clone(), messages.len() <= OPENED_HERE_MAX);
        let open =
            move || Batch(Arc::new(messages.into_iter().map(|one| Arc::new(Opened::new(&sources, one))).collect()));
        if is_small {
            return Ok(open());
        }
        let opened = tokio::task::spawn_blocking(open).await;
        opened.map_err(|error| StoreError::Unavailable(format!("messages were not decoded: {error}")))
    }

    /// Stores messages that were opened, as [`Intake::accept`] does.
    ///
    /// # Errors
    /// [`StoreError`] when nothing was stored; the same again is safe.
    pub async fn keep(&self, batch: &Batch) -> Result<Vec<Receipt>, StoreError> {
        // Nearly always all of them are new, and the store tells when one isn't.
        let expects_new = self.expects_new.load(Ordering::Relaxed);
        let mut together = self.commit(batch, 0..batch.0.len(), expects_new).await;
        if expects_new && is_refused(&together) {
            together = self.commit(batch, 0..batch.0.len(), false).await;
        }
        let receipts = if is_refused(&together) { self.one_by_one(batch).await? } else { together? };
        let are_new = receipts.iter().all(|receipt| receipt.verdict == Verdict::Stored);
        self.expects_new.store(are_new, Ordering::Relaxed);
        count(&receipts, self.store.tallies());
        self.wake.notify_one();
        Ok(receipts)
    }

    async fn commit(&self, batch: &Batch, range: Range<usize>, are_new: bool) -> Result<Vec<Receipt>, StoreError> {
        let now = self.store.now().await?;
        let (sources, told, backfill, opened) =
            (self.sources.clone(), self.told.clone(), self.backfill, batch.0.clone());
        self.store
            .write(move |tx| {
                let guard = Guard { backfill, sent_until: restore::sent_until(tx)? };
                batch::store(tx, Terms { sources: &sources, guard, told: &told, now }, &opened[range.clone()], are_new)
            })
            .await
    }

    /// The database refused a batch: find the message that it refuses, set that one aside, and go on.
    async fn one_by_one(&self, batch: &Batch) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(batch.0.len());
        for (index, opened) in batch.0.iter().enumerate() {
            match self.commit(batch, index..index + 1, false).await {
                Ok(mut one) => receipts.append(&mut one),
                // Neither says anything about this message.
                Err(error @ (StoreError::Unavailable(_) | StoreError::Again(_))) => return Err(error),
                Err(refused) => {
                    let incoming = opened.incoming().clone();
                    tracing::error!(source = incoming.source, error = %refused, "the store refused a message");
                    receipts.push(self.set_aside_as_refused(incoming).await?);
                }
            }
        }
        Ok(receipts)
    }

    async fn set_aside_as_refused(&self, incoming: Incoming) -> Result<Receipt, StoreError> {
        let now = self.store.now().await?;
        let rejection = Rejection {
            reason: RejectReason::StoreRefused,
            path: String::new(),
            detail: "the store refused this message; the log names the statement".to_owned(),
            event_id: None,
            source_id: None,
            kind: None,
        };
        let (sources, told) = (self.sources.clone(), self.told.clone());
        self.store
            .write(move |tx| {
                let receipt = aside::set_aside(tx, &incoming, &rejection, now)?;
                if told.contains(&incoming.source) {
                    let source = sources.get(&incoming.source);
                    let authority = source.and_then(|source| source.policy.own_authority.as_deref());
                    receipts::note::message(tx, (&incoming.source, authority), Err(&rejection), &receipt, now)?;
                }
                Ok(receipt)
            })
            .await
    }

    /// A message in the quarantine, with what came in.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn quarantined(&self, id: &str) -> Result<Option<(Quarantined, Option<Incoming>)>, StoreError> {
        let key = id.to_owned();
        let row = self.store.read(move |tx| quarantine::find(tx, &key)).await?;
        Ok(row.map(|row| {
            let incoming = aside::read_message(&row);
            (row, incoming)
        }))
    }

    /// Takes a quarantined message in again. `None` when there is no such row.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn replay(&self, id: &str) -> Result<Option<Receipt>, StoreError> {
        let key = id.to_owned();
        let Some(row) = self.store.read(move |tx| quarantine::find(tx, &key)).await? else { return Ok(None) };
        if unshowable::is_one(&row) {
            let now = self.store.now().await?;
            let post_id = row.source_id.as_deref().map(|source_id| ids::post_id(&row.source, source_id));
            self.store.write(move |tx| quarantine::set_replayed(tx, &row.id, now)).await?;
            return Ok(Some(Receipt { post_id, verdict: Verdict::Duplicate }));
        }
        let Some(incoming) = aside::read_message(&row) else {
            return Err(StoreError::Shape("a quarantined message can't be read back".to_owned()));
        };
        let receipt = self.accept(vec![incoming]).await?.pop();
        if let Some(receipt) = &receipt
            && !matches!(receipt.verdict, accept::Verdict::Quarantined { .. })
        {
            let now = self.store.now().await?;
            self.store.write(move |tx| quarantine::set_replayed(tx, &row.id, now)).await?;
        }
        Ok(receipt)
    }
}

/// Whether the store refused something, rather than being away.
fn is_refused<T>(stored: &Result<T, StoreError>) -> bool {
    matches!(stored, Err(StoreError::Refused(_) | StoreError::Shape(_) | StoreError::Affected { .. }))
}

fn count(receipts: &[Receipt], tallies: &Tallies) {
    let mut verdicts: BTreeMap<&str, u64> = BTreeMap::new();
    for receipt in receipts {
        *verdicts.entry(receipt.verdict.word()).or_default() += 1;
    }
    for (verdict, times) in verdicts {
        metrics::counter!("allim_intake_messages_total", "verdict" => verdict).increment(times);
        tallies.count(Kind::In, verdict, i64::try_from(times).unwrap_or(i64::MAX));
    }
}
