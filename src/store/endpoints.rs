//! Endpoints: where deliveries of other carriers than mail go.

use super::value::{json, params};
use super::{Row, StoreError, Tx, changes};
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::domain::ids;

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Derived from carrier, subject and address.
    pub id: i64,
    /// What carries to it.
    pub carrier: String,
    /// What it is told of: path and query of a feed; empty for everything.
    pub subject: String,
    /// Where it is.
    pub url: String,
    /// What deliveries to it are signed with.
    pub secret: Option<String>,
    /// Changes up to this number aren't its business.
    pub since: i64,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it was renewed last.
    pub renewed_at: UnixMillis,
    /// When it ends by itself.
    pub until_at: Option<UnixMillis>,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
    /// Why.
    pub ended_why: Option<String>,
}

/// What makes an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// What carries to it.
    pub carrier: &'a str,
    /// What it is told of.
    pub subject: &'a str,
    /// Where it is.
    pub url: &'a str,
    /// What deliveries to it are signed with.
    pub secret: Option<&'a str>,
    /// When it ends by itself.
    pub until_at: Option<UnixMillis>,
}

impl New<'_> {
    /// The id that it has or will have.
    #[must_use]
    pub fn id(&self) -> i64 {
        ids::endpoint_id(self.carrier, self.subject, self.url)
    }
}

macro_rules! columns {
    () => {
        "id, carrier, subject, url, secret, since, created_at, renewed_at, until_at, ended_at, ended_why"
    };
}

fn read(row: &Row) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        id: row.int(0)?,
        carrier: row.text(1)?,
        subject: row.text(2)?,
        url: row.text(3)?,
        secret: row.text_opt(4)?,
        since: row.int(5)?,
        created_at: row.at(6)?,
        renewed_at: row.at(7)?,
        until_at: row.at_opt(8)?,
        ended_at: row.at_opt(9)?,
        ended_why: row.text_opt(10)?,
    })
}

/// Makes an endpoint, or renews it: what is new is told it from now on. Returns its id.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ensure(tx: &mut Tx<'_>, new: &New<'_>, now: UnixMillis) -> Result<i64, StoreError> {
    let head = lock_pushed(tx)?.1;
    // Nobody was there to be told, so nothing was looked through.
    if !any(tx)? {
        set_pushed(tx, head)?;
    }
    const SQL: &str = "INSERT INTO endpoints (id, carrier, subject, url, secret, since, created_at, renewed_at, until_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
         ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, renewed_at = excluded.renewed_at, until_at = excluded.until_at,
             since = CASE WHEN endpoints.ended_at IS NULL THEN endpoints.since ELSE excluded.since END,
             created_at = CASE WHEN endpoints.ended_at IS NULL THEN endpoints.created_at ELSE excluded.created_at END,
             ended_at = NULL, ended_why = NULL";
    let values = params![new.id(), new.carrier, new.subject, new.url, new.secret, head, now, new.until_at];
    tx.change("making an endpoint", 1, SQL, values)?;
    Ok(new.id())
}

/// Ends an endpoint and cancels what waits for it. Returns whether it was alive.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end(tx: &mut Tx<'_>, id: i64, why: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str =
        "UPDATE endpoints SET ended_at = $3, ended_why = $2 WHERE id = $1 AND ended_at IS NULL RETURNING carrier";
    let Some(row) = tx.query_opt(SQL, params![id, why, now])? else { return Ok(false) };
    const CANCEL: &str = "UPDATE deliveries SET state = 'cancelled', reason = 'unsubscribed', finished_at = $2
         WHERE state = 'due' AND destination = $1 AND uncertain_at IS NULL";
    tx.execute(CANCEL, params![destination::of_endpoint(&row.text(0)?, id), now])?;
    Ok(true)
}

