//! A worker: one session of a destination, with the delivery that it carries, the one after it, and those being signed.

use super::carrier::{Gate, Parcel, Session};
use super::desk::{Desk, Job};
use super::prepare::PrepareError;
use super::{News, Office, decide};
use crate::domain::delivery::{Outcome, Reason};
use crate::store::deliveries::{AttemptRef, Claimed};
use futures_util::FutureExt as _;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Worker {
    pub office: Arc<Office>,
    pub session: Box<dyn Session>,
    pub desk: Arc<Desk>,
    pub news: Arc<Mutex<News>>,
    /// Deliveries made ready beside the one that is carried: the one to announce, and those whose letters are signed meanwhile.
    pub ahead_max: usize,
}

/// A delivery that is ready to be carried.
struct Ready {
    claimed: Claimed,
    parcel: Parcel,
    gate: Gate,
}

impl Worker {
    /// Works until the desk is closed. What was announced to the far side by then is carried to its end.
    pub(super) async fn run(mut self) {
        let mut ahead: VecDeque<Ready> = VecDeque::new();
        loop {
            let current = match ahead.pop_front() {
                Some(ready) => ready,
                None => {
                    let Some(job) = self.desk.take().await else { break };
                    match self.ready(job).await {
                        Some(ready) => ready,
                        None => continue,
                    }
                }
            };
            while ahead.len() < self.ahead_max {
                let Some(job) = self.desk.try_take() else { break };
                ahead.extend(self.ready(job).await);
            }
            self.carry(current, ahead.front_mut()).await;
            if self.desk.is_closed() {
                // Only the first may have been announced; the others go back with the lease, like those on the desk.
                ahead.truncate(1);
            }
        }
        self.session.close().await;
    }

    /// Makes a delivery ready; when it can't be, that is its outcome.
    async fn ready(&mut self, (claimed, to): Job) -> Option<Ready> {
        let outcome = match self.office.preparer.edition(claimed.edition_id).await {
            Ok(prepared) => {
                let mut parcel = self.office.preparer.parcel(&claimed, prepared, to);
                parcel.pen = self.office.signing.pen(&parcel.prepared.sender.name);
                parcel.sign_ahead();
                let attempt = AttemptRef::of(&claimed);
                let gate = Gate::new(self.office.recorder.clone(), self.office.lease.clone(), attempt);
                return Some(Ready { claimed, parcel, gate });
            }
            Err(PrepareError::Store(error)) => {
                tracing::warn!(%error, "an edition could not be loaded");
                Outcome::NotAllowed
            }
            Err(error) => {
                tracing::error!(edition = claimed.edition_id, %error, "an edition can't be rendered");
                Outcome::Refused { reason: Reason::RenderFailed, reply: error.to_string() }
            }
        };
        record(&self.office, &claimed, &outcome).await;
        None
    }

    async fn carry(&mut self, mut current: Ready, ahead: Option<&mut Ready>) {
        let ahead = ahead.map(|ready| (&ready.parcel, &mut ready.gate));
        let carrying = self.session.carry(&current.parcel, &mut current.gate, ahead);
        let outcome = std::panic::AssertUnwindSafe(carrying).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a carrier panicked");
            Outcome::Uncertain { reason: Reason::AnswerLost, reply: "the carrier panicked".to_owned() }
        });
        self.hear(&outcome);
        record(&self.office, &current.claimed, &outcome).await;
    }

    fn hear(&self, outcome: &Outcome) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Sent { .. } => {
                news.succeeded = true;
                news.failures.clear();
            }
            Outcome::TryLater { reason, not_before, .. } if reason.blames_destination() => {
                news.failures.push(*not_before);
            }
            _ => {}
        }
    }
}

async fn record(office: &Office, claimed: &Claimed, outcome: &Outcome) {
    let now = office.store.about_now();
    let ended = decide::follow(claimed, outcome, office.patience, now, office.chance.draw_32());
    metrics::counter!("allim_attempts_total", "state" => ended.state, "reason" => ended.reason.word()).increment(1);
    if ended.state == "uncertain" {
        metrics::counter!("allim_uncertain_total").increment(1);
    }
    if ended.state != "sent" {
        tracing::info!(delivery = %claimed.key, state = ended.state, reason = %ended.reason, reply = ended.reply, "not delivered");
    }
    office.recorder.end(ended).await;
}
