//! Copies the log of the embedded database into its file beside the writer, which else stopped for it every so often, and
//! whoever waits for a commit with it.

use super::StoreError;
use super::sqlite::{connect, error, spawn};
use crossbeam_channel::{Receiver, Sender};
use std::path::Path;
use std::time::Duration;

/// While something is written, the log is copied this often. A page that several commits change in between is copied once.
const EVERY: Duration = Duration::from_secs(1);

/// How the writer tells that there is something to copy.
pub(super) struct Checkpoints {
    waker: Sender<()>,
}

impl Checkpoints {
    /// Starts the thread; it ends with the writer.
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let copier = connect(Some(path))?;
        let (waker, woken): (Sender<()>, Receiver<()>) = crossbeam_channel::bounded(1);
        spawn("store-checkpoints", move || {
            for () in woken {
                std::thread::sleep(EVERY);
                // PASSIVE waits for nobody and stops nobody. What it leaves, the next one takes.
                let copied = copier.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                if let Err(failure) = copied {
                    tracing::warn!(error = %error(failure), "the log could not be copied into the database");
                }
            }
        })?;
        Ok(Self { waker })
    }

    /// Something was committed.
    pub(super) fn tell(&self) {
        // A thread that was told already needn't be told again.
        let _ = self.waker.try_send(());
    }
}
