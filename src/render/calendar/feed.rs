//! The events of many posts as one calendar to subscribe to (RFC 5545 with the properties of RFC 7986). It is read again before
//! it is handed out, and an event that would spoil it is left out alone (design rule 18).

use super::{Lines, add_event, add_times, read, utc};
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Event, Showable};
use crate::render::RenderError;
use jiff::tz::TimeZone;

/// How often calendars should ask again (RFC 7986 section 5.7), also in the older spelling that Outlook knows.
const REFRESH: &str = "PT1H";

/// What a calendar says of itself.
pub struct About<'a> {
    /// Its name.
    pub title: &'a str,
    /// Where it is.
    pub self_url: &'a str,
    /// The page that shows the same.
    pub page_url: &'a str,
    /// The domain that makes each UID unique.
    pub authority: &'a str,
    /// The zone in which the institution lives: for calendars that ask which one the days are meant in.
    pub zone: &'a TimeZone,
}

/// An event of a post that was withdrawn: calendars that have it strike it out. Nothing of what the post said is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// The post.
    pub post_id: String,
    /// Its last revision.
    pub revision: i64,
    /// When it was withdrawn.
    pub withdrawn_at: UnixMillis,
    /// Its event, of which the times alone are shown: a VEVENT needs a beginning.
    pub event: Event,
}

/// A calendar, ready to be served.
pub struct Calendar {
    /// The file.
    pub text: String,
    /// Posts whose events would have spoiled it, and why.
    pub left_out: Vec<(String, String)>,
}

/// Writes the calendar of these posts' events; posts without one aren't in it.
///
/// # Errors
/// [`RenderError::Field`] when it can't be read again.
pub fn feed(
    about: &About<'_>,
    posts: &[Showable],
    cancelled: &[Cancelled],
    page_url: impl Fn(&str) -> Option<String>,
) -> Result<Calendar, RenderError> {
    let (mut events, mut uids, mut left_out) = (String::new(), Vec::new(), Vec::new());
    let mut put = |post_id: &str, lines: Lines| match read::read(&enclosed(about, &lines.0)) {
        Ok(read) => {
            events.push_str(&lines.0);
            uids.extend(read);
        }
        Err(reason) => left_out.push((post_id.to_owned(), reason.to_owned())),
    };
    for (showable, event) in posts.iter().filter_map(|post| Some((post, post.post().event.as_ref()?))) {
        let (mut lines, post_id) = (Lines::default(), &showable.standing().post_id);
        add_event(&mut lines, showable, event, about.authority, page_url(post_id));
        put(post_id, lines);
    }
    for cancelled in cancelled {
        put(&cancelled.post_id, struck_out(cancelled, about.authority));
    }
    let text = enclosed(about, &events);
    match read::read(&text) {
        Ok(read) if read == uids => Ok(Calendar { text, left_out }),
        Ok(_) => Err(RenderError::Field { field: "calendar", reason: "it reads as other events" }),
        Err(reason) => Err(RenderError::Field { field: "calendar", reason }),
    }
}

/// RFC 5545 section 3.8.1.11. The sequence is above that of every revision, or calendars keep what they have.
fn struck_out(cancelled: &Cancelled, authority: &str) -> Lines {
    let mut lines = Lines::default();
    lines.add("BEGIN", "VEVENT");
    lines.add("UID", &format!("{}@{authority}", cancelled.post_id));
    lines.add("DTSTAMP", &utc(cancelled.withdrawn_at));
    lines.add("SEQUENCE", &cancelled.revision.max(1).to_string());
    add_times(&mut lines, &cancelled.event);
    lines.add("STATUS", "CANCELLED");
    lines.add("END", "VEVENT");
    lines
}

