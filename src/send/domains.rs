//! The recipient domains of a destination: how many letters for each may be in hand at once. Pure.
//!
//! A domain begins with a share and gets one more whenever it used up what it had and answered, so one that answers is
//! soon held back by nothing, and one that stalls from the beginning keeps its share of the sessions busy, and half of them as long as
//! nobody else answers either. What comes for it meanwhile is parked; when it defers everybody or stays silent, it is put back.

use crate::domain::backoff;
use crate::domain::breaker::{Breaker, FAILURES_TO_OPEN};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Lane, Outcome, Reason};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// A domain that keeps its share busy and answers nothing for this long, while others answer, is out of order.
const SILENT_AFTER: Duration = Duration::from_secs(15);
/// The same when so much is parked that it would crowd out others.
const SILENT_AFTER_CROWDED: Duration = Duration::from_secs(1);
/// When nobody answers, it may be the connections that stall: each time that this goes by a domain is given one letter more,
/// by another session, up to half of them.
const PROBED_AFTER: Duration = Duration::from_secs(1);

/// What a letter's outcome says of its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers.
    Good,
    /// It put everybody off, or didn't answer.
    Bad,
    /// Nothing: the letter didn't get that far.
    Silent,
}

impl Verdict {
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Sent { .. } => Self::Good,
            Outcome::Refused { reason, .. } if *reason != Reason::RenderFailed => Self::Good,
            Outcome::TryLater { reason: Reason::MailboxFull, .. } => Self::Good,
            Outcome::TryLater { reason: Reason::Deferred | Reason::Timeout, .. } => Self::Bad,
            _ => Self::Silent,
        }
    }
}

/// What becomes of a job that is next.
pub(super) enum Admission<T> {
    /// It goes now; [`Domains::ended`] must follow.
    Go(T),
    /// It waits until its domain has a session to spare.
    Parked,
    /// It is put back, to be looked at again at this instant.
    Back(T, UnixMillis),
}

/// The domains that sessions are busy with, or that something is known against.
pub(super) struct Domains<T> {
    domain_of: fn(&T) -> &str,
    share: usize,
    all: usize,
    probes_max: u32,
    known: HashMap<String, Domain<T>>,
    /// Parked jobs by lane.
    parked: [usize; Lane::ALL.len()],
    /// When any domain answered last.
    moved_at: UnixMillis,
}

struct Domain<T> {
    busy: usize,
    window: usize,
    breaker: Breaker,
    parked: [VecDeque<T>; Lane::ALL.len()],
    /// When it answered last, or began to be written to.
    moved_at: UnixMillis,
    /// Letters more than its window that it was given since then.
    probes: u32,
}

impl<T> Domain<T> {
    fn new(window: usize, now: UnixMillis) -> Self {
        Self { busy: 0, window, breaker: Breaker::default(), parked: Default::default(), moved_at: now, probes: 0 }
    }

    fn has_parked(&self) -> bool {
        self.parked.iter().any(|lane| !lane.is_empty())
    }

    fn take_parked(&mut self) -> Option<(Lane, T)> {
        let lane = *Lane::ALL.iter().find(|lane| !self.parked[**lane as usize].is_empty())?;
        Some((lane, self.parked[lane as usize].pop_front()?))
    }
}

impl<T> Domains<T> {
    /// Each domain may have `share` letters in hand at first, and `each` for each of `sessions` at most.
    pub(super) fn new(share: usize, sessions: usize, each: usize, domain_of: fn(&T) -> &str) -> Self {
        let (known, parked, all) = (HashMap::new(), Default::default(), (sessions * each).max(share));
        let probes_max = u32::try_from(sessions / 2).unwrap_or(u32::MAX);
        Self { domain_of, share, all, probes_max, known, parked, moved_at: UnixMillis(0) }
    }

    /// How much is parked of a lane.
    pub(super) fn parked(&self, lane: Lane) -> usize {
        self.parked[lane as usize]
    }

