//! What the store says for a feed: everything from one view of it, so that the head fits the posts.

use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Showable, Standing};
use crate::render::calendar::feed::Cancelled;
use crate::render::feed::{Kind, Subject, Tombstone, Which};
use crate::store::posts::{self, Filter};
use crate::store::{StoreError, Tx, changes, feeds};
use crate::web::Front;
use std::collections::BTreeMap;
use std::time::Duration;

/// Posts in a feed, and in a page of older ones. Changing it moves every page: those who have read pages read them again.
const POSTS_MAX: i64 = 50;
/// Tombstones in a feed, and for how long one stays: whoever reads less often keeps a withdrawn post.
const TOMBSTONES_MAX: i64 = 50;
const TOMBSTONE_AGE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// Events in a calendar, and those looked at for it: of posts of the last three years, as nobody announces an event earlier.
const EVENTS_MAX: i64 = 500;
const EVENT_POST_AGE_MAX: Duration = Duration::from_secs(3 * 366 * 86_400);
/// For how long a past event stays.
const EVENT_AGE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What a feed is made from.
pub(super) struct Found {
    pub head: i64,
    pub changed_at: Option<UnixMillis>,
    pub posts: Vec<Showable>,
    pub gone: Vec<Tombstone>,
    pub cancelled: Vec<Cancelled>,
    pub pages: Pages,
}

/// The pages of a feed's posts, each a window of places in the order in which they became public.
#[derive(Clone, Copy, Default)]
pub(super) struct Pages {
    /// How many are full, and so archives.
    pub full: u32,
    /// How many there are. None while the feed itself holds everything.
    pub all: u32,
}

/// `None` when there is no such feed: a tag that no post ever had, a page beyond the last.
pub(super) async fn find(front: &Front, which: &Which) -> Result<Option<Found>, StoreError> {
    let language = which.language(&front.house).map(ToString::to_string);
    let filter = Filter { topic: which.topic(&front.house), language, public_only: true, ..Filter::default() };
    let (now, which) = (front.clock.now(), which.clone());
    front.store.read(move |tx| Ok(look(tx, &which, &filter, now)?.filter(|found| exists(&which, found)))).await
}

/// A tag is a feed as long as a post has it, or had it when it was withdrawn.
fn exists(which: &Which, found: &Found) -> bool {
    let is_tag = matches!(which.subject, Subject::Tag(_));
    !is_tag || found.pages.all > 0 || !(found.posts.is_empty() && found.gone.is_empty() && found.cancelled.is_empty())
}

fn look(tx: &mut Tx<'_>, which: &Which, filter: &Filter, now: UnixMillis) -> Result<Option<Found>, StoreError> {
    let mut found = Found {
        head: changes::head(tx)?,
        changed_at: changes::newest_at(tx)?,
        posts: Vec::new(),
        gone: Vec::new(),
        cancelled: Vec::new(),
        pages: Pages::default(),
    };
    if which.kind == Kind::Calendar {
        events(tx, filter, now, &mut found)?;
        return Ok(Some(found));
    }
    if let Some(page) = which.page {
        return window(tx, filter, page, found);
    }
    if let Subject::Private(private) = &which.subject {
        return selection(tx, filter, &private.topics, now, found).map(Some);
    }
    let mut newest = posts::list(tx, filter, POSTS_MAX + 1)?;
    if newest.len() as i64 > POSTS_MAX {
        newest.truncate(POSTS_MAX as usize);
        found.pages = pages(tx, filter)?;
        add_tail(tx, filter, found.pages.full, &mut newest)?;
    }
    let gone = posts::withdrawn_since(tx, filter, now.minus(TOMBSTONE_AGE_MAX), TOMBSTONES_MAX)?;
    found.gone = gone.into_iter().map(|(post_id, withdrawn_at)| Tombstone { post_id, withdrawn_at }).collect();
    found.posts = newest.into_iter().filter_map(|(standing, post)| Showable::public(standing, post).ok()).collect();
    Ok(Some(found))
}

