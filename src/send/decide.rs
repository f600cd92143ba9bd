//! What follows from an outcome: one place, pure (design rule 14).

use super::recorder::Recorder;
use crate::domain::backoff::Backoff;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason, State};
use crate::domain::reply;
use crate::store::deliveries::{AttemptRef, Claimed, Ended};
use crate::store::tallies::Kind;
use std::time::Duration;

/// How long is tried, and how long an uncertain one waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Given up this long after planning.
    pub give_up_after: Duration,
    /// An uncertain delivery is looked at again after this.
    pub uncertain_wait: Duration,
    /// Waits of a delivery that failed by itself.
    pub waits: &'static Backoff,
}

/// The longest wait that a far side may ask for.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// How long a delivery rests that the ledger didn't let through; what stood in its way is being moved meanwhile. Longer than
/// the planner's poll: with a rest of the same length the two can keep step, and the planner finds it claimed each time.
const HANDED_BACK_REST: Duration = Duration::from_secs(2);
/// A full mailbox is tried for so long at most, however long others are: an issue that is older is of no use to whoever
/// clears it out, and each try counts at the far side.
const FULL_WAIT_MAX: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Characters kept of the far side's words.
const REPLY_CHARS_MAX: usize = 300;

/// The record of an attempt that came to `outcome` at `now`; `draw` is random, for the jitter.
#[must_use]
pub fn follow(claimed: &Claimed, outcome: &Outcome, patience: Patience, now: UnixMillis, draw: u32) -> Ended {
    let attempt = AttemptRef::of(claimed);
    let ended = |state: State, reason: Reason, reply: &str| Ended {
        attempt: attempt.clone(),
        e: claimed.edition_id,
        state: state.word(),
        reason,
        reply: reply::without_addresses(reply, REPLY_CHARS_MAX),
        due: None,
        failed: 0,
        fin: state.is_final().then_some(now),
        unc: None,
    };
    match outcome {
        Outcome::Sent { reply } => ended(State::Sent, Reason::Accepted, reply),
        Outcome::Refused { reason, reply } => Ended { failed: 1, ..ended(State::Refused, *reason, reply) },
        Outcome::Uncertain { reason, reply } => Ended {
            due: Some(now.plus(patience.uncertain_wait)),
            unc: Some(now),
            ..ended(State::Uncertain, *reason, reply)
        },
        Outcome::NotAllowed => {
            Ended { due: Some(now.plus(HANDED_BACK_REST)), ..ended(State::Due, Reason::HandedBack, "") }
        }
        Outcome::TryLater { reason, reply, not_before } => {
            // A destination's fault is its breaker's business: it doesn't count against the delivery.
            let failed = i64::from(!reason.blames_destination());
            let failures = u32::try_from(claimed.failures + 1).unwrap_or(u32::MAX);
            let own = if failed == 1 { now.plus(patience.waits.wait(failures, draw)) } else { now };
            let asked = not_before.map(|at| at.min(now.plus(ASKED_WAIT_MAX)));
            let due = asked.map_or(own, |asked| asked.max(own));
            let patience = match reason {
                Reason::MailboxFull => Some(patience.give_up_after.min(FULL_WAIT_MAX)),
                // A person will log in again, some day; until then nothing is lost.
                Reason::Login => None,
                _ => Some(patience.give_up_after),
            };
            if patience.is_some_and(|patience| due > claimed.planned_at.plus(patience)) {
                Ended { failed, ..ended(State::Abandoned, Reason::GaveUp, reply) }
            } else {
                Ended { failed, due: Some(due), ..ended(State::Due, *reason, reply) }
            }
        }
    }
}

/// Records what came of an attempt, or of a claim that no attempt followed.
pub(super) async fn record(
    recorder: &Recorder,
    claimed: &Claimed,
    outcome: &Outcome,
    patience: Patience,
    now: UnixMillis,
    draw: u32,
) {
    let ended = follow(claimed, outcome, patience, now, draw);
    let carrier = claimed.key.carrier.clone();
    let (state, reason) = (ended.state, ended.reason.word());
    metrics::counter!("allim_attempts_total", "carrier" => carrier.clone(), "state" => state, "reason" => reason)
        .increment(1);
    recorder.tallies().count(Kind::Out, &format!("{carrier}/{state}"), 1);
    if ended.state == "uncertain" {
        metrics::counter!("allim_uncertain_total", "carrier" => carrier).increment(1);
    }
    if ended.state != "sent" {
        tracing::info!(delivery = %claimed.key, state = ended.state, reason = %ended.reason, reply = ended.reply, "not delivered");
    }
    recorder.end(ended).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::DeliveryKey;

    const PATIENCE: Patience = Patience {
        give_up_after: Duration::from_secs(1_000),
        uncertain_wait: Duration::from_secs(900),
        waits: &crate::domain::backoff::RELAY,
    };

    fn claimed(failures: i64) -> Claimed {
        let key = DeliveryKey { plan_id: 1, recipient_id: 2, carrier: "email".to_owned() };
        Claimed {
            key,
            term: 1,
            edition_id: 3,
            attempt: 4,
            failures,
            planned_at: UnixMillis(0),
            uncertain_at: None,
            seat: None,
        }
    }

    fn later(reason: Reason) -> Outcome {
        Outcome::TryLater { reason, reply: "451 <a@b.example> later".to_owned(), not_before: None }
    }

    #[test]
    fn a_recipients_deferral_counts_and_waits_a_relays_outage_doesnt() {
        let ended = follow(&claimed(0), &later(Reason::Deferred), PATIENCE, UnixMillis(10), 0);
        assert_eq!((ended.state, ended.failed, ended.due), ("due", 1, Some(UnixMillis(10 + 48_000))));
        assert_eq!(ended.reply, "451 (address) later");
        let ended = follow(&claimed(0), &later(Reason::Unreachable), PATIENCE, UnixMillis(10), 0);
        assert_eq!((ended.state, ended.failed, ended.due), ("due", 0, Some(UnixMillis(10))));
    }

    #[test]
    fn it_gives_up_after_long_enough() {
        let ended = follow(&claimed(9), &later(Reason::Deferred), PATIENCE, UnixMillis(999_000), 0);
        assert_eq!((ended.state, ended.fin), ("abandoned", Some(UnixMillis(999_000))));
    }

    #[test]
    fn a_full_mailbox_is_tried_for_three_days() {
        let patience = Patience { give_up_after: Duration::from_secs(5 * 86_400), ..PATIENCE };
        let at = UnixMillis(4 * 86_400_000);
        assert_eq!(follow(&claimed(9), &later(Reason::MailboxFull), patience, at, 0).state, "abandoned");
        assert_eq!(follow(&claimed(9), &later(Reason::Deferred), patience, at, 0).state, "due");
    }

    #[test]
    fn a_lost_answer_is_uncertain_and_looked_at_later() {
        let outcome = Outcome::Uncertain { reason: Reason::AnswerLost, reply: String::new() };
        let ended = follow(&claimed(0), &outcome, PATIENCE, UnixMillis(10), 0);
        assert_eq!((ended.state, ended.due, ended.unc), ("uncertain", Some(UnixMillis(900_010)), Some(UnixMillis(10))));
        assert_eq!(ended.fin, None);
    }
}
