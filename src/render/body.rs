//! The body of a post as HTML that is safe to show and as plain text that says the same.

use super::{plain_text, pseudo_tags, words};
use crate::domain::post::{BodyFormat, Post};
use crate::domain::text::legal_markup;
use ammonia::{Builder, UrlRelative};
use std::collections::{HashMap, HashSet};

/// What an announcement needs and no more. Nothing here can run, submit, embed or restyle.
const TAGS: &[&str] = &[
    "a",
    "abbr",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
];

/// Elements whose content is no text of the announcement, so that it goes with them.
const SWALLOWED: &[&str] = &[
    "script", "style", "title", "template", "iframe", "object", "embed", "svg", "math", "select", "textarea", "xmp",
    "noembed", "noframes", "applet", "audio", "video", "canvas",
];

/// Layout for mail programs that ignore style sheets. No colours but
/// greys that can be read on white and on black, and that of links, which the frame overrides in the dark.
/// One attribute per element: ammonia adds several in random order, and the same post must give the same bytes.
const MAIL_STYLES: &[(&str, &str)] = &[
    ("a", "color:#1b5aa6"),
    ("p", "margin:0 0 14px 0"),
    ("ul", "margin:0 0 14px 0;padding-left:22px"),
    ("ol", "margin:0 0 14px 0;padding-left:26px"),
    ("li", "margin:0 0 4px 0"),
    ("h1", "margin:20px 0 10px 0;font-size:20px;line-height:1.4"),
    ("h2", "margin:20px 0 10px 0;font-size:18px;line-height:1.4"),
    ("h3", "margin:18px 0 8px 0;font-size:16px;line-height:1.4"),
    ("h4", "margin:16px 0 8px 0;font-size:15px;line-height:1.4"),
    ("img", "max-width:100%;height:auto;border:0"),
    ("table", "border-collapse:collapse;margin:0 0 14px 0;font-size:14px"),
    ("th", "border:1px solid #8f99a8;padding:6px 9px;text-align:left"),
    ("td", "border:1px solid #8f99a8;padding:6px 9px"),
    ("blockquote", "margin:0 0 14px 0;padding:2px 0 2px 14px;border-left:3px solid #8f99a8"),
    ("pre", "margin:0 0 14px 0;white-space:pre-wrap;font-size:13px"),
    ("hr", "border:0;border-top:1px solid #8f99a8;margin:18px 0"),
];

/// The body as sanitised HTML, for feeds and pages: an allow-list of elements, no style, no script, links only to
/// `http`, `https`, `mailto` and `tel` and with `rel="noopener"`. Relative addresses become absolute against the
/// post's own URL; where it has none, they are dropped. Holds no character that XML forbids.
#[must_use]
pub fn html(post: &Post) -> String {
    let mut builder = allow_list(post);
    // Pictures wait until the reader comes near.
    builder.set_tag_attribute_value("img", "loading", "lazy");
    clean(&builder, post)
}

/// As [`html`], with the layout written into `style` attributes of ours.
#[must_use]
pub fn html_for_mail(post: &Post) -> String {
    let mut builder = allow_list(post);
    for (tag, style) in MAIL_STYLES {
        builder.set_tag_attribute_value(*tag, "style", *style);
    }
    clean(&builder, post)
}

/// The body as plain text of equal content: text as it was written; HTML and Markdown a line per paragraph, with
/// links and pictures as numbered footnotes.
#[must_use]
pub fn text(post: &Post) -> String {
    plain(post, true)
}

/// The words of the body in one line, without footnotes: what excerpts and length limits go by.
#[must_use]
pub fn words_in_line(post: &Post) -> String {
    plain(post, false).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plain(post: &Post, footnotes: bool) -> String {
    if post.body.format == BodyFormat::Text {
        return post.body.content.as_str().trim_end().to_owned();
    }
    let picture = &words::words(&post.language).picture;
    plain_text::lay_out(&html(post), footnotes, picture)
}

fn clean(builder: &Builder<'_>, post: &Post) -> String {
    let raw = match post.body.format {
        BodyFormat::Html => post.body.content.as_str().to_owned(),
        BodyFormat::Markdown => from_markdown(post.body.content.as_str()),
        BodyFormat::Text => from_text(post.body.content.as_str()),
    };
    let safe = builder.clean(&pseudo_tags::keep(&raw)).to_string();
    // `&#8;` was text before parsing and is a control character now.
    legal_markup(&safe)
}

fn allow_list(post: &Post) -> Builder<'static> {
    let base = post.url.as_deref().and_then(|url| url::Url::parse(url).ok()).filter(|url| !url.cannot_be_a_base());
    let attributes = HashMap::from([
        ("a", HashSet::from(["href", "hreflang"])),
        ("img", HashSet::from(["src", "alt", "width", "height"])),
        ("ol", HashSet::from(["start"])),
        ("td", HashSet::from(["colspan", "rowspan", "align"])),
        ("th", HashSet::from(["colspan", "rowspan", "align", "scope"])),
        ("time", HashSet::from(["datetime"])),
        ("bdo", HashSet::from(["dir"])),
    ]);
    let mut builder = Builder::empty();
    builder
        .tags(TAGS.iter().copied().collect())
        .clean_content_tags(SWALLOWED.iter().copied().collect())
        .tag_attributes(attributes)
        .generic_attributes(HashSet::from(["lang", "dir", "title"]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .link_rel(Some("noopener"))
        .attribute_filter(|_, name, value| is_sensible(name, value).then(|| value.into()))
        .url_relative(base.map_or(UrlRelative::Deny, UrlRelative::RewriteWithBase));
    builder
}

/// Most rows or columns that a cell may span: programs that lay out tables take time for each.
const SPAN_MAX: u32 = 50;

/// Largest number of a list's first item: `start` may be any year, but not so large that counting overflows.
const START_MAX: u32 = 9_999;

fn is_sensible(attribute: &str, value: &str) -> bool {
    let number = value.trim().parse::<u32>();
    match attribute {
        "colspan" | "rowspan" => number.is_ok_and(|span| (1..=SPAN_MAX).contains(&span)),
        "start" => number.is_ok_and(|start| start <= START_MAX),
        _ => true,
    }
}

/// Strikethrough stays off: Korean and Chinese write ranges as `10:00~12:00`, and two of them in a paragraph would
/// strike out what stands between.
fn from_markdown(content: &str) -> String {
    let parser = pulldown_cmark::Parser::new_ext(content, pulldown_cmark::Options::ENABLE_TABLES);
    let mut out = String::with_capacity(content.len() * 3 / 2);
    pulldown_cmark::html::push_html(&mut out, parser);
    out
}

/// Blank lines part paragraphs, line ends become `<br>`, and white space that lays out stays.
fn from_text(content: &str) -> String {
    let mut out = String::with_capacity(content.len() * 5 / 4);
    let mut is_open = false;
    for line in content.trim_matches('\n').split('\n') {
        if line.trim().is_empty() {
            out.push_str(if is_open { "</p>\n" } else { "" });
            is_open = false;
            continue;
        }
        out.push_str(if is_open { "<br>\n" } else { "<p>" });
        is_open = true;
        push_text_line(&mut out, line);
    }
    out.push_str(if is_open { "</p>\n" } else { "" });
    out
}

fn push_text_line(out: &mut String, line: &str) {
    let mut after_space = true;
    for c in line.trim_end().chars() {
        match c {
            ' ' if after_space => out.push('\u{A0}'),
            '\t' => out.push_str("\u{A0}\u{A0}\u{A0} "),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
        after_space = c == ' ' || c == '\t';
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
