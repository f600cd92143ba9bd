//! How an account words what it says.

use crate::domain::language::Language;
use crate::domain::post::{Post, Showable};
use crate::render::RenderError;
use crate::render::entry::web_url;
use crate::render::fit::Draft;
use crate::render::site::LocalText;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which page a post at a network leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// Our own.
    #[default]
    Page,
    /// The one at the source.
    Source,
}

/// How an account words what it says.
#[derive(Clone, Debug)]
pub struct Wording {
    /// What our own pages begin with, where there are any.
    pub origin: Option<String>,
    /// Where its posts lead.
    pub link: Link,
    /// The language of dates.
    pub language: Language,
    /// The zone that its readers take for granted.
    pub zone: String,
    /// Titles of topics by name, for templates.
    pub topics: BTreeMap<String, LocalText>,
    /// A text of the operator's.
    pub template: Option<Template>,
}

impl Wording {
    /// Where a post leads: to the one that was asked for, else to the other.
    #[must_use]
    pub fn url(&self, showable: &Showable) -> Option<String> {
        let page = || {
            let origin = self.origin.as_deref()?.trim_end_matches('/');
            Some(format!("{origin}/posts/{}", showable.standing().post_id))
        };
        let source = || showable.post().url.as_deref().and_then(web_url);
        match self.link {
            Link::Page => page().or_else(source),
            Link::Source => source().or_else(page),
        }
    }

    /// The title of the post's first topic.
    pub(super) fn topic(&self, post: &Post) -> String {
        let Some(name) = post.topics.first() else { return String::new() };
        self.topics.get(name).map_or(name.as_str(), |title| title.get(&self.language)).to_owned()
    }
}

/// A template's text that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; it knows title, event, summary, tags, url, author and topic")]
pub struct BadTemplate(String);

/// The text of an operator's template: plain text, in which nothing is escaped.
#[derive(Clone, Debug)]
pub struct Template(Arc<Environment<'static>>);

/// The one template of its environment.
const NAME: &str = "account.template";

/// What a template sees: what isn't there is empty, so that `{% if event %}` asks for it.
#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    event: &'a str,
    summary: &'a str,
    tags: String,
    url: &'a str,
    author: &'a str,
    topic: &'a str,
}

impl Template {
    /// Reads a template, and tries it, so that a name it doesn't know is found at the start.
    ///
    /// # Errors
    /// [`BadTemplate`].
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let bad = |error: minijinja::Error| BadTemplate(reason(&error));
        environment.add_template_owned(NAME, text.to_owned()).map_err(bad)?;
        let template = Self(Arc::new(environment));
        let tag = ["t".to_owned()];
        let whole = Draft { title: "t", event: Some("e"), summary: Some("s"), tags: &tag, url: Some("u") };
        let bare = Draft { title: "t", event: None, summary: None, tags: &[], url: None };
        for draft in [whole, bare] {
            template.render(&draft, "", "").map_err(bad)?;
        }
        Ok(template)
    }

    /// The text of a draft.
    pub(super) fn fill(&self, draft: &Draft<'_>, topic: &str, author: &str) -> Result<String, RenderError> {
        let wrong = |error: minijinja::Error| RenderError::Template {
            template: NAME.to_owned(),
            line: error.line().unwrap_or_default(),
            reason: error.kind().to_string(),
        };
        Ok(tidy(&self.render(draft, topic, author).map_err(wrong)?))
    }

    fn render(&self, draft: &Draft<'_>, topic: &str, author: &str) -> Result<String, minijinja::Error> {
        let tags = draft.tags.iter().map(|tag| format!("#{tag}")).collect::<Vec<_>>().join(" ");
        let (event, summary) = (draft.event.unwrap_or_default(), draft.summary.unwrap_or_default());
        let url = draft.url.unwrap_or_default();
        let view = View { title: draft.title, event, summary, tags, url, author, topic };
        self.0.get_template(NAME)?.render(minijinja::value::Serde(&view))
    }
}

/// What is wrong, without values, which may be a body.
fn reason(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let is_syntax = error.kind() == minijinja::ErrorKind::SyntaxError;
    let detail = error.detail().filter(|_| is_syntax).map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{line}{}{detail}", error.kind())
}

/// Lines without blanks at their end, and no more than one empty line between two: parts that aren't there leave no hole.
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.trim().lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty > 1 {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}
