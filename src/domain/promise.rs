//! What is promised to readers, and whether it is kept: judged by terms, not by the length of queues. Pure.

mod words;

use super::clock::UnixMillis;
use std::time::Duration;

/// A promise is broken, not only late, when its term has passed so many times over.
const BROKEN_FACTOR: u32 = 4;

/// How late is late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a delivery may be due and wait.
    pub owed_max: Duration,
    /// How long after its time a digest may fire, and how long planning one may take.
    pub occurrence_max: Duration,
    /// How long a source may say nothing. Only those of whom something is expected.
    pub quiet_max: Vec<(String, Duration)>,
}

/// What was found: one bounded look into the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// What is due longest, by carrier and lane. What a hold keeps back isn't in it.
    pub owed: Vec<Owed>,
    /// Digests whose time has come and that didn't fire, and since when.
    pub overdue: Vec<(String, UnixMillis)>,
    /// Digests with an occurrence that was skipped as too late in the last day, and how many.
    pub skipped: Vec<(String, i64)>,
    /// The occurrence that is being planned longest: when it fired.
    pub planning_since: Option<UnixMillis>,
    /// Deliveries whose answer was lost and that aren't settled; 1,000 at most.
    pub uncertain: i64,
    /// When each source posted last; one that never did isn't in it.
    pub heard: Vec<(String, UnixMillis)>,
    /// Holds: what they hold, and since when.
    pub holds: Vec<(String, UnixMillis)>,
    /// Doubts whether this database is what it was: how many.
    pub doubts: i64,
}

/// What is due longest for one carrier and lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The carrier.
    pub carrier: String,
    /// The lane.
    pub lane: String,
    /// The destination that it waits for.
    pub destination: String,
    /// Since when it is due.
    pub due_at: UnixMillis,
}

/// How a promise stands, better states first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Kept,
    /// Its term has passed.
    Late,
    /// It can't be kept any more, or not without a person.
    Broken,
}

/// What is promised, with what was found about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What is due goes out: what is due longest, if there is something.
    Owed(Option<(Owed, Duration)>),
    /// Digests fire at their time: the digest that is furthest behind.
    Fired(Option<(String, Duration)>),
    /// No issue is skipped: the digest and how many of its issues were.
    Issued(Option<(String, i64)>),
    /// What fired is planned: for how long that takes by now.
    Planned(Option<Duration>),
    /// Nobody wonders whether something went out: how many deliveries are uncertain.
    Certain(i64),
    /// A source posts: its name and for how long it has said nothing.
    Heard(String, Duration),
    /// Nothing is held: the oldest hold.
    Free(Option<(String, Duration)>),
    /// The database is what it was: doubts.
    Sure(i64),
}

impl Kind {
    /// The word for metrics and scripts.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Owed(_) => "owed",
            Self::Fired(_) => "fired",
            Self::Issued(_) => "issued",
            Self::Planned(_) => "planned",
            Self::Certain(_) => "certain",
            Self::Heard(..) => "heard",
            Self::Free(_) => "free",
            Self::Sure(_) => "sure",
        }
    }
}

/// A promise and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What is promised and what was found.
    pub kind: Kind,
    /// How it stands.
    pub state: State,
}

/// A promise in words.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Said {
    /// What is promised.
    pub name: String,
    /// What was found.
    pub found: String,
    /// What to do; empty when it is kept.
    pub fix: String,
}

impl Promise {
    /// In words: Korean for `ko…`, Chinese for `zh…`, English for all else.
    #[must_use]
    pub fn say(&self, language: &str) -> Said {
        words::say(&self.kind, self.state, language)
    }
}

