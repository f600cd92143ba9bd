//! A dry run of a digest: fired and planned by the same code as ever, counted, and taken back.

use super::{Planner, Rules, chunk, digest, release_all};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::store::rehearsals::{self, Followers, Share};
use crate::store::{StoreError, Tx, occurrences};

/// Chunks that are planned at most, of [`CHUNK_READERS_MAX`] readers each: the writer waits for a rehearsal, so it has to be
/// over in a tenth of a second or so.
const CHUNKS_MAX: usize = 5;
/// Readers in a chunk.
const CHUNK_READERS_MAX: i64 = 1_000;
/// Slots that are fired at most: hours that readers chose.
const SLOTS_MAX: usize = 50;

/// What a digest would come to if it fired now.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Who follows it.
    pub followers: Followers,
    /// What would go out.
    pub shares: Vec<Share>,
    /// Deliveries in all.
    pub planned: i64,
    /// Whether it was planned to the end; if not, there would be more.
    pub is_whole: bool,
}

impl Planner {
    /// What the digest `name` would come to if it fired now. Changes nothing. Of a large one only the first five thousand readers are looked at.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn rehearse(&self, name: &str) -> Result<Rehearsed, StoreError> {
        let (name, now) = (name.to_owned(), self.store.now().await?);
        let chunk_recipients = self.rules.chunk_recipients.min(CHUNK_READERS_MAX);
        let rules = Rules { chunk_recipients, ..(*self.rules).clone() };
        self.store.rehearse(move |tx| rehearse(tx, &rules, &name, now)).await
    }
}

fn rehearse(tx: &mut Tx<'_>, rules: &Rules, name: &str, now: UnixMillis) -> Result<Rehearsed, StoreError> {
    release_all(tx, &rules.release, now)?;
    let all = occurrences::slots(tx)?.into_iter().map(|state| state.slot);
    let slots: Vec<Slot> = all.filter(|slot| slot.schedule() == name).collect();
    let followers = rehearsals::followers(tx, &slots, now)?;
    let mut plans = Vec::new();
    for slot in slots.iter().take(SLOTS_MAX) {
        plans.push(digest::fire_at_once(tx, slot, now)?);
    }
    let plans: Vec<i64> = plans.into_iter().flatten().collect();
    let mut is_whole = slots.len() <= SLOTS_MAX;
    for planned in 0.. {
        if !occurrences::any_open(tx, &plans)? {
            break;
        }
        if planned == CHUNKS_MAX {
            is_whole = false;
            break;
        }
        chunk::plan_next(tx, rules, now)?;
    }
    let shares = rehearsals::shares(tx, &plans)?;
    let planned = shares.iter().map(|share| share.readers).sum();
    Ok(Rehearsed { followers, shares, planned, is_whole })
}
