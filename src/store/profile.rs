//! What somebody may set about themselves beside their subscriptions: a pause, the form of mail, their address, and leaving for good.

use super::subscribers::{Subscription, mark_sql, unsubscribe_schedule};
use super::value::{json, params};
use super::{Row, StoreError, Tx, batches, changes, corrections, occurrences, suppressions};
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::words;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// What follows a pause.
    Then {
        /// What came meanwhile is skipped.
        Skip = "skip",
        /// What came meanwhile comes as one issue.
        CatchUp = "catch_up",
    }
}

/// What is known of somebody beside their subscriptions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// When their address was confirmed.
    pub confirmed_at: Option<UnixMillis>,
    /// Until when nothing is planned for them, and what then.
    pub pause: Option<(UnixMillis, Then)>,
    /// Since when they may not be written to.
    pub suppressed_at: Option<UnixMillis>,
    /// When they moved to their present address.
    pub moved_at: Option<UnixMillis>,
}

/// The profile of a subscriber.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of(tx: &mut Tx<'_>, id: i64) -> Result<Option<Profile>, StoreError> {
    const SQL: &str =
        "SELECT confirmed_at, paused_until_at, pause_then, suppressed_at, moved_at FROM subscribers WHERE id = $1";
    let read = |row: Row| {
        let then = row.text_opt(2)?.as_deref().and_then(Then::from_word);
        let pause = row.at_opt(1)?.zip(then);
        let (confirmed_at, suppressed_at, moved_at) = (row.at_opt(0)?, row.at_opt(3)?, row.at_opt(4)?);
        Ok(Profile { confirmed_at, pause, suppressed_at, moved_at })
    };
    tx.query_opt(SQL, params![id])?.map(read).transpose()
}

/// Adds somebody whose address nobody has confirmed yet.
///
/// # Errors
/// [`StoreError`] from the database, also when the address is there already.
pub fn insert_stranger(tx: &mut Tx<'_>, subscriber: &Subscriber, now: UnixMillis) -> Result<(), StoreError> {
    super::subscribers::insert(tx, subscriber, now)?;
    const SQL: &str = "UPDATE subscribers SET confirmed_at = NULL WHERE id = $1";
    tx.change("leaving a subscriber unconfirmed", 1, SQL, params![subscriber.id])
}

/// The holder of the address has confirmed it, and is back if they had left.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_confirmed(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE subscribers SET confirmed_at = COALESCE(confirmed_at, $2), unsubscribed_at = NULL WHERE id = $1";
    tx.change("confirming a subscriber", 1, SQL, params![id, now])
}

/// Whether they want plain text alone. What may have arrived in the other form isn't sent again.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn set_text_only(tx: &mut Tx<'_>, id: i64, text_only: bool, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE subscribers SET text_only_at = CASE WHEN $2 = 1 THEN COALESCE(text_only_at, $3) END WHERE id = $1";
    tx.change("setting the form of mail", 1, SQL, params![id, i64::from(text_only), now])?;
    let_rest(tx, id, now)
}

/// Plans nothing for them until `until`. Their subscriptions take along how far they were searched, and no longer follow their
/// slots, which go on.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn pause(tx: &mut Tx<'_>, id: i64, until: UnixMillis, then: Then, now: UnixMillis) -> Result<(), StoreError> {
    const KEEP: &str = concat!(
        "UPDATE subscriptions AS s SET followed_at = NULL, mark = ",
        mark_sql!(),
        " FROM slots o WHERE s.subscriber_id = $1 AND o.slot = s.slot"
    );
    tx.execute(KEEP, params![id])?;
    const SQL: &str = "UPDATE subscribers SET paused_until_at = $2, pause_then = $3 WHERE id = $1";
    tx.change("pausing a subscriber", 1, SQL, params![id, until, then.word()])?;
    corrections::put_off(tx, id, until, now)
}

