//! Editions: written once, replaced by a successor, never edited.

use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx, batches, occurrences};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Reason;
use crate::domain::edition::{Content, EditionKind, Item, ItemForm};
use crate::domain::ids;
use crate::domain::language::Language;
use std::collections::{BTreeSet, HashSet};

/// A stored edition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    /// Derived from plan and content.
    pub id: i64,
    /// The occurrence.
    pub plan_id: i64,
    /// What it holds.
    pub content: Content,
    /// When it was planned.
    pub created_at: UnixMillis,
    /// The rendered pieces as JSON, once somebody needed them.
    pub pieces: Option<String>,
}

/// Stores an edition unless it is there; returns its id. Equal contents of one plan share one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ensure(tx: &mut Tx<'_>, plan_id: i64, content: &Content, now: UnixMillis) -> Result<i64, StoreError> {
    let ids = ensure_all(tx, plan_id, std::slice::from_ref(content), now)?;
    ids.first().copied().ok_or_else(|| StoreError::Shape("an edition has no id".to_owned()))
}

/// Stores those of these editions that aren't there; returns their ids in the order of `contents`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ensure_all(
    tx: &mut Tx<'_>,
    plan_id: i64,
    contents: &[Content],
    now: UnixMillis,
) -> Result<Vec<i64>, StoreError> {
    #[derive(serde::Serialize)]
    struct New<'a> {
        id: i64,
        key: String,
        kind: &'static str,
        schedule: &'a str,
        language: &'a str,
        sender: &'a str,
        template: &'a str,
    }
    let new = |content: &'_ Content| {
        let key = content.key();
        (ids::edition_id(plan_id, &key), key)
    };
    let keyed: Vec<(i64, String)> = contents.iter().map(new).collect();
    let rows: Vec<New<'_>> = contents
        .iter()
        .zip(&keyed)
        .map(|(content, (id, key))| New {
            id: *id,
            key: key.clone(),
            kind: content.kind.word(),
            schedule: &content.schedule,
            language: content.language.as_str(),
            sender: &content.sender,
            template: &content.template,
        })
        .collect();
    const SQL: &str =
        "INSERT INTO editions (id, plan_id, content_key, kind, schedule, language, sender, template, created_at)
         SELECT id, CAST($2 AS BIGINT), key, kind, schedule, language, sender, template, CAST($3 AS BIGINT)
         FROM {rows $1: id int, key text, kind text, schedule text, language text, sender text, template text} b WHERE true
         ON CONFLICT (plan_id, content_key) DO NOTHING RETURNING id";
    let inserted = tx.query(SQL, &[json(&rows)?, plan_id.into(), now.into()])?;
    let inserted: HashSet<i64> = inserted.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    let ids: Vec<i64> = keyed.into_iter().map(|(id, _)| id).collect();
    let is_new = |(id, _): &(&i64, &Content)| inserted.contains(id);
    let with_items: Vec<(&i64, &Content)> = ids.iter().zip(contents).filter(is_new).collect();
    insert_items(tx, &with_items)?;
    Ok(ids)
}

