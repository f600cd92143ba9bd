//! Addresses that may not be written to, by a keyed hash: it outlives the subscriber, and a list that is imported again
//! brings nobody back.

use super::value::{json, params};
use super::{Row, StoreError, Tx, changes};
use crate::domain::address_hash::address_hash;
use crate::domain::audience::Address;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// Why an address isn't written to.
    Cause {
        /// There is no such mailbox.
        NoSuchAddress = "no_such_address",
        /// The mailbox takes nothing.
        Disabled = "disabled",
        /// The mailbox is full, again and again.
        Full = "full",
        /// It refuses again and again, and doesn't say why.
        Unexplained = "unexplained",
        /// Its reader complained.
        Complaint = "complaint",
        /// An operator said so.
        Operator = "operator",
        /// Its holder had everything about them erased.
        Erased = "erased",
    }
}

/// Characters of evidence that are kept: enough for a reply of two lines.
pub const EVIDENCE_CHARS_MAX: usize = 200;
/// The fact that holds the key of the hash: 32 random octets in hexadecimal.
const KEY: &str = "address_key";
/// Suppressions that end in one transaction.
const EXPIRED_MAX: i64 = 500;

/// A suppression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suppression {
    /// Why.
    pub cause: Cause,
    /// The far side's words without addresses, or the operator's.
    pub evidence: String,
    /// Since when.
    pub since_at: UnixMillis,
    /// Until when; for good when absent.
    pub until_at: Option<UnixMillis>,
    /// When it was taken back.
    pub lifted_at: Option<UnixMillis>,
    /// By what: a word such as `operator` or `expiry`.
    pub lifted_by: Option<String>,
}

impl Suppression {
    /// Whether the address may not be written to.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.lifted_at.is_none()
    }
}

/// What is to be suppressed.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The address.
    pub address: &'a Address,
    /// Why.
    pub cause: Cause,
    /// The far side's words, without addresses; cut to [`EVIDENCE_CHARS_MAX`].
    pub evidence: &'a str,
    /// Until when; for good when absent.
    pub until_at: Option<UnixMillis>,
}

/// Makes the key of the hash, unless there is one. `drawn` is 32 random octets in hexadecimal.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ensure_key(tx: &mut Tx<'_>, drawn: &str) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO facts (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    tx.execute(SQL, params![KEY, drawn])?;
    Ok(())
}

fn key(tx: &mut Tx<'_>) -> Result<Option<String>, StoreError> {
    tx.query_opt("SELECT value FROM facts WHERE name = $1", params![KEY])?.map(|row| row.text(0)).transpose()
}

/// The hash of an address. The key must be there ([`ensure_key`]).
///
/// # Errors
/// [`StoreError::Shape`] when there is no key, or [`StoreError`] from the database.
pub fn hash(tx: &mut Tx<'_>, address: &Address) -> Result<String, StoreError> {
    let key = key(tx)?.ok_or_else(|| StoreError::Shape("the key of address hashes is missing".to_owned()))?;
    Ok(address_hash(&key, address))
}

/// The same where no key may be there yet: then nothing is known of any address.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn hash_if_known(tx: &mut Tx<'_>, address: &Address) -> Result<Option<String>, StoreError> {
    Ok(key(tx)?.map(|key| address_hash(&key, address)))
}

/// What is known of an address, in force or not. Without a key nothing can be known.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, address: &Address) -> Result<Option<Suppression>, StoreError> {
    const SQL: &str = "SELECT reason, evidence, since_at, until_at, lifted_at, lifted_by FROM suppressions
         WHERE address_hash = $1";
    let Some(key) = key(tx)? else { return Ok(None) };
    let row = |row: Row| {
        Ok(Suppression {
            cause: row.parse(0, Cause::from_word)?,
            evidence: row.text(1)?,
            since_at: row.at(2)?,
            until_at: row.at_opt(3)?,
            lifted_at: row.at_opt(4)?,
            lifted_by: row.text_opt(5)?,
        })
    };
    tx.query_opt(SQL, params![address_hash(&key, address)])?.map(row).transpose()
}

/// Whether an address may not be written to.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn is_suppressed(tx: &mut Tx<'_>, address: &Address) -> Result<bool, StoreError> {
    Ok(find(tx, address)?.is_some_and(|known| known.is_in_force()))
}

