//! Posts out of the feeds of partners: asked for on a schedule, each by one process at a time, a few at once, so that none holds up
//! another. Their entries go through the same door as everything else.

mod beside;
mod event;
mod fetch;
mod known;
mod read;
mod take;
#[cfg(test)]
mod tests;
mod text;

pub use fetch::FEED_BYTES_MAX;

use super::Intake;
use crate::domain::backoff;
use crate::domain::clock::{Chance, UnixMillis};
use crate::guard::Guard;
use crate::store::pulled::{self, Asked, Feed};
use crate::store::{Store, StoreError};
use fetch::{Fetched, Missing, Told};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// It is looked for feeds that are due at least this often.
const POLL: Duration = Duration::from_secs(5);
/// Feeds asked for at once.
const AT_ONCE_MAX: usize = 8;
/// What was taken is taken again after this, if nobody says what came of it: longer than four answers and what follows take.
const TAKEN_FOR: Duration = Duration::from_secs(300);
/// No feed is asked for more often: its server is somebody else's.
pub const EVERY_MIN: Duration = Duration::from_secs(60);
/// Nor less often, whatever its server asks for.
pub const EVERY_MAX: Duration = Duration::from_secs(86_400);
/// Entries of a feed that are looked at, at most.
pub const ENTRIES_MAX: usize = 1_000;

/// What becomes of what stands in a feed when it is pulled first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Begin {
    /// What is recent goes out like anything else; what is old, or of no known age, is shown only.
    #[default]
    Now,
    /// What is of no known age goes out too.
    All,
}

/// A feed that is followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Where it is.
    pub url: String,
    /// The source whose posts its entries are.
    pub source: String,
    /// How often it is asked for.
    pub every: Duration,
    /// The topics of entries that no category gives one.
    pub topics: Vec<String>,
    /// The topics of its categories.
    pub categories: BTreeMap<String, Vec<String>>,
    /// The language of entries that name none.
    pub language: Option<String>,
    /// Who signs what nobody signed.
    pub author: Option<String>,
    /// The licence of what names none.
    pub license: Option<String>,
    /// Entries that are looked at.
    pub entries_max: usize,
    /// What becomes of what stands there at the first time.
    pub from: Begin,
}

/// How many entries came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// New posts.
    pub new: usize,
    /// New revisions.
    pub revised: usize,
    /// Taken back.
    pub withdrawn: usize,
    /// Our own, which came back.
    pub own: usize,
    /// Set aside.
    pub quarantined: usize,
}

/// What pulls feeds.
pub struct Puller {
    /// The ledger.
    pub store: Store,
    /// The door.
    pub intake: Intake,
    /// The way out.
    pub guard: Guard,
    /// For jitter.
    pub chance: Arc<dyn Chance>,
    /// The feeds.
    pub feeds: Vec<Followed>,
}