/// Ends a pause, as was chosen when it began: what came meanwhile is owed, or skipped. Returns `None` when there was none, and up
/// to which release all was skipped, if it was.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn resume(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<Option<Option<i64>>, StoreError> {
    let Some((_, then)) = of(tx, id)?.and_then(|profile| profile.pause) else { return Ok(None) };
    const SQL: &str = "UPDATE subscribers SET paused_until_at = NULL, pause_then = NULL WHERE id = $1";
    tx.change("ending a pause", 1, SQL, params![id])?;
    corrections::put_off(tx, id, now, now)?;
    match then {
        Then::Skip => {
            // Also when they change their language later, nothing of the pause comes.
            let head = changes::head(tx)?;
            const TO_HEAD: &str = "UPDATE subscriptions SET since = $2, mark = $2 WHERE subscriber_id = $1";
            tx.execute(TO_HEAD, params![id, head])?;
            Ok(Some(Some(head)))
        }
        Then::CatchUp => occurrences::fire_for(tx, id, now).map(|()| Some(None)),
    }
}

/// Those whose pause is over by `now`, up to `limit`.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn pauses_over(tx: &mut Tx<'_>, now: UnixMillis, limit: i64) -> Result<Vec<i64>, StoreError> {
    const SQL: &str = "SELECT id FROM subscribers WHERE paused_until_at <= $1 ORDER BY paused_until_at, id
         LIMIT $2 {skip locked}";
    tx.query(SQL, params![now, limit])?.iter().map(|row| row.int(0)).collect()
}

/// When the next pause is over.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn next_resume(tx: &mut Tx<'_>) -> Result<Option<UnixMillis>, StoreError> {
    const SQL: &str =
        "SELECT paused_until_at FROM subscribers WHERE paused_until_at IS NOT NULL ORDER BY paused_until_at LIMIT 1";
    tx.query_opt(SQL, &[])?.map(|row| row.at(0)).transpose()
}

/// A subscription as it was when somebody left, so that a day later it can be as if they hadn't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The topic.
    pub topic: String,
    /// The schedule, perhaps at an hour of their own.
    pub slot: String,
    /// Since when.
    pub since: i64,
    /// Up to here the search was done.
    pub mark: i64,
}

/// Ends every subscription, stops what was planned, and returns what there was. The caller has locked the subscriber.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn leave(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<Vec<Left>, StoreError> {
    let subscriptions = super::subscribers::subscriptions(tx, id)?;
    let mut schedules: Vec<&str> = subscriptions.iter().map(|subscription| subscription.slot.schedule()).collect();
    schedules.sort_unstable();
    schedules.dedup();
    for schedule in schedules {
        unsubscribe_schedule(tx, id, schedule, now)?;
    }
    const SQL: &str = "UPDATE subscribers SET unsubscribed_at = COALESCE(unsubscribed_at, $2) WHERE id = $1";
    tx.change("leaving altogether", 1, SQL, params![id, now])?;
    // Also whoever had no subscription any more may have mail in somebody's hands.
    changes::draw(tx, "departure", 1)?;
    Ok(subscriptions.into_iter().map(Left::from).collect())
}

impl From<Subscription> for Left {
    fn from(s: Subscription) -> Self {
        Self { topic: s.topic, slot: s.slot.as_str().to_owned(), since: s.since, mark: s.mark }
    }
}

/// Makes somebody's leaving at `left_at` undone: their subscriptions are as they were, what was stopped goes out, and what came
/// meanwhile is owed.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn come_back(
    tx: &mut Tx<'_>,
    id: i64,
    left: &[Left],
    left_at: UnixMillis,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE subscribers SET unsubscribed_at = NULL WHERE id = $1";
    tx.change("coming back", 1, SQL, params![id])?;
    for one in left {
        super::subscribers::subscribe(tx, id, &one.topic, &Slot::from(one.slot.clone()), now)?;
        const AS_BEFORE: &str = "UPDATE subscriptions SET since = $3, mark = $4, followed_at = NULL
             WHERE subscriber_id = $1 AND topic = $2";
        tx.change("restoring a subscription", 1, AS_BEFORE, params![id, &one.topic, one.since, one.mark])?;
    }
    // What leaving had stopped goes out after all.
    const REVIVE: &str = "UPDATE deliveries SET state = 'due', reason = NULL, due_at = $3, finished_at = NULL
         WHERE recipient_id = $1 AND state = 'cancelled' AND reason = 'unsubscribed' AND finished_at = $2
         RETURNING edition_id";
    // What is on its way still is tried again, if it comes to that.
    const NOT_STOPPED: &str = "UPDATE deliveries SET reason = 'answer_lost'
         WHERE state = 'uncertain' AND recipient_id = $1 AND reason = 'unsubscribed' AND finished_at = $2";
    tx.execute(NOT_STOPPED, params![id, left_at])?;
    let editions: Vec<i64> =
        tx.query(REVIVE, params![id, left_at, now])?.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
    const REOPEN: &str = "UPDATE editions SET closed_at = NULL, moved_at = NULL WHERE id IN {list $1: int}";
    tx.execute(REOPEN, &[json(&editions)?])?;
    occurrences::fire_for(tx, id, now)
}

