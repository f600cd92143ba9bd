//! Signing ahead of the socket: a signature costs more than everything else about a letter, so threads of their own make
//! it while the letters before are on the wire, and no connection and no other task waits for them.

use crate::domain::clock::UnixMillis;
use crate::render::RenderError;
use crate::render::dkim::{self, Signer};
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// Letters that are being signed or wait for it, for each thread: so many that none runs dry between two.
const LETTERS_PER_THREAD: usize = 2;

type Signed = Result<Vec<u8>, RenderError>;

/// Who signs for which sender, and the threads that do it; they end when nobody can ask them any more.
pub struct Signing {
    signers: BTreeMap<String, Arc<[Signer]>>,
    tasks: crossbeam_channel::Sender<Task>,
    threads: usize,
}

struct Task {
    signers: Arc<[Signer]>,
    letter: Vec<u8>,
    at: UnixMillis,
    answer: oneshot::Sender<Signed>,
}

impl Signing {
    /// Starts a thread for each processor, or none when no sender signs.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub fn start(signers: BTreeMap<String, Vec<Signer>>) -> io::Result<Self> {
        let signers: BTreeMap<_, Arc<[Signer]>> =
            signers.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, list.into())).collect();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if signers.is_empty() { 0 } else { processors };
        // Without a bound: sessions ask for a few letters each and then wait.
        let (tasks, waiting) = crossbeam_channel::unbounded();
        for number in 0..threads {
            let waiting = waiting.clone();
            std::thread::Builder::new().name(format!("sign-{number}")).spawn(move || work(&waiting))?;
        }
        Ok(Self { signers, tasks, threads })
    }

    /// A pen for one letter of a sender; `None` when its letters aren't signed here.
    #[must_use]
    pub fn pen(&self, sender: &str) -> Option<Pen> {
        let signers = self.signers.get(sender)?.clone();
        Some(Pen { signers, tasks: self.tasks.clone(), asked: Mutex::default() })
    }

    /// How many letters each of a destination's sessions should have under way beside the one that it sends and the one that it
    /// announces, so that the threads never wait for the sessions.
    pub(super) fn lead(&self, sessions: usize) -> usize {
        (self.threads * LETTERS_PER_THREAD).div_ceil(sessions.max(1))
    }
}

fn work(waiting: &crossbeam_channel::Receiver<Task>) {
    for Task { signers, letter, at, answer } in waiting {
        // A letter that makes the signer panic fails alone.
        let signed = catch_unwind(AssertUnwindSafe(|| dkim::signed(&letter, &signers, at)));
        // Nobody waits for it any more when its session has ended.
        let _ = answer.send(signed.unwrap_or(Err(RenderError::Unsigned)));
    }
}

/// What one letter is signed with.
pub struct Pen {
    signers: Arc<[Signer]>,
    tasks: crossbeam_channel::Sender<Task>,
    asked: Mutex<Option<oneshot::Receiver<Signed>>>,
}

impl Pen {
    /// Begins to sign, without waiting.
    pub fn begin(&self, letter: Vec<u8>, at: UnixMillis) {
        let signing = self.ask(letter, at);
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(signing);
    }

    /// The signed letter: what was begun, or else `letter` signed now.
    ///
    /// # Errors
    /// What `letter` says, or [`RenderError::Unsigned`].
    pub async fn signed(&self, letter: impl FnOnce() -> Signed, at: UnixMillis) -> Signed {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let signing = match asked {
            Some(signing) => signing,
            None => self.ask(letter()?, at),
        };
        signing.await.unwrap_or(Err(RenderError::Unsigned))
    }

    fn ask(&self, letter: Vec<u8>, at: UnixMillis) -> oneshot::Receiver<Signed> {
        let (answer, signing) = oneshot::channel();
        // When the threads are gone the answer is dropped, and that is an answer too.
        let _ = self.tasks.send(Task { signers: self.signers.clone(), letter, at, answer });
        signing
    }
}
