//! The door: who asks, from where, and whether they may.

use super::Room;
use super::desk::{Desk, Lost, Who, html_response, see_other};
use super::fields::Fields;
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::staff::{Role, secret_hash};
use crate::render::admin::TAGS;
use crate::store::staff::Session;
use crate::store::{StoreError, Tx, destinations, staff};
use crate::web::client;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// The cookie that holds a session's secret. With TLS its name begins so that no neighbouring host can set it (RFC 6265bis).
const SESSION: &str = "allim_session";
const SESSION_BY_TLS: &str = "__Host-allim_session";
/// The cookie that holds a chosen language.
const LANGUAGE: &str = "allim_language";
/// A session's last use is written down this often at most.
const TOUCH: Duration = Duration::from_secs(60);

/// Refuses what a page of somebody else made the browser send: requests by another name (DNS rebinding), and acts that didn't begin
/// on a page of ours (cross-site request forgery).
pub(super) async fn keep_strangers_out(State(room): State<Arc<Room>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !room.settings.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
        let text = "The control room isn't known by this name: name it in [admin] url.\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_look && !began_here(&room, headers) {
        let desk = stranger(&room, &request);
        return trouble(&desk, &Lost::Refused("error_elsewhere"), StatusCode::FORBIDDEN);
    }
    next.run(request).await
}

/// Whether an act began on a page of ours: browsers say so by `Sec-Fetch-Site` (Fetch Metadata) or, older ones, by `Origin`.
fn began_here(room: &Room, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_ours = |origin: &str| {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        room.settings.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    };
    match (text("sec-fetch-site"), text("origin")) {
        (Some(site), Some(origin)) => site == "same-origin" && is_ours(origin),
        (Some(site), None) => site == "same-origin",
        (None, Some(origin)) => is_ours(origin),
        (None, None) => false,
    }
}

/// Lets somebody past who is signed in and may; makes pages of what went wrong behind.
pub(super) async fn admit(State((room, role)): State<(Arc<Room>, Role)>, mut request: Request, next: Next) -> Response {
    let mut desk = stranger(&room, &request);
    let secret = cookie(request.headers(), session_cookie(&room)).map(|secret| secret_hash(&secret));
    let found = match secret.clone() {
        Some(hash) => look(&room, hash).await,
        None => Ok(None),
    };
    let (session, holds) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return to_sign_in(&request),
        Err(error) => return trouble_page(&desk, &Lost::Store(error)),
    };
    let person = session.person;
    desk.who = Who { id: person.id, name: person.name, role: person.role };
    (desk.session, desk.holds) = (secret.unwrap_or_default(), holds);
    if !desk.can(role) {
        return trouble_page(&desk, &Lost::Forbidden);
    }
    request.extensions_mut().insert(desk.clone());
    let response = next.run(request).await;
    match response.extensions().get::<Lost>() {
        Some(lost) => trouble_page(&desk, lost),
        None => response,
    }
}

type Found = (Session, Vec<(String, String, UnixMillis)>);

/// The session of a secret's hash, if it isn't over, with the holds that every page shows.
async fn look(room: &Room, hash: String) -> Result<Option<Found>, StoreError> {
    let (store, settings) = (&room.front.store, &room.settings);
    let asked = hash.clone();
    let read = move |tx: &mut Tx<'_>| {
        let Some(session) = staff::session(tx, &asked)? else { return Ok(None) };
        Ok(Some((session, destinations::holds(tx)?)))
    };
    let (Some((session, holds)), now) = (store.read(read).await?, store.now().await?) else { return Ok(None) };
    if session.began_at.until(now) > settings.session_max || session.seen_at.until(now) > settings.session_idle {
        store.write(move |tx| staff::end_session(tx, &hash)).await?;
        return Ok(None);
    }
    if session.seen_at.until(now) > TOUCH {
        store.write(move |tx| staff::touch_session(tx, &hash, now)).await?;
    }
    Ok(Some((session, holds)))
}

