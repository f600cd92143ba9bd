//! The fixed words of mails and pages in Korean, English and Chinese, and dates and sizes as their readers write them.

pub mod mail;
pub mod page;
pub mod people;

use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::{Event, EventTime};
use jiff::civil::{Date, DateTime, Weekday};
use serde::Serialize;

/// Which grammar the formatting functions follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tongue {
    Korean,
    English,
    Chinese,
}

/// The words of one language; templates see them as `words.…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Words {
    #[serde(skip)]
    tongue: Tongue,
    /// Before the date and time of an event.
    pub when: &'static str,
    /// Before the place of an event.
    pub place: &'static str,
    /// Before the page of an event.
    pub event_page: &'static str,
    /// Link to an event for one's own calendar.
    pub calendar: &'static str,
    /// Above an event's date and place.
    pub event: &'static str,
    /// Before a picture's address in plain text.
    pub picture: &'static str,
    /// Above downloads.
    pub attachments: &'static str,
    /// Before whom to ask.
    pub contact: &'static str,
    /// Before the author.
    pub author: &'static str,
    /// Before the name of a language that isn't the reader's.
    pub language: &'static str,
    /// Before a licence.
    pub license: &'static str,
    /// Link to the whole text.
    pub read_more: &'static str,
    /// Link to the page on the source's own site.
    pub original: &'static str,
    /// Why this mail came; the site's name goes before it.
    pub why: &'static str,
    /// Link that ends the subscription.
    pub unsubscribe: &'static str,
}

const KOREAN: Words = Words {
    tongue: Tongue::Korean,
    when: "일시",
    place: "장소",
    event_page: "행사 안내",
    calendar: "일정에 추가 (.ics)",
    event: "행사",
    picture: "사진",
    attachments: "첨부 파일",
    contact: "문의",
    author: "작성",
    language: "언어",
    license: "이용 조건",
    read_more: "전체 읽기",
    original: "원문 보기",
    why: "소식을 구독하신 분께 보내 드리는 메일입니다.",
    unsubscribe: "수신 거부",
};

const ENGLISH: Words = Words {
    tongue: Tongue::English,
    when: "When",
    place: "Where",
    event_page: "Event page",
    calendar: "Add to calendar (.ics)",
    event: "Event",
    picture: "Picture",
    attachments: "Downloads",
    contact: "Contact",
    author: "By",
    language: "Language",
    license: "Licence",
    read_more: "Read it all",
    original: "Original page",
    why: "sends you this mail because you subscribed to it.",
    unsubscribe: "Unsubscribe",
};

const CHINESE: Words = Words {
    tongue: Tongue::Chinese,
    when: "时间",
    place: "地点",
    event_page: "活动页面",
    calendar: "添加到日历 (.ics)",
    event: "活动",
    picture: "图片",
    attachments: "附件",
    contact: "联系方式",
    author: "作者",
    language: "语言",
    license: "许可",
    read_more: "阅读全文",
    original: "查看原文",
    why: "向订阅者发送此邮件。",
    unsubscribe: "退订",
};

/// The words for a reader; English where their language isn't among ours.
#[must_use]
pub fn words(reader: &Language) -> &'static Words {
    match reader.base() {
        "ko" => &KOREAN,
        "zh" => &CHINESE,
        _ => &ENGLISH,
    }
}

impl Words {
    /// `2026년 4월 22일`, `22 April 2026`, `2026年4月22日`.
    #[must_use]
    pub fn date(&self, date: Date) -> String {
        let (year, month, day) = (date.year(), date.month(), date.day());
        match self.tongue {
            Tongue::Korean => format!("{year}년 {month}월 {day}일"),
            Tongue::English => format!("{day} {} {year}", english_month(month)),
            Tongue::Chinese => format!("{year}年{month}月{day}日"),
        }
    }

    /// `2026년 4월 22일 (수)`, `Wednesday, 22 April 2026`, `2026年4月22日（周三）`.
    #[must_use]
    pub fn day(&self, date: Date) -> String {
        let (weekday, date) = (self.weekday(date.weekday()), self.date(date));
        match self.tongue {
            Tongue::Korean => format!("{date} ({weekday})"),
            Tongue::English => format!("{weekday}, {date}"),
            Tongue::Chinese => format!("{date}（{weekday}）"),
        }
    }

