//! The seam between the ledger and the wire: a carrier is handed a parcel and a gate, and says what happened.

use super::lease::Lease;
use super::recorder::{Mark, Recorder};
use super::signing::Pen;
use crate::domain::audience::{Address, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Outcome, Reason};
use crate::domain::edition::EditionKind;
use crate::render::RenderError;
use crate::render::letter::{Fill, LetterForm, Sender};
use crate::store::deliveries::AttemptRef;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A future that a trait object can return.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way out to one destination.
pub trait Carrier: Send + Sync {
    /// Deliveries that it carries at once, each in a [`Session`] of its own.
    fn sessions(&self) -> usize;

    /// A session, such as a connection that is made when it is first needed.
    fn open(&self) -> Box<dyn Session>;
}

/// One line of work to a destination; keeps its connection between parcels.
pub trait Session: Send {
    /// Carries one parcel. It must call [`Gate::pass`] before the point of no return and go no further when that
    /// says no. It says what happened and decides nothing. `ahead` is the parcel that comes after it, if one waits: a
    /// session may announce it to the far side already, and ask its gate, but not pass it.
    fn carry<'a>(
        &'a mut self,
        parcel: &'a Parcel,
        gate: &'a mut Gate,
        ahead: Option<(&'a Parcel, &'a mut Gate)>,
    ) -> Later<'a, Outcome>;

    /// Ends the session politely.
    fn close(&mut self) -> Later<'_, ()>;
}

/// An edition made ready to be sent: rendered once.
pub struct Prepared {
    /// The edition.
    pub edition_id: i64,
    /// The schedule it belongs to.
    pub schedule: String,
    /// What it is: where the recipients' own links lead.
    pub kind: EditionKind,
    /// What all recipients share, encoded.
    pub form: LetterForm,
    /// Who writes.
    pub sender: Arc<Sender>,
    /// When the newest of its posts was accepted; `None` without posts.
    pub accepted_at: Option<UnixMillis>,
}

/// What is to be carried to one recipient.
pub struct Parcel {
    /// The delivery.
    pub key: DeliveryKey,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// The content.
    pub prepared: Arc<Prepared>,
    /// The recipient.
    pub to: Subscriber,
    /// Where they can leave.
    pub unsubscribe_url: Option<String>,
    /// The link to the recipient's own page.
    pub manage_url: Option<String>,
    /// The envelope sender, where it names the delivery; the sender's own address otherwise.
    pub return_path: Option<Address>,
    /// The address that they can leave by.
    pub leave_address: Option<String>,
    /// What its letter is signed with, if its sender signs.
    pub pen: Option<Pen>,
}

/// The ledger's word before the point of no return: `sending` is committed, the lease is trusted.
pub struct Gate {
    ledger: Option<(Recorder, Arc<Lease>, AttemptRef)>,
    asked: Option<oneshot::Receiver<bool>>,
    /// Counts it among the letters under way, from the question on.
    mark: Option<Mark>,
    /// Whether somebody tried to pass.
    is_used: bool,
}

impl Parcel {
    /// The letter without signatures: the same bytes each time it is asked for.
    ///
    /// # Errors
    /// [`RenderError`] when a value can't stand in a letter.
    pub fn letter(&self) -> Result<Vec<u8>, RenderError> {
        self.prepared.form.fill(&Fill {
            to: &self.to.address,
            to_name: self.to.name.as_ref(),
            delivery: &self.key,
            planned_at: self.planned_at,
            unsubscribe_url: self.unsubscribe_url.as_deref(),
            manage_url: self.manage_url.as_deref(),
            text_only: self.to.text_only,
            leave_address: self.leave_address.as_deref(),
        })
    }

    /// Where it comes back to when it can't be delivered.
    #[must_use]
    pub fn envelope_sender(&self) -> &Address {
        self.return_path.as_ref().unwrap_or(&self.prepared.sender.address)
    }
}

impl Parcel {
    /// Begins to sign the letter, without waiting: call it before its turn comes. A letter that can't be made says so then.
    pub(super) fn sign_ahead(&self) {
        if let (Some(pen), Ok(letter)) = (&self.pen, self.letter()) {
            pen.begin(letter, self.planned_at);
        }
    }

    /// The letter as it is carried, by whichever carrier: signed if its sender signs, and then too the same bytes each time.
    ///
    /// # Errors
    /// What becomes of the delivery when there is no letter. A signature that fails is our own error, and costs time only.
    pub async fn signed_letter(&self) -> Result<Vec<u8>, Outcome> {
        let made = match &self.pen {
            None => self.letter(),
            Some(pen) => pen.signed(|| self.letter(), self.planned_at).await,
        };
        made.map_err(|error| match error {
            RenderError::Unsigned => {
                Outcome::TryLater { reason: Reason::OurError, reply: error.to_string(), not_before: None }
            }
            error => Outcome::Refused { reason: Reason::RenderFailed, reply: error.to_string() },
        })
    }
}

impl Gate {
    pub(super) fn new(recorder: Recorder, lease: Arc<Lease>, attempt: AttemptRef) -> Self {
        Self { ledger: Some((recorder, lease, attempt)), asked: None, mark: None, is_used: false }
    }

    /// A gate without a ledger, whose answer is given by hand: for tests and measurements of a carrier by itself.
    #[must_use]
    pub fn answered_by(answer: oneshot::Receiver<bool>) -> Self {
        Self { ledger: None, asked: Some(answer), mark: None, is_used: false }
    }

    /// A gate for what follows in an attempt that passed.
    pub(super) fn open() -> Self {
        let (answer, asked) = oneshot::channel();
        let _ = answer.send(true);
        Self::answered_by(asked)
    }

    /// Begins to record, without waiting: call it when the dialogue starts, so that the commit overlaps it.
    pub fn ask(&mut self) {
        if let (None, Some((recorder, _, attempt))) = (&self.asked, &self.ledger) {
            self.mark = Some(recorder.mark());
            self.asked = Some(recorder.begin(attempt.clone()));
        }
    }

    /// Whether the record has begun.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether nobody tried to pass it yet, so that the same attempt may go another way.
    pub(super) fn is_unpassed(&self) -> bool {
        !self.is_used
    }

    /// Waits for the record. False: don't send.
    pub async fn pass(&mut self) -> bool {
        self.ask();
        self.is_used = true;
        let allowed = match self.asked.take() {
            Some(answer) => answer.await.unwrap_or(false),
            None => false,
        };
        allowed && self.ledger.as_ref().is_none_or(|(_, lease, attempt)| lease.is_trusted(attempt.t))
    }
}
