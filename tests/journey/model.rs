//! Who is owed what, as set arithmetic over a history. None of it is the planner's code: there are no marks, chunks,
//! occurrences or editions here, only the rules.
//!
//! What people may do about their mail stands in `journey::people`.
//!
//! **Owed.** A story is owed to a person iff, at some planning moment of the slot of one of their subscriptions (one
//! that they have at that moment) to a topic T,
//! - the story was released for the person's language of that moment, after the subscription began and not after the
//!   moment's bound,
//! - T is among the topics that the released variant had when it was released,
//! - the post may be shown at that moment: public, neither withdrawn nor expired,
//! - the person isn't gone and doesn't pause,
//! - and no edition planned for the person holds the story, but in deliveries cancelled because their posts were
//!   withdrawn, had expired, or went into a newer issue.
//!
//! A change of schedule, hour or language keeps the beginning of a subscription.
//!
//! **Released.** For each language of readers once: the variant in that language as soon as it is public; a fallback
//! at once if no public variant announces that language, or if one is urgent; otherwise the fallback when the wait for
//! the translation is over, counted from when the story's first variant became public. What is held as backfill is
//! public and causes no release.
//!
//! **Planning moments.** The immediate slot has one at each tick that released something since it had one last, and
//! one for a single person after each change of theirs, bounded by what was released up to that change, and at each tick
//! that finds gone what they were given. A digest's slot
//! has one at a tick when it fired since the last one considered: the newest firing stands for all, and if even that is
//! later than `max_late`, the moment is skipped. A changed line counts from the tick that sees it.
//!
//! What expires, expires for the system at the first tick after its time.

use super::addresses::Addresses;
use super::draft::Draft;
use super::house::{EVERY_SEVEN_MINUTES, MAX_AGE, READERS, TRANSLATION_WAIT, digests};
use super::people::Person;
use allim::domain::audience::{IMMEDIATE, Slot};
use allim::domain::clock::UnixMillis;
use allim::domain::edition::Item;
use allim::domain::schedule::Schedule;
use allim::plan::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// A post as the rules see it.
#[derive(Clone, Debug)]
pub(super) struct Post {
    /// Its newest revision.
    pub(super) draft: Draft,
    pub(super) revision: i64,
    pub(super) revisions_kept: BTreeSet<i64>,
    pub(super) public_at: Option<UnixMillis>,
    pub(super) expired: bool,
    pub(super) withdrawn: bool,
    pub(super) backfill: bool,
}

impl Post {
    pub(super) fn showable(&self) -> bool {
        self.public_at.is_some() && !self.gone()
    }

    /// It will never be shown again.
    pub(super) fn gone(&self) -> bool {
        self.withdrawn || self.expired
    }
}

/// A story became owed to the readers of one language.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) story: String,
    pub(super) language: &'static str,
    pub(super) post: String,
    topics: BTreeSet<&'static str>,
}

struct SlotState {
    line: Option<String>,
    considered_at: UnixMillis,
    /// How many releases there were at its last moment.
    bound: usize,
}

/// What a person has been given, or will be by an edition that waits.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) post: String,
    /// Those of their topics that may have brought it.
    pub(super) topics: BTreeSet<&'static str>,
}

/// What a tick must have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moments {
    pub(super) fired: usize,
    pub(super) skipped: usize,
    /// Pauses that ended.
    pub(super) resumed: usize,
    /// Releases that it made.
    pub(super) released: usize,
}

