//! A network that answers as a test says.

use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{Outcome, Reason};
use allim::render::blurb::Style;
use allim::render::fit::{Hashtags, Limit, Measure};
use allim::send::carrier::{Gate, Later};
use allim::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How one call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Good,
    Busy,
    Lost { was_taken: bool },
    LoggedOut,
    Refused,
}

/// What a network holds.
#[derive(Default)]
pub struct Posts {
    next: u64,
    /// By id: the delivery that made it, and its text.
    pub there: BTreeMap<u64, (String, String)>,
    /// How often each delivery made a post, whatever became of it.
    pub made: BTreeMap<String, u32>,
    /// How often something was said of each post (by the first word of its title), answers apart.
    pub said_of: BTreeMap<String, u32>,
    answers: VecDeque<Answer>,
    forbids_renewal: bool,
}

/// A network.
pub struct Fake {
    pub can: Can,
    pub finds: bool,
    pub posts: Mutex<Posts>,
    /// Draws answers where none is set, for weather.
    pub dice: Option<Mutex<Box<dyn FnMut() -> Answer + Send>>>,
}

impl Fake {
    fn posts(&self) -> std::sync::MutexGuard<'_, Posts> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.posts().answers.extend(answers);
    }

    pub fn forget_answers(&self) {
        self.posts().answers.clear();
    }

    pub fn forbid_renewal(&self, is_forbidden: bool) {
        self.posts().forbids_renewal = is_forbidden;
    }

    fn next_answer(&self) -> Answer {
        let set = self.posts().answers.pop_front();
        set.unwrap_or_else(|| match &self.dice {
            Some(dice) => (dice.lock().unwrap_or_else(PoisonError::into_inner))(),
            None => Answer::Good,
        })
    }

    fn outcome(answer: Answer) -> Outcome {
        let later = |reason| Outcome::TryLater { reason, reply: format!("{answer:?}"), not_before: None };
        match answer {
            Answer::Good => Outcome::Sent { reply: "200".to_owned() },
            Answer::Busy => later(Reason::Busy),
            Answer::LoggedOut => later(Reason::Login),
            Answer::Lost { .. } => Outcome::Uncertain { reason: Reason::AnswerLost, reply: "timeout".to_owned() },
            Answer::Refused => Outcome::Refused { reason: Reason::ContentRefused, reply: "422".to_owned() },
        }
    }

    async fn made(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let answer = self.next_answer();
        let mut posts = self.posts();
        let is_repeat = self.can.repeats_safely_for.is_some();
        let known = posts.there.iter().find(|(_, (id, _))| id == saying.id).map(|(number, _)| *number);
        let mut remote = None;
        if matches!(answer, Answer::Good | Answer::Lost { was_taken: true }) {
            let number = match known.filter(|_| is_repeat) {
                Some(number) => number,
                None => {
                    posts.next += 1;
                    let number = posts.next;
                    let text = format!("{}{}", if saying.reply_to.is_some() { "답: " } else { "" }, saying.blurb.text);
                    posts.there.insert(number, (saying.id.to_owned(), text));
                    *posts.made.entry(saying.id.to_owned()).or_default() += 1;
                    if saying.reply_to.is_none() {
                        let of = saying.blurb.text.split(' ').next().unwrap_or_default();
                        *posts.said_of.entry(of.to_owned()).or_default() += 1;
                    }
                    number
                }
            };
            remote = (answer == Answer::Good).then(|| remote_of(number));
        }
        Said { outcome: Self::outcome(answer), remote }
    }
}

fn remote_of(number: u64) -> Remote {
    Remote { id: number.to_string(), url: None, more: BTreeMap::new() }
}

impl Network for Fake {
    fn carrier(&self) -> &'static str {
        "fake"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Graphemes, max: 300 }],
            hashtags: Hashtags::None,
            tags_max: 0,
            url_in_text: false,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        self.can
    }

    fn refresh<'a>(
        &'a self,
        credential: &'a Credential,
        now: UnixMillis,
    ) -> Later<'a, Result<Option<Credential>, Outcome>> {
        Box::pin(async move {
            if credential.expires_at.is_none_or(|at| at > now) {
                return Ok(None);
            }
            if self.posts().forbids_renewal {
                let reply = "invalid_grant".to_owned();
                return Err(Outcome::TryLater { reason: Reason::Login, reply, not_before: None });
            }
            let expires_at = Some(now.plus(Duration::from_secs(30 * 86_400)));
            Ok(Some(Credential { access: format!("{}+", credential.access), expires_at, ..credential.clone() }))
        })
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.made(saying, gate))
    }

    fn edit<'a>(&'a self, saying: &'a Saying<'a>, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(async move {
            if !gate.pass().await {
                return Said::nothing(Outcome::NotAllowed);
            }
            let answer = self.next_answer();
            let number: u64 = remote.id.parse().expect("a number");
            if let (Answer::Good | Answer::Lost { was_taken: true }, Some((_, text))) =
                (answer, self.posts().there.get_mut(&number))
            {
                *text = saying.blurb.text.clone();
            }
            Said { outcome: Self::outcome(answer), remote: (answer == Answer::Good).then(|| remote.clone()) }
        })
    }

    fn unsay<'a>(&'a self, _: &'a Credential, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let answer = self.next_answer();
            if matches!(answer, Answer::Good | Answer::Lost { was_taken: true }) {
                self.posts().there.remove(&remote.id.parse().expect("a number"));
            }
            Self::outcome(answer)
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move {
            if !self.finds {
                return Found::CantTell;
            }
            let posts = self.posts();
            let found = posts.there.iter().find(|(_, (id, _))| id == saying.id);
            found.map_or(Found::NotThere, |(number, _)| Found::There(remote_of(*number)))
        })
    }
}
