//! The audit: every act of person and machine. Rows are added here and nowhere changed or taken away.

use super::value::{from_json, params};
use super::{Row, StoreError, Tx};
use crate::domain::audit::{Actor, Subject};
use crate::domain::clock::UnixMillis;

/// An act that is about to be written, in the transaction that does it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// A number drawn by chance: it says nothing about order, `at` does.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// Who.
    pub actor: Actor,
    /// What was done, such as `post_withdraw`.
    pub act: String,
    /// To what.
    pub subject: Subject,
    /// What else matters, as a JSON object. Ids and keyed hashes only, no address and no text about people.
    pub detail: serde_json::Value,
}

/// An act as it was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: UnixMillis,
    /// Who, such as `staff:7`.
    pub actor: String,
    /// What was done.
    pub act: String,
    /// The kind of what it was done to.
    pub subject_kind: String,
    /// Its id.
    pub subject: String,
    /// What else matters.
    pub detail: serde_json::Value,
}

/// Which acts are asked for; what is `None` doesn't matter.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// By whom.
    pub actor: Option<String>,
    /// On what: kind and id.
    pub subject: Option<(String, String)>,
    /// Only those before this instant and number: the last row of the page before.
    pub before: Option<(UnixMillis, i64)>,
}

/// Writes an act down.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn note(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO audit (id, at, actor, act, subject_kind, subject, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let Entry { id, at, actor, act, subject, detail } = entry;
    let values = params![*id, *at, actor.to_string(), act, subject.kind, &subject.id, detail.to_string()];
    tx.change("noting an act", 1, SQL, values)
}

/// The newest acts, `count` at most.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(tx: &mut Tx<'_>, asked: &Asked, count: i64) -> Result<Vec<Written>, StoreError> {
    const ALL: &str = "SELECT id, at, actor, act, subject_kind, subject, detail FROM audit
         WHERE at <= $1 AND (at < $1 OR id < $2) ORDER BY at DESC, id DESC LIMIT $3";
    const BY: &str = "SELECT id, at, actor, act, subject_kind, subject, detail FROM audit
         WHERE actor = $4 AND at <= $1 AND (at < $1 OR id < $2) ORDER BY at DESC, id DESC LIMIT $3";
    const ON: &str = "SELECT id, at, actor, act, subject_kind, subject, detail FROM audit
         WHERE subject_kind = $4 AND subject = $5 AND at <= $1 AND (at < $1 OR id < $2)
         ORDER BY at DESC, id DESC LIMIT $3";
    let (at, id) = asked.before.unwrap_or((UnixMillis(i64::MAX), i64::MAX));
    let rows = match asked {
        Asked { subject: Some((kind, subject)), .. } => tx.query(ON, params![at, id, count, kind, subject])?,
        Asked { actor: Some(actor), .. } => tx.query(BY, params![at, id, count, actor])?,
        _ => tx.query(ALL, params![at, id, count])?,
    };
    rows.iter().map(written).collect()
}

fn written(row: &Row) -> Result<Written, StoreError> {
    Ok(Written {
        id: row.int(0)?,
        at: row.at(1)?,
        actor: row.text(2)?,
        act: row.text(3)?,
        subject_kind: row.text(4)?,
        subject: row.text(5)?,
        detail: from_json(&row.text(6)?, "audit.detail")?,
    })
}
