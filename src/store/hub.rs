//! What was asked of our hub and isn't confirmed yet.

use super::endpoints::{Secret, host};
use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// What a subscriber asks for (W3C WebSub section 5.1).
    Mode {
        /// To be told.
        Subscribe = "subscribe",
        /// To be told no more.
        Unsubscribe = "unsubscribe",
        /// Nothing: the hub has ended it, and tells it so (section 5.2).
        Denied = "denied",
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// That of the endpoint that it is about: a newer request for the same takes its place.
    pub id: i64,
    /// What is asked for.
    pub mode: Mode,
    /// Path and query of the feed.
    pub subject: String,
    /// The address of the feed as the subscriber wrote it, which it is told back.
    pub topic: String,
    /// Where it is told.
    pub callback: String,
    /// What deliveries are to be signed with.
    pub secret: Option<Secret>,
    /// For how long, in seconds.
    pub lease_s: i64,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// How often its callback couldn't be reached.
    pub failures: i64,
}

/// Keeps a request. It takes the place of an earlier one about the same.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put(tx: &mut Tx<'_>, request: &Request) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO hub_requests (id, mode, subject, topic, callback, host, secret, lease_s, asked_at, due_at, failures)
         VALUES ($1, $2, $3, $4, $5, $9, $6, $7, $8, $8, 0)
         ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, topic = excluded.topic, secret = excluded.secret,
             lease_s = excluded.lease_s, asked_at = excluded.asked_at, due_at = excluded.due_at, failures = 0
         WHERE hub_requests.subject = excluded.subject AND hub_requests.callback = excluded.callback";
    let Request { id, mode, subject, topic, callback, secret, lease_s, asked_at, .. } = request;
    let values = params![
        *id,
        mode.word(),
        subject,
        topic,
        callback,
        secret.as_ref().map(|secret| secret.0.as_str()),
        *lease_s,
        *asked_at,
        host(callback)
    ];
    tx.change("keeping a request to the hub", 1, SQL, values)
}

/// Takes one request that is due. It is due again at `again_at`, if nobody says what came of it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn take(tx: &mut Tx<'_>, now: UnixMillis, again_at: UnixMillis) -> Result<Option<Request>, StoreError> {
    const SQL: &str = "SELECT id, mode, subject, topic, callback, secret, lease_s, asked_at, failures FROM hub_requests
         WHERE due_at <= $1 ORDER BY due_at, id LIMIT 1 {skip locked}";
    let Some(request) = tx.query_opt(SQL, params![now])?.as_ref().map(read).transpose()? else { return Ok(None) };
    let values = params![request.id, again_at];
    tx.change("taking a request to the hub", 1, "UPDATE hub_requests SET due_at = $2 WHERE id = $1", values)?;
    Ok(Some(request))
}

fn read(row: &Row) -> Result<Request, StoreError> {
    Ok(Request {
        id: row.int(0)?,
        mode: row.parse(1, Mode::from_word)?,
        subject: row.text(2)?,
        topic: row.text(3)?,
        callback: row.text(4)?,
        secret: row.text_opt(5)?.map(Secret),
        lease_s: row.int(6)?,
        asked_at: row.at(7)?,
        failures: row.int(8)?,
    })
}

/// A request has come to its end. Returns whether it still stood: a newer one about the same has taken its place otherwise.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn settle(tx: &mut Tx<'_>, request: &Request) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM hub_requests WHERE id = $1 AND asked_at = $2 AND mode = $3";
    Ok(tx.execute(SQL, params![request.id, request.asked_at, request.mode.word()])? == 1)
}

/// Its callback couldn't be reached: it is asked again.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put_off(tx: &mut Tx<'_>, request: &Request, due_at: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE hub_requests SET due_at = $3, failures = failures + 1 WHERE id = $1 AND asked_at = $2";
    tx.execute(SQL, params![request.id, request.asked_at, due_at]).map(drop)
}

/// How many wait for callbacks at a host.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn waiting_at(tx: &mut Tx<'_>, host: &str) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT COUNT(*) FROM hub_requests WHERE host = $1", params![host])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// How many wait, and when the next is due.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn waiting(tx: &mut Tx<'_>) -> Result<(i64, Option<UnixMillis>), StoreError> {
    let row = tx.query_opt("SELECT COUNT(*), MIN(due_at) FROM hub_requests", &[])?;
    row.map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.at_opt(1)?)))
}
