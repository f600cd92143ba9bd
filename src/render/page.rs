//! The pages that readers see in a browser: what their templates are given, spelled for the reader.

pub mod edition;
pub mod feeds;
pub mod found;
pub mod issues;
mod linked;
mod look;
pub mod people;
pub mod post;
mod views;

use super::RenderError;
use super::feed::Kind;
use super::templates::Templates;
use super::words::page::own_name;
use super::words::people::people_words;
use crate::domain::language::Language;
use serde::Serialize;

pub use look::Look;
pub use views::{FeedLink, Mail, MailLine, NextIssue, Now, PostLine, TopicView};

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
    look.public_page("page_home.html", templates, &discover, Home { held, topics, posts, now })
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
    look.public_page("page_topic.html", templates, &discover, Page { topic, posts, older })
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
