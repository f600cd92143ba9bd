//! What endpoints are told of: each change of a post that a feed shows, as a delivery of its own to each of those who follow that
//! feed. One plan for each revision of a post, so that nobody is told of it twice, however often it is looked at.

use super::{Rules, digest};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::edition::{Content, EditionKind, Item, ItemForm, PUSH};
use crate::domain::feed::{self, ENDINGS, HUB_PING, WEBSUB};
use crate::domain::post::{Post, Standing};
use crate::domain::{destination, ids};
use crate::store::changes::{self, Change, ChangeKind};
use crate::store::{StoreError, Tx, corrections, deliveries, editions, endpoints, occurrences, posts};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Changes looked at in one transaction at most.
const CHANGES_MAX: i64 = 50;
/// And deliveries planned in one, but that those of one change are planned together.
const PLANNED_MAX: usize = 2_000;
/// Other hubs fetch what changed: by then each replica, and whatever stands before it, shows it.
const PING_AFTER: Duration = Duration::from_secs(2);
/// A withdrawal can be told in Atom alone (RFC 6721).
const ENDING_OF_TOMBSTONES: &str = "atom";

/// Plans what comes next. Returns how many deliveries that made, and whether nothing is left.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn step(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<(usize, bool), StoreError> {
    if !endpoints::any(tx)? {
        return Ok((0, true));
    }
    let (pushed, head) = endpoints::lock_pushed(tx)?;
    if head <= pushed {
        return Ok((0, true));
    }
    let changes = changes::after(tx, pushed, CHANGES_MAX)?;
    let (mut planned, mut last) = (0, head);
    for (seq, change) in &changes {
        planned += plan(tx, rules, *seq, change, now)?;
        last = *seq;
        if planned >= PLANNED_MAX {
            break;
        }
    }
    endpoints::set_pushed(tx, last)?;
    Ok((planned, last >= head))
}

fn plan(tx: &mut Tx<'_>, rules: &Rules, seq: i64, change: &Change, now: UnixMillis) -> Result<usize, StoreError> {
    let is_withdrawal = match change.kind {
        // An old post that an operator releases after all is released and no more; of others the plan is there already.
        ChangeKind::Public | ChangeKind::Released | ChangeKind::Revised => false,
        ChangeKind::Withdrawn => true,
        ChangeKind::Expired => return Ok(0),
    };
    // Locked against revision, so that the edition can't pin what was just replaced.
    if !is_withdrawal && corrections::showable(tx, &change.post_id)?.is_none() {
        return Ok(0);
    }
    let Some((standing, post)) = posts::find(tx, &change.post_id)? else { return Ok(0) };
    // Years of old posts are history, not news; and a withdrawal that was taken back is none.
    let is_news = standing.backfill_at.is_none() && standing.public_at.is_some();
    if !is_news || is_withdrawal != standing.withdrawn_at.is_some() {
        return Ok(0);
    }
    let plan_id = plan_id(&standing);
    if change.kind == ChangeKind::Released && occurrences::is_there(tx, plan_id)? {
        return Ok(0);
    }
    let endings: &[&str] = if is_withdrawal { &[ENDING_OF_TOMBSTONES] } else { &ENDINGS };
    let followers = endpoints::told_of(tx, WEBSUB, &feed::paths(&post, endings), seq, now)?;
    let other_hubs = endpoints::told_of(tx, HUB_PING, &[String::new()], seq, now)?;
    if followers.is_empty() && other_hubs.is_empty() {
        return Ok(0);
    }
    let slot = Slot::of(PUSH);
    occurrences::ensure_planned(tx, &digest::occurrence(plan_id, &slot, now, 0, seq, now), now)?;
    let write = Write { rules, plan_id, standing: &standing, post: &post, now };
    Ok(write.all(tx, WEBSUB, &followers, now)? + write.all(tx, HUB_PING, &other_hubs, now.plus(PING_AFTER))?)
}

/// One for each revision of a post, and one for its withdrawal.
fn plan_id(standing: &Standing) -> i64 {
    let what = if standing.withdrawn_at.is_some() { "withdrawn" } else { "post" };
    ids::occurrence_id(PUSH, standing.revision, &format!("{what} {}", standing.post_id))
}

/// What is written of one change.
struct Write<'a> {
    rules: &'a Rules,
    plan_id: i64,
    standing: &'a Standing,
    post: &'a Post,
    now: UnixMillis,
}

impl Write<'_> {
    /// Deliveries to endpoints (id, subject) of a carrier. Those of one subject share an edition.
    fn all(
        &self,
        tx: &mut Tx<'_>,
        carrier: &str,
        told: &[(i64, String)],
        due_at: UnixMillis,
    ) -> Result<usize, StoreError> {
        if told.is_empty() {
            return Ok(0);
        }
        let subjects: BTreeSet<&str> = told.iter().map(|(_, subject)| subject.as_str()).collect();
        let contents: Vec<Content> = subjects.iter().map(|subject| self.content(carrier, subject)).collect();
        let editions = editions::ensure_all(tx, self.plan_id, &contents, self.now)?;
        let edition: BTreeMap<&str, i64> = subjects.into_iter().zip(editions).collect();
        let row = |(id, subject): &(i64, String)| {
            Some((*id, *edition.get(subject.as_str())?, destination::of_endpoint(carrier, *id)))
        };
        let rows: Vec<(i64, i64, String)> = told.iter().filter_map(row).collect();
        let new = deliveries::put_all(tx, self.plan_id, carrier, &rows, self.post.lane(), due_at, self.now)?;
        Ok(usize::try_from(new).unwrap_or(usize::MAX))
    }

    fn content(&self, carrier: &str, subject: &str) -> Content {
        let item = Item {
            story_id: self.standing.story_id.clone(),
            post_id: self.standing.post_id.clone(),
            revision: self.standing.revision,
            topic: String::new(),
            also: Vec::new(),
            form: ItemForm::Post,
        };
        Content {
            kind: EditionKind::Push,
            schedule: format!("{carrier}:{subject}"),
            language: self.post.language.clone(),
            sender: String::new(),
            template: self.rules.template.clone(),
            items: vec![item],
        }
    }
}
