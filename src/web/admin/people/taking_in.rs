//! Goes through a list part by part, beside the requests: looks what each row would come to, or takes it in. What was done is in the
//! store with each part, so that several processes at once, and one that ends in the middle, do no harm.

use super::super::Room;
use super::report::{FAULT, Told};
use crate::domain::audience::Address;
use crate::domain::clock::UnixMillis;
use crate::plan::roster::{Line, Read, Rolls, Taken, Wish};
use crate::store::rosters::{self, Counts, Roster, Stage};
use crate::store::{StoreError, Tx};
use crate::web::Front;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A row of a list as it waits in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Given {
    /// Its line in the file.
    pub line: u64,
    row: Option<Line>,
    /// What was wrong with it before it could be read.
    fault: Option<Told>,
    /// Whether a row further up has the same address: looked through without being written, it would seem new once more.
    #[serde(default)]
    is_again: bool,
}

impl Given {
    /// The rows of a list, in their order.
    pub(super) fn all(rows: Vec<Read>) -> Vec<Self> {
        let mut seen = BTreeSet::new();
        let given = |(line, read): Read| match read {
            Ok(row) => {
                let key = Address::parse(&row.address).map(|address| address.key());
                let is_again = key.is_ok_and(|key| !seen.insert(key));
                Self { line, row: Some(row), fault: None, is_again }
            }
            Err(fault) => Self { line, row: None, fault: Some(Told::fault(line, &fault)), is_again: false },
        };
        rows.into_iter().map(given).collect()
    }
}

/// What rows are checked against: the configuration.
pub(super) fn rolls(front: &Front) -> Rolls {
    Rolls {
        languages: front.languages.clone(),
        topics: front.topics.iter().map(|(name, _)| name.clone()).collect(),
        digests: front.planner.digests().clone(),
        chance: front.chance.clone(),
    }
}

/// Begins to go through a list, or goes on; one that another process goes through too is gone through once.
pub(super) fn begin(room: &Arc<Room>, id: &str) {
    let (front, id) = (room.front.clone(), id.to_owned());
    tokio::spawn(async move {
        let rolls = Arc::new(rolls(&front));
        loop {
            match step(&front, &rolls, &id).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // The page says that it stands still, and has a button to go on.
                    tracing::warn!(%error, "a list of subscribers stands still");
                    break;
                }
            }
        }
        front.planner.tell();
    });
}

/// Goes through the next part. False: there is none.
async fn step(front: &Front, rolls: &Arc<Rolls>, id: &str) -> Result<bool, StoreError> {
    let asked = id.to_owned();
    let next = move |tx: &mut Tx<'_>| {
        let Some(roster) = rosters::find(tx, &asked)? else { return Ok(None) };
        let part = rosters::part(tx, &asked, roster.done)?;
        Ok(part.map(|(rows, _)| (roster, rows)))
    };
    let Some((roster, rows)) = front.store.read(next).await? else { return Ok(false) };
    if !matches!(roster.stage, Stage::Looking | Stage::Taking) {
        return Ok(false);
    }
    let given: Vec<Given> = serde_json::from_str(&rows).map_err(|e| StoreError::Shape(format!("a list: {e}")))?;
    let part = Arc::new(Part::new(rolls, given));
    let (now, rolls) = (front.store.now().await?, rolls.clone());
    if roster.stage == Stage::Looking {
        let rehearsed = part.clone();
        let look = move |tx: &mut Tx<'_>| rolls.take(tx, &rehearsed.wishes, None, now);
        let taken = front.store.rehearse(look).await?;
        let noted = move |tx: &mut Tx<'_>| note(tx, &roster, &part, &taken, now);
        return front.store.write(noted).await.map(|()| true);
    }
    let take = move |tx: &mut Tx<'_>| {
        if rosters::lock_at(tx, &roster.id, Stage::Taking, roster.done)?.is_none() {
            return Ok(());
        }
        let taken = rolls.take(tx, &part.wishes, Some(&roster.basis), now)?;
        note(tx, &roster, &part, &taken, now)
    };
    front.store.write(take).await.map(|()| true)
}

/// A part, checked against the configuration.
struct Part {
    wishes: Vec<Wish>,
    /// For each of them its line, and whether its address stands further up too.
    lines: Vec<(u64, bool)>,
    faults: Vec<Told>,
}

impl Part {
    fn new(rolls: &Rolls, given: Vec<Given>) -> Self {
        let mut part = Self { wishes: Vec::new(), lines: Vec::new(), faults: Vec::new() };
        for one in given {
            match (one.row.map(|row| rolls.check(&row)), one.fault) {
                (Some(Ok(wish)), _) => {
                    part.wishes.push(wish);
                    part.lines.push((one.line, one.is_again));
                }
                (Some(Err(fault)), _) => part.faults.push(Told::fault(one.line, &fault)),
                (None, Some(fault)) => part.faults.push(fault),
                (None, None) => {}
            }
        }
        part
    }
}

/// Writes down what became of a part, unless another process was faster.
fn note(tx: &mut Tx<'_>, roster: &Roster, part: &Part, taken: &[Taken], now: UnixMillis) -> Result<(), StoreError> {
    let Some(roster) = rosters::lock_at(tx, &roster.id, roster.stage, roster.done)? else { return Ok(()) };
    let is_rehearsal = roster.stage == Stage::Looking;
    let mut told = part.faults.clone();
    for ((line, is_again), taken) in part.lines.iter().zip(taken) {
        let taken = if is_rehearsal && *is_again && *taken == Taken::Added { Taken::Changed } else { *taken };
        told.push(Told::taken(*line, taken));
    }
    told.sort_by_key(|one| one.line);
    let mut counts = Counts::new();
    for one in &told {
        *counts.entry(one.result.clone()).or_default() += 1;
    }
    debug_assert!(counts.get(FAULT).copied().unwrap_or(0) == part.faults.len() as i64, "each fault is told");
    let told = serde_json::to_string(&told).map_err(|e| StoreError::Shape(format!("a report: {e}")))?;
    rosters::note(tx, &roster, &told, &counts, now)
}
