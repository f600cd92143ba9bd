//! Posts that were revised after somebody got them: who did, and which of them are to be told.

use super::batches::look;
use super::owed::{self, Match};
use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::ItemForm;
use crate::domain::language::Language;
use std::collections::{BTreeMap, BTreeSet};

/// Asks that everybody who got an earlier revision of a post gets this one.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn ask(tx: &mut Tx<'_>, post_id: &str, revision: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO corrections (post_id, revision, asked_at) VALUES ($1, $2, $3)
         ON CONFLICT (post_id) DO UPDATE SET revision = excluded.revision, asked_at = excluded.asked_at";
    tx.execute(SQL, params![post_id, revision, now]).map(drop)
}

/// Takes one correction that was asked for and that nothing stands in the way of any more: of no edition that holds the post is
/// anything left that may still go out as it was, and none is being planned.
pub fn take_ready(tx: &mut Tx<'_>) -> Result<Option<(String, i64)>, StoreError> {
    const SQL: &str = "SELECT c.post_id, c.revision FROM corrections c
         WHERE NOT EXISTS (SELECT 1 FROM edition_items i JOIN editions e ON e.id = i.edition_id
             WHERE i.post_id = c.post_id AND i.revision < c.revision AND e.replaced_at IS NOT NULL AND e.moved_at IS NULL)
         ORDER BY c.asked_at, c.post_id LIMIT 1 {skip locked}";
    let Some(row) = tx.query_opt(SQL, &[])? else { return Ok(None) };
    let taken = (row.text(0)?, row.int(1)?);
    const TAKE: &str = "DELETE FROM corrections WHERE post_id = $1 AND revision = $2";
    tx.change("taking a correction", 1, TAKE, params![&taken.0, taken.1])?;
    Ok(Some(taken))
}

/// A post's newest revision and story, if it may be shown. Locked against revision until the commit.
pub fn showable(tx: &mut Tx<'_>, post_id: &str) -> Result<Option<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT p.revision, p.story_id FROM posts p WHERE p.id = $1 AND p.public_at IS NOT NULL
           AND p.withdrawn_at IS NULL AND p.expired_at IS NULL {share p}";
    tx.query_opt(SQL, params![post_id])?.map(|row| Ok((row.int(0)?, row.text(1)?))).transpose()
}

/// A reader who may be written to, locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The subscriber.
    pub id: i64,
    /// The language they read.
    pub language: Language,
    /// The domain of their address.
    pub domain: String,
    /// Until when nothing goes out to them.
    pub paused_until_at: Option<UnixMillis>,
    /// The schedules that they have mail by.
    pub schedules: Vec<String>,
}

/// The next readers after `after`, in the order of ids.
pub fn readers(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<Reader>, StoreError> {
    const SQL: &str = "SELECT u.id, u.language, u.domain, u.paused_until_at FROM subscribers u
         WHERE u.id > $1 AND u.unsubscribed_at IS NULL AND u.suppressed_at IS NULL ORDER BY u.id LIMIT $2 {lock u}";
    let reader = |row: &Row| {
        let language = row.parse(1, |tag| Language::parse(tag).ok())?;
        let (domain, paused_until_at) = (row.text(2)?, row.at_opt(3)?);
        Ok(Reader { id: row.int(0)?, language, domain, paused_until_at, schedules: Vec::new() })
    };
    let mut readers: Vec<Reader> =
        tx.query(SQL, params![after, limit])?.iter().map(reader).collect::<Result<_, StoreError>>()?;
    let ids: Vec<i64> = readers.iter().map(|reader| reader.id).collect();
    const SCHEDULES: &str =
        "SELECT DISTINCT s.subscriber_id, s.schedule FROM {list $1: int} ids CROSS JOIN subscriptions s
         WHERE s.subscriber_id = ids.value ORDER BY s.subscriber_id, s.schedule";
    for row in tx.query(SCHEDULES, &[json(&ids)?])? {
        let (id, schedule) = (row.int(0)?, row.text(1)?);
        if let Ok(at) = readers.binary_search_by_key(&id, |reader| reader.id) {
            readers[at].schedules.push(schedule);
        }
    }
    Ok(readers)
}

/// Corrections that wait for a reader's pause to end wait until then: it was prolonged, or is over at `until`. The caller has locked
/// the reader.
pub fn put_off(tx: &mut Tx<'_>, reader: i64, until: UnixMillis, now: UnixMillis) -> Result<(), StoreError> {
    const OPEN: &str = "SELECT id FROM editions WHERE kind = 'correction' AND closed_at IS NULL";
    let editions: Vec<i64> = tx.query(OPEN, &[])?.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    if editions.is_empty() {
        return Ok(());
    }
    look::part_waiting(tx, &editions, &[reader], now)?;
    const SQL: &str = "UPDATE deliveries SET due_at = $3 WHERE recipient_id = $1 AND edition_id IN {list $2: int}
         AND state = 'due' AND uncertain_at IS NULL";
    tx.execute(SQL, &[reader.into(), json(&editions)?, until.into()]).map(drop)
}

/// What a reader got, or is to get, of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The reader.
    pub recipient_id: i64,
    /// The revision.
    pub revision: i64,
    /// By which schedule.
    pub schedule: String,
    /// The topic that it stood under.
    pub topic: String,
    /// Further topics that brought it.
    pub also: Vec<String>,
    /// What of it they were shown.
    pub form: ItemForm,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// Whether it went out, or may have; otherwise it waits.
    pub is_out: bool,
}

