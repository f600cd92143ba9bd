//! A delivery: what one recipient gets by one carrier for one plan, and the states it passes through (design rule 11).

use super::clock::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What makes a delivery unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The occurrence that planned it.
    #[serde(rename = "p")]
    pub plan_id: i64,
    /// The subscriber, partner or account.
    #[serde(rename = "r")]
    pub recipient_id: i64,
    /// The carrier's name.
    #[serde(rename = "c")]
    pub carrier: String,
}

impl DeliveryKey {
    /// The textual id that Message-ID, boundary and web address of the delivery are made from.
    #[must_use]
    pub fn text_id(&self) -> String {
        super::ids::delivery_text_id(self.plan_id, self.recipient_id, &self.carrier)
    }

    /// Reads what [`fmt::Display`] writes: `plan.recipient.carrier`.
    #[must_use]
    pub fn parse(raw: &str) -> Option<Self> {
        let mut parts = raw.splitn(3, '.');
        let plan_id = parts.next()?.parse().ok()?;
        let recipient_id = parts.next()?.parse().ok()?;
        let carrier = parts.next().filter(|name| !name.is_empty())?.to_owned();
        Some(Self { plan_id, recipient_id, carrier })
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.plan_id, self.recipient_id, self.carrier)
    }
}

/// A closed set of words that the store keeps as text.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every one of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word that the store keeps.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            /// Reads the word back.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The order in which waiting deliveries are claimed; an earlier lane never waits behind a later one.
    Lane {
        /// Urgent posts.
        Urgent = "urgent",
        /// Confirmations and notices that somebody waits for.
        Transactional = "transactional",
        /// Immediate mail.
        Normal = "normal",
        /// Digests.
        Bulk = "bulk",
    }
}

words! {
    /// Where a delivery stands.
    State {
        /// Waits for `due_at`, for the first time or again.
        Due = "due",
        /// Taken by a process, nothing said to the far side that counts.
        Claimed = "claimed",
        /// Committed as about to pass the point of no return.
        Sending = "sending",
        /// The far side took it.
        Sent = "sent",
        /// The far side said no for good.
        Refused = "refused",
        /// Given up after trying long enough.
        Abandoned = "abandoned",
        /// The far side may have taken it; its answer was lost.
        Uncertain = "uncertain",
        /// Not to be sent any more, with a reason.
        Cancelled = "cancelled",
    }
}

impl State {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, State::Sent | State::Refused | State::Abandoned | State::Cancelled)
    }
}

words! {
    /// Why something happened to a delivery; a closed list.
    Reason {
        /// The far side took it.
        Accepted = "accepted",
        /// No connection could be made, or it broke before the point of no return.
        Unreachable = "unreachable",
        /// The far side didn't answer within the deadline before the point of no return.
        Timeout = "timeout",
        /// The far side said "not now" to this recipient.
        Deferred = "deferred",
        /// The far side says that it is busy or closing (421, 4xx at connect, EHLO or MAIL).
        Busy = "busy",
        /// Not tried: the recipient's domain defers everybody or doesn't answer just now.
        DomainResting = "domain_resting",
        /// The recipient's address doesn't exist.
        NoSuchAddress = "no_such_address",
        /// The recipient's mailbox takes nothing.
        MailboxDisabled = "mailbox_disabled",
        /// The recipient's mailbox is full.
        MailboxFull = "mailbox_full",
        /// The far side refused this recipient for another reason.
        RecipientRefused = "recipient_refused",
        /// The far side refused the content.
        ContentRefused = "content_refused",
        /// The far side's policy is against us (5.7.x): our fault, never the recipient's.
        Policy = "policy",
        /// Our login at a network ended; a person must renew it.
        Login = "login",
        /// What the far side answered isn't what its documents say.
        BadAnswer = "bad_answer",
        /// It waited for its slot for too long to be news.
        Stale = "stale",
        /// We did something wrong (5xx at EHLO, MAIL or DATA, credentials): never the recipient's fault.
        OurError = "our_error",
        /// The address needs SMTPUTF8 and the relay lacks it.
        NeedsSmtpUtf8 = "needs_smtputf8",
        /// The far side says that there is nobody any more (410).
        Gone = "gone",
        /// The mail couldn't be made.
        RenderFailed = "render_failed",
        /// The answer after the point of no return was lost.
        AnswerLost = "answer_lost",
        /// The process died between the point of no return and the record.
        ProcessLost = "process_lost",
        /// Handed back unsent: shutdown, closed breaker, hold, replaced edition.
        HandedBack = "handed_back",
        /// Its posts went into a newer issue.
        Superseded = "superseded",
        /// All its posts were withdrawn.
        Withdrawn = "withdrawn",
        /// All its posts expired.
        Expired = "expired",
        /// The subscriber left.
        Unsubscribed = "unsubscribed",
        /// An operator asked for it.
        Operator = "operator",
        /// The database was restored: it may have gone out before.
        Restored = "restored",
        /// Tried until the limit.
        GaveUp = "gave_up",
    }
}

impl Reason {
    /// Whether this speaks of a relay or of a whole domain, so that a breaker should hear of it and it doesn't count
    /// against the delivery.
    #[must_use]
    pub fn blames_destination(self) -> bool {
        matches!(
            self,
            Reason::Unreachable
                | Reason::Timeout
                | Reason::Busy
                | Reason::OurError
                | Reason::DomainResting
                | Reason::Login
        )
    }
}

/// What a carrier says happened; what follows is decided in one place (`send/decide.rs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The far side took it.
    Sent {
        /// Its words, cut and without addresses.
        reply: String,
    },
    /// Not now.
    TryLater {
        /// Why.
        reason: Reason,
        /// Its words.
        reply: String,
        /// When the far side asked to be tried again, if it did.
        not_before: Option<UnixMillis>,
    },
    /// Not this, for good.
    Refused {
        /// Why.
        reason: Reason,
        /// Its words.
        reply: String,
    },
    /// The far side may have taken it.
    Uncertain {
        /// Why.
        reason: Reason,
        /// What was seen last.
        reply: String,
    },
    /// The ledger said no before the point of no return (hold, withdrawal, unsubscription, lost lease).
    NotAllowed,
}
