//! Who has which address and who may confirm what, by the rules.
//!
//! **Subscribing.** Whoever asks for topics in the name of an address changes nothing, until its holder confirms what was
//! asked for. What was asked for last for a topic is what waits. Asking ends a move that waits for an address which
//! nobody has confirmed yet.
//!
//! **Moving.** Whoever confirms the new address takes everything along: they are the same person, and only where their mail
//! goes is another. Nobody moves to an address that somebody has confirmed, that waits for a confirmation of its own, or
//! that may not be written to.

use super::front::address;
use super::model::Model;
use super::people::{Chosen, Person};
use allim::domain::audience::Subscriber;
use allim::domain::clock::UnixMillis;
use allim::store::consents::Act;
use std::collections::{BTreeMap, BTreeSet};

/// Whoever hasn't confirmed their address.
#[derive(Clone, Debug)]
struct Stranger {
    id: i64,
    language: &'static str,
}

/// Who has an address, and what waits for its holder.
#[derive(Default)]
pub(super) struct Addresses {
    strangers: BTreeMap<usize, Stranger>,
    /// What waits for a confirmation, by the id of whom it waits for.
    pub(super) wishes: BTreeMap<i64, Chosen>,
    /// Whose new address a stranger's is.
    pub(super) moves: BTreeMap<i64, i64>,
    /// Never to be written to again.
    pub(super) barred: BTreeSet<usize>,
}

/// What a confirmation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    Granted(i64),
    Moved(i64),
    Nothing,
}

impl Model {
    fn holder(&self, address: usize) -> Option<i64> {
        self.people.iter().find(|(_, person)| person.address == address).map(|(id, _)| *id)
    }

    /// Somebody asks for topics in the name of an address. Returns whom a confirmation is asked of.
    pub(super) fn sign_up(
        &mut self,
        address: usize,
        fresh_id: i64,
        language: &'static str,
        wishes: &Chosen,
    ) -> Option<i64> {
        if self.addresses.barred.contains(&address) {
            return None;
        }
        let id = self.holder(address).unwrap_or_else(|| {
            let stranger = self.addresses.strangers.entry(address).or_insert(Stranger { id: fresh_id, language });
            stranger.language = language;
            self.addresses.moves.remove(&stranger.id);
            stranger.id
        });
        self.addresses.wishes.entry(id).or_default().extend(wishes.clone());
        Some(id)
    }

    /// Somebody wants their mail at another address. Returns whom a confirmation is asked of.
    pub(super) fn ask_to_move(&mut self, id: i64, address: usize, fresh_id: i64) -> Option<i64> {
        let Addresses { strangers, wishes, moves, barred } = &mut self.addresses;
        let is_anybodys = self.people.values().any(|person| person.address == address);
        let waits = strangers.get(&address).is_some_and(|stranger| wishes.contains_key(&stranger.id));
        if is_anybodys || waits || barred.contains(&address) {
            return None;
        }
        let language = self.people[&id].language;
        let stranger = strangers.entry(address).or_insert(Stranger { id: fresh_id, language }).id;
        moves.retain(|_, mover| *mover != id);
        moves.insert(stranger, id);
        Some(stranger)
    }

    /// Whether a letter may go to somebody: one that answers what they did also to those who are gone or haven't confirmed yet.
    pub(super) fn may_write(&self, id: i64, is_service: bool) -> bool {
        let is_stranger = || self.addresses.strangers.values().any(|stranger| stranger.id == id);
        let person = self.people.get(&id);
        if is_service { person.is_some() || is_stranger() } else { person.is_some_and(|person| !person.gone) }
    }

    /// Whether a letter that is ready for `to` has the address and the form that its reader has now.
    pub(super) fn is_reached_as(&self, id: i64, to: &Subscriber) -> bool {
        let is_same = |person: &Person| address(person.address) == to.address && person.text_only == to.text_only;
        self.people.get(&id).is_none_or(is_same)
    }

    /// Who is asked to confirm an address, if anybody has it.
    pub(super) fn waits_at(&self, address: usize) -> Option<i64> {
        self.holder(address).or_else(|| self.addresses.strangers.get(&address).map(|stranger| stranger.id))
    }

    /// The holder of an address presses the button; `ticked` says which wishes they leave ticked.
    pub(super) fn confirm(&mut self, address: usize, ticked: impl Fn(&str) -> bool, now: UnixMillis) -> Confirmation {
        let Some(id) = self.waits_at(address) else { return Confirmation::Nothing };
        if let Some(mover) = self.addresses.moves.remove(&id) {
            self.addresses.strangers.remove(&address);
            let Some(person) = self.people.get_mut(&mover) else { return Confirmation::Nothing };
            person.address = address;
            person.acts.push(Act::Moved);
            return Confirmation::Moved(mover);
        }
        let wishes = self.addresses.wishes.get(&id).cloned().unwrap_or_default();
        let granted: Chosen = wishes.into_iter().filter(|(topic, _)| ticked(topic)).collect();
        if granted.is_empty() {
            return Confirmation::Nothing;
        }
        self.addresses.wishes.remove(&id);
        if let Some(stranger) = self.addresses.strangers.remove(&address) {
            self.people.insert(id, Person::new(address, stranger.language));
        }
        if let Some(person) = self.people.get_mut(&id) {
            (person.gone, person.left) = (false, None);
            person.acts.push(Act::Granted);
        }
        for (topic, slot) in &granted {
            self.put(id, topic, slot, now);
        }
        self.ask(id);
        Confirmation::Granted(id)
    }
}
