//! What page templates are given.

use serde::Serialize;

/// A feed that a page offers.
#[derive(Clone, Debug, Serialize)]
pub struct FeedLink {
    /// Its path.
    pub href: String,
    /// RSS, Atom or JSON Feed.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Topic and language, for programs that look for feeds.
    pub title: String,
    /// The language it is limited to, if any: tag.
    pub language: Option<String>,
}

/// A topic with its feeds by language.
#[derive(Serialize)]
pub struct TopicView {
    /// Its title.
    pub title: String,
    /// Its page; none for all topics together.
    pub href: Option<String>,
    /// For each language, and for all together: a name and the feeds.
    pub feeds: Vec<(String, Vec<FeedLink>)>,
}

/// One line of a list of posts.
#[derive(Serialize)]
pub struct PostLine {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) language: String,
    pub(super) other_language: Option<String>,
    pub(super) date: String,
    pub(super) topics: String,
    pub(super) summary: Option<String>,
    pub(super) when: Option<String>,
}

/// A digest and when it comes out next.
#[derive(Serialize)]
pub struct NextIssue {
    /// Its title.
    pub title: String,
    /// When, spelled out; none when its schedule has no further date.
    pub at: Option<String>,
}

/// A mail of the folder.
#[derive(Serialize)]
pub struct MailLine {
    /// Its page.
    pub href: String,
    /// Its subject.
    pub subject: String,
    /// The recipient.
    pub to: String,
    /// When it was planned.
    pub date: String,
}

/// What is happening: for trying allim out.
#[derive(Serialize)]
pub struct Now {
    /// The digests.
    pub issues: Vec<NextIssue>,
    /// Deliveries by state, in the reader's words.
    pub deliveries: Vec<(String, i64)>,
    /// The newest mails.
    pub mails: Vec<MailLine>,
}

/// A whole mail.
#[derive(Serialize)]
pub struct Mail {
    /// Its page.
    pub href: String,
    /// Its subject.
    pub subject: String,
    /// The sender.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Its Date.
    pub date: String,
    /// The text part.
    pub text: String,
}
