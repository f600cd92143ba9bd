//! Makes an edition ready to be sent: loads it, renders it once, and keeps the pieces, so that every repeat is byte-equal.

use super::carrier::{Parcel, Prepared};
use crate::domain::audience::{Address, IMMEDIATE, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::domain::edition::{EditionKind, SERVICE};
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::domain::token::{Purpose, Token};
use crate::domain::verp::{self, Named};
use crate::domain::web_copy::WebCopy;
use crate::render::RenderError;
use crate::render::letter::{LetterForm, Sender};
use crate::render::mail::{Entry, Issue, pieces};
use crate::render::pieces::Pieces;
use crate::render::service::{Service, service};
use crate::render::site::{LocalText, Site};
use crate::render::templates::Templates;
use crate::render::words::people::people_words;
use crate::store::deliveries::Claimed;
use crate::store::editions::{self, Edition};
use crate::store::token_keys::{self, TokenKey};
use crate::store::{Store, StoreError, posts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Editions kept ready in memory; a digest in three languages and a busy day's immediate mail fit.
const KEPT_MAX: usize = 64;

/// What mail is made of beside posts; from the configuration.
pub struct Stationery {
    /// The institution.
    pub site: Site,
    /// Titles of digests by name.
    pub digest_titles: BTreeMap<String, LocalText>,
    /// Titles of topics by name.
    pub topic_titles: BTreeMap<String, LocalText>,
    /// The zone in which dates are written, by digest; and for immediate mail under its name.
    pub zones: BTreeMap<String, jiff::tz::TimeZone>,
    /// Senders by name.
    pub senders: BTreeMap<String, Arc<Sender>>,
    /// Templates.
    pub templates: Arc<Templates>,
    /// Whether posts that were revised since their publication say so.
    pub notes_revisions: bool,
    /// The domain that makes the events of attached calendar files unique; `None`: none are attached.
    pub calendar_authority: Option<String>,
    /// Digests that are sent for profit.
    pub commercial: BTreeSet<String>,
}

impl Stationery {
    /// A topic's title in a language; its name when it has none.
    #[must_use]
    pub fn topic_title(&self, topic: &str, language: &Language) -> String {
        let plain = topic.strip_prefix(crate::domain::post::TAG_PREFIX).unwrap_or(topic);
        self.topic_titles.get(topic).map_or_else(|| plain.to_owned(), |title| title.get(language).to_owned())
    }

    /// The pieces of an edition's mail. `web_copy_url` is where the same can be read on the web.
    ///
    /// # Errors
    /// [`RenderError`] when a template or a value doesn't fit.
    pub fn render(
        &self,
        edition: &Edition,
        showables: Vec<Showable>,
        web_copy_url: Option<&str>,
    ) -> Result<Pieces, RenderError> {
        let content = &edition.content;
        if content.kind.is_service() {
            return self.render_service(edition);
        }
        let entry = |(showable, item): (Showable, &crate::domain::edition::Item)| Entry {
            showable,
            topic_title: self.topic_title(&item.topic, &content.language),
            also_titles: item.also.iter().map(|topic| self.topic_title(topic, &content.language)).collect(),
            form: item.form,
        };
        let entries: Vec<Entry> = showables.into_iter().zip(&content.items).map(entry).collect();
        let is_digest = content.schedule != IMMEDIATE;
        let title = self.digest_titles.get(&content.schedule).unwrap_or(&self.site.name);
        let zone = self.zones.get(&content.schedule).cloned().unwrap_or(jiff::tz::TimeZone::UTC);
        let issue = Issue {
            language: &content.language,
            schedule_title: title.get(&content.language),
            kind: content.kind,
            is_digest,
            is_commercial: self.commercial.contains(&content.schedule),
            site: &self.site,
            entries: &entries,
            planned_at: edition.created_at,
            zone: &zone,
            web_copy_url,
            notes_revisions: self.notes_revisions,
            calendar_authority: self.calendar_authority.as_deref(),
        };
        pieces(&issue, &self.templates)
    }

    fn render_service(&self, edition: &Edition) -> Result<Pieces, RenderError> {
        let (language, site) = (&edition.content.language, &self.site);
        let about = edition.content.schedule.strip_prefix(SERVICE).and_then(|rest| rest.strip_prefix(':'));
        let (about, on) = about.and_then(|rest| rest.split_once('@')).unzip();
        let on: Option<jiff::civil::Date> = on.and_then(|date| date.parse().ok());
        let title = |name: &str| match self.digest_titles.get(name) {
            Some(title) => title.get(language).to_owned(),
            None if name == IMMEDIATE => people_words(language).immediate.to_owned(),
            None => name.to_owned(),
        };
        let (about, kind) = (about.map(title), edition.content.kind);
        service(&Service { kind, language, about: about.as_deref(), site, on }, &self.templates)
    }
}

/// Why an edition can't be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The store can't say.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It can't be rendered; a repeat would end the same.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The configuration has no such sender any more.
    #[error("the sender `{0}` isn't configured")]
    NoSender(String),
}

/// Makes editions ready and keeps some of them.
pub struct Preparer {
    store: Store,
    stationery: Arc<Stationery>,
    kept: Mutex<HashMap<i64, Arc<Prepared>>>,
    keys: Mutex<Arc<Vec<TokenKey>>>,
}

impl Preparer {
    /// A preparer on a store.
    #[must_use]
    pub fn new(store: Store, stationery: Arc<Stationery>) -> Self {
        Self { store, stationery, kept: Mutex::default(), keys: Mutex::default() }
    }

    /// Reads the token keys; again whenever they may have changed.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn refresh_keys(&self) -> Result<(), StoreError> {
        let keys = self.store.read(token_keys::all).await?;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// An edition, ready to be sent.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub async fn edition(&self, id: i64) -> Result<Arc<Prepared>, PrepareError> {
        let kept = |map: &HashMap<i64, Arc<Prepared>>| map.get(&id).cloned();
        if let Some(ready) = kept(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(ready);
        }
        let ready = Arc::new(self.make(id).await?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(id, ready.clone());
        Ok(ready)
    }

    async fn make(&self, id: i64) -> Result<Prepared, PrepareError> {
        let load = move |tx: &mut crate::store::Tx<'_>| {
            let edition =
                editions::find(tx, id)?.ok_or_else(|| StoreError::Shape("an edition is missing".to_owned()))?;
            let wanted: Vec<(String, i64)> =
                edition.content.items.iter().map(|item| (item.post_id.clone(), item.revision)).collect();
            let posts = if edition.pieces.is_none() { posts::at_revisions(tx, &wanted)? } else { Vec::new() };
            Ok((edition, posts, editions::accepted_at(tx, id)?))
        };
        let (edition, posts, accepted_at) = self.store.read(load).await?;
        let sender = self.stationery.senders.get(&edition.content.sender);
        let sender = sender.cloned().ok_or_else(|| PrepareError::NoSender(edition.content.sender.clone()))?;
        let stored = match &edition.pieces {
            Some(pieces) => pieces.clone(),
            None => {
                let showables = posts.into_iter().map(|(standing, post)| Showable::pinned_by_edition(standing, post));
                let web_copy_url = self.web_copy_url(&edition);
                let pieces = self.stationery.render(&edition, showables.collect(), web_copy_url.as_deref())?;
                let pieces = serde_json::to_string(&pieces).map_err(|e| StoreError::Shape(e.to_string()))?;
                self.store.write(move |tx| editions::keep_pieces(tx, id, &pieces)).await?
            }
        };
        let pieces: Pieces =
            serde_json::from_str(&stored).map_err(|e| StoreError::Shape(format!("stored pieces: {e}")))?;
        let kind = edition.content.kind;
        let form = LetterForm::new(&pieces, &sender, &edition.content.language)?;
        let form = if kind.is_service() { form.without_list() } else { form };
        Ok(Prepared { edition_id: id, schedule: edition.content.schedule, kind, form, sender, accepted_at })
    }

    /// What is carried to one recipient.
    #[must_use]
    pub fn parcel(&self, claimed: &Claimed, prepared: Arc<Prepared>, to: Subscriber) -> Parcel {
        let key = self.key(claimed.planned_at);
        let unsubscribe_url = key.as_ref().and_then(|key| self.own_url(to.id, &prepared, claimed.planned_at, key));
        // Service letters have one link, which is that of their button. Mails of a list are passed on, so theirs opens less.
        let manage_url = key.as_ref().filter(|_| !prepared.kind.is_service());
        let manage_url = manage_url.and_then(|key| self.manage_url(Purpose::Settings, to.id, claimed.planned_at, key));
        let named =
            |purpose| own_address(&claimed.key, purpose, key.as_ref()?, prepared.sender.bounce_domain.as_deref()?);
        let return_path = named(verp::Purpose::Bounce).and_then(|address| Address::stored(&address).ok());
        let leave_address = named(verp::Purpose::Leave);
        let (key, planned_at) = (claimed.key.clone(), claimed.planned_at);
        Parcel { key, planned_at, prepared, to, unsubscribe_url, manage_url, return_path, leave_address, pen: None }
    }

    /// Where the recipient finds their subscriptions.
    fn manage_url(&self, purpose: Purpose, subscriber_id: i64, at: UnixMillis, key: &TokenKey) -> Option<String> {
        let public_url = self.stationery.site.public_url.as_deref()?;
        let token = Token { purpose, subscriber_id, detail: seconds(at) };
        Some(format!("{public_url}/manage/{}", token.sign(&key.id, &key.secret)))
    }

    /// Where an edition can be read on the web, if there is something to read.
    fn web_copy_url(&self, edition: &Edition) -> Option<String> {
        if edition.content.items.is_empty() {
            return None;
        }
        let key = self.key(edition.created_at)?;
        self.stationery.site.edition_url(&WebCopy { edition_id: edition.id }.sign(&key.id, &key.secret))
    }

    /// Where the recipient's own link leads.
    fn own_url(&self, subscriber_id: i64, of: &Prepared, planned_at: UnixMillis, key: &TokenKey) -> Option<String> {
        let public_url = self.stationery.site.public_url.as_deref()?;
        let (path, purpose, detail) = match of.kind {
            EditionKind::Issue
            | EditionKind::Heartbeat
            | EditionKind::Correction
            | EditionKind::Test
            | EditionKind::Push => ("unsubscribe", Purpose::Unsubscribe, of.schedule.clone()),
            EditionKind::PartnerPaused => return None,
            EditionKind::Confirmation => ("confirm", Purpose::Confirm, seconds(planned_at)),
            EditionKind::Link | EditionKind::Granted | EditionKind::Withdrawn | EditionKind::Reminder => {
                return self.manage_url(Purpose::Manage, subscriber_id, planned_at, key);
            }
        };
        let token = Token { purpose, subscriber_id, detail };
        Some(format!("{public_url}/{path}/{}", token.sign(&key.id, &key.secret)))
    }

    /// The key that signs is the newest one that is older than the delivery, so that a repeat bears the same tokens.
    fn key(&self, planned_at: UnixMillis) -> Option<TokenKey> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        keys.iter().rev().find(|key| key.created_at <= planned_at).or(keys.first()).cloned()
    }
}

/// The instant that a link was mailed, as its token tells it.
fn seconds(at: UnixMillis) -> String {
    at.0.div_euclid(1_000).to_string()
}

/// An address of a delivery's own at the bounce domain.
fn own_address(delivery: &DeliveryKey, purpose: verp::Purpose, key: &TokenKey, domain: &str) -> Option<String> {
    let named = Named { plan_id: delivery.plan_id, recipient_id: delivery.recipient_id };
    named.local_part(purpose, &key.id, &key.secret).map(|local| format!("{local}@{domain}"))
}
