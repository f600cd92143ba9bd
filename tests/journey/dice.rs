//! Draws the steps of a history from its seed.

use super::acts::ADDRESSES;
use super::house::{DAILY, READERS, SEVEN, TOPICS};
use super::step::{Answer, Number, Saving, Step, Wording};
use allim::domain::audience::{IMMEDIATE, Slot};
use allim::domain::clock::{Chance as _, SeededChance};
use allim::store::profile::Then;
use std::time::Duration;

/// Steps and what surrounds them, from one seed.
pub(super) struct Dice(SeededChance);

impl Dice {
    pub(super) fn of(seed: u64) -> Self {
        Self(SeededChance::new(seed))
    }

    pub(super) fn below(&self, limit: usize) -> usize {
        usize::try_from(self.0.draw() % limit as u64).unwrap_or(0)
    }

    fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    /// A history of `people` people: some subscriptions to begin with, then anything.
    pub(super) fn history(&self, people: usize) -> Vec<Step> {
        let first = (0..people * 2).map(|who| Step::Subscribe { who, topic: self.any(), slot: self.slot() });
        let mut steps: Vec<Step> = first.collect();
        let length = 30 + self.below(54);
        let mut followed = Vec::new();
        while steps.len() < length {
            let step = if self.percent(40) { followed.pop() } else { None };
            let step = step.unwrap_or_else(|| self.step());
            followed.extend(self.what_follows(&step));
            steps.push(step);
        }
        steps
    }

    /// What asks for an answer often gets one before long.
    fn what_follows(&self, step: &Step) -> Option<Step> {
        match step {
            Step::AskToMove { address, .. } | Step::SignUp { address, .. } if self.percent(70) => {
                Some(Step::Confirm { address: *address, ticked: self.any() })
            }
            Step::Leave { who, .. } if self.percent(60) => Some(Step::Undo { who: *who }),
            Step::Pause { who, .. } if self.percent(25) => Some(Step::Resume { who: *who }),
            Step::Pause { who, .. } if self.percent(25) => Some(self.pause(*who)),
            _ => None,
        }
    }

    fn pause(&self, who: usize) -> Step {
        let minutes = self.pick(&[1, 7, 14, 60, 180, 1_440, 4_000]);
        Step::Pause { who, minutes, then: self.pick(&[Then::Skip, Then::CatchUp]) }
    }

    fn saving(&self) -> Saving {
        let slot = |topic| (topic, self.percent(65).then(|| self.slot()));
        Saving {
            topics: (0..TOPICS.len()).filter(|_| self.percent(45)).map(slot).collect(),
            language: self.percent(25).then(|| self.pick(&READERS)),
            other_form: self.percent(20),
        }
    }

    /// One topic at least: a form without any isn't taken.
    fn wishes(&self) -> Vec<(usize, Slot)> {
        (0..1 + self.below(3)).map(|_| (self.any(), self.slot())).collect()
    }

    fn any(&self) -> usize {
        self.below(64)
    }

    fn slot(&self) -> Slot {
        let own = [(7, 30, "Asia/Seoul"), (9, 0, "Europe/Berlin"), (2, 30, "Europe/Berlin")];
        match self.below(10) {
            0..4 => Slot::of(IMMEDIATE),
            4..7 => Slot::of(SEVEN),
            7 => Slot::of(DAILY),
            _ => {
                let (hour, minute, zone) = self.pick(&own);
                Slot::own(DAILY, hour, minute, zone)
            }
        }
    }

    fn step(&self) -> Step {
        match self.below(128) {
            0..100 => self.of_the_house(),
            _ => self.of_readers(),
        }
    }

    /// What people do by themselves, and in the name of others.
    fn of_readers(&self) -> Step {
        let (who, address) = (self.any(), self.below(ADDRESSES));
        match self.below(56) {
            0..16 => Step::Save { who, saving: self.saving() },
            16..27 => self.pause(who),
            27..29 => Step::Resume { who },
            29..34 => Step::Leave { who, schedule: Some(self.pick(&[IMMEDIATE, SEVEN, DAILY])) },
            34..38 => Step::Leave { who, schedule: None },
            38..41 => Step::Undo { who },
            41 => Step::Erase { who },
            42..46 => Step::SignUp { address, language: self.pick(&READERS), wishes: self.wishes() },
            46..54 => Step::AskToMove { who, address },
            _ => Step::Confirm { address, ticked: self.any() },
        }
    }

    /// What an operator's list, the source, the clock and the sending process do.
    fn of_the_house(&self) -> Step {
        let (who, post, which) = (self.any(), self.any(), self.any());
        match self.below(100) {
            0..7 => Step::Subscribe { who, topic: self.any(), slot: self.slot() },
            7..10 => Step::Unsubscribe { who, topic: self.any() },
            10..12 => Step::UnsubscribeSchedule { who, schedule: self.pick(&[IMMEDIATE, SEVEN, DAILY]) },
            12..16 => Step::ReadIn { who, language: self.pick(&READERS) },
            16..31 => Step::Publish(self.wording()),
            31..36 => self.revise(post),
            36..41 => Step::Withdraw { post },
            41..43 => Step::LiftBackfill { post },
            43 => Step::Repeat,
            44..53 => Step::Pass(self.time()),
            53..66 => Step::Tick,
            66..72 => Step::TickWhenDue,
            72..77 => Step::Claim { count: 1 + self.below(3) },
            77..82 => Step::Begin { which },
            82..88 => Step::Answer { which, answer: self.answer() },
            88..94 => Step::Send { count: 1 + self.below(4), answer: self.answer() },
            94..96 => Step::Die,
            96..99 => Step::Settle,
            _ => Step::Reconfigure,
        }
    }

    fn revise(&self, post: usize) -> Step {
        let number = self.pick(&[Number::Unsaid, Number::Unsaid, Number::Next, Number::AfterNext, Number::LeftOut]);
        Step::Revise { post, number, as_event: self.percent(50), wording: self.wording() }
    }

    fn wording(&self) -> Wording {
        // A post needs a board; the last topic is a tag.
        let boards = TOPICS.len() - 1;
        let expected = |language: &&'static str| self.percent(20).then_some(*language);
        Wording {
            story: self.percent(55).then(|| self.below(3)),
            language: self.pick(&["ko", "ko", "en", "zh", "fr"]),
            languages_expected: READERS.iter().filter_map(expected).collect(),
            topics: 1 + self.below((1 << boards) - 1) + self.pick(&[0, 0, 1 << boards]),
            old: self.percent(8),
            embargo_minutes: self.percent(25).then(|| self.pick(&[1, 7, 14, 60, 180, 1_440])),
            expiry_minutes: self.percent(25).then(|| self.pick(&[1, 7, 30, 300, 3_000])),
            urgent: self.percent(10),
            as_event: self.percent(50),
        }
    }

    fn time(&self) -> Duration {
        Duration::from_secs(self.pick(&[1, 40, 60, 180, 420, 420, 1_200, 3_600, 18_000, 86_400, 260_000]))
    }

    fn answer(&self) -> Answer {
        self.pick(&[
            Answer::Yes,
            Answer::Yes,
            Answer::Yes,
            Answer::Later,
            Answer::Busy,
            Answer::No,
            Answer::Lost,
            Answer::Lost,
        ])
    }
}
