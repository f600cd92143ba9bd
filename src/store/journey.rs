//! The journey of a post: where it went, by which carrier, and how far each send of it came. Counts of mail come from the headers of
//! batches; rows of their own are counted up to a bound.

mod list;
mod readers;

pub use list::{Find, Found, Kind, Line, find};
pub use readers::{Receipt, readers, troubled};

use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Editions that are looked at, those planned last: a post of a digest stands in as many as its readers combine topics.
pub const EDITIONS_MAX: i64 = 500;
/// Rows of their own that are counted for one send.
const ROWS_MAX: i64 = 20_000;
/// Programs and accounts of one post that are told of at most.
const TOLD_MAX: i64 = 500;

/// One send that holds the post: a firing of a schedule, a release, or a correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Send {
    /// The plan.
    pub plan_id: i64,
    /// `immediate` or the digest's name.
    pub schedule: String,
    /// What it is.
    pub kind: String,
    /// The newest revision of the post that somebody has by it, or is to get.
    pub revision: i64,
    /// The languages of its readers.
    pub languages: Vec<String>,
    /// How many editions with the post it made.
    pub editions: usize,
    /// One of them, for those who want to see the mail.
    pub edition_id: i64,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// How many deliveries stand where.
    pub states: Vec<(String, i64)>,
    /// Whether there are more rows than were counted.
    pub is_more: bool,
    /// Whether it waits for a second person.
    pub is_waiting: bool,
}

/// The sends of a post by mail, the newest first; and whether there are more editions than were looked at.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn sends(tx: &mut Tx<'_>, post_id: &str) -> Result<(Vec<Send>, bool), StoreError> {
    let editions = editions(tx, post_id)?;
    let is_more = editions.len() as i64 == EDITIONS_MAX;
    let mut sends: BTreeMap<i64, Send> = BTreeMap::new();
    let mut ids: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut revisions: BTreeMap<i64, i64> = BTreeMap::new();
    for edition in editions {
        ids.entry(edition.plan_id).or_default().push(edition.edition_id);
        revisions.insert(edition.edition_id, edition.revision);
        match sends.get_mut(&edition.plan_id) {
            None => {
                sends.insert(edition.plan_id, edition);
            }
            Some(send) => {
                send.editions += 1;
                if edition.revision > send.revision {
                    (send.revision, send.edition_id) = (edition.revision, edition.edition_id);
                }
                send.languages.extend(edition.languages);
                send.planned_at = send.planned_at.min(edition.planned_at);
            }
        }
    }
    for (plan, send) in &mut sends {
        send.languages.sort();
        send.languages.dedup();
        let ids = ids.get(plan).map_or(&[][..], Vec::as_slice);
        (send.states, send.is_more) = states(tx, *plan, ids)?;
        // A revision that comes while mail is out makes an edition for those who have none yet; there may be nobody left.
        let given = given(tx, *plan, ids)?;
        if let Some(edition) = ids.iter().filter(|id| given.contains(id)).max_by_key(|id| revisions.get(id)) {
            (send.edition_id, send.revision) = (*edition, revisions.get(edition).copied().unwrap_or(send.revision));
        }
        let scope = super::second::scope(*plan);
        send.is_waiting = tx.query_opt("SELECT 1 FROM holds WHERE scope = $1", params![scope])?.is_some();
    }
    let mut sends: Vec<Send> = sends.into_values().collect();
    sends.sort_by_key(|send| std::cmp::Reverse((send.planned_at, send.plan_id)));
    Ok((sends, is_more))
}

/// The editions of a post that go by mail, the newest first.
fn editions(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<Send>, StoreError> {
    const SQL: &str = "SELECT e.id, e.plan_id, e.schedule, e.kind, e.language, i.revision, e.created_at
         FROM edition_items i JOIN editions e ON e.id = i.edition_id
         WHERE i.post_id = $1 AND e.kind IN ('issue', 'correction') AND i.form = 'post'
         ORDER BY e.created_at DESC, e.id LIMIT $2";
    let send = |row: &Row| {
        Ok(Send {
            edition_id: row.int(0)?,
            plan_id: row.int(1)?,
            schedule: row.text(2)?,
            kind: row.text(3)?,
            languages: vec![row.text(4)?],
            revision: row.int(5)?,
            planned_at: row.at(6)?,
            editions: 1,
            states: Vec::new(),
            is_more: false,
            is_waiting: false,
        })
    };
    tx.query(SQL, params![post_id, EDITIONS_MAX])?.iter().map(send).collect()
}

/// Those editions of a plan that somebody has or is to get, as far as its deliveries are looked at.
fn given(tx: &mut Tx<'_>, plan: i64, editions: &[i64]) -> Result<BTreeSet<i64>, StoreError> {
    const BATCHES: &str =
        "SELECT DISTINCT edition_id FROM batches WHERE edition_id IN {list $1: int} AND size > own_count";
    const ROWS: &str = "SELECT DISTINCT d.edition_id
         FROM (SELECT edition_id, state FROM deliveries WHERE plan_id = $1 LIMIT $2) d WHERE d.state <> 'cancelled'";
    let mut rows = tx.query(BATCHES, &[json(editions)?])?;
    rows.extend(tx.query(ROWS, params![plan, ROWS_MAX])?);
    rows.iter().map(|row| row.int(0)).collect()
}

/// How many deliveries of some editions of a plan stand where, and whether there are more rows than were counted.
fn states(tx: &mut Tx<'_>, plan: i64, editions: &[i64]) -> Result<(Vec<(String, i64)>, bool), StoreError> {
    const BATCHES: &str = "SELECT state, CAST(SUM(open) AS BIGINT), CAST(SUM(size - own_count) AS BIGINT) FROM batches
         WHERE edition_id IN {list $1: int} GROUP BY state";
    const ROWS: &str = "SELECT d.state, COUNT(*), SUM(CASE WHEN d.edition_id IN {list $2: int} THEN 1 ELSE 0 END)
         FROM (SELECT state, edition_id FROM deliveries WHERE plan_id = $1 LIMIT $3) d GROUP BY d.state";
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for row in tx.query(BATCHES, &[json(editions)?])? {
        let (state, open, all) = (row.text(0)?, row.int(1)?, row.int(2)?);
        if state == "cancelled" {
            *counts.entry(state).or_default() += all;
        } else {
            *counts.entry("sent".to_owned()).or_default() += all - open;
            *counts.entry(if state == "done" { "due".to_owned() } else { state }).or_default() += open;
        }
    }
    let mut looked_at = 0;
    for row in tx.query(ROWS, &[plan.into(), json(editions)?, ROWS_MAX.into()])? {
        looked_at += row.int(1)?;
        *counts.entry(row.text(0)?).or_default() += row.int(2)?;
    }
    let order = ["sent", "sending", "claimed", "due", "uncertain", "refused", "abandoned", "cancelled"];
    let mut counts: Vec<(String, i64)> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    counts.sort_by_key(|(state, _)| order.iter().position(|known| known == state));
    Ok((counts, looked_at == ROWS_MAX))
}

/// What an own account at a network said of the post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The account's endpoint.
    pub endpoint_id: i64,
    /// Which revision it tells.
    pub revision: i64,
    /// The network's name of it, as JSON.
    pub remote: String,
    /// When.
    pub said_at: UnixMillis,
    /// When it was taken away.
    pub gone_at: Option<UnixMillis>,
}

