//! From an entry to the event that the door takes: in the words of the wire format, so that whatever is wrong with it is told by the
//! path of the field, as with any other.

use super::Followed;
use super::beside::Medium;
use super::read::Found;
use crate::domain::allim_path;
use crate::domain::clock::UnixMillis;
use crate::intake::wire::{
    ATTACHMENTS_MAX, EventKind, IMAGES_MAX, Incoming, SUMMARY_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX, TITLE_CHARS_MAX,
};
use serde_json::{Map, Value, json};

/// Characters of a title that is made of an entry's first words, where it has none.
const TITLE_MADE_LEN: usize = 80;

/// The post of an entry, without the instant of its last change: that alone makes no other post of it.
pub(super) fn post(followed: &Followed, found: &Found, source_id: &str, seen_at: UnixMillis) -> Map<String, Value> {
    let (format, content) = &found.body;
    let title = found.title.clone().unwrap_or_else(|| first_words(content));
    // A feed shows what is public: a date to come is a mistake, or the clock of another.
    let published_at = found.published_at.map_or(seen_at, |at| at.min(seen_at));
    let language = found.language.as_ref().or(followed.language.as_ref());
    let mut topics: Vec<&String> = Vec::new();
    for category in &found.categories {
        let mapped = followed.categories.get(&category.name).or_else(|| followed.categories.get(&category.label));
        topics.extend(mapped.into_iter().flatten());
    }
    if topics.is_empty() {
        topics.extend(&followed.topics);
    }
    let is_mapped = |name: &str| followed.categories.contains_key(name);
    let tags = found.categories.iter().filter(|category| !is_mapped(&category.name) && !is_mapped(&category.label));
    let tags = tags.map(|category| category.label.as_str());
    let fits = |tag: &&str| !tag.is_empty() && tag.chars().nth(TAG_CHARS_MAX).is_none();
    let summary = found.summary.as_ref().filter(|summary| summary.chars().nth(SUMMARY_CHARS_MAX).is_none());
    // What the text links to already isn't listed again.
    let is_linked = |url: &str| content.contains(&url.replace('&', "&amp;")) || content.contains(url);
    let files = found.files.iter().filter(|file| !is_linked(&file.url));
    let post = json!({
        "id": source_id,
        "topics": topics,
        "language": language,
        "title": title,
        "summary": summary,
        "author": found.author.as_ref().or(followed.author.as_ref()),
        "published_at": published_at.to_string(),
        "url": found.link,
        "body": { "format": format, "content": content },
        "images": found.images.iter().take(IMAGES_MAX).map(image).collect::<Vec<_>>(),
        "attachments": files.take(ATTACHMENTS_MAX).map(attachment).collect::<Vec<_>>(),
        "tags": tags.filter(fits).take(TAGS_MAX).collect::<Vec<_>>(),
        "license": found.rights.as_ref().or(followed.license.as_ref()),
    });
    match post {
        Value::Object(post) => post,
        _ => Map::new(),
    }
}

fn image(medium: &Medium) -> Value {
    json!({
        "url": medium.url, "alt": medium.description, "caption": medium.title,
        "bytes": medium.bytes.filter(|bytes| *bytes > 0),
        "media_type": medium.media_type.as_ref().filter(|kind| kind.starts_with("image/")),
    })
}

fn attachment(medium: &Medium) -> Value {
    let bytes = medium.bytes.filter(|bytes| *bytes > 0);
    json!({ "url": medium.url, "name": medium.title, "media_type": medium.media_type, "bytes": bytes })
}

/// The event around a post.
pub(super) fn incoming(source: &str, kind: EventKind, id: &str, path: &str, data: Value) -> Incoming {
    let mut event = json!({
        "specversion": "1.0",
        "type": kind.type_name(),
        // As a bare post has it: the source's own name.
        "source": source,
        "id": id,
        "data": data,
    });
    if !path.is_empty() {
        event[allim_path::ATTRIBUTE] = json!(path);
    }
    Incoming {
        source: source.to_owned(),
        content_type: Some("application/cloudevents+json".to_owned()),
        headers: Vec::new(),
        bytes: event.to_string().into_bytes(),
    }
}

fn first_words(content: &str) -> String {
    let bare = ammonia::Builder::empty().clean(content).to_string();
    let line = bare.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    crate::intake::wire::clipped(&line, TITLE_MADE_LEN.min(TITLE_CHARS_MAX))
}
