//! Sanitised HTML as plain text. Ours, because html2text 0.17.4 loses what stands in a list outside its items, panics
//! where a cell spans rows beyond its table, and never returns from a tab in a narrow column; and because hard wraps
//! and columns of blanks serve neither Korean in proportional type nor a phone. Lines are as long as paragraphs: the
//! reader's program wraps them, and the transfer encoding keeps lines short on the way.

use std::collections::HashMap;

/// Lists and quotations deeper than this aren't indented further.
const INDENT_DEPTH_MAX: usize = 8;

/// Lays out what the allow-list wrote: balanced tags, attributes in double quotes. Links get a number, and their
/// addresses follow at the end. A picture counts as a link named by its alternative text, or by `picture` if it has
/// none: on many boards the announcement is a poster and nothing else.
pub(super) fn lay_out(safe_html: &str, with_links: bool, picture: &str) -> String {
    let mut layout = Layout {
        frames: vec![],
        page: Frame::default(),
        links: vec![],
        numbers: HashMap::new(),
        open_links: vec![],
        with_links,
        picture,
    };
    let mut rest = safe_html;
    while let Some((text, after)) = rest.split_once('<') {
        layout.text(text);
        let (tag, behind) = after.split_at(tag_end(after));
        layout.tag(tag);
        rest = behind.strip_prefix('>').unwrap_or(behind);
    }
    layout.text(rest);
    layout.finish()
}

/// Where the tag's `>` is, which may stand within quotes before.
fn tag_end(after: &str) -> usize {
    let mut is_quoted = false;
    let is_end = |c| {
        is_quoted ^= c == '"';
        c == '>' && !is_quoted
    };
    after.find(is_end).unwrap_or(after.len())
}

/// A page or the inside of a table's cell.
#[derive(Default)]
struct Frame {
    out: String,
    /// Line feeds owed before the next word: 1 for a new line, 2 for a new paragraph.
    newlines: usize,
    has_space: bool,
    /// Of the list item whose first word is yet to come.
    marker: Option<String>,
    /// Open lists: the next number, or none for bullets.
    lists: Vec<Option<u32>>,
    quotes: usize,
    preformatted: usize,
    /// The next number belongs above the line.
    is_raised: bool,
    /// Finished cells of the open row.
    cells: Vec<String>,
}

struct OpenLink {
    url: String,
    /// Length of the frame's text where the link began.
    from: usize,
}

struct Layout<'a> {
    /// The frames around the present one.
    frames: Vec<Frame>,
    /// The present frame.
    page: Frame,
    links: Vec<String>,
    numbers: HashMap<String, usize>,
    open_links: Vec<Option<OpenLink>>,
    with_links: bool,
    picture: &'a str,
}

impl Layout<'_> {
    fn text(&mut self, escaped: &str) {
        let text = unescape(escaped);
        if std::mem::take(&mut self.page.is_raised) && text.starts_with(|c: char| c.is_ascii_digit()) {
            self.page.push("^");
        }
        if self.page.preformatted > 0 {
            return self.page.push_lines(&text);
        }
        for (index, word) in text.split([' ', '\n', '\t', '\r', '\u{C}']).enumerate() {
            self.page.has_space |= index > 0;
            self.page.push(word);
        }
    }

    fn tag(&mut self, tag: &str) {
        let (is_open, tag) = tag.strip_prefix('/').map_or((true, tag), |tag| (false, tag));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let page = &mut self.page;
        match (name, is_open) {
            ("br", true) => page.newlines = (page.newlines + 1).min(2),
            ("hr", true) => page.push_block("----------"),
            ("p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "dl" | "figure" | "details", _) => page.gap(2),
            ("div" | "center" | "dt" | "dd" | "caption" | "figcaption" | "summary", _) => page.gap(1),
            ("blockquote", _) => {
                page.gap(2);
                page.quotes = if is_open { page.quotes + 1 } else { page.quotes.saturating_sub(1) };
            }
            ("pre", _) => {
                page.gap(2);
                page.preformatted = if is_open { page.preformatted + 1 } else { page.preformatted.saturating_sub(1) };
            }
            ("ul" | "ol", _) => page.list(is_open, (name == "ol").then(|| attribute(attributes, "start"))),
            ("li", true) => page.item(),
            ("li", false) => page.gap(1),
            ("q", _) => page.push(if is_open { "“" } else { "”" }),
            ("rt", _) => page.push(if is_open { "(" } else { ")" }),
            ("sup", _) => page.is_raised = is_open,
            ("tr", true) => page.gap(1),
            ("tr", false) => page.row(),
            ("td" | "th", true) => self.frames.push(std::mem::take(&mut self.page)),
            ("td" | "th", false) => self.end_cell(),
            ("a", true) => {
                let link = attribute(attributes, "href").map(|url| OpenLink { url, from: self.page.out.len() });
                self.open_links.push(link);
            }
            ("a", false) => self.end_link(),
            ("img", true) => self.picture(attributes),
            _ => {}
        }
    }

    fn end_cell(&mut self) {
        if let Some(around) = self.frames.pop() {
            let cell = std::mem::replace(&mut self.page, around);
            self.page.cells.push(cell.out);
        }
    }

    /// A link that reads as its own address needs no number.
    fn end_link(&mut self) {
        let Some(Some(link)) = self.open_links.pop() else { return };
        let shown = self.page.out.get(link.from..).unwrap_or_default().trim();
        if link.url != shown && link.url.strip_prefix("mailto:") != Some(shown) {
            self.number(link.url);
        }
    }

    fn picture(&mut self, attributes: &str) {
        let alt = attribute(attributes, "alt").filter(|alt| !alt.trim().is_empty());
        self.page.push(&format!("[{}]", alt.as_deref().unwrap_or(self.picture)));
        if let Some(url) = attribute(attributes, "src") {
            self.number(url);
        }
    }

    fn number(&mut self, url: String) {
        if !self.with_links {
            return;
        }
        let next = self.numbers.len() + 1;
        let number = *self.numbers.entry(url.clone()).or_insert(next);
        if number == next {
            self.links.push(url);
        }
        // The space keeps mail programs from taking the number for a part of an address before it.
        self.page.has_space = true;
        self.page.push(&format!("[{number}]"));
    }

    fn finish(mut self) -> String {
        while !self.frames.is_empty() {
            self.end_cell();
        }
        self.page.row();
        self.page.quotes = 0;
        self.page.lists.clear();
        self.page.gap(2);
        for (index, url) in self.links.iter().enumerate() {
            self.page.push(&format!("[{}] {url}", index + 1));
            self.page.gap(1);
        }
        self.page.out
    }
}

