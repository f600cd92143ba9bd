//! Own accounts at social networks: what an account says follows from what it said. A delivery asks for a state ("tell of this post at this
//! revision", "tell of it no more"), and what is done depends on what stands at the network. Nothing is said twice: where an answer was
//! lost, it is looked up, and where that can't be, a person decides.

mod doubt;
pub mod graph;
pub mod kept;
pub mod login;
pub mod network;
pub mod oauth;
pub mod terms;
pub mod wire;

use super::carrier::Gate;
use super::push::courier::{Manners, News};
use super::push::{Ended, Office};
use crate::domain::account::{Revised, Rule, Slots};
use crate::domain::backoff;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::post::Showable;
use crate::render::RenderError;
use crate::render::blurb::{Blurb, Style};
use crate::store::accounts::{self, Said};
use crate::store::deliveries::Claimed;
use crate::store::{StoreError, Tx, editions};
use network::{Credential, Network, Remote, Saying};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long is tried what a network doesn't take, and how long is waited.
pub const MANNERS: Manners = Manners {
    give_up_after: Duration::from_secs(3 * 86_400),
    uncertain_wait: Duration::from_secs(60),
    backoff: &backoff::NETWORK,
    opens_after: 1,
};
/// What a server says of itself is asked again after this: it may have said nothing, or say something else by then.
const LEARNED_FOR: Duration = Duration::from_secs(6 * 3_600);
/// How often the store is asked to keep what a network said, or a login that came of it: without that, a person would have to look, or to
/// log in again.
const KEEP_TRIES_MAX: u32 = 8;

/// Writes what an account says of a post into what its network takes. `true`: as an answer to what it said of an earlier revision.
pub type Write = dyn Fn(&Showable, &Style, bool) -> Result<Blurb, RenderError> + Send + Sync;

/// An account.
pub struct Account {
    /// What it is told of.
    pub rule: Rule,
    /// The endpoint that it is in the ledger.
    pub endpoint_id: i64,
    /// Its network.
    pub network: Arc<dyn Network>,
    /// The configured login.
    pub base: Credential,
    /// When it speaks; `None`: at once.
    pub slots: Option<Slots>,
    /// What is older is no news any more.
    pub max_age: Option<Duration>,
    /// Its way of writing.
    pub write: Arc<Write>,
    /// When the network is asked again what isn't in its documents.
    pub learn_at: AtomicI64,
    /// A login that was renewed and couldn't be stored yet: the one before it may be of no use any more.
    pub unkept: Mutex<Option<Credential>>,
}

/// What a delivery asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Say,
    Follow,
    Unsay,
}

/// A delivery, and what is known of its post at the network.
struct Work {
    task: Task,
    post_id: String,
    revision: i64,
    row: accounts::Account,
    said: Option<Said>,
    doubt: Option<accounts::Doubt>,
    /// By which delivery it was said for sure: it stands somewhere, though nobody may know where.
    was_sent: Option<accounts::Doubt>,
}

/// Does what a delivery asks for.
pub(super) async fn carry(office: &Office, account: &Account, claimed: &Claimed, gate: &mut Gate) -> Ended {
    let work = match load(office, account, claimed).await {
        Ok(work) => work,
        Err(error) => {
            tracing::warn!(%error, "what an account said could not be loaded");
            return Outcome::NotAllowed.into();
        }
    };
    let (credential, is_new) = match kept::ready(office, account, &work.row).await {
        Ok(ready) => ready,
        Err(outcome) => return failed_login(office, account, outcome).await.into(),
    };
    let now = office.store.about_now();
    if account.learn_at.load(Ordering::Relaxed) <= now.0 {
        account.learn_at.store(now.plus(LEARNED_FOR).0, Ordering::Relaxed);
        account.network.learn(&credential).await;
    }
    let desk = Desk { office, account, claimed, credential: &credential };
    let ended = match work.task {
        Task::Unsay => desk.unsay(&work, gate).await,
        Task::Say | Task::Follow => desk.tell(&work, gate).await,
    };
    match &ended.outcome {
        Outcome::TryLater { reason: Reason::Login, .. } => {
            if !is_new && kept::expire(office, account, &credential).await {
                let reply = "the login ended; it is renewed".to_owned();
                return Outcome::TryLater { reason: Reason::Login, reply, not_before: None }.into();
            }
            failed_login(office, account, ended.outcome).await.into()
        }
        Outcome::Sent { .. } if work.row.login_failed.is_some() => {
            let id = account.endpoint_id;
            let works = office.store.write(move |tx| accounts::login_works(tx, id)).await;
            if matches!(works, Ok(true)) {
                tracing::info!(account = account.rule.name, "the login works again");
            }
            ended
        }
        _ => ended,
    }
}

