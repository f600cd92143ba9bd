//! The pages of the control room: templates and words of their own, which an operator's folder doesn't replace.

mod filters;
mod list;
pub mod plot;
#[cfg(test)]
mod tests;

use super::RenderError;
use super::templates::{explain, format, syntax};
use crate::domain::language::Language;
use list::{PARTS, TEMPLATES};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use std::collections::BTreeMap;

/// The style sheet of the control room.
pub const STYLE: &str = include_str!("templates/admin/admin.css");
/// The words that stand around every page.
const FRAME: &str = "frame";
/// The languages of the control room; the first is read by whoever reads none of them.
pub const TAGS: [&str; 3] = ["en", "ko", "zh"];

/// One word in each language, as its file has it.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Word {
    en: String,
    ko: String,
    zh: String,
}

impl Word {
    fn of(&self, tag: &str) -> &str {
        match tag {
            "ko" => &self.ko,
            "zh" => &self.zh,
            _ => &self.en,
        }
    }
}

type Words = BTreeMap<String, String>;

/// What a template is given.
#[derive(Serialize)]
struct Context<'a, D, P> {
    desk: D,
    words: Option<&'a Words>,
    #[serde(flatten)]
    part: P,
}

/// Templates and words, read once.
#[derive(Debug)]
pub struct Pages {
    environment: Environment<'static>,
    /// The words of each part with those of the frame, by language.
    words: BTreeMap<(&'static str, &'static str), Words>,
}

impl Pages {
    /// Takes what is compiled in.
    ///
    /// # Errors
    /// [`RenderError::Template`] when a template or a file of words is wrong, which a test forbids.
    pub fn new() -> Result<Self, RenderError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(syntax()?);
        environment.set_debug(true);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::Html);
        environment.set_formatter(format);
        filters::add(&mut environment);
        for (name, _, source) in TEMPLATES {
            environment.add_template(name, source).map_err(|error| explain(name, &error))?;
        }
        Ok(Self { environment, words: words()? })
    }

    /// Renders a template for a reader of `language`. Everything of `part` is at the top of its context, beside `words` (those of
    /// the template's part and of the frame) and `desk`.
    ///
    /// # Errors
    /// [`RenderError::Template`] when there is no such template or it asks for what isn't there.
    pub fn render(
        &self,
        name: &str,
        language: &Language,
        desk: impl Serialize,
        part: impl Serialize,
    ) -> Result<String, RenderError> {
        let template = self.environment.get_template(name).map_err(|error| explain(name, &error))?;
        let context = Context { desk, words: self.words_of(name, language), part };
        template.render(minijinja::value::Serde(&context)).map_err(|error| explain(name, &error))
    }

    /// A word that a template of this name may use.
    #[must_use]
    pub fn word(&self, template: &str, language: &Language, word: &str) -> Option<&str> {
        self.words_of(template, language)?.get(word).map(String::as_str)
    }

    fn words_of(&self, template: &str, language: &Language) -> Option<&Words> {
        let part = TEMPLATES.iter().find(|(name, ..)| *name == template).map_or(FRAME, |(_, part, _)| part);
        self.words.get(&(part, tag(language)))
    }
}

/// The language of the control room that a reader is shown.
fn tag(language: &Language) -> &'static str {
    TAGS.into_iter().find(|tag| *tag == language.base()).unwrap_or(TAGS[0])
}

fn read(part: &str, text: &str) -> Result<BTreeMap<String, Word>, RenderError> {
    let wrong = |error: toml::de::Error| RenderError::Template {
        template: format!("{part}.toml"),
        line: error.span().map_or(0, |span| text[..span.start].lines().count()),
        reason: error.message().to_owned(),
    };
    toml::from_str(text).map_err(wrong)
}

fn words() -> Result<BTreeMap<(&'static str, &'static str), Words>, RenderError> {
    let mut parts = BTreeMap::new();
    for (part, text) in PARTS {
        parts.insert(*part, read(part, text)?);
    }
    let frame = parts.get(FRAME).cloned().unwrap_or_default();
    let mut words = BTreeMap::new();
    for (part, own) in parts {
        for tag in TAGS {
            let each = frame.iter().chain(&own).map(|(name, word)| (name.clone(), word.of(tag).to_owned()));
            words.insert((part, tag), each.collect());
        }
    }
    Ok(words)
}
