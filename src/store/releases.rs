//! Stories: when they must be looked at, and what a look at them changes.

use super::changes::{self, Change};
use super::value::{json, params};
use super::{Row, StoreError, Tx, posts};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use std::collections::BTreeMap;

/// What the release step needs to know of one variant of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The post.
    pub post_id: String,
    /// Its language.
    pub language: Language,
    /// Languages whose variants the source announced with it.
    pub languages_expected: Vec<Language>,
    /// Whether it may set a lane of its own and waits for no translation.
    pub urgent: bool,
    /// When it may be shown.
    pub public_due_at: UnixMillis,
    /// When its time is over.
    pub expires_at: Option<UnixMillis>,
    /// When it became public.
    pub public_at: Option<UnixMillis>,
    /// When it expired.
    pub expired_at: Option<UnixMillis>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<UnixMillis>,
    /// When the backfill guard held it.
    pub backfill_at: Option<UnixMillis>,
}

/// A story to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Its id.
    pub id: String,
    /// When its first variant became public.
    pub first_public_at: Option<UnixMillis>,
    /// All its posts.
    pub variants: Vec<Variant>,
    /// The reader languages it was released for.
    pub released: Vec<Language>,
}

/// Asks for a look at a story at `at` (or earlier, if one is due earlier); makes the story's row.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ask_for_look(tx: &mut Tx<'_>, story_id: &str, at: UnixMillis) -> Result<(), StoreError> {
    tx.change(
        "asking for a look at a story",
        1,
        "INSERT INTO stories (id, check_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET check_at =
             CASE WHEN stories.check_at < excluded.check_at THEN stories.check_at ELSE excluded.check_at END",
        params![story_id, at],
    )
}

/// The next instant at which some story must be looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_look(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str = "SELECT check_at FROM stories WHERE check_at IS NOT NULL ORDER BY check_at LIMIT 1";
    tx.query_opt(SQL, &[])?.map(|row| row.at(0)).transpose()
}

/// Whether a look that was due by `at` is still to come, or under way in another replica.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_waiting(tx: &mut Tx<'_>, at: UnixMillis) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT 1 FROM stories WHERE check_at <= $1 LIMIT 1", params![at])?.is_some())
}

/// Locks stories whose look is due and returns them with their posts.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock_due(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<Vec<Story>, StoreError> {
    const DUE: &str =
        "SELECT id, first_public_at FROM stories WHERE check_at <= $1 ORDER BY check_at, id LIMIT $2 {skip locked}";
    let mut stories: BTreeMap<String, Story> = BTreeMap::new();
    for row in tx.query(DUE, params![now, limit])? {
        let (id, first_public_at) = (row.text(0)?, row.at_opt(1)?);
        stories.insert(id.clone(), Story { id, first_public_at, variants: Vec::new(), released: Vec::new() });
    }
    if stories.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(&stories.keys().collect::<Vec<_>>())?;
    load_variants(tx, &ids, &mut stories)?;
    const RELEASED: &str = "SELECT story_id, language FROM releases WHERE story_id IN {list $1: text}";
    for row in tx.query(RELEASED, &[ids])? {
        let language = row.parse(1, |tag| Language::parse(tag).ok())?;
        stories.entry(row.text(0)?).and_modify(|story| story.released.push(language));
    }
    Ok(stories.into_values().collect())
}

/// A story with its posts, as a look at it would see it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, story_id: &str) -> Result<Option<Story>, StoreError> {
    const SQL: &str = "SELECT first_public_at FROM stories WHERE id = $1";
    let Some(row) = tx.query_opt(SQL, params![story_id])? else { return Ok(None) };
    let story =
        Story { id: story_id.to_owned(), first_public_at: row.at_opt(0)?, variants: Vec::new(), released: Vec::new() };
    let mut stories = BTreeMap::from([(story_id.to_owned(), story)]);
    load_variants(tx, &json(&[story_id])?, &mut stories)?;
    const RELEASED: &str = "SELECT language FROM releases WHERE story_id = $1";
    let released = tx.query(RELEASED, params![story_id])?;
    let mut story = stories.remove(story_id);
    if let Some(story) = &mut story {
        let language = |row: &Row| row.parse(0, |tag| Language::parse(tag).ok());
        story.released = released.iter().map(language).collect::<Result<_, _>>()?;
    }
    Ok(story)
}

/// A release, for people.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Released {
    /// The readers' language.
    pub language: String,
    /// The variant that they get.
    pub post_id: String,
    /// Its number.
    pub seq: i64,
    /// When.
    pub released_at: UnixMillis,
}

