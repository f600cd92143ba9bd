//! Feeds, calendars and mails before parsers that aren't those by which they were written.

use crate::pages;
use allim::domain::post::Showable;
use allim::render::feed::Format;
use mail_parser::{MessageParser, MimeHeaders as _};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

const ID: &str = "tag:example.org,2026:post/id1";
/// Octets of a line of a mail without its end (RFC 5322 section 2.1.1).
const MAIL_LINE_LEN_MAX: usize = 998;

/// What is read must be what was shown: as text, and by a reader of feeds.
pub fn feed(format: Format, bytes: &[u8], showable: &Showable) -> Result<(), TestCaseError> {
    let title = showable.post().title.line();
    let text = std::str::from_utf8(bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let html = match format {
        Format::Rss => of_xml(text, &["rss", "channel", "item"], "encoded", title.as_str())?,
        Format::Atom => of_xml(text, &["feed", "entry"], "content", title.as_str())?,
        Format::Json => {
            let read: serde_json::Value =
                serde_json::from_str(text).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let item = &read["items"][0];
            prop_assert_eq!((&item["title"], &item["id"]), (&title.as_str().into(), &ID.into()));
            item["content_html"].as_str().unwrap_or_default().to_owned()
        }
    };
    pages::fragment(&html, showable)?;
    let read = feed_rs::parser::parse(bytes).map_err(|error| TestCaseError::fail(format!("feed-rs: {error}")))?;
    prop_assert_eq!((read.entries.len(), read.entries[0].id.as_str()), (1, ID));
    Ok(())
}

/// Reads XML with namespaces, strictly. Returns the content of the one entry.
fn of_xml(text: &str, path: &[&str], content: &str, title: &str) -> Result<String, TestCaseError> {
    let document =
        roxmltree::Document::parse(text).map_err(|error| TestCaseError::fail(format!("roxmltree: {error}")))?;
    let child = |node: roxmltree::Node<'_, '_>, name: &str| {
        node.children().find(|child| child.tag_name().name() == name).map(|child| child.id())
    };
    let mut node = document.root();
    for name in path {
        let found = child(node, name).and_then(|id| document.get_node(id));
        node = found.ok_or_else(|| TestCaseError::fail(format!("<{name}> is missing")))?;
    }
    let text = |name: &str| {
        let found = child(node, name).and_then(|id| document.get_node(id));
        // A text may come in several pieces, as CDATA does.
        found.map(|node| {
            node.descendants().filter(roxmltree::Node::is_text).filter_map(|node| node.text()).collect::<String>()
        })
    };
    let (read_title, read_id) = (text("title"), text("guid").or_else(|| text("id")));
    prop_assert_eq!((read_title.as_deref(), read_id.as_deref()), (Some(title), Some(ID)));
    Ok(text(content).unwrap_or_default())
}

/// An event's title, unfolded and unescaped, is the post's; nothing else began.
pub fn calendar(text: &str, showable: &Showable) -> Result<(), TestCaseError> {
    read_calendar(text)?;
    let unfolded = text.replace("\r\n ", "");
    let count = |what: &str| unfolded.lines().filter(|line| *line == what).count();
    let events = usize::from(showable.post().event.is_some());
    prop_assert_eq!((count("BEGIN:VEVENT"), count("END:VEVENT"), count("END:VCALENDAR")), (events, events, 1));
    if events == 1 {
        let summary =
            unfolded.split("\r\n").find(|line| line.starts_with("SUMMARY;")).and_then(|line| line.split_once(':'));
        let title = showable.post().title.line();
        prop_assert_eq!(unescaped(summary.unwrap_or_default().1), title.as_str());
    }
    Ok(())
}

/// Another reader reads it, and no line is longer than RFC 5545 allows.
pub fn read_calendar(text: &str) -> Result<(), TestCaseError> {
    let unfolded = icalendar::parser::unfold(text);
    let read = icalendar::parser::read_calendar(&unfolded).map_err(TestCaseError::fail)?.to_string();
    prop_assert!(read.starts_with("BEGIN:VCALENDAR"));
    let is_short = |line: &str| line.len() <= 75 && !line.contains(['\r', '\n']);
    prop_assert!(text.split("\r\n").all(is_short), "a long or broken line");
    Ok(())
}

/// RFC 5545 section 3.3.11.
fn unescaped(text: &str) -> String {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|c| if c == 'n' || c == 'N' { '\n' } else { c })),
            c => out.push(c),
        }
    }
    out
}

pub fn mail(letter: &[u8], subject: &str, mark: &str) -> Result<(), TestCaseError> {
    let lines = letter.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    for line in lines {
        prop_assert!(line.ends_with(b"\r") && line.len() <= MAIL_LINE_LEN_MAX + 1, "a bare line feed, or a long line");
        prop_assert!(line.is_ascii() && !line[..line.len() - 1].contains(&b'\r') && !line.contains(&0));
    }
    let message = MessageParser::default().parse(letter).ok_or_else(|| TestCaseError::fail("no mail"))?;
    prop_assert_eq!(message.subject(), Some(subject));
    prop_assert!(message.parts.iter().all(|part| !part.is_encoding_problem), "an encoding");
    prop_assert_eq!((message.text_body_count(), message.html_body_count()), (1, 1));
    let (text, html) = (message.body_text(0).unwrap_or_default(), message.body_html(0).unwrap_or_default());
    prop_assert!(text.contains(mark) && html.contains(mark), "the title isn't told");
    prop_assert!(text.contains("/unsubscribe/x") && html.contains("/unsubscribe/x"), "no way to leave");
    let attached =
        message.attachments().filter(|part| part.content_type().is_some_and(|kind| kind.subtype() == Some("calendar")));
    for part in attached {
        prop_assert!(String::from_utf8_lossy(part.contents()).starts_with("BEGIN:VCALENDAR"));
    }
    pages::letter(&html)
}
