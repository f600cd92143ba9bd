//! Past issues of digests: the list of them, and one of them.

use super::{Look, PostLine};
use crate::domain::clock::UnixMillis;
use crate::render::RenderError;
use crate::render::templates::Templates;
use crate::render::words::words;
use serde::Serialize;

/// A digest whose issues can be listed alone, or all of them.
#[derive(Serialize)]
pub struct DigestChoice {
    /// Its title.
    pub title: String,
    /// The list.
    pub href: String,
    /// Whether it is the one that is shown.
    pub is_current: bool,
}

/// One line of the list.
#[derive(Serialize)]
pub struct IssueLine {
    title: String,
    href: String,
    date: String,
    count: String,
}

impl IssueLine {
    /// An issue of the digest of this title with so many posts.
    #[must_use]
    pub fn new(look: &Look<'_>, title: &str, path: &str, due_at: UnixMillis, posts: usize) -> Self {
        Self {
            title: title.to_owned(),
            href: look.link(path),
            date: look.instant(due_at),
            count: words(look.language).count(posts),
        }
    }
}

/// The issues that went out, newest first; of one digest, or of all.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there.
pub fn list(
    look: &Look<'_>,
    templates: &Templates,
    digests: &[DigestChoice],
    issues: &[IssueLine],
    older: Option<&str>,
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        digests: &'a [DigestChoice],
        issues: &'a [IssueLine],
        older: Option<&'a str>,
    }
    look.public_page("page_issues.html", templates, &[], Page { digests, issues, older })
}

/// An issue as everybody may see it.
pub struct IssuePage {
    /// The digest's title.
    pub title: String,
    /// When it was due.
    pub due_at: UnixMillis,
    /// Its posts under their topics.
    pub groups: Vec<(String, Vec<PostLine>)>,
    /// Whether it held some that may not be shown any more.
    pub is_shorter: bool,
    /// Whether it holds more than a page shows.
    pub is_longer: bool,
}

/// One issue.
///
/// # Errors
/// As [`list`].
pub fn issue(look: &Look<'_>, templates: &Templates, issue: &IssuePage) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        title: &'a str,
        date: String,
        count: String,
        groups: &'a [(String, Vec<PostLine>)],
        is_shorter: bool,
        is_longer: bool,
    }
    let posts = issue.groups.iter().map(|(_, posts)| posts.len()).sum();
    let page = Page {
        title: &issue.title,
        date: look.instant(issue.due_at),
        count: words(look.language).count(posts),
        groups: &issue.groups,
        is_shorter: issue.is_shorter,
        is_longer: issue.is_longer,
    };
    look.public_page("page_issue.html", templates, &[], page)
}
