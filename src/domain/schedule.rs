//! When a digest goes out: a cron line in civil time, with an IANA zone.
//!
//! The `cron` crate reads the line into sets of seconds, minutes, hours and days. It is not asked
//! for instants: in a zone with summer time it skips the day of the gap, fires twice in the overlap
//! and gives `*/30` out of order. The walk here goes over plain civil time, which never meets a
//! clock change, and jiff maps each civil time to one instant.

use std::ops::Bound::{Excluded, Unbounded};
use std::str::FromStr;

use cron::TimeUnitSpec;
use jiff::Timestamp;
use jiff::civil::{self, Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

#[cfg(test)]
mod tests;

/// No useful line is longer, and the line is stored, shown and repeated in errors.
const LINE_CHARS_MAX: usize = 200;
/// The walk starts no earlier and ends no later: the `cron` crate knows the years 1970 to 2100.
const BEFORE_ALL: DateTime = civil::datetime(1969, 12, 31, 23, 59, 59, 0);
const LAST_YEAR: i16 = 2100;
/// The fields in the order of the `cron` crate, and what may be written in each.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day-of-month", "1 to 31"),
    ("month", "1 to 12 or JAN to DEC"),
    ("weekday", "SUN to SAT, of which SUN is the first"),
    ("year", "1970 to 2100"),
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron line in civil time with an IANA zone.
///
/// Its firings are strictly increasing and end with the year 2100. A civil time that doesn't exist
/// fires at the first valid instant after the gap, once with all others of that gap; one that
/// happens twice fires the first time only; a day that the zone leaves out fires nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    line: String,
    fields: cron::Schedule,
    zone: String,
    clock: TimeZone,
}

/// Why a line and a zone make no schedule; each text names the field and says what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The line has so many characters, more than any useful one.
    #[error("the schedule has {0} characters; write at most {LINE_CHARS_MAX}")]
    TooLong(usize),
    /// The line has so many fields, not five, six or seven; `@daily` counts as one.
    #[error(
        "the schedule has {0} fields; write five (minute hour day-of-month month weekday, such as \
         `0 9 * * MON`), or six with the second in front, or seven with the year at the end"
    )]
    FieldCount(usize),
    /// A field holds something that has no meaning there.
    #[error(
        "{field} field: cannot read {text:?}; write `*` or values from {allowed}, as a list `a,b`, \
         a rising range `a-b`, or with a step `*/n` or `a-b/n`"
    )]
    Unreadable {
        /// The field's name
        field: &'static str,
        /// What stands there
        text: String,
        /// What may stand there
        allowed: &'static str,
    },
    /// Weekdays are numbers, which start at different days in different crons.
    #[error(
        "weekday field: the numbers in {text:?} mean different days in different crons; if Sunday \
         is 0, as in crontab, write {instead}"
    )]
    NumericWeekday {
        /// What stands there
        text: String,
        /// The names to write
        instead: String,
    },
    /// Both day fields are restricted, which some crons read as "and", others as "or".
    #[error(
        "day-of-month field {day:?} and weekday field {weekday:?}: some crons want both to hold, \
         others either; write `*` in one of them"
    )]
    DayAndWeekday {
        /// What stands in day-of-month
        day: String,
        /// What stands in weekday
        weekday: String,
    },
    /// The line has no firing from 1970 to 2100 in its zone, as with 31 February.
    #[error("day-of-month field: {0:?} never fires; write a day that its months and years have")]
    NeverFires(String),
    /// The zone isn't in the time zone database.
    #[error("no time zone is called {zone:?}; {hint}")]
    UnknownZone {
        /// What was asked for
        zone: String,
        /// What to write
        hint: String,
    },
    /// Readers may not have their own time, because the line has no single one to replace.
    #[error(
        "hour and minute fields: readers can choose their own only where the line has one of each \
         and second 0, as in `0 9 * * MON`, not in {0:?}"
    )]
    NoFixedTime(String),
    /// A reader's own hour and minute are no time of day.
    #[error("{0}:{1} is no time of day; write an hour from 0 to 23 and a minute from 0 to 59")]
    NoSuchTime(i8, i8),
}

