//! What becomes of editions that hold a post which was revised, withdrawn or expired (design rule 3).

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Reason;
use crate::domain::edition::{Content, EditionKind, ItemForm};
use crate::store::editions::{self, Fate};
use crate::store::{StoreError, Tx};

/// Deliveries moved in one transaction at most.
const CHUNK: i64 = 1_000;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No replaced edition is left after the given one.
    Done,
    /// This edition was looked at; deliveries moved.
    Moved(i64, u64),
}

/// Takes the next replaced edition after `after` and moves a chunk of its waiting deliveries to its successor, or
/// cancels them when nothing is left to show.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn step(tx: &mut Tx<'_>, after: i64, now: UnixMillis) -> Result<Step, StoreError> {
    let Some(id) = editions::replaced(tx, after)? else { return Ok(Step::Done) };
    let (items, withdrawn) = editions::successor_items(tx, id)?;
    let Some(edition) = editions::find(tx, id)? else { return Ok(Step::Moved(id, 0)) };
    // What is left may be lines about posts that the reader has: nothing to write to anybody for.
    let fate = if !items.iter().any(|item| item.form == ItemForm::Post) {
        Fate::Cancel(if withdrawn { Reason::Withdrawn } else { Reason::Expired })
    } else if edition.content.kind == EditionKind::Push {
        // The revision is pushed by itself.
        Fate::Cancel(Reason::Superseded)
    } else {
        let drops = items.len() < edition.content.items.len();
        let content = Content { items, ..edition.content };
        Fate::Move { to: editions::ensure(tx, edition.plan_id, &content, now)?, drops }
    };
    let moved = match fate {
        // The change was taken back before anything moved; nothing is to be done.
        Fate::Move { to, .. } if to == id => 0,
        ref fate => editions::settle_replaced(tx, id, fate, now, CHUNK)?,
    };
    if moved < CHUNK as u64 {
        editions::set_moved(tx, id, now)?;
    }
    Ok(Step::Moved(id, moved))
}
