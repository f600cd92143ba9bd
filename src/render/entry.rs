//! What templates see of one post: everything spelled for the reader, nothing left to decide.

use super::body;
use super::site::Site;
use super::words::{self, Words};
use crate::domain::language::Language;
use crate::domain::post::{Contact, Event, Post, Showable};
use crate::domain::text::CleanText;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::collections::BTreeMap;

/// Bodies up to this many characters stand in a digest as a whole; longer ones give way to summary or excerpt.
pub(super) const WHOLE_BODY_LEN_MAX: usize = 1_500;

/// Length of an excerpt in characters: about four lines of Korean.
const EXCERPT_LEN: usize = 240;

/// A copy of a picture or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its path.
    pub href: String,
    /// The path of a smaller picture.
    pub small: Option<String>,
    /// Width and height of the one that is shown, in pixels.
    pub size: Option<(i64, i64)>,
    /// Octets of the whole.
    pub bytes: i64,
}

/// Whose eyes an entry is made for.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub language: &'a Language,
    pub words: &'static Words,
    pub zone: &'a jiff::tz::TimeZone,
    pub site: &'a Site,
    /// How much of a post is shown.
    pub length: Length,
    /// Whether a post that was revised since its publication says so.
    pub notes_revisions: bool,
}

/// How much of a post is shown. Nothing is cut unless a link leads to the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Length {
    /// Title, date and link.
    Line,
    /// The summary, or the beginning of the body.
    Excerpt,
    /// The body, unless it is long ([`WHOLE_BODY_LEN_MAX`]).
    Moderate,
    /// The body, however long.
    Whole,
}

#[derive(Serialize)]
pub(super) struct EntryView {
    language: String,
    /// The language's name, where the reader reads another.
    other_language: Option<String>,
    title: String,
    /// Nothing follows but the date.
    is_line: bool,
    url: Option<String>,
    /// The page on the source's site, where `url` is another.
    original_url: Option<String>,
    date: String,
    /// When it was revised last, where readers are told.
    revised: Option<String>,
    author: Option<String>,
    breadcrumb: Option<String>,
    license: Option<String>,
    body_html: Option<String>,
    body_text: Option<String>,
    /// Instead of the body: summary or excerpt; `url` leads to the rest.
    excerpt: Option<String>,
    event: Option<EventView>,
    images: Vec<ImageView>,
    attachments: Vec<AttachmentView>,
    contact: Option<ContactView>,
}

#[derive(Serialize)]
struct EventView {
    when: String,
    time_zone: Option<String>,
    location: Option<String>,
    url: Option<String>,
    /// The event as a file for one's calendar (RFC 5545).
    calendar_url: Option<String>,
}

#[derive(Serialize)]
struct ImageView {
    url: String,
    /// The whole picture, where `url` is a smaller one.
    full: Option<String>,
    /// Pixels of what `url` leads to, where they are known.
    width: Option<i64>,
    height: Option<i64>,
    alt: String,
    caption: Option<String>,
}

#[derive(Serialize)]
struct AttachmentView {
    url: Option<String>,
    name: String,
    /// PDF, HWP and the like.
    kind: Option<String>,
    size: Option<String>,
}

#[derive(Serialize)]
struct ContactView {
    /// Office, person and phone number in one line.
    line: String,
    email: Option<String>,
}

impl EntryView {
    /// For a mail: the body has its layout with it.
    pub(super) fn new(showable: &Showable, reader: Reader<'_>) -> Self {
        Self::with_body(showable, reader, body::html_for_mail)
    }

    /// For pages and feeds, which bring or want no styles of ours.
    pub(super) fn for_page(showable: &Showable, reader: Reader<'_>) -> Self {
        Self::with_body(showable, reader, body::html)
    }

    fn with_body(showable: &Showable, reader: Reader<'_>, html: fn(&Post) -> String) -> Self {
        let post = showable.post();
        let original = post.url.as_deref().and_then(web_url);
        let url = reader.site.post_url(&showable.standing().post_id).or_else(|| original.clone());
        // Without a link there would be no way to the rest.
        let length = if url.is_some() { reader.length } else { Length::Whole };
        let is_line = length == Length::Line;
        let excerpt = excerpt(post, length);
        let body_html = (excerpt.is_none() && !is_line).then(|| html(post));
        let revised_at = post.updated_at.max(showable.standing().revised_at).filter(|at| *at > post.published_at);
        let calendar_url = reader.site.calendar_url(&showable.standing().post_id);
        let is_other = post.language.base() != reader.language.base();
        Self {
            language: post.language.to_string(),
            other_language: is_other.then(|| reader.words.language_name(&post.language).to_owned()),
            title: post.title.line().into(),
            is_line,
            original_url: original.filter(|original| Some(original) != url.as_ref()),
            url,
            date: reader.words.instant(post.published_at, reader.zone),
            revised: revised_at.filter(|_| reader.notes_revisions).map(|at| reader.words.instant(at, reader.zone)),
            author: line(post.author.as_ref()),
            breadcrumb: breadcrumb(&post.breadcrumb),
            license: line(post.license.as_ref()),
            body_text: body_html.is_some().then(|| body::text(post)),
            excerpt,
            event: post.event.as_ref().map(|event| event_view(event, reader.words, calendar_url)),
            images: images(post, body_html.as_deref()),
            body_html,
            attachments: attachments(post),
            contact: post.contact.as_ref().and_then(contact),
        }
    }

