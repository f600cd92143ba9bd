//! The templates: compiled in, and overridden by name from an operator's folder.

use super::RenderError;
use super::words::{self, BadWords};
use crate::domain::ids;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior, Value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Raised by hand when the context of the templates or the make-up of a mail change in code, so that
/// editions planned by another version of the program are told apart.
const FORMAT: u32 = 3;

/// Largest template file of an operator, in octets: far above any real one, far below what would hurt.
pub const TEMPLATE_LEN_MAX: u64 = 256 * 1024;

/// Endings of files that are templates; editors' back-ups and notes beside them are not.
const ENDINGS: &[&str] = &[".html", ".txt", ".xml", ".css"];

const COMPILED_IN: &[(&str, &str)] = &[
    ("mail.html", include_str!("templates/mail.html")),
    ("mail_entry.html", include_str!("templates/mail_entry.html")),
    ("mail.txt", include_str!("templates/mail.txt")),
    ("mail_entry.txt", include_str!("templates/mail_entry.txt")),
    ("service.html", include_str!("templates/service.html")),
    ("service.txt", include_str!("templates/service.txt")),
    ("post_body.html", include_str!("templates/post_body.html")),
    ("post_content.html", include_str!("templates/post_content.html")),
    ("page.css", include_str!("templates/page.css")),
    ("page_edition.html", include_str!("templates/page_edition.html")),
    ("page_events.html", include_str!("templates/page_events.html")),
    ("page_frame.html", include_str!("templates/page_frame.html")),
    ("page_home.html", include_str!("templates/page_home.html")),
    ("page_issue.html", include_str!("templates/page_issue.html")),
    ("page_issues.html", include_str!("templates/page_issues.html")),
    ("page_mail.html", include_str!("templates/page_mail.html")),
    ("page_feeds.html", include_str!("templates/page_feeds.html")),
    ("page_notice.html", include_str!("templates/page_notice.html")),
    ("page_post.html", include_str!("templates/page_post.html")),
    ("page_posts.html", include_str!("templates/page_posts.html")),
    ("page_topic.html", include_str!("templates/page_topic.html")),
    ("page_confirm.html", include_str!("templates/page_confirm.html")),
    ("page_manage.html", include_str!("templates/page_manage.html")),
    ("page_said.html", include_str!("templates/page_said.html")),
    ("page_search.html", include_str!("templates/page_search.html")),
    ("page_share.html", include_str!("templates/page_share.html")),
    ("page_subscribe.html", include_str!("templates/page_subscribe.html")),
    ("page_unsubscribe.html", include_str!("templates/page_unsubscribe.html")),
];

/// All templates, parsed.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    version: String,
    overridden: Vec<String>,
}

impl Templates {
    /// Takes the compiled-in templates and, from `folder`, every file whose name ends in `.html`, `.txt`, `.xml` or
    /// `.css`: one of the same name replaces ours, others may be included by those. A file such as `words.ko.toml` replaces single
    /// words. This is the only time the disk is read.
    ///
    /// # Errors
    /// [`RenderError::Unreadable`] when the folder or a file can't be read, is too large ([`TEMPLATE_LEN_MAX`]) or
    /// isn't UTF-8; [`RenderError::Template`] when one doesn't parse.
    pub fn load(folder: Option<&Path>) -> Result<Self, RenderError> {
        let own = folder.map(read_folder).transpose()?.unwrap_or_default();
        let overridden = own.keys().cloned().collect();
        let own_words: Vec<_> = own.clone().into_iter().filter(|(name, _)| words::is_file(name)).collect();
        if !own_words.is_empty() {
            let unreadable = |bad: BadWords| RenderError::Unreadable { name: bad.file, reason: bad.reason };
            words::take_own(own_words).map_err(unreadable)?;
        }
        let mut sources: BTreeMap<String, String> =
            COMPILED_IN.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect();
        sources.extend(own.clone());
        sources.extend(words::compiled_in().filter(|(name, _)| !own.contains_key(name)));
        let version = version(&sources);

        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_syntax(syntax()?);
        environment.set_debug(true); // so that an error knows which expression it means
        environment.set_auto_escape_callback(
            |name| {
                if name.ends_with(".txt") { AutoEscape::None } else { AutoEscape::Html }
            },
        );
        environment.set_formatter(format);
        for (name, source) in sources.into_iter().filter(|(name, _)| !words::is_file(name)) {
            environment.add_template_owned(name.clone(), source).map_err(|error| explain(&name, &error))?;
        }
        Ok(Self { environment, version, overridden })
    }

    /// Which templates, and which make-up of the code around them: part of what makes editions differ.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Names of the files taken from the operator's folder.
    #[must_use]
    pub fn overridden(&self) -> &[String] {
        &self.overridden
    }

    /// Renders one template. No I/O. HTML and XML are escaped by themselves, `.txt` isn't.
    ///
    /// # Errors
    /// [`RenderError::Template`] when there is no such template or it asks for a variable that isn't there.
    pub fn render(&self, name: &str, context: impl Serialize) -> Result<String, RenderError> {
        let template = self.environment.get_template(name).map_err(|error| explain(name, &error))?;
        template.render(minijinja::value::Serde(&context)).map_err(|error| explain(name, &error))
    }
}

