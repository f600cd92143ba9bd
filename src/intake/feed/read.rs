//! From the text of a feed to its entries. What they say is checked at the door like whatever else comes in; here it is only found.

use super::beside::{self, Beside, Extra, Medium};
use super::fetch::Document;
use super::text;
use crate::domain::allim_path;
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::language::Language;
use crate::intake::wire::{ID_CHARS_MAX, URL_CHARS_MAX};
use feed_rs::model::{Entry, Feed, Link, Text};
use std::collections::BTreeSet;

/// A feed that was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// As it has them: mostly the newest first.
    pub entries: Vec<Found>,
    /// The keys of those that were taken back.
    pub gone: Vec<String>,
}

/// An entry, as the feed has it.
#[derive(Debug)]
pub(super) struct Found {
    /// What the feed tells it by, for good as far as anything does.
    pub key: String,
    pub link: Option<String>,
    pub title: Option<String>,
    pub summary: Option<String>,
    /// `html` or `text`, and the content.
    pub body: (&'static str, String),
    pub author: Option<String>,
    pub rights: Option<String>,
    pub language: Option<String>,
    pub published_at: Option<UnixMillis>,
    pub updated_at: Option<UnixMillis>,
    pub categories: Vec<Category>,
    pub images: Vec<Medium>,
    pub files: Vec<Medium>,
    /// The allims that it came through, that of the feed the last one.
    pub path: String,
}

/// A category by its name, and by what readers see.
#[derive(Debug)]
pub(super) struct Category {
    pub name: String,
    pub label: String,
}

/// Reads a feed.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(document: &Document, entries_max: usize) -> Result<Read, String> {
    let text = text::decoded(&document.bytes, document.content_type.as_deref())?;
    let Beside { entries: extras, gone } =
        if text.starts_with('{') { beside::in_json(&text) } else { beside::in_xml(&text)? };
    // Ids that the library makes up would be new ones each time.
    let parser = feed_rs::parser::Builder::new()
        .base_uri(Some(&document.url))
        .sanitize_content(false)
        .id_generator(|_, _, _| String::new())
        .build();
    let feed = parser.parse(text.as_bytes()).map_err(|error| clean(&error.to_string()))?;
    if feed.entries.len() != extras.len() {
        return Err("its entries can't be told apart".to_owned());
    }
    let mut seen = BTreeSet::new();
    let found = feed
        .entries
        .iter()
        .zip(&extras)
        .take(entries_max)
        .map(|(entry, extra)| found(&feed, entry, extra, &document.url));
    let entries = found.filter(|found| seen.insert(found.key.clone())).collect();
    Ok(Read { entries, gone: gone.iter().map(|id| key_of(id)).collect() })
}

fn found(feed: &Feed, entry: &Entry, extra: &Extra, base: &str) -> Found {
    let link = page(entry);
    let title = entry.title.as_ref().map(plain).filter(|title| !title.is_empty());
    let key = match (entry.id.trim(), &link) {
        ("", Some(link)) => key_of(link),
        ("", None) => ids::entry_key(&[title.as_deref().unwrap_or_default(), &body(entry).1]),
        (id, _) => key_of(id),
    };
    let path = match (extra.path.is_empty(), allim_path::of_tag(entry.id.trim())) {
        (true, Some(minted_by)) => minted_by,
        _ => extra.path.clone(),
    };
    let (images, files) = media(entry, extra, base);
    let body = body(entry);
    let known = |tag: &Option<String>| tag.clone().filter(|tag| Language::parse(tag).is_ok());
    let has_text = entry.content.as_ref().is_some_and(|content| content.body.is_some());
    Found {
        key,
        link,
        title,
        summary: entry.summary.as_ref().filter(|_| has_text).map(plain).filter(|summary| !summary.is_empty()),
        body,
        author: entry.authors.first().and_then(|person| person.name.clone().or(person.email.clone())),
        rights: extra.rights.clone().or(entry.rights.as_ref().map(plain)).filter(|rights| !rights.is_empty()),
        language: known(&extra.language).or_else(|| known(&entry.language)).or_else(|| known(&feed.language)),
        published_at: entry.published.or(entry.updated).map(|at| UnixMillis(at.timestamp_millis())),
        updated_at: modified(entry, extra),
        categories: categories(entry),
        images,
        files,
        path,
    }
}