fn insert_items(tx: &mut Tx<'_>, editions: &[(&i64, &Content)]) -> Result<(), StoreError> {
    #[derive(serde::Serialize)]
    struct Positioned<'a> {
        edition: i64,
        position: usize,
        story_id: &'a str,
        post_id: &'a str,
        revision: i64,
        topic: &'a str,
        also: String,
        form: &'static str,
    }
    let mut rows = Vec::new();
    for (edition, content) in editions {
        for (position, item) in content.items.iter().enumerate() {
            let Item { story_id, post_id, revision, topic, also, form } = item;
            let also = serde_json::to_string(also).map_err(|e| StoreError::Shape(e.to_string()))?;
            let (edition, revision, form) = (**edition, *revision, form.word());
            rows.push(Positioned { edition, position, story_id, post_id, revision, topic, also, form });
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    tx.change(
        "inserting the items of editions",
        rows.len(),
        "INSERT INTO edition_items (edition_id, position, story_id, post_id, revision, topic, also, form)
         SELECT edition, position, story_id, post_id, revision, topic, also, form
         FROM {rows $1: edition int, position int, story_id text, post_id text, revision int, topic text, also text, form text} b",
        &[json(&rows)?],
    )
}

/// An edition with its items.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, id: i64) -> Result<Option<Edition>, StoreError> {
    const SQL: &str =
        "SELECT plan_id, kind, schedule, language, sender, template, created_at, pieces FROM editions WHERE id = $1";
    let Some(row) = tx.query_opt(SQL, params![id])? else { return Ok(None) };
    const ITEMS: &str = "SELECT story_id, post_id, revision, topic, also, form FROM edition_items WHERE edition_id = $1 ORDER BY position";
    let items: Result<Vec<_>, StoreError> = tx.query(ITEMS, params![id])?.iter().map(read_item).collect();
    let content = Content {
        kind: row.parse(1, EditionKind::from_word)?,
        schedule: row.text(2)?,
        language: row.parse(3, |tag| Language::parse(tag).ok())?,
        sender: row.text(4)?,
        template: row.text(5)?,
        items: items?,
    };
    let (plan_id, created_at, pieces) = (row.int(0)?, row.at(6)?, row.text_opt(7)?);
    Ok(Some(Edition { id, plan_id, content, created_at, pieces }))
}

/// Story, post, revision, topic, further topics and form.
fn read_item(row: &Row) -> Result<Item, StoreError> {
    Ok(Item {
        story_id: row.text(0)?,
        post_id: row.text(1)?,
        revision: row.int(2)?,
        topic: row.text(3)?,
        also: from_json(&row.text(4)?, "the topics of an item")?,
        form: row.parse(5, ItemForm::from_word)?,
    })
}

/// Keeps the rendered pieces of an edition; the first ones win, so that a repeat is byte-equal. Returns the kept ones.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn keep_pieces(tx: &mut Tx<'_>, id: i64, pieces: &str) -> Result<String, StoreError> {
    const KEEP: &str = "UPDATE editions SET pieces = $2 WHERE id = $1 AND pieces IS NULL";
    tx.execute(KEEP, params![id, pieces])?;
    let row = tx.query_opt("SELECT pieces FROM editions WHERE id = $1", params![id])?;
    row.ok_or_else(|| StoreError::Shape("an edition is missing".to_owned()))?.text(0)
}

/// Marks every edition that holds a post as replaced: nothing of it begins to be sent from this commit on, until its
/// deliveries have moved to a successor.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn mark_replaced(tx: &mut Tx<'_>, post_id: &str, now: UnixMillis, withdrawn: bool) -> Result<u64, StoreError> {
    const SQL: &str = "UPDATE editions SET replaced_at = $2, moved_at = NULL,
             withdrawn_at = CASE WHEN $3 = 1 THEN COALESCE(withdrawn_at, $2) ELSE withdrawn_at END
         WHERE id IN (SELECT edition_id FROM edition_items WHERE post_id = $1)";
    tx.execute(SQL, params![post_id, now, i64::from(withdrawn)])
}

/// One replaced edition whose deliveries may not have moved yet, or `None`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn replaced(tx: &mut Tx<'_>, after: i64) -> Result<Option<i64>, StoreError> {
    const SQL: &str =
        "SELECT id FROM editions WHERE replaced_at IS NOT NULL AND moved_at IS NULL AND id > $1 ORDER BY id LIMIT 1";
    tx.query_opt(SQL, params![after])?.map(|row| row.int(0)).transpose()
}

/// What an edition's successor shows: its items at their newest revision, without those that may not be shown any
/// more; and whether any of the missing ones was withdrawn. The posts stay locked until the commit.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn successor_items(tx: &mut Tx<'_>, id: i64) -> Result<(Vec<Item>, bool), StoreError> {
    const SQL: &str = "SELECT i.story_id, i.post_id, p.revision, i.topic, i.also, i.form,
             CASE WHEN p.withdrawn_at IS NOT NULL THEN 2 WHEN p.expired_at IS NOT NULL THEN 1 ELSE 0 END
         FROM edition_items i JOIN posts p ON p.id = i.post_id WHERE i.edition_id = $1 ORDER BY i.position {share p}";
    let (mut items, mut withdrawn) = (Vec::new(), false);
    for row in tx.query(SQL, params![id])? {
        match row.int(6)? {
            0 => items.push(read_item(&row)?),
            gone => withdrawn |= gone == 2,
        }
    }
    Ok((items, withdrawn))
}

