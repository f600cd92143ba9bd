//! Tallies: how much of what happened when, for the plots of the control room. They are counted in memory and written every few
//! seconds; a process that is killed loses what it counted last, and nothing depends on that.

use super::value::params;
use super::{Store, StoreError, Tx};
use crate::domain::clock::UnixMillis;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Messages that came in; the name is what was said of them.
    In,
    /// What became of deliveries; the name is `CARRIER/STATE`.
    Out,
    /// From accepting the newest post of a mail to its being sent; the name is the upper bound of a bucket in milliseconds.
    Delay,
    /// Addresses that were refused, by the name of their domain.
    Bounce,
    /// Requests for feeds; the name says whether the reader knew what it asked for (`known`) or was given it (`fresh`).
    Feed,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Delay => "delay",
            Self::Bounce => "bounce",
            Self::Feed => "feed",
        }
    }
}

/// Upper bounds of the buckets of delays, in milliseconds; what took longer than the last is put into it.
pub const DELAYS_MS: [i64; 18] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    1_800_000,
    3_600_000,
    7_200_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
];
/// One minute, kept for [`MINUTES_KEPT`].
pub const MINUTE_MS: i64 = 60_000;
/// One hour, kept for [`HOURS_KEPT`].
pub const HOUR_MS: i64 = 3_600_000;
const MINUTES_KEPT: Duration = Duration::from_secs(2 * 86_400);
const HOURS_KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Names of one kind between two writes; what comes beyond is counted under [`OTHERS`], so that nobody fills the table by
/// inventing domains.
const NAMES_MAX: usize = 200;
/// Where names beyond the limit are counted.
pub const OTHERS: &str = "…";

/// The tallies of this process since they were written last.
#[derive(Clone, Default)]
pub struct Tallies(Arc<Counts>);

#[derive(Default)]
struct Counts {
    /// Feeds are asked for more often than anything else happens, so these take no lock.
    feed_fresh: AtomicI64,
    feed_known: AtomicI64,
    named: Mutex<BTreeMap<(Kind, String), i64>>,
}

impl Tallies {
    /// Counts something.
    pub fn count(&self, kind: Kind, name: &str, times: i64) {
        let mut named = self.0.named.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, name.to_owned());
        let is_known = named.contains_key(&key);
        let is_full = !is_known && named.keys().filter(|(of, _)| *of == kind).count() >= NAMES_MAX;
        let key = if is_full { (kind, OTHERS.to_owned()) } else { key };
        *named.entry(key).or_default() += times;
    }

    /// Counts how long something took.
    pub fn took(&self, span: Duration) {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let bucket = DELAYS_MS.iter().find(|bound| span_ms <= **bound).unwrap_or(&DELAYS_MS[DELAYS_MS.len() - 1]);
        self.count(Kind::Delay, &bucket.to_string(), 1);
    }

    /// Counts a request for a feed.
    pub fn feed(&self, is_known: bool) {
        let counter = if is_known { &self.0.feed_known } else { &self.0.feed_fresh };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted; begins anew.
    fn take(&self) -> Vec<(Kind, String, i64)> {
        let named = std::mem::take(&mut *self.0.named.lock().unwrap_or_else(PoisonError::into_inner));
        let mut taken: Vec<_> = named.into_iter().map(|((kind, name), count)| (kind, name, count)).collect();
        for (name, counter) in [("fresh", &self.0.feed_fresh), ("known", &self.0.feed_known)] {
            match counter.swap(0, Ordering::Relaxed) {
                0 => {}
                count => taken.push((Kind::Feed, name.to_owned(), count)),
            }
        }
        taken
    }

    fn give_back(&self, taken: Vec<(Kind, String, i64)>) {
        taken.into_iter().for_each(|(kind, name, count)| self.count(kind, &name, count));
    }
}

impl Store {
    /// What this process counts.
    #[must_use]
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Writes what was counted. When that fails it is counted on, and written the next time.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn write_tallies(&self) -> Result<(), StoreError> {
        let (taken, now) = (self.tallies.take(), self.about_now());
        let rows = taken.clone();
        let written = self.write(move |tx| write(tx, &rows, now)).await;
        if written.is_err() {
            self.tallies.give_back(taken);
        }
        written
    }
}

