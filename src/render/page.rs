//! The pages that readers see in a browser: what their templates are given, spelled for the reader.

pub mod edition;
pub mod feeds;
pub mod found;
mod linked;
pub mod people;
pub mod post;
mod views;

use super::RenderError;
use super::entry::cut;
use super::feed::Kind;
use super::site::Site;
use super::templates::Templates;
use super::words::page::{PageWords, own_name, page_words};
use super::words::people::people_words;
use super::words::{Words, words};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::domain::text::legal_markup;
use serde::Serialize;

pub use views::{FeedLink, Mail, MailLine, NextIssue, Now, PostLine, TopicView};

/// Who looks at a page, and at which.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The language of the page.
    pub language: &'a Language,
    /// Whether it was asked for in the address, so that links keep it.
    pub is_chosen: bool,
    /// The languages that the page can be had in.
    pub offered: &'a [Language],
    /// The page's own path, with which a change of language leads to it again.
    pub path: &'a str,
    /// What stands before every path: empty unless allim's pages lie below a folder of the site.
    pub base: &'a str,
    /// What absolute links begin with, `base` included and without a slash at the end.
    pub origin: &'a str,
    /// The path of the style sheet.
    pub style: &'a str,
    /// The institution.
    pub site: &'a Site,
    /// The zone in which dates are written.
    pub zone: &'a jiff::tz::TimeZone,
}

/// What a page says that has nothing else to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// There is no such page.
    NotFound,
    /// A post that was taken back.
    Withdrawn,
    /// A post whose time is over.
    Expired,
    /// The store doesn't answer.
    Unavailable,
    /// An unsubscribe link that isn't one of ours.
    BadLink,
}

/// How far somebody's wish to leave has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// They are asked.
    Asked,
    /// They have left.
    Done,
    /// They had left before.
    Before,
}

#[derive(Serialize)]
struct Frame<'a, T: Serialize> {
    language: &'a str,
    /// What links end with to keep a chosen language.
    query: String,
    base: &'a str,
    style: &'a str,
    site_name: &'a str,
    contact: Option<&'a str>,
    postal_address: Option<&'a str>,
    languages: Vec<Choice>,
    /// Feeds for programs that look for them.
    discover: &'a [FeedLink],
    words: &'static Words,
    page: &'static PageWords,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Choice {
    tag: String,
    name: String,
    href: String,
    is_current: bool,
}

impl Look<'_> {
    /// The words of the page.
    #[must_use]
    pub fn words(&self) -> &'static PageWords {
        page_words(self.language)
    }

    /// A path of ours as a link that keeps a chosen language.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        if self.is_chosen {
            format!("{}{path}{mark}lang={}", self.base, self.language)
        } else {
            format!("{}{path}", self.base)
        }
    }

    /// An instant in words.
    #[must_use]
    pub fn instant(&self, at: UnixMillis) -> String {
        words(self.language).instant(at, self.zone)
    }

    /// A post as a line of a list.
    #[must_use]
    pub fn line(&self, showable: &Showable, topic_title: impl Fn(&str) -> String) -> PostLine {
        let (post, words) = (showable.post(), words(self.language));
        let is_other = post.language.base() != self.language.base();
        let summary = post.summary.as_ref().map(|text| cut(text.line().as_str()));
        PostLine {
            href: self.link(&format!("/posts/{}", showable.standing().post_id)),
            title: post.title.line().into(),
            language: post.language.to_string(),
            other_language: is_other.then(|| words.language_name(&post.language).to_owned()),
            date: words.date(self.zone.to_datetime(post.published_at.timestamp()).date()),
            topics: post.topics.iter().map(|topic| topic_title(topic)).collect::<Vec<_>>().join(" · "),
            summary: summary.filter(|text| !text.is_empty()),
            when: post.event.as_ref().map(|event| words.event_when(event)),
        }
    }

    fn page(
        &self,
        template: &str,
        templates: &Templates,
        discover: &[FeedLink],
        content: impl Serialize,
    ) -> Result<String, RenderError> {
        let choice = |language: &Language| Choice {
            tag: language.to_string(),
            name: own_name(language).to_owned(),
            href: format!("{}{}?lang={language}", self.base, self.path),
            is_current: language == self.language,
        };
        let frame = Frame {
            language: self.language.as_str(),
            query: if self.is_chosen { format!("?lang={}", self.language) } else { String::new() },
            base: self.base,
            style: self.style,
            site_name: self.site.name.get(self.language),
            contact: self.site.contact.as_deref(),
            postal_address: self.site.postal_address.as_deref(),
            languages: self.offered.iter().map(choice).collect(),
            discover,
            words: words(self.language),
            page: self.words(),
            content,
        };
        templates.render(template, &frame).map(|html| legal_markup(&html))
    }
}

