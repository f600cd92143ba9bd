//! Which feed an address means, and the addresses of feeds.

use crate::domain::language::Language;
use crate::domain::post::TAG_PREFIX;
use crate::render::feed::Kind;
use crate::web::{Front, ui};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The name of the feed of all topics.
pub(in crate::web) const ALL: &str = "all";
/// Digits of a page's number, at most.
const PAGE_DIGITS_MAX: usize = 6;
/// Octets of a tag's name, at most, so that nobody fills the memory with names.
const TAG_LEN_MAX: usize = 400;
/// What stands in an address for a tag as it is (RFC 3986 section 2.3, but for the dot, which ends the name).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Which feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Which {
    pub subject: Subject,
    /// Index of the language; `None`: all.
    pub language: Option<usize>,
    /// The page of older posts, from 1, the oldest; `None`: the feed that is subscribed to.
    pub page: Option<u32>,
    pub kind: Kind,
}

/// What a feed is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    All,
    /// Index of the topic.
    Topic(usize),
    /// The tag's name.
    Tag(String),
}

impl Which {
    /// Reads `/feeds/events.atom`, `/feeds/tag:NAME.rss` or `/feeds/events/3.atom`, with `lang=ko`.
    pub(super) fn read(front: &Front, path: &str, query: Option<&str>) -> Option<Self> {
        let (stem, ending) = path.strip_prefix("/feeds/")?.rsplit_once('.')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.ending() == ending)?;
        let (name, page) = match stem.split_once('/') {
            None => (stem, None),
            Some((name, page)) => (name, Some(number(page)?)),
        };
        // A calendar holds what is to come, and so has no past to page through.
        if page.is_some() && kind == Kind::Calendar {
            return None;
        }
        let subject = match name {
            ALL => Subject::All,
            name => match front.topics.iter().position(|(known, _)| known == name) {
                Some(index) => Subject::Topic(index),
                None => Subject::Tag(tag(name)?),
            },
        };
        let language = match ui::parameter(query, "lang") {
            None => None,
            Some(tag) => {
                let language = Language::parse(&tag).ok()?;
                Some(front.languages.iter().position(|known| *known == language)?)
            }
        };
        Some(Self { subject, language, page, kind })
    }

    /// Its name in addresses and ids.
    pub(super) fn name(&self, front: &Front) -> String {
        match &self.subject {
            Subject::All => ALL.to_owned(),
            Subject::Topic(index) => front.topics.get(*index).map_or_else(String::new, |(name, _)| name.clone()),
            Subject::Tag(tag) => tag_path(tag),
        }
    }

    /// What the store calls it; `None`: everything.
    pub(super) fn topic(&self, front: &Front) -> Option<String> {
        match &self.subject {
            Subject::All => None,
            Subject::Topic(index) => front.topics.get(*index).map(|(name, _)| name.clone()),
            Subject::Tag(tag) => Some(format!("{TAG_PREFIX}{tag}")),
        }
    }

    pub(super) fn language<'a>(&self, front: &'a Front) -> Option<&'a Language> {
        self.language.and_then(|index| front.languages.get(index))
    }

    /// What its address ends with.
    pub(super) fn query(&self, front: &Front) -> String {
        self.language(front).map_or_else(String::new, |language| format!("?lang={language}"))
    }

    /// The address of the same feed, or of one of its pages.
    pub(super) fn url(&self, front: &Front, page: Option<u32>) -> String {
        let page = page.map_or_else(String::new, |page| format!("/{page}"));
        format!("{}/feeds/{}{page}.{}{}", front.origin, self.name(front), self.kind.ending(), self.query(front))
    }
}

/// The name of a tag's feed in addresses.
pub(in crate::web) fn tag_path(tag: &str) -> String {
    format!("{TAG_PREFIX}{}", utf8_percent_encode(tag, PLAIN))
}

/// Reads what [`tag_path`] wrote, and what browsers make of it.
fn tag(name: &str) -> Option<String> {
    let name = percent_decode_str(name).decode_utf8().ok()?;
    let tag = name.strip_prefix(TAG_PREFIX)?;
    (!tag.is_empty() && tag.len() <= TAG_LEN_MAX).then(|| tag.to_owned())
}

/// A number has one spelling, so that a page has one address.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    (is_number && text.len() <= PAGE_DIGITS_MAX).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tags_survive_an_address() {
        for name in ["혁신", "R&D <1>", "a/b.c?d#e%41", "끝 ", "\u{1F393}"] {
            let path = tag_path(name);
            assert!(path.is_ascii() && !path.contains(['/', '?', '#', ' ', '.']), "{path}");
            assert_eq!(tag(&path).as_deref(), Some(name));
        }
        assert_eq!(tag("tag%3A%ED%98%81").as_deref(), Some("혁"));
        assert_eq!(
            (tag("tag:"), tag("events"), tag("tag:%FF"), tag(&format!("tag:{}", "a".repeat(401)))),
            (None, None, None, None)
        );
    }

    #[test]
    fn a_page_has_one_number() {
        assert_eq!((number("1"), number("20")), (Some(1), Some(20)));
        for wrong in ["", "0", "01", "+1", "-1", "1234567", "1a", "1/2"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