/// Adds counts to the minute and the hour of an instant.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn write(tx: &mut Tx<'_>, counts: &[(Kind, String, i64)], at: UnixMillis) -> Result<(), StoreError> {
    const ADD: &str = "INSERT INTO tallies (kind, step_ms, at, name, count) {each $1: text, int, int, text, int}
         ON CONFLICT (kind, step_ms, at, name) DO UPDATE SET count = tallies.count + excluded.count";
    let row = |(kind, name, count): &(Kind, String, i64), step_ms: i64| {
        let step = UnixMillis(at.0.div_euclid(step_ms) * step_ms);
        params![kind.word(), step_ms, step, name, *count].to_vec()
    };
    let rows: Vec<_> =
        [MINUTE_MS, HOUR_MS].iter().flat_map(|step_ms| counts.iter().map(|one| row(one, *step_ms))).collect();
    tx.change_each("adding tallies", ADD, &rows)
}

/// Takes away what is too old to be shown.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn forget(tx: &mut Tx<'_>, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "DELETE FROM tallies WHERE kind = $1 AND step_ms = $2 AND at < $3";
    for kind in [Kind::In, Kind::Out, Kind::Delay, Kind::Bounce, Kind::Feed] {
        for (step_ms, kept) in [(MINUTE_MS, MINUTES_KEPT), (HOUR_MS, HOURS_KEPT)] {
            tx.execute(SQL, params![kind.word(), step_ms, now.minus(kept)])?;
        }
    }
    Ok(())
}

/// The tallies of a kind since an instant, in steps of [`MINUTE_MS`] or [`HOUR_MS`]: when, name, count.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn since(
    tx: &mut Tx<'_>,
    kind: Kind,
    step_ms: i64,
    from: UnixMillis,
) -> Result<Vec<(UnixMillis, String, i64)>, StoreError> {
    const SQL: &str = "SELECT at, name, count FROM tallies WHERE kind = $1 AND step_ms = $2 AND at >= $3 ORDER BY at, name LIMIT 50000";
    let rows = tx.query(SQL, params![kind.word(), step_ms, from])?;
    rows.iter().map(|row| Ok((row.at(0)?, row.text(1)?, row.int(2)?))).collect()
}

/// The delay below which this share (0 to 1) of what was counted by bucket lies: the upper bound of its bucket. `None` when
/// nothing was counted.
#[must_use]
pub fn percentile(buckets: &BTreeMap<i64, i64>, share: f64) -> Option<i64> {
    let all: i64 = buckets.values().sum();
    let wanted = (all as f64 * share).ceil() as i64;
    let mut seen = 0;
    buckets
        .iter()
        .find(|(_, count)| {
            seen += **count;
            all > 0 && seen >= wanted.max(1)
        })
        .map(|(bound, _)| *bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bounds_of_buckets() {
        let buckets = BTreeMap::from([(1_000, 90), (5_000, 9), (60_000, 1)]);
        let found = [0.5, 0.9, 0.95, 0.99, 1.0].map(|share| percentile(&buckets, share).unwrap());
        assert_eq!(found, [1_000, 1_000, 5_000, 5_000, 60_000]);
        assert_eq!(percentile(&BTreeMap::new(), 0.5), None);
    }

    #[test]
    fn names_are_bounded_and_nothing_is_lost_in_memory() {
        let tallies = Tallies::default();
        for index in 0..NAMES_MAX + 5 {
            tallies.count(Kind::Bounce, &format!("d{index}.example"), 1);
        }
        tallies.took(Duration::from_secs(3));
        tallies.took(Duration::from_secs(30 * 86_400));
        tallies.feed(true);
        let taken = tallies.take();
        let of = |kind: Kind, name: &str| {
            taken.iter().find(|(of, is, _)| *of == kind && is == name).map_or(0, |(.., count)| *count)
        };
        assert_eq!(of(Kind::Bounce, OTHERS), 5);
        assert_eq!((of(Kind::Delay, "5000"), of(Kind::Delay, "604800000"), of(Kind::Feed, "known")), (1, 1, 1));
        assert!(tallies.take().is_empty());
        tallies.give_back(taken.clone());
        assert_eq!(
            tallies.take().iter().map(|(.., count)| count).sum::<i64>(),
            taken.iter().map(|(.., count)| count).sum::<i64>()
        );
    }
}
