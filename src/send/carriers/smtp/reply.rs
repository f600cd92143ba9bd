//! What a server says (RFC 5321 section 4.2, RFC 3463), and what it means at each step of the dialogue.

use crate::domain::audience::Address;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::reply::{self, Kind, Said, Status};
use std::fmt;

/// Octets of one reply; a server that says more is not listened to. RFC 5321 section 4.5.3.1.5 allows 512 a line, and
/// the longest replies, to EHLO, have some twenty lines.
pub(super) const REPLY_LEN_MAX: usize = 16 * 1024;

/// A step of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// TCP.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// The server's first words.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
    /// RSET.
    Reset,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, up to 354.
    Data,
    /// The letter, up to the final dot.
    Content,
    /// The answer to the final dot.
    Dot,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Connect => "connecting",
            Step::Handshake => "the TLS handshake",
            Step::Greeting => "the greeting",
            Step::Ehlo => "EHLO",
            Step::StartTls => "STARTTLS",
            Step::Auth => "AUTH",
            Step::Reset => "RSET",
            Step::Mail => "MAIL",
            Step::Rcpt => "RCPT",
            Step::Data => "DATA",
            Step::Content => "the letter",
            Step::Dot => "the final dot",
        })
    }
}

/// A whole reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub code: u16,
    pub status: Option<Status>,
    /// The text of each line, without code.
    pub lines: Vec<String>,
}

/// The bytes aren't a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

impl Reply {
    /// Takes the first whole reply off the front of `bytes` and says how long it was; `None`: there is more to come.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Garbled> {
        let (mut code, mut lines, mut at) = (None, Vec::new(), 0);
        while let Some(end) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[at..at + end].trim_ascii_end();
            at += end + 1;
            let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit)).ok_or(Garbled)?;
            let number = digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
            if !(200..600).contains(&number) || *code.get_or_insert(number) != number {
                return Err(Garbled);
            }
            let is_last = match line.get(3) {
                None | Some(b' ') => true,
                Some(b'-') => false,
                Some(_) => return Err(Garbled),
            };
            lines.push(String::from_utf8_lossy(line.get(4..).unwrap_or_default()).into_owned());
            if is_last {
                let status = lines
                    .first()
                    .and_then(|text| reply::status(text.split(' ').next()?))
                    .filter(|(class, ..)| *class == number / 100);
                return Ok(Some((Self { code: number, status, lines }, at)));
            }
        }
        if bytes.len() > REPLY_LEN_MAX { Err(Garbled) } else { Ok(None) }
    }

    /// The first digit of the code.
    pub(super) fn class(&self) -> u16 {
        self.code / 100
    }

    /// The server's words in one line, without anything that names the recipient.
    pub(super) fn text_without(&self, to: &Address) -> String {
        let local = to.as_str().rsplit_once('@').map_or("", |(local, _)| local).to_lowercase();
        let names = |word: &str| {
            word.contains('@') || word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase() == local
        };
        let words = self.lines.iter().flat_map(|line| line.split_whitespace());
        let words: Vec<&str> = words.map(|word| if names(word) { "(address)" } else { word }).collect();
        format!("{} {}", self.code, words.join(" "))
    }

    /// Code and status only, for replies that may repeat what mustn't be repeated.
    pub(super) fn numbers(&self) -> String {
        self.status.map_or_else(|| self.code.to_string(), |(a, b, c)| format!("{} {a}.{b}.{c}", self.code))
    }
}

/// What a refusal at a step means: later with the reason, or never with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Later(Reason),
    Never(Reason),
}

/// What a reply that isn't the wanted one means. A fault of ours never costs a recipient (design rule 15), so `Never`
/// comes only of what was said about this recipient or this letter.
pub(super) fn meaning(step: Step, reply: &Reply) -> Meaning {
    use Meaning::{Later, Never};
    match (step, reply.code, reply.status) {
        (_, 421, _) => Later(Reason::Busy),
        // "Authentication required" and its kin (RFC 4954 section 6) speak of us, wherever they are said.
        (_, 530 | 534 | 535 | 538, _) => Later(Reason::OurError),
        // With SIZE the verdict on a letter that is too long comes at MAIL (RFC 1870 section 6.1).
        (Step::Mail, 552, _) | (Step::Mail, 500..600, Some((5, 3, 4))) => Never(Reason::ContentRefused),
        (Step::Rcpt | Step::Dot, _, _) => of_recipient(step, reply),
        (_, 400..500, _) => Later(Reason::Busy),
        _ => Later(Reason::OurError),
    }
}

/// The reply to RCPT or to the final dot: both are about one recipient, since each transaction has one. Relays that
/// check recipients late speak of them after the dot.
fn of_recipient(step: Step, reply: &Reply) -> Meaning {
    use Meaning::{Later, Never};
    let said = if step == Step::Dot { Said::ToLetter } else { Said::ToRecipient };
    match Kind::of(said, Some(reply.code), reply.status, &reply.lines.join(" ")) {
        Kind::Full => Later(Reason::MailboxFull),
        Kind::Transient => Later(Reason::Deferred),
        Kind::Ours => Later(Reason::OurError),
        Kind::Policy => Never(Reason::Policy),
        Kind::NoSuchAddress => Never(Reason::NoSuchAddress),
        Kind::Disabled => Never(Reason::MailboxDisabled),
        Kind::Content => Never(Reason::ContentRefused),
        Kind::Unexplained => Never(Reason::RecipientRefused),
    }
}

/// Why a dialogue stopped.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server said something else than hoped.
    Said(Step, Reply),
    /// Nothing was heard within the deadline.
    Silence(Step),
    /// The connection broke, or what came was no SMTP.
    Broken(Step, String),
    /// The dialogue can't be held as configured.
    Unfit(Outcome),
}

impl Trouble {
    /// What it comes to for a letter to `to`. After the final dot only a definite answer is an answer.
    pub(super) fn outcome(self, to: &Address) -> Outcome {
        let lost = |step, text: String, reason| match step {
            Step::Dot => Outcome::Uncertain { reason: Reason::AnswerLost, reply: text },
            _ => Outcome::TryLater { reason, reply: text, not_before: None },
        };
        match self {
            Trouble::Silence(step) => lost(step, format!("{step}: no answer in time"), Reason::Timeout),
            Trouble::Broken(step, how) => lost(step, format!("{step}: {how}"), Reason::Unreachable),
            Trouble::Unfit(outcome) => outcome,
            Trouble::Said(step, reply) if !matches!(reply.class(), 4 | 5) => {
                lost(step, format!("{step}: unexpected {}", reply.numbers()), Reason::Unreachable)
            }
            Trouble::Said(step, reply) => {
                // A server may repeat what it was given: after AUTH that is a secret.
                let text = if step == Step::Auth { reply.numbers() } else { reply.text_without(to) };
                let text = if matches!(step, Step::Rcpt | Step::Dot) { text } else { format!("{step}: {text}") };
                match meaning(step, &reply) {
                    Meaning::Later(reason) => Outcome::TryLater { reason, reply: text, not_before: None },
                    Meaning::Never(reason) => Outcome::Refused { reason, reply: text },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
