//! Posts and their revisions. They are kept for good.

use super::value::{json, params};
use super::{Row, StoreError, Tx, Value};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::post::{Post, Standing};
use std::collections::{BTreeMap, BTreeSet};

/// What one revision of a post is stored with.
pub struct Revision<'a> {
    /// Its number, from 1.
    pub number: i64,
    /// The content.
    pub post: &'a Post,
    /// The same as JSON.
    pub content: &'a str,
    /// SHA-256 of the content.
    pub content_hash: &'a str,
    /// What was cleaned at the door.
    pub repairs: &'a [String],
    /// The event that brought it.
    pub event_id: &'a str,
    /// When.
    pub received_at: UnixMillis,
}

impl Revision<'_> {
    /// Its columns.
    pub(super) fn row(&self, post_id: &str) -> Result<Vec<Value>, StoreError> {
        Ok(vec![
            post_id.into(),
            self.number.into(),
            self.content.into(),
            self.content_hash.into(),
            json(self.repairs)?,
            self.event_id.into(),
            self.received_at.into(),
        ])
    }
}

fn standing(row: &Row) -> Result<Standing, StoreError> {
    Ok(Standing {
        post_id: row.text(0)?,
        story_id: row.text(1)?,
        source: row.text(2)?,
        revision: row.int(3)?,
        received_at: row.at(4)?,
        revised_at: row.at_opt(5)?,
        public_at: row.at_opt(6)?,
        expired_at: row.at_opt(7)?,
        withdrawn_at: row.at_opt(8)?,
        backfill_at: row.at_opt(9)?,
    })
}

fn with_content(row: &Row) -> Result<(Standing, Post), StoreError> {
    let content = row.text(10)?;
    let post = serde_json::from_str(&content).map_err(|e| StoreError::Shape(format!("a stored post: {e}")))?;
    Ok((standing(row)?, post))
}

/// Statements that return a standing share their select list.
macro_rules! standing_sql {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.story_id, p.source, p.revision, p.received_at, p.revised_at, p.public_at, p.expired_at, \
             p.withdrawn_at, p.backfill_at",
            $rest
        )
    };
}

/// Of a revision `r`: it announces an event. In the words of the index `revisions_event`, without which every text would be read.
macro_rules! has_event_sql {
    () => {
        "r.content LIKE '%\"event\":_\"starts_at\":%'"
    };
}
pub(super) use has_event_sql;

mod path;
pub mod search;

pub use path::path;

/// The post that a source knows by `source_id`, locked until the transaction ends.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock(tx: &mut Tx<'_>, source: &str, source_id: &str) -> Result<Option<Standing>, StoreError> {
    const SQL: &str = standing_sql!(" FROM posts p WHERE p.id = $1 {for update}");
    let post_id = ids::post_id(source, source_id);
    tx.query_opt(SQL, params![post_id])?.as_ref().map(standing).transpose()
}

/// The story that a post belongs to, if the post is known.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn story_of(tx: &mut Tx<'_>, post_id: &str) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT story_id FROM posts WHERE id = $1", params![post_id])?.map(|row| row.text(0)).transpose()
}

/// A post by its id, with the content of its newest revision.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, post_id: &str) -> Result<Option<(Standing, Post)>, StoreError> {
    const SQL: &str = standing_sql!(
        ", r.content FROM posts p JOIN revisions r ON r.post_id = p.id AND r.revision = p.revision WHERE p.id = $1"
    );
    tx.query_opt(SQL, params![post_id])?.as_ref().map(with_content).transpose()
}

