//! What is done with partner institutions, by the command line and by the interface alike: added, set, paused, tried, told again.

mod draft;
mod secrets;

pub use draft::{Broken, Draft};
pub use secrets::{Secrets, Tried};

use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::delivery::DeliveryKey;
use crate::domain::ids;
use crate::domain::keyring::{Broker, Keyring};
use crate::domain::partner::Way;
use crate::domain::seal::Seal;
use crate::guard::{Failure, Guard, Signed};
use crate::render::event;
use crate::render::feed::House;
use crate::store::endpoints::Endpoint;
use crate::store::partners::{self, New, Partner};
use crate::store::{Store, StoreError, Tx, endpoints, sealed};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrets::{Sealing, verifiers};
use std::sync::Arc;
use std::time::Duration;

/// What a partner's token begins with, so that scanners for leaked secrets can tell it.
const TOKEN_PREFIX: &str = "allimp_";
/// Deliveries looked at in one transaction when they are sent again: others write in between.
const AGAIN_MAX: i64 = 500;

/// What it takes.
#[derive(Clone)]
pub struct Partnership {
    /// The ledger.
    pub store: Store,
    /// What keys are sealed with.
    pub seal: Arc<Seal>,
    /// The way out.
    pub guard: Guard,
    /// What posts have in common.
    pub house: Arc<House>,
    /// Randomness.
    pub chance: Arc<dyn Chance>,
    /// How long a key that was replaced signs beside the new one.
    pub overlap: Duration,
}