/// Those of `ids` (ascending) to whom a post went out before `revision`, and who neither have that one nor wait for it; with what
/// they got last. `by_line`: a line about the revision counts as having it.
pub fn outdated(
    tx: &mut Tx<'_>,
    post_id: &str,
    revision: i64,
    ids: &[i64],
    by_line: bool,
) -> Result<BTreeMap<i64, Holding>, StoreError> {
    let (mut outdated, mut current) = (BTreeMap::<i64, Holding>::new(), BTreeSet::new());
    for held in holdings(tx, post_id, ids)? {
        if held.revision >= revision && (by_line || held.form == ItemForm::Post) {
            current.insert(held.recipient_id);
        } else if held.is_out && held.form == ItemForm::Post {
            let last = outdated.entry(held.recipient_id).or_insert_with(|| held.clone());
            if last.planned_at < held.planned_at {
                *last = held;
            }
        }
    }
    outdated.retain(|id, _| !current.contains(id));
    Ok(outdated)
}

/// Posts that lines of an issue tell of at most, the ones revised last: an issue is about what is new.
const LINES_MAX: i64 = 20;

/// Whether anybody can have got a post before `revision`.
pub fn is_held(tx: &mut Tx<'_>, post_id: &str, revision: i64) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM edition_items i JOIN editions e ON e.id = i.edition_id WHERE i.post_id = $1
           AND i.revision < $2 AND i.form = 'post' AND e.kind IN ('issue', 'correction') LIMIT 1";
    Ok(tx.query_opt(SQL, params![post_id, revision])?.is_some())
}

/// What a person chose that readers hear of the revisions of a post: whatever its source says, a line in their next issue, or nothing.
pub fn choose(tx: &mut Tx<'_>, post_id: &str, is_noted: bool) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO revised_as (post_id, how) VALUES ($1, $2)
         ON CONFLICT (post_id) DO UPDATE SET how = excluded.how";
    tx.execute(SQL, params![post_id, if is_noted { "note" } else { "silent" }]).map(drop)
}

/// Whether a line was chosen for the revisions of any post.
pub fn any_noted(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT 1 FROM revised_as WHERE how = 'note' LIMIT 1", &[])?.is_some())
}

/// The posts of these sources, and those for which a line was chosen, that may be shown and were revised after `since`. They stay
/// locked against revision until the commit.
pub fn revised(tx: &mut Tx<'_>, sources: &[String], since: UnixMillis) -> Result<Vec<Match>, StoreError> {
    const SQL: &str = "SELECT 0, '', p.story_id, p.id, p.revision, p.published_at, p.lane, 1
         FROM posts p WHERE p.revised_at > $1 AND CASE (SELECT how FROM revised_as x WHERE x.post_id = p.id)
               WHEN 'note' THEN 1 WHEN 'silent' THEN 0 ELSE CASE WHEN p.source IN {list $2: text} THEN 1 ELSE 0 END END = 1
           AND p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL
         ORDER BY p.revised_at DESC, p.id LIMIT $3 {share p}";
    tx.query(SQL, &[since.into(), json(sources)?, LINES_MAX.into()])?.iter().map(owed::read_match).collect()
}

/// What those of `ids` (ascending) hold of a post.
fn holdings(tx: &mut Tx<'_>, post_id: &str, ids: &[i64]) -> Result<Vec<Holding>, StoreError> {
    const EDITIONS: &str = "SELECT e.id, i.revision, e.schedule, i.topic, i.also, e.created_at, i.form
         FROM edition_items i JOIN editions e ON e.id = i.edition_id
         WHERE i.post_id = $1 AND e.kind IN ('issue', 'correction')";
    const ROWS: &str = "SELECT d.recipient_id, CASE WHEN d.state IN ('due', 'claimed') AND d.uncertain_at IS NULL THEN 0 ELSE 1 END
         FROM {list $2: int} ids CROSS JOIN deliveries d
         WHERE d.plan_id = (SELECT plan_id FROM editions WHERE id = $1) AND d.recipient_id = ids.value AND d.edition_id = $1
           AND d.state IN ('due', 'claimed', 'sending', 'sent', 'uncertain')";
    let mut holdings = Vec::new();
    for row in tx.query(EDITIONS, params![post_id])? {
        let id = row.int(0)?;
        let of = Holding {
            recipient_id: 0,
            revision: row.int(1)?,
            schedule: row.text(2)?,
            topic: row.text(3)?,
            also: from_json(&row.text(4)?, "the topics of an item")?,
            planned_at: row.at(5)?,
            form: row.parse(6, ItemForm::from_word)?,
            is_out: false,
        };
        for row in tx.query(ROWS, &[id.into(), json(ids)?])? {
            holdings.push(Holding { recipient_id: row.int(0)?, is_out: row.int(1)? == 1, ..of.clone() });
        }
        for (recipient_id, is_out) in look::members_of_edition(tx, id, ids)? {
            holdings.push(Holding { recipient_id, is_out, ..of.clone() });
        }
    }
    Ok(holdings)
}
