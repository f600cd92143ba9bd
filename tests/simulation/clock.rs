//! A clock that runs with tokio's, which stands still while anything is left to do, and that can be set and suspended.

use allim::domain::clock::{Clock, UnixMillis};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Default)]
pub(super) struct Time(Mutex<Shown>);

#[derive(Default)]
struct Shown {
    now_ms: i64,
    uptime: Duration,
    /// When tokio's clock showed this, in the life under way.
    since: Option<Instant>,
}

impl Shown {
    fn passed(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

impl Time {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self, now: UnixMillis) {
        *self.lock() = Shown { now_ms: now.0, uptime: Duration::from_secs(1_000), since: None };
    }

    /// A life begins: each has a runtime, and so a clock of tokio's, of its own.
    pub(super) fn run(&self) {
        self.lock().since = Some(Instant::now());
    }

    /// A life ends; must be called while its runtime is there.
    pub(super) fn stop(&self) {
        let mut shown = self.lock();
        let passed = shown.passed();
        shown.now_ms += millis(passed);
        shown.uptime += passed;
        shown.since = None;
    }

    /// Somebody sets the clock.
    pub(super) fn set_by(&self, ms: i64) {
        self.lock().now_ms += ms;
    }

    /// The machine sleeps: no timer goes off, and yet time passes.
    pub(super) fn suspend(&self, time: Duration) {
        let mut shown = self.lock();
        shown.now_ms += millis(time);
        shown.uptime += time;
    }
}

impl Clock for Time {
    fn now(&self) -> UnixMillis {
        let shown = self.lock();
        UnixMillis(shown.now_ms + millis(shown.passed()))
    }

    fn uptime(&self) -> Duration {
        let shown = self.lock();
        shown.uptime + shown.passed()
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