    /// Whether a job may go now.
    pub(super) fn admit(&mut self, lane: Lane, job: T, now: UnixMillis) -> Admission<T> {
        let domain = (self.domain_of)(&job);
        let Some(known) = self.known.get_mut(domain) else {
            let mut known = Domain::new(self.share, now);
            known.busy = 1;
            self.known.insert(domain.to_owned(), known);
            return Admission::Go(job);
        };
        if let Some(until) = known.breaker.closed_until(now) {
            return Admission::Back(job, until);
        }
        if known.busy < known.window {
            if known.busy == 0 {
                (known.moved_at, known.probes) = (now, 0);
            }
            known.busy += 1;
            return Admission::Go(job);
        }
        known.parked[lane as usize].push_back(job);
        self.parked[lane as usize] += 1;
        Admission::Parked
    }

    /// A letter for a domain came to an end. Returns what was parked and may be next, and what is put back.
    pub(super) fn ended(&mut self, domain: &str, verdict: Verdict, now: UnixMillis, draw: u32) -> Freed<T> {
        let mut freed = Freed::default();
        let Some(known) = self.known.get_mut(domain) else { return freed };
        known.busy = known.busy.saturating_sub(1);
        match verdict {
            Verdict::Good => {
                (known.moved_at, self.moved_at, known.probes) = (now, now, 0);
                known.breaker = known.breaker.succeeded();
                let window = match known.busy + 1 {
                    full if full >= known.window => known.window + 1,
                    few if few * 2 < known.window => known.window - 1,
                    _ => known.window,
                };
                known.window = window.clamp(self.share, self.all);
            }
            Verdict::Bad => {
                (known.moved_at, known.probes) = (now, 0);
                known.window = 1;
                known.breaker = known.breaker.failed_by(&backoff::DOMAIN, now, None, draw);
            }
            Verdict::Silent => {}
        }
        if let Some(until) = known.breaker.closed_until(now) {
            while let Some((lane, job)) = known.take_parked() {
                self.parked[lane as usize] -= 1;
                freed.back.push((job, until));
            }
        }
        for _ in known.busy..known.window {
            let Some((lane, job)) = known.take_parked() else { break };
            self.parked[lane as usize] -= 1;
            freed.next.push((lane, job));
        }
        let is_plain = known.breaker == Breaker::default() && !known.has_parked();
        if known.busy == 0 && is_plain {
            self.known.remove(domain);
        }
        freed
    }

    /// Puts back what is parked for domains that stay silent while others answer, and lets something go by another connection
    /// when nobody does. `crowd` is how much may be parked before patience is short.
    pub(super) fn sweep(&mut self, crowd: usize, now: UnixMillis, draw: u32) -> Freed<T> {
        let mut freed = Freed::default();
        if self.parked.iter().all(|count| *count == 0) {
            return freed;
        }
        let is_crowded = self.parked.iter().sum::<usize>() > crowd;
        let patience = if is_crowded { SILENT_AFTER_CROWDED } else { SILENT_AFTER };
        for domain in self.known.values_mut() {
            let silence = domain.moved_at.until(now);
            if self.moved_at <= domain.moved_at {
                let may_go = domain.probes < self.probes_max && silence >= PROBED_AFTER * (domain.probes + 1);
                if let Some((lane, job)) = may_go.then(|| domain.take_parked()).flatten() {
                    self.parked[lane as usize] -= 1;
                    (domain.window, domain.probes) = (domain.window + 1, domain.probes + 1);
                    freed.next.push((lane, job));
                }
            } else if silence >= patience && domain.has_parked() {
                domain.window = 1;
                domain.breaker.failures = domain.breaker.failures.max(FAILURES_TO_OPEN - 1);
                domain.breaker = domain.breaker.failed_by(&backoff::DOMAIN, now, None, draw);
                let until = domain.breaker.not_before.unwrap_or(now);
                while let Some((lane, job)) = domain.take_parked() {
                    self.parked[lane as usize] -= 1;
                    freed.back.push((job, until));
                }
            }
        }
        freed
    }

    /// Forgets domains whose wait is long over and that nothing was sent to since, so that memory doesn't grow.
    pub(super) fn forget(&mut self, now: UnixMillis) {
        let is_open = |domain: &Domain<T>| domain.busy > 0 || domain.has_parked();
        let is_recent = |domain: &Domain<T>| domain.moved_at.until(now) < FORGOTTEN_AFTER;
        self.known.retain(|_, domain| is_open(domain) || is_recent(domain));
    }
}

