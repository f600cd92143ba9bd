//! A post: an announcement by a source, in one language. What is in here has been checked at the door
//! (`intake/decode.rs`); inside, nothing is checked again.

use super::clock::UnixMillis;
use super::delivery::Lane;
use super::language::Language;
use super::text::CleanText;
use serde::{Deserialize, Serialize};

/// The content of one revision of a post. Its JSON is what the store keeps. What a post doesn't have is left out: SQLite
/// gives a row beyond about 1,000 bytes a page of its own, which is written and synced for each post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// The id that the source gave it.
    pub source_id: String,
    /// What variants in several languages share; `None` when the post is its own story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    /// Its language.
    pub language: Language,
    /// Languages in which the source says variants will follow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages_expected: Vec<Language>,
    /// Topics it is shown under, in the order of the source; tags are added as `tag:…` by [`Post::topics_all`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Free tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The path of headings above it on the source's site.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breadcrumb: Vec<CleanText>,
    /// One line.
    pub title: CleanText,
    /// A paragraph, if the source wrote one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<CleanText>,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<CleanText>,
    /// When the source says it was published.
    pub published_at: UnixMillis,
    /// When the source last changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<UnixMillis>,
    /// Not to be shown before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embargo_until: Option<UnixMillis>,
    /// Not to be shown or mailed from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Its page on the source's site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The text.
    pub body: Body,
    /// Pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Downloads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// Whom to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// When and where, if it announces an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    /// The lane of its mail: urgent or normal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Views on the source's site, which those of our page are added to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views: Option<i64>,
    /// A licence's name or URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<CleanText>,
    /// The allims that it came through, oldest first; not what the source said of it, so no hash knows of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

impl Post {
    /// Topics and tags together, as subscriptions name them.
    #[must_use]
    pub fn topics_all(&self) -> Vec<String> {
        self.topics.iter().cloned().chain(self.tags.iter().map(|tag| format!("{TAG_PREFIX}{tag}"))).collect()
    }

    /// The instant from which it may be shown: the later of publication and embargo.
    #[must_use]
    pub fn public_due_at(&self) -> UnixMillis {
        self.embargo_until.map_or(self.published_at, |until| until.max(self.published_at))
    }

    /// The addresses of pictures in its text, as far as they are absolute: `<img src="…">`, and `![…](…)` in Markdown.
    #[must_use]
    pub fn pictures_in_text(&self) -> Vec<String> {
        let text = self.body.content.as_str();
        let found: Vec<String> = match self.body.format {
            BodyFormat::Html => text
                .split("<img")
                .skip(1)
                .filter_map(|rest| {
                    let (_, rest) = rest.split_once('>').map_or(rest, |(tag, _)| tag).split_once("src=")?;
                    let mark = rest.chars().next().filter(|mark| matches!(mark, '"' | '\''))?;
                    Some(rest[1..].split(mark).next()?.replace("&amp;", "&"))
                })
                .collect(),
            BodyFormat::Markdown => text
                .split("![")
                .skip(1)
                .filter_map(|rest| Some(rest.split_once("](")?.1.split([')', ' ']).next()?.to_owned()))
                .collect(),
            BodyFormat::Text => Vec::new(),
        };
        let is_absolute = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        found.into_iter().filter(is_absolute).take(PICTURES_IN_TEXT_MAX).collect()
    }

    /// The lane in which its mail goes when it goes alone.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.urgent { Lane::Urgent } else { Lane::Normal }
    }
}

/// Pictures in a text that are looked at.
const PICTURES_IN_TEXT_MAX: usize = 100;

/// What distinguishes a tag from a board among topics.
pub const TAG_PREFIX: &str = "tag:";

/// The text of a post and how it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The markup.
    pub format: BodyFormat,
    /// The text in that markup.
    pub content: CleanText,
}

/// Markup of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// HTML; goes through an allow-list before it is shown.
    Html,
    /// CommonMark.
    Markdown,
    /// Plain text; blank lines part paragraphs.
    Text,
}

/// A picture with its caption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Absolute http or https URL.
    pub url: String,
    /// For those who can't see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<CleanText>,
    /// Under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<CleanText>,
    /// Such as `image/jpeg`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// A download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Absolute http or https URL.
    pub url: String,
    /// File name as shown.
    pub name: CleanText,
    /// Such as `application/pdf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
}

/// Whom to ask about a post.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<CleanText>,
    /// Person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<CleanText>,
    /// As written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<CleanText>,
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<CleanText>,
}

