//! Large sends that wait because receivers would refuse their sender's mail: each has a hold of its own, `plan:ID/SENDER`, and what
//! waits of it isn't due for a while. When that is over it is looked at again, so nothing waits longer than it must, even if
//! the process that kept it back is gone.

use super::value::{json, params};
use super::{Row, StoreError, Tx, destinations, identity};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Batches at the head of the queue that are looked at in one go: as many as one claim picks.
const LOOKED_AT: i64 = 64;
/// How long a send rests that is still being planned, and isn't large yet.
const PLANNING_REST: Duration = Duration::from_secs(1);
/// What is kept back rests no longer than this before it is looked at again.
pub const REST: Duration = Duration::from_secs(180);
/// What stands before the scope of a send's hold.
const SCOPE: &str = "plan:";
/// What stands before the fact that an operator let a send go.
const LET_GO: &str = "let_go ";

/// The mail of one sender in one plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mailing {
    /// The plan.
    pub plan_id: i64,
    /// The sender's name.
    pub sender: String,
}

impl Mailing {
    /// The scope of its hold.
    #[must_use]
    pub fn scope(&self) -> String {
        format!("{SCOPE}{}/{}", self.plan_id, self.sender)
    }

    /// Reads a scope.
    #[must_use]
    pub fn from_scope(scope: &str) -> Option<Self> {
        let (plan_id, sender) = scope.strip_prefix(SCOPE)?.split_once('/')?;
        Some(Self { plan_id: plan_id.parse().ok()?, sender: sender.to_owned() })
    }
}

/// Which sends are kept back.
pub struct Wanted<'a> {
    /// The destination that is about to be claimed from.
    pub destination: &'a str,
    /// Senders whose mail to many would be refused, with the reason.
    pub refused: &'a BTreeMap<String, String>,
    /// A send to more recipients is large.
    pub large: i64,
    /// Until when it rests, unless the hold ends before.
    pub until: UnixMillis,
}

/// Keeps back what stands at the head of the queue of a destination and belongs to a large send of these senders. What
/// people wait for themselves goes on. Returns the sends that were kept back.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn keep_back(tx: &mut Tx<'_>, wanted: &Wanted<'_>, now: UnixMillis) -> Result<BTreeSet<Mailing>, StoreError> {
    let (mut kept, mut waiting) = (BTreeSet::new(), BTreeSet::new());
    for lane in Lane::ALL.iter().filter(|lane| **lane != Lane::Transactional) {
        let mut free = BTreeSet::new();
        loop {
            let heads = heads(tx, wanted, *lane, now)?;
            let unknown: Vec<Mailing> = heads.into_iter().filter(|mailing| !free.contains(mailing)).collect();
            if unknown.is_empty() {
                break;
            }
            for mailing in unknown {
                if kept.contains(&mailing) || is_let_go(tx, &mailing)? {
                    free.insert(mailing);
                    continue;
                }
                let size = size(tx, &mailing)?;
                // What was kept back once isn't at the head again, or else the loop would never end.
                let is_small = size <= wanted.large;
                if is_small && is_being_planned(tx, &mailing)? && !waiting.contains(&mailing) {
                    // It may still grow.
                    rest(tx, &mailing, wanted.destination, now.plus(PLANNING_REST))?;
                    waiting.insert(mailing);
                    continue;
                }
                if is_small {
                    free.insert(mailing);
                    continue;
                }
                let reason = wanted.refused.get(&mailing.sender).map_or("", String::as_str);
                hold(tx, &mailing, &format!("{size} mails by `{}` wait: {reason}", mailing.sender), now)?;
                rest(tx, &mailing, wanted.destination, wanted.until)?;
                kept.insert(mailing);
            }
        }
        rest_rows(tx, wanted, *lane, now)?;
    }
    Ok(kept)
}

