//! Whether this database is what it was (design rule 19): the counter that files of the daemons are compared with, the
//! server that it lies on, and the doubts that keep it from sending until an operator has spoken.

use super::value::params;
use super::{Dialect, Row, StoreError, Tx, changes, destinations};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The scope of the hold that a doubt puts on: everything.
pub const SCOPE: &str = "all";
/// Numbers of the counter between two decisions of an operator. A decision lifts the counter to the next multiple, so
/// that a file which saw more of a lost past than the deciding one isn't ahead of it again.
const EPOCH: i64 = 1 << 32;
const COUNTER: &str = "high_water";

words! {
    /// Why a database mustn't send.
    Cause {
        /// It is a copy that `allim backup` made.
        Backup = "backup",
        /// A daemon has seen a later state of it.
        Behind = "behind",
        /// It, or the folder of the daemon, was made on another machine.
        Copied = "copied",
        /// It lies on another server, or on another branch of its history, than when it was last used.
        Cloned = "cloned",
        /// `allim migrate` carried it to another database, which goes on in its stead.
        Moved = "moved",
        /// It is the target of an `allim migrate` that didn't come to its end: rows are missing.
        Unfinished = "unfinished",
    }
}

/// A reason not to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// What kind.
    pub cause: Cause,
    /// In words, for whoever looks.
    pub reason: String,
    /// Since when.
    pub since_at: UnixMillis,
}

/// Keeps the database from sending until an operator decides. Said again it keeps its first instant.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn doubt(tx: &mut Tx<'_>, cause: Cause, reason: &str, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO doubts (cause, reason, since_at) VALUES ($1, $2, $3)
         ON CONFLICT (cause) DO UPDATE SET reason = excluded.reason";
    tx.change("doubting the database", 1, SQL, params![cause.word(), reason, now])?;
    destinations::hold(tx, SCOPE, reason, now)
}

/// The doubts there are, the oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn doubts(tx: &mut Tx<'_>) -> Result<Vec<Doubt>, StoreError> {
    let rows = tx.query("SELECT cause, reason, since_at FROM doubts ORDER BY since_at, cause", &[])?;
    let row =
        |row: &Row| Ok(Doubt { cause: row.parse(0, Cause::from_word)?, reason: row.text(1)?, since_at: row.at(2)? });
    rows.iter().map(row).collect()
}

/// An operator has decided: the doubts and their hold end, the counter begins anew above everything that any daemon
/// can have seen (`seen`: what the file at hand knows), and the database is where it is now. Returns the counter.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn dispel(tx: &mut Tx<'_>, seen: i64) -> Result<i64, StoreError> {
    tx.execute("DELETE FROM doubts", &[])?;
    destinations::release_hold(tx, SCOPE)?;
    // Cursors that partners hold name changes that aren't ours any more: they begin anew.
    const PLACE: &str = "DELETE FROM facts WHERE name IN ('system', 'timeline', 'database', 'changes_epoch')";
    tx.execute(PLACE, &[])?;
    let next = (high_water(tx)?.max(seen) / EPOCH + 1) * EPOCH;
    let lift = "UPDATE counters SET value = $2 WHERE name = $1";
    tx.change("lifting the counter", 1, lift, params![COUNTER, next])?;
    if let Some(place) = place(tx)? {
        remember_place(tx, &place)?;
    }
    Ok(next)
}

/// The counter.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn high_water(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT value FROM counters WHERE name = 'high_water'", &[])?;
    row.ok_or_else(|| StoreError::Shape("the high-water counter is missing".to_owned()))?.int(0)
}

/// Raises the counter by one and returns it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn raise(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    changes::draw(tx, COUNTER, 1)
}

/// The server that a database lies on. Replicas share all of it; a clone differs in at least one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The cluster, as its control file names it. A server that doesn't tell is known by the number of our own table,
    /// which a dump that is read in elsewhere hardly keeps.
    pub system: String,
    /// The branch of its history: a promoted standby and a recovery to a point in time begin a new one.
    pub timeline: String,
    /// The database within the cluster: `CREATE DATABASE … TEMPLATE` gives the copy another.
    pub database: String,
}

/// What stands before a `system` that is only the number of our own table.
const TABLE: &str = "table ";

