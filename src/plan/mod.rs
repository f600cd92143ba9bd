//! Stage 2: who gets what, when. [`Planner::tick`] is the whole of it: release what is due, fire what is due, plan what
//! fired, move what was replaced.

pub mod chunk;
mod correction;
mod daily;
pub mod digest;
pub mod explain;
mod groups;
mod partners;
pub mod preview;
mod push;
pub mod release;
pub mod restored;
mod revised;
pub mod roster;
pub mod route;
mod rules;
pub mod service;
mod successor;
pub mod trial;
mod write;

use crate::domain::account::Rule;
use crate::domain::audience::{IMMEDIATE, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;
use crate::store::releases::Looked;
use crate::store::{Store, StoreError, Tx, editions, occurrences, people, profile, quiet, releases, rosters};
use chunk::Progress;
use digest::{Digest, Firing};
pub use rules::Rules;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stories looked at in one transaction at most.
const STORIES_PER_LOOK: i64 = 200;

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Changes that readers of pages and feeds may notice.
    pub noticed: usize,
    /// Occurrences fired.
    pub fired: usize,
    /// Occurrences skipped as too late.
    pub skipped: usize,
    /// Deliveries planned.
    pub planned: usize,
    /// Deliveries moved to a successor edition or cancelled.
    pub moved: u64,
    /// Whether replaced editions are left that wait for deliveries under way to come back.
    pub waiting: bool,
}

/// Plans. Clones share their rules.
#[derive(Clone)]
pub struct Planner {
    store: Store,
    rules: Arc<Rules>,
    planned: Arc<dyn Fn() + Send + Sync>,
}

impl Planner {
    /// A planner on a store.
    #[must_use]
    pub fn new(store: Store, rules: Rules) -> Self {
        Self { store, rules: Arc::new(rules), planned: Arc::new(|| ()) }
    }

    /// The same planner, which tells `planned` after each chunk that made deliveries: the first mail of a long plan needn't
    /// wait for its end.
    #[must_use]
    pub fn telling(self, planned: impl Fn() + Send + Sync + 'static) -> Self {
        Self { planned: Arc::new(planned), ..self }
    }