/// When and where an announced event takes place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// A date (`2026-04-22`) or a civil date-time (`2026-04-22T09:30`) in `time_zone`.
    pub starts_at: EventTime,
    /// Likewise; not before `starts_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<EventTime>,
    /// IANA zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<CleanText>,
    /// Page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A day or a civil time of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventTime {
    /// A civil time.
    Time(jiff::civil::DateTime),
    /// A whole day.
    Day(jiff::civil::Date),
}

impl EventTime {
    /// The day.
    #[must_use]
    pub fn date(self) -> jiff::civil::Date {
        match self {
            Self::Time(time) => time.date(),
            Self::Day(day) => day,
        }
    }
}

impl TryFrom<String> for EventTime {
    type Error = jiff::Error;

    /// A `T` tells a civil time from a day: each parser alone would take both.
    fn try_from(text: String) -> Result<Self, jiff::Error> {
        if text.contains('T') { text.parse().map(Self::Time) } else { text.parse().map(Self::Day) }
    }
}

impl From<EventTime> for String {
    fn from(time: EventTime) -> Self {
        match time {
            EventTime::Time(time) => time.to_string(),
            EventTime::Day(day) => day.to_string(),
        }
    }
}

/// What the store knows of a post beside its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Derived from source and source id.
    pub post_id: String,
    /// Its story.
    pub story_id: String,
    /// The configured source.
    pub source: String,
    /// The newest revision.
    pub revision: i64,
    /// When allim took it in.
    pub received_at: UnixMillis,
    /// When its newest revision was taken in; `None` for the first.
    pub revised_at: Option<UnixMillis>,
    /// When it became public.
    pub public_at: Option<UnixMillis>,
    /// When it went out of date.
    pub expired_at: Option<UnixMillis>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<UnixMillis>,
    /// When the backfill guard held it.
    pub backfill_at: Option<UnixMillis>,
}

impl Standing {
    /// Its state in one word, for people.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.withdrawn_at, self.expired_at, self.public_at, self.backfill_at) {
            (Some(_), ..) => "withdrawn",
            (_, Some(_), ..) => "expired",
            (_, _, Some(_), Some(_)) => "public, held as backfill",
            (_, _, Some(_), None) => "public",
            (_, _, None, _) => "waiting",
        }
    }

    /// Whether it may be shown: public, not withdrawn, not expired.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.public_at.is_some() && self.withdrawn_at.is_none() && self.expired_at.is_none()
    }
}

/// A revision that may be shown. Renderers take nothing else, so an embargo is enforced here alone (design rule 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Showable {
    standing: Standing,
    post: Post,
}

impl Showable {
    /// Passes a public post; hands back one that isn't.
    ///
    /// # Errors
    /// The standing, when the post isn't public (its embargo is not over, it was withdrawn, or it expired).
    pub fn public(standing: Standing, post: Post) -> Result<Self, Box<Standing>> {
        if standing.is_public() { Ok(Self { standing, post }) } else { Err(Box::new(standing)) }
    }

    /// A post that an edition has pinned: it was public when the edition was planned, and the claim that leads
    /// here has checked that it wasn't withdrawn since.
    #[must_use]
    pub fn pinned_by_edition(standing: Standing, post: Post) -> Self {
        Self { standing, post }
    }

    /// A post under an embargo, for a partner whom the operator trusts with it by name; the edition says so (`Happened::Embargoed`).
    #[must_use]
    pub fn for_trusted_partner(standing: Standing, post: Post) -> Self {
        Self { standing, post }
    }

    /// An editor's look at a post before its time; shown to nobody else.
    #[must_use]
    pub fn editors_preview(standing: Standing, post: Post) -> Self {
        Self { standing, post }
    }

    /// The same under another title.
    #[must_use]
    pub fn retitled(&self, title: CleanText) -> Self {
        Self { standing: self.standing.clone(), post: Post { title, ..self.post.clone() } }
    }

    /// The content.
    #[must_use]
    pub fn post(&self) -> &Post {
        &self.post
    }

    /// Its ids and times.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }
}

#[cfg(test)]
mod tests {
    use super::EventTime;

    #[test]
    fn a_day_stays_a_day() {
        for text in ["\"2026-04-22\"", "\"2026-04-22T09:30:00\""] {
            let time: EventTime = serde_json::from_str(text).expect("an event's time");
            assert_eq!(serde_json::to_string(&time).expect("JSON"), text);
        }
    }
}
