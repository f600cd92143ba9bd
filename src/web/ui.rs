//! What all pages share: the reader's language, the headers that keep a page harmless, and pages that say one thing.

use super::Front;
use super::validators::{etag, fixed, is_known, value};
use crate::domain::language::Language;
use crate::render::RenderError;
use crate::render::page::{self, Look, Notice};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Nothing may run, be embedded or be loaded but our style sheet and the pictures of posts.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' https: http:; form-action 'self'; \
                      frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Parameters that say which page it is, by what its path begins with; what others bring along, as trackers do, is no part of its
/// address.
const TELLING: [(&str, &[&str]); 5] = [
    ("/search", &["q", "before"]),
    ("/events", &["month"]),
    ("/editions", &["digest", "before"]),
    ("/topics/", &["before"]),
    ("/share/", &["server"]),
];
/// Longest list of languages that is read.
const ACCEPTED_LANGUAGES_MAX: usize = 20;

/// Who asks for a page, in which language, by which path.
pub(super) struct Asked {
    language: Language,
    is_chosen: bool,
    path: String,
    /// What of the query says which page it is.
    query: String,
    headers: HeaderMap,
}

impl Asked {
    pub(super) fn new(front: &Front, request: &Request) -> Self {
        let chosen = parameter(request.uri().query(), "lang").and_then(|tag| Language::parse(&tag).ok());
        let chosen = chosen.and_then(|language| language.best_of(&front.page_languages).cloned());
        let is_chosen = chosen.is_some();
        let language = chosen.or_else(|| accepted(front, request.headers()));
        Self {
            language: language.unwrap_or_else(|| front.language_default.clone()),
            is_chosen,
            path: request.uri().path().to_owned(),
            query: telling(request.uri().path(), request.uri().query().unwrap_or_default()),
            headers: request.headers().clone(),
        }
    }

    /// The path that was asked for.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn language(&self) -> &Language {
        &self.language
    }

    pub(super) fn look<'a>(&'a self, front: &'a Front) -> Look<'a> {
        Look {
            language: &self.language,
            is_chosen: self.is_chosen,
            offered: &front.page_languages,
            path: &self.path,
            query: &self.query,
            base: &front.base,
            origin: &front.origin,
            style: &front.style_path,
            icon: &front.icon_path,
            site: &front.site,
            theme: &front.theme,
            has_issues: front.has_issues(),
            zone: &front.zone,
        }
    }

    /// A rendered page as an answer; one that failed becomes a plain apology, and the log says why.
    pub(super) fn answer(&self, status: StatusCode, html: Result<String, RenderError>) -> Response {
        match html {
            Ok(html) => page_response(status, html, &self.headers),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                (StatusCode::INTERNAL_SERVER_ERROR, "This page can't be shown; the operator's log says why.\n")
                    .into_response()
            }
        }
    }

    pub(super) fn notice(&self, front: &Front, status: StatusCode, notice: Notice) -> Response {
        self.answer(status, page::notice(&self.look(front), &front.templates, notice))
    }
}

/// Each parameter once, in the order in which we write them, so that one page has one address.
fn telling(path: &str, query: &str) -> String {
    let names = TELLING.into_iter().find(|(begins, _)| path.starts_with(begins)).map_or(&[][..], |(_, names)| names);
    let value = |name: &&'static str| Some((*name, parameter(Some(query), name).filter(|value| !value.is_empty())?));
    let told = names.iter().filter_map(value);
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(told).finish()
}

fn accepted(front: &Front, headers: &HeaderMap) -> Option<Language> {
    accepted_of(headers, &front.page_languages)
}

/// The language of `ours` that the browser asks for first.
pub(super) fn accepted_of(headers: &HeaderMap, ours: &[Language]) -> Option<Language> {
    let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
    let weighed = |part: &str| {
        let (tag, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
        Some((Language::parse(tag.trim()).ok()?, weight))
    };
    let parts = lines.flat_map(|line| line.split(',')).take(ACCEPTED_LANGUAGES_MAX);
    let mut wanted: Vec<(Language, f32)> = parts.filter_map(weighed).filter(|(_, weight)| *weight > 0.0).collect();
    wanted.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    wanted.iter().find_map(|(language, _)| language.best_of(ours).cloned())
}

fn page_response(status: StatusCode, html: String, asked: &HeaderMap) -> Response {
    let etag = etag(html.as_bytes(), "");
    let is_known = status == StatusCode::OK && is_known(asked, &etag, None);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(html) });
    *response.status_mut() = if is_known { StatusCode::NOT_MODIFIED } else { status };
    *response.headers_mut() = page_headers();
    if status == StatusCode::OK {
        response.headers_mut().insert(header::ETAG, value(&etag));
    }
    response
}

fn page_headers() -> HeaderMap {
    let mut headers = fixed([
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-language"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Addresses of pages may hold tokens.
        (header::REFERRER_POLICY, "no-referrer"),
    ]);
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("permissions-policy", HeaderValue::from_static("camera=(), microphone=(), geolocation=()"));
    headers
}

/// The page that says there is none.
pub(super) fn not_found(front: &Front, request: &Request) -> Response {
    Asked::new(front, request).notice(front, StatusCode::NOT_FOUND, Notice::NotFound)
}

/// The page that asks for patience.
pub(super) fn unavailable(front: &Front, request: &Request) -> Response {
    Asked::new(front, request).sorry(front)
}

impl Asked {
    /// The page that asks for patience.
    pub(super) fn sorry(&self, front: &Front) -> Response {
        let mut response = self.notice(front, StatusCode::SERVICE_UNAVAILABLE, Notice::Unavailable);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        response
    }
}

/// Whatever no other route takes.
pub(super) async fn fallback(State(front): State<Arc<Front>>, request: Request) -> Response {
    not_found(&front, &request)
}

/// The style sheet. Its path changes with its content, so it may be kept for good.
pub(super) async fn style(State(front): State<Arc<Front>>) -> Response {
    let headers = fixed([
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]);
    (headers, front.style.clone()).into_response()
}

/// The first value of a parameter in a query.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
