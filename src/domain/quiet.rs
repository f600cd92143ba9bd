//! Quiet hours: a stretch of each day, by the clock of a zone, in which a digest's mail rests.

use super::clock::UnixMillis;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// From one time of day until another, which may lie on the next day: `21:00-08:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours {
    from: Time,
    until: Time,
}

/// One night: nothing begins to be sent from `from_at` on, until `until_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Night {
    /// Its first instant.
    pub from_at: UnixMillis,
    /// The first instant after it.
    pub until_at: UnixMillis,
}

impl Night {
    /// Whether it is quiet now.
    #[must_use]
    pub fn holds(self, now: UnixMillis) -> bool {
        self.from_at <= now && now < self.until_at
    }
}

impl QuietHours {
    /// The night that `now` lies in, else the next one. A time that the clock skips is as much later as the gap is long, and one
    /// that comes twice is the first of the two. `None` at the end of time.
    #[must_use]
    pub fn night(self, zone: &TimeZone, now: UnixMillis) -> Option<Night> {
        let today = zone.to_datetime(now.timestamp()).date();
        let yesterday = today.yesterday().ok()?;
        // Yesterday's may not be over yet.
        std::iter::successors(Some(yesterday), |day| day.tomorrow().ok()).take(4).find_map(|day| {
            let last = if self.until > self.from { day } else { day.tomorrow().ok()? };
            let at = |date: jiff::civil::Date, time: Time| {
                let zoned = zone.to_ambiguous_zoned(date.to_datetime(time)).compatible().ok()?;
                Some(UnixMillis(zoned.timestamp().as_millisecond()))
            };
            let night = Night { from_at: at(day, self.from)?, until_at: at(last, self.until)? };
            (now < night.until_at).then_some(night)
        })
    }
}

/// Why a text names no quiet hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write two different times of day, such as `21:00-08:00`")]
pub struct BadQuietHours;

impl FromStr for QuietHours {
    type Err = BadQuietHours;

    fn from_str(text: &str) -> Result<Self, BadQuietHours> {
        let time = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| BadQuietHours);
        let (from, until) = text.split_once('-').ok_or(BadQuietHours)?;
        let (from, until) = (time(from)?, time(until)?);
        if from == until { Err(BadQuietHours) } else { Ok(Self { from, until }) }
    }
}

impl TryFrom<String> for QuietHours {
    type Error = BadQuietHours;

    fn try_from(text: String) -> Result<Self, BadQuietHours> {
        text.parse()
    }
}

impl From<QuietHours> for String {
    fn from(hours: QuietHours) -> Self {
        hours.to_string()
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.strftime("%H:%M"), self.until.strftime("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<jiff::Timestamp>().expect("an instant").as_millisecond())
    }

    fn night(hours: &str, zone: &str, now: &str) -> (UnixMillis, UnixMillis) {
        let zone = TimeZone::get(zone).expect("a zone");
        let night = hours.parse::<QuietHours>().expect("quiet hours").night(&zone, at(now)).expect("a night");
        (night.from_at, night.until_at)
    }

    #[test]
    fn a_night_goes_on_past_midnight() {
        let seoul = |now: &str| night("21:00-08:00", "Asia/Seoul", now);
        let first = (at("2026-11-23T21:00+09:00"), at("2026-11-24T08:00+09:00"));
        for now in ["2026-11-23T12:00+09:00", "2026-11-23T21:00+09:00", "2026-11-24T07:59+09:00"] {
            assert_eq!(seoul(now), first, "{now}");
        }
        assert_eq!(seoul("2026-11-24T08:00+09:00").0, at("2026-11-24T21:00+09:00"));
    }

    #[test]
    fn a_rest_within_a_day_and_half_hour_zones() {
        let rest = night("12:30-13:30", "Asia/Kolkata", "2026-11-23T12:45+05:30");
        assert_eq!(rest, (at("2026-11-23T12:30+05:30"), at("2026-11-23T13:30+05:30")));
        assert_eq!(night("12:30-13:30", "Asia/Kolkata", "2026-11-23T13:30+05:30").0, at("2026-11-24T12:30+05:30"));
    }

    #[test]
    fn a_night_in_which_the_clock_changes() {
        // Berlin skips 02:00 to 03:00 on 29 March 2026 and has it twice on 25 October.
        let gap = night("22:00-02:30", "Europe/Berlin", "2026-03-28T23:00+01:00");
        assert_eq!(gap.1, at("2026-03-29T03:30+02:00"));
        let overlap = night("22:00-02:30", "Europe/Berlin", "2026-10-24T23:00+02:00");
        assert_eq!(overlap.1, at("2026-10-25T02:30+02:00"));
    }

    #[test]
    fn what_names_no_hours_is_refused() {
        for text in ["", "21:00", "21:00-21:00", "21-8", "25:00-08:00", "21:00-08:00-09:00"] {
            assert_eq!(text.parse::<QuietHours>(), Err(BadQuietHours), "{text}");
        }
        assert_eq!("21:00 - 08:00".parse::<QuietHours>().map(|hours| hours.to_string()), Ok("21:00-08:00".to_owned()));
    }
}
