//! Watches over the database while the daemon runs: whether it is what it was, at the start and each minute.

use super::high_water::HighWater;
use crate::domain::clock::Clock;
use crate::store::identity::{self, Cause, Doubt};
use crate::store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often the counter is raised and the database is compared with its file.
const RAISE: Duration = Duration::from_secs(60);
/// How often it is asked whether another process doubts the database.
const LOOK: Duration = Duration::from_secs(5);
/// The same while it is in doubt: an operator who has decided doesn't wait.
const LOOK_IN_DOUBT: Duration = Duration::from_secs(1);
/// What an operator is told beside each reason.
pub const WAYS: &str = "`allim hold off --sent-until TIME` if what was due before TIME went out, `allim hold off --resend` \
     if nothing did";

/// Keeps watch. Clones share what is known.
#[derive(Clone)]
pub struct Custody {
    store: Store,
    file: HighWater,
    /// Why nothing may be planned or sent; empty when all is well.
    doubts: Arc<watch::Sender<Vec<Doubt>>>,
}

impl Custody {
    /// Looks for the first time, before anything is planned or sent.
    ///
    /// # Errors
    /// When the store doesn't answer, the file can't be read or written, or the database isn't to be run at all.
    pub async fn begin(store: Store, file: HighWater) -> anyhow::Result<Self> {
        let custody = Self { store, file, doubts: Arc::new(watch::channel(Vec::new()).0) };
        if let Some(doubt) =
            custody.store.read(identity::doubts).await?.into_iter().find(|doubt| doubt.cause == Cause::Moved)
        {
            anyhow::bail!(
                "store.url: this database was {}; set store.url to that one. To take this one back into use, run {WAYS}",
                doubt.reason
            );
        }
        custody.inspect().await?;
        Ok(custody)
    }

    /// Whether nothing may be planned or sent for now.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        !self.doubts.borrow().is_empty()
    }

    /// Watches until `stop` turns true, and raises the counter a last time: a copy made before the end is behind then.
    pub async fn watch(self, clock: Arc<dyn Clock>, mut stop: watch::Receiver<bool>) {
        let mut inspected = clock.uptime();
        while !*stop.borrow() {
            let rest = if self.is_in_doubt() { LOOK_IN_DOUBT } else { LOOK };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stop.changed() => {}
            }
            let is_due = clock.uptime().saturating_sub(inspected) >= RAISE || *stop.borrow();
            let looked = if is_due { self.inspect().await } else { self.look().await.map_err(Into::into) };
            if is_due {
                inspected = clock.uptime();
            }
            if let Err(error) = looked {
                tracing::warn!(error = format!("{error:#}"), "the database could not be compared with the state_dir");
            }
        }
    }

    /// Compares, doubts what differs, and raises the counter if all is well.
    async fn inspect(&self) -> anyhow::Result<()> {
        let suspicions = self.file.suspicions(&self.store).await?;
        if !suspicions.is_empty() {
            let now = self.store.now().await?;
            let doubt = move |tx: &mut crate::store::Tx<'_>| {
                suspicions.iter().try_for_each(|(cause, reason)| identity::doubt(tx, *cause, reason, now))
            };
            self.store.write(doubt).await?;
        }
        self.look().await?;
        if !self.is_in_doubt() {
            self.file.raise(&self.store).await?;
        }
        Ok(())
    }

    /// Learns whether the database is in doubt, and says in the log what has changed.
    async fn look(&self) -> Result<(), StoreError> {
        let doubts = self.store.read(identity::doubts).await?;
        let before = self.doubts.send_replace(doubts.clone());
        for doubt in doubts.iter().filter(|doubt| !before.iter().any(|known| known.cause == doubt.cause)) {
            tracing::error!(cause = %doubt.cause, reason = doubt.reason, "nothing is planned or sent; decide: {WAYS}");
        }
        if doubts.is_empty() && !before.is_empty() {
            tracing::info!("the database is trusted again; planning and sending go on");
        }
        Ok(())
    }
}
