use std::cmp::Ordering;

use croner::errors::CronError;
use croner::time::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::SignedDuration;

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn schedule(line: &str, zone: &str) -> Schedule {
    Schedule::parse(line, zone).unwrap_or_else(|error| panic!("{line} in {zone}: {error}"))
}

fn refusal(line: &str, zone: &str) -> String {
    match Schedule::parse(line, zone) {
        Ok(_) => panic!("{line} in {zone} was taken"),
        Err(error) => error.to_string(),
    }
}

/// Milliseconds of an RFC 3339 instant.
fn at(instant: &str) -> i64 {
    let read: Timestamp = instant.parse().unwrap_or_else(|error| panic!("{instant}: {error}"));
    read.as_millisecond()
}

/// All firings in (after, until], as RFC 3339 instants in UTC.
fn firings(line: &str, zone: &str, after: &str, until: &str) -> Vec<String> {
    let schedule = schedule(line, zone);
    let firings = std::iter::successors(schedule.next_after(at(after)), |last| schedule.next_after(*last));
    firings.take_while(|next| *next <= at(until)).map(|at| instant(at).to_string()).collect()
}

/// A small generator of always the same numbers (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn a_time_in_the_gap_fires_once_when_the_gap_ends() {
    // Berlin's clocks went from 02:00 to 03:00 on 30 March 2025, at 01:00 UTC.
    let night = ("2025-03-29T22:59:59Z", "2025-03-30T22:00:00Z");
    let fired = |line| firings(line, "Europe/Berlin", night.0, night.1);
    assert_eq!(fired("30 2 * * *"), ["2025-03-30T01:00:00Z"]);
    assert_eq!(fired("*/20 2 * * *"), ["2025-03-30T01:00:00Z"]);
    assert_eq!(fired("0 3 * * *"), ["2025-03-30T01:00:00Z"]);
    assert_eq!(
        fired("*/30 1-3 * * *"),
        ["2025-03-30T00:00:00Z", "2025-03-30T00:30:00Z", "2025-03-30T01:00:00Z", "2025-03-30T01:30:00Z"]
    );
}

#[test]
fn a_time_that_happens_twice_fires_the_first_time() {
    // Berlin's clocks went from 03:00 back to 02:00 on 26 October 2025, at 01:00 UTC.
    let night = ("2025-10-25T21:59:59Z", "2025-10-26T23:00:00Z");
    let fired = |line| firings(line, "Europe/Berlin", night.0, night.1);
    assert_eq!(fired("30 2 * * *"), ["2025-10-26T00:30:00Z"]);
    assert_eq!(
        fired("*/30 1-3 * * *"),
        [
            "2025-10-25T23:00:00Z",
            "2025-10-25T23:30:00Z",
            "2025-10-26T00:00:00Z",
            "2025-10-26T00:30:00Z",
            "2025-10-26T02:00:00Z",
            "2025-10-26T02:30:00Z"
        ]
    );
    // Asked in the second pass, 02:45 is over, though the clock shows 02:15.
    let daily = schedule("45 2 * * *", "Europe/Berlin");
    let second_pass_at = at("2025-10-26T01:15:00Z");
    assert_eq!(daily.next_after(second_pass_at), Some(at("2025-10-27T01:45:00Z")));
    let missed = daily.newest_missed(at("2025-10-25T12:00:00Z"), second_pass_at);
    assert_eq!(missed, Some(at("2025-10-26T00:45:00Z")));
}

#[test]
fn lord_howe_changes_by_half_an_hour() {
    // 02:00 became 02:30 on 5 October 2025 (15:30 UTC); 02:00 became 01:30 on 6 April 2025 (15:00 UTC).
    let zone = "Australia/Lord_Howe";
    let spring = ("2025-10-04T13:29:59Z", "2025-10-05T13:00:00Z");
    assert_eq!(firings("15 2 * * *", zone, spring.0, spring.1), ["2025-10-04T15:30:00Z"]);
    assert_eq!(firings("30 2 * * *", zone, spring.0, spring.1), ["2025-10-04T15:30:00Z"]);
    let autumn = ("2025-04-05T12:59:59Z", "2025-04-06T13:30:00Z");
    assert_eq!(firings("45 1 * * *", zone, autumn.0, autumn.1), ["2025-04-05T14:45:00Z"]);
    let ordered = ["2025-04-05T14:00:00Z", "2025-04-05T14:30:00Z", "2025-04-05T15:30:00Z"];
    assert_eq!(firings("*/30 1,2 * * *", zone, autumn.0, autumn.1)[..3], ordered);
}

