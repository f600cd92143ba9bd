//! Finding people by the beginning of their address, name or domain, as one types. Each way is a range of an index, whatever the
//! number of people: nothing is looked through, and a page ends after [`FOUND_MAX`].

use super::suppressions::{self, Cause};
use super::value::params;
use super::{Dialect, Row, StoreError, Tx, Value};
use crate::domain::audience::Address;
use crate::domain::clock::UnixMillis;
use serde::Serialize;

/// People on one page.
pub const FOUND_MAX: usize = 50;
/// Characters that are looked for, at most: an address is no longer.
pub const TEXT_CHARS_MAX: usize = 254;
/// What comes after everything that begins with a text, bytewise: the greatest character that there is.
const LAST: char = '\u{10FFFF}';
/// What follows a text first: no address holds it.
const FIRST: char = '\u{1}';

/// By what somebody was found. People are told in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Their address begins so.
    Address,
    /// Their name begins so.
    Name,
    /// The part of their address after the @ begins so.
    Domain,
}

impl Way {
    const ALL: [Self; 3] = [Self::Address, Self::Name, Self::Domain];

    /// As forms name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Name => "name",
            Self::Domain => "domain",
        }
    }

    /// Reads such a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.word() == word)
    }
}

/// Somebody who was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Their number.
    pub id: i64,
    /// Where their mail goes.
    pub address: String,
    /// Their name, if known.
    pub name: Option<String>,
    /// What they read.
    pub language: String,
    /// When they left.
    pub unsubscribed_at: Option<UnixMillis>,
    /// Since when they may not be written to.
    pub suppressed_at: Option<UnixMillis>,
    /// Until when nothing is planned for them.
    pub paused_until_at: Option<UnixMillis>,
    /// When their address was confirmed.
    pub confirmed_at: Option<UnixMillis>,
}

/// Where the next page begins: after this person, found in this way. It names nobody's address, so that it may stand anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// How the last one of the page before was found.
    pub way: Way,
    /// Their number.
    pub id: i64,
}

/// Somebody of whom a keyed hash is left: they were erased, or moved to another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// The number that the ledger knows them by, if they ever agreed to anything.
    pub id: Option<i64>,
    /// Why the address isn't written to, if so.
    pub cause: Option<Cause>,
    /// Since when.
    pub since_at: Option<UnixMillis>,
}

/// One page of what was found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// People, each once.
    pub people: Vec<Found>,
    /// Where the next page begins, if there may be one.
    pub next: Option<After>,
    /// What is left of whoever had this address, where nobody has it now.
    pub gone: Option<Gone>,
}

macro_rules! found_sql {
    ($rest:literal) => {
        concat!(
            "SELECT id, address, name, language, unsubscribed_at, suppressed_at, paused_until_at, confirmed_at FROM subscribers ",
            $rest
        )
    };
}

/// The statement of each way, told by a macro so that it can be run and be explained. `$1` is where the page begins, `$2` what it
/// ends before, `$4` the number after which it goes on among equals.
macro_rules! way_sql {
    (Address) => {
        found_sql!(
            "WHERE address_key {bytewise} >= $1 AND address_key {bytewise} < $2
             ORDER BY address_key {bytewise} LIMIT $3"
        )
    };
    (Name) => {
        found_sql!(
            "WHERE name IS NOT NULL AND lower(name) {bytewise} >= $1 AND lower(name) {bytewise} < $2
               AND (lower(name) {bytewise} > $1 OR id > $4) ORDER BY lower(name) {bytewise}, id LIMIT $3"
        )
    };
    (Domain) => {
        found_sql!(
            "WHERE (domain {bytewise}, id) > ($1, $4) AND domain {bytewise} < $2 ORDER BY domain {bytewise}, id LIMIT $3"
        )
    };
}

/// People for what somebody typed: `#12` is a number, `@exam` the beginning of a domain, anything else the beginning of an address,
/// a name or a domain. A whole address that nobody has is looked for among what is left of people who are gone.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn search(tx: &mut Tx<'_>, typed: &str, after: Option<After>) -> Result<Page, StoreError> {
    let typed: String = typed.trim().chars().take(TEXT_CHARS_MAX).collect();
    if let Some(number) = typed.strip_prefix('#').and_then(|number| number.trim().parse().ok()) {
        let people = by_number(tx, number)?.into_iter().collect();
        return Ok(Page { people, ..Page::default() });
    }
    let (ways, text) = match typed.strip_prefix('@') {
        Some(domain) => (&Way::ALL[2..], domain),
        None => (&Way::ALL[..], typed.as_str()),
    };
    if text.is_empty() {
        return Ok(Page::default());
    }
    let mut page = Page::default();
    for way in ways {
        let from = after.filter(|after| after.way == *way);
        if after.is_some_and(|after| position(after.way) > position(*way)) {
            continue;
        }
        let room = FOUND_MAX - page.people.len();
        if room == 0 {
            break;
        }
        let rows = in_way(tx, *way, text, from, room)?;
        page.next = (rows.len() == room).then(|| rows.last().map(|last| After { way: *way, id: last.id })).flatten();
        // Whoever begins so in several ways stands under the first of them.
        let earlier = &ways[..ways.iter().position(|one| one == way).unwrap_or(0)];
        page.people.extend(rows.into_iter().filter(|found| !earlier.iter().any(|way| begins(found, *way, text))));
    }
    if page.people.is_empty() && after.is_none() {
        page.gone = Address::parse(&typed).ok().map(|address| gone(tx, &address)).transpose()?.flatten();
    }
    Ok(page)
}

