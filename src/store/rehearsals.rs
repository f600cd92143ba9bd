//! What a rehearsed plan came to, for whoever looks before anything is sent.

use super::value::{json, params};
use super::{Row, StoreError, Tx};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;

/// Followers that are counted at most; beyond, it is "more than".
pub const FOLLOWERS_MAX: i64 = 10_000;

/// Who follows a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followers {
    /// Subscribers, [`FOLLOWERS_MAX`] at most.
    pub all: i64,
    /// Of these, those who paused.
    pub paused: i64,
    /// Of these, those whom nothing may be sent.
    pub suppressed: i64,
    /// Whether there are more.
    pub is_more: bool,
}

/// One content that a plan came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The edition, by the number that it has in the rehearsal.
    pub edition_id: i64,
    /// Its kind.
    pub kind: EditionKind,
    /// The language of its readers.
    pub language: String,
    /// Posts in it.
    pub posts: i64,
    /// Who would get it.
    pub readers: i64,
}

/// Who follows the slots of a digest.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn followers(tx: &mut Tx<'_>, slots: &[Slot], now: UnixMillis) -> Result<Followers, StoreError> {
    const SQL: &str =
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN u.paused_until_at > $2 THEN 1 ELSE 0 END), 0) AS BIGINT),
             CAST(COALESCE(SUM(CASE WHEN u.suppressed_at IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT)
         FROM (SELECT DISTINCT subscriber_id FROM subscriptions WHERE slot = $1 LIMIT $3) s
         JOIN subscribers u ON u.id = s.subscriber_id";
    let mut followers = Followers::default();
    for slot in slots {
        if followers.all >= FOLLOWERS_MAX {
            followers.is_more = true;
            break;
        }
        let left = FOLLOWERS_MAX - followers.all;
        let Some(row) = tx.query_opt(SQL, params![slot.as_str(), now, left + 1])? else { continue };
        let found = row.int(0)?;
        followers.is_more |= found > left;
        followers.all += found.min(left);
        followers.paused += row.int(1)?;
        followers.suppressed += row.int(2)?;
    }
    Ok(followers)
}

/// What these plans came to, the largest first.
pub fn shares(tx: &mut Tx<'_>, plans: &[i64]) -> Result<Vec<Share>, StoreError> {
    const SQL: &str =
        "SELECT e.id, e.kind, e.language, (SELECT COUNT(*) FROM edition_items i WHERE i.edition_id = e.id),
             (SELECT CAST(COALESCE(SUM(b.size - b.own_count), 0) AS BIGINT) FROM batches b WHERE b.edition_id = e.id)
             + (SELECT COUNT(*) FROM deliveries d WHERE d.plan_id = e.plan_id AND d.edition_id = e.id)
         FROM {list $1: int} p CROSS JOIN editions e WHERE e.plan_id = p.value ORDER BY 5 DESC, 1 LIMIT 100";
    let share = |row: &Row| {
        Ok(Share {
            edition_id: row.int(0)?,
            kind: row.parse(1, EditionKind::from_word)?,
            language: row.text(2)?,
            posts: row.int(3)?,
            readers: row.int(4)?,
        })
    };
    tx.query(SQL, &[json(plans)?])?.iter().map(share).collect()
}