/// After this a domain is given its share again as if nothing had been.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7_200);

/// What is parked no more.
pub(super) struct Freed<T> {
    /// May be next.
    pub next: Vec<(Lane, T)>,
    /// To be put back until then.
    pub back: Vec<(T, UnixMillis)>,
}

impl<T> Default for Freed<T> {
    fn default() -> Self {
        Self { next: Vec::new(), back: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    type Job = (&'static str, u32);

    /// A quarter of eight sessions, each with a letter and the one after it.
    fn domains() -> Domains<Job> {
        Domains::new(2, 8, 2, |(domain, _)| domain)
    }

    fn goes(domains: &mut Domains<Job>, domain: &'static str, job: u32) -> bool {
        matches!(domains.admit(Lane::Bulk, (domain, job), NOW), Admission::Go(_))
    }

    #[test]
    fn a_domain_that_answers_is_soon_held_back_by_nothing() {
        let mut domains = domains();
        let mut busy = 0;
        for job in 0..8 {
            busy += usize::from(goes(&mut domains, "one.example", job));
        }
        assert_eq!((busy, domains.parked(Lane::Bulk)), (2, 6), "it begins with its share");
        let mut letters = 0;
        while domains.parked(Lane::Bulk) > 0 {
            letters += 1;
            busy -= 1;
            for (lane, job) in domains.ended("one.example", Verdict::Good, NOW, 0).next {
                assert!(matches!(domains.admit(lane, job, NOW), Admission::Go(_)));
                busy += 1;
            }
        }
        assert!(letters <= 6 && busy <= 8, "{letters} letters, {busy} busy");
    }

    #[test]
    fn a_domain_that_stalls_keeps_its_share_busy_and_is_put_back_while_others_go() {
        let mut domains = domains();
        let going = (0..10).filter(|job| goes(&mut domains, "stalls.example", *job)).count();
        assert_eq!(going, 2);
        let later = NOW.plus(Duration::from_secs(20));
        assert!(goes(&mut domains, "well.example", 10));
        domains.ended("well.example", Verdict::Good, later, 0);
        let back = domains.sweep(100, later, 0).back;
        assert_eq!((back.len(), domains.parked(Lane::Bulk)), (8, 0));
        assert!(back.iter().all(|(_, until)| *until > later));
        assert!(matches!(domains.admit(Lane::Bulk, ("stalls.example", 11), later), Admission::Back(..)));
    }

    #[test]
    fn when_nobody_answers_other_connections_are_tried() {
        let mut domains = domains();
        let going = (0..20).filter(|job| goes(&mut domains, "one.example", *job)).count();
        assert_eq!(going, 2);
        let mut tried = 0;
        for seconds in 1..20 {
            let later = NOW.plus(Duration::from_secs(seconds));
            let freed = domains.sweep(100, later, 0);
            assert!(freed.next.len() <= 1 && freed.back.is_empty());
            for (lane, job) in freed.next {
                assert!(matches!(domains.admit(lane, job, later), Admission::Go(_)));
                tried += 1;
            }
            assert!(domains.sweep(100, later, 0).next.is_empty(), "one a second");
        }
        assert_eq!(tried, 4, "half of the sessions, and no more");
        domains.ended("one.example", Verdict::Good, NOW, 0);
        assert!(goes(&mut domains, "other.example", 20));
    }

    #[test]
    fn a_domain_that_defers_everybody_rests_and_is_tried_with_one() {
        let mut domains = domains();
        for job in 0..3 {
            assert!(goes(&mut domains, "later.example", job));
            domains.ended("later.example", Verdict::Bad, NOW, 0);
        }
        let Admission::Back(_, until) = domains.admit(Lane::Bulk, ("later.example", 3), NOW) else {
            panic!("it rests")
        };
        assert!(matches!(domains.admit(Lane::Bulk, ("later.example", 4), until), Admission::Go(_)));
        assert!(matches!(domains.admit(Lane::Bulk, ("later.example", 5), until), Admission::Parked));
        assert_eq!(domains.ended("later.example", Verdict::Good, until, 0).next.len(), 1);
        assert!(goes(&mut domains, "other.example", 6));
    }
}
