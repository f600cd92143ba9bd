//! What somebody asked for and hasn't confirmed yet. A wish has no effect but the mail that asks for its confirmation.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;

/// A topic that somebody would like, by which schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The topic.
    pub topic: String,
    /// The schedule, perhaps at an hour of their own.
    pub slot: Slot,
}

/// Topics that wait for one person's confirmation at most: an attacker who signs somebody up again and again
/// makes no list that nobody can read.
const WISHES_MAX: i64 = 100;

/// Notes a wish; one for the same topic takes the place of the one before.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put(tx: &mut Tx<'_>, subscriber_id: i64, wish: &Wish, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO wishes (subscriber_id, topic, slot, asked_at)
         SELECT $1, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
         WHERE (SELECT COUNT(*) FROM wishes WHERE subscriber_id = $1) < $5
         ON CONFLICT (subscriber_id, topic) DO UPDATE SET slot = excluded.slot, asked_at = excluded.asked_at";
    tx.execute(SQL, params![subscriber_id, &wish.topic, wish.slot.as_str(), now, WISHES_MAX]).map(drop)
}

/// What waits for one person's confirmation, by topic.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of(tx: &mut Tx<'_>, subscriber_id: i64) -> Result<Vec<Wish>, StoreError> {
    const SQL: &str = "SELECT topic, slot FROM wishes WHERE subscriber_id = $1 ORDER BY topic";
    let row = |row: &Row| Ok(Wish { topic: row.text(0)?, slot: row.text(1)?.into() });
    tx.query(SQL, params![subscriber_id])?.iter().map(row).collect()
}

/// Takes a person's wishes away.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn clear(tx: &mut Tx<'_>, subscriber_id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM wishes WHERE subscriber_id = $1", params![subscriber_id]).map(drop)
}

/// Forgets wishes and moves that nobody confirmed since `before`, and those who had nothing else here. Returns how many people
/// were forgotten.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, before: UnixMillis) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM wishes WHERE asked_at < $1", params![before])?;
    tx.execute("DELETE FROM moves WHERE asked_at < $1", params![before])?;
    const STRANGERS: &str = "DELETE FROM subscribers WHERE confirmed_at IS NULL AND created_at < $1
         AND NOT EXISTS (SELECT 1 FROM wishes w WHERE w.subscriber_id = subscribers.id)
         AND NOT EXISTS (SELECT 1 FROM moves m WHERE m.subscriber_id = subscribers.id)";
    tx.execute(STRANGERS, params![before])
}

/// Notes that a subscriber's address is to become that of the provisional subscriber `id`, once that one confirms.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn put_move(tx: &mut Tx<'_>, id: i64, takes_over: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO moves (subscriber_id, takes_over, asked_at) VALUES ($1, $2, $3)
         ON CONFLICT (subscriber_id) DO UPDATE SET takes_over = excluded.takes_over, asked_at = excluded.asked_at";
    tx.execute(SQL, params![id, takes_over, now]).map(drop)
}

/// Whose new address this provisional subscriber's is.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn move_of(tx: &mut Tx<'_>, id: i64) -> Result<Option<i64>, StoreError> {
    let row = tx.query_opt("SELECT takes_over FROM moves WHERE subscriber_id = $1", params![id])?;
    row.map(|row| row.int(0)).transpose()
}

/// Ends whatever moves somebody has asked for: one at a time is open.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn end_moves(tx: &mut Tx<'_>, takes_over: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM moves WHERE takes_over = $1", params![takes_over]).map(drop)
}

/// Takes a move away.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn clear_move(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM moves WHERE subscriber_id = $1", params![id]).map(drop)
}