/// As minijinja's own formatter, but without `/` escaped, so that filters and people can read the addresses.
pub(super) fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    match value.as_str() {
        Some(text) if *state.auto_escape() == AutoEscape::Html && !value.is_safe() => {
            out.write_str(&escape(text)).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// Escapes for element content and for attributes in either kind of quotes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A line that holds nothing but a tag leaves no line behind; everything else stays as the template has it.
pub(super) fn syntax() -> Result<SyntaxConfig, RenderError> {
    let mut builder = SyntaxConfig::builder();
    builder.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    builder.build().map_err(|error| explain("syntax", &error))
}

fn version(sources: &BTreeMap<String, String>) -> String {
    // What only pages and feeds are made of makes no mail another.
    let of_mail: BTreeMap<_, _> =
        sources.iter().filter(|(name, _)| !name.starts_with("page") && !name.starts_with("post_")).collect();
    let json = serde_json::to_vec(&of_mail).unwrap_or_default();
    let hash = ids::content_hash(&json);
    format!("{FORMAT}-{}", &hash[..12])
}

fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, RenderError> {
    let unreadable = |name: String, reason: String| RenderError::Unreadable { name, reason };
    let shown = folder.display().to_string();
    let listing = std::fs::read_dir(folder).map_err(|error| unreadable(shown.clone(), error.to_string()))?;
    let mut sources = BTreeMap::new();
    for entry in listing {
        let path = entry.map_err(|error| unreadable(shown.clone(), error.to_string()))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') || !(words::is_file(name) || ENDINGS.iter().any(|ending| name.ends_with(ending))) {
            continue;
        }
        // Follows links: container platforms mount folders as links to the current version.
        let found = std::fs::metadata(&path).map_err(|error| unreadable(name.to_owned(), error.to_string()))?;
        if !found.is_file() {
            continue;
        }
        if found.len() > TEMPLATE_LEN_MAX {
            return Err(unreadable(name.to_owned(), format!("it is larger than {TEMPLATE_LEN_MAX} octets")));
        }
        let source = std::fs::read_to_string(&path).map_err(|error| unreadable(name.to_owned(), error.to_string()))?;
        sources.insert(name.to_owned(), source);
    }
    Ok(sources)
}

/// minijinja's own detail texts may quote values, which may be a body: only the kind of error and the expression as
/// the template spells it are told.
pub(super) fn explain(asked: &str, error: &minijinja::Error) -> RenderError {
    let mut innermost = error;
    while let Some(inner) = std::error::Error::source(innermost).and_then(|source| source.downcast_ref()) {
        innermost = inner;
    }
    let template = innermost.name().unwrap_or(asked).to_owned();
    let expression = innermost.range().and_then(|range| innermost.template_source()?.get(range));
    let is_syntax = innermost.kind() == minijinja::ErrorKind::SyntaxError;
    let detail = if is_syntax { innermost.detail() } else { expression };
    let reason = match detail {
        Some(detail) => format!("{}: `{detail}`", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    RenderError::Template { template, line: innermost.line().unwrap_or(0), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, source) in files {
            std::fs::write(folder.path().join(name), source).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_overrides_by_name_and_changes_the_version() {
        let own = folder(&[("mail.txt", "{{ a }}"), ("own.html", "{{ a }}"), ("notes.md", "{% broken")]);
        let templates = Templates::load(Some(own.path())).unwrap();
        assert_eq!(templates.overridden(), ["mail.txt", "own.html"]);
        assert_eq!(templates.render("mail.txt", json!({"a": "<b>"})).unwrap(), "<b>");
        assert_eq!(templates.render("own.html", json!({"a": "<b>"})).unwrap(), "&lt;b&gt;");
        let compiled_in = Templates::load(None).unwrap();
        assert_ne!(templates.version(), compiled_in.version());
        assert_eq!(compiled_in.version(), Templates::load(None).unwrap().version());
    }

    #[test]
    fn errors_name_the_place_and_no_value() {
        let own = folder(&[("own.txt", "one\n{{ entry.secrt }}"), ("add.txt", "{{ entry.secret + 1 }}")]);
        let templates = Templates::load(Some(own.path())).unwrap();
        let context = json!({"entry": {"secret": "kim@example.org"}});
        let error = templates.render("own.txt", &context).unwrap_err().to_string();
        assert!(error.contains("`own.txt`, line 2") && error.contains("entry.secrt"), "{error}");
        let error = templates.render("add.txt", &context).unwrap_err().to_string();
        assert!(!error.contains("kim@example.org") && error.contains("`add.txt`, line 1"), "{error}");

        let broken = folder(&[("mail.html", "<p>\n{% if x %}")]);
        let error = Templates::load(Some(broken.path())).unwrap_err().to_string();
        assert!(error.contains("`mail.html`, line 2"), "{error}");
        let missing = Templates::load(Some(Path::new("/nonexistent/templates"))).unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/templates"), "{missing}");
    }
}
