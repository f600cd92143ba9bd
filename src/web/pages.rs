//! The pages for readers: the first one, those of topics, and those of posts.

use super::ui::{Asked, parameter};
use super::validators::fixed;
use super::{Front, client, mails, unshown};
use crate::domain::clock::UnixMillis;
use crate::domain::feed::{self, ALL};
use crate::domain::language::Language;
use crate::domain::post::{Post, Showable, Standing};
use crate::intake::media::path;
use crate::intake::unshowable::Unshowable;
use crate::render::calendar;
use crate::render::page::post::{Copied, PostPage};
use crate::render::page::{self, FeedLink, Look, NextIssue, Notice, Now, TopicView, feed_links, feeds::tag_link};
use crate::render::site::LocalText;
use crate::render::words::page::own_name;
use crate::store::posts::{self, Filter};
use crate::store::{StoreError, Tx, deliveries, identity, media, views};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Posts on the first page, and those looked at for it: a story's variants become one line.
const NEWEST: usize = 20;
const NEWEST_LOOKED_AT: i64 = 60;
/// Tags of a post whose feeds its page names to programs.
const TAGS_DISCOVERED_MAX: usize = 10;
/// Posts on a topic's page.
const TOPIC_POSTS: i64 = 50;

/// The first page.
pub(super) async fn home(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let is_near = client::is_near(&front, &request);
    let filter = Filter { public_only: true, ..Filter::default() };
    let read = move |tx: &mut Tx<'_>| Ok((posts::list(tx, &filter, NEWEST_LOOKED_AT)?, identity::doubts(tx)?));
    let (found, doubts) = match front.store.read(read).await {
        Ok(found) => found,
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let now = match &front.mail_folder {
        Some(_) if is_near => match now(&front, &asked).await {
            Ok(now) => Some(now),
            Err(error) => return unavailable(&front, &asked, &error),
        },
        _ => None,
    };
    let look = asked.look(&front);
    let mut topics = vec![topic_view(&front, &look, None)];
    topics.extend(front.topics.iter().map(|(name, _)| topic_view(&front, &look, Some(name))));
    let lines: Vec<_> = one_per_story(found, asked.language()).into_iter().take(NEWEST).collect();
    let lines: Vec<_> = lines.iter().map(|showable| line(&front, &look, showable)).collect();
    let held: Vec<String> = doubts.into_iter().map(|doubt| doubt.reason).collect();
    asked.answer(StatusCode::OK, page::home(&look, &front.templates, &topics, &lines, now.as_ref(), &held))
}

/// All feeds.
pub(super) async fn feeds(State(front): State<Arc<Front>>, request: Request) -> Response {
    feed_list(&front, &request, StatusCode::OK)
}

/// The same for those who ask for a feed that isn't there.
pub(super) fn no_feed(front: &Front, request: &Request) -> Response {
    feed_list(front, request, StatusCode::NOT_FOUND)
}

fn feed_list(front: &Front, request: &Request, status: StatusCode) -> Response {
    let asked = Asked::new(front, request);
    let look = asked.look(front);
    let mut topics = vec![topic_view(front, &look, None)];
    topics.extend(front.topics.iter().map(|(name, _)| topic_view(front, &look, Some(name))));
    asked.answer(status, page::feeds::list(&look, &front.templates, &topics, status == StatusCode::NOT_FOUND))
}

/// A topic's posts, newest first; `?before=` goes on where the last page ended.
pub(super) async fn topic(State(front): State<Arc<Front>>, Path(name): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    if !front.topics.iter().any(|(known, _)| *known == name) {
        let look = asked.look(&front);
        let there = |(name, title): &(String, LocalText)| {
            (title.get(asked.language()).to_owned(), look.link(&format!("/topics/{name}")))
        };
        let topics: Vec<(String, String)> = front.topics.iter().map(there).collect();
        return asked.answer(StatusCode::NOT_FOUND, page::no_topic(&look, &front.templates, &topics));
    }
    let before = match parameter(request.uri().query(), "before") {
        None => None,
        Some(text) => match read_cursor(&text) {
            Some(cursor) => Some(cursor),
            None => return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
        },
    };
    let filter = Filter { topic: Some(name.clone()), public_only: true, before, ..Filter::default() };
    let mut found = match front.store.read(move |tx| posts::list(tx, &filter, TOPIC_POSTS + 1)).await {
        Ok(found) => found,
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let has_older = found.len() > TOPIC_POSTS as usize;
    found.truncate(TOPIC_POSTS as usize);
    let look = asked.look(&front);
    let last = found.last().filter(|_| has_older);
    let older = last.map(|(standing, post)| look.link(&format!("/topics/{name}?before={}", cursor(standing, post))));
    let posts = one_per_story(found, asked.language());
    let lines: Vec<_> = posts.iter().map(|showable| line(&front, &look, showable)).collect();
    let view = topic_view(&front, &look, Some(&name));
    asked.answer(StatusCode::OK, page::topic(&look, &front.templates, &view, &lines, older.as_deref()))
}

/// One post. What was never public has no page; what no longer is says so.
pub(super) async fn post(State(front): State<Arc<Front>>, Path(id): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    if let Some(id) = id.strip_suffix(".ics") {
        return calendar(&front, &asked, id.to_owned()).await;
    }
    let (counts, copied) = (front.views.is_counting(), front.media_folder.is_some());
    let read = move |tx: &mut crate::store::Tx<'_>| {
        let Some((standing, post)) = posts::find(tx, &id)? else { return Ok(None) };
        let variants = posts::variants(tx, &standing.story_id)?;
        let seen = if counts { (views::of(tx, &id)?, views::told(tx, &id)?) } else { (0, None) };
        let copies = if copied {
            media::copies(tx, &media::shown_by(&post).keys().collect::<Vec<_>>())?
        } else {
            BTreeMap::new()
        };
        Ok(Some((standing, post, variants, seen, copies)))
    };
    let (standing, post, variants, (seen, told), copies) = match front.store.read(read).await {
        Ok(Some(found)) => found,
        Ok(None) => return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound),
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let showable = match Showable::public(standing, post) {
        Ok(showable) => showable,
        Err(standing) => return gone(&front, &asked, &standing),
    };
    super::views::count(&front, &request, &showable.standing().post_id);
    let seen = seen.saturating_add(front.views.waiting(&showable.standing().post_id));
    let views = counts.then(|| seen.saturating_add(told.or(showable.post().views).unwrap_or(0)));
    let look = asked.look(&front);
    let read_variant = |(tag, id): (String, String)| Some((Language::parse(&tag).ok()?, format!("/posts/{id}")));
    let mut variants: Vec<(Language, String)> = variants.into_iter().filter_map(read_variant).collect();
    let rank = |language: &Language| front.languages.iter().position(|known| known.base() == language.base());
    variants.sort_by_key(|(language, _)| rank(language).unwrap_or(usize::MAX));
    let topics = &showable.post().topics;
    let known: Vec<&String> =
        topics.iter().filter(|name| front.topics.iter().any(|(known, _)| known == *name)).collect();
    let titled = |name: &&String| (front.topic_title(name, asked.language()), (*name).clone());
    let titles: Vec<(String, String)> = known.iter().map(titled).collect();
    let tags =
        showable.post().tags.iter().take(TAGS_DISCOVERED_MAX).map(|tag| tag_link(&look, &feed::tag_name(tag), tag));
    let of_topics = titles.iter().flat_map(|(title, name)| feed_links(&look, name, title, None));
    let discover: Vec<FeedLink> = of_topics.chain(tags).collect();
    let shown = PostPage {
        showable: &showable,
        variants: &variants,
        topic: titles.first(),
        copies: &copies.into_iter().filter_map(|(url, copy)| Some((url, shown_copy(&front, &copy)?))).collect(),
        views,
        shares: &front.shares,
        discover: &discover,
    };
    let html = page::post::post(&look, &front.templates, &shown);
    if let Err(error) = &html {
        let place = format!("posts/{}", showable.standing().post_id);
        let unshowable = Unshowable { showable: showable.clone(), place, why: error.to_string() };
        unshown::set_aside(&front, vec![unshowable]).await;
    }
    asked.answer(StatusCode::OK, html)
}

/// Where a copy is, and the smaller one that pages show. None where its file is missing: the original may be there still.
fn shown_copy(front: &Front, copy: &media::Copy) -> Option<Copied> {
    let folder = front.media_folder.as_deref()?;
    let hashes = std::iter::once(&copy.hash).chain(copy.small.as_ref().map(|small| &small.hash));
    if !hashes.into_iter().all(|hash| path(folder, hash).exists()) {
        return None;
    }
    let href = |hash: &str| format!("{}/media/{hash}", front.base);
    Some(Copied {
        href: href(&copy.hash),
        small: copy.small.as_ref().map(|small| href(&small.hash)),
        size: copy.small.as_ref().map(|small| small.size).or(copy.size),
        bytes: copy.bytes,
    })
}

/// The event of a post, for calendars. The answer changes with a revision only.
async fn calendar(front: &Front, asked: &Asked, id: String) -> Response {
    let found = match front.store.read(move |tx| posts::find(tx, &id)).await {
        Ok(found) => found,
        Err(error) => return unavailable(front, asked, &error),
    };
    let Some((standing, post)) = found else { return asked.notice(front, StatusCode::NOT_FOUND, Notice::NotFound) };
    let showable = match Showable::public(standing, post) {
        Ok(showable) => showable,
        Err(standing) => return gone(front, asked, &standing),
    };
    let authority = front.tag_authority.split(',').next().unwrap_or_default();
    let url = |post_id: &str| Some(format!("{}/posts/{post_id}", front.origin));
    let Some(file) = calendar::calendar([&showable], authority, url) else {
        return asked.notice(front, StatusCode::NOT_FOUND, Notice::NotFound);
    };
    let headers = fixed([
        (header::CONTENT_TYPE, calendar::MEDIA_TYPE),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"event.ics\""),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]);
    (headers, file).into_response()
}

