//! The seam between the ledger and the programs that endpoints are: a courier writes an edition once, and carries it to one endpoint
//! at a time.

use crate::domain::backoff::{self, Backoff};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Outcome, Reason};
use crate::domain::post::Showable;
use crate::guard::{Answer, Failure};
use crate::render::RenderError;
use crate::render::feed::Tombstone;
use crate::render::templates::Templates;
use crate::send::carrier::{Gate, Later};
use crate::store::endpoints::Endpoint;
use std::time::Duration;

/// A carrier to endpoints.
pub trait Courier: Send + Sync {
    /// Its name in the ledger.
    fn carrier(&self) -> &'static str;

    /// How long it is tried, and how it is waited.
    fn manners(&self) -> Manners {
        Manners::default()
    }

    /// Writes what all endpoints of this subject get. It is kept, so that a repeat is byte-equal.
    ///
    /// # Errors
    /// [`RenderError`]; a repeat would end the same.
    fn write(&self, subject: &str, news: &News, templates: &Templates) -> Result<String, RenderError>;

    /// Carries it. It must call [`Gate::pass`] before the point of no return, and go no further when that says no.
    fn carry<'a>(&'a self, push: &'a Push<'a>, gate: &'a mut Gate) -> Later<'a, Outcome>;
}

/// How long a courier tries, and how it waits.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Given up this long after planning.
    pub give_up_after: Duration,
    /// What may have arrived is tried again after this.
    pub uncertain_wait: Duration,
    /// Waits of a delivery that failed, and of an endpoint that is out of order.
    pub backoff: &'static Backoff,
    /// An endpoint is out of order after so many failures in a row.
    pub opens_after: u32,
}

impl Default for Manners {
    /// The feed itself holds what is given up.
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            give_up_after: days(3),
            uncertain_wait: Duration::from_secs(60),
            backoff: &backoff::DOMAIN,
            opens_after: 3,
        }
    }
}

/// What happened.
pub enum News {
    /// A post became public, or has a newer revision.
    Post(Box<Showable>),
    /// A post was withdrawn.
    Gone {
        /// What stays of it in feeds.
        tombstone: Tombstone,
        /// Path and query of each feed that showed it.
        feeds: Vec<String>,
        /// The installations through which it came.
        path: Vec<String>,
    },
}

/// One delivery.
pub struct Push<'a> {
    /// The delivery, whose text id stays the same over all attempts.
    pub key: &'a DeliveryKey,
    /// To whom.
    pub endpoint: &'a Endpoint,
    /// What was written.
    pub body: &'a str,
    /// When this attempt began.
    pub now: UnixMillis,
}

/// What an HTTP answer means to a delivery: 2xx is success and nothing else, 410 the end (RFC 9110 section 15).
#[must_use]
pub fn judge(answered: &Result<Answer, Failure>, now: UnixMillis) -> Outcome {
    let later = |reason, reply, not_before| Outcome::TryLater { reason, reply, not_before };
    match answered {
        Ok(answer) => match answer.status {
            200..300 => Outcome::Sent { reply: answer.words() },
            410 => Outcome::Refused { reason: Reason::Gone, reply: answer.words() },
            408 | 429 | 500.. => later(Reason::Busy, answer.words(), answer.retry_at(now)),
            _ => later(Reason::Deferred, answer.words(), answer.retry_at(now)),
        },
        Err(Failure::Refused(refused)) => later(Reason::Deferred, refused.to_string(), None),
        Err(Failure::Unreachable(words)) => later(Reason::Unreachable, words.clone(), None),
        Err(Failure::Lost(words)) => Outcome::Uncertain { reason: Reason::AnswerLost, reply: words.clone() },
    }
}