/// What own accounts said of a post.
pub fn said(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<Said>, StoreError> {
    const SQL: &str = "SELECT endpoint_id, revision, remote, said_at, gone_at FROM said WHERE post_id = $1
         ORDER BY said_at, endpoint_id LIMIT $2";
    let said = |row: &Row| {
        let (endpoint_id, revision, remote) = (row.int(0)?, row.int(1)?, row.text(2)?);
        Ok(Said { endpoint_id, revision, remote, said_at: row.at(3)?, gone_at: row.at_opt(4)? })
    };
    tx.query(SQL, params![post_id, TOLD_MAX])?.iter().map(said).collect()
}

/// How far a post came with accounts and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The carrier: `webhook`, `websub`, a network.
    pub carrier: String,
    /// The partner or the account's endpoint, where that says who it is.
    pub partner: Option<String>,
    /// Which endpoint.
    pub endpoint_id: i64,
    /// What it is told: `published`, `revised`, `withdrawn`.
    pub event: String,
    /// Which revision.
    pub revision: i64,
    /// The delivery.
    pub delivery: String,
    /// Where that stands.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Since when.
    pub at: UnixMillis,
}

/// What accounts and programs were told of a post, or are to be told: the newest first.
pub fn told(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<Told>, StoreError> {
    const SQL: &str = "SELECT d.plan_id, d.recipient_id, d.carrier, e.schedule, i.revision, d.state, d.reason,
             COALESCE(d.finished_at, d.sending_at, d.planned_at), p.name
         FROM edition_items i JOIN editions e ON e.id = i.edition_id
         JOIN deliveries d ON d.plan_id = e.plan_id AND d.edition_id = e.id
         LEFT JOIN partners p ON p.endpoint_id = d.recipient_id
         WHERE i.post_id = $1 AND e.kind = 'push' ORDER BY d.planned_at DESC, d.plan_id, d.recipient_id LIMIT $2";
    let told = |row: &Row| {
        let (plan, endpoint_id, carrier) = (row.int(0)?, row.int(1)?, row.text(2)?);
        Ok(Told {
            delivery: format!("{plan}.{endpoint_id}.{carrier}"),
            event: row.text(3)?.rsplit(':').next().unwrap_or_default().to_owned(),
            carrier,
            endpoint_id,
            revision: row.int(4)?,
            state: row.text(5)?,
            reason: row.text_opt(6)?,
            at: row.at(7)?,
            partner: row.text_opt(8)?,
        })
    };
    tx.query(SQL, params![post_id, TOLD_MAX])?.iter().map(told).collect()
}

/// A variant of a story with the languages whose readers it was released for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// The post.
    pub post_id: String,
    /// Its language.
    pub language: String,
    /// For readers of which language it was released, when, and by which number.
    pub releases: Vec<(String, UnixMillis, i64)>,
}

/// The variants of a story.
pub fn variants(tx: &mut Tx<'_>, story_id: &str) -> Result<Vec<Variant>, StoreError> {
    const VARIANTS: &str = "SELECT id, language FROM posts
         WHERE id IN (SELECT id FROM posts WHERE id = $1 AND story_id = id
             UNION ALL SELECT id FROM posts WHERE story_id = $1 AND story_id <> id) ORDER BY language, id LIMIT $2";
    const RELEASES: &str = "SELECT post_id, language, released_at, seq FROM releases WHERE story_id = $1 ORDER BY seq";
    let mut releases: BTreeMap<String, Vec<(String, UnixMillis, i64)>> = BTreeMap::new();
    for row in tx.query(RELEASES, params![story_id])? {
        releases.entry(row.text(0)?).or_default().push((row.text(1)?, row.at(2)?, row.int(3)?));
    }
    let mut variants = Vec::new();
    for row in tx.query(VARIANTS, params![story_id, TOLD_MAX])? {
        let post_id = row.text(0)?;
        let releases = releases.remove(&post_id).unwrap_or_default();
        variants.push(Variant { post_id, language: row.text(1)?, releases });
    }
    Ok(variants)
}
