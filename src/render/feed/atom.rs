//! Atom (RFC 4287) with tombstones of withdrawn posts (RFC 6721).

use super::{Entry, Meta, Tombstone, entry_id, rfc3339};
use crate::domain::clock::UnixMillis;
use atom_syndication::extension::{Extension, ExtensionMap};
use atom_syndication::{Category, Content, Feed, FixedDateTime, Generator, Link, Person, Text};
use std::collections::BTreeMap;

/// The namespace of `at:deleted-entry`.
const TOMBSTONES: &str = "http://purl.org/atompub/tombstones/1.0";

pub(super) fn write(meta: &Meta<'_>, entries: &[Entry], gone: &[Tombstone], updated_at: UnixMillis) -> Option<Vec<u8>> {
    let link = |rel: &str, href: &str, mime_type: &str| Link {
        href: href.to_owned(),
        rel: rel.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        ..Link::default()
    };
    let (extensions, namespaces) = tombstones(meta, gone);
    let feed = Feed {
        title: text(meta.title, None),
        id: format!("tag:{}:feed/{}", meta.tag_authority, meta.name),
        updated: date(updated_at)?,
        // Entries without an author are the institution's; Atom asks for one.
        authors: vec![person(meta.site.name.get(meta.language))],
        generator: Some(Generator { value: "allim".to_owned(), ..Generator::default() }),
        links: vec![link("self", meta.self_url, "application/atom+xml"), link("alternate", meta.page_url, "text/html")],
        entries: entries.iter().map(entry).collect::<Option<_>>()?,
        lang: Some(meta.language.to_string()),
        extensions,
        namespaces,
        ..Feed::default()
    };
    feed.write_to(Vec::new()).ok()
}

/// The ids of a written feed's entries, if it can be read.
pub(super) fn ids(bytes: &[u8]) -> Option<Vec<String>> {
    let feed = Feed::read_from(bytes).ok()?;
    Some(feed.entries.into_iter().map(|entry| entry.id).collect())
}

fn entry(entry: &Entry) -> Option<atom_syndication::Entry> {
    let language = entry.language.as_str();
    let content = Content {
        lang: Some(language.to_owned()),
        value: Some(entry.html.clone()),
        content_type: Some("html".to_owned()),
        ..Content::default()
    };
    let category =
        |(name, title): &(String, String)| Category { term: name.clone(), scheme: None, label: Some(title.clone()) };
    Some(atom_syndication::Entry {
        title: text(&entry.title, Some(language)),
        id: entry.id.clone(),
        updated: date(entry.updated_at)?,
        authors: entry.author.as_deref().map(person).into_iter().collect(),
        categories: entry.categories.iter().map(category).collect(),
        links: links(entry),
        published: Some(date(entry.published_at)?),
        rights: entry.license.as_deref().map(|license| text(license, None)),
        summary: entry.summary.as_deref().map(|summary| text(summary, Some(language))),
        content: Some(content),
        ..atom_syndication::Entry::default()
    })
}

fn links(entry: &Entry) -> Vec<Link> {
    let page = |rel: &str, url: &String| Link {
        href: url.clone(),
        rel: rel.to_owned(),
        mime_type: Some("text/html".to_owned()),
        hreflang: Some(entry.language.to_string()),
        ..Link::default()
    };
    let files = entry.enclosures.iter().map(|file| Link {
        href: file.url.clone(),
        rel: "enclosure".to_owned(),
        mime_type: Some(file.media_type.clone()),
        title: Some(file.name.clone()),
        length: file.bytes.map(|bytes| bytes.to_string()),
        hreflang: None,
    });
    let own = entry.url.iter().map(|url| page("alternate", url));
    let original = entry.original_url.iter().map(|url| page("via", url));
    own.chain(original).chain(files).collect()
}

fn tombstones(meta: &Meta<'_>, gone: &[Tombstone]) -> (ExtensionMap, BTreeMap<String, String>) {
    if gone.is_empty() {
        return Default::default();
    }
    // Ids and dates hold nothing that an attribute would have to escape, which atom_syndication doesn't do here.
    let element = |tombstone: &Tombstone| Extension {
        name: "at:deleted-entry".to_owned(),
        attrs: BTreeMap::from([
            ("ref".to_owned(), entry_id(meta.tag_authority, &tombstone.post_id)),
            ("when".to_owned(), rfc3339(tombstone.withdrawn_at)),
        ]),
        ..Extension::default()
    };
    let elements = BTreeMap::from([("deleted-entry".to_owned(), gone.iter().map(element).collect())]);
    let namespaces = BTreeMap::from([("at".to_owned(), TOMBSTONES.to_owned())]);
    (BTreeMap::from([("at".to_owned(), elements)]), namespaces)
}

fn text(value: &str, language: Option<&str>) -> Text {
    Text { value: value.to_owned(), lang: language.map(str::to_owned), ..Text::default() }
}

fn person(name: &str) -> Person {
    Person { name: name.to_owned(), ..Person::default() }
}

fn date(at: UnixMillis) -> Option<FixedDateTime> {
    FixedDateTime::parse_from_rfc3339(&rfc3339(at)).ok()
}