impl Schedule {
    /// Reads a line of five fields as in crontab, six with the second in front, or seven with the
    /// year at the end. The zone is an IANA name in any case.
    ///
    /// `5/15` stands for `5-59/15`. A line whose firings all lie in the past is taken.
    ///
    /// # Errors
    /// What is wrong with the line or the zone, or is read differently by different crons.
    pub fn parse(line: &str, zone: &str) -> Result<Schedule, ScheduleError> {
        let chars = line.chars().count();
        if chars > LINE_CHARS_MAX {
            return Err(ScheduleError::TooLong(chars));
        }
        Schedule::from_written(&line.split_whitespace().collect::<Vec<_>>(), zone)
    }

    /// This schedule at a reader's own hour (0 to 23) and minute (0 to 59). The day fields stay and
    /// are read in the reader's zone.
    ///
    /// # Errors
    /// When [`Schedule::fixed_time`] is `None`, there is no such time or zone, or the zone leaves
    /// out the only days.
    pub fn with_own_time(&self, hour: i8, minute: i8, zone: &str) -> Result<Schedule, ScheduleError> {
        if self.fixed_time().is_none() {
            return Err(ScheduleError::NoFixedTime(self.line.clone()));
        }
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) {
            return Err(ScheduleError::NoSuchTime(hour, minute));
        }
        let (hour, minute) = (hour.to_string(), minute.to_string());
        let mut written: Vec<&str> = self.line.split(' ').collect();
        let minute_index = usize::from(written.len() > 5);
        written[minute_index] = &minute;
        written[minute_index + 1] = &hour;
        Schedule::from_written(&written, zone)
    }

    /// The first firing strictly later than `after_at`, both in milliseconds since the Unix epoch,
    /// or `None` when there are no more.
    #[must_use]
    pub fn next_after(&self, after_at: i64) -> Option<i64> {
        // Every civil time up to the one that the clock shows has had its first pass, so the walk
        // starts there. In an overlap's second pass it steps over what fired in the first.
        let mut from = self.clock.to_datetime(instant(after_at)).max(BEFORE_ALL);
        while let Some(civil) = self.civil_after(from) {
            match self.firing(civil) {
                Some(at) if at > after_at => return Some(at),
                Some(_) => from = civil,
                None => from = civil.date().to_datetime(Time::MAX),
            }
        }
        None
    }

    /// The latest firing later than `after_at` and not later than `now_at`, all in milliseconds
    /// since the Unix epoch. It halves the time between them, so a long downtime costs little.
    #[must_use]
    pub fn newest_missed(&self, after_at: i64, now_at: i64) -> Option<i64> {
        let missed_after = |at| self.next_after(at).filter(|next_at| *next_at <= now_at);
        let mut newest_at = missed_after(after_at)?;
        let mut none_after_at = now_at;
        while newest_at < none_after_at {
            let middle_at = newest_at + none_after_at.saturating_sub(newest_at) / 2;
            match missed_after(middle_at) {
                Some(at) => newest_at = at,
                None => none_after_at = middle_at,
            }
        }
        Some(newest_at)
    }

    /// The line, with one space between the fields.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The IANA name of the zone, in its usual case.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// Hour (0 to 23) and minute (0 to 59) when the line has one of each and second 0; exactly then
    /// readers can have their own.
    #[must_use]
    pub fn fixed_time(&self) -> Option<(i8, i8)> {
        let time = self.first_time()?;
        let counts = [self.fields.hours().count(), self.fields.minutes().count()];
        let is_fixed = counts == [1, 1] && self.fields.seconds().count() == 1;
        (is_fixed && time.second() == 0).then(|| (time.hour(), time.minute()))
    }

    fn from_written(written: &[&str], zone: &str) -> Result<Schedule, ScheduleError> {
        let mut seven = ["0", "*", "*", "*", "*", "*", "*"];
        match written.len() {
            5 => seven[1..6].copy_from_slice(written),
            6 | 7 => seven[..written.len()].copy_from_slice(written),
            count => return Err(ScheduleError::FieldCount(count)),
        }
        refuse_what_crons_read_differently(seven[3], seven[5])?;
        let fields = read_fields(&seven)?;
        let (clock, zone) = look_up_zone(zone)?;
        let schedule = Schedule { line: written.join(" "), fields, zone, clock };
        match schedule.next_after(i64::MIN) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::NeverFires(schedule.line)),
        }
    }

    /// The instant at which a civil time fires, `None` when the zone leaves out its whole day.
    fn firing(&self, civil: DateTime) -> Option<i64> {
        let first = match self.clock.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok()?,
            AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok()?,
            AmbiguousOffset::Gap { before, after } => {
                // Read with the later offset, a time in the gap lies shortly before the jump.
                let near = after.to_timestamp(civil).ok()?;
                let mut changes = self.clock.following(near);
                let jump = changes.find(|change| change.offset() == after)?.timestamp();
                let day_starts = civil.date().to_datetime(Time::midnight());
                let day_ends = civil.date().tomorrow().ok()?.to_datetime(Time::midnight());
                if before.to_datetime(jump) <= day_starts && day_ends <= after.to_datetime(jump) {
                    return None;
                }
                jump
            }
        };
        Some(first.as_millisecond())
    }

    /// The first civil time of the line after `from`, whether or not the zone has it.
    fn civil_after(&self, from: DateTime) -> Option<DateTime> {
        let mut day = from.date();
        if self.day_fits(day)
            && let Some(time) = self.time_after(from.time())
        {
            return Some(day.to_datetime(time));
        }
        while day.year() <= LAST_YEAR {
            // A month that doesn't fit is left in one step, so a whole century is a short walk.
            let month_fits = self.month_fits(day);
            day = if month_fits { day } else { day.last_of_month() }.tomorrow().ok()?;
            if self.day_fits(day) {
                return Some(day.to_datetime(self.first_time()?));
            }
        }
        None
    }

    fn day_fits(&self, day: Date) -> bool {
        let weekday = day.weekday().to_sunday_one_offset();
        self.month_fits(day)
            && self.fields.days_of_month().includes(ordinal(day.day()))
            && self.fields.days_of_week().includes(ordinal(weekday))
    }

    fn month_fits(&self, day: Date) -> bool {
        self.fields.years().includes(day.year().unsigned_abs().into())
            && self.fields.months().includes(ordinal(day.month()))
    }

    fn time_after(&self, from: Time) -> Option<Time> {
        let (hours, minutes) = (self.fields.hours(), self.fields.minutes());
        let [hour, minute, second] = [from.hour(), from.minute(), from.second()].map(ordinal);
        let first = self.first_time()?;
        if hours.includes(hour) {
            if minutes.includes(minute)
                && let Some(second) = after(self.fields.seconds(), second)
            {
                return from.with().second(second).subsec_nanosecond(0).build().ok();
            }
            if let Some(minute) = after(minutes, minute) {
                return first.with().hour(from.hour()).minute(minute).build().ok();
            }
        }
        first.with().hour(after(hours, hour)?).build().ok()
    }

    /// The line's first time of any day.
    fn first_time(&self) -> Option<Time> {
        let hour = i8::try_from(self.fields.hours().iter().next()?).ok()?;
        let minute = i8::try_from(self.fields.minutes().iter().next()?).ok()?;
        let second = i8::try_from(self.fields.seconds().iter().next()?).ok()?;
        Time::new(hour, minute, second, 0).ok()
    }
}

