//! When people left, and what they took back of it.

use allim::domain::clock::UnixMillis;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct Departures {
    /// When a person ended a schedule, unless they came back to what they had then.
    ended: BTreeMap<(i64, String), Vec<UnixMillis>>,
    /// When what was planned for a person by a schedule was stopped, unless just that was taken back.
    stopped: BTreeMap<(i64, String), Vec<UnixMillis>>,
    /// From when to when a person was gone altogether.
    gone: BTreeMap<i64, Vec<(UnixMillis, Option<UnixMillis>)>>,
    ever: BTreeSet<i64>,
}

impl Departures {
    pub(super) fn end(&mut self, id: i64, schedule: &str, now: UnixMillis) {
        self.ended.entry((id, schedule.to_owned())).or_default().push(now);
        self.stopped.entry((id, schedule.to_owned())).or_default().push(now);
        self.ever.insert(id);
    }

    /// Notes whether somebody is gone.
    pub(super) fn see(&mut self, id: i64, is_gone: bool, now: UnixMillis) {
        let absences = self.gone.entry(id).or_default();
        let away = absences.last_mut().filter(|(_, until)| until.is_none());
        match (away, is_gone) {
            (Some((_, until)), false) => *until = Some(now),
            (None, true) => {
                absences.push((now, None));
                self.ever.insert(id);
            }
            _ => {}
        }
    }

    /// Somebody takes back that they left at `left_at`: nothing of it happened.
    pub(super) fn take_back(&mut self, id: i64, left_at: UnixMillis) {
        for (_, ended) in self.ended.iter_mut().filter(|((of, _), _)| *of == id) {
            ended.retain(|at| *at < left_at);
        }
        for (_, stopped) in self.stopped.iter_mut().filter(|((of, _), _)| *of == id) {
            stopped.retain(|at| *at != left_at);
        }
        self.gone.entry(id).or_default().retain(|(from, _)| *from != left_at);
    }

    /// When a person last ended a schedule.
    pub(super) fn ended_at(&self, id: i64, schedule: &str) -> Option<UnixMillis> {
        self.ended.get(&(id, schedule.to_owned()))?.last().copied()
    }

    /// Whether leaving is a reason for what was stopped then.
    pub(super) fn explain(&self, id: i64, schedule: &str, stopped_at: UnixMillis) -> bool {
        let stopped = self.stopped.get(&(id, schedule.to_owned())).is_some_and(|times| times.contains(&stopped_at));
        let within = |(from, until): &(UnixMillis, Option<UnixMillis>)| {
            *from <= stopped_at && until.is_none_or(|until| stopped_at <= until)
        };
        stopped || self.gone.get(&id).is_some_and(|absences| absences.iter().any(within))
    }

    /// Whether somebody ever left anything, taken back or not.
    pub(super) fn has_left(&self, id: i64) -> bool {
        self.ever.contains(&id)
    }
}
