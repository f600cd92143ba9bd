//! Partner institutions: programs elsewhere that are told of posts, each in a format and with a selection of its own.

use super::delivery::words;
use super::language::Language;
use super::post::Post;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The carrier of signed webhooks.
pub const WEBHOOK: &str = "webhook";
/// The carrier that publishes to a broker of the partner's.
pub const AMQP: &str = "amqp";
/// After failures only for this long a partner is paused, and its contact told.
pub const FAILING_MAX: Duration = Duration::from_secs(120 * 3_600);
/// How long a key that was replaced signs beside the new one, unless it is said otherwise.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3_600);
/// Characters of a partner's name.
const NAME_LEN_MAX: usize = 64;

words! {
    /// How a partner is told.
    Way {
        /// By signed webhooks.
        Webhook = "webhook",
        /// By messages to an exchange.
        Amqp = "amqp",
        /// It asks for itself, and is told nothing.
        Pull = "pull",
    }
}

words! {
    /// What it is told in.
    Format {
        /// A CloudEvent with the post in the wire format: what another allim takes in.
        CloudEvent = "cloudevent",
        /// An item of a JSON Feed.
        JsonFeed = "jsonfeed",
        /// An Atom entry.
        Atom = "atom",
        /// An activity of ActivityStreams 2.0.
        ActivityStreams = "activitystreams",
    }
}

words! {
    /// What happened to a post.
    Happened {
        /// It became public.
        Published = "published",
        /// It has a newer revision.
        Revised = "revised",
        /// It was taken back.
        Withdrawn = "withdrawn",
        /// It will be public; told to those who are trusted with that.
        Embargoed = "embargoed",
    }
}

words! {
    /// What follows when one delivery fails.
    Order {
        /// Others pass it.
        Pass = "pass",
        /// It holds the line.
        Line = "line",
    }
}

/// What a partner wants to be told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Topics; tags as `tag:…`. None: all.
    pub topics: Vec<String>,
    /// Languages with their regional forms. None: all.
    pub languages: Vec<Language>,
}

impl Selection {
    /// Whether a post is in it.
    #[must_use]
    pub fn holds(&self, post: &Post) -> bool {
        self.is_all() || self.has(&post.topics_all(), &post.language)
    }

    /// Whether a post of these topics (tags as `tag:…`) in this language is in it.
    #[must_use]
    pub fn has(&self, topics: &[String], language: &Language) -> bool {
        let is_topic = || topics.iter().any(|topic| self.topics.contains(topic));
        let is_language = || self.languages.iter().any(|wanted| is_form_of(language, wanted));
        (self.topics.is_empty() || is_topic()) && (self.languages.is_empty() || is_language())
    }

    /// Whether every post is in it.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.topics.is_empty() && self.languages.is_empty()
    }
}

/// Whether a language is another, or a regional form of it.
fn is_form_of(language: &Language, wanted: &Language) -> bool {
    let rest = language.as_str().strip_prefix(wanted.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether a partner may have this name: it stands in addresses, tables and logs.
///
/// # Errors
/// A sentence that says what is possible.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let is_good = !name.is_empty() && name.len() <= NAME_LEN_MAX && name.chars().all(fits);
    if is_good { Ok(()) } else { Err(format!("a name has up to {NAME_LEN_MAX} of a-z, 0-9, - and _")) }
}

/// The subject that an edition for partners is written under.
#[must_use]
pub fn subject(format: Format, happened: Happened) -> String {
    format!("{format}:{happened}")
}

/// Reads what [`subject`] writes.
#[must_use]
pub fn read_subject(subject: &str) -> Option<(Format, Happened)> {
    let (format, happened) = subject.split_once(':')?;
    Some((Format::from_word(format)?, Happened::from_word(happened)?))
}

/// What a partner's secrets are sealed for.
#[must_use]
pub fn seal_purpose(name: &str) -> String {
    format!("partner:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_and_names_are_read_as_they_are_written() {
        for format in Format::ALL {
            for happened in Happened::ALL {
                assert_eq!(read_subject(&subject(*format, *happened)), Some((*format, *happened)));
            }
        }
        assert_eq!((read_subject("cloudevent"), read_subject("xml:published")), (None, None));
        assert!(check_name("han-river_1").is_ok());
        for bad in ["", "Han", "한강", "a b", "a/b", &"a".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_language_holds_its_regional_forms_and_no_other() {
        let tag = |text: &str| Language::parse(text).expect("a tag");
        assert!(is_form_of(&tag("zh-Hans"), &tag("zh")) && is_form_of(&tag("ko"), &tag("ko")));
        assert!(!is_form_of(&tag("zh"), &tag("zh-Hans")) && !is_form_of(&tag("kok"), &tag("ko")));
    }
}