/// The history so far.
pub(super) struct Model {
    digests: BTreeMap<String, Digest>,
    /// In the order of their ids, by which equal choices are settled.
    pub(super) posts: BTreeMap<String, Post>,
    /// Their ids, in the order of publication.
    pub(super) published: Vec<String>,
    first_public_at: BTreeMap<String, UnixMillis>,
    /// In the order of their numbers.
    pub(super) releases: Vec<Release>,
    pub(super) people: BTreeMap<i64, Person>,
    pub(super) addresses: Addresses,
    slots: BTreeMap<Slot, SlotState>,
    /// Who asked for what an immediate subscription owes them, and how many releases there were.
    pub(super) asked: Vec<(i64, usize)>,
    pub(super) given: BTreeMap<(i64, String), Given>,
    /// Person, story, and another post of the story that they may get, since the one they were given is gone. Whether
    /// they do depends on whether the first was on its way by then, which only the ledger knows.
    pub(super) instead: BTreeSet<(i64, String, String)>,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            digests: digests(EVERY_SEVEN_MINUTES),
            posts: BTreeMap::new(),
            published: Vec::new(),
            first_public_at: BTreeMap::new(),
            releases: Vec::new(),
            people: BTreeMap::new(),
            addresses: Addresses::default(),
            slots: BTreeMap::new(),
            asked: Vec::new(),
            given: BTreeMap::new(),
            instead: BTreeSet::new(),
        }
    }

    pub(super) fn configure(&mut self, line: &str) {
        self.digests = digests(line);
    }

    pub(super) fn post(&self, id: &str) -> &Post {
        &self.posts[id]
    }

    pub(super) fn person(&mut self, id: i64, address: usize, language: &'static str) {
        self.people.insert(id, Person::new(address, language));
    }

    /// A slot that somebody chooses for the first time fires from then on.
    pub(super) fn ensure_slot(&mut self, slot: &Slot, now: UnixMillis) {
        let state = SlotState { line: None, considered_at: now, bound: self.releases.len() };
        self.slots.entry(slot.clone()).or_insert(state);
    }

    pub(super) fn publish(&mut self, draft: Draft, now: UnixMillis) {
        let revision = draft.revision.unwrap_or(1);
        let post = Post {
            backfill: draft.public_due_at() < now.minus(MAX_AGE),
            revision,
            revisions_kept: BTreeSet::from([revision]),
            public_at: None,
            expired: false,
            withdrawn: false,
            draft,
        };
        self.published.push(post.draft.post_id());
        self.posts.insert(post.draft.post_id(), post);
    }

    /// An older revision than the newest is kept and changes nothing.
    pub(super) fn revise(&mut self, draft: Draft) {
        let Some(post) = self.posts.get_mut(&draft.post_id()) else { return };
        let number = draft.revision.unwrap_or(post.revision + 1);
        post.revisions_kept.insert(number);
        if number > post.revision {
            post.revision = number;
            post.draft = draft;
        }
    }

    pub(super) fn withdraw(&mut self, id: &str) {
        self.posts.entry(id.to_owned()).and_modify(|post| post.withdrawn = true);
    }

    pub(super) fn lift_backfill(&mut self, id: &str) {
        self.posts.entry(id.to_owned()).and_modify(|post| post.backfill = false);
    }
}

/// Time.
impl Model {
    pub(super) fn tick(&mut self, now: UnixMillis) -> Moments {
        self.advance_posts(now);
        let before = self.releases.len();
        self.release(now);
        let released = self.releases.len() - before;
        let mut moments = Moments { resumed: self.end_pauses(now), released, ..Moments::default() };
        let immediate = Slot::of(IMMEDIATE);
        for (id, bound) in std::mem::take(&mut self.asked) {
            self.plan(id, &immediate, bound);
        }
        let is_gone = |given: &Given| self.posts[&given.post].gone();
        let taken_back = self.given.iter().filter(|(_, given)| is_gone(given)).map(|((id, _), _)| *id);
        for id in taken_back.collect::<BTreeSet<i64>>() {
            self.plan(id, &immediate, self.releases.len());
        }
        for slot in self.slots.keys().cloned().collect::<Vec<_>>() {
            match self.fires(&slot, now) {
                Some(true) => {
                    moments.fired += 1;
                    for id in self.people.keys().copied().collect::<Vec<_>>() {
                        self.plan(id, &slot, self.releases.len());
                    }
                }
                Some(false) => moments.skipped += 1,
                None => {}
            }
        }
        moments
    }

    fn advance_posts(&mut self, now: UnixMillis) {
        for post in self.posts.values_mut().filter(|post| !post.gone()) {
            let over = post.draft.expires_at.is_some_and(|at| at <= now);
            if post.public_at.is_none() && post.draft.public_due_at() <= now && !over {
                post.public_at = Some(now);
                self.first_public_at.entry(post.draft.story_id()).or_insert(now);
            }
            post.expired |= over;
        }
    }

    fn release(&mut self, now: UnixMillis) {
        for (story, first_public_at) in &self.first_public_at {
            for language in READERS {
                if self.releases.iter().any(|release| release.story == *story && release.language == language) {
                    continue;
                }
                let candidates = self.posts.iter().filter(|(_, post)| post.draft.story_id() == *story);
                let candidates: Vec<_> = candidates.filter(|(_, post)| post.showable() && !post.backfill).collect();
                let waited = first_public_at.plus(TRANSLATION_WAIT) <= now;
                if let Some((id, post)) = variant_for(language, &candidates, waited) {
                    let (story, topics) = (story.clone(), post.draft.topics.clone());
                    self.releases.push(Release { story, language, post: id.clone(), topics });
                }
            }
        }
    }

