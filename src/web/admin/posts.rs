//! Posts: the journey of each over every carrier, and what an operator does about one.

mod acts;
mod readers;

use super::Route;
use super::desk::{Answer, Desk, Lost};
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};
use crate::domain::staff::Role;
use crate::store::journey::{self, Find, Found, Kind, Line, Said, Send, Told, Variant};
use crate::store::{StoreError, Tx, posts};
use axum::extract::Path;
use serde::Serialize;

/// Posts on one page.
const PAGE: i64 = 50;
/// Longest question, in characters.
const QUESTION_LEN_MAX: usize = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/posts", Role::Viewer, list),
        Route::get("/admin/posts/{id}", Role::Viewer, show),
        Route::get("/admin/posts/{id}/readers", Role::Viewer, readers::list),
        Route::post("/admin/posts/{id}/release", Role::Operator, acts::release),
        Route::post("/admin/posts/{id}/withdraw", Role::Operator, acts::withdraw),
        Route::post("/admin/posts/{id}/correct", Role::Operator, acts::correct),
    ]
}

#[derive(Serialize)]
struct List {
    lines: Vec<Line>,
    asked: String,
    state: String,
    topic: String,
    states: [&'static str; 4],
    topics: Vec<(String, String)>,
    older: Option<String>,
}

async fn list(desk: Desk) -> Answer {
    let query = &desk.query;
    let (asked, state, topic) =
        (query.get("q").to_owned(), query.get("state").to_owned(), query.get("topic").to_owned());
    if asked.chars().count() > QUESTION_LEN_MAX {
        return Err(Lost::Refused("error_form"));
    }
    let before = query.some("before").and_then(|text| text.split_once('-'));
    let wanted = Find {
        kind: Kind::from_word(&state),
        topic: Some(topic.clone()).filter(|topic| !topic.is_empty()),
        before: before.and_then(|(at, id)| Some((UnixMillis(at.parse().ok()?), id.to_owned()))),
        ..Find::default()
    };
    let sources: Vec<String> = desk.room.front.intake.source_names().cloned().collect();
    let words = asked.clone();
    let read = move |tx: &mut Tx<'_>| match words.as_str() {
        "" => journey::find(tx, &wanted, PAGE),
        words => Found::by_words(tx, words, &sources, usize::try_from(PAGE).unwrap_or(usize::MAX)),
    };
    let Found { lines, rest } = desk.read(read).await?;
    let older = rest.map(|(at, id)| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("state", &state), ("topic", &topic)].into_iter().filter(|(_, value)| !value.is_empty()));
        query.append_pair("before", &format!("{}-{id}", at.0)).finish()
    });
    let topics =
        desk.room.front.topics.iter().map(|(name, title)| (name.clone(), title.get(&desk.language).to_owned()));
    let topics = topics.collect();
    let states = ["waiting", "public", "released", "withdrawn"];
    Ok(desk.page("posts.html", List { lines, asked, state, topic, states, topics, older }))
}

#[derive(Serialize)]
struct One {
    id: String,
    title: String,
    language: String,
    source: String,
    source_id: String,
    topics: Vec<String>,
    state: &'static str,
    revision: i64,
    received_at: UnixMillis,
    revised_at: Option<UnixMillis>,
    published_at: UnixMillis,
    public_at: Option<UnixMillis>,
    /// Until when it is under an embargo.
    waits_until: Option<UnixMillis>,
    is_backfill: bool,
    is_public: bool,
    is_withdrawn: bool,
    page_url: String,
    variants: Vec<Variant>,
    sends: Vec<Send>,
    is_more: bool,
    said: Vec<Said>,
    told: Vec<Told>,
    /// How many readers a correction would go to, once that was asked.
    outdated: Option<usize>,
}

/// A post by our id.
async fn found(desk: &Desk, id: &str) -> Result<(Standing, Post), Lost> {
    let id = id.to_owned();
    desk.read(move |tx| posts::find(tx, &id)).await?.ok_or(Lost::NotFound)
}

type Journey = (Vec<Variant>, (Vec<Send>, bool), Vec<Said>, Vec<Told>);

async fn one(desk: &Desk, id: &str) -> Result<One, Lost> {
    let (standing, post) = found(desk, id).await?;
    let (id, story) = (standing.post_id.clone(), standing.story_id.clone());
    let read = move |tx: &mut Tx<'_>| -> Result<Journey, StoreError> {
        Ok((journey::variants(tx, &story)?, journey::sends(tx, &id)?, journey::said(tx, &id)?, journey::told(tx, &id)?))
    };
    let (variants, (sends, is_more), said, told) = desk.read(read).await?;
    let state = match standing.state() {
        "public, held as backfill" => "backfill",
        state => state,
    };
    Ok(One {
        title: post.title.to_string(),
        language: post.language.to_string(),
        source_id: post.source_id.clone(),
        topics: post.topics.iter().map(ToString::to_string).collect(),
        state,
        revision: standing.revision,
        received_at: standing.received_at,
        revised_at: standing.revised_at,
        published_at: post.published_at,
        public_at: standing.public_at,
        waits_until: post.embargo_until.filter(|_| standing.public_at.is_none()),
        is_backfill: standing.backfill_at.is_some(),
        is_public: standing.is_public(),
        is_withdrawn: standing.withdrawn_at.is_some(),
        page_url: format!("{}/posts/{}", desk.room.front.origin, standing.post_id),
        variants,
        sends,
        is_more,
        said,
        told,
        outdated: None,
        id: standing.post_id,
        source: standing.source,
    })
}

async fn show(desk: Desk, Path(id): Path<String>) -> Answer {
    let mut page = one(&desk, &id).await?;
    // Counting who would be corrected looks at every reader: only when somebody asks.
    if desk.query.get("correct") == "count" && page.is_public {
        page.outdated = Some(desk.room.front.planner.outdated(&page.id).await?);
    }
    Ok(desk.page("post.html", page))
}
