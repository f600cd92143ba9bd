//! RSS 2.0 with `atom:link`, `content:encoded` and Dublin Core.

use super::{Entry, Meta};
use crate::domain::clock::UnixMillis;
use crate::render::templates::escape;
use rss::extension::atom::{AtomExtension, Link};
use rss::extension::dublincore::DublinCoreExtension;
use rss::{Category, Channel, Guid, Item};

pub(super) fn write(meta: &Meta<'_>, entries: &[Entry], updated_at: UnixMillis) -> Option<Vec<u8>> {
    let self_link = Link {
        href: meta.self_url.to_owned(),
        rel: "self".to_owned(),
        mime_type: Some("application/rss+xml".to_owned()),
        ..Link::default()
    };
    let channel = Channel {
        title: meta.title.to_owned(),
        link: meta.page_url.to_owned(),
        description: meta.title.to_owned(),
        language: Some(meta.language.to_string()),
        last_build_date: Some(rfc822(updated_at)),
        generator: Some("allim".to_owned()),
        docs: Some("https://www.rssboard.org/rss-specification".to_owned()),
        items: entries.iter().map(item).collect(),
        atom_ext: Some(AtomExtension { links: vec![self_link] }),
        ..Channel::default()
    };
    channel.write_to(Vec::new()).ok()
}

/// The ids of a written feed's entries, if it can be read.
pub(super) fn ids(bytes: &[u8]) -> Option<Vec<String>> {
    let channel = Channel::read_from(bytes).ok()?;
    channel.items.into_iter().map(|item| item.guid.map(|guid| guid.value)).collect()
}

fn item(entry: &Entry) -> Item {
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
        // Readers take a description for HTML.
        description: entry.summary.as_deref().map(escape),
        categories: entry.categories.iter().map(|(_, title)| Category { name: title.clone(), domain: None }).collect(),
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
        ..Item::default()
    }
}

/// English day and month names and +0000, whatever the process's locale and zone.
fn rfc822(at: UnixMillis) -> String {
    at.timestamp().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
