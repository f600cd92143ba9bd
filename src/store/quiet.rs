//! The nights of editions: hours in which nothing of them begins to be sent. `deliveries::begin_sending` looks at them; here
//! they are set, and what waits is put off, so that nobody claims it all night long.

use super::value::params;
use super::{StoreError, Tx};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::quiet::Night;

/// Sets the night of an edition; none where its digest has no quiet hours any more.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn set(tx: &mut Tx<'_>, edition_id: i64, night: Option<Night>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE editions SET quiet_from_at = $2, quiet_until_at = $3 WHERE id = $1";
    let (from_at, until_at) = (night.map(|night| night.from_at), night.map(|night| night.until_at));
    tx.change("setting the night of an edition", 1, SQL, params![edition_id, from_at, until_at])
}

/// The editions whose night is over while something of them is still to be sent, with their schedules and the slots that
/// planned them.
pub fn over(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Vec<(i64, String, Slot)>, StoreError> {
    const SQL: &str = "SELECT e.id, e.schedule, o.slot FROM editions e JOIN occurrences o ON o.id = e.plan_id
         WHERE e.quiet_until_at <= $1 AND e.closed_at IS NULL ORDER BY e.id";
    tx.query(SQL, params![now])?.iter().map(|row| Ok((row.int(0)?, row.text(1)?, row.text(2)?.into()))).collect()
}

/// Puts off what waits in editions whose night it is, until it is over.
pub fn rest(tx: &mut Tx<'_>, now: UnixMillis) -> Result<(), StoreError> {
    const NIGHT: &str = "SELECT id, quiet_until_at FROM editions
         WHERE quiet_until_at > $1 AND quiet_from_at <= $1 AND closed_at IS NULL";
    for row in tx.query(NIGHT, params![now])? {
        let (id, until) = (row.int(0)?, row.at(1)?);
        const BATCHES: &str = "UPDATE batches SET due_at = $2 WHERE edition_id = $1 AND state = 'due' AND due_at < $2";
        tx.execute(BATCHES, params![id, until])?;
        const ROWS: &str = "UPDATE deliveries SET due_at = $2 WHERE edition_id = $1 AND state = 'due' AND due_at < $2
             AND plan_id = (SELECT plan_id FROM editions WHERE id = $1)";
        tx.execute(ROWS, params![id, until])?;
    }
    Ok(())
}

/// When the next night begins or ends.
pub fn next(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str =
        "SELECT MIN(CASE WHEN quiet_from_at > $1 THEN quiet_from_at ELSE quiet_until_at END) FROM editions
         WHERE quiet_until_at IS NOT NULL AND closed_at IS NULL";
    tx.query_opt(SQL, params![now])?.map_or(Ok(None), |row| row.at_opt(0))
}
