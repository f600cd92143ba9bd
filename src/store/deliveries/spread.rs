//! Who has which revision of a post, over all carriers.

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::State;
use crate::store::value::params;
use crate::store::{Row, StoreError, Tx};
use serde::Serialize;
use std::collections::BTreeMap;

/// How many deliveries by a carrier hold a revision, and where they stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The carrier.
    pub carrier: String,
    /// The revision.
    pub revision: i64,
    /// Where they stand.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// A partner that was told of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its name.
    pub partner: String,
    /// What it was told.
    pub event: String,
    /// Which revision.
    pub revision: i64,
    /// Where that stands.
    pub state: String,
    /// Since when; of what waits, when it was planned.
    pub at: UnixMillis,
}

/// How far each revision of a post went, by carrier. Tests that colleagues were shown don't count.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn spread(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<Spread>, StoreError> {
    const ROWS: &str = "SELECT d.carrier, i.revision, d.state, COUNT(*) FROM edition_items i
         JOIN editions e ON e.id = i.edition_id JOIN deliveries d ON d.plan_id = e.plan_id AND d.edition_id = e.id
         WHERE i.post_id = $1 AND e.kind <> 'test' GROUP BY d.carrier, i.revision, d.state";
    const BATCHES: &str =
        "SELECT b.carrier, i.revision, b.state, CAST(SUM(b.open) AS BIGINT), CAST(SUM(b.size - b.own_count) AS BIGINT)
         FROM edition_items i JOIN editions e ON e.id = i.edition_id JOIN batches b ON b.edition_id = e.id
         WHERE i.post_id = $1 AND e.kind <> 'test' GROUP BY b.carrier, i.revision, b.state";
    let mut counts: BTreeMap<(String, i64, String), i64> = BTreeMap::new();
    for row in tx.query(ROWS, params![post_id])? {
        *counts.entry((row.text(0)?, row.int(1)?, row.text(2)?)).or_default() += row.int(3)?;
    }
    for row in tx.query(BATCHES, params![post_id])? {
        let (carrier, revision, state, open, all) = (row.text(0)?, row.int(1)?, row.text(2)?, row.int(3)?, row.int(4)?);
        let mut add = |state: &str, count: i64| {
            *counts.entry((carrier.clone(), revision, state.to_owned())).or_default() += count;
        };
        if state == State::Cancelled.word() {
            add(&state, all);
        } else {
            add(State::Sent.word(), all - open);
            add(if state == "done" { State::Due.word() } else { &state }, open);
        }
    }
    let spread = |((carrier, revision, state), count)| Spread { carrier, revision, state, count };
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).map(spread).collect())
}

/// Which partners were told of a post, and of which revision of it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn holders(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<Holder>, StoreError> {
    const SQL: &str = "SELECT p.name, e.schedule, i.revision, d.state, COALESCE(d.finished_at, d.sending_at, d.planned_at)
         FROM edition_items i JOIN editions e ON e.id = i.edition_id
         JOIN deliveries d ON d.plan_id = e.plan_id AND d.edition_id = e.id JOIN partners p ON p.endpoint_id = d.recipient_id
         WHERE i.post_id = $1 AND d.carrier IN ('webhook', 'amqp') ORDER BY p.name, d.planned_at, d.plan_id";
    let holder = |row: &Row| {
        let schedule = row.text(1)?;
        Ok(Holder {
            partner: row.text(0)?,
            event: schedule.rsplit(':').next().unwrap_or_default().to_owned(),
            revision: row.int(2)?,
            state: row.text(3)?,
            at: row.at(4)?,
        })
    };
    tx.query(SQL, params![post_id])?.iter().map(holder).collect()
}
