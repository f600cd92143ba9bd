//! What people may do about their mail, by the rules: none of it is the product's code.
//!
//! **Changing.** What isn't chosen ends; what goes on keeps its beginning, whatever its new schedule, hour or zone. A
//! schedule all of whose topics end with it stops at once, with what was planned for it; where one of its topics goes on by
//! another schedule, what was planned goes out. Whoever has no topic left is gone; whoever chooses one again is back.
//!
//! **Leaving** ends the subscriptions of a schedule, or all, and stops what was planned for them and isn't on its way. For
//! a day it can be undone, once, unless they chose or confirmed something since: then all is as if they hadn't left. What
//! was stopped goes out, and what was released meanwhile is owed. A pause that was to skip and ended meanwhile skips all
//! the same.
//!
//! **Pausing.** During a pause nothing is planned; what was planned before goes out. A pause ends at the first tick after
//! its time, when that tick's releases are made, or at the reader's word; the choice made last counts. Then either nothing
//! that was released so far is owed (skip), or all of it is, at once for immediate subscriptions and with the next issue
//! for the others (catch up).
//!
//! **Erasing** is leaving for good: the address is never written to again.
//!
//! Who has which address, and how one comes by it, stands in `journey::addresses`.

use super::model::Model;
use allim::domain::audience::{IMMEDIATE, Slot};
use allim::domain::clock::UnixMillis;
use allim::store::consents::Act;
use allim::store::profile::Then;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Topics by the slot of each.
pub(super) type Chosen = BTreeMap<&'static str, Slot>;

const UNDO: Duration = Duration::from_secs(24 * 3_600);

#[derive(Clone, Debug)]
pub(super) struct Person {
    /// The number of their address.
    pub(super) address: usize,
    pub(super) language: &'static str,
    pub(super) text_only: bool,
    pub(super) subscriptions: BTreeMap<&'static str, Subscription>,
    /// They ended all of it; nobody but themselves brings them back.
    pub(super) gone: bool,
    pub(super) pause: Option<(UnixMillis, Then)>,
    pub(super) left: Option<Leaving>,
    /// What the ledger of consent must say that they did.
    pub(super) acts: Vec<Act>,
}

#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) slot: Slot,
    /// How many releases there were when it began.
    pub(super) since: usize,
}

/// What somebody left, and may take back.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    at: UnixMillis,
    subscriptions: BTreeMap<&'static str, Subscription>,
}

impl Person {
    pub(super) fn new(address: usize, language: &'static str) -> Self {
        Self {
            address,
            language,
            text_only: false,
            subscriptions: BTreeMap::new(),
            gone: false,
            pause: None,
            left: None,
            acts: Vec::new(),
        }
    }

    pub(super) fn schedules(&self) -> BTreeSet<String> {
        self.subscriptions.values().map(|subscription| subscription.slot.schedule().to_owned()).collect()
    }
}

/// Subscriptions.
impl Model {
    pub(super) fn subscribe(&mut self, id: i64, topic: &'static str, slot: &Slot, now: UnixMillis) {
        self.put(id, topic, slot, now);
        self.ask(id);
    }

    pub(super) fn put(&mut self, id: i64, topic: &'static str, slot: &Slot, now: UnixMillis) {
        let since = self.releases.len();
        self.ensure_slot(slot, now);
        let Some(person) = self.people.get_mut(&id) else { return };
        let new = Subscription { slot: slot.clone(), since };
        person.subscriptions.entry(topic).or_insert(new).slot = slot.clone();
    }

    pub(super) fn unsubscribe(&mut self, id: i64, topic: &str) -> bool {
        self.people.get_mut(&id).is_some_and(|person| person.subscriptions.remove(topic).is_some())
    }

    pub(super) fn unsubscribe_schedule(&mut self, id: i64, schedule: &str) -> usize {
        let Some(person) = self.people.get_mut(&id) else { return 0 };
        let before = person.subscriptions.len();
        person.subscriptions.retain(|_, subscription| subscription.slot.schedule() != schedule);
        before - person.subscriptions.len()
    }

    pub(super) fn read_in(&mut self, id: i64, language: &'static str) {
        self.people.entry(id).and_modify(|person| person.language = language);
        self.ask(id);
    }

