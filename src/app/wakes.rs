//! Wake-ups: within this process, and between replicas. Correctness never depends on one.

use super::App;
use crate::config::Role;
use crate::send::Destination;
use crate::store::bell::Ring;
use crate::store::{Dialect, Store};
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Who is woken when something was planned.
#[derive(Clone)]
pub(super) struct Wakes {
    destinations: Vec<Arc<Destination>>,
    endpoints: Arc<Notify>,
    /// Counts what readers of pages may notice. Kept by whoever shows none, so that its listeners never hear the end.
    published: Arc<watch::Sender<u64>>,
    /// Rings for the other replicas; as often as it can be rung, however often it is asked for.
    others: Arc<Notify>,
}

impl Wakes {
    /// Connects this process's parts with each other and with other replicas.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(
        app: &Arc<App>,
        destinations: Vec<Arc<Destination>>,
        tasks: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let others = Arc::new(Notify::new());
        let endpoints = app.push_wake.clone();
        let wakes = Self { destinations, endpoints, published: Arc::new(watch::channel(0).0), others: others.clone() };
        if app.store.dialect() == Dialect::Sqlite {
            return Ok(wakes);
        }
        tasks.spawn(ring(app.store.clone(), Ring::Planned, others, stop.clone()));
        let plans = app.config.roles.has(Role::Plan);
        if !plans {
            // Nobody here plans what is taken in here.
            tasks.spawn(ring(app.store.clone(), Ring::Accepted, app.plan_wake.clone(), stop.clone()));
        }
        if let Some(mut heard) = app.store.listen()? {
            let (wakes, plan_wake, mut stop) = (wakes.clone(), app.plan_wake.clone(), stop.clone());
            tasks.spawn(async move {
                while !*stop.borrow() {
                    let ring = tokio::select! { ring = heard.recv() => ring, _ = stop.changed() => None };
                    match ring {
                        Some(Ring::Accepted) if plans => plan_wake.notify_one(),
                        Some(Ring::Accepted) => {}
                        Some(Ring::Planned) => wakes.wake_here(true),
                        None => break,
                    }
                }
            });
        }
        Ok(wakes)
    }

    /// Something was planned here: `noticed` if pages and feeds show it.
    pub(super) fn planned(&self, noticed: bool) {
        self.wake_here(noticed);
        self.others.notify_one();
    }

    /// Deliveries are due again.
    pub(super) fn due(&self) {
        self.destinations.iter().for_each(|destination| destination.wake.notify_one());
        self.endpoints.notify_one();
    }

    /// Hears of everything that pages and feeds show.
    pub(super) fn pages(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    fn wake_here(&self, noticed: bool) {
        if noticed {
            self.published.send_modify(|count| *count += 1);
        }
        self.due();
    }
}

/// Rings each time `asked` is notified, once for all that came while it rang.
async fn ring(store: Store, ring: Ring, asked: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        tokio::select! {
            () = asked.notified() => {}
            _ = stop.changed() => break,
        }
        if let Err(error) = store.ring(ring).await {
            tracing::debug!(%error, "other replicas couldn't be woken; they look by themselves");
        }
    }
}
