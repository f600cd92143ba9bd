//! How promises stand, with what only the planner knows: which digests should have fired.

use super::Planner;
use crate::domain::clock::UnixMillis;
use crate::domain::promise::Look;
use crate::store::{StoreError, Tx, occurrences, promises};

impl Planner {
    /// One bounded look at what was promised, and the instant it was taken at. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn look_at_promises(&self, sources: Vec<String>) -> Result<(Look, UnixMillis), StoreError> {
        let now = self.store.now().await?;
        let read = move |tx: &mut Tx<'_>| Ok((promises::look(tx, &sources, now)?, occurrences::slots(tx)?));
        let (mut look, slots) = self.store.read(read).await?;
        let due = |state: &occurrences::SlotState| {
            let digest = self.rules.digests.get(state.slot.schedule())?;
            let due_at = digest.schedule_of(&state.slot).ok()?.next_after(state.considered_at.0).map(UnixMillis)?;
            (due_at < now).then(|| (state.slot.schedule().to_owned(), due_at))
        };
        look.overdue = slots.iter().filter_map(due).collect();
        Ok((look, now))
    }
}