/// Where this database lies; nothing on SQLite, whose file tells nothing.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn place(tx: &mut Tx<'_>) -> Result<Option<Place>, StoreError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(None);
    }
    // Every role may call it unless an administrator took that away, and then asking would end the transaction.
    const MAY: &str = "SELECT CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE') THEN 1 ELSE 0 END";
    const SYSTEM: &str = "SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()";
    const TABLE_NUMBER: &str = "SELECT 'table ' || CAST(CAST('counters' AS REGCLASS) AS OID)";
    // Not from the control file, which names the timeline of the last checkpoint only.
    const HERE: &str = "SELECT SUBSTRING(pg_walfile_name(pg_current_wal_lsn()) FOR 8),
         (SELECT CAST(oid AS TEXT) FROM pg_database WHERE datname = current_database())";
    let may = tx.query_opt(MAY, &[])?.map_or(Ok(0), |row| row.int(0))? == 1;
    let missing = || StoreError::Shape("the server says nothing about itself".to_owned());
    let system = tx.query_opt(if may { SYSTEM } else { TABLE_NUMBER }, &[])?.ok_or_else(missing)?.text(0)?;
    let here = tx.query_opt(HERE, &[])?.ok_or_else(missing)?;
    Ok(Some(Place { system, timeline: here.text(0)?, database: here.text(1)? }))
}

/// What differs between where this database lies and where it lay when it was last used, in words; nothing when it is
/// the same, or was never used. `instance` may be one that never worked on it: a replica that was added. Where the
/// server doesn't tell which cluster it is, only those known are believed to be replicas.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn strayed(tx: &mut Tx<'_>, instance: &str) -> Result<Option<String>, StoreError> {
    let Some(place) = place(tx)? else { return Ok(None) };
    let facts = facts(tx)?;
    let Some(system) = facts.get("system") else { return Ok(None) };
    let same_kind = system.starts_with(TABLE) == place.system.starts_with(TABLE);
    let is_known = facts.contains_key(&instance_fact(instance));
    let told = |name: &str, what: &str, now: &str| {
        let before = facts.get(name).filter(|before| *before != now)?;
        Some(format!("{what} {now} instead of {before}"))
    };
    let parts = [
        same_kind.then(|| told("system", "system identifier", &place.system)).flatten(),
        told("timeline", "timeline", &place.timeline),
        told("database", "database number", &place.database),
        (place.system.starts_with(TABLE) && !is_known).then(|| {
            format!(
                "a server that doesn't tell its system identifier, and no instance `{instance}` worked on it before"
            )
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join(", ")))
}

/// Remembers where this database lies and that `instance` worked on it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn remember(tx: &mut Tx<'_>, instance: &str) -> Result<(), StoreError> {
    set_fact(tx, &instance_fact(instance), "known")?;
    match place(tx)? {
        Some(place) => remember_place(tx, &place),
        None => Ok(()),
    }
}

fn remember_place(tx: &mut Tx<'_>, place: &Place) -> Result<(), StoreError> {
    for (name, value) in [("system", &place.system), ("timeline", &place.timeline), ("database", &place.database)] {
        set_fact(tx, name, value)?;
    }
    Ok(())
}

/// What the ids of feed entries are minted under, kept at the first start: in another one's name every post would be new to every
/// reader. Returns what is kept.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn keep_authority(tx: &mut Tx<'_>, authority: &str) -> Result<String, StoreError> {
    const KEPT: &str = "SELECT value FROM facts WHERE name = 'tag_authority'";
    if let Some(row) = tx.query_opt(KEPT, &[])? {
        return row.text(0);
    }
    set_fact(tx, "tag_authority", authority)?;
    Ok(authority.to_owned())
}

fn instance_fact(instance: &str) -> String {
    format!("instance {instance}")
}

/// What is known of this database as a whole.
fn facts(tx: &mut Tx<'_>) -> Result<BTreeMap<String, String>, StoreError> {
    tx.query("SELECT name, value FROM facts", &[])?.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// Writes down something about this database as a whole.
pub(super) fn set_fact(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<(), StoreError> {
    // A fact that stands already isn't written again: replicas say the same at each start.
    const SQL: &str = "INSERT INTO facts (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE facts.value <> excluded.value";
    tx.execute(SQL, params![name, value]).map(drop)
}
