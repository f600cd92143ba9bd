//! What endpoints are told of: each change of a post, as a delivery of its own to each of those whose business it is. One plan for each
//! revision of a post, so that nobody is told of it twice, however often it is looked at.

mod accounts;
pub(super) mod embargo;
mod followers;
mod partners;

use super::{Rules, digest};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::edition::{Content, EditionKind, Item, ItemForm, PUSH};
use crate::domain::post::{Post, Standing};
use crate::domain::{destination, ids};
use crate::store::changes::{self, Change, ChangeKind};
use crate::store::{StoreError, Tx, corrections, deliveries, editions, endpoints, occurrences, posts};
use std::collections::BTreeMap;

/// Changes looked at in one transaction at most.
const CHANGES_MAX: i64 = 50;
/// And deliveries planned in one, but that those of one change are planned together.
const PLANNED_MAX: usize = 2_000;

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

/// What happened to a post, as endpoints are told of it.
struct News {
    kind: ChangeKind,
    seq: i64,
    /// For a release, the readers' language.
    language: String,
    plan_id: i64,
    /// Whether this revision was planned before.
    is_planned: bool,
    standing: Standing,
    post: Post,
}

impl News {
    fn is_withdrawal(&self) -> bool {
        self.kind == ChangeKind::Withdrawn
    }
}

/// Somebody who is told.
struct Told {
    endpoint_id: i64,
    carrier: String,
    /// What they are told of, as their carrier reads it. Those of one carrier and subject share an edition.
    subject: String,
    lane: Lane,
    due_at: UnixMillis,
}

fn plan(tx: &mut Tx<'_>, rules: &Rules, seq: i64, change: &Change, now: UnixMillis) -> Result<usize, StoreError> {
    let Some(news) = news(tx, seq, change)? else { return Ok(0) };
    let mut told = followers::told(tx, &news, now)?;
    told.extend(accounts::told(tx, rules, &news, now)?);
    told.extend(partners::told(tx, &news, now)?);
    if told.is_empty() {
        return Ok(0);
    }
    write(tx, rules, &news, told, now)
}

/// What a change means to endpoints, if anything.
fn news(tx: &mut Tx<'_>, seq: i64, change: &Change) -> Result<Option<News>, StoreError> {
    let is_withdrawal = match change.kind {
        // An old post that an operator releases after all is released and no more; of others the plan is there already.
        ChangeKind::Public | ChangeKind::Released | ChangeKind::Revised => false,
        ChangeKind::Withdrawn => true,
        ChangeKind::Expired => return Ok(None),
    };
    // Locked against revision, so that the edition can't pin what was just replaced.
    if !is_withdrawal && corrections::showable(tx, &change.post_id)?.is_none() {
        return Ok(None);
    }
    let Some((standing, post)) = posts::find(tx, &change.post_id)? else { return Ok(None) };
    // Years of old posts are history, not news; and a withdrawal that was taken back is none.
    let is_news = standing.backfill_at.is_none() && standing.public_at.is_some();
    if !is_news || is_withdrawal != standing.withdrawn_at.is_some() {
        return Ok(None);
    }
    let plan_id = plan_id(&standing);
    let is_planned = occurrences::is_there(tx, plan_id)?;
    Ok(Some(News { kind: change.kind, seq, language: change.language.clone(), plan_id, is_planned, standing, post }))
}

/// One for each revision of a post, and one for its withdrawal.
fn plan_id(standing: &Standing) -> i64 {
    let what = if standing.withdrawn_at.is_some() { "withdrawn" } else { "post" };
    ids::occurrence_id(PUSH, standing.revision, &format!("{what} {}", standing.post_id))
}

/// A delivery about to be written: endpoint, edition, destination.
type Row = (i64, i64, String);

/// Writes the plan with its editions and deliveries. Returns how many are new.
fn write(tx: &mut Tx<'_>, rules: &Rules, news: &News, told: Vec<Told>, now: UnixMillis) -> Result<usize, StoreError> {
    let occurrence = digest::occurrence(news.plan_id, &Slot::of(PUSH), now, 0, news.seq, now);
    occurrences::ensure_planned(tx, &occurrence, now)?;
    let mut editions_of: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut rows: BTreeMap<(String, Lane, UnixMillis), Vec<Row>> = BTreeMap::new();
    for Told { endpoint_id, carrier, subject, lane, due_at } in told {
        let content = (carrier.clone(), subject);
        let edition = match editions_of.get(&content) {
            Some(id) => *id,
            None => editions::ensure(tx, news.plan_id, &news.content(rules, &content.0, &content.1), now)?,
        };
        editions_of.insert(content, edition);
        let destination = destination::of_endpoint(&carrier, endpoint_id);
        rows.entry((carrier, lane, due_at)).or_default().push((endpoint_id, edition, destination));
    }
    let mut new = 0;
    for ((carrier, lane, due_at), rows) in rows {
        new += deliveries::put_all(tx, news.plan_id, &carrier, &rows, lane, due_at, now)?;
    }
    Ok(usize::try_from(new).unwrap_or(usize::MAX))
}

impl News {
    fn content(&self, rules: &Rules, carrier: &str, subject: &str) -> Content {
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
            template: rules.template.clone(),
            items: vec![item],
        }
    }
}