fn position(way: Way) -> usize {
    Way::ALL.iter().position(|one| *one == way).unwrap_or(0)
}

fn begins(found: &Found, way: Way, text: &str) -> bool {
    let begins = |whole: &str| whole.to_lowercase().starts_with(&text.to_lowercase());
    match way {
        Way::Address => begins(&found.address),
        Way::Name => found.name.as_deref().is_some_and(begins),
        Way::Domain => found.address.rsplit_once('@').is_some_and(|(_, domain)| begins(domain)),
    }
}

fn in_way(tx: &mut Tx<'_>, way: Way, text: &str, after: Option<After>, limit: usize) -> Result<Vec<Found>, StoreError> {
    let Some(bounds) = bounds(tx, way, text, after, limit)? else { return Ok(Vec::new()) };
    let rows = match way {
        Way::Address => tx.query(way_sql!(Address), &bounds[..3])?,
        Way::Name => tx.query(way_sql!(Name), &bounds)?,
        Way::Domain => tx.query(way_sql!(Domain), &bounds)?,
    };
    rows.iter().map(read).collect()
}

/// The parameters of a way's statement. `None`: whoever the page was to begin after was erased meanwhile, so it ends here, rather
/// than beginning anew.
fn bounds(
    tx: &mut Tx<'_>,
    way: Way,
    text: &str,
    after: Option<After>,
    limit: usize,
) -> Result<Option<[Value; 4]>, StoreError> {
    let text = folded(tx, way, text)?;
    let end = format!("{text}{LAST}");
    let (from, id) = match after {
        Some(after) => match (key_of(tx, way, after.id)?, way) {
            // Addresses are unique: the next one begins right behind this.
            (Some(key), Way::Address) => (format!("{key}{FIRST}"), i64::MIN),
            (Some(key), _) => (key, after.id),
            (None, _) => return Ok(None),
        },
        None => (text, i64::MIN),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    Ok(Some([from.into(), end.into(), limit.into(), id.into()]))
}

/// What was typed in the spelling of the index. Names are folded by the database, which wrote the index: SQLite knows capitals of
/// ASCII alone.
fn folded(tx: &mut Tx<'_>, way: Way, text: &str) -> Result<String, StoreError> {
    match way {
        Way::Address | Way::Domain => Ok(text.to_lowercase()),
        Way::Name => {
            let row = tx.query_opt("SELECT lower(CAST($1 AS TEXT))", params![text])?;
            row.map_or_else(|| Ok(String::new()), |row| row.text(0))
        }
    }
}

fn key_of(tx: &mut Tx<'_>, way: Way, id: i64) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT address_key, COALESCE(lower(name), ''), domain FROM subscribers WHERE id = $1";
    tx.query_opt(SQL, params![id])?.map(|row| row.text(position(way))).transpose()
}

/// Somebody by their number.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn by_number(tx: &mut Tx<'_>, id: i64) -> Result<Option<Found>, StoreError> {
    tx.query_opt(found_sql!("WHERE id = $1"), params![id])?.as_ref().map(read).transpose()
}

/// What is left of whoever had an address: their number in the ledger of consent, and whether it may be written to.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn gone(tx: &mut Tx<'_>, address: &Address) -> Result<Option<Gone>, StoreError> {
    const SQL: &str = "SELECT subscriber_id FROM consents WHERE address_hash = $1 ORDER BY seq DESC LIMIT 1";
    let suppression = suppressions::find(tx, address)?.filter(suppressions::Suppression::is_in_force);
    let Some(hash) = suppressions::hash_if_known(tx, address)? else { return Ok(None) };
    let id = tx.query_opt(SQL, params![hash])?.map(|row| row.int(0)).transpose()?;
    let (cause, since_at) = (suppression.as_ref().map(|one| one.cause), suppression.as_ref().map(|one| one.since_at));
    Ok((id.is_some() || cause.is_some()).then_some(Gone { id, cause, since_at }))
}

/// How the database goes about a search in one way, line by line as it explains itself: so a test can tell that nothing is scanned.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn explained(tx: &mut Tx<'_>, way: Way, text: &str) -> Result<Vec<String>, StoreError> {
    macro_rules! explain {
        ($way:ident) => {
            match tx.dialect() {
                Dialect::Sqlite => concat!("EXPLAIN QUERY PLAN ", way_sql!($way)),
                Dialect::Postgres => concat!("EXPLAIN ", way_sql!($way)),
            }
        };
    }
    let bounds = bounds(tx, way, text, None, FOUND_MAX)?.unwrap_or([const { Value::Null }; 4]);
    let sql = match way {
        Way::Address => explain!(Address),
        Way::Name => explain!(Name),
        Way::Domain => explain!(Domain),
    };
    let column = if tx.dialect() == Dialect::Sqlite { 3 } else { 0 };
    let bounds = if way == Way::Address { &bounds[..3] } else { &bounds[..] };
    tx.query(sql, bounds)?.iter().map(|row| row.text(column)).collect()
}

fn read(row: &Row) -> Result<Found, StoreError> {
    Ok(Found {
        id: row.int(0)?,
        address: row.text(1)?,
        name: row.text_opt(2)?,
        language: row.text(3)?,
        unsubscribed_at: row.at_opt(4)?,
        suppressed_at: row.at_opt(5)?,
        paused_until_at: row.at_opt(6)?,
        confirmed_at: row.at_opt(7)?,
    })
}
