//! Many new posts at once: what is known of them already, and writing those that are new. Each statement speaks for all
//! of them, since a handful of statements for each post was what taking posts in cost most.

use super::posts::Revision;
use super::value::json;
use super::{StoreError, Tx, Value};
use crate::domain::clock::UnixMillis;
use crate::domain::post::Standing;
use std::collections::{BTreeMap, HashSet};

/// The key of an event: configured source, CloudEvents `source`, CloudEvents `id`.
pub type EventKey<'a> = (&'a str, &'a str, &'a str);

/// A post that nobody knows yet, with the event that brought it.
pub struct Fresh<'a> {
    /// Where it stands.
    pub standing: Standing,
    /// Its first revision.
    pub revision: Revision<'a>,
    /// The CloudEvents `source` of the event; its id stands in the revision.
    pub event_source: &'a str,
    /// When its story must be looked at.
    pub look_at: UnixMillis,
}

/// Those of some posts that are known.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn known_posts(tx: &mut Tx<'_>, post_ids: &[&str]) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT id FROM posts WHERE id IN {list $1: text}";
    tx.query(SQL, &[json(post_ids)?])?.iter().map(|row| row.text(0)).collect()
}

/// Those of some events that were taken in before.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn known_events<'a>(tx: &mut Tx<'_>, keys: &[EventKey<'a>]) -> Result<HashSet<EventKey<'a>>, StoreError> {
    const SQL: &str =
        "SELECT event_id FROM events WHERE source = $1 AND event_source = $2 AND event_id IN {list $3: text}";
    let mut senders: BTreeMap<(&str, &str), BTreeMap<&str, EventKey<'a>>> = BTreeMap::new();
    for key in keys {
        senders.entry((key.0, key.1)).or_default().insert(key.2, *key);
    }
    let mut known = HashSet::new();
    // Nearly always one: a queue, a folder and a token each speak for one source.
    for ((source, event_source), events) in senders {
        let ids = json(&events.keys().collect::<Vec<_>>())?;
        for row in tx.query(SQL, &[source.into(), event_source.into(), ids])? {
            known.extend(events.get(row.text(0)?.as_str()));
        }
    }
    Ok(known)
}

/// Writes new posts with their stories and events; under their topics they come when they become public. They are written in the order of their ids: neighbours share
/// pages, and two processes that write the same stories lock them in one order.
///
/// # Errors
/// [`StoreError`] from the database, also when one of them is known already.
pub fn insert(tx: &mut Tx<'_>, posts: &mut [Fresh<'_>]) -> Result<(), StoreError> {
    posts.sort_unstable_by(|one, other| one.standing.post_id.cmp(&other.standing.post_id));
    insert_stories(tx, posts)?;
    tx.change_each(
        "inserting posts",
        "INSERT INTO posts (id, source, source_id, story_id, language, revision, lane, topics, published_at,
             public_due_at, expires_at, received_at, backfill_at)
         {each $1: text, text, text, text, text, int, text, text, int, int, int, int, int}",
        &posts.iter().map(post_row).collect::<Result<Vec<_>, _>>()?,
    )?;
    let revisions: Result<Vec<_>, _> = posts.iter().map(|new| new.revision.row(&new.standing.post_id)).collect();
    tx.change_each(
        "inserting first revisions",
        "INSERT INTO revisions (post_id, revision, content, content_hash, repairs, event_id, received_at)
         {each $1: text, int, text, text, text, text, int}",
        &revisions?,
    )?;
    tx.change_each(
        "remembering events",
        "INSERT INTO events (source, event_source, event_id, content_hash, post_id, received_at)
         {each $1: text, text, text, text, text, int}",
        &posts.iter().map(event_row).collect::<Vec<_>>(),
    )
}

/// Asks for a look at each story; variants of one story share it.
fn insert_stories(tx: &mut Tx<'_>, posts: &[Fresh<'_>]) -> Result<(), StoreError> {
    let mut looks: BTreeMap<&str, UnixMillis> = BTreeMap::new();
    for new in posts {
        let at = looks.entry(&new.standing.story_id).or_insert(new.look_at);
        *at = new.look_at.min(*at);
    }
    tx.change_each(
        "asking for looks at stories",
        "INSERT INTO stories (id, check_at) {each $1: text, int} ON CONFLICT (id) DO UPDATE SET check_at =
             CASE WHEN stories.check_at < excluded.check_at THEN stories.check_at ELSE excluded.check_at END",
        &looks.into_iter().map(|(story_id, at)| vec![story_id.into(), at.into()]).collect::<Vec<_>>(),
    )
}

fn post_row(new: &Fresh<'_>) -> Result<Vec<Value>, StoreError> {
    let (standing, post) = (&new.standing, new.revision.post);
    Ok(vec![
        standing.post_id.as_str().into(),
        standing.source.as_str().into(),
        post.source_id.as_str().into(),
        standing.story_id.as_str().into(),
        post.language.as_str().into(),
        standing.revision.into(),
        post.lane().word().into(),
        json(&post.topics_all())?,
        post.published_at.into(),
        post.public_due_at().into(),
        post.expires_at.into(),
        standing.received_at.into(),
        standing.backfill_at.into(),
    ])
}

fn event_row(new: &Fresh<'_>) -> Vec<Value> {
    let (standing, revision) = (&new.standing, &new.revision);
    vec![
        standing.source.as_str().into(),
        new.event_source.into(),
        revision.event_id.into(),
        revision.content_hash.into(),
        standing.post_id.as_str().into(),
        revision.received_at.into(),
    ]
}
