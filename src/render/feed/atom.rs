//! Atom (RFC 4287) with tombstones of withdrawn posts (RFC 6721) and Media RSS.

use super::{Entry, Meta, OWN, Tombstone, entry_id, history, media, own_namespace, rfc3339};
use crate::domain::clock::UnixMillis;
use crate::render::templates::escape;
use atom_syndication::extension::{Extension, ExtensionMap};
use atom_syndication::{Category, Content, Feed, FixedDateTime, Generator, Link, Person, Text};
use std::collections::BTreeMap;

/// The prefix and namespace of `at:deleted-entry`.
const TOMBSTONES: (&str, &str) = ("at", "http://purl.org/atompub/tombstones/1.0");

const OWN_TYPE: &str = "application/atom+xml";

pub(super) fn write(meta: &Meta<'_>, entries: &[Entry], gone: &[Tombstone], updated_at: UnixMillis) -> Option<Vec<u8>> {
    let link = |rel: &str, href: &str, mime_type: &str| Link {
        href: href.to_owned(),
        rel: rel.to_owned(),
        mime_type: Some(mime_type.to_owned()),
        ..Link::default()
    };
    let own = [link("self", meta.self_url, OWN_TYPE), link("alternate", meta.page_url, "text/html")];
    let hub = |hub: &String| Link { href: hub.clone(), rel: "hub".to_owned(), ..Link::default() };
    let others = meta.history.links().map(|(rel, href)| link(rel, href, OWN_TYPE));
    let others = meta.hubs.iter().map(hub).chain(others);
    let mut extensions = tombstones(meta, gone);
    if meta.history.is_archive {
        let (prefix, _) = history::NAMESPACE;
        extensions.extend(extension(prefix, "archive", vec![element("fh:archive", Vec::new(), Vec::new())]));
    }
    let feed = Feed {
        title: text(meta.title, None),
        id: format!("tag:{}:feed/{}", meta.tag_authority, meta.name),
        updated: date(updated_at)?,
        // Entries without an author are the institution's; Atom asks for one.
        authors: vec![person(meta.site.name.get(meta.language))],
        generator: Some(Generator { value: "allim".to_owned(), ..Generator::default() }),
        links: own.into_iter().chain(others).collect(),
        entries: entries.iter().map(|one| entry(meta, one)).collect::<Option<_>>()?,
        lang: Some(meta.language.to_string()),
        extensions,
        namespaces: [TOMBSTONES, (media::PREFIX, media::NAMESPACE), history::NAMESPACE]
            .into_iter()
            .chain(own_namespace(entries))
            .map(|(prefix, name)| (prefix.to_owned(), name.to_owned()))
            .collect(),
        ..Feed::default()
    };
    feed.write_to(Vec::new()).ok()
}

/// The ids of a written feed's entries, if it can be read.
pub(super) fn ids(bytes: &[u8]) -> Option<Vec<String>> {
    let feed = Feed::read_from(bytes).ok()?;
    Some(feed.entries.into_iter().map(|entry| entry.id).collect())
}

fn entry(meta: &Meta<'_>, entry: &Entry) -> Option<atom_syndication::Entry> {
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
        extensions: extensions(meta, entry),
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

fn tombstones(meta: &Meta<'_>, gone: &[Tombstone]) -> ExtensionMap {
    let attributes = |tombstone: &Tombstone| {
        let id = entry_id(meta.tag_authority, &tombstone.post_id);
        vec![("ref", id), ("when", rfc3339(tombstone.withdrawn_at))]
    };
    let element = |tombstone: &Tombstone| element("at:deleted-entry", attributes(tombstone), Vec::new());
    extension(TOMBSTONES.0, "deleted-entry", gone.iter().map(element).collect())
}

fn extensions(meta: &Meta<'_>, entry: &Entry) -> ExtensionMap {
    let mut extensions = pictures_and_files(entry);
    if let Some(path) = entry.path(meta) {
        let (prefix, _) = OWN;
        let element = Extension { name: format!("{prefix}:path"), value: Some(path), ..Extension::default() };
        extensions.extend(extension(prefix, "path", vec![element]));
    }
    extensions
}

fn pictures_and_files(entry: &Entry) -> ExtensionMap {
    let child = |(name, value): (&'static str, String)| {
        let text = Extension { name: format!("media:{name}"), value: Some(value), ..Extension::default() };
        (name, text)
    };
    let content = |medium: media::Medium| {
        element("media:content", medium.attributes, medium.children.into_iter().map(child).collect())
    };
    extension(media::PREFIX, "content", media::media(entry).into_iter().map(content).collect())
}

fn extension(prefix: &str, name: &str, elements: Vec<Extension>) -> ExtensionMap {
    if elements.is_empty() {
        return ExtensionMap::new();
    }
    BTreeMap::from([(prefix.to_owned(), BTreeMap::from([(name.to_owned(), elements)]))])
}

/// atom_syndication escapes the texts of extensions, but not their attributes.
fn element(name: &str, attributes: Vec<(&str, String)>, children: Vec<(&str, Extension)>) -> Extension {
    Extension {
        name: name.to_owned(),
        attrs: attributes.into_iter().map(|(name, value)| (name.to_owned(), escape(&value))).collect(),
        children: children.into_iter().map(|(name, child)| (name.to_owned(), vec![child])).collect(),
        ..Extension::default()
    }
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
