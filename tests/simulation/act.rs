//! A history: what happens to an installation, step by step, and how things go meanwhile. Whom and what a step concerns is a
//! number, taken modulo what there is, and each step has dice of its own, so that a history stays one when steps are left
//! out of it.

use super::house::{SCHEDULES, TOPICS};
use super::world::Weather;
use allim::domain::clock::{Chance as _, SeededChance};

#[derive(Clone, Debug)]
pub(super) enum Act {
    Nothing,
    Publish {
        topics: usize,
        urgent: bool,
        embargo_s: u64,
    },
    Revise {
        post: usize,
    },
    Withdraw {
        post: usize,
    },
    Join {
        who: usize,
        topic: usize,
        schedule: usize,
    },
    Leave {
        who: usize,
        schedule: usize,
    },
    Hold,
    LetGo,
    /// Somebody sets the clock, by so many milliseconds.
    SetClock(i64),
    /// The machine sleeps for so many milliseconds.
    Suspend(u64),
    /// An orderly end, and another start.
    Stop,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) act: Act,
    pub(super) weather: Weather,
    pub(super) dice: u64,
    /// What passes after it.
    pub(super) wait_ms: u64,
    /// The process dies at the so-manieth point after this began.
    pub(super) die_after: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) people: usize,
    pub(super) sessions: usize,
    pub(super) per_second: Option<u32>,
    pub(super) steps: Vec<Step>,
    /// Whether the last life, which goes well, is that of another process than the one before.
    pub(super) starts_anew: bool,
}

pub(super) struct Dice(SeededChance);

impl Dice {
    pub(super) fn below(&self, limit: usize) -> usize {
        usize::try_from(self.0.draw() % limit as u64).unwrap_or(0)
    }

    fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub(super) fn history(seed: u64) -> History {
        let dice = Self(SeededChance::new(seed));
        let (people, sessions) = (dice.pick(&[1, 2, 4, 8, 16]), dice.pick(&[1, 1, 2, 3]));
        let joins = (0..people + people / 2).map(|who| {
            let act = Act::Join { who, topic: dice.below(64), schedule: dice.pick(&[0, 0, 1]) };
            Step { act, weather: Weather::default(), dice: dice.0.draw(), wait_ms: 0, die_after: None }
        });
        let mut steps: Vec<Step> = joins.collect();
        let mood = dice.below(4);
        let length = 6 + dice.below(14);
        steps.extend((0..length).map(|_| dice.step(mood)));
        let per_second = dice.percent(25).then(|| dice.pick(&[2, 3, 5, 9]));
        History { people, sessions, per_second, steps, starts_anew: dice.percent(60) }
    }

    /// `mood` says how dark a history is on the whole.
    fn step(&self, mood: usize) -> Step {
        let (who, post) = (self.below(64), self.below(64));
        let act = match self.below(100) {
            0..30 => {
                let topics = 1 + self.below((1 << TOPICS.len()) - 1);
                let embargo_s = self.pick(&[0, 0, 0, 0, 0, 3, 400]);
                Act::Publish { topics, urgent: self.percent(15), embargo_s }
            }
            30..37 => Act::Revise { post },
            37..46 => Act::Withdraw { post },
            46..52 => Act::Join { who, topic: self.below(64), schedule: self.below(SCHEDULES.len()) },
            52..60 => Act::Leave { who, schedule: self.below(SCHEDULES.len()) },
            60..64 => Act::Hold,
            64..70 => Act::LetGo,
            70..74 => Act::SetClock(self.pick(&[-3_600_000, -30_000, -1_000, 1_000, 30_000, 3_600_000])),
            74..83 => Act::Suspend(self.pick(&[18_000, 25_000, 90_000, 420_000, 920_000, 920_000, 3_600_000])),
            83..88 => Act::Stop,
            _ => Act::Nothing,
        };
        let wait_ms = self.pick(&[0, 3, 20, 60, 200, 900, 1_100, 2_300, 5_200]);
        let die_after = self.percent(4 + 9 * mood).then(|| 1 + self.below(self.pick(&[12, 60, 150])) as u64);
        Step { act, weather: self.weather(mood), dice: self.0.draw(), wait_ms, die_after }
    }

    fn weather(&self, mood: usize) -> Weather {
        let often = [0, 25, 45, 60][mood];
        let bad = |percent: &[usize]| if self.percent(often) { self.pick(percent) } else { 0 };
        Weather {
            store_deaf: bad(&[3, 10, 40]),
            store_mute: bad(&[3, 10, 40]),
            store_slow: bad(&[3, 10, 40]),
            far_side: bad(&[10, 30, 70, 100]),
            crowd: self.pick(&[0, 10, 30, 60]),
        }
    }
}