#[test]
fn zones_off_the_full_hour() {
    let day = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let fired = |zone| firings("0 9 * * *", zone, day.0, day.1);
    assert_eq!(fired("Asia/Kolkata"), ["2026-01-01T03:30:00Z"]);
    assert_eq!(fired("Asia/Kathmandu"), ["2026-01-01T03:15:00Z"]);
    assert_eq!(fired("Asia/Seoul"), ["2026-01-02T00:00:00Z"]);
}

#[test]
fn a_day_that_a_zone_leaves_out_fires_nothing() {
    // Samoa had no 30 December 2011, Kwajalein no 21 August 1993, Kiritimati no 31 December 1994 (tzdata).
    for (zone, before, left_out) in [
        ("Pacific/Apia", "2011-12-29T12:30:00Z", "2011-12-30"),
        ("Pacific/Kwajalein", "1993-08-20T14:30:00Z", "1993-08-21"),
        ("Pacific/Kiritimati", "1994-12-31T13:10:00Z", "1994-12-31"),
    ] {
        let left_out: Date = left_out.parse().expect("a date");
        for line in ["30 2 * * *", "0 * * * *", "0 0 * * *", "59 23 * * *", "* * * * * *"] {
            let schedule = schedule(line, zone);
            let mut last_at = at(before) - 2 * DAY_MS;
            let end_at = at(before) + 2 * DAY_MS;
            let mut days = std::collections::BTreeMap::new();
            while let Some(next_at) = schedule.next_after(last_at).filter(|next| *next < end_at) {
                assert!(next_at > last_at);
                *days.entry(schedule.clock.to_datetime(instant(next_at)).date()).or_insert(0) += 1;
                last_at = next_at;
            }
            assert!(!days.contains_key(&left_out), "{line} in {zone}: {days:?}");
            let next_day = left_out.tomorrow().expect("a date");
            let day_before = left_out.yesterday().expect("a date");
            assert_eq!(days.get(&next_day), days.get(&day_before), "{line} in {zone}");
        }
    }
    assert_eq!(
        firings("30 2 * * *", "Pacific/Apia", "2011-12-28T00:00:00Z", "2012-01-01T00:00:00Z"),
        ["2011-12-28T12:30:00Z", "2011-12-29T12:30:00Z", "2011-12-30T12:30:00Z", "2011-12-31T12:30:00Z"]
    );
    let only_then = "0 0 9 30 12 ? 2011";
    assert!(refusal(only_then, "Pacific/Apia").contains("never fires"));
    assert!(Schedule::parse(only_then, "Pacific/Pago_Pago").is_ok());
}

#[test]
fn every_zone_fires_daily_on_each_of_its_days() {
    let (first, last) = (civil::date(2020, 1, 1), civil::date(2030, 12, 31));
    let zones: Vec<String> = TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
    assert!(zones.len() > 400);
    for zone in zones {
        let Ok(schedule) = Schedule::parse("30 2 * * *", &zone) else {
            panic!("{zone} is not taken");
        };
        let mut asked_at = expected(&schedule.clock, first.yesterday().expect("a date")).expect("a day");
        let mut day = first;
        while day <= last {
            if let Some(expected_at) = expected(&schedule.clock, day) {
                let found = schedule.next_after(asked_at);
                assert_eq!(found, Some(expected_at), "{zone} on {day}");
                asked_at = expected_at;
            }
            day = day.tomorrow().expect("a date");
        }
    }
}

/// The instant of 02:30 on a day, worked out another way: the gap's end is searched for by the offset on the clock.
fn expected(clock: &TimeZone, day: Date) -> Option<i64> {
    let midnight = clock.to_ambiguous_zoned(day.at(0, 0, 0, 0)).compatible().expect("in range");
    if midnight.date() != day {
        return None;
    }
    let wanted = clock.to_ambiguous_zoned(day.at(2, 30, 0, 0));
    if !wanted.is_ambiguous() {
        return Some(wanted.unambiguous().expect("checked").timestamp().as_millisecond());
    }
    let earlier = wanted.clone().earlier().expect("in range").timestamp().as_millisecond();
    let later = wanted.later().expect("in range").timestamp().as_millisecond();
    let offset = |at| clock.to_offset(instant(at));
    if clock.to_datetime(instant(earlier)) == day.at(2, 30, 0, 0) {
        return Some(earlier);
    }
    let (mut before_at, mut after_at) = (earlier, later);
    while before_at + 1 < after_at {
        let middle_at = i64::midpoint(before_at, after_at);
        match offset(middle_at) == offset(earlier) {
            true => before_at = middle_at,
            false => after_at = middle_at,
        }
    }
    Some(after_at)
}