/// Posts as certain revisions of them, in the order asked for.
///
/// # Errors
/// [`StoreError`] from the database; [`StoreError::Shape`] when a revision is missing.
pub fn at_revisions(tx: &mut Tx<'_>, wanted: &[(String, i64)]) -> Result<Vec<(Standing, Post)>, StoreError> {
    #[derive(serde::Serialize)]
    struct Wanted<'a> {
        id: &'a str,
        rev: i64,
        pos: usize,
    }
    const SQL: &str = standing_sql!(
        ", r.content FROM {rows $1: id text, rev int, pos int} b JOIN posts p ON p.id = b.id
         JOIN revisions r ON r.post_id = b.id AND r.revision = b.rev ORDER BY b.pos"
    );
    let rows: Vec<_> = wanted.iter().enumerate().map(|(pos, (id, rev))| Wanted { id, rev: *rev, pos }).collect();
    let found = tx.query(SQL, &[json(&rows)?])?;
    if found.len() != wanted.len() {
        return Err(StoreError::Shape("an edition names a revision that isn't there".to_owned()));
    }
    found.iter().map(with_content).collect()
}

/// Which posts a page or feed wants.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only posts of this source.
    pub source: Option<String>,
    /// Only this topic.
    pub topic: Option<String>,
    /// Only this language and its regional forms: `zh` stands for `zh-Hans` too.
    pub language: Option<String>,
    /// Only posts that may be shown.
    pub public_only: bool,
    /// Only posts older than this one: publication and id of the last one seen.
    pub before: Option<(UnixMillis, String)>,
}

/// Posts, newest publication first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(tx: &mut Tx<'_>, filter: &Filter, limit: i64) -> Result<Vec<(Standing, Post)>, StoreError> {
    const SQL: &str = standing_sql!(
        ", r.content FROM posts p JOIN revisions r ON r.post_id = p.id AND r.revision = p.revision
         WHERE (CAST($1 AS TEXT) IS NULL OR p.id IN (SELECT post_id FROM post_topics WHERE topic = $1)
               OR (p.public_at IS NULL AND $1 IN {list p.topics: text}))
           AND (CAST($2 AS TEXT) IS NULL OR p.language = $2 OR p.language LIKE $2 || '-%')
           AND (CAST($7 AS TEXT) IS NULL OR p.source = $7)
           AND ($3 = 0 OR (p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL))
           AND (p.published_at < $4 OR (p.published_at = $4 AND p.id < $5))
         ORDER BY p.published_at DESC, p.id DESC LIMIT $6"
    );
    let (before_at, before_id) = match &filter.before {
        Some((at, id)) => (at.0, id.as_str()),
        None => (i64::MAX, ""),
    };
    let public_only = i64::from(filter.public_only);
    let (topic, language, source) = (filter.topic.as_deref(), filter.language.as_deref(), filter.source.as_deref());
    let params = params![topic, language, public_only, before_at, before_id, limit, source];
    tx.query(SQL, params)?.iter().map(with_content).collect()
}

/// The tombstones of a feed: posts of its topic and language that were public and were withdrawn since `since`, with
/// that instant, the last one first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn withdrawn_since(
    tx: &mut Tx<'_>,
    filter: &Filter,
    since: UnixMillis,
    limit: i64,
) -> Result<Vec<(String, UnixMillis)>, StoreError> {
    const SQL: &str = "SELECT p.id, p.withdrawn_at FROM posts p
         WHERE p.withdrawn_at >= $1 AND p.public_at IS NOT NULL
           AND (CAST($3 AS TEXT) IS NULL OR p.id IN (SELECT post_id FROM post_topics WHERE topic = $3))
           AND (CAST($4 AS TEXT) IS NULL OR p.language = $4 OR p.language LIKE $4 || '-%')
         ORDER BY p.withdrawn_at DESC, p.id LIMIT $2";
    let params = params![since, limit, filter.topic.as_deref(), filter.language.as_deref()];
    tx.query(SQL, params)?.iter().map(|row| Ok((row.text(0)?, row.at(1)?))).collect()
}