    /// Shows copies in the place of what they are copies of.
    pub(super) fn with_copies(mut self, copies: &BTreeMap<String, Copied>) -> Self {
        let spelled: BTreeMap<String, &Copied> =
            copies.iter().filter_map(|(url, copy)| Some((web_url(url)?, copy))).collect();
        for image in &mut self.images {
            if let Some(copy) = spelled.get(&image.url) {
                image.url.clone_from(copy.small.as_ref().unwrap_or(&copy.href));
                image.full = copy.small.is_some().then(|| copy.href.clone());
                (image.width, image.height) = copy.size.unzip();
            }
        }
        for file in &mut self.attachments {
            if let Some(copy) = file.url.as_ref().and_then(|url| spelled.get(url)) {
                file.url = Some(format!("{}/{}", copy.href, utf8_percent_encode(&file.name, NON_ALPHANUMERIC)));
                file.size = words::bytes(copy.bytes).or(file.size.take());
            }
        }
        // What stands in the text itself.
        if let Some(html) = &mut self.body_html {
            for (url, copy) in copies {
                let there = format!("src=\"{}\"", url.replace('&', "&amp;"));
                let src = copy.small.as_ref().unwrap_or(&copy.href);
                *html = html.replace(&there, &format!("src=\"{src}\""));
            }
        }
        self
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    pub(super) fn original_url(&self) -> Option<&str> {
        self.original_url.as_deref()
    }
}

fn excerpt(post: &Post, length: Length) -> Option<String> {
    let whole_len_max = match length {
        Length::Line | Length::Whole => return None,
        Length::Moderate => WHOLE_BODY_LEN_MAX,
        Length::Excerpt => EXCERPT_LEN,
    };
    let words = body::words_in_line(post);
    if words.chars().count() <= whole_len_max {
        return None;
    }
    Some(line(post.summary.as_ref()).unwrap_or_else(|| cut(&words)))
}

/// The first [`EXCERPT_LEN`] characters, back to the last space if one is near.
pub(super) fn cut(words: &str) -> String {
    if words.chars().nth(EXCERPT_LEN).is_none() {
        return words.to_owned();
    }
    let head: String = words.chars().take(EXCERPT_LEN).collect();
    let end = head.rfind(' ').filter(|end| *end * 4 >= head.len() * 3).unwrap_or(head.len());
    format!("{}…", &head[..end])
}

fn breadcrumb(path: &[CleanText]) -> Option<String> {
    let steps: Vec<String> = path.iter().filter_map(|step| line(Some(step))).collect();
    (!steps.is_empty()).then(|| steps.join(" › "))
}

fn event_view(event: &Event, words: &Words, calendar_url: Option<String>) -> EventView {
    EventView {
        when: words.event_when(event),
        time_zone: event.time_zone.clone(),
        location: line(event.location.as_ref()),
        url: event.url.as_deref().and_then(web_url),
        calendar_url,
    }
}

/// Pictures that the body shows already aren't shown again.
fn images(post: &Post, body_html: Option<&str>) -> Vec<ImageView> {
    let is_in_body =
        |url: &str| body_html.is_some_and(|html| html.contains(&format!("src=\"{}\"", url.replace('&', "&amp;"))));
    let shown = post.images.iter().filter(|image| !is_in_body(&image.url));
    shown
        .filter_map(|image| {
            let caption = line(image.caption.as_ref());
            let alt = line(image.alt.as_ref()).unwrap_or_default();
            Some(ImageView { url: web_url(&image.url)?, full: None, width: None, height: None, alt, caption })
        })
        .collect()
}

fn attachments(post: &Post) -> Vec<AttachmentView> {
    let view = |file: &crate::domain::post::Attachment| AttachmentView {
        url: web_url(&file.url),
        name: file.name.line().into(),
        kind: words::file_kind(file.media_type.as_deref(), file.name.line().as_str()),
        size: file.bytes.and_then(words::bytes),
    };
    post.attachments.iter().map(view).collect()
}

fn contact(contact: &Contact) -> Option<ContactView> {
    let parts = [&contact.department, &contact.name, &contact.phone];
    let parts: Vec<String> = parts.into_iter().filter_map(|part| line(part.as_ref())).collect();
    let email = line(contact.email.as_ref());
    (!parts.is_empty() || email.is_some()).then(|| ContactView { line: parts.join(" · "), email })
}

fn line(text: Option<&CleanText>) -> Option<String> {
    text.map(|text| String::from(text.line())).filter(|line| !line.is_empty())
}

/// Intake lets only `http` and `https` in; a link is the wrong place to rely on that alone.
pub(super) fn web_url(url: &str) -> Option<String> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https")).then(|| url.to_owned())
}

#[cfg(test)]
#[path = "entry_tests.rs"]
pub(super) mod tests;
