//! How a sender stands with those who receive: what the DNS says of its domain, held against the rules that Gmail, Yahoo,
//! Microsoft and Naver have for mail to many (2024 to 2026): SPF, DKIM and DMARC, present and in line with the address in From.
//! `allim check` tells all of it; the daemon keeps large sends back while a receiver would surely refuse them.
//! Why it is so and not otherwise: docs/adr/0009-posture.md.

pub mod ask;
pub mod board;
pub mod dkim;
mod dmarc;
mod hosts;
mod judge;
mod names;
pub mod resolver;
mod spf;

pub use judge::judge;
pub use names::is_nowhere;

use ask::{Answer, Known, Missing};
use dkim::Published;
use resolver::Resolver;
use serde::{Deserialize, Serialize};

/// Questions that one look may cost: SPF has at most ten terms of ten hosts each.
const QUESTIONS_MAX: usize = 200;
/// Silent answers after which the DNS isn't asked any more in one look: each costs its whole deadline.
const SILENCES_MAX: usize = 2;

/// What becomes of large sends that receivers would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// They wait until the DNS is mended or an operator lets them go.
    #[default]
    Refuse,
    /// They go, with a warning in the log.
    Warn,
}

/// A sender as the DNS knows it. Names are in ASCII, in lower case and without a dot at their end.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name in the configuration.
    pub sender: String,
    /// The domain of the address in From.
    pub from: String,
    /// The domain of the envelope sender, which SPF is about.
    pub envelope: String,
    /// An envelope sender, for macros in SPF records.
    pub envelope_sender: String,
    /// Whether mail that comes back is to reach allim there.
    pub takes_bounces: bool,
    /// The signatures on its mail.
    pub signatures: Vec<Published>,
    /// Its relays: name and host.
    pub relays: Vec<(String, String)>,
}

/// How good or bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Well,
    /// The DNS was silent: nothing is known.
    Unanswered,
    /// It may be wrong, and can't be told from here; or it is worse than it could be.
    Doubtful,
    /// It is wrong, though no rule for mail to many has it refused.
    Wrong,
    /// Receivers refuse mail to many because of it.
    Refused,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What: `spf`, `dkim`, `dmarc`, `mx`, `from`, `rdns`.
    pub about: &'static str,
    /// How good it is.
    pub grade: Grade,
    /// What was found, and whom it troubles.
    pub found: String,
    /// What to do about it; empty when all is well.
    pub fix: String,
    /// What the DNS must say, as a line of a zone file.
    pub dns: Option<String>,
}

impl Point {
    fn new(about: &'static str, grade: Grade, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about, grade, found: found.into(), fix: fix.into(), dns: None }
    }

    fn well(about: &'static str, found: impl Into<String>) -> Self {
        Self::new(about, Grade::Well, found, "")
    }

    fn unanswered(about: &'static str, what: &str) -> Self {
        let fix = "see whether this machine's name servers work, or name another in `send.resolver`";
        Self::new(about, Grade::Unanswered, format!("the DNS didn't say: {what}"), fix)
    }

    fn with_dns(self, line: impl Into<String>) -> Self {
        Self { dns: Some(line.into()), ..self }
    }
}

/// Asks the DNS for whatever the judgement of a sender needs.
pub async fn look(subject: &Subject, resolver: &Resolver) -> Vec<Point> {
    let (mut known, mut silences) = (Known::default(), 0);
    for _ in 0..QUESTIONS_MAX {
        match judge(subject, &known) {
            Ok(points) => return points,
            Err(Missing(question)) => {
                let heard = if silences < SILENCES_MAX { resolver.answer(&question).await } else { Answer::Silence };
                silences += usize::from(heard == Answer::Silence);
                known.insert(question, heard);
            }
        }
    }
    vec![Point::unanswered("spf", "its records lead to too many others")]
}

#[cfg(test)]
mod tests;
