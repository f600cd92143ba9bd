//! Takes a history step by step, in the product and in the model, and compares them on the way.

use super::draft::{Draft, withdrawal};
use super::front;
use super::house::{EVERY_FIVE_MINUTES, EVERY_SEVEN_MINUTES, House, READERS, TOPICS};
use super::model::Model;
use super::reckoning::{Counts, Fault, compare_planned, compare_releases, ensure};
use super::sending::{Held, Sending};
use super::step::{Answer, Number, Step, Wording};
use allim::domain::clock::UnixMillis;
use allim::intake::accept::Verdict;
use allim::intake::wire::{EventKind, Incoming};
use std::time::Duration;

/// Saturday before Europe's clocks go forward: the night's 02:30 is one that Berlin doesn't have.
pub(super) const START: UnixMillis = UnixMillis(1_774_656_000_000);
/// A history that hasn't come to rest after so many rounds of sending never will.
const ROUNDS_MAX: usize = 60;

pub(super) struct Walk<'a> {
    pub(super) house: &'a mut House,
    pub(super) model: Model,
    pub(super) sending: Sending,
    pub(super) counts: Counts,
    /// Who can do something.
    pub(super) people: Vec<i64>,
    /// How many ids were drawn.
    pub(super) fresh: i64,
    pub(super) held: Vec<Held>,
    last_message: Option<Incoming>,
    drafts: usize,
    events: usize,
    line: &'static str,
    releases_seen: usize,
}

impl<'a> Walk<'a> {
    /// A walk of `people` people through an empty house.
    pub(super) async fn begin(house: &'a mut House, people: usize) -> Result<Self, Fault> {
        let mut model = Model::new();
        // Planning locks people in the order of their ids, which isn't that of their languages or wishes.
        let ids: Vec<i64> = [40, 10, 30, 20].into_iter().take(people).collect();
        for ((address, id), language) in ids.iter().enumerate().zip(READERS.into_iter().cycle()) {
            house.person_at(*id, front::address(address), language).await?;
            model.person(*id, address, language);
        }
        Ok(Self {
            house,
            model,
            sending: Sending::default(),
            counts: Counts::default(),
            people: ids,
            fresh: 0,
            held: Vec::new(),
            last_message: None,
            drafts: 0,
            events: 0,
            line: EVERY_SEVEN_MINUTES,
            releases_seen: 0,
        })
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<(), Fault> {
        // No two things happen in one millisecond, but a tick and what the clock was moved to for it.
        self.house.pass(Duration::from_millis(1));
        match step {
            Step::Publish(wording) => self.publish(wording).await,
            Step::Revise { post, number, as_event, wording } => self.revise(*post, *number, *as_event, wording).await,
            Step::Withdraw { post } => self.withdraw(*post).await,
            Step::LiftBackfill { post } => self.lift_backfill(*post).await,
            Step::Repeat => self.repeat().await,
            Step::Pass(time) => {
                self.house.pass(*time);
                Ok(())
            }
            Step::Tick => self.tick().await,
            Step::TickWhenDue => self.tick_when_due().await,
            Step::Claim { count } => self.claim(*count).await,
            Step::Begin { which } => self.begin_one(*which).await,
            Step::Answer { which, answer } => self.answer_one(*which, *answer).await,
            Step::Send { count, answer } => self.send(*count, *answer).await,
            Step::Die => self.die().await,
            Step::Settle => self.settle().await,
            Step::Reconfigure => {
                let other = if self.line == EVERY_SEVEN_MINUTES { EVERY_FIVE_MINUTES } else { EVERY_SEVEN_MINUTES };
                self.line = other;
                self.house.configure(other);
                self.model.configure(other);
                Ok(())
            }
            _ => self.act(step).await,
        }
    }
}

/// Posts.
impl Walk<'_> {
    fn draft(&self, source_id: String, wording: &Wording) -> Draft {
        let now = self.house.now();
        let minute = UnixMillis(now.0 - now.0.rem_euclid(60_000));
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let topics: Vec<&str> =
            (0..TOPICS.len()).filter(|bit| wording.topics >> bit & 1 == 1).map(|bit| TOPICS[bit]).collect();
        let age = if wording.old { minutes(60 * 24 * 30) } else { minutes(1) };
        let mut draft = Draft {
            story: wording.story.map(|number| format!("story-{number}")),
            languages_expected: wording.languages_expected.clone(),
            published_at: now.minus(age),
            embargo_until: wording.embargo_minutes.map(|ahead| minute.plus(minutes(ahead))),
            urgent: wording.urgent,
            ..Draft::new(&source_id, wording.language, &topics, now)
        };
        draft.expires_at = wording.expiry_minutes.map(|after| draft.public_due_at().plus(minutes(after)));
        draft
    }