    /// `2026년 4월 22일 (수) 14:00`, `Wednesday, 22 April 2026, 14:00`, `2026年4月22日（周三）14:00`.
    #[must_use]
    pub fn date_time(&self, at: DateTime) -> String {
        let day = self.day(at.date());
        let time = clock_time(at);
        match self.tongue {
            Tongue::Korean => format!("{day} {time}"),
            Tongue::English => format!("{day}, {time}"),
            Tongue::Chinese => format!("{day}{time}"),
        }
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
        match self.tongue {
            Tongue::Korean => format!("{begin} ~ {end}"),
            Tongue::English => format!("{begin} – {end}"),
            Tongue::Chinese => format!("{begin}～{end}"),
        }
    }

    /// How many posts: `3건`, `3 items`, `3条`.
    #[must_use]
    pub fn count(&self, posts: usize) -> String {
        match (self.tongue, posts) {
            (Tongue::Korean, n) => format!("{n}건"),
            (Tongue::English, 1) => "1 item".to_owned(),
            (Tongue::English, n) => format!("{n} items"),
            (Tongue::Chinese, n) => format!("{n}条"),
        }
    }

    /// The first line of a mail to somebody whose name is known.
    #[must_use]
    pub fn greeting(&self, name: &str) -> String {
        match self.tongue {
            Tongue::Korean => format!("{name} 님, 안녕하세요."),
            Tongue::English => format!("Dear {name},"),
            Tongue::Chinese => format!("{name}，您好："),
        }
    }

    /// A language's name; its tag where we have no name for it.
    #[must_use]
    pub fn language_name<'a>(&self, language: &'a Language) -> &'a str {
        match (self.tongue, language.base()) {
            (Tongue::Korean, "ko") => "한국어",
            (Tongue::Korean, "en") => "영어",
            (Tongue::Korean, "zh") => "중국어",
            (Tongue::Korean, "ja") => "일본어",
            (Tongue::English, "ko") => "Korean",
            (Tongue::English, "en") => "English",
            (Tongue::English, "zh") => "Chinese",
            (Tongue::English, "ja") => "Japanese",
            (Tongue::Chinese, "ko") => "韩语",
            (Tongue::Chinese, "en") => "英语",
            (Tongue::Chinese, "zh") => "中文",
            (Tongue::Chinese, "ja") => "日语",
            _ => language.as_str(),
        }
    }

    fn weekday(&self, day: Weekday) -> &'static str {
        let index = usize::from(day.to_monday_zero_offset().unsigned_abs()) % 7;
        match self.tongue {
            Tongue::Korean => ["월", "화", "수", "목", "금", "토", "일"][index],
            Tongue::English => ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][index],
            Tongue::Chinese => ["周一", "周二", "周三", "周四", "周五", "周六", "周日"][index],
        }
    }
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

fn clock_time(at: DateTime) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

fn english_month(month: i8) -> &'static str {
    let names = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    names[usize::from(month.unsigned_abs()).saturating_sub(1).min(11)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    #[test]
    fn dates_read_as_their_readers_write_them() {
        let at = datetime(2026, 4, 22, 14, 0, 0, 0);
        assert_eq!(KOREAN.date_time(at), "2026년 4월 22일 (수) 14:00");
        assert_eq!(ENGLISH.date_time(at), "Wednesday, 22 April 2026, 14:00");
        assert_eq!(CHINESE.date_time(at), "2026年4月22日（周三）14:00");
        let mut event =
            Event { starts_at: EventTime::Time(at), ends_at: None, time_zone: None, location: None, url: None };
        event.ends_at = Some(EventTime::Time(datetime(2026, 4, 22, 17, 30, 0, 0)));
        assert_eq!(KOREAN.event_when(&event), "2026년 4월 22일 (수) 14:00 ~ 17:30");
        event.ends_at = Some(EventTime::Day(jiff::civil::date(2026, 4, 24)));
        assert_eq!(ENGLISH.event_when(&event), "Wednesday, 22 April 2026, 14:00 – Friday, 24 April 2026");
    }

    #[test]
    fn sizes_are_rounded_up() {
        let shown: Vec<_> = [0, 999, 1_000, 1_234_567, 999_999_999, 5_000_000_000].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "999 B", "1 KB", "1.3 MB", "1000.0 MB", "5.0 GB"].map(|size| Some(size.to_owned())));
        assert_eq!(bytes(-1), None);
    }
}
