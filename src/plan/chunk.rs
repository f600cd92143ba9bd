//! One chunk of a plan: what its recipients are owed, as editions and deliveries, in one transaction (design rule 10).

use super::Rules;
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane};
use crate::domain::edition::{Content, EditionKind, Item};
use crate::domain::language::Language;
use crate::store::deliveries::{self, Planned};
use crate::store::occurrences::{self, Occurrence};
use crate::store::owed::{self, Match, Recipient};
use crate::store::{StoreError, Tx, editions};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How far planning came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No occurrence is open.
    Idle,
    /// A chunk was planned, with this many deliveries.
    Planned(usize),
}

/// Plans the next chunk of the oldest open occurrence.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn plan_next(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<Progress, StoreError> {
    let Some(occurrence) = occurrences::lock_open(tx)? else { return Ok(Progress::Idle) };
    let (recipients, more_after) = owed::lock_chunk(tx, &occurrence, rules.chunk_recipients)?;
    let planned = plan_chunk(tx, rules, &occurrence, &recipients, now)?;
    let (done_to, finished_at) = match more_after {
        Some(id) => (id, None),
        None => (occurrence.done_to, Some(now)),
    };
    occurrences::advance(tx, occurrence.id, done_to, planned as i64, finished_at)?;
    Ok(Progress::Planned(planned))
}

/// Plans an occurrence for its one recipient, which nobody else has begun. Returns the edition, if anything is owed.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn plan_one(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    recipient_id: i64,
    now: UnixMillis,
) -> Result<Option<i64>, StoreError> {
    occurrences::insert(tx, occurrence, None)?;
    let (recipients, _) = owed::lock_chunk(tx, occurrence, 1)?;
    plan_chunk(tx, rules, occurrence, &recipients, now)?;
    let key = DeliveryKey { plan_id: occurrence.id, recipient_id, carrier: MAIL.to_owned() };
    Ok(deliveries::find(tx, &key)?.map(|delivery| delivery.edition_id))
}

fn plan_chunk(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    recipients: &[Recipient],
    now: UnixMillis,
) -> Result<usize, StoreError> {
    if recipients.is_empty() {
        return Ok(0);
    }
    let ids: Vec<i64> = recipients.iter().map(|recipient| recipient.id).collect();
    let matches = owed::matches(tx, occurrence, &ids, now)?;
    if matches.is_empty() {
        return Ok(0);
    }
    let matched: BTreeSet<(i64, &str)> = matches.iter().map(|m| (m.recipient_id, m.topic.as_str())).collect();
    owed::move_marks(tx, &matched.into_iter().collect::<Vec<_>>(), occurrence.bound)?;
    let mut owing = owing(tx, &matches)?;
    if owing.is_empty() {
        return Ok(0);
    }
    if occurrence.slot.schedule() != IMMEDIATE {
        add_superseded(tx, occurrence, &mut owing, now)?;
    }
    write(tx, rules, occurrence, recipients, &owing, now)
}

/// What each recipient is owed: matching, showable, not given yet. A story under several topics counts once.
fn owing(tx: &mut Tx<'_>, matches: &[Match]) -> Result<BTreeMap<i64, Vec<Match>>, StoreError> {
    let showable: Vec<&Match> = matches.iter().filter(|m| m.showable).collect();
    let ids: BTreeSet<i64> = showable.iter().map(|m| m.recipient_id).collect();
    let stories: BTreeSet<&str> = showable.iter().map(|m| m.story_id.as_str()).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    let given = owed::given(tx, &ids, &stories.into_iter().collect::<Vec<_>>())?;
    let mut seen: HashSet<(i64, String)> = given.into_iter().collect();
    let mut owing: BTreeMap<i64, Vec<Match>> = BTreeMap::new();
    for m in showable {
        if seen.insert((m.recipient_id, m.story_id.clone())) {
            owing.entry(m.recipient_id).or_default().push(m.clone());
        }
    }
    Ok(owing)
}

/// The posts of earlier issues that nobody can have seen go into this one.
fn add_superseded(
    tx: &mut Tx<'_>,
    occurrence: &Occurrence,
    owing: &mut BTreeMap<i64, Vec<Match>>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = owing.keys().copied().collect();
    for m in owed::supersede(tx, occurrence, &ids, now)? {
        let entry = owing.entry(m.recipient_id).or_default();
        if m.showable && !entry.iter().any(|other| other.story_id == m.story_id) {
            entry.push(m);
        }
    }
    Ok(())
}

fn write(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    recipients: &[Recipient],
    owing: &BTreeMap<i64, Vec<Match>>,
    now: UnixMillis,
) -> Result<usize, StoreError> {
    let languages: HashMap<i64, &str> = recipients.iter().map(|r| (r.id, r.language.as_str())).collect();
    let mut editions_of: HashMap<Content, i64> = HashMap::new();
    let mut rows = Vec::with_capacity(owing.len());
    for (recipient_id, matches) in owing {
        let language = languages.get(recipient_id).copied().unwrap_or_default();
        let language = Language::parse(language).map_err(|e| StoreError::Shape(e.to_string()))?;
        let schedule = occurrence.slot.schedule();
        let (sender, destination) = rules.route(schedule, &language);
        let content = Content {
            kind: EditionKind::Issue,
            schedule: schedule.to_owned(),
            language,
            sender: sender.to_owned(),
            template: rules.template.clone(),
            items: items(matches),
        };
        let lane = lane(schedule, matches);
        let edition_id = match editions_of.get(&content) {
            Some(id) => *id,
            None => {
                let id = editions::ensure(tx, occurrence.id, &content, now)?;
                editions_of.insert(content, id);
                id
            }
        };
        rows.push(Planned { r: *recipient_id, e: edition_id, lane: lane.word(), dest: destination.to_owned() });
    }
    deliveries::insert(tx, occurrence.id, MAIL, &rows, now)?;
    Ok(rows.len())
}

/// The carrier that subscribers are written to by.
pub const MAIL: &str = "email";

/// Newest first, as on a board; equal instants by id, so that equal contents are equal.
fn items(matches: &[Match]) -> Vec<Item> {
    let mut sorted: Vec<&Match> = matches.iter().collect();
    sorted.sort_by(|a, b| b.published_at.cmp(&a.published_at).then_with(|| a.post_id.cmp(&b.post_id)));
    let item = |m: &&Match| Item {
        story_id: m.story_id.clone(),
        post_id: m.post_id.clone(),
        revision: m.revision,
        topic: m.topic.clone(),
    };
    sorted.iter().map(item).collect()
}

/// Digests are bulk whatever is in them: urgency chooses a lane, never a schedule.
fn lane(schedule: &str, matches: &[Match]) -> Lane {
    if schedule != IMMEDIATE {
        Lane::Bulk
    } else if matches.iter().any(|m| m.lane == Lane::Urgent.word()) {
        Lane::Urgent
    } else {
        Lane::Normal
    }
}
