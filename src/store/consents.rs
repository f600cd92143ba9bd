//! The ledger of consent: every grant, change and withdrawal, with when, by which wording, from where and by whom. Rows are never
//! changed; they name people by id and keyed hash only, so that erasing somebody breaks nothing.

use super::value::params;
use super::{Row, StoreError, Tx, changes};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use crate::domain::language::Language;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// What somebody did about being written to.
    Act {
        /// Asked to be written to; nothing is granted before they confirm.
        Asked = "asked",
        /// Confirmed what they had asked for.
        Granted = "granted",
        /// An operator's list says that they agreed.
        Imported = "imported",
        /// Changed topics, schedule, hour, language or the form of mail.
        Changed = "changed",
        /// Set a pause.
        Paused = "paused",
        /// Ended a pause before its time.
        Resumed = "resumed",
        /// Moved to another address.
        Moved = "moved",
        /// Withdrew from one schedule or topic.
        Withdrew = "withdrew",
        /// Withdrew from everything.
        Left = "left",
        /// Took a withdrawal back within a day.
        CameBack = "came_back",
        /// Was told of the consent and of how to end it.
        Told = "told",
        /// Had everything about them erased.
        Erased = "erased",
    }
}

/// One row about to be written.
#[derive(Clone, Debug)]
pub struct Consent<'a> {
    /// Whose.
    pub subscriber_id: i64,
    /// The keyed hash of their address.
    pub address_hash: &'a str,
    /// What they did.
    pub act: Act,
    /// The language of the words they saw.
    pub language: &'a Language,
    /// Where: `page`, `api`, `mail`, `import`, `command`.
    pub source: &'a str,
    /// Who: `subscriber`, `operator`, `mail program`.
    pub actor: &'a str,
    /// What it was about, as JSON without anything personal: topics and schedules.
    pub detail: &'a serde_json::Value,
}

/// The version of the words by which people agree, as the ledger names it. Raised by hand whenever those words change their sense
/// (`render/words/people.rs`).
pub const WORDING: &str = "2026-11";

/// A row as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number.
    pub seq: i64,
    /// Whose.
    pub subscriber_id: i64,
    /// The keyed hash of the address.
    pub address_hash: String,
    /// When.
    pub at: UnixMillis,
    /// What.
    pub act: Act,
    /// By which wording.
    pub wording: String,
    /// In which language.
    pub language: String,
    /// Where.
    pub source: String,
    /// Who.
    pub actor: String,
    /// About what.
    pub detail: serde_json::Value,
}

/// Writes a row. The counter is drawn here: call it late in a transaction.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn record(tx: &mut Tx<'_>, consent: &Consent<'_>, now: UnixMillis) -> Result<(), StoreError> {
    let seq = changes::draw(tx, "consent", 1)?;
    let detail = consent.detail.to_string();
    tx.change(
        "recording a consent",
        1,
        "INSERT INTO consents (seq, subscriber_id, address_hash, at, act, wording, language, source, actor, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        params![
            seq,
            consent.subscriber_id,
            consent.address_hash,
            now,
            consent.act.word(),
            WORDING,
            consent.language.as_str(),
            consent.source,
            consent.actor,
            detail,
        ],
    )
}

/// Statements that read rows share their select list.
macro_rules! kept_sql {
    ($rest:literal) => {
        concat!(
            "SELECT seq, subscriber_id, address_hash, at, act, wording, language, source, actor, detail FROM consents ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Kept, StoreError> {
    Ok(Kept {
        seq: row.int(0)?,
        subscriber_id: row.int(1)?,
        address_hash: row.text(2)?,
        at: row.at(3)?,
        act: row.parse(4, Act::from_word)?,
        wording: row.text(5)?,
        language: row.text(6)?,
        source: row.text(7)?,
        actor: row.text(8)?,
        detail: row.parse(9, |text| serde_json::from_str(text).ok())?,
    })
}

/// Everything that one subscriber did, oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of(tx: &mut Tx<'_>, subscriber_id: i64) -> Result<Vec<Kept>, StoreError> {
    tx.query(kept_sql!("WHERE subscriber_id = $1 ORDER BY seq"), params![subscriber_id])?.iter().map(read).collect()
}

/// A page of all rows, from after `after`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn page(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<Kept>, StoreError> {
    tx.query(kept_sql!("WHERE seq > $1 ORDER BY seq LIMIT $2"), params![after, limit])?.iter().map(read).collect()
}

/// Whether anybody ever agreed or was vouched for at an address, by its hash.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn knows_address(tx: &mut Tx<'_>, address_hash: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM consents WHERE address_hash = $1 AND act <> 'asked' LIMIT 1";
    Ok(tx.query_opt(SQL, params![address_hash])?.is_some())
}

/// Takes away rows from before `before` of people who aren't written to any more: of the others the whole story stays, since it
/// is the proof. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, before: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM consents WHERE at < $1
         AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber_id = consents.subscriber_id)";
    tx.execute(SQL, params![before])
}
