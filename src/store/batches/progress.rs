//! What happens to the members of claimed batches: about to be sent, taken. One statement of each kind for all batches that
//! a commit touches.

use super::{BatchKey, departure, extract, from_json, members};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, State};
use crate::store::deliveries::{AttemptRef, Ended};
use crate::store::value::{json, params};
use crate::store::{Row, StoreError, Tx, subscribers};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What the log of a batch says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Log {
    /// When each member was about to be sent last, and in which attempt.
    pub began: BTreeMap<u32, (UnixMillis, i64)>,
    /// When each member was taken, in which attempt, and the far side's words.
    pub taken: BTreeMap<u32, (UnixMillis, i64, String)>,
}

impl Log {
    /// Reads the log of a batch.
    pub(in crate::store) fn read(tx: &mut Tx<'_>, key: BatchKey) -> Result<Self, StoreError> {
        const SQL: &str =
            "SELECT attempt, at, began, taken FROM batch_log WHERE plan_id = $1 AND number = $2 ORDER BY entry";
        let mut log = Self::default();
        for row in tx.query(SQL, params![key.plan_id, key.number])? {
            let (attempt, at) = (row.int(0)?, row.at(1)?);
            for index in from_json::<Vec<u32>>(&row.text(2)?)? {
                log.began.insert(index, (at, attempt));
            }
            for (reply, indexes) in from_json::<BTreeMap<String, Vec<u32>>>(&row.text(3)?)? {
                for index in indexes {
                    log.taken.insert(index, (at, attempt, reply.clone()));
                }
            }
        }
        Ok(log)
    }

    /// Members that were about to be sent and of which nothing more is known.
    pub(in crate::store) fn on_their_way(&self) -> impl Iterator<Item = u32> {
        self.began.keys().filter(|index| !self.taken.contains_key(index)).copied()
    }
}

/// A batch that this commit touches.
struct Touched {
    key: BatchKey,
    /// The claim that stands, if the batch is claimed at all.
    claim: Option<(i64, i64)>,
    may_begin: bool,
    own: BTreeSet<u32>,
    open: i64,
    entries: i64,
    began: Vec<u32>,
    taken: BTreeMap<String, Vec<u32>>,
    exceptions: Vec<u32>,
}

/// What became of a commit's attempts.
#[derive(Default)]
pub(in crate::store) struct Progress {
    /// Those that may pass the point of no return.
    pub allowed: Vec<DeliveryKey>,
    /// Attempts of deliveries with a row of their own, to begin.
    pub rows_to_begin: Vec<AttemptRef>,
    /// Outcomes of deliveries with a row of their own, or that were just given one.
    pub rows_to_end: Vec<Ended>,
    /// Deliveries that took their new state.
    pub changed: u64,
}

/// Records, for members of batches, what is about to be sent and what was taken. `is_repeat` when an earlier commit of
/// the same outcomes may have taken hold.
pub(in crate::store) fn commit(
    tx: &mut Tx<'_>,
    begins: &[AttemptRef],
    ends: &[Ended],
    is_repeat: bool,
    now: UnixMillis,
) -> Result<Progress, StoreError> {
    let mut progress = Progress::default();
    let attempts = begins.iter().chain(ends.iter().map(|ended| &ended.attempt));
    let keys: BTreeSet<BatchKey> = attempts.filter_map(batch_of).collect();
    if keys.is_empty() {
        (progress.rows_to_begin, progress.rows_to_end) = (begins.to_vec(), ends.to_vec());
        return Ok(progress);
    }
    let (mut touched, departed_to) = read(tx, &keys, now)?;
    end(tx, &mut touched, ends, is_repeat, &mut progress)?;
    begin(tx, &mut touched, begins, departed_to, &mut progress)?;
    for batch in touched.values_mut().filter(|batch| !batch.exceptions.is_empty()) {
        let indexes: Vec<u32> = batch.exceptions.clone();
        batch.open -= indexes.len() as i64;
        batch.own.extend(&indexes);
        extract::with_rows(tx, batch.key, &indexes)?;
    }
    write(tx, touched.into_values().collect(), now)?;
    Ok(progress)
}

fn batch_of(attempt: &AttemptRef) -> Option<BatchKey> {
    let seat = attempt.seat?;
    Some(BatchKey { plan_id: attempt.key.plan_id, number: seat.number })
}

