//! What may stand at a network without our knowing: an answer was lost. It is looked up there; where that can't be done, a person decides.

use super::network::{Found, Remote};
use super::{Desk, Ended, Task, Work, read_remote, refused, with_answer};
use crate::domain::account::Revised;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::store::accounts::{self, Said};
use std::time::Duration;

/// What waits for a person to settle a doubt is looked at again after this.
const ASK_AGAIN: Duration = Duration::from_secs(3_600);

impl Desk<'_> {
    /// What the account said of the post, as far as can be found out.
    ///
    /// # Errors
    /// What becomes of the delivery when that can't be found out now, or only by a person.
    pub(super) async fn look(&self, work: &Work) -> Result<Option<Said>, Ended> {
        let is_in_doubt = self.claimed.uncertain_at.is_some() && !self.repeats_safely();
        if let Some(said) = &work.said {
            // An answer to it may stand beside it.
            let answers = self.account.rule.revised == Revised::Reply && said.revision < work.revision;
            return match is_in_doubt && answers && work.task == Task::Follow && said.gone_at.is_none() {
                true => self.look_for_answer(work, said).await.map(Some),
                false => Ok(Some(said.clone())),
            };
        }
        if is_in_doubt {
            let own = (self.claimed.edition_id, self.claimed.key.text_id(), self.claimed.planned_at);
            return match self.find(&own, None).await {
                Found::There(remote) => Ok(Some(self.note(work, &remote, work.revision).await)),
                Found::NotThere => Ok(None),
                Found::Later(outcome) => Err(waits(outcome)),
                Found::CantTell => Err(Ended { outcome: lost(FOR_A_PERSON), is_for_a_person: true }),
            };
        }
        if let Some(sent) = &work.was_sent {
            return self.look_for_sent(work, sent).await.map(Some);
        }
        let Some(doubt) = &work.doubt else { return Ok(None) };
        let found = self.find(&(doubt.edition_id, doubt.key.text_id(), doubt.planned_at), None).await;
        match found {
            Found::There(remote) => {
                let said = self.note(work, &remote, doubt.revision).await;
                self.settle(doubt, true).await;
                Ok(Some(said))
            }
            // Its content was revised or withdrawn: that one isn't said any more.
            Found::NotThere => Ok(None),
            Found::Later(outcome) => Err(waits(outcome)),
            Found::CantTell => {
                let not_before = Some(self.office.store.about_now().plus(ASK_AGAIN));
                let reply = format!("what was said before may be there; delivery {} waits for a person", doubt.key);
                // Above all what is to be taken away isn't given up.
                Err(waits(Outcome::TryLater { reason: Reason::AnswerLost, reply, not_before }))
            }
        }
    }

    /// Looks whether the answer to what was said stands there already.
    async fn look_for_answer(&self, work: &Work, said: &Said) -> Result<Said, Ended> {
        let remote = read_remote(said)?;
        let own = (self.claimed.edition_id, self.claimed.key.text_id(), self.claimed.planned_at);
        match self.find(&own, Some(&remote)).await {
            Found::There(answer) => Ok(self.note(work, &with_answer(remote, &answer), work.revision).await),
            Found::NotThere => Ok(said.clone()),
            Found::Later(outcome) => Err(waits(outcome)),
            Found::CantTell => Err(Ended { outcome: lost(FOR_A_PERSON), is_for_a_person: true }),
        }
    }

    /// Looks where something stands that was said for sure: a person said so, or the record was lost. Said again it would stand there
    /// twice.
    async fn look_for_sent(&self, work: &Work, sent: &accounts::Doubt) -> Result<Said, Ended> {
        match self.find(&(sent.edition_id, sent.key.text_id(), sent.planned_at), None).await {
            Found::There(remote) => Ok(self.note(work, &remote, sent.revision).await),
            Found::Later(outcome) => Err(waits(outcome)),
            Found::NotThere | Found::CantTell => {
                let name = &self.account.rule.name;
                tracing::warn!(
                    account = name,
                    post = work.post_id,
                    "what was revised or withdrawn must be seen to by hand"
                );
                Err(refused("it stands at the network, and nobody knows where: see to it by hand").into())
            }
        }
    }

    /// Whether the network takes the same call again for the same post.
    fn repeats_safely(&self) -> bool {
        let window = self.account.network.can().repeats_safely_for;
        // Half of it: the first call was some minutes before its answer was given up.
        let until = |since: UnixMillis, window: Duration| since.plus(window / 2);
        match (window, self.claimed.uncertain_at) {
            (Some(window), Some(since)) => self.office.store.about_now() < until(since, window),
            _ => false,
        }
    }

    /// Looks for what a delivery (edition, text id, when it was planned) may have posted, as an answer to something or by itself.
    async fn find(&self, (edition_id, id, since): &(i64, String, UnixMillis), reply_to: Option<&Remote>) -> Found {
        match self.blurb(*edition_id, reply_to.is_some()).await {
            Ok(blurb) => self.account.network.find(&self.saying(id, *since, &blurb, reply_to)).await,
            Err(outcome) => Found::Later(outcome),
        }
    }

    async fn note(&self, work: &Work, remote: &Remote, revision: i64) -> Said {
        self.keep(work, remote, revision).await;
        let remote = serde_json::to_string(remote).unwrap_or_default();
        Said { revision, remote, said_at: self.office.store.about_now(), gone_at: None }
    }

    async fn settle(&self, doubt: &accounts::Doubt, is_there: bool) {
        let (key, now) = (doubt.key.clone(), self.office.store.about_now());
        self.insist(move |tx| accounts::settle_doubt(tx, &key, is_there, now).map(drop)).await;
    }
}

const FOR_A_PERSON: &str =
    "its answer was lost and the network can't be asked: look there, then `allim delivery settle`";

/// It isn't given up while something may stand there without our knowing.
fn waits(outcome: Outcome) -> Ended {
    Ended { outcome, is_for_a_person: true }
}

fn lost(reply: &str) -> Outcome {
    Outcome::Uncertain { reason: Reason::AnswerLost, reply: reply.to_owned() }
}
