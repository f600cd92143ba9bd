//! `GET /editions`: the issues of digests that went out, and each of them with everything that its digest held. What follows from who
//! reads what isn't in them (`store/issues.rs`); a mail's own copy keeps its address that nobody can guess (`web/editions.rs`).

use super::Front;
use super::pages::{one_per_story, unavailable};
use super::ui::{Asked, parameter};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::{Post, Standing};
use crate::render::page::Notice;
use crate::render::page::PostLine;
use crate::render::page::issues::{self as page, DigestChoice, IssueLine, IssuePage};
use crate::store::Tx;
use crate::store::issues::{self, Issue};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// Issues on a page of the list.
const ISSUES: usize = 20;
/// Posts that are shown of one: an issue after a long silence may hold a year.
const POSTS_MAX: i64 = 100;
/// How an issue's instant is spelled in its address; parts of a second, where an operator fired it.
const INSTANT: &str = "%Y%m%dT%H%M%S%.fZ";

/// The list; `?digest=` for one digest, `?before=` goes on where the last page ended.
pub(super) async fn list(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let nothing = || asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
    let query = request.uri().query();
    let chosen = parameter(query, "digest");
    let digests: Vec<String> = match &chosen {
        None => front.digests.keys().cloned().collect(),
        Some(name) => front.digests.keys().filter(|known| *known == name).cloned().collect(),
    };
    let before = parameter(query, "before").map(|text| read_cursor(&text));
    if !front.has_issues() || digests.is_empty() || matches!(before, Some(None)) {
        return nothing();
    }
    let (before, language) = (before.flatten(), released_to(&front, asked.language()).to_string());
    let read = move |tx: &mut Tx<'_>| {
        let found = issues::list(tx, &digests, before.as_ref(), ISSUES + 1)?;
        found.into_iter().map(|one| Ok((issues::count(tx, &one, &language, POSTS_MAX)?, one))).collect()
    };
    let mut found: Vec<(i64, Issue)> = match front.store.read(read).await {
        Ok(found) => found,
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let goes_on = found.len() > ISSUES;
    found.truncate(ISSUES);
    let look = asked.look(&front);
    let of = chosen.as_ref().map_or_else(String::new, |name| format!("digest={name}&"));
    let last = found.last().filter(|_| goes_on);
    let older = last.map(|(_, one)| look.link(&format!("/editions?{of}before={}-{}", one.due_at.0, one.digest)));
    let line = |(count, one): &(i64, Issue)| {
        let path = format!("/editions/{}/{}", one.digest, one.due_at.timestamp().strftime(INSTANT));
        IssueLine::new(
            &look,
            title(&front, &one.digest, look.language),
            &path,
            one.due_at,
            usize::try_from(*count).unwrap_or(0),
        )
    };
    // An issue in whose language nothing was released, or of which nothing is left.
    let lines: Vec<IssueLine> = found.iter().filter(|(count, _)| *count > 0).map(line).collect();
    let choice = |name: Option<&String>| DigestChoice {
        title: name.map_or(look.words().all_issues.as_str(), |name| title(&front, name, look.language)).to_owned(),
        href: look.link(&name.map_or_else(|| "/editions".to_owned(), |name| format!("/editions?digest={name}"))),
        is_current: chosen.as_ref() == name,
    };
    let choices: Vec<DigestChoice> = match front.digests.len() {
        1 => Vec::new(),
        _ => std::iter::once(None).chain(front.digests.keys().map(Some)).map(choice).collect(),
    };
    asked.answer(StatusCode::OK, page::list(&look, &front.templates, &choices, &lines, older.as_deref()))
}

