//! The breaker of a destination: pure; the store keeps its two numbers, so that a restart forgets nothing.

use super::backoff::{self, Backoff};
use super::clock::UnixMillis;
use std::time::Duration;

/// Failures in a row after which a destination is left alone for a while.
pub const FAILURES_TO_OPEN: u32 = 3;

/// Nothing is left alone for longer, whatever it asks for: more than [`backoff::DOMAIN`] says. What seems to be is of a clock
/// that was set back since.
const WAIT_MAX: Duration = Duration::from_secs(2_400);

/// Clocks of replicas differ by so much at most.
const SLACK: Duration = Duration::from_secs(60);

/// What it asks for counts up to this: less than the longest wait, so that a clock a little behind takes it for one.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(1_800);

/// How long after its wait nobody may have tried one that failed, before it isn't called out of order any more.
const TRIAL_AWAITED: Duration = Duration::from_secs(300);

/// A destination's recent fortune.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Failures of the destination itself, in a row.
    pub failures: u32,
    /// Not to be tried before this instant.
    pub not_before: Option<UnixMillis>,
}

impl Breaker {
    /// Whether it may be tried at `now`. After the wait it is open for a trial again.
    #[must_use]
    pub fn admits(&self, now: UnixMillis) -> bool {
        self.closed_until(now).is_none()
    }

    /// Until when it isn't to be tried, if not at `now`.
    #[must_use]
    pub fn closed_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.not_before.filter(|until| *until > now && *until <= now.plus(WAIT_MAX))
    }

    /// Whether it is in order at `now`, as far as is known. One that failed isn't while it is left alone, nor afterwards
    /// until a trial went well; but if nothing is there to try it with, that is forgotten after five minutes.
    #[must_use]
    pub fn is_in_order(&self, now: UnixMillis) -> bool {
        let awaits_trial = |until: UnixMillis| self.failures >= FAILURES_TO_OPEN && now < until.plus(TRIAL_AWAITED);
        self.admits(now) && !self.not_before.is_some_and(|until| until <= now && awaits_trial(until))
    }

    /// Whether it may be tried at `now`, where waits go by `waits`.
    #[must_use]
    pub fn admits_by(&self, waits: &Backoff, now: UnixMillis) -> bool {
        // What seems to be longer is of a clock that was set back since.
        self.not_before.is_none_or(|until| until <= now || until > now.plus(waits.longest() + SLACK))
    }

    /// After it failed, where it is left alone from the `opens_after`th failure in a row on. What it asks for counts as long as the longest
    /// wait is.
    #[must_use]
    pub fn failed_after(
        self,
        opens_after: u32,
        waits: &Backoff,
        now: UnixMillis,
        asked_until: Option<UnixMillis>,
        draw: u32,
    ) -> Self {
        let failures = self.failures.saturating_add(1);
        let opened = (failures + 1).saturating_sub(opens_after.max(1));
        let own = (opened > 0).then(|| now.plus(waits.wait(opened, draw)));
        Self { failures, not_before: own.max(asked_until.min(Some(now.plus(waits.longest())))) }
    }

    /// After something went well.
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self::default()
    }

    /// After the destination failed. `draw` is a random number for the jitter of the wait.
    #[must_use]
    pub fn failed(self, now: UnixMillis, asked_until: Option<UnixMillis>, draw: u32) -> Self {
        self.failed_by(&backoff::BREAKER, now, asked_until, draw)
    }

    /// The same with waits of its own.
    #[must_use]
    pub fn failed_by(self, waits: &Backoff, now: UnixMillis, asked_until: Option<UnixMillis>, draw: u32) -> Self {
        let failures = self.failures.saturating_add(1);
        let opened = failures.saturating_sub(FAILURES_TO_OPEN - 1);
        let own = (opened > 0).then(|| now.plus(waits.wait(opened, draw)));
        Self { failures, not_before: own.max(asked_until.min(Some(now.plus(ASKED_WAIT_MAX)))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(10_000_000);

    #[test]
    fn it_opens_at_the_third_failure_and_admits_a_trial_after_its_wait() {
        let twice = Breaker::default().failed(NOW, None, 0).failed(NOW, None, 0);
        assert!(twice.admits(NOW));
        let open = twice.failed(NOW, None, 0);
        let until = open.closed_until(NOW).expect("it is left alone");
        assert!(until > NOW && !open.admits(UnixMillis(until.0 - 1)) && open.admits(until));
        assert_eq!(open.succeeded(), Breaker::default());
    }

    #[test]
    fn it_is_out_of_order_until_a_trial_goes_well_or_nobody_tries_it() {
        let twice = Breaker::default().failed(NOW, None, 0).failed(NOW, None, 0);
        assert!(twice.is_in_order(NOW));
        let open = twice.failed(NOW, None, 0);
        let until = open.closed_until(NOW).expect("it is left alone");
        assert!(!open.is_in_order(NOW) && !open.is_in_order(until), "a trial that is due says nothing yet");
        assert!(!open.is_in_order(UnixMillis(until.plus(TRIAL_AWAITED).0 - 1)));
        assert!(open.is_in_order(until.plus(TRIAL_AWAITED)), "nobody has tried it");
        assert!(open.succeeded().is_in_order(NOW));
        let asked = Breaker::default().failed(NOW, Some(NOW.plus(Duration::from_secs(60))), 0);
        assert!(!asked.is_in_order(NOW) && asked.is_in_order(NOW.plus(Duration::from_secs(60))));
    }

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_wait() {
        let mut breaker = Breaker::default();
        for _ in 0..20 {
            breaker = breaker.failed_by(&backoff::DOMAIN, NOW, None, u32::MAX);
        }
        assert!(!breaker.admits(NOW), "the longest wait of all counts");
        assert!(breaker.admits(UnixMillis(NOW.0 - 3_600_000)));
        let asked = Breaker::default().failed(NOW, Some(NOW.plus(Duration::from_secs(86_400))), 0);
        assert_eq!(asked.closed_until(NOW), Some(NOW.plus(ASKED_WAIT_MAX)), "what it asks for has a limit");
    }
}