/// What becomes of the waiting deliveries of a replaced edition.
pub enum Fate {
    /// They move to this edition and keep their id.
    Move {
        /// The edition.
        to: i64,
        /// Whether it lacks something that they held.
        drops: bool,
    },
    /// Nothing is left to send.
    Cancel(Reason),
}

impl Fate {
    fn drops(&self) -> bool {
        matches!(self, Self::Cancel(_) | Self::Move { drops: true, .. })
    }
}

/// Moves or cancels up to `limit` waiting deliveries. Returns how many were touched.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn settle_replaced(tx: &mut Tx<'_>, id: i64, fate: &Fate, now: UnixMillis, limit: i64) -> Result<u64, StoreError> {
    let settled = settle_batches(tx, id, fate, now)?;
    if settled > 0 {
        return Ok(settled);
    }
    // What was tried and handed back needn't wait; what was never tried keeps its grace.
    const MOVE: &str = "UPDATE deliveries SET edition_id = $2,
             due_at = CASE WHEN due_at < $4 OR attempts = 0 THEN due_at ELSE $4 END
         WHERE (plan_id, recipient_id, carrier) IN (SELECT plan_id, recipient_id, carrier FROM deliveries
             WHERE edition_id = $1 AND state = 'due' AND uncertain_at IS NULL LIMIT $3 {skip locked})
         RETURNING recipient_id";
    const CANCEL: &str = "UPDATE deliveries SET state = 'cancelled', reason = $2, finished_at = $4
         WHERE (plan_id, recipient_id, carrier) IN (SELECT plan_id, recipient_id, carrier FROM deliveries
             WHERE edition_id = $1 AND state = 'due' AND uncertain_at IS NULL LIMIT $3 {skip locked})
         RETURNING recipient_id";
    let touched = match fate {
        Fate::Move { to, .. } => {
            let moved = tx.query(MOVE, params![id, *to, limit, now])?;
            if !moved.is_empty() {
                reopen(tx, *to, id)?;
            }
            moved
        }
        Fate::Cancel(reason) => tx.query(CANCEL, params![id, reason.word(), limit, now])?,
    };
    if fate.drops() {
        let readers: Vec<i64> = touched.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
        search_anew(tx, id, &readers, now)?;
    }
    Ok(touched.len() as u64)
}

/// What a delivery held no longer counts as given to those of its readers (by id) who read another language by now: a story
/// that was withdrawn in the old one may be owed to them in the new one, below their marks; at once by immediate subscriptions.
fn search_anew(tx: &mut Tx<'_>, id: i64, readers: &[i64], now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE subscriptions SET mark = since, followed_at = NULL
         WHERE subscriber_id IN (SELECT u.id FROM {list $2: int} ids CROSS JOIN subscribers u CROSS JOIN editions e
             WHERE e.id = $1 AND u.id = ids.value AND u.language <> e.language)
         RETURNING subscriber_id";
    let rows = tx.query(SQL, &[id.into(), json(readers)?])?;
    let readers: BTreeSet<i64> = rows.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    readers.into_iter().try_for_each(|reader| occurrences::fire_for(tx, reader, now))
}

/// A successor whose deliveries come late may have been closed as finished: those who leave the schedule must find it. It rests
/// in the same night as the one `before` it.
fn reopen(tx: &mut Tx<'_>, id: i64, before: i64) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE editions SET closed_at = NULL, quiet_from_at = b.quiet_from_at, quiet_until_at = b.quiet_until_at
         FROM (SELECT quiet_from_at, quiet_until_at FROM editions WHERE id = $2) b WHERE id = $1";
    tx.execute(SQL, params![id, before]).map(drop)
}

