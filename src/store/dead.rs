//! Deliveries that came to no good end, for whoever looks after them.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, State};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Which.
    pub key: DeliveryKey,
    /// `immediate`, the digest, or what a program was told.
    pub schedule: String,
    /// Where it was to go.
    pub destination: String,
    /// Why.
    pub reason: Option<String>,
    /// Attempts that were made.
    pub attempts: i64,
    /// When it came to its end, or when its answer was lost.
    pub at: UnixMillis,
    /// What the far side said last.
    pub reply: Option<String>,
}

/// Deliveries in a state, by when they came to it, the newest first, from before (instant, plan). Only `refused`, `abandoned` and
/// `uncertain` ones are found by an index.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(
    tx: &mut Tx<'_>,
    state: State,
    before: Option<(UnixMillis, i64)>,
    limit: i64,
) -> Result<Vec<Dead>, StoreError> {
    const ENDED: &str =
        "SELECT d.plan_id, d.recipient_id, d.carrier, e.schedule, d.destination, d.reason, d.attempts, d.finished_at,
             (SELECT a.reply FROM attempts a WHERE a.plan_id = d.plan_id AND a.recipient_id = d.recipient_id
                AND a.carrier = d.carrier ORDER BY a.number DESC LIMIT 1)
         FROM deliveries d JOIN editions e ON e.id = d.edition_id
         WHERE d.state = $1 AND d.state IN ('refused', 'abandoned')
           AND (d.finished_at < $2 OR (d.finished_at = $2 AND d.plan_id < $3))
         ORDER BY d.finished_at DESC, d.plan_id DESC, d.recipient_id LIMIT $4";
    const UNCERTAIN: &str = "SELECT d.plan_id, d.recipient_id, d.carrier, e.schedule, d.destination, d.reason, d.attempts,
             COALESCE(d.uncertain_at, d.planned_at),
             (SELECT a.reply FROM attempts a WHERE a.plan_id = d.plan_id AND a.recipient_id = d.recipient_id
                AND a.carrier = d.carrier ORDER BY a.number DESC LIMIT 1)
         FROM deliveries d JOIN editions e ON e.id = d.edition_id
         WHERE d.state = $1 AND d.state = 'uncertain' AND d.due_at <= $2 AND $3 = $3 ORDER BY d.due_at, d.plan_id LIMIT $4";
    let dead = |row: &Row| {
        Ok(Dead {
            key: DeliveryKey { plan_id: row.int(0)?, recipient_id: row.int(1)?, carrier: row.text(2)? },
            schedule: row.text(3)?,
            destination: row.text(4)?,
            reason: row.text_opt(5)?,
            attempts: row.int(6)?,
            at: row.at(7)?,
            reply: row.text_opt(8)?,
        })
    };
    let sql = if state == State::Uncertain { UNCERTAIN } else { ENDED };
    let (at, plan) = before.unwrap_or((UnixMillis(i64::MAX), i64::MAX));
    tx.query(sql, params![state.word(), at, plan, limit])?.iter().map(dead).collect()
}
