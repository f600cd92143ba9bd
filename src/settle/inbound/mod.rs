//! Mails that came in are read and settled, one transaction each. A mail that can't be read settles as malformed and stays to
//! be looked at; none is ever answered.

mod act;
mod arf;
mod auto_reply;
mod dsn;
mod read;
#[cfg(test)]
mod tests;
mod text;

pub use read::{Fate, Own, Reading, Returned, Sort, Stage, read};

use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::ids;
use crate::domain::inbound::Verdict;
use crate::store::{Store, StoreError, bounces, inbound, suppressions};
use std::sync::Arc;
use std::time::Duration;

/// Mails settled in one round.
const ROUND_MAX: i64 = 64;
/// Mails stay this long after they were settled, for whoever asks what came (design rule 20).
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Refusals stay as long as the facts of deliveries (design rule 20): far longer than they count.
const REFUSALS_KEPT: Duration = Duration::from_secs(400 * 86_400);

/// Settles what came in.
#[derive(Clone)]
pub struct Settler {
    store: Store,
    own: Arc<Own>,
    chance: Arc<dyn Chance>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Mails settled.
    pub settled: u64,
    /// Suppressions that ended.
    pub expired: u64,
    /// Mails and refusals forgotten.
    pub forgotten: u64,
    /// Whether there may be more to do at once.
    pub has_more: bool,
}

impl Settler {
    /// A settler on a store; `own` tells our own mail.
    #[must_use]
    pub fn new(store: Store, own: Own, chance: Arc<dyn Chance>) -> Self {
        Self { store, own: Arc::new(own), chance }
    }

    /// Settles the mails that wait, ends suppressions whose time is over, and forgets what was settled long ago.
    ///
    /// # Errors
    /// [`StoreError`] from the database. One mail that can't be settled doesn't keep the others.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let now = self.store.now().await?;
        let mut round = Round::default();
        let ids = self.store.read(|tx| inbound::open(tx, ROUND_MAX)).await?;
        let mut failed = None;
        for id in &ids {
            match self.settle(id, now).await {
                Ok(done) => round.settled += u64::from(done),
                Err(error) => failed = Some(error),
            }
        }
        let tidied = self.store.write(move |tx| {
            Ok((
                suppressions::expire(tx, now)?,
                inbound::forget(tx, now.minus(KEPT))? + bounces::forget(tx, now.minus(REFUSALS_KEPT))?,
            ))
        });
        (round.expired, round.forgotten) = tidied.await?;
        round.has_more = round.expired > 0 || (failed.is_none() && ids.len() as i64 == ROUND_MAX);
        failed.map_or(Ok(round), Err)
    }

    async fn settle(&self, id: &str, now: UnixMillis) -> Result<bool, StoreError> {
        let (key, own) = (id.to_owned(), self.own.clone());
        let Some((mail, bytes)) = self.store.read(move |tx| inbound::find(tx, &key)).await? else { return Ok(false) };
        // On a thread of its own, where whatever hostile bytes might do to the reader ends as an error.
        let reading = tokio::task::spawn_blocking(move || read(&bytes, &own)).await;
        let reading = reading.unwrap_or_else(|_| Reading::of(Sort::Malformed("reading it failed")));
        let drawn = self.drawn_key();
        let (verdict, subscriber) = self
            .store
            .write(move |tx| {
                if !inbound::lock_open(tx, &mail.id)? {
                    return Ok((None, None));
                }
                let done = act::act(tx, &mail, &reading, &drawn, now)?;
                inbound::settle(tx, &mail.id, done.verdict, &done.detail, now)?;
                Ok((Some(done.verdict), done.subscriber_id))
            })
            .await?;
        if let Some(verdict) = verdict {
            tracing::info!(id, %verdict, subscriber, "a mail that came back is settled");
        }
        Ok(verdict.is_some())
    }

    /// 32 random octets, should there be no key of address hashes yet.
    fn drawn_key(&self) -> String {
        let octets: Vec<u8> = (0..4).flat_map(|_| self.chance.draw().to_be_bytes()).collect();
        ids::hex(&octets)
    }
}

/// What followed from a mail.
struct Done {
    verdict: Verdict,
    /// A sentence without addresses.
    detail: String,
    subscriber_id: Option<i64>,
}
