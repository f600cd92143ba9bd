//! What must hold: after every tick, and when a history has come to rest.

use super::house::{House, Letter};
use super::model::Model;
use super::walk::Walk;
use allim::domain::delivery::{Reason, State};
use allim::store::StoreError;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What is wrong.
#[derive(Debug)]
pub(super) struct Fault(pub(super) String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self(format!("the store said: {error}"))
    }
}

pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault(otherwise())) }
}

/// How often things happened, so that one sees what the histories reach.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(pub(super) BTreeMap<String, usize>);

impl Counts {
    pub(super) fn add(&mut self, what: &str) {
        self.add_many(what, 1);
    }

    pub(super) fn add_many(&mut self, what: &str, times: usize) {
        *self.0.entry(what.to_owned()).or_default() += times;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add_many(what, *times);
        }
    }
}

/// The releases since the one of number `seen` are those of the rules, and they have numbers above all earlier ones.
pub(super) async fn compare_releases(house: &House, model: &Model, seen: usize) -> Result<usize, Fault> {
    const SQL: &str = "SELECT story_id, language, post_id FROM releases ORDER BY seq";
    let rows = house.store.read(|tx| tx.query(SQL, &[])).await?;
    let made: Result<Vec<_>, StoreError> =
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?, row.text(2)?))).collect();
    let made: BTreeSet<_> = made?.into_iter().skip(seen).collect();
    let owed = model.releases.iter().skip(seen);
    let owed: BTreeSet<_> = owed.map(|r| (r.story.clone(), r.language.to_owned(), r.post.clone())).collect();
    ensure(made == owed, || format!("released were {made:?}, not {owed:?}"))?;
    Ok(rows.len())
}

/// Everything that is owed and can be shown is in exactly one mail, planned or past, and nothing else is in any.
pub(super) async fn compare_planned(house: &House, model: &Model) -> Result<(), Fault> {
    compare_letters(&house.letters().await?, model)
}

fn compare_letters(letters: &[Letter], model: &Model) -> Result<(), Fault> {
    let mut found: BTreeSet<(i64, String)> = BTreeSet::new();
    for letter in letters.iter().filter(|letter| letter.gives()) {
        let person = letter.key.recipient_id;
        for item in &letter.items {
            let key = (person, item.story_id.clone());
            let named = || format!("story {} is in {} of {person}", item.story_id, letter.key);
            let given = model.given.get(&key).ok_or_else(|| Fault(format!("{}, but isn't owed", named())))?;
            let instead = model.instead.contains(&(person, item.story_id.clone(), item.post_id.clone()));
            ensure(given.post == item.post_id || instead, || format!("{} with a variant that isn't owed", named()))?;
            ensure(instead || given.topics.contains(item.topic.as_str()), || {
                format!("{} under `{}`, not {:?}", named(), item.topic, given.topics)
            })?;
            ensure(found.insert(key), || format!("{} and in another mail of theirs", named()))?;
        }
    }
    let lost = model.given.iter().find(|(key, given)| !model.post(&given.post).gone() && !found.contains(*key));
    ensure(lost.is_none(), || format!("owed and in no mail: {lost:?}"))
}

/// A history at rest.
pub(super) async fn reckon(walk: &mut Walk<'_>) -> Result<(), Fault> {
    let letters = walk.house.letters().await?;
    compare_letters(&letters, &walk.model)?;
    let mut counts = std::mem::take(&mut walk.counts);
    for letter in &letters {
        let reason = letter.reason.map_or("", Reason::word);
        counts.add(&format!("ended as {} {}", letter.state, if letter.state == State::Sent { "" } else { reason }));
        check_end(letter, walk)?;
        check_content(letter)?;
        check_cancelled(letter, &letters, walk)?;
    }
    counts.add_many("stories owed", walk.model.given.len());
    counts.add_many("stories perhaps owed instead", walk.model.instead.len());
    walk.counts = counts;
    check_instead(&letters, &walk.model)?;
    check_editions(walk.house).await?;
    check_attempts(walk.house).await?;
    check_subscriptions(walk.house, &walk.model).await?;
    check_acts(walk.house, &walk.model).await
}

/// It came to an end, and what the far side said agrees with it.
fn check_end(letter: &Letter, walk: &Walk<'_>) -> Result<(), Fault> {
    let key = &letter.key;
    let uncertain = walk.sending.uncertain.get(key);
    let kept = letter.state == State::Uncertain && letter.finished_at.is_some();
    ensure(letter.state.is_final() || kept, || format!("{key} was left as {}", letter.state))?;
    let holds_withdrawn = letter.items.iter().any(|item| walk.model.post(&item.post_id).withdrawn);
    let has_left = walk.sending.departures.has_left(key.recipient_id);
    ensure(!kept || holds_withdrawn || has_left || walk.sending.rests.contains(key), || {
        format!("{key} stays uncertain, though nothing in it was withdrawn and its reader neither left nor moved")
    })?;
    ensure(uncertain.is_none_or(|edition| *edition == letter.edition_id), || {
        format!("{key} has another edition than when it ended uncertain")
    })?;
    let accepted = walk.sending.accepted.get(key).map_or(&[][..], Vec::as_slice);
    ensure(accepted.iter().all(|edition| *edition == letter.edition_id), || {
        format!("{key} was taken with another edition than it has")
    })?;
    let sent = letter.state == State::Sent;
    ensure(!sent || !accepted.is_empty(), || format!("{key} counts as sent, but nobody took it"))?;
    ensure(uncertain.is_some() || accepted.len() == usize::from(sent), || {
        format!("{key} was taken {} times, is {} and was never uncertain", accepted.len(), letter.state)
    })
}

