//! The lease of a process on what it has claimed (design rule 12).

use crate::domain::clock::Clock;
use crate::store::{Dialect, Store, StoreError, processes};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// How long a lease lasts without renewal: a crashed process's claims are free after this.
pub const LEASE: Duration = Duration::from_secs(20);
/// How often it is renewed.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// A process stops trusting its lease this long before the database would end it.
const MARGIN: Duration = Duration::from_secs(1);

/// What a process holds.
pub struct Lease {
    store: Store,
    clock: Arc<dyn Clock>,
    name: String,
    term: AtomicI64,
    trusted_until_ms: AtomicU64,
    settle_wait: Duration,
}

impl Lease {
    /// Registers this process. On SQLite, where a lock file makes sure that it is the only daemon, what earlier
    /// processes had taken is rescued at once.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn take(
        store: Store,
        clock: Arc<dyn Clock>,
        name: &str,
        settle_wait: Duration,
    ) -> Result<Arc<Self>, StoreError> {
        let lease = Self {
            store,
            clock,
            name: name.to_owned(),
            term: AtomicI64::new(0),
            trusted_until_ms: AtomicU64::new(0),
            settle_wait,
        };
        lease.register().await?;
        lease.rescue().await?;
        Ok(Arc::new(lease))
    }

    /// The term that claims name.
    #[must_use]
    pub fn term(&self) -> i64 {
        self.term.load(Ordering::SeqCst)
    }

    /// Whether an attempt under this term may pass the point of no return now.
    #[must_use]
    pub fn is_trusted(&self, term: i64) -> bool {
        let until = Duration::from_millis(self.trusted_until_ms.load(Ordering::SeqCst));
        term == self.term() && self.clock.uptime() < until
    }

    async fn register(&self) -> Result<(), StoreError> {
        let started = self.clock.uptime();
        let now = self.store.now().await?;
        let name = self.name.clone();
        let term = self.store.write(move |tx| processes::register(tx, &name, now, LEASE)).await?;
        self.term.store(term, Ordering::SeqCst);
        self.trust_from(started);
        Ok(())
    }

    /// Trust counts from the start of the renewal: its commit can only have come later.
    fn trust_from(&self, started: Duration) {
        let until = started + LEASE - MARGIN;
        self.trusted_until_ms.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Renews the lease, or takes a new one when it has ended meanwhile; then rescues what dead processes had taken. A process
    /// whose own lease ran out rescues nobody this time: where the database was away for so long, the leases of all others ran
    /// out with it, and they are about to renew them.
    ///
    /// # Errors
    /// [`StoreError`] from the database; the lease is then trusted until its deadline and no longer.
    pub async fn renew(&self) -> Result<(), StoreError> {
        let started = self.clock.uptime();
        let now = self.store.now().await?;
        let term = self.term();
        let was_in_time = self.is_trusted(term);
        if self.store.write(move |tx| processes::renew(tx, term, now, LEASE)).await? {
            self.trust_from(started);
        } else {
            tracing::warn!(term, "the lease of this process had ended; it takes a new one");
            self.register().await?;
        }
        if was_in_time { self.rescue().await } else { Ok(()) }
    }

    async fn rescue(&self) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        let alone = self.store.dialect() == Dialect::Sqlite;
        let all_but = alone.then(|| self.term());
        let settle_at = now.plus(self.settle_wait);
        let rescued = self
            .store
            .write(move |tx| {
                let mut rescued = Vec::new();
                for term in processes::dead(tx, now, all_but)? {
                    rescued.push((term, processes::end(tx, term, now, settle_at)?));
                }
                Ok(rescued)
            })
            .await?;
        for (term, (due, uncertain)) in rescued {
            metrics::counter!("allim_uncertain_total").increment(uncertain);
            tracing::warn!(term, due, uncertain, "rescued the deliveries of a process that is gone");
        }
        Ok(())
    }

    /// Hands back what isn't on its way and ends the lease.
    ///
    /// # Errors
    /// [`StoreError`] from the database; another process rescues the rest when the lease runs out.
    pub async fn end(&self) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        let (term, settle_at) = (self.term(), now.plus(self.settle_wait));
        self.trusted_until_ms.store(0, Ordering::SeqCst);
        let (due, uncertain) = self.store.write(move |tx| processes::end(tx, term, now, settle_at)).await?;
        tracing::info!(term, due, uncertain, "handed back what was claimed");
        Ok(())
    }
}
