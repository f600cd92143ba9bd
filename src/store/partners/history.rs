//! What a partner was told, and telling it again.

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::store::value::{json, params};
use crate::store::{Row, StoreError, Tx};
use serde::Serialize;

/// A delivery to a partner, for people and for the partner itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The id that it bears wherever it goes: `webhook-id`, the message id.
    pub id: String,
    /// What happened to the post.
    pub event: String,
    /// The post.
    pub post_id: Option<String>,
    /// Which revision of it.
    pub revision: Option<i64>,
    /// Where it stands.
    pub state: String,
    /// Why.
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: i64,
    /// What the far side said last.
    pub reply: Option<String>,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// When it is due, if it waits.
    pub due_at: Option<UnixMillis>,
    /// When it came to its end.
    pub finished_at: Option<UnixMillis>,
    /// What parts the pages of a list.
    #[serde(skip)]
    pub plan_id: i64,
}

/// Deliveries of an endpoint, the newest first, from before (planned at, plan).
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn told(
    tx: &mut Tx<'_>,
    endpoint_id: i64,
    before: Option<(UnixMillis, i64)>,
    limit: i64,
) -> Result<Vec<Told>, StoreError> {
    const SQL: &str =
        "SELECT d.plan_id, d.recipient_id, d.carrier, e.schedule, i.post_id, i.revision, d.state, d.reason, d.attempts,
             (SELECT a.reply FROM attempts a WHERE a.plan_id = d.plan_id AND a.recipient_id = d.recipient_id
                AND a.carrier = d.carrier ORDER BY a.number DESC LIMIT 1), d.planned_at, d.due_at, d.finished_at
         FROM deliveries d JOIN editions e ON e.id = d.edition_id
         LEFT JOIN edition_items i ON i.edition_id = d.edition_id AND i.position = 0
         WHERE d.recipient_id = $1 AND d.carrier IN ('webhook', 'amqp')
           AND (d.planned_at < $2 OR (d.planned_at = $2 AND d.plan_id < $3))
         ORDER BY d.planned_at DESC, d.plan_id DESC LIMIT $4";
    let (at, plan) = before.unwrap_or((UnixMillis(i64::MAX), i64::MAX));
    tx.query(SQL, params![endpoint_id, at, plan, limit])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Told, StoreError> {
    let key = DeliveryKey { plan_id: row.int(0)?, recipient_id: row.int(1)?, carrier: row.text(2)? };
    let (schedule, state) = (row.text(3)?, row.text(6)?);
    let due_at = row.at(11)?;
    let waits = matches!(state.as_str(), "due" | "uncertain") && due_at.0 < i64::MAX;
    Ok(Told {
        id: key.text_id(),
        event: schedule.rsplit(':').next().unwrap_or_default().to_owned(),
        post_id: row.text_opt(4)?,
        revision: row.int_opt(5)?,
        state,
        reason: row.text_opt(7)?,
        attempts: row.int(8)?,
        reply: row.text_opt(9)?,
        planned_at: row.at(10)?,
        due_at: waits.then_some(due_at),
        finished_at: row.at_opt(12)?,
        plan_id: key.plan_id,
    })
}

/// Behind which delivery it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct From {
    at: UnixMillis,
    plan_id: i64,
}

impl From {
    /// What was planned since an instant, or everything.
    #[must_use]
    pub fn begin(since: Option<UnixMillis>) -> Self {
        Self { at: since.unwrap_or(UnixMillis(0)), plan_id: i64::MIN }
    }
}

/// A part of what goes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// How many deliveries.
    pub count: u64,
    /// Where the next part begins, if there may be one.
    pub next: Option<From>,
}

/// What was planned for an endpoint since an instant goes again, in the order of then and under the same ids. What a newer revision or
/// a withdrawal has taken the place of doesn't: that goes itself. Looks at `limit` deliveries.
pub fn replay(tx: &mut Tx<'_>, endpoint_id: i64, from: From, now: UnixMillis, limit: i64) -> Result<Again, StoreError> {
    again(tx, endpoint_id, from, false, now, limit)
}

/// What was given up or refused goes again. Looks at `limit` deliveries.
pub fn replay_dead(
    tx: &mut Tx<'_>,
    endpoint_id: i64,
    from: From,
    now: UnixMillis,
    limit: i64,
) -> Result<Again, StoreError> {
    again(tx, endpoint_id, from, true, now, limit)
}

fn again(
    tx: &mut Tx<'_>,
    endpoint_id: i64,
    from: From,
    dead_only: bool,
    now: UnixMillis,
    limit: i64,
) -> Result<Again, StoreError> {
    const LAST: &str = "SELECT planned_at, plan_id FROM deliveries
         WHERE recipient_id = $1 AND carrier IN ('webhook', 'amqp') AND planned_at <= $4
           AND (planned_at > $2 OR (planned_at = $2 AND plan_id > $3))
         ORDER BY planned_at, plan_id LIMIT 1 OFFSET $5";
    // The last one of this part, if there is one more behind it.
    let last = tx.query_opt(LAST, params![endpoint_id, from.at, from.plan_id, now, limit - 1])?;
    let next = last.map(|row| Ok::<_, StoreError>(From { at: row.at(0)?, plan_id: row.int(1)? })).transpose()?;
    let to = next.unwrap_or(From { at: now, plan_id: i64::MAX });
    // Those that are out of the order of their planning have waited longest: the oldest is claimed first.
    const SQL: &str = "UPDATE deliveries SET state = 'due', reason = 'operator', due_at = planned_at, failures = 0,
             finished_at = NULL, uncertain_at = NULL
         WHERE recipient_id = $1 AND carrier IN ('webhook', 'amqp') AND planned_at >= $2 AND planned_at <= $4
           AND (planned_at > $2 OR plan_id > $5) AND (planned_at < $4 OR plan_id <= $6)
           AND (state IN ('refused', 'abandoned') OR ($3 = 0 AND state IN ('sent', 'uncertain')))
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.replaced_at IS NULL)
           AND EXISTS (SELECT 1 FROM endpoints x WHERE x.id = deliveries.recipient_id AND x.ended_at IS NULL)
         RETURNING edition_id";
    let values = params![endpoint_id, from.at, i64::from(dead_only), to.at, from.plan_id, to.plan_id];
    let found = tx.query(SQL, values)?;
    let editions: Vec<i64> = found.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    // They may have been closed meanwhile: a revision must find them.
    const REOPEN: &str = "UPDATE editions SET closed_at = NULL WHERE id IN {list $1: int} AND closed_at IS NOT NULL AND replaced_at IS NULL";
    if !editions.is_empty() {
        tx.execute(REOPEN, &[json(&editions)?])?;
    }
    Ok(Again { count: editions.len() as u64, next })
}
