//! Pages that find posts: search, and the calendar of events.

use super::{Look, PostLine, RenderError};
use crate::domain::post::Post;
use crate::render::body;
use crate::render::templates::Templates;
use crate::render::words::words;
use serde::Serialize;

/// What was looked for and found.
pub struct Found<'a> {
    /// The words, as they were typed.
    pub asked: &'a str,
    /// The posts.
    pub posts: &'a [PostLine],
    /// Where older ones are, if there may be any.
    pub older: Option<&'a str>,
}

/// The search form, and what was found if something was asked for.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there.
pub fn search(look: &Look<'_>, templates: &Templates, found: &Found<'_>) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        asked: &'a str,
        action: String,
        posts: &'a [PostLine],
        older: Option<&'a str>,
    }
    let page =
        Page { asked: found.asked, action: format!("{}/search", look.base), posts: found.posts, older: found.older };
    look.public_page("page_search.html", templates, &[], page)
}

/// The events of a month. `month` is its first day; before and after are the paths of its neighbours.
///
/// # Errors
/// As [`search`].
pub fn events(
    look: &Look<'_>,
    templates: &Templates,
    month: jiff::civil::Date,
    posts: &[PostLine],
    around: (Option<String>, Option<String>),
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        month: String,
        posts: &'a [PostLine],
        before: Option<String>,
        after: Option<String>,
    }
    let page = Page { month: words(look.language).month(month), posts, before: around.0, after: around.1 };
    look.public_page("page_events.html", templates, &[], page)
}

/// Everything of a post that a reader can read, in lower case, to be searched.
#[must_use]
pub fn readable(post: &Post) -> String {
    let mut out = post.title.line().as_str().to_lowercase();
    let mut add = |text: &str| {
        out.push('\n');
        out.push_str(&text.to_lowercase());
    };
    let texts = [post.summary.as_ref(), post.author.as_ref(), post.event.as_ref().and_then(|e| e.location.as_ref())];
    texts.into_iter().flatten().for_each(|text| add(text.line().as_str()));
    post.attachments.iter().for_each(|file| add(file.name.line().as_str()));
    post.images.iter().filter_map(|image| image.caption.as_ref()).for_each(|text| add(text.line().as_str()));
    post.tags.iter().for_each(|tag| add(tag));
    add(&body::text(post));
    out
}
