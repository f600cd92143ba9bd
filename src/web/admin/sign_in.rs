//! Coming in: by name and password, or by a link that the command line or an owner made.

use super::desk::{Act, Answer, Desk, Lost, see_other};
use super::door::{language_line, may_knock, session_line, stranger, trouble_page};
use super::fields::Fields;
use super::{Room, password};
use crate::domain::audit::{Actor, Subject};
use crate::domain::clock::UnixMillis;
use crate::domain::staff::secret_hash;
use crate::domain::token;
use crate::render::admin::TAGS;
use crate::store::{StoreError, Tx, audit, staff};
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Wrong passwords in a row, after which the door is locked.
const FAILURES_MAX: i64 = 5;
/// For how long it is locked then; a link opens it all the same.
const LOCKED_FOR: Duration = Duration::from_secs(15 * 60);
/// How long a link lives.
pub(super) const LINK_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);

#[derive(Serialize)]
struct SignIn<'a> {
    to: &'a str,
    typed: &'a str,
}

/// A new secret for a browser.
pub(super) fn secret(room: &Room) -> String {
    token::secret(room.front.chance.as_ref())
}

/// The page for signing in.
pub(super) async fn show(State(room): State<Arc<Room>>, request: Request) -> Response {
    let desk = stranger(&room, &request);
    desk.page("sign_in.html", SignIn { to: way_on(desk.query.get("to")), typed: "" })
}

/// Where to go afterwards: a path of ours, so that no link leads people out of here.
fn way_on(to: &str) -> &str {
    if to.starts_with("/admin") && !to.contains("//") && !to.contains('\\') { to } else { "/admin" }
}

/// Signs somebody in by name and password.
pub(super) async fn enter(State(room): State<Arc<Room>>, request: Request) -> Response {
    let desk = stranger(&room, &request);
    if !may_knock(&room, &request) {
        return desk.faulty("sign_in.html", SignIn { to: "/admin", typed: "" }, "error_too_many");
    }
    let fields = match Fields::from_request(request, &()).await {
        Ok(fields) => fields,
        Err(lost) => return trouble_page(&desk, &lost),
    };
    match by_password(&room, &fields).await {
        Ok(Ok(secret)) => entered(&room, way_on(fields.get("to")), &secret),
        Ok(Err(why)) => {
            let part = SignIn { to: way_on(fields.get("to")), typed: fields.get("name") };
            desk.faulty("sign_in.html", part, why)
        }
        Err(error) => trouble_page(&desk, &Lost::Store(error)),
    }
}

/// The secret of a new session, or the word for why there is none. Nobody learns which names there are.
async fn by_password(room: &Room, fields: &Fields) -> Result<Result<String, &'static str>, StoreError> {
    let (name, store) = (fields.get("name").to_owned(), &room.front.store);
    let person = store.read(move |tx| staff::by_name(tx, &name)).await?.filter(|person| person.ended_at.is_none());
    let now = store.now().await?;
    let is_locked = person.as_ref().and_then(|person| person.locked_until).is_some_and(|until| until > now);
    let kept = person.as_ref().and_then(|person| person.password.clone()).filter(|_| !is_locked);
    let is_right = password::is_right(room, fields.raw("password").to_owned(), kept).await;
    match person {
        Some(person) if is_right => Ok(Ok(begin(room, person.id, "password", now).await?)),
        Some(person) if !is_locked => {
            let is_last = person.failures + 1 >= FAILURES_MAX;
            let locked_until = is_last.then(|| now.plus(LOCKED_FOR));
            // Whoever tried may be somebody else: what happened, happened to this door.
            let entry = entry(room, Actor::Machine, "sign_in_failed", person.id, now);
            let count = move |tx: &mut Tx<'_>| {
                staff::count_failure(tx, person.id, locked_until)?;
                audit::note(tx, &entry)
            };
            store.write(count).await?;
            Ok(Err("error_sign_in"))
        }
        _ => Ok(Err("error_sign_in")),
    }
}

fn entry(room: &Room, actor: Actor, act: &str, id: i64, at: UnixMillis) -> audit::Entry {
    let (row, detail) = (room.front.chance.draw_id(), serde_json::json!({}));
    audit::Entry { id: row, at, actor, act: act.to_owned(), subject: Subject::staff(id), detail }
}

/// Begins a session and writes it down.
async fn begin(room: &Room, id: i64, way: &'static str, now: UnixMillis) -> Result<String, StoreError> {
    let secret = secret(room);
    let hash = secret_hash(&secret);
    let mut entry = entry(room, Actor::Staff(id), "sign_in", id, now);
    entry.detail = serde_json::json!({ "by": way });
    let (idle, max) = (room.settings.session_idle, room.settings.session_max);
    let write = move |tx: &mut Tx<'_>| {
        staff::forget(tx, now.minus(max), now.minus(idle), now)?;
        staff::begin_session(tx, &hash, id, now)?;
        audit::note(tx, &entry)
    };
    room.front.store.write(write).await?;
    Ok(secret)
}

fn entered(room: &Room, to: &str, secret: &str) -> Response {
    with_cookie(see_other(to), &session_line(room, secret))
}

/// An answer that sets a cookie.
pub(super) fn with_cookie(mut response: Response, line: &str) -> Response {
    if let Ok(line) = HeaderValue::from_str(line) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
    response
}

#[derive(Serialize)]
struct Link {}

/// The page of a link: looking at it uses nothing up, since mail programs look at links too.
pub(super) async fn show_link(State(room): State<Arc<Room>>, request: Request) -> Response {
    stranger(&room, &request).page("link.html", Link {})
}

/// Signs somebody in by a link.
pub(super) async fn enter_by_link(
    State(room): State<Arc<Room>>,
    Path(secret): Path<String>,
    request: Request,
) -> Response {
    let desk = stranger(&room, &request);
    if !may_knock(&room, &request) {
        return desk.faulty("link.html", Link {}, "error_too_many");
    }
    match by_link(&room, &secret).await {
        Ok(Some(secret)) => entered(&room, "/admin/me", &secret),
        Ok(None) => {
            let mut response = desk.faulty("link.html", Link {}, "error_link");
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        Err(error) => trouble_page(&desk, &Lost::Store(error)),
    }
}

async fn by_link(room: &Room, secret: &str) -> Result<Option<String>, StoreError> {
    let (hash, now) = (secret_hash(secret), room.front.store.now().await?);
    let person = room.front.store.write(move |tx| staff::use_link(tx, &hash, now)).await?;
    match person {
        Some(person) => begin(room, person.id, "link", now).await.map(Some),
        None => Ok(None),
    }
}

/// Ends the session.
pub(super) async fn leave(desk: Desk) -> Answer {
    let session = desk.session.clone();
    desk.act(Act::new("sign_out", Subject::staff(desk.who.id)), move |tx| staff::end_session(tx, &session)).await?;
    Ok(with_cookie(see_other("/admin/sign-in"), &session_line(&desk.room, "")))
}

/// Keeps the language that was chosen.
pub(super) async fn choose_language(State(room): State<Arc<Room>>, request: Request) -> Response {
    let desk = stranger(&room, &request);
    let fields = match Fields::from_request(request, &()).await {
        Ok(fields) => fields,
        Err(lost) => return trouble_page(&desk, &lost),
    };
    match TAGS.iter().find(|tag| **tag == fields.get("language")) {
        Some(tag) => with_cookie(see_other(way_on(fields.get("to"))), &language_line(tag)),
        None => trouble_page(&desk, &Lost::Refused("error_form")),
    }
}
