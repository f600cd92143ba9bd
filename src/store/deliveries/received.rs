//! What one person was sent and is to be sent, page by page, wherever the delivery is kept.

use super::look::{Listed, listed, listed_member, listed_sql};
use super::{Attempt, attempts};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::store::batches::look;
use crate::store::value::params;
use crate::store::{StoreError, Tx, posts};
use serde::Serialize;

/// Titles of one delivery that are told.
const TITLES_MAX: i64 = 3;

/// Where the next page begins: after the delivery that was planned then, of this plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// When the last one of the page before was planned.
    pub planned_at: UnixMillis,
    /// Its plan.
    pub plan_id: i64,
}

/// A delivery with what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Received {
    /// The delivery.
    #[serde(flatten)]
    pub listed: Listed,
    /// By which way it goes: a group of relays, or an account.
    pub destination: String,
    /// What it is: an issue, a confirmation, a notice.
    pub kind: String,
    /// The first titles in it.
    pub titles: Vec<String>,
    /// How many posts are in it.
    pub posts: i64,
    /// What was tried, oldest first.
    pub tries: Vec<Attempt>,
}

/// Deliveries of one recipient, newest plan first, `limit` at most.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of_recipient(
    tx: &mut Tx<'_>,
    recipient_id: i64,
    before: Option<Before>,
    limit: usize,
) -> Result<Vec<Listed>, StoreError> {
    const SQL: &str = listed_sql!(
        "WHERE d.recipient_id = $1 AND d.planned_at <= $2 AND (d.planned_at < $2 OR d.plan_id < $3)
         ORDER BY d.planned_at DESC, d.plan_id DESC LIMIT $4"
    );
    let Before { planned_at, plan_id } =
        before.unwrap_or(Before { planned_at: UnixMillis(i64::MAX), plan_id: i64::MAX });
    let rows = tx.query(SQL, params![recipient_id, planned_at, plan_id, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut all: Vec<(i64, Listed)> =
        rows.iter().map(|row| Ok((row.int(0)?, listed(row)?))).collect::<Result<_, StoreError>>()?;
    for member in look::of_recipient_before(tx, recipient_id, (planned_at, plan_id), limit)? {
        all.push((member.batch.key.plan_id, listed_member(tx, &member)?));
    }
    all.sort_by_key(|(plan_id, one)| std::cmp::Reverse((one.planned_at, *plan_id)));
    all.truncate(limit);
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

/// A delivery with its edition's titles, its way and its attempts.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn told(tx: &mut Tx<'_>, listed: Listed) -> Result<Received, StoreError> {
    const EDITION: &str = "SELECT kind, (SELECT COUNT(*) FROM edition_items i WHERE i.edition_id = e.id)
         FROM editions e WHERE e.id = $1";
    const ITEMS: &str = "SELECT post_id FROM edition_items WHERE edition_id = $1 ORDER BY position LIMIT $2";
    let key = key_of(&listed)?;
    let row = tx.query_opt(EDITION, params![listed.edition_id])?;
    let (kind, count) =
        row.map_or_else(|| Ok((String::new(), 0)), |row| Ok::<_, StoreError>((row.text(0)?, row.int(1)?)))?;
    let mut titles = Vec::new();
    for row in tx.query(ITEMS, params![listed.edition_id, TITLES_MAX])? {
        titles.extend(posts::find(tx, &row.text(0)?)?.map(|(_, post)| post.title.as_str().to_owned()));
    }
    Ok(Received { destination: destination(tx, &key)?, kind, titles, posts: count, tries: attempts(tx, &key)?, listed })
}

fn key_of(listed: &Listed) -> Result<DeliveryKey, StoreError> {
    DeliveryKey::parse(&listed.id).ok_or_else(|| StoreError::Shape("the id of a delivery".to_owned()))
}

fn destination(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<String, StoreError> {
    const OWN: &str = "SELECT destination FROM deliveries WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3";
    if let Some(row) = tx.query_opt(OWN, params![key.plan_id, key.recipient_id, &key.carrier])? {
        return row.text(0);
    }
    let member = look::find(tx, key.plan_id, key.recipient_id, &key.carrier)?;
    Ok(member.map(|member| member.batch.destination).unwrap_or_default())
}
