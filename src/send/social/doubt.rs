//! What may stand at a network without our knowing: an answer was lost. It is looked up there; where that can't be done, a person decides.

use super::network::{Found, Remote};
use super::{Desk, Ended, Work};
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
        if work.said.is_some() {
            return Ok(work.said.clone());
        }
        if self.claimed.uncertain_at.is_some() && !self.repeats_safely() {
            let id = self.claimed.key.text_id();
            let found = self.find(self.claimed.edition_id, &id, self.claimed.planned_at).await;
            return match found {
                Found::There(remote) => Ok(Some(self.note(work, &remote, work.revision).await)),
                Found::NotThere => Ok(None),
                Found::Later(outcome) => Err(outcome.into()),
                Found::CantTell => Err(Ended { outcome: lost(FOR_A_PERSON), is_for_a_person: true }),
            };
        }
        if work.was_sent {
            // A person said so, or the record was lost; said again it would stand there twice.
            let name = &self.account.rule.name;
            tracing::warn!(
                account = name,
                post = work.post_id,
                "what was revised or withdrawn must be seen to by hand"
            );
            return Err(super::refused("it stands at the network, and nobody knows where: see to it by hand").into());
        }
        let Some(doubt) = &work.doubt else { return Ok(None) };
        let found = self.find(doubt.edition_id, &doubt.key.text_id(), doubt.planned_at).await;
        match found {
            Found::There(remote) => {
                let said = self.note(work, &remote, doubt.revision).await;
                self.settle(doubt, true).await;
                Ok(Some(said))
            }
            // Its content was revised or withdrawn: that one isn't said any more.
            Found::NotThere => Ok(None),
            Found::Later(outcome) => Err(outcome.into()),
            Found::CantTell => {
                let not_before = Some(self.office.store.about_now().plus(ASK_AGAIN));
                let reply = format!("what was said before may be there; delivery {} waits for a person", doubt.key);
                // Above all what is to be taken away isn't given up.
                let outcome = Outcome::TryLater { reason: Reason::AnswerLost, reply, not_before };
                Err(Ended { outcome, is_for_a_person: true })
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

    async fn find(&self, edition_id: i64, id: &str, since: UnixMillis) -> Found {
        match self.blurb(edition_id, false).await {
            Ok(blurb) => self.account.network.find(&self.saying(id, since, &blurb, None)).await,
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

fn lost(reply: &str) -> Outcome {
    Outcome::Uncertain { reason: Reason::AnswerLost, reply: reply.to_owned() }
}
