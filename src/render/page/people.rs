//! The pages by which people subscribe and set what they get.

use super::Look;
use crate::render::RenderError;
use crate::render::templates::Templates;
use crate::render::words::people::{PeopleWords, people_words};
use serde::Serialize;

/// Something that one can choose.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// What the form sends.
    pub name: String,
    /// What the reader sees.
    pub title: String,
    /// Whether it is chosen.
    pub is_chosen: bool,
}

/// A topic with the schedules that it can be had by; the first stands for none.
#[derive(Clone, Debug, Serialize)]
pub struct TopicRow {
    /// What the form sends.
    pub name: String,
    /// What the reader sees.
    pub title: String,
    /// The schedules.
    pub schedules: Vec<Choice>,
}

/// The form by which somebody asks for mail.
#[derive(Clone, Debug, Serialize)]
pub struct Asking {
    /// What was filled in before.
    pub address: String,
    /// The topics.
    pub topics: Vec<Choice>,
    /// The schedules.
    pub schedules: Vec<Choice>,
    /// Whether some schedule offers an hour of one's own.
    pub own_hour: bool,
    /// That hour, as filled in before.
    pub hour: String,
    /// Its zone.
    pub zone: String,
    /// Zones to choose from.
    pub zones: &'static [&'static str],
    /// Reader languages.
    pub reads: Vec<Choice>,
    /// The token that tells when the form was shown.
    pub form: String,
    /// What is wrong with what was sent.
    pub fault: Option<&'static str>,
    /// What is to be done.
    pub note: Option<&'static str>,
}

/// Everything that somebody may set.
#[derive(Clone, Debug, Serialize)]
pub struct Managing {
    /// Their address, veiled unless the page is whole.
    pub address: String,
    /// Whether everything is on it; otherwise what whoever a mail was passed on to may not see or do is behind another link.
    pub is_whole: bool,
    /// Topics and how they get them.
    pub topics: Vec<TopicRow>,
    /// Whether some schedule offers an hour of one's own.
    pub own_hour: bool,
    /// Their own hour.
    pub hour: String,
    /// Its zone.
    pub zone: String,
    /// Zones to choose from.
    pub zones: &'static [&'static str],
    /// Reader languages.
    pub reads: Vec<Choice>,
    /// Whether they want plain text alone.
    pub text_only: bool,
    /// Until when they pause, in words.
    pub paused: Option<String>,
    /// Whether a withdrawal can be taken back.
    pub can_undo: bool,
    /// Whether they get anything at all.
    pub gets_mail: bool,
    /// Where their data can be had.
    pub data_href: String,
    /// What was done, or what is wrong.
    pub told: Option<&'static str>,
    /// Whether that is a fault.
    pub is_fault: bool,
}

/// A page that says one thing about somebody's subscription, perhaps with a way on.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Said<'a> {
    /// Its heading.
    pub title: &'static str,
    /// What it says.
    pub sentence: &'static str,
    /// A link: where to, and its text.
    pub link: Option<(&'a str, &'static str)>,
    /// The token of a form by which somebody has their link mailed to them.
    pub link_form: Option<&'a str>,
}

#[derive(Serialize)]
struct With<T: Serialize> {
    say: &'static PeopleWords,
    #[serde(flatten)]
    content: T,
}

impl Look<'_> {
    fn with<T: Serialize>(&self, content: T) -> With<T> {
        With { say: people_words(self.language), content }
    }
}

/// The page with the form by which somebody asks for mail.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there. So with all below.
pub fn subscribe(look: &Look<'_>, templates: &Templates, asking: &Asking) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        asking: &'a Asking,
        action: String,
    }
    look.public_page("page_subscribe.html", templates, &[], look.with(Page { asking, action: look.link("/subscribe") }))
}

/// The page on which somebody confirms what was asked for in their name; no wish: a change of address.
///
/// # Errors
/// As [`subscribe`].
pub fn confirm(
    look: &Look<'_>,
    templates: &Templates,
    wishes: &[(String, String, String)],
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        /// Name, title and schedule of each topic.
        wishes: &'a [(String, String, String)],
        action: String,
    }
    look.page("page_confirm.html", templates, &[], look.with(Page { wishes, action: look.link(look.path) }))
}

/// The page on which somebody sets what they get.
///
/// # Errors
/// As [`subscribe`].
pub fn manage(look: &Look<'_>, templates: &Templates, managing: &Managing) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        managing: &'a Managing,
        action: String,
    }
    look.page("page_manage.html", templates, &[], look.with(Page { managing, action: look.link(look.path) }))
}

/// A page that says one thing.
///
/// # Errors
/// As [`subscribe`].
pub fn said(look: &Look<'_>, templates: &Templates, said: Said<'_>) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        said: Said<'a>,
        action: String,
    }
    look.page("page_said.html", templates, &[], look.with(Page { said, action: look.link("/link") }))
}
