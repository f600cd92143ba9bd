//! What endpoints are told of: each change of a post that a feed shows, as a delivery of its own to each of those who follow that
//! feed. One plan for each revision of a post, so that nobody is told of it twice, however often it is looked at.

use super::{Rules, digest};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::domain::edition::{Content, EditionKind, Item, ItemForm, PUSH};
use crate::domain::feed::{self, ENDINGS, HUB_PING, WEBSUB};
use crate::domain::post::{Post, Standing};
use crate::domain::{destination, ids};
use crate::store::changes::{self, Change, ChangeKind};
use crate::store::{StoreError, Tx, corrections, deliveries, editions, endpoints, occurrences, posts};

/// Changes looked at in one transaction at most.
const CHANGES_MAX: i64 = 50;
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
    let mut planned = 0;
    for (seq, change) in &changes {
        planned += plan(tx, rules, *seq, change, now)?;
    }
    let last = changes.last().map_or(head, |(seq, _)| *seq);
    endpoints::set_pushed(tx, last)?;
    Ok((planned, last >= head))
}

fn plan(tx: &mut Tx<'_>, rules: &Rules, seq: i64, change: &Change, now: UnixMillis) -> Result<usize, StoreError> {
    let is_withdrawal = match change.kind {
        ChangeKind::Public | ChangeKind::Revised => false,
        ChangeKind::Withdrawn => true,
        ChangeKind::Released | ChangeKind::Expired => return Ok(0),
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
    let endings: &[&str] = if is_withdrawal { &[ENDING_OF_TOMBSTONES] } else { &ENDINGS };
    let mut told = Vec::new();
    for (id, subject) in endpoints::told_of(tx, WEBSUB, &feed::paths(&post, endings), seq, now)? {
        told.push((WEBSUB, id, format!("{WEBSUB}:{subject}")));
    }
    for (id, _) in endpoints::told_of(tx, HUB_PING, &[String::new()], seq, now)? {
        told.push((HUB_PING, id, HUB_PING.to_owned()));
    }
    write(tx, rules, &told, &standing, &post, now)
}

/// Writes the plan: who (carrier, endpoint) is told by which edition's schedule.
fn write(
    tx: &mut Tx<'_>,
    rules: &Rules,
    told: &[(&str, i64, String)],
    standing: &Standing,
    post: &Post,
    now: UnixMillis,
) -> Result<usize, StoreError> {
    if told.is_empty() {
        return Ok(0);
    }
    let what = if standing.withdrawn_at.is_some() { "withdrawn" } else { "post" };
    let plan_id = ids::occurrence_id(PUSH, standing.revision, &format!("{what} {}", standing.post_id));
    let slot = Slot::of(PUSH);
    let bound = changes::head(tx)?;
    occurrences::ensure_planned(tx, &digest::occurrence(plan_id, &slot, now, 0, bound, now), now)?;
    let item = Item {
        story_id: standing.story_id.clone(),
        post_id: standing.post_id.clone(),
        revision: standing.revision,
        topic: String::new(),
        also: Vec::new(),
        form: ItemForm::Post,
    };
    let mut planned = 0;
    for (carrier, id, schedule) in told {
        let content = Content {
            kind: EditionKind::Push,
            schedule: schedule.clone(),
            language: post.language.clone(),
            sender: String::new(),
            template: rules.template.clone(),
            items: vec![item.clone()],
        };
        let edition_id = editions::ensure(tx, plan_id, &content, now)?;
        let key = DeliveryKey { plan_id, recipient_id: *id, carrier: (*carrier).to_owned() };
        let destination = destination::of_endpoint(carrier, *id);
        let is_new = deliveries::put(tx, &key, edition_id, &destination, post.lane(), now, now)?;
        planned += usize::from(is_new);
    }
    Ok(planned)
}