/// Writes to somebody at another address from now on. Nobody else may have it. What is known of the old one stays with it, links
/// that were mailed there end, and what may have arrived there isn't sent again.
///
/// # Errors
/// [`StoreError`] from the database, also when the address is somebody's.
pub fn set_address(tx: &mut Tx<'_>, id: i64, address: &Address, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str =
        "UPDATE subscribers SET address = $2, address_key = $3, domain = $4, suppressed_at = NULL, moved_at = $5
         WHERE id = $1";
    let params = params![id, address.as_str(), address.key(), address.domain(), now];
    tx.change("changing an address", 1, SQL, params)?;
    tx.execute("DELETE FROM bounces WHERE subscriber_id = $1", params![id])?;
    tx.execute("UPDATE suppressions SET subscriber_id = NULL WHERE subscriber_id = $1", params![id])?;
    let_rest(tx, id, now)?;
    suppressions::inherit(tx, id, address).map(drop)
}

/// Lets everything that may have arrived rest: a repeat would have other bytes or another recipient (design rule 13). That is also
/// what is on its way now, should its answer be lost; should it say that nothing arrived, it is sent anew. What lies ready as it was
/// before is taken back, so that from now on nothing begins to be sent that way.
fn let_rest(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<(), StoreError> {
    batches::look::part_claimed(tx, id, now)?;
    // One by one, since each state has an index of its own.
    const UNCERTAIN: &str = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = $2
         WHERE state = 'uncertain' AND recipient_id = $1 AND finished_at IS NULL";
    const TAKEN: &str = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = $2, state = 'uncertain',
             reason = 'answer_lost', uncertain_at = COALESCE(uncertain_at, $2)
         WHERE state IN ('claimed', 'sending') AND recipient_id = $1 AND (state = 'sending' OR uncertain_at IS NOT NULL)";
    const WAITING: &str = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = $2, state = 'uncertain',
             reason = 'answer_lost'
         WHERE state = 'due' AND recipient_id = $1 AND uncertain_at IS NOT NULL";
    for sql in [UNCERTAIN, TAKEN, WAITING] {
        tx.execute(sql, params![id, now])?;
    }
    const BACK: &str = "UPDATE deliveries SET state = 'due', reason = 'handed_back'
         WHERE state IN ('claimed', 'sending') AND state = 'claimed' AND recipient_id = $1";
    tx.execute(BACK, params![id]).map(drop)
}

/// Marks somebody who has no subscription any more as gone altogether, so that no list brings them back.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn mark_gone(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE subscribers SET unsubscribed_at = COALESCE(unsubscribed_at, $2) WHERE id = $1
         AND NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.subscriber_id = $1)";
    if tx.execute(SQL, params![id, now])? > 0 {
        changes::draw(tx, "departure", 1)?;
    }
    Ok(())
}

/// Removes somebody with everything that names them. The ledger's rows stay, which know their number only. They have left
/// before, so that nothing of theirs is on its way.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn erase(tx: &mut Tx<'_>, id: i64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM subscriptions WHERE subscriber_id = $1",
        "DELETE FROM wishes WHERE subscriber_id = $1",
        "DELETE FROM moves WHERE subscriber_id = $1 OR takes_over = $1",
        "DELETE FROM bounces WHERE subscriber_id = $1",
        "DELETE FROM notices WHERE subscriber_id = $1",
    ] {
        tx.execute(sql, params![id])?;
    }
    tx.change("erasing a subscriber", 1, "DELETE FROM subscribers WHERE id = $1", params![id])
}
