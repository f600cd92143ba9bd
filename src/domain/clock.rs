//! Instants and the clock that every part is handed instead of reading the time itself.

use std::fmt;
use std::time::Duration;

/// An instant: milliseconds since the Unix epoch, as the store keeps it in its `…_at` columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// This instant moved forward.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// This instant moved back.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(millis(by)))
    }

    /// How far `later` lies ahead; zero when it lies behind.
    #[must_use]
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// The same instant for jiff; clamped to what jiff can hold (years -9999 to 9999).
    #[must_use]
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// From jiff, cut to whole milliseconds.
    #[must_use]
    pub fn from_timestamp(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_millisecond())
    }
}

impl fmt::Display for UnixMillis {
    /// RFC 3339 in UTC, for logs and tables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Where the time comes from. The system's clock lives in `app`, a clock that tests move lives here.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> UnixMillis;

    /// Time since some fixed moment, never set back, which also counts while the machine is suspended: leases are
    /// trusted by it.
    fn uptime(&self) -> Duration;
}

/// Where chance comes from. The system's source lives in `app`.
pub trait Chance: Send + Sync {
    /// 64 random bits.
    fn draw(&self) -> u64;

    /// 32 random bits.
    fn draw_32(&self) -> u32 {
        (self.draw() >> 32) as u32
    }

    /// An id for something that names nobody: 53 bits, so that JSON readers keep it exact; never zero.
    fn draw_id(&self) -> i64 {
        i64::try_from(self.draw() >> 11).unwrap_or(i64::MAX).max(1)
    }
}

/// A clock that stands still until it is moved: for tests, previews and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(std::sync::atomic::AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: UnixMillis) -> Self {
        Self(std::sync::atomic::AtomicI64::new(now.0))
    }

    /// Moves the clock to `now`, forwards or backwards.
    pub fn set(&self, now: UnixMillis) {
        self.0.store(now.0, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now().0).unwrap_or(0))
    }
}

/// A reproducible sequence (SplitMix64): for tests and simulations.
#[derive(Debug)]
pub struct SeededChance(std::sync::atomic::AtomicU64);

impl SeededChance {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(std::sync::atomic::AtomicU64::new(seed))
    }
}

impl Chance for SeededChance {
    fn draw(&self) -> u64 {
        let step = 0x9E37_79B9_7F4A_7C15u64;
        let mut z = self.0.fetch_add(step, std::sync::atomic::Ordering::SeqCst).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