/// The variants of a story that may be shown: language and post id.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn variants(tx: &mut Tx<'_>, story_id: &str) -> Result<Vec<(String, String)>, StoreError> {
    // Most posts are stories of their own; those that aren't stand in an index.
    const SQL: &str = "SELECT language, id FROM posts
         WHERE id IN (SELECT id FROM posts WHERE id = $1 AND story_id = id
             UNION ALL SELECT id FROM posts WHERE story_id = $1 AND story_id <> id)
           AND public_at IS NOT NULL AND withdrawn_at IS NULL AND expired_at IS NULL ORDER BY language, id";
    tx.query(SQL, params![story_id])?.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// Keeps a revision. It isn't the post's newest until [`set_head`] says so.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn insert_revision(tx: &mut Tx<'_>, post_id: &str, revision: &Revision<'_>) -> Result<(), StoreError> {
    tx.change(
        "inserting a revision",
        1,
        "INSERT INTO revisions (post_id, revision, content, content_hash, repairs, event_id, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &revision.row(post_id)?,
    )
}

/// Makes a kept revision the newest: what pages and feeds show from now on.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_head(tx: &mut Tx<'_>, post_id: &str, revision: &Revision<'_>) -> Result<(), StoreError> {
    let post = revision.post;
    let topics = post.topics_all();
    leave_topics(tx, post_id)?;
    tx.change(
        "setting a post's newest revision",
        1,
        "UPDATE posts SET revision = $2, language = $3, lane = $4, published_at = $5, public_due_at = $6,
             expires_at = $7, revised_at = $8, topics = $9 WHERE id = $1",
        params![
            post_id,
            revision.number,
            post.language.as_str(),
            post.lane().word(),
            post.published_at,
            post.public_due_at(),
            post.expires_at,
            revision.received_at,
            json(&topics)?,
        ],
    )?;
    put_under_topics(tx, &[post_id])
}

/// The topics of posts, as they stand with the posts.
pub(super) fn topics(tx: &mut Tx<'_>, post_ids: &[&str]) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
    let rows = tx.query("SELECT id, topics FROM posts WHERE id IN {list $1: text}", &[json(post_ids)?])?;
    let topics = |text: String| serde_json::from_str(&text).map_err(|error| StoreError::Shape(error.to_string()));
    rows.iter().map(|row| Ok((row.text(0)?, topics(row.text(1)?)?))).collect()
}

/// Takes a post away from the topics of its revision until now. Only public posts are under any.
fn leave_topics(tx: &mut Tx<'_>, post_id: &str) -> Result<(), StoreError> {
    let before = topics(tx, &[post_id])?.remove(post_id).unwrap_or_default();
    const SQL: &str = "DELETE FROM post_topics WHERE post_id = $1 AND topic IN {list $2: text}";
    tx.execute(SQL, &[post_id.into(), json(&before)?]).map(drop)
}

/// Puts posts under the topics of their newest revisions, those of them that are public.
pub(super) fn put_under_topics(tx: &mut Tx<'_>, post_ids: &[&str]) -> Result<(), StoreError> {
    const PUBLIC: &str = "SELECT id FROM posts WHERE id IN {list $1: text} AND public_at IS NOT NULL";
    let public: Result<Vec<_>, _> = tx.query(PUBLIC, &[json(post_ids)?])?.iter().map(|row| row.text(0)).collect();
    let topics = topics(tx, &public?.iter().map(String::as_str).collect::<Vec<_>>())?;
    let under: BTreeSet<(&str, &str)> =
        topics.iter().flat_map(|(id, topics)| topics.iter().map(move |topic| (topic.as_str(), id.as_str()))).collect();
    tx.change_each(
        "putting posts under their topics",
        "INSERT INTO post_topics (topic, post_id) {each $1: text, text}",
        &under.into_iter().map(|(topic, id)| vec![topic.into(), id.into()]).collect::<Vec<_>>(),
    )
}

/// The content hash of a kept revision.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn revision_hash(tx: &mut Tx<'_>, post_id: &str, revision: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT content_hash FROM revisions WHERE post_id = $1 AND revision = $2";
    tx.query_opt(SQL, params![post_id, revision])?.map(|row| row.text(0)).transpose()
}