/// The sends of these senders that the next claim would take from.
fn heads(tx: &mut Tx<'_>, wanted: &Wanted<'_>, lane: Lane, now: UnixMillis) -> Result<BTreeSet<Mailing>, StoreError> {
    const SQL: &str = "SELECT h.plan_id, e.sender FROM (SELECT b.plan_id, b.edition_id FROM batches b
             WHERE b.state = 'due' AND b.destination = $1 AND b.lane = $2 AND b.due_at <= $3
             ORDER BY b.due_at, b.plan_id, b.number LIMIT $4) h
         JOIN editions e ON e.id = h.edition_id";
    let rows = tx.query(SQL, params![wanted.destination, lane.word(), now, LOOKED_AT])?;
    let mailing = |row: &Row| Ok(Mailing { plan_id: row.int(0)?, sender: row.text(1)? });
    let mut heads = rows.iter().map(mailing).collect::<Result<BTreeSet<Mailing>, StoreError>>()?;
    heads.retain(|mailing| wanted.refused.contains_key(&mailing.sender));
    Ok(heads)
}

/// How many deliveries a send has, wherever they are kept.
fn size(tx: &mut Tx<'_>, mailing: &Mailing) -> Result<i64, StoreError> {
    const BATCHES: &str = "SELECT CAST(COALESCE(SUM(b.size - b.own_count), 0) AS BIGINT) FROM batches b
         JOIN editions e ON e.id = b.edition_id WHERE b.plan_id = $1 AND e.sender = $2";
    const ROWS: &str = "SELECT COUNT(*) FROM deliveries d JOIN editions e ON e.id = d.edition_id
         WHERE d.plan_id = $1 AND e.sender = $2";
    let mut size = 0;
    for sql in [BATCHES, ROWS] {
        size += tx.query_opt(sql, params![mailing.plan_id, &mailing.sender])?.map_or(Ok(0), |row| row.int(0))?;
    }
    Ok(size)
}

fn hold(tx: &mut Tx<'_>, mailing: &Mailing, reason: &str, now: UnixMillis) -> Result<(), StoreError> {
    // Since when it waits isn't changed by a second look.
    const SQL: &str = "INSERT INTO holds (scope, reason, since_at) VALUES ($1, $2, $3)
         ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason";
    tx.change("keeping a large mailing back", 1, SQL, params![mailing.scope(), reason, now])
}

/// What waits of a send here in batches isn't due for a while. Other destinations do the same for themselves, so that nobody
/// waits for anybody's rows.
fn rest(tx: &mut Tx<'_>, mailing: &Mailing, destination: &str, until: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE batches SET due_at = $3
         WHERE plan_id = $1 AND state = 'due' AND due_at < $3 AND destination = $4
           AND edition_id IN (SELECT id FROM editions WHERE plan_id = $1 AND sender = $2)";
    tx.execute(SQL, params![mailing.plan_id, &mailing.sender, until, destination]).map(drop)
}

/// Likewise what has rows of its own, unless an operator asked for it or it may have arrived already.
fn rest_rows(tx: &mut Tx<'_>, wanted: &Wanted<'_>, lane: Lane, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE deliveries SET due_at = $4 WHERE state = 'due' AND destination = $1 AND lane = $2
           AND due_at <= $3 AND uncertain_at IS NULL AND COALESCE(reason, '') <> 'operator'
           AND EXISTS (SELECT 1 FROM editions e JOIN holds h
                 ON h.scope = 'plan:' || CAST(e.plan_id AS TEXT) || '/' || e.sender
               WHERE e.id = deliveries.edition_id AND e.sender IN {list $5: text})";
    let refused: Vec<&String> = wanted.refused.keys().collect();
    tx.execute(SQL, &[wanted.destination.into(), lane.word().into(), now.into(), wanted.until.into(), json(&refused)?])
        .map(drop)
}

fn is_let_go(tx: &mut Tx<'_>, mailing: &Mailing) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT 1 FROM facts WHERE name = $1", params![fact(mailing)])?.is_some())
}

/// The fact that a send was let go.
fn fact(mailing: &Mailing) -> String {
    format!("{LET_GO}{}", mailing.scope())
}

