//! Posts by their words, and by the month of their events.

use super::Front;
use super::pages::{cursor, line, one_per_story, read_cursor, unavailable};
use super::ui::{Asked, parameter};
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};
use crate::domain::text::CleanText;
use crate::render::page::Notice;
use crate::render::page::found::{self, Found};
use crate::store::posts::search::{self, WORDS_MAX};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use std::sync::Arc;
use std::time::Duration;

/// Posts on a page.
const FOUND_MAX: usize = 20;
/// Longest question, in characters.
const ASKED_LEN_MAX: usize = 100;
/// An event is looked for among posts that were published so long before its month…
const ANNOUNCED_BEFORE: Duration = Duration::from_secs(400 * 86_400);
/// …or so long after it, as boards tell of what took place.
const TOLD_AFTER: Duration = Duration::from_secs(100 * 86_400);

/// Posts that hold every word of `?q=`, newest first; `?before=` goes on where the last page ended.
pub(super) async fn search(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let query = parameter(request.uri().query(), "q").unwrap_or_default();
    let query: String = query.chars().take(ASKED_LEN_MAX).collect();
    let query = String::from(CleanText::new(&query).line());
    let before = match parameter(request.uri().query(), "before").map(|text| read_cursor(&text)) {
        Some(None) => return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
        before => before.flatten(),
    };
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let look = asked.look(&front);
    if words.is_empty() {
        let none = Found { asked: "", posts: &[], older: None };
        return asked.answer(StatusCode::OK, found::search(&look, &front.templates, &none));
    }
    // One search at a time: others wait for it, and whoever reads a page waits for none.
    let turn = front.searching.acquire().await;
    let sought = words.clone();
    let read = move |tx: &mut crate::store::Tx<'_>| {
        search::candidates(tx, &sought[..sought.len().min(WORDS_MAX)], before.as_ref())
    };
    let candidates = match front.store.read(read).await {
        Ok(candidates) => candidates,
        Err(error) => return unavailable(&front, &asked, &error),
    };
    drop(turn);
    let holds = |(_, post): &(Standing, Post)| {
        let text = found::readable(post);
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let mut posts: Vec<(Standing, Post)> = candidates.posts.into_iter().filter(holds).take(FOUND_MAX + 1).collect();
    let goes_on = posts.len() > FOUND_MAX;
    posts.truncate(FOUND_MAX);
    let shown_last = posts.last().filter(|_| goes_on).map(|(standing, post)| cursor(standing, post));
    let rest = candidates.rest.map(|(at, id)| format!("{}-{id}", at.0));
    let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let older = shown_last.or(rest).map(|at| look.link(&format!("/search?q={encoded}&before={at}")));
    let posts = one_per_story(posts, asked.language());
    let lines: Vec<_> = posts.iter().map(|showable| line(&front, &look, showable)).collect();
    let found = Found { asked: &query, posts: &lines, older: older.as_deref() };
    asked.answer(StatusCode::OK, found::search(&look, &front.templates, &found))
}

/// The events of a month, `?month=2026-11`, or of the present one, in the order in which they begin.
pub(super) async fn events(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let today = front.zone.to_datetime(front.clock.now().timestamp()).date();
    let first = match parameter(request.uri().query(), "month").map(|text| read_month(&text)) {
        None => today.first_of_month(),
        Some(Some(first)) => first,
        Some(None) => return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
    };
    let at = |date: Date| {
        date.to_zoned(front.zone.clone()).map_or(UnixMillis(0), |z| UnixMillis::from_timestamp(z.timestamp()))
    };
    let since = at(first).minus(ANNOUNCED_BEFORE);
    let until = at(first.last_of_month()).plus(TOLD_AFTER);
    let mut posts = match front.store.read(move |tx| search::with_events(tx, since, until)).await {
        Ok(posts) => posts,
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let last = first.last_of_month();
    posts.retain(|(_, post)| {
        let days =
            post.event.as_ref().map(|event| (event.starts_at.date(), event.ends_at.unwrap_or(event.starts_at).date()));
        days.is_some_and(|(begin, end)| begin <= last && end >= first)
    });
    let look = asked.look(&front);
    let mut posts = one_per_story(posts, asked.language());
    posts.sort_by_key(|showable| showable.post().event.as_ref().map(|event| String::from(event.starts_at)));
    let lines: Vec<_> = posts.iter().map(|showable| line(&front, &look, showable)).collect();
    let path = |first: Date| look.link(&format!("/events?month={:04}-{:02}", first.year(), first.month()));
    let before = first.yesterday().ok().map(|date| path(date.first_of_month()));
    let after = last.tomorrow().ok().map(path);
    asked.answer(StatusCode::OK, found::events(&look, &front.templates, first, &lines, (before, after)))
}

/// `2026-11`, within the years that a calendar of people needs.
fn read_month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-')?;
    let is_plain =
        year.len() == 4 && month.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = is_plain.then(|| Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()).flatten()?;
    (1900..=2200).contains(&date.year()).then_some(date)
}