#[test]
fn newest_missed_is_the_last_of_the_firings() {
    let zones = ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana", "UTC"];
    let lines = ["30 2 * * *", "*/30 * * * *", "0 0 * * SUN", "15 1-3 * * *", "0 9 1 * *", "7 0 29 2 *"];
    let mut dice = Dice(7);
    for round in 0..3_000_u64 {
        let schedule = schedule(lines[round as usize % lines.len()], zones[dice.below(5) as usize]);
        // Near Samoa's lost day, near changes in spring and autumn, or anywhere.
        let near = ["2011-12-30T00:00:00Z", "2025-03-30T00:30:00Z", "2025-10-26T00:30:00Z", "2025-04-05T15:00:00Z"];
        let now_at = at(near[dice.below(4) as usize]) + dice.below(3 * DAY_MS as u64) as i64 - DAY_MS;
        let after_at = now_at - dice.below(4 * DAY_MS as u64) as i64;
        let all = std::iter::successors(schedule.next_after(after_at), |last| schedule.next_after(*last));
        let newest = all.take_while(|next| *next <= now_at).last();
        assert_eq!(schedule.newest_missed(after_at, now_at), newest, "{schedule:?} at {now_at}");
    }
}

#[test]
fn newest_missed_is_quick_after_years() {
    let now_at = at("2026-10-26T01:15:00.250Z");
    let year_ago_at = now_at - 365 * DAY_MS;
    let every_second = schedule("* * * * * *", "UTC");
    assert_eq!(every_second.newest_missed(year_ago_at, now_at), Some(now_at - 250));
    assert_eq!(every_second.newest_missed(i64::MIN, i64::MAX), Some(at("2100-12-31T23:59:59Z")));
    assert_eq!(every_second.newest_missed(now_at, now_at), None);
    assert_eq!(every_second.newest_missed(now_at, year_ago_at), None);
    // In the second pass of an overlap nothing fires: the last firing is the end of the first pass.
    let berlin = schedule("* * * * * *", "Europe/Berlin");
    let second_pass_at = at("2025-10-26T01:15:00Z");
    let missed = berlin.newest_missed(second_pass_at - 365 * DAY_MS, second_pass_at);
    assert_eq!(missed, Some(at("2025-10-26T00:59:59Z")));
    let leap_day = schedule("0 12 29 2 *", "Asia/Seoul");
    assert_eq!(leap_day.newest_missed(0, now_at), Some(at("2024-02-29T03:00:00Z")));
    assert_eq!(leap_day.newest_missed(at("2024-02-29T03:00:00Z"), now_at), None);
}

#[test]
fn the_ends_of_time() {
    let daily = schedule("0 0 * * *", "UTC");
    assert_eq!(daily.next_after(i64::MIN), Some(0));
    assert_eq!(daily.next_after(-1), Some(0));
    assert_eq!(daily.next_after(0), Some(DAY_MS));
    assert_eq!(daily.next_after(at("2100-12-30T23:59:59Z")), Some(at("2100-12-31T00:00:00Z")));
    assert_eq!(daily.next_after(at("2100-12-31T00:00:00Z")), None);
    assert_eq!(daily.next_after(i64::MAX), None);
    let past = schedule("0 0 9 1 1 ? 2020", "UTC");
    assert_eq!(past.next_after(at("2026-01-01T00:00:00Z")), None);
    assert_eq!(schedule("0 9 29 2 *", "UTC").next_after(at("2096-03-01T00:00:00Z")), None);
}