/// The touched batches, locked; and the departure counter.
fn read(
    tx: &mut Tx<'_>,
    keys: &BTreeSet<BatchKey>,
    now: UnixMillis,
) -> Result<(BTreeMap<BatchKey, Touched>, i64), StoreError> {
    const SQL: &str = "SELECT b.plan_id, b.number, b.state, b.claimed_term, b.claims, b.own, b.open, b.entries,
             CASE WHEN e.replaced_at IS NULL
                   AND (e.quiet_until_at IS NULL OR $2 < e.quiet_from_at OR $2 >= e.quiet_until_at)
                   AND EXISTS (SELECT 1 FROM processes x WHERE x.term = b.claimed_term AND x.ended_at IS NULL)
                   AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope IN ('all', 'destination:' || b.destination,
                       'digest:' || e.schedule))
                 THEN 1 ELSE 0 END
         FROM {rows $1: p int, b int} k CROSS JOIN batches b CROSS JOIN editions e
         WHERE b.plan_id = k.p AND b.number = k.b AND e.id = b.edition_id {lock b}";
    let touched = |row: &Row| {
        let key = BatchKey { plan_id: row.int(0)?, number: row.int(1)? };
        let claim = (row.text(2)? == "claimed").then_some((row.int_opt(3)?.unwrap_or(0), row.int(4)?));
        let touched = Touched {
            key,
            claim,
            own: from_json(&row.text(5)?)?,
            open: row.int(6)?,
            entries: row.int(7)?,
            may_begin: row.int(8)? == 1,
            began: Vec::new(),
            taken: BTreeMap::new(),
            exceptions: Vec::new(),
        };
        Ok::<_, StoreError>((key, touched))
    };
    let keys: Vec<&BatchKey> = keys.iter().collect();
    let touched = tx.query(SQL, &[json(&keys)?, now.into()])?.iter().map(touched).collect::<Result<_, _>>()?;
    Ok((touched, departure(tx)?))
}

fn end(
    tx: &mut Tx<'_>,
    touched: &mut BTreeMap<BatchKey, Touched>,
    ends: &[Ended],
    is_repeat: bool,
    progress: &mut Progress,
) -> Result<(), StoreError> {
    let mut known: BTreeMap<BatchKey, Log> = BTreeMap::new();
    if is_repeat {
        for key in touched.keys() {
            known.insert(*key, Log::read(tx, *key)?);
        }
    }
    for ended in ends {
        let seat = ended.attempt.seat;
        let batch = batch_of(&ended.attempt).and_then(|key| touched.get_mut(&key));
        let (Some(seat), Some(batch)) = (seat, batch) else {
            progress.rows_to_end.push(ended.clone());
            continue;
        };
        if batch.own.contains(&seat.index) {
            progress.rows_to_end.push(ended.clone());
        } else if batch.claim != Some((ended.attempt.t, ended.attempt.n))
            || known.get(&batch.key).is_some_and(|log| log.taken.contains_key(&seat.index))
        {
            // It went back with its whole batch before it began, or is recorded already: there is nothing to end.
        } else if ended.state == State::Sent.word() {
            batch.taken.entry(ended.reply.clone()).or_default().push(seat.index);
            batch.open -= 1;
            progress.changed += 1;
        } else {
            batch.exceptions.push(seat.index);
            progress.rows_to_end.push(ended.clone());
        }
    }
    Ok(())
}

fn begin(
    tx: &mut Tx<'_>,
    touched: &mut BTreeMap<BatchKey, Touched>,
    begins: &[AttemptRef],
    departed_to: i64,
    progress: &mut Progress,
) -> Result<(), StoreError> {
    let left = left_since(tx, begins, departed_to)?;
    for attempt in begins {
        let batch = batch_of(attempt).and_then(|key| touched.get_mut(&key));
        let (Some(seat), Some(batch)) = (attempt.seat, batch) else {
            progress.rows_to_begin.push(attempt.clone());
            continue;
        };
        if batch.own.contains(&seat.index) {
            progress.rows_to_begin.push(attempt.clone());
        } else if batch.may_begin
            && batch.claim == Some((attempt.t, attempt.n))
            && !batch.exceptions.contains(&seat.index)
            && !left.contains(&attempt.key.recipient_id)
        {
            batch.began.push(seat.index);
            progress.allowed.push(attempt.key.clone());
        }
    }
    Ok(())
}

