//! Freezes: days on which digests rest.

use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::freeze::{Freeze, Way};

/// Freezes that are looked at in one go: many years of holidays.
const FREEZES_MAX: i64 = 2_000;

/// Those that end on this day or later (`2026-12-25`), the first first. A planner asks with a day some weeks back: then none is
/// left out that an issue was due in, whatever its zone.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn since(tx: &mut Tx<'_>, day: &str) -> Result<Vec<Freeze>, StoreError> {
    const SQL: &str = "SELECT name, first_day, last_day, zone, digests, way, reason FROM freezes WHERE last_day >= $1
         ORDER BY first_day, name LIMIT $2";
    tx.query(SQL, params![day, FREEZES_MAX])?.iter().map(freeze).collect()
}

fn freeze(row: &Row) -> Result<Freeze, StoreError> {
    let day = |column| row.parse(column, |text| text.parse().ok());
    Ok(Freeze {
        name: row.text(0)?,
        first: day(1)?,
        last: day(2)?,
        zone: row.text(3)?,
        digests: from_json(&row.text(4)?, "the digests of a freeze")?,
        way: row.parse(5, Way::from_word)?,
        reason: row.text(6)?,
    })
}

/// Keeps a freeze. One of the same name is replaced.
pub fn put(tx: &mut Tx<'_>, freeze: &Freeze, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO freezes (name, first_day, last_day, zone, digests, way, reason, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (name) DO UPDATE SET first_day = excluded.first_day, last_day = excluded.last_day, zone = excluded.zone,
             digests = excluded.digests, way = excluded.way, reason = excluded.reason";
    let Freeze { name, first, last, zone, digests, way, reason } = freeze;
    let values = [
        name.into(),
        first.to_string().into(),
        last.to_string().into(),
        zone.into(),
        json(digests)?,
        way.word().into(),
        reason.into(),
        now.into(),
    ];
    tx.change("keeping a freeze", 1, SQL, &values)
}

/// Takes a freeze away. Returns whether there was one. What it put off goes at once.
pub fn remove(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(tx.execute("DELETE FROM freezes WHERE name = $1", params![name])? == 1)
}
