//! Processes and their leases (design rule 12): a claim names the term of the process that made it.

use super::deliveries;
use super::value::params;
use super::{StoreError, Tx};
use crate::domain::clock::UnixMillis;
use std::time::Duration;

/// Registers a process and issues its term.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn register(tx: &mut Tx<'_>, name: &str, now: UnixMillis, lease: Duration) -> Result<i64, StoreError> {
    let term = super::changes::draw(tx, "term", 1)?;
    const SQL: &str =
        "INSERT INTO processes (term, name, started_at, renewed_at, lease_until_at) VALUES ($1, $2, $3, $3, $4)";
    tx.change("registering a process", 1, SQL, params![term, name, now, now.plus(lease)])?;
    Ok(term)
}

/// Renews a lease. False when it has ended: what this process claimed is no longer its own.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn renew(tx: &mut Tx<'_>, term: i64, now: UnixMillis, lease: Duration) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE processes SET renewed_at = $2, lease_until_at = $3 WHERE term = $1 AND ended_at IS NULL";
    Ok(tx.execute(SQL, params![term, now, now.plus(lease)])? == 1)
}

/// Ends a process and rescues what it had taken. Returns how many deliveries are due again and how many are uncertain.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end(tx: &mut Tx<'_>, term: i64, now: UnixMillis, settle_at: UnixMillis) -> Result<(u64, u64), StoreError> {
    const SQL: &str = "UPDATE processes SET ended_at = $2 WHERE term = $1 AND ended_at IS NULL";
    if tx.execute(SQL, params![term, now])? == 0 {
        return Ok((0, 0));
    }
    let due = deliveries::hand_back_claims(tx, term, now)?;
    let uncertain = deliveries::lose_sending(tx, term, now, settle_at)?;
    Ok((due, uncertain))
}

/// The terms whose lease ran out, or, with `all_but`, every other one that hasn't ended: on SQLite a lock file
/// makes sure that there is no other daemon.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn dead(tx: &mut Tx<'_>, now: UnixMillis, all_but: Option<i64>) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "SELECT term FROM processes WHERE ended_at IS NULL
         AND (lease_until_at < $1 OR (CAST($2 AS BIGINT) IS NOT NULL AND term <> $2)) ORDER BY term {skip locked}";
    tx.query(SQL, params![now, all_but])?.iter().map(|row| row.int(0)).collect()
}
