//! Partner institutions: who they are, how they do, and what they were told.

pub mod changed;
mod failing;
mod history;

pub use failing::{Heard, Untold, heard, pause, resume, set_told, untold};
pub use history::{Again, From, Told, replay, replay_dead, told};

use super::value::{from_json, json, params};
use super::{Row, StoreError, Tx, changes, endpoints};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::partner::{Format, Order, Selection, Way};
use serde::Serialize;

/// A partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partner {
    /// What it is called, for good.
    pub name: String,
    /// Where deliveries go; none for those who ask for themselves.
    pub endpoint_id: Option<i64>,
    /// How it is told.
    pub way: Way,
    /// What it is told in.
    pub format: Format,
    /// What it is told of.
    #[serde(flatten)]
    pub selection: Selection,
    /// What follows when one delivery fails.
    pub ordering: Order,
    /// Since when it is trusted with posts under an embargo.
    pub embargoed_at: Option<UnixMillis>,
    /// Whom to tell when it doesn't answer.
    pub contact: Option<String>,
    /// In which language.
    pub contact_language: Option<String>,
    /// Since when it is one.
    pub created_at: UnixMillis,
    /// Since when it is paused.
    pub paused_at: Option<UnixMillis>,
    /// Why.
    pub paused_why: Option<String>,
    /// When the first of an unbroken row of failures was.
    pub failing_since_at: Option<UnixMillis>,
    /// When the contact was told of the pause.
    pub told_at: Option<UnixMillis>,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
}

/// What makes a partner.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// What it is called.
    pub name: &'a str,
    /// How it is told.
    pub way: Way,
    /// Where; empty for those who ask for themselves.
    pub url: &'a str,
    /// Its keys, sealed.
    pub secret: Option<&'a str>,
    /// The hash of its token.
    pub token_hash: &'a str,
    /// What it is told in.
    pub format: Format,
    /// What it is told of.
    pub selection: &'a Selection,
    /// What follows when one delivery fails.
    pub ordering: Order,
    /// Whether it is trusted with posts under an embargo.
    pub is_trusted: bool,
    /// Whom to tell, and in which language.
    pub contact: Option<(&'a str, &'a str)>,
}

/// What can be set; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Where deliveries go.
    pub url: Option<String>,
    /// What it is told in.
    pub format: Option<Format>,
    /// What it is told of: topics.
    pub topics: Option<Vec<String>>,
    /// What it is told of: languages.
    pub languages: Option<Vec<crate::domain::language::Language>>,
    /// What follows when one delivery fails.
    pub ordering: Option<Order>,
    /// Whether it is trusted with posts under an embargo.
    pub is_trusted: Option<bool>,
    /// Whom to tell, and in which language; inner `None` for nobody.
    pub contact: Option<Option<(String, String)>>,
}

macro_rules! partner_sql {
    ($rest:literal) => {
        concat!(
            "SELECT name, endpoint_id, carrier, format, topics, languages, ordering, embargoed_at, contact, contact_language,
                 created_at, paused_at, paused_why, failing_since_at, told_at, ended_at FROM partners ",
            $rest
        )
    };
}
use partner_sql;

fn read(row: &Row) -> Result<Partner, StoreError> {
    Ok(Partner {
        name: row.text(0)?,
        endpoint_id: row.int_opt(1)?,
        way: row.parse(2, Way::from_word)?,
        format: row.parse(3, Format::from_word)?,
        selection: Selection {
            topics: from_json(&row.text(4)?, "the topics of a partner")?,
            languages: from_json(&row.text(5)?, "the languages of a partner")?,
        },
        ordering: row.parse(6, Order::from_word)?,
        embargoed_at: row.at_opt(7)?,
        contact: row.text_opt(8)?,
        contact_language: row.text_opt(9)?,
        created_at: row.at(10)?,
        paused_at: row.at_opt(11)?,
        paused_why: row.text_opt(12)?,
        failing_since_at: row.at_opt(13)?,
        told_at: row.at_opt(14)?,
        ended_at: row.at_opt(15)?,
    })
}

