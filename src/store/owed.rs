//! What planning asks: whom to look at, what matches, what was given already, which earlier issue may be superseded.

use super::batches::look;
use super::occurrences::Occurrence;
use super::subscribers::mark_sql;
use super::value::{from_json, json, params};
use super::{Cells, Dialect, Row, StoreError, Tx};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::edition::ItemForm;
use std::collections::HashSet;
use std::rc::Rc;

/// A recipient under planning, locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The subscriber.
    pub id: i64,
    /// The language they read, as stored.
    pub language: Rc<str>,
    /// The domain of their address.
    pub domain: Rc<str>,
}

/// A story that matches a subscription and has a number above its mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// The subscriber.
    pub recipient_id: i64,
    /// The subscription's topic.
    pub topic: String,
    /// Further topics of the recipient that match the story, ascending.
    pub also: Vec<String>,
    /// The story.
    pub story_id: String,
    /// The variant released for the reader's language.
    pub post_id: String,
    /// The newest revision.
    pub revision: i64,
    /// When it was published, which orders an issue.
    pub published_at: UnixMillis,
    /// The post's own lane.
    pub lane: String,
    /// Whether it may be shown now.
    pub showable: bool,
    /// What of it is shown.
    pub form: ItemForm,
}

impl Match {
    /// Another topic of the recipient matches the same story.
    pub fn add_topic(&mut self, topic: &str) {
        if let (true, Err(at)) = (topic != self.topic, self.also.binary_search_by(|known| known.as_str().cmp(topic))) {
            self.also.insert(at, topic.to_owned());
        }
    }
}

/// Those of `ids` (ascending) who may be written to, locked in that order.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<Recipient>, StoreError> {
    const LISTED: &str = "SELECT u.id, u.language, u.domain FROM {list $1: int} ids CROSS JOIN subscribers u
         WHERE u.id = ids.value AND u.unsubscribed_at IS NULL AND u.suppressed_at IS NULL
           AND u.paused_until_at IS NULL ORDER BY u.id {lock u}";
    const BETWEEN: &str = "SELECT id, language, domain FROM subscribers WHERE id >= $1 AND id <= $2
           AND unsubscribed_at IS NULL AND suppressed_at IS NULL
           AND paused_until_at IS NULL ORDER BY id";
    let mut recipients = Vec::with_capacity(ids.len());
    let (mut languages, mut domains) = (Shared::default(), Shared::default());
    let mut keep = |row: &Cells<'_>| {
        let (language, domain) = (languages.get(row.text(1)?), domains.get(row.text(2)?));
        recipients.push(Recipient { id: row.int(0)?, language, domain });
        Ok::<_, StoreError>(())
    };
    // SQLite has one writer, so there is nothing to lock. Where most people between the first and the last are wanted,
    // walking past the others is faster than looking each one up.
    if tx.dialect() == Dialect::Sqlite && is_dense(tx, ids)? {
        let mut wanted = ids.iter().peekable();
        tx.each(BETWEEN, params![ids.first().copied(), ids.last().copied()], &mut |row| {
            let id = row.int(0)?;
            while wanted.next_if(|wanted| **wanted < id).is_some() {}
            wanted.next_if_eq(&&id).map_or(Ok(()), |_| keep(&row))
        })?;
    } else {
        tx.each(LISTED, &[json(ids)?], &mut |row| keep(&row))?;
    }
    Ok(recipients)
}

/// As many of a list are looked at to tell how dense it is.
const DENSITY_SAMPLE: usize = 64;
/// A list is dense when no more than so many people come to one that is on it.
const DENSE_MAX: usize = 4;

/// Whether `ids` (ascending) names many of those whose ids lie between its first and its last. Ids are drawn at random, so a
/// part of the list speaks for all of it.
fn is_dense(tx: &mut Tx<'_>, ids: &[i64]) -> Result<bool, StoreError> {
    const COUNT: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM subscribers WHERE id >= $1 AND id <= $2 LIMIT $3) s";
    let Some((first, last)) = ids.first().zip(ids.get(DENSITY_SAMPLE - 1)) else { return Ok(false) };
    let limit = (DENSITY_SAMPLE * DENSE_MAX + 1) as i64;
    let count = tx.query_opt(COUNT, params![*first, *last, limit])?.map_or(Ok(limit), |row| row.int(0))?;
    Ok(count < limit)
}

