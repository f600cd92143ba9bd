//! The web copy of an edition: what its mail held, without anything personal, and with the place of a post that was taken
//! back since marked (design rule 3).

use super::Front;
use super::ui::Asked;
use crate::domain::audience::IMMEDIATE;
use crate::domain::edition::{Item, ItemForm};
use crate::domain::language::Language;
use crate::domain::post::{Post, Showable, Standing};
use crate::domain::web_copy::WebCopy;
use crate::render::page::edition::{Copied, Issue, Place};
use crate::render::page::{self, Notice};
use crate::render::words::mail::mail_words;
use crate::store::editions::{self, Edition};
use crate::store::{StoreError, Tx, posts, token_keys};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// An edition by the address that its mail gave.
pub(super) async fn show(State(front): State<Arc<Front>>, Path(name): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    match front.store.read(move |tx| read(tx, &name)).await {
        Ok(Some((edition, posts))) => copy(&front, &asked, &edition, posts),
        Ok(None) => asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
        Err(error) => {
            tracing::warn!(%error, "the web copy of an edition can't be shown");
            asked.sorry(&front)
        }
    }
}

type Read = (Edition, Vec<(Standing, Post)>);

fn read(tx: &mut Tx<'_>, name: &str) -> Result<Option<Read>, StoreError> {
    let keys = token_keys::all(tx)?;
    let secret = |id: &str| keys.iter().find(|key| key.id == id).map(|key| key.secret.as_str());
    let Some(WebCopy { edition_id }) = WebCopy::verify(name, secret) else { return Ok(None) };
    let Some(edition) = editions::find(tx, edition_id)? else { return Ok(None) };
    let wanted: Vec<_> = edition.content.items.iter().map(|item| (item.post_id.clone(), item.revision)).collect();
    let posts = posts::at_revisions(tx, &wanted)?;
    Ok(Some((edition, posts)))
}

fn copy(front: &Front, asked: &Asked, edition: &Edition, posts: Vec<(Standing, Post)>) -> Response {
    let content = &edition.content;
    // Who comes from the mail reads its language, whatever their browser asks for.
    let mut look = asked.look(front);
    if !look.is_chosen
        && let Some(language) = content.language.best_of(look.offered)
    {
        look.language = language;
    }
    let language: &Language = look.language;
    let copied = |(item, (standing, post)): (&Item, (Standing, Post))| {
        let is_revised = standing.revision > item.revision;
        let place = match Showable::public(standing, post) {
            Ok(showable) => Place::Shown { showable: Box::new(showable), is_revised },
            Err(standing) if standing.withdrawn_at.is_some() => Place::Withdrawn,
            Err(_) => Place::Expired,
        };
        let topic_title = match item.form {
            ItemForm::Post => front.topic_title(&item.topic, language),
            ItemForm::Revised => mail_words(language).revised_lines.clone(),
        };
        Copied { topic_title, form: item.form, place }
    };
    let title = match front.digests.get(&content.schedule) {
        Some((title, _)) => title.get(language),
        None if content.schedule == IMMEDIATE => &look.words().immediate,
        None => front.site.name.get(language),
    };
    let issue = Issue {
        title: title.to_owned(),
        planned_at: edition.created_at,
        posts: content.items.iter().zip(posts).map(copied).collect(),
    };
    asked.answer(StatusCode::OK, page::edition::edition(&look, &front.templates, &issue))
}
