//! Hashtags as networks take them.

use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization as _;

/// What a network makes a hashtag of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashtags {
    /// Letters of any script, marks, digits and `_`; not digits alone (X, Mastodon, Facebook, Telegram, LinkedIn, Threads).
    Words,
    /// Anything but white space and punctuation at its end, up to 64 characters (Bluesky).
    Loose,
    /// None.
    None,
}

/// Characters of a hashtag at most: beyond, networks cut it or take it for text.
const TAG_LEN_MAX: usize = 64;

/// A tag as a hashtag, without its sign; `None` where nothing of it can be one. What stands between words (`과학 기술`, `R&D`) is left out.
#[must_use]
pub fn hashtag(tag: &str, rule: Hashtags) -> Option<String> {
    let is_kept = |c: &char| match rule {
        Hashtags::Words => c.is_alphanumeric() || *c == '_' || is_mark(*c),
        Hashtags::Loose => {
            !c.is_whitespace() && !c.is_control() && !matches!(c, '#' | '.' | ',' | ';' | ':' | '!' | '?')
        }
        Hashtags::None => false,
    };
    let kept: String = tag.nfc().filter(is_kept).collect();
    let says_something = kept.chars().any(|c| c.is_alphabetic());
    (says_something && kept.chars().count() <= TAG_LEN_MAX).then_some(kept)
}

/// Tags as hashtags, each once, however it is written.
#[must_use]
pub fn hashtags<'a>(tags: impl IntoIterator<Item = &'a str>, rule: Hashtags, max: usize) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = tags.into_iter().filter_map(|tag| hashtag(tag, rule));
    all.filter(|tag| seen.insert(tag.to_lowercase())).take(max).collect()
}

/// Marks that belong to the letter before them.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}