async fn load(office: &Office, account: &Account, claimed: &Claimed) -> Result<Work, StoreError> {
    let (edition_id, key, id) = (claimed.edition_id, claimed.key.clone(), account.endpoint_id);
    let load = move |tx: &mut Tx<'_>| {
        let missing = || StoreError::Shape("an account's edition is missing".to_owned());
        let edition = editions::find(tx, edition_id)?.ok_or_else(missing)?;
        let item = edition.content.items.into_iter().next().ok_or_else(missing)?;
        let task = match edition.content.schedule.rsplit(':').next() {
            Some("unsay") => Task::Unsay,
            Some("follow") => Task::Follow,
            _ => Task::Say,
        };
        Ok(Work {
            task,
            row: accounts::find(tx, id)?,
            said: accounts::said(tx, id, &item.post_id)?,
            doubt: accounts::doubt(tx, &key, &item.post_id)?,
            was_sent: accounts::was_sent(tx, &key, &item.post_id)?,
            post_id: item.post_id,
            revision: item.revision,
        })
    };
    office.store.read(load).await
}

/// A person must log in again, and is told so once.
async fn failed_login(office: &Office, account: &Account, outcome: Outcome) -> Outcome {
    if let Outcome::TryLater { reason: Reason::Login, reply, .. } = &outcome {
        // Of no use any more: a person brings another.
        *account.unkept.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let (id, why, now) = (account.endpoint_id, reply.clone(), office.store.about_now());
        let note = move |tx: &mut Tx<'_>| accounts::login_failed(tx, id, &why, now);
        if matches!(office.store.write(note).await, Ok(true)) {
            let name = &account.rule.name;
            tracing::error!(
                account = name,
                "an account must log in again: run `allim account login {name}`; what is due waits"
            );
        }
    }
    outcome
}

/// One delivery at one account.
struct Desk<'a> {
    office: &'a Office,
    account: &'a Account,
    claimed: &'a Claimed,
    credential: &'a Credential,
}

