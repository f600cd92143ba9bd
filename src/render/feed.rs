//! Feeds: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1 from the same entries. Every feed is read again before it is
//! handed out, and an entry that would spoil it is left out alone (design rule 18).

pub mod alone;
mod atom;
mod history;
mod house;
mod json;
mod kind;
mod media;
mod rss;
mod which;

use super::entry::{EntryView, Length, Reader};
use super::site::Site;
use super::templates::Templates;
use super::words::words;
use super::{RenderError, body};
use crate::domain::allim_path;
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::{Attachment, Image, Post, Showable, TAG_PREFIX};
use crate::domain::text::{CleanText, legal_markup};
use serde::Serialize;

pub use history::History;
pub use house::House;
pub use kind::{Format, Kind};
pub use which::{Private, Subject, Which};

/// What a feed says of itself.
pub struct Meta<'a> {
    /// Its title.
    pub title: &'a str,
    /// Its last part of identity, such as `events` or `events/ko`.
    pub name: &'a str,
    /// The language of title and description; entries may be in others.
    pub language: &'a Language,
    /// Where it is.
    pub self_url: &'a str,
    /// The page that shows the same.
    pub page_url: &'a str,
    /// The institution.
    pub site: &'a Site,
    /// The zone in which events and dates are written.
    pub zone: &'a jiff::tz::TimeZone,
    /// Domain and year of `tag:` URIs (RFC 4151), such as `example.org,2026`.
    pub tag_authority: &'a str,
    /// Its other documents.
    pub history: &'a History,
    /// The hubs that push what changes (W3C WebSub section 4).
    pub hubs: &'a [String],
    /// The title of a topic in a language.
    pub topic_title: &'a dyn Fn(&str, &Language) -> String,
}

/// A post that was public and was withdrawn (RFC 6721).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Its id.
    pub post_id: String,
    /// When.
    pub withdrawn_at: UnixMillis,
}

/// The prefix and namespace of our own element, `path`.
const OWN: (&str, &str) = ("allim", "https://allim.org/ns/feed/1");

/// It is declared where it is used.
fn own_namespace(entries: &[Entry]) -> Option<(&'static str, &'static str)> {
    entries.iter().any(|entry| !entry.path.is_empty()).then_some(OWN)
}

/// A feed, ready to be served.
pub struct Feed {
    /// The document.
    pub bytes: Vec<u8>,
    /// Posts that would have spoiled it, and why.
    pub left_out: Vec<(String, String)>,
    /// The posts in it, each with the date of its last revision.
    pub entries: Vec<(String, UnixMillis)>,
}

/// The `tag:` URI that identifies a post in feeds, for good (RFC 4151).
#[must_use]
pub fn entry_id(tag_authority: &str, post_id: &str) -> String {
    format!("tag:{tag_authority}:post/{post_id}")
}

/// When a post was last revised; its publication where it never was.
#[must_use]
pub fn updated_at(showable: &Showable) -> UnixMillis {
    let (post, standing) = (showable.post(), showable.standing());
    [post.updated_at, standing.revised_at].into_iter().flatten().fold(post.published_at, UnixMillis::max)
}

/// Writes a feed.
///
/// # Errors
/// [`RenderError::Field`] when it can't be read again even without the entries that spoil it.
pub fn feed(
    format: Format,
    meta: &Meta<'_>,
    posts: &[Showable],
    gone: &[Tombstone],
    templates: &Templates,
) -> Result<Feed, RenderError> {
    let (mut entries, mut left_out) = (Vec::with_capacity(posts.len()), Vec::new());
    for showable in posts {
        // A post that makes a library stumble costs itself alone.
        let made = std::panic::AssertUnwindSafe(|| Entry::new(showable, meta, templates));
        match std::panic::catch_unwind(made) {
            Ok(Ok(entry)) => entries.push(entry),
            Err(_) => left_out.push((showable.standing().post_id.clone(), "it makes us stumble".to_owned())),
            Ok(Err(error)) => left_out.push((showable.standing().post_id.clone(), error.to_string())),
        }
    }
    let mut written = write(format, meta, &entries, gone);
    if written.is_err() {
        entries.retain(|entry| match write(format, meta, std::slice::from_ref(entry), &[]) {
            Ok(_) => true,
            Err(reason) => {
                left_out.push((entry.post_id.clone(), reason.to_owned()));
                false
            }
        });
        written = write(format, meta, &entries, gone);
    }
    let bytes = written.map_err(|reason| RenderError::Field { field: "feed", reason })?;
    let entries = entries.into_iter().map(|entry| (entry.post_id, entry.updated_at)).collect();
    Ok(Feed { bytes, left_out, entries })
}

/// Writes it and reads it again: what comes back must be the same entries in the same order.
fn write(format: Format, meta: &Meta<'_>, entries: &[Entry], gone: &[Tombstone]) -> Result<Vec<u8>, &'static str> {
    let bytes = match format {
        Format::Rss => rss::write(meta, entries, updated(entries, gone)),
        Format::Atom => atom::write(meta, entries, gone, updated(entries, gone)),
        Format::Json => json::write(meta, entries),
    };
    let bytes = bytes.ok_or("it can't be written")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "it isn't UTF-8")?;
    if CleanText::counting(text).1 > 0 {
        return Err("it holds a character that XML forbids");
    }
    let ids = match format {
        Format::Rss => rss::ids(&bytes),
        Format::Atom => atom::ids(&bytes),
        Format::Json => json::ids(&bytes),
    };
    let ids = ids.ok_or("it can't be read again")?;
    if ids.iter().eq(entries.iter().map(|entry| &entry.id)) { Ok(bytes) } else { Err("it reads as other entries") }
}

