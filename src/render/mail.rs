//! The mail of one edition: one post, or a digest grouped by topic.

mod budget;

use super::RenderError;
use super::calendar::calendar;
use super::entry::{EntryView, Length, Reader, web_url};
use super::pieces::{self, MARKS};
use super::templates::Templates;
use super::words::mail::{MailWords, mail_words};
use super::words::{Words, words};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::{EditionKind, ItemForm};
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::domain::text::{CleanText, HeaderText};
use budget::Cut;
use serde::Serialize;

pub use super::pieces::{Personal, Pieces};
pub use super::site::{LocalText, NoText, Site};
pub use budget::HTML_LEN_MAX;

/// An issue of so many posts begins with a list of their titles: more than fit on the first screen.
pub const CONTENTS_MIN: usize = 6;

/// What an edition's mail is made from.
#[derive(Clone, Copy)]
pub struct Issue<'a> {
    /// The reader's language; entries may be in others.
    pub language: &'a Language,
    /// The digest's title in the reader's language, or the site's name for immediate mail.
    pub schedule_title: &'a str,
    /// What it is.
    pub kind: EditionKind,
    /// Whether it is by a digest, even if of one post.
    pub is_digest: bool,
    /// Whether it is sent for profit: its subject then begins with exactly `(광고)`, in whichever language
    /// (Enforcement Decree of the Korean Network Act, annex 6).
    pub is_commercial: bool,
    /// Who sends.
    pub site: &'a Site,
    /// The posts in the order of the edition; those of one topic are brought together.
    pub entries: &'a [Entry],
    /// When the edition was planned: the date in a digest's subject.
    pub planned_at: UnixMillis,
    /// The zone whose wall clock dates are shown by.
    pub zone: &'a jiff::tz::TimeZone,
    /// Where the same can be read on the web; `None` where this site has no pages, and in previews.
    pub web_copy_url: Option<&'a str>,
    /// Whether a post that was revised since its publication says so.
    pub notes_revisions: bool,
    /// The domain that makes the events of an attached calendar file unique; `None` where none is attached.
    pub calendar_authority: Option<&'a str>,
}

/// One post of an issue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The post.
    pub showable: Showable,
    /// The heading it stands under, in the reader's language.
    pub topic_title: String,
    /// The reader's further topics that brought it, in their language.
    pub also_titles: Vec<String>,
    /// What of it is shown.
    pub form: ItemForm,
}

/// Renders an edition's mail without anything personal. The same issue and templates give the same pieces. Where the HTML
/// would be longer than [`HTML_LEN_MAX`], posts are shortened until it isn't; none is left out.
///
/// # Errors
/// [`RenderError::Empty`] without posts, unless it is to say so; [`RenderError::Template`] when an operator's template asks
/// for something that isn't there or has lost the unsubscribe link.
pub fn pieces(issue: &Issue<'_>, templates: &Templates) -> Result<Pieces, RenderError> {
    let render = |cut: Cut| {
        let context = context(issue, cut)?;
        Ok((templates.render("mail.html", &context)?, context))
    };
    let posts = issue.entries.iter().filter(|entry| entry.form == ItemForm::Post);
    let (html, context) = budget::fit(posts.clone().count(), render, |(html, _)| html.len())?;
    let text = templates.render("mail.txt", &context)?;
    for (name, part) in [("mail.html", &html), ("mail.txt", &text)] {
        if let Some(reason) = pieces::fault(part) {
            return Err(RenderError::Template { template: name.to_owned(), line: 0, reason: reason.to_owned() });
        }
    }
    let subject = context["subject"].as_str().unwrap_or_default();
    let subject = HeaderText::fold(&CleanText::new(subject)).as_str().to_owned();
    let calendar = issue.calendar_authority.and_then(|authority| {
        calendar(posts.map(|entry| &entry.showable), authority, |post_id| issue.site.post_url(post_id))
    });
    Ok(Pieces { subject, html, text, calendar })
}

/// What the templates are given when so much is cut, with the marks of what is personal.
fn context(issue: &Issue<'_>, cut: Cut) -> Result<serde_json::Value, RenderError> {
    let view = MailView::new(issue, cut).ok_or(RenderError::Empty)?;
    let mut context = serde_json::to_value(&view)
        .map_err(|_| RenderError::Field { field: "entries", reason: "they can't be written as JSON" })?;
    pieces::strip_marks(&mut context);
    if let Some(fields) = context.as_object_mut() {
        let marks = serde_json::to_value(MARKS).unwrap_or_default();
        fields.insert("personal".to_owned(), marks);
    }
    Ok(context)
}

/// What `mail.html` and `mail.txt` see.
#[derive(Serialize)]
struct MailView<'a> {
    language: String,
    subject: String,
    /// One post whole, without the frame of a digest.
    is_single: bool,
    /// The digest's title.
    title: &'a str,
    date: String,
    count: String,
    /// What is said before the posts, or in their place.
    lead: Option<&'static str>,
    /// What mail programs show beside the subject.
    preview: String,
    /// Whether the titles are listed first.
    has_contents: bool,
    /// Whether posts were shortened for want of room.
    is_shortened: bool,
    web_copy_url: Option<&'a str>,
    groups: Vec<Group>,
    /// Posts that the reader had before and that were revised since.
    revised: Vec<Line>,
    /// Why this mail came.
    reason: Option<String>,
    site: SiteView<'a>,
    words: &'static Words,
    mail: &'static MailWords,
}