    /// Plans a service letter in a transaction of the caller's; [`Planner::tell`] follows the commit.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn letter(&self, tx: &mut Tx<'_>, letter: &service::Letter<'_>, now: UnixMillis) -> Result<bool, StoreError> {
        service::plan(tx, &self.rules, letter, now)
    }

    /// Own accounts at social networks.
    #[must_use]
    pub fn accounts(&self) -> &[Rule] {
        &self.rules.accounts
    }

    /// The digests by name.
    #[must_use]
    pub fn digests(&self) -> &BTreeMap<String, Digest> {
        &self.rules.digests
    }

    /// Plans a notice about each of these schedules that is commercial.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn notices<'a>(
        &self,
        tx: &mut Tx<'_>,
        kind: EditionKind,
        to: &Subscriber,
        schedules: impl IntoIterator<Item = &'a String>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        for name in schedules {
            if self.rules.digests.get(name).is_some_and(|digest| digest.commercial) {
                self.letter(tx, &service::Letter { kind, to, about: Some((name, now)) }, now)?;
            }
        }
        Ok(())
    }

    /// Wakes whoever sends.
    pub fn tell(&self) {
        (self.planned)();
    }

    /// Does everything that is due now. First releases, then fires, so that what is released at nine o'clock is in
    /// the nine o'clock digest.
    ///
    /// # Errors
    /// [`StoreError`]; a later tick goes on where this one stopped.
    pub async fn tick(&self) -> Result<Ticked, StoreError> {
        let mut ticked = Ticked::default();
        loop {
            let now = self.plan(&mut ticked).await?;
            self.move_replaced(now, &mut ticked).await?;
            if !self.tidy(now).await? {
                return Ok(ticked);
            }
        }
    }

    /// Releases, fires and plans until nothing is left to plan. Returns the instant at which that was so.
    async fn plan(&self, ticked: &mut Ticked) -> Result<UnixMillis, StoreError> {
        loop {
            // Between two chunks of a long plan too: an urgent post doesn't wait behind a million-row digest.
            let now = self.store.now().await?;
            ticked.noticed += self.release(now).await?;
            self.resume(now).await?;
            self.fire(now, ticked).await?;
            self.push(now, ticked).await?;
            let rules = self.rules.clone();
            match self.store.write(move |tx| chunk::plan_next(tx, &rules, now)).await? {
                Progress::Idle => return Ok(now),
                Progress::Planned(0) => {}
                Progress::Planned(planned) => {
                    ticked.planned += planned;
                    (self.planned)();
                }
            }
        }
    }

    /// What follows planning: closes what is finished, lets what waits rest in its nights, does the day's work, and begins
    /// corrections. Returns whether that left something to plan.
    async fn tidy(&self, now: UnixMillis) -> Result<bool, StoreError> {
        let rules = self.rules.clone();
        let tidy = move |tx: &mut Tx<'_>| {
            editions::close_finished(tx, now)?;
            rosters::forget(tx, now)?;
            put_off(tx, &rules, now)?;
            let told = daily::notices(tx, &rules, now)? | partners::notices(tx, &rules, now)?;
            let told = told | daily::step(tx, &rules, now)?;
            Ok((told, correction::begin(tx, now)?))
        };
        let (told, begun) = self.store.write(tidy).await?;
        if told {
            (self.planned)();
        }
        Ok(begun)
    }

    /// Makes public, releases and expires what is due. Returns how many changes that were.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn release(&self, now: UnixMillis) -> Result<usize, StoreError> {
        let mut noticed = 0;
        loop {
            let rules = self.rules.clone();
            let look = move |tx: &mut Tx<'_>| release_due(tx, &rules.release, now);
            let (stories, changes) = self.store.write(look).await?;
            noticed += changes;
            if stories < STORIES_PER_LOOK as usize {
                return Ok(noticed);
            }
        }
    }

    /// Ends the pauses that are over, before anything fires: whoever comes back at nine gets the issue of nine.
    async fn resume(&self, now: UnixMillis) -> Result<(), StoreError> {
        if self.store.read(profile::next_resume).await?.is_none_or(|next| next > now) {
            return Ok(());
        }
        while self.store.write(move |tx| resume(tx, now)).await? == RESUMED_MAX as usize {}
        Ok(())
    }

    async fn fire(&self, now: UnixMillis, ticked: &mut Ticked) -> Result<(), StoreError> {
        for state in self.store.read(occurrences::slots).await? {
            let firing = if state.slot.schedule() == IMMEDIATE {
                self.store.write(move |tx| digest::fire_immediate(tx, now)).await?
            } else {
                self.fire_digest(state, now).await?
            };
            match firing {
                Firing::Fired => ticked.fired += 1,
                Firing::TooLate => ticked.skipped += 1,
                Firing::NotDue => {}
            }
        }
        Ok(())
    }

    async fn fire_digest(&self, state: occurrences::SlotState, now: UnixMillis) -> Result<Firing, StoreError> {
        let Some(digest) = self.rules.digests.get(state.slot.schedule()).cloned() else {
            // The digest left the configuration; `check` says so.
            return Ok(Firing::NotDue);
        };
        let schedule = match digest.schedule_of(&state.slot) {
            Ok(schedule) => schedule,
            Err(error) => {
                tracing::warn!(slot = state.slot.as_str(), %error, "a reader's own hour can't be used; the digest's is");
                digest.schedule.clone()
            }
        };
        let line = format!("{} {}", schedule.line(), schedule.zone());
        if state.line == line && digest::due(&schedule, &state, now).is_none() {
            return Ok(Firing::NotDue);
        }
        let slot = state.slot;
        self.store.write(move |tx| digest::fire(tx, &digest, &slot, &schedule, now)).await
    }

    /// Plans what endpoints are to be told of.
    async fn push(&self, now: UnixMillis, ticked: &mut Ticked) -> Result<(), StoreError> {
        loop {
            let rules = self.rules.clone();
            let (planned, is_done) = self.store.write(move |tx| push::step(tx, &rules, now)).await?;
            ticked.planned += planned;
            if planned > 0 {
                (self.planned)();
            }
            if is_done {
                break;
            }
        }
        if self.store.read(crate::store::partners::any_told).await? {
            let rules = self.rules.clone();
            let planned = self.store.write(move |tx| push::embargo::step(tx, &rules, now)).await?;
            ticked.planned += planned;
            if planned > 0 {
                (self.planned)();
            }
        }
        Ok(())
    }

    async fn move_replaced(&self, now: UnixMillis, ticked: &mut Ticked) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        loop {
            match self.store.write(move |tx| successor::step(tx, after, now)).await? {
                successor::Step::Done => return Ok(()),
                successor::Step::Moved(id, moved) => {
                    ticked.moved += moved;
                    ticked.waiting |= moved == 0;
                    // Another chunk of the same edition follows while chunks are full.
                    after = if moved > 0 { id - 1 } else { id };
                }
            }
        }
    }

    /// When the next tick has something to do by itself.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        let now = self.store.now().await?;
        let waiting = move |tx: &mut Tx<'_>| {
            let next = [releases::next_look(tx)?, profile::next_resume(tx)?, quiet::next(tx, now)?];
            Ok((next.into_iter().flatten().min(), occurrences::slots(tx)?))
        };
        let (next, slots) = self.store.read(waiting).await?;
        let next_firing = |state: &occurrences::SlotState| {
            let digest = self.rules.digests.get(state.slot.schedule())?;
            digest.schedule_of(&state.slot).ok()?.next_after(state.considered_at.0).map(UnixMillis)
        };
        let firing = slots.iter().filter_map(next_firing).min();
        Ok([next, firing].into_iter().flatten().min())
    }

    /// Fires a digest at once, at an operator's word, whatever its schedule.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn fire_now(&self, name: &str) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        self.release(now).await?;
        for state in self.store.read(occurrences::slots).await? {
            if state.slot.schedule() != name {
                continue;
            }
            let slot: Slot = state.slot;
            self.store.write(move |tx| digest::fire_at_once(tx, &slot, now)).await?;
        }
        Ok(())
    }
}