impl Frame {
    fn gap(&mut self, newlines: usize) {
        self.newlines = self.newlines.max(newlines);
        self.has_space = false;
    }

    /// Adds a word, after the line feeds, indents and space that are owed.
    fn push(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        let is_new_line = self.out.is_empty() || self.newlines > 0;
        if is_new_line {
            if !self.out.is_empty() {
                self.out.push_str(&"\n".repeat(self.newlines));
            }
            self.out.push_str(&"> ".repeat(self.quotes.min(INDENT_DEPTH_MAX)));
            let marker = self.marker.take();
            let depth =
                self.lists.len().min(INDENT_DEPTH_MAX) - usize::from(marker.is_some() && !self.lists.is_empty());
            self.out.push_str(&"  ".repeat(depth));
            self.out.push_str(marker.as_deref().unwrap_or_default());
        } else if self.has_space {
            self.out.push(' ');
        }
        self.newlines = 0;
        self.has_space = false;
        self.out.push_str(word);
    }

    /// Adds text whose line ends and spaces count.
    fn push_lines(&mut self, text: &str) {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.newlines = (self.newlines + 1).min(2);
            }
            self.push(line.trim_end());
        }
    }

    fn push_block(&mut self, text: &str) {
        self.gap(2);
        self.push_lines(text);
        self.gap(2);
    }

    fn list(&mut self, is_open: bool, numbered: Option<Option<String>>) {
        self.gap(if self.lists.len() > usize::from(!is_open) { 1 } else { 2 });
        if is_open {
            let start = |given: Option<String>| given.and_then(|start| start.parse().ok()).unwrap_or(1);
            self.lists.push(numbered.map(start));
        } else {
            self.lists.pop();
            self.marker = None;
        }
    }

    fn item(&mut self) {
        self.gap(1);
        self.marker = Some(match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => "- ".to_owned(),
        });
    }

    /// Short cells stand side by side. Where a cell has several lines the table is a means of layout, as often on
    /// boards, and its cells follow each other.
    fn row(&mut self) {
        let cells: Vec<String> =
            std::mem::take(&mut self.cells).into_iter().map(|cell| cell.trim().to_owned()).collect();
        self.gap(1);
        if cells.iter().all(|cell| !cell.contains('\n')) && cells.iter().any(|cell| !cell.is_empty()) {
            self.push(&cells.join(" | "));
        } else {
            for cell in cells.iter().filter(|cell| !cell.is_empty()) {
                self.push_lines(cell);
                self.gap(1);
            }
        }
        self.gap(1);
    }
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    while let Some((key, after)) = rest.split_once("=\"") {
        let (value, behind) = after.split_once('"')?;
        if key.trim() == name {
            return Some(unescape(value));
        }
        rest = behind;
    }
    None
}

/// The five references that the allow-list writes; all others were resolved when it parsed.
fn unescape(text: &str) -> String {
    if !text.contains(['&', '\u{A0}']) {
        return text.to_owned();
    }
    let text = text.replace("&nbsp;", " ").replace('\u{A0}', " ");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

#[cfg(test)]
#[path = "plain_text_tests.rs"]
mod tests;