/// Batches settled at once.
const BATCHES_MAX: i64 = 64;

/// Moves or cancels waiting batches of a replaced edition: an untouched one as a whole; from another, whose other members
/// were sent, those that still wait are given rows of their own. Returns how many deliveries were touched.
fn settle_batches(tx: &mut Tx<'_>, id: i64, fate: &Fate, now: UnixMillis) -> Result<u64, StoreError> {
    const WAITING: &str = "SELECT plan_id, number, entries, own_count, open FROM batches b
         WHERE edition_id = $1 AND state = 'due' ORDER BY plan_id, number LIMIT $2 {skip locked}";
    let mut touched = 0;
    for row in tx.query(WAITING, params![id, BATCHES_MAX])? {
        let (plan_id, number, open) = (row.int(0)?, row.int(1)?, row.int(4)?);
        let is_whole = row.int(2)? == 0 && row.int(3)? == 0;
        touched += open.max(1) as u64;
        match fate {
            _ if !is_whole => batches::extract::all_open(tx, plan_id, number, now)?,
            Fate::Move { to, .. } => {
                const MOVE: &str =
                    "UPDATE batches SET edition_id = $3, due_at = CASE WHEN due_at < $4 OR claims = 0 THEN due_at ELSE $4 END
                     WHERE plan_id = $1 AND number = $2";
                tx.change("moving a batch", 1, MOVE, params![plan_id, number, *to, now])?;
                reopen(tx, *to, id)?;
            }
            Fate::Cancel(reason) => {
                const CANCEL: &str = "UPDATE batches SET state = 'cancelled', reason = $3, finished_at = $4, open = 0
                     WHERE plan_id = $1 AND number = $2";
                tx.change("cancelling a batch", 1, CANCEL, params![plan_id, number, reason.word(), now])?;
            }
        }
        if is_whole && fate.drops() {
            let readers = batches::members(tx, batches::BatchKey { plan_id, number })?;
            search_anew(tx, id, &readers, now)?;
        }
    }
    Ok(touched)
}

/// Notes that nothing of a replaced edition is left to move. Says no while some delivery is under way and may come
/// back, or while its plan still grows.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_moved(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE editions SET moved_at = $2 WHERE id = $1
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.edition_id = $1
                AND d.state IN ('due', 'claimed', 'sending') AND d.uncertain_at IS NULL)
           AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.edition_id = $1 AND b.state IN ('due', 'claimed'))
           AND EXISTS (SELECT 1 FROM occurrences o WHERE o.id = editions.plan_id AND o.planned_at IS NOT NULL)";
    Ok(tx.execute(SQL, params![id, now])? == 1)
}

/// Closes editions whose plan is complete and which have nothing open, so that they aren't searched for superseding.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn close_finished(tx: &mut Tx<'_>, now: UnixMillis) -> Result<u64, StoreError> {
    // What programs were told is of no use any more, and each of them holds a whole post.
    const SQL: &str = "UPDATE editions SET closed_at = $1, pieces = CASE WHEN kind = 'push' AND NOT EXISTS
             (SELECT 1 FROM deliveries d WHERE d.edition_id = editions.id AND d.state = 'uncertain') THEN NULL ELSE pieces END
         WHERE closed_at IS NULL
           AND EXISTS (SELECT 1 FROM occurrences o WHERE o.id = editions.plan_id AND o.planned_at IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.edition_id = editions.id AND d.state IN ('due', 'claimed', 'sending'))
           AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.edition_id = editions.id AND b.state IN ('due', 'claimed'))";
    tx.execute(SQL, params![now])
}

/// When the newest of an edition's posts was accepted, in the revision that it holds.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn accepted_at(tx: &mut Tx<'_>, edition_id: i64) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str = "SELECT MAX(r.received_at) FROM edition_items i JOIN revisions r
         ON r.post_id = i.post_id AND r.revision = i.revision WHERE i.edition_id = $1";
    tx.query_opt(SQL, params![edition_id])?.map_or(Ok(None), |row| row.at_opt(0))
}
