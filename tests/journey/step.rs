//! One step of a random history. Whom and what it concerns is a number, taken modulo what there is, so that a history
//! stays one when steps are left out of it.

use super::house::{DAILY, READERS, SEVEN, TOPICS};
use allim::domain::audience::{IMMEDIATE, Slot};
use allim::domain::clock::{Chance as _, SeededChance};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Subscribe {
        who: usize,
        topic: usize,
        slot: Slot,
    },
    Unsubscribe {
        who: usize,
        topic: usize,
    },
    UnsubscribeSchedule {
        who: usize,
        schedule: &'static str,
    },
    ReadIn {
        who: usize,
        language: &'static str,
    },
    Publish(Wording),
    Revise {
        post: usize,
        number: Number,
        as_event: bool,
        wording: Wording,
    },
    Withdraw {
        post: usize,
    },
    LiftBackfill {
        post: usize,
    },
    /// The last message arrives once more.
    Repeat,
    Pass(Duration),
    Tick,
    /// The clock moves to when the planner wants to be woken, and it ticks.
    TickWhenDue,
    Claim {
        count: usize,
    },
    Begin {
        which: usize,
    },
    Answer {
        which: usize,
        answer: Answer,
    },
    /// Claims, begins and answers, without anything in between.
    Send {
        count: usize,
        answer: Answer,
    },
    /// The sending process dies.
    Die,
    Settle,
    Reconfigure,
}

/// What is said in a post; instants are relative to the present.
#[derive(Clone, Debug)]
pub(super) struct Wording {
    /// A story shared with other posts.
    pub(super) story: Option<usize>,
    pub(super) language: &'static str,
    pub(super) languages_expected: Vec<&'static str>,
    /// One bit a topic.
    pub(super) topics: usize,
    pub(super) old: bool,
    /// Full minutes, so that a boundary meets a firing exactly.
    pub(super) embargo_minutes: Option<u64>,
    /// After it may be shown.
    pub(super) expiry_minutes: Option<u64>,
    pub(super) urgent: bool,
    pub(super) as_event: bool,
}

/// Which number a revision bears.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Unsaid,
    Next,
    /// One is left out.
    AfterNext,
    /// One that was left out; the next if none was.
    LeftOut,
}

/// What the far side says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Yes,
    Later,
    /// The destination as a whole has no time.
    Busy,
    No,
    /// It isn't heard.
    Lost,
}

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
        let length = 20 + self.below(36);
        steps.extend((0..length).map(|_| self.step()));
        steps
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
