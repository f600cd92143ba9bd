//! Partners that don't answer: paused after days of failures only, and their contacts told.

use super::{Partner, partner_sql, read};
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::domain::partner::FAILING_MAX;
use crate::store::value::params;
use crate::store::{StoreError, Tx, destinations};

/// What the reason of a pause begins with that came by itself.
const BY_ITSELF: &str = "nothing got through";

/// What follows from how a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// The partner is paused now: for five days there were failures only.
    Pause {
        /// Its name.
        name: String,
    },
}

/// Keeps in mind since when a partner has failed, and pauses it when that is too long. An endpoint of somebody else is none of our
/// business.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn heard(tx: &mut Tx<'_>, endpoint_id: i64, has_failed: bool, now: UnixMillis) -> Result<Heard, StoreError> {
    if !has_failed {
        const CLEAR: &str =
            "UPDATE partners SET failing_since_at = NULL WHERE endpoint_id = $1 AND failing_since_at IS NOT NULL";
        tx.execute(CLEAR, params![endpoint_id])?;
        return Ok(Heard::Nothing);
    }
    const BEGIN: &str = "UPDATE partners SET failing_since_at = $2
         WHERE endpoint_id = $1 AND ended_at IS NULL AND failing_since_at IS NULL";
    if tx.execute(BEGIN, params![endpoint_id, now])? == 1 {
        return Ok(Heard::Nothing);
    }
    const SQL: &str = partner_sql!(
        "WHERE endpoint_id = $1 AND ended_at IS NULL AND paused_at IS NULL AND failing_since_at <= $2 {for update}"
    );
    let row = tx.query_opt(SQL, params![endpoint_id, now.minus(FAILING_MAX)])?;
    let Some(partner) = row.as_ref().map(read).transpose()? else { return Ok(Heard::Nothing) };
    let since = partner.failing_since_at.unwrap_or(now);
    pause(tx, &partner, &format!("{BY_ITSELF} since {since}"), now)?;
    Ok(Heard::Pause { name: partner.name })
}

/// Pauses a partner: what is planned for it waits. Returns whether it wasn't paused.
pub fn pause(tx: &mut Tx<'_>, partner: &Partner, why: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE partners SET paused_at = $2, paused_why = $3, told_at = NULL
         WHERE name = $1 AND ended_at IS NULL AND paused_at IS NULL";
    if tx.execute(SQL, params![&partner.name, now, why])? == 0 {
        return Ok(false);
    }
    if let Some(scope) = scope(partner) {
        destinations::hold(tx, &scope, &format!("the partner {}: {why}", partner.name), now)?;
    }
    Ok(true)
}

/// Lets deliveries to a partner go on, the first at once. Returns whether it was paused.
pub fn resume(tx: &mut Tx<'_>, partner: &Partner) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE partners SET paused_at = NULL, paused_why = NULL, failing_since_at = NULL, told_at = NULL
         WHERE name = $1 AND ended_at IS NULL AND paused_at IS NOT NULL";
    if tx.execute(SQL, params![&partner.name])? == 0 {
        return Ok(false);
    }
    release(tx, partner)?;
    if let Some(id) = partner.endpoint_id {
        let name = destination::of_endpoint(partner.way.word(), id);
        destinations::forgive(tx, &name)?;
    }
    Ok(true)
}

/// Takes the hold of a partner away.
pub(super) fn release(tx: &mut Tx<'_>, partner: &Partner) -> Result<(), StoreError> {
    scope(partner).map_or(Ok(()), |scope| destinations::release_hold(tx, &scope).map(drop))
}

fn scope(partner: &Partner) -> Option<String> {
    let id = partner.endpoint_id?;
    Some(format!("destination:{}", destination::of_endpoint(partner.way.word(), id)))
}

/// A contact that wasn't told yet of a pause that came by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The partner.
    pub name: String,
    /// The mail address of its contact.
    pub contact: String,
    /// The language of the letter, if one was said.
    pub language: Option<String>,
    /// When it was paused.
    pub paused_at: UnixMillis,
}

/// Contacts that weren't told yet of a pause that came by itself.
pub fn untold(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Untold>, StoreError> {
    const SQL: &str = "SELECT name, contact, contact_language, paused_at FROM partners
         WHERE ended_at IS NULL AND paused_at IS NOT NULL AND told_at IS NULL AND contact IS NOT NULL
           AND paused_why LIKE $2 || '%' ORDER BY name LIMIT $1 {skip locked}";
    let rows = tx.query(SQL, params![limit, BY_ITSELF])?;
    rows.iter()
        .map(|row| {
            Ok(Untold { name: row.text(0)?, contact: row.text(1)?, language: row.text_opt(2)?, paused_at: row.at(3)? })
        })
        .collect()
}

/// The contact was told, or can't be.
pub fn set_told(tx: &mut Tx<'_>, name: &str, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute("UPDATE partners SET told_at = $2 WHERE name = $1", params![name, now]).map(drop)
}