/// Ends those whose time is over. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end_lapsed(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<usize, StoreError> {
    const SQL: &str = "SELECT id FROM endpoints WHERE ended_at IS NULL AND until_at <= $1 ORDER BY until_at LIMIT $2";
    let lapsed = tx.query(SQL, params![now, limit])?;
    for row in &lapsed {
        end(tx, row.int(0)?, "its lease ended", now)?;
    }
    Ok(lapsed.len())
}

/// When the next one ends by itself.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_lapse(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str =
        "SELECT until_at FROM endpoints WHERE ended_at IS NULL AND until_at IS NOT NULL ORDER BY until_at LIMIT 1";
    tx.query_opt(SQL, &[])?.map(|row| row.at(0)).transpose()
}

/// Whether there is any.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn any(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT 1 FROM endpoints WHERE ended_at IS NULL LIMIT 1", &[])?.is_some())
}

/// How many there are of a carrier.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>, carrier: &str) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM endpoints WHERE ended_at IS NULL AND carrier = $1";
    tx.query_opt(SQL, params![carrier])?.map_or(Ok(0), |row| row.int(0))
}

/// One endpoint.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, id: i64) -> Result<Option<Endpoint>, StoreError> {
    const SQL: &str = concat!("SELECT ", columns!(), " FROM endpoints WHERE id = $1");
    tx.query_opt(SQL, params![id])?.as_ref().map(read).transpose()
}

/// All of a carrier, the ended ones too if they are asked for, in the order of what they are told of.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(tx: &mut Tx<'_>, carrier: &str, ended: bool, limit: i64) -> Result<Vec<Endpoint>, StoreError> {
    const SQL: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM endpoints WHERE carrier = $1 AND (ended_at IS NULL OR $2 = 1) ORDER BY subject, url LIMIT $3"
    );
    tx.query(SQL, params![carrier, i64::from(ended), limit])?.iter().map(read).collect()
}

/// Who is told of a change of this number that these subjects show: those who were there before it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn told_of(
    tx: &mut Tx<'_>,
    carrier: &str,
    subjects: &[String],
    seq: i64,
    now: UnixMillis,
) -> Result<Vec<(i64, String)>, StoreError> {
    const SQL: &str = "SELECT e.id, e.subject FROM endpoints e WHERE e.carrier = $1 AND e.ended_at IS NULL
           AND e.subject IN {list $2: text} AND e.since < $3 AND (e.until_at IS NULL OR e.until_at > $4) ORDER BY e.id";
    let rows = tx.query(SQL, &[carrier.into(), json(subjects)?, seq.into(), now.into()])?;
    rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect()
}

/// Endpoints for which something is due, those that were kept waiting longest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ready(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Vec<(i64, String)>, StoreError> {
    // A step in the index of what is due for each of them; one whose breaker is open costs its row.
    const SQL: &str = "SELECT e.id, e.carrier FROM endpoints e
         LEFT JOIN destinations n ON n.name = e.carrier || ':' || CAST(e.id AS TEXT)
         WHERE e.ended_at IS NULL AND COALESCE(n.not_before_at, 0) <= $1
           AND EXISTS (SELECT 1 FROM deliveries d WHERE d.state = 'due' AND d.destination = e.carrier || ':' || CAST(e.id AS TEXT)
                AND d.due_at <= $1)";
    tx.query(SQL, params![now])?.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect()
}

/// The number up to which changes were pushed, and the head. Locked, so that one replica pushes at a time and a new endpoint
/// begins where pushing stands.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock_pushed(tx: &mut Tx<'_>) -> Result<(i64, i64), StoreError> {
    let row = tx.query_opt("SELECT value FROM counters WHERE name = 'pushed' {for update}", &[])?;
    let pushed = row.ok_or_else(|| StoreError::Shape("the counter pushed is missing".to_owned()))?.int(0)?;
    Ok((pushed, changes::head(tx)?))
}

/// Changes up to `seq` are pushed.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_pushed(tx: &mut Tx<'_>, seq: i64) -> Result<(), StoreError> {
    tx.change("moving the counter pushed", 1, "UPDATE counters SET value = $1 WHERE name = 'pushed'", params![seq])
}