/// Everything of [`Planner::release`] in one transaction.
fn release_all(tx: &mut Tx<'_>, rules: &release::Rules, now: UnixMillis) -> Result<(), StoreError> {
    while release_due(tx, rules, now)?.0 == STORIES_PER_LOOK as usize {}
    Ok(())
}

fn release_due(tx: &mut Tx<'_>, rules: &release::Rules, now: UnixMillis) -> Result<(usize, usize), StoreError> {
    let stories = releases::lock_due(tx, now, STORIES_PER_LOOK)?;
    if stories.is_empty() {
        return Ok((0, 0));
    }
    let mut looked = Looked::default();
    for story in &stories {
        release::look(story, rules, now, &mut looked);
    }
    releases::apply(tx, &looked, now)?;
    Ok((stories.len(), looked.changes.len()))
}

/// Lets what waits rest in its nights, and looks up the next ones of those that are over.
fn put_off(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<(), StoreError> {
    for (edition_id, schedule, slot) in quiet::over(tx, now)? {
        quiet::set(tx, edition_id, rules.night(&schedule, &slot, now))?;
    }
    quiet::rest(tx, now)
}

/// Pauses ended in one transaction at most.
const RESUMED_MAX: i64 = 200;

/// Ends some of the pauses that are over. Returns how many.
fn resume(tx: &mut Tx<'_>, now: UnixMillis) -> Result<usize, StoreError> {
    let over = profile::pauses_over(tx, now, RESUMED_MAX)?;
    for id in &over {
        people::end_pause(tx, *id, now)?;
    }
    Ok(over.len())
}