/// A post of which the title is enough.
#[derive(Serialize)]
struct Line {
    title: String,
    language: String,
    url: Option<String>,
}

impl Line {
    fn new(entry: &Entry, site: &Site) -> Self {
        let (post, standing) = (entry.showable.post(), entry.showable.standing());
        let url = site.post_url(&standing.post_id).or_else(|| post.url.as_deref().and_then(web_url));
        Self { title: post.title.line().into(), language: post.language.to_string(), url }
    }
}

#[derive(Serialize)]
struct Group {
    topic: String,
    entries: Vec<Placed>,
}

/// An entry in its place.
#[derive(Serialize)]
struct Placed {
    /// Its number in the order of the edition, which the list of titles leads to.
    number: usize,
    /// Why it came, where several topics brought it.
    reason: Option<String>,
    #[serde(flatten)]
    entry: EntryView,
}

#[derive(Serialize)]
struct SiteView<'a> {
    name: &'a str,
    url: Option<&'a str>,
    contact: Option<&'a str>,
    postal_address: Option<&'a str>,
}

impl<'a> MailView<'a> {
    /// `None` when there is nothing to say.
    fn new(issue: &Issue<'a>, cut: Cut) -> Option<Self> {
        let (words, mail) = (words(issue.language), mail_words(issue.language));
        let (posts, revised): (Vec<&Entry>, Vec<&Entry>) =
            issue.entries.iter().partition(|entry| entry.form == ItemForm::Post);
        let is_single = issue.kind == EditionKind::Correction || (!issue.is_digest && posts.len() == 1);
        let groups = groups(issue, &posts, if is_single { Length::Whole } else { Length::Moderate }, cut);
        let date = words.date(issue.zone.to_datetime(issue.planned_at.timestamp()).date());
        let titles: Vec<&str> =
            groups.iter().flat_map(|group| &group.entries).map(|placed| placed.entry.title()).collect();
        let count = match issue.kind {
            EditionKind::Heartbeat => mail.nothing_new.to_owned(),
            _ if titles.is_empty() => return None,
            _ => words.count(titles.len()),
        };
        let subject = match titles.first() {
            Some(first) if is_single => (*first).to_owned(),
            _ => format!("{} · {date} · {count}", issue.schedule_title),
        };
        // A single post's title stands in the subject already.
        let preview = if is_single { String::new() } else { titles.join(" · ").chars().take(200).collect() };
        Some(Self {
            language: issue.language.to_string(),
            subject: marked(subject, issue, mail),
            is_single,
            title: issue.schedule_title,
            date,
            count,
            lead: lead(issue.kind, mail),
            preview,
            has_contents: posts.len() >= CONTENTS_MIN && cut.has_contents(),
            is_shortened: cut.is_some(),
            web_copy_url: issue.web_copy_url,
            reason: (!posts.is_empty()).then(|| words.because(&topics(&posts))),
            groups,
            revised: revised.into_iter().map(|entry| Line::new(entry, issue.site)).collect(),
            site: SiteView {
                name: issue.site.name.get(issue.language),
                url: issue.site.public_url.as_deref(),
                contact: issue.site.contact.as_deref(),
                postal_address: issue.site.postal_address.as_deref(),
            },
            words,
            mail,
        })
    }
}

/// A subject with what has to stand before it: `(광고)` first of all.
fn marked(subject: String, issue: &Issue<'_>, mail: &MailWords) -> String {
    let subject = match issue.kind {
        EditionKind::Correction => format!("{} {subject}", mail.correction_mark),
        EditionKind::Test => format!("{} {subject}", mail.test_mark),
        _ => subject,
    };
    if issue.is_commercial { format!("(광고) {subject}") } else { subject }
}

fn lead(kind: EditionKind, mail: &'static MailWords) -> Option<&'static str> {
    match kind {
        EditionKind::Heartbeat => Some(&mail.heartbeat),
        EditionKind::Correction => Some(&mail.correction),
        EditionKind::Test => Some(&mail.test),
        _ => None,
    }
}

/// Every topic that brought something, in the order of the issue.
fn topics<'a>(posts: &[&'a Entry]) -> Vec<&'a str> {
    let mut topics: Vec<&str> = Vec::new();
    for topic in posts.iter().flat_map(|entry| std::iter::once(&entry.topic_title).chain(&entry.also_titles)) {
        if !topics.contains(&topic.as_str()) {
            topics.push(topic);
        }
    }
    topics
}

/// Topics in the order in which they first appear.
fn groups(issue: &Issue<'_>, posts: &[&Entry], length: Length, cut: Cut) -> Vec<Group> {
    let words = words(issue.language);
    let mut groups: Vec<Group> = Vec::new();
    for (index, entry) in posts.iter().copied().enumerate() {
        let reader = Reader {
            language: issue.language,
            words,
            zone: issue.zone,
            site: issue.site,
            length: cut.length(index, length),
            notes_revisions: issue.notes_revisions,
        };
        let reason = (!entry.also_titles.is_empty()).then(|| words.because(&topics(&[entry])));
        let placed = Placed { number: index + 1, reason, entry: EntryView::new(&entry.showable, reader) };
        match groups.iter_mut().find(|group| group.topic == entry.topic_title) {
            Some(group) => group.entries.push(placed),
            None => groups.push(Group { topic: entry.topic_title.clone(), entries: vec![placed] }),
        }
    }
    groups
}

#[cfg(test)]
#[path = "mail_tests.rs"]
pub(super) mod tests;