#[test]
fn own_time_keeps_the_days_and_takes_the_readers_zone() {
    let mondays = schedule("0 9 * * MON", "Asia/Seoul");
    assert_eq!(mondays.fixed_time(), Some((9, 0)));
    let own = mondays.with_own_time(21, 45, "america/new_york").expect("fixed time");
    assert_eq!((own.line(), own.zone()), ("45 21 * * MON", "America/New_York"));
    assert_eq!(own.next_after(at("2026-11-23T00:00:00Z")), Some(at("2026-11-24T02:45:00Z")));
    let own = schedule("0 5 7 1 JAN ? 2030-2040", "UTC").with_own_time(0, 0, "UTC").expect("fixed");
    assert_eq!(own.line(), "0 0 0 1 JAN ? 2030-2040");
    assert_eq!(own, schedule("  0 0 0  1 JAN\t? 2030-2040 ", "utc"));

    for line in ["*/30 9 * * *", "0 9,17 * * *", "30 0 9 * * *", "* 0 9 * * *", "0 * * * *"] {
        let several = schedule(line, "UTC");
        assert_eq!(several.fixed_time(), None, "{line}");
        let refused = several.with_own_time(9, 0, "UTC");
        assert_eq!(refused, Err(ScheduleError::NoFixedTime(line.to_owned())));
    }
    for (hour, minute) in [(24, 0), (-1, 0), (0, 60), (0, -1)] {
        let refused = mondays.with_own_time(hour, minute, "UTC");
        assert_eq!(refused, Err(ScheduleError::NoSuchTime(hour, minute)));
    }
    assert!(mondays.with_own_time(9, 0, "Mars/Olympus").is_err());
    // A line at the limit of its length stays usable with a longer hour.
    let long = format!("0 9 {}1 * *", "1,".repeat((LINE_CHARS_MAX - 9) / 2));
    assert!(schedule(&long, "UTC").with_own_time(10, 10, "UTC").is_ok());
}

#[test]
fn lines_that_are_taken() {
    for line in [
        "0 9 * * *",
        "0 9 ? * *",
        "0 9 * * ?",
        "0 9 ? * MON",
        "0 9 15 * ?",
        "0 9 29 feb *",
        "*/15 8-18 * JAN-MAR,dec mon-FRI",
        "0 9 * * MON-FRI/2",
        "0 9 * * */2",
        "0 0 9 * * MON,THU",
        "15 0 9 1 1 ? 2027",
    ] {
        assert_eq!(schedule(line, "UTC").line(), line);
    }
}

#[test]
fn numeric_weekdays_are_spelled_out() {
    for (weekday, instead) in [
        ("1", "MON"),
        ("0", "SUN"),
        ("7", "SUN"),
        ("1-5", "MON-FRI"),
        ("1,3,5", "MON,WED,FRI"),
        ("5-7", "FRI,SAT,SUN"),
        ("0-7", "*"),
        ("1-5/2", "MON,WED,FRI"),
        ("1/2", "MON,WED,FRI"),
        ("MON-5,SAT", "MON-FRI,SAT"),
        ("*/3,1", "*/3,MON"),
    ] {
        let error = Schedule::parse(&format!("0 9 * * {weekday}"), "UTC");
        let (text, spelled) = (weekday.to_owned(), instead.to_owned());
        assert_eq!(error, Err(ScheduleError::NumericWeekday { text, instead: spelled }));
        schedule(&format!("0 9 * * {instead}"), "UTC");
    }
    assert!(refusal("0 9 * * 1", "UTC").ends_with("write MON"));
    assert!(refusal("0 9 * * 8", "UTC").ends_with("write MON for 1, MON-FRI for 1-5"));
    assert!(refusal("0 9 * * 5-1", "UTC").starts_with("weekday field"));
}

#[test]
fn refusals_name_the_field() {
    for (line, words) in [
        ("", "0 fields"),
        ("@daily", "1 fields"),
        ("0 9 * *", "4 fields"),
        ("0 0 9 * * * * *", "8 fields"),
        ("60 9 * * *", "minute field: cannot read \"60\""),
        ("0 24 * * *", "hour field"),
        ("0 22-2 * * *", "hour field: cannot read \"22-2\""),
        ("0 9 32 * *", "day-of-month field"),
        ("0 9 L * *", "day-of-month field"),
        ("0 9 * 13 *", "month field"),
        ("0 9 * ? *", "month field"),
        ("0 9 * * FRI-MON", "weekday field: cannot read \"FRI-MON\""),
        ("0 9 * * MON#2", "weekday field"),
        ("60 0 9 * * *", "second field"),
        ("0 0 9 * * * 2200", "year field"),
        ("*/0 9 * * *", "minute field"),
        ("0 -5 * * * * *", "minute field: cannot read \"-5\""),
        ("0 9 1, 15 * * *", "hour field: cannot read \"1,\""),
        ("0 9 15 * MON", "write `*` in one of them"),
        ("0 9 */2 * MON", "write `*` in one of them"),
        ("0 9 1-31 * MON", "write `*` in one of them"),
        ("0 0 31 2 *", "day-of-month field: \"0 0 31 2 *\" never fires"),
        ("0 0 30 FEB ?", "never fires"),
        ("0 0 0 29 2 ? 2027", "never fires"),
    ] {
        let error = refusal(line, "UTC");
        assert!(error.contains(words), "{line}: {error}");
    }
    let long = format!("{}0 9 * * *", "0,".repeat(100));
    assert!(refusal(&long, "UTC").contains("209 characters; write at most 200"));
}

