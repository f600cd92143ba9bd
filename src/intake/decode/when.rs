//! Dates: instants of a post, days and civil times of an event.

use crate::domain::clock::UnixMillis;
use crate::domain::post::EventTime;
use crate::intake::fields::{Fault, Field};
use crate::intake::wire::YEARS;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};

/// An instant in RFC 3339, with its offset.
///
/// # Errors
/// `bad_field`, with the same date written right.
pub fn instant(field: &Field) -> Result<UnixMillis, Fault> {
    let Written { date, time, offset } = written(field)?;
    let Some(time) = time else {
        return Err(field.bad(&format!("needs a time and an offset: write {date}T00:00:00+09:00, with your offset")));
    };
    let Some(offset) = offset else {
        return Err(field.bad(&format!("needs an offset: write {date}T{time}+09:00, with yours")));
    };
    // 1970-01-01T00:00+09:00 lies before the epoch; no store column of ours holds a negative instant.
    let at = offset.to_timestamp(DateTime::from_parts(date, time)).ok().map(UnixMillis::from_timestamp);
    at.filter(|at| at.0 >= 0).ok_or_else(|| field.bad("lies before 1970-01-01T00:00:00Z; write the true date"))
}

/// A day or a civil time of an event. With an offset it is an instant, which `zone` turns into civil time there.
///
/// # Errors
/// `bad_field`.
pub fn civil(field: &Field, zone: Option<&TimeZone>) -> Result<EventTime, Fault> {
    let Written { date, time, offset } = written(field)?;
    match (time, offset, zone) {
        (None, ..) => Ok(EventTime::Day(date)),
        (Some(time), None, _) => Ok(EventTime::Time(DateTime::from_parts(date, time))),
        (Some(time), Some(offset), Some(zone)) => offset
            .to_timestamp(DateTime::from_parts(date, time))
            .map(|at| EventTime::Time(zone.to_datetime(at)))
            .map_err(|_| field.bad("is beyond the calendar; write the true date")),
        (Some(time), Some(_), None) => Err(field.bad(&format!(
            "has an offset but the event no `time_zone`: give one such as Asia/Seoul, or write {date}T{time}"
        ))),
    }
}

/// Whether an event would end before it starts. Beside a time, a day lasts until its midnight.
#[must_use]
pub fn ends_early(starts_at: EventTime, ends_at: EventTime) -> bool {
    match (starts_at, ends_at) {
        (EventTime::Time(starts_at), EventTime::Time(ends_at)) => ends_at < starts_at,
        _ => day(ends_at) < day(starts_at),
    }
}

/// An IANA time zone and its name as the database spells it.
///
/// # Errors
/// `bad_field`.
pub fn zone(field: &Field) -> Result<(TimeZone, String), Fault> {
    let zone = TimeZone::get(field.string()?.trim()).ok();
    let named = zone.and_then(|zone| zone.iana_name().map(str::to_owned).map(|name| (zone, name)));
    let named = named.filter(|(zone, name)| !zone.is_unknown() && !MACHINE_ZONES.contains(&name.as_str()));
    named.ok_or_else(|| field.bad("is not a time zone of the IANA database; write one such as Asia/Seoul"))
}

/// Files beside the database's own that mean whatever this machine is set to.
const MACHINE_ZONES: [&str; 2] = ["localtime", "posixrules"];

fn day(time: EventTime) -> Date {
    match time {
        EventTime::Time(time) => time.date(),
        EventTime::Day(day) => day,
    }
}

struct Written {
    date: Date,
    time: Option<Time>,
    offset: Option<Offset>,
}

/// The parts that are written there, with nothing assumed for those that aren't.
fn written(field: &Field) -> Result<Written, Fault> {
    let raw = field.string()?;
    let pieces = Pieces::parse(raw.trim())
        .map_err(|_| field.bad("is not a date that exists; write it as 2026-04-22T09:30:00+09:00"))?;
    let date = pieces.date();
    if !YEARS.contains(&date.year()) {
        let (from, to) = (YEARS.start(), YEARS.end());
        return Err(field.bad(&format!("lies in the year {}, not in {from} to {to}; write the true date", date.year())));
    }
    Ok(Written { date, time: pieces.time(), offset: pieces.to_numeric_offset() })
}
