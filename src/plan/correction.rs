//! Corrections: a post that was revised, to exactly those who got it as it was (design rule 3). Asked for by a source whose
//! revisions are corrections, or by an operator.

use super::write::Drafts;
use super::{Planner, Rules, digest};
use crate::domain::audience::{IMMEDIATE, Slot};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::edition::{CORRECTION, Content, EditionKind, Item, ItemForm};
use crate::domain::ids;
use crate::store::corrections::{self, Holding, Reader};
use crate::store::occurrences::{self, Occurrence};
use crate::store::{StoreError, Tx, changes};

/// Readers looked at in one transaction at most: what each of them holds is read one by one.
const READERS_MAX: i64 = 2_000;

impl Planner {
    /// Asks that everybody who got an earlier revision of a post gets its newest one. Returns that, or `None` if the post may not
    /// be shown.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn correct(&self, post_id: &str) -> Result<Option<i64>, StoreError> {
        let (now, post_id) = (self.store.now().await?, post_id.to_owned());
        let ask = move |tx: &mut Tx<'_>| {
            let Some((revision, _)) = corrections::showable(tx, &post_id)? else { return Ok(None) };
            corrections::ask(tx, &post_id, revision, now)?;
            Ok(Some(revision))
        };
        self.store.write(ask).await
    }

    /// How many readers got an earlier revision of a post than the newest, and not that one.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn outdated(&self, post_id: &str) -> Result<usize, StoreError> {
        let (mut after, mut count) = (i64::MIN, 0);
        loop {
            let post_id = post_id.to_owned();
            let look = move |tx: &mut Tx<'_>| {
                let readers = corrections::readers(tx, after, READERS_MAX)?;
                let Some((revision, _)) = corrections::showable(tx, &post_id)? else { return Ok((0, None)) };
                if !corrections::is_held(tx, &post_id, revision)? {
                    return Ok((0, None));
                }
                let ids: Vec<i64> = readers.iter().map(|reader| reader.id).collect();
                let outdated = corrections::outdated(tx, &post_id, revision, &ids, false)?;
                let has_mail =
                    |reader: &&Reader| outdated.get(&reader.id).is_some_and(|held| schedule(reader, held).is_some());
                Ok((readers.iter().filter(has_mail).count(), ids.last().copied()))
            };
            let (here, last) = self.store.rehearse(look).await?;
            count += here;
            match last {
                Some(last) => after = last,
                None => return Ok(count),
            }
        }
    }
}

/// Begins the corrections that were asked for and are ready. Returns whether there was one.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn begin(tx: &mut Tx<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let Some((post_id, revision)) = corrections::take_ready(tx)? else { return Ok(false) };
    let bound = changes::head(tx)?;
    // Whoever asks again later asks for those who got an earlier revision meanwhile.
    let id = ids::occurrence_id(CORRECTION, now.0, &format!("{post_id} {revision}"));
    let slot = Slot::from(format!("{CORRECTION} {post_id}"));
    occurrences::insert(tx, &digest::occurrence(id, &slot, now, 0, bound, now), None)?;
    Ok(true)
}

/// Plans the next readers of a correction. Returns how many deliveries that made, and the highest id that is covered unless
/// these were the last.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn plan_chunk(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    now: UnixMillis,
) -> Result<(usize, Option<i64>), StoreError> {
    let post_id = occurrence.slot.as_str().split_once(' ').map_or("", |(_, post_id)| post_id);
    let limit = rules.chunk_recipients.min(READERS_MAX);
    let readers = corrections::readers(tx, occurrence.done_to, limit)?;
    // What was taken back meanwhile is corrected to nobody.
    let Some((revision, story_id)) = corrections::showable(tx, post_id)? else { return Ok((0, None)) };
    if !corrections::is_held(tx, post_id, revision)? {
        return Ok((0, None));
    }
    let ids: Vec<i64> = readers.iter().map(|reader| reader.id).collect();
    let outdated = corrections::outdated(tx, post_id, revision, &ids, false)?;
    let mut drafts = Drafts::default();
    for reader in &readers {
        let Some((schedule, held)) = outdated.get(&reader.id).and_then(|held| Some((schedule(reader, held)?, held)))
        else {
            continue;
        };
        let (sender, destination) = rules.route(schedule, &reader.language, &reader.domain);
        let item = Item {
            story_id: story_id.clone(),
            post_id: post_id.to_owned(),
            revision,
            topic: held.topic.clone(),
            also: held.also.clone(),
            form: ItemForm::Post,
        };
        let content = Content {
            kind: EditionKind::Correction,
            schedule: schedule.to_owned(),
            language: reader.language.clone(),
            sender: sender.to_owned(),
            template: rules.template.clone(),
            items: vec![item],
        };
        let lane = if schedule == IMMEDIATE { Lane::Normal } else { Lane::Bulk };
        // Whoever rests gets it when they are back.
        let due_at = reader.paused_until_at.unwrap_or(now).max(rules.due_at(IMMEDIATE, Lane::Normal, now));
        let group = drafts.group(content, destination, lane, due_at);
        drafts.add(group, reader.id);
    }
    let covered = (readers.len() as i64 == limit).then(|| ids.last().copied()).flatten();
    Ok((drafts.put(tx, rules, occurrence, now)?, covered))
}

/// By which of their schedules a reader gets a correction: the one that they got the post by, if they still have mail by it.
/// `None`: they have mail by none.
fn schedule<'a>(reader: &'a Reader, held: &Holding) -> Option<&'a str> {
    let same = reader.schedules.iter().find(|schedule| **schedule == held.schedule);
    same.or(reader.schedules.first()).map(String::as_str)
}
