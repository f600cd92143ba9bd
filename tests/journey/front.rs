//! What people do, by the functions that the web pages and the command line call, in the order in which they do.

use super::house::{House, language, shape};
use super::people::Chosen;
use allim::domain::audience::{Address, Slot, Subscriber};
use allim::domain::clock::UnixMillis;
use allim::domain::edition::EditionKind;
use allim::plan::Planner;
use allim::plan::service::Letter;
use allim::store::consents::{Act, Kept};
use allim::store::people::{self, By, Choice, Confirmed};
use allim::store::profile::{self, Then};
use allim::store::wishes::{self, Wish};
use allim::store::{StoreError, Tx, consents, occurrences, subscribers};
use std::collections::BTreeSet;

/// The address of a number.
pub(super) fn address(number: usize) -> Address {
    Address::parse(&format!("reader{number}@example.net")).expect("an address")
}

fn person(id: i64, address: Address, tag: &str) -> Subscriber {
    Subscriber { id, address, name: None, language: language(tag), text_only: false, unsubscribed_at: None }
}

fn wishes_of(chosen: &Chosen) -> Vec<Wish> {
    chosen.iter().map(|(topic, slot)| Wish { topic: (*topic).to_owned(), slot: slot.clone() }).collect()
}

/// By an operator's list.
impl House {
    /// Somebody whose address is vouched for.
    pub(super) async fn person(&self, id: i64, tag: &str) -> Result<(), StoreError> {
        self.person_at(id, Address::parse(&format!("id{id}@example.net")).expect("an address"), tag).await
    }

    pub(super) async fn person_at(&self, id: i64, address: Address, tag: &str) -> Result<(), StoreError> {
        let (now, person) = (self.now(), person(id, address, tag));
        self.store.write(move |tx| subscribers::insert(tx, &person, now)).await
    }

    /// Subscribes, or changes a subscription.
    pub(super) async fn subscribe(&self, id: i64, topic: &'static str, slot: &Slot) -> Result<(), StoreError> {
        let (now, slot) = (self.now(), slot.clone());
        self.store
            .write(move |tx| {
                subscribers::lock(tx, id)?;
                subscribers::subscribe(tx, id, topic, &slot, now)?;
                occurrences::fire_for(tx, id, now)
            })
            .await
    }

    pub(super) async fn unsubscribe(&self, id: i64, topic: &'static str) -> Result<bool, StoreError> {
        self.store.write(move |tx| subscribers::unsubscribe_topic(tx, id, topic)).await
    }

    pub(super) async fn unsubscribe_schedule(&self, id: i64, schedule: &'static str) -> Result<u64, StoreError> {
        let now = self.now();
        self.store
            .write(move |tx| {
                subscribers::lock(tx, id)?;
                subscribers::unsubscribe_schedule(tx, id, schedule, now)
            })
            .await
    }

    pub(super) async fn read_in(&self, id: i64, tag: &str) -> Result<(), StoreError> {
        let (now, language) = (self.now(), language(tag));
        self.store
            .write(move |tx| {
                subscribers::lock(tx, id)?;
                subscribers::set_language(tx, id, &language)?;
                occurrences::fire_for(tx, id, now)
            })
            .await
    }
}