/// An id as a key here: itself, if it can be one.
fn key_of(id: &str) -> String {
    let id = id.trim();
    let fits = !id.is_empty() && id.chars().nth(ID_CHARS_MAX).is_none() && !id.chars().any(char::is_control);
    if fits { id.to_owned() } else { ids::entry_key(&[id]) }
}

/// The page of an entry: of another allim the page of the source, which it names beside its own.
fn page(entry: &Entry) -> Option<String> {
    let is_of_allim = allim_path::of_tag(&entry.id).is_some() && entry.id.contains(":post/");
    let of = |rel: &str| entry.links.iter().find(|link| link.rel.as_deref() == Some(rel));
    let plain: Vec<&Link> = entry
        .links
        .iter()
        .filter(|link| link.rel.is_none() && link.media_type.is_none() && link.target.is_none())
        .collect();
    let own = of("alternate").or(plain.first().copied());
    // JSON Feed's `external_url` stands second.
    let original = of("via").or(plain.get(1).copied()).filter(|_| is_of_allim);
    original.or(own).and_then(|link| web_url(&link.href))
}

fn web_url(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    let fits = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    (fits && url.as_str().len() <= URL_CHARS_MAX).then(|| url.into())
}

fn body(entry: &Entry) -> (&'static str, String) {
    let content = entry.content.as_ref().and_then(|content| Some((&content.content_type, content.body.clone()?)));
    match (content, &entry.summary) {
        (Some((kind, text)), _) => (format_of(kind.essence().to_string().as_str()), text),
        (None, Some(summary)) => {
            (format_of(summary.content_type.essence().to_string().as_str()), summary.content.clone())
        }
        (None, None) => ("text", String::new()),
    }
}

fn format_of(media_type: &str) -> &'static str {
    if media_type.eq_ignore_ascii_case("text/plain") { "text" } else { "html" }
}

/// A text in one line, without markup.
fn plain(text: &Text) -> String {
    let is_markup = format_of(text.content_type.essence().to_string().as_str()) == "html";
    // RSS doesn't say what a title is; one with references in it was written as HTML.
    let text = if is_markup || text.content.contains("&#") || text.content.contains("&amp;") {
        let bare = ammonia::Builder::empty().clean(&text.content).to_string();
        bare.replace("&nbsp;", " ")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&")
    } else {
        text.content.clone()
    };
    clean(&text)
}

fn clean(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn modified(entry: &Entry, extra: &Extra) -> Option<UnixMillis> {
    let told = extra.modified.as_ref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    told.map(UnixMillis::from_timestamp).or(entry.updated.map(|at| UnixMillis(at.timestamp_millis())))
}

fn categories(entry: &Entry) -> Vec<Category> {
    let category = |category: &feed_rs::model::Category| {
        let name = clean(&category.term);
        Category { label: category.label.as_deref().map_or_else(|| name.clone(), clean), name }
    };
    entry.categories.iter().map(category).filter(|category| !category.name.is_empty()).collect()
}

/// Pictures, and files: what stands beside, and what links lead to.
fn media(entry: &Entry, extra: &Extra, base: &str) -> (Vec<Medium>, Vec<Medium>) {
    let base = url::Url::parse(base).ok();
    let absolute = |url: &str| web_url(base.as_ref().and_then(|base| base.join(url.trim()).ok())?.as_str());
    let is_file =
        |link: &&Link| link.rel.as_deref() == Some("enclosure") || (link.rel.is_none() && link.media_type.is_some());
    let linked = entry.links.iter().filter(is_file).map(|link| Medium {
        url: link.href.clone(),
        is_picture: link.media_type.as_deref().is_some_and(|kind| kind.starts_with("image/")),
        media_type: link.media_type.clone(),
        bytes: link.length,
        title: link.title.clone(),
        description: None,
    });
    let mut all: Vec<Medium> = Vec::new();
    for medium in extra.media.iter().cloned().chain(linked) {
        let Some(url) = absolute(&medium.url) else { continue };
        if !all.iter().any(|one| one.url == url) {
            all.push(Medium { url, ..medium });
        }
    }
    all.into_iter().partition(|medium| medium.is_picture)
}
