//! What a slot's firing has to look at: what was released since the slot was searched last, and who in the slot it may
//! concern. Everybody whose search follows the slot's shares one window; the others are `fresh`.

use super::occurrences::Occurrence;
use super::owed::{self, Match};
use super::value::params;
use super::{StoreError, Tx, Value};
use crate::domain::clock::UnixMillis;

/// A release in the window, under one of its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The readers' language that it is for.
    pub language: String,
    /// What it would be to a reader; its `recipient_id` says nothing.
    pub item: Match,
}

/// What was released in the window of an occurrence, in the order of its numbers and then of topics. The posts stay locked
/// against revision until the plan is committed, so that an edition can't pin what was just replaced.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn releases(tx: &mut Tx<'_>, occurrence: &Occurrence, now: UnixMillis) -> Result<Vec<Release>, StoreError> {
    const SQL: &str = "SELECT 0, rt.topic, rt.story_id, rt.post_id, p.revision, p.published_at, p.lane,
             CASE WHEN p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL
                   AND (p.expires_at IS NULL OR p.expires_at > $3) THEN 1 ELSE 0 END, rt.language
         FROM slots o CROSS JOIN release_topics rt CROSS JOIN posts p
         WHERE o.slot = $1 AND rt.seq > o.searched AND rt.seq <= $2 AND p.id = rt.post_id
         ORDER BY rt.seq, rt.topic {share p}";
    let rows = tx.query(SQL, params![occurrence.slot.as_str(), occurrence.bound, now])?;
    rows.iter().map(|row| Ok(Release { language: row.text(8)?, item: owed::read_match(row)? })).collect()
}

/// The next people of an occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Who subscribes to which of the topics, by its index; in the order of ids.
    pub interested: Vec<(i64, u16)>,
    /// Whose search doesn't follow the slot's yet, ascending.
    pub fresh: Vec<i64>,
    /// Everybody in the slot, ascending, where that was asked for.
    pub everybody: Vec<i64>,
    /// The highest id that this chunk covers, or `None` when it is the last.
    pub covered: Option<i64>,
}

/// Fresh subscribers in a chunk at most; each is searched alone.
const FRESH_MAX: i64 = 1_000;

/// Who in the slot, after the ones that are done, subscribes to one of `topics` or is fresh: about `limit` subscriptions. With
/// `everybody`, also who neither does.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn chunk(
    tx: &mut Tx<'_>,
    occurrence: &Occurrence,
    topics: &[&str],
    limit: i64,
    with_everybody: bool,
) -> Result<Chunk, StoreError> {
    const NTH: &str = "SELECT subscriber_id FROM subscriptions WHERE slot = $1 AND topic = $2 AND subscriber_id > $3
         ORDER BY subscriber_id LIMIT 1 OFFSET $4";
    const NTH_FRESH: &str = "SELECT subscriber_id FROM subscriptions WHERE slot = $1 AND followed_at IS NULL
           AND subscriber_id > $2 ORDER BY subscriber_id LIMIT 1 OFFSET $3";
    let (slot, after) = (occurrence.slot.as_str(), occurrence.done_to);
    let share = (limit / (topics.len() as i64 + 1)).max(1);
    let mut covered = tx.query_opt(NTH_FRESH, params![slot, after, share.min(FRESH_MAX) - 1])?;
    let mut end = covered.take().map(|row| row.int(0)).transpose()?;
    for topic in topics {
        let nth = tx.query_opt(NTH, params![slot, *topic, after, share - 1])?.map(|row| row.int(0)).transpose()?;
        end = [end, nth].into_iter().flatten().min();
    }
    if with_everybody {
        const NTH_OF_ALL: &str =
            "SELECT DISTINCT subscriber_id FROM subscriptions WHERE slot = $1 AND subscriber_id > $2
             ORDER BY subscriber_id LIMIT 1 OFFSET $3";
        let nth = tx.query_opt(NTH_OF_ALL, params![slot, after, share - 1])?.map(|row| row.int(0)).transpose()?;
        end = [end, nth].into_iter().flatten().min();
    }
    let until = end.unwrap_or(i64::MAX);
    Ok(Chunk {
        everybody: if with_everybody { everybody(tx, slot, after, until)? } else { Vec::new() },
        interested: interested(tx, slot, topics, after, until)?,
        fresh: fresh(tx, slot, after, until)?,
        covered: end,
    })
}

/// Who between `after` and `until` subscribes to which topic.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn interested(
    tx: &mut Tx<'_>,
    slot: &str,
    topics: &[&str],
    after: i64,
    until: i64,
) -> Result<Vec<(i64, u16)>, StoreError> {
    const SQL: &str = "SELECT subscriber_id FROM subscriptions WHERE slot = $1 AND topic = $2 AND subscriber_id > $3
           AND subscriber_id <= $4";
    let mut interested = Vec::new();
    for (index, topic) in (0u16..).zip(topics) {
        tx.each(SQL, params![slot, *topic, after, until], &mut |row| {
            interested.push((row.int(0)?, index));
            Ok(())
        })?;
    }
    interested.sort_unstable();
    Ok(interested)
}

/// Who between `after` and `until` has a subscription whose search doesn't follow the slot's.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn fresh(tx: &mut Tx<'_>, slot: &str, after: i64, until: i64) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "SELECT DISTINCT subscriber_id FROM subscriptions WHERE slot = $1 AND followed_at IS NULL
           AND subscriber_id > $2 AND subscriber_id <= $3 ORDER BY subscriber_id";
    ids(tx, SQL, params![slot, after, until])
}

/// Who between `after` and `until` is in the slot.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn everybody(tx: &mut Tx<'_>, slot: &str, after: i64, until: i64) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "SELECT DISTINCT subscriber_id FROM subscriptions WHERE slot = $1
           AND subscriber_id > $2 AND subscriber_id <= $3 ORDER BY subscriber_id";
    ids(tx, SQL, params![slot, after, until])
}

fn ids(tx: &mut Tx<'_>, sql: &'static str, params: &[Value]) -> Result<Vec<i64>, StoreError> {
    let mut ids = Vec::new();
    tx.each(sql, params, &mut |row| {
        ids.push(row.int(0)?);
        Ok(())
    })?;
    Ok(ids)
}