/// Pulls feeds until `stop` turns true.
pub async fn run(puller: Arc<Puller>, mut stop: watch::Receiver<bool>) {
    let mut pulling = JoinSet::new();
    while !*stop.borrow() {
        let rest = match round(&puller, &mut pulling).await {
            Ok(rest) => rest,
            Err(error) => {
                tracing::warn!(%error, "feeds of partners could not be looked through");
                backoff::SERVICE.wait(1, puller.chance.draw_32())
            }
        };
        tokio::select! {
            Some(_) = pulling.join_next() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    pulling.shutdown().await;
}

async fn round(puller: &Arc<Puller>, pulling: &mut JoinSet<()>) -> Result<Duration, StoreError> {
    let now = puller.store.now().await?;
    puller.know(now).await?;
    let urls: Vec<String> = puller.feeds.iter().map(|feed| feed.url.clone()).collect();
    while pulling.len() < AT_ONCE_MAX {
        let some = urls.clone();
        let next = puller.store.read(move |tx| pulled::next_at(tx, &strs(&some))).await?;
        match next {
            Some(at) if at > now => return Ok(now.until(at).min(POLL)),
            None => return Ok(POLL),
            Some(_) => {}
        }
        let some = urls.clone();
        let taken = puller.store.write(move |tx| pulled::take(tx, &strs(&some), now, now.plus(TAKEN_FOR))).await?;
        let Some(feed) = taken else { break };
        let puller = puller.clone();
        pulling.spawn(async move {
            if let Err(error) = puller.pull(&feed).await {
                tracing::warn!(source = feed.source, %error, "a feed could not be taken in; it is asked for again");
            }
        });
    }
    Ok(POLL)
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

impl Puller {
    async fn know(&self, now: UnixMillis) -> Result<(), StoreError> {
        let feeds: Vec<(String, String)> =
            self.feeds.iter().map(|feed| (feed.url.clone(), feed.source.clone())).collect();
        let is_known = feeds.clone();
        let all = self.store.read(move |tx| {
            let mut all = true;
            for (url, source) in &is_known {
                all &= pulled::find(tx, url)?.is_some_and(|feed| feed.source == *source);
            }
            Ok(all)
        });
        if all.await? {
            return Ok(());
        }
        self.store.write(move |tx| feeds.iter().try_for_each(|(url, source)| pulled::know(tx, url, source, now))).await
    }

    /// Pulls the feeds of a source now, whatever became of them before; tells what came of each.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn pull_now(&self, source: &str) -> Result<Vec<(String, Result<Taken, String>)>, StoreError> {
        let now = self.store.now().await?;
        self.know(now).await?;
        let mut pulled = Vec::new();
        for followed in self.feeds.iter().filter(|feed| feed.source == source) {
            let url = followed.url.clone();
            let take = move |tx: &mut crate::store::Tx<'_>| {
                pulled::ask_now(tx, &url, now)?;
                pulled::take(tx, &[&url], now, now.plus(TAKEN_FOR))
            };
            let Some(feed) = self.store.write(take).await? else { continue };
            pulled.push((followed.url.clone(), self.pull(&feed).await?));
        }
        Ok(pulled)
    }

    /// The other feeds of its source.
    fn beside(&self, followed: &Followed) -> Vec<String> {
        let others = self.feeds.iter().filter(|feed| feed.source == followed.source && feed.url != followed.url);
        others.map(|feed| feed.url.clone()).collect()
    }

    /// Pulls one feed that was taken, and records what came of it.
    async fn pull(&self, feed: &Feed) -> Result<Result<Taken, String>, StoreError> {
        let Some(followed) = self.feeds.iter().find(|followed| followed.url == feed.url) else {
            return Ok(Err("it is followed no more".to_owned()));
        };
        let asked_at = self.store.now().await?;
        let outcome = match fetch::fetch(&self.guard, followed, feed, asked_at).await {
            Ok(Fetched::Unchanged(told)) => Ok((Taken::default(), told)),
            Ok(Fetched::Gone) => return self.end(feed, "its server says that it is gone for good (410)").await,
            Ok(Fetched::Whole(document, told)) => {
                let entries_max = followed.entries_max;
                // A feed that makes the parser stumble costs this task alone.
                let reading = tokio::task::spawn_blocking(move || read::read(&document, entries_max));
                match reading.await.unwrap_or_else(|_| Err("it can't be read".to_owned())) {
                    Ok(read) => {
                        let (is_first, beside) = (feed.taken_at.is_none(), self.beside(followed));
                        let document = take::Document { read, beside, is_first };
                        Ok((take::take(&self.store, &self.intake, followed, document).await?, told))
                    }
                    Err(why) => Err(Missing::new(why)),
                }
            }
            Err(missing) => Err(missing),
        };
        self.settle(followed, feed, outcome).await
    }

    async fn end(&self, feed: &Feed, why: &str) -> Result<Result<Taken, String>, StoreError> {
        tracing::warn!(source = feed.source, why, "a feed is asked for no more; `allim source pull` begins again");
        let (now, url, ended) = (self.store.now().await?, feed.url.clone(), Asked::Ended { why: why.to_owned() });
        self.store.write(move |tx| pulled::settle(tx, &url, &ended, now, now)).await?;
        Ok(Err(why.to_owned()))
    }

    async fn settle(
        &self,
        followed: &Followed,
        feed: &Feed,
        outcome: Result<(Taken, Told), Missing>,
    ) -> Result<Result<Taken, String>, StoreError> {
        let (now, url) = (self.store.now().await?, feed.url.clone());
        let word = if outcome.is_ok() { "well" } else { "failed" };
        metrics::counter!("allim_feeds_pulled_total", "outcome" => word).increment(1);
        match outcome {
            Ok((taken, told)) => {
                if taken != Taken::default() {
                    tracing::info!(source = feed.source, ?taken, "a feed was taken in");
                }
                let every = followed.every.max(told.max_age.unwrap_or_default()).clamp(EVERY_MIN, EVERY_MAX);
                let Told { moved_to, etag, last_modified, .. } = told;
                let asked = Asked::Well { moved_to, etag, last_modified };
                self.store.write(move |tx| pulled::settle(tx, &url, &asked, now, now.plus(every))).await?;
                Ok(Ok(taken))
            }
            Err(Missing { why, retry_at }) => {
                let failures = u32::try_from(feed.failures + 1).unwrap_or(u32::MAX);
                tracing::warn!(source = feed.source, why, failures, "a feed could not be pulled");
                let asked_for = retry_at.map_or(Duration::ZERO, |at| now.until(at).min(EVERY_MAX));
                let wait = backoff::NETWORK.wait(failures, self.chance.draw_32()).max(asked_for);
                let asked = Asked::Failed { why: why.clone() };
                self.store.write(move |tx| pulled::settle(tx, &url, &asked, now, now.plus(wait))).await?;
                Ok(Err(why))
            }
        }
    }
}