/// The newest posts of several topics together. It has no pages.
fn selection(
    tx: &mut Tx<'_>,
    filter: &Filter,
    topics: &[String],
    now: UnixMillis,
    mut found: Found,
) -> Result<Found, StoreError> {
    let (mut newest, mut gone) = (BTreeMap::new(), BTreeMap::new());
    // Without any it is everything.
    let each: Vec<Option<String>> =
        if topics.is_empty() { vec![None] } else { topics.iter().cloned().map(Some).collect() };
    for topic in each {
        let filter = Filter { topic, ..filter.clone() };
        let posts = posts::list(tx, &filter, POSTS_MAX)?;
        newest.extend(
            posts.into_iter().map(|(standing, post)| ((post.published_at, standing.post_id.clone()), (standing, post))),
        );
        gone.extend(posts::withdrawn_since(tx, &filter, now.minus(TOMBSTONE_AGE_MAX), TOMBSTONES_MAX)?);
    }
    let newest = newest.into_values().rev().take(POSTS_MAX as usize);
    found.posts = newest.filter_map(|(standing, post)| Showable::public(standing, post).ok()).collect();
    found.gone = gone.into_iter().map(|(post_id, withdrawn_at)| Tombstone { post_id, withdrawn_at }).collect();
    Ok(found)
}

/// Posts that no archive holds yet stand in the feed itself, also where their dates would have others before them: who reads it
/// with its archives misses none (RFC 5005 section 4). Backfill would look new; it shows on the last page, and in its archive
/// when that is full.
fn add_tail(
    tx: &mut Tx<'_>,
    filter: &Filter,
    archives: u32,
    newest: &mut Vec<(Standing, Post)>,
) -> Result<(), StoreError> {
    for (standing, post) in feeds::window(tx, filter, i64::from(archives) * POSTS_MAX, POSTS_MAX)? {
        let is_there = newest.iter().any(|(other, _)| other.post_id == standing.post_id);
        if standing.is_public() && standing.backfill_at.is_none() && !is_there {
            newest.push((standing, post));
        }
    }
    newest.sort_by(|(a, one), (b, other)| (other.published_at, &b.post_id).cmp(&(one.published_at, &a.post_id)));
    Ok(())
}

fn pages(tx: &mut Tx<'_>, filter: &Filter) -> Result<Pages, StoreError> {
    let count = feeds::count_ever_public(tx, filter)?;
    let number = |pages: i64| u32::try_from(pages).unwrap_or(u32::MAX);
    Ok(Pages { full: number(count / POSTS_MAX), all: number((count + POSTS_MAX - 1) / POSTS_MAX) })
}

/// One page, the newest post first; what was withdrawn leaves its tombstone in its place.
fn window(tx: &mut Tx<'_>, filter: &Filter, page: u32, mut found: Found) -> Result<Option<Found>, StoreError> {
    found.pages = pages(tx, filter)?;
    if page > found.pages.all {
        return Ok(None);
    }
    for (standing, post) in feeds::window(tx, filter, (i64::from(page) - 1) * POSTS_MAX, POSTS_MAX)?.into_iter().rev() {
        match Showable::public(standing, post) {
            Ok(showable) => found.posts.push(showable),
            Err(standing) => {
                let post_id = standing.post_id.clone();
                found.gone.extend(standing.withdrawn_at.map(|withdrawn_at| Tombstone { post_id, withdrawn_at }));
            }
        }
    }
    Ok(Some(found))
}

fn events(tx: &mut Tx<'_>, filter: &Filter, now: UnixMillis, found: &mut Found) -> Result<(), StoreError> {
    let since = now.minus(EVENT_POST_AGE_MAX);
    let withdrawn_since = now.minus(TOMBSTONE_AGE_MAX);
    let oldest = now.minus(EVENT_AGE_MAX).timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
    let is_recent = |(_, post): &(Standing, Post)| {
        post.event.as_ref().is_some_and(|event| event.ends_at.unwrap_or(event.starts_at).date() >= oldest)
    };
    let posts = feeds::with_event(tx, filter, since, withdrawn_since, EVENTS_MAX)?;
    for (standing, post) in posts.into_iter().filter(is_recent) {
        let event = post.event.clone();
        match Showable::public(standing, post) {
            Ok(showable) => found.posts.push(showable),
            Err(standing) => found.cancelled.extend(event.zip(standing.withdrawn_at).map(|(event, withdrawn_at)| {
                Cancelled { post_id: standing.post_id.clone(), revision: standing.revision, withdrawn_at, event }
            })),
        }
    }
    Ok(())
}
