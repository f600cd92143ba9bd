//! Sanitised HTML as plain text: how headings, lists, links and pictures look without markup.

use html2text::render::{TaggedLine, TextDecorator};

/// Lays out HTML that the allow-list has passed. Links get a number, and their addresses follow at the end.
/// A picture counts as a link named by its alternative text, or by `picture` if it has none: on many boards the
/// announcement is a poster and nothing else.
pub(super) fn lay_out(safe_html: &str, width: usize, with_links: bool, picture: &str) -> Option<String> {
    let html = pictures_as_links(&without_deep_indents(safe_html), picture);
    let attempt = |raw| {
        html2text::config::with_decorator(Plain)
            .link_footnotes(with_links)
            .no_link_wrapping()
            .allow_width_overflow()
            .raw_mode(raw)
            .string_from_read(html.as_bytes(), width)
            .ok()
    };
    // A table too wide for its columns can make the layout fail; cell by cell it can't.
    attempt(false).or_else(|| attempt(true))
}

/// Lists and quotations nested deeper than this aren't indented further: a thousand nested quotations would put a
/// thousand marks before every word.
const INDENT_DEPTH_MAX: usize = 8;

/// Elements that html2text indents.
const INDENTED: &[&str] = &["blockquote", "ul", "ol", "dd"];

/// Turns lists and quotations below [`INDENT_DEPTH_MAX`] into plain blocks.
fn without_deep_indents(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut depth = 0_usize;
    let mut parts = html.split('<');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (slash, named) = part.strip_prefix('/').map_or(("", part), |named| ("/", named));
        let name_len = named.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(named.len());
        let is_indented = INDENTED.contains(&&named[..name_len]);
        if is_indented && slash.is_empty() {
            depth += 1;
        }
        out.push('<');
        if is_indented && depth > INDENT_DEPTH_MAX {
            out.push_str(slash);
            out.push_str("div");
            out.push_str(&named[name_len..]);
        } else {
            out.push_str(part);
        }
        if is_indented && !slash.is_empty() {
            depth = depth.saturating_sub(1);
        }
    }
    out
}

/// `<img src="…" alt="…">` becomes `<a href="…">[…]</a>`. What the allow-list writes has its attributes in double
/// quotes, in which `"` and `&` are escaped.
fn pictures_as_links(html: &str, picture: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<img ") {
        out.push_str(before);
        let (tag, behind) = after.split_at(tag_end(after));
        rest = behind.strip_prefix('>').unwrap_or(behind);
        let attribute = |name: &str| tag.split_once(name).and_then(|(_, value)| value.split('"').next());
        let alt = attribute("alt=\"").filter(|alt| !alt.trim().is_empty()).unwrap_or(picture);
        let alt = alt.replace('<', "&lt;");
        match attribute("src=\"") {
            Some(src) => out.push_str(&format!("<a href=\"{src}\">[{alt}]</a>")),
            None => out.push_str(&format!("[{alt}]")),
        }
    }
    out.push_str(rest);
    out
}

/// Where the tag's `>` is, which may stand within quotes before.
fn tag_end(after: &str) -> usize {
    let mut is_quoted = false;
    after
        .find(|c| {
            is_quoted ^= c == '"';
            c == '>' && !is_quoted
        })
        .unwrap_or(after.len())
}

/// No marks but for lists, quotations and raised text: a word should look as it was written.
#[derive(Clone, Debug)]
struct Plain;

impl TextDecorator for Plain {
    type Annotation = ();

    fn decorate_link_start(&mut self, _url: &str) -> (String, ()) {
        (String::new(), ())
    }
    fn decorate_link_end(&mut self) -> String {
        String::new()
    }
    fn decorate_em_start(&self) -> (String, ()) {
        (String::new(), ())
    }
    fn decorate_em_end(&self) -> String {
        String::new()
    }
    fn decorate_strong_start(&self) -> (String, ()) {
        (String::new(), ())
    }
    fn decorate_strong_end(&self) -> String {
        String::new()
    }
    fn decorate_strikeout_start(&self) -> (String, ()) {
        (String::new(), ())
    }
    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }
    fn decorate_code_start(&self) -> (String, ()) {
        (String::new(), ())
    }
    fn decorate_code_end(&self) -> String {
        String::new()
    }
    fn decorate_preformat_first(&self) {}
    fn decorate_preformat_cont(&self) {}
    fn decorate_image(&mut self, _src: &str, alt: &str) -> (String, ()) {
        (format!("[{alt}]"), ())
    }
    fn decorate_superscript_start(&self) -> (String, ()) {
        ("^".to_owned(), ())
    }
    fn decorate_superscript_end(&self) -> String {
        String::new()
    }
    fn header_prefix(&self, _level: usize) -> String {
        String::new()
    }
    fn quote_prefix(&self) -> String {
        "> ".to_owned()
    }
    fn unordered_item_prefix(&self) -> String {
        "- ".to_owned()
    }
    fn ordered_item_prefix(&self, i: i64) -> String {
        format!("{i}. ")
    }
    fn make_subblock_decorator(&self) -> Self {
        Self
    }
    fn finalise(&mut self, urls: Vec<String>) -> Vec<TaggedLine<()>> {
        let note = |(index, url)| TaggedLine::from_string(format!("[{}] {url}", index + 1), &());
        urls.into_iter().enumerate().map(note).collect()
    }
}