fn after(unit: &impl TimeUnitSpec, value: u32) -> Option<i8> {
    let next = unit.range((Excluded(value), Unbounded)).next()?;
    i8::try_from(next).ok()
}

/// jiff counts in `i8`, the `cron` crate in `u32`; none of these is negative.
fn ordinal(value: i8) -> u32 {
    value.unsigned_abs().into()
}

/// The instant `at` in milliseconds since the Unix epoch, or jiff's first or last.
fn instant(at: i64) -> Timestamp {
    let end = if at < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at).unwrap_or(end)
}

/// Reads each field by itself first, so that an error names it and none reaches into the next.
fn read_fields(seven: &[&str; 7]) -> Result<cron::Schedule, ScheduleError> {
    let unreadable = |(field, allowed), text: &str| {
        let text = text.to_owned();
        ScheduleError::Unreadable { field, text, allowed }
    };
    for (index, text) in seven.iter().enumerate() {
        let mut alone = ["*"; 7];
        alone[index] = text;
        cron::Schedule::from_str(&alone.join(" ")).map_err(|_| unreadable(FIELDS[index], text))?;
    }
    let line = seven.join(" ");
    cron::Schedule::from_str(&line).map_err(|_| unreadable(("each", "its range"), &line))
}

fn refuse_what_crons_read_differently(day: &str, weekday: &str) -> Result<(), ScheduleError> {
    let is_numeric = |item: &str| {
        let days = item.split('/').next().unwrap_or_default();
        days.split('-').any(|day| day.parse::<u8>().is_ok())
    };
    if weekday.split(',').any(is_numeric) {
        let named: Option<Vec<String>> = weekday.split(',').map(by_name).collect();
        let instead = named.map_or_else(|| "MON for 1, MON-FRI for 1-5".to_owned(), |n| n.join(","));
        return Err(ScheduleError::NumericWeekday { text: weekday.to_owned(), instead });
    }
    let is_restricted = |field: &str| field != "*" && field != "?";
    if is_restricted(day) && is_restricted(weekday) {
        let (day, weekday) = (day.to_owned(), weekday.to_owned());
        return Err(ScheduleError::DayAndWeekday { day, weekday });
    }
    Ok(())
}