    async fn publish(&mut self, wording: &Wording) -> Result<(), Fault> {
        self.drafts += 1;
        let draft = self.draft(format!("post-{}", self.drafts), wording);
        let message = self.message(&draft, EventKind::Published, wording.as_event);
        self.hand_in(message, &Verdict::Stored).await?;
        self.model.publish(draft, self.house.now());
        Ok(())
    }

    /// Everything may change in a revision but language and story.
    async fn revise(&mut self, post: usize, number: Number, as_event: bool, wording: &Wording) -> Result<(), Fault> {
        let Some(id) = self.published(post) else { return Ok(()) };
        let known = self.model.post(&id).clone();
        let next = known.revision + 1;
        let left_out = (1..known.revision).rev().find(|number| !known.revisions_kept.contains(number));
        let number = match number {
            Number::Unsaid => None,
            Number::Next => Some(next),
            Number::AfterNext => Some(next + 1),
            Number::LeftOut => Some(left_out.unwrap_or(next)),
        };
        self.drafts += 1;
        let draft = Draft {
            revision: number,
            story: known.draft.story.clone(),
            language: known.draft.language,
            title: format!("revised as number {}", self.drafts),
            ..self.draft(known.draft.source_id.clone(), wording)
        };
        let message = self.message(&draft, EventKind::Revised, as_event);
        if known.withdrawn {
            return self.hand_in_vainly(message).await;
        }
        let stale = number.is_some_and(|number| number < known.revision);
        self.hand_in(message, if stale { &Verdict::Stale } else { &Verdict::Revised }).await?;
        self.model.revise(draft);
        self.counts.add("revised");
        Ok(())
    }

    async fn withdraw(&mut self, post: usize) -> Result<(), Fault> {
        let Some(id) = self.published(post) else { return Ok(()) };
        let known = self.model.post(&id);
        let verdict = if known.withdrawn { Verdict::Duplicate } else { Verdict::Withdrawn };
        let message = withdrawal(&known.draft.source_id.clone(), &self.event_id());
        self.hand_in(message, &verdict).await?;
        self.model.withdraw(&id);
        Ok(())
    }

    async fn lift_backfill(&mut self, post: usize) -> Result<(), Fault> {
        let Some(id) = self.published(post) else { return Ok(()) };
        let held = self.model.post(&id).backfill;
        let lifted = self.house.lift_backfill(id.clone()).await?;
        ensure(lifted == held, || format!("the backfill guard was on: {lifted}, not {held}"))?;
        self.model.lift_backfill(&id);
        if lifted {
            self.counts.add("backfill lifted");
        }
        Ok(())
    }

    async fn repeat(&mut self) -> Result<(), Fault> {
        match self.last_message.clone() {
            Some(message) => self.hand_in(message, &Verdict::Duplicate).await,
            None => Ok(()),
        }
    }

    fn published(&self, number: usize) -> Option<String> {
        let ids = &self.model.published;
        ids.get(number.checked_rem(ids.len())?).cloned()
    }

    fn event_id(&mut self) -> String {
        self.events += 1;
        format!("event-{}", self.events)
    }

