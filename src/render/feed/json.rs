//! JSON Feed 1.1 (<https://www.jsonfeed.org/version/1.1/>).

use super::{Enclosure, Entry, Meta, rfc3339};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct JsonFeed {
    version: String,
    title: String,
    home_page_url: String,
    feed_url: String,
    /// The page of older items.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_url: Option<String>,
    description: String,
    language: String,
    authors: Vec<Author>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hubs: Vec<Hub>,
    items: Vec<Item>,
}

#[derive(Serialize, Deserialize)]
struct Hub {
    #[serde(rename = "type")]
    kind: String,
    url: String,
}

#[derive(Serialize, Deserialize)]
struct Author {
    name: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Item {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The same post elsewhere: on the source's own site.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_url: Option<String>,
    title: String,
    content_html: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    date_published: String,
    date_modified: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    authors: Vec<Author>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    language: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    /// An extension, as JSON Feed has them.
    #[serde(default, rename = "_allim", skip_serializing_if = "Option::is_none")]
    own: Option<Own>,
}

#[derive(Serialize, Deserialize)]
struct Own {
    /// The allims that it came through, this one the last.
    path: String,
}

#[derive(Serialize, Deserialize)]
struct Attachment {
    url: String,
    mime_type: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_in_bytes: Option<u64>,
}

pub(super) fn write(meta: &Meta<'_>, entries: &[Entry]) -> Option<Vec<u8>> {
    let feed = JsonFeed {
        version: "https://jsonfeed.org/version/1.1".to_owned(),
        title: meta.title.to_owned(),
        home_page_url: meta.page_url.to_owned(),
        feed_url: meta.self_url.to_owned(),
        next_url: meta.history.next.clone(),
        description: meta.title.to_owned(),
        language: meta.language.to_string(),
        authors: vec![Author { name: meta.site.name.get(meta.language).to_owned() }],
        hubs: meta.hubs.iter().map(|url| Hub { kind: "WebSub".to_owned(), url: url.clone() }).collect(),
        items: entries.iter().map(|entry| item(meta, entry)).collect(),
    };
    serde_json::to_vec_pretty(&feed).ok()
}

/// The ids of a written feed's entries, if it can be read.
pub(super) fn ids(bytes: &[u8]) -> Option<Vec<String>> {
    let feed: JsonFeed = serde_json::from_slice(bytes).ok()?;
    Some(feed.items.into_iter().map(|item| item.id).collect())
}

pub(super) fn item(meta: &Meta<'_>, entry: &Entry) -> Item {
    let attachment = |file: &Enclosure| Attachment {
        url: file.url.clone(),
        mime_type: file.media_type.clone(),
        title: file.name.clone(),
        size_in_bytes: file.bytes,
    };
    Item {
        id: entry.id.clone(),
        url: entry.url.clone(),
        external_url: entry.original_url.clone(),
        title: entry.title.clone(),
        content_html: entry.html.clone(),
        summary: entry.summary.clone(),
        image: entry.images.first().map(|image| image.url.clone()),
        date_published: rfc3339(entry.published_at),
        date_modified: rfc3339(entry.updated_at),
        authors: entry.author.iter().map(|name| Author { name: name.clone() }).collect(),
        tags: entry.category_titles().cloned().collect(),
        language: entry.language.to_string(),
        attachments: entry.enclosures.iter().map(attachment).collect(),
        own: entry.path(meta).map(|path| Own { path }),
    }
}
