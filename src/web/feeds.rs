//! `GET /feeds/{topic}.{rss,atom,json}`: kept in memory, rebuilt when the change counter has moved. A feed that is
//! up to date is served without asking the store.

mod made;

use super::{Front, ui};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::render::feed::{Format, Meta, Tombstone, feed};
use crate::store::posts::{self, Filter};
use crate::store::{Store, StoreError, changes};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Request};
use axum::response::Response;
use made::Made;
pub(super) use made::Raw;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// Posts in a feed.
const POSTS_MAX: i64 = 50;
/// Tombstones in a feed, and for how long one stays: whoever reads less often keeps a withdrawn post.
const TOMBSTONES_MAX: i64 = 50;
const TOMBSTONE_AGE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// How often the counter is looked at: a change made by another process shows after this at the latest.
const LOOK: Duration = Duration::from_millis(500);
/// The name of the feed of all topics.
pub(super) const ALL: &str = "all";

/// Every feed there is, made or not.
pub struct Feeds {
    /// The head of the change counter, as last seen.
    head: AtomicI64,
    /// In the order of [`Feeds::place`].
    places: Vec<Place>,
    languages: usize,
}

#[derive(Default)]
struct Place {
    kept: RwLock<Option<Arc<Made>>>,
    /// Held by the one who makes it.
    making: tokio::sync::Mutex<()>,
}

impl Place {
    fn kept(&self) -> Option<Arc<Made>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self, feeds: &Feeds) -> Option<Arc<Made>> {
        self.kept().filter(|made| made.head >= feeds.head.load(Ordering::Acquire))
    }
}

/// Which feed.
#[derive(Clone, Copy)]
struct Which {
    /// Index of the topic; `None`: all.
    topic: Option<usize>,
    /// Index of the language; `None`: all.
    language: Option<usize>,
    format: Format,
}

impl Feeds {
    /// Room for the feeds of so many topics and languages.
    #[must_use]
    pub fn new(topics: usize, languages: usize) -> Self {
        let places = (topics + 1) * (languages + 1) * Format::ALL.len();
        // Nothing was seen yet: whatever is made counts as up to date until the first look.
        Self { head: AtomicI64::new(-1), places: (0..places).map(|_| Place::default()).collect(), languages }
    }

    fn place(&self, which: Which) -> Option<&Place> {
        let rank = |index: Option<usize>| index.map_or(0, |index| index + 1);
        let format = Format::ALL.iter().position(|format| *format == which.format)?;
        let topic = rank(which.topic) * (self.languages + 1) + rank(which.language);
        self.places.get(topic * Format::ALL.len() + format)
    }
}

