//! Destinations and relays (`relay:NAME`): breaker, pace and holds, kept so that a restart forgets nothing and replicas share
//! them.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::breaker::Breaker;
use crate::domain::clock::UnixMillis;

/// What is stored of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its fortune.
    pub breaker: Breaker,
    /// The theoretical arrival time of the next message (GCRA): sending is allowed while it isn't ahead.
    pub allowance_at: UnixMillis,
    /// A day, and how many messages were granted on it: kept for relays that are being warmed up.
    pub day: i64,
    /// See `day`.
    pub day_count: i64,
}

fn standing(row: &Row) -> Result<Standing, StoreError> {
    let breaker = Breaker { failures: u32::try_from(row.int(0)?).unwrap_or(u32::MAX), not_before: row.at_opt(1)? };
    Ok(Standing { breaker, allowance_at: row.at(2)?, day: row.int(3)?, day_count: row.int(4)? })
}

/// What is stored of a destination or a relay, if anything is.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Standing>, StoreError> {
    const READ: &str = "SELECT failures, not_before_at, allowance_at, day, day_count FROM destinations WHERE name = $1";
    tx.query_opt(READ, params![name])?.as_ref().map(standing).transpose()
}

/// Locks a destination's row, making it when it isn't there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock(tx: &mut Tx<'_>, name: &str) -> Result<Standing, StoreError> {
    const MAKE: &str =
        "INSERT INTO destinations (name, failures, allowance_at) VALUES ($1, 0, 0) ON CONFLICT (name) DO NOTHING";
    const READ: &str =
        "SELECT failures, not_before_at, allowance_at, day, day_count FROM destinations WHERE name = $1 {for update}";
    let mut row = tx.query_opt(READ, params![name])?;
    if row.is_none() {
        tx.execute(MAKE, params![name])?;
        row = tx.query_opt(READ, params![name])?;
    }
    standing(&row.ok_or_else(|| StoreError::Shape("a destination is missing".to_owned()))?)
}

/// Writes back a row that was locked.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn save(tx: &mut Tx<'_>, name: &str, standing: &Standing) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE destinations SET failures = $2, not_before_at = $3, allowance_at = $4, day = $5,
             day_count = $6 WHERE name = $1";
    let Standing { breaker, allowance_at, day, day_count } = *standing;
    let failures = i64::from(breaker.failures);
    let values = params![name, failures, breaker.not_before, allowance_at, day, day_count];
    tx.change("saving a destination", 1, SQL, values)
}

/// A destination is tried again at once, whatever its fortune was.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forgive(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    let mut standing = lock(tx, name)?;
    standing.breaker = Breaker::default();
    save(tx, name, &standing)
}

/// Stops sending for a scope (`all` or `destination:NAME`; for digests see [`super::held`], for large sends [`super::large`]).
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hold(tx: &mut Tx<'_>, scope: &str, reason: &str, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO holds (scope, reason, since_at) VALUES ($1, $2, $3)
         ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason, since_at = excluded.since_at";
    tx.change("putting a hold on", 1, SQL, params![scope, reason, now])
}

/// The same unless a hold of the scope is on, whose reason stays. Returns whether it is new.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hold_anew(tx: &mut Tx<'_>, scope: &str, reason: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO holds (scope, reason, since_at) VALUES ($1, $2, $3) ON CONFLICT (scope) DO NOTHING";
    Ok(tx.execute(SQL, params![scope, reason, now])? == 1)
}

/// Lets sending go on. Returns whether there was a hold.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn release_hold(tx: &mut Tx<'_>, scope: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM holds WHERE scope = $1", params![scope])? == 1)
}

/// The holds that are on: scope, reason, since when.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn holds(tx: &mut Tx<'_>) -> Result<Vec<(String, String, UnixMillis)>, StoreError> {
    let rows = tx.query("SELECT scope, reason, since_at FROM holds ORDER BY scope", &[])?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?, row.at(2)?))).collect()
}