/// Why something can't be done.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nobody is called so, or not any more.
    #[error("there is no partner of this name, or it has ended")]
    Unknown,
    /// Somebody is called so.
    #[error("there is a partner of this name")]
    Exists,
    /// Something that was said can't be.
    #[error("{0}")]
    Bad(#[from] Broken),
    /// It has no endpoint of this kind.
    #[error("{0}")]
    Otherwise(&'static str),
    /// The store doesn't answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Partnership {
    /// Adds a partner. Its secrets are told here and never again.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn add(&self, draft: &Draft) -> Result<Secrets, Fault> {
        let named = draft.read(&self.house, self.guard.rules(), None)?;
        let now = self.store.now().await?;
        let token = self.new_token();
        let keyring = Keyring { broker: named.broker.clone(), ..Keyring::new(self.draws()) };
        let secret = self.sealing(&named.name).close(&keyring, self.pair())?;
        let (hash, seal) = (ids::content_hash(token.as_bytes()), self.seal.name().to_owned());
        let (name, way) = (named.name.clone(), named.way);
        let add = move |tx: &mut Tx<'_>| {
            if way != Way::Pull {
                sealed::keep(tx, &seal)?;
            }
            let contact = named.contact.as_ref().map(|(address, language)| (address.as_str(), language.as_str()));
            let new = New {
                name: &name,
                way,
                url: &named.url,
                secret: Some(&secret),
                token_hash: &hash,
                format: named.format,
                selection: &named.selection,
                ordering: named.ordering,
                is_trusted: named.is_trusted,
                contact,
            };
            partners::add(tx, &new, now)
        };
        if !self.store.write(add).await? {
            return Err(Fault::Exists);
        }
        let secrets = if way == Way::Webhook { verifiers(&keyring, now) } else { Secrets::default() };
        Ok(Secrets { token: Some(token), ..secrets })
    }

    /// Sets what is said in the draft, and leaves the rest.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn set(&self, name: &str, draft: &Draft) -> Result<(), Fault> {
        let (partner, _) = self.find(name).await?;
        let named = draft.read(&self.house, self.guard.rules(), Some(&partner))?;
        let now = self.store.now().await?;
        let change = draft.change(&named);
        let (sealing, broker, draws) = (self.sealing(name), named.broker, self.pair());
        let name = name.to_owned();
        let set = move |tx: &mut Tx<'_>| {
            if let Some(broker) = &broker {
                let with = |keyring: Keyring| Keyring { broker: Some(broker.clone()), ..keyring };
                if let Err(fault) = sealing.change(tx, draws, now, with)? {
                    return Ok(Err(fault));
                }
            }
            Ok(if partners::set(tx, &name, &change, now)? { Ok(()) } else { Err(Fault::Unknown) })
        };
        self.store.write(set).await?
    }

    /// A partner that hasn't ended, with its endpoint.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn find(&self, name: &str) -> Result<(Partner, Option<Endpoint>), Fault> {
        let asked = name.to_owned();
        let look = move |tx: &mut Tx<'_>| {
            let Some(partner) = partners::find(tx, &asked)?.filter(|partner| partner.ended_at.is_none()) else {
                return Ok(None);
            };
            let endpoint = partner.endpoint_id.map(|id| endpoints::find(tx, id)).transpose()?.flatten();
            Ok(Some((partner, endpoint)))
        };
        self.store.read(look).await?.ok_or(Fault::Unknown)
    }

    /// Gives a partner new keys; the old ones sign beside them for a while.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn rotate_keys(&self, name: &str, overlap: Option<Duration>) -> Result<Secrets, Fault> {
        let (partner, _) = self.find(name).await?;
        if partner.way != Way::Webhook {
            return Err(Fault::Otherwise("only webhooks are signed"));
        }
        let (now, overlap) = (self.store.now().await?, overlap.unwrap_or(self.overlap));
        let (sealing, draws, pair) = (self.sealing(name), self.draws(), self.pair());
        let rotate =
            move |tx: &mut Tx<'_>| sealing.change(tx, pair, now, |keyring| keyring.rotated(draws, now, overlap));
        let keyring = self.store.write(rotate).await??;
        let old_keys_until = (!overlap.is_zero()).then(|| now.plus(overlap).to_string());
        Ok(Secrets { old_keys_until, ..verifiers(&keyring, now) })
    }

    /// Gives a partner another token; the one from before is good no more.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn rotate_token(&self, name: &str) -> Result<Secrets, Fault> {
        let token = self.new_token();
        let (name, hash) = (name.to_owned(), ids::content_hash(token.as_bytes()));
        let there = self.store.write(move |tx| partners::set_token(tx, &name, &hash)).await?;
        if there { Ok(Secrets { token: Some(token), ..Secrets::default() }) } else { Err(Fault::Unknown) }
    }

    /// Pauses a partner. Returns whether it wasn't paused.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn pause(&self, name: &str, why: &str) -> Result<bool, Fault> {
        let ((partner, _), now, why) = (self.find(name).await?, self.store.now().await?, why.to_owned());
        Ok(self.store.write(move |tx| partners::pause(tx, &partner, &why, now)).await?)
    }

    /// Lets deliveries go on. Returns whether it was paused.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn resume(&self, name: &str) -> Result<bool, Fault> {
        let (partner, _) = self.find(name).await?;
        Ok(self.store.write(move |tx| partners::resume(tx, &partner)).await?)
    }

    /// Ends a partner, with what waits for it.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn end(&self, name: &str, why: &str) -> Result<(), Fault> {
        let (name, why, now) = (name.to_owned(), why.to_owned(), self.store.now().await?);
        let ended = self.store.write(move |tx| partners::end(tx, &name, &why, now)).await?;
        if ended { Ok(()) } else { Err(Fault::Unknown) }
    }

    /// Sends again what was planned since an instant, or, without one, what was given up or refused. Returns how many.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn replay(&self, name: &str, since: Option<UnixMillis>) -> Result<u64, Fault> {
        let (partner, _) = self.find(name).await?;
        let id = partner.endpoint_id.ok_or(Fault::Otherwise("this partner asks for itself: nothing is sent to it"))?;
        let now = self.store.now().await?;
        let (mut from, mut count) = (partners::From::begin(since), 0);
        loop {
            let again = move |tx: &mut Tx<'_>| match since {
                Some(_) => partners::replay(tx, id, from, now, AGAIN_MAX),
                None => partners::replay_dead(tx, id, from, now, AGAIN_MAX),
            };
            let some = self.store.write(again).await?;
            count += some.count;
            match some.next {
                Some(next) => from = next,
                None => return Ok(count),
            }
        }
    }

    /// Sends a signed ping, past the ledger: it speaks of no post, and nobody waits for it.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn test(&self, name: &str) -> Result<Tried, Fault> {
        let (partner, endpoint) = self.find(name).await?;
        let endpoint = endpoint.filter(|_| partner.way == Way::Webhook);
        let endpoint = endpoint.ok_or(Fault::Otherwise("only webhooks can be tried in this way"))?;
        let (keyring, now) = (self.keyring(name).await?, self.store.now().await?);
        let (id, keys) = (self.ping_id(endpoint.id), keyring.live(now));
        let body = event::ping(&self.house, &id, now).structured().unwrap_or_default();
        let (url, body) = (endpoint.url.as_str(), body.as_bytes());
        let content_type = event::CLOUD_EVENT;
        let signed = Signed { url, id: &id, now, keys: &keys, content_type, more: Vec::new(), body };
        let answered = self.guard.post_signed(&signed).await;
        let (is_taken, answer) = match answered {
            Ok(answer) => ((200..300).contains(&answer.status), answer.words()),
            Err(Failure::Refused(refused)) => (false, format!("not asked: {refused}")),
            Err(Failure::Unreachable(words)) => (false, format!("not reached: {words}")),
            Err(Failure::Lost(words)) => (false, format!("no answer: {words}")),
        };
        Ok(Tried { is_taken, answer, id })
    }

    /// The broker of a partner that is told by one.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn broker(&self, name: &str) -> Result<Broker, Fault> {
        let keyring = self.keyring(name).await?;
        keyring.broker.ok_or(Fault::Otherwise("this partner is told by no broker"))
    }

    /// The id of a ping: none of a delivery.
    #[must_use]
    pub fn ping_id(&self, endpoint_id: i64) -> String {
        DeliveryKey { plan_id: self.chance.draw_id(), recipient_id: endpoint_id, carrier: "ping".to_owned() }.text_id()
    }

    async fn keyring(&self, name: &str) -> Result<Keyring, Fault> {
        let (_, endpoint) = self.find(name).await?;
        self.sealing(name).open(endpoint)
    }

    fn sealing(&self, name: &str) -> Sealing {
        Sealing { seal: self.seal.clone(), name: name.to_owned() }
    }

    fn pair(&self) -> [u64; 2] {
        [self.chance.draw(), self.chance.draw()]
    }

    fn draws(&self) -> [u64; 8] {
        std::array::from_fn(|_| self.chance.draw())
    }

    fn new_token(&self) -> String {
        let bytes: Vec<u8> = (0..4).flat_map(|_| self.chance.draw().to_be_bytes()).collect();
        format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}