    /// Whether a slot has a planning moment now: yes, one that comes too late, or none.
    fn fires(&mut self, slot: &Slot, now: UnixMillis) -> Option<bool> {
        let state = self.slots.get_mut(slot)?;
        let Some(digest) = self.digests.get(slot.schedule()) else {
            let more = self.releases.len() > state.bound;
            state.bound = self.releases.len();
            return more.then_some(true);
        };
        let schedule = schedule(digest, slot);
        let line = schedule.line().to_owned();
        if state.line.as_ref().is_some_and(|known| *known != line) {
            state.considered_at = now;
        }
        state.line = Some(line);
        let due_at = UnixMillis(schedule.newest_missed(state.considered_at.0, now.0)?);
        state.considered_at = due_at;
        Some(due_at.until(now) <= digest.max_late)
    }

    fn plan(&mut self, id: i64, slot: &Slot, bound: usize) {
        // Who was erased since they asked is no more.
        let Some(person) = self.people.get(&id).filter(|person| !person.gone && person.pause.is_none()) else { return };
        for (topic, subscription) in &person.subscriptions {
            if subscription.slot != *slot || subscription.since >= bound {
                continue;
            }
            for release in &self.releases[subscription.since..bound] {
                let matches = release.language == person.language && release.topics.contains(topic);
                if !matches || !self.posts[&release.post].showable() {
                    continue;
                }
                let key = (id, release.story.clone());
                match self.given.get_mut(&key) {
                    None => {
                        let topics = BTreeSet::from([*topic]);
                        self.given.insert(key, Given { post: release.post.clone(), topics });
                    }
                    Some(given) if given.post == release.post => {
                        given.topics.insert(*topic);
                    }
                    Some(given) if self.posts[&given.post].gone() => {
                        self.instead.insert((id, release.story.clone(), release.post.clone()));
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// Whether a post may be shown to somebody who reads the language that it was released for under a topic of theirs.
    pub(super) fn still_matches(&self, id: i64, post: &str) -> bool {
        let Some(person) = self.people.get(&id).filter(|person| !person.gone) else { return false };
        let releases = || self.releases.iter().enumerate().filter(|(_, release)| release.post == post);
        self.posts[post].showable()
            && person.subscriptions.iter().any(|(topic, subscription)| {
                let matches = |(number, release): (usize, &Release)| {
                    number >= subscription.since
                        && release.language == person.language
                        && release.topics.contains(topic)
                };
                releases().any(matches)
            })
    }

    /// When the last post becomes public, the last wait for a translation is over and the last pause ends.
    pub(super) fn everything_out_at(&self) -> Option<UnixMillis> {
        let waiting = self.posts.values().filter(|post| !post.gone());
        let out = waiting.map(|post| post.draft.public_due_at().plus(TRANSLATION_WAIT)).max();
        let paused = self.people.values().filter_map(|person| person.pause).map(|(until, _)| until).max();
        out.max(paused)
    }

    /// When each slot that somebody has fires next after `now`.
    pub(super) fn next_firings(&self, now: UnixMillis) -> BTreeSet<UnixMillis> {
        let subscriptions = self.people.values().flat_map(|person| person.subscriptions.values());
        let slots: BTreeSet<&Slot> = subscriptions.map(|subscription| &subscription.slot).collect();
        let digest = |slot: &Slot| self.digests.get(slot.schedule()).map(|digest| schedule(digest, slot));
        let firing = |slot| digest(slot)?.next_after(now.0).map(UnixMillis);
        slots.into_iter().filter_map(firing).collect()
    }

    /// Whether these pinned posts may pass the point of no return. A repeat of an uncertain attempt keeps its content
    /// whatever became of it, unless some of it was withdrawn.
    pub(super) fn may_send(&self, items: &[Item], repeats_uncertain: bool) -> bool {
        items.iter().all(|item| {
            let post = &self.posts[&item.post_id];
            if repeats_uncertain { !post.withdrawn } else { post.showable() && post.revision == item.revision }
        })
    }
}

fn schedule(digest: &Digest, slot: &Slot) -> Schedule {
    let own = slot.own_time().map(|(hour, minute, zone)| digest.schedule.with_own_time(hour, minute, zone));
    own.unwrap_or_else(|| Ok(digest.schedule.clone())).expect("a slot of these tests")
}

/// Which of the variants that may be shown readers of `language` get, if any yet. Equal ones are settled by id.
fn variant_for<'a>(
    language: &str,
    candidates: &[(&'a String, &'a Post)],
    waited: bool,
) -> Option<(&'a String, &'a Post)> {
    let written_in = |tag: &str| candidates.iter().find(|(_, post)| post.draft.language == tag).copied();
    let announced = candidates.iter().any(|(_, post)| post.draft.languages_expected.contains(&language));
    let urgent = candidates.iter().any(|(_, post)| post.draft.urgent);
    let fallback = || READERS.into_iter().find_map(written_in).or(candidates.first().copied());
    written_in(language).or_else(|| if announced && !urgent && !waited { None } else { fallback() })
}