/// A desk at which nobody sits yet.
pub(super) fn stranger(room: &Arc<Room>, request: &Request) -> Desk {
    let headers = request.headers();
    Desk {
        room: room.clone(),
        who: Who { id: 0, name: String::new(), role: Role::Viewer },
        language: language(room, headers),
        query: Fields::of_query(request.uri().query()),
        is_part: headers.contains_key("hx-request"),
        path: request.uri().path().to_owned(),
        session: String::new(),
        holds: Vec::new(),
    }
}

/// The language that was chosen, or the browser's, or the site's first.
fn language(room: &Room, headers: &HeaderMap) -> Language {
    let ours: Vec<Language> = TAGS.iter().filter_map(|tag| Language::parse(tag).ok()).collect();
    let chosen = cookie(headers, LANGUAGE).and_then(|tag| Language::parse(&tag).ok());
    let chosen = chosen.and_then(|language| language.best_of(&ours).cloned());
    let asked = || crate::web::ui::accepted_of(headers, &ours);
    let first = || room.front.languages.iter().find_map(|language| language.best_of(&ours).cloned());
    chosen.or_else(asked).or_else(first).unwrap_or_else(|| ours[0].clone())
}

/// The value of a cookie.
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

fn session_cookie(room: &Room) -> &'static str {
    if is_by_tls(room) { SESSION_BY_TLS } else { SESSION }
}

fn is_by_tls(room: &Room) -> bool {
    room.settings.url.as_deref().is_some_and(|url| url.starts_with("https:"))
}

/// The cookie line that begins a session, or ends it when the secret is empty.
pub(super) fn session_line(room: &Room, secret: &str) -> String {
    let age = if secret.is_empty() { 0 } else { room.settings.session_max.as_secs() };
    let secure = if is_by_tls(room) { "; Secure" } else { "" };
    format!("{}={secret}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}", session_cookie(room))
}

/// The cookie line that keeps a language for a year.
pub(super) fn language_line(tag: &str) -> String {
    format!("{LANGUAGE}={tag}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict")
}

/// Whether the network that asks may try to come in once more in this hour.
pub(super) fn may_knock(room: &Room, request: &Request) -> bool {
    room.knocks.admit(client::address(&room.front, request), room.front.clock.now())
}

fn to_sign_in(request: &Request) -> Response {
    // A part of a page can't become the page for signing in: htmx is told to load that one whole.
    if request.headers().contains_key("hx-request") {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", "/admin/sign-in")]).into_response();
    }
    let wanted = request.uri().path_and_query().map_or("/admin", |path| path.as_str());
    let to: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
    see_other(&if is_look && wanted != "/admin" {
        format!("/admin/sign-in?to={to}")
    } else {
        "/admin/sign-in".to_owned()
    })
}

/// Whatever no route takes.
pub(super) async fn lost(State(room): State<Arc<Room>>, request: Request) -> Response {
    trouble_page(&stranger(&room, &request), &Lost::NotFound)
}

/// The page that says what went wrong.
pub(super) fn trouble_page(desk: &Desk, lost: &Lost) -> Response {
    trouble(desk, lost, lost.status())
}

#[derive(Serialize)]
struct Trouble<'a> {
    word: &'a str,
}

fn trouble(desk: &Desk, lost: &Lost, status: StatusCode) -> Response {
    let word = match lost {
        Lost::NotFound => "error_not_found",
        Lost::Forbidden => "error_forbidden",
        Lost::Refused(word) => word,
        Lost::Store(error) => {
            tracing::warn!(%error, "a page of the control room can't be shown");
            "error_store"
        }
        Lost::Broken => "error_broken",
    };
    // A word that the frame lacks would itself be trouble.
    let known = desk.room.pages.word("trouble.html", &desk.language, word).is_some();
    let word = if known { word } else { "error_refused" };
    let shown = desk.page("trouble.html", Trouble { word });
    if shown.extensions().get::<Lost>().is_some() {
        return html_response(
            StatusCode::INTERNAL_SERVER_ERROR,
            "This page can't be shown; the log says why.\n".to_owned(),
        );
    }
    let mut shown = shown;
    *shown.status_mut() = status;
    shown
}