impl Desk<'_> {
    /// Sees to it that the account tells of a post at this revision.
    async fn tell(&self, work: &Work, gate: &mut Gate) -> Ended {
        let said = match self.look(work).await {
            Ok(said) => said,
            Err(ended) => return ended,
        };
        let remote = match said {
            Some(said) if said.gone_at.is_some() => return refused("it was taken away from the network").into(),
            Some(said) if said.revision >= work.revision => return sent("it stands there already").into(),
            Some(said) => match read_remote(&said) {
                Ok(remote) => Some(remote),
                Err(outcome) => return outcome.into(),
            },
            None => None,
        };
        let is_answer = remote.is_some() && self.account.rule.revised == Revised::Reply;
        if remote.is_some() && self.account.rule.revised == Revised::Leave {
            return sent("it stands there, and is left as it was").into();
        }
        let blurb = match self.blurb(self.claimed.edition_id, is_answer).await {
            Ok(blurb) => blurb,
            Err(outcome) => return outcome.into(),
        };
        let id = self.claimed.key.text_id();
        let reply_to = remote.as_ref().filter(|_| is_answer);
        let saying = self.saying(&id, self.claimed.planned_at, &blurb, reply_to);
        let network = &self.account.network;
        let said = match &remote {
            Some(remote) if !is_answer => network.edit(&saying, remote, gate).await,
            _ => network.say(&saying, gate).await,
        };
        let stands = match (remote, said.remote) {
            (Some(remote), Some(answer)) if is_answer => Some(with_answer(remote, &answer)),
            (_, said) => said,
        };
        if let Some(stands) = stands {
            self.keep(work, &stands, work.revision).await;
        }
        said.outcome.into()
    }

    /// Sees to it that nothing of the account tells of a post.
    async fn unsay(&self, work: &Work, gate: &mut Gate) -> Ended {
        let said = match self.look(work).await {
            Ok(said) => said,
            Err(ended) => return ended,
        };
        let Some(said) = said.filter(|said| said.gone_at.is_none()) else {
            return sent("there is nothing to take away").into();
        };
        let remote = match read_remote(&said) {
            Ok(remote) => remote,
            Err(outcome) => return outcome.into(),
        };
        if !self.account.network.can().delete {
            let name = &self.account.rule.name;
            tracing::warn!(account = name, post = work.post_id, "what was withdrawn must be taken away by hand");
            return refused("this network lets nobody take it away but a person: do it by hand").into();
        }
        let mut outcome = self.account.network.unsay(self.credential, &remote, gate).await;
        // What was answered to it goes too; the ledger's word is the same.
        for answer in answers(&remote) {
            if !matches!(outcome, Outcome::Sent { .. }) {
                break;
            }
            outcome = self.account.network.unsay(self.credential, &answer, &mut Gate::open()).await;
        }
        if matches!(outcome, Outcome::Sent { .. }) {
            let (id, post_id, now) = (self.account.endpoint_id, work.post_id.clone(), self.office.store.about_now());
            self.insist(move |tx| accounts::unsaid(tx, id, &post_id, now)).await;
        }
        // To take away again what may be gone does no harm.
        match outcome {
            Outcome::Uncertain { reply, .. } => {
                Outcome::TryLater { reason: Reason::Unreachable, reply, not_before: None }.into()
            }
            outcome => outcome.into(),
        }
    }

    fn saying<'b>(
        &'b self,
        id: &'b str,
        since: UnixMillis,
        blurb: &'b Blurb,
        reply_to: Option<&'b Remote>,
    ) -> Saying<'b> {
        Saying { id, since, now: self.office.store.about_now(), blurb, reply_to, credential: self.credential }
    }

    /// What an edition says, written once.
    async fn blurb(&self, edition_id: i64, is_answer: bool) -> Result<Blurb, Outcome> {
        let (write, style) = (self.account.write.clone(), self.account.network.style());
        let write = move |_: &str, news: &News, _: &_| match news {
            News::Post(showable) => {
                let blurb = write(showable, &style, is_answer)?;
                serde_json::to_string(&blurb).map_err(|_| RenderError::Empty)
            }
            News::Gone { .. } => Err(RenderError::Empty),
        };
        let text = self.office.prepare.edition(edition_id, write).await.map_err(|error| error.outcome(edition_id))?;
        serde_json::from_str(&text).map_err(|error| Outcome::Refused {
            reason: Reason::RenderFailed,
            reply: format!("what was written of it can't be read: {error}"),
        })
    }

    /// Keeps what stands at the network now.
    async fn keep(&self, work: &Work, remote: &Remote, revision: i64) {
        let (id, post_id, now) = (self.account.endpoint_id, work.post_id.clone(), self.office.store.about_now());
        let Ok(remote) = serde_json::to_string(remote) else { return };
        self.insist(move |tx| accounts::keep_said(tx, id, (&post_id, revision), &remote, now)).await;
    }

    /// Writes what only the network would know else.
    async fn insist(&self, write: impl Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + Sync + Clone + 'static) {
        // It was said in the log; a look-up finds it some day.
        let _ = insist(self.office, write).await;
    }
}

/// Writes until it is written.
///
/// # Errors
/// [`StoreError`] of the last try.
async fn insist<F>(office: &Office, write: F) -> Result<(), StoreError>
where
    F: Fn(&mut Tx<'_>) -> Result<(), StoreError> + Send + Sync + Clone + 'static,
{
    let mut failures = 0;
    loop {
        let Err(error) = office.store.write(write.clone()).await else { return Ok(()) };
        failures += 1;
        tracing::warn!(%error, failures, "what came of an account could not be kept");
        if failures >= KEEP_TRIES_MAX {
            return Err(error);
        }
        tokio::time::sleep(backoff::SERVICE.wait(failures, office.chance.draw_32())).await;
    }
}

/// What an account said, with an answer that it gave to it since.
fn with_answer(mut remote: Remote, answer: &Remote) -> Remote {
    let number = answers(&remote).count() + 1;
    if let Ok(text) = serde_json::to_string(answer) {
        remote.more.insert(format!("{ANSWER}{number}"), text);
    }
    remote
}

/// What an account answered to what it said.
fn answers(remote: &Remote) -> impl Iterator<Item = Remote> {
    let texts = remote.more.iter().filter(|(name, _)| name.starts_with(ANSWER));
    texts.filter_map(|(_, text)| serde_json::from_str(text).ok()).collect::<Vec<Remote>>().into_iter()
}

/// What the names of answers begin with among what else is kept of a post at a network.
const ANSWER: &str = "answer ";

fn sent(reply: &str) -> Outcome {
    Outcome::Sent { reply: reply.to_owned() }
}

fn refused(reply: &str) -> Outcome {
    Outcome::Refused { reason: Reason::ContentRefused, reply: reply.to_owned() }
}

fn read_remote(said: &Said) -> Result<Remote, Outcome> {
    serde_json::from_str(&said.remote)
        .map_err(|error| refused(&format!("where it stands at the network can't be read: {error}")))
}
