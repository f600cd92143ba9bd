//! The event of a post as an iCalendar file (RFC 5545), for one's own calendar; those of many as one to subscribe to.

pub mod feed;
mod read;

use super::entry::web_url;
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Event, EventTime, Showable};
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The media type of a calendar file (RFC 5545 section 8.1).
pub const MEDIA_TYPE: &str = "text/calendar; charset=utf-8";

/// Octets of a content line without its line end (RFC 5545 section 3.1).
const LINE_LEN_MAX: usize = 75;

/// The events of posts as one calendar file; `None` where none of them announces one. `authority` is the domain that makes each
/// UID unique (RFC 5545 section 3.8.4.7): the same for every revision, with a higher SEQUENCE, so that a calendar that has
/// the event changes it. `page_url` finds the page of a post.
#[must_use]
pub fn calendar<'a>(
    posts: impl IntoIterator<Item = &'a Showable>,
    authority: &str,
    page_url: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let mut lines = Lines::default();
    for (showable, event) in posts.into_iter().filter_map(|post| Some((post, post.post().event.as_ref()?))) {
        add_event(&mut lines, showable, event, authority, page_url(&showable.standing().post_id));
    }
    let head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//allim//allim//EN\r\nMETHOD:PUBLISH\r\n";
    (!lines.0.is_empty()).then(|| format!("{head}{}END:VCALENDAR\r\n", lines.0))
}

fn add_event(lines: &mut Lines, showable: &Showable, event: &Event, authority: &str, url: Option<String>) {
    let (post, standing) = (showable.post(), showable.standing());
    let stamped_at = standing.revised_at.or(standing.public_at).unwrap_or(standing.received_at);
    lines.add("BEGIN", "VEVENT");
    lines.add("UID", &format!("{}@{authority}", standing.post_id));
    lines.add("DTSTAMP", &utc(stamped_at));
    lines.add("SEQUENCE", &standing.revision.saturating_sub(1).max(0).to_string());
    add_times(lines, event);
    lines.add_text(&format!("SUMMARY;LANGUAGE={}", post.language), post.title.line().as_str());
    if let Some(location) = event.location.as_ref().map(|location| location.line()).filter(|line| !line.is_empty()) {
        lines.add_text(&format!("LOCATION;LANGUAGE={}", post.language), location.as_str());
    }
    if let Some(page) = url.or_else(|| event.url.as_deref().and_then(web_url)) {
        lines.add("URL", &page);
    }
    if let Some(summary) = post.summary.as_ref().map(|summary| summary.line()).filter(|line| !line.is_empty()) {
        lines.add_text(&format!("DESCRIPTION;LANGUAGE={}", post.language), summary.as_str());
    }
    lines.add("END", "VEVENT");
}

/// Whole days as dates, of which the end is the day after the last; times in UTC, so that the file needs no rules of a
/// time zone. A time without a zone that is known floats: it is that hour wherever the reader is (section 3.3.5).
fn add_times(lines: &mut Lines, event: &Event) {
    let zone = event.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let both_times = match (event.starts_at, event.ends_at) {
        (EventTime::Time(_), None | Some(EventTime::Time(_))) => true,
        // DTEND must be of the same kind as DTSTART (section 3.8.2.2): a day on either side makes both days.
        _ => false,
    };
    let mut add = |name: &str, time: EventTime, is_end: bool| match time {
        EventTime::Time(at) if both_times => match zone.as_ref().map(|zone| at.to_zoned(zone.clone())) {
            Some(Ok(zoned)) => lines.add(name, &utc(UnixMillis::from_timestamp(zoned.timestamp()))),
            _ => lines.add(name, &at.strftime("%Y%m%dT%H%M%S").to_string()),
        },
        day => {
            let day = day.date();
            let day: Date = if is_end { day.tomorrow().unwrap_or(day) } else { day };
            lines.add(&format!("{name};VALUE=DATE"), &day.strftime("%Y%m%d").to_string());
        }
    };
    add("DTSTART", event.starts_at, false);
    // An end that equals the beginning says nothing, and section 3.6.1 wants it later.
    if let Some(end) = event.ends_at.filter(|end| !both_times || *end != event.starts_at) {
        add("DTEND", end, true);
    }
}

