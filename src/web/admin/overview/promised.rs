//! How what was promised stands, in the words that `allim doctor` uses.

use super::super::desk::{Desk, Lost};
use crate::domain::promise::{self, State};
use serde::Serialize;

/// The verdict, and what it stands on.
#[derive(Serialize)]
pub(super) struct Promised {
    state: State,
    /// What isn't kept, the worst first.
    unkept: Vec<One>,
    kept: Vec<One>,
}

#[derive(Serialize)]
struct One {
    state: State,
    #[serde(flatten)]
    said: promise::Said,
}

/// Looks and judges, in the language of whoever asks.
pub(super) async fn read(desk: &Desk) -> Result<Promised, Lost> {
    let front = &desk.room.front;
    let sources = front.intake.source_names().cloned().collect();
    let (look, now) = front.planner.look_at_promises(sources).await?;
    let promises = promise::judge(&look, &desk.room.terms, now);
    let state = promise::worst(&promises);
    let said = promises.iter().map(|one| One { state: one.state, said: one.say(desk.language.as_str()) });
    let (kept, mut unkept): (Vec<One>, Vec<One>) = said.partition(|one| one.state == State::Kept);
    unkept.sort_by_key(|one| std::cmp::Reverse(one.state));
    Ok(Promised { state, unkept, kept })
}
