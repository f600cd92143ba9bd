//! A desk: one request of one person who is signed in.

use super::Room;
use super::fields::Fields;
use crate::domain::audit::{Actor, Subject};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::staff::Role;
use crate::render::RenderError;
use crate::store::{StoreError, Tx, audit};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;

/// What a handler answers.
pub(super) type Answer = Result<Response, Lost>;

/// Why there is no answer; [`super::door`] makes a page of it.
#[derive(Clone, Debug)]
pub(super) enum Lost {
    /// There is no such thing.
    NotFound,
    /// Whoever asks may not.
    Forbidden,
    /// What was asked can't be done: a word `error_…` of the frame says why.
    Refused(&'static str),
    /// The store doesn't answer or refuses.
    Store(StoreError),
    /// A page can't be rendered: a mistake of ours.
    Broken,
}

impl From<StoreError> for Lost {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RenderError> for Lost {
    fn from(error: RenderError) -> Self {
        tracing::error!(%error, "a page of the control room could not be rendered");
        Self::Broken
    }
}

impl Lost {
    /// The status of its page.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Store(StoreError::Unavailable(_) | StoreError::Again(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Lost {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// Their number.
    pub(super) id: i64,
    /// Their name.
    pub(super) name: String,
    /// What they may do.
    pub(super) role: Role,
}

/// One request of one person who is signed in.
#[derive(Clone)]
pub(super) struct Desk {
    /// What all share.
    pub(super) room: Arc<Room>,
    /// Who asks.
    pub(super) who: Who,
    /// The language of the page.
    pub(super) language: Language,
    /// The query.
    pub(super) query: Fields,
    /// Whether htmx asks for a part of a page.
    pub(super) is_part: bool,
    /// The path.
    pub(super) path: String,
    /// The hash of the session.
    pub(super) session: String,
    /// The holds that are on: scope, reason, since.
    pub(super) holds: Vec<(String, String, UnixMillis)>,
}

impl FromRequestParts<Arc<Room>> for Desk {
    type Rejection = Lost;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Room>) -> Result<Self, Lost> {
        // Put there by the door; a route that isn't behind it has no desk.
        parts.extensions.get::<Self>().cloned().ok_or(Lost::Forbidden)
    }
}

/// What somebody does, as the audit will have it.
pub(super) struct Act {
    act: &'static str,
    subject: Subject,
    detail: serde_json::Map<String, serde_json::Value>,
}

impl Act {
    /// An act on something; the part `audit` has a word `act_…` for it.
    pub(super) fn new(act: &'static str, subject: Subject) -> Self {
        Self { act, subject, detail: serde_json::Map::new() }
    }

    /// What else matters: ids, counts and reasons; no address, nothing about people.
    pub(super) fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}

/// The ways around, in their order: where to, and the word `nav_…` that names it.
const WAYS: &[(&str, &str)] = &[
    ("/admin", "nav_overview"),
    ("/admin/digests", "nav_digests"),
    ("/admin/calendar", "nav_calendar"),
    ("/admin/deliveries", "nav_deliveries"),
    ("/admin/posts", "nav_posts"),
    ("/admin/people", "nav_people"),
    ("/admin/partners", "nav_partners"),
    ("/admin/quarantine", "nav_quarantine"),
    ("/admin/waiting", "nav_waiting"),
    ("/admin/audit", "nav_audit"),
    ("/admin/staff", "nav_staff"),
];

#[derive(Serialize)]
struct Hold<'a> {
    scope: &'a str,
    reason: &'a str,
    since_at: UnixMillis,
}

#[derive(Serialize)]
struct Way {
    href: &'static str,
    word: &'static str,
    is_here: bool,
}

/// What the frame of a page is given as `desk`.
#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
    role: &'static str,
    can: Can,
    path: &'a str,
    language: &'a str,
    zone: &'a str,
    site: &'a str,
    ways: Vec<Way>,
    holds: Vec<Hold<'a>>,
    said: Option<&'a str>,
    error: Option<&'a str>,
    style: &'static str,
    script: &'static str,
    is_signed_in: bool,
}

#[derive(Serialize)]
struct Can {
    edit: bool,
    operate: bool,
    own: bool,
}

impl Desk {
    /// Whether they may do what this role may.
    pub(super) fn can(&self, role: Role) -> bool {
        self.who.role >= role
    }

    /// The present instant.
    pub(super) fn now(&self) -> UnixMillis {
        self.room.front.clock.now()
    }

    /// A whole page.
    pub(super) fn page(&self, template: &str, part: impl Serialize) -> Response {
        self.render(StatusCode::OK, template, part, None)
    }