/// What was cleaned in each kept revision: its number, when it came, and the repairs.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn history(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<(i64, UnixMillis, Vec<String>)>, StoreError> {
    const SQL: &str = "SELECT revision, received_at, repairs FROM revisions WHERE post_id = $1 ORDER BY revision";
    let row = |row: &Row| {
        let repairs = serde_json::from_str(&row.text(2)?).map_err(|e| StoreError::Shape(e.to_string()))?;
        Ok((row.int(0)?, row.at(1)?, repairs))
    };
    tx.query(SQL, params![post_id])?.iter().map(row).collect()
}

/// Marks a post as withdrawn.
///
/// # Errors
/// [`StoreError`] from the database, also when it was withdrawn already.
pub fn set_withdrawn(tx: &mut Tx<'_>, post_id: &str, at: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE posts SET withdrawn_at = $2 WHERE id = $1 AND withdrawn_at IS NULL";
    tx.change("withdrawing a post", 1, SQL, params![post_id, at])
}

/// Lifts the backfill guard from a post, so that its story becomes owed.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lift_backfill(tx: &mut Tx<'_>, post_id: &str, at: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE posts SET backfill_at = NULL WHERE id = $1 AND backfill_at IS NOT NULL";
    if tx.execute(SQL, params![post_id])? == 0 {
        return Ok(false);
    }
    const CHECK: &str = "UPDATE stories SET check_at = $2 WHERE id = (SELECT story_id FROM posts WHERE id = $1)";
    tx.change("asking for a look at the story", 1, CHECK, params![post_id, at])?;
    Ok(true)
}

/// Posts whose time hasn't come, and such of these as were withdrawn lately; those that came or were changed last first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hidden(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT id FROM posts WHERE public_at IS NULL AND expired_at IS NULL
           AND (public_due_at > $1 OR withdrawn_at > $2)
         ORDER BY COALESCE(withdrawn_at, revised_at, received_at) DESC LIMIT $3";
    let lately = now.minus(WITHDRAWN_LATELY);
    tx.query(SQL, params![now, lately, limit])?.iter().map(|row| row.text(0)).collect()
}

/// A planner that was away for longer has other worries.
const WITHDRAWN_LATELY: std::time::Duration = std::time::Duration::from_secs(7 * 86_400);

/// Locks a post against revision until the commit.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn share(tx: &mut Tx<'_>, post_id: &str) -> Result<(), StoreError> {
    tx.query_opt("SELECT 1 FROM posts p WHERE p.id = $1 {share p}", params![post_id]).map(drop)
}

/// An event that was taken in before: the hash of its content and the post it spoke of.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn event(
    tx: &mut Tx<'_>,
    source: &str,
    event_source: &str,
    event_id: &str,
) -> Result<Option<(String, String)>, StoreError> {
    const SQL: &str =
        "SELECT content_hash, post_id FROM events WHERE source = $1 AND event_source = $2 AND event_id = $3";
    let row = tx.query_opt(SQL, params![source, event_source, event_id])?;
    row.map(|row| Ok((row.text(0)?, row.text(1)?))).transpose()
}

/// Remembers an event.
///
/// # Errors
/// [`StoreError`] from the database, also when it is known already.
pub fn insert_event(
    tx: &mut Tx<'_>,
    (source, event_source, event_id): (&str, &str, &str),
    content_hash: &str,
    post_id: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    tx.change(
        "remembering an event",
        1,
        "INSERT INTO events (source, event_source, event_id, content_hash, post_id, received_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        params![source, event_source, event_id, content_hash, post_id, at],
    )
}

/// How many posts there are, and how many of them may be shown.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>) -> Result<(i64, i64), StoreError> {
    const SQL: &str = "SELECT COUNT(*), COUNT(CASE WHEN public_at IS NOT NULL AND withdrawn_at IS NULL
         AND expired_at IS NULL THEN 1 END) FROM posts";
    tx.query_opt(SQL, &[])?.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
}
