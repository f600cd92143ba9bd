//! The mail of one edition: one post, or a digest grouped by topic.

use super::RenderError;
use super::entry::{EntryView, Reader};
use super::pieces::{self, MARKS};
use super::templates::Templates;
use super::words::{Words, words};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::domain::text::{CleanText, HeaderText};
use serde::Serialize;

pub use super::pieces::{Personal, Pieces};
pub use super::site::{LocalText, NoText, Site};

/// What an edition's mail is made from.
#[derive(Clone, Copy)]
pub struct Issue<'a> {
    /// The reader's language; entries may be in others.
    pub language: &'a Language,
    /// The digest's title in the reader's language, or the site's name for immediate mail.
    pub schedule_title: &'a str,
    /// Whether it is an issue of a digest, even if of one post.
    pub is_digest: bool,
    /// Who sends.
    pub site: &'a Site,
    /// The posts in the order of the edition; those of one topic are brought together.
    pub entries: &'a [Entry],
    /// When the edition was planned: the date in a digest's subject.
    pub planned_at: UnixMillis,
    /// The zone whose wall clock dates are shown by.
    pub zone: &'a jiff::tz::TimeZone,
}

/// One post of an issue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The post.
    pub showable: Showable,
    /// The heading it stands under, in the reader's language.
    pub topic_title: String,
}

/// Renders an edition's mail without anything personal. The same issue and templates give the same pieces.
///
/// # Errors
/// [`RenderError::Empty`] for an issue without entries; [`RenderError::Template`] when an operator's template asks
/// for something that isn't there or has lost the unsubscribe link.
pub fn pieces(issue: &Issue<'_>, templates: &Templates) -> Result<Pieces, RenderError> {
    let view = MailView::new(issue).ok_or(RenderError::Empty)?;
    let subject = HeaderText::fold(&CleanText::new(&view.subject)).as_str().to_owned();
    let mut context = serde_json::to_value(&view)
        .map_err(|_| RenderError::Field { field: "entries", reason: "they can't be written as JSON" })?;
    pieces::strip_marks(&mut context);
    if let Some(fields) = context.as_object_mut() {
        let marks = serde_json::to_value(MARKS).unwrap_or_default();
        fields.insert("personal".to_owned(), marks);
    }
    let part = |name: &str| {
        let part = templates.render(name, &context)?;
        match pieces::fault(&part) {
            None => Ok(part),
            Some(reason) => {
                Err(RenderError::Template { template: name.to_owned(), line: 0, reason: reason.to_owned() })
            }
        }
    };
    Ok(Pieces { subject, html: part("mail.html")?, text: part("mail.txt")? })
}

/// What `mail.html` and `mail.txt` see.
#[derive(Serialize)]
struct MailView {
    language: String,
    subject: String,
    /// One post whole, without the frame of a digest.
    is_single: bool,
    /// The digest's title.
    title: String,
    date: String,
    count: String,
    /// What mail programs show beside the subject.
    preview: String,
    groups: Vec<Group>,
    site: SiteView,
    words: &'static Words,
}

#[derive(Serialize)]
struct Group {
    topic: String,
    entries: Vec<EntryView>,
}

#[derive(Serialize)]
struct SiteView {
    name: String,
    url: Option<String>,
    contact: Option<String>,
    postal_address: Option<String>,
}

impl MailView {
    /// `None` when there is no entry.
    fn new(issue: &Issue<'_>) -> Option<Self> {
        let words = words(issue.language);
        let is_single = !issue.is_digest && issue.entries.len() == 1;
        let reader = Reader { language: issue.language, words, zone: issue.zone, site: issue.site, whole: is_single };
        let groups = groups(issue.entries, reader);
        let date = words.date(issue.zone.to_datetime(issue.planned_at.timestamp()).date());
        let count = words.count(issue.entries.len());
        let first = groups.first()?.entries.first()?;
        let subject = match is_single {
            true => first.title().to_owned(),
            false => format!("{} · {date} · {count}", issue.schedule_title),
        };
        let titles: Vec<&str> = groups.iter().flat_map(|group| &group.entries).map(EntryView::title).collect();
        // A single post's title stands in the subject already.
        let preview = if is_single { String::new() } else { titles.join(" · ").chars().take(200).collect() };
        Some(Self {
            language: issue.language.to_string(),
            subject,
            is_single,
            title: issue.schedule_title.to_owned(),
            date,
            count,
            preview,
            groups,
            site: SiteView {
                name: issue.site.name.get(issue.language).to_owned(),
                url: issue.site.public_url.clone(),
                contact: issue.site.contact.clone(),
                postal_address: issue.site.postal_address.clone(),
            },
            words,
        })
    }
}

/// Topics in the order in which they first appear.
fn groups(entries: &[Entry], reader: Reader<'_>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for entry in entries {
        let view = EntryView::new(&entry.showable, reader);
        match groups.iter_mut().find(|group| group.topic == entry.topic_title) {
            Some(group) => group.entries.push(view),
            None => groups.push(Group { topic: entry.topic_title.clone(), entries: vec![view] }),
        }
    }
    groups
}

#[cfg(test)]
#[path = "mail_tests.rs"]
pub(super) mod tests;
