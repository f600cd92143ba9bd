//! Open deliveries whose destination the configuration no longer has, moved to one that it has.

use super::value::{json, params};
use super::{StoreError, Tx};
use crate::domain::destination;

/// Rows moved in one transaction at most.
pub const MOVED_MAX: i64 = 1_000;

/// The destinations that open deliveries name, held ones left out: a hold stays with what it was put on.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn named(tx: &mut Tx<'_>) -> Result<Vec<String>, StoreError> {
    // One step in an index for each destination and lane, however many rows there are.
    const NEXT: [&str; 2] = [
        "SELECT MIN(destination) FROM deliveries WHERE state = 'due' AND destination > $1",
        "SELECT MIN(destination) FROM batches WHERE state = 'due' AND destination > $1",
    ];
    const UNCERTAIN: &str = "SELECT DISTINCT destination FROM deliveries WHERE state = 'uncertain'";
    let mut named = std::collections::BTreeSet::new();
    for sql in NEXT {
        let mut after = String::new();
        while let Some(name) =
            tx.query_opt(sql, params![after.as_str()])?.map(|row| row.text_opt(0)).transpose()?.flatten()
        {
            after.clone_from(&name);
            named.insert(name);
        }
    }
    for row in tx.query(UNCERTAIN, &[])? {
        named.insert(row.text(0)?);
    }
    for row in tx.query("SELECT scope FROM holds", &[])? {
        if let Some(held) = row.text(0)?.strip_prefix("destination:") {
            named.remove(held);
        }
    }
    // An endpoint is its own destination, which no configuration names.
    Ok(named.into_iter().filter(|name| destination::is_mail(name)).collect())
}

/// Moves what waits at `from` to `to`, or a part of it: fewer than [`MOVED_MAX`] rows or batches mean that all is done. What
/// is on its way isn't touched; it comes back here when it fails.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn step(tx: &mut Tx<'_>, from: &str, to: &str) -> Result<i64, StoreError> {
    const ROWS: &str = "SELECT plan_id, recipient_id, carrier FROM deliveries
         WHERE state IN ('due', 'uncertain') AND destination = $1 LIMIT $2 {skip locked}";
    const BATCHES: &str =
        "SELECT plan_id, number FROM batches WHERE state = 'due' AND destination = $1 LIMIT $2 {skip locked}";
    const MOVE_ROWS: &str = "UPDATE deliveries SET destination = $2
         FROM {rows $1: p int, r int, c text} k WHERE plan_id = k.p AND recipient_id = k.r AND carrier = k.c";
    const MOVE_BATCHES: &str =
        "UPDATE batches SET destination = $2 FROM {rows $1: p int, b int} k WHERE plan_id = k.p AND number = k.b";
    #[derive(serde::Serialize)]
    struct Key {
        p: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        r: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        c: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<i64>,
    }
    let rows = tx.query(ROWS, params![from, MOVED_MAX])?;
    let row = |row: &super::Row| Ok(Key { p: row.int(0)?, r: Some(row.int(1)?), c: Some(row.text(2)?), b: None });
    let rows: Vec<Key> = rows.iter().map(row).collect::<Result<_, StoreError>>()?;
    if !rows.is_empty() {
        tx.change("moving deliveries to another destination", rows.len(), MOVE_ROWS, &[json(&rows)?, to.into()])?;
    }
    let batches = tx.query(BATCHES, params![from, MOVED_MAX - rows.len() as i64])?;
    let batch = |row: &super::Row| Ok(Key { p: row.int(0)?, r: None, c: None, b: Some(row.int(1)?) });
    let batches: Vec<Key> = batches.iter().map(batch).collect::<Result<_, StoreError>>()?;
    if !batches.is_empty() {
        tx.change("moving batches to another destination", batches.len(), MOVE_BATCHES, &[json(&batches)?, to.into()])?;
    }
    Ok((rows.len() + batches.len()) as i64)
}
