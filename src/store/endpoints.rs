//! Endpoints: where deliveries of other carriers than mail go.

use super::value::{json, params};
use super::{Row, StoreError, Tx, changes};
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::domain::ids;
use std::fmt;

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
    pub secret: Option<Secret>,
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

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What makes an endpoint.
#[derive(Clone, Copy)]
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

/// The host of an address; empty where there is none.
#[must_use]
pub fn host(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
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
        secret: row.text_opt(4)?.map(Secret),
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
    // Another one of this id would be a collision of hashes: then nothing is changed, and the caller hears of it.
    const SQL: &str = "INSERT INTO endpoints (id, carrier, subject, url, host, secret, since, created_at, renewed_at, until_at)
         VALUES ($1, $2, $3, $4, $9, $5, $6, $7, $7, $8)
         ON CONFLICT (id) DO UPDATE SET secret = excluded.secret, renewed_at = excluded.renewed_at, until_at = excluded.until_at,
             since = CASE WHEN endpoints.ended_at IS NULL THEN endpoints.since ELSE excluded.since END,
             created_at = CASE WHEN endpoints.ended_at IS NULL THEN endpoints.created_at ELSE excluded.created_at END,
             ended_at = NULL, ended_why = NULL
         WHERE endpoints.carrier = excluded.carrier AND endpoints.subject = excluded.subject AND endpoints.url = excluded.url";
    let host = host(new.url);
    let values =
        params![new.id(), new.carrier, new.subject, new.url, new.secret, head, now, new.until_at, host.as_str()];
    tx.change("making an endpoint", 1, SQL, values)?;
    Ok(new.id())
}

/// Ends an endpoint, with what waits for it. Returns whether it was alive.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end(tx: &mut Tx<'_>, id: i64, why: &str, now: UnixMillis) -> Result<bool, StoreError> {
    end_if(tx, id, None, why, now)
}

/// The same as long as nobody renewed it since `renewed_at`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end_unless_renewed(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    why: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    end_if(tx, endpoint.id, Some(endpoint.renewed_at), why, now)
}

fn end_if(
    tx: &mut Tx<'_>,
    id: i64,
    renewed_at: Option<UnixMillis>,
    why: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    const SQL: &str =
        "UPDATE endpoints SET ended_at = $3, ended_why = $2, secret = NULL WHERE id = $1 AND ended_at IS NULL
           AND (CAST($4 AS BIGINT) IS NULL OR renewed_at = $4) RETURNING carrier";
    let ended = tx.query_opt(SQL, params![id, why, now, renewed_at])?;
    ended.map_or(Ok(false), |row| stop(tx, &row.text(0)?, id, now).map(|()| true))
}

/// Ends those whose time is over. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end_lapsed(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<usize, StoreError> {
    // Under the lock of the row: it may be renewed this moment.
    const SQL: &str = "SELECT id FROM endpoints WHERE ended_at IS NULL AND until_at <= $1
         ORDER BY until_at LIMIT $2 {skip locked}";
    let lapsed = tx.query(SQL, params![now, limit])?;
    for row in &lapsed {
        end(tx, row.int(0)?, "its lease ended", now)?;
    }
    Ok(lapsed.len())
}

