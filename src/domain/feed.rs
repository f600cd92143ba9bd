//! The addresses of feeds, which whoever follows one names it by.

use super::language::Language;
use super::post::{Post, TAG_PREFIX};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The name of the feed of all topics.
pub const ALL: &str = "all";
/// Octets of a tag's name, at most, so that nobody fills the memory with names.
const TAG_LEN_MAX: usize = 400;
/// What stands in an address for a tag as it is (RFC 3986 section 2.3, but for the dot, which ends the name).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// The carrier of our own hub.
pub const WEBSUB: &str = "websub";
/// The carrier that tells other hubs.
pub const HUB_PING: &str = "hub_ping";
/// The endings of feeds that hold entries.
pub const ENDINGS: [&str; 3] = ["atom", "rss", "json"];

/// Path and query of each feed with one of these endings that shows a post.
#[must_use]
pub fn paths(post: &Post, endings: &[&str]) -> Vec<String> {
    let names = post.topics_all().into_iter().map(|topic| name(&topic)).chain([ALL.to_owned()]);
    // A feed in a language holds its regional forms too.
    let mut tags = vec![post.language.as_str()];
    while let Some((wider, _)) = tags[tags.len() - 1].rsplit_once('-') {
        tags.push(wider);
    }
    let languages: Vec<Language> = tags.into_iter().filter_map(|tag| Language::parse(tag).ok()).collect();
    let mut paths = Vec::new();
    for name in names {
        for ending in endings {
            paths.push(path(&name, ending, None));
            paths.extend(languages.iter().map(|language| path(&name, ending, Some(language))));
        }
    }
    paths
}

/// The name of a topic's feed: its own, or for a tag one that survives an address.
#[must_use]
pub fn name(topic: &str) -> String {
    match topic.strip_prefix(TAG_PREFIX) {
        Some(tag) => tag_name(tag),
        None => topic.to_owned(),
    }
}

/// The name of a tag's feed in addresses.
#[must_use]
pub fn tag_name(tag: &str) -> String {
    format!("{TAG_PREFIX}{}", utf8_percent_encode(tag, PLAIN))
}

/// Reads what [`tag_name`] wrote, and what browsers make of it.
#[must_use]
pub fn read_tag(name: &str) -> Option<String> {
    let name = percent_decode_str(name).decode_utf8().ok()?;
    let tag = name.strip_prefix(TAG_PREFIX)?;
    (!tag.is_empty() && tag.len() <= TAG_LEN_MAX).then(|| tag.to_owned())
}

/// Path and query of the feed of this name in a format (`atom`), in one language or in all.
#[must_use]
pub fn path(name: &str, ending: &str, language: Option<&Language>) -> String {
    format!("/feeds/{name}.{ending}{}", query(language))
}

/// What an address ends with that is in one language.
#[must_use]
pub fn query(language: Option<&Language>) -> String {
    language.map_or_else(String::new, |language| format!("?lang={language}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tags_survive_an_address() {
        for tag in ["혁신", "R&D <1>", "a/b.c?d#e%41", "끝 ", "\u{1F393}"] {
            let name = name(&format!("{TAG_PREFIX}{tag}"));
            assert!(name.is_ascii() && !name.contains(['/', '?', '#', ' ', '.']), "{name}");
            assert_eq!(read_tag(&name).as_deref(), Some(tag));
        }
        assert_eq!(read_tag("tag%3A%ED%98%81").as_deref(), Some("혁"));
        let none = ["tag:".to_owned(), "events".to_owned(), "tag:%FF".to_owned(), format!("tag:{}", "a".repeat(401))];
        assert!(none.iter().all(|name| read_tag(name).is_none()));
    }
}