    /// A part of a page for htmx: a template that doesn't extend the frame.
    pub(super) fn part(&self, template: &str, part: impl Serialize) -> Response {
        self.render(StatusCode::OK, template, part, None)
    }

    /// The page again, with what is wrong on top: a word `error_…` of the template's part or the frame.
    pub(super) fn faulty(&self, template: &str, part: impl Serialize, error: &str) -> Response {
        self.render(StatusCode::UNPROCESSABLE_ENTITY, template, part, Some(error))
    }

    /// On to another page, which says what was done: a word `said_…` of that page's part or the frame.
    pub(super) fn done(&self, to: &str, said: &str) -> Response {
        let joint = if to.contains('?') { '&' } else { '?' };
        see_other(&format!("{to}{joint}said={said}"))
    }

    /// A word of a template's part.
    pub(super) fn word<'a>(&'a self, template: &str, word: &'a str) -> &'a str {
        self.room.pages.word(template, &self.language, word).unwrap_or(word)
    }

    /// Looks into the store.
    pub(super) async fn read<T, F>(&self, job: F) -> Result<T, Lost>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Ok(self.room.front.store.read(job).await?)
    }

    /// Does something and writes it down in one transaction.
    pub(super) async fn act<T, F>(&self, act: Act, job: F) -> Result<T, Lost>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.act_if(act, job, |_| true).await
    }

    /// Does something, and writes it down if `happened` says that something was done.
    pub(super) async fn act_if<T, F>(
        &self,
        act: Act,
        mut job: F,
        happened: impl Fn(&T) -> bool + Send + 'static,
    ) -> Result<T, Lost>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let entry = self.entry(act).await?;
        let both = move |tx: &mut Tx<'_>| {
            let result = job(tx)?;
            if happened(&result) {
                audit::note(tx, &entry)?;
            }
            Ok(result)
        };
        Ok(self.room.front.store.write(both).await?)
    }

    /// Writes down what was done by a function that has transactions of its own.
    pub(super) async fn tell(&self, act: Act) -> Result<(), Lost> {
        let entry = self.entry(act).await?;
        Ok(self.room.front.store.write(move |tx| audit::note(tx, &entry)).await?)
    }

    /// The row of the audit for an act, for those that write it themselves.
    pub(super) async fn entry(&self, act: Act) -> Result<audit::Entry, Lost> {
        Ok(audit::Entry {
            id: self.room.front.chance.draw_id(),
            at: self.room.front.store.now().await?,
            actor: Actor::Staff(self.who.id),
            act: act.act.to_owned(),
            subject: act.subject,
            detail: act.detail.into(),
        })
    }

    fn render(&self, status: StatusCode, template: &str, part: impl Serialize, error: Option<&str>) -> Response {
        let said = Some(self.query.get("said")).filter(|said| said.starts_with("said_") && error.is_none());
        let said = said.and_then(|said| self.room.pages.word(template, &self.language, said));
        let error = error.map(|error| self.word(template, error));
        let front = &self.room.front;
        let above = WAYS.iter().map(|(href, _)| *href).filter(|href| self.path.starts_with(href));
        let here = above.max_by_key(|href| href.len());
        let way = |(href, word): &(&'static str, &'static str)| Way { href, word, is_here: Some(*href) == here };
        let holds = self.holds.iter();
        let frame = Frame {
            name: &self.who.name,
            role: self.who.role.word(),
            can: Can { edit: self.can(Role::Editor), operate: self.can(Role::Operator), own: self.can(Role::Owner) },
            path: &self.path,
            language: self.language.base(),
            zone: front.zone.iana_name().unwrap_or("UTC"),
            site: front.site.name.get(&self.language),
            ways: WAYS.iter().map(way).collect(),
            holds: holds.map(|(scope, reason, since_at)| Hold { scope, reason, since_at: *since_at }).collect(),
            said,
            error,
            style: super::assets::style_path(),
            script: super::assets::script_path(),
            is_signed_in: self.who.id != 0,
        };
        match self.room.pages.render(template, &self.language, frame, part) {
            Ok(html) => html_response(status, html),
            Err(error) => Lost::from(error).into_response(),
        }
    }
}

/// Nothing may run, be embedded or be loaded but what is ours; previews are shown in frames of their own.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page that stays in no cache and does no harm.
pub(super) fn html_response(status: StatusCode, html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let mut response = (status, headers, html).into_response();
    response.headers_mut().insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response.headers_mut().insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// On to another page by GET (RFC 9110 section 15.4.4).
pub(super) fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(to) => (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response(),
        Err(_) => Lost::Broken.into_response(),
    }
}