/// By their own page.
impl House {
    /// What a button of somebody's page does, in one transaction and with their row locked.
    async fn at_page<T, F>(&self, id: i64, mut deed: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, &Planner, &Subscriber, By<'_>, UnixMillis) -> Result<T, StoreError> + Send + 'static,
    {
        let (now, planner) = (self.now(), self.planner().clone());
        self.store
            .write(move |tx| {
                let person = subscribers::lock(tx, id)?.ok_or_else(|| shape("nobody has this page"))?;
                let language = person.language.clone();
                let by = By { language: &language, source: "page", actor: "subscriber" };
                deed(tx, &planner, &person, by, now)
            })
            .await
    }

    pub(super) async fn change(&self, id: i64, chosen: &Chosen, tag: &str, text_only: bool) -> Result<(), StoreError> {
        let choice = Choice { topics: wishes_of(chosen), language: language(tag), text_only };
        self.at_page(id, move |tx, planner, person, by, now| {
            let (ended, begun) = people::change(tx, person, &choice, by, now)?;
            planner.notices(tx, EditionKind::Withdrawn, person, &ended, now)?;
            planner.notices(tx, EditionKind::Granted, person, &begun, now)
        })
        .await
    }

    /// Sets a pause, or ends one with `None`.
    pub(super) async fn pause(&self, id: i64, pause: Option<(UnixMillis, Then)>) -> Result<(), StoreError> {
        self.at_page(id, move |tx, _, person, by, now| people::pause(tx, person, pause, by, now)).await
    }

    /// Leaves a schedule, as by the link in a mail, or all by the page. Returns the schedules that ended.
    pub(super) async fn leave(&self, id: i64, schedule: Option<&'static str>) -> Result<BTreeSet<String>, StoreError> {
        self.at_page(id, move |tx, planner, person, by, now| {
            let ended = people::withdraw(tx, person, schedule, by, now)?;
            planner.notices(tx, EditionKind::Withdrawn, person, &ended, now)?;
            Ok(ended)
        })
        .await
    }

    pub(super) async fn undo(&self, id: i64) -> Result<bool, StoreError> {
        self.at_page(id, |tx, _, person, by, now| people::undo(tx, person, by, now)).await
    }

    pub(super) async fn erase(&self, id: i64) -> Result<(), StoreError> {
        self.at_page(id, |tx, _, person, by, now| people::erase(tx, person, by, now)).await
    }

    /// Asks the holder of another address to confirm that somebody moves there. Returns whom, if it may be; otherwise whoever
    /// holds it has their own link mailed.
    pub(super) async fn ask_to_move(&self, id: i64, to: Address, fresh_id: i64) -> Result<Option<i64>, StoreError> {
        let holder = to.clone();
        let asked = self.at_page(id, move |tx, planner, person, _, now| {
            let Some(provisional) = people::ask_to_move(tx, person, to.clone(), fresh_id, now)? else {
                return Ok(None);
            };
            planner.letter(tx, &Letter { kind: EditionKind::Confirmation, to: &provisional, about: None }, now)?;
            Ok(Some(provisional.id))
        });
        let asked = asked.await?;
        if asked.is_none() {
            self.mail_link(holder).await?;
        }
        Ok(asked)
    }

    async fn mail_link(&self, holder: Address) -> Result<(), StoreError> {
        let (now, planner) = (self.now(), self.planner().clone());
        let planned = move |tx: &mut Tx<'_>| {
            let Some(person) = subscribers::by_address(tx, &holder)? else { return Ok(()) };
            if profile::of(tx, person.id)?.is_some_and(|profile| profile.confirmed_at.is_some()) {
                planner.letter(tx, &Letter { kind: EditionKind::Link, to: &person, about: None }, now)?;
            }
            Ok(())
        };
        self.store.write(planned).await
    }
}

/// By the form that is open to everybody, and by the link that it mails.
impl House {
    /// Returns whom a confirmation is asked of.
    pub(super) async fn sign_up(
        &self,
        address: Address,
        fresh_id: i64,
        tag: &str,
        chosen: &Chosen,
    ) -> Result<Option<i64>, StoreError> {
        let (stranger, wishes) = (person(fresh_id, address, tag), wishes_of(chosen));
        let (now, planner, page) = (self.now(), self.planner().clone(), language(tag));
        let asked = move |tx: &mut Tx<'_>| {
            let Some(person) = people::ask(tx, &stranger, &wishes, now)? else { return Ok(None) };
            if planner.letter(tx, &Letter { kind: EditionKind::Confirmation, to: &person, about: None }, now)? {
                people::asked(tx, &person, &wishes, By { language: &page, source: "page", actor: "subscriber" }, now)?;
            }
            Ok(Some(person.id))
        };
        self.store.write(asked).await
    }

    /// Confirms what waits for somebody, as far as `ticked` says.
    pub(super) async fn confirm(&self, id: i64, ticked: impl Fn(&str) -> bool) -> Result<Confirmed, StoreError> {
        let now = self.now();
        let waits = self.store.read(move |tx| wishes::of(tx, id)).await?;
        let wanted: Vec<Wish> = waits.into_iter().filter(|wish| ticked(&wish.topic)).collect();
        let (planner, language) = (self.planner().clone(), language("ko"));
        let confirmed = move |tx: &mut Tx<'_>| {
            let by = By { language: &language, source: "page", actor: "subscriber" };
            let outcome = people::confirm(tx, id, &wanted, by, now)?;
            if let (Confirmed::Granted(wishes), Some(person)) = (&outcome, subscribers::lock(tx, id)?) {
                let schedules: BTreeSet<String> = wishes.iter().map(|wish| wish.slot.schedule().to_owned()).collect();
                planner.notices(tx, EditionKind::Granted, &person, &schedules, now)?;
            }
            Ok(outcome)
        };
        self.store.write(confirmed).await
    }

    /// What somebody did themselves, as the ledger of consent has it: without what others asked for in their name.
    pub(super) async fn acts(&self, id: i64) -> Result<Vec<Act>, StoreError> {
        let kept = self.store.read(move |tx| consents::of(tx, id)).await?;
        let is_own = |kept: &Kept| kept.act != Act::Asked && kept.source == "page";
        Ok(kept.into_iter().filter(is_own).map(|kept| kept.act).collect())
    }
}