/// One issue, `/editions/weekly/20261123T000000Z`.
pub(super) async fn show(
    State(front): State<Arc<Front>>,
    Path((digest, at)): Path<(String, String)>,
    request: Request,
) -> Response {
    let asked = Asked::new(&front, &request);
    let known = front.digests.contains_key(&digest) && front.has_issues();
    let (true, Some(due_at)) = (known, instant(&at)) else {
        return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
    };
    let (name, language) = (digest.clone(), released_to(&front, asked.language()).to_string());
    let read = move |tx: &mut Tx<'_>| {
        let Some(issue) = issues::find(tx, &name, due_at)? else { return Ok(None) };
        let posts = issues::posts(tx, &issue, &language, POSTS_MAX + 1)?;
        Ok(Some((issue, posts)))
    };
    // One at a time, as with searches: an issue may hold a hundred long posts.
    let turn = front.searching.acquire().await;
    let (issue, posts) = match front.store.read(read).await {
        Ok(Some(found)) => found,
        Ok(None) => return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let shown = front.clone();
    // Looking through their texts takes a while; the threads that answer others go on.
    let page = tokio::task::spawn_blocking(move || written(&shown, &asked, &digest, &issue, posts)).await;
    drop(turn);
    page.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

fn written(front: &Front, asked: &Asked, digest: &str, issue: &Issue, mut posts: Vec<(Standing, Post)>) -> Response {
    let is_longer = posts.len() as i64 > POSTS_MAX;
    posts.truncate(POSTS_MAX as usize);
    let look = asked.look(front);
    let held = posts.len();
    let shown = one_per_story(posts, asked.language());
    let is_shorter = shown.len() < held;
    let mut groups: Vec<(String, Vec<PostLine>)> = Vec::new();
    for topic in front.topics.iter().map(|(name, _)| name) {
        let of_topic = shown.iter().filter(|showable| first_topic(front, showable.post()) == Some(topic));
        let lines: Vec<PostLine> = of_topic
            .map(|showable| look.line_with_text(showable, |topic| front.topic_title(topic, look.language)))
            .collect();
        if !lines.is_empty() {
            groups.push((front.topic_title(topic, look.language), lines));
        }
    }
    let title = title(front, digest, look.language).to_owned();
    let page = IssuePage { title, due_at: issue.due_at, groups, is_shorter, is_longer };
    asked.answer(StatusCode::OK, page::issue(&look, &front.templates, &page))
}

/// The heading that a post stands under: the first of its topics, by the order of the configuration.
fn first_topic<'a>(front: &'a Front, post: &Post) -> Option<&'a String> {
    front.topics.iter().map(|(name, _)| name).find(|name| post.topics.contains(name))
}

fn title<'a>(front: &'a Front, digest: &str, reader: &Language) -> &'a str {
    front.digests.get(digest).map_or("", |(title, _)| title.get(reader))
}

/// The readers' language that is nearest to that of the page: what was released to them is shown.
fn released_to<'a>(front: &'a Front, page: &Language) -> &'a Language {
    page.best_of(&front.languages).or(front.languages.first()).unwrap_or(&front.language_default)
}

/// Reads what [`INSTANT`] spells.
fn instant(text: &str) -> Option<UnixMillis> {
    let at = jiff::civil::DateTime::strptime(INSTANT, text).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(UnixMillis::from_timestamp(at.timestamp()))
}

/// Where the list goes on: when the last issue shown was due, and its digest.
fn read_cursor(text: &str) -> Option<(UnixMillis, String)> {
    let (at, digest) = text.split_once('-')?;
    Some((UnixMillis(at.parse().ok()?), digest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_in_an_address_is_read_as_it_was_written() {
        for ms in [1_795_392_000_000, 1_795_392_000_007, 1_795_392_059_120] {
            let written = UnixMillis(ms).timestamp().strftime(INSTANT).to_string();
            assert_eq!(instant(&written), Some(UnixMillis(ms)), "{written}");
        }
        assert_eq!(UnixMillis(1_795_392_000_000).timestamp().strftime(INSTANT).to_string(), "20261123T000000Z");
        for wrong in ["", "20261123", "20261323T000000Z", "20261123T000000", "20261123T000000Z0", "x"] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_names_a_digest_of_any_name() {
        assert_eq!(read_cursor("17-weekly-news_2"), Some((UnixMillis(17), "weekly-news_2".to_owned())));
        assert_eq!((read_cursor("weekly"), read_cursor("-1-weekly"), read_cursor("x-weekly")), (None, None, None));
    }
}
