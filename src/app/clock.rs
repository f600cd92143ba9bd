//! The home of the clock and of chance: the only place that reads either.

use crate::domain::clock::{Chance, Clock, UnixMillis};
use std::time::Duration;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the clock's home")]
    fn now(&self) -> UnixMillis {
        UnixMillis::from_timestamp(jiff::Timestamp::now())
    }

    /// `CLOCK_BOOTTIME`, which counts suspension (clock_gettime(2)).
    fn uptime(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// The system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    #[allow(clippy::disallowed_methods, reason = "this is the home of chance")]
    fn draw(&self) -> u64 {
        rand::random()
    }
}
