//! What feeds ask for beside the newest posts: what was ever public, in the order in which it became so, and events.

use super::posts::{self, Filter, has_event_sql};
use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};

/// How many posts of a topic and language were ever public: withdrawn and expired ones keep their places, so that a window
/// of them stays what it is.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count_ever_public(tx: &mut Tx<'_>, filter: &Filter) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM posts p WHERE p.public_at IS NOT NULL
           AND (CAST($1 AS TEXT) IS NULL OR p.id IN (SELECT post_id FROM post_topics WHERE topic = $1))
           AND (CAST($2 AS TEXT) IS NULL OR p.language = $2 OR p.language LIKE $2 || '-%')";
    let row = tx.query_opt(SQL, params![filter.topic.as_deref(), filter.language.as_deref()])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The posts in these places of all that were ever public, the first that became so first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn window(tx: &mut Tx<'_>, filter: &Filter, offset: i64, limit: i64) -> Result<Vec<(Standing, Post)>, StoreError> {
    const SQL: &str = "SELECT p.id, p.revision FROM posts p WHERE p.public_at IS NOT NULL
           AND (CAST($1 AS TEXT) IS NULL OR p.id IN (SELECT post_id FROM post_topics WHERE topic = $1))
           AND (CAST($2 AS TEXT) IS NULL OR p.language = $2 OR p.language LIKE $2 || '-%')
         ORDER BY p.public_at, p.id LIMIT $3 OFFSET $4";
    let params = params![filter.topic.as_deref(), filter.language.as_deref(), limit, offset];
    let wanted = tx.query(SQL, params)?.iter().map(newest).collect::<Result<Vec<_>, _>>()?;
    posts::at_revisions(tx, &wanted)
}

/// Posts with an event that were published since `since`, the newest first: public ones, and those that were and were
/// withdrawn since `withdrawn_since`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn with_event(
    tx: &mut Tx<'_>,
    filter: &Filter,
    since: UnixMillis,
    withdrawn_since: UnixMillis,
    limit: i64,
) -> Result<Vec<(Standing, Post)>, StoreError> {
    const SQL: &str = concat!(
        "SELECT p.id, p.revision FROM revisions r CROSS JOIN posts p
         WHERE ",
        has_event_sql!(),
        " AND p.id = r.post_id AND p.revision = r.revision AND p.published_at >= $3 AND p.public_at IS NOT NULL
           AND ((p.withdrawn_at IS NULL AND p.expired_at IS NULL) OR p.withdrawn_at >= $4)
           AND (CAST($1 AS TEXT) IS NULL OR p.id IN (SELECT post_id FROM post_topics WHERE topic = $1))
           AND (CAST($2 AS TEXT) IS NULL OR p.language = $2 OR p.language LIKE $2 || '-%')
         ORDER BY p.published_at DESC, p.id DESC LIMIT $5"
    );
    let (topic, language) = (filter.topic.as_deref(), filter.language.as_deref());
    let params = params![topic, language, since, withdrawn_since, limit];
    let wanted = tx.query(SQL, params)?.iter().map(newest).collect::<Result<Vec<_>, _>>()?;
    posts::at_revisions(tx, &wanted)
}

fn newest(row: &Row) -> Result<(String, i64), StoreError> {
    Ok((row.text(0)?, row.int(1)?))
}
