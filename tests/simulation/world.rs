//! What surrounds a process: chance, weather, and the moment of its death.

use super::clock::Time;
use allim::domain::clock::{Chance as _, SeededChance};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How things go, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// Jobs that the store never hears of.
    pub(super) store_deaf: usize,
    /// Jobs that take hold and whose answer is lost.
    pub(super) store_mute: usize,
    /// Answers of the store that take seconds.
    pub(super) store_slow: usize,
    /// Letters that don't simply go well.
    pub(super) far_side: usize,
    /// Moments at which somebody else goes first.
    pub(super) crowd: usize,
}

pub(super) struct World {
    pub(super) time: Arc<Time>,
    dice: Mutex<SeededChance>,
    weather: Mutex<Weather>,
    /// How many more points there are until the process dies; 0: it won't.
    until_death: AtomicU64,
    is_dead: AtomicBool,
    pub(super) died: Notify,
    /// Points passed.
    pub(super) passed: AtomicU64,
    /// Until when the process's lease can be good, by when it was asked for last; in milliseconds of uptime.
    pub(super) lease_until_ms: AtomicU64,
}

impl World {
    pub(super) fn new(time: Arc<Time>) -> Self {
        Self {
            time,
            dice: Mutex::new(SeededChance::new(0)),
            weather: Mutex::default(),
            until_death: AtomicU64::new(0),
            is_dead: AtomicBool::new(false),
            died: Notify::new(),
            passed: AtomicU64::new(0),
            lease_until_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn set(&self, weather: Weather, dice: u64) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
        *self.dice.lock().unwrap_or_else(PoisonError::into_inner) = SeededChance::new(dice);
    }

    pub(super) fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn below(&self, limit: usize) -> usize {
        let draw = self.dice.lock().unwrap_or_else(PoisonError::into_inner).draw();
        usize::try_from(draw % limit.max(1) as u64).unwrap_or(0)
    }

    pub(super) fn percent(&self, percent: usize) -> bool {
        percent > 0 && self.below(100) < percent
    }

    /// A new process.
    pub(super) fn revive(&self) {
        self.is_dead.store(false, Ordering::SeqCst);
        self.until_death.store(0, Ordering::SeqCst);
    }

    /// The process will die at the `points`-th point from now.
    pub(super) fn die_after(&self, points: u64) {
        self.until_death.store(points.max(1), Ordering::SeqCst);
    }

    /// Something that others can see was just done, or is about to be: here the process may die, and here another task
    /// may go first. Between two points nothing happens that anybody else could tell apart.
    pub(super) async fn point(&self) {
        self.passed.fetch_add(1, Ordering::SeqCst);
        let left = self.until_death.load(Ordering::SeqCst);
        if left > 0 {
            self.until_death.store(left - 1, Ordering::SeqCst);
            if left == 1 {
                self.is_dead.store(true, Ordering::SeqCst);
                self.died.notify_one();
            }
        }
        if self.is_dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.percent(self.weather().crowd) {
            match self.below(4) {
                0 => tokio::task::yield_now().await,
                1 => {
                    for _ in 0..self.below(24) {
                        tokio::task::yield_now().await;
                    }
                }
                _ => tokio::time::sleep(Duration::from_millis(1 + self.below(40) as u64)).await,
            }
        }
    }
}