fn enclosed(about: &About<'_>, events: &str) -> String {
    let mut lines = Lines::default();
    lines.add("BEGIN", "VCALENDAR");
    lines.add("VERSION", "2.0");
    lines.add("PRODID", "-//allim//allim//EN");
    lines.add("METHOD", "PUBLISH");
    for name in ["NAME", "X-WR-CALNAME"] {
        lines.add_text(name, about.title);
    }
    if let Some(zone) = about.zone.iana_name() {
        lines.add("X-WR-TIMEZONE", zone);
    }
    lines.add("REFRESH-INTERVAL;VALUE=DURATION", REFRESH);
    lines.add("X-PUBLISHED-TTL", REFRESH);
    lines.add("SOURCE;VALUE=URI", about.self_url);
    lines.add("URL", about.page_url);
    if events.is_empty() {
        // A calendar must hold something (section 3.6), and what it may hold beside events is a zone.
        for (name, value) in [("BEGIN", "VTIMEZONE"), ("TZID", "UTC"), ("BEGIN", "STANDARD")] {
            lines.add(name, value);
        }
        for (name, value) in [("DTSTART", "19700101T000000"), ("TZOFFSETFROM", "+0000"), ("TZOFFSETTO", "+0000")] {
            lines.add(name, value);
        }
        lines.add("END", "STANDARD");
        lines.add("END", "VTIMEZONE");
    }
    lines.0.push_str(events);
    lines.add("END", "VCALENDAR");
    lines.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::CleanText;
    use crate::render::entry::tests::{post, showable};

    fn made(posts: &[Showable], cancelled: &[Cancelled]) -> String {
        let about = About {
            title: "행사, 활동 · 하늘정책연구원",
            self_url: "https://allim.example.org/feeds/events.ics?lang=ko",
            page_url: "https://allim.example.org/topics/events?lang=ko",
            authority: "example.org",
            zone: &TimeZone::get("Asia/Seoul").unwrap(),
        };
        let made = feed(&about, posts, cancelled, |_| None).unwrap();
        assert_eq!(made.left_out, []);
        made.text.replace("\r\n ", "")
    }

    #[test]
    fn a_calendar_has_a_name_and_asks_to_be_looked_at_again() {
        let mut plain = post("2", "공지", "");
        plain.event = None;
        let text = made(&[showable(post("1", "포럼", "")), showable(plain)], &[]);
        for line in [
            "NAME:행사\\, 활동 · 하늘정책연구원",
            "X-WR-CALNAME:행사\\, 활동 · 하늘정책연구원",
            "X-WR-TIMEZONE:Asia/Seoul",
            "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
            "SOURCE;VALUE=URI:https://allim.example.org/feeds/events.ics?lang=ko",
            "UID:id1@example.org",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line} in {text}");
        }
        assert_eq!(text.matches("BEGIN:VEVENT").count(), 1);
    }

    #[test]
    fn a_withdrawn_event_is_struck_out_and_tells_nothing_but_its_hour() {
        let event = post("9", "거둘 행사", "").event.unwrap();
        let gone = Cancelled { post_id: "id9".to_owned(), revision: 2, withdrawn_at: UnixMillis(0), event };
        let text = made(&[], &[gone]);
        let expected = "BEGIN:VEVENT\r\nUID:id9@example.org\r\nDTSTAMP:19700101T000000Z\r\nSEQUENCE:2\r\n\
                        DTSTART:20260422T060000Z\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\n";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("상하이") && !text.contains("VTIMEZONE"), "{text}");
    }

    #[test]
    fn a_calendar_without_events_is_one_all_the_same() {
        let text = made(&[], &[]);
        assert!(text.contains("BEGIN:VTIMEZONE") && !text.contains("VEVENT"), "{text}");
    }

    #[test]
    fn hard_text_stays_text() {
        let hard = "끝; \u{202e}오른쪽\u{202c}, \u{1F393} ]]> \"따옴\\표\"\r\nEND:VEVENT\nBEGIN:VALARM \u{8}";
        let mut event = post("1", hard, "");
        event.summary = Some(CleanText::new(hard));
        event.event.as_mut().unwrap().location = Some(CleanText::new(&"가나다 ".repeat(10_000)));
        let text = made(&[showable(event)], &[]);
        assert!(!text.contains("\r\nBEGIN:VALARM") && !text.contains('\u{8}'), "{text}");
        assert!(text.contains("끝\\; \u{202e}오른쪽\u{202c}\\, \u{1F393} ]]>"), "{text}");
    }
}
