//! Subscribers and their subscriptions.

use super::changes;
use super::value::{json, params};
use super::{Row, StoreError, Tx, batches, suppressions};
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::text::CleanText;
use std::collections::HashMap;

/// A recipient × topic, with a schedule and a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The schedule, perhaps at the reader's own hour.
    pub slot: Slot,
    /// The head when it began: nothing older is owed through it.
    pub since: i64,
    /// Up to here the search is done.
    pub mark: i64,
}

/// Up to where the search of a subscription `s` in its slot `o` is done: its own mark, or its slot's where that has
/// gone further since the subscription was planned with it.
macro_rules! mark_sql {
    () => {
        "CASE WHEN s.followed_at IS NOT NULL AND s.mark < o.searched THEN o.searched ELSE s.mark END"
    };
}
pub(super) use mark_sql;

macro_rules! subscriber_sql {
    ($rest:literal) => {
        concat!("SELECT id, address, name, language, unsubscribed_at, text_only_at FROM subscribers ", $rest)
    };
}

fn read(row: &Row) -> Result<Subscriber, StoreError> {
    Ok(Subscriber {
        id: row.int(0)?,
        address: row.parse(1, |raw| Address::parse(raw).ok())?,
        name: row.text_opt(2)?.as_deref().map(CleanText::new),
        language: row.parse(3, |tag| Language::parse(tag).ok())?,
        unsubscribed_at: row.at_opt(4)?,
        text_only: row.at_opt(5)?.is_some(),
    })
}

/// The subscriber with this address, whatever its case.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn by_address(tx: &mut Tx<'_>, address: &Address) -> Result<Option<Subscriber>, StoreError> {
    const SQL: &str = subscriber_sql!("WHERE address_key = $1");
    tx.query_opt(SQL, params![address.key()])?.as_ref().map(read).transpose()
}

/// A subscriber by id.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, id: i64) -> Result<Option<Subscriber>, StoreError> {
    tx.query_opt(subscriber_sql!("WHERE id = $1"), params![id])?.as_ref().map(read).transpose()
}

/// A subscriber by id, locked: planning locks it too, so what follows is seen by it whole or not at all.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn lock(tx: &mut Tx<'_>, id: i64) -> Result<Option<Subscriber>, StoreError> {
    const SQL: &str = subscriber_sql!("WHERE id = $1 {for update}");
    tx.query_opt(SQL, params![id])?.as_ref().map(read).transpose()
}

/// Those of `ids` who may be written to.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn active(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<Subscriber>, StoreError> {
    const SQL: &str =
        subscriber_sql!("WHERE id IN {list $1: int} AND unsubscribed_at IS NULL AND suppressed_at IS NULL");
    of_list(tx, SQL, ids)
}

/// Those of `ids` who may get an answer to what they asked for, also when they have left: a confirmation, their own link.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn reachable(tx: &mut Tx<'_>, ids: &[i64]) -> Result<Vec<Subscriber>, StoreError> {
    of_list(tx, subscriber_sql!("WHERE id IN {list $1: int} AND suppressed_at IS NULL"), ids)
}

fn of_list(tx: &mut Tx<'_>, sql: &'static str, ids: &[i64]) -> Result<Vec<Subscriber>, StoreError> {
    let mut active = Vec::with_capacity(ids.len());
    let mut languages: HashMap<String, Language> = HashMap::new();
    tx.each(sql, &[json(ids)?], &mut |row| {
        let tag = row.text(3)?;
        let language = match languages.get(tag) {
            Some(known) => known.clone(),
            None => {
                let language = Language::parse(tag).map_err(|e| StoreError::Shape(e.to_string()))?;
                languages.entry(tag.to_owned()).or_insert(language).clone()
            }
        };
        let address = Address::stored(row.text(1)?).map_err(|e| StoreError::Shape(e.to_string()))?;
        let name = row.text_opt(2)?.map(CleanText::new);
        let unsubscribed_at = row.int_opt(4)?.map(UnixMillis);
        let text_only = row.int_opt(5)?.is_some();
        active.push(Subscriber { id: row.int(0)?, address, name, language, text_only, unsubscribed_at });
        Ok(())
    })?;
    Ok(active)
}

