//! RSS 2.0 with `atom:link`, `content:encoded`, Dublin Core and Media RSS.

use super::{Entry, Meta, OWN, history, media, own_namespace, rfc3339};
use crate::domain::clock::UnixMillis;
use crate::render::templates::escape;
use rss::extension::atom::{AtomExtension, Link};
use rss::extension::dublincore::DublinCoreExtension;
use rss::extension::{Extension, ExtensionMap};
use rss::{Category, Channel, Guid, Item};
use std::collections::BTreeMap;

/// The prefix and namespace of `dcterms:modified`: RSS itself has no word for a revision.
const TERMS: (&str, &str) = ("dcterms", "http://purl.org/dc/terms/");

pub(super) fn write(meta: &Meta<'_>, entries: &[Entry], updated_at: UnixMillis) -> Option<Vec<u8>> {
    let link = |rel: &str, href: &str| Link {
        href: href.to_owned(),
        rel: rel.to_owned(),
        mime_type: Some("application/rss+xml".to_owned()),
        ..Link::default()
    };
    let others = meta.history.links().map(|(rel, href)| link(rel, href));
    let hub = |hub: &String| Link { href: hub.clone(), rel: "hub".to_owned(), ..Link::default() };
    let others = meta.hubs.iter().map(hub).chain(others);
    let namespaces =
        [(media::PREFIX, media::NAMESPACE), TERMS, history::NAMESPACE].into_iter().chain(own_namespace(entries));
    let channel = Channel {
        title: meta.title.to_owned(),
        link: meta.page_url.to_owned(),
        description: meta.title.to_owned(),
        language: Some(meta.language.to_string()),
        // Of a feed in which nothing ever stood there is no date to tell.
        last_build_date: (updated_at > UnixMillis::default()).then(|| rfc822(updated_at)),
        generator: Some("allim".to_owned()),
        docs: Some("https://www.rssboard.org/rss-specification".to_owned()),
        items: entries.iter().map(|entry| item(meta, entry)).collect(),
        atom_ext: Some(AtomExtension { links: std::iter::once(link("self", meta.self_url)).chain(others).collect() }),
        extensions: if meta.history.is_archive { archive() } else { ExtensionMap::new() },
        namespaces: namespaces.map(|(prefix, name)| (prefix.to_owned(), name.to_owned())).collect(),
        ..Channel::default()
    };
    channel.write_to(Vec::new()).ok()
}

/// The ids of a written feed's entries, if it can be read.
pub(super) fn ids(bytes: &[u8]) -> Option<Vec<String>> {
    let channel = Channel::read_from(bytes).ok()?;
    channel.items.into_iter().map(|item| item.guid.map(|guid| guid.value)).collect()
}

fn item(meta: &Meta<'_>, entry: &Entry) -> Item {
    let core = DublinCoreExtension {
        // RSS's own `author` must be a mail address, which nobody wants to publish.
        creators: entry.author.iter().cloned().collect(),
        languages: vec![entry.language.to_string()],
        rights: entry.license.iter().cloned().collect(),
        ..DublinCoreExtension::default()
    };
    Item {
        title: Some(entry.title.clone()),
        link: entry.url.clone(),
        // Readers take a description for HTML. One of a post without words, such as a poster, is its title: some readers look at nothing
        // else, and `content:encoded` is meant to add to one.
        description: Some(escape(entry.summary.as_deref().unwrap_or(&entry.title))),
        categories: entry.category_titles().map(|title| Category { name: title.clone(), domain: None }).collect(),
        guid: Some(Guid { value: entry.id.clone(), permalink: false }),
        pub_date: Some(rfc822(entry.published_at)),
        // RSS allows one; which of several would be the reader's guess.
        enclosure: entry.enclosures.first().map(|file| rss::Enclosure {
            url: file.url.clone(),
            // Required; 0 is the custom for a size that isn't known.
            length: file.bytes.unwrap_or(0).to_string(),
            mime_type: file.media_type.clone(),
        }),
        content: Some(entry.html.clone()),
        dublin_core_ext: Some(core),
        extensions: extensions(meta, entry),
        ..Item::default()
    }
}

/// RFC 5005 section 4.
fn archive() -> ExtensionMap {
    let element = Extension { name: format!("{}:archive", history::NAMESPACE.0), ..Extension::default() };
    let elements = BTreeMap::from([("archive".to_owned(), vec![element])]);
    BTreeMap::from([(history::NAMESPACE.0.to_owned(), elements)])
}

fn extensions(meta: &Meta<'_>, entry: &Entry) -> ExtensionMap {
    let text = |prefix: &str, name: &str, text: String| Extension {
        name: format!("{prefix}:{name}"),
        value: Some(text),
        ..Extension::default()
    };
    let content = |medium: media::Medium| Extension {
        name: format!("{}:content", media::PREFIX),
        attrs: medium.attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        children: medium
            .children
            .into_iter()
            .map(|(name, value)| (name.to_owned(), vec![text(media::PREFIX, name, value)]))
            .collect(),
        ..Extension::default()
    };
    let mut extensions = ExtensionMap::new();
    let mut put = |prefix: &str, name: &str, elements: Vec<Extension>| {
        if !elements.is_empty() {
            extensions.insert(prefix.to_owned(), BTreeMap::from([(name.to_owned(), elements)]));
        }
    };
    put(media::PREFIX, "content", media::media(entry).into_iter().map(content).collect());
    if entry.updated_at > entry.published_at {
        put(TERMS.0, "modified", vec![text(TERMS.0, "modified", rfc3339(entry.updated_at))]);
    }
    if let Some(path) = entry.path(meta) {
        put(OWN.0, "path", vec![text(OWN.0, "path", path)]);
    }
    extensions
}

/// English day and month names and +0000, whatever the process's locale and zone.
fn rfc822(at: UnixMillis) -> String {
    at.timestamp().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
