//! How many messages a destination or a relay may have now, pure: a rate (the generic cell rate algorithm) and the days of a
//! warm-up. Their numbers are stored, so replicas share them and a restart doesn't burst.

use crate::domain::clock::UnixMillis;

/// A rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Messages a second; `None`: as fast as it goes.
    pub per_second: Option<u32>,
}

/// Seconds' worth of messages that may go at once after a quiet time.
const BURST_SECONDS: i64 = 1;

impl Pace {
    /// How many of `wanted` may go at `now`, and the allowance to store after them.
    #[must_use]
    pub fn grant(self, allowance_at: UnixMillis, now: UnixMillis, wanted: u32) -> (u32, UnixMillis) {
        let Some(per_second) = self.per_second.filter(|rate| *rate > 0) else { return (wanted, allowance_at) };
        // In microseconds, so that rates above a thousand a second don't round to nothing.
        let step_us = 1_000_000 / i64::from(per_second);
        let now_us = now.0 * 1_000;
        // An allowance further ahead than a burst is that of a clock which was set back since: it isn't waited for.
        let burst_us = BURST_SECONDS * 1_000_000;
        let start_us = (allowance_at.0 * 1_000).clamp(now_us - burst_us, now_us + burst_us);
        let room = ((now_us - start_us) / step_us).max(0);
        let granted = u32::try_from(room).unwrap_or(u32::MAX).min(wanted);
        let next_us = start_us + i64::from(granted) * step_us;
        (granted, UnixMillis((next_us + 999).div_euclid(1_000)))
    }
}

/// What an address that nobody knows yet may send on each day, so that mailbox hosts get to know it slowly.
#[derive(Clone, Debug)]
pub struct Ramp {
    /// The first day.
    pub since: jiff::civil::Date,
    /// Messages on it, and before it.
    pub from_per_day: u32,
    /// How much more each day allows than the one before.
    pub factor: f64,
    /// Where days begin.
    pub zone: jiff::tz::TimeZone,
}

/// A warm-up is over when a day allows more than this; nobody sends as much.
const WARM_PER_DAY: f64 = 1e9;

impl Ramp {
    /// The day, as a number that grows by one a day.
    #[must_use]
    pub fn day(&self, now: UnixMillis) -> i64 {
        days_between(EPOCH, self.today(now))
    }

    /// How many messages this day allows; `None` once it is over.
    #[must_use]
    pub fn allows(&self, now: UnixMillis) -> Option<i64> {
        let days = i32::try_from(days_between(self.since, self.today(now)).max(0)).unwrap_or(i32::MAX);
        let allowed = f64::from(self.from_per_day) * self.factor.powi(days);
        (allowed <= WARM_PER_DAY).then_some(allowed as i64)
    }

    /// When the next day begins.
    #[must_use]
    pub fn next_day_at(&self, now: UnixMillis) -> UnixMillis {
        let tomorrow = self.today(now).tomorrow().unwrap_or(jiff::civil::Date::MAX);
        let begins = tomorrow.to_zoned(self.zone.clone());
        begins.map_or(now.plus(std::time::Duration::from_secs(3_600)), |at| UnixMillis::from_timestamp(at.timestamp()))
    }

    fn today(&self, now: UnixMillis) -> jiff::civil::Date {
        now.timestamp().to_zoned(self.zone.clone()).date()
    }
}

/// Days are counted from here, so that the first day of a warm-up can be moved; the store has zero where none was counted.
const EPOCH: jiff::civil::Date = jiff::civil::date(1970, 1, 1);

fn days_between(from: jiff::civil::Date, to: jiff::civil::Date) -> i64 {
    from.duration_until(to).as_hours() / 24
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_after_a_quiet_time_and_then_the_rate() {
        let pace = Pace { per_second: Some(10) };
        let (granted, at) = pace.grant(UnixMillis(0), UnixMillis(100_000), 50);
        assert_eq!((granted, at), (10, UnixMillis(100_000)));
        assert_eq!(pace.grant(at, UnixMillis(100_000), 50).0, 0);
        assert_eq!(pace.grant(at, UnixMillis(100_350), 50).0, 3);
        let set_back = UnixMillis(at.0 - 3_600_000);
        let (granted, at_most) = pace.grant(at, set_back, 50);
        assert_eq!((granted, at_most.0 - set_back.0), (0, 1_000), "the clock was set back by an hour");
        assert_eq!(Pace { per_second: None }.grant(at, UnixMillis(0), 7).0, 7);
    }

    #[test]
    fn a_warm_up_grows_by_the_day_of_its_zone_and_ends() {
        let zone = jiff::tz::TimeZone::get("Asia/Seoul").expect("a zone");
        let since = "2026-11-01".parse().expect("a day");
        let ramp = Ramp { since, from_per_day: 500, factor: 2.0, zone };
        let at = |text: &str| UnixMillis::from_timestamp(text.parse().expect("an instant"));
        let late = at("2026-11-01T23:59:59+09:00");
        assert_eq!(ramp.allows(at("2026-10-20T00:00:00+09:00")), Some(500), "a day before the first is no free one");
        assert_eq!(ramp.allows(late), Some(500));
        assert_eq!(ramp.next_day_at(late), at("2026-11-02T00:00:00+09:00"));
        assert_eq!(ramp.allows(ramp.next_day_at(late)), Some(1_000));
        assert_eq!(ramp.allows(at("2026-11-11T12:00:00+09:00")), Some(512_000));
        assert_eq!(ramp.allows(at("2027-11-11T12:00:00+09:00")), None);
        assert_eq!(ramp.day(ramp.next_day_at(late)), ramp.day(late) + 1);
    }
}
