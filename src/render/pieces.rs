//! The mail of an edition without anything personal: rendered once, stored, and completed for each recipient.

use super::templates::escape;
use serde::{Deserialize, Serialize};

/// Subject, HTML and plain text of an edition's mail. Where something personal belongs, HTML and text hold marks:
/// characters of the last plane of Unicode, private to this module, which `mail::pieces` takes out of everything that
/// posts and operators wrote. Store it as JSON and never render it again: a repeat must be equal byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pieces {
    /// One line, not yet encoded.
    pub subject: String,
    /// A whole HTML document with marks.
    pub html: String,
    /// The plain text with marks.
    pub text: String,
    /// The events of its posts as a file for calendars, where it is attached (RFC 5545).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
}

/// What is personal in a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Personal<'a> {
    /// A whole line such as `Dear Kim,`; without it the line is left out.
    pub greeting: Option<&'a str>,
    /// The recipient's own link; without it everything about unsubscribing is left out (previews only).
    pub unsubscribe_url: Option<&'a str>,
    /// The link to the recipient's own page; it stands beside the one to leave by.
    pub manage_url: Option<&'a str>,
}

const GREETING: char = '\u{10FFF0}';
const GREETING_BEGIN: char = '\u{10FFF1}';
const GREETING_END: char = '\u{10FFF2}';
const LEAVE_URL: char = '\u{10FFF3}';
const LEAVE_BEGIN: char = '\u{10FFF4}';
const LEAVE_END: char = '\u{10FFF5}';
const MANAGE_URL: char = '\u{10FFF6}';

/// The marks as templates see them: `personal.greeting` and `personal.unsubscribe_url`, each to stand between its
/// `…_begin` and `…_end`; `personal.manage_url` stands beside the latter.
#[derive(Serialize)]
pub(super) struct Marks {
    greeting: char,
    greeting_begin: char,
    greeting_end: char,
    unsubscribe_url: char,
    unsubscribe_begin: char,
    unsubscribe_end: char,
    manage_url: char,
}

pub(super) const MARKS: Marks = Marks {
    greeting: GREETING,
    greeting_begin: GREETING_BEGIN,
    greeting_end: GREETING_END,
    unsubscribe_url: LEAVE_URL,
    unsubscribe_begin: LEAVE_BEGIN,
    unsubscribe_end: LEAVE_END,
    manage_url: MANAGE_URL,
};

fn is_mark(c: char) -> bool {
    (GREETING..=MANAGE_URL).contains(&c)
}

/// Takes marks out of every text within `value`, so that no post can bring a mark of its own.
pub(super) fn strip_marks(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) if text.contains(is_mark) => text.retain(|c| !is_mark(c)),
        serde_json::Value::Array(values) => values.iter_mut().for_each(strip_marks),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(strip_marks),
        _ => {}
    }
}

/// What is wrong with the marks of a rendered part, if anything: an operator's template may have lost some.
pub(super) fn fault(part: &str) -> Option<&'static str> {
    let marks: Vec<char> = part.chars().filter(|c| is_mark(*c)).collect();
    if !marks.contains(&LEAVE_URL) {
        return Some("the unsubscribe link (personal.unsubscribe_url) is missing");
    }
    let mut open = None;
    for mark in marks {
        open = match (mark, open) {
            (GREETING_BEGIN, None) => Some(GREETING_END),
            (LEAVE_BEGIN, None) => Some(LEAVE_END),
            (GREETING, Some(GREETING_END)) | (LEAVE_URL | MANAGE_URL, Some(LEAVE_END)) => open,
            (GREETING_END | LEAVE_END, Some(end)) if end == mark => None,
            _ => return Some("personal.…_begin, personal.… and personal.…_end must follow each other"),
        };
    }
    open.map(|_| "a personal.…_begin lacks its personal.…_end")
}

impl Pieces {
    /// The HTML for one recipient; personal values are escaped. Holds no mark.
    #[must_use]
    pub fn html_for(&self, personal: Personal<'_>) -> String {
        joined(&self.html, personal, escape)
    }

