//! What can be wrong with a row of a list, and what would be right.

use crate::domain::audience::BadAddress;
use crate::plan::digest::BadSlot;

/// What is wrong with a row. Its text names the field and the fix, and never repeats the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The address isn't one.
    #[error("address: {0}")]
    Address(BadAddress),
    /// The language isn't a tag.
    #[error("language: `{0}` is not a language tag; write one of BCP 47, such as `ko`, `en` or `zh-Hans`")]
    LanguageUnread(String),
    /// Nobody is written to in this language.
    #[error("language: `{0}` is none of languages.readers")]
    LanguageNotServed(String),
    /// No topic is named.
    #[error("topics: name at least one")]
    NoTopic,
    /// There is no such topic.
    #[error("topics: no [[topic]] has the name `{0}`")]
    UnknownTopic(String),
    /// An hour of one's own isn't written as it must be.
    #[error("schedule: write `DIGEST HH:MM ZONE`")]
    OwnHour,
    /// There is no such schedule, or not at this hour.
    #[error("schedule: `{0}`: {1}")]
    Schedule(String, BadSlot),
    /// The row has another number of fields than the header.
    #[error("{has} fields where the header has {wants}; put a field that holds a comma in quotes")]
    Fields {
        /// How many it has.
        has: usize,
        /// How many it should have.
        wants: usize,
    },
    /// It can't be read at all.
    #[error("it can't be read: {0}")]
    Unread(String),
}

/// Characters of a value that are repeated to whoever mends it.
const VALUE_CHARS_MAX: usize = 60;

impl Fault {
    /// The field that is wrong; `row` where it is the row as a whole.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::LanguageUnread(_) | Self::LanguageNotServed(_) => "language",
            Self::NoTopic | Self::UnknownTopic(_) => "topics",
            Self::OwnHour | Self::Schedule(..) => "schedule",
            Self::Fields { .. } | Self::Unread(_) => "row",
        }
    }

    /// Which fault it is, as pages word it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Address(_) => "bad_address",
            Self::LanguageUnread(_) => "language_unread",
            Self::LanguageNotServed(_) => "language_not_served",
            Self::NoTopic => "no_topic",
            Self::UnknownTopic(_) => "unknown_topic",
            Self::OwnHour | Self::Schedule(_, BadSlot::BadHour) => "bad_hour",
            Self::Schedule(_, BadSlot::NoOwnHour) => "no_own_hour",
            Self::Schedule(_, BadSlot::Unknown) => "unknown_schedule",
            Self::Fields { .. } => "bad_fields",
            Self::Unread(_) => "unread",
        }
    }

    /// What stands in the field, where that helps whoever mends it: never an address.
    #[must_use]
    pub fn value(&self) -> String {
        let value = match self {
            Self::LanguageUnread(value)
            | Self::LanguageNotServed(value)
            | Self::UnknownTopic(value)
            | Self::Schedule(value, _) => value.as_str(),
            Self::Fields { has, wants } => return format!("{has} / {wants}"),
            Self::Address(_) | Self::NoTopic | Self::OwnHour | Self::Unread(_) => "",
        };
        // Columns that were mixed up put an address where another field should be.
        if value.contains('@') { String::new() } else { value.chars().take(VALUE_CHARS_MAX).collect() }
    }
}
