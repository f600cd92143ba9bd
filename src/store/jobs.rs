//! A unit of work on its way to a database thread and its answer on the way back.

use super::{StoreError, Tx};
use tokio::sync::{mpsc, oneshot};

/// A unit of work whose result type is hidden.
pub(super) trait Job: Send {
    /// Does the work inside a transaction; may be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Hands the result back, once it is known whether the transaction was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// Where jobs wait for whoever runs them.
#[derive(Clone)]
pub(super) enum Queue {
    /// Threads, which take what comes.
    Threads(crossbeam_channel::Sender<Box<dyn Job>>),
    /// A simulation, which takes one when it wants to.
    Hand(mpsc::UnboundedSender<Box<dyn Job>>),
}

impl Queue {
    /// Puts a job at the end. An error: nobody is there any more.
    pub(super) fn put(&self, job: Box<dyn Job>) -> Result<(), ()> {
        match self {
            Self::Threads(queue) => queue.send(job).map_err(drop),
            Self::Hand(queue) => queue.send(job).map_err(drop),
        }
    }
}

/// The one kind of [`Job`] there is.
pub(super) struct Call<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Call<T, F> {
    pub(super) fn new(work: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { work, result: None, reply }, answer)
    }
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.result = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let answer = committed.and_then(|()| result.ok_or_else(|| StoreError::Shape("no result".to_owned())));
        // Whoever asked may have gone; what was committed stays committed.
        let _ = reply.send(answer);
    }
}