/// Equal texts of a result, kept once.
#[derive(Default)]
struct Shared {
    known: HashSet<Rc<str>>,
    /// The one before: neighbours are often equal.
    last: Option<Rc<str>>,
}

impl Shared {
    fn get(&mut self, text: &str) -> Rc<str> {
        if let Some(last) = self.last.as_ref().filter(|last| ***last == *text) {
            return last.clone();
        }
        let known = self.known.get(text).cloned().unwrap_or_else(|| {
            let text: Rc<str> = text.into();
            self.known.insert(text.clone());
            text
        });
        self.last.insert(known).clone()
    }
}

/// Everything that matches the recipients' subscriptions in the occurrence's slot, up to its bound. `CROSS JOIN` makes
/// SQLite keep this order, from the chunk's few recipients outwards: without statistics it would begin with all
/// subscriptions of the slot, for every chunk. PostgreSQL orders for itself. The posts are
/// locked against revision until the plan is committed, so an edition can't pin what was just replaced.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn matches(
    tx: &mut Tx<'_>,
    occurrence: &Occurrence,
    ids: &[i64],
    now: UnixMillis,
) -> Result<Vec<Match>, StoreError> {
    const SQL: &str = concat!(
        "SELECT s.subscriber_id, s.topic, rt.story_id, rt.post_id, p.revision, p.published_at, p.lane,
             CASE WHEN p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL
                   AND (p.expires_at IS NULL OR p.expires_at > $4) THEN 1 ELSE 0 END
         FROM {list $1: int} ids CROSS JOIN subscribers u CROSS JOIN subscriptions s CROSS JOIN slots o
             CROSS JOIN release_topics rt CROSS JOIN posts p
         WHERE u.id = ids.value AND s.subscriber_id = u.id AND s.slot = $2 AND o.slot = s.slot
           AND rt.topic = s.topic AND rt.language = u.language AND rt.seq > ",
        mark_sql!(),
        " AND rt.seq <= $3 AND p.id = rt.post_id
         ORDER BY s.subscriber_id, rt.seq, s.topic {share p}"
    );
    let params = &[json(ids)?, occurrence.slot.as_str().into(), occurrence.bound.into(), now.into()];
    tx.query(SQL, params)?.iter().map(read_match).collect()
}

pub(super) fn read_match(row: &Row) -> Result<Match, StoreError> {
    Ok(Match {
        recipient_id: row.int(0)?,
        topic: row.text(1)?,
        also: Vec::new(),
        story_id: row.text(2)?,
        post_id: row.text(3)?,
        revision: row.int(4)?,
        published_at: row.at(5)?,
        lane: row.text(6)?,
        showable: row.int(7)? == 1,
        form: ItemForm::Post,
    })
}

/// Which of these stories each of `ids` (ascending) has been given: an edition that holds the story is planned for
/// them by another plan than `plan_id`, and the delivery wasn't cancelled as withdrawn or superseded.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn given(tx: &mut Tx<'_>, plan_id: i64, ids: &[i64], stories: &[&str]) -> Result<Vec<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT DISTINCT d.recipient_id, i.story_id
         FROM edition_items i CROSS JOIN editions e CROSS JOIN {list $2: int} ids CROSS JOIN deliveries d
         WHERE i.story_id IN {list $1: text} AND e.id = i.edition_id AND e.plan_id <> $3 AND e.kind <> 'test'
           AND d.plan_id = e.plan_id AND d.recipient_id = ids.value AND d.edition_id = e.id
           AND NOT (d.state = 'cancelled' AND d.reason IN ('withdrawn', 'superseded', 'expired'))";
    let rows = tx.query(SQL, &[json(stories)?, json(ids)?, plan_id.into()])?;
    let mut given = look::given(tx, plan_id, ids, stories)?;
    for row in &rows {
        given.push((row.int(0)?, row.text(1)?));
    }
    Ok(given)
}

