//! What people do in a walk, in the product and in the model.

use super::addresses::Confirmation;
use super::front;
use super::house::TOPICS;
use super::people::Chosen;
use super::reckoning::{Fault, ensure};
use super::step::{Saving, Step};
use super::walk::Walk;
use allim::domain::clock::UnixMillis;
use allim::store::people::Confirmed;
use std::collections::BTreeSet;
use std::time::Duration;

/// Addresses that people have, had, or may move to.
pub(super) const ADDRESSES: usize = 7;
const MINUTE_MS: i64 = 60_000;

fn topic(number: usize) -> &'static str {
    TOPICS[number % TOPICS.len()]
}

impl Walk<'_> {
    pub(super) async fn act(&mut self, step: &Step) -> Result<(), Fault> {
        match step {
            Step::SignUp { address, language, wishes } => {
                let wishes = wishes.iter().map(|(number, slot)| (topic(*number), slot.clone())).collect();
                return self.sign_up(address % ADDRESSES, language, &wishes).await;
            }
            Step::Confirm { address, ticked } => return self.confirm(address % ADDRESSES, *ticked).await,
            _ => {}
        }
        let Some(id) = step.who().and_then(|number| self.who(number)) else { return Ok(()) };
        match step {
            Step::Save { saving, .. } => self.save(id, saving).await?,
            Step::Pause { minutes, then, .. } => {
                let now = self.house.now();
                let until = UnixMillis(now.0 - now.0.rem_euclid(MINUTE_MS)).plus(Duration::from_secs(minutes * 60));
                self.house.pause(id, Some((until, *then))).await?;
                self.counts.add(if self.model.people[&id].pause.is_some() { "pauses prolonged" } else { "pauses" });
                self.model.pause(id, until, *then);
            }
            Step::Resume { .. } => {
                self.house.pause(id, None).await?;
                self.model.resume(id);
            }
            Step::Leave { schedule, .. } => self.leave(id, *schedule).await?,
            Step::Undo { .. } => self.undo(id).await?,
            Step::Erase { .. } => self.erase(id).await?,
            Step::AskToMove { address, .. } => self.ask_to_move(id, address % ADDRESSES).await?,
            // A list brings nobody back.
            _ if self.model.people[&id].gone => {}
            _ => self.by_list(id, step).await?,
        }
        let is_gone = self.model.people.get(&id).is_none_or(|person| person.gone);
        self.sending.departures.see(id, is_gone, self.house.now());
        Ok(())
    }

    /// Somebody of those who are there.
    fn who(&self, number: usize) -> Option<i64> {
        self.people.get(number.checked_rem(self.people.len())?).copied()
    }

    async fn by_list(&mut self, id: i64, step: &Step) -> Result<(), Fault> {
        match step {
            Step::Subscribe { topic: number, slot, .. } => {
                self.house.subscribe(id, topic(*number), slot).await?;
                self.model.subscribe(id, topic(*number), slot, self.house.now());
            }
            Step::Unsubscribe { topic: number, .. } => {
                let ended = self.house.unsubscribe(id, topic(*number)).await?;
                let expected = self.model.unsubscribe(id, topic(*number));
                ensure(ended == expected, || "another subscription ended".to_owned())?;
            }
            Step::UnsubscribeSchedule { schedule, .. } => {
                let ended = self.house.unsubscribe_schedule(id, schedule).await?;
                let expected = self.model.unsubscribe_schedule(id, schedule);
                ensure(ended == expected as u64, || format!("{ended} subscriptions ended instead of {expected}"))?;
                self.stop(id, &BTreeSet::from([(*schedule).to_owned()]));
            }
            Step::ReadIn { language, .. } => {
                self.house.read_in(id, language).await?;
                self.model.read_in(id, language);
            }
            _ => {}
        }
        Ok(())
    }

    /// What was planned for somebody by these schedules stops.
    fn stop(&mut self, id: i64, schedules: &BTreeSet<String>) {
        let now = self.house.now();
        for schedule in schedules {
            self.sending.departures.end(id, schedule, now);
        }
        for held in self.held.iter_mut().filter(|held| held.claimed.key.recipient_id == id) {
            let is_stopped = schedules.contains(&held.content.schedule);
            held.taken_back |= is_stopped && !held.begun;
            held.put_to_rest |= is_stopped && held.begun && !held.dead;
        }
    }

    async fn save(&mut self, id: i64, saving: &Saving) -> Result<(), Fault> {
        let person = &self.model.people[&id];
        let mut chosen: Chosen = person.subscriptions.iter().map(|(topic, one)| (*topic, one.slot.clone())).collect();
        for (number, slot) in &saving.topics {
            match slot {
                Some(slot) => chosen.insert(topic(*number), slot.clone()),
                None => chosen.remove(topic(*number)),
            };
        }
        let language = saving.language.unwrap_or(person.language);
        let text_only = person.text_only != saving.other_form;
        let was_gone = person.gone;
        self.house.change(id, &chosen, language, text_only).await?;
        if saving.other_form {
            self.rest(id);
        }
        let stopped = self.model.change(id, &chosen, language, text_only, self.house.now());
        self.stop(id, &stopped);
        self.counts.add_many("back by their own page", usize::from(was_gone && !self.model.people[&id].gone));
        Ok(())
    }

    /// What may have arrived isn't sent again: it would go to another address, or look different. What lies ready is made
    /// ready anew.
    fn rest(&mut self, id: i64) {
        let theirs = self.sending.uncertain.keys().filter(|key| key.recipient_id == id);
        let theirs: Vec<_> = theirs.cloned().collect();
        self.sending.rests.extend(theirs);
        for held in self.held.iter_mut().filter(|held| held.claimed.key.recipient_id == id) {
            (held.rests_if_lost, held.taken_back) = (held.begun, !held.begun);
            held.put_to_rest |= held.begun && !held.dead;
        }
    }

    async fn leave(&mut self, id: i64, schedule: Option<&'static str>) -> Result<(), Fault> {
        let ended = self.house.leave(id, schedule).await?;
        let expected = self.model.leave(id, schedule, self.house.now());
        ensure(ended == expected, || format!("{ended:?} ended instead of {expected:?}"))?;
        // One schedule stops also when nothing is subscribed to by it any more.
        self.stop(id, &ended);
        if let Some(schedule) = schedule {
            self.stop(id, &BTreeSet::from([schedule.to_owned()]));
        }
        self.counts.add(if schedule.is_some() { "left a schedule" } else { "left altogether" });
        Ok(())
    }

    async fn undo(&mut self, id: i64) -> Result<(), Fault> {
        let now = self.house.now();
        let was_gone = self.model.people[&id].gone;
        let (undone, left_at) = (self.house.undo(id).await?, self.model.undo(id, now));
        ensure(undone == left_at.is_some(), || format!("{id} could undo: {undone}; by the rules {left_at:?}"))?;
        if let Some(left_at) = left_at {
            self.sending.departures.take_back(id, left_at);
            self.counts.add(if was_gone { "came back to all" } else { "came back to a schedule" });
        }
        Ok(())
    }

    async fn erase(&mut self, id: i64) -> Result<(), Fault> {
        self.house.erase(id).await?;
        let ended = self.model.people[&id].schedules();
        self.stop(id, &ended);
        self.model.erase(id);
        self.people.retain(|known| *known != id);
        self.counts.add("erased");
        Ok(())
    }
}

