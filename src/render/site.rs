//! Who sends: the site's name and addresses, with texts that may differ by language.

use crate::domain::language::Language;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A text that an operator wrote once for all, or once per language. In TOML: `name = "…"` or
/// `name = { ko = "…", en = "…" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Spelling", into = "Spelling")]
pub struct LocalText(Spelling);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged, expecting = "a text, or a table of texts by language such as { ko = \"…\", en = \"…\" }")]
enum Spelling {
    Same(String),
    Each(BTreeMap<Language, String>),
}

/// A table of texts that holds none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a text by language needs at least one language")]
pub struct NoText;

impl LocalText {
    /// One text for every language.
    #[must_use]
    pub fn same(text: impl Into<String>) -> Self {
        Self(Spelling::Same(text.into()))
    }

    /// A text per language.
    ///
    /// # Errors
    /// [`NoText`] when the table is empty.
    pub fn each(texts: BTreeMap<Language, String>) -> Result<Self, NoText> {
        Self::try_from(Spelling::Each(texts))
    }

    /// The text for a reader: in their language or its nearest relative, else in English, else the first.
    #[must_use]
    pub fn get(&self, reader: &Language) -> &str {
        match &self.0 {
            Spelling::Same(text) => text,
            Spelling::Each(texts) => {
                let english = || texts.keys().find(|language| language.base() == "en");
                let language = reader.best_of(texts.keys()).or_else(english).or_else(|| texts.keys().next());
                language.and_then(|language| texts.get(language)).map_or("", String::as_str)
            }
        }
    }
}

impl LocalText {
    /// Every text that was written.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (same, each) = match &self.0 {
            Spelling::Same(text) => (Some(text), None),
            Spelling::Each(texts) => (None, Some(texts.values())),
        };
        same.into_iter().chain(each.into_iter().flatten()).map(String::as_str)
    }
}

impl TryFrom<Spelling> for LocalText {
    type Error = NoText;
    fn try_from(spelling: Spelling) -> Result<Self, NoText> {
        match spelling {
            Spelling::Each(texts) if texts.is_empty() => Err(NoText),
            spelling => Ok(Self(spelling)),
        }
    }
}

impl From<LocalText> for Spelling {
    fn from(text: LocalText) -> Self {
        text.0
    }
}

/// The organisation as mails, feeds and pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name.
    pub name: LocalText,
    /// Where allim's own pages are reached from outside, without a slash at the end; `None` when they aren't.
    #[serde(default)]
    pub public_url: Option<String>,
    /// How to reach the people behind it: a phone number, an address, a line of text.
    #[serde(default)]
    pub contact: Option<String>,
    /// Its postal address, which several countries ask for in bulk mail.
    #[serde(default)]
    pub postal_address: Option<String>,
}

impl Site {
    /// The page of a post on this site, where it has pages.
    #[must_use]
    pub fn post_url(&self, post_id: &str) -> Option<String> {
        self.page(&format!("posts/{post_id}"))
    }

    /// The event of a post as a file for calendars, where this site has pages.
    #[must_use]
    pub fn calendar_url(&self, post_id: &str) -> Option<String> {
        self.page(&format!("posts/{post_id}.ics"))
    }

    /// The web copy of an edition, where this site has pages; `name` is what its address ends with.
    #[must_use]
    pub fn edition_url(&self, name: &str) -> Option<String> {
        self.page(&format!("editions/{name}"))
    }

    fn page(&self, path: &str) -> Option<String> {
        self.public_url.as_deref().map(|url| format!("{}/{path}", url.trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_chosen() {
        let text: LocalText = serde_json::from_str(r#"{"ko": "알림", "en": "Notices", "zh-Hant": "公告"}"#).unwrap();
        let get = |tag: &str| text.get(&Language::parse(tag).unwrap());
        assert_eq!((get("ko-KR"), get("zh"), get("fr"), get("en-GB")), ("알림", "公告", "Notices", "Notices"));
        assert_eq!(serde_json::from_str::<LocalText>(r#""알림""#).unwrap(), LocalText::same("알림"));
        assert!(serde_json::from_str::<LocalText>("{}").is_err());
    }
}