/// Adds a partner, which is told of what happens from now on. Returns false when there is one of this name that hasn't ended.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn add(tx: &mut Tx<'_>, new: &New<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO partners (name, endpoint_id, carrier, format, topics, languages, ordering, embargoed_at, contact,
             contact_language, token_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (name) DO UPDATE SET endpoint_id = excluded.endpoint_id, carrier = excluded.carrier, format = excluded.format,
             topics = excluded.topics, languages = excluded.languages, ordering = excluded.ordering,
             embargoed_at = excluded.embargoed_at, contact = excluded.contact, contact_language = excluded.contact_language,
             token_hash = excluded.token_hash, created_at = excluded.created_at, paused_at = NULL, paused_why = NULL,
             failing_since_at = NULL, told_at = NULL, ended_at = NULL
         WHERE partners.ended_at IS NOT NULL";
    let endpoint_id = (new.way != Way::Pull).then(|| ids::endpoint_id(new.way.word(), new.name, ""));
    let (contact, contact_language) = new.contact.unzip();
    let values = &[
        new.name.into(),
        endpoint_id.into(),
        new.way.word().into(),
        new.format.word().into(),
        json(&new.selection.topics)?,
        json(&new.selection.languages)?,
        new.ordering.word().into(),
        new.is_trusted.then_some(now).into(),
        contact.into(),
        contact_language.into(),
        new.token_hash.into(),
        now.into(),
    ];
    if tx.execute(SQL, values)? == 0 {
        return Ok(false);
    }
    if let Some(id) = endpoint_id {
        establish(tx, id, new, now)?;
    }
    Ok(true)
}

/// Makes the endpoint: its id follows from the name alone, so that it and its history outlive a change of address.
fn establish(tx: &mut Tx<'_>, id: i64, new: &New<'_>, now: UnixMillis) -> Result<(), StoreError> {
    let (_, head) = endpoints::lock_pushed(tx)?;
    // Nobody was there to be told, so nothing was looked through.
    if !endpoints::any(tx)? {
        endpoints::set_pushed(tx, head)?;
    }
    const SQL: &str = "INSERT INTO endpoints (id, carrier, subject, url, host, secret, since, created_at, renewed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         ON CONFLICT (id) DO UPDATE SET url = excluded.url, host = excluded.host, secret = excluded.secret, since = excluded.since,
             created_at = excluded.created_at, renewed_at = excluded.renewed_at, ended_at = NULL, ended_why = NULL
         WHERE endpoints.carrier = excluded.carrier AND endpoints.subject = excluded.subject";
    let host = endpoints::host(new.url);
    let values = params![id, new.way.word(), new.name, new.url, host, new.secret, head, now];
    tx.change("making a partner's endpoint", 1, SQL, values)
}

/// A partner by name, though it may have ended.
pub fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Partner>, StoreError> {
    tx.query_opt(partner_sql!("WHERE name = $1"), params![name])?.as_ref().map(read).transpose()
}

/// A partner that hasn't ended, by name, locked until the transaction ends: what is read of it and written back meanwhile is the same.
pub fn lock(tx: &mut Tx<'_>, name: &str) -> Result<Option<Partner>, StoreError> {
    const SQL: &str = partner_sql!("WHERE name = $1 AND ended_at IS NULL {for update}");
    tx.query_opt(SQL, params![name])?.as_ref().map(read).transpose()
}

/// The partner that a token speaks for, as long as it is one.
pub fn by_token(tx: &mut Tx<'_>, token_hash: &str) -> Result<Option<Partner>, StoreError> {
    const SQL: &str = partner_sql!("WHERE token_hash = $1 AND ended_at IS NULL");
    tx.query_opt(SQL, params![token_hash])?.as_ref().map(read).transpose()
}

/// All of them by name, those that have ended too if they are asked for.
pub fn list(tx: &mut Tx<'_>, ended: bool) -> Result<Vec<Partner>, StoreError> {
    const SQL: &str = partner_sql!("WHERE ended_at IS NULL OR $1 = 1 ORDER BY name");
    tx.query(SQL, params![i64::from(ended)])?.iter().map(read).collect()
}

/// Those who are told, whether they are paused or not: what waits for one who is paused goes when that is over.
pub fn live(tx: &mut Tx<'_>) -> Result<Vec<Partner>, StoreError> {
    const SQL: &str = partner_sql!("WHERE ended_at IS NULL AND endpoint_id IS NOT NULL ORDER BY name");
    tx.query(SQL, &[])?.iter().map(read).collect()
}

/// Whether anybody is told of anything.
pub fn any_told(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM partners WHERE ended_at IS NULL AND endpoint_id IS NOT NULL LIMIT 1";
    Ok(tx.query_opt(SQL, &[])?.is_some())
}