/// Subscribers in id order, from after `after`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn page(tx: &mut Tx<'_>, after: i64, limit: i64) -> Result<Vec<Subscriber>, StoreError> {
    const SQL: &str = subscriber_sql!("WHERE id > $1 ORDER BY id LIMIT $2");
    tx.query(SQL, params![after, limit])?.iter().map(read).collect()
}

/// The same with what each of them takes.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn page_with_topics(
    tx: &mut Tx<'_>,
    after: i64,
    limit: i64,
) -> Result<Vec<(Subscriber, Vec<Subscription>)>, StoreError> {
    page(tx, after, limit)?
        .into_iter()
        .map(|person| {
            let theirs = subscriptions(tx, person.id)?;
            Ok((person, theirs))
        })
        .collect()
}

/// Adds a subscriber whose address is confirmed, or vouched for by an operator's list; the id is the caller's random draw.
///
/// # Errors
/// [`StoreError`] from the database, also when the address is there already.
pub fn insert(tx: &mut Tx<'_>, subscriber: &Subscriber, now: UnixMillis) -> Result<(), StoreError> {
    tx.change(
        "adding a subscriber",
        1,
        "INSERT INTO subscribers (id, address, address_key, domain, name, language, created_at, confirmed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        params![
            subscriber.id,
            subscriber.address.as_str(),
            subscriber.address.key(),
            subscriber.address.domain(),
            subscriber.name.as_ref().map(CleanText::as_str),
            subscriber.language.as_str(),
            now,
        ],
    )?;
    // Whoever comes back by a list is no better reached than before.
    suppressions::inherit(tx, subscriber.id, &subscriber.address).map(drop)
}

/// Changes name and language. In the new language everything since the subscription began is searched anew, since
/// release sequences differ by language; what was given already the ledger knows.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_language(tx: &mut Tx<'_>, id: i64, language: &Language) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE subscribers SET language = $2 WHERE id = $1";
    tx.change("setting a subscriber's language", 1, SQL, params![id, language.as_str()])?;
    const ANEW: &str = "UPDATE subscriptions SET mark = since, followed_at = NULL WHERE subscriber_id = $1";
    tx.execute(ANEW, params![id])?;
    Ok(())
}

/// The subscriptions of one subscriber.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn subscriptions(tx: &mut Tx<'_>, id: i64) -> Result<Vec<Subscription>, StoreError> {
    const SQL: &str = concat!(
        "SELECT s.topic, s.slot, s.since, ",
        mark_sql!(),
        " FROM subscriptions s JOIN slots o ON o.slot = s.slot WHERE s.subscriber_id = $1 ORDER BY s.topic"
    );
    let row = |row: &Row| {
        Ok(Subscription { topic: row.text(0)?, slot: row.text(1)?.into(), since: row.int(2)?, mark: row.int(3)? })
    };
    tx.query(SQL, params![id])?.iter().map(row).collect()
}

/// Subscribes to a topic, or changes the schedule of a subscription that is there. A new one begins at the head;
/// a change of schedule or hour keeps what is owed.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn subscribe(tx: &mut Tx<'_>, id: i64, topic: &str, slot: &Slot, now: UnixMillis) -> Result<(), StoreError> {
    let head = changes::head(tx)?;
    ensure_slot(tx, slot, head, now)?;
    // It takes along how far the slot that it leaves has searched for it.
    const KEEP: &str = concat!(
        "UPDATE subscriptions AS s SET mark = ",
        mark_sql!(),
        " FROM slots o WHERE s.subscriber_id = $1 AND s.topic = $2 AND o.slot = s.slot"
    );
    tx.execute(KEEP, params![id, topic])?;
    tx.change(
        "subscribing",
        1,
        "INSERT INTO subscriptions (subscriber_id, topic, schedule, slot, since, mark, created_at)
         VALUES ($1, $2, $3, $4, $5, $5, $6)
         ON CONFLICT (subscriber_id, topic) DO UPDATE SET schedule = excluded.schedule, slot = excluded.slot,
             followed_at = NULL",
        params![id, topic, slot.schedule(), slot.as_str(), head, now],
    )
}

