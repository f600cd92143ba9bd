//! Many callers with one message each: whoever comes while a commit is under way waits for the next, which takes all of
//! them in together. One after the other they would share the sync of a group, but neither statements nor pages.

use super::accept::Receipt;
use super::wire::Incoming;
use super::{Batch, Intake};
use crate::store::StoreError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Messages that share a commit at most.
const TOGETHER_MAX: usize = 256;

type Answer = oneshot::Sender<Result<Receipt, StoreError>>;

/// Where callers wait.
#[derive(Clone, Default)]
pub(super) struct Gathering(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    callers: Vec<(Batch, Answer)>,
    /// Whether somebody is at it and comes back for those who wait.
    is_served: bool,
}

impl Gathering {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those who wait, in the order in which they came; nobody is at it any more when there are none.
    fn next(&self) -> Vec<(Batch, Answer)> {
        let mut waiting = self.lock();
        let count = waiting.callers.len().min(TOGETHER_MAX);
        let next: Vec<_> = waiting.callers.drain(..count).collect();
        waiting.is_served = !next.is_empty();
        next
    }
}

impl Intake {
    /// Takes in one message, with whatever else arrives meanwhile. When this returns `Ok`, it is durable and may be
    /// acknowledged.
    ///
    /// # Errors
    /// [`StoreError`] when it wasn't stored; the same again is safe.
    pub async fn accept_one(&self, message: Incoming) -> Result<Receipt, StoreError> {
        let batch = self.open(vec![message]).await?;
        let (answer, answered) = oneshot::channel();
        let is_served = {
            let mut waiting = self.gathering.lock();
            waiting.callers.push((batch, answer));
            std::mem::replace(&mut waiting.is_served, true)
        };
        if !is_served {
            // A task of its own: a caller that goes away must not leave the others waiting.
            tokio::spawn(self.clone().serve());
        }
        answered.await.map_err(|_| StoreError::Unavailable("the process is ending".to_owned()))?
    }

    async fn serve(self) {
        loop {
            let (batches, callers): (Vec<_>, Vec<_>) = self.gathering.next().into_iter().unzip();
            if callers.is_empty() {
                return;
            }
            match self.keep(&Batch::joined(batches)).await {
                Ok(receipts) => callers.into_iter().zip(receipts).for_each(|(caller, receipt)| {
                    // Whoever asked may have gone; what was committed stays committed.
                    let _ = caller.send(Ok(receipt));
                }),
                Err(error) => callers.into_iter().for_each(|caller| {
                    let _ = caller.send(Err(error.clone()));
                }),
            }
        }
    }
}
