//! How promises stand: one look that reads a row or a few from each index, however much waits.

use super::value::params;
use super::{StoreError, Tx, destinations, identity, occurrences, second};
use crate::domain::clock::UnixMillis;
use crate::domain::promise::{Look, Owed};
use std::collections::BTreeMap;
use std::time::Duration;

/// Destinations with a lane of their own that one look visits: an installation has a few dozen.
const QUEUES_MAX: usize = 500;
/// Rows at the head of a queue that are looked at.
const HEAD: i64 = 200;
/// Occurrences skipped so long ago are told no more.
const SKIPPED_KEPT: Duration = Duration::from_secs(86_400);
/// Slots that are looked at.
const SLOTS_MAX: usize = 200;

/// Looks. What is overdue is left open: schedules are the planner's ([`crate::plan`] completes it).
///
/// # Errors
/// [`StoreError`] from the database.
pub fn look(tx: &mut Tx<'_>, sources: &[String], now: UnixMillis) -> Result<Look, StoreError> {
    const PLANNING: &str = "SELECT fired_at FROM occurrences WHERE planned_at IS NULL ORDER BY fired_at LIMIT 1";
    const UNCERTAIN: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'uncertain' LIMIT 1000) d";
    const HEARD: &str = "SELECT received_at FROM posts WHERE source = $1 ORDER BY received_at DESC LIMIT 1";
    let holds: Vec<(String, UnixMillis)> =
        destinations::holds(tx)?.into_iter().filter(is_stop).map(|(scope, _, since)| (scope, since)).collect();
    let mut heard = Vec::new();
    for source in sources {
        if let Some(row) = tx.query_opt(HEARD, params![source])? {
            heard.push((source.clone(), row.at(0)?));
        }
    }
    Ok(Look {
        owed: owed(tx, &holds, now)?,
        overdue: Vec::new(),
        skipped: skipped(tx, now)?,
        planning_since: tx.query_opt(PLANNING, &[])?.map(|row| row.at(0)).transpose()?,
        uncertain: tx.query_opt(UNCERTAIN, &[])?.map_or(Ok(0), |row| row.int(0))?,
        heard,
        doubts: identity::doubts(tx)?.len() as i64,
        holds,
    })
}

/// Whether a hold stops what nobody meant to stop for long. A send that waits for a second person has a hold too, which is as it
/// should be.
fn is_stop((scope, ..): &(String, String, UnixMillis)) -> bool {
    second::plan_of(scope).is_none()
}

/// What is due longest and not held, by carrier and lane.
fn owed(tx: &mut Tx<'_>, holds: &[(String, UnixMillis)], now: UnixMillis) -> Result<Vec<Owed>, StoreError> {
    // From one queue to the next along the index, and of each the first row.
    const QUEUES: [(&str, &str); 2] = [
        (
            "SELECT destination, lane FROM deliveries WHERE state = 'due' AND (destination, lane) > ($1, $2)
             ORDER BY destination, lane LIMIT 1",
            "SELECT MIN(d.carrier), MIN(CASE WHEN d.attempts > 0 THEN d.planned_at ELSE d.due_at END) FROM
             (SELECT carrier, due_at, planned_at, attempts FROM deliveries WHERE state = 'due' AND destination = $1 AND lane = $2
              ORDER BY due_at LIMIT $4) d WHERE d.due_at <= $3 OR d.attempts > 0",
        ),
        (
            "SELECT destination, lane FROM batches WHERE state = 'due' AND (destination, lane) > ($1, $2)
             ORDER BY destination, lane LIMIT 1",
            "SELECT MIN(b.carrier), MIN(b.due_at) FROM
             (SELECT carrier, due_at FROM batches WHERE state = 'due' AND destination = $1 AND lane = $2
              ORDER BY due_at LIMIT $4) b WHERE b.due_at <= $3",
        ),
    ];
    let is_held = |destination: &str| {
        holds.iter().any(|(scope, _)| scope == "all" || scope.strip_prefix("destination:") == Some(destination))
    };
    let mut oldest: BTreeMap<(String, String), Owed> = BTreeMap::new();
    for (next, first) in QUEUES {
        let mut at = (String::new(), String::new());
        for _ in 0..QUEUES_MAX {
            let Some(row) = tx.query_opt(next, params![&at.0, &at.1])? else { break };
            at = (row.text(0)?, row.text(1)?);
            if is_held(&at.0) {
                continue;
            }
            let Some(row) = tx.query_opt(first, params![&at.0, &at.1, now, HEAD])? else { continue };
            // What was tried already is owed since it was planned: each retry moves its due instant on.
            let (Some(carrier), Some(due_at)) = (row.text_opt(0)?, row.at_opt(1)?) else { continue };
            let found = Owed { carrier: carrier.clone(), lane: at.1.clone(), destination: at.0.clone(), due_at };
            let known = oldest.entry((carrier, at.1.clone())).or_insert_with(|| found.clone());
            if found.due_at < known.due_at {
                *known = found;
            }
        }
    }
    Ok(oldest.into_values().collect())
}

/// How many occurrences of each digest were skipped as too late in the last day.
fn skipped(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Vec<(String, i64)>, StoreError> {
    const SQL: &str =
        "SELECT COUNT(*) FROM occurrences WHERE slot = $1 AND due_at >= $2 AND skipped = 'later than max_late'";
    let mut found: BTreeMap<String, i64> = BTreeMap::new();
    for state in occurrences::slots(tx)?.into_iter().take(SLOTS_MAX) {
        let count = tx
            .query_opt(SQL, params![state.slot.as_str(), now.minus(SKIPPED_KEPT)])?
            .map_or(Ok(0), |row| row.int(0))?;
        if count > 0 {
            *found.entry(state.slot.schedule().to_owned()).or_default() += count;
        }
    }
    Ok(found.into_iter().collect())
}
