//! Sends that wait for a second person: large ones, and urgent ones, where the settings say so. As with sends that receivers would
//! refuse ([`super::large`]) each has a hold of its own, here `second:PLAN`, and what waits of it isn't due for a while. It is decided
//! anew by every claim, in its transaction, so that neither a restart nor a second process lets anything pass.

mod look;

pub use look::{Held, Waiting, find, waiting};

use super::value::params;
use super::{StoreError, Tx, batches, destinations, identity, large};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Lane, Reason};
use std::collections::BTreeSet;
use std::time::Duration;

/// Batches at the head of the queue that are looked at in one go: as many as one claim picks.
const BATCHES_LOOKED_AT: i64 = 64;
/// Rows likewise: more than a desk has room for.
const ROWS_LOOKED_AT: i64 = 10_000;
/// How long a send rests that is still being planned, and isn't large yet.
const PLANNING_REST: Duration = Duration::from_secs(1);
/// An approval is remembered for so long; whoever sends again what failed later than that asks again.
const APPROVAL_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// What stands before the plan in the scope of its hold.
const SCOPE: &str = "second:";
/// What stands before the fact that a plan was approved.
const APPROVED: &str = "second_person ";

/// Which sends wait for a second person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Those to more recipients than this.
    pub over: Option<i64>,
    /// Urgent ones.
    pub urgent: bool,
}

impl Rule {
    /// Whether no send waits.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.over.is_none() && !self.urgent
    }
}

/// The scope of a plan's hold.
#[must_use]
pub fn scope(plan_id: i64) -> String {
    format!("{SCOPE}{plan_id}")
}

/// The plan that such a scope names.
#[must_use]
pub fn plan_of(scope: &str) -> Option<i64> {
    scope.strip_prefix(SCOPE)?.parse().ok()
}

/// What is known of a plan at a claim.
enum Standing {
    Free,
    /// It may still grow.
    Unsure,
    /// It waits, for this reason.
    Waits(String),
}

/// Keeps back what stands at the head of the queue of a destination and waits for a second person. What people wait for
/// themselves (confirmations, links) goes on. Returns the plans that were kept back.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn keep_back(
    tx: &mut Tx<'_>,
    rule: &Rule,
    destination: &str,
    now: UnixMillis,
) -> Result<BTreeSet<i64>, StoreError> {
    let mut kept = BTreeSet::new();
    if rule.is_off() {
        return Ok(kept);
    }
    for lane in Lane::ALL.iter().filter(|lane| **lane != Lane::Transactional) {
        let mut free = BTreeSet::new();
        loop {
            let heads = heads(tx, destination, *lane, now)?;
            let unknown: Vec<i64> = heads.into_iter().filter(|plan| !free.contains(plan)).collect();
            if unknown.is_empty() {
                break;
            }
            for plan in unknown {
                match standing(tx, rule, plan, *lane)? {
                    Standing::Free => {
                        free.insert(plan);
                    }
                    Standing::Unsure => rest(tx, plan, destination, *lane, now.plus(PLANNING_REST))?,
                    Standing::Waits(reason) => {
                        if destinations::hold_anew(tx, &scope(plan), &reason, now)? {
                            kept.insert(plan);
                        }
                        rest(tx, plan, destination, *lane, now.plus(large::REST))?;
                    }
                }
            }
        }
    }
    Ok(kept)
}

/// The plans that the next claim would take from.
fn heads(tx: &mut Tx<'_>, destination: &str, lane: Lane, now: UnixMillis) -> Result<BTreeSet<i64>, StoreError> {
    const SQL: &str = "SELECT b.plan_id FROM (SELECT plan_id FROM batches
             WHERE state = 'due' AND destination = $1 AND lane = $2 AND due_at <= $3
             ORDER BY due_at, plan_id, number LIMIT $4) b
         UNION SELECT d.plan_id FROM (SELECT plan_id FROM deliveries
             WHERE state = 'due' AND destination = $1 AND lane = $2 AND due_at <= $3 AND uncertain_at IS NULL
             ORDER BY due_at LIMIT $5) d";
    let rows = tx.query(SQL, params![destination, lane.word(), now, BATCHES_LOOKED_AT, ROWS_LOOKED_AT])?;
    rows.iter().map(|row| row.int(0)).collect()
}

