//! Mails that came in, kept before they are acknowledged and until they are understood.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::inbound::{Mail, Verdict, Via};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

/// Mails that wait to be settled, at most: beyond it somebody floods us, and senders are asked to come again later.
pub const OPEN_MAX: i64 = 20_000;

/// What became of a mail that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is stored.
    New,
    /// It was stored before.
    Known,
    /// Too many wait ([`OPEN_MAX`]); it isn't stored.
    Full,
}

/// A mail that came in, for those who look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Received {
    /// Follows from recipient and bytes.
    pub id: String,
    /// How it came.
    pub via: Via,
    /// Whom it was sent to.
    pub envelope_to: String,
    /// When.
    pub received_at: UnixMillis,
    /// When it was understood, or given up.
    pub settled_at: Option<UnixMillis>,
    /// What it is.
    pub verdict: Option<Verdict>,
    /// What followed, without addresses.
    pub detail: Option<String>,
}

/// Keeps a mail. The caller acknowledges it only after the commit.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn keep(tx: &mut Tx<'_>, mail: &Mail, now: UnixMillis) -> Result<Kept, StoreError> {
    const FULL: &str = "SELECT 1 FROM inbound WHERE settled_at IS NULL ORDER BY received_at LIMIT 1 OFFSET $1";
    const SQL: &str = "INSERT INTO inbound (id, via, envelope_to, message, received_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (id) DO NOTHING";
    if tx.query_opt(FULL, params![OPEN_MAX])?.is_some() {
        return Ok(Kept::Full);
    }
    let message = STANDARD.encode(&mail.bytes);
    let row = params![&mail.id, mail.via.word(), &mail.envelope_to, message, now];
    Ok(if tx.execute(SQL, row)? == 1 { Kept::New } else { Kept::Known })
}

/// The ids of mails that wait to be settled, in the order in which they came.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn open(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<String>, StoreError> {
    const SQL: &str = "SELECT id FROM inbound WHERE settled_at IS NULL ORDER BY received_at, id LIMIT $1";
    tx.query(SQL, params![limit])?.iter().map(|row| row.text(0)).collect()
}

/// Locks a mail that waits. False: another process has settled it meanwhile.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock_open(tx: &mut Tx<'_>, id: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT id FROM inbound WHERE id = $1 AND settled_at IS NULL {for update}";
    Ok(tx.query_opt(SQL, params![id])?.is_some())
}

macro_rules! inbound_sql {
    ($rest:literal) => {
        concat!("SELECT id, via, envelope_to, received_at, settled_at, verdict, detail, message FROM inbound ", $rest)
    };
}

fn read(row: &Row) -> Result<Received, StoreError> {
    let verdict = row.text_opt(5)?.map(|word| Verdict::from_word(&word).ok_or(word));
    Ok(Received {
        id: row.text(0)?,
        via: row.parse(1, Via::from_word)?,
        envelope_to: row.text(2)?,
        received_at: row.at(3)?,
        settled_at: row.at_opt(4)?,
        verdict: verdict.transpose().map_err(|word| StoreError::Shape(format!("`{word}` is no verdict")))?,
        detail: row.text_opt(6)?,
    })
}

/// One mail and its bytes.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<(Received, Vec<u8>)>, StoreError> {
    const SQL: &str = inbound_sql!("WHERE id = $1");
    let Some(row) = tx.query_opt(SQL, params![id])? else { return Ok(None) };
    let bytes = STANDARD.decode(row.text(7)?).map_err(|e| StoreError::Shape(format!("a stored mail: {e}")))?;
    Ok(Some((read(&row)?, bytes)))
}

/// Mails, the newest first; with a verdict, only those. Without their bytes.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(tx: &mut Tx<'_>, verdict: Option<Verdict>, limit: i64) -> Result<Vec<Received>, StoreError> {
    const SQL: &str = "SELECT id, via, envelope_to, received_at, settled_at, verdict, detail FROM inbound
         WHERE CAST($1 AS TEXT) IS NULL OR verdict = $1 ORDER BY received_at DESC, id LIMIT $2";
    tx.query(SQL, params![verdict.map(Verdict::word), limit])?.iter().map(read).collect()
}

/// Settles a mail that the caller has locked.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn settle(tx: &mut Tx<'_>, id: &str, verdict: Verdict, detail: &str, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE inbound SET settled_at = $2, verdict = $3, detail = $4 WHERE id = $1 AND settled_at IS NULL";
    tx.change("settling a mail", 1, SQL, params![id, now, verdict.word(), detail])
}

/// Has a mail read again. Returns whether it is there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn reopen(tx: &mut Tx<'_>, id: &str) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE inbound SET settled_at = NULL, verdict = NULL, detail = NULL WHERE id = $1";
    Ok(tx.execute(SQL, params![id])? > 0)
}

/// Forgets mails that were settled before `until`. Returns how many.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, until: UnixMillis) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM inbound WHERE settled_at < $1", params![until])
}
