//! Those who work in the control room: who they are, how they come in, and for how long.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::staff::Role;

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their number.
    pub id: i64,
    /// The name by which they sign in.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The hash of their password (a PHC string), if they have one.
    pub password: Option<String>,
    /// Wrong passwords in a row.
    pub failures: i64,
    /// No password is tried before this.
    pub locked_until: Option<UnixMillis>,
    /// Since when they are here.
    pub created_at: UnixMillis,
    /// Since when no more.
    pub ended_at: Option<UnixMillis>,
}

const COLUMNS_BY_ID: &str =
    "SELECT id, name, role, password, failures, locked_until_at, created_at, ended_at FROM staff WHERE id = $1";
const COLUMNS_BY_NAME: &str =
    "SELECT id, name, role, password, failures, locked_until_at, created_at, ended_at FROM staff WHERE name = $1";

fn person(row: &Row) -> Result<Person, StoreError> {
    Ok(Person {
        id: row.int(0)?,
        name: row.text(1)?,
        role: row.parse(2, Role::from_word)?,
        password: row.text_opt(3)?,
        failures: row.int(4)?,
        locked_until: row.at_opt(5)?,
        created_at: row.at(6)?,
        ended_at: row.at_opt(7)?,
    })
}

/// Somebody by number, those who left included.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn by_id(tx: &mut Tx<'_>, id: i64) -> Result<Option<Person>, StoreError> {
    tx.query_opt(COLUMNS_BY_ID, params![id])?.as_ref().map(person).transpose()
}

/// Somebody by name, those who left included.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn by_name(tx: &mut Tx<'_>, name: &str) -> Result<Option<Person>, StoreError> {
    tx.query_opt(COLUMNS_BY_NAME, params![name])?.as_ref().map(person).transpose()
}

/// Everybody, by name: a control room has few people.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Person>, StoreError> {
    const SQL: &str = "SELECT id, name, role, password, failures, locked_until_at, created_at, ended_at FROM staff
         ORDER BY name LIMIT 1000";
    tx.query(SQL, &[])?.iter().map(person).collect()
}

/// Adds somebody, or takes somebody back who left under this name. Returns their number, or `None` when the name is taken.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn add(tx: &mut Tx<'_>, id: i64, name: &str, role: Role, now: UnixMillis) -> Result<Option<i64>, StoreError> {
    const ADD: &str = "INSERT INTO staff (id, name, role, failures, created_at) VALUES ($1, $2, $3, 0, $4)";
    const BACK: &str = "UPDATE staff SET role = $2, password = NULL, failures = 0, locked_until_at = NULL, ended_at = NULL WHERE id = $1";
    match by_name(tx, name)? {
        None => {
            tx.change("adding somebody", 1, ADD, params![id, name, role.word(), now])?;
            Ok(Some(id))
        }
        Some(person) if person.ended_at.is_some() => {
            tx.change("taking somebody back", 1, BACK, params![person.id, role.word()])?;
            Ok(Some(person.id))
        }
        Some(_) => Ok(None),
    }
}

/// What became of a change of somebody's role or of their leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// There is nobody of that number.
    Nobody,
    /// They are the only owner, without whom nobody could let anybody in.
    LastOwner,
}

/// Gives somebody another role; their sessions go on with it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_role(tx: &mut Tx<'_>, id: i64, role: Role) -> Result<Changed, StoreError> {
    let refused = refusal(tx, id, role == Role::Owner)?;
    if refused == Changed::Done {
        tx.change("changing a role", 1, "UPDATE staff SET role = $2 WHERE id = $1", params![id, role.word()])?;
    }
    Ok(refused)
}

/// Ends somebody's access: sessions and links with it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<Changed, StoreError> {
    let refused = refusal(tx, id, false)?;
    if refused == Changed::Done {
        tx.change(
            "ending access",
            1,
            "UPDATE staff SET ended_at = $2, password = NULL WHERE id = $1",
            params![id, now],
        )?;
        end_sessions(tx, id)?;
        tx.execute("DELETE FROM staff_links WHERE staff_id = $1", params![id])?;
    }
    Ok(refused)
}

fn refusal(tx: &mut Tx<'_>, id: i64, stays_owner: bool) -> Result<Changed, StoreError> {
    const OTHERS: &str = "SELECT id FROM staff WHERE role = 'owner' AND ended_at IS NULL {for update}";
    let owners: Vec<i64> = tx.query(OTHERS, &[])?.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    let person = by_id(tx, id)?.filter(|person| person.ended_at.is_none());
    Ok(match person {
        None => Changed::Nobody,
        Some(_) if !stays_owner && owners == [id] => Changed::LastOwner,
        Some(_) => Changed::Done,
    })
}