fn standing(tx: &mut Tx<'_>, rule: &Rule, plan: i64, lane: Lane) -> Result<Standing, StoreError> {
    // What isn't planned by a firing is for one person each.
    let Some((planned, is_planned)) = size(tx, plan)? else { return Ok(Standing::Free) };
    let is_urgent = rule.urgent && lane == Lane::Urgent;
    let is_large = rule.over.is_some_and(|over| planned > over);
    if !is_urgent && !is_large {
        let may_grow = !is_planned && rule.over.is_some();
        return Ok(if may_grow { Standing::Unsure } else { Standing::Free });
    }
    if is_approved(tx, plan)? {
        return Ok(Standing::Free);
    }
    let what = if is_urgent { "urgent mail".to_owned() } else { format!("more than {} mails", rule.over.unwrap_or(0)) };
    Ok(Standing::Waits(format!("{what} waits for a second person")))
}

/// How many deliveries a firing has made, and whether those are all.
fn size(tx: &mut Tx<'_>, plan: i64) -> Result<Option<(i64, bool)>, StoreError> {
    let row = tx.query_opt("SELECT planned, planned_at FROM occurrences WHERE id = $1", params![plan])?;
    row.map(|row| Ok((row.int(0)?, row.at_opt(1)?.is_some()))).transpose()
}

/// Whether a plan was approved, and nothing came into it since that nobody has seen: a revision, say.
fn is_approved(tx: &mut Tx<'_>, plan: i64) -> Result<bool, StoreError> {
    let Some(at) = approved_at(tx, plan)? else { return Ok(false) };
    const UNSEEN: &str = "SELECT 1 FROM editions e JOIN edition_items i ON i.edition_id = e.id
         WHERE e.plan_id = $1 AND e.created_at > $2 AND e.replaced_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM editions o JOIN edition_items j ON j.edition_id = o.id
               WHERE o.plan_id = $1 AND o.created_at <= $2 AND j.post_id = i.post_id AND j.revision = i.revision)
         LIMIT 1";
    Ok(tx.query_opt(UNSEEN, params![plan, at])?.is_none())
}

fn approved_at(tx: &mut Tx<'_>, plan: i64) -> Result<Option<UnixMillis>, StoreError> {
    let name = format!("{APPROVED}{plan}");
    let row = tx.query_opt("SELECT value FROM facts WHERE name = $1", params![name])?;
    row.map(|row| Ok(UnixMillis(row.parse(0, |text| text.parse().ok())?))).transpose()
}

/// What waits of a plan here isn't due for a while. Other destinations do the same for themselves, so that nobody waits for
/// anybody's rows.
fn rest(tx: &mut Tx<'_>, plan: i64, destination: &str, lane: Lane, until: UnixMillis) -> Result<(), StoreError> {
    const SQL: [&str; 2] = [
        "UPDATE batches SET due_at = $3 WHERE plan_id = $1 AND state = 'due' AND due_at < $3 AND destination = $2
         AND lane = $4",
        "UPDATE deliveries SET due_at = $3 WHERE plan_id = $1 AND state = 'due' AND due_at < $3 AND destination = $2
         AND lane = $4 AND uncertain_at IS NULL",
    ];
    SQL.into_iter().try_for_each(|sql| tx.execute(sql, params![plan, destination, until, lane.word()]).map(drop))
}

/// What became of a second person's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is done.
    Done,
    /// Nothing of this plan waits for anybody: it went, was taken back, or somebody was quicker.
    NotWaiting,
    /// It is still being planned: nobody can have seen all of it.
    BeingPlanned,
}

/// A second person lets a send go, as it is now: what is revised later waits again.
pub fn approve(tx: &mut Tx<'_>, plan: i64, now: UnixMillis) -> Result<Decided, StoreError> {
    let decided = decide(tx, plan)?;
    if decided == Decided::Done {
        identity::set_fact(tx, &format!("{APPROVED}{plan}"), &now.0.to_string())?;
        go_on(tx, plan, now)?;
    }
    Ok(decided)
}