    /// Everything that the page of settings saves at once. Returns the schedules that stop.
    pub(super) fn change(
        &mut self,
        id: i64,
        chosen: &Chosen,
        language: &'static str,
        text_only: bool,
        now: UnixMillis,
    ) -> BTreeSet<String> {
        let Some(person) = self.people.get_mut(&id) else { return BTreeSet::new() };
        let before: Chosen = person.subscriptions.iter().map(|(topic, one)| (*topic, one.slot.clone())).collect();
        if before == *chosen && person.language == language && person.text_only == text_only {
            return BTreeSet::new();
        }
        person.acts.push(Act::Changed);
        (person.language, person.text_only, person.left) = (language, text_only, None);
        person.gone = chosen.is_empty();
        person.subscriptions.retain(|topic, _| chosen.contains_key(topic));
        for (topic, slot) in chosen {
            self.put(id, topic, slot, now);
        }
        self.ask(id);
        let goes_on = |schedule: &str| {
            let has = chosen.values().any(|slot| slot.schedule() == schedule);
            has || before.iter().any(|(topic, slot)| slot.schedule() == schedule && chosen.contains_key(topic))
        };
        let had: BTreeSet<&str> = before.values().map(Slot::schedule).collect();
        had.into_iter().filter(|schedule| !goes_on(schedule)).map(str::to_owned).collect()
    }

    /// After a change a person has at once what their immediate subscriptions owe them.
    pub(super) fn ask(&mut self, id: i64) {
        let immediate = |subscription: &Subscription| subscription.slot.schedule() == IMMEDIATE;
        if self.people[&id].subscriptions.values().any(immediate) {
            self.asked.push((id, self.releases.len()));
        }
    }
}

/// Pauses.
impl Model {
    pub(super) fn pause(&mut self, id: i64, until: UnixMillis, then: Then) {
        let Some(person) = self.people.get_mut(&id) else { return };
        person.pause = Some((until, then));
        person.acts.push(Act::Paused);
    }

    /// The reader ends their pause.
    pub(super) fn resume(&mut self, id: i64) {
        if self.end_pause(id) {
            self.people.entry(id).and_modify(|person| person.acts.push(Act::Resumed));
        }
    }

    /// Ends the pauses that are over. Returns how many.
    pub(super) fn end_pauses(&mut self, now: UnixMillis) -> usize {
        let is_over = |person: &Person| person.pause.is_some_and(|(until, _)| until <= now);
        let over: Vec<i64> = self.people.iter().filter(|(_, person)| is_over(person)).map(|(id, _)| *id).collect();
        over.into_iter().filter(|id| self.end_pause(*id)).count()
    }

    fn end_pause(&mut self, id: i64) -> bool {
        let released = self.releases.len();
        let Some(person) = self.people.get_mut(&id) else { return false };
        let Some((_, then)) = person.pause.take() else { return false };
        match then {
            Then::Skip => {
                let left = person.left.iter_mut().flat_map(|left| left.subscriptions.values_mut());
                for subscription in person.subscriptions.values_mut().chain(left) {
                    subscription.since = released;
                }
            }
            Then::CatchUp => self.ask(id),
        }
        true
    }
}

/// Leaving.
impl Model {
    /// Leaves one schedule, or all. Returns the schedules that stop.
    pub(super) fn leave(&mut self, id: i64, schedule: Option<&str>, now: UnixMillis) -> BTreeSet<String> {
        let Some(person) = self.people.get_mut(&id) else { return BTreeSet::new() };
        let ends = |slot: &Slot| schedule.is_none_or(|schedule| slot.schedule() == schedule);
        let (left, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut person.subscriptions).into_iter().partition(|(_, one)| ends(&one.slot));
        person.gone |= schedule.is_none() || kept.is_empty();
        person.subscriptions = kept;
        let ended = left.values().map(|one: &Subscription| one.slot.schedule().to_owned()).collect();
        if !left.is_empty() {
            person.left = Some(Leaving { at: now, subscriptions: left });
            person.acts.push(if schedule.is_some() { Act::Withdrew } else { Act::Left });
        }
        ended
    }

    /// Takes the newest leaving back, if that can be. Returns when that was.
    pub(super) fn undo(&mut self, id: i64, now: UnixMillis) -> Option<UnixMillis> {
        let person = self.people.get_mut(&id)?;
        let Leaving { at, subscriptions } = person.left.take().filter(|left| left.at >= now.minus(UNDO))?;
        person.gone = false;
        person.subscriptions.extend(subscriptions);
        person.acts.push(Act::CameBack);
        self.ask(id);
        Some(at)
    }

    pub(super) fn erase(&mut self, id: i64) {
        let Some(person) = self.people.remove(&id) else { return };
        self.addresses.barred.insert(person.address);
        self.addresses.wishes.remove(&id);
        self.addresses.moves.retain(|_, mover| *mover != id);
    }
}