/// Addresses.
impl Walk<'_> {
    /// An id that nobody had yet, sometimes below those that are there.
    fn fresh_id(&mut self) -> i64 {
        self.fresh += 1;
        self.fresh * 17 % 100 + self.fresh / 100 * 100
    }

    async fn sign_up(&mut self, address: usize, language: &'static str, wishes: &Chosen) -> Result<(), Fault> {
        let fresh_id = self.fresh_id();
        let asked = self.house.sign_up(front::address(address), fresh_id, language, wishes).await?;
        let expected = self.model.sign_up(address, fresh_id, language, wishes);
        ensure(asked == expected, || format!("{asked:?} is asked to confirm instead of {expected:?}"))
    }

    async fn ask_to_move(&mut self, id: i64, address: usize) -> Result<(), Fault> {
        if self.model.people[&id].address == address {
            return Ok(());
        }
        let fresh_id = self.fresh_id();
        let asked = self.house.ask_to_move(id, front::address(address), fresh_id).await?;
        let expected = self.model.ask_to_move(id, address, fresh_id);
        ensure(asked == expected, || format!("{asked:?} is asked to confirm a move instead of {expected:?}"))?;
        self.counts.add(if asked.is_some() { "moves asked for" } else { "moves refused" });
        Ok(())
    }

    async fn confirm(&mut self, address: usize, ticked: usize) -> Result<(), Fault> {
        let Some(waits) = self.model.waits_at(address) else { return Ok(()) };
        let ticked =
            |name: &str| TOPICS.iter().position(|topic| *topic == name).is_some_and(|at| ticked >> at & 1 == 1);
        let outcome = self.house.confirm(waits, ticked).await?;
        let expected = self.model.confirm(address, ticked, self.house.now());
        let outcome = match outcome {
            Confirmed::Granted(_) => Confirmation::Granted(waits),
            Confirmed::Moved(id) => Confirmation::Moved(id),
            Confirmed::Nothing => Confirmation::Nothing,
        };
        ensure(outcome == expected, || format!("a confirmation came to {outcome:?}, not {expected:?}"))?;
        match outcome {
            Confirmation::Moved(id) => {
                self.rest(id);
                self.counts.add("moved");
            }
            Confirmation::Granted(id) => {
                if !self.people.contains(&id) {
                    self.people.push(id);
                }
                self.sending.departures.see(id, false, self.house.now());
                self.counts.add("confirmed");
            }
            Confirmation::Nothing => {}
        }
        Ok(())
    }
}