/// When the feed last changed; the epoch for a feed in which nothing ever stood.
fn updated(entries: &[Entry], gone: &[Tombstone]) -> UnixMillis {
    let entries = entries.iter().map(|entry| entry.updated_at);
    entries.chain(gone.iter().map(|tombstone| tombstone.withdrawn_at)).max().unwrap_or_default()
}

/// One post, spelled out for every format.
struct Entry {
    post_id: String,
    id: String,
    url: Option<String>,
    /// The page on the source's own site, where `url` is another.
    original_url: Option<String>,
    title: String,
    /// Plain text in one line.
    summary: Option<String>,
    html: String,
    author: Option<String>,
    published_at: UnixMillis,
    updated_at: UnixMillis,
    language: Language,
    /// Topics and tags: name and title.
    categories: Vec<(String, String)>,
    images: Vec<Picture>,
    enclosures: Vec<Enclosure>,
    license: Option<String>,
    /// The allims that it came through, oldest first.
    path: Vec<String>,
}

struct Picture {
    url: String,
    /// For those who can't see it.
    alt: Option<String>,
    caption: Option<String>,
    media_type: Option<String>,
    bytes: Option<u64>,
}

struct Enclosure {
    url: String,
    name: String,
    media_type: String,
    bytes: Option<u64>,
}

#[derive(Serialize)]
struct ContentView<'a> {
    language: &'a str,
    entry: &'a EntryView,
    words: &'static super::words::Words,
}

impl Entry {
    /// The words of the content are in the entry's own language: nobody knows who reads a feed.
    fn new(showable: &Showable, meta: &Meta<'_>, templates: &Templates) -> Result<Self, RenderError> {
        let (post, standing) = (showable.post(), showable.standing());
        let language = &post.language;
        let reader = Reader {
            language,
            words: words(language),
            zone: meta.zone,
            site: meta.site,
            length: Length::Whole,
            notes_revisions: false,
        };
        let view = EntryView::for_page(showable, reader);
        let content = ContentView { language: language.as_str(), entry: &view, words: reader.words };
        let title_of = |topic: &String| (meta.topic_title)(topic, language);
        let topics = post.topics.iter().map(|topic| (topic.clone(), title_of(topic)));
        let tags = post.tags.iter().map(|tag| (format!("{TAG_PREFIX}{tag}"), tag.clone()));
        Ok(Self {
            post_id: standing.post_id.clone(),
            id: entry_id(meta.tag_authority, &standing.post_id),
            url: view.url().map(str::to_owned),
            original_url: view.original_url().map(str::to_owned),
            title: view.title().to_owned(),
            summary: line(&post.summary).or_else(|| excerpt(post)),
            html: legal_markup(templates.render("post_content.html", content)?.trim()),
            author: line(&post.author),
            published_at: post.published_at,
            updated_at: updated_at(showable),
            language: language.clone(),
            categories: topics.chain(tags).collect(),
            images: post.images.iter().map(picture).collect(),
            enclosures: post.attachments.iter().map(enclosure).collect(),
            license: line(&post.license),
            path: post.path.clone(),
        })
    }
}

impl Entry {
    /// What is said of the allims that it came through, so that none takes its own for another's: nothing where it began here.
    fn path(&self, meta: &Meta<'_>) -> Option<String> {
        let whole: Vec<String> = self.path.iter().cloned().chain([allim_path::name_of(meta.tag_authority)]).collect();
        (whole.len() > 1).then(|| allim_path::written(&whole))
    }

    /// What formats say that know categories by their titles alone: each once, since a tag may read as a topic does.
    fn category_titles(&self) -> impl Iterator<Item = &String> {
        let is_first = |index: usize, title: &String| !self.categories[..index].iter().any(|(_, other)| other == title);
        let titles = self.categories.iter().map(|(_, title)| title).enumerate();
        titles.filter(move |(index, title)| is_first(*index, title)).map(|(_, title)| title)
    }
}

fn excerpt(post: &Post) -> Option<String> {
    let words = body::words_in_line(post);
    (!words.is_empty()).then(|| super::entry::cut(&words))
}

/// A text in one line; none where it says nothing.
fn line(text: &Option<CleanText>) -> Option<String> {
    text.as_ref().map(|text| String::from(text.line())).filter(|line| !line.is_empty())
}

fn picture(image: &Image) -> Picture {
    Picture {
        url: image.url.clone(),
        alt: line(&image.alt),
        caption: line(&image.caption),
        media_type: image.media_type.clone(),
        bytes: image.bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

fn enclosure(file: &Attachment) -> Enclosure {
    Enclosure {
        url: file.url.clone(),
        name: file.name.line().into(),
        // What a browser assumes of a file of unknown kind.
        media_type: file.media_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned()),
        bytes: file.bytes.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

fn rfc3339(at: UnixMillis) -> String {
    at.timestamp().to_string()
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