#[test]
fn unknown_zones_are_named_with_a_hint() {
    for (zone, words) in [
        ("seoul", "\"seoul\"; write Asia/Seoul"),
        ("US/New York", "write America/New_York"),
        ("KST", "write Area/City, such as Asia/Seoul"),
        ("+09:00", "write Area/City"),
        ("", "write Area/City"),
        ("Etc/Unknown", "\"Etc/Unknown\""),
    ] {
        let error = refusal("0 9 * * *", zone);
        assert!(error.contains(words), "{zone}: {error}");
    }
    assert_eq!(schedule("0 9 * * *", "ASIA/seoul").zone(), "Asia/Seoul");
}

/// croner as a second opinion, in zones that keep one offset over the years asked about.
#[test]
fn croner_agrees_where_the_clock_never_changes() {
    let mut dice = Dice(42);
    let mut agreed = 0;
    for _ in 0..600 {
        let line = random_line(&mut dice);
        let second: croner::Cron = line.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        let days = i64::try_from(dice.below(30 * 365)).expect("small");
        let from = civil::datetime(2000, 1, 1, 0, 0, 0, 0)
            + SignedDuration::from_secs(days * 86_400 + 60 * dice.below(1_440) as i64);
        for (zone, hours) in [("UTC", 0), ("Asia/Seoul", 9)] {
            let offset = jiff::tz::Offset::from_hours(hours).expect("an offset");
            let Ok(first) = Schedule::parse(&line, zone) else {
                assert!(second.find_next_occurrence(&Civil(from), false).is_err(), "{line}");
                continue;
            };
            let mut civil = Civil(from);
            let mut last_at = offset.to_timestamp(from).expect("in range").as_millisecond();
            for _ in 0..5 {
                civil = second.find_next_occurrence(&civil, false).expect("a firing");
                let expected_at = offset.to_timestamp(civil.0).expect("in range").as_millisecond();
                assert_eq!(first.next_after(last_at), Some(expected_at), "{line} after {last_at}");
                assert_eq!(first.newest_missed(last_at, expected_at), Some(expected_at));
                last_at = expected_at;
                agreed += 1;
            }
        }
    }
    assert!(agreed > 5_000, "only {agreed}");
}

fn random_line(dice: &mut Dice) -> String {
    let minute = random_field(dice, 0, 59);
    let hour = random_field(dice, 0, 23);
    let month = random_field(dice, 1, 12);
    let (day, weekday) = match dice.below(3) {
        0 => (random_field(dice, 1, 31), "*".to_owned()),
        1 => {
            let first = dice.below(6) as usize;
            let last = first + 1 + dice.below(6 - first as u64) as usize;
            let ranges = [",", "-"][dice.below(2) as usize];
            ("*".to_owned(), format!("{}{ranges}{}", WEEKDAYS[first], WEEKDAYS[last]))
        }
        _ => ("*".to_owned(), "*".to_owned()),
    };
    let five = format!("{minute} {hour} {day} {month} {weekday}");
    match dice.below(3) {
        0 => format!("{} {five}", random_field(dice, 0, 59)),
        _ => five,
    }
}

fn random_field(dice: &mut Dice, low: u64, high: u64) -> String {
    let start = low + dice.below(high - low);
    let end = start + 1 + dice.below(high - start);
    match dice.below(6) {
        0 | 1 => "*".to_owned(),
        2 => start.to_string(),
        3 => format!("{start},{end}"),
        4 => format!("{start}-{end}/{}", 1 + dice.below(7)),
        _ => format!("*/{}", 2 + dice.below(high / 2)),
    }
}

/// Civil time without a zone, as croner asks for it.
#[derive(Clone)]
struct Civil(DateTime);

impl CronDateTime for Civil {
    fn to_civil(&self) -> CivilDateTime {
        let [month, day, hour, minute, second] =
            [self.0.month(), self.0.day(), self.0.hour(), self.0.minute(), self.0.second()].map(ordinal);
        CivilDateTime::from_ymd_hms_opt(self.0.year().into(), month, day, hour, minute, second)
            .expect("jiff's times exist")
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(ordinal(self.0.weekday().to_sunday_zero_offset()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let parts = [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()];
        let [month, day, hour, minute, second] = parts.map(|part| part as i8);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        DateTime::new(year, month, day, hour, minute, second, 0)
            .map(|civil| Resolution::Single(Civil(civil)))
            .map_err(|_| CronError::InvalidDate)
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Civil)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
