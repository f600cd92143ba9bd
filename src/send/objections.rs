//! Whether the receivers of a destination object to us: when too many answers are refusals by policy (5.7.x), the fault is ours
//! and the whole stream waits for a person (design rule 15), rather than that one reader after the other is refused.

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::edition::EditionKind;
use crate::domain::reply;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The last answers that are looked at. Fewer say too little: with one refusal in twenty a burst of ten is no accident.
const ANSWERS: usize = 200;
/// More refusals by policy among them than this stop the stream: five in a hundred.
const REFUSED_MAX: usize = ANSWERS / 20;
/// After it was stopped for objections a stream isn't stopped again for so long: whoever let it go on knows of them.
const ONCE_IN: Duration = Duration::from_secs(86_400);
/// Characters of the example in the reason.
const EXAMPLE_CHARS_MAX: usize = 200;

/// The last answers of a destination, in this process.
#[derive(Default)]
pub(super) struct Objections(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    /// Whether it was a refusal by policy, and the recipient's domain.
    last: VecDeque<(bool, u64)>,
    refused: usize,
    example: String,
    stopped_at: Option<UnixMillis>,
}

impl Objections {
    /// Hears an answer about a recipient at `domain`. Returns whether the stream should stop. What strangers asked for in anybody's
    /// name is no answer to the stream.
    pub(super) fn hear(&self, outcome: &Outcome, domain: &str, kind: EditionKind, now: UnixMillis) -> bool {
        if kind.is_service() || kind == EditionKind::Test {
            return false;
        }
        let is_policy = match outcome {
            Outcome::Refused { reason: Reason::Policy, .. } => true,
            // What was never shown to a receiver says nothing about them.
            Outcome::Refused { reason: Reason::RenderFailed | Reason::NeedsSmtpUtf8, .. } => return false,
            Outcome::Sent { .. } | Outcome::Refused { .. } => false,
            _ => return false,
        };
        let mut hasher = DefaultHasher::new();
        organization(domain).hash(&mut hasher);
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push(is_policy, hasher.finish());
        if let (true, Outcome::Refused { reply, .. }) = (is_policy, outcome) {
            answers.example = reply::without_addresses(reply, EXAMPLE_CHARS_MAX);
        }
        is_policy && answers.are_too_many(now)
    }

    /// Why the stream should stop, if it should.
    pub(super) fn reason(&self, destination: &str, now: UnixMillis) -> Option<String> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.are_too_many(now).then(|| {
            format!(
                "{} of the last {ANSWERS} answers refused the mail by policy, which is never the readers' fault; such as: {}. \
                 Mend that, then `allim hold off --destination {destination}`",
                answers.refused, answers.example
            )
        })
    }

    /// Begins anew: the stream was stopped, and whoever lets it go on isn't stopped again for what was before.
    pub(super) fn clear(&self, now: UnixMillis) {
        let anew = Answers { stopped_at: Some(now), ..Answers::default() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = anew;
    }
}

/// The domain that somebody had to buy, about: whoever has one has any number below it. The last two labels, or three where the second
/// one is short, as in `co.kr`.
fn organization(domain: &str) -> &str {
    let mut dots = domain.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), Some(second)) = (dots.next(), dots.next()) else { return domain };
    if last - second - 1 > SHORT_LABEL {
        return &domain[second + 1..];
    }
    dots.next().map_or(domain, |third| &domain[third + 1..])
}

/// Registries' own labels have so many letters at most (`co`, `or`, `com`).
const SHORT_LABEL: usize = 3;

impl Answers {
    fn push(&mut self, is_policy: bool, domain: u64) {
        self.last.push_back((is_policy, domain));
        self.refused += usize::from(is_policy);
        if self.last.len() > ANSWERS {
            let gone = self.last.pop_front().is_some_and(|(is_policy, _)| is_policy);
            self.refused -= usize::from(gone);
        }
    }

