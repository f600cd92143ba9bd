//! An own account at a social network: what it is told of, and when it speaks.

use super::clock::UnixMillis;
use super::ids;
use super::language::Language;
use super::post::Post;
use super::schedule::{Schedule, ScheduleError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What becomes of what an account said when the post is revised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Revised {
    /// It is changed where the network can; elsewhere it is left.
    #[default]
    Edit,
    /// It is answered, where the network can; elsewhere it is left.
    Reply,
    /// It is left.
    Leave,
}

/// What planning goes by.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What carries to it: the network.
    pub carrier: String,
    /// What it speaks.
    pub language: Language,
    /// What it is told of; empty: everything.
    pub topics: Vec<String>,
    /// Whose posts; empty: everybody's.
    pub sources: Vec<String>,
    /// What becomes of what it said.
    pub revised: Revised,
}

impl Rule {
    /// The endpoint that it is in the ledger: the same as long as it has this name at this network.
    #[must_use]
    pub fn endpoint_id(&self) -> i64 {
        ids::endpoint_id(&self.carrier, &self.name, "")
    }

    /// Whether it is told of a post of this source.
    #[must_use]
    pub fn wants(&self, source: &str, post: &Post) -> bool {
        let is_topic = || post.topics_all().iter().any(|topic| self.topics.contains(topic));
        let is_source = self.sources.is_empty() || self.sources.iter().any(|one| one == source);
        is_source && (self.topics.is_empty() || is_topic())
    }
}

/// The times of day at which an account speaks, at most once each.
#[derive(Clone, Debug)]
pub struct Slots(Vec<Schedule>);

/// The slot that counts now is one of the last days'; older ones are as good as none.
const LOOK_BACK: Duration = Duration::from_secs(3 * 86_400);

impl Slots {
    /// Reads times of day (`09:00`) of a zone. `None` where there is none.
    ///
    /// # Errors
    /// What is wrong with one of them, and which.
    pub fn parse(times: &[String], zone: &str) -> Result<Option<Self>, (usize, String)> {
        let slot = |(index, text): (usize, &String)| {
            let time = || {
                let (hour, minute) =
                    text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
                let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
                ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some((hour, minute))
            };
            let (hour, minute) = time().ok_or((index, "write a time of day, such as `09:00`".to_owned()))?;
            let line = format!("{minute} {hour} * * *");
            Schedule::parse(&line, zone).map_err(|error: ScheduleError| (index, error.to_string()))
        };
        let slots: Vec<Schedule> = times.iter().enumerate().map(slot).collect::<Result<_, _>>()?;
        Ok((!slots.is_empty()).then_some(Self(slots)))
    }

    /// The newest slot up to `now`.
    #[must_use]
    pub fn newest(&self, now: UnixMillis) -> Option<UnixMillis> {
        let from = now.minus(LOOK_BACK);
        self.0.iter().filter_map(|slot| slot.newest_missed(from.0, now.0)).max().map(UnixMillis)
    }

    /// The first one after `now`.
    #[must_use]
    pub fn next(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.0.iter().filter_map(|slot| slot.next_after(now.0)).min().map(UnixMillis)
    }
}

/// The times as they were written, in their order.
impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times: Vec<(i8, i8)> = self.0.iter().filter_map(Schedule::fixed_time).collect();
        times.sort_unstable();
        let times: Vec<String> = times.into_iter().map(|(hour, minute)| format!("{hour:02}:{minute:02}")).collect();
        f.write_str(&times.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMillis {
        UnixMillis(text.parse::<jiff::Timestamp>().expect("an instant").as_millisecond())
    }

    #[test]
    fn slots_are_civil_time() {
        let times = ["09:00", "12:30", "18:00"].map(str::to_owned);
        let slots = Slots::parse(&times, "Asia/Seoul").expect("times").expect("slots");
        let noon = at("2026-05-01T03:00:00Z");
        assert_eq!(slots.newest(noon), Some(at("2026-05-01T00:00:00Z")), "nine in Seoul");
        assert_eq!(slots.next(noon), Some(at("2026-05-01T03:30:00Z")));
        assert_eq!(slots.newest(at("2026-05-01T00:00:00Z")), Some(at("2026-05-01T00:00:00Z")), "at its very instant");
        assert_eq!(slots.newest(at("2026-04-30T23:59:59Z")), Some(at("2026-04-30T09:00:00Z")));
        // The night in which Berlin has no half past two.
        let night = Slots::parse(&["02:30".to_owned()], "Europe/Berlin").expect("times").expect("slots");
        assert_eq!(night.newest(at("2026-03-29T02:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn what_is_no_time_of_day_is_refused_by_its_place() {
        for bad in ["24:00", "9:00", "09:60", "9:5", "-1:00", "aa:bb", "009:00"] {
            let refused = Slots::parse(&["09:00".to_owned(), bad.to_owned()], "UTC").expect_err(bad);
            assert_eq!(refused.0, 1);
        }
        assert!(Slots::parse(&[], "UTC").expect("none").is_none());
        assert_eq!(Slots::parse(&["09:00".to_owned()], "Mars/Base").expect_err("no zone").0, 0);
    }
}