pub(super) fn gone(front: &Front, asked: &Asked, standing: &Standing) -> Response {
    match (standing.public_at, standing.withdrawn_at) {
        (None, _) => asked.notice(front, StatusCode::NOT_FOUND, Notice::NotFound),
        (Some(_), Some(_)) => asked.notice(front, StatusCode::GONE, Notice::Withdrawn),
        (Some(_), None) => asked.notice(front, StatusCode::GONE, Notice::Expired),
    }
}

pub(super) fn unavailable(front: &Front, asked: &Asked, error: &StoreError) -> Response {
    tracing::warn!(%error, "a page can't be shown");
    asked.sorry(front)
}

pub(super) fn line(front: &Front, look: &Look<'_>, showable: &Showable) -> page::PostLine {
    look.line(showable, |topic| front.topic_title(topic, look.language))
}

/// Of variants of one story, the one that the reader understands best, in the place of the newest.
pub(super) fn one_per_story(found: Vec<(Standing, Post)>, reader: &Language) -> Vec<Showable> {
    let mut stories: Vec<Showable> = Vec::with_capacity(found.len());
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (standing, post) in found {
        let Ok(showable) = Showable::public(standing, post) else { continue };
        let place = *places.entry(showable.standing().story_id.clone()).or_insert(stories.len());
        match stories.get_mut(place) {
            None => stories.push(showable),
            Some(chosen) => {
                let both = [&chosen.post().language, &showable.post().language];
                if reader.best_of(both) == Some(&showable.post().language) && both[0] != both[1] {
                    *chosen = showable;
                }
            }
        }
    }
    stories
}