/// Judges what was found. There is at least one promise of each kind but [`Kind::Heard`], which is there for each source that has a
/// term and posted once.
#[must_use]
pub fn judge(look: &Look, terms: &Terms, now: UnixMillis) -> Vec<Promise> {
    let oldest = |since: UnixMillis| since.until(now);
    let owed = look.owed.iter().min_by_key(|owed| owed.due_at).map(|owed| (owed.clone(), oldest(owed.due_at)));
    let fired = look.overdue.iter().min_by_key(|(_, due_at)| *due_at).map(|(name, at)| (name.clone(), oldest(*at)));
    let planned = look.planning_since.map(oldest);
    let issued = look.skipped.iter().max_by_key(|(_, count)| *count).cloned();
    let free = look.holds.iter().min_by_key(|(_, since)| *since).map(|(scope, since)| (scope.clone(), oldest(*since)));
    let age = |age: Option<Duration>, term| age.map_or(State::Kept, |age| by_term(age, term));
    let mut promises = vec![
        Promise { state: age(owed.as_ref().map(|(_, age)| *age), terms.owed_max), kind: Kind::Owed(owed) },
        Promise { state: age(fired.as_ref().map(|(_, age)| *age), terms.occurrence_max), kind: Kind::Fired(fired) },
        Promise { state: if issued.is_some() { State::Broken } else { State::Kept }, kind: Kind::Issued(issued) },
        Promise { state: age(planned, terms.occurrence_max), kind: Kind::Planned(planned) },
        Promise { state: late_if(look.uncertain > 0), kind: Kind::Certain(look.uncertain) },
        Promise { state: late_if(free.is_some()), kind: Kind::Free(free) },
        Promise { state: if look.doubts > 0 { State::Broken } else { State::Kept }, kind: Kind::Sure(look.doubts) },
    ];
    for (source, term) in &terms.quiet_max {
        let Some((_, at)) = look.heard.iter().find(|(name, _)| name == source) else { continue };
        let quiet = oldest(*at);
        // How long somebody else says nothing is never more than late: it may be that there is nothing to say.
        promises.push(Promise { state: late_if(quiet > *term), kind: Kind::Heard(source.clone(), quiet) });
    }
    promises
}

/// The state of the promise that stands worst.
#[must_use]
pub fn worst(promises: &[Promise]) -> State {
    promises.iter().map(|promise| promise.state).max().unwrap_or(State::Kept)
}

fn by_term(age: Duration, term: Duration) -> State {
    if age <= term {
        State::Kept
    } else if age <= term.saturating_mul(BROKEN_FACTOR) {
        State::Late
    } else {
        State::Broken
    }
}

fn late_if(is_late: bool) -> State {
    if is_late { State::Late } else { State::Kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_392_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn terms() -> Terms {
        Terms { owed_max: MINUTE * 30, occurrence_max: MINUTE * 10, quiet_max: vec![("cms".to_owned(), MINUTE * 60)] }
    }

    fn owed(minutes: u32) -> Look {
        let due_at = NOW.minus(MINUTE * minutes);
        let owed = Owed { carrier: "email".into(), lane: "bulk".into(), destination: "email:main".into(), due_at };
        Look { owed: vec![owed], ..Look::default() }
    }

    fn state(look: &Look, word: &str) -> State {
        let promises = judge(look, &terms(), NOW);
        promises.iter().find(|promise| promise.kind.word() == word).expect("there").state
    }

    #[test]
    fn nothing_found_is_all_kept() {
        assert_eq!(worst(&judge(&Look::default(), &terms(), NOW)), State::Kept);
    }

    #[test]
    fn what_is_owed_is_late_after_its_term_and_broken_long_after() {
        for (minutes, expected) in [(30, State::Kept), (31, State::Late), (120, State::Late), (121, State::Broken)] {
            assert_eq!(state(&owed(minutes), "owed"), expected, "after {minutes} minutes");
        }
    }

    #[test]
    fn each_finding_tells_of_its_own_promise_and_of_no_other() {
        let ago = |minutes| NOW.minus(MINUTE * minutes);
        let looks = [
            (owed(60), "owed"),
            (Look { overdue: vec![("daily".into(), ago(11))], ..Look::default() }, "fired"),
            (Look { skipped: vec![("daily".into(), 1)], ..Look::default() }, "issued"),
            (Look { planning_since: Some(ago(11)), ..Look::default() }, "planned"),
            (Look { uncertain: 1, ..Look::default() }, "certain"),
            (Look { holds: vec![("all".into(), ago(1))], ..Look::default() }, "free"),
            (Look { doubts: 1, ..Look::default() }, "sure"),
            (Look { heard: vec![("cms".into(), ago(61))], ..Look::default() }, "heard"),
        ];
        for (look, word) in looks {
            let judged = judge(&look, &terms(), NOW);
            let bad: Vec<_> = judged.iter().filter(|one| one.state != State::Kept).map(|one| one.kind.word()).collect();
            assert_eq!(bad, [word]);
            for promise in judged {
                for language in ["en", "ko", "zh-Hant"] {
                    let said = promise.say(language);
                    assert!(!said.name.is_empty() && !said.found.is_empty(), "{promise:?} in {language}");
                    assert_eq!(said.fix.is_empty(), promise.state == State::Kept, "{promise:?} in {language}");
                }
            }
        }
    }

    #[test]
    fn a_source_of_which_nothing_is_expected_may_be_quiet() {
        let look = Look { heard: vec![("other".into(), NOW.minus(MINUTE * 10_000))], ..Look::default() };
        assert_eq!(worst(&judge(&look, &terms(), NOW)), State::Kept);
    }
}
