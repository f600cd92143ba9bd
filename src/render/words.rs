//! The fixed words of mails and pages in Korean, English and Chinese, and dates and sizes as their readers write them.

mod file;
mod grammar;
pub mod mail;
pub mod page;
pub mod people;

use crate::domain::language::Language;
use serde::{Deserialize, Serialize};

use file::messages;
pub use file::{BadWords, compiled_in, is_file, take_own};
pub use grammar::Grammar;
pub(super) use grammar::place;

/// The words of one language; templates see them as `words.…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// Before the date and time of an event.
    pub when: String,
    /// Before the place of an event.
    pub place: String,
    /// Before the page of an event.
    pub event_page: String,
    /// Link to an event for one's own calendar.
    pub calendar: String,
    /// Above an event's date and place.
    pub event: String,
    /// Before a picture's address in plain text.
    pub picture: String,
    /// Above downloads.
    pub attachments: String,
    /// Before whom to ask.
    pub contact: String,
    /// Before the author.
    pub author: String,
    /// Before the name of a language that isn't the reader's.
    pub language: String,
    /// Before a licence.
    pub license: String,
    /// Link to the whole text.
    pub read_more: String,
    /// Link to the page on the source's own site.
    pub original: String,
    /// Why this mail came; the site's name goes before it.
    pub why: String,
    /// Link that ends the subscription.
    pub unsubscribe: String,
    /// How dates, numbers and lists are written.
    #[serde(skip_serializing)]
    pub grammar: Grammar,
}

/// All words of one language, as its file has them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Messages {
    words: Words,
    mail: mail::MailWords,
    page: page::PageWords,
    people: people::PeopleWords,
}

/// The words for a reader; English where their language isn't among ours.
#[must_use]
pub fn words(reader: &Language) -> &'static Words {
    &messages(reader).words
}

/// Media types whose names say little to readers, with what they call such files.
const FILE_KINDS: [(&str, &str); 14] = [
    ("application/pdf", "PDF"),
    ("application/x-hwp", "HWP"),
    ("application/haansofthwp", "HWP"),
    ("application/vnd.hancom.hwp", "HWP"),
    ("application/vnd.hancom.hwpx", "HWPX"),
    ("application/msword", "DOC"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "DOCX"),
    ("application/vnd.ms-excel", "XLS"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "XLSX"),
    ("application/vnd.ms-powerpoint", "PPT"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "PPTX"),
    ("application/zip", "ZIP"),
    ("text/plain", "TXT"),
    ("image/jpeg", "JPEG"),
];
/// An ending longer than this is part of the name and no kind.
const ENDING_LEN_MAX: usize = 5;

/// What kind of file something is, as readers call it: `PDF`, `HWP`. By its media type, else by the ending of its name.
#[must_use]
pub fn file_kind(media_type: Option<&str>, name: &str) -> Option<String> {
    let essence = media_type.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let known = essence.and_then(|text| FILE_KINDS.iter().find(|(known, _)| *known == text));
    let ending = || {
        let (_, ending) = name.rsplit_once('.')?;
        let fits = (1..=ENDING_LEN_MAX).contains(&ending.len()) && ending.bytes().all(|c| c.is_ascii_alphanumeric());
        fits.then(|| ending.to_ascii_uppercase())
    };
    known.map(|(_, kind)| (*kind).to_owned()).or_else(ending)
}

/// A count with its thousands parted by commas, as all three languages write it: `1,156`.
#[must_use]
pub fn grouped(count: i64) -> String {
    let digits = count.max(0).to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size in decimal units, as file managers and mail programs show it: `834 B`, `12 KB`, `1.2 MB`. Sizes below zero
/// aren't sizes.
#[must_use]
pub fn bytes(size: i64) -> Option<String> {
    let size = u64::try_from(size).ok()?;
    let (unit, name) = match size {
        0..1_000 => return Some(format!("{size} B")),
        1_000..1_000_000 => return Some(format!("{} KB", size.div_ceil(1_000))),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    let tenths = size.div_ceil(unit / 10);
    Some(format!("{}.{} {name}", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::post::{Event, EventTime};
    use jiff::civil::datetime;

    fn of(tag: &str) -> &'static Words {
        words(&Language::parse(tag).unwrap())
    }

    #[test]
    fn dates_read_as_their_readers_write_them() {
        let at = datetime(2026, 4, 22, 14, 0, 0, 0);
        assert_eq!(of("ko").date_time(at), "2026년 4월 22일 (수) 14:00");
        assert_eq!(of("en").date_time(at), "Wednesday, 22 April 2026, 14:00");
        assert_eq!(of("zh").date_time(at), "2026年4月22日（周三）14:00");
        let mut event =
            Event { starts_at: EventTime::Time(at), ends_at: None, time_zone: None, location: None, url: None };
        event.ends_at = Some(EventTime::Time(datetime(2026, 4, 22, 17, 30, 0, 0)));
        assert_eq!(of("ko").event_when(&event), "2026년 4월 22일 (수) 14:00 ~ 17:30");
        event.ends_at = Some(EventTime::Day(jiff::civil::date(2026, 4, 24)));
        assert_eq!(of("en").event_when(&event), "Wednesday, 22 April 2026, 14:00 – Friday, 24 April 2026");
    }

    #[test]
    fn files_are_called_what_readers_call_them() {
        let kind = |media_type: Option<&str>, name: &str| file_kind(media_type, name).unwrap_or_default();
        assert_eq!(kind(Some("Application/PDF; x=1"), "안내.bin"), "PDF");
        assert_eq!(kind(Some("application/octet-stream"), "안내.hwpx"), "HWPX");
        assert_eq!(kind(None, "안내 v1.2 최종본"), "");
        assert_eq!(kind(None, "a.b/c"), "");
        let shown = [0, 12, 999, 1_000, 1_156, 1_234_567, -3].map(grouped);
        assert_eq!(shown, ["0", "12", "999", "1,000", "1,156", "1,234,567", "0"]);
    }

    #[test]
    fn sizes_are_rounded_up() {
        let shown: Vec<_> = [0, 999, 1_000, 1_234_567, 999_999_999, 5_000_000_000].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "999 B", "1 KB", "1.3 MB", "1000.0 MB", "5.0 GB"].map(|size| Some(size.to_owned())));
        assert_eq!(bytes(-1), None);
    }
}