/// A second person says no: nothing of it that waits is ever sent.
pub fn reject(tx: &mut Tx<'_>, plan: i64, now: UnixMillis) -> Result<Decided, StoreError> {
    let decided = decide(tx, plan)?;
    if decided == Decided::Done {
        cancel(tx, plan, now)?;
    }
    Ok(decided)
}

fn decide(tx: &mut Tx<'_>, plan: i64) -> Result<Decided, StoreError> {
    if !matches!(size(tx, plan)?, Some((_, true))) {
        return Ok(Decided::BeingPlanned);
    }
    // Of two who decide at once, one finds nothing.
    let was_on = destinations::release_hold(tx, &scope(plan))?;
    Ok(if was_on { Decided::Done } else { Decided::NotWaiting })
}

fn go_on(tx: &mut Tx<'_>, plan: i64, now: UnixMillis) -> Result<(), StoreError> {
    // What lies further ahead waits for something else: a night, or the end of a pause.
    const SQL: &str =
        "UPDATE batches SET due_at = $2 WHERE plan_id = $1 AND state = 'due' AND due_at > $2 AND due_at <= $3";
    // Rows keep their instant: it may be that of a retry, and it is soon.
    tx.execute(SQL, params![plan, now, now.plus(large::REST)]).map(drop)
}

fn cancel(tx: &mut Tx<'_>, plan: i64, now: UnixMillis) -> Result<(), StoreError> {
    // A batch of which some went out keeps them; the others are given rows of their own.
    const PARTLY: &str =
        "SELECT number FROM batches b WHERE plan_id = $1 AND state = 'due' AND (entries > 0 OR own_count > 0)
         ORDER BY number {lock b}";
    for row in tx.query(PARTLY, params![plan])? {
        batches::extract::all_open(tx, plan, row.int(0)?, now)?;
    }
    const CANCEL: [&str; 2] = [
        "UPDATE batches SET state = 'cancelled', reason = $2, finished_at = $3, open = 0
         WHERE plan_id = $1 AND state = 'due'",
        "UPDATE deliveries SET state = 'cancelled', reason = $2, finished_at = $3
         WHERE plan_id = $1 AND state = 'due' AND uncertain_at IS NULL",
    ];
    CANCEL.into_iter().try_for_each(|sql| tx.execute(sql, params![plan, Reason::Operator.word(), now]).map(drop))
}

/// Forgets the holds of sends of which nothing waits any more, all of them once no send is to wait, and approvals of long ago.
/// Returns whether something goes on by that.
pub fn tidy(tx: &mut Tx<'_>, rule: &Rule, now: UnixMillis) -> Result<bool, StoreError> {
    const WAITS: [&str; 3] = [
        "SELECT 1 FROM batches WHERE plan_id = $1 AND state IN ('due', 'claimed') LIMIT 1",
        "SELECT 1 FROM deliveries WHERE plan_id = $1 AND state IN ('due', 'claimed', 'sending') LIMIT 1",
        "SELECT 1 FROM occurrences WHERE id = $1 AND planned_at IS NULL",
    ];
    let mut goes_on = false;
    for (scope, ..) in destinations::holds(tx)? {
        let Some(plan) = plan_of(&scope) else { continue };
        let mut is_open = false;
        for sql in WAITS {
            is_open = is_open || tx.query_opt(sql, params![plan])?.is_some();
        }
        if rule.is_off() || !is_open {
            destinations::release_hold(tx, &scope)?;
            go_on(tx, plan, now)?;
            goes_on |= is_open;
        }
    }
    // The values of other facts aren't numbers.
    const FORGET: &str = "DELETE FROM facts
         WHERE CASE WHEN name LIKE 'second_person %' THEN CAST(value AS BIGINT) END < $1";
    tx.execute(FORGET, params![now.minus(APPROVAL_KEPT)])?;
    Ok(goes_on)
}

/// Whether [`tidy`] may have something to do.
pub fn any(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM holds WHERE scope LIKE 'second:%' UNION ALL
         SELECT 1 FROM facts WHERE name LIKE 'second_person %' LIMIT 1";
    Ok(tx.query_opt(SQL, &[])?.is_some())
}
