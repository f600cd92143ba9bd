//! The page that asks which server a post is to be passed on to, for services that aren't one site.

use super::Front;
use super::pages::{gone, unavailable};
use super::ui::{Asked, parameter};
use crate::domain::post::Showable;
use crate::render::page::{self, Notice};
use crate::store::posts;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// Longest server that is read, in characters.
const SERVER_LEN_MAX: usize = 300;

/// Asks for a server, or has the link to the one that was given. Nothing is kept.
pub(super) async fn ask(
    State(front): State<Arc<Front>>,
    Path((name, id)): Path<(String, String)>,
    request: Request,
) -> Response {
    let asked = Asked::new(&front, &request);
    let Some(link) = front.shares.iter().find(|link| link.name == name && link.asks_server()) else {
        return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
    };
    let (standing, post) = match front.store.read(move |tx| posts::find(tx, &id)).await {
        Ok(Some(found)) => found,
        Ok(None) => return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let showable = match Showable::public(standing, post) {
        Ok(showable) => showable,
        Err(standing) => return gone(&front, &asked, &standing),
    };
    let server = parameter(request.uri().query(), "server").filter(|text| text.chars().count() <= SERVER_LEN_MAX);
    let look = asked.look(&front);
    asked.answer(StatusCode::OK, page::post::share(&look, &front.templates, &showable, link, server.as_deref()))
}
