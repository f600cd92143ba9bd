//! Which feed an address means.

use super::{House, Kind};
use crate::domain::feed::{self, ALL};
use crate::domain::language::Language;
use crate::domain::post::TAG_PREFIX;
use std::sync::Arc;

/// Digits of a page's number, at most.
const PAGE_DIGITS_MAX: usize = 6;

/// Which feed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Which {
    /// What it is about.
    pub subject: Subject,
    /// Index of the language; `None`: all.
    pub language: Option<usize>,
    /// The page of older posts, from 1, the oldest; `None`: the feed that is subscribed to.
    pub page: Option<u32>,
    /// What it is written as.
    pub kind: Kind,
}

/// What a feed is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Everything.
    All,
    /// Index of the topic.
    Topic(usize),
    /// The tag's name.
    Tag(String),
    /// A selection for one institution.
    Private(Arc<Private>),
}

/// A feed whose address is a secret.
#[derive(PartialEq, Eq, Hash)]
pub struct Private {
    /// The secret.
    pub token: String,
    /// For whom it is.
    pub name: String,
    /// The topics in it; none: everything.
    pub topics: Vec<String>,
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Private").field("name", &self.name).field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Which {
    /// Reads `/feeds/events.atom`, `/feeds/tag:NAME.rss` or `/feeds/events/3.atom`, with `lang=ko`.
    #[must_use]
    pub fn read(house: &House, path: &str, query: Option<&str>) -> Option<Self> {
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
            name => match house.topics.iter().position(|(known, _)| known == name) {
                Some(index) => Subject::Topic(index),
                None => Subject::Tag(feed::read_tag(name)?),
            },
        };
        let mut parameters = query.into_iter().flat_map(|query| url::form_urlencoded::parse(query.as_bytes()));
        let language = match parameters.find(|(key, _)| key == "lang") {
            None => None,
            Some((_, tag)) => {
                let language = Language::parse(&tag).ok()?;
                Some(house.languages.iter().position(|known| *known == language)?)
            }
        };
        Some(Self { subject, language, page, kind })
    }

    /// Reads path and query together.
    #[must_use]
    pub fn at(house: &House, path: &str) -> Option<Self> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        Self::read(house, path, query)
    }

    /// Its name in addresses and ids.
    #[must_use]
    pub fn name(&self, house: &House) -> String {
        match &self.subject {
            Subject::All => ALL.to_owned(),
            Subject::Topic(index) => house.topics.get(*index).map_or_else(String::new, |(name, _)| name.clone()),
            Subject::Tag(tag) => feed::tag_name(tag),
            Subject::Private(private) => format!("private/{}", private.token),
        }
    }

    /// Its name where no secret may stand: in ids, and where people are told of it.
    #[must_use]
    pub fn public_name(&self, house: &House) -> String {
        match &self.subject {
            Subject::Private(private) => format!("private/{}", private.name),
            _ => self.name(house),
        }
    }

    /// Whether hubs tell of it: pages of older posts, calendars and feeds of single institutions are followed by nobody.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        let is_private = matches!(self.subject, Subject::Private(_));
        self.page.is_none() && !is_private && matches!(self.kind, Kind::Entries(_))
    }

    /// What the store calls it; `None`: everything.
    #[must_use]
    pub fn topic(&self, house: &House) -> Option<String> {
        match &self.subject {
            Subject::All | Subject::Private(_) => None,
            Subject::Topic(index) => house.topics.get(*index).map(|(name, _)| name.clone()),
            Subject::Tag(tag) => Some(format!("{TAG_PREFIX}{tag}")),
        }
    }

    /// The language that it is in, if in one.
    #[must_use]
    pub fn language<'a>(&self, house: &'a House) -> Option<&'a Language> {
        self.language.and_then(|index| house.languages.get(index))
    }

    /// The language that its address names: that of a private feed is no part of it.
    #[must_use]
    pub fn language_told<'a>(&self, house: &'a House) -> Option<&'a Language> {
        self.language(house).filter(|_| !matches!(self.subject, Subject::Private(_)))
    }

    /// The address of the same feed, or of one of its pages.
    #[must_use]
    pub fn url(&self, house: &House, page: Option<u32>) -> String {
        let page = page.map_or_else(String::new, |page| format!("/{page}"));
        let name = format!("{}{page}", self.name(house));
        format!("{}{}", house.origin, feed::path(&name, self.kind.ending(), self.language_told(house)))
    }
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
    fn a_page_has_one_number() {
        assert_eq!((number("1"), number("20")), (Some(1), Some(20)));
        for wrong in ["", "0", "01", "+1", "-1", "1234567", "1a", "1/2"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