fn check_content(letter: &Letter) -> Result<(), Fault> {
    let stories: BTreeSet<&str> = letter.items.iter().map(|item| item.story_id.as_str()).collect();
    ensure(!letter.items.is_empty(), || format!("{} is empty", letter.key))?;
    ensure(stories.len() == letter.items.len(), || format!("{} holds a story twice", letter.key))
}

/// A cancelled one has its reason.
fn check_cancelled(letter: &Letter, letters: &[Letter], walk: &Walk<'_>) -> Result<(), Fault> {
    if letter.state != State::Cancelled {
        return Ok(());
    }
    let (key, person) = (&letter.key, letter.key.recipient_id);
    let posts = || letter.items.iter().map(|item| walk.model.post(&item.post_id));
    let holds = match letter.reason {
        Some(Reason::Withdrawn) => posts().all(|post| post.gone()) && posts().any(|post| post.withdrawn),
        Some(Reason::Expired) => posts().all(|post| post.gone()),
        Some(Reason::Superseded) => {
            let theirs = || letters.iter().filter(|other| other.gives() && other.key.recipient_id == person);
            let given = |story: &str| theirs().any(|other| other.items.iter().any(|item| item.story_id == story));
            letter.items.iter().all(|item| given(&item.story_id) || walk.model.post(&item.post_id).gone())
        }
        Some(Reason::Unsubscribed) => {
            let explains = |at| walk.sending.departures.explain(person, &letter.schedule, at);
            letter.finished_at.is_some_and(explains)
        }
        _ => false,
    };
    let arrived = walk.sending.uncertain.contains_key(key) && letter.reason != Some(Reason::Unsubscribed);
    ensure(!arrived, || format!("{key} may have arrived, but was cancelled as {:?}", letter.reason))?;
    ensure(holds, || format!("{key} was cancelled as {:?} without a reason", letter.reason))
}

/// A story whose variant for somebody was gone before it was sent, and which was released for the language that they read
/// since then, was planned again, if they still subscribe to it.
fn check_instead(letters: &[Letter], model: &Model) -> Result<(), Fault> {
    let given = letters.iter().filter(|letter| letter.gives());
    let given =
        given.flat_map(|letter| letter.items.iter().map(|item| (letter.key.recipient_id, item.story_id.clone())));
    let given: BTreeSet<(i64, String)> = given.collect();
    let lost = model
        .instead
        .iter()
        .find(|(person, story, post)| model.still_matches(*person, post) && !given.contains(&(*person, story.clone())));
    ensure(lost.is_none(), || format!("owed instead of what was taken back, and in no mail: {lost:?}"))
}

async fn check_editions(house: &House) -> Result<(), Fault> {
    const EMPTY: &str =
        "SELECT id FROM editions WHERE schedule <> 'service' AND id NOT IN (SELECT edition_id FROM edition_items)";
    let empty = house.store.read(|tx| tx.query(EMPTY, &[])).await?;
    ensure(empty.is_empty(), || format!("{} editions are empty", empty.len()))
}

/// Every attempt ended, and a repeat has the edition of the uncertain one.
async fn check_attempts(house: &House) -> Result<(), Fault> {
    const SQL: &str = "SELECT plan_id, recipient_id, edition_id, ended_at, outcome FROM attempts
         ORDER BY plan_id, recipient_id, carrier, number";
    let mut before: Option<((i64, i64), i64, String)> = None;
    for row in house.store.read(|tx| tx.query(SQL, &[])).await? {
        let (key, edition) = ((row.int(0)?, row.int(1)?), row.int(2)?);
        let outcome = row.text_opt(4)?.unwrap_or_default();
        ensure(row.at_opt(3)?.is_some(), || format!("an attempt of {key:?} is still open"))?;
        if let Some((_, earlier, said)) = before.as_ref().filter(|(other, ..)| *other == key) {
            ensure(said != "uncertain" || edition == *earlier, || format!("{key:?} was repeated with other content"))?;
        }
        before = Some((key, edition, outcome));
    }
    Ok(())
}

/// Subscriptions are those of the model, began when they did there, and their marks lie between that and the head.
async fn check_subscriptions(house: &House, model: &Model) -> Result<(), Fault> {
    const SQL: &str = "SELECT subscriber_id, topic, slot, mark, since,
             (SELECT COUNT(*) FROM releases WHERE seq <= since), (SELECT value FROM counters WHERE name = 'change')
         FROM subscriptions";
    let mut known = 0;
    for row in house.store.read(|tx| tx.query(SQL, &[])).await? {
        let (person, topic, slot) = (row.int(0)?, row.text(1)?, row.text(2)?);
        let (mark, since, head) = (row.int(3)?, row.int(4)?, row.int(6)?);
        let begun_after = usize::try_from(row.int(5)?).unwrap_or(usize::MAX);
        let asked = model.people.get(&person).and_then(|person| person.subscriptions.get(topic.as_str()));
        let same = asked.is_some_and(|asked| asked.since == begun_after && asked.slot.as_str() == slot);
        ensure(same, || format!("{person} has `{topic}` by `{slot}` after {begun_after} releases, not as {asked:?}"))?;
        ensure(since <= mark && mark <= head, || {
            format!("the mark {mark} of {person} lies outside {since} to {head}")
        })?;
        known += 1;
    }
    let expected: usize = model.people.values().map(|person| person.subscriptions.len()).sum();
    ensure(known == expected, || format!("{known} subscriptions instead of {expected}"))
}

/// The ledger of consent has what people did, also of those who moved.
async fn check_acts(house: &House, model: &Model) -> Result<(), Fault> {
    for (id, person) in &model.people {
        let acts = house.acts(*id).await?;
        ensure(acts == person.acts, || format!("the ledger says that {id} did {acts:?}, not {:?}", person.acts))?;
    }
    Ok(())
}