    /// Many objections of one domain that few readers are at are that domain's affair, and delay nobody else.
    fn are_too_many(&self, now: UnixMillis) -> bool {
        let was_lately = self.stopped_at.is_some_and(|at| at.until(now) < ONCE_IN);
        if was_lately || self.last.len() < ANSWERS || self.refused <= REFUSED_MAX {
            return false;
        }
        let mut objecting = self.last.iter().filter(|(is_policy, _)| *is_policy).map(|(_, domain)| *domain);
        let Some(first) = objecting.next() else { return false };
        let at_first = || self.last.iter().filter(|(_, domain)| *domain == first).count();
        objecting.any(|domain| domain != first) || at_first() * 2 >= ANSWERS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn policy() -> Outcome {
        Outcome::Refused { reason: Reason::Policy, reply: "550 5.7.1 not from you, r1@a.example".to_owned() }
    }

    fn sent() -> Outcome {
        Outcome::Sent { reply: "250 ok".to_owned() }
    }

    /// Of 200 answers the first `refused` object, in turn at these domains; the others are at many.
    fn after(refused: usize, domains: &[&str]) -> Objections {
        let objections = Objections::default();
        for number in 0..ANSWERS {
            if number < refused {
                objections.hear(&policy(), domains[number % domains.len()], EditionKind::Issue, NOW);
            } else {
                objections.hear(&sent(), &format!("d{number}.example"), EditionKind::Issue, NOW);
            }
        }
        objections
    }

    #[test]
    fn more_than_five_in_a_hundred_stop_the_stream() {
        assert_eq!(after(REFUSED_MAX, &["a.example", "b.test"]).reason("email:main", NOW), None);
        let objections = after(REFUSED_MAX + 1, &["a.example", "b.test"]);
        let reason = objections.reason("email:main", NOW).expect("it stops");
        assert!(
            reason.contains("11 of the last 200") && reason.contains("550 5.7.1 not from you, (address)"),
            "{reason}"
        );
        objections.clear(NOW);
        assert_eq!(objections.reason("email:main", NOW), None);
        assert!(!objections.hear(&policy(), "a.example", EditionKind::Issue, NOW), "what was before doesn't count");
        for number in 0..ANSWERS {
            objections.hear(&policy(), &format!("d{number}.example"), EditionKind::Issue, NOW);
        }
        assert_eq!(objections.reason("email:main", NOW), None, "whoever let it go knows");
        assert!(objections.reason("email:main", NOW.plus(ONCE_IN)).is_some());
    }

    #[test]
    fn one_small_domain_stops_nobody_else() {
        assert_eq!(after(40, &["a.example"]).reason("email:main", NOW), None);
        assert!(after(100, &["a.example"]).reason("email:main", NOW).is_some(), "half of all readers are there");
    }

    #[test]
    fn strangers_stop_nobody() {
        assert_eq!(organization("a.b.evil.example"), "evil.example");
        assert_eq!(organization("mail.gaon.co.kr"), "gaon.co.kr");
        assert_eq!((organization("naver.com"), organization("localhost")), ("naver.com", "localhost"));
        let names: Vec<String> = (0..40).map(|number| format!("n{number}.evil.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(after(40, &names).reason("email:main", NOW), None);
        let objections = Objections::default();
        for number in 0..ANSWERS {
            objections.hear(&policy(), &format!("d{number}.example"), EditionKind::Confirmation, NOW);
        }
        assert_eq!(objections.reason("email:main", NOW), None);
    }

    #[test]
    fn what_is_no_answer_of_a_receiver_doesnt_count() {
        let objections = Objections::default();
        for _ in 0..10 * ANSWERS {
            objections.hear(&Outcome::NotAllowed, "a.example", EditionKind::Issue, NOW);
            let later = Outcome::TryLater { reason: Reason::Deferred, reply: String::new(), not_before: None };
            objections.hear(&later, "a.example", EditionKind::Issue, NOW);
            let failed = Outcome::Refused { reason: Reason::RenderFailed, reply: String::new() };
            objections.hear(&failed, "a.example", EditionKind::Issue, NOW);
        }
        assert_eq!(objections.0.lock().unwrap().last.len(), 0);
    }
}