/// The feeds of a topic in one language, or in all.
#[must_use]
pub fn feed_links(look: &Look<'_>, topic: &str, title: &str, language: Option<&Language>) -> Vec<FeedLink> {
    let link = |kind: Kind| FeedLink {
        href: match language {
            Some(language) => format!("{}/feeds/{topic}.{}?lang={language}", look.base, kind.ending()),
            None => format!("{}/feeds/{topic}.{}", look.base, kind.ending()),
        },
        name: kind.name(),
        media_type: kind.media_type(),
        title: match language {
            Some(language) => format!("{title} ({}, {})", own_name(language), kind.name()),
            None => format!("{title} ({})", kind.name()),
        },
        language: language.map(ToString::to_string),
    };
    Kind::ALL.map(link).to_vec()
}

/// The first page. `held` says why nothing is sent, if that is so.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there. So with all below.
pub fn home(
    look: &Look<'_>,
    templates: &Templates,
    topics: &[TopicView],
    posts: &[PostLine],
    now: Option<&Now>,
    held: &[String],
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Home<'a> {
        held: &'a [String],
        topics: &'a [TopicView],
        posts: &'a [PostLine],
        now: Option<&'a Now>,
    }
    let discover: Vec<FeedLink> =
        topics.iter().take(1).flat_map(|topic| topic.feeds.iter().flat_map(|(_, links)| links.clone())).collect();
    look.page("page_home.html", templates, &discover, Home { held, topics, posts, now })
}

/// The posts of a topic.
///
/// # Errors
/// As [`home`].
pub fn topic(
    look: &Look<'_>,
    templates: &Templates,
    topic: &TopicView,
    posts: &[PostLine],
    older: Option<&str>,
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        topic: &'a TopicView,
        posts: &'a [PostLine],
        older: Option<&'a str>,
    }
    let discover: Vec<FeedLink> = topic.feeds.iter().flat_map(|(_, links)| links.clone()).collect();
    look.page("page_topic.html", templates, &discover, Page { topic, posts, older })
}

/// A page that says one thing.
///
/// # Errors
/// As [`home`].
pub fn notice(look: &Look<'_>, templates: &Templates, notice: Notice) -> Result<String, RenderError> {
    notice_with(look, templates, notice, &[])
}

/// The page that says that there is no such topic, with those that there are: title and path.
///
/// # Errors
/// As [`home`].
pub fn no_topic(look: &Look<'_>, templates: &Templates, topics: &[(String, String)]) -> Result<String, RenderError> {
    notice_with(look, templates, Notice::NotFound, topics)
}

fn notice_with(
    look: &Look<'_>,
    templates: &Templates,
    notice: Notice,
    topics: &[(String, String)],
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        title: &'static str,
        sentence: &'static str,
        topics: &'a [(String, String)],
    }
    let words = look.words();
    let (title, sentence) = match notice {
        Notice::NotFound => (&words.not_found, &words.not_found_why),
        Notice::Withdrawn => (&words.withdrawn, &words.withdrawn_why),
        Notice::Expired => (&words.expired, &words.expired_why),
        Notice::Unavailable => (&words.unavailable, &words.unavailable_why),
        Notice::BadLink => (&words.bad_link, &words.bad_link_why),
    };
    look.page("page_notice.html", templates, &[], Page { title, sentence, topics })
}

/// The page on which somebody leaves a schedule of this title.
///
/// # Errors
/// As [`home`].
pub fn unsubscribe(
    look: &Look<'_>,
    templates: &Templates,
    schedule_title: &str,
    leaving: Leaving,
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        title: &'static str,
        sentence: &'static str,
        schedule_title: &'a str,
        /// Where the button leads; none when there is nothing left to do.
        action: Option<String>,
        /// Where they have the link to their own page mailed to them, and what that says.
        manage: (String, &'static str),
    }
    let words = look.words();
    let (title, sentence) = match leaving {
        Leaving::Asked => (&words.leave, &words.leave_why),
        Leaving::Done => (&words.left, &words.left_why),
        Leaving::Before => (&words.left, &words.left_before),
    };
    let manage = (look.link("/link"), people_words(look.language).my_link.as_str());
    let action = (leaving == Leaving::Asked).then(|| look.link(look.path));
    look.page("page_unsubscribe.html", templates, &[], Page { title, sentence, schedule_title, action, manage })
}

/// One mail of the folder.
///
/// # Errors
/// As [`home`].
pub fn mail(look: &Look<'_>, templates: &Templates, mail: &Mail) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        mail: &'a Mail,
    }
    look.page("page_mail.html", templates, &[], Page { mail })
}
