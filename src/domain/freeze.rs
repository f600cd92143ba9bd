//! Days on which digests rest: holidays, and issues that an operator skips. A day is a civil day in a zone of the freeze's own,
//! whatever zone a digest or a reader has.

use super::clock::UnixMillis;
use super::delivery::words;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Freezes that may follow one another before an issue that was put off again and again is let go.
const CHAIN_MAX: usize = 400;

words! {
    /// What becomes of an issue that is due in a freeze.
    Way {
        /// There is none; its posts come with the next.
        Skip = "skip",
        /// It comes at its hour on the first day that is free.
        After = "after",
    }
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// What it is called.
    pub name: String,
    /// Its first day.
    pub first: Date,
    /// Its last day.
    pub last: Date,
    /// The IANA zone in which its days begin and end.
    pub zone: String,
    /// Which digests rest; none named: all.
    pub digests: Vec<String>,
    /// What becomes of their issues.
    pub way: Way,
    /// Why, for whoever looks.
    pub reason: String,
}

/// Where an issue stands that is due at some instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// In no freeze.
    Free,
    /// It is skipped because of this freeze.
    Skipped(&'a Freeze),
    /// It comes at this instant, because of this freeze.
    PutOff(&'a Freeze, UnixMillis),
}

impl Freeze {
    /// When it begins, and when it is over: a day that begins in a gap begins at the first instant after it.
    #[must_use]
    pub fn span(&self) -> Option<(UnixMillis, UnixMillis)> {
        let zone = TimeZone::get(&self.zone).ok()?;
        let begins = |day: Date| day.to_zoned(zone.clone()).ok().map(|at| UnixMillis(at.timestamp().as_millisecond()));
        Some((begins(self.first)?, begins(self.last.tomorrow().ok()?)?))
    }

    /// Whether a digest rests at an instant because of it.
    #[must_use]
    pub fn holds(&self, digest: &str, at: UnixMillis) -> bool {
        let is_meant = self.digests.is_empty() || self.digests.iter().any(|name| name == digest);
        is_meant && self.span().is_some_and(|(from, until)| from <= at && at < until)
    }
}

/// Where an issue of a digest stands that is due at `due_at` by a schedule in `zone`. One that is put off comes at the same hour of
/// its own zone, on the first day after the freeze that no other freeze holds.
#[must_use]
pub fn standing<'a>(freezes: &'a [Freeze], digest: &str, due_at: UnixMillis, zone: &str) -> Standing<'a> {
    let holding = |at: UnixMillis| freezes.iter().filter(move |freeze| freeze.holds(digest, at));
    // Where several hold a day, one that skips wins.
    let Some(first) = holding(due_at).min_by_key(|freeze| freeze.way == Way::After) else { return Standing::Free };
    if first.way == Way::Skip {
        return Standing::Skipped(first);
    }
    let Ok(zone) = TimeZone::get(zone) else { return Standing::Skipped(first) };
    let due = due_at.timestamp().to_zoned(zone.clone());
    let (mut day, mut at) = (due.date(), due_at);
    for _ in 0..CHAIN_MAX {
        if holding(at).next().is_none() {
            return Standing::PutOff(first, at);
        }
        let Ok(next) = day.tomorrow() else { break };
        day = next;
        let Ok(moved) = day.to_datetime(due.time()).to_zoned(zone.clone()) else { break };
        at = UnixMillis(moved.timestamp().as_millisecond());
    }
    Standing::Skipped(first)
}

#[cfg(test)]
mod tests;
