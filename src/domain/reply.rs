//! What a refusal says about the address that it was for: one table, for the replies of a live dialogue and for the reports
//! that come back later.

mod rules;
#[cfg(test)]
mod tests;

use super::delivery::{Reason, words};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

words! {
    /// What a refusal is about.
    Kind {
        /// There is no such mailbox or domain.
        NoSuchAddress = "no_such_address",
        /// There is a mailbox, and it takes nothing.
        Disabled = "disabled",
        /// The mailbox is full.
        Full = "full",
        /// A refusal of this recipient that doesn't say why.
        Unexplained = "unexplained",
        /// Not now.
        Transient = "transient",
        /// The far side's policy is against us: our fault, never the recipient's.
        Policy = "policy",
        /// The content is refused: never the recipient's fault.
        Content = "content",
        /// We did something wrong.
        Ours = "ours",
    }
}

/// An enhanced status code (RFC 3463): class, subject, detail.
pub type Status = (u16, u16, u16);

/// Where a refusal was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// In answer to RCPT.
    ToRecipient,
    /// In answer to the final dot: about the letter, unless it says that it is about its recipient.
    ToLetter,
    /// In a report that came back, which is about one recipient.
    InReport,
}

/// How many refusals of a kind suppress an address, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Deliveries that were refused so, at least.
    pub count: i64,
    /// Within this time.
    pub within: Duration,
    /// How long the suppression lasts; for good when absent.
    pub lasts: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(86_400);
/// How long an address rests that may come back: a season, in which a mailbox is cleared out or a server is set right.
pub const SOFT_LASTS: Duration = Duration::from_secs(90 * 86_400);

impl Kind {
    /// What a refusal means, from its code, its enhanced status and its words, as far as they are there.
    #[must_use]
    pub fn of(said: Said, code: Option<u16>, status: Option<Status>, text: &str) -> Self {
        let class = code.map(|code| code / 100).or(status.map(|(class, ..)| class));
        match status {
            Some((_, 2, 2)) => Self::Full,
            None if class == Some(4) && rules::kind(text) == Some(Self::Full) => Self::Full,
            _ if class == Some(4) => Self::Transient,
            // 5.7.1 means anything; all of it speaks of us.
            Some((_, 7, _)) => Self::Policy,
            // Detail 7 and 8 are the sender's address.
            Some((_, 1, 7 | 8)) => Self::Ours,
            Some((_, 1, 1 | 2 | 3 | 6 | 10)) => Self::NoSuchAddress,
            Some((_, 2, 1)) => Self::Disabled,
            Some((_, 2, 3) | (_, 3, 4) | (_, 6, _)) => Self::Content,
            // A bad sequence of commands is never the recipient's fault.
            _ if code == Some(503) => Self::Ours,
            Some((_, 1 | 2, _)) => rules::kind(text).unwrap_or(Self::Unexplained),
            _ => Self::by_words(said, code, text),
        }
    }

    fn by_words(said: Said, code: Option<u16>, text: &str) -> Self {
        // 552 to RCPT was "too many recipients" once and is to be taken as 452 (RFC 5321 section 4.5.3.1.10).
        if code == Some(552) && said == Said::ToRecipient {
            return if rules::says_too_many(text) { Self::Transient } else { Self::Full };
        }
        match (rules::kind(text), said) {
            (Some(kind), _) => kind,
            (None, Said::ToLetter) => Self::Content,
            (None, _) => Self::Unexplained,
        }
    }

    /// What an outcome of an attempt says about the address, if anything.
    #[must_use]
    pub fn of_reason(reason: Reason) -> Option<Self> {
        match reason {
            Reason::NoSuchAddress => Some(Self::NoSuchAddress),
            Reason::MailboxDisabled => Some(Self::Disabled),
            Reason::MailboxFull => Some(Self::Full),
            Reason::RecipientRefused => Some(Self::Unexplained),
            Reason::Policy => Some(Self::Policy),
            Reason::ContentRefused => Some(Self::Content),
            _ => None,
        }
    }

    /// When refusals of this kind suppress the address; `None`: never.
    #[must_use]
    pub fn threshold(self) -> Option<Threshold> {
        let of = |count, within, lasts| Some(Threshold { count, within, lasts });
        match self {
            Self::NoSuchAddress => of(1, DAY, None),
            Self::Disabled => of(2, DAY * 7, None),
            Self::Full => of(5, DAY * 14, Some(SOFT_LASTS)),
            Self::Unexplained => of(3, DAY * 30, Some(SOFT_LASTS)),
            Self::Transient | Self::Policy | Self::Content | Self::Ours => None,
        }
    }
}

/// Reads a status such as `5.1.1`; what follows a space or other sign is left alone.
#[must_use]
pub fn status(text: &str) -> Option<Status> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut parts = text[..end].trim_end_matches('.').split('.');
    let mut number = || parts.next().filter(|part| (1..=3).contains(&part.len()))?.parse().ok();
    let status = (number()?, number()?, number()?);
    parts.next().is_none().then_some(status)
}

/// The first status of a failure that words hold, such as `5.1.1` in `smtp; 550 5.1.1 no such user`. An address of a
/// server, which has four numbers, is none.
#[must_use]
pub fn status_within(text: &str) -> Option<Status> {
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    words.filter(|word| word.contains('.')).filter_map(status).find(|(class, ..)| matches!(class, 4 | 5))
}

/// The first reply code of a failure that words hold.
#[must_use]
pub fn code_within(text: &str) -> Option<u16> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
    words.filter(|word| word.len() == 3).filter_map(|word| word.parse().ok()).find(|code| (400..600).contains(code))
}

/// Somebody else's words in one line of at most `chars_max` characters, with anything that looks like an address taken out.
#[must_use]
pub fn without_addresses(text: &str, chars_max: usize) -> String {
    let words = text.split_whitespace().map(|word| if word.contains('@') { "(address)" } else { word });
    words.collect::<Vec<_>>().join(" ").chars().filter(|c| !c.is_control()).take(chars_max).collect()
}