/// The releases of a story, in their order.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of_story(tx: &mut Tx<'_>, story_id: &str) -> Result<Vec<Released>, StoreError> {
    const SQL: &str = "SELECT language, post_id, seq, released_at FROM releases WHERE story_id = $1 ORDER BY seq";
    let row = |row: &Row| {
        Ok(Released { language: row.text(0)?, post_id: row.text(1)?, seq: row.int(2)?, released_at: row.at(3)? })
    };
    tx.query(SQL, params![story_id])?.iter().map(row).collect()
}

fn load_variants(tx: &mut Tx<'_>, ids: &super::Value, stories: &mut BTreeMap<String, Story>) -> Result<(), StoreError> {
    // Locked, so that a revision or a withdrawal under way is seen whole or not at all.
    const SQL: &str = "SELECT p.story_id, p.id, p.language, p.lane, p.public_due_at, p.expires_at, p.public_at,
             p.expired_at, p.withdrawn_at, p.backfill_at, r.content
         FROM posts p JOIN revisions r ON r.post_id = p.id AND r.revision = p.revision
         WHERE p.id IN (SELECT id FROM posts WHERE id IN {list $1: text} AND story_id = id
             UNION ALL SELECT id FROM posts WHERE story_id IN {list $1: text} AND story_id <> id)
         ORDER BY p.id {share p}";
    #[derive(serde::Deserialize)]
    struct Expecting {
        #[serde(default)]
        languages_expected: Vec<Language>,
    }
    for row in tx.query(SQL, std::slice::from_ref(ids))? {
        let content = row.text(10)?;
        let expecting: Expecting = serde_json::from_str(&content).map_err(|e| StoreError::Shape(e.to_string()))?;
        let variant = Variant {
            post_id: row.text(1)?,
            language: row.parse(2, |tag| Language::parse(tag).ok())?,
            languages_expected: expecting.languages_expected,
            urgent: row.text(3)? == "urgent",
            public_due_at: row.at(4)?,
            expires_at: row.at_opt(5)?,
            public_at: row.at_opt(6)?,
            expired_at: row.at_opt(7)?,
            withdrawn_at: row.at_opt(8)?,
            backfill_at: row.at_opt(9)?,
        };
        stories.entry(row.text(0)?).and_modify(|story| story.variants.push(variant));
    }
    Ok(())
}

/// What the looks at some stories change.
#[derive(Default)]
pub struct Looked {
    /// Posts that may be shown from now on.
    pub public: Vec<String>,
    /// Posts whose time is over.
    pub expired: Vec<String>,
    /// Story, its first public instant, and its next look.
    pub stories: Vec<(String, Option<UnixMillis>, Option<UnixMillis>)>,
    /// Everything of the above that readers may notice, releases included, to be numbered.
    pub changes: Vec<Change>,
}

/// Writes what looking at the locked stories came to. The counter is drawn last.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn apply(tx: &mut Tx<'_>, looked: &Looked, now: UnixMillis) -> Result<(), StoreError> {
    if !looked.public.is_empty() {
        const SQL: &str = "UPDATE posts SET public_at = $2 WHERE id IN {list $1: text} AND public_at IS NULL";
        tx.change("making posts public", looked.public.len(), SQL, &[json(&looked.public)?, now.into()])?;
        posts::put_under_topics(tx, &looked.public.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    if !looked.expired.is_empty() {
        const SQL: &str = "UPDATE posts SET expired_at = $2 WHERE id IN {list $1: text} AND expired_at IS NULL";
        tx.change("letting posts expire", looked.expired.len(), SQL, &[json(&looked.expired)?, now.into()])?;
        for post_id in &looked.expired {
            super::editions::mark_replaced(tx, post_id, now, false)?;
        }
    }
    #[derive(serde::Serialize)]
    struct Next<'a> {
        id: &'a str,
        first: Option<UnixMillis>,
        look: Option<UnixMillis>,
    }
    let rows: Vec<_> = looked.stories.iter().map(|(id, first, look)| Next { id, first: *first, look: *look }).collect();
    tx.change(
        "moving the looks at stories",
        rows.len(),
        "UPDATE stories AS s SET first_public_at = b.first, check_at = b.look
         FROM {rows $1: id text, first int, look int} b WHERE s.id = b.id",
        &[json(&rows)?],
    )?;
    changes::number(tx, &looked.changes)
}
