//! What the sending process does in a walk, with the far side played by the test.

use super::departures::Departures;
use super::reckoning::{Fault, ensure};
use super::step::Answer;
use super::walk::Walk;
use allim::domain::audience::Subscriber;
use allim::domain::delivery::{DeliveryKey, Outcome, Reason};
use allim::domain::edition::{Content, SERVICE};
use allim::store::deliveries::Claimed;
use allim::store::editions;
use std::collections::{BTreeMap, BTreeSet};

/// A delivery that a sender has in hand.
pub(super) struct Held {
    pub(super) claimed: Claimed,
    /// As they were when it was claimed.
    to: Subscriber,
    pub(super) content: Content,
    pub(super) begun: bool,
    /// Its process was declared dead, but goes on as if it didn't know.
    pub(super) dead: bool,
    /// It was stopped, or put back to be claimed anew, since it was claimed.
    pub(super) taken_back: bool,
    /// The reader moved, or chose another form of mail, while it was on its way.
    pub(super) rests_if_lost: bool,
    /// Nobody tries it again before its answer is known: its reader left, moved or chose another form while a living process
    /// had it on its way.
    pub(super) put_to_rest: bool,
}

impl Held {
    fn repeats_uncertain(&self) -> bool {
        self.claimed.uncertain_at.is_some()
    }
}

/// What the test knows of sending from having done it.
#[derive(Default)]
pub(super) struct Sending {
    /// The edition of a delivery's first uncertain attempt, which every repeat must bear.
    pub(super) uncertain: BTreeMap<DeliveryKey, i64>,
    /// The editions that the far side said yes to.
    pub(super) accepted: BTreeMap<DeliveryKey, Vec<i64>>,
    pub(super) departures: Departures,
    /// Those that may have arrived and aren't repeated: their reader moved since, or chose another form of mail.
    pub(super) rests: BTreeSet<DeliveryKey>,
    /// The number of each delivery's newest attempt.
    newest: BTreeMap<DeliveryKey, i64>,
    /// Those that came to an end by an answer.
    over: BTreeSet<DeliveryKey>,
}

impl Sending {
    /// It may have arrived, but nobody knows.
    fn lose(&mut self, held: &Held) {
        let key = &held.claimed.key;
        self.uncertain.entry(key.clone()).or_insert(held.claimed.edition_id);
        if held.rests_if_lost {
            self.rests.insert(key.clone());
        }
    }
}