fn topic_view(front: &Front, look: &Look<'_>, topic: Option<&str>) -> TopicView {
    let words = look.words();
    let title = topic.map_or_else(|| words.all_topics.to_owned(), |topic| front.topic_title(topic, look.language));
    let name = topic.unwrap_or(ALL);
    let mut feeds = vec![(words.all_languages.to_owned(), feed_links(look, name, &title, None))];
    if front.languages.len() > 1 {
        let each = |language| (own_name(language).to_owned(), feed_links(look, name, &title, Some(language)));
        feeds.extend(front.languages.iter().map(each));
    }
    TopicView { href: topic.map(|topic| look.link(&format!("/topics/{topic}"))), title, feeds }
}

/// What is happening, for those who try allim out.
async fn now(front: &Arc<Front>, asked: &Asked) -> Result<Now, StoreError> {
    let counted = front.store.read(deliveries::count).await?;
    let mails = mails::newest(front, asked).await;
    let look = asked.look(front);
    let now = front.clock.now();
    let issue = |(title, schedule): &(LocalText, crate::domain::schedule::Schedule)| NextIssue {
        title: title.get(asked.language()).to_owned(),
        at: schedule.next_after(now.0).map(|at| look.instant(UnixMillis(at))),
    };
    let state = |(word, count): (String, i64)| (look.words().delivery_state(&word).to_owned(), count);
    Ok(Now {
        issues: front.digests.values().map(issue).collect(),
        deliveries: counted.into_iter().map(state).collect(),
        mails,
    })
}

/// Where a list goes on: publication and id of the last post shown.
pub(super) fn cursor(standing: &Standing, post: &Post) -> String {
    format!("{}-{}", post.published_at.0, standing.post_id)
}

/// Reads what [`cursor`] wrote.
pub(super) fn read_cursor(text: &str) -> Option<(UnixMillis, String)> {
    let (at, id) = text.rsplit_once('-')?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then_some((UnixMillis(at.parse().ok()?), id.to_owned()))
}
