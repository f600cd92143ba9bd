//! How many messages a destination may have now: the generic cell rate algorithm, pure. Its one number is stored, so
//! replicas share a rate and a restart doesn't burst.

use crate::domain::clock::UnixMillis;

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        (granted, UnixMillis((next_us + 999) / 1_000))
    }
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
}