/// Those who left between their claim and now. Nobody did while the departure counter stands still, which is nearly always.
fn left_since(tx: &mut Tx<'_>, begins: &[AttemptRef], departed_to: i64) -> Result<HashSet<i64>, StoreError> {
    let is_older = |attempt: &&AttemptRef| attempt.seat.is_some_and(|seat| seat.departure != departed_to);
    let ids: Vec<i64> = begins.iter().filter(is_older).map(|attempt| attempt.key.recipient_id).collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let there: HashSet<i64> = subscribers::active(tx, &ids)?.into_iter().map(|subscriber| subscriber.id).collect();
    Ok(ids.into_iter().filter(|id| !there.contains(id)).collect())
}

fn write(tx: &mut Tx<'_>, touched: Vec<Touched>, now: UnixMillis) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Entry<'a> {
        p: i64,
        b: i64,
        entry: i64,
        attempt: i64,
        began: String,
        taken: String,
        open: i64,
        own: &'a BTreeSet<u32>,
    }
    let is_changed = |batch: &&Touched| !(batch.began.is_empty() && batch.taken.is_empty());
    let text = |error: serde_json::Error| StoreError::Shape(error.to_string());
    let entry = |batch: &'_ Touched| {
        Ok::<_, StoreError>((
            batch.key,
            batch.entries + 1,
            batch.claim.map_or(0, |(_, attempt)| attempt),
            serde_json::to_string(&batch.began).map_err(text)?,
            serde_json::to_string(&batch.taken).map_err(text)?,
        ))
    };
    let mut entries = Vec::new();
    for batch in touched.iter().filter(is_changed) {
        let (key, number, attempt, began, taken) = entry(batch)?;
        let (p, b) = (key.plan_id, key.number);
        entries.push(Entry { p, b, entry: number, attempt, began, taken, open: batch.open, own: &batch.own });
    }
    if !entries.is_empty() {
        let rows = json(&entries)?;
        const LOG: &str = "INSERT INTO batch_log (plan_id, number, entry, attempt, at, began, taken)
             SELECT p, b, entry, attempt, CAST($2 AS BIGINT), began, taken
             FROM {rows $1: p int, b int, entry int, attempt int, began text, taken text} k";
        tx.change("logging batches", entries.len(), LOG, &[rows.clone(), now.into()])?;
        const OPEN: &str = "UPDATE batches SET open = k.open, entries = k.entry
             FROM {rows $1: p int, b int, entry int, open int} k WHERE plan_id = k.p AND number = k.b";
        tx.change("moving batches on", entries.len(), OPEN, &[rows])?;
    }
    for batch in touched {
        if !batch.exceptions.is_empty() {
            extract::note_own(tx, batch.key, &batch.own, batch.open)?;
        }
        if batch.open == 0 {
            close(tx, batch.key, now)?;
        }
    }
    Ok(())
}

/// Nothing of a batch is open any more.
pub(super) fn close(tx: &mut Tx<'_>, key: BatchKey, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE batches SET state = 'done', finished_at = $3
         WHERE plan_id = $1 AND number = $2 AND open = 0 AND state IN ('due', 'claimed')";
    tx.execute(SQL, params![key.plan_id, key.number, now])?;
    Ok(())
}

/// Ends the claims of a process that is gone: what it had begun and not ended gets a row of its own, in the state
/// `sending`, and what it hadn't begun waits again.
pub(in crate::store) fn release_claims(tx: &mut Tx<'_>, term: i64, now: UnixMillis) -> Result<u64, StoreError> {
    const CLAIMED: &str =
        "SELECT plan_id, number FROM batches b WHERE state = 'claimed' AND claimed_term = $1 ORDER BY 1, 2 {lock b}";
    let rows = tx.query(CLAIMED, params![term])?;
    let mut due = 0;
    for row in &rows {
        let key = BatchKey { plan_id: row.int(0)?, number: row.int(1)? };
        let log = Log::read(tx, key)?;
        let begun: Vec<u32> = log.on_their_way().collect();
        let open = extract::from(tx, key, &begun)?;
        const DUE: &str =
            "UPDATE batches SET state = 'due', claimed_term = NULL WHERE plan_id = $1 AND number = $2 AND open > 0";
        tx.execute(DUE, params![key.plan_id, key.number])?;
        close(tx, key, now)?;
        due += u64::try_from(open).unwrap_or(0);
    }
    Ok(due)
}

/// The members' ids of a batch with what the log says about each, for those who look.
pub(super) fn members_and_log(tx: &mut Tx<'_>, key: BatchKey) -> Result<(Vec<i64>, Log), StoreError> {
    Ok((members(tx, key)?, Log::read(tx, key)?))
}
