//! How a language writes dates, numbers and lists: patterns of its file, filled in.

use super::Words;
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::{Event, EventTime};
use jiff::civil::{Date, DateTime};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The patterns of one language; what stands in braces is put in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grammar {
    /// `{year}`, `{month}` by its name, `{day}`.
    date: String,
    /// `{year}` and `{month}` of a calendar.
    year_month: String,
    /// `{date}` with its `{weekday}`.
    day: String,
    /// `{day}` as above with the `{time}`.
    date_time: String,
    /// From `{begin}` to `{end}`.
    span: String,
    /// `{n}` posts where that is one.
    count_one: String,
    /// `{n}` posts.
    count: String,
    /// The first line of a mail to `{name}`.
    greeting: String,
    /// Why something came: the reader follows `{topics}`.
    because: String,
    /// A `{topic}` among others.
    topic: String,
    /// Between topics.
    between: String,
    /// Before the last topic.
    before_last: String,
    /// From January on.
    months: [String; 12],
    /// From Monday on.
    weekdays: [String; 7],
    /// Names of languages by tag.
    languages: BTreeMap<String, String>,
}

/// A pattern with its values; none of them is looked into again.
fn filled(pattern: &str, values: &[(&str, &str)]) -> String {
    let (mut out, mut rest) = (String::with_capacity(pattern.len() + 32), pattern);
    while let Some((before, name, after)) = place(rest) {
        out.push_str(before);
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The first place of a pattern: what is before it, its name, and what is behind.
pub(in crate::render) fn place(pattern: &str) -> Option<(&str, &str, &str)> {
    let (before, behind) = pattern.split_once('{')?;
    let (name, after) = behind.split_once('}')?;
    Some((before, name, after))
}

impl Words {
    /// `2026년 4월 22일`, `22 April 2026`, `2026年4月22日`.
    #[must_use]
    pub fn date(&self, date: Date) -> String {
        let month = usize::from(date.month().unsigned_abs()).saturating_sub(1).min(11);
        let (year, day) = (date.year().to_string(), date.day().to_string());
        filled(&self.grammar.date, &[("year", &year), ("month", &self.grammar.months[month]), ("day", &day)])
    }

    /// A month of a calendar: `2026년 4월`, `April 2026`, `2026年4月`.
    #[must_use]
    pub fn month(&self, date: Date) -> String {
        let index = usize::from(date.month().unsigned_abs()).saturating_sub(1).min(11);
        let year = date.year().to_string();
        filled(&self.grammar.year_month, &[("year", &year), ("month", &self.grammar.months[index])])
    }

    /// `2026년 4월 22일 (수)`, `Wednesday, 22 April 2026`, `2026年4月22日（周三）`.
    #[must_use]
    pub fn day(&self, date: Date) -> String {
        let weekday = usize::from(date.weekday().to_monday_zero_offset().unsigned_abs()) % 7;
        filled(&self.grammar.day, &[("weekday", &self.grammar.weekdays[weekday]), ("date", &self.date(date))])
    }

    /// `2026년 4월 22일 (수) 14:00`, `Wednesday, 22 April 2026, 14:00`, `2026年4月22日（周三）14:00`.
    #[must_use]
    pub fn date_time(&self, at: DateTime) -> String {
        filled(&self.grammar.date_time, &[("day", &self.day(at.date())), ("time", &clock_time(at))])
    }

    /// An instant as the clock on the wall of `zone` shows it.
    #[must_use]
    pub fn instant(&self, at: UnixMillis, zone: &jiff::tz::TimeZone) -> String {
        self.date_time(zone.to_datetime(at.timestamp()))
    }

    /// Beginning and end of an event; an end on the same day is shown as a time only.
    #[must_use]
    pub fn event_when(&self, event: &Event) -> String {
        let spell = |time: EventTime| match time {
            EventTime::Day(day) => self.day(day),
            EventTime::Time(at) => self.date_time(at),
        };
        let begin = spell(event.starts_at);
        let end = match (event.starts_at, event.ends_at) {
            (_, None) => return begin,
            (begin, Some(end)) if begin == end => return spell(begin),
            (EventTime::Time(begin), Some(EventTime::Time(end))) if begin.date() == end.date() => clock_time(end),
            (_, Some(end)) => spell(end),
        };
        filled(&self.grammar.span, &[("begin", &begin), ("end", &end)])
    }

    /// How many posts: `3건`, `3 items`, `3条`.
    #[must_use]
    pub fn count(&self, posts: usize) -> String {
        let pattern = if posts == 1 { &self.grammar.count_one } else { &self.grammar.count };
        filled(pattern, &[("n", &posts.to_string())])
    }

    /// The first line of a mail to somebody whose name is known.
    #[must_use]
    pub fn greeting(&self, name: &str) -> String {
        filled(&self.grammar.greeting, &[("name", name)])
    }

    /// A language's name; its tag where we have no name for it.
    #[must_use]
    pub fn language_name<'a>(&'a self, language: &'a Language) -> &'a str {
        self.grammar.languages.get(language.base()).map_or(language.as_str(), String::as_str)
    }

    /// Why a mail or one of its posts came: the titles of the reader's topics that brought it, as
    /// `because you follow Events, Notices and Research`.
    #[must_use]
    pub fn because(&self, topics: &[&str]) -> String {
        let Grammar { topic: pattern, between, before_last, .. } = &self.grammar;
        let mut list = String::new();
        for (index, topic) in topics.iter().enumerate() {
            if index > 0 {
                list.push_str(if index + 1 == topics.len() { before_last } else { between });
            }
            list.push_str(&filled(pattern, &[("topic", topic)]));
        }
        filled(&self.grammar.because, &[("topics", &list)])
    }
}

fn clock_time(at: DateTime) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}