/// Suppresses an address, and its subscriber if it has one, whose row the caller has locked. A suppression that lasts as
/// long or longer stays as it is. What is planned stops as after an unsubscription. Returns whether anything changed.
///
/// # Errors
/// [`StoreError`] from the database; also when there is no key.
pub fn set(
    tx: &mut Tx<'_>,
    subscriber_id: Option<i64>,
    wanted: &Wanted<'_>,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO suppressions (address_hash, subscriber_id, reason, evidence, since_at, until_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (address_hash) DO UPDATE SET subscriber_id = excluded.subscriber_id, reason = excluded.reason,
             evidence = excluded.evidence, since_at = excluded.since_at, until_at = excluded.until_at,
             lifted_at = NULL, lifted_by = NULL
         WHERE suppressions.lifted_at IS NOT NULL OR (suppressions.until_at IS NOT NULL
             AND (excluded.until_at IS NULL OR excluded.until_at > suppressions.until_at))";
    let hash = hash(tx, wanted.address)?;
    let evidence: String = wanted.evidence.chars().take(EVIDENCE_CHARS_MAX).collect();
    let (reason, until) = (wanted.cause.word(), wanted.until_at);
    if tx.execute(SQL, params![hash, subscriber_id, reason, evidence, now, until])? == 0 {
        return Ok(false);
    }
    if let Some(id) = subscriber_id {
        const MARK: &str = "UPDATE subscribers SET suppressed_at = COALESCE(suppressed_at, $2) WHERE id = $1";
        tx.change("suppressing a subscriber", 1, MARK, params![id, now])?;
        changes::draw(tx, "departure", 1)?;
    }
    Ok(true)
}

/// Takes a suppression back, at the word of `by`; what counted against the address is forgotten, so that the count begins
/// anew. The caller has locked the subscriber, if there is one. Returns whether one was in force.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lift(
    tx: &mut Tx<'_>,
    subscriber_id: Option<i64>,
    address: &Address,
    by: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    const SQL: &str =
        "UPDATE suppressions SET lifted_at = $2, lifted_by = $3 WHERE address_hash = $1 AND lifted_at IS NULL";
    let Some(key) = key(tx)? else { return Ok(false) };
    let lifted = tx.execute(SQL, params![address_hash(&key, address), now, by])? > 0;
    if let Some(id) = subscriber_id {
        clear(tx, &[id])?;
    }
    Ok(lifted)
}

/// Ends suppressions whose time is over. Returns how many; call it again when there were some.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn expire(tx: &mut Tx<'_>, now: UnixMillis) -> Result<u64, StoreError> {
    const DUE: &str =
        "SELECT s.address_hash, u.id FROM suppressions s LEFT JOIN subscribers u ON u.id = s.subscriber_id
         WHERE s.until_at <= $1 AND s.lifted_at IS NULL ORDER BY s.until_at LIMIT $2";
    const LOCK: &str = "SELECT id FROM subscribers WHERE id IN {list $1: int} ORDER BY id {for update}";
    // One that was made anew for longer meanwhile stays.
    const END: &str = "UPDATE suppressions SET lifted_at = $2, lifted_by = 'expiry'
         WHERE address_hash IN {list $1: text} AND lifted_at IS NULL AND until_at <= $2 RETURNING subscriber_id";
    let due = tx.query(DUE, params![now, EXPIRED_MAX])?;
    if due.is_empty() {
        return Ok(0);
    }
    let hashes: Vec<String> = due.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let ids: Vec<i64> = due.iter().filter_map(|row| row.int_opt(1).transpose()).collect::<Result<_, _>>()?;
    tx.query(LOCK, &[json(&ids)?])?;
    let ended = tx.query(END, &[json(&hashes)?, now.into()])?;
    let ids: Vec<i64> = ended.iter().filter_map(|row| row.int_opt(0).transpose()).collect::<Result<_, _>>()?;
    clear(tx, &ids)?;
    Ok(ended.len() as u64)
}

fn clear(tx: &mut Tx<'_>, ids: &[i64]) -> Result<(), StoreError> {
    tx.execute("UPDATE subscribers SET suppressed_at = NULL WHERE id IN {list $1: int}", &[json(ids)?])?;
    tx.execute("DELETE FROM bounces WHERE subscriber_id IN {list $1: int}", &[json(ids)?])?;
    Ok(())
}

/// Lays a suppression that is in force for an address on the subscriber who has just been given it: one who comes back by
/// a list, or changes to an address that was refused. Returns whether there was one.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn inherit(tx: &mut Tx<'_>, subscriber_id: i64, address: &Address) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE suppressions SET subscriber_id = $2 WHERE address_hash = $1 AND lifted_at IS NULL
         RETURNING since_at";
    let Some(key) = key(tx)? else { return Ok(false) };
    let Some(row) = tx.query_opt(SQL, params![address_hash(&key, address), subscriber_id])? else { return Ok(false) };
    const MARK: &str = "UPDATE subscribers SET suppressed_at = $2 WHERE id = $1";
    tx.change("suppressing a subscriber", 1, MARK, params![subscriber_id, row.at(0)?])?;
    Ok(true)
}