impl Walk<'_> {
    pub(super) async fn claim(&mut self, count: usize) -> Result<(), Fault> {
        let limit = i64::try_from(count).unwrap_or(i64::MAX);
        for (claimed, to) in self.house.claim_with_recipients(limit).await? {
            self.take_in_hand(claimed, to).await?;
        }
        Ok(())
    }

    async fn take_in_hand(&mut self, claimed: Claimed, to: Subscriber) -> Result<(), Fault> {
        let (key, edition_id) = (claimed.key.clone(), claimed.edition_id);
        // What was stopped and is due again because leaving was undone may still lie with whoever had it before.
        let is_held = |held: &Held| !held.dead && (held.begun || !held.taken_back);
        let twice = self.held.iter().any(|held| is_held(held) && held.claimed.key == key);
        ensure(!twice, || format!("{key} was claimed twice"))?;
        ensure(!self.sending.over.contains(&key), || format!("{key} was claimed after its end"))?;
        let first = self.sending.uncertain.get(&key);
        ensure(first.is_none_or(|first| *first == edition_id), || {
            format!("{key} ended uncertain with another edition than the one it is repeated with")
        })?;
        let edition = self.house.store.read(move |tx| editions::find(tx, edition_id)).await?;
        let content = edition.ok_or_else(|| Fault(format!("{key} has no edition")))?.content;
        let may_write = self.model.may_write(key.recipient_id, content.schedule == SERVICE);
        ensure(may_write, || format!("{key} is claimed, whose reader is gone"))?;
        let rests = claimed.uncertain_at.is_some() && self.sending.rests.contains(&key);
        ensure(!rests, || format!("{key} is repeated at another address or in another form"))?;
        let ended = self.sending.departures.ended_at(key.recipient_id, &content.schedule);
        let late = ended.is_some_and(|ended| claimed.planned_at <= ended);
        ensure(!late, || format!("{key} is claimed after the reader ended its schedule"))?;
        self.sending.newest.insert(key, claimed.attempt);
        let held = Held {
            claimed,
            to,
            content,
            begun: false,
            dead: false,
            taken_back: false,
            rests_if_lost: false,
            put_to_rest: false,
        };
        self.held.push(held);
        Ok(())
    }

    pub(super) async fn begin_one(&mut self, which: usize) -> Result<(), Fault> {
        let waiting: Vec<usize> = (0..self.held.len()).filter(|at| !self.held[*at].begun).collect();
        let Some(number) = which.checked_rem(waiting.len()) else { return Ok(()) };
        self.begin_at(waiting[number]).await
    }

    /// Asks to pass the point of no return, and checks the answer; a no is recorded, as a carrier does.
    pub(super) async fn begin_at(&mut self, at: usize) -> Result<(), Fault> {
        let held = &self.held[at];
        let key = held.claimed.key.clone();
        let may = self.house.begin(&held.claimed).await?;
        let may_write = self.model.may_write(key.recipient_id, held.content.schedule == SERVICE);
        let may_send = self.model.may_send(&held.content.items, held.repeats_uncertain());
        let by_rule = may_write && may_send && !held.dead;
        // Whether the end of a schedule or a move stops the repeat of an uncertain attempt that is in hand is left open.
        let rests = held.repeats_uncertain() && self.sending.rests.contains(&key);
        let left_open = held.taken_back || rests;
        let agrees = match (left_open, held.repeats_uncertain()) {
            (false, _) => may == by_rule,
            (true, false) => !may,
            (true, true) => !may || by_rule,
        };
        ensure(agrees, || {
            format!(
                "{key} may be sent: {may}; by the rules {by_rule}, dead {}, taken back {}",
                held.dead, held.taken_back
            )
        })?;
        self.counts.add(if may { "begun" } else { "not allowed to begin" });
        if may {
            let goes_there = self.model.is_reached_as(key.recipient_id, &self.held[at].to);
            ensure(goes_there, || format!("{key} begins to be sent to where its reader was, or as it was before"))?;
            self.held[at].begun = true;
            return Ok(());
        }
        let held = self.held.remove(at);
        self.record(&held, &Outcome::NotAllowed).await
    }

    /// A yes or a no is heard however late it comes, unless a newer attempt was claimed meanwhile.
    async fn record(&mut self, held: &Held, outcome: &Outcome) -> Result<(), Fault> {
        let key = &held.claimed.key;
        let over = self.house.record(&held.claimed, outcome).await?;
        let definite = held.begun && matches!(outcome, Outcome::Sent { .. } | Outcome::Refused { .. });
        let newest = self.sending.newest.get(key) == Some(&held.claimed.attempt);
        // Who left may have cancelled its repeat.
        let has_left = self.sending.departures.has_left(key.recipient_id);
        ensure(over == newest || !definite || has_left, || {
            format!("an answer to attempt {} of {key} was heard: {over}", held.claimed.attempt)
        })?;
        if over {
            self.sending.over.insert(key.clone());
        }
        Ok(())
    }

    pub(super) async fn answer_one(&mut self, which: usize, answer: Answer) -> Result<(), Fault> {
        match which.checked_rem(self.held.len()) {
            Some(at) => self.answer_at(at, answer).await,
            None => Ok(()),
        }
    }

    /// Before the point of no return there is neither a yes nor an answer that is lost.
    pub(super) async fn answer_at(&mut self, at: usize, answer: Answer) -> Result<(), Fault> {
        let held = self.held.remove(at);
        let reply = String::new();
        let later = |reason| Outcome::TryLater { reason, reply: String::new(), not_before: None };
        let key = held.claimed.key.clone();
        let outcome = match (answer, held.begun) {
            (Answer::Yes, true) => {
                self.sending.accepted.entry(key).or_default().push(held.claimed.edition_id);
                Outcome::Sent { reply }
            }
            (Answer::Lost, true) => {
                self.sending.lose(&held);
                Outcome::Uncertain { reason: Reason::AnswerLost, reply }
            }
            (Answer::No, _) => Outcome::Refused { reason: Reason::RecipientRefused, reply },
            (Answer::Busy | Answer::Lost, _) => later(Reason::Busy),
            (Answer::Later | Answer::Yes, _) => later(Reason::Deferred),
        };
        if matches!(outcome, Outcome::TryLater { .. }) && held.put_to_rest && !held.repeats_uncertain() {
            // It hasn't arrived, whatever was thought of it meanwhile.
            self.sending.uncertain.remove(&held.claimed.key);
            self.sending.rests.remove(&held.claimed.key);
        }
        self.counts.add(if held.dead { "answers after death" } else { "answers" });
        self.record(&held, &outcome).await
    }

    pub(super) async fn send(&mut self, count: usize, answer: Answer) -> Result<(), Fault> {
        let from = self.held.len();
        self.claim(count).await?;
        while self.held.len() > from {
            let left = self.held.len();
            self.begin_at(left - 1).await?;
            if self.held.len() == left {
                self.answer_at(left - 1, answer).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn die(&mut self) -> Result<(), Fault> {
        self.house.die().await?;
        for held in self.held.iter_mut().filter(|held| !held.dead) {
            held.dead = true;
            if held.begun {
                self.sending.lose(held);
            }
        }
        Ok(())
    }

    pub(super) async fn settle(&mut self) -> Result<(), Fault> {
        let again = self.house.settle().await?;
        self.counts.add_many("uncertain ones due again", usize::try_from(again).unwrap_or(usize::MAX));
        Ok(())
    }
}
