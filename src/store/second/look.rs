//! Sends that wait for a second person, for those who decide.

use super::{plan_of, scope};
use crate::domain::clock::UnixMillis;
use crate::store::value::params;
use crate::store::{Row, StoreError, Tx, destinations};

/// Editions of a waiting send that somebody is shown at most.
const EDITIONS_MAX: i64 = 20;
/// Posts of a waiting send that somebody is shown at most.
const POSTS_MAX: i64 = 50;

/// A send that waits for a second person.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// The plan.
    pub plan_id: i64,
    /// `immediate`, the digest's name, or `correction`.
    pub schedule: String,
    /// How many it goes to, as far as it is planned.
    pub recipients: i64,
    /// Whether it is planned to the end.
    pub is_planned: bool,
    /// Why it waits.
    pub reason: String,
    /// Since when.
    pub since_at: UnixMillis,
    /// Some of its editions: id, language and kind.
    pub editions: Vec<(i64, String, String)>,
    /// Some of its posts.
    pub posts: Vec<Held>,
}

/// A post in a send that waits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// The post.
    pub post_id: String,
    /// The revision that would go out.
    pub revision: i64,
    /// Where it came from.
    pub source: String,
}

/// The sends that wait for a second person, those that have waited longest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn waiting(tx: &mut Tx<'_>) -> Result<Vec<Waiting>, StoreError> {
    let mut holds = destinations::holds(tx)?;
    holds.sort_by_key(|(_, _, since)| *since);
    let mut waiting = Vec::new();
    for (scope, reason, since_at) in holds {
        if let Some(plan) = plan_of(&scope) {
            waiting.extend(look(tx, plan, reason, since_at)?);
        }
    }
    Ok(waiting)
}

/// One of them.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, plan: i64) -> Result<Option<Waiting>, StoreError> {
    let row = tx.query_opt("SELECT reason, since_at FROM holds WHERE scope = $1", params![scope(plan)])?;
    row.map_or(Ok(None), |row| look(tx, plan, row.text(0)?, row.at(1)?))
}

fn look(tx: &mut Tx<'_>, plan_id: i64, reason: String, since_at: UnixMillis) -> Result<Option<Waiting>, StoreError> {
    const PLAN: &str = "SELECT schedule, planned, planned_at FROM occurrences WHERE id = $1";
    const EDITIONS: &str = "SELECT id, language, kind FROM editions WHERE plan_id = $1 AND replaced_at IS NULL
         ORDER BY created_at, id LIMIT $2";
    const POSTS: &str = "SELECT DISTINCT p.id, i.revision, p.source FROM editions e JOIN edition_items i ON i.edition_id = e.id
         JOIN posts p ON p.id = i.post_id WHERE e.plan_id = $1 AND e.replaced_at IS NULL ORDER BY p.id, i.revision LIMIT $2";
    let Some(row) = tx.query_opt(PLAN, params![plan_id])? else { return Ok(None) };
    let edition = |row: &Row| Ok((row.int(0)?, row.text(1)?, row.text(2)?));
    let rows = tx.query(EDITIONS, params![plan_id, EDITIONS_MAX])?;
    let editions = rows.iter().map(edition).collect::<Result<_, StoreError>>()?;
    let post = |row: &Row| Ok(Held { post_id: row.text(0)?, revision: row.int(1)?, source: row.text(2)? });
    let posts = tx.query(POSTS, params![plan_id, POSTS_MAX])?.iter().map(post).collect::<Result<_, StoreError>>()?;
    Ok(Some(Waiting {
        plan_id,
        schedule: row.text(0)?,
        recipients: row.int(1)?,
        is_planned: row.at_opt(2)?.is_some(),
        reason,
        since_at,
        editions,
        posts,
    }))
}
