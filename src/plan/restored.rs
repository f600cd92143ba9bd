//! `allim hold off --sent-until T`: this database was restored, and until T another one went on in its place. What was
//! due before T went out there (design rule 19).

use super::Planner;
use super::digest;
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::UnixMillis;
use crate::store::occurrences::SlotState;
use crate::store::{StoreError, Tx, endpoints, occurrences, restore};

/// Deliveries set aside in one transaction.
const CHUNK: i64 = 5_000;

/// What was counted as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CountedAsSent {
    /// Deliveries that are uncertain now and wait for an operator.
    pub deliveries: u64,
    /// Firings of schedules that aren't made up for.
    pub occurrences: u64,
    /// Posts that are shown and mailed to nobody.
    pub posts: u64,
}

impl Planner {
    /// Counts everything that was due before `until` as sent. Can be run again after an interruption; nothing may be
    /// planned or sent meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn count_as_sent(&self, until: UnixMillis) -> Result<CountedAsSent, StoreError> {
        let now = self.store.now().await?;
        let guard = move |tx: &mut Tx<'_>| {
            // First of all, so that what comes again from now on is guarded at the door.
            restore::set_sent_until(tx, until)?;
            restore::guard_posts(tx, until, now)
        };
        let mut counted = CountedAsSent { posts: self.store.write(guard).await?, ..CountedAsSent::default() };
        for state in self.store.read(occurrences::slots).await? {
            let planner = self.clone();
            let fired = self.store.write(move |tx| planner.count_slot(tx, state.clone(), until)).await?;
            counted.occurrences += u64::from(fired);
        }
        let pushed = move |tx: &mut Tx<'_>| {
            let (pushed, _) = endpoints::lock_pushed(tx)?;
            let before = restore::head_before(tx, until)?;
            endpoints::set_pushed(tx, pushed.max(before))
        };
        self.store.write(pushed).await?;
        counted.occurrences += self.store.write(move |tx| restore::finish_occurrences(tx, until, now)).await?;
        self.store.write(move |tx| restore::forget_asked(tx, until)).await?;
        while self.store.write(move |tx| restore::part_batches(tx, until, now)).await? > 0 {}
        loop {
            let moved = self.store.write(move |tx| restore::set_deliveries_aside(tx, until, now, CHUNK)).await?;
            counted.deliveries += moved;
            if moved == 0 {
                return Ok(counted);
            }
        }
    }

    /// Counts the firings of one slot before `until`. Immediate mail went out as soon as there was something.
    fn count_slot(&self, tx: &mut Tx<'_>, state: SlotState, until: UnixMillis) -> Result<bool, StoreError> {
        if state.slot.schedule() == IMMEDIATE {
            let bound = restore::head_before(tx, until)?;
            restore::count_as_fired(tx, state, until, bound)?;
            return Ok(false);
        }
        let schedule = self.rules.digests.get(state.slot.schedule()).and_then(|one| one.schedule_of(&state.slot).ok());
        // `until` itself isn't before it.
        let last = UnixMillis(until.0.saturating_sub(1));
        let Some(fired_at) = schedule.and_then(|schedule| digest::due(&schedule, &state, last)) else {
            return Ok(false);
        };
        let bound = restore::head_before(tx, fired_at)?;
        restore::count_as_fired(tx, state, fired_at, bound)?;
        Ok(true)
    }
}