/// One item of a weekday list as names, with its numbers read as crontab does: Sunday is 0 and 7.
fn by_name(item: &str) -> Option<String> {
    let number = |text: &str| {
        let named = WEEKDAYS.iter().position(|name| name.eq_ignore_ascii_case(text));
        named.or_else(|| text.parse().ok().filter(|number| *number <= 7))
    };
    let (days, step) = item.split_once('/').unwrap_or((item, "1"));
    let (first, last) = match days.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None if days == "*" => return Some(item.to_owned()),
        None if item.contains('/') => (number(days)?, 6),
        None => (number(days)?, number(days)?),
    };
    let step = step.parse().ok().filter(|step| *step > 0)?;
    let name = |number: usize| WEEKDAYS[number % 7];
    // The `cron` crate's week ends with SAT, so a range over that end becomes a list.
    Some(match last.checked_sub(first)? {
        6.. if step == 1 => "*".to_owned(),
        1.. if step == 1 && last <= 6 => format!("{}-{}", name(first), name(last)),
        _ => (first..=last).step_by(step).map(name).collect::<Vec<_>>().join(","),
    })
}

/// The zone and its name in its usual case. Only the database inside the program is asked, so that
/// all replicas know the same clock changes.
fn look_up_zone(zone: &str) -> Result<(TimeZone, String), ScheduleError> {
    let known = TimeZoneDatabase::bundled();
    // jiff's stand-in for an unknown zone, Etc/Unknown, is the one without a name.
    if let Ok(clock) = known.get(zone)
        && let Some(name) = clock.iana_name().map(str::to_owned)
    {
        return Ok((clock, name));
    }
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().replace(' ', "_");
    let wanted = city(zone);
    let meant = known.available().find(|name| city(name.as_str()).eq_ignore_ascii_case(&wanted));
    let shown = meant.map_or("Area/City, such as Asia/Seoul".to_owned(), |name| name.to_string());
    let zone = zone.chars().take(LINE_CHARS_MAX).collect();
    Err(ScheduleError::UnknownZone { zone, hint: format!("write {shown}") })
}