/// The sends that are kept back.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn kept_back(tx: &mut Tx<'_>) -> Result<Vec<Mailing>, StoreError> {
    Ok(destinations::holds(tx)?.into_iter().filter_map(|(scope, ..)| Mailing::from_scope(&scope)).collect())
}

/// The sends that an operator let go and that may not be over.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn let_go_before(tx: &mut Tx<'_>) -> Result<Vec<Mailing>, StoreError> {
    let mut mailings = Vec::new();
    for row in tx.query("SELECT name FROM facts WHERE name LIKE 'let_go %'", &[])? {
        mailings.extend(row.text(0)?.strip_prefix(LET_GO).and_then(Mailing::from_scope));
    }
    Ok(mailings)
}

/// Lets go what was kept back because of senders that aren't `refused` any more, and forgets the holds of sends of which
/// nothing waits. Returns the sends that go on.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn review(tx: &mut Tx<'_>, refused: &BTreeSet<String>, now: UnixMillis) -> Result<Vec<Mailing>, StoreError> {
    let mut gone_on = Vec::new();
    for mailing in kept_back(tx)? {
        if !refused.contains(&mailing.sender) {
            go_on(tx, &mailing, now)?;
            gone_on.push(mailing);
        } else if !is_open(tx, &mailing)? {
            destinations::release_hold(tx, &mailing.scope())?;
        }
    }
    for mailing in let_go_before(tx)? {
        if !is_open(tx, &mailing)? {
            tx.execute("DELETE FROM facts WHERE name = $1", params![fact(&mailing)])?;
        }
    }
    Ok(gone_on)
}

/// An operator lets a send go as it is: it isn't kept back again. Returns whether it was kept back.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn let_go(tx: &mut Tx<'_>, mailing: &Mailing, now: UnixMillis) -> Result<bool, StoreError> {
    identity::set_fact(tx, &fact(mailing), "by an operator")?;
    go_on(tx, mailing, now)
}

fn go_on(tx: &mut Tx<'_>, mailing: &Mailing, now: UnixMillis) -> Result<bool, StoreError> {
    // What lies further ahead waits for something else: a night, or the end of a pause.
    const BATCHES: &str =
        "UPDATE batches SET due_at = $3 WHERE plan_id = $1 AND state = 'due' AND due_at > $3 AND due_at <= $4
         AND edition_id IN (SELECT id FROM editions WHERE plan_id = $1 AND sender = $2)";
    let was_on = destinations::release_hold(tx, &mailing.scope())?;
    // Rows keep their instant: it may be that of a retry, and it is soon.
    tx.execute(BATCHES, params![mailing.plan_id, &mailing.sender, now, now.plus(REST)])?;
    Ok(was_on)
}

/// Whether anything of a send waits, or may still be planned.
fn is_open(tx: &mut Tx<'_>, mailing: &Mailing) -> Result<bool, StoreError> {
    const WAITING: [&str; 2] = [
        "SELECT 1 FROM batches b JOIN editions e ON e.id = b.edition_id
         WHERE b.plan_id = $1 AND e.sender = $2 AND b.state IN ('due', 'claimed') LIMIT 1",
        "SELECT 1 FROM deliveries d JOIN editions e ON e.id = d.edition_id
         WHERE d.plan_id = $1 AND e.sender = $2 AND d.state IN ('due', 'claimed', 'sending') LIMIT 1",
    ];
    for sql in WAITING {
        if tx.query_opt(sql, params![mailing.plan_id, &mailing.sender])?.is_some() {
            return Ok(true);
        }
    }
    is_being_planned(tx, mailing)
}

/// Whether more may be planned of a send.
fn is_being_planned(tx: &mut Tx<'_>, mailing: &Mailing) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM occurrences WHERE id = $1 AND planned_at IS NULL";
    Ok(tx.query_opt(SQL, params![mailing.plan_id])?.is_some())
}
