//! Wake-ups between replicas: LISTEN and NOTIFY of PostgreSQL. Nothing depends on them: a lost one costs the second until
//! the next look. An embedded database has one daemon, which wakes itself.
//!
//! A ring is a transaction of its own, never part of one that stores something: commits that notify take turns at a
//! lock of the whole server, which made eight writers five times as slow (docs/adr/0005-replicas.md).

use super::value::params;
use super::{Dialect, Store, StoreError, postgres};
use crate::domain::delivery::words;
use ::postgres::fallible_iterator::FallibleIterator as _;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often a listener looks whether anybody still wants to hear.
const LOOK: Duration = Duration::from_secs(5);
/// The rest before a broken connection is made again.
const REST: Duration = Duration::from_secs(1);

words! {
    /// What other replicas are told.
    Ring {
        /// There may be something to plan.
        Accepted = "accepted",
        /// There may be something to send or to show.
        Planned = "planned",
    }
}

/// Which server to listen at, and as whom.
#[derive(Clone, Default)]
pub(super) struct Bell {
    /// The server; none for an embedded database.
    pub(super) url: Option<String>,
    /// The server's number of our own listener, which doesn't hear our own rings; 0 while there is none.
    own: Arc<AtomicI64>,
}

impl Bell {
    pub(super) fn at(url: &str) -> Self {
        Self { url: Some(url.to_owned()), own: Arc::default() }
    }
}

impl Store {
    /// Wakes the other replicas. Does nothing for an embedded database.
    ///
    /// # Errors
    /// [`StoreError`] from the database; the others then look by themselves a little later.
    pub async fn ring(&self, ring: Ring) -> Result<(), StoreError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        let told = format!("{ring} {}", self.bell.own.load(Ordering::SeqCst));
        let notify = move |tx: &mut super::Tx<'_>| {
            // Nothing is stored, so nothing need reach the disk before others may hear of it.
            tx.execute("SET LOCAL synchronous_commit = off", &[])?;
            tx.execute("SELECT pg_notify('allim', $1)", params![&told]).map(drop)
        };
        self.write(notify).await
    }

    /// What other replicas ring, from now on and as long as the receiver is kept. `None` for an embedded database.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when no thread can be started. A server out of reach is no error: it is tried again.
    pub fn listen(&self) -> Result<Option<mpsc::UnboundedReceiver<Ring>>, StoreError> {
        let Some(url) = self.bell.url.clone() else { return Ok(None) };
        let (rings, heard) = mpsc::unbounded_channel();
        let own = self.bell.own.clone();
        let listen = move || {
            while !rings.is_closed() {
                if let Err(error) = hear(&url, &own, &rings) {
                    tracing::debug!(%error, "wake-ups of other replicas aren't heard for now");
                }
                own.store(0, Ordering::SeqCst);
                std::thread::sleep(REST);
            }
        };
        let thread = std::thread::Builder::new().name("store-bell".to_owned());
        thread.spawn(listen).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        Ok(Some(heard))
    }
}

/// Listens on one connection until it breaks or nobody wants to hear.
fn hear(url: &str, own: &AtomicI64, rings: &mpsc::UnboundedSender<Ring>) -> Result<(), StoreError> {
    let mut client = postgres::client(url)?;
    client.batch_execute("LISTEN allim").map_err(postgres::error)?;
    let row = client.query_one("SELECT CAST(pg_backend_pid() AS BIGINT)", &[]).map_err(postgres::error)?;
    own.store(row.get(0), Ordering::SeqCst);
    // Whatever was rung before this is unheard.
    for ring in Ring::ALL {
        let _ = rings.send(*ring);
    }
    while !rings.is_closed() {
        let Some(note) = client.notifications().timeout_iter(LOOK).next().map_err(postgres::error)? else {
            // Nothing rang; a server that went away silently is found out by asking it.
            client.batch_execute("").map_err(postgres::error)?;
            continue;
        };
        let (word, from) = note.payload().split_once(' ').unwrap_or_default();
        let is_own = from.parse() == Ok(own.load(Ordering::SeqCst));
        if let Some(ring) = Ring::from_word(word).filter(|_| !is_own) {
            let _ = rings.send(ring);
        }
    }
    Ok(())
}
