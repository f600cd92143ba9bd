//! Language tags (BCP 47) and which of several serves a reader best.

use std::fmt;

/// A language tag in canonical case, such as `ko`, `en-GB` or `zh-Hant`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

/// What is wrong with a language tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a language tag; write one of BCP 47, such as `ko`, `en` or `zh-Hans`")]
pub struct BadLanguage(pub String);

impl Language {
    /// Reads a tag and brings it into canonical case.
    ///
    /// # Errors
    /// [`BadLanguage`] when it isn't a well-formed tag, or is `und`.
    pub fn parse(raw: &str) -> Result<Self, BadLanguage> {
        let bad = || BadLanguage(raw.chars().take(40).collect());
        let id: icu_locale_core::LanguageIdentifier = raw.parse().map_err(|_| bad())?;
        if id.language.is_unknown() {
            return Err(bad());
        }
        Ok(Self(id.to_string()))
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first subtag: `zh` of `zh-Hans`.
    #[must_use]
    pub fn base(&self) -> &str {
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// The one of `offered` that serves a reader of this language: the same tag, else the longest shared
    /// beginning within the same base language, else none.
    #[must_use]
    pub fn best_of<'a>(&self, offered: impl IntoIterator<Item = &'a Language>) -> Option<&'a Language> {
        let shared = |other: &Language| {
            self.0.split('-').zip(other.0.split('-')).take_while(|(ours, theirs)| ours == theirs).count()
        };
        let mut best: Option<(&Language, usize)> = None;
        for other in offered.into_iter().filter(|other| other.base() == self.base()) {
            let score = if other == self { usize::MAX } else { shared(other) };
            if best.is_none_or(|(_, so_far)| score > so_far) {
                best = Some((other, score));
            }
        }
        best.map(|(language, _)| language)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Language {
    type Error = BadLanguage;
    fn try_from(raw: String) -> Result<Self, BadLanguage> {
        Self::parse(&raw)
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}
