//! What people and publishers do: first in the model, then with the product, until it says yes.

use super::act::Act;
use super::draft::{Draft, withdrawal};
use super::house::{self, SCHEDULES, TOPICS};
use super::life::Run;
use allim::domain::clock::UnixMillis;
use allim::intake::Intake;
use allim::intake::accept::Verdict;
use allim::intake::wire::{EventKind, Incoming};
use allim::store::{Store, StoreError, destinations, occurrences, subscribers};
use std::time::Duration;

impl Run<'_> {
    /// What is about to be done.
    pub(super) fn learn(&mut self, act: &Act, now: UnixMillis) {
        match act {
            Act::Publish { topics, urgent, embargo_s } => {
                let name = format!("post-{}", self.model.posts.len());
                let under: Vec<&str> =
                    (0..TOPICS.len()).filter(|bit| topics >> bit & 1 == 1).map(|bit| TOPICS[bit]).collect();
                let embargo_until = (*embargo_s > 0).then(|| now.plus(Duration::from_secs(*embargo_s)));
                self.model.hand_in(Draft { urgent: *urgent, embargo_until, ..Draft::new(&name, "ko", &under, now) });
            }
            Act::Revise { post } => {
                if let Some(at) = self.model.standing(*post) {
                    let post = &mut self.model.posts[at];
                    post.revision += 1;
                    post.draft.revision = Some(post.revision);
                    post.draft.title = format!("revised as number {}", post.revision);
                }
            }
            Act::Withdraw { post } => {
                if let Some(at) = self.model.standing(*post) {
                    self.model.posts[at].is_withdrawn = true;
                    self.withdrawing = Some(at);
                }
            }
            Act::Join { who, topic, schedule } => {
                self.model.join(self.model.who(*who), TOPICS[topic % TOPICS.len()], schedule % SCHEDULES.len());
            }
            Act::Leave { who, schedule } => self.model.leave(self.model.who(*who), schedule % SCHEDULES.len()),
            _ => {}
        }
    }

    /// Does it. The outer error is a fault of the product, the inner one the store's, after which it is done again.
    pub(super) async fn perform(
        &mut self,
        store: &Store,
        intake: &Intake,
        act: &Act,
        now: UnixMillis,
    ) -> Result<Result<(), StoreError>, String> {
        match act {
            Act::Publish { .. } => {
                let Some(post) = self.model.posts.last() else { return Ok(Ok(())) };
                hand_in(intake, post.draft.bare(), &[Verdict::Stored, Verdict::Duplicate]).await
            }
            Act::Revise { post } => {
                let Some(at) = self.model.standing(*post) else { return Ok(Ok(())) };
                let post = &self.model.posts[at];
                let message = post.draft.event(EventKind::Revised, &format!("{at}-{}", post.revision));
                hand_in(intake, message, &[Verdict::Revised, Verdict::Duplicate]).await
            }
            Act::Withdraw { .. } => {
                let Some(at) = self.withdrawing else { return Ok(Ok(())) };
                let message = withdrawal(&self.model.posts[at].draft.source_id, &format!("{at}-withdrawn"));
                let done = hand_in(intake, message, &[Verdict::Withdrawn, Verdict::Duplicate]).await;
                if matches!(done, Ok(Ok(()))) {
                    self.withdrawing = None;
                }
                done
            }
            Act::Join { who, topic, schedule } => {
                let (id, topic, slot) = (self.model.who(*who), TOPICS[topic % TOPICS.len()], house::slot(*schedule));
                let join = move |tx: &mut allim::store::Tx<'_>| {
                    subscribers::lock(tx, id)?;
                    subscribers::subscribe(tx, id, topic, &slot, now)?;
                    occurrences::fire_for(tx, id, now)
                };
                Ok(store.write(join).await.map(drop))
            }
            Act::Leave { who, schedule } => {
                let (id, schedule) = (self.model.who(*who), SCHEDULES[schedule % SCHEDULES.len()]);
                let leave = move |tx: &mut allim::store::Tx<'_>| {
                    subscribers::lock(tx, id)?;
                    subscribers::unsubscribe_schedule(tx, id, schedule, now)
                };
                Ok(store.write(leave).await.map(drop))
            }
            Act::Hold => Ok(store.write(move |tx| destinations::hold(tx, "all", "a test", now)).await),
            Act::LetGo => Ok(store.write(|tx| destinations::release_hold(tx, "all")).await.map(drop)),
            _ => Ok(Ok(())),
        }
    }
}

async fn hand_in(intake: &Intake, message: Incoming, expected: &[Verdict]) -> Result<Result<(), StoreError>, String> {
    match intake.accept(vec![message]).await {
        Ok(receipts) => match receipts.first() {
            Some(receipt) if expected.contains(&receipt.verdict) => Ok(Ok(())),
            other => Err(format!("intake said {:?}, not one of {expected:?}", other.map(|receipt| &receipt.verdict))),
        },
        Err(error) => Ok(Err(error)),
    }
}