    /// The plain text for one recipient. Holds no mark.
    #[must_use]
    pub fn text_for(&self, personal: Personal<'_>) -> String {
        joined(&self.text, personal, str::to_owned)
    }
}

/// A stretch of a part: text that all recipients share, or a place for something personal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// The same for everybody.
    Shared(String),
    /// The line of greeting.
    Greeting,
    /// The recipient's own link.
    LeaveUrl,
    /// The link to the recipient's own page.
    ManageUrl,
}

/// For whom a stretch is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Only {
    /// Everybody.
    Always,
    /// Those who are greeted.
    Greeted,
    /// Those who have a link to leave by.
    WithLink,
}

impl Only {
    /// Whether it is there for a recipient.
    pub(super) fn holds(self, personal: Personal<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::Greeted => personal.greeting.is_some(),
            Self::WithLink => personal.unsubscribe_url.is_some(),
        }
    }
}

/// A part, taken apart at its marks.
pub(super) fn spans(part: &str) -> Vec<(Only, Span)> {
    let (mut spans, mut shared, mut only) = (Vec::new(), String::new(), Only::Always);
    let mut next = |only: Only, shared: &mut String, span: Option<Span>| {
        if !shared.is_empty() {
            spans.push((only, Span::Shared(std::mem::take(shared))));
        }
        spans.extend(span.map(|span| (only, span)));
    };
    for c in part.chars() {
        let (then, span) = match c {
            GREETING_BEGIN => (Only::Greeted, None),
            LEAVE_BEGIN => (Only::WithLink, None),
            GREETING_END | LEAVE_END => (Only::Always, None),
            GREETING => (only, Some(Span::Greeting)),
            LEAVE_URL => (only, Some(Span::LeaveUrl)),
            MANAGE_URL => (only, Some(Span::ManageUrl)),
            c => {
                shared.push(c);
                continue;
            }
        };
        next(only, &mut shared, span);
        only = then;
    }
    next(only, &mut shared, None);
    spans
}

/// A personal value as it may stand in a part: no mark among it.
pub(super) fn without_marks(value: &str) -> String {
    value.replace(is_mark, "")
}

fn joined(part: &str, personal: Personal<'_>, spell: impl Fn(&str) -> String) -> String {
    let value = |given: Option<&str>| spell(&without_marks(given.unwrap_or_default()));
    let mut out = String::with_capacity(part.len() + 256);
    for (_, span) in spans(part).into_iter().filter(|(only, _)| only.holds(personal)) {
        match span {
            Span::Shared(text) => out.push_str(&text),
            Span::Greeting => out.push_str(&value(personal.greeting)),
            Span::LeaveUrl => out.push_str(&value(personal.unsubscribe_url)),
            Span::ManageUrl => out.push_str(&value(personal.manage_url)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Pieces {
        let part =
            format!("a{GREETING_BEGIN}[{GREETING}]{GREETING_END}b{LEAVE_BEGIN}({LEAVE_URL} {MANAGE_URL}){LEAVE_END}c");
        Pieces { subject: String::new(), html: part.clone(), text: part, calendar: None }
    }

    #[test]
    fn personal_parts_are_filled_or_left_out() {
        let hostile = format!("<김>{LEAVE_URL}");
        let both = Personal {
            greeting: Some(&hostile),
            unsubscribe_url: Some("https://a.example/?a&b"),
            manage_url: Some("m"),
        };
        assert_eq!(pieces().html_for(both), "a[&lt;김&gt;]b(https://a.example/?a&amp;b m)c");
        assert_eq!(pieces().text_for(both), "a[<김>]b(https://a.example/?a&b m)c");
        assert_eq!(pieces().html_for(Personal::default()), "abc");
        assert_eq!(fault(&pieces().html), None);
    }

    #[test]
    fn lost_marks_are_found() {
        assert!(fault("no link").is_some_and(|reason| reason.contains("unsubscribe")));
        assert!(fault(&format!("{LEAVE_BEGIN}{LEAVE_URL}")).is_some());
        assert!(fault(&format!("{LEAVE_URL}")).is_some());
        assert!(fault(&format!("{LEAVE_BEGIN}{GREETING_BEGIN}{LEAVE_URL}{LEAVE_END}")).is_some());
    }
}