/// Sets or takes away a password; other sessions end, since somebody else may have opened them.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_password(tx: &mut Tx<'_>, id: i64, password: Option<&str>, session: Option<&str>) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE staff SET password = $2, failures = 0, locked_until_at = NULL WHERE id = $1 AND ended_at IS NULL";
    tx.change("setting a password", 1, SQL, params![id, password])?;
    const OTHERS: &str = "DELETE FROM staff_sessions WHERE staff_id = $1 AND hash <> $2";
    tx.execute(OTHERS, params![id, session.unwrap_or_default()]).map(drop)
}

/// Counts a wrong password and, with `locked_until`, locks the door for a while.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count_failure(tx: &mut Tx<'_>, id: i64, locked_until: Option<UnixMillis>) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE staff SET failures = failures + 1, locked_until_at = $2 WHERE id = $1";
    tx.change("counting a wrong password", 1, SQL, params![id, locked_until])
}

/// Keeps a link by which somebody comes in once.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn add_link(tx: &mut Tx<'_>, hash: &str, staff_id: i64, until: UnixMillis) -> Result<(), StoreError> {
    tx.execute("DELETE FROM staff_links WHERE staff_id = $1", params![staff_id])?;
    const SQL: &str = "INSERT INTO staff_links (hash, staff_id, until_at) VALUES ($1, $2, $3)";
    tx.change("keeping a link", 1, SQL, params![hash, staff_id, until])
}

/// Whom a link lets in, if it is good: uses it up.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn use_link(tx: &mut Tx<'_>, hash: &str, now: UnixMillis) -> Result<Option<Person>, StoreError> {
    const USE: &str = "UPDATE staff_links SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND until_at > $2";
    if tx.execute(USE, params![hash, now])? == 0 {
        return Ok(None);
    }
    const WHOSE: &str = "SELECT staff_id FROM staff_links WHERE hash = $1";
    let Some(row) = tx.query_opt(WHOSE, params![hash])? else { return Ok(None) };
    Ok(by_id(tx, row.int(0)?)?.filter(|person| person.ended_at.is_none()))
}

/// Begins a session; wrong passwords before it are forgiven.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn begin_session(tx: &mut Tx<'_>, hash: &str, staff_id: i64, now: UnixMillis) -> Result<(), StoreError> {
    tx.execute("UPDATE staff SET failures = 0, locked_until_at = NULL WHERE id = $1", params![staff_id])?;
    const SQL: &str = "INSERT INTO staff_sessions (hash, staff_id, began_at, seen_at) VALUES ($1, $2, $3, $3)";
    tx.change("beginning a session", 1, SQL, params![hash, staff_id, now])
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose.
    pub person: Person,
    /// Since when.
    pub began_at: UnixMillis,
    /// When it was used last, to within a minute.
    pub seen_at: UnixMillis,
}

/// The session of this hash, if its owner still may come in.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn session(tx: &mut Tx<'_>, hash: &str) -> Result<Option<Session>, StoreError> {
    const SQL: &str = "SELECT staff_id, began_at, seen_at FROM staff_sessions WHERE hash = $1";
    let Some(row) = tx.query_opt(SQL, params![hash])? else { return Ok(None) };
    let person = by_id(tx, row.int(0)?)?.filter(|person| person.ended_at.is_none());
    let (began_at, seen_at) = (row.at(1)?, row.at(2)?);
    Ok(person.map(|person| Session { person, began_at, seen_at }))
}

/// A session was used.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn touch_session(tx: &mut Tx<'_>, hash: &str, now: UnixMillis) -> Result<(), StoreError> {
    // It may have ended meanwhile.
    tx.execute("UPDATE staff_sessions SET seen_at = $2 WHERE hash = $1", params![hash, now]).map(drop)
}

/// Ends a session.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end_session(tx: &mut Tx<'_>, hash: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM staff_sessions WHERE hash = $1", params![hash]).map(drop)
}

/// Ends all sessions of somebody.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end_sessions(tx: &mut Tx<'_>, staff_id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM staff_sessions WHERE staff_id = $1", params![staff_id]).map(drop)
}

/// Forgets sessions that began or were used too long ago, and links that are over.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(
    tx: &mut Tx<'_>,
    began_before: UnixMillis,
    seen_before: UnixMillis,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute("DELETE FROM staff_sessions WHERE began_at < $1 OR seen_at < $2", params![began_before, seen_before])?;
    tx.execute("DELETE FROM staff_links WHERE until_at < $1", params![now]).map(drop)
}