/// Sets what is said. Returns whether there is such a partner.
pub fn set(tx: &mut Tx<'_>, name: &str, change: &Change, now: UnixMillis) -> Result<bool, StoreError> {
    let Some(partner) = lock(tx, name)? else { return Ok(false) };
    const SQL: &str =
        "UPDATE partners SET format = $2, topics = $3, languages = $4, ordering = $5, embargoed_at = $6, contact = $7,
             contact_language = $8 WHERE name = $1 AND ended_at IS NULL";
    let embargoed_at = match change.is_trusted {
        None => partner.embargoed_at,
        Some(false) => None,
        Some(true) => partner.embargoed_at.or(Some(now)),
    };
    let (contact, contact_language) = match &change.contact {
        None => (partner.contact, partner.contact_language),
        Some(contact) => contact.clone().unzip(),
    };
    let values = &[
        name.into(),
        change.format.unwrap_or(partner.format).word().into(),
        json(change.topics.as_ref().unwrap_or(&partner.selection.topics))?,
        json(change.languages.as_ref().unwrap_or(&partner.selection.languages))?,
        change.ordering.unwrap_or(partner.ordering).word().into(),
        embargoed_at.into(),
        contact.into(),
        contact_language.into(),
    ];
    tx.change("setting a partner", 1, SQL, values)?;
    if let (Some(url), Some(id)) = (&change.url, partner.endpoint_id) {
        const MOVE: &str =
            "UPDATE endpoints SET url = $2, host = $3, renewed_at = $4 WHERE id = $1 AND ended_at IS NULL";
        tx.change("moving a partner", 1, MOVE, params![id, url, endpoints::host(url), now])?;
    }
    Ok(true)
}

/// Gives a partner other keys. Returns whether it has an endpoint.
pub fn set_secret(tx: &mut Tx<'_>, partner: &Partner, sealed: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE endpoints SET secret = $2, renewed_at = $3 WHERE id = $1 AND ended_at IS NULL";
    let Some(id) = partner.endpoint_id else { return Ok(false) };
    Ok(tx.execute(SQL, params![id, sealed, now])? == 1)
}

/// Gives a partner another token: the one from before is good no more.
pub fn set_token(tx: &mut Tx<'_>, name: &str, token_hash: &str) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE partners SET token_hash = $2 WHERE name = $1 AND ended_at IS NULL";
    Ok(tx.execute(SQL, params![name, token_hash])? == 1)
}

/// Ends a partner, with what waits for it. Returns whether there was one.
pub fn end(tx: &mut Tx<'_>, name: &str, why: &str, now: UnixMillis) -> Result<bool, StoreError> {
    let Some(partner) = lock(tx, name)? else { return Ok(false) };
    // The hash makes room for nobody: a token that ended opens nothing again.
    tx.execute("UPDATE partners SET ended_at = $2 WHERE name = $1", params![name, now])?;
    failing::release(tx, &partner)?;
    if let Some(id) = partner.endpoint_id {
        endpoints::end(tx, id, why, now)?;
    }
    Ok(true)
}

/// An endpoint that said it is gone: its partner has ended too. Returns its name.
pub fn gone(tx: &mut Tx<'_>, endpoint_id: i64, now: UnixMillis) -> Result<Option<String>, StoreError> {
    const SQL: &str = "UPDATE partners SET ended_at = $2 WHERE endpoint_id = $1 AND ended_at IS NULL RETURNING name";
    tx.query_opt(SQL, params![endpoint_id, now])?.map(|row| row.text(0)).transpose()
}

/// Whether anything sealed is kept: another seal couldn't open it.
pub fn any_sealed(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM endpoints WHERE carrier IN ('webhook', 'amqp') AND secret IS NOT NULL AND ended_at IS NULL LIMIT 1";
    Ok(tx.query_opt(SQL, &[])?.is_some())
}

/// The number that names this history of changes, made with `draw` when there is none: after a restore there is another, so that
/// cursors of before are known as such.
pub fn epoch(tx: &mut Tx<'_>, draw: u64) -> Result<String, StoreError> {
    const KEPT: &str = "SELECT value FROM facts WHERE name = 'changes_epoch'";
    if let Some(row) = tx.query_opt(KEPT, &[])? {
        return row.text(0);
    }
    const MAKE: &str = "INSERT INTO facts (name, value) VALUES ('changes_epoch', $1) ON CONFLICT (name) DO NOTHING";
    tx.execute(MAKE, params![ids::hex(&draw.to_be_bytes())])?;
    let row = tx.query_opt(KEPT, &[])?;
    row.ok_or_else(|| StoreError::Shape("the epoch of changes is missing".to_owned()))?.text(0)
}

/// The epoch, if there is one already, and the head.
pub fn epoch_known(tx: &mut Tx<'_>) -> Result<(Option<String>, i64), StoreError> {
    let row = tx.query_opt("SELECT value FROM facts WHERE name = 'changes_epoch'", &[])?;
    Ok((row.map(|row| row.text(0)).transpose()?, changes::head(tx)?))
}
