//! Stage 1: a post comes in. Every way in ends at [`Intake::accept`].

pub mod accept;
pub mod amqp;
pub mod decode;
mod fields;
pub mod front_matter;
pub mod post_file;
pub mod spool;
pub mod wire;
mod withdraw;

use crate::domain::clock::UnixMillis;
use crate::store::quarantine::Quarantined;
use crate::store::{Store, StoreError, changes, quarantine, restore};
use accept::{Backfill, Guard, Receipt, Source};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Notify;
use wire::{Incoming, RejectReason, Rejection};

/// Takes messages in.
#[derive(Clone)]
pub struct Intake {
    store: Store,
    sources: Arc<BTreeMap<String, Source>>,
    backfill: Backfill,
    wake: Arc<Notify>,
}

impl Intake {
    /// `wake` is notified after every commit that may give the planner something to do.
    #[must_use]
    pub fn new(store: Store, sources: BTreeMap<String, Source>, backfill: Backfill, wake: Arc<Notify>) -> Self {
        Self { store, sources: Arc::new(sources), backfill, wake }
    }

    /// The same door for an import of old posts: everything becomes public, not released.
    #[must_use]
    pub fn as_backfill(&self) -> Self {
        Self { backfill: Backfill::Everything, ..self.clone() }
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
        let messages = Arc::new(messages);
        let together = self.commit(messages.clone()).await;
        let receipts = match together {
            Err(StoreError::Refused(_) | StoreError::Shape(_) | StoreError::Affected { .. }) => {
                self.one_by_one(&messages).await?
            }
            other => other?,
        };
        for receipt in &receipts {
            metrics::counter!("allim_intake_messages_total", "verdict" => receipt.verdict.word()).increment(1);
        }
        self.wake.notify_one();
        Ok(receipts)
    }

    async fn commit(&self, messages: Arc<Vec<Incoming>>) -> Result<Vec<Receipt>, StoreError> {
        let now = self.store.now().await?;
        let (sources, backfill) = (self.sources.clone(), self.backfill);
        let decoded: Vec<_> = messages.iter().map(|incoming| decode_for(&sources, incoming, now)).collect();
        self.store
            .write(move |tx| {
                let mut noticed = Vec::new();
                let guard = Guard { backfill, sent_until: restore::sent_until(tx)? };
                let mut receipts = Vec::with_capacity(messages.len());
                for (incoming, decoded) in messages.iter().zip(&decoded) {
                    let receipt = match sources.get(&incoming.source) {
                        Some(source) => accept::store(tx, source, incoming, decoded, guard, now, &mut noticed)?,
                        None => accept::set_aside(tx, incoming, &unknown_source(), now)?,
                    };
                    receipts.push(receipt);
                }
                // The counter is drawn last, so that its row is locked for the shortest time.
                changes::number(tx, &noticed)?;
                Ok(receipts)
            })
            .await
    }

    /// The database refused a batch: find the message that it refuses, set that one aside, and go on.
    async fn one_by_one(&self, messages: &[Incoming]) -> Result<Vec<Receipt>, StoreError> {
        let mut receipts = Vec::with_capacity(messages.len());
        for incoming in messages {
            match self.commit(Arc::new(vec![incoming.clone()])).await {
                Ok(mut one) => receipts.append(&mut one),
                // Neither says anything about this message.
                Err(error @ (StoreError::Unavailable(_) | StoreError::Again(_))) => return Err(error),
                Err(refused) => {
                    tracing::error!(source = incoming.source, error = %refused, "the store refused a message");
                    receipts.push(self.set_aside_as_refused(incoming.clone()).await?);
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
        self.store.write(move |tx| accept::set_aside(tx, &incoming, &rejection, now)).await
    }

    /// A message in the quarantine, with what came in.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn quarantined(&self, id: &str) -> Result<Option<(Quarantined, Option<Incoming>)>, StoreError> {
        let key = id.to_owned();
        let row = self.store.read(move |tx| quarantine::find(tx, &key)).await?;
        Ok(row.map(|row| {
            let incoming = accept::read_message(&row);
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
        let Some(incoming) = accept::read_message(&row) else {
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

fn decode_for(
    sources: &BTreeMap<String, Source>,
    incoming: &Incoming,
    now: UnixMillis,
) -> Result<wire::Event, Box<Rejection>> {
    match sources.get(&incoming.source) {
        Some(source) => decode::decode(incoming, &source.policy, now),
        None => Err(Box::new(unknown_source())),
    }
}

fn unknown_source() -> Rejection {
    Rejection {
        reason: RejectReason::NotAllowed,
        path: "source".to_owned(),
        detail: "no source of this name is configured".to_owned(),
        event_id: None,
        source_id: None,
        kind: None,
    }
}