    fn message(&mut self, draft: &Draft, kind: EventKind, as_event: bool) -> Incoming {
        if as_event { draft.event(kind, &self.event_id()) } else { draft.bare() }
    }

    async fn hand_in(&mut self, message: Incoming, expected: &Verdict) -> Result<(), Fault> {
        let verdict = self.house.accept(message.clone()).await?;
        ensure(verdict == *expected, || format!("intake said {verdict:?}, not {expected:?}"))?;
        self.last_message = Some(message);
        Ok(())
    }

    async fn hand_in_vainly(&mut self, message: Incoming) -> Result<(), Fault> {
        let verdict = self.house.accept(message).await?;
        let set_aside = matches!(verdict, Verdict::Quarantined { .. });
        ensure(set_aside, || format!("intake said {verdict:?} to a revision of what was withdrawn"))
    }
}

/// Time.
impl Walk<'_> {
    pub(super) async fn tick(&mut self) -> Result<(), Fault> {
        let now = self.house.now();
        let expected = self.model.tick(now);
        let ticked = self.house.tick().await?;
        ensure((ticked.fired, ticked.skipped) == (expected.fired, expected.skipped), || {
            format!("at {now} {} slots fired and {} were skipped, not {expected:?}", ticked.fired, ticked.skipped)
        })?;
        let next = self.house.next_due().await?;
        ensure(next.is_none_or(|at| at > now), || format!("after a tick at {now} the next is due at {next:?}"))?;
        if ticked.noticed > 0 || self.releases_seen < self.model.releases.len() {
            self.releases_seen = compare_releases(self.house, &self.model, self.releases_seen).await?;
        }
        compare_planned(self.house, &self.model).await?;
        self.counts.add_many("firings skipped", ticked.skipped);
        self.counts.add_many("pauses over", expected.resumed);
        self.counts.add_many("releases as a pause is over", if expected.resumed > 0 { expected.released } else { 0 });
        self.counts.add_many("deliveries moved or cancelled", usize::try_from(ticked.moved).unwrap_or(usize::MAX));
        Ok(())
    }

    async fn tick_when_due(&mut self) -> Result<(), Fault> {
        if let Some(at) = self.house.next_due().await? {
            self.house.set(at.max(self.house.now()));
        }
        self.tick().await
    }
}

/// The end.
impl Walk<'_> {
    /// Lets everything run that is to come: embargoes and pauses end, every slot fires once more, all that waits is sent.
    pub(super) async fn come_to_rest(&mut self) -> Result<(), Fault> {
        while !self.held.is_empty() {
            if self.held[0].begun || self.held[0].dead {
                self.answer_at(0, Answer::Yes).await?;
            } else {
                self.begin_at(0).await?;
            }
        }
        self.house.pass(Duration::from_millis(1));
        self.tick().await?;
        let out_at = self.model.everything_out_at().unwrap_or(START);
        self.house.set(self.house.now().max(out_at));
        self.tick().await?;
        self.fire_all().await?;
        if !self.model.instead.is_empty() {
            // What the last tick took back may be owed in another language.
            self.fire_all().await?;
        }
        for _ in 0..ROUNDS_MAX {
            let Some(next) = self.house.next_delivery().await? else { return Ok(()) };
            self.house.set(next.max(self.house.now().plus(Duration::from_millis(1))));
            self.settle().await?;
            self.send(usize::MAX, Answer::Yes).await?;
            self.tick().await?;
        }
        Err(Fault(format!("deliveries still wait after {ROUNDS_MAX} rounds of sending")))
    }

    /// Every slot fires once more.
    async fn fire_all(&mut self) -> Result<(), Fault> {
        self.house.pass(Duration::from_millis(1));
        self.tick().await?;
        for at in self.model.next_firings(self.house.now()) {
            self.house.set(at);
            self.tick().await?;
        }
        Ok(())
    }
}