/// Keeps the head of the counter in sight until `stop`: at once when the planner has published something, and every
/// half second for what other processes do.
pub async fn watch_changes(front: Arc<Front>, mut published: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match front.store.read(changes::head).await {
            Ok(head) => {
                front.feeds.head.fetch_max(head, Ordering::Release);
            }
            Err(error) => tracing::warn!(%error, "feeds may be out of date: the change counter can't be read"),
        }
        tokio::select! {
            Ok(()) = published.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
}

/// The answer to a request for a feed that was made and is up to date, without anything else being asked. `None`: let
/// [`serve`] see to it, or whoever is meant.
pub(super) fn at_hand<B>(front: &Front, request: &Request<B>) -> Option<Response> {
    // Requests that the log shows go the way on which it hears of them.
    if request.method() != Method::GET || tracing::enabled!(tracing::Level::DEBUG) {
        return None;
    }
    let made = fresh(front, request.uri().path(), request.uri().query())?;
    Some(made.answer(request.headers(), front.clock.now()))
}

/// The same as it is written.
pub(super) fn raw(front: &Front, path: &str, query: Option<&str>, headers: &HeaderMap) -> Option<Raw> {
    fresh(front, path, query)?.raw(headers, front.clock.now())
}

fn fresh(front: &Front, path: &str, query: Option<&str>) -> Option<Arc<Made>> {
    let which = which(front, path.strip_prefix("/feeds/")?, query)?;
    front.feeds.place(which)?.fresh(&front.feeds)
}

/// One feed.
pub(super) async fn serve(
    State(front): State<Arc<Front>>,
    Path(file): Path<String>,
    request: Request<Body>,
) -> Response {
    let Some(which) = which(&front, &file, request.uri().query()) else {
        return ui::not_found(&front, &request);
    };
    let Some(place) = front.feeds.place(which) else { return ui::not_found(&front, &request) };
    let kept = || place.kept();
    if let Some(made) = place.fresh(&front.feeds) {
        return made.answer(request.headers(), front.clock.now());
    }
    // One request makes it; others get what is there meanwhile, and wait only for a feed that was never made.
    let making = match (place.making.try_lock(), kept()) {
        (Ok(making), _) => making,
        (Err(_), Some(made)) => return made.answer(request.headers(), front.clock.now()),
        (Err(_), None) => place.making.lock().await,
    };
    if let Some(made) = place.fresh(&front.feeds) {
        return made.answer(request.headers(), front.clock.now());
    }
    match make(front.clone(), which).await {
        Ok(made) => {
            let made = Arc::new(made);
            front.feeds.head.fetch_max(made.head, Ordering::AcqRel);
            *place.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
            drop(making);
            made.answer(request.headers(), front.clock.now())
        }
        Err(error) => {
            tracing::warn!(%error, file, "a feed could not be made");
            match kept() {
                Some(made) => made.answer(request.headers(), front.clock.now()),
                None => ui::unavailable(&front, &request),
            }
        }
    }
}

/// Reads `events.atom` and `lang=ko`.
fn which(front: &Front, file: &str, query: Option<&str>) -> Option<Which> {
    let (topic, ending) = file.rsplit_once('.')?;
    let format = Format::ALL.into_iter().find(|format| format.ending() == ending)?;
    let topic = match topic {
        ALL => None,
        name => Some(front.topics.iter().position(|(known, _)| known == name)?),
    };
    let language = match ui::parameter(query, "lang") {
        None => None,
        Some(tag) => {
            let language = Language::parse(&tag).ok()?;
            Some(front.languages.iter().position(|known| *known == language)?)
        }
    };
    Some(Which { topic, language, format })
}

async fn make(front: Arc<Front>, which: Which) -> anyhow::Result<Made> {
    let now = front.clock.now();
    let topic = which.topic.and_then(|index| front.topics.get(index)).map(|(name, _)| name.clone());
    let language = which.language.and_then(|index| front.languages.get(index)).cloned();
    let found = find(&front.store, topic.clone(), language.as_ref(), now).await?;
    let (head, changed_at) = (found.head, found.changed_at);
    // Sanitising fifty posts takes a while; the threads that answer others go on.
    let format = which.format;
    let bytes = tokio::task::spawn_blocking(move || write(&front, topic.as_deref(), language.as_ref(), format, &found))
        .await??;
    Ok(Made::new(format, bytes, head, changed_at))
}

struct Found {
    head: i64,
    changed_at: Option<UnixMillis>,
    posts: Vec<Showable>,
    gone: Vec<Tombstone>,
}

/// Everything from one view of the store, so that the head fits the posts.
async fn find(
    store: &Store,
    topic: Option<String>,
    language: Option<&Language>,
    now: UnixMillis,
) -> Result<Found, StoreError> {
    let language = language.map(ToString::to_string);
    let filter = Filter { topic, language, public_only: true, ..Filter::default() };
    let read = move |tx: &mut crate::store::Tx<'_>| {
        let posts = posts::list(tx, &filter, POSTS_MAX)?;
        let gone = posts::withdrawn_since(tx, &filter, now.minus(TOMBSTONE_AGE_MAX), TOMBSTONES_MAX)?;
        let tombstone = |(post_id, withdrawn_at)| Tombstone { post_id, withdrawn_at };
        Ok(Found {
            head: changes::head(tx)?,
            changed_at: changes::newest_at(tx)?,
            posts: posts.into_iter().filter_map(|(standing, post)| Showable::public(standing, post).ok()).collect(),
            gone: gone.into_iter().map(tombstone).collect(),
        })
    };
    store.read(read).await
}

fn write(
    front: &Front,
    topic: Option<&str>,
    language: Option<&Language>,
    format: Format,
    found: &Found,
) -> anyhow::Result<Vec<u8>> {
    let title_language = language.or(front.languages.first()).unwrap_or(&front.language_default);
    let site_name = front.site.name.get(title_language);
    let title = topic.map_or_else(
        || site_name.to_owned(),
        |topic| format!("{} · {site_name}", front.topic_title(topic, title_language)),
    );
    let file = topic.unwrap_or(ALL);
    let query = language.map_or_else(String::new, |language| format!("?lang={language}"));
    let page = topic.map_or_else(String::new, |topic| format!("/topics/{topic}"));
    let meta = Meta {
        title: &title,
        name: &language.map_or_else(|| file.to_owned(), |language| format!("{file}/{language}")),
        language: title_language,
        self_url: &format!("{}/feeds/{file}.{}{query}", front.origin, format.ending()),
        page_url: &format!("{}{}{query}", front.origin, if page.is_empty() { "/" } else { &page }),
        site: &front.site,
        zone: &front.zone,
        tag_authority: &front.tag_authority,
        topic_title: &|topic, language| front.topic_title(topic, language),
    };
    let feed = feed(format, &meta, &found.posts, &found.gone, &front.templates)?;
    for (post_id, reason) in &feed.left_out {
        tracing::error!(post_id, reason, feed = meta.name, "a post was left out of a feed, which it would spoil");
    }
    Ok(feed.bytes)
}