fn utc(at: UnixMillis) -> String {
    at.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Content lines, folded.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A value whose special characters are meant: dates, numbers, addresses.
    fn add(&mut self, name: &str, value: &str) {
        let line = format!("{name}:{}", value.replace(['\r', '\n'], " "));
        let (mut rest, mut room) = (line.as_str(), LINE_LEN_MAX);
        while rest.len() > room {
            // Never within a character: not every calendar joins lines before it decodes them.
            let (now, later) = rest.split_at(rest.floor_char_boundary(room));
            self.0.push_str(now);
            self.0.push_str("\r\n ");
            (rest, room) = (later, LINE_LEN_MAX - 1);
        }
        self.0.push_str(rest);
        self.0.push_str("\r\n");
    }

    /// A text (section 3.3.11).
    fn add_text(&mut self, name: &str, text: &str) {
        let escaped = text.replace('\\', "\\\\").replace(';', "\\;").replace(',', "\\,").replace('\n', "\\n");
        self.add(name, &escaped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::CleanText;
    use crate::render::entry::tests::{post, showable};
    use jiff::civil::{date, datetime};

    fn file(change: impl FnOnce(&mut Event)) -> String {
        let mut post = post("1", "포럼, 제2차; \"물\\길\"", "");
        if let Some(event) = &mut post.event {
            change(event);
        }
        calendar([&showable(post)], "example.org", |_| Some("https://allim.example.org/posts/id1".to_owned())).unwrap()
    }

    #[test]
    fn times_are_instants_days_are_days_and_hours_without_a_zone_float() {
        let shown = |change: fn(&mut Event)| {
            let file = file(change);
            let times: Vec<&str> = file.lines().filter(|line| line.starts_with("DT")).skip(1).collect();
            times.join(" ")
        };
        assert_eq!(shown(|_| ()), "DTSTART:20260422T060000Z");
        let end = |event: &mut Event| event.ends_at = Some(EventTime::Time(datetime(2026, 4, 22, 17, 30, 0, 0)));
        assert_eq!(shown(end), "DTSTART:20260422T060000Z DTEND:20260422T093000Z");
        assert_eq!(shown(|event| event.ends_at = Some(event.starts_at)), "DTSTART:20260422T060000Z");
        assert_eq!(shown(|event| event.time_zone = None), "DTSTART:20260422T140000");
        let days = |event: &mut Event| {
            event.starts_at = EventTime::Day(date(2026, 12, 30));
            event.ends_at = Some(EventTime::Day(date(2026, 12, 31)));
        };
        assert_eq!(shown(days), "DTSTART;VALUE=DATE:20261230 DTEND;VALUE=DATE:20270101");
        let mixed = |event: &mut Event| event.ends_at = Some(EventTime::Day(date(2026, 4, 24)));
        assert_eq!(shown(mixed), "DTSTART;VALUE=DATE:20260422 DTEND;VALUE=DATE:20260425");
    }

    #[test]
    fn texts_are_escaped_and_lines_folded_between_characters() {
        let long = file(|event| event.location = Some(CleanText::new(&"상하이 국제회의장, ".repeat(20))));
        assert!(long.split("\r\n").all(|line| line.len() <= LINE_LEN_MAX), "{long}");
        let unfolded = long.replace("\r\n ", "");
        assert!(unfolded.contains("\r\nSUMMARY;LANGUAGE=ko:포럼\\, 제2차\\; \"물\\\\길\"\r\n"), "{unfolded}");
        assert_eq!(unfolded.matches("국제회의장\\,").count(), 20);
        assert!(unfolded.contains("\r\nUID:id1@example.org\r\n") && unfolded.contains("\r\nSEQUENCE:0\r\n"));
        assert!(long.starts_with("BEGIN:VCALENDAR\r\n") && long.ends_with("END:VCALENDAR\r\n"));
    }

    #[test]
    fn a_revision_changes_the_event_that_a_calendar_has() {
        let mut revised = showable(post("1", "포럼", ""));
        let mut standing = revised.standing().clone();
        (standing.revision, standing.revised_at) = (3, Some(UnixMillis(1_776_900_000_000)));
        revised = Showable::public(standing, revised.post().clone()).unwrap();
        let file = calendar([&revised], "example.org", |_| None).unwrap();
        assert!(file.contains("UID:id1@example.org\r\nDTSTAMP:20260422T232000Z\r\nSEQUENCE:2\r\n"), "{file}");
        assert!(file.contains("\r\nURL:https://event.example.org/\r\n"));
        let mut plain = post("1", "공지", "");
        plain.event = None;
        let plain = showable(plain);
        assert_eq!(calendar([&plain], "example.org", |_| None), None);
        let both = calendar([&revised, &plain, &revised], "example.org", |_| None).unwrap();
        assert_eq!((both.matches("BEGIN:VEVENT").count(), both.matches("VCALENDAR").count()), (2, 2));
    }
}
