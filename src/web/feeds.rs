//! `GET /feeds/{topic}.{rss,atom,json,ics}`: kept in memory, rebuilt when the change counter has moved. A feed that is
//! up to date is served without asking the store. Feeds of topics have places of their own; those of tags, and pages of older
//! posts, share a bounded room (`kept.rs`).

mod delta;
mod find;
mod kept;
mod made;
mod private;
mod write;

use super::validators::fixed;
use super::{Front, pages, ui};
use crate::render::feed::{Kind, Subject, Which};
use crate::store::changes;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
pub(super) use delta::A_IM;
use kept::Kept;
use made::Made;
pub(super) use made::Raw;
pub(super) use private::serve as serve_private;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// How often the counter is looked at: a change made by another process shows after this at the latest.
const LOOK: Duration = Duration::from_millis(500);

/// Every feed there is, made or not.
pub struct Feeds {
    /// The head of the change counter, as last seen.
    head: AtomicI64,
    /// In the order of [`Feeds::place`].
    places: Vec<Place>,
    languages: usize,
    /// Feeds of tags, and pages of older posts.
    others: Kept,
}

#[derive(Default)]
struct Place {
    kept: RwLock<Option<Arc<Made>>>,
    /// Held by the one who makes it.
    making: tokio::sync::Mutex<()>,
}

impl Feeds {
    /// Room for the feeds of so many topics and languages.
    #[must_use]
    pub fn new(topics: usize, languages: usize) -> Self {
        let places = (topics + 1) * (languages + 1) * Kind::ALL.len();
        // Nothing was seen yet: whatever is made counts as up to date until the first look.
        Self {
            head: AtomicI64::new(-1),
            places: (0..places).map(|_| Place::default()).collect(),
            languages,
            others: Kept::default(),
        }
    }

    /// The place of its own that a feed has.
    fn place(&self, which: &Which) -> Option<&Place> {
        let rank = |index: Option<usize>| index.map_or(0, |index| index + 1);
        let topic = match (&which.subject, which.page) {
            (Subject::All, None) => None,
            (Subject::Topic(index), None) => Some(*index),
            _ => return None,
        };
        let kind = Kind::ALL.iter().position(|kind| *kind == which.kind)?;
        let topic = rank(topic) * (self.languages + 1) + rank(which.language);
        self.places.get(topic * Kind::ALL.len() + kind)
    }

    fn kept(&self, which: &Which) -> Option<Arc<Made>> {
        match self.place(which) {
            Some(place) => place.kept.read().unwrap_or_else(PoisonError::into_inner).clone(),
            None => self.others.get(which),
        }
    }

    fn fresh(&self, which: &Which) -> Option<Arc<Made>> {
        self.kept(which).filter(|made| made.head >= self.head.load(Ordering::Acquire))
    }

    fn keep(&self, which: &Which, made: &Arc<Made>) {
        self.head.fetch_max(made.head, Ordering::AcqRel);
        match self.place(which) {
            Some(place) => *place.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(made.clone()),
            None => self.others.put(which, made),
        }
    }
}

/// Keeps the head of the counter in sight until `stop`: at once when the planner has published something, and every
/// half second for what other processes do.
pub async fn watch_changes(front: Arc<Front>, mut published: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match front.store.read(changes::head).await {
            Ok(head) => {
                front.feeds.head.fetch_max(head, Ordering::Release);
                front.changes.hear(head);
            }
            Err(error) => tracing::warn!(%error, "feeds may be out of date: the change counter can't be read"),
        }
        tokio::select! {
            Ok(()) = published.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
    front.changes.end();
}

/// The answer to a request for a feed that was made and is up to date, without anything else being asked. `None`: let
/// [`serve`] see to it, or whoever is meant.
pub(super) fn at_hand<B>(front: &Front, request: &Request<B>) -> Option<Response> {
    // Requests that the log shows go the way on which it hears of them.
    if request.method() != Method::GET || tracing::enabled!(tracing::Level::DEBUG) || delta::is_asked(request.headers())
    {
        return None;
    }
    let made = fresh(front, request.uri().path(), request.uri().query())?;
    Some(counted(front, made.answer(request.headers(), front.clock.now())))
}

/// The same as it is written.
pub(super) fn raw(front: &Front, path: &str, query: Option<&str>, headers: &HeaderMap) -> Option<Raw> {
    let raw = fresh(front, path, query)?.raw(headers, front.clock.now())?;
    front.store.tallies().feed(raw.body.is_empty());
    Some(raw)
}

fn fresh(front: &Front, path: &str, query: Option<&str>) -> Option<Arc<Made>> {
    front.feeds.fresh(&Which::read(&front.house, path, query)?)
}

/// Counts an answer for the plots.
fn counted(front: &Front, response: Response) -> Response {
    front.store.tallies().feed(response.status() == StatusCode::NOT_MODIFIED);
    response
}

/// One feed.
pub(super) async fn serve(State(front): State<Arc<Front>>, request: Request<Body>) -> Response {
    let Some(which) = Which::read(&front.house, request.uri().path(), request.uri().query()) else {
        return pages::no_feed(&front, &request);
    };
    match ready(&front, &which).await {
        Ok(Some(made)) => {
            let delta = delta::of(&front, &which, &made, request.headers()).await;
            counted(&front, delta.unwrap_or(made).answer(request.headers(), front.clock.now()))
        }
        Ok(None) => pages::no_feed(&front, &request),
        Err(error) => {
            tracing::warn!(%error, path = request.uri().path(), "a feed could not be made");
            ui::unavailable(&front, &request)
        }
    }
}

/// What a browser asks before it lets a page of another site read a feed with header fields of its own (Fetch, CORS-preflight).
pub(super) async fn preflight() -> Response {
    let headers = fixed([
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "a-im, if-none-match, if-modified-since"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::ALLOW, "GET, HEAD, OPTIONS"),
    ]);
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// A feed that is up to date, or the last one that could be made; `None` when there is no such feed.
async fn ready(front: &Arc<Front>, which: &Which) -> anyhow::Result<Option<Arc<Made>>> {
    if let Some(made) = front.feeds.fresh(which) {
        return Ok(Some(made));
    }
    let place = front.feeds.place(which);
    let lock = place.map_or(&front.feeds.others.making, |place| &place.making);
    // One request makes it; others get what is there meanwhile, and wait only for a feed that was never made. Where the lock is
    // shared, whoever holds it may be making another feed.
    let making = match (lock.try_lock(), front.feeds.kept(which)) {
        (Ok(making), _) => making,
        (Err(_), Some(made)) if place.is_some() => return Ok(Some(made)),
        (Err(_), _) => lock.lock().await,
    };
    if let Some(made) = front.feeds.fresh(which) {
        return Ok(Some(made));
    }
    let made = match write::make(front.clone(), which.clone()).await {
        Ok(Some(made)) => made,
        Ok(None) => return Ok(None),
        Err(error) => {
            let Some(made) = front.feeds.kept(which) else { return Err(error) };
            tracing::warn!(%error, feed = front.house.title(which), "a feed could not be made anew");
            return Ok(Some(made));
        }
    };
    let made = Arc::new(made.after(front.feeds.kept(which).as_deref()));
    front.feeds.keep(which, &made);
    drop(making);
    Ok(Some(made))
}
