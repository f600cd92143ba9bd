//! What an operator sees first: how old what waits is, why it waits, and what needs a person. Every look is bounded: where
//! there is more than that, a count says "at least".

use super::value::params;
use super::{StoreError, Tx};
use crate::domain::clock::UnixMillis;
use std::collections::BTreeMap;

/// Rows that one look reads at most.
const ROWS_MAX: i64 = 20_000;
/// Upper bounds of the ages that queues are shown by, in minutes, as Postfix's `qshape` has them; what is older comes last.
pub const AGES_MIN: [i64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1_280];
/// Columns of ages.
pub const AGES: usize = AGES_MIN.len() + 1;

/// What waits for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The destination.
    pub destination: String,
    /// How many deliveries, by how long ago they were due first.
    pub ages: [i64; AGES],
    /// How many of them were tried already, by the reason why they wait.
    pub reasons: BTreeMap<String, i64>,
}

impl Waiting {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> i64 {
        self.ages.iter().sum()
    }
}

/// What is owed and due, or tried and waiting, by destination; and whether there is more than was looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn waiting(tx: &mut Tx<'_>, now: UnixMillis) -> Result<(Vec<Waiting>, bool), StoreError> {
    // The straight road: a batch is one row, and what is due later isn't waiting yet.
    const BATCHES: &str = "SELECT destination, planned_at, open, reason FROM batches
         WHERE state IN ('due', 'claimed') AND open > 0 AND due_at <= $1 LIMIT $2";
    const ROWS: &str = "SELECT destination, planned_at, 1, reason FROM deliveries
         WHERE state = 'due' AND (due_at <= $1 OR attempts > 0) LIMIT $2";
    let mut found: BTreeMap<String, Waiting> = BTreeMap::new();
    let mut is_more = false;
    for sql in [BATCHES, ROWS] {
        let rows = tx.query(sql, params![now, ROWS_MAX])?;
        is_more |= rows.len() as i64 >= ROWS_MAX;
        for row in rows {
            let (destination, since, count, reason) = (row.text(0)?, row.at(1)?, row.int(2)?, row.text_opt(3)?);
            let waiting = found.entry(destination.clone()).or_insert_with(|| Waiting {
                destination,
                ages: [0; AGES],
                reasons: BTreeMap::new(),
            });
            waiting.ages[age(since, now)] += count;
            if let Some(reason) = reason {
                *waiting.reasons.entry(reason).or_default() += count;
            }
        }
    }
    Ok((found.into_values().collect(), is_more))
}

fn age(since: UnixMillis, now: UnixMillis) -> usize {
    let minutes = (now.0 - since.0) / 60_000;
    AGES_MIN.iter().position(|bound| minutes < *bound).unwrap_or(AGES - 1)
}

/// The last firing of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The slot: `immediate`, a digest's name, or that with a reader's own hour and zone.
    pub slot: String,
    /// When it was due.
    pub due_at: UnixMillis,
    /// Deliveries that were planned.
    pub planned: i64,
    /// Whether planning has come to its end.
    pub is_planned: bool,
    /// Why nothing was planned, if it was skipped.
    pub skipped: Option<String>,
}

/// The last firing of each slot that somebody chose, 200 slots at most.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn last_fired(tx: &mut Tx<'_>) -> Result<Vec<Fired>, StoreError> {
    const SLOTS: &str = "SELECT slot FROM slots ORDER BY slot LIMIT 200";
    const LAST: &str = "SELECT due_at, planned, planned_at, skipped FROM occurrences WHERE slot = $1
         ORDER BY due_at DESC LIMIT 1";
    let slots: Vec<String> = tx.query(SLOTS, &[])?.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let mut fired = Vec::new();
    for slot in slots {
        let Some(row) = tx.query_opt(LAST, params![&slot])? else { continue };
        fired.push(Fired {
            slot,
            due_at: row.at(0)?,
            planned: row.int(1)?,
            is_planned: row.at_opt(2)?.is_some(),
            skipped: row.text_opt(3)?,
        });
    }
    Ok(fired)
}

/// What needs a person: how many of each, 1,000 at most. What there is none of is left out.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn for_a_person(tx: &mut Tx<'_>) -> Result<Vec<(&'static str, i64)>, StoreError> {
    const QUESTIONS: [(&str, &str); 7] = [
        // The partial index of 0001 finds those that were not replayed.
        ("quarantine", "SELECT COUNT(*) FROM (SELECT 1 FROM quarantine WHERE replayed_at IS NULL LIMIT 1000) q"),
        ("uncertain", "SELECT COUNT(*) FROM (SELECT 1 FROM deliveries WHERE state = 'uncertain' LIMIT 1000) d"),
        (
            "partners",
            "SELECT COUNT(*) FROM (SELECT 1 FROM partners WHERE paused_at IS NOT NULL AND ended_at IS NULL LIMIT 1000) p",
        ),
        ("accounts", "SELECT COUNT(*) FROM (SELECT 1 FROM accounts WHERE login_failed_at IS NOT NULL LIMIT 1000) a"),
        ("waiting", "SELECT COUNT(*) FROM (SELECT 1 FROM holds WHERE scope LIKE 'second:%' LIMIT 1000) h"),
        ("holds", "SELECT COUNT(*) FROM (SELECT 1 FROM holds WHERE scope NOT LIKE 'second:%' LIMIT 1000) h"),
        ("doubts", "SELECT COUNT(*) FROM (SELECT 1 FROM doubts LIMIT 1000) d"),
    ];
    let mut found = Vec::new();
    for (word, sql) in QUESTIONS {
        let count = tx.query_opt(sql, &[])?.map_or(Ok(0), |row| row.int(0))?;
        if count > 0 {
            found.push((word, count));
        }
    }
    Ok(found)
}
