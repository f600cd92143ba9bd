//! The list of all feeds, and what pages tell programs of those that no page offers.

use super::{FeedLink, Look, TopicView};
use crate::render::RenderError;
use crate::render::feed::Format;
use crate::render::templates::Templates;
use serde::Serialize;

/// The feed of a tag, which has no page that would offer it. `path` is its name in addresses.
#[must_use]
pub fn tag_link(look: &Look<'_>, path: &str, tag: &str) -> FeedLink {
    let format = Format::Atom;
    FeedLink {
        href: format!("{}/feeds/{path}.{}", look.base, format.ending()),
        name: format.name(),
        media_type: format.media_type(),
        title: format!("#{tag} ({})", format.name()),
        language: None,
    }
}

/// All feeds by topic and language; `is_missing` where somebody asked for one that isn't there.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there.
pub fn list(
    look: &Look<'_>,
    templates: &Templates,
    topics: &[TopicView],
    is_missing: bool,
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        topics: &'a [TopicView],
        is_missing: bool,
        /// The same for programs.
        opml: String,
    }
    let page = Page { topics, is_missing, opml: format!("{}/feeds.opml", look.base) };
    if is_missing {
        return look.page("page_feeds.html", templates, &[], page);
    }
    look.public_page("page_feeds.html", templates, &[], page)
}