/// Makes the row of a slot that somebody chose for the first time: it fires from `now` on.
fn ensure_slot(tx: &mut Tx<'_>, slot: &Slot, head: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str =
        "INSERT INTO slots (slot, line, considered_at, bound) VALUES ($1, '', $2, $3) ON CONFLICT (slot) DO NOTHING";
    tx.execute(SQL, params![slot.as_str(), now, head])?;
    Ok(())
}

/// Ends one subscription. What was planned for it already goes out.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn unsubscribe_topic(tx: &mut Tx<'_>, id: i64, topic: &str) -> Result<bool, StoreError> {
    const SQL: &str = "DELETE FROM subscriptions WHERE subscriber_id = $1 AND topic = $2";
    Ok(tx.execute(SQL, params![id, topic])? > 0)
}

/// Ends all subscriptions of a schedule and stops what was planned for it. What is on its way isn't tried again.
/// The caller has locked the subscriber.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn unsubscribe_schedule(tx: &mut Tx<'_>, id: i64, schedule: &str, now: UnixMillis) -> Result<u64, StoreError> {
    const SQL: &str = "DELETE FROM subscriptions WHERE subscriber_id = $1 AND schedule = $2";
    let ended = tx.execute(SQL, params![id, schedule])?;
    const CANCEL: &str = "UPDATE deliveries SET state = 'cancelled', reason = 'unsubscribed', finished_at = $3
         WHERE recipient_id = $1 AND state IN ('due', 'claimed') AND edition_id IN
             (SELECT id FROM editions WHERE schedule = $2 AND closed_at IS NULL)
           AND plan_id IN (SELECT plan_id FROM editions WHERE schedule = $2 AND closed_at IS NULL)";
    // Nor are they told that they agreed to it.
    const TOLD: &str = "UPDATE deliveries SET state = 'cancelled', reason = 'unsubscribed', finished_at = $3
         WHERE recipient_id = $1 AND state IN ('due', 'claimed') AND lane = 'transactional' AND edition_id IN
             (SELECT id FROM editions WHERE kind IN ('granted', 'reminder') AND closed_at IS NULL
                AND schedule LIKE 'service:' || $2 || '@%')";
    tx.execute(TOLD, params![id, schedule, now])?;
    batches::look::part_open(tx, schedule, id, now)?;
    tx.execute(CANCEL, params![id, schedule, now])?;
    // What may have arrived isn't sent again; it stays uncertain for good.
    const KEEP: &str = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = $3
         WHERE recipient_id = $1 AND state = 'uncertain' AND finished_at IS NULL
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.schedule = $2)";
    tx.execute(KEEP, params![id, schedule, now])?;
    stop_on_its_way(tx, id, schedule, now)?;
    changes::draw(tx, "departure", 1)?;
    Ok(ended)
}

/// What is on its way in a schedule that somebody leaves is settled by its answer, and not tried again: it rests until then, under
/// a reason by which an answer that says "later" cancels it (`deliveries::record`).
fn stop_on_its_way(tx: &mut Tx<'_>, id: i64, schedule: &str, now: UnixMillis) -> Result<(), StoreError> {
    const REST: &str = "UPDATE deliveries SET state = 'uncertain', reason = 'unsubscribed', finished_at = $3,
             due_at = 9223372036854775807, uncertain_at = COALESCE(uncertain_at, $3)
         WHERE state IN ('claimed', 'sending') AND state = 'sending' AND recipient_id = $1
           AND EXISTS (SELECT 1 FROM editions e WHERE e.id = deliveries.edition_id AND e.schedule = $2)";
    tx.execute(REST, params![id, schedule, now]).map(drop)
}

/// Subscribers and subscriptions in numbers.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT COUNT(*) FROM subscribers WHERE unsubscribed_at IS NULL", &[])?;
    row.map_or(Ok(0), |row| row.int(0))
}