/// Moves the marks of the subscriptions that matched something up to the bound.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn move_marks(tx: &mut Tx<'_>, matched: &[(i64, &str)], bound: i64) -> Result<(), StoreError> {
    #[derive(serde::Serialize)]
    struct Matched<'a> {
        r: i64,
        t: &'a str,
    }
    let rows: Vec<_> = matched.iter().map(|(r, t)| Matched { r: *r, t }).collect();
    tx.change(
        "moving marks",
        rows.len(),
        "UPDATE subscriptions AS s SET mark = $2 FROM {rows $1: r int, t text} b
         WHERE s.subscriber_id = b.r AND s.topic = b.t",
        &[json(&rows)?, bound.into()],
    )
}

/// These recipients' subscriptions in a slot were planned with it up to `bound`: from now on their search follows the slot's.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn follow(tx: &mut Tx<'_>, slot: &Slot, ids: &[i64], bound: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE subscriptions SET mark = $3, followed_at = $4
         WHERE subscriber_id IN {list $1: int} AND slot = $2 AND followed_at IS NULL";
    tx.execute(SQL, &[json(ids)?, slot.as_str().into(), bound.into(), now.into()])?;
    Ok(())
}

/// Cancels the earlier issues of the same digest that none of these recipients can have seen, and returns what was in
/// them. Taken are only deliveries that wait, no attempt of which ever ended uncertain.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn supersede(
    tx: &mut Tx<'_>,
    occurrence: &Occurrence,
    ids: &[i64],
    now: UnixMillis,
) -> Result<Vec<Match>, StoreError> {
    const EARLIER: &str = "SELECT id, plan_id FROM editions WHERE schedule = $1 AND closed_at IS NULL AND plan_id <> $2
           AND kind IN ('issue', 'heartbeat')";
    let earlier = tx.query(EARLIER, params![occurrence.slot.schedule(), occurrence.id])?;
    if earlier.is_empty() {
        return Ok(Vec::new());
    }
    let editions: Vec<i64> = earlier.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    look::part_waiting(tx, &editions, ids, now)?;
    let plans: Vec<i64> = earlier.iter().map(|row| row.int(1)).collect::<Result<_, _>>()?;
    const CANCEL: &str = "UPDATE deliveries SET state = 'cancelled', reason = 'superseded', finished_at = $4
         WHERE plan_id IN {list $1: int} AND recipient_id IN {list $2: int} AND edition_id IN {list $3: int}
           AND state = 'due' AND uncertain_at IS NULL
         RETURNING recipient_id, edition_id";
    let cancelled = tx.query(CANCEL, &[json(&plans)?, json(ids)?, json(&editions)?, now.into()])?;
    if cancelled.is_empty() {
        return Ok(Vec::new());
    }
    #[derive(serde::Serialize)]
    struct Cancelled {
        r: i64,
        e: i64,
    }
    let cancelled: Result<Vec<_>, StoreError> =
        cancelled.iter().map(|row| Ok(Cancelled { r: row.int(0)?, e: row.int(1)? })).collect();
    const ITEMS: &str = "SELECT b.r, i.topic, i.story_id, i.post_id, p.revision, p.published_at, p.lane,
             CASE WHEN p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL
                   AND (p.expires_at IS NULL OR p.expires_at > $2) THEN 1 ELSE 0 END, i.also
         FROM {rows $1: r int, e int} b
         JOIN edition_items i ON i.edition_id = b.e AND i.form = 'post'
         JOIN posts p ON p.id = i.post_id ORDER BY b.r, i.position {share p}";
    let item = |row: &Row| Ok(Match { also: from_json(&row.text(8)?, "the topics of an item")?, ..read_match(row)? });
    tx.query(ITEMS, &[json(&cancelled?)?, now.into()])?.iter().map(item).collect()
}

/// The release of a story for one language: its number, if there is one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn release_of(tx: &mut Tx<'_>, story_id: &str, language: &str) -> Result<Option<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT seq, post_id FROM releases WHERE story_id = $1 AND language = $2";
    tx.query_opt(SQL, params![story_id, language])?.map(|row| Ok((row.int(0)?, row.text(1)?))).transpose()
}

/// The topics that a release is found under.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn topics_of_release(tx: &mut Tx<'_>, seq: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT topic FROM release_topics WHERE seq = $1 ORDER BY topic";
    tx.query(SQL, params![seq])?.iter().map(|row| row.text(0)).collect()
}