/// What waits is cancelled, what may have arrived isn't sent again, and what is on its way is settled by its answer and not tried
/// again: it rests until then, under a reason by which an answer that says "later" cancels it (`deliveries::record`).
fn stop(tx: &mut Tx<'_>, carrier: &str, id: i64, now: UnixMillis) -> Result<(), StoreError> {
    const CANCEL: [&str; 2] = [
        "UPDATE deliveries SET state = 'cancelled', reason = 'unsubscribed', finished_at = $2
         WHERE state = 'due' AND destination = $1 AND uncertain_at IS NULL",
        "UPDATE deliveries SET state = 'cancelled', reason = 'unsubscribed', finished_at = $2
         WHERE state IN ('claimed', 'sending') AND state = 'claimed' AND destination = $1 AND uncertain_at IS NULL",
    ];
    const REST: [&str; 3] = [
        "UPDATE deliveries SET state = 'uncertain', due_at = 9223372036854775807, finished_at = $2
         WHERE state = 'due' AND destination = $1",
        "UPDATE deliveries SET state = 'uncertain', due_at = 9223372036854775807, finished_at = $2
         WHERE state = 'uncertain' AND destination = $1 AND finished_at IS NULL",
        "UPDATE deliveries SET state = 'uncertain', reason = 'unsubscribed', finished_at = $2,
             due_at = 9223372036854775807, uncertain_at = COALESCE(uncertain_at, $2)
         WHERE state IN ('claimed', 'sending') AND destination = $1",
    ];
    let destination = destination::of_endpoint(carrier, id);
    CANCEL.into_iter().chain(REST).try_for_each(|sql| tx.execute(sql, params![destination.as_str(), now]).map(drop))
}

/// Forgets endpoints that ended before `until`. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, until: UnixMillis) -> Result<u64, StoreError> {
    const DESTINATIONS: &str = "DELETE FROM destinations
         WHERE name IN (SELECT carrier || ':' || CAST(id AS TEXT) FROM endpoints WHERE ended_at < $1)";
    tx.execute(DESTINATIONS, params![until])?;
    tx.execute("DELETE FROM endpoints WHERE ended_at < $1", params![until])
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

/// Whether an endpoint is there and is told of a change of this number.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hears(tx: &mut Tx<'_>, id: i64, seq: i64) -> Result<bool, StoreError> {
    Ok(find(tx, id)?.is_some_and(|endpoint| endpoint.ended_at.is_none() && endpoint.since < seq))
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

/// An endpoint for which something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Which.
    pub id: i64,
    /// What carries to it.
    pub carrier: String,
    /// Whether it failed last.
    pub is_on_trial: bool,
}

/// Endpoints for which something is due, those that have waited longest first. One under a hold would only take others' room.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ready(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<Vec<Ready>, StoreError> {
    // Some steps in the index of what is due for each of them; one whose breaker is open costs its row.
    const SQL: &str = "SELECT r.id, r.carrier, r.failures FROM (SELECT e.id AS id, e.carrier AS carrier,
             COALESCE(n.failures, 0) AS failures, (SELECT MIN(d.due_at) FROM deliveries d WHERE d.state = 'due'
                AND d.destination = e.carrier || ':' || CAST(e.id AS TEXT) AND d.due_at <= $1) AS oldest
             FROM endpoints e LEFT JOIN destinations n ON n.name = e.carrier || ':' || CAST(e.id AS TEXT)
             WHERE e.ended_at IS NULL AND COALESCE(n.not_before_at, 0) <= $1 AND NOT EXISTS (SELECT 1 FROM holds h
                WHERE h.scope = 'destination:' || e.carrier || ':' || CAST(e.id AS TEXT))) r
         WHERE r.oldest IS NOT NULL ORDER BY r.oldest, r.id LIMIT $2";
    let ready = |row: &Row| Ok(Ready { id: row.int(0)?, carrier: row.text(1)?, is_on_trial: row.int(2)? > 0 });
    tx.query(SQL, params![now, limit])?.iter().map(ready).collect()
}

/// Whether something is on its way to an endpoint, by whichever process.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_busy(tx: &mut Tx<'_>, destination: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM deliveries WHERE state IN ('claimed', 'sending') AND destination = $1 LIMIT 1";
    Ok(tx.query_opt(SQL, params![destination])?.is_some())
}

/// How many live ones of a carrier lie at a host.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count_at(tx: &mut Tx<'_>, carrier: &str, host: &str) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM endpoints WHERE ended_at IS NULL AND carrier = $1 AND host = $2";
    tx.query_opt(SQL, params![carrier, host])?.map_or(Ok(0), |row| row.int(0))
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
