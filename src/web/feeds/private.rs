//! `GET /feeds/private/{token}.{rss,atom,json}`: a selection of topics for one institution. Whoever has the address reads it, so it is kept out of
//! shared caches, search engines and logs.

use super::{ready, ui};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::language::Language;
use crate::render::feed::{Format, Kind, Private, Subject, Which};
use crate::render::page::Notice;
use crate::store::private_feeds::{self, PrivateFeed};
use crate::web::Front;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;

/// That it was read is noted no oftener.
const NOTED_EVERY: Duration = Duration::from_secs(3_600);
/// Characters of a token at most.
const TOKEN_LEN_MAX: usize = 100;

pub(in crate::web) async fn serve(
    State(front): State<Arc<Front>>,
    Path(file): Path<String>,
    request: Request<Body>,
) -> Response {
    let asked = ui::Asked::new(&front, &request);
    let nothing = |asked: &ui::Asked| asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
    let parts = file.rsplit_once('.').filter(|(token, _)| token.len() <= TOKEN_LEN_MAX);
    let format = parts.and_then(|(_, ending)| Format::ALL.into_iter().find(|format| format.ending() == ending));
    let (Some((token, _)), Some(format)) = (parts, format) else { return nothing(&asked) };
    let hash = ids::content_hash(token.as_bytes());
    let feed = match front.store.read(move |tx| private_feeds::find(tx, &hash)).await {
        Ok(Some(feed)) => feed,
        Ok(None) => return nothing(&asked),
        Err(error) => {
            tracing::warn!(%error, "a private feed could not be looked up");
            return asked.sorry(&front);
        }
    };
    if feed.revoked_at.is_some() {
        return asked.notice(&front, StatusCode::GONE, Notice::NotFound);
    }
    note(&front, &feed).await;
    let private = Private { token: token.to_owned(), name: feed.name.clone(), topics: feed.topics };
    let known = |tag: String| {
        let language = Language::parse(&tag).ok()?;
        front.languages.iter().position(|known| *known == language)
    };
    // In a language that isn't ours any more it holds nothing, and not everything.
    let language = match feed.language.map(known) {
        Some(None) => return nothing(&asked),
        language => language.flatten(),
    };
    let which =
        Which { subject: Subject::Private(Arc::new(private)), language, page: None, kind: Kind::Entries(format) };
    match ready(&front, &which).await {
        Ok(Some(made)) => hidden(made.answer(request.headers(), front.clock.now())),
        Ok(None) => nothing(&asked),
        Err(error) => {
            tracing::warn!(%error, feed = feed.name, "a private feed could not be made");
            asked.sorry(&front)
        }
    }
}

async fn note(front: &Front, feed: &PrivateFeed) {
    let (now, name): (UnixMillis, String) = (front.clock.now(), feed.name.clone());
    if feed.read_at.is_some_and(|read_at| read_at.plus(NOTED_EVERY) > now) {
        return;
    }
    if let Err(error) = front.store.write(move |tx| private_feeds::set_read(tx, &name, now)).await {
        tracing::debug!(%error, "that a private feed was read could not be noted");
    }
}

/// The same answer for one reader alone.
fn hidden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    response
}
